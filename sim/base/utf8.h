/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 (RFC 3629). */
#ifndef ERSATZ_SIM_BASE_UTF8_H
#define ERSATZ_SIM_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length of the character at the beginning of the text, and its code point. 0: there is none in UTF-8, or
 * not all of it. size: at least 1. */
size_t utf8_character(const char *text, size_t size, uint32_t *point);

#endif

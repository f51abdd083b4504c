/* SPDX-License-Identifier: Apache-2.0 */
/* Texts that the files which write findings share. */
#ifndef ERSATZ_SIM_WATCH_FINDINGS_TEXT_H
#define ERSATZ_SIM_WATCH_FINDINGS_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* "rsa_priv"; "?" where the number, which a killed process left, is none. */
const char *findings_operation(uint32_t operation);

/* Which request, for people. */
void findings_write_request(uint64_t request, uint32_t operation, uint32_t bytes, FILE *stream);

/* A JSON string of at most size bytes of text. */
void findings_write_string(const char *text, size_t size, FILE *stream);

#endif

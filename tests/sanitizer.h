/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a sanitizer is built in that brings its own malloc(3). */
#ifndef ERSATZ_TESTS_SANITIZER_H
#define ERSATZ_TESTS_SANITIZER_H

#include "ersatz/sanitizer.h"

#if defined(ERSATZ_ADDRESS_SANITIZER) || defined(ERSATZ_THREAD_SANITIZER)
#define SANITIZER_ALLOCATES
#endif

#endif

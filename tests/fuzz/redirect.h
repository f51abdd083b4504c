/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Included before the engine's sources when they are built for fuzzing: what would reach out of the process
 * goes through tests/fuzz/fuzz.c instead, so that no input writes to a file of its choosing, reads the real
 * environment, or starts a device of 64 workers for every run.
 */
#ifndef ERSATZ_TESTS_FUZZ_REDIRECT_H
#define ERSATZ_TESTS_FUZZ_REDIRECT_H

#include <stdio.h>
#include <stdlib.h>

#include "ersatz/device.h"

FILE *fuzz_fopen(const char *path, const char *mode);
char *fuzz_getenv(const char *name);
enum ersatz_result fuzz_device_open(
    const struct ersatz_config *config, struct ersatz_device **device, struct ersatz_error *error);

#ifndef FUZZ_NO_REDIRECT
#define fopen fuzz_fopen
#define secure_getenv fuzz_getenv
#define ersatz_device_open fuzz_device_open
#endif

#endif

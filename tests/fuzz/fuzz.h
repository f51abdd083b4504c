/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share: the bytes of an input taken apart, and the engine bound into the process. */
#ifndef ERSATZ_TESTS_FUZZ_FUZZ_H
#define ERSATZ_TESTS_FUZZ_FUZZ_H

#include <openssl/engine.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* libFuzzer's interface. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is left of an input. An input that has run out gives zeros. */
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

uint8_t fuzz_byte(struct fuzz_input *input);
/* 0 to max. Takes two bytes. */
unsigned fuzz_number(struct fuzz_input *input, unsigned max);
/* Bytes that look random, from two bytes of the input: long texts from short inputs. */
void fuzz_fill(struct fuzz_input *input, uint8_t *out, size_t len);
/* As many of the input's own bytes as there are, then zeros. */
void fuzz_take(struct fuzz_input *input, uint8_t *out, size_t len);

/* The property that a target holds on to: anything else is a finding. Says which, and aborts. */
#define FUZZ_SAME(condition) fuzz_same((condition), #condition, __FILE__, __LINE__)
void fuzz_same(bool same, const char *what, const char *file, int line);

/* A line about what the input makes the target do, for whoever repeats a finding: with FUZZ_TRACE in the
 * environment. */
__attribute__((format(printf, 1, 2))) void fuzz_trace(const char *format, ...);

/* A new ENGINE bound to the sources in this process; NULL if it refuses. environment: what ERSATZ_CTRL says,
 * or NULL. */
ENGINE *fuzz_bind(const char *environment);

/* The one that the cipher and RSA targets use, initialised: everything goes to the card, whatever its
 * size. */
ENGINE *fuzz_engine(void);

/* Which kernels compute from here on: all, each where it is quickest; libcrypto alone; or the others wherever
 * they can. */
void fuzz_choose_kernels(unsigned which);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What calls returned and put out, written down for one implementation and then for the other, to be
 * compared. */
#ifndef ERSATZ_TESTS_TRANSCRIPT_H
#define ERSATZ_TESTS_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRANSCRIPT_LINES_MAX 1024

struct line {
    char text[200];
    bool failed, error; /* the call failed; it left an error on the queue */
};

struct transcript {
    int count;
    struct line lines[TRANSCRIPT_LINES_MAX];
};

/* A line, with whether there is an error on the queue, which is cleared. */
__attribute__((format(printf, 3, 4))) void transcript_note(
    struct transcript *transcript, bool failed, const char *format, ...);

/* Stands for bytes that are too many to write down. */
uint64_t transcript_digest(const unsigned char *bytes, size_t len);

/* Ends the test, with the last lines, if the two are not the same. */
void transcript_compare(const char *name, const struct transcript *wanted, const struct transcript *got);

/* From here on libcrypto's random bytes are those that this number gives, until
 * RAND_set_rand_method(NULL). */
void make_random_repeat(uint64_t number);

#endif

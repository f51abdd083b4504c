/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A script is a long row of calls to EVP, made up from a number. It is run on two or three implementations of
 * a cipher; each writes down what every call returned and gave out, and what is written must be the same.
 */
#ifndef ERSATZ_TESTS_SCRIPT_H
#define ERSATZ_TESTS_SCRIPT_H

#include <openssl/engine.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCRIPT_TEXT_MAX (5u << 18) /* one and a quarter MiB */
#define SCRIPT_LINES_MAX 1024

struct line {
    char text[200];
    bool failed, error; /* the call failed; it left an error on the queue */
    bool plain;         /* is the same for a provider's cipher, not only for another engine's */
};

struct transcript {
    int count;
    bool legal;         /* no call was made that has to fail */
    bool provider_only; /* a call was made that the older implementations answer in another way */
    struct line lines[SCRIPT_LINES_MAX];
};

/* Which cipher, and whose. */
struct implementation {
    const EVP_CIPHER *cipher;
    ENGINE *engine; /* NULL: as EVP finds it */
};

/* Run the script of this number. */
void script_run(const struct implementation *whose, uint64_t number, struct transcript *transcript);

/* The same for GCM and XTS that are not ready: without a key, an IV, or either; and for units of XTS that are
 * too long. */
void script_run_unready(const struct implementation *whose, uint64_t number, struct transcript *transcript);

/* A line of the caller's own, with what is on the error queue, which is cleared. */
__attribute__((format(printf, 4, 5))) void transcript_note(
    struct transcript *transcript, bool failed, bool plain, const char *format, ...);

/* Stands for bytes that are too many to write down. */
uint64_t transcript_digest(const unsigned char *bytes, size_t len);

/* From here on libcrypto's random bytes are those that this number gives, until RAND_set_rand_method(NULL).
 */
void make_random_repeat(uint64_t number);

/* Ends the test, with the number and the lines, if the two are not the same. only_plain: compare what a
 * provider's cipher must have in common with an engine's. */
void script_compare(uint64_t number, const char *cipher, const struct transcript *wanted,
    const struct transcript *got, bool only_plain);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of EVP in any order that an application may come upon: contexts begun with and without key and IV,
 * turned around, given lengths, tags, IVs and TLS records at any time, copied over each other and finished.
 *
 * Among them are whole messages (message.h), of which every call has to succeed, and records of TLS.
 *
 * Each call is made three times: on a context of the engine, on one of libcrypto's provider, and on one of
 * its older implementations behind an ENGINE, so that EVP treats it as it treats the engine. What is compared
 * is whether the call succeeded, what it put out, whether anything was written around that, and whether there
 * is an error to say why it failed.
 *
 * 1. What the engine lets pass, one of libcrypto's two lets pass with the same result, having agreed with the
 *    engine on every call before. The engine may be stricter than both, and never laxer. Where only the
 * engine refuses a call, libcrypto's context goes back to a copy from before it.
 * 2. Where nothing is known to the contrary (see exactness_of() in judge.c, which names each exception),
 * the engine and the older implementation return the same.
 *
 * The calls come from a source: a seed in modes/any_order and vectors/equivalence, a fuzzer's input in
 * fuzz/fuzz_ciphers.
 */
#ifndef ERSATZ_TESTS_SEQUENCE_SEQUENCE_H
#define ERSATZ_TESTS_SEQUENCE_SEQUENCE_H

#include <openssl/engine.h>

#include "source.h"

#define SEQUENCE_CIPHERS 27u

/* What all sequences of a program have in common. */
struct sequence_setting {
    ENGINE *engine;        /* under test; NULL: the provider, */
    OSSL_LIB_CTX *context; /* which is loaded here */
    bool by_default;       /* it is not named, but the default where a context gets its cipher */
    void (*make_default)(bool is_default);
    bool long_texts; /* up to 1.25 MiB; otherwise up to 3,000 bytes */
    void (*vary)(
        unsigned eighth); /* called before each call with 0 to 7: which core or kernel computes; or NULL */
    bool trace;           /* each call to standard error */
    unsigned calls_max;   /* of a sequence */
    unsigned long
        passed[SEQUENCE_CIPHERS]; /* calls that succeeded, and that libcrypto agreed on; by cipher */
    ENGINE *older;                /* from sequence_begin() */
};

/* Takes libcrypto's implementations. Until sequence_end() RAND_bytes() gives all that are asked to make a
 * call the same bytes, so that IVs that are drawn are equal. */
void sequence_begin(struct sequence_setting *setting);
void sequence_end(struct sequence_setting *setting);

/* The cipher's number is at most SEQUENCE_CIPHERS - 1. NULL: the card does not have it on this
 * processor. */
const char *sequence_cipher_name(const struct sequence_setting *setting, unsigned cipher);

/* Run one sequence; first: its first cipher, or one from the source if that is SEQUENCE_CIPHERS. False: the
 * engine broke a rule; which one, and the call, was written to standard error. One thread at a time. */
bool sequence_run(struct sequence_setting *setting, struct source *source, unsigned first);

#endif

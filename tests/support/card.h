/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The card under test as an application has it: the module named by ERSATZ_MODULE, loaded as an engine or as
 * a provider. The environment variable DOOR says which: "engine" (the default) or "provider". A test that is
 * written for this header runs through both.
 *
 * Functions that take a card take NULL for plain libcrypto, where that makes sense.
 */
#ifndef ERSATZ_TESTS_SUPPORT_CARD_H
#define ERSATZ_TESTS_SUPPORT_CARD_H

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdbool.h>

#include "support/errors.h"
#include "support/job.h"

struct card;

/* Whether DOOR is "provider". */
bool card_is_provider(void);

/* Load the module and initialise it after the commands (NAME or NAME:VALUE, separated by semicolons; may be
 * NULL); those in ERSATZ_CTRL come first. A provider has a library context of its own: OpenSSL keeps a
 * provider of the default context until the process ends. Anything that fails ends the test. */
struct card *card_load(const char *commands);

/* As above, but NULL if it does not load or initialise; errors are left on the queue. */
struct card *card_try(const char *commands);

/* As card_load(), but a provider is in the default library context, as in most programs: for a process that
 * ends with the card loaded. */
struct card *card_load_for_good(const char *commands);

/* Not before everything made with the card is freed. */
void card_unload(struct card *card);

/* Give back what card_load() took, ENGINE_finish(3) or OSSL_PROVIDER_unload(3), and take it again. Nothing
 * but card_init() or the end of the process may follow card_finish(), unless the test knows the door. */
void card_finish(struct card *card);
void card_init(struct card *card);

/* -------------------------------------------------------------------------------- commands and statistics */

/* Run one command; ends the test if it fails. value may be NULL. */
void card_command(struct card *card, const char *name, const char *value);

/* As above, but false if it is refused: errors are left on the queue. */
bool card_try_command(struct card *card, const char *name, const char *value);

/* Run a command, NAME or NAME:NUMBER, that answers with a number. False if it is refused: errors are left on
 * the queue. */
bool card_ask(struct card *card, const char *command, int *answer);

/* The answer. Ends the test if the command is refused. */
int card_number(struct card *card, const char *command);

/* Whether the command is refused with an error whose text has `text` in it. Clears the queue. */
bool card_refuses(struct card *card, const char *name, const char *value, const char *text);

/* The statistics, for free(3). NULL if they are refused: errors are left on the queue. */
char *card_statistics(struct card *card);

/* A counter of the statistics, by name ("completed", "rsa_priv", ...). */
long card_count(struct card *card, const char *name);

/* Whether there is such a counter: those of kernels that are not in use are left out. */
bool card_has_count(struct card *card, const char *name);

/* Waits until a counter has reached a value: the card is another thread. */
void card_wait_for(struct card *card, const char *name, long value);

/* Waits until so many operations are in flight. A descriptor that is readable does not tell that one is done:
 * it may be by a spurious wake-up. */
void card_wait_in_flight(struct card *card, int count);

/* All thresholds 0: every size goes to the card. */
#define ALL_SIZES_OF(mode) "AES-128-" mode ":0,AES-192-" mode ":0,AES-256-" mode ":0,"
#define ALL_SIZES                                                                                            \
    "SET_CRYPTO_SMALL_PACKET_OFFLOAD_THRESHOLD:" ALL_SIZES_OF("CBC") ALL_SIZES_OF("CTR") ALL_SIZES_OF("GCM") \
        ALL_SIZES_OF("ECB") ALL_SIZES_OF("CFB") ALL_SIZES_OF("OFB")                                          \
            ALL_SIZES_OF("CCM") "AES-128-XTS:0,AES-256-XTS:0"

/* --------------------------------------------------------------------------------------------- operations */

/* EVP_CipherInit_ex() with the card's cipher of that name ("AES-128-CBC"), which it must have. encrypt: 1, or
 * 0 to decrypt. */
int card_cipher_init(struct card *card, EVP_CIPHER_CTX *ctx, const char *name, const unsigned char *key,
    const unsigned char *iv, int encrypt);

/* A key of the card with these numbers, which are copied; some may be missing. NULL if it is refused. The
 * caller's. */
EVP_PKEY *card_key(struct card *card, RSA *numbers);

/* A context for operations of that key. init: EVP_PKEY_sign_init() or another one; an operation of another
 * provider ends the test. NULL if it is refused. The caller's. */
EVP_PKEY_CTX *card_key_context(struct card *card, EVP_PKEY *key, int (*init)(EVP_PKEY_CTX *), int padding);

/* RSA_private_encrypt(), RSA_public_decrypt(), RSA_public_encrypt() and RSA_private_decrypt() of a card's
 * key. out has room for the key's size. They return the length, or -1 with errors on the queue. */
int key_sign(
    struct card *card, EVP_PKEY *key, int padding, const unsigned char *in, size_t len, unsigned char *out);
int key_recover(
    struct card *card, EVP_PKEY *key, int padding, const unsigned char *in, size_t len, unsigned char *out);
int key_encrypt(
    struct card *card, EVP_PKEY *key, int padding, const unsigned char *in, size_t len, unsigned char *out);
int key_decrypt(
    struct card *card, EVP_PKEY *key, int padding, const unsigned char *in, size_t len, unsigned char *out);

/* A key of 2048 bits, always the same: libcrypto's own, whatever the default is, and the card's. The
 * caller's. */
RSA *test_rsa(void);
EVP_PKEY *test_key(struct card *card);

/* ----------------------------------------------------------------------------------------- as the default */

/* From now on, until card_unload(), operations that name nothing go to the card. With a provider this is so
 * for the calling thread. */
void card_set_default(struct card *card);

/* The library context and the properties for functions that take them: with an engine NULL and NULL. */
OSSL_LIB_CTX *card_context(struct card *card);
const char *card_properties(struct card *card);

/* --------------------------------------------------------------------------------------- the engine alone */

/* With a provider NULL, as where OpenSSL has no engines. */
ENGINE *card_engine(struct card *card);

#endif

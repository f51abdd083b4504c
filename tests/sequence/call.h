/* SPDX-License-Identifier: Apache-2.0 */
/* One call of EVP on a cipher context. */
#ifndef ERSATZ_TESTS_SEQUENCE_CALL_H
#define ERSATZ_TESTS_SEQUENCE_CALL_H

#include <openssl/engine.h>
#include <openssl/evp.h>
#include <stdbool.h>

/* Which cipher, and whose. */
struct implementation {
    const EVP_CIPHER *cipher;
    ENGINE *engine;      /* NULL: the one that EVP finds */
    EVP_CIPHER *fetched; /* the cipher, of a provider; NULL: it is not to be freed */
};

struct card;

/* The card's cipher of that name. NULL, or the default: the one that EVP finds. */
struct implementation implementation_of(struct card *card, const char *name);
void implementation_free(struct implementation *whose);

enum call_kind {
    CALL_START, /* EVP_CipherInit_ex with a cipher */
    CALL_INIT,  /* EVP_CipherInit_ex without one */
    CALL_UPDATE,
    CALL_FINAL,
    CALL_COMMAND, /* EVP_CIPHER_CTX_ctrl */
    CALL_RECORD,  /* EVP_CTRL_AEAD_TLS1_AAD, then the record of TLS */
    CALL_DIRECT,  /* EVP_Cipher */
    CALL_LOOK,    /* EVP_CIPHER_CTX_get_...: the answers, as text */
    CALL_COPY,
    CALL_PADDING
};

#define CALL_LOOK_MAX 256 /* bytes that CALL_LOOK writes at most */

struct call {
    enum call_kind kind;
    int number; /* a direction (0, 1; -1: as before), a command, or whether to pad */
    int len;    /* of in, or a command's argument */
    const unsigned char *key, *iv, *in;
    unsigned char *out;  /* a command reads and writes here; a record may be in place only */
    unsigned char *aad;  /* CALL_RECORD: its header, EVP_AEAD_TLS1_AAD_LEN bytes */
    bool direct;         /* CALL_RECORD: EVP_Cipher */
    EVP_CIPHER_CTX **to; /* CALL_COPY: takes the place of this one */
    bool with_iv;        /* CALL_LOOK: the IV, too, which has to be set */
    int got;             /* bytes that it put out */
};

/* Make the call on *ctx. Whether it succeeded. */
bool call_make(EVP_CIPHER_CTX **ctx, const struct implementation *whose, struct call *call);

#endif

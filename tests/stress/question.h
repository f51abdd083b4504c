/* SPDX-License-Identifier: Apache-2.0 */
/* Operations with known answers. A question is made before the engine is loaded, so that its answer is plain
 * libcrypto's, and does not change afterwards; an attempt is one try to answer it with the engine. */
#ifndef ERSATZ_STRESS_QUESTION_H
#define ERSATZ_STRESS_QUESTION_H

#include <openssl/engine.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "random.h"
#include "sequence/message.h"

/* Of libcrypto's modes, and one past the last for RSA. */
enum mode { CBC, CTR, GCM, XTS, ECB, CFB, OFB, CCM, MODES };

enum rsa_work {
    RSA_SIGN,          /* the answer is one number */
    RSA_DECRYPT,       /* the question is a ciphertext */
    RSA_VERIFY,        /* gives back what was signed */
    RSA_ENCRYPT,       /* the answer is random: decrypted again with the plain key */
    RSA_SIGN_PSS,      /* the same: verified with the plain key */
    RSA_REFUSED_INPUT, /* a number as long as the modulus and not below it */
    RSA_WORKS
};

#define QUESTION_RSA_BYTES_MAX 512

struct question {
    bool is_rsa;
    struct { /* AES */
        enum mode mode;
        const EVP_CIPHER *cipher;
        bool encrypt, padding;
        bool spoiled; /* the tag is wrong: to be refused */
        unsigned char key[64], iv[16], aad[64], tag[16];
        int iv_len, aad_len, tag_len;
    } aes;
    struct { /* RSA */
        enum rsa_work work;
        int padding;
        unsigned key; /* which of keys */
    } rsa;
    unsigned char *in, *answer;
    size_t in_len, answer_len;
};

/* What may happen to it on the way. Memory is the caller's, and may be gone if the attempt is abandoned. */
struct attempt {
    const struct question *question;
    struct random random; /* how the input is cut into pieces, and such */
    ENGINE *engine;       /* NULL: whatever the default is; or a provider */
    struct message_context aes;
    RSA *rsa;           /* of an engine, */
    EVP_PKEY_CTX *pkey; /* or of a provider */
    unsigned char *in, *out;
    size_t out_len;
    bool refused; /* the operation gave an error */
};

/* Room that out needs: padding adds a block. */
static inline size_t question_room(const struct question *question)
{
    return question->is_rsa ? QUESTION_RSA_BYTES_MAX : question->in_len + 32;
}

void question_make_aes(struct question *question, struct random *random, size_t largest);
void question_make_rsa(struct question *question, struct random *random);
void question_clear(struct question *question);

/* With a provider: take cipher or key from it before the attempt, and give them back. card: NULL if it is the
 * default; key: of the question, from keys_of_card(). False if it is refused: errors are left on the queue,
 * and there is nothing to give back. */
bool attempt_take(struct attempt *attempt, struct card *card, EVP_PKEY *key);
void attempt_give_back(struct attempt *attempt);

/* In the job, or outside. */
void attempt_aes(struct attempt *attempt);
void attempt_rsa(struct attempt *attempt);

/* Whether the answer is right: the same as plain libcrypto's. */
bool answer_is_right(const struct attempt *attempt);
bool answer_rsa_is_right(const struct attempt *attempt);

/* The keys; read once, from the folder that ERSATZ_TEST_KEYS names. */
void keys_load(void);
void keys_free(void);
unsigned keys_count(void);
RSA *keys_plain(unsigned key);                           /* libcrypto's method; not the caller's */
RSA *keys_copy(unsigned key, ENGINE *engine);            /* a copy: the engine's method, or the default's */
RSA *keys_try(unsigned key, ENGINE *engine);             /* the same; NULL if it is refused */
EVP_PKEY *keys_of_card(unsigned key, struct card *card); /* keys_try() for a provider; NULL: the default */
EVP_PKEY *keys_source(unsigned key);                     /* as it was read; not the caller's */

#endif

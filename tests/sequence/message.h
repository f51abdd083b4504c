/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message of AES, as an application encrypts or decrypts it: the calls of EVP from the cipher to the tag.
 * The message says what is encrypted; a source decides how: whether key and IV are given at once, where text
 * and associated data are cut, when a copy takes the context's place, and whether a tag to compare with comes
 * before the text or after it.
 *
 * NIST's vectors, the questions of the stress campaign, and the messages within sequences are such messages.
 */
#ifndef ERSATZ_TESTS_SEQUENCE_MESSAGE_H
#define ERSATZ_TESTS_SEQUENCE_MESSAGE_H

#include "call.h"
#include "source.h"

/* Every length is in bytes, and every pointer the caller's. */
struct message {
    int mode; /* EVP_CIPH_CBC_MODE ... */
    bool encrypt;
    bool padding; /* CBC, ECB */
    bool wrong; /* decrypting: text, associated data or tag were changed, and the message is to be refused */
    const unsigned char *key, *iv, *aad, *in;
    int iv_len, aad_len, tag_len, in_len; /* of a mode without a tag, only in_len */
    unsigned char *tag;                   /* put out, or to compare with */
    unsigned char *out;                   /* in, or apart from it; padding takes a block more */
    int out_len;                          /* so far */
};

/* Makes a call, which is to succeed, or not to. False ends the message. */
typedef bool message_maker(void *arg, struct call *call, bool is_right);

/* Make the calls of the message. source: NULL for as few as there can be. False: the maker returned false. */
bool message_run(struct message *message, struct source *source, message_maker *make, void *arg);

/* The maker that makes each call once; ends the message if it fails. arg is a struct message_context. */
struct message_context {
    struct implementation whose;
    EVP_CIPHER_CTX *ctx; /* another one after a copy */
};
bool message_make_once(void *arg, struct call *call, bool is_right);

static inline bool message_has_tag(const struct message *message)
{
    return message->mode == EVP_CIPH_GCM_MODE || message->mode == EVP_CIPH_CCM_MODE;
}

static inline bool message_is_of_blocks(const struct message *message)
{
    return message->mode == EVP_CIPH_CBC_MODE || message->mode == EVP_CIPH_ECB_MODE;
}

#endif

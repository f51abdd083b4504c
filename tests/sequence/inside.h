/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a sequence share: its contexts, the call under way, and what each actor made of it. One
 * sequence is run at a time, by one thread. */
#ifndef ERSATZ_TESTS_SEQUENCE_INSIDE_H
#define ERSATZ_TESTS_SEQUENCE_INSIDE_H

#include <openssl/evp.h>

#include "call.h"
#include "sequence.h"

#define BLOCK 16
#define AROUND 64 /* bytes on both sides of what a call reads or writes, which must stay as they are */
#define TEXT_MAX 3000
#define LONG_TEXT_MAX (5u << 18) /* one and a quarter MiB */
#define COMMAND_ROOM 512
#define TAG_MAX 16
#define IV_MAX 128   /* bytes: the longest that the engine takes */
#define CCM_TAG 12   /* bytes, where nobody says how many */
#define FIXED 4      /* bytes in front of what is counted */
#define INVOCATION 8 /* bytes that libcrypto counts in, however short the IV is */
#define RECORD_FRAME (EVP_GCM_TLS_EXPLICIT_IV_LEN + EVP_GCM_TLS_TAG_LEN)
#define RECORDS_MAX 4u
#define CONTEXTS 2u

extern const int nids[SEQUENCE_CIPHERS];

enum actor { CARD, PROVIDER, OLDER, ACTORS };

/* What a message of GCM is at. MURKY: libcrypto's older implementation goes on after a failure, or takes an
 * IV from where an older one lay, until there is a new IV. */
enum stage { NO_IV, FRESH, ACTIVE, MURKY };

/* What a call did. */
struct result {
    bool done;
    bool error; /* one is on the queue */
    int len;
    unsigned char *out;
    size_t span; /* of the arena, that the call may have written to */
};

/* A context of each actor, which have had the same calls. */
struct context {
    EVP_CIPHER_CTX *of[ACTORS];
    EVP_CIPHER_CTX *before[ACTORS]; /* a copy from before the call under way; NULL: there is none */
    bool agrees[ACTORS];            /* has been of the engine's opinion so far */
    bool started;                   /* has a cipher: */
    unsigned cipher;
    int mode;
    bool encrypting, keyed;
    bool has_iv;
    int held;    /* bytes given since the key, the IV or the direction was set; -1: the text has ended */
    bool turned; /* without a key for this direction, in a mode that has one for each */
    /* GCM: */
    enum stage stage;
    int iv_len, iv_fixed;
    bool iv_on_heap; /* of the older one */
    int iv_room;     /* of the older one for an IV; a copy of its context gets no more than is in use */
    bool generates;  /* an IV to count from was set, */
    bool unclear;    /* and libcrypto may have kept it when another IV or length was set */
    bool iv_whole;   /* the generator has every byte of its IV: from the caller, or drawn */
    bool tag_known;  /* the tag is the last message's, not what a TLS record left in its place */
    bool tag_is_old; /* another message has begun, or was tried */
    /* CCM: */
    bool tag_waits;
    bool has_length; /* until the tag is taken, libcrypto keeps the length of one text for the next */
};

/* libcrypto's implementation that has to do the same as the card: with an engine the one that EVP treats as
 * it treats the engine. */
extern enum actor twin;

extern struct implementation implementations[ACTORS][SEQUENCE_CIPHERS];
extern struct context contexts[CONTEXTS];
extern struct sequence_setting *setting;
extern struct source *source;
extern uint64_t random_state; /* of what RAND_bytes() gives to all that make one call */

/* The call under way, and what it is given where it is made up. */
extern struct call call;
extern unsigned call_cipher; /* CALL_START */
extern unsigned call_to;     /* CALL_COPY: to which context */
extern unsigned call_shift;  /* CALL_UPDATE: bytes from the input to the output; 0: in place or apart */
extern unsigned char key[EVP_MAX_KEY_LENGTH], iv[IV_MAX], given[LONG_TEXT_MAX + AROUND],
    taken[LONG_TEXT_MAX + AROUND], aad[EVP_AEAD_TLS1_AAD_LEN];

/* Each actor has its input and its output in memory of its own. */
extern unsigned char arenas[ACTORS][2 * LONG_TEXT_MAX + 4 * AROUND];
extern struct result results[ACTORS];

static inline unsigned below(unsigned limit)
{
    return source_below(source, limit);
}

static inline bool one_in(unsigned n)
{
    return source_one_in(source, n);
}

static inline const EVP_CIPHER *cipher_of(unsigned number)
{
    return EVP_get_cipherbynid(nids[number]);
}

static inline bool is_gcm(const struct context *c)
{
    return c->mode == EVP_CIPH_GCM_MODE;
}

static inline bool is_ccm(const struct context *c)
{
    return c->mode == EVP_CIPH_CCM_MODE;
}

static inline bool is_aead(const struct context *c)
{
    return is_gcm(c) || is_ccm(c);
}

static inline bool is_hmac(const struct context *c)
{
    return c->mode == EVP_CIPH_CBC_MODE &&
           (EVP_CIPHER_get_flags(cipher_of(c->cipher)) & EVP_CIPH_FLAG_AEAD_CIPHER) != 0;
}

/* In modes that encrypt with the block cipher both ways a key serves both directions. */
static inline bool can_turn(const struct context *c)
{
    return is_gcm(c) || c->mode == EVP_CIPH_CTR_MODE || c->mode == EVP_CIPH_CFB_MODE ||
           c->mode == EVP_CIPH_OFB_MODE;
}

static inline bool is_command(int number)
{
    return call.kind == CALL_COMMAND && call.number == number;
}

static inline bool is_end(void)
{
    return call.kind == CALL_FINAL || (call.kind == CALL_UPDATE && call.in == NULL);
}

static inline bool takes_memory_for_iv(const struct context *c)
{
    return call.len > EVP_MAX_IV_LENGTH && call.len > c->iv_len;
}

static inline bool turns_without_key(const struct context *c)
{
    return call.number >= 0 && call.number != c->encrypting && call.key == NULL && !can_turn(c);
}

/* How far the card and libcrypto have to be the same. What is said of libcrypto's older implementation is
 * true of its provider, too, where that is compared with the provider under test. */
enum exactness { ANYTHING, RETURNS, EVERYTHING };

enum verdict { GOES_ON, START_AGAIN, FAULT };

/* perform.c: making a call. */
void perform(struct context *c, enum actor who);
void keep(struct context *c, enum actor who);    /* a copy of the context, to go back to */
bool go_back(struct context *c, enum actor who); /* false: there is no copy */
void forget(struct context *c);      /* it has no cipher any more, and every actor is asked again */
void trace(const struct context *c); /* of the call that was made, if the setting says so */

/* judge.c: what each actor made of it. */
void leave_out(struct context *c);
bool is_for_the_engine_alone(const struct context *c);
enum exactness exactness_of(const struct context *c);
bool is_of_engines_only(void);
bool is_asked(const struct context *c, enum actor who);
enum verdict fault(const char *rule); /* FAULT */
enum verdict judge(struct context *c, enum exactness exactness);

/* follow.c: what is known after it. */
enum verdict follow(struct context *c);

/* make_up.c: calls from the source. */
int text_length(void);
void make_up_iv(unsigned what);
void describe_record(bool encrypts, int len);
void make_up_start(unsigned cipher);
void make_up(const struct context *c);

/* talk.c: a whole message or some records of TLS, with this cipher or, from SEQUENCE_CIPHERS on, any. */
enum verdict talk(struct context *c, unsigned cipher);

/* sequence.c: makes the call under way on all contexts of c, and judges it. */
enum verdict make(struct context *c);

#endif

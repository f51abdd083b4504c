/* SPDX-License-Identifier: Apache-2.0 */
/* See sequence.h. */
#include "sequence.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "message.h"

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

static const int nids[] = {NID_aes_128_cbc, NID_aes_192_cbc, NID_aes_256_cbc, NID_aes_128_ctr,
    NID_aes_192_ctr, NID_aes_256_ctr, NID_aes_128_gcm, NID_aes_192_gcm, NID_aes_256_gcm, NID_aes_128_xts,
    NID_aes_256_xts, NID_aes_128_ecb, NID_aes_192_ecb, NID_aes_256_ecb, NID_aes_128_cfb128,
    NID_aes_192_cfb128, NID_aes_256_cfb128, NID_aes_128_ofb128, NID_aes_192_ofb128, NID_aes_256_ofb128,
    NID_aes_128_ccm, NID_aes_192_ccm, NID_aes_256_ccm, NID_aes_128_cbc_hmac_sha1, NID_aes_256_cbc_hmac_sha1,
    NID_aes_128_cbc_hmac_sha256, NID_aes_256_cbc_hmac_sha256};
_Static_assert(sizeof(nids) / sizeof(nids[0]) == SEQUENCE_CIPHERS, "one number for each cipher");

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
static enum actor twin;

static struct implementation implementations[ACTORS][SEQUENCE_CIPHERS];
static struct context contexts[CONTEXTS];
static struct sequence_setting *setting;
static struct source *source;

/* The call under way, and what it is given where it is made up. */
static struct call call;
static unsigned call_cipher; /* CALL_START */
static unsigned call_to;     /* CALL_COPY: to which context */
static unsigned
    call_shift; /* CALL_UPDATE: output begins so many bytes behind the input; 0: in place or apart */
static unsigned char key[EVP_MAX_KEY_LENGTH], iv[IV_MAX], given[LONG_TEXT_MAX + AROUND],
    taken[LONG_TEXT_MAX + AROUND], aad[EVP_AEAD_TLS1_AAD_LEN];

/* Each actor has its input and its output in memory of its own. */
static unsigned char arenas[ACTORS][2 * LONG_TEXT_MAX + 4 * AROUND];
static struct result results[ACTORS];

static unsigned below(unsigned limit)
{
    return source_below(source, limit);
}

static bool one_in(unsigned n)
{
    return source_one_in(source, n);
}

static const EVP_CIPHER *cipher_of(unsigned number)
{
    return EVP_get_cipherbynid(nids[number]);
}

static bool is_gcm(const struct context *c)
{
    return c->mode == EVP_CIPH_GCM_MODE;
}

static bool is_ccm(const struct context *c)
{
    return c->mode == EVP_CIPH_CCM_MODE;
}

static bool is_aead(const struct context *c)
{
    return is_gcm(c) || is_ccm(c);
}

static bool is_hmac(const struct context *c)
{
    return c->mode == EVP_CIPH_CBC_MODE &&
           (EVP_CIPHER_get_flags(cipher_of(c->cipher)) & EVP_CIPH_FLAG_AEAD_CIPHER) != 0;
}

/* In modes that encrypt with the block cipher both ways a key serves both directions. */
static bool can_turn(const struct context *c)
{
    return is_gcm(c) || c->mode == EVP_CIPH_CTR_MODE || c->mode == EVP_CIPH_CFB_MODE ||
           c->mode == EVP_CIPH_OFB_MODE;
}

static void forget(struct context *c)
{
    for (enum actor who = CARD; who < ACTORS; who++) {
        EVP_CIPHER_CTX_reset(c->of[who]);
        EVP_CIPHER_CTX_free(c->before[who]);
        c->before[who] = NULL;
        c->agrees[who] = who <= twin;
    }
    c->started = false;
}

/* ---------------------------------------------------------------------------------------- making a call */

/* The actor's input and output, with room around them. Output may be in place. */
static void lay_out(enum actor who, struct call *own)
{
    unsigned char *arena = arenas[who] + AROUND;
    size_t len = own->len < 0 ? 0 : (size_t)own->len, in_len = own->in == NULL ? 0 : len;
    size_t out_len = own->out == NULL ? 0 : len + (size_t)2 * BLOCK;
    bool in_place = own->in == own->out;

    if (own->kind == CALL_COMMAND) {
        in_place = true;
        in_len = own->in != NULL && own->len < 0 ? IV_MAX : in_len; /* a whole IV */
        out_len = COMMAND_ROOM;
    } else if (own->kind == CALL_LOOK) {
        out_len = CALL_LOOK_MAX;
    }
    results[who].out = call_shift > 0 ? arena + call_shift : in_place ? arena : arena + in_len + AROUND;
    results[who].span = (size_t)(results[who].out - arenas[who]) + out_len + AROUND;
    memset(arenas[who], 0xa5, results[who].span);
    if (own->in != NULL) {
        memcpy(arena, own->in, in_len);
        own->in = arena;
    }
    if (own->out != NULL || (own->kind == CALL_COMMAND && own->in != NULL))
        own->out = results[who].out;
}

static void perform(struct context *c, enum actor who)
{
    struct result *result = &results[who];
    struct call own = call;
    bool by_default = setting->by_default && who == CARD && own.kind == CALL_START;

    lay_out(who, &own);
    own.to = &contexts[call_to].of[who];
    if (by_default)
        setting->make_default(true);
    result->done = call_make(&c->of[who], &implementations[who][call_cipher], &own);
    if (by_default)
        setting->make_default(false);
    result->len = result->done ? own.got : 0;
    result->error = ERR_peek_error() != 0;
    ERR_clear_error();
}

static void keep(struct context *c, enum actor who)
{
    EVP_CIPHER_CTX_free(c->before[who]);
    c->before[who] = EVP_CIPHER_CTX_new();
    if (EVP_CIPHER_CTX_copy(c->before[who], c->of[who]) > 0)
        return;
    EVP_CIPHER_CTX_free(c->before[who]);
    c->before[who] = NULL;
}

static bool go_back(struct context *c, enum actor who)
{
    if (c->before[who] == NULL)
        return false;
    EVP_CIPHER_CTX_free(c->of[who]);
    c->of[who] = c->before[who];
    c->before[who] = NULL;
    if (who == OLDER && c->iv_on_heap)
        c->iv_room = c->iv_len;
    return true;
}

/* ------------------------------------------------------------------------------------------ judging it */

static bool is_command(int number)
{
    return call.kind == CALL_COMMAND && call.number == number;
}

static bool is_end(void)
{
    return call.kind == CALL_FINAL || (call.kind == CALL_UPDATE && call.in == NULL);
}

static bool takes_memory_for_iv(const struct context *c)
{
    return call.len > EVP_MAX_IV_LENGTH && call.len > c->iv_len;
}

/* Calls that one of libcrypto's two survives badly, or answers in a way that says nothing; it is left out. */
static void leave_out(struct context *c)
{
    if (is_command(EVP_CTRL_AEAD_SET_IVLEN) && is_gcm(c) && !takes_memory_for_iv(c) &&
        call.len > c->iv_room) /* it writes behind its room */
        c->agrees[OLDER] = false;
    if (is_command(EVP_CTRL_AEAD_SET_IV_FIXED) && is_gcm(c) && call.len >= 0 &&
        c->iv_len < call.len + INVOCATION) /* it fills in more than there is */
        c->agrees[PROVIDER] = false;
    /* Whose tag it is that waits once another message has begun, or was tried, is everybody's own affair. */
    if (is_command(EVP_CTRL_AEAD_GET_TAG) && c->tag_is_old)
        c->agrees[PROVIDER] = false;
    /* A copy of its XTS that has no key follows a NULL. */
    if (call.kind == CALL_START && EVP_CIPHER_get_mode(cipher_of(call_cipher)) == EVP_CIPH_XTS_MODE &&
        call.key == NULL)
        c->agrees[PROVIDER] = false;
}

/* Both of libcrypto's would write where they must not. The engine puts out nothing, or counts in what there
 * is. */
static bool is_for_the_engine_alone(const struct context *c)
{
    if ((call.kind == CALL_UPDATE || call.kind == CALL_FINAL || call.kind == CALL_DIRECT) && !c->keyed &&
        !is_aead(c))
        return true;
    if (!is_gcm(c))
        return false;
    return (is_command(EVP_CTRL_GCM_IV_GEN) && c->iv_len < INVOCATION) ||
           (is_command(EVP_CTRL_GCM_SET_IV_INV) && (call.len < 1 || call.len > c->iv_len));
}

static bool turns_without_key(const struct context *c)
{
    return call.number >= 0 && call.number != c->encrypting && call.key == NULL && !can_turn(c);
}

/* How far the card and libcrypto have to be the same. What is said of libcrypto's older implementation is
 * true of its provider, too, where that is compared with the provider under test. */
enum exactness { ANYTHING, RETURNS, EVERYTHING };

static enum exactness exactness_of(const struct context *c)
{
    if (call.kind == CALL_START)
        return EVERYTHING;
    if (is_ccm(c) || is_hmac(c)) /* the engine refuses more, in more states than a model here would have */
        return ANYTHING;
    if (call.kind == CALL_INIT)
        return turns_without_key(c) ? ANYTHING : EVERYTHING;
    if (c->turned)
        return ANYTHING;
    if (call.kind == CALL_COPY || call.kind == CALL_PADDING || call.kind == CALL_LOOK ||
        call.kind == CALL_DIRECT)
        return EVERYTHING;
    if (!is_gcm(c))
        return twin == PROVIDER || call.kind == CALL_UPDATE || call.kind == CALL_FINAL ? EVERYTHING
                                                                                       : ANYTHING;
    if (twin == PROVIDER && c->generates && c->stage == NO_IV &&
        (call.kind == CALL_UPDATE || call.kind == CALL_FINAL))
        return ANYTHING; /* libcrypto's takes an IV that nobody asked it to make from what was set */
    switch (call.kind) {
    case CALL_UPDATE: /* with NULL it is an end; no bytes at all after text are too late only for libcrypto */
        return c->stage == MURKY || call.in == NULL || (call.out == NULL && call.len == 0) ? ANYTHING
                                                                                           : EVERYTHING;
    case CALL_FINAL:
        return c->stage == MURKY ? ANYTHING : EVERYTHING;
    case CALL_RECORD:
        return c->keyed && c->iv_whole && !c->unclear && c->iv_len >= INVOCATION ? EVERYTHING : ANYTHING;
    default:
        break;
    }
    switch (call.number) {
    case EVP_CTRL_AEAD_SET_IVLEN:
        return call.len <= IV_MAX ? RETURNS : ANYTHING; /* libcrypto takes longer ones, too */
    case EVP_CTRL_AEAD_GET_TAG:
        return !c->encrypting ? ANYTHING : c->tag_known ? EVERYTHING : RETURNS;
    case EVP_CTRL_AEAD_SET_TAG:
        return c->encrypting ? ANYTHING : RETURNS;
    case EVP_CTRL_AEAD_SET_IV_FIXED:
        return RETURNS;
    case EVP_CTRL_GCM_SET_IV_INV:
        return c->unclear ? ANYTHING : RETURNS;
    case EVP_CTRL_GCM_IV_GEN:
        return c->unclear || !c->iv_whole ? ANYTHING : EVERYTHING;
    default:
        return ANYTHING;
    }
}

/* EVP tells less of an engine's cipher than of the provider's, and refuses output that overlaps input. */
static bool is_of_engines_only(void)
{
    return call.kind == CALL_LOOK || call_shift > 0;
}

static bool is_asked(const struct context *c, enum actor who)
{
    return c->agrees[who] && (who == CARD || who == twin || !is_of_engines_only());
}

enum verdict { GOES_ON, START_AGAIN, FAULT };

static enum verdict fault(const char *rule)
{
    fprintf(stderr, "%s: %s\n", OBJ_nid2sn(nids[contexts[0].cipher]), rule);
    return FAULT;
}

/* Behind what it puts out, the provider leaves other bytes. */
static bool is_same(enum actor who)
{
    const struct result *a = &results[who], *b = &results[CARD];

    if (a->done != b->done || a->len != b->len)
        return false;
    if (!a->done)
        return true;
    if (who == PROVIDER && call.kind != CALL_COMMAND)
        return call.out == NULL || memcmp(a->out, b->out, (size_t)a->len) == 0;
    return a->span == b->span && memcmp(arenas[who], arenas[CARD], a->span) == 0;
}

static enum verdict judge(struct context *c, enum exactness exactness)
{
    bool asked = false, backed = false;

    if (call.kind != CALL_LOOK && results[CARD].done && results[CARD].error)
        return fault("the card leaves an error behind of what succeeded");
    for (enum actor who = PROVIDER; who < ACTORS; who++) {
        if (!is_asked(c, who))
            continue;
        asked = true;
        if (!results[CARD].done && results[who].done) { /* the call was never made */
            if (who == twin && exactness != ANYTHING)
                return fault("the card refuses what libcrypto lets pass");
            c->agrees[who] = go_back(c, who);
        } else if (who == twin && exactness == RETURNS) {
            if (results[CARD].done != results[who].done)
                return fault("the card lets pass what libcrypto refuses");
        } else {
            c->agrees[who] = is_same(who);
            if (who == twin && exactness == EVERYTHING && !c->agrees[who])
                return fault("libcrypto returns something else");
        }
        if (who == twin && !results[CARD].done && results[who].error && !results[CARD].error)
            return fault("the card refuses without an error");
        backed |= c->agrees[who];
    }
    if (results[CARD].done && asked && !backed)
        return fault("neither of libcrypto's implementations lets this pass with the same result");
    setting->passed[call.kind == CALL_START ? call_cipher : c->cipher] += backed && results[CARD].done;
    return backed ? GOES_ON : START_AGAIN;
}

/* ------------------------------------------------------------------------- what is known after a call */

static void follow_init(struct context *c)
{
    bool turns = call.number >= 0 && call.number != c->encrypting;

    /* A message that is turned around in its middle, or goes on with another key: libcrypto takes the IV for
     * the key from where the last but one may lie. */
    if (c->stage != NO_IV && ((turns && c->stage == ACTIVE) || (call.key != NULL && c->keyed)))
        c->stage = MURKY;
    c->turned = turns_without_key(c) || (c->turned && call.key == NULL);
    if (call.number >= 0)
        c->encrypting = call.number;
    c->keyed |= call.key != NULL;
    c->has_iv |= call.iv != NULL;
    c->held = 0;
    if (call.iv != NULL) {
        c->stage = FRESH;
        c->unclear = c->unclear || (c->generates && call.key != NULL);
        c->generates = c->iv_whole = false;
    }
}

static void follow_gcm_message(struct context *c)
{
    bool done = results[CARD].done;

    if (twin == PROVIDER && done && call.kind == CALL_UPDATE && c->stage == NO_IV)
        c->stage = FRESH;           /* providers generate an IV where there is none */
    if (!done && c->stage != NO_IV) /* the engine ends the message, libcrypto lets it go on */
        c->stage = MURKY;
    if (done && c->stage == FRESH && call.len > 0)
        c->stage = ACTIVE;
    if (done && call.kind == CALL_UPDATE && call.in != NULL && call.len == 0)
        c->stage = c->stage == NO_IV ? NO_IV : MURKY; /* the older one ends the associated data there */
    if (done && is_end()) {
        c->tag_known = c->stage != MURKY && (c->tag_known || c->encrypting);
        c->stage = NO_IV;
    }
}

static void follow_gcm_command(struct context *c)
{
    switch (call.number) {
    case EVP_CTRL_AEAD_SET_IVLEN:
        if (takes_memory_for_iv(c)) {
            c->iv_on_heap = true;
            c->iv_room = call.len;
        }
        if (call.len != c->iv_len && c->stage != NO_IV) /* an IV of the old length; the engine forgets it */
            c->stage = MURKY;
        if (call.len != c->iv_len) { /* libcrypto takes new memory for it */
            c->unclear |= c->generates;
            c->iv_whole = false;
        }
        c->iv_len = call.len;
        break;
    case EVP_CTRL_AEAD_SET_IV_FIXED:
        c->generates = true;
        c->unclear = false;
        c->iv_whole = c->encrypting || call.len < 0;
        c->iv_fixed = call.len;
        if (c->stage != NO_IV) /* the engine ends the message */
            c->stage = MURKY;
        break;
    case EVP_CTRL_GCM_IV_GEN:
        c->stage = c->iv_whole ? FRESH : MURKY;
        break;
    case EVP_CTRL_GCM_SET_IV_INV: /* the peer's part; of a shorter one something stays open */
        c->stage = c->iv_whole || call.len >= c->iv_len - c->iv_fixed ? FRESH : MURKY;
        break;
    }
}

static void follow_gcm(struct context *c)
{
    c->tag_is_old = !is_end() && (c->tag_is_old || call.kind == CALL_INIT || call.kind == CALL_UPDATE ||
                                     call.kind == CALL_RECORD || call.kind == CALL_COMMAND);
    if (call.kind == CALL_UPDATE || call.kind == CALL_FINAL)
        follow_gcm_message(c);
    if (call.kind == CALL_COMMAND && results[CARD].done)
        follow_gcm_command(c);
    if (call.kind == CALL_RECORD) {
        c->stage = NO_IV;
        c->tag_known = false; /* libcrypto keeps the associated data where it keeps the tag */
    }
    if (is_end() &&
        !results[CARD].done)         /* for want of a tag: the provider has used up the IV by then, and a */
        c->agrees[PROVIDER] = false; /* new key gets none */
}

/* False: libcrypto's two go ways of their own from here. */
static bool follow_ccm(struct context *c)
{
    bool sets_length =
        is_command(EVP_CTRL_AEAD_SET_IVLEN) || (is_command(EVP_CTRL_AEAD_SET_TAG) && call.len != CCM_TAG);

    if (!results[CARD].done) /* of another length than was said: libcrypto has lost that */
        return !c->has_length || call.kind != CALL_UPDATE || call.in == NULL || call.out == NULL;
    /* Turned around without a key, libcrypto computes as before, and its tags are wrong. */
    if (call.kind == CALL_INIT && call.number >= 0 && call.key == NULL)
        return false;
    if (call.kind == CALL_RECORD) /* libcrypto takes every call from then on for another record */
        return false;
    if (c->has_length && call.iv != NULL)
        return false;
    if (c->keyed && sets_length) /* libcrypto goes on with those it had when the key was set */
        return false;
    if (!c->tag_waits && (call.kind == CALL_FINAL || (is_end() && call.out != NULL)))
        return false; /* the end of an empty text, of which early versions of 3.0 give no tag */
    c->has_length |= call.kind == CALL_UPDATE && (call.in == NULL) == (call.out == NULL);
    c->tag_waits |= call.kind == CALL_UPDATE && call.in != NULL && call.out != NULL;
    c->tag_waits &= !is_command(EVP_CTRL_AEAD_GET_TAG);
    return true;
}

static void follow_start(struct context *c)
{
    c->started = true;
    c->cipher = call_cipher;
    c->mode = EVP_CIPHER_get_mode(cipher_of(call_cipher));
    c->encrypting = call.number;
    c->keyed = call.key != NULL;
    c->has_iv = call.iv != NULL;
    c->held = 0;
    c->stage = call.iv != NULL ? FRESH : NO_IV;
    c->iv_len = EVP_CIPHER_get_iv_length(cipher_of(call_cipher));
    c->iv_room = EVP_MAX_IV_LENGTH;
    c->iv_fixed = 0;
    c->iv_on_heap = c->turned = c->generates = c->unclear = c->iv_whole = c->tag_known = c->tag_is_old =
        c->tag_waits = c->has_length = false;
}

static void follow_copy(const struct context *c)
{
    struct context *to = &contexts[call_to];

    if (to != c) {
        EVP_CIPHER_CTX *of[ACTORS];

        memcpy(of, to->of, sizeof(of));
        for (enum actor who = CARD; who < ACTORS; who++)
            EVP_CIPHER_CTX_free(to->before[who]);
        *to = *c;
        memcpy(to->of, of, sizeof(of));
        memset(to->before, 0, sizeof(to->before));
    }
    if (to->iv_on_heap)
        to->iv_room = to->iv_len;
}

static enum verdict follow(struct context *c)
{
    if (call.kind == CALL_START) {
        if (!results[CARD].done)
            return START_AGAIN;
        follow_start(c);
        return GOES_ON;
    }
    if ((call.kind == CALL_INIT || call.kind == CALL_RECORD) && !results[CARD].done)
        return START_AGAIN; /* libcrypto may have taken part of it, or wait for the record still */
    if (call_shift > 0 && results[CARD].done)
        c->agrees[PROVIDER] = false;
    else if (call_shift > 0)
        return GOES_ON;
    if (twin == PROVIDER && !results[CARD].done && call.kind != CALL_COMMAND)
        return START_AGAIN; /* of a failure each implementation makes what it likes */
    if (call.kind == CALL_COPY && results[CARD].done)
        follow_copy(c);
    if (is_ccm(c) && !follow_ccm(c))
        return START_AGAIN;
    if (is_gcm(c))
        follow_gcm(c);
    if (call.kind == CALL_UPDATE && c->held >= 0)
        c->held += call.len;
    else if (call.kind == CALL_FINAL)
        c->held = -1;
    if (call.kind == CALL_INIT)
        follow_init(c);
    return GOES_ON;
}

/* ---------------------------------------------------------------------------------------- making calls up */

static void trace(const struct context *c)
{
    static const char *const kinds[] = {
        "start", "init", "update", "final", "command", "record", "EVP_Cipher", "look", "copy", "padding"};

    if (setting->trace)
        fprintf(stderr,
            "  context %d, %s of %s: number %d, %d bytes, in %d, out %d, in place %d, key %d, IV %d; stage "
            "%d, IV of "
            "%d: engine %d, provider %d%s, older %d%s\n",
            c == &contexts[1], kinds[call.kind],
            OBJ_nid2sn(nids[call.kind == CALL_START ? call_cipher : c->cipher]), call.number, call.len,
            call.in != NULL, call.out != NULL, call.in == call.out, call.key != NULL, call.iv != NULL,
            (int)c->stage, c->iv_len, results[CARD].done, results[PROVIDER].done,
            c->agrees[PROVIDER] ? "" : " (no more)", results[OLDER].done,
            c->agrees[OLDER] ? "" : " (no more)");
}

/* Lengths where something may go wrong: none, within a block, about a block, about a threshold, long. */
static int text_length(void)
{
    static const int thresholds[] = {64, 256, 2048, 4096, 16384};

    if (!setting->long_texts)
        return (int)below(TEXT_MAX + 1);
    if (one_in(250))
        return (int)below(LONG_TEXT_MAX);
    switch (below(4)) {
    case 0:
        return (int)below(2 * BLOCK);
    case 1:
        return BLOCK * (int)below(40) + (int)below(3);
    case 2:
        return thresholds[below(sizeof(thresholds) / sizeof(thresholds[0]))] - 2 + (int)below(5);
    default:
        return (int)below(5000);
    }
}

static void make_up_bytes(int len)
{
    source_fill(source, given, (size_t)len);
}

/* Any IV, or a counter that is about to wrap in its low 32, 64, 96 or 128 bits. */
static void make_up_iv(unsigned what)
{
    source_fill(source, iv, sizeof(iv));
    if (what > 230) {
        unsigned ones = 4 * (1 + what % 4);

        memset(iv + BLOCK - ones, 0xff, ones);
        iv[BLOCK - 1] = (unsigned char)(0xff - what / 4 % 4);
    }
}

static void make_up_init(void)
{
    unsigned what = below(256);

    call.kind = CALL_INIT;
    call.key = what % 3 != 0 ? key : NULL;
    call.iv = what / 3 % 3 != 0 ? iv : NULL;
    call.number = (int)below(6) - 1;
    if (call.number > 1)
        call.number = -1;
    source_fill(source, key, sizeof(key));
    make_up_iv(what);
    if (what == 230) /* XTS with equal halves */
        memcpy(key + sizeof(key) / 4, key, sizeof(key) / 4);
}

static void make_up_start(unsigned cipher)
{
    make_up_init();
    call.kind = CALL_START;
    call.number = (int)below(2);
    call_cipher = cipher < SEQUENCE_CIPHERS ? cipher : below(SEQUENCE_CIPHERS);
}

/* Where part of a block is held back, output in place would overwrite input. EVP refuses that only of an
 * engine's cipher. */
static bool may_be_in_place(const struct context *c)
{
    return twin == OLDER || (c->mode != EVP_CIPH_CBC_MODE && c->mode != EVP_CIPH_ECB_MODE) ||
           (c->encrypting && c->held >= 0 && c->held % BLOCK == 0);
}

static void make_up_update(const struct context *c)
{
    unsigned what = below(256);

    call.kind = CALL_UPDATE;
    call.len = what % 3 == 0 ? text_length() : (int)below(40);
    call.in = given;
    call.out = what % 5 == 0 && may_be_in_place(c) ? given : taken;
    make_up_bytes(call.len);
    if (what / 8 % 4 == 0)
        memset(given, 0, (size_t)call.len); /* looks like key stream for the random generator */
    if (!is_aead(c) && what % 2 == 0)
        call.len &= ~15;
    if (is_aead(c) && what % 7 < 2)
        call.out = NULL; /* associated data */
    else if (is_aead(c) && what % 11 == 0) {
        call.in = NULL; /* CCM: the text's length; else an end in other words */
        call.out = one_in(2) ? taken : NULL;
        if (is_ccm(c) && call.out == NULL && call.len == 0)
            call.len = 1; /* EVP_CipherFinal() with NULL, which the engine lets pass after a message */
    }
}

static void make_up_command(const struct context *c)
{
    static const int tag_lengths[] = {16, 16, 12, 8, 4, 5, 0, 17};
    static const int iv_lengths[] = {12, 12, 8, 16, 7, 13, 11, 1, 0, 17, 100, 128, 129};

    call.kind = CALL_COMMAND;
    make_up_bytes(IV_MAX);
    switch (below(8)) {
    case 0:
        call.number = EVP_CTRL_AEAD_SET_IVLEN;
        call.len = one_in(4) ? (int)below(IV_MAX + 3) - 1
                             : iv_lengths[below(sizeof(iv_lengths) / sizeof(iv_lengths[0]))];
        break;
    case 1:
        call.number = EVP_CTRL_AEAD_SET_TAG;
        call.len = tag_lengths[below(sizeof(tag_lengths) / sizeof(tag_lengths[0]))];
        call.in = !is_ccm(c) || one_in(2) ? given : NULL; /* in CCM, NULL means: how long tags are */
        break;
    case 2:
    case 3:
        call.number = EVP_CTRL_AEAD_GET_TAG;
        call.len = tag_lengths[below(sizeof(tag_lengths) / sizeof(tag_lengths[0]))];
        call.out = taken;
        break;
    case 4:
        call.number = EVP_CTRL_AEAD_SET_IV_FIXED;
        call.len = is_ccm(c) ? FIXED : one_in(3) ? (int)below(IV_MAX) : one_in(2) ? FIXED : -1;
        call.in = given;
        if (one_in(4))
            memset(given, 0xff, IV_MAX);
        break;
    case 5:
        call.number = EVP_CTRL_GCM_IV_GEN;
        call.len = (int)below(one_in(4) ? IV_MAX : 16);
        call.out = taken;
        break;
    case 6:
        call.number = EVP_CTRL_GCM_SET_IV_INV;
        call.len = (int)below(one_in(4) ? IV_MAX : INVOCATION + 1);
        call.in = given;
        break;
    default:
        call.number = EVP_CTRL_AEAD_SET_MAC_KEY;
        call.len = 20;
        call.in = given;
    }
}

static void describe_record(bool encrypts, int len)
{
    int says = encrypts ? len - EVP_GCM_TLS_TAG_LEN : len;

    aad[EVP_AEAD_TLS1_AAD_LEN - 2] = (unsigned char)(says >> 8);
    aad[EVP_AEAD_TLS1_AAD_LEN - 1] = (unsigned char)says;
    call.aad = aad;
}

static void make_up_record(const struct context *c)
{
    unsigned what = below(256);

    call.kind = CALL_RECORD;
    call.len = (int)(RECORD_FRAME + below(TEXT_MAX - RECORD_FRAME));
    source_fill(source, aad, sizeof(aad));
    describe_record(c->encrypting, what % 8 == 7 ? (int)below(TEXT_MAX) : call.len);
    if (what < 32) /* shorter than it says */
        call.len = (int)what;
    make_up_bytes(call.len);
    call.in = given;
    call.out = what % 16 == 5 ? taken : given; /* apart: refused */
    call.direct = is_gcm(c) && what % 3 == 0;
}

/* Past EVP's buffering, where that holds nothing back. */
static void make_up_direct(const struct context *c)
{
    unsigned what = below(256);

    call.kind = CALL_DIRECT;
    call.len = 1 + (what % 2 == 0 ? text_length() : (int)below(40));
    if (c->mode == EVP_CIPH_CBC_MODE || c->mode == EVP_CIPH_ECB_MODE)
        call.len = (call.len + 15) & ~15;
    else if (c->mode == EVP_CIPH_XTS_MODE && call.len < BLOCK)
        call.len = BLOCK;
    make_up_bytes(call.len);
    call.in = given;
    call.out = what % 3 == 0 ? given : taken;
}

static void make_up_overlap(void)
{
    call.kind = CALL_UPDATE;
    call.len = BLOCK + (int)below(100);
    call.in = given;
    call.out = taken;
    call_shift = 1 + below(BLOCK - 1);
    make_up_bytes(call.len);
}

static void make_up_look(const struct context *c)
{
    call.kind = CALL_LOOK;
    call.out = taken;
    call.with_iv = c->has_iv && !is_aead(c);
}

static void make_up(const struct context *c)
{
    unsigned what = below(16);

    memset(&call, 0, sizeof(call));
    call_shift = 0;
    if (!c->keyed && !is_aead(c) && what % 4 != 3)
        what = 0;
    switch (what) {
    case 0:
    case 1:
    case 2:
        make_up_init();
        break;
    case 3:
        call.kind = CALL_FINAL;
        call.out = taken;
        break;
    case 4:
        call.kind = CALL_COPY;
        call_to = below(CONTEXTS);
        break;
    case 5:
        if (one_in(2)) {
            make_up_look(c);
            break;
        }
        call.kind = CALL_PADDING;
        call.number = (int)below(2);
        break;
    case 6:
    case 7:
    case 8:
        make_up_command(c);
        break;
    case 9:
        if (is_aead(c) && c->iv_len >= INVOCATION) {
            make_up_record(c);
            break;
        }
        /* fall through */
    case 10:
        if (c->held == 0 && !is_aead(c) && !is_hmac(c)) {
            make_up_direct(c);
            break;
        }
        /* fall through */
    case 11:
        if (twin == OLDER && one_in(4)) {
            make_up_overlap();
            break;
        }
        /* fall through */
    default:
        make_up_update(c);
    }
}

/* ------------------------------------------------------------------------------------- the engine alone */

/* Of what none of libcrypto's is to be asked. */
static enum verdict ask_engine_alone(struct context *c)
{
    perform(c, CARD);
    trace(c);
    if (results[CARD].done && (is_command(EVP_CTRL_GCM_SET_IV_INV) || results[CARD].len != 0))
        return fault("the card lets pass what cannot be done");
    return START_AGAIN;
}

/* A command that need not exist, with an argument that need not make sense: nothing may break. Two are EVP's
 * own, and no application's: one takes its argument for a context, one for the context's birth. */
static void any_command(struct context *c)
{
    static unsigned char room[COMMAND_ROOM];
    int type = (int)below(0x30), argument = (int)below(163) - 2;

    memset(room, 0, sizeof(room));
    if (type != EVP_CTRL_COPY && type != EVP_CTRL_INIT)
        EVP_CIPHER_CTX_ctrl(c->of[CARD], type, argument, room);
}

/* ------------------------------------------------------------------------------------ whole messages */

static enum verdict make(struct context *c);

/* One call of a message, which has to succeed, or to fail, in the engine and in libcrypto's two alike. */
static bool pass(void *arg, struct call *wanted, bool is_right)
{
    struct context *c = arg;
    size_t len;

    if (wanted->kind == CALL_UPDATE && wanted->in != NULL && wanted->len == 0 && !is_ccm(c))
        return true; /* libcrypto's older GCM takes that for the end of the associated data */
    call = *wanted;
    call_to = (unsigned)(c - contexts);
    call_shift = 0;
    if (make(c) == FAULT)
        return false;
    if (results[CARD].done != is_right) {
        fault(is_right ? "the card refuses what is right" : "the card takes what is wrong");
        return false;
    }
    wanted->got = results[CARD].len;
    len = call.kind == CALL_COMMAND ? (size_t)(call.len < 0 ? 0 : call.len) : (size_t)results[CARD].len;
    if (results[CARD].done && wanted->out != NULL)
        memcpy(wanted->out, results[CARD].out, len);
    return true;
}

static bool pass_one(struct context *c, struct call one)
{
    return pass(c, &one, true);
}

/* Room for a record, too. */
static unsigned char plain[LONG_TEXT_MAX + AROUND], sealed[LONG_TEXT_MAX + AROUND],
    opened[LONG_TEXT_MAX + AROUND], associated[LONG_TEXT_MAX];

static void take_cipher(struct context *c, unsigned cipher)
{
    forget(c);
    call_cipher = cipher;
    c->cipher = cipher;
    c->mode = EVP_CIPHER_get_mode(cipher_of(cipher));
}

/* Lengths, key, IV and texts of a message; what of it is secret is in plain. */
static void make_up_message(const struct context *c, struct message *m)
{
    unsigned what = below(256);

    make_up_iv(what);
    *m = (struct message){.mode = c->mode, .encrypt = true, .key = key, .iv = iv, .aad = associated};
    m->in_len = setting->long_texts ? text_length() : (int)below(what % 2 == 0 ? 600 : 2900);
    m->iv_len = what % 3 == 0 ? 1 + (int)below(one_in(2) ? BLOCK : IV_MAX) : 12;
    m->tag_len = what % 5 == 0 ? 1 + (int)below(TAG_MAX) : TAG_MAX;
    if (is_ccm(c)) {
        m->iv_len = 7 + (int)below(7);
        m->tag_len = 4 + 2 * (int)below(7);
    }
    if (is_aead(c))
        m->aad_len = setting->long_texts && one_in(4) ? text_length() : (int)below(41);
    if (m->in_len < BLOCK)
        m->in_len += BLOCK;
    if (is_ccm(c) && m->iv_len == 13 && m->in_len > UINT16_MAX)
        m->in_len = UINT16_MAX;
    m->padding = what / 8 % 2 == 0;
    if (message_is_of_blocks(m) && !m->padding)
        m->in_len &= ~15;
    source_fill(source, key, sizeof(key));
    source_fill(source, associated, (size_t)m->aad_len);
    source_fill(source, plain, (size_t)m->in_len);
}

/* The other half of a message, decrypted; in it everything is right, or one bit is wrong. */
static bool open_again(struct context *c, struct message *m, bool is_right)
{
    unsigned where = below(3);
    int len = m->out_len;
    unsigned char *changed = where == 0 || (where == 1 && m->aad_len == 0)
                                 ? m->tag + below((unsigned)m->tag_len)
                             : where == 1 ? associated + below((unsigned)m->aad_len)
                                          : sealed + below((unsigned)len < 65536 ? (unsigned)len : 65536);

    if (!is_right)
        *changed ^= (unsigned char)(1u << below(8));
    m->encrypt = false;
    m->wrong = !is_right;
    m->in = sealed;
    m->in_len = len;
    m->out = one_in(3) && !m->padding ? sealed : opened;
    forget(c);
    if (!message_run(m, source, pass, c))
        return false;
    if (is_right && memcmp(m->out, plain, (size_t)m->out_len) != 0) {
        fault("a message is not the same again");
        return false;
    }
    return true;
}

/* A message is encrypted, and decrypted again. */
static enum verdict seal_and_open(struct context *c)
{
    static unsigned char tag[TAG_MAX];
    struct message m;
    bool is_right;
    int len;

    make_up_message(c, &m);
    len = m.in_len;
    m.in = plain;
    m.out = sealed;
    m.tag = tag;
    if (one_in(3) && !m.padding) {
        memcpy(sealed, plain, (size_t)len);
        m.in = sealed;
    }
    if (!message_run(&m, source, pass, c))
        return FAULT;
    is_right = !message_has_tag(&m) || !one_in(4);
    if (!open_again(c, &m, is_right))
        return FAULT;
    if (is_right && m.out_len != len)
        return fault("a message is not the same again");
    return is_right ? GOES_ON : START_AGAIN;
}

static bool pass_fixed_iv(struct context *c, bool encrypt, int len)
{
    return pass_one(c, (struct call){.kind = CALL_START, .number = encrypt, .key = key}) &&
           pass_one(c, (struct call){.kind = CALL_COMMAND,
                           .number = EVP_CTRL_AEAD_SET_IV_FIXED,
                           .len = len,
                           .in = iv,
                           .out = iv});
}

static bool pass_record(struct context *c, bool encrypts, unsigned char *record, int len, bool is_right)
{
    struct call one = {
        .kind = CALL_RECORD, .len = len, .in = record, .out = record, .aad = aad, .direct = one_in(2)};
    bool passes;

    describe_record(encrypts, len);
    passes = pass(c, &one, is_right);
    if (results[CARD].done)
        memcpy(record, results[CARD].out, (size_t)len);
    return passes;
}

/* Records of GCM as libssl has them: one connection seals them, another opens them. */
static enum verdict records(struct context *c)
{
    unsigned char *record = sealed;
    int lens[RECORDS_MAX];
    unsigned count = 1 + below(RECORDS_MAX);
    bool is_right = true;

    source_fill(source, key, sizeof(key));
    source_fill(source, iv, sizeof(iv));
    source_fill(source, aad, sizeof(aad));
    if (!pass_fixed_iv(c, true, one_in(2) ? -1 : FIXED))
        return FAULT;
    for (unsigned i = 0; i < count; i++, record += lens[i - 1]) {
        lens[i] = (int)(RECORD_FRAME + below(setting->long_texts ? 16385 : 600));
        source_fill(source, record, (size_t)lens[i]);
        memcpy(plain + (record - sealed), record, (size_t)lens[i]);
        if (!pass_record(c, true, record, lens[i], true))
            return FAULT;
    }
    forget(c);
    if (!pass_fixed_iv(c, false, FIXED))
        return FAULT;
    record = sealed;
    for (unsigned i = 0; i < count && is_right; i++, record += lens[i - 1]) {
        is_right = !one_in(8);
        if (!is_right)
            record[below((unsigned)lens[i])] ^= (unsigned char)(1u << below(8));
        if (!pass_record(c, false, record, lens[i], is_right))
            return FAULT;
        if (is_right &&
            memcmp(record + EVP_GCM_TLS_EXPLICIT_IV_LEN,
                plain + (record - sealed) + EVP_GCM_TLS_EXPLICIT_IV_LEN, (size_t)lens[i] - RECORD_FRAME) != 0)
            return fault("a record is not the same again");
    }
    return START_AGAIN;
}

static enum verdict talk(struct context *c, unsigned cipher)
{
    take_cipher(c, cipher < SEQUENCE_CIPHERS ? cipher : below(SEQUENCE_CIPHERS));
    if (sequence_cipher_name(setting, c->cipher) == NULL || is_hmac(c))
        return START_AGAIN;
    return is_gcm(c) && one_in(4) ? records(c) : seal_and_open(c);
}

/* ---------------------------------------------------------------------------------------------------- run */

static uint64_t random_state;

static enum verdict make(struct context *c)
{
    enum exactness exactness;
    enum verdict verdict;

    memset(results, 0, sizeof(results));
    random_state++;
    if (c->started && is_for_the_engine_alone(c))
        return ask_engine_alone(c);
    leave_out(c);
    exactness = exactness_of(c);
    for (enum actor who = CARD; who < ACTORS; who++) {
        if (!is_asked(c, who))
            continue;
        if (who != CARD && call.kind != CALL_START)
            keep(c, who);
        perform(c, who);
    }
    trace(c);
    verdict = judge(c, exactness);
    if (verdict == GOES_ON)
        verdict = follow(c);
    if (verdict == START_AGAIN && call.kind == CALL_COPY)
        forget(&contexts[call_to]); /* some actors may have copied, and some not */
    return verdict;
}

/* Where the older implementation may return anything, and the provider has left, or is not asked. */
static bool says_nothing(const struct context *c)
{
    return twin == OLDER && exactness_of(c) == ANYTHING &&
           (is_of_engines_only() || (is_gcm(c) && !c->agrees[PROVIDER]));
}

static enum verdict step(struct context *c, unsigned cipher)
{
    unsigned what = below(32);

    if (setting->vary != NULL)
        setting->vary(below(8));
    if (what == 31)
        return talk(c, cipher);
    if (!c->started || what == 30) {
        forget(c);
        memset(&call, 0, sizeof(call));
        call_shift = 0;
        make_up_start(cipher);
        if (sequence_cipher_name(setting, call_cipher) == NULL)
            return START_AGAIN; /* CBC with HMAC needs AES instructions */
        return make(c);
    }
    if (what == 29) {
        any_command(c);
        return START_AGAIN;
    }
    make_up(c);
    return says_nothing(c) ? GOES_ON : make(c);
}

bool sequence_run(struct sequence_setting *of, struct source *from, unsigned first)
{
    enum verdict verdict = GOES_ON;

    setting = of;
    source = from;
    twin = of->engine != NULL ? OLDER : PROVIDER;
    random_state = 0;
    for (unsigned i = 0; i < CONTEXTS; i++) {
        contexts[i] = (struct context){.cipher = 0};
        for (enum actor who = CARD; who < ACTORS; who++)
            contexts[i].of[who] = EVP_CIPHER_CTX_new();
        forget(&contexts[i]);
    }
    for (unsigned calls = 0; calls < of->calls_max && !source_is_over(from) && verdict != FAULT; calls++) {
        struct context *c = &contexts[below(8) == 0];

        verdict = step(c, first);
        if (verdict == START_AGAIN)
            forget(c);
        ERR_clear_error();
    }
    for (unsigned i = 0; i < CONTEXTS; i++) {
        forget(&contexts[i]);
        for (enum actor who = CARD; who < ACTORS; who++)
            EVP_CIPHER_CTX_free(contexts[i].of[who]);
    }
    return verdict != FAULT;
}

/* ------------------------------------------------------------------------------------ implementations */

#ifndef OPENSSL_NO_ENGINE
static int older_ciphers(ENGINE *engine, const EVP_CIPHER **found, const int **list, int nid)
{
    (void)engine;
    if (found == NULL) {
        *list = nids;
        return SEQUENCE_CIPHERS;
    }
    *found = EVP_get_cipherbynid(nid);
    return *found != NULL;
}

static ENGINE *older_engine(void)
{
    ENGINE *older = ENGINE_new();

    CHECK(older != NULL && ENGINE_set_id(older, "older") && ENGINE_set_ciphers(older, older_ciphers));
    return older;
}

static void free_older(ENGINE *older)
{
    ENGINE_free(older);
}

static bool has_cipher(ENGINE *engine, int nid)
{
    return ENGINE_get_cipher(engine, nid) != NULL;
}
#else
static ENGINE *older_engine(void)
{
    return NULL;
}

static bool has_cipher(ENGINE *engine, int nid)
{
    (void)nid;
    return engine != NULL;
}

static void free_older(ENGINE *none)
{
    (void)none;
}
#endif

/* The same bytes for all that are asked to make one call. */
static int repeated_bytes(unsigned char *out, int len)
{
    uint64_t state = random_state;

    for (int i = 0; i < len; i++)
        out[i] = (unsigned char)(random_of(&state) >> 56);
    return 1;
}

static int random_is_there(void)
{
    return 1;
}

void sequence_begin(struct sequence_setting *of)
{
    static RAND_METHOD repeated = {
        .bytes = repeated_bytes, .pseudorand = repeated_bytes, .status = random_is_there};

    of->older = of->engine == NULL ? NULL : older_engine();
    for (unsigned i = 0; i < SEQUENCE_CIPHERS; i++) {
        EVP_CIPHER *standard = EVP_CIPHER_fetch(NULL, OBJ_nid2sn(nids[i]), "provider=default");

        implementations[CARD][i] = (struct implementation){.cipher = cipher_of(i), .engine = of->engine};
        if (of->engine == NULL && !of->by_default)
            implementations[CARD][i].cipher =
                EVP_CIPHER_fetch(of->context, OBJ_nid2sn(nids[i]), "provider=ersatz");
        implementations[OLDER][i] = (struct implementation){.cipher = cipher_of(i), .engine = of->older};
        implementations[PROVIDER][i].cipher = standard;
        if (of->by_default)
            implementations[CARD][i] =
                (struct implementation){.cipher = of->engine == NULL ? cipher_of(i) : standard};
    }
    CHECK(RAND_set_rand_method(&repeated));
}

void sequence_end(struct sequence_setting *of)
{
    CHECK(RAND_set_rand_method(NULL));
    for (unsigned i = 0; i < SEQUENCE_CIPHERS; i++) {
        EVP_CIPHER_free((EVP_CIPHER *)implementations[PROVIDER][i].cipher);
        if (of->engine == NULL && !of->by_default)
            EVP_CIPHER_free((EVP_CIPHER *)implementations[CARD][i].cipher);
    }
    free_older(of->older);
}

const char *sequence_cipher_name(const struct sequence_setting *of, unsigned cipher)
{
    bool has = of->engine != NULL ? has_cipher(of->engine, nids[cipher])
                                  : implementations[CARD][cipher].cipher != NULL;

    return has ? OBJ_nid2sn(nids[cipher]) : NULL;
}

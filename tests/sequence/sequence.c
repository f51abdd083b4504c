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

#define TEXT_MAX 3000
#define ROOM (TEXT_MAX + 64)
#define TAG_MAX 16
#define IV_MAX 128   /* bytes: the longest that the engine takes */
#define CCM_TAG 12   /* bytes, where nobody says how many */
#define FIXED 4      /* bytes in front of what is counted */
#define INVOCATION 8 /* bytes that libcrypto counts in, however short the IV is */
#define CONTEXTS 2u

static const int nids[] = {NID_aes_128_cbc, NID_aes_192_cbc, NID_aes_256_cbc, NID_aes_128_ctr,
    NID_aes_192_ctr, NID_aes_256_ctr, NID_aes_128_gcm, NID_aes_192_gcm, NID_aes_256_gcm, NID_aes_128_xts,
    NID_aes_256_xts, NID_aes_128_ecb, NID_aes_256_ecb, NID_aes_128_cfb128, NID_aes_256_cfb128,
    NID_aes_128_ofb128, NID_aes_256_ofb128, NID_aes_128_ccm, NID_aes_192_ccm, NID_aes_256_ccm,
    NID_aes_128_cbc_hmac_sha1, NID_aes_128_cbc_hmac_sha256};
_Static_assert(sizeof(nids) / sizeof(nids[0]) == SEQUENCE_CIPHERS, "one number for each cipher");

enum actor { CARD, PROVIDER, OLDER, ACTORS };

/* What a message of GCM is at. MURKY: libcrypto's older implementation goes on after a failure, or takes an
 * IV from where an older one lay, until there is a new IV. */
enum stage { NO_IV, FRESH, ACTIVE, MURKY };

enum kind { START, INIT, UPDATE, FINAL, COMMAND, RECORD, COPY, PADDING };

struct call {
    enum kind kind;
    unsigned cipher; /* START */
    int number;      /* a command, a direction, whether to pad, or to which context to copy */
    int len;         /* of what is in bytes, or a command's argument */
    bool with_in;    /* bytes, in place of NULL */
    bool with_out;   /* somewhere to write, in place of NULL */
    bool in_place, with_key, with_iv;
    unsigned char key[EVP_MAX_KEY_LENGTH], iv[IV_MAX], bytes[ROOM];
};

/* What a call did; all zeros if it failed. */
struct result {
    bool done;
    int len;
    unsigned char out[ROOM];
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

static struct context contexts[CONTEXTS];
static struct sequence_setting *setting;
static struct source *source;
static struct call call;
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
    return nids[c->cipher] == NID_aes_128_cbc_hmac_sha1 || nids[c->cipher] == NID_aes_128_cbc_hmac_sha256;
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
        c->agrees[who] = true;
    }
    c->started = false;
}

/* ---------------------------------------------------------------------------------------- making a call */

static bool init(EVP_CIPHER_CTX *ctx, ENGINE *impl)
{
    return EVP_CipherInit_ex(ctx, call.kind == START ? cipher_of(call.cipher) : NULL, impl,
               call.with_key ? call.key : NULL, call.with_iv ? call.iv : NULL, call.number) > 0;
}

static bool update(EVP_CIPHER_CTX *ctx, struct result *result)
{
    const unsigned char *in = call.bytes;

    if (call.in_place) {
        memcpy(result->out, call.bytes, (size_t)call.len);
        in = result->out;
    }
    return EVP_CipherUpdate(
               ctx, call.with_out ? result->out : NULL, &result->len, call.with_in ? in : NULL, call.len) > 0;
}

/* A record of TLS, in one call. Its header is behind the text. */
static bool record(EVP_CIPHER_CTX *ctx, struct result *result)
{
    memcpy(result->out, call.bytes, ROOM);
    if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_TLS1_AAD, EVP_AEAD_TLS1_AAD_LEN, result->out + TEXT_MAX) <= 0)
        return false;
    memset(result->out + TEXT_MAX, 0, EVP_AEAD_TLS1_AAD_LEN);
    return EVP_CipherUpdate(ctx, result->out, &result->len, result->out, call.len) > 0;
}

/* What is written is compared, and what is read is in the same place. */
static bool command(EVP_CIPHER_CTX *ctx, struct result *result)
{
    if (call.with_in)
        memcpy(result->out, call.bytes, ROOM);
    return EVP_CIPHER_CTX_ctrl(
               ctx, call.number, call.len, call.with_in || call.with_out ? result->out : NULL) > 0;
}

/* Onto the other context, or in place of this one. */
static bool copy(struct context *c, enum actor who)
{
    struct context *to = &contexts[call.number];
    EVP_CIPHER_CTX *made = EVP_CIPHER_CTX_new();

    if (EVP_CIPHER_CTX_copy(made, c->of[who]) <= 0) {
        EVP_CIPHER_CTX_free(made);
        return false;
    }
    EVP_CIPHER_CTX_free(to->of[who]);
    to->of[who] = made;
    return true;
}

static void perform(struct context *c, enum actor who)
{
    ENGINE *impls[ACTORS] = {[CARD] = setting->engine, [OLDER] = setting->older};
    struct result *result = &results[who];
    EVP_CIPHER_CTX *ctx = c->of[who];

    switch (call.kind) {
    case START:
        result->done = init(ctx, impls[who]);
        break;
    case INIT:
        result->done = init(ctx, NULL);
        break;
    case UPDATE:
        result->done = update(ctx, result);
        break;
    case FINAL:
        result->done = EVP_CipherFinal_ex(ctx, result->out, &result->len) > 0;
        break;
    case COMMAND:
        result->done = command(ctx, result);
        break;
    case RECORD:
        result->done = record(ctx, result);
        break;
    case COPY:
        result->done = copy(c, who);
        break;
    case PADDING:
        result->done = EVP_CIPHER_CTX_set_padding(ctx, call.number) > 0;
    }
    if (!result->done)
        memset(result, 0, sizeof(*result));
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
    return call.kind == COMMAND && call.number == number;
}

static bool is_end(void)
{
    return call.kind == FINAL || (call.kind == UPDATE && !call.with_in);
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
    if (call.kind == START && EVP_CIPHER_get_mode(cipher_of(call.cipher)) == EVP_CIPH_XTS_MODE &&
        !call.with_key)
        c->agrees[PROVIDER] = false;
}

/* Both of libcrypto's would write where they must not. The engine puts out nothing, or counts in what there
 * is. */
static bool is_for_the_engine_alone(const struct context *c)
{
    if ((call.kind == UPDATE || call.kind == FINAL) && !c->keyed && !is_aead(c))
        return true;
    if (!is_gcm(c))
        return false;
    return (is_command(EVP_CTRL_GCM_IV_GEN) && c->iv_len < INVOCATION) ||
           (is_command(EVP_CTRL_GCM_SET_IV_INV) && (call.len < 1 || call.len > c->iv_len));
}

static bool turns_without_key(const struct context *c)
{
    return call.number >= 0 && call.number != c->encrypting && !call.with_key && !can_turn(c);
}

/* How far the engine and libcrypto's older implementation have to be the same. */
enum exactness { ANYTHING, RETURNS, EVERYTHING };

static enum exactness exactness_of(const struct context *c)
{
    if (call.kind == START)
        return EVERYTHING;
    if (is_ccm(c) || is_hmac(c)) /* the engine refuses more, in more states than a model here would have */
        return ANYTHING;
    if (call.kind == INIT)
        return turns_without_key(c) ? ANYTHING : EVERYTHING;
    if (c->turned)
        return ANYTHING;
    if (call.kind == COPY || call.kind == PADDING)
        return EVERYTHING;
    if (!is_gcm(c))
        return call.kind == UPDATE || call.kind == FINAL ? EVERYTHING : ANYTHING;
    switch (call.kind) {
    case UPDATE: /* with NULL it is an end; no bytes at all after text are too late only for libcrypto */
        return c->stage == MURKY || !call.with_in || (!call.with_out && call.len == 0) ? ANYTHING
                                                                                       : EVERYTHING;
    case FINAL:
        return c->stage == MURKY ? ANYTHING : EVERYTHING;
    case RECORD:
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

    if (who == PROVIDER && (call.kind == UPDATE || call.kind == FINAL) && a->done && b->done)
        return a->len == b->len && memcmp(a->out, b->out, (size_t)a->len) == 0;
    return memcmp(a, b, sizeof(*a)) == 0;
}

static enum verdict judge(struct context *c, enum exactness exactness)
{
    bool asked = false, backed = false;

    for (enum actor who = PROVIDER; who < ACTORS; who++) {
        if (!c->agrees[who])
            continue;
        asked = true;
        if (!results[CARD].done && results[who].done) { /* the call was never made */
            if (who == OLDER && exactness != ANYTHING)
                return fault("the engine refuses what the older implementation lets pass");
            c->agrees[who] = go_back(c, who);
        } else if (who == OLDER && exactness == RETURNS) {
            if (results[CARD].done != results[who].done)
                return fault("the engine lets pass what the older implementation refuses");
        } else {
            c->agrees[who] = is_same(who);
            if (who == OLDER && exactness == EVERYTHING && !c->agrees[who])
                return fault("the older implementation returns something else");
        }
        backed |= c->agrees[who];
    }
    if (results[CARD].done && asked && !backed)
        return fault("neither of libcrypto's implementations lets this pass with the same result");
    setting->passed[c->cipher] += backed && results[CARD].done;
    return backed ? GOES_ON : START_AGAIN;
}

/* ------------------------------------------------------------------------- what is known after a call */

static void follow_init(struct context *c)
{
    bool turns = call.number >= 0 && call.number != c->encrypting;

    /* A message that is turned around in its middle, or goes on with another key: libcrypto takes the IV for
     * the key from where the last but one may lie. */
    if (c->stage != NO_IV && ((turns && c->stage == ACTIVE) || (call.with_key && c->keyed)))
        c->stage = MURKY;
    c->turned = turns_without_key(c) || (c->turned && !call.with_key);
    if (call.number >= 0)
        c->encrypting = call.number;
    c->keyed |= call.with_key;
    if (call.with_iv) {
        c->stage = FRESH;
        c->unclear = c->unclear || (c->generates && call.with_key);
        c->generates = c->iv_whole = false;
    }
}

static void follow_gcm_message(struct context *c)
{
    bool done = results[CARD].done;

    if (!done && c->stage != NO_IV) /* the engine ends the message, libcrypto lets it go on */
        c->stage = MURKY;
    if (done && c->stage == FRESH && call.len > 0)
        c->stage = ACTIVE;
    if (done && call.kind == UPDATE && call.with_in && call.len == 0)
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
    c->tag_is_old = !is_end() && (c->tag_is_old || call.kind == INIT || call.kind == UPDATE ||
                                     call.kind == RECORD || call.kind == COMMAND);
    if (call.kind == UPDATE || call.kind == FINAL)
        follow_gcm_message(c);
    if (call.kind == COMMAND && results[CARD].done)
        follow_gcm_command(c);
    if (call.kind == RECORD) {
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
        return !c->has_length || call.kind != UPDATE || !call.with_in || !call.with_out;
    /* Turned around without a key, libcrypto computes as before, and its tags are wrong. */
    if (call.kind == INIT && call.number >= 0 && !call.with_key)
        return false;
    if (call.kind == RECORD) /* libcrypto takes every call from then on for another record */
        return false;
    if (c->has_length && call.with_iv)
        return false;
    if (c->keyed && sets_length) /* libcrypto goes on with those it had when the key was set */
        return false;
    if (!c->tag_waits && (call.kind == FINAL || (is_end() && call.with_out)))
        return false; /* the end of an empty text, of which early versions of 3.0 give no tag */
    c->has_length |= call.kind == UPDATE && call.with_in == call.with_out;
    c->tag_waits |= call.kind == UPDATE && call.with_in && call.with_out;
    c->tag_waits &= !is_command(EVP_CTRL_AEAD_GET_TAG);
    return true;
}

static void follow_start(struct context *c)
{
    c->started = true;
    c->cipher = call.cipher;
    c->mode = EVP_CIPHER_get_mode(cipher_of(call.cipher));
    c->encrypting = call.number;
    c->keyed = call.with_key;
    c->stage = call.with_iv ? FRESH : NO_IV;
    c->iv_len = EVP_CIPHER_get_iv_length(cipher_of(call.cipher));
    c->iv_room = EVP_MAX_IV_LENGTH;
    c->iv_fixed = 0;
    c->iv_on_heap = c->turned = c->generates = c->unclear = c->iv_whole = c->tag_known = c->tag_is_old =
        c->tag_waits = c->has_length = false;
}

static void follow_copy(const struct context *c)
{
    struct context *to = &contexts[call.number];

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
    if (call.kind == START) {
        if (!results[CARD].done)
            return START_AGAIN;
        follow_start(c);
        return GOES_ON;
    }
    if ((call.kind == INIT || call.kind == RECORD) && !results[CARD].done)
        return START_AGAIN; /* libcrypto may have taken part of it, or wait for the record still */
    if (call.kind == COPY && results[CARD].done)
        follow_copy(c);
    if (is_ccm(c) && !follow_ccm(c))
        return START_AGAIN;
    if (is_gcm(c))
        follow_gcm(c);
    if (call.kind == INIT)
        follow_init(c);
    return GOES_ON;
}

/* ---------------------------------------------------------------------------------------- making calls up */

static void trace(const struct context *c)
{
    static const char *const kinds[] = {
        "start", "init", "update", "final", "command", "record", "copy", "padding"};

    if (setting->trace)
        fprintf(stderr,
            "  context %d, %s of %s: number %d, %d bytes, in %d, out %d, in place %d, key %d, IV %d; stage "
            "%d, IV of "
            "%d: engine %d, provider %d%s, older %d%s\n",
            c == &contexts[1], kinds[call.kind], OBJ_nid2sn(nids[c->cipher]), call.number, call.len,
            call.with_in, call.with_out, call.in_place, call.with_key, call.with_iv, (int)c->stage, c->iv_len,
            results[CARD].done, results[PROVIDER].done, c->agrees[PROVIDER] ? "" : " (no more)",
            results[OLDER].done, c->agrees[OLDER] ? "" : " (no more)");
}

static void make_up_init(void)
{
    unsigned what = below(256);

    call.kind = INIT;
    call.with_key = what % 3 != 0;
    call.with_iv = what / 3 % 3 != 0;
    call.number = (int)below(6) - 1;
    if (call.number > 1)
        call.number = -1;
    source_fill(source, call.key, sizeof(call.key));
    source_fill(source, call.iv, sizeof(call.iv));
    if (what > 230)
        memset(call.iv, 0xff, sizeof(call.iv)); /* the counter overflows */
    if (what == 230)                            /* XTS with equal halves */
        memcpy(call.key + sizeof(call.key) / 4, call.key, sizeof(call.key) / 4);
}

static void make_up_start(unsigned cipher)
{
    make_up_init();
    call.kind = START;
    call.number = (int)below(2);
    call.cipher = cipher < SEQUENCE_CIPHERS ? cipher : below(SEQUENCE_CIPHERS);
}

static void make_up_update(const struct context *c)
{
    unsigned what = below(256);

    call.kind = UPDATE;
    call.with_in = call.with_out = true;
    call.len = (int)below(what % 3 == 0 ? TEXT_MAX + 1 : 40);
    call.in_place = what % 5 == 0;
    if (what / 8 % 4 == 0)
        memset(call.bytes, 0, (size_t)call.len); /* looks like key stream for the random generator */
    if (!is_aead(c) && what % 2 == 0)
        call.len &= ~15;
    if (is_aead(c) && what % 7 < 2)
        call.with_out = call.in_place = false; /* associated data */
    else if (is_aead(c) && what % 11 == 0) {
        call.with_in = call.in_place = false; /* CCM: the text's length; else an end in other words */
        call.with_out = one_in(2);
        if (is_ccm(c) && !call.with_out && call.len == 0)
            call.len = 1; /* EVP_CipherFinal() with NULL, which the engine lets pass after a message */
    }
}

static void make_up_command(const struct context *c)
{
    static const int tag_lengths[] = {16, 16, 12, 8, 4, 5, 0, 17};
    static const int iv_lengths[] = {12, 12, 8, 16, 7, 13, 11, 1, 0, 17, 100, 128, 129};

    call.kind = COMMAND;
    switch (below(8)) {
    case 0:
        call.number = EVP_CTRL_AEAD_SET_IVLEN;
        call.len = one_in(4) ? (int)below(IV_MAX + 3) - 1
                             : iv_lengths[below(sizeof(iv_lengths) / sizeof(iv_lengths[0]))];
        break;
    case 1:
        call.number = EVP_CTRL_AEAD_SET_TAG;
        call.len = tag_lengths[below(sizeof(tag_lengths) / sizeof(tag_lengths[0]))];
        call.with_in = !is_ccm(c) || one_in(2); /* in CCM, NULL means: how long tags are */
        break;
    case 2:
    case 3:
        call.number = EVP_CTRL_AEAD_GET_TAG;
        call.len = tag_lengths[below(sizeof(tag_lengths) / sizeof(tag_lengths[0]))];
        call.with_out = true;
        break;
    case 4:
        call.number = EVP_CTRL_AEAD_SET_IV_FIXED;
        call.len = is_ccm(c) ? FIXED : one_in(3) ? (int)below(IV_MAX) : one_in(2) ? FIXED : -1;
        call.with_in = true;
        if (one_in(4))
            memset(call.bytes, 0xff, IV_MAX);
        break;
    case 5:
        call.number = EVP_CTRL_GCM_IV_GEN;
        call.len = (int)below(one_in(4) ? IV_MAX : 16);
        call.with_out = true;
        break;
    case 6:
        call.number = EVP_CTRL_GCM_SET_IV_INV;
        call.len = (int)below(one_in(4) ? IV_MAX : INVOCATION + 1);
        call.with_in = true;
        break;
    default:
        call.number = EVP_CTRL_AEAD_SET_MAC_KEY;
        call.len = 20;
        call.with_in = true;
    }
}

static void make_up_record(const struct context *c)
{
    unsigned char *aad = call.bytes + TEXT_MAX;
    unsigned what = below(256), overhead = EVP_GCM_TLS_EXPLICIT_IV_LEN + EVP_GCM_TLS_TAG_LEN, says;

    call.kind = RECORD;
    call.len = (int)(overhead + below(TEXT_MAX - overhead));
    says = c->encrypting ? (unsigned)call.len - EVP_GCM_TLS_TAG_LEN : (unsigned)call.len;
    if (what < 32) /* shorter than it says */
        call.len = (int)what;
    if (what % 8 == 7)
        says = below(TEXT_MAX);
    aad[11] = (unsigned char)(says >> 8);
    aad[12] = (unsigned char)says;
}

static void make_up(const struct context *c)
{
    unsigned what = below(16);

    memset(&call, 0, sizeof(call));
    source_fill(source, call.bytes, sizeof(call.bytes));
    if (!c->keyed && !is_aead(c) && what % 4 != 3)
        what = 0;
    switch (what) {
    case 0:
    case 1:
    case 2:
        make_up_init();
        break;
    case 3:
        call.kind = FINAL;
        break;
    case 4:
        call.kind = COPY;
        call.number = (int)below(CONTEXTS);
        break;
    case 5:
        call.kind = PADDING;
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
        return fault("the engine lets pass what cannot be done");
    return START_AGAIN;
}

/* A command that need not exist, with an argument that need not make sense: nothing may break. Two are EVP's
 * own, and no application's: one takes its argument for a context, one for the context's birth. */
static void any_command(struct context *c)
{
    static unsigned char room[512];
    int type = (int)below(0x30), argument = (int)below(163) - 2;

    memset(room, 0, sizeof(room));
    if (type != EVP_CTRL_COPY && type != EVP_CTRL_INIT)
        EVP_CIPHER_CTX_ctrl(c->of[CARD], type, argument, room);
}

/* ------------------------------------------------------------------------------------ whole messages */

/* What a message is made of. */
struct message {
    unsigned cipher;
    unsigned char key[EVP_MAX_KEY_LENGTH], iv[IV_MAX], aad[40], tag[TAG_MAX], text[TEXT_MAX];
    int aad_len, len, tag_len;
    bool tag_first; /* GCM: or when all of the text was given */
};

static enum verdict make(struct context *c);

/* One call of a message, which has to succeed, or to fail, in the engine and in libcrypto's two alike. */
static bool passes(struct context *c, bool done)
{
    if (make(c) == FAULT)
        return false;
    if (results[CARD].done == done)
        return true;
    fault(done ? "the engine refuses what is right" : "the engine takes what is wrong");
    return false;
}

static bool pass_text(
    struct context *c, const unsigned char *in, int len, bool with_out, bool done, unsigned char *out)
{
    memset(&call, 0, sizeof(call));
    call.kind = UPDATE;
    call.with_in = true;
    call.with_out = with_out;
    call.in_place = with_out && one_in(3) && c->mode != EVP_CIPH_CBC_MODE && c->mode != EVP_CIPH_ECB_MODE;
    call.len = len;
    memcpy(call.bytes, in, (size_t)len);
    if (!passes(c, done))
        return false;
    if (out != NULL)
        memcpy(out, results[CARD].out, (size_t)results[CARD].len);
    return true;
}

static bool pass_command(struct context *c, int number, int len, unsigned char *bytes, bool reads)
{
    memset(&call, 0, sizeof(call));
    call.kind = COMMAND;
    call.number = number;
    call.len = len;
    call.with_in = reads && bytes != NULL;
    call.with_out = !reads;
    if (call.with_in)
        memcpy(call.bytes, bytes, (size_t)len);
    if (!passes(c, true))
        return false;
    if (!reads)
        memcpy(bytes, results[CARD].out, (size_t)len);
    return true;
}

static bool pass_start(struct context *c, const struct message *m, bool encrypt)
{
    memset(&call, 0, sizeof(call));
    call.kind = START;
    call.cipher = m->cipher;
    call.number = encrypt;
    call.with_key = call.with_iv = true;
    memcpy(call.key, m->key, sizeof(call.key));
    memcpy(call.iv, m->iv, sizeof(call.iv));
    return passes(c, true);
}

/* CCM wants to know the length of the text before associated data come. */
static bool pass_aad(struct context *c, struct message *m)
{
    if (m->aad_len == 0)
        return true;
    if (is_ccm(c)) {
        memset(&call, 0, sizeof(call));
        call.kind = UPDATE;
        call.len = m->len;
        if (!passes(c, true))
            return false;
    }
    return pass_text(c, m->aad, m->aad_len, false, true, NULL);
}

/* Without padding; in pieces where the mode has pieces. Writes over the text. */
static bool pass_pieces(struct context *c, struct message *m, bool done)
{
    bool whole = is_ccm(c) || c->mode == EVP_CIPH_XTS_MODE;

    for (int at = 0, piece; at < m->len; at += piece) {
        piece = whole || one_in(2) ? m->len - at : 1 + (int)below((unsigned)(m->len - at));
        if (c->mode == EVP_CIPH_CBC_MODE || c->mode == EVP_CIPH_ECB_MODE)
            piece = (piece + 15) / 16 * 16;
        if (!pass_text(c, m->text + at, piece, true, done, m->text + at))
            return false;
    }
    return true;
}

static bool pass_final(struct context *c, bool done)
{
    memset(&call, 0, sizeof(call));
    call.kind = FINAL;
    return is_ccm(c) || passes(c, done); /* in CCM the text was the end */
}

static bool without_padding(struct context *c)
{
    memset(&call, 0, sizeof(call));
    call.kind = PADDING;
    return passes(c, true);
}

static bool seal(struct context *c, struct message *m)
{
    return pass_start(c, m, true) && without_padding(c) && pass_aad(c, m) && pass_pieces(c, m, true) &&
           pass_final(c, true) &&
           (!is_aead(c) || pass_command(c, EVP_CTRL_AEAD_GET_TAG, m->tag_len, m->tag, false));
}

static bool open_again(struct context *c, struct message *m, bool right)
{
    bool tag_first = is_ccm(c) || m->tag_first;

    return pass_start(c, m, false) && without_padding(c) &&
           (!is_aead(c) || !tag_first || pass_command(c, EVP_CTRL_AEAD_SET_TAG, m->tag_len, m->tag, true)) &&
           pass_aad(c, m) && pass_pieces(c, m, right || !is_ccm(c)) &&
           (!is_aead(c) || tag_first || pass_command(c, EVP_CTRL_AEAD_SET_TAG, m->tag_len, m->tag, true)) &&
           pass_final(c, right);
}

/* A message is encrypted and decrypted again; its tag is right, or a bit of it is wrong. */
static enum verdict seal_and_open(struct context *c, unsigned cipher)
{
    static struct message m;
    static unsigned char plain[TEXT_MAX];
    unsigned what = below(256);
    bool right;

    m.cipher = cipher < SEQUENCE_CIPHERS ? cipher : below(SEQUENCE_CIPHERS);
    m.len = 16 + (int)below(what % 2 == 0 ? 600 : 2900);
    forget(c);
    c->mode = EVP_CIPHER_get_mode(cipher_of(m.cipher));
    c->cipher = m.cipher;
    if (sequence_cipher_name(setting, m.cipher) == NULL || is_hmac(c))
        return START_AGAIN;
    source_fill(source, m.key, sizeof(m.key));
    source_fill(source, m.iv, sizeof(m.iv));
    source_fill(source, m.aad, sizeof(m.aad));
    source_fill(source, m.text, (size_t)m.len);
    m.tag_len = is_ccm(c) ? CCM_TAG : TAG_MAX;
    m.aad_len = is_aead(c) ? (int)below(sizeof(m.aad) + 1) : 0;
    m.tag_first = what / 2 % 2 == 0;
    if (c->mode == EVP_CIPH_CBC_MODE || c->mode == EVP_CIPH_ECB_MODE)
        m.len &= ~15;
    memcpy(plain, m.text, (size_t)m.len);
    if (!seal(c, &m))
        return FAULT;
    right = !is_aead(c) || what / 4 % 4 != 0;
    if (!right)
        m.tag[what / 16 % (unsigned)m.tag_len] ^= (unsigned char)(1u << below(8));
    forget(c);
    if (!open_again(c, &m, right))
        return FAULT;
    if (right && memcmp(m.text, plain, (size_t)m.len) != 0)
        return fault("a message is not the same again");
    return right ? GOES_ON : START_AGAIN;
}

/* ---------------------------------------------------------------------------------------------------- run */

static enum verdict make(struct context *c)
{
    enum exactness exactness;
    enum verdict verdict;

    memset(results, 0, sizeof(results));
    if (c->started && is_for_the_engine_alone(c))
        return ask_engine_alone(c);
    leave_out(c);
    exactness = exactness_of(c);
    for (enum actor who = CARD; who < ACTORS; who++) {
        if (!c->agrees[who])
            continue;
        if (who != CARD && call.kind != START)
            keep(c, who);
        perform(c, who);
    }
    trace(c);
    verdict = judge(c, exactness);
    if (verdict == GOES_ON)
        verdict = follow(c);
    if (verdict == START_AGAIN && call.kind == COPY)
        forget(&contexts[call.number]); /* some actors may have copied, and some not */
    ERR_clear_error();
    return verdict;
}

/* Where the older implementation may return anything, and the provider has left. */
static bool says_nothing(const struct context *c)
{
    return is_gcm(c) && !c->agrees[PROVIDER] && exactness_of(c) == ANYTHING;
}

static enum verdict step(struct context *c, unsigned cipher)
{
    unsigned what = below(32);

    if (setting->vary != NULL)
        setting->vary(below(8));
    if (what == 31)
        return seal_and_open(c, cipher);
    if (!c->started || what == 30) {
        forget(c);
        memset(&call, 0, sizeof(call));
        make_up_start(cipher);
        if (sequence_cipher_name(setting, call.cipher) == NULL)
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
    }
    for (unsigned i = 0; i < CONTEXTS; i++) {
        forget(&contexts[i]);
        for (enum actor who = CARD; who < ACTORS; who++)
            EVP_CIPHER_CTX_free(contexts[i].of[who]);
    }
    ERR_clear_error();
    return verdict != FAULT;
}

/* ------------------------------------------------------------------------------------ the older ciphers */

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

static int constant_bytes(unsigned char *out, int len)
{
    memset(out, 0x5c, (size_t)len);
    return 1;
}

static int constant_status(void)
{
    return 1;
}

ENGINE *sequence_older_engine(void)
{
    static RAND_METHOD constant = {
        .bytes = constant_bytes, .pseudorand = constant_bytes, .status = constant_status};
    ENGINE *older = ENGINE_new();

    CHECK(older != NULL && ENGINE_set_id(older, "older") && ENGINE_set_ciphers(older, older_ciphers));
    CHECK(RAND_set_rand_method(&constant));
    return older;
}

void sequence_end(ENGINE *older)
{
    CHECK(RAND_set_rand_method(NULL));
    ENGINE_free(older);
}

const char *sequence_cipher_name(const struct sequence_setting *of, unsigned cipher)
{
    return ENGINE_get_cipher(of->engine, nids[cipher]) == NULL ? NULL : OBJ_nid2sn(nids[cipher]);
}

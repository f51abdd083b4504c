/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of EVP in any order that an application may come upon: contexts begun with and without key and IV,
 * turned around, given lengths, tags, IVs and records at any time, copied and finished. Each call goes to a
 * context of the engine, to one of libcrypto's provider, and to one of its older implementations behind an
 * ENGINE. What the engine lets pass, one of those two lets pass with the same result, having agreed with the
 * engine on every call before: the engine may be stricter than both, and never laxer.
 *
 *   any_order [SEED [ROUNDS]]
 */
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/rand.h>

#include "all_ways.h"

#define ROUNDS 4000u
#define CALLS_MAX 24u
#define TEXT_MAX 600
#define ROOM (TEXT_MAX + 64)
#define OLDER_IV_MAX 16 /* what the older implementations have room for without asking for memory */
#define CCM_TAG 12      /* bytes, where nobody says how many */
#define FIXED 4         /* bytes in front of what is counted */
#define INVOCATION 8    /* bytes that libcrypto counts in, however short the IV is */

static const int nids[] = {NID_aes_128_cbc, NID_aes_256_cbc, NID_aes_128_ctr, NID_aes_128_gcm,
    NID_aes_256_gcm, NID_aes_128_gcm, NID_aes_128_ecb, NID_aes_128_cfb128, NID_aes_128_ofb128,
    NID_aes_128_ccm, NID_aes_256_ccm, NID_aes_128_xts, NID_aes_128_cbc_hmac_sha1,
    NID_aes_128_cbc_hmac_sha256};
#define CIPHERS (sizeof(nids) / sizeof(nids[0]))

enum who { CARD, PROVIDER, OLDER, ACTORS };

struct actor {
    ENGINE *impl;
    EVP_CIPHER_CTX *ctx;
    bool agrees;            /* has been of the engine's opinion so far */
    EVP_CIPHER_CTX *before; /* a copy from before the call under way; NULL: there is none */
};

/* What a call did; all zeros if it failed. */
struct result {
    bool done;
    int len;
    unsigned char out[ROOM];
};

struct call {
    const char *name;
    bool (*make)(struct actor *actor, const struct call *call, struct result *result);
    int number;    /* a command, or a direction */
    int len;       /* of what is in bytes, or a command's argument */
    bool with_in;  /* bytes, in place of NULL */
    bool with_out; /* somewhere to write, in place of NULL */
    bool with_key, with_iv;
    unsigned char key[EVP_MAX_KEY_LENGTH], iv[128], bytes[ROOM];
};

static struct actor actors[ACTORS];
static struct numbers numbers;
static const EVP_CIPHER *cipher;
static bool keyed, trace;
static bool tag_waits;  /* of a text in CCM */
static bool tag_is_old; /* GCM */
static bool has_length; /* CCM: until the tag is taken, libcrypto keeps the length of one text for the next */
static int iv_len;
static unsigned long passed[CIPHERS]; /* calls that libcrypto and the engine agreed on, and let pass */
static unsigned which;

static unsigned below(unsigned limit)
{
    return number_below(&numbers, limit);
}

static bool one_in(unsigned n)
{
    return below(n) == 0;
}

static bool has_mode(int mode)
{
    return EVP_CIPHER_get_mode(cipher) == mode;
}

static bool is_aead(void)
{
    return has_mode(EVP_CIPH_GCM_MODE) || has_mode(EVP_CIPH_CCM_MODE);
}

/* ---------------------------------------------------------------------------------------------- comparison
 */

static bool init(struct actor *actor, const struct call *call, struct result *result);
static bool update(struct actor *actor, const struct call *call, struct result *result);
static bool final(struct actor *actor, const struct call *call, struct result *result);
static bool record(struct actor *actor, const struct call *call, struct result *result);
static bool command(struct actor *actor, const struct call *call, struct result *result);

static void keep(struct actor *actor)
{
    EVP_CIPHER_CTX_free(actor->before);
    actor->before = EVP_CIPHER_CTX_new();
    if (EVP_CIPHER_CTX_copy(actor->before, actor->ctx) > 0)
        return;
    EVP_CIPHER_CTX_free(actor->before);
    actor->before = NULL;
}

static bool go_back(struct actor *actor)
{
    if (actor->before == NULL)
        return false;
    EVP_CIPHER_CTX_free(actor->ctx);
    actor->ctx = actor->before;
    actor->before = NULL;
    return true;
}

static bool ends_message(const struct call *call)
{
    return call->make == final || (call->make == update && !call->with_in && call->with_out);
}

static bool sets_ccm_length(const struct call *call)
{
    return call->make == command && (call->number == EVP_CTRL_AEAD_SET_IVLEN ||
                                        (call->number == EVP_CTRL_AEAD_SET_TAG && call->len != CCM_TAG));
}

enum verdict { GOES_ON, NOBODY_AGREES, FAULT };

static enum verdict judge(const struct call *call, const struct result *results)
{
    bool asked = false, backed = false;

    for (enum who who = PROVIDER; who < ACTORS; who++) {
        struct actor *actor = &actors[who];

        asked |= actor->agrees;
        if (!results[CARD].done && results[who].done) /* the engine is stricter: the call was never made */
            actor->agrees = go_back(actor);
        else
            actor->agrees &= memcmp(&results[who], &results[CARD], sizeof(results[who])) == 0;
        backed |= actor->agrees;
    }
    if (backed)
        passed[which] += results[CARD].done;
    /* Whose tag it is that waits once another message has begun, or was tried, is everybody's own affair. */
    if (tag_is_old && call->make == command && call->number == EVP_CTRL_AEAD_GET_TAG)
        return NOBODY_AGREES;
    if (has_mode(EVP_CIPH_GCM_MODE))
        tag_is_old = !ends_message(call) && (tag_is_old || call->make == init || call->make == update ||
                                                call->make == record || call->make == command);
    if (asked && !backed && results[CARD].done)
        return FAULT;
    if (call->make == record && !results[CARD].done) /* libcrypto may wait for the record still */
        return NOBODY_AGREES;
    if (has_mode(EVP_CIPH_GCM_MODE) && (ends_message(call) || (call->make == update && !call->with_in)) &&
        !results[CARD].done)
        return NOBODY_AGREES; /* for want of a tag: the provider has used up the IV by then, and a new key
                                 gets none */
    if (has_mode(EVP_CIPH_CCM_MODE) && results[CARD].done) {
        /* Turned around without a key, libcrypto computes as before, and its tags are wrong. */
        if (call->make == init && call->number >= 0 && !call->with_key)
            return NOBODY_AGREES;
        if (has_length && call->with_iv)
            return NOBODY_AGREES;
        if (keyed && sets_ccm_length(call)) /* libcrypto goes on with those it had when the key was set */
            return NOBODY_AGREES;
        if (!tag_waits && ends_message(call))
            return NOBODY_AGREES; /* the end of an empty text, of which early versions of 3.0 give no tag */
        has_length |= call->make == update && call->with_in == call->with_out;
        tag_waits |= call->make == update && call->with_in && call->with_out;
        tag_waits &= call->make != command || call->number != EVP_CTRL_AEAD_GET_TAG;
    }
    return backed ? GOES_ON : NOBODY_AGREES;
}

static enum verdict make(const struct call *call)
{
    static struct result results[ACTORS];
    enum verdict verdict;

    for (enum who who = CARD; who < ACTORS; who++) {
        struct result *result = &results[who];

        memset(result, 0, sizeof(*result));
        if (who != CARD && actors[who].agrees)
            keep(&actors[who]);
        if (actors[who].agrees && !call->make(&actors[who], call, result))
            memset(result, 0, sizeof(*result));
    }
    verdict = judge(call, results);
    if (trace)
        fprintf(stderr,
            "  %s: number %d, %d bytes, in %d, out %d, key %d, IV %d: engine %d, provider %d%s, "
            "older %d%s\n",
            call->name, call->number, call->len, call->with_in, call->with_out, call->with_key, call->with_iv,
            results[CARD].done, results[PROVIDER].done, actors[PROVIDER].agrees ? "" : " (no more)",
            results[OLDER].done, actors[OLDER].agrees ? "" : " (no more)");
    ERR_clear_error();
    return verdict;
}

/* --------------------------------------------------------------------------------------------------- calls
 */

static bool init(struct actor *actor, const struct call *call, struct result *result)
{
    result->done = EVP_CipherInit_ex(actor->ctx, NULL, NULL, call->with_key ? call->key : NULL,
                       call->with_iv ? call->iv : NULL, call->number) > 0;
    return result->done;
}

static bool start(struct actor *actor, const struct call *call, struct result *result)
{
    result->done = EVP_CipherInit_ex(actor->ctx, cipher, actor->impl, call->with_key ? call->key : NULL,
                       call->with_iv ? call->iv : NULL, call->number) > 0;
    return result->done;
}

static bool update(struct actor *actor, const struct call *call, struct result *result)
{
    result->done = EVP_CipherUpdate(actor->ctx, call->with_out ? result->out : NULL, &result->len,
                       call->with_in ? call->bytes : NULL, call->len) > 0;
    return result->done;
}

static bool final(struct actor *actor, const struct call *call, struct result *result)
{
    (void)call;
    result->done = EVP_CipherFinal_ex(actor->ctx, result->out, &result->len) > 0;
    return result->done;
}

/* What is written is compared, and what is read is in the same place. */
static bool command(struct actor *actor, const struct call *call, struct result *result)
{
    if (call->with_in)
        memcpy(result->out, call->bytes, ROOM);
    result->done = EVP_CIPHER_CTX_ctrl(actor->ctx, call->number, call->len,
                       call->with_in || call->with_out ? result->out : NULL) > 0;
    return result->done;
}

static bool record(struct actor *actor, const struct call *call, struct result *result)
{
    memcpy(result->out, call->bytes, ROOM);
    if (EVP_CIPHER_CTX_ctrl(actor->ctx, EVP_CTRL_AEAD_TLS1_AAD, 13, result->out + TEXT_MAX) <= 0)
        return false;
    memset(result->out + TEXT_MAX, 0, 13);
    result->done = EVP_CipherUpdate(actor->ctx, result->out, &result->len, result->out, call->len) > 0;
    return result->done;
}

static bool copy(struct actor *actor, const struct call *call, struct result *result)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    (void)call;
    result->done = EVP_CIPHER_CTX_copy(ctx, actor->ctx) > 0;
    if (result->done) {
        EVP_CIPHER_CTX_free(actor->ctx);
        actor->ctx = ctx;
    } else {
        EVP_CIPHER_CTX_free(ctx);
    }
    return result->done;
}

static bool set_padding(struct actor *actor, const struct call *call, struct result *result)
{
    result->done = EVP_CIPHER_CTX_set_padding(actor->ctx, call->number) > 0;
    return result->done;
}

/* --------------------------------------------------------------------------------------------------- script
 */

/* Without a key the older implementations of these follow a NULL, and so does a copy of the provider's XTS.
 */
static bool needs_key(void)
{
    return !keyed && !is_aead();
}

static void make_up_init(struct call *call)
{
    call->name = "init";
    call->make = init;
    call->with_key = !one_in(3);
    call->with_iv = !one_in(3);
    call->number = (int)below(6) - 1;
    if (call->number > 1)
        call->number = -1;
    number_fill(&numbers, call->key, sizeof(call->key));
    number_fill(&numbers, call->iv, sizeof(call->iv));
}

static void make_up_update(struct call *call)
{
    call->name = "update";
    call->make = update;
    call->with_in = call->with_out = true;
    call->len = (int)below(one_in(3) ? TEXT_MAX + 1 : 40);
    if (!is_aead() && one_in(2))
        call->len &= ~15;
    if (is_aead() && one_in(3))
        call->with_out = false; /* associated data */
    else if (is_aead() && one_in(6)) {
        call->with_in = false; /* CCM: the text's length; else an end in other words */
        call->with_out = one_in(2);
    }
}

static void make_up_command(struct call *call)
{
    static const int tag_lengths[] = {16, 12, 8, 4, 5, 0, 17};
    static const int iv_lengths[] = {12, 8, 16, 7, 13, 11, 1, 0, 17, 100, 128, 129};

    call->name = "command";
    call->make = command;
    switch (below(7)) {
    case 0:
        call->number = EVP_CTRL_AEAD_SET_IVLEN;
        call->len = iv_lengths[below(sizeof(iv_lengths) / sizeof(iv_lengths[0]))];
        break;
    case 1:
        call->number = EVP_CTRL_AEAD_SET_TAG;
        call->len = tag_lengths[below(sizeof(tag_lengths) / sizeof(tag_lengths[0]))];
        call->with_in = !has_mode(EVP_CIPH_CCM_MODE) || one_in(2); /* in CCM, NULL means: how long tags are */
        break;
    case 2:
        call->number = EVP_CTRL_AEAD_GET_TAG;
        call->len = tag_lengths[below(sizeof(tag_lengths) / sizeof(tag_lengths[0]))];
        call->with_out = true;
        break;
    case 3:
        call->number = EVP_CTRL_AEAD_SET_IV_FIXED;
        /* With less behind it the provider fills in more than there is. */
        call->len = has_mode(EVP_CIPH_CCM_MODE) || (one_in(2) && iv_len >= FIXED + INVOCATION) ? FIXED : -1;
        call->with_in = true;
        break;
    case 4:
        call->number = EVP_CTRL_GCM_IV_GEN;
        call->len = (int)below(16);
        call->with_out = true;
        break;
    case 5:
        call->number = EVP_CTRL_GCM_SET_IV_INV;
        call->len = 1 + (int)below(iv_len > 0 && iv_len < INVOCATION ? (unsigned)iv_len : INVOCATION);
        call->with_in = true;
        break;
    default:
        call->number = EVP_CTRL_AEAD_SET_MAC_KEY;
        call->len = 20;
        call->with_in = true;
    }
    /* libcrypto would count in front of the IV. */
    if (call->number == EVP_CTRL_GCM_IV_GEN && iv_len < INVOCATION)
        call->number = EVP_CTRL_AEAD_GET_TAG;
}

static void make_up_record(struct call *call)
{
    unsigned char *aad = call->bytes + TEXT_MAX;

    call->name = "record";
    call->make = record;
    call->len = (int)below(TEXT_MAX);
    aad[11] = (unsigned char)(call->len >> 8);
    aad[12] = (unsigned char)call->len;
}

static void make_up(struct call *call)
{
    memset(call, 0, sizeof(*call));
    number_fill(&numbers, call->bytes, sizeof(call->bytes));
    switch (needs_key() ? 0 : below(12)) {
    case 0:
    case 1:
    case 2:
        make_up_init(call);
        break;
    case 3:
        call->name = "final";
        call->make = final;
        break;
    case 4:
        call->name = "copy";
        call->make = copy;
        break;
    case 5:
        call->name = "padding";
        call->make = set_padding;
        call->number = (int)below(2);
        break;
    case 6:
    case 7:
        make_up_command(call);
        break;
    case 8:
        if (is_aead() && iv_len >= INVOCATION) {
            make_up_record(call);
            break;
        }
        /* fall through */
    default:
        make_up_update(call);
    }
}

static void begin(ENGINE *engine, ENGINE *older)
{
    ENGINE *impls[ACTORS] = {[CARD] = engine, [OLDER] = older};

    for (enum who who = CARD; who < ACTORS; who++)
        actors[who] = (struct actor){impls[who], EVP_CIPHER_CTX_new(), true, NULL};
    cipher = EVP_get_cipherbynid(nids[which]);
    keyed = tag_is_old = tag_waits = has_length = false;
    iv_len = EVP_CIPHER_get_iv_length(cipher);
}

static void end(void)
{
    for (enum who who = CARD; who < ACTORS; who++) {
        EVP_CIPHER_CTX_free(actors[who].ctx);
        EVP_CIPHER_CTX_free(actors[who].before);
    }
    ERR_clear_error();
}

static bool run_script(ENGINE *engine, ENGINE *older, uint64_t seed)
{
    enum verdict verdict;
    struct call call;

    numbers.state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    which = (unsigned)(seed % CIPHERS);
    if (ENGINE_get_cipher(engine, nids[which]) == NULL)
        return true; /* CBC with HMAC needs AES instructions */
    begin(engine, older);
    make_up(&call);
    make_up_init(&call);
    call.name = "start";
    call.make = start;
    call.number = (int)below(2);
    for (unsigned calls = 0; calls < CALLS_MAX; calls++) {
        if (iv_len > OLDER_IV_MAX) /* they write behind it */
            actors[OLDER].agrees = false;
        verdict = make(&call);
        if (verdict != GOES_ON)
            break;
        keyed |= call.with_key;
        make_up(&call);
        if (has_mode(EVP_CIPH_GCM_MODE) && call.number == EVP_CTRL_AEAD_SET_IVLEN && call.make == command &&
            call.len > 0 && call.len <= 128)
            iv_len = call.len; /* or will have been, where it is not refused */
    }
    end();
    return verdict != FAULT;
}

/* ------------------------------------------------------------------------------------------------------ run
 */

static int older_ciphers(ENGINE *engine, const EVP_CIPHER **found, const int **list, int nid)
{
    (void)engine;
    if (found == NULL) {
        *list = nids;
        return CIPHERS;
    }
    *found = EVP_get_cipherbynid(nid);
    return *found != NULL;
}

/* The same for all, where an IV to count from is drawn. */
static int constant_bytes(unsigned char *out, int len)
{
    memset(out, 0x5c, (size_t)len);
    return 1;
}

static int constant_status(void)
{
    return 1;
}

int main(int argc, char **argv)
{
    static RAND_METHOD constant = {
        .bytes = constant_bytes, .pseudorand = constant_bytes, .status = constant_status};
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    unsigned long rounds = argc > 2 ? strtoul(argv[2], NULL, 0) : ROUNDS;
    ENGINE *engine, *older = ENGINE_new();

    test_begin(argc > 2 ? 0 : 140);
    engine = ways_engine("SYNC_OFFLOAD:1");
    CHECK(ENGINE_set_id(older, "older") && ENGINE_set_ciphers(older, older_ciphers));
    CHECK(RAND_set_rand_method(&constant));
    for (; rounds > 0; rounds--, seed++) {
        if (run_script(engine, older, seed))
            continue;
        fprintf(stderr,
            "seed %llu, %s: the engine lets the last call pass, and neither of libcrypto's does "
            "with the same result\n",
            (unsigned long long)seed, OBJ_nid2sn(nids[which]));
        trace = true;
        run_script(engine, older, seed);
        FAIL("see above");
    }
    for (which = 0; which < CIPHERS && argc < 2; which++) /* of each there was something to compare */
        CHECK(passed[which] > ROUNDS / CIPHERS || ENGINE_get_cipher(engine, nids[which]) == NULL);
    CHECK(engine_count(engine, "completed") > 0);
    CHECK(RAND_set_rand_method(NULL));
    ENGINE_free(older);
    engine_unload(engine);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* AES-CBC, ECB, CTR, CFB, OFB and XTS. */
#include "aes_text.h"

#include <openssl/crypto.h>
#include <string.h>

#include "aes_common.h"
#include "card.h"
#include "error.h"
#include "ersatz/assertion.h"
#include "offload.h"
#include "thresholds.h"

#define BLOCK AES_BLOCK

/* ---------------------------------------------------------------------------------------- one operation */

/* len is not 0. */
static inline bool is_small(const struct aes_text *text, size_t len)
{
    return threshold_keeps_some(text->threshold, len);
}

/* Whether the blocks of a text do not wait for each other. */
static inline bool is_parallel(const struct aes_text *text, enum ersatz_mode mode)
{
    return mode == ERSATZ_CTR || mode == ERSATZ_ECB || mode == ERSATZ_XTS ||
           (mode != ERSATZ_OFB && !text->encrypt);
}

/* Whether a text of any length stays here. */
static inline bool is_for_speed(const struct aes_text *text, enum ersatz_mode mode)
{
    return is_parallel(text, mode) && offload_is_for_speed();
}

static __attribute__((noinline)) int run_on_card(
    struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    struct ersatz_op op = ersatz_text_op(text->state, text->iv, out, in, len);
    uint8_t last[BLOCK];
    bool done;

    memcpy(last, in + len - BLOCK, BLOCK); /* in may be out */
    done = offload(&op, 1, false) == ERSATZ_OK;
    if (done)
        ersatz_next_iv(text->state, text->iv, last, out + len - BLOCK, len);
    OPENSSL_cleanse(last, BLOCK); /* it may be plaintext */
    return done;
}

static __attribute__((noinline)) int refuse_unkeyed(const struct aes_text *text)
{
    error_raise(REASON_INPUT,
        text->state == NULL
            ? "no key was set"
            : "no key was set for this direction, and this mode cannot use the other direction's key");
    return 0;
}

static inline int run_here(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    return ersatz_update_text(text->state, out, in, len, text->iv, text->stats);
}

/* Not inlined, so that a short text's way past it is short. */
static __attribute__((noinline)) int run_long(
    struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    return is_for_speed(text, text->mode) ? run_here(text, out, in, len) : run_on_card(text, out, in, len);
}

/* here: compute on the calling core, whatever the length, and without offload(). Makes the IV that of the
 * next text. A short text takes no longer than a few calls: so this ends with one, whose parameters are where
 * its own were. */
static inline int run(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len, bool here)
{
    if (__builtin_expect(!text->keyed, 0))
        return refuse_unkeyed(text);
    return here || is_small(text, len) ? run_here(text, out, in, len) : run_long(text, out, in, len);
}

/* ---------------------------------------------------------------------------------------- CBC, ECB, XTS */

static __attribute__((noinline)) int refuse_length(const char *mode, size_t len)
{
    error_raise(REASON_INPUT, "%zu bytes for AES-%s; expected a multiple of 16", len, mode);
    return 0;
}

static int cbc(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    if (len % BLOCK != 0)
        return refuse_length("CBC", len);
    return len == 0 || run(text, out, in, len, false);
}

int aes_text_update_all(struct aes_text *const *texts, unsigned count, uint8_t *const *outs,
    const uint8_t *const *ins, const size_t *lens)
{
    struct ersatz_op ops[AES_PIPES_MAX];
    uint8_t last[AES_PIPES_MAX][BLOCK];
    unsigned used = 0;
    size_t bytes = 0;
    bool done;

    ASSERT(count >= 1 && count <= AES_PIPES_MAX && texts[0]->mode == ERSATZ_CBC);
    for (unsigned i = 0; i < count; i++) {
        if (!texts[i]->keyed)
            return refuse_unkeyed(texts[i]);
        if (lens[i] % BLOCK != 0)
            return refuse_length("CBC", lens[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        if (lens[i] == 0)
            continue;
        memcpy(last[i], ins[i] + lens[i] - BLOCK, BLOCK); /* ins[i] may be outs[i] */
        ops[used++] = ersatz_text_op(texts[i]->state, texts[i]->iv, outs[i], ins[i], lens[i]);
        bytes += lens[i];
    }
    done = used == 0 || offload(ops, used, is_small(texts[0], bytes)) == ERSATZ_OK;
    for (unsigned i = 0; i < count && done; i++) {
        if (lens[i] != 0)
            ersatz_next_iv(texts[i]->state, texts[i]->iv, last[i], outs[i] + lens[i] - BLOCK, lens[i]);
    }
    OPENSSL_cleanse(last, sizeof(last)); /* it may be plaintext */
    return done;
}

/*
 * OpenSSL's random generator derives its key and counter with AES-ECB, which it fetches in the ordinary way,
 * up to three blocks at a time (ctr_update() and ctr_BCC_block() in libcrypto's drbg_ctr.c, all of 3.x). So
 * a front door that is the default for AES-ECB is called inside the generator. A pause there would let
 * another job into the half-updated generator. Therefore texts up to this length never leave the calling
 * core, whatever the threshold. is_key_stream() below does the same for the generator's output, which it
 * makes with AES-CTR.
 */
#define GENERATOR_ECB_MAX 48u

static int ecb(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    if (len % BLOCK != 0)
        return refuse_length("ECB", len);
    return run(text, out, in, len, len <= GENERATOR_ECB_MAX);
}

static int xts(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    if (!text->iv_set) {
        error_raise(REASON_INPUT, "no IV was set for this data unit of AES-XTS");
        return 0;
    }
    if (len < BLOCK) {
        error_raise(REASON_INPUT, "%zu bytes for AES-XTS; a data unit has at least 16", len);
        return 0;
    }
    return run(text, out, in, len, false);
}

/* -------------------------------------------------------------------------------------------------- CTR */

/*
 * OpenSSL's random generator makes its output by encrypting zeros in place with AES-CTR, which it fetches in
 * the ordinary way (drbg_ctr.c in libcrypto, all of 3.x). So zeros in place, which is how one asks for bare
 * key stream, never leave the calling core: see GENERATOR_ECB_MAX. The data may be secret: every byte is read
 * whatever the others are.
 */
static bool is_key_stream(const uint8_t *out, const uint8_t *in, size_t len)
{
    uint64_t seen = 0;

    if (in != out)
        return false;
    for (size_t i = 0; i + sizeof(seen) <= len; i += sizeof(seen)) {
        uint64_t word;

        memcpy(&word, in + i, sizeof(word));
        seen |= word;
    }
    return seen == 0;
}

/* The last bytes of a call that ends inside a block. The rest of the block's key stream stays for the next
 * call. */
static __attribute__((noinline)) bool ctr_tail(
    struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    memset(text->stream, 0, BLOCK);
    if (!run(text, text->stream, text->stream, BLOCK, true))
        return false;
    for (size_t i = 0; i < len; i++)
        out[i] = in[i] ^ text->stream[i];
    text->num = (unsigned)len;
    return true;
}

/* Whole blocks that are not few. Looks at the text only where that matters. */
static __attribute__((noinline)) int ctr_long(
    struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    bool here = is_for_speed(text, ERSATZ_CTR) || (offload_may_pause() && is_key_stream(out, in, len));

    return run(text, out, in, len, here);
}

static inline int ctr_blocks(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    return is_small(text, len) ? run(text, out, in, len, true) : ctr_long(text, out, in, len);
}

static int ctr(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len);

/* The call begins inside a block: first what is left of its key stream. */
static __attribute__((noinline)) int ctr_in_block(
    struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    unsigned num = text->num;

    if (num >= BLOCK)
        return 0;
    for (; num != 0 && len > 0; len--, num = (num + 1) % BLOCK)
        *out++ = *in++ ^ text->stream[num];
    text->num = num;
    return len == 0 || ctr(text, out, in, len);
}

/* Whole blocks take few instructions here: a short text takes no longer than a few calls. */
static int ctr(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    size_t whole = len - len % BLOCK;

    if (text->num != 0)
        return ctr_in_block(text, out, in, len);
    if (len == whole)
        return len == 0 || ctr_blocks(text, out, in, len);
    return (whole == 0 || ctr_blocks(text, out, in, whole)) &&
           ctr_tail(text, out + whole, in + whole, len - whole);
}

/* --------------------------------------------------------------------------------------------- CFB, OFB */

/* Replace the IV by its key stream. In both modes and both directions that is what zeros become. */
static bool turn_iv(struct aes_text *text)
{
    static const uint8_t zeros[BLOCK];
    uint8_t stream[BLOCK];
    bool done = run(text, stream, zeros, BLOCK, true);

    if (done)
        memcpy(text->iv, stream, BLOCK);
    OPENSSL_cleanse(stream, BLOCK);
    return done;
}

/* Up to len bytes with the key stream in the IV, from byte text->num on. Returns how many. */
static size_t within_block(
    struct aes_text *text, enum ersatz_mode mode, uint8_t *out, const uint8_t *in, size_t len)
{
    unsigned at = text->num;
    size_t done = 0;

    for (; done < len && at < BLOCK; done++, at++) {
        uint8_t before = in[done];

        out[done] = before ^ text->iv[at];
        if (mode == ERSATZ_CFB)
            text->iv[at] = text->encrypt ? out[done] : before;
    }
    text->num = at % BLOCK;
    return done;
}

static __attribute__((noinline)) int feedback_in_block(
    struct aes_text *text, enum ersatz_mode mode, uint8_t *out, const uint8_t *in, size_t len)
{
    size_t done = 0, whole;

    if (text->num >= BLOCK)
        return 0;
    if (text->num != 0)
        done = within_block(text, mode, out, in, len);
    whole = (len - done) - (len - done) % BLOCK;
    if (whole > 0 && !run(text, out + done, in + done, whole, false))
        return 0;
    done += whole;
    if (done == len)
        return 1;
    if (!turn_iv(text))
        return 0;
    within_block(text, mode, out + done, in + done, len - done);
    return 1;
}

/* Whole blocks take few instructions here, as in ctr(). */
static inline int feedback(
    struct aes_text *text, enum ersatz_mode mode, uint8_t *out, const uint8_t *in, size_t len)
{
    if (text->num != 0 || len % BLOCK != 0 || len == 0)
        return feedback_in_block(text, mode, out, in, len);
    return run(text, out, in, len, false);
}

static int cfb(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    return feedback(text, ERSATZ_CFB, out, in, len);
}

static int ofb(struct aes_text *text, uint8_t *out, const uint8_t *in, size_t len)
{
    return feedback(text, ERSATZ_OFB, out, in, len);
}

/* ---------------------------------------------------------------------------------------- keys and copies */

void aes_text_init(struct aes_text *text, enum ersatz_mode mode, size_t key_len, uint8_t *iv)
{
    static int (*const updates[ERSATZ_MODES])(struct aes_text *, uint8_t *, const uint8_t *, size_t) = {
        [ERSATZ_CBC] = cbc,
        [ERSATZ_ECB] = ecb,
        [ERSATZ_XTS] = xts,
        [ERSATZ_CTR] = ctr,
        [ERSATZ_CFB] = cfb,
        [ERSATZ_OFB] = ofb,
    };
    unsigned key_bits = (unsigned)key_len * 8 / (mode == ERSATZ_XTS ? 2 : 1);

    ASSERT(updates[mode] != NULL);
    *text = (struct aes_text){
        .iv = iv,
        .update = updates[mode],
        .stats = card_stats(),
        .mode = mode,
        .threshold = &thresholds_from_default[mode][threshold_size(key_bits)],
        .ready = &thresholds_none,
        .key_len = key_len,
    };
}

void aes_text_cleanup(struct aes_text *text)
{
    ersatz_cipher_free(text->state);
    OPENSSL_cleanse(text, sizeof(*text));
}

/* Whether the mode only ever encrypts with the block cipher, so that a key serves both directions. */
static bool can_turn(enum ersatz_mode mode)
{
    return mode != ERSATZ_CBC && mode != ERSATZ_ECB && mode != ERSATZ_XTS;
}

static void set_keyed(struct aes_text *text, bool keyed)
{
    text->keyed = keyed;
    text->ready = keyed && (text->iv_set || text->mode != ERSATZ_XTS) ? text->threshold : &thresholds_none;
}

bool aes_text_set_key(struct aes_text *text, const uint8_t *key, bool encrypt)
{
    text->encrypt = encrypt;
    if (key == NULL && text->state != NULL && !can_turn(text->mode)) {
        set_keyed(text, text->key_encrypts == encrypt); /* else libcrypto would use the wrong round keys */
        return true;
    }
    set_keyed(text, false);
    if (!aes_set_key(&text->state, text->mode, key, text->key_len, encrypt))
        return false;
    set_keyed(text, text->state != NULL);
    text->key_encrypts = encrypt;
    return true;
}

bool aes_text_dup(const struct aes_text *from, struct aes_text *to)
{
    return aes_dup_state(from->state, &to->state);
}

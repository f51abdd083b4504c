/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-CBC, AES-CTR, AES-ECB and AES-XTS, and what AES-CFB and AES-OFB share with them. These carry no more
 * from one call to the next than EVP keeps itself (the IV or counter, and for CTR a block of key stream), so
 * each call is an operation that stands alone.
 */
#include <limits.h>
#include <string.h>

#include "cipher.h"
#include "driver/card.h"
#include "driver/error.h"
#include "driver/offload.h"
#include "driver/thresholds.h"

#define BLOCK 16u

struct data {
    struct ersatz_cipher *state; /* NULL until a key was set */
    bool keyed;                  /* it was, for the direction that the context has now */
    bool key_encrypts;           /* the direction it was set for */
    bool tweak_set;              /* XTS: an IV was; EVP keeps it, but does not tell zeros from none */
    /* Where the context has its IV; asking libcrypto each time would take longer than a short operation. It
     * is that of another context if these data were copied from there. */
    EVP_CIPHER_CTX *iv_of;
    unsigned char *iv;
    unsigned key_size; /* as the thresholds count them */
    bool in_a_block;   /* CTR: there may be key stream left; false: there is none, whatever libcrypto says */
};

static unsigned char *iv_of(EVP_CIPHER_CTX *ctx, struct data *data)
{
    if (data->iv_of != ctx) {
        data->iv = EVP_CIPHER_CTX_iv_noconst(ctx);
        data->iv_of = ctx;
    }
    return data->iv;
}

unsigned char *cipher_blocks_iv(EVP_CIPHER_CTX *ctx)
{
    return iv_of(ctx, EVP_CIPHER_CTX_get_cipher_data(ctx));
}

static enum ersatz_mode mode_of(EVP_CIPHER_CTX *ctx)
{
    switch (EVP_CIPHER_CTX_get_mode(ctx)) {
    case EVP_CIPH_CBC_MODE:
        return ERSATZ_CBC;
    case EVP_CIPH_CTR_MODE:
        return ERSATZ_CTR;
    case EVP_CIPH_ECB_MODE:
        return ERSATZ_ECB;
    case EVP_CIPH_CFB_MODE:
        return ERSATZ_CFB;
    case EVP_CIPH_OFB_MODE:
        return ERSATZ_OFB;
    default:
        return ERSATZ_XTS;
    }
}

static bool is_small(const struct data *data, enum ersatz_mode mode, size_t len)
{
    return threshold_keeps(mode, data->key_size, len);
}

/* Whether the block cipher only ever encrypts, so that a key is as good for one direction as for the other.
 */
static bool can_turn(enum ersatz_mode mode)
{
    return mode != ERSATZ_CBC && mode != ERSATZ_ECB && mode != ERSATZ_XTS;
}

static bool set_key(struct data *data, enum ersatz_mode mode, const unsigned char *key, int len, int encrypt)
{
    if (key == NULL && data->state != NULL && !can_turn(mode)) {
        data->keyed = data->key_encrypts == (encrypt != 0); /* libcrypto would put out nonsense */
        return true;
    }
    data->keyed = false;
    if (!cipher_set_key(&data->state, mode, key, len, encrypt))
        return false;
    data->keyed = data->state != NULL;
    data->key_encrypts = encrypt != 0;
    return true;
}

static int init(EVP_CIPHER_CTX *ctx, const unsigned char *key, const unsigned char *iv, int encrypt)
{
    struct data *data = EVP_CIPHER_CTX_get_cipher_data(ctx);
    enum ersatz_mode mode = mode_of(ctx);

    if (iv != NULL && mode == ERSATZ_XTS) { /* the flag for a custom IV leaves it to us */
        memcpy(iv_of(ctx, data), iv, BLOCK);
        data->tweak_set = true;
    }
    data->key_size = threshold_size((unsigned)cipher_key_length(ctx) * 8 / (mode == ERSATZ_XTS ? 2 : 1));
    return set_key(data, mode, key, cipher_key_length(ctx), encrypt);
}

static int cleanup(EVP_CIPHER_CTX *ctx)
{
    struct data *data = EVP_CIPHER_CTX_get_cipher_data(ctx);

    if (data != NULL) {
        ersatz_cipher_free(data->state);
        data->state = NULL;
    }
    return cipher_cleaned_up(ctx);
}

static int ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr)
{
    struct data *data = EVP_CIPHER_CTX_get_cipher_data(ctx);

    (void)arg;
    switch (type) {
    case EVP_CTRL_RAND_KEY:
        return cipher_random_key(ctx, ptr);
    case EVP_CTRL_COPY:
        return ptr != NULL &&
               cipher_copy(data->state, &((struct data *)EVP_CIPHER_CTX_get_cipher_data(ptr))->state);
    default:
        return -1; /* not a command of these modes */
    }
}

/* On the calling core. A short text takes no longer than the way to here: it goes past offload(). */
static inline bool run_here(
    struct data *data, const unsigned char *iv, unsigned char *out, const unsigned char *in, size_t len)
{
    enum ersatz_result result = ersatz_compute_text(data->state, iv, out, in, len, card_stats());

    if (result != ERSATZ_OK)
        error_raise_result(result);
    return result == ERSATZ_OK;
}

static __attribute__((noinline)) bool run_on_card(
    struct data *data, const unsigned char *iv, unsigned char *out, const unsigned char *in, size_t len)
{
    struct ersatz_op op = ersatz_text_op(data->state, iv, out, in, len);

    return offload(&op, false) == ERSATZ_OK;
}

static inline bool run(EVP_CIPHER_CTX *ctx, struct data *data, enum ersatz_mode mode, unsigned char *out,
    const unsigned char *in, size_t len, bool here)
{
    const unsigned char *iv = mode == ERSATZ_ECB ? NULL : iv_of(ctx, data);

    if (!data->keyed) {
        error_raise(REASON_INPUT, data->state == NULL ? "no key was set"
                                                      : "no key was set for this direction; in this mode the "
                                                        "other one's does not do");
        return false;
    }
    return here || is_small(data, mode, len) ? run_here(data, iv, out, in, len)
                                             : run_on_card(data, iv, out, in, len);
}

bool cipher_blocks_run(EVP_CIPHER_CTX *ctx, enum ersatz_mode mode, unsigned char *out,
    const unsigned char *in, size_t len, bool here)
{
    return run(ctx, EVP_CIPHER_CTX_get_cipher_data(ctx), mode, out, in, len, here);
}

static bool is_whole_blocks(const char *mode, size_t len)
{
    if (len % BLOCK == 0)
        return true;
    error_raise(REASON_INPUT, "%zu bytes for AES-%s; expected a multiple of 16", len, mode);
    return false;
}

static int cbc(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    struct data *data = EVP_CIPHER_CTX_get_cipher_data(ctx);
    unsigned char last[BLOCK];
    bool encrypting = EVP_CIPHER_CTX_is_encrypting(ctx);

    if (!is_whole_blocks("CBC", len))
        return 0;
    if (len == 0)
        return 1;
    if (!encrypting)
        memcpy(last, in + len - BLOCK, BLOCK); /* in may be out */
    if (!run(ctx, data, ERSATZ_CBC, out, in, len, false))
        return 0;
    memcpy(iv_of(ctx, data), encrypting ? out + len - BLOCK : last, BLOCK);
    return 1;
}

/*
 * OpenSSL's random generator derives its key and counter with AES-ECB, through the ordinary route, up to
 * three blocks at a time (ctr_update() and ctr_BCC_block() in libcrypto's drbg_ctr.c, all of 3.x): this
 * engine is called inside it when it is the default for AES-ECB. A pause there would let another job into the
 * half-updated generator. So what is not longer never leaves the calling core, whatever the threshold;
 * is_key_stream() below is the counterpart for the generator's output, which it makes with AES-CTR.
 */
#define GENERATOR_ECB_MAX 48u

static int ecb(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    if (!is_whole_blocks("ECB", len))
        return 0;
    return cipher_blocks_run(ctx, ERSATZ_ECB, out, in, len, len <= GENERATOR_ECB_MAX);
}

/*
 * OpenSSL's random generator makes its output by encrypting zeros in place with AES-CTR, through the ordinary
 * route: this engine is called inside it when it is the default for AES-CTR (drbg_ctr.c in libcrypto, all
 * of 3.x). A pause there would let another job into the half-updated generator. So zeros in place, which is
 * what asking for bare key stream looks like, never leave the calling core. Every byte is looked at whatever
 * the others are: the data may be secret.
 */
static bool is_key_stream(const unsigned char *out, const unsigned char *in, size_t len)
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

static uint64_t load_be(const unsigned char *in)
{
    uint64_t value;

    memcpy(&value, in, sizeof(value));
    return __builtin_bswap64(value);
}

/* Written in one piece, since the next operation reads it so: a processor forwards only whole stores at once.
 */
static void add_to_counter(unsigned char *counter, uint64_t blocks)
{
    typedef uint64_t pair __attribute__((vector_size(BLOCK)));
    uint64_t high = load_be(counter), low = load_be(counter + 8) + blocks;
    pair sum;

    high += low < blocks;
    sum = (pair){__builtin_bswap64(high), __builtin_bswap64(low)};
    memcpy(counter, &sum, BLOCK);
}

/* How much of a block's key stream is used up; 0: none waits. Asking libcrypto is needed only where some may
 * wait: it starts over when a new IV is set. */
static unsigned get_used(const EVP_CIPHER_CTX *ctx, const struct data *data)
{
    return data->in_a_block ? (unsigned)EVP_CIPHER_CTX_get_num(ctx) : 0;
}

static int set_used(EVP_CIPHER_CTX *ctx, struct data *data, unsigned used)
{
    data->in_a_block = used != 0;
    return EVP_CIPHER_CTX_set_num(ctx, (int)used);
}

/* The last bytes of a call that ends inside a block: the rest of that block's key stream waits for the next
 * call. */
static bool ctr_tail(
    EVP_CIPHER_CTX *ctx, struct data *data, unsigned char *out, const unsigned char *in, size_t len)
{
    unsigned char *stream = EVP_CIPHER_CTX_buf_noconst(ctx);

    memset(stream, 0, BLOCK);
    if (!run(ctx, data, ERSATZ_CTR, stream, stream, BLOCK, true))
        return false;
    add_to_counter(iv_of(ctx, data), 1);
    for (size_t i = 0; i < len; i++)
        out[i] = in[i] ^ stream[i];
    return set_used(ctx, data, (unsigned)len);
}

/* Whether a whole number of blocks is for the calling core; the text is looked at only if it matters. */
static bool ctr_stays_here(
    const struct data *data, const unsigned char *out, const unsigned char *in, size_t len)
{
    return is_small(data, ERSATZ_CTR, len) || (offload_may_pause() && is_key_stream(out, in, len));
}

static int ctr(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    struct data *data = EVP_CIPHER_CTX_get_cipher_data(ctx);
    unsigned used = get_used(ctx, data);
    size_t whole;

    if (used >= BLOCK)
        return 0;
    if (used != 0) {
        const unsigned char *stream = EVP_CIPHER_CTX_buf_noconst(ctx);

        for (; used != 0 && len > 0; len--, used = (used + 1) % BLOCK)
            *out++ = *in++ ^ stream[used];
        set_used(ctx, data, used);
    }
    whole = len - len % BLOCK;
    if (whole > 0) {
        if (!run(ctx, data, ERSATZ_CTR, out, in, whole, ctr_stays_here(data, out, in, whole)))
            return 0;
        add_to_counter(iv_of(ctx, data), whole / BLOCK);
    }
    return len == whole || ctr_tail(ctx, data, out + whole, in + whole, len - whole);
}

static int xts(EVP_CIPHER_CTX *ctx, unsigned char *out, const unsigned char *in, size_t len)
{
    const struct data *data = EVP_CIPHER_CTX_get_cipher_data(ctx);

    if (!data->tweak_set) {
        error_raise(REASON_INPUT, "no IV was set for this data unit of AES-XTS");
        return 0;
    }
    if (len < BLOCK) {
        error_raise(REASON_INPUT, "%zu bytes for AES-XTS; a data unit has at least 16", len);
        return 0;
    }
    return cipher_blocks_run(ctx, ERSATZ_XTS, out, in, len, false);
}

int cipher_blocks_define(EVP_CIPHER *cipher, enum ersatz_mode mode)
{
    static const struct {
        unsigned long flags;
        int (*run)(EVP_CIPHER_CTX *, unsigned char *, const unsigned char *, size_t);
    } own[ERSATZ_MODES] = {
        /* Called without a key, too, init() learns of the direction. */
        [ERSATZ_CBC] = {EVP_CIPH_CBC_MODE | EVP_CIPH_ALWAYS_CALL_INIT, cbc},
        [ERSATZ_CTR] = {EVP_CIPH_CTR_MODE, ctr},
        [ERSATZ_ECB] = {EVP_CIPH_ECB_MODE | EVP_CIPH_ALWAYS_CALL_INIT, ecb},
        [ERSATZ_CFB] = {EVP_CIPH_CFB_MODE | EVP_CIPH_ALWAYS_CALL_INIT, cipher_cfb},
        [ERSATZ_OFB] = {EVP_CIPH_OFB_MODE, cipher_ofb},
        [ERSATZ_XTS] = {EVP_CIPH_XTS_MODE | EVP_CIPH_CUSTOM_IV | EVP_CIPH_ALWAYS_CALL_INIT, xts},
    };

    return EVP_CIPHER_meth_set_flags(cipher,
               own[mode].flags | EVP_CIPH_FLAG_DEFAULT_ASN1 | EVP_CIPH_CUSTOM_COPY | EVP_CIPH_RAND_KEY) &&
           EVP_CIPHER_meth_set_impl_ctx_size(cipher, sizeof(struct data)) &&
           EVP_CIPHER_meth_set_init(cipher, init) && EVP_CIPHER_meth_set_do_cipher(cipher, own[mode].run) &&
           EVP_CIPHER_meth_set_cleanup(cipher, cleanup) && EVP_CIPHER_meth_set_ctrl(cipher, ctrl);
}

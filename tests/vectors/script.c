/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of calls to EVP, made up from a number, and what came of them. */
#include "script.h"

#include <openssl/aes.h>
#include <openssl/err.h>
#include <openssl/modes.h>
#include <openssl/rand.h>
#include <stdarg.h>

#include "check.h"

#define BLOCK 16
#define TAG 16
#define EXPLICIT_IV 8
#define AROUND 64 /* room at both sides of a text */
#define MESSAGES_MAX 6u
#define PIECES_MAX 5u

/* Before, between and after the texts lies room that nobody may write to. */
static unsigned char arena[2 * SCRIPT_TEXT_MAX + 4 * AROUND];

struct script {
    const struct implementation *whose;
    struct transcript *transcript;
    uint64_t state;
    EVP_CIPHER_CTX *ctx, *copy;
    bool copied; /* copy goes on with the message too */
    bool encrypt, padding, has_key, has_iv, ended;
    unsigned char key[64], iv[128];
    int iv_len; /* of GCM */
    int mode;
};

/* --------------------------------------------------------------------------------------------- made up */

static uint64_t next(uint64_t *state)
{
    /* splitmix64: Steele, Lea and Flood 2014 */
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static unsigned below(struct script *s, unsigned limit)
{
    return (unsigned)(next(&s->state) % limit);
}

static bool one_in(struct script *s, unsigned times)
{
    return below(s, times) == 0;
}

static void fill(struct script *s, unsigned char *out, size_t len)
{
    for (; len >= 8; len -= 8, out += 8) {
        uint64_t word = next(&s->state);

        memcpy(out, &word, 8);
    }
    for (; len > 0; len--)
        *out++ = (unsigned char)next(&s->state);
}

/* The library's random bytes while a script runs: those of SET_IV_FIXED have to repeat too. The card's
 * workers have their own. */
static _Thread_local uint64_t random_state;

static int repeatable_bytes(unsigned char *out, int len)
{
    for (int i = 0; i < len; i++)
        out[i] = (unsigned char)next(&random_state);
    return 1;
}

static int random_is_there(void)
{
    return 1;
}

void make_random_repeat(uint64_t number)
{
    static RAND_METHOD method;

    random_state = number;
    method.bytes = method.pseudorand = repeatable_bytes;
    method.status = random_is_there;
    CHECK(RAND_set_rand_method(&method));
}

/* Lengths where something may go wrong: none, within a block, about a block, about a threshold, long. */
static int length(struct script *s)
{
    static const int thresholds[] = {64, 256, 2048, 4096, 16384};
    unsigned which = below(s, 16);

    if (one_in(s, 250))
        return (int)below(s, SCRIPT_TEXT_MAX);
    if (which < 4)
        return (int)below(s, 2 * BLOCK);
    if (which < 8)
        return BLOCK * (int)below(s, 40) - 1 + (int)below(s, 3) > 0 ? BLOCK * (1 + (int)below(s, 40)) : 0;
    if (which < 12)
        return thresholds[below(s, 5)] - 2 + (int)below(s, 5);
    if (which < 13)
        return 0;
    return (int)below(s, 5000);
}

/* A counter that is about to wrap in its low 32, 64, 96 or 128 bits, or any. */
static void make_iv(struct script *s)
{
    fill(s, s->iv, sizeof(s->iv));
    if (one_in(s, 2)) {
        unsigned ones = 4 * (1 + below(s, 4));

        memset(s->iv + BLOCK - ones, 0xff, ones);
        s->iv[BLOCK - 1] = (unsigned char)(0xff - below(s, 4));
    }
}

/* ----------------------------------------------------------------------------------------- written down */

uint64_t transcript_digest(const unsigned char *bytes, size_t len)
{
    uint64_t value = UINT64_C(0xcbf29ce484222325); /* FNV-1a, eight bytes at a time */

    for (; len >= 8; len -= 8, bytes += 8) {
        uint64_t word;

        memcpy(&word, bytes, 8);
        value = (value ^ word) * UINT64_C(0x100000001b3);
        value ^= value >> 29;
    }
    for (; len > 0; len--)
        value = (value ^ *bytes++) * UINT64_C(0x100000001b3);
    return value;
}

static void write_line(
    struct transcript *transcript, bool failed, bool plain, const char *format, va_list arguments)
{
    struct line *line = &transcript->lines[transcript->count++];

    CHECK(transcript->count < SCRIPT_LINES_MAX);
    vsnprintf(line->text, sizeof(line->text), format, arguments);
    line->failed = failed;
    line->error = ERR_peek_error() != 0;
    line->plain = plain;
    ERR_clear_error();
}

void transcript_note(struct transcript *transcript, bool failed, bool plain, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(transcript, failed, plain, format, arguments);
    va_end(arguments);
}

__attribute__((format(printf, 4, 5))) static void note(
    struct script *s, bool failed, bool plain, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_line(s->transcript, failed, plain, format, arguments);
    va_end(arguments);
}

/* A call that has to fail is next: from here on the script is not for providers, which keep other states
 * after failures. */
static void be_illegal(struct script *s)
{
    s->transcript->legal = false;
}

static void look_around(struct script *s, EVP_CIPHER_CTX *ctx)
{
    unsigned char iv[EVP_MAX_IV_LENGTH] = {0};
    bool has_iv = s->mode != EVP_CIPH_GCM_MODE && s->has_iv;

    note(s, false, false,
        "look: nid %d, block %d, key %d, IV %d, mode %d, num %d, encrypting %d, IV now %llx",
        EVP_CIPHER_CTX_get_nid(ctx), EVP_CIPHER_CTX_get_block_size(ctx), EVP_CIPHER_CTX_get_key_length(ctx),
        EVP_CIPHER_CTX_get_iv_length(ctx), (int)EVP_CIPHER_CTX_get_mode(ctx),
        s->mode == EVP_CIPH_CTR_MODE ? EVP_CIPHER_CTX_get_num(ctx) : 0, EVP_CIPHER_CTX_is_encrypting(ctx),
        has_iv ? (unsigned long long)transcript_digest(EVP_CIPHER_CTX_iv(ctx), BLOCK) : 0);
    note(s, false, false, "look: updated IV %d, original IV %d, original %llx, tag length %d",
        EVP_CIPHER_CTX_get_updated_iv(ctx, iv, sizeof(iv)),
        EVP_CIPHER_CTX_get_original_iv(ctx, iv, sizeof(iv)),
        has_iv ? (unsigned long long)transcript_digest(EVP_CIPHER_CTX_original_iv(ctx), BLOCK) : 0,
        EVP_CIPHER_CTX_get_tag_length(ctx));
}

/* ----------------------------------------------------------------------------------------------- calls */

struct text {
    unsigned char *in, *out;
    size_t span; /* of the arena, that the call may write to */
};

/* Fill in len bytes, in place or not. Every byte near them is known before and looked at afterwards. */
static struct text place(struct script *s, size_t len, bool in_place)
{
    struct text text = {.in = arena + AROUND};

    text.out = in_place ? text.in : text.in + len + AROUND;
    text.span = (in_place ? len : 2 * len + AROUND) + 2 * AROUND;
    memset(arena, 0xa5, text.span + AROUND);
    fill(s, text.in, len);
    return text;
}

static unsigned long long arena_digest(const struct text *text)
{
    return transcript_digest(arena, text->span);
}

/* EVP refuses in place where it holds a block back: then the call is made apart. */
static bool may_be_in_place(const struct script *s)
{
    return s->mode != EVP_CIPH_CBC_MODE;
}

static void update_one(struct script *s, EVP_CIPHER_CTX *ctx, struct text text, int len)
{
    int got = -1;
    int done = EVP_CipherUpdate(ctx, text.out, &got, text.in, len);

    /* A provider's CBC leaves other bytes behind what it gives out. */
    note(s, done != 1, true, "update of %d: %d, %d, %llx", len, done, got,
        done == 1 && got >= 0 ? (unsigned long long)transcript_digest(text.out, (size_t)got) : 0);
    if (done == 1)
        note(s, false, false, "update left %llx", arena_digest(&text));
}

static void update(struct script *s, int len)
{
    bool in_place = may_be_in_place(s) && one_in(s, 2);
    uint64_t before = s->state;
    struct text text = place(s, (size_t)len, in_place);

    update_one(s, s->ctx, text, len);
    if (s->copied) {
        s->state = before;
        text = place(s, (size_t)len, in_place);
        update_one(s, s->copy, text, len);
    }
}

static void associated_data(struct script *s, int len)
{
    struct text text = place(s, (size_t)len, true);
    int got = -1, done = EVP_CipherUpdate(s->ctx, NULL, &got, text.in, len);

    note(s, done != 1, true, "AAD of %d: %d, %d", len, done, got);
    if (s->copied) {
        done = EVP_CipherUpdate(s->copy, NULL, &got, text.in, len);
        note(s, done != 1, true, "AAD of %d in the copy: %d, %d", len, done, got);
    }
}

/* Past EVP's buffering: whole blocks for CBC. */
static void direct(struct script *s, int len)
{
    struct text text = place(s, (size_t)len, one_in(s, 2));
    int done = EVP_Cipher(s->ctx, text.out, text.in, (unsigned)len);

    note(s, done <= 0, false, "EVP_Cipher of %d: %d, %llx", len, done, arena_digest(&text));
}

static void overlapping(struct script *s)
{
    int len = BLOCK + (int)below(s, 100), got = -1;
    struct text text = place(s, (size_t)len, true);
    int done;

    be_illegal(s);
    text.out += 1 + below(s, BLOCK - 1);
    done = EVP_CipherUpdate(s->ctx, text.out, &got, text.in, len);
    note(s, done != 1, false, "update that overlaps: %d, %llx", done, arena_digest(&text));
}

static void final_one(struct script *s, EVP_CIPHER_CTX *ctx)
{
    unsigned char out[2 * BLOCK] = {0};
    int got = -1, done = EVP_CipherFinal_ex(ctx, out, &got);

    s->ended = done == 1;
    note(s, done != 1, true, "final: %d, %d, %llx", done, done == 1 ? got : 0,
        done == 1 ? (unsigned long long)transcript_digest(out, sizeof(out)) : 0);
}

static void final(struct script *s)
{
    final_one(s, s->ctx);
    if (s->copied)
        final_one(s, s->copy);
}

static void make_copy(struct script *s)
{
    int done = EVP_CIPHER_CTX_copy(s->copy, s->ctx);

    note(s, done != 1, true, "copy: %d", done);
    s->copied = done == 1;
}

/* The message is over; one of the two goes on to the next. */
static void drop_copy(struct script *s)
{
    if (s->copied && one_in(s, 2)) {
        EVP_CIPHER_CTX *ctx = s->ctx;

        s->ctx = s->copy;
        s->copy = ctx;
    }
    s->copied = false;
}

static bool init(struct script *s, bool with_cipher, bool with_key, bool with_iv)
{
    bool as_before = !with_cipher && EVP_CIPHER_CTX_is_encrypting(s->ctx) == s->encrypt;
    const EVP_CIPHER *cipher = with_cipher ? s->whose->cipher : NULL;
    int done = EVP_CipherInit_ex(s->ctx, cipher, s->whose->engine, with_key ? s->key : NULL,
        with_iv ? s->iv : NULL, as_before && one_in(s, 2) ? -1 : s->encrypt);

    note(s, done != 1, true, "init%s%s%s: %d", with_cipher ? " cipher" : "", with_key ? " key" : "",
        with_iv ? " IV" : "", done);
    s->has_key |= with_key;
    s->has_iv |= with_iv;
    return done == 1;
}

static int control(struct script *s, const char *name, int type, int number, void *pointer)
{
    int done = EVP_CIPHER_CTX_ctrl(s->ctx, type, number, pointer);

    note(s, done <= 0, true, "%s %d: %d", name, number, done);
    return done;
}

/* Key and IV at once or apart, in either order. */
static void set_key_and_iv(struct script *s, bool with_cipher)
{
    switch (below(s, 3)) {
    case 0:
        init(s, with_cipher, true, true);
        break;
    case 1:
        init(s, with_cipher, true, false);
        init(s, false, false, true);
        break;
    default:
        /* libcrypto's older GCM forgets an IV that is set between two keys; its provider's keeps it. */
        if (s->mode == EVP_CIPH_GCM_MODE && s->has_key)
            s->transcript->provider_only = true;
        init(s, with_cipher, false, true);
        init(s, false, true, false);
    }
}

/* A context that is new, or was reset, or goes on to the cipher once more; and what is set before a message.
 */
static void start(struct script *s, bool first)
{
    bool anew = first || one_in(s, 6);

    if (anew && !first) {
        EVP_CIPHER_CTX_reset(s->ctx);
        s->has_key = s->has_iv = false;
    }
    s->iv_len = anew ? 12 : s->iv_len;
    if (anew || one_in(s, 3))
        s->encrypt = one_in(s, 2);
    else if (s->has_key && one_in(s, 3)) { /* the same key, another IV; */
        /* and, where encryption and decryption have one key schedule, perhaps another direction */
        if ((s->mode == EVP_CIPH_GCM_MODE || s->mode == EVP_CIPH_CTR_MODE) && one_in(s, 2))
            s->encrypt = !s->encrypt;
        make_iv(s);
        init(s, false, false, true);
        return;
    }
    fill(s, s->key, sizeof(s->key));
    make_iv(s);
    if (s->mode == EVP_CIPH_GCM_MODE && one_in(s, 2)) {
        init(s, anew, false, false);
        s->iv_len = 1 + (int)below(s, one_in(s, 2) ? 16 : 128);
        control(s, "IV length", EVP_CTRL_AEAD_SET_IVLEN, s->iv_len, NULL);
        anew = false;
    }
    set_key_and_iv(s, anew);
}

/* -------------------------------------------------------------------------------------- CBC, CTR and XTS */

/* Between two calls of a message: something that must not disturb it, or be refused. */
static void disturb(struct script *s)
{
    switch (below(s, 12)) {
    case 0:
        look_around(s, s->ctx);
        break;
    case 1:
        if (!s->copied)
            make_copy(s);
        break;
    case 2:
        /* libcrypto's older GCM ends the associated data there, in the middle of a block; its provider's
         * takes no notice. */
        if (s->mode == EVP_CIPH_GCM_MODE)
            s->transcript->provider_only = true;
        else if (s->mode == EVP_CIPH_XTS_MODE)
            be_illegal(s); /* for a provider; EVP lets it pass by an engine */
        update(s, 0);
        break;
    case 3:
        if (one_in(s, 4))
            overlapping(s);
        break;
    case 4:
        if (s->mode != EVP_CIPH_GCM_MODE && one_in(s, 2)) {
            be_illegal(s);
            control(s, "no such command", EVP_CTRL_GET_RC2_KEY_BITS, 0, NULL);
        }
        break;
    }
}

static void block_message(struct script *s)
{
    unsigned pieces = below(s, PIECES_MAX + 1);

    s->padding = one_in(s, 2);
    EVP_CIPHER_CTX_set_padding(s->ctx, s->padding);
    for (unsigned i = 0; i < pieces; i++) {
        int len = length(s);

        disturb(s);
        update(s, len);
    }
    final(s);
    look_around(s, s->ctx);
    drop_copy(s);
    if (one_in(s, 4)) { /* the buffers of EVP may hold part of a block: start again */
        init(s, false, false, true);
        direct(s, s->mode == EVP_CIPH_CBC_MODE ? length(s) / BLOCK * BLOCK : length(s));
        look_around(s, s->ctx);
    }
}

static void xts_message(struct script *s)
{
    unsigned units = 1 + below(s, 3);

    for (unsigned i = 0; i < units; i++) {
        int len = length(s);

        disturb(s);
        update(s, len < BLOCK ? len + BLOCK : len);
        if (one_in(s, 8)) {
            be_illegal(s);
            update(s, 1 + (int)below(s, BLOCK - 1));
        }
        if (one_in(s, 4))
            direct(s, BLOCK + length(s));
        look_around(s, s->ctx);
    }
    if (one_in(s, 10)) {
        be_illegal(s);
        memcpy(s->key + EVP_CIPHER_CTX_get_key_length(s->ctx) / 2, s->key,
            (size_t)EVP_CIPHER_CTX_get_key_length(s->ctx) / 2);
        init(s, false, true, false); /* equal halves */
        EVP_CIPHER_CTX_reset(s->ctx);
        fill(s, s->key, sizeof(s->key));
        init(s, true, true, true);
    }
    drop_copy(s);
}

/* ------------------------------------------------------------------------------------------------ GCM */

/* What GCM ought to give, from libcrypto's lowest layer: neither EVP nor any engine is in it. */
static void seal(struct script *s, const unsigned char *iv, size_t iv_len, const unsigned char *aad,
    size_t aad_len, unsigned char *text, size_t len, unsigned char tag[TAG])
{
    AES_KEY key;
    GCM128_CONTEXT *gcm;

    CHECK(AES_set_encrypt_key(s->key, EVP_CIPHER_CTX_get_key_length(s->ctx) * 8, &key) == 0);
    gcm = CRYPTO_gcm128_new(&key, (block128_f)AES_encrypt);
    CRYPTO_gcm128_setiv(gcm, iv, iv_len);
    CHECK(CRYPTO_gcm128_aad(gcm, aad, aad_len) == 0);
    CHECK(CRYPTO_gcm128_encrypt(gcm, text, text, len) == 0);
    CRYPTO_gcm128_tag(gcm, tag, TAG);
    CRYPTO_gcm128_release(gcm);
}

static void get_tag(struct script *s, EVP_CIPHER_CTX *ctx, int len)
{
    unsigned char tag[TAG + 4] = {0};
    int done = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, len, tag);

    note(s, done <= 0, true, "get tag %d: %d, %llx", len, done,
        (unsigned long long)transcript_digest(tag, sizeof(tag)));
}

static void gcm_encrypt(struct script *s)
{
    for (unsigned i = below(s, 4); i > 0; i--) {
        disturb(s);
        associated_data(s, one_in(s, 4) ? length(s) : (int)below(s, 40));
    }
    for (unsigned i = below(s, PIECES_MAX); i > 0; i--) {
        disturb(s);
        update(s, length(s));
    }
    if (one_in(s, 10)) {
        be_illegal(s);
        get_tag(s, s->ctx, 0);
        get_tag(s, s->ctx, 17);
        control(s, "tag while encrypting", EVP_CTRL_AEAD_SET_TAG, TAG, s->iv);
    }
    final(s);
    get_tag(s, s->ctx, 1 + (int)below(s, TAG));
    get_tag(s, s->ctx, TAG);
    if (s->copied)
        get_tag(s, s->copy, TAG);
}

/* A whole message that somebody sealed is opened in pieces. */
static void gcm_decrypt(struct script *s)
{
    static unsigned char sealed[SCRIPT_TEXT_MAX];
    unsigned char aad[64], tag[TAG];
    int aad_len = (int)below(s, sizeof(aad)), len = length(s),
        cut = aad_len == 0 ? 0 : (int)below(s, aad_len);
    int tag_len = 4 + (int)below(s, TAG - 3), at = 0, got;
    bool tag_first = one_in(s, 2), wrong = one_in(s, 4);

    fill(s, aad, sizeof(aad));
    fill(s, sealed, (size_t)len);
    seal(s, s->iv, (size_t)s->iv_len, aad, (size_t)aad_len, sealed, (size_t)len, tag);
    if (wrong) {
        be_illegal(s);
        tag[below(s, tag_len)] ^= (unsigned char)(1u << below(s, 8));
    }
    if (tag_first)
        control(s, "set tag", EVP_CTRL_AEAD_SET_TAG, tag_len, tag);
    note(s, false, true, "AAD: %d and %d", EVP_CipherUpdate(s->ctx, NULL, &got, aad, cut),
        EVP_CipherUpdate(s->ctx, NULL, &got, aad + cut, aad_len - cut));
    while (at < len) {
        int piece = 1 + (int)below(s, len - at);
        struct text text = place(s, (size_t)piece, one_in(s, 2));

        memcpy(text.in, sealed + at, (size_t)piece);
        update_one(s, s->ctx, text, piece);
        at += piece;
    }
    if (!tag_first)
        control(s, "set tag", EVP_CTRL_AEAD_SET_TAG, tag_len, tag);
    final(s);
}

/* What has no IV, is over, or was not given the tag. */
static void gcm_refusals(struct script *s)
{
    unsigned char block[BLOCK] = {0}, out[BLOCK] = {0}, field[16] = {0};
    int got = -1, done;

    be_illegal(s);
    switch (below(s, 6)) {
    case 0: /* an IV is used once. (After a final that failed libcrypto goes on, and the engine does not.) */
        if (!s->ended)
            break;
        done = EVP_CipherUpdate(s->ctx, out, &got, block, BLOCK);
        note(s, done != 1, false, "update after final: %d", done);
        break;
    case 1:
        if (!s->ended)
            break;
        done = EVP_CipherFinal_ex(s->ctx, out, &got);
        note(s, done != 1, false, "final after final: %d", done);
        break;
    case 2: /* associated data after text */
        init(s, false, false, true);
        update(s, BLOCK);
        done = EVP_CipherUpdate(s->ctx, NULL, &got, block, BLOCK);
        note(s, done != 1, false, "AAD after text: %d", done);
        break;
    case 3:
        control(s, "fixed IV too short", EVP_CTRL_GCM_SET_IV_FIXED, 3, field);
        control(s, "fixed IV too long", EVP_CTRL_GCM_SET_IV_FIXED, s->iv_len - 7, field);
        control(s, "IV length", EVP_CTRL_AEAD_SET_IVLEN, 0, NULL);
        control(s, "IV length", EVP_CTRL_AEAD_SET_IVLEN, -1, NULL);
        break;
    case 4:
        control(s, "AAD of a record", EVP_CTRL_AEAD_TLS1_AAD, 12, block);
        control(s, "AAD of a record", EVP_CTRL_AEAD_TLS1_AAD, 14, block);
        control(s, "no such command", EVP_CTRL_GET_RC2_KEY_BITS, 0, NULL);
        break;
    default: /* nothing to generate from: the IV was set whole */
        init(s, false, false, true);
        control(s, "generate an IV", EVP_CTRL_GCM_IV_GEN, EXPLICIT_IV, field);
        control(s, "invocation field", EVP_CTRL_GCM_SET_IV_INV, EXPLICIT_IV, field);
    }
}

/* An IV of a fixed part and a part that the implementation makes, or is told. */
static void gcm_generated_iv(struct script *s)
{
    unsigned char iv[128], made[128] = {0};
    int fixed = 4, done;

    if (s->iv_len < 12)
        return;
    fixed += (int)below(s, (unsigned)s->iv_len - 11);
    fill(s, iv, sizeof(iv));
    memset(iv + s->iv_len - 3, 0xff, 3); /* the counter carries */
    if (s->encrypt) {
        bool whole = one_in(s, 2);

        control(s, "fixed IV", EVP_CTRL_GCM_SET_IV_FIXED, whole ? -1 : fixed, iv);
        for (unsigned i = 1 + below(s, 3); i > 0; i--) {
            int len = (int)below(s, (unsigned)s->iv_len + 2);

            done = EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_GCM_IV_GEN, len, made);
            note(s, done <= 0, true, "generate %d of the IV: %d, %llx", len, done,
                (unsigned long long)transcript_digest(made, sizeof(made)));
            gcm_encrypt(s);
            drop_copy(s);
        }
    } else {
        control(s, "fixed IV", EVP_CTRL_GCM_SET_IV_FIXED, one_in(s, 2) ? -1 : fixed, iv);
        control(s, "invocation field", EVP_CTRL_GCM_SET_IV_INV, s->iv_len - fixed, iv + fixed);
        memcpy(s->iv, iv, (size_t)s->iv_len);
        gcm_decrypt(s);
    }
}

/* RFC 5288 records as libssl asks for them: in place, explicit IV in front, tag behind. */
static void tls_record(struct script *s, const unsigned char fixed[4])
{
    unsigned char aad[EVP_AEAD_TLS1_AAD_LEN], iv[12];
    int text_len = one_in(s, 4) ? (int)below(s, 40) : (int)below(s, 16385);
    int len = EXPLICIT_IV + text_len + TAG, given = s->encrypt ? EXPLICIT_IV + text_len : len, got = -1, done;
    struct text record = place(s, (size_t)len, true);

    fill(s, aad, sizeof(aad));
    if (!s->encrypt) {
        memcpy(iv, fixed, 4);
        memcpy(iv + 4, record.in, EXPLICIT_IV);
        aad[11] = (unsigned char)(text_len >> 8);
        aad[12] = (unsigned char)text_len;
        seal(s, iv, sizeof(iv), aad, sizeof(aad), record.in + EXPLICIT_IV, (size_t)text_len,
            record.in + EXPLICIT_IV + text_len);
        if (one_in(s, 4)) {
            be_illegal(s);
            record.in[below(s, (unsigned)len)] ^= 1;
        }
    }
    aad[11] = (unsigned char)(given >> 8);
    aad[12] = (unsigned char)given;
    control(s, "AAD of a record", EVP_CTRL_AEAD_TLS1_AAD, sizeof(aad), aad);
    if (one_in(s, 3)) {
        done = EVP_CipherUpdate(s->ctx, record.in, &got, record.in, len);
        note(s, done != 1, true, "record of %d: %d, %d, %llx", text_len, done, done == 1 ? got : 0,
            arena_digest(&record));
    } else {
        done = EVP_Cipher(s->ctx, record.in, record.in, (unsigned)len);
        /* A provider's returns the length it was given. */
        note(s, done < 0, false, "record of %d: %d", text_len, done);
        note(s, false, true, "record %llx", arena_digest(&record));
    }
}

/* Shorter than what frames it, or not in place. */
static void refused_record(struct script *s)
{
    unsigned char aad[EVP_AEAD_TLS1_AAD_LEN] = {[11] = (unsigned char)below(s, 2), [12] = 7};
    struct text record = place(s, 2 * (EXPLICIT_IV + TAG), false);
    int len = one_in(s, 2) ? EXPLICIT_IV + TAG - 1 : 2 * (EXPLICIT_IV + TAG), got = -1, done;

    be_illegal(s);
    if (control(s, "AAD of a record", EVP_CTRL_AEAD_TLS1_AAD, sizeof(aad), aad) <= 0)
        return;
    done = EVP_CipherUpdate(s->ctx, len < EXPLICIT_IV + TAG ? record.in : record.out, &got, record.in, len);
    note(s, done != 1, false, "record of %d that is refused: %d, %llx", len, done, arena_digest(&record));
}

static void tls_records(struct script *s)
{
    unsigned char fixed[12];

    /* As in TLS: IVs of 12 bytes. */
    EVP_CIPHER_CTX_reset(s->ctx);
    s->iv_len = 12;
    s->encrypt = one_in(s, 2);
    fill(s, fixed, sizeof(fixed));
    init(s, true, true, false);
    control(s, "fixed IV", EVP_CTRL_GCM_SET_IV_FIXED, s->encrypt && one_in(s, 2) ? -1 : 4, fixed);
    for (unsigned i = 1 + below(s, 4); i > 0; i--)
        tls_record(s, fixed);
    if (one_in(s, 4)) { /* refused; libcrypto's context is of no use afterwards */
        refused_record(s);
        EVP_CIPHER_CTX_reset(s->ctx);
        init(s, true, true, false);
    }
    make_iv(s);
    init(s, false, false, true);
}

static void gcm_message(struct script *s)
{
    switch (below(s, 6)) {
    case 0:
        tls_records(s);
        break;
    case 1:
        gcm_generated_iv(s);
        break;
    default:
        if (s->encrypt)
            gcm_encrypt(s);
        else
            gcm_decrypt(s);
    }
    look_around(s, s->ctx);
    drop_copy(s);
    if (one_in(s, 5))
        gcm_refusals(s);
}

/* ------------------------------------------------------------------------------------------------ all */

void script_run(const struct implementation *whose, uint64_t number, struct transcript *transcript)
{
    struct script s = {
        .whose = whose,
        .transcript = transcript,
        .state = number,
        .ctx = EVP_CIPHER_CTX_new(),
        .copy = EVP_CIPHER_CTX_new(),
        .mode = EVP_CIPHER_get_mode(whose->cipher),
    };
    unsigned messages = 1 + below(&s, MESSAGES_MAX);

    transcript->count = 0;
    transcript->legal = true;
    transcript->provider_only = false;
    make_random_repeat(number);
    for (unsigned i = 0; i < messages; i++) {
        start(&s, i == 0);
        if (s.mode == EVP_CIPH_GCM_MODE)
            gcm_message(&s);
        else if (s.mode == EVP_CIPH_XTS_MODE)
            xts_message(&s);
        else
            block_message(&s);
    }
    RAND_set_rand_method(NULL);
    EVP_CIPHER_CTX_free(s.ctx);
    EVP_CIPHER_CTX_free(s.copy);
}

static bool is_same(const struct line *wanted, const struct line *got, bool only_plain)
{
    if (only_plain && !wanted->plain)
        return true;
    if (strcmp(wanted->text, got->text) != 0)
        return false;
    /* An engine may say more of a failure than libcrypto does; nothing of a success. */
    return only_plain || (got->failed ? got->error || !wanted->error : !got->error);
}

static void unit_too_long(struct script *s)
{
    int len = (1 << 24) + 1, got = -1, done; /* 2^20 blocks: IEEE 1619-2018, 5.1 */
    unsigned char *unit = calloc(1, (size_t)len);

    CHECK(unit != NULL);
    done = EVP_CipherUpdate(s->ctx, unit, &got, unit, len);
    note(s, done != 1, true, "update of %d: %d, %d", len, done, unit[0]);
    free(unit);
}

/* Contexts that lack a key, or an IV where libcrypto asks for one; and units too long. */
void script_run_unready(const struct implementation *whose, uint64_t number, struct transcript *transcript)
{
    struct script s = {
        .whose = whose,
        .transcript = transcript,
        .state = number,
        .encrypt = one_in(&s, 2),
        .mode = EVP_CIPHER_get_mode(whose->cipher),
        .iv_len = 12,
    };

    transcript->count = 0;
    transcript->legal = transcript->provider_only = false;
    fill(&s, s.key, sizeof(s.key));
    make_iv(&s);
    for (unsigned with = 0; with < 3; with++) {
        s.ctx = EVP_CIPHER_CTX_new();
        init(&s, true, with == 1, with == 2);
        update(&s, 64);
        if (s.mode == EVP_CIPH_GCM_MODE) {
            associated_data(&s, 20);
            final(&s);
            get_tag(&s, s.ctx, TAG);
            control(&s, "generate an IV", EVP_CTRL_GCM_IV_GEN, EXPLICIT_IV, s.iv);
            control(&s, "invocation field", EVP_CTRL_GCM_SET_IV_INV, EXPLICIT_IV, s.iv);
        } else {
            init(&s, false, true, true);
            unit_too_long(&s);
        }
        EVP_CIPHER_CTX_free(s.ctx);
    }
}

void script_compare(uint64_t number, const char *cipher, const struct transcript *wanted,
    const struct transcript *got, bool only_plain)
{
    for (int i = 0; i < wanted->count || i < got->count; i++) {
        const struct line *a = &wanted->lines[i], *b = &got->lines[i];

        if (i < wanted->count && i < got->count && is_same(a, b, only_plain))
            continue;
        fprintf(stderr, "%s, script %llu, call %d:\n", cipher, (unsigned long long)number, i);
        for (int before = i < 20 ? 0 : i - 20; before < i; before++)
            fprintf(stderr, "  both:   %s\n", wanted->lines[before].text);
        fprintf(stderr, "  wanted: %s%s\n  got:    %s%s\n", i < wanted->count ? a->text : "(nothing)",
            a->error ? " and an error" : "", i < got->count ? b->text : "(nothing)",
            b->error ? " and an error" : "");
        FAIL("the implementations differ");
    }
}

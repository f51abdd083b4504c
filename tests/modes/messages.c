/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The AES messages of driver/ without ENGINE and EVP_CIPHER_CTX, as another front door would use them: in
 * pieces of any length, copied in the middle, records sealed and opened, in both places that compute. What
 * plain libcrypto makes of the same message is the reference.
 */
#include <openssl/err.h>
#include <openssl/evp.h>

#include "check.h"
#include "driver/aes_cbc_hmac.h"
#include "driver/aes_ccm.h"
#include "driver/aes_gcm.h"
#include "driver/aes_text.h"
#include "driver/card.h"
#include "driver/error.h"
#include "driver/thresholds.h"
#include "lots.h"

#define TEXT_MAX 2000u
#define AAD_MAX 700u
#define ROUNDS 300u
#define KEY_LEN 16u
#define TAG 16u

static uint8_t key[2 * KEY_LEN], iv[16], text[TEXT_MAX], aad[AAD_MAX];
static uint8_t wanted[TEXT_MAX + TAG], out[TEXT_MAX + TAG], back[TEXT_MAX + TAG];
static uint64_t state = 1;

static unsigned below(unsigned limit)
{
    return lots_below(&state, limit);
}

static void fill(uint8_t *bytes, size_t len)
{
    lots_fill(&state, bytes, len);
}

static void make_up(void)
{
    fill(key, sizeof(key));
    fill(iv, sizeof(iv));
    fill(text, sizeof(text));
    fill(aad, sizeof(aad));
}

/* ------------------------------------------------------------------------------------ modes without a tag */

struct text_mode {
    enum ersatz_mode mode;
    const EVP_CIPHER *(*plain)(void);
    unsigned piece; /* pieces are multiples of so many bytes; 0: the text comes in one call */
};

static void encrypt_plain(const struct text_mode *mode, unsigned len)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int done;

    CHECK(EVP_EncryptInit_ex(ctx, mode->plain(), NULL, key, iv) && EVP_CIPHER_CTX_set_padding(ctx, 0));
    CHECK(EVP_EncryptUpdate(ctx, wanted, &done, text, (int)len) && done == (int)len);
    EVP_CIPHER_CTX_free(ctx);
}

static void run_text(
    const struct text_mode *mode, unsigned len, bool encrypt, uint8_t *to, const uint8_t *from)
{
    size_t key_len = mode->mode == ERSATZ_XTS ? 2 * KEY_LEN : KEY_LEN;
    uint8_t ivs[2][16];
    struct aes_text texts[2];
    unsigned which = 0;

    aes_text_init(&texts[0], mode->mode, key_len, ivs[0]);
    CHECK(!aes_text_update(&texts[0], to, from, 16)); /* there is no key, or no IV */
    aes_text_set_iv(&texts[0], iv);
    CHECK(aes_text_set_key(&texts[0], key, encrypt));
    for (unsigned done = 0, piece; done < len; done += piece) {
        piece = mode->piece == 0 ? len : mode->piece * (1 + below(90 / mode->piece));
        piece = piece < len - done ? piece : len - done;
        CHECK(aes_text_update(&texts[which], to + done, from + done, piece));
        if (below(3) == 0) { /* a copy goes on */
            texts[1 - which] = texts[which];
            texts[1 - which].iv = ivs[1 - which];
            memcpy(ivs[1 - which], ivs[which], 16);
            CHECK(aes_text_dup(&texts[which], &texts[1 - which]));
            aes_text_cleanup(&texts[which]);
            which = 1 - which;
        }
    }
    aes_text_cleanup(&texts[which]);
}

static void check_texts(void)
{
    static const struct text_mode modes[] = {
        {ERSATZ_CBC, EVP_aes_128_cbc, 16},
        {ERSATZ_ECB, EVP_aes_128_ecb, 16},
        {ERSATZ_CTR, EVP_aes_128_ctr, 1},
        {ERSATZ_CFB, EVP_aes_128_cfb128, 1},
        {ERSATZ_OFB, EVP_aes_128_ofb, 1},
        {ERSATZ_XTS, EVP_aes_128_xts, 0},
    };

    for (unsigned i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        unsigned len = 16 + below(TEXT_MAX - 16);

        len -= modes[i].piece == 16 ? len % 16 : 0;
        encrypt_plain(&modes[i], len);
        run_text(&modes[i], len, true, out, text);
        CHECK(memcmp(out, wanted, len) == 0);
        run_text(&modes[i], len, false, back, out);
        CHECK(memcmp(back, text, len) == 0);
    }
}

/* ------------------------------------------------------------------------------------------- GCM and CCM */

static void seal_plain(const EVP_CIPHER *cipher, unsigned iv_len, unsigned aad_len, unsigned len)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int done;

    CHECK(EVP_EncryptInit_ex(ctx, cipher, NULL, NULL, NULL));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, (int)iv_len, NULL));
    if (EVP_CIPHER_get_mode(cipher) == EVP_CIPH_CCM_MODE)
        CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, NULL));
    CHECK(EVP_EncryptInit_ex(ctx, NULL, NULL, key, iv));
    if (EVP_CIPHER_get_mode(cipher) == EVP_CIPH_CCM_MODE)
        CHECK(EVP_EncryptUpdate(ctx, NULL, &done, NULL, (int)len));
    CHECK(aad_len == 0 || EVP_EncryptUpdate(ctx, NULL, &done, aad, (int)aad_len));
    CHECK(EVP_EncryptUpdate(ctx, wanted, &done, text, (int)len) && done == (int)len);
    CHECK(EVP_EncryptFinal_ex(ctx, wanted + len, &done));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, wanted + len));
    EVP_CIPHER_CTX_free(ctx);
}

static void go_on_with_copy(struct aes_gcm *gcm)
{
    struct aes_gcm copy = *gcm;

    CHECK(aes_gcm_dup(gcm, &copy));
    aes_gcm_cleanup(gcm);
    *gcm = copy;
}

/* Returns whether the end was accepted. Encrypting, the tag follows the text in `to`; else in `from`. */
static bool run_gcm(struct aes_gcm *gcm, unsigned aad_len, unsigned len, uint8_t *to, const uint8_t *from)
{
    size_t tag_len = gcm->encrypt ? TAG : 1 + below(TAG);
    bool accepted;
    size_t used;

    for (unsigned done = 0, piece; done < aad_len; done += piece) {
        piece = 1 + below(300);
        piece = piece < aad_len - done ? piece : aad_len - done;
        CHECK(aes_gcm_update(gcm, NULL, aad + done, piece, &used) && used == piece);
        if (below(4) == 0)
            go_on_with_copy(gcm);
    }
    for (unsigned done = 0, piece; done < len; done += piece) {
        piece = 1 + below(300);
        piece = piece < len - done ? piece : len - done;
        CHECK(aes_gcm_update(gcm, to + done, from + done, piece, &used) && used == piece);
        if (below(4) == 0)
            go_on_with_copy(gcm);
    }
    if (!gcm->encrypt)
        CHECK(aes_gcm_set_tag(gcm, from + len, tag_len));
    accepted = aes_gcm_update(gcm, NULL, NULL, 0, &used);
    CHECK(!gcm->encrypt || (accepted && aes_gcm_get_tag(gcm, to + len, TAG)));
    CHECK(!aes_gcm_update(gcm, to, from, 1, &used)); /* the message has ended, and needs another IV */
    CHECK(ERR_GET_REASON(ERR_peek_last_error()) == REASON_INPUT);
    return accepted;
}

static void check_gcm(void)
{
    unsigned iv_len = 1 + below(16), len = below(TEXT_MAX), aad_len = below(4) == 0 ? 0 : below(AAD_MAX);
    struct aes_gcm gcm;
    size_t used;

    seal_plain(EVP_aes_128_gcm(), iv_len, aad_len, len);
    aes_gcm_init(&gcm, KEY_LEN);
    CHECK(aes_gcm_set_iv_len(&gcm, iv_len));
    aes_gcm_set_iv(&gcm, iv);
    CHECK(aes_gcm_set_key(&gcm, key, true)); /* an IV that was set before the key holds */
    CHECK(run_gcm(&gcm, aad_len, len, out, text));
    CHECK(memcmp(out, wanted, len + TAG) == 0);
    CHECK(aes_gcm_set_key(&gcm, NULL, false));
    aes_gcm_set_iv(&gcm, iv);
    CHECK(run_gcm(&gcm, aad_len, len, back, out) && memcmp(back, text, len) == 0);
    out[len] ^= 1; /* of the shortest tag, too */
    aes_gcm_set_iv(&gcm, iv);
    ERR_clear_error();
    CHECK(!run_gcm(&gcm, aad_len, len, back, out));
    aes_gcm_set_iv(&gcm, iv);
    CHECK(aes_gcm_update(&gcm, out, text, 1, &used) && !aes_gcm_update(&gcm, NULL, aad, 1, &used));
    CHECK(ERR_GET_REASON(ERR_peek_last_error()) == REASON_INPUT); /* associated data after the text */
    aes_gcm_cleanup(&gcm);
}

/* An end without a tag to compare with is refused, and may come again with one. */
static void check_gcm_without_tag(void)
{
    struct aes_gcm gcm;
    size_t used;

    seal_plain(EVP_aes_128_gcm(), 12, 5, 40);
    aes_gcm_init(&gcm, KEY_LEN);
    CHECK(aes_gcm_set_key(&gcm, key, false));
    aes_gcm_set_iv(&gcm, iv);
    CHECK(aes_gcm_update(&gcm, NULL, aad, 5, &used) && aes_gcm_update(&gcm, back, wanted, 40, &used));
    CHECK(!aes_gcm_update(&gcm, NULL, NULL, 0, &used));
    CHECK(aes_gcm_set_tag(&gcm, wanted + 40, TAG) && aes_gcm_update(&gcm, NULL, NULL, 0, &used));
    CHECK(memcmp(back, text, 40) == 0);
    aes_gcm_cleanup(&gcm);
}

/* A key that was refused for want of memory, while the card had the state, leaves a message without one. */
static void check_gcm_without_state(void)
{
    struct aes_gcm gcm, left;
    size_t used;

    aes_gcm_init(&gcm, KEY_LEN);
    CHECK(aes_gcm_set_key(&gcm, key, true));
    aes_gcm_set_iv(&gcm, iv);
    CHECK(aes_gcm_update(&gcm, out, text, 16, &used));
    left = gcm;
    left.state = NULL;
    CHECK(!aes_gcm_update(&left, out, text, 16, &used) && !aes_gcm_update(&left, NULL, NULL, 0, &used));
    CHECK(ERR_GET_REASON(ERR_peek_last_error()) == REASON_INPUT);
    aes_gcm_cleanup(&left);
    aes_gcm_cleanup(&gcm);
}

/* An IV that is generated is the message's, though the next one is counted up at once. */
static void check_generated_iv(void)
{
    struct aes_gcm gcm;

    aes_gcm_init(&gcm, KEY_LEN);
    CHECK(aes_gcm_set_key(&gcm, key, true) && aes_gcm_set_fixed_iv(&gcm, iv, 4));
    CHECK(aes_gcm_generate_iv(&gcm, iv, 12));
    seal_plain(EVP_aes_128_gcm(), 12, 5, 40);
    CHECK(run_gcm(&gcm, 5, 40, out, text) && memcmp(out, wanted, 40 + TAG) == 0);
    aes_gcm_cleanup(&gcm);
}

static void check_ccm(void)
{
    unsigned nonce_len = 7 + below(7), len = 1 + below(TEXT_MAX - 1), aad_len = below(AAD_MAX);
    struct aes_ccm ccm, copy;
    size_t used;

    seal_plain(EVP_aes_128_ccm(), nonce_len, aad_len, len);
    for (unsigned pass = 0; pass < 3; pass++) { /* sealed, opened, refused */
        bool encrypt = pass == 0;

        aes_ccm_init(&ccm, KEY_LEN);
        CHECK(aes_ccm_set_nonce_len(&ccm, nonce_len) && aes_ccm_set_tag_len(&ccm, TAG));
        CHECK(aes_ccm_set_key(&ccm, key, true) && aes_ccm_set_key(&ccm, NULL, encrypt)); /* turned */
        aes_ccm_set_nonce(&ccm, iv);
        if (pass == 2)
            out[len] ^= 1;
        CHECK(encrypt || aes_ccm_set_tag(&ccm, out + len, TAG));
        CHECK(aes_ccm_update(&ccm, NULL, NULL, len, &used));
        CHECK(aad_len == 0 || aes_ccm_update(&ccm, NULL, aad, aad_len, &used));
        copy = ccm;
        CHECK(aes_ccm_dup(&ccm, &copy));
        aes_ccm_cleanup(&ccm);
        CHECK(aes_ccm_update(&copy, encrypt ? out : back, encrypt ? text : out, len, &used) == (pass < 2));
        if (encrypt)
            CHECK(aes_ccm_get_tag(&copy, out + len, TAG) && memcmp(out, wanted, len + TAG) == 0);
        else
            CHECK((memcmp(back, text, len) == 0) == (pass == 1));
        aes_ccm_cleanup(&copy);
    }
}

/* ------------------------------------------------------------------------------------------------ records */

/* TLS 1.2: the sequence number, type, version, and the length of what is between the record's header and its
 * end, as libssl gives it. */
static void set_length(uint8_t *header, unsigned len)
{
    header[9] = header[10] = 3;
    header[11] = (uint8_t)(len >> 8);
    header[12] = (uint8_t)len;
}

static void check_gcm_record(void)
{
    unsigned len = 1 + below(TEXT_MAX / 2), whole = AES_RECORD_EXPLICIT_IV + len + TAG;
    uint8_t header[AES_RECORD_AAD] = {0};
    struct aes_gcm sealing, opening;
    size_t used;

    aes_gcm_init(&sealing, KEY_LEN);
    aes_gcm_init(&opening, KEY_LEN);
    CHECK(aes_gcm_set_key(&sealing, key, true) && aes_gcm_set_fixed_iv(&sealing, iv, 4));
    CHECK(aes_gcm_set_key(&opening, key, false) && aes_gcm_set_fixed_iv(&opening, iv, 4));
    for (unsigned i = 0; i < 3; i++) {
        memcpy(out + AES_RECORD_EXPLICIT_IV, text, len);
        set_length(header, AES_RECORD_EXPLICIT_IV + len);
        CHECK_EQ(aes_gcm_set_record_aad(&sealing, header, sizeof(header)), TAG);
        CHECK(aes_gcm_update(&sealing, out, out, whole, &used) && used == whole);
        if (i == 2)
            out[whole - 1] ^= 1;
        set_length(header, whole);
        CHECK_EQ(aes_gcm_set_record_aad(&opening, header, sizeof(header)), TAG);
        CHECK(aes_gcm_update(&opening, out, out, whole, &used) == (i < 2));
        CHECK(i == 2 || (used == len && memcmp(out + AES_RECORD_EXPLICIT_IV, text, len) == 0));
    }
    aes_gcm_cleanup(&sealing);
    aes_gcm_cleanup(&opening);
}

/* A pipeline of three records, each opened by itself. */
static void check_cbc_hmac_records(void)
{
    enum { PIPES = 3, ROOM = 600 };
    static uint8_t records[PIPES][ROOM];
    uint8_t header[AES_RECORD_AAD] = {0}, ivs[2][16], *pointers[PIPES];
    struct aes_cbc_hmac sealing, opening;
    size_t lens[PIPES], text_lens[PIPES];
    unsigned growth;

    if (!ersatz_cipher_is_available(ERSATZ_CBC_HMAC_SHA256, 128))
        return;
    memcpy(ivs[0], iv, 16);
    memcpy(ivs[1], iv, 16);
    aes_cbc_hmac_init(&sealing, ERSATZ_CBC_HMAC_SHA256, KEY_LEN, ivs[0]);
    aes_cbc_hmac_init(&opening, ERSATZ_CBC_HMAC_SHA256, KEY_LEN, ivs[1]);
    CHECK(aes_cbc_hmac_set_key(&sealing, key, true) && aes_cbc_hmac_set_mac_key(&sealing, key, 32));
    CHECK(aes_cbc_hmac_set_key(&opening, key, false) && aes_cbc_hmac_set_mac_key(&opening, key, 32));
    for (unsigned i = 0; i < PIPES; i++) {
        text_lens[i] = 16 + 1 + below(400); /* the first block is the explicit IV */
        memcpy(records[i], text, text_lens[i]);
        set_length(header, (unsigned)text_lens[i]);
        CHECK(aes_cbc_hmac_add_record_aad(&sealing, header, sizeof(header), &growth));
        lens[i] = text_lens[i] + growth;
        pointers[i] = records[i];
    }
    CHECK(
        aes_cbc_hmac_set_outs(&sealing, pointers, PIPES) && aes_cbc_hmac_set_ins(&sealing, pointers, PIPES));
    CHECK(!aes_cbc_hmac_update(&sealing, NULL, NULL, 0)); /* the lengths may still come */
    CHECK(aes_cbc_hmac_set_lens(&sealing, lens, PIPES) && aes_cbc_hmac_update(&sealing, NULL, NULL, 0));
    for (unsigned i = 0; i < PIPES; i++) {
        if (i == PIPES - 1)
            records[i][text_lens[i]] ^= 1;
        set_length(header, (unsigned)lens[i]);
        CHECK(aes_cbc_hmac_add_record_aad(&opening, header, sizeof(header), &growth) && growth == 32);
        CHECK(aes_cbc_hmac_update(&opening, records[i], records[i], lens[i]) == (i < PIPES - 1));
        CHECK(i == PIPES - 1 || memcmp(records[i] + 16, text + 16, text_lens[i] - 16) == 0);
    }
    aes_cbc_hmac_cleanup(&sealing);
    aes_cbc_hmac_cleanup(&opening);
}

/* --------------------------------------------------------------------------------------------- thresholds */

#define THRESHOLD 150u /* many pieces are longer, many are not */

static void set_gcm_threshold(unsigned bytes)
{
    char list[32];
    struct ersatz_error error;

    snprintf(list, sizeof(list), "AES-128-GCM:%u", bytes);
    CHECK(thresholds_set(list, &error));
}

static uint64_t computed_here(void)
{
    uint64_t sum = 0;

    for (enum ersatz_kernel kernel = 0; kernel < ERSATZ_KERNELS; kernel++)
        sum += ersatz_stats_inline(card_stats(), kernel);
    return sum;
}

/* A message with one piece of text: how many of its two operations are on the card. */
static unsigned on_card(unsigned aad_len, unsigned len)
{
    uint64_t before = ersatz_stats_count(card_stats(), ERSATZ_COUNTER_COMPLETED);
    uint64_t here = computed_here(), gone;
    struct aes_gcm gcm;
    size_t used;

    aes_gcm_init(&gcm, KEY_LEN);
    CHECK(aes_gcm_set_key(&gcm, key, true));
    aes_gcm_set_iv(&gcm, iv);
    CHECK(aad_len == 0 || aes_gcm_update(&gcm, NULL, aad, aad_len, &used));
    CHECK(aes_gcm_update(&gcm, out, text, len, &used) && aes_gcm_update(&gcm, NULL, NULL, 0, &used));
    aes_gcm_cleanup(&gcm);
    gone = ersatz_stats_count(card_stats(), ERSATZ_COUNTER_COMPLETED) - before;
    CHECK_EQ(gone + computed_here() - here, 2);
    return (unsigned)gone;
}

/* Associated data go with the text, and count with it. */
static void check_thresholds(void)
{
    atomic_store(&card_policy()->sync_offload, true);
    set_gcm_threshold(THRESHOLD);
    CHECK_EQ(on_card(0, THRESHOLD), 0);
    CHECK_EQ(on_card(0, THRESHOLD + 1), 1);
    CHECK_EQ(on_card(10, THRESHOLD - 10), 0);
    CHECK_EQ(on_card(10, THRESHOLD - 9), 1);
    set_gcm_threshold(0);
    CHECK_EQ(on_card(0, 1), 2);
}

int main(void)
{
    struct ersatz_error error;

    test_begin(120);
    error_load();
    CHECK(card_set_up());
    card_reset_settings();
    card_use();
    CHECK(
        thresholds_set("AES-128-CBC:0,AES-128-CTR:0,AES-128-GCM:0,AES-128-XTS:0,AES-128-ECB:0,AES-128-CFB:0,"
                       "AES-128-OFB:0,AES-128-CCM:0,AES-128-CBC-HMAC-SHA256:0",
            &error));
    for (unsigned i = 0; i < ROUNDS; i++) {
        atomic_store(&card_policy()->sync_offload, i % 2 == 0);
        set_gcm_threshold(i / 2 % 2 == 0 ? 0 : THRESHOLD);
        make_up();
        check_texts();
        check_gcm();
        check_gcm_without_tag();
        check_gcm_without_state();
        check_generated_iv();
        check_ccm();
        check_gcm_record();
        check_cbc_hmac_records();
        ERR_clear_error();
    }
    CHECK(ersatz_stats_count(card_stats(), ERSATZ_COUNTER_COMPLETED) > ROUNDS);
    check_thresholds();
    card_leave();
    return 0;
}

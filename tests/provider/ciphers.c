/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every cipher of the provider against libcrypto's own of the same name: which parameters there are, what
 * they answer at each moment, and what random sequences of calls return and write. CIPHER SEED ROUNDS
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdbool.h>
#include <string.h>

#include "check.h"
#include "lots.h"
#include "provider.h"

#define TEXT_MAX 6000
#define SIDES 2 /* ours, libcrypto's */

static uint64_t state;

static uint32_t lot(uint32_t below)
{
    return lots_below(&state, below);
}

static void fill(unsigned char *bytes, size_t len)
{
    lots_fill(&state, bytes, len);
}

/* --------------------------------------------------------------------------------------- which parameters */

static bool has(const OSSL_PARAM *list, const OSSL_PARAM *wanted)
{
    for (; list->key != NULL; list++) {
        if (strcmp(list->key, wanted->key) == 0 && list->data_type == wanted->data_type)
            return true;
    }
    return false;
}

static void same_list(const OSSL_PARAM *ours, const OSSL_PARAM *theirs)
{
    CHECK(ours != NULL && theirs != NULL);
    for (const OSSL_PARAM *each = theirs; each->key != NULL; each++) {
        if (!has(ours, each))
            fprintf(stderr, "no parameter %s\n", each->key);
        CHECK(has(ours, each));
    }
    for (const OSSL_PARAM *each = ours; each->key != NULL; each++)
        CHECK(has(theirs, each));
}

/* Every parameter in the list has the same value on both sides. get: EVP_CIPHER_get_params, or of a
 * context. */
static void same_answers(const OSSL_PARAM *list, int (*get)(void *, OSSL_PARAM *), void *ours, void *theirs)
{
    for (; list->key != NULL; list++) {
        if (strncmp(list->key, "tls1multi", 9) == 0) /* libcrypto's aborts where it was not set */
            continue;
        unsigned char bytes[SIDES][512];
        void *pointers[SIDES] = {NULL, NULL};
        void *const of[SIDES] = {ours, theirs};
        size_t sizes[SIDES];
        int done[SIDES];

        memset(bytes, 0x55, sizeof(bytes));
        for (int side = 0; side < SIDES; side++) {
            OSSL_PARAM params[2] = {*list, OSSL_PARAM_END};
            size_t room = list->data_size != 0 ? list->data_size : 16;

            if (list->data_type == OSSL_PARAM_OCTET_PTR) {
                params[0].data = &pointers[side];
                room = sizeof(bytes[0]);
            } else {
                params[0].data = bytes[side];
            }
            params[0].data_size = room;
            params[0].return_size = OSSL_PARAM_UNMODIFIED;
            done[side] = get(of[side], params);
            sizes[side] = params[0].return_size;
        }
        if (done[0] != done[1] || sizes[0] != sizes[1])
            fprintf(stderr, "parameter %s: %d, %zu bytes; libcrypto's %d, %zu\n", list->key, done[0],
                sizes[0], done[1], sizes[1]);
        CHECK_EQ(done[0], done[1]);
        CHECK_EQ(sizes[0], sizes[1]);
        if (strcmp(list->key, "tls-multi") == 0) /* the card does several records by a pipeline */
            continue;
        if (memcmp(bytes[0], bytes[1], sizeof(bytes[0])) != 0)
            fprintf(stderr, "parameter %s differs: %02x, libcrypto's %02x\n", list->key, bytes[0][0],
                bytes[1][0]);
        CHECK_EQ(memcmp(bytes[0], bytes[1], sizeof(bytes[0])), 0);
        if (done[0] && list->data_type == OSSL_PARAM_OCTET_PTR && sizes[0] != OSSL_PARAM_UNMODIFIED &&
            pointers[0] != NULL && pointers[1] != NULL)
            CHECK_EQ(memcmp(pointers[0], pointers[1], sizes[0]), 0);
    }
}

static int get_of_cipher(void *cipher, OSSL_PARAM *params)
{
    return EVP_CIPHER_get_params(cipher, params);
}

static int get_of_context(void *context, OSSL_PARAM *params)
{
    return EVP_CIPHER_CTX_get_params(context, params);
}

/* ---------------------------------------------------------------------------------------------- sequences */

struct side {
    EVP_CIPHER *cipher;
    EVP_CIPHER_CTX *context;
    unsigned char out[TEXT_MAX + 64];
    int result, len;
};

static struct side sides[SIDES];
static unsigned long macs_made_up;

static void same(const char *what)
{
    if (getenv("CALLS") != NULL)
        fprintf(stderr, "%s: %d, %d bytes; libcrypto's %d, %d\n", what, sides[0].result, sides[0].len,
            sides[1].result, sides[1].len);
    if (sides[0].result != sides[1].result || sides[0].len != sides[1].len ||
        memcmp(sides[0].out, sides[1].out, sizeof(sides[0].out)) != 0)
        fprintf(stderr, "%s: %d, %d bytes; libcrypto's %d, %d\n", what, sides[0].result, sides[0].len,
            sides[1].result, sides[1].len);
    CHECK_EQ(sides[0].result, sides[1].result);
    CHECK_EQ(sides[0].len, sides[1].len);
    CHECK_EQ(memcmp(sides[0].out, sides[1].out, sizeof(sides[0].out)), 0);
    ERR_clear_error();
}

#define BOTH(what, call)                                                                                     \
    do {                                                                                                     \
        for (struct side *s = sides; s < sides + SIDES; s++) {                                               \
            s->len = -1;                                                                                     \
            s->result = (call);                                                                              \
        }                                                                                                    \
        same(what);                                                                                          \
    } while (0)

static void renew(void)
{
    for (struct side *s = sides; s < sides + SIDES; s++) {
        EVP_CIPHER_CTX_free(s->context);
        s->context = EVP_CIPHER_CTX_new();
        CHECK(s->context != NULL);
        memset(s->out, 0, sizeof(s->out));
    }
}

static void one_round(void)
{
    static unsigned char in[TEXT_MAX];
    unsigned char key[64], iv[16];
    int encrypt = (int)lot(2);
    unsigned mode = (unsigned)EVP_CIPHER_get_mode(sides[0].cipher);
    bool gathers = mode == EVP_CIPH_CBC_MODE || mode == EVP_CIPH_ECB_MODE, pads = true;
    int gathered = 0; /* since the text began */

    renew();
    fill(in, sizeof(in));
    fill(key, sizeof(key));
    fill(iv, sizeof(iv));
    if (lot(20) == 0 && mode != EVP_CIPH_XTS_MODE) /* with which libcrypto's crashes */
        BOTH("without a key", EVP_CipherInit_ex2(s->context, s->cipher, NULL, iv, encrypt, NULL));
    else
        BOTH("init", EVP_CipherInit_ex2(s->context, s->cipher, key, iv, encrypt, NULL));
    if (lot(3) == 0) {
        BOTH("padding", EVP_CIPHER_CTX_set_padding(s->context, 0));
        pads = false;
    }
    /* After a failure a context may be in any state. */
    for (uint32_t calls = lot(12); calls > 0 && sides[0].result > 0; calls--) {
        static const unsigned lengths[] = {
            0, 1, 15, 16, 17, 31, 32, 33, 64, 100, 1024, 2047, 2048, 4096, 5000};
        int len = (int)(lot(3) == 0 ? lot(TEXT_MAX) : lengths[lot(sizeof(lengths) / sizeof(lengths[0]))]);

        switch (lot(14)) {
        case 0:
            fill(iv, sizeof(iv));
            gathered = 0;
            BOTH("new IV", EVP_CipherInit_ex2(s->context, NULL, NULL, iv, -1, NULL));
            break;
        case 1:
            gathered = 0;
            BOTH("the same again", EVP_CipherInit_ex2(s->context, NULL, NULL, NULL, -1, NULL));
            break;
        case 2:
            fill(key, sizeof(key));
            gathered = 0;
            BOTH("new key", EVP_CipherInit_ex2(s->context, NULL, key, NULL, -1, NULL));
            break;
        case 3:
            for (struct side *s = sides; s < sides + SIDES; s++) {
                EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();

                s->result = EVP_CIPHER_CTX_copy(copy, s->context);
                CHECK_EQ(s->result, 1);
                EVP_CIPHER_CTX_free(s->context);
                s->context = copy;
            }
            break;
        case 4:
            if (gathers)
                len -= len % 16; /* libcrypto's computes what is beyond a block as it likes */
            BOTH("EVP_Cipher", EVP_Cipher(s->context, s->out, in, (unsigned)len));
            break;
        case 5:
            gathered = 0;
            BOTH("final", EVP_CipherFinal_ex(s->context, s->out, &s->len));
            break;
        case 6:
            same_answers(EVP_CIPHER_gettable_ctx_params(sides[1].cipher), get_of_context, sides[0].context,
                sides[1].context);
            break;
        case 7: /* in place, where no part of a block waits, which would move the text */
            if (gathers && (gathered % 16 != 0 || (!encrypt && pads)))
                break;
            for (struct side *s = sides; s < sides + SIDES; s++) {
                memcpy(s->out, in, (size_t)len);
                s->len = -1;
                s->result = EVP_CipherUpdate(s->context, s->out, &s->len, s->out, len);
                if (!s->result)
                    memset(s->out, 0, sizeof(s->out));
            }
            gathered += len;
            same("update in place");
            break;
        default:
            gathered += len;
            BOTH("update", EVP_CipherUpdate(s->context, s->out, &s->len, in, len));
        }
    }
    if (sides[0].result <= 0)
        return;
    BOTH("final", EVP_CipherFinal_ex(s->context, s->out, &s->len));
    if (sides[0].result <= 0)
        return;
    same_answers(
        EVP_CIPHER_gettable_ctx_params(sides[1].cipher), get_of_context, sides[0].context, sides[1].context);
}

/* -------------------------------------------------------------------------------------------- TLS records */

/* The record's MAC, where it was taken off. */
static const unsigned char *mac_of(struct side *side, size_t mac_len)
{
    void *mac = NULL;
    OSSL_PARAM params[2] = {
        OSSL_PARAM_construct_octet_ptr(OSSL_CIPHER_PARAM_TLS_MAC, &mac, mac_len), OSSL_PARAM_END};

    CHECK_EQ(EVP_CIPHER_CTX_get_params(side->context, params), 1);
    CHECK_EQ(params[0].return_size, mac_len);
    return mac;
}

/*
 * A CBC record of any length, with right padding or bytes that may happen to be right: both sides take off as
 * much. Where the padding is right, they find the same MAC; where it is wrong, ours is not in the record.
 */
static void record_round(void)
{
    static const unsigned versions[] = {0x0301, 0x0302, 0x0303, 0xfeff, 0xfefd};
    static const size_t mac_lens[] = {0, 16, 20, 32, 48};
    static unsigned char plain[1024], sealed[1024];
    unsigned version = versions[lot(5)];
    size_t mac_len = mac_lens[lot(5)], too_long = EVP_MAX_MD_SIZE + 1;
    unsigned char key[32], iv[16];
    int len = 16 * (int)(1 + lot(lot(2) == 0 ? 4 : sizeof(plain) / 16)), n;
    bool right = lot(3) != 0;
    OSSL_PARAM params[3] = {OSSL_PARAM_construct_uint(OSSL_CIPHER_PARAM_TLS_VERSION, &version),
        OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_TLS_MAC_SIZE, &mac_len), OSSL_PARAM_END};
    OSSL_PARAM wrong[2] = {
        OSSL_PARAM_construct_size_t(OSSL_CIPHER_PARAM_TLS_MAC_SIZE, &too_long), OSSL_PARAM_END};

    renew();
    fill(key, sizeof(key));
    fill(iv, sizeof(iv));
    fill(plain, sizeof(plain));
    if (right) {
        unsigned padding = lot((uint32_t)(len < 256 ? len : 256));

        memset(plain + len - 1 - padding, (int)padding, padding + 1);
    } else if (lot(2) == 0) {
        plain[len - 1] = (unsigned char)lot(20);
    }
    CHECK_EQ(EVP_EncryptInit_ex2(sides[1].context, sides[1].cipher, key, iv, NULL), 1);
    CHECK_EQ(EVP_CIPHER_CTX_set_padding(sides[1].context, 0), 1);
    CHECK_EQ(EVP_EncryptUpdate(sides[1].context, sealed, &n, plain, len), 1);
    renew();
    for (struct side *s = sides; s < sides + SIDES; s++) {
        CHECK_EQ(EVP_DecryptInit_ex2(s->context, s->cipher, key, iv, NULL), 1);
        CHECK_EQ(EVP_CIPHER_CTX_set_params(s->context, params), 1);
        if (s == sides) /* libcrypto does not look */
            CHECK_EQ(EVP_CIPHER_CTX_set_params(s->context, wrong), 0);
        memcpy(s->out, sealed, (size_t)len);
        s->len = -1;
        s->result = EVP_DecryptUpdate(s->context, s->out, &s->len, s->out, len);
    }
    CHECK_EQ(sides[0].result, sides[1].result);
    ERR_clear_error();
    if (sides[0].result <= 0)
        return;
    CHECK_EQ(sides[0].len, sides[1].len);
    if (mac_len != 0 && memcmp(mac_of(&sides[0], mac_len), mac_of(&sides[1], mac_len), mac_len) != 0) {
        CHECK(!right || len < 16 + (int)mac_len + 256);
        CHECK(memmem(plain, (size_t)len, mac_of(&sides[0], mac_len), mac_len) == NULL);
        CHECK(memmem(plain, (size_t)len, mac_of(&sides[1], mac_len), mac_len) == NULL);
        macs_made_up++;
    }
}

/* -------------------------------------------------------------------------------------------- GCM and CCM */

/* Calls in any order: what comes too early or twice is refused by both, or by none. */
static void aead_round(bool is_ccm)
{
    static unsigned char in[TEXT_MAX];
    unsigned char key[32], iv[128], tag[16];
    int encrypt = (int)lot(2), iv_len = 12, tag_len;
    bool started = false, has_text = false;

    renew();
    fill(in, sizeof(in));
    fill(key, sizeof(key));
    fill(iv, sizeof(iv));
    fill(tag, sizeof(tag));
    BOTH("cipher", EVP_CipherInit_ex2(s->context, s->cipher, NULL, NULL, encrypt, NULL));
    if (is_ccm || lot(3) == 0) {
        iv_len = (int)(is_ccm ? 7 + lot(7) : 1 + lot(40));
        BOTH("length of the IV", EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_SET_IVLEN, iv_len, NULL));
    }
    if (is_ccm || !encrypt) {
        tag_len = (int)(is_ccm ? 4 + 2 * lot(7) : 1 + lot(16));

        BOTH("tag", EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_SET_TAG, tag_len, encrypt ? NULL : tag));
    }
    if (sides[0].result <= 0)
        return;
    BOTH("key and IV", EVP_CipherInit_ex2(s->context, NULL, key, iv, -1, NULL));
    /* CCM takes a message's text in one call; what comes after it libcrypto takes, but does not do right. */
    for (uint32_t calls = lot(10); calls > 0 && sides[0].result > 0 && !(is_ccm && has_text); calls--) {
        int len = (int)(lot(3) == 0 ? lot(TEXT_MAX) : lot(80));

        switch (lot(12)) {
        case 0:
        case 1:
            if (is_ccm &&
                started) /* too late, or a second time, which libcrypto takes and computes a wrong tag */
                break;
            started = true;
            BOTH("associated data", EVP_CipherUpdate(s->context, NULL, &s->len, in, len));
            break;
        case 2:
            if (!is_ccm)
                break;
            started = true;
            BOTH("length of the text", EVP_CipherUpdate(s->context, NULL, &s->len, NULL, len));
            break;
        case 3:
            if (is_ccm) /* libcrypto holds on to what was said of the message before */
                break;
            fill(iv, sizeof(iv));
            BOTH("new IV", EVP_CipherInit_ex2(s->context, NULL, NULL, iv, -1, NULL));
            break;
        case 4:
            if (started) /* libcrypto goes on with the message, by another key */
                break;
            fill(key, sizeof(key));
            BOTH("new key", EVP_CipherInit_ex2(s->context, NULL, key, NULL, -1, NULL));
            break;
        case 5:
            for (struct side *s = sides; s < sides + SIDES; s++) {
                EVP_CIPHER_CTX *copy = EVP_CIPHER_CTX_new();

                CHECK_EQ(EVP_CIPHER_CTX_copy(copy, s->context), 1);
                EVP_CIPHER_CTX_free(s->context);
                s->context = copy;
            }
            break;
        case 6:
            BOTH("get a tag", EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_GET_TAG, 16, s->out));
            break;
        default:
            if (is_ccm && started) /* of another length than was said, which libcrypto may take */
                break;
            started = has_text = true;
            BOTH("text", EVP_CipherUpdate(s->context, s->out, &s->len, in, len));
        }
    }
    if (sides[0].result <= 0 ||
        (is_ccm && !has_text)) /* libcrypto lets CCM end without the text that was announced */
        return;
    BOTH("final", EVP_CipherFinal_ex(s->context, s->out, &s->len));
    tag_len = is_ccm ? (int)(4 + 2 * lot(7)) : 16;
    if (sides[0].result > 0 && encrypt)
        BOTH("get the tag", EVP_CIPHER_CTX_ctrl(s->context, EVP_CTRL_AEAD_GET_TAG, tag_len, s->out));
}

/* A message as it should be: one side seals, the other opens; then with one bit turned. */
static void sealed_and_opened(bool is_ccm)
{
    static unsigned char text[TEXT_MAX], sealed[TEXT_MAX + 16], opened[TEXT_MAX + 16];
    unsigned char key[32], iv[13], aad[100], tag[16];
    int len = (int)lot(TEXT_MAX), aad_len = (int)lot(sizeof(aad)), n, total = 0;
    int tag_len = is_ccm ? (int)(4 + 2 * lot(7)) : 16;
    struct side *sealer = &sides[lot(2)], *opener = sealer == sides ? &sides[1] : sides;

    renew();
    fill(text, sizeof(text));
    fill(key, sizeof(key));
    fill(iv, sizeof(iv));
    fill(aad, sizeof(aad));
    CHECK_EQ(EVP_EncryptInit_ex2(sealer->context, sealer->cipher, NULL, NULL, NULL), 1);
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(sealer->context, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL), 1);
    if (is_ccm)
        CHECK_EQ(EVP_CIPHER_CTX_ctrl(sealer->context, EVP_CTRL_AEAD_SET_TAG, tag_len, NULL), 1);
    CHECK_EQ(EVP_EncryptInit_ex2(sealer->context, NULL, key, iv, NULL), 1);
    if (is_ccm)
        CHECK_EQ(EVP_EncryptUpdate(sealer->context, NULL, &n, NULL, len), 1);
    CHECK_EQ(EVP_EncryptUpdate(sealer->context, NULL, &n, aad, aad_len), 1);
    while (total < len || (is_ccm && total == 0)) {
        int piece = is_ccm ? len : 1 + (int)lot((uint32_t)(len - total));

        CHECK_EQ(EVP_EncryptUpdate(sealer->context, sealed + total, &n, text + total, piece), 1);
        total += n;
        if (is_ccm)
            break;
    }
    CHECK_EQ(EVP_EncryptFinal_ex(sealer->context, sealed + total, &n), 1);
    CHECK_EQ(total, len);
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(sealer->context, EVP_CTRL_AEAD_GET_TAG, tag_len, tag), 1);

    for (int wrong = 0; wrong < 2; wrong++) {
        int ok = 1;

        tag[lot((uint32_t)tag_len)] ^= (unsigned char)wrong;
        CHECK_EQ(EVP_DecryptInit_ex2(opener->context, opener->cipher, NULL, NULL, NULL), 1);
        CHECK_EQ(EVP_CIPHER_CTX_ctrl(opener->context, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL), 1);
        CHECK_EQ(EVP_CIPHER_CTX_ctrl(opener->context, EVP_CTRL_AEAD_SET_TAG, tag_len, tag), 1);
        CHECK_EQ(EVP_DecryptInit_ex2(opener->context, NULL, key, iv, NULL), 1);
        if (is_ccm)
            CHECK_EQ(EVP_DecryptUpdate(opener->context, NULL, &n, NULL, len), 1);
        CHECK_EQ(EVP_DecryptUpdate(opener->context, NULL, &n, aad, aad_len), 1);
        for (total = 0; ok && (total < len || (is_ccm && total == 0)); total += n) {
            int piece = is_ccm ? len : 1 + (int)lot((uint32_t)(len - total));

            ok = EVP_DecryptUpdate(opener->context, opened + total, &n, sealed + total, piece) > 0;
            if (is_ccm)
                break;
        }
        if (!is_ccm)
            ok = EVP_DecryptFinal_ex(opener->context, opened + total, &n) > 0;
        CHECK_EQ(ok, !wrong);
        if (ok)
            CHECK_EQ(memcmp(text, opened, (size_t)len), 0);
        ERR_clear_error();
    }
}

int main(int argc, char **argv)
{
    int mode;

    CHECK_EQ(argc, 4);
    provider_load();
    state = strtoul(argv[2], NULL, 10);
    sides[0].cipher = EVP_CIPHER_fetch(NULL, argv[1], "provider=ersatz");
    sides[1].cipher = EVP_CIPHER_fetch(NULL, argv[1], "provider=default");
    CHECK(sides[0].cipher != NULL && sides[1].cipher != NULL);
    same_list(EVP_CIPHER_gettable_params(sides[0].cipher), EVP_CIPHER_gettable_params(sides[1].cipher));
    same_list(
        EVP_CIPHER_gettable_ctx_params(sides[0].cipher), EVP_CIPHER_gettable_ctx_params(sides[1].cipher));
    same_list(
        EVP_CIPHER_settable_ctx_params(sides[0].cipher), EVP_CIPHER_settable_ctx_params(sides[1].cipher));
    same_answers(
        EVP_CIPHER_gettable_params(sides[1].cipher), get_of_cipher, sides[0].cipher, sides[1].cipher);
    mode = EVP_CIPHER_get_mode(sides[0].cipher);
    for (unsigned long rounds = strtoul(argv[3], NULL, 10); rounds > 0; rounds--) {
        uint64_t before = state;

        if (getenv("CALLS") != NULL)
            fprintf(stderr, "a round from state %llu\n", (unsigned long long)before);
        if (mode == EVP_CIPH_GCM_MODE || mode == EVP_CIPH_CCM_MODE) {
            aead_round(mode == EVP_CIPH_CCM_MODE);
            sealed_and_opened(mode == EVP_CIPH_CCM_MODE);
        } else {
            one_round();
        }
        if (mode == EVP_CIPH_CBC_MODE && strstr(argv[1], "HMAC") == NULL)
            record_round();
    }
    CHECK(mode != EVP_CIPH_CBC_MODE || strstr(argv[1], "HMAC") != NULL || macs_made_up > 0);
    for (struct side *s = sides; s < sides + SIDES; s++) {
        EVP_CIPHER_CTX_free(s->context);
        EVP_CIPHER_free(s->cipher);
    }
    provider_unload();
    return 0;
}

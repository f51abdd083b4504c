/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrypto's context of a state: it is made when first needed, once; a copy has its own. If there is no
 * memory for it, the call says so, and succeeds when there is some.
 */
#include "kernels/aes_state.h"
#include "pairs.h"

#define TEXT 64u

static unsigned contexts;
static bool no_memory;
static const struct libcrypto_cipher *libcrypto;

static void *newctx(void *provider_context)
{
    contexts++;
    return no_memory ? NULL : libcrypto->newctx(provider_context);
}

static void *dupctx(void *context)
{
    return no_memory ? NULL : libcrypto->dupctx(context);
}

/* A state whose calls of libcrypto are counted. */
static struct ersatz_cipher *new_state(enum ersatz_mode mode)
{
    static struct libcrypto_cipher functions;
    struct ersatz_cipher *cipher;

    CHECK_EQ(ersatz_cipher_new(mode, 256, &cipher), ERSATZ_OK);
    libcrypto = cipher->functions;
    functions = *libcrypto;
    functions.newctx = newctx;
    functions.dupctx = dupctx;
    cipher->functions = &functions;
    contexts = 0;
    return cipher;
}

static enum ersatz_result set_key(struct ersatz_cipher *cipher)
{
    uint8_t key[64];

    for (unsigned i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    return ersatz_cipher_set_key(cipher, key, cipher->key_len, true);
}

/* Text and tag. */
struct sealed {
    uint8_t bytes[TEXT + 16];
};

static enum ersatz_result seal(struct ersatz_cipher *cipher, struct sealed *sealed)
{
    static const uint8_t iv[12], in[TEXT];
    struct ersatz_op op = {
        .kind = ERSATZ_CIPHER, .u.cipher = {.cipher = cipher, .in = in, .out = sealed->bytes, .len = TEXT}};

    memset(sealed, 0, sizeof(*sealed));
    if (cipher->mode == ERSATZ_GCM) {
        op.u.cipher.long_iv = iv;
        op.u.cipher.iv_len = sizeof(iv);
        op.u.cipher.tag = sealed->bytes + TEXT;
        op.u.cipher.tag_len = 16;
    }
    return ersatz_compute(&op, &pair_stats);
}

static void seals_as(struct ersatz_cipher *cipher, const struct sealed *wanted)
{
    struct sealed sealed;

    CHECK_EQ(seal(cipher, &sealed), ERSATZ_OK);
    CHECK(memcmp(&sealed, wanted, sizeof(sealed)) == 0);
}

static void comes_late(enum ersatz_mode mode)
{
    struct ersatz_cipher *cipher = new_state(mode), *copy;
    struct sealed wanted, sealed;

    CHECK_EQ(set_key(cipher), ERSATZ_OK);
    CHECK(cipher->x86 != NULL);
    CHECK_EQ(seal(cipher, &wanted), ERSATZ_OK);
    CHECK_EQ(ersatz_cipher_dup(cipher, &copy), ERSATZ_OK);
    seals_as(copy, &wanted);
    CHECK_EQ(contexts, 0); /* our own code needs none */

    ersatz_kernels_choose(1u << ERSATZ_KERNEL_PORTABLE);
    seals_as(copy, &wanted); /* by the key that was copied */
    CHECK_EQ(contexts, 1);
    ersatz_cipher_free(copy);

    no_memory = true;
    CHECK_EQ(seal(cipher, &sealed), ERSATZ_NO_MEMORY);
    if (mode == ERSATZ_GCM) { /* a message that has not begun does not go on */
        struct ersatz_op more = {.kind = ERSATZ_CIPHER,
            .u.cipher = {.cipher = cipher, .in = wanted.bytes, .out = sealed.bytes, .len = TEXT}};

        CHECK_EQ(ersatz_compute(&more, &pair_stats), ERSATZ_COMPUTE_FAILED);
    }
    no_memory = false;
    contexts = 0;
    for (unsigned i = 0; i < 2; i++)
        seals_as(cipher, &wanted);
    no_memory = true;
    CHECK_EQ(ersatz_cipher_dup(cipher, &copy), ERSATZ_NO_MEMORY);
    CHECK(copy == NULL);
    no_memory = false;
    CHECK_EQ(ersatz_cipher_dup(cipher, &copy), ERSATZ_OK);
    seals_as(copy, &wanted);
    CHECK_EQ(contexts, 1);
    ersatz_kernels_choose(ERSATZ_KERNELS_ALL);
    ersatz_cipher_free(copy);
    ersatz_cipher_free(cipher);
}

/* Where libcrypto takes the key at once. */
static void is_missed_by_a_key(enum ersatz_mode mode)
{
    struct ersatz_cipher *cipher = new_state(mode);
    struct sealed sealed;

    no_memory = true;
    CHECK_EQ(set_key(cipher), ERSATZ_NO_MEMORY);
    CHECK_EQ(seal(cipher, &sealed), ERSATZ_BAD_KEY); /* it has none */
    no_memory = false;
    CHECK_EQ(set_key(cipher), ERSATZ_OK);
    CHECK_EQ(contexts, 2);
    CHECK_EQ(seal(cipher, &sealed), ERSATZ_OK);
    ersatz_cipher_free(cipher);
}

static void equal_halves_are_a_bad_key(void)
{
    static const uint8_t key[64];
    struct ersatz_cipher *cipher = new_state(ERSATZ_XTS);

    CHECK_EQ(ersatz_cipher_set_key(cipher, key, sizeof(key), true), ERSATZ_BAD_KEY);
    ersatz_cipher_free(cipher);
}

int main(void)
{
    test_begin(60);
    if (x86_is_available()) {
        comes_late(ERSATZ_CBC);
        comes_late(ERSATZ_CTR);
    }
    if (x86_has_vaes())
        comes_late(ERSATZ_GCM);
    is_missed_by_a_key(ERSATZ_XTS);
    equal_halves_are_a_bad_key();
    ersatz_kernels_choose(1u << ERSATZ_KERNEL_PORTABLE);
    is_missed_by_a_key(ERSATZ_CBC);
    is_missed_by_a_key(ERSATZ_GCM);
    return 0;
}

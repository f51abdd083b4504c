/* SPDX-License-Identifier: Apache-2.0 */
/* What the processor has; states of this kernel: made, keyed, copied, freed. */
#include "x86_state.h"

#include <cpuid.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>

#define ALIGNMENT 64u /* of struct vaes_gcm_key */

#define LEAF_1_ECX_AES (1u << 25)
#define LEAF_7_ECX_VAES (1u << 9)
#define LEAF_7_ECX_VPCLMULQDQ (1u << 10)

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool has_aes, has_vaes; /* constant once pthread_once has filled them */
static bool vaes_forbidden;

/* CPUID for features that not all compilers know by name. For wide registers libgcc also checks that the
 * system saves them when it switches threads. */
static void find_features(void)
{
    const unsigned wide = LEAF_7_ECX_VAES | LEAF_7_ECX_VPCLMULQDQ;
    unsigned eax, ebx, ecx, edx;

    has_aes = __builtin_cpu_supports("sse4.1") && __get_cpuid(1, &eax, &ebx, &ecx, &edx) &&
              (ecx & LEAF_1_ECX_AES) != 0;
    has_vaes = has_aes && !vaes_forbidden && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) &&
               (ecx & wide) == wide;
}

bool x86_is_available(void)
{
    pthread_once(&once, find_features);
    return has_aes;
}

bool x86_has_vaes(void)
{
    pthread_once(&once, find_features);
    return has_vaes;
}

void x86_forbid_vaes(void)
{
    vaes_forbidden = true;
}

static bool has_mode(enum ersatz_mode mode)
{
    switch (mode) {
    case ERSATZ_CBC:
    case ERSATZ_CTR:
    case ERSATZ_XTS:
    case ERSATZ_ECB:
    case ERSATZ_CFB:
    case ERSATZ_OFB:
    case ERSATZ_CCM:
        return x86_is_available();
    case ERSATZ_GCM:
        return x86_has_vaes();
    default:
        return false;
    }
}

static bool decrypts_blocks(enum ersatz_mode mode)
{
    return mode == ERSATZ_CBC || mode == ERSATZ_ECB || mode == ERSATZ_XTS;
}

static bool has_library(const struct x86_state *state)
{
    return state->mode == ERSATZ_GCM && state->gcm.library != NULL;
}

static struct x86_state *allocate(void)
{
    return aligned_alloc(ALIGNMENT, (sizeof(struct x86_state) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

struct x86_state *x86_state_new(enum ersatz_mode mode, size_t key_len, enum ersatz_kernel kernel)
{
    bool by_library = mode == ERSATZ_GCM && kernel == ERSATZ_KERNEL_IPSEC_MB;
    struct x86_state *state = by_library || has_mode(mode) ? allocate() : NULL;

    if (state == NULL)
        return NULL;
    memset(state, 0, sizeof(*state));
    if (by_library && (state->gcm.library = imb_gcm_new()) == NULL) {
        free(state);
        return NULL;
    }
    state->mode = mode;
    state->key_len = mode == ERSATZ_XTS ? key_len / 2 : key_len;
    state->rounds = x86_rounds(state->key_len);
    return state;
}

struct x86_state *x86_state_dup(const struct x86_state *state)
{
    struct x86_state *copy = allocate();

    if (copy == NULL)
        return NULL;
    memcpy(copy, state, sizeof(*copy));
    if (has_library(state) && (copy->gcm.library = imb_gcm_dup(state->gcm.library)) == NULL) {
        x86_state_free(copy);
        return NULL;
    }
    return copy;
}

void x86_state_free(struct x86_state *state)
{
    if (state == NULL)
        return;
    if (has_library(state))
        imb_gcm_free(state->gcm.library);
    OPENSSL_cleanse(state, sizeof(*state));
    free(state);
}

/* Each word is the sum of itself and those before it. */
__attribute__((target("aes,sse4.1"))) static inline __m128i sum_up(__m128i words)
{
    words = _mm_xor_si128(words, _mm_slli_si128(words, 4));
    return _mm_xor_si128(words, _mm_slli_si128(words, 8));
}

/*
 * FIPS 197, 5.2, some words at once. A word's first byte is its lowest. Of four equal words, the last round
 * of encryption substitutes the bytes and adds a key; that it shifts rows makes no difference. It takes fewer
 * cycles than AESKEYGENASSIST.
 */
__attribute__((target("aes,sse4.1"))) void x86_expand_key(
    const uint8_t *key, size_t key_len, uint32_t words[X86_ROUND_KEYS])
{
    /* The last word of a 24-byte key's second part, or of any other part, rotated: RotWord() */
    const __m128i rotated = _mm_set1_epi32(key_len == 24 ? 0x04070605 : 0x0c0f0e0d);
    unsigned count = 4 * (x86_rounds(key_len) + 1), at = (unsigned)key_len / 4;
    uint32_t constant = 1;
    __m128i first = _mm_loadu_si128((const __m128i *)key), second = first;

    if (key_len == 24)
        second = _mm_loadl_epi64((const __m128i *)(key + 16));
    else if (key_len == 32)
        second = _mm_loadu_si128((const __m128i *)(key + 16));
    memcpy(words, key, key_len);
    for (;;) {
        first = _mm_xor_si128(sum_up(first),
            _mm_aesenclast_si128(_mm_shuffle_epi8(second, rotated), _mm_set1_epi32((int)constant)));
        constant = constant << 1 ^ (constant >> 7) * 0x11b; /* times x in the field of FIPS 197, 4.2 */
        _mm_storeu_si128((__m128i *)(words + at), first);
        at += 4;
        if (at == count)
            return;
        second = key_len == 16 ? first : sum_up(second);
        if (key_len == 24) {
            second = _mm_xor_si128(second, _mm_shuffle_epi32(first, 0xff));
            _mm_storel_epi64((__m128i *)(words + at), second);
            at += 2;
        } else if (key_len == 32) {
            second = _mm_xor_si128(
                second, _mm_aesenclast_si128(_mm_shuffle_epi32(first, 0xff), _mm_setzero_si128()));
            _mm_storeu_si128((__m128i *)(words + at), second);
            at += 4;
        }
    }
}

/* FIPS 197, 5.3.5: the same keys the other way round, all but the first and the last with the inverse mix of
 * columns. */
__attribute__((target("aes,sse4.1"))) static void invert_key(
    const uint32_t *encrypt, unsigned rounds, uint32_t *decrypt)
{
    const __m128i *from = (const __m128i *)encrypt;
    __m128i *to = (__m128i *)decrypt;

    to[0] = from[rounds];
    for (unsigned i = 1; i < rounds; i++)
        to[i] = _mm_aesimc_si128(from[rounds - i]);
    to[rounds] = from[0];
}

static void set_gcm_key(struct x86_gcm *gcm, const uint8_t *key, size_t key_len)
{
    if (gcm->library != NULL) {
        imb_gcm_set_key(gcm->library, key, key_len);
        return;
    }
    x86_expand_key(key, key_len, gcm->key.round_keys);
    gcm->key.rounds = x86_rounds(key_len);
    vaes_gcm_make_powers(&gcm->key);
}

void x86_state_set_key(struct x86_state *state, const uint8_t *key)
{
    struct x86_keys *keys = &state->keys;

    if (state->mode == ERSATZ_GCM) {
        set_gcm_key(&state->gcm, key, state->key_len);
        return;
    }
    x86_expand_key(key, state->key_len, keys->encrypt);
    if (decrypts_blocks(state->mode))
        invert_key(keys->encrypt, x86_rounds(state->key_len), keys->decrypt);
    if (state->mode == ERSATZ_XTS)
        x86_expand_key(key + state->key_len, state->key_len, keys->tweak);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See faster.h. */
#include "faster.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "aes_state.h"
#include "base/clock.h"

#define KEY_SIZES 3u
#define ROUNDS 12u
#define CLASSES 4u
#define TEXT_MAX 16384u

/* Classes of lengths: the one that is measured, how many operations at a time, so that the clock matters
 * little, and the first length of the class, half way (by ratio) from the class before. */
static const struct {
    size_t len;
    unsigned times;
    size_t first;
} classes[CLASSES] = {{64, 32, 1}, {1024, 4, 256}, {4096, 2, 2048}, {TEXT_MAX, 1, 8192}};

/* The kernels that take part. The x86 one wins ties: there is more around a call of libcrypto than what is
 * measured here. Then the library. */
#define KERNELS 3u
static const enum ersatz_kernel kernels[KERNELS] = {
    ERSATZ_KERNEL_PORTABLE, ERSATZ_KERNEL_X86, ERSATZ_KERNEL_IPSEC_MB};

/* Of each kernel and class, in nanoseconds; UINT64_MAX: there is no such kernel. */
typedef uint64_t times_table[KERNELS][CLASSES];

static faster_timer *believed; /* set before there are other threads */

/* What is known: 0, or KNOWN, the best kernel that is not libcrypto's, and for each such kernel a bit for
 * each class in which it is faster than libcrypto. Relaxed: each stands for itself. If several threads
 * measure at once, the first one's answer holds. */
#define KNOWN 1u
#define BEST_SHIFT 1
#define CLASS_BITS(kernel) ((kernel)*CLASSES) /* the first: kernel is at least 1 */
static _Atomic unsigned known[ERSATZ_MODES][KEY_SIZES][2];

/* ------------------------------------------------------------------------------------------------ measure */

static struct ersatz_stats uncounted; /* this is no work of the application's */

static void compute(struct ersatz_cipher *cipher, uint8_t *text, size_t len)
{
    uint8_t iv[16] = {0}, tag[16] = {0};
    struct ersatz_op op = ersatz_text_op(cipher, iv, text, text, len);

    if (cipher->mode != ERSATZ_GCM && cipher->mode != ERSATZ_CCM) {
        (void)ersatz_update_text(cipher, text, text, len, iv, &uncounted);
        return;
    }
    op.u.cipher.long_iv = iv;
    op.u.cipher.iv_len = 12;
    /* Without its tag, an opened message is not refused; but CCM needs one. */
    op.u.cipher.tag = cipher->encrypt || cipher->mode == ERSATZ_CCM ? tag : NULL;
    op.u.cipher.tag_len = sizeof(tag);
    (void)ersatz_compute(&op, &uncounted);
}

static uint64_t time_of(struct ersatz_cipher *cipher, unsigned class, uint8_t *text)
{
    uint64_t begin;

    compute(cipher, text, classes[class].len); /* what another kernel left in the caches is not its fault */
    begin = clock_now();
    for (unsigned i = 0; i < classes[class].times; i++)
        compute(cipher, text, classes[class].len);
    return clock_now() - begin;
}

/* In turn, so that a change of the processor's speed, or other work on it, meets all of them. */
static void measure_all(struct ersatz_cipher *const ciphers[KERNELS], uint8_t *text, times_table times)
{
    for (unsigned class = 0; class < CLASSES; class ++) {
        for (unsigned round = 0; round < ROUNDS; round++) {
            for (unsigned i = 0; i < KERNELS; i++) {
                uint64_t took = ciphers[i] != NULL ? time_of(ciphers[i], class, text) : UINT64_MAX;

                if (took < times[i][class])
                    times[i][class] = took;
            }
        }
    }
}

static void measure(enum ersatz_mode mode, size_t key_len, bool encrypt, times_table times)
{
    static const uint8_t key[64] = {1}; /* XTS refuses one with equal halves */
    struct ersatz_cipher *ciphers[KERNELS];
    uint8_t *text = calloc(1, TEXT_MAX); /* a job's stack has no room for it */

    for (unsigned i = 0; i < KERNELS; i++)
        ciphers[i] = cipher_new_for_kernel(mode, key, key_len, encrypt, kernels[i]);
    if (text != NULL)
        measure_all(ciphers, text, times);
    for (unsigned i = 0; i < KERNELS; i++)
        ersatz_cipher_free(ciphers[i]);
    free(text);
}

/* ------------------------------------------------------------------------------------------------- decide */

/* A time that differs by less than a thirty-second is the same. */
static bool is_less(uint64_t time, uint64_t other)
{
    return time < other - other / 32;
}

static bool is_as_fast(uint64_t time, uint64_t other)
{
    return time != UINT64_MAX && !is_less(other, time);
}

static void find_times(enum ersatz_mode mode, size_t key_len, bool encrypt, times_table times)
{
    memset(times, 0xff, sizeof(times_table));
    if (believed == NULL)
        measure(mode, key_len, encrypt, times);
    for (unsigned i = 0; believed != NULL && i < KERNELS * CLASSES; i++)
        times[i / CLASSES][i % CLASSES] =
            believed(mode, key_len, encrypt, kernels[i / CLASSES], classes[i % CLASSES].len);
}

static unsigned answer_of(const times_table times, bool is_library_better)
{
    unsigned answer = KNOWN | (is_library_better ? 2u : 1u) << BEST_SHIFT;

    for (unsigned i = 1; i < KERNELS; i++) {
        for (unsigned class = 0; class < CLASSES; class ++)
            answer |= (unsigned)is_as_fast(times[i][class], times[0][class]) << (CLASS_BITS(i) + class);
    }
    return answer;
}

/* Answers for a direction, or for both: answers[encrypt]; 0: not asked. The better kernel that is not
 * libcrypto's is the one where there is most to gain. A state of GCM has the same for both directions, and so
 * each counts half. */
static void decide(enum ersatz_mode mode, size_t key_len, bool encrypt, unsigned answers[2])
{
    times_table times, others;
    uint64_t ours, library;
    bool is_for_both;

    find_times(mode, key_len, encrypt, times);
    ours = times[1][CLASSES - 1];
    library = times[2][CLASSES - 1];
    is_for_both = mode == ERSATZ_GCM && ours != UINT64_MAX && library != UINT64_MAX;
    if (is_for_both) {
        find_times(mode, key_len, !encrypt, others);
        ours = ours / 2 + others[1][CLASSES - 1] / 2;
        library = library / 2 + others[2][CLASSES - 1] / 2;
    }
    answers[encrypt] = answer_of(times, is_less(library, ours));
    answers[!encrypt] = is_for_both ? answer_of(others, is_less(library, ours)) : 0;
}

/* One range of lengths, from a bit for each class: if there are several, the first. */
static struct lengths range_of(unsigned faster)
{
    unsigned from = 0, to;

    while (from < CLASSES && (faster >> from & 1) == 0)
        from++;
    for (to = from; to < CLASSES && (faster >> to & 1) != 0;)
        to++;
    if (from == CLASSES)
        return (struct lengths){0, 0};
    return (struct lengths){
        classes[from].first, (to < CLASSES ? classes[to].first : SIZE_MAX) - classes[from].first};
}

static unsigned answer_for(enum ersatz_mode mode, size_t key_len, bool encrypt)
{
    size_t bytes = mode == ERSATZ_XTS ? key_len / 2 : key_len;
    _Atomic unsigned *places = known[mode][bytes / 8 - 2];
    unsigned answer = atomic_load_explicit(&places[encrypt], memory_order_relaxed), answers[2];

    if (answer != 0)
        return answer;
    decide(mode, key_len, encrypt, answers);
    for (unsigned i = 0; i < 2; i++) {
        unsigned nothing = 0;

        atomic_compare_exchange_strong_explicit(
            &places[i], &nothing, answers[i], memory_order_relaxed, memory_order_relaxed);
    }
    return atomic_load_explicit(&places[encrypt], memory_order_relaxed);
}

enum ersatz_kernel faster_kernel(enum ersatz_mode mode, size_t key_len, bool encrypt)
{
    return kernels[answer_for(mode, key_len, encrypt) >> BEST_SHIFT & 3];
}

struct lengths faster_lengths(enum ersatz_mode mode, size_t key_len, bool encrypt, enum ersatz_kernel kernel)
{
    unsigned answer = answer_for(mode, key_len, encrypt), i = kernel == ERSATZ_KERNEL_IPSEC_MB ? 2 : 1;

    return range_of(answer >> CLASS_BITS(i) & ((1u << CLASSES) - 1));
}

void faster_believe(faster_timer *timer)
{
    believed = timer;
    for (unsigned i = 0; i < ERSATZ_MODES * KEY_SIZES * 2; i++)
        atomic_store_explicit(&known[i / (KEY_SIZES * 2)][i / 2 % KEY_SIZES][i % 2], 0, memory_order_relaxed);
}

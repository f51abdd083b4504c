/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batch kernel for RSA alone, on one core, in full batches: next to libcrypto's RSA in the same run, and
 * to what this processor could do if it did nothing but multiply-adds. A measurement and no test: `ninja -C
 * build bench`.
 *
 * kernels-bench DIRECTORY-OF-KEYS
 */
#include <openssl/rsa.h>
#include <time.h>

#include "check.h"
#include "ersatz/device.h"
#include "kernels/compute.h"
#include "kernels/ifma_montgomery.h"
#include "rsa_numbers.h"

#define BATCH 16u /* a worker's */
#define SIZE_MAX_BYTES 512u
#define ROUNDS 15u /* libcrypto and the kernel take turns; medians */
#define SLICE_NS 40000000u

struct work {
    RSA *rsa;
    struct ersatz_rsa_key *key;
    bool private_half;
    struct ersatz_op ops[BATCH];
    uint8_t in[BATCH][SIZE_MAX_BYTES], out[BATCH][SIZE_MAX_BYTES];
    double libcrypto[ROUNDS], kernel[ROUNDS]; /* operations a second */
};

static struct compute_lanes *lanes;
static struct ersatz_stats stats;

/* The core's time for this thread: what others take away is not counted. */
static double now(void)
{
    struct timespec time;

    CHECK_EQ(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time), 0);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return difference < 0 ? -1 : difference > 0;
}

static double median(double values[ROUNDS])
{
    qsort(values, ROUNDS, sizeof(values[0]), compare);
    return values[ROUNDS / 2];
}

/* ------------------------------------------------------------------------------------------------- limits */

/* Multiply-adds of eight lanes a second, as many at once as there are registers to add up in. */
static double multiply_adds_a_second(void)
{
    __m512i sums[16], a = _mm512_set1_epi64(0x123456789abcd), b = _mm512_set1_epi64(0xfedcba9876543);
    double rates[ROUNDS];

    for (unsigned i = 0; i < 16; i++)
        sums[i] = _mm512_set1_epi64(i);
    for (unsigned round = 0; round < ROUNDS; round++) {
        double begin = now();

        for (unsigned i = 0; i < 1000000; i++) {
            _Pragma("GCC unroll 16") for (unsigned j = 0; j < 16; j++) sums[j] =
                _mm512_madd52lo_epu64(sums[j], a, b);
            __asm__ volatile("" : "+v"(a), "+v"(b)); /* not the same product sixteen million times */
        }
        rates[round] = 16e6 / (now() - begin);
    }
    for (unsigned i = 1; i < 16; i++)
        sums[0] = _mm512_xor_si512(sums[0], sums[i]);
    __asm__ volatile("" : : "v"(sums[0]));
    return median(rates);
}

/*
 * Those of eight private operations: two exponentiations of half the length in Montgomery's form. A reduction
 * of n digits takes 2 n^2, less 2 b^2 for every two blocks but the first. A product is one of blocks for each
 * of them and for every two, of 2 b^2, a square as many squares of b^2 + b.
 */
static double multiply_adds_of_eight(int bits)
{
    struct shape shape;
    double n, b, of_blocks, reduction, windows, squares, products;

    CHECK(shape_for((unsigned)bits / 2, &shape));
    n = shape_digits(shape);
    b = shape.block;
    of_blocks = shape.blocks * (shape.blocks + 1) / 2;
    reduction = 2 * n * n - (shape.blocks - 1) * (shape.blocks - 2) * b * b;
    windows = (bits / 2 + WINDOW_BITS - 1) / WINDOW_BITS; /* the first of them is only looked up */
    squares = (windows - 1) * WINDOW_BITS + POWERS / 2 - 1;
    products = windows - 1 + POWERS / 2 - 1;
    return 2 *
           (squares * (reduction + of_blocks * (b * b + b)) + products * (reduction + of_blocks * 2 * b * b));
}

/* --------------------------------------------------------------------------------------------------- work */

static void set_up(struct work *work, const char *directory, int bits, bool private_half)
{
    char name[16];

    memset(work, 0, sizeof(*work));
    snprintf(name, sizeof(name), "%d", bits);
    work->rsa = rsa_read_key(directory, name);
    CHECK_EQ(RSA_bits(work->rsa), bits);
    work->key = device_key_of(work->rsa);
    work->private_half = private_half;
    for (unsigned i = 0; i < BATCH; i++) {
        for (int byte = 1; byte < bits / 8; byte++)
            work->in[i][byte] = (uint8_t)((unsigned)byte * 31 + i * 7);
        work->ops[i] = (struct ersatz_op){.kind = private_half ? ERSATZ_RSA_PRIVATE : ERSATZ_RSA_PUBLIC,
            .u.rsa = {.key = work->key, .in = work->in[i], .out = work->out[i]}};
    }
}

static void by_kernel(struct work *work)
{
    const struct ersatz_op *ops[BATCH];
    enum ersatz_result results[BATCH];

    for (unsigned i = 0; i < BATCH; i++)
        ops[i] = &work->ops[i];
    compute_batch(lanes, ops, results, BATCH, &stats);
    for (unsigned i = 0; i < BATCH; i++)
        CHECK_EQ(results[i], ERSATZ_OK);
}

static void by_libcrypto(struct work *work)
{
    uint8_t out[SIZE_MAX_BYTES];
    int size = RSA_size(work->rsa);

    for (unsigned i = 0; i < BATCH; i++) {
        if (work->private_half)
            CHECK_EQ(RSA_private_encrypt(size, work->in[i], out, work->rsa, RSA_NO_PADDING), size);
        else
            CHECK_EQ(RSA_public_encrypt(size, work->in[i], out, work->rsa, RSA_NO_PADDING), size);
        CHECK(memcmp(out, work->out[i], (size_t)size) == 0); /* the kernel's turn was before ours */
    }
}

static double rate(void (*batch)(struct work *work), struct work *work)
{
    double begin = now(), end;
    unsigned batches = 0;

    do {
        batch(work);
        batches++;
        end = now();
    } while (end - begin < SLICE_NS * 1e-9);
    return batches * BATCH / (end - begin);
}

static void measure(const char *directory, int bits, bool private_half, double multiply_adds)
{
    static struct work work;
    uint64_t before;
    double kernel, libcrypto;

    set_up(&work, directory, bits, private_half);
    before = ersatz_stats_by_kernel(&stats, ERSATZ_KERNEL_PORTABLE);
    for (unsigned round = 0; round < ROUNDS; round++) {
        work.kernel[round] = rate(by_kernel, &work);
        work.libcrypto[round] = rate(by_libcrypto, &work);
    }
    CHECK_EQ(ersatz_stats_by_kernel(&stats, ERSATZ_KERNEL_PORTABLE), before);
    kernel = median(work.kernel);
    libcrypto = median(work.libcrypto);
    printf("RSA-%d %-8s %12.0f/s %12.0f/s %8.2f", bits, private_half ? "private" : "public", libcrypto,
        kernel, kernel / libcrypto);
    if (private_half)
        printf(" %10.0f/s %8.0f %%", 8 * multiply_adds / multiply_adds_of_eight(bits),
            100 * kernel * multiply_adds_of_eight(bits) / 8 / multiply_adds);
    putchar('\n');
    fflush(stdout);
    ersatz_rsa_key_free(work.key);
    RSA_free(work.rsa);
}

int main(int argc, char **argv)
{
    static const int lengths[] = {2048, 3072, 4096};
    double multiply_adds;

    test_begin(300);
    CHECK_EQ(argc, 2);
    if (!(ersatz_kernels_available() & 1u << ERSATZ_KERNEL_IFMA)) {
        puts("this processor does not run the batch kernel for RSA");
        return 0;
    }
    ersatz_kernels_choose(1u << ERSATZ_KERNEL_IFMA);
    lanes = compute_lanes_new();
    CHECK(lanes != NULL);
    multiply_adds = multiply_adds_a_second();
    printf("one core: %.2f thousand million multiply-adds a second, of eight lanes each\n"
           "%-16s %14s %14s %8s %12s %10s\n",
        multiply_adds * 1e-9, "batches of 16", "libcrypto", "kernel", "ratio", "limit", "of it");
    for (unsigned i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        measure(argv[1], lengths[i], true, multiply_adds);
        measure(argv[1], lengths[i], false, multiply_adds);
    }
    compute_lanes_free(lanes);
    return 0;
}

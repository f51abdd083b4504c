/*
 * The kernels alone: RSA private operations on this thread, with nothing around them. Full batches by
 * whichever kernel this processor runs best, and libcrypto's RSA_METHOD one by one, in turn.
 *
 *   kernel-rsa BITS ROUNDS SECONDS
 *
 * Prints a line for each round: the kernel's name, and operations a second of libcrypto and of the kernel.
 */
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include "check.h"
#include "compute.h"
#include "ersatz/device.h"
#include "ersatz/stats.h"
#include "times.h"

#define BATCH 8u
#define SIZE_MAX_BYTES 1024u

static RSA *rsa;
static struct ersatz_rsa_key *key;
static struct compute_lanes *lanes;
static struct ersatz_stats stats;
static uint8_t in[BATCH][SIZE_MAX_BYTES], out[BATCH][SIZE_MAX_BYTES], wanted[SIZE_MAX_BYTES];

static struct ersatz_bytes bytes_of(const BIGNUM *number)
{
    struct ersatz_bytes bytes = {.len = (size_t)BN_num_bytes(number)};
    uint8_t *data = malloc(bytes.len);

    CHECK(data != NULL);
    BN_bn2bin(number, data);
    bytes.data = data;
    return bytes;
}

static void read_key(const char *bits)
{
    const char *directory = getenv("ERSATZ_TEST_KEYS");
    struct ersatz_rsa_numbers numbers;
    struct ersatz_bytes *const all[] = {&numbers.n, &numbers.e, &numbers.d, &numbers.p, &numbers.q,
        &numbers.dmp1, &numbers.dmq1, &numbers.iqmp};
    char path[4096];
    FILE *file;

    CHECK(directory != NULL);
    snprintf(path, sizeof(path), "%s/%s.pem", directory, bits);
    file = fopen(path, "re");
    CHECK(file != NULL);
    rsa = PEM_read_RSAPrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    CHECK(rsa != NULL && (size_t)RSA_size(rsa) <= SIZE_MAX_BYTES);
    numbers = (struct ersatz_rsa_numbers){.n = bytes_of(RSA_get0_n(rsa)),
        .e = bytes_of(RSA_get0_e(rsa)),
        .d = bytes_of(RSA_get0_d(rsa)),
        .p = bytes_of(RSA_get0_p(rsa)),
        .q = bytes_of(RSA_get0_q(rsa)),
        .dmp1 = bytes_of(RSA_get0_dmp1(rsa)),
        .dmq1 = bytes_of(RSA_get0_dmq1(rsa)),
        .iqmp = bytes_of(RSA_get0_iqmp(rsa))};
    CHECK_EQ(ersatz_rsa_key_new(&numbers, &key), ERSATZ_OK);
    for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        free((void *)all[i]->data);
}

/* Different numbers below the modulus. */
static void make_inputs(void)
{
    for (unsigned i = 0; i < BATCH; i++) {
        for (unsigned j = 1; j < (unsigned)RSA_size(rsa); j++)
            in[i][j] = (uint8_t)(i * 31 + j * 7);
    }
}

static void do_one(unsigned i)
{
    int size = RSA_size(rsa);

    CHECK_EQ(RSA_private_encrypt(size, in[i], wanted, rsa, RSA_NO_PADDING), size);
}

static void do_batch(void)
{
    struct ersatz_op op[BATCH];
    const struct ersatz_op *ops[BATCH];
    enum ersatz_result results[BATCH];

    for (unsigned i = 0; i < BATCH; i++) {
        op[i] =
            (struct ersatz_op){.kind = ERSATZ_RSA_PRIVATE, .u.rsa = {.key = key, .in = in[i], .out = out[i]}};
        ops[i] = &op[i];
    }
    compute_batch(lanes, ops, results, BATCH, &stats);
    for (unsigned i = 0; i < BATCH; i++)
        CHECK_EQ(results[i], ERSATZ_OK);
}

static double rate_of(double seconds, bool batches)
{
    uint64_t begin = clock_now(), end = begin + (uint64_t)(seconds * 1e9), now, count = 0;

    do {
        if (batches)
            do_batch();
        for (unsigned i = 0; i < BATCH && !batches; i++)
            do_one(i);
        count += BATCH;
        now = clock_now();
    } while (now < end);
    return (double)count / (double)(now - begin) * 1e9;
}

/* Both give the same; and the kernel's first batches, in which it measures itself, are over. */
static void compare(void)
{
    for (unsigned i = 0; i < BATCH; i++) {
        do_batch();
        do_one(i);
        CHECK_EQ(memcmp(out[i], wanted, (size_t)RSA_size(rsa)), 0);
    }
}

static const char *kernel_name(void)
{
    bool batches = atomic_load(&stats.by_kernel[ERSATZ_KERNEL_IFMA]) >
                   atomic_load(&stats.by_kernel[ERSATZ_KERNEL_PORTABLE]);

    return ersatz_kernel_name(batches ? ERSATZ_KERNEL_IFMA : ERSATZ_KERNEL_PORTABLE);
}

int main(int argc, char **argv)
{
    int rounds;
    double seconds;

    if (argc != 4 || (rounds = atoi(argv[2])) <= 0 || !((seconds = atof(argv[3])) > 0)) {
        fprintf(stderr, "usage: kernel-rsa BITS ROUNDS SECONDS\n");
        return 2;
    }
    lanes = compute_lanes_new();
    CHECK(lanes != NULL);
    read_key(argv[1]);
    make_inputs();
    compare();
    for (int round = 0; round < rounds; round++) {
        double plain = rate_of(seconds, false), batch = rate_of(seconds, true);

        printf("%s %.1f %.1f\n", kernel_name(), plain, batch);
        fflush(stdout);
    }
    ersatz_rsa_key_free(key);
    RSA_free(rsa);
    compute_lanes_free(lanes);
    return 0;
}

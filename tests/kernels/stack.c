/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the batch kernel for RSA has its stack: at one place in a page, wherever its caller's stack begins,
 * as its arrays have theirs, and no deeper than what is cleared after it. Results and mostly the time are the
 * same without the first; nothing but this would notice.
 *
 * stack DIRECTORY-OF-KEYS
 */
#include <openssl/rsa.h>
#include <pthread.h>
#include <sys/mman.h>

#include "check.h"
#include "kernels/compute.h"
#include "kernels/ifma_montgomery.h"
#include "kernels/residue.h"
#include "kernels/rsa_ifma.h"
#include "rsa_numbers.h"

#define STACK ((size_t)256 * 1024)
#define PAINT 0xa5
#define ROOM 1024u /* of what paints, and what it calls */
#define CODE 2048u /* bytes of a function that are its own: no other's begin there */
#define STEP 48u   /* stacks begin at multiples of 16 */
#define SIZE_MAX_BYTES 512u

static uint8_t *stack;
static struct montgomery mont;
static struct rsa_ifma *ifma;
static size_t depth;

/* In place of the kernel's own: it is called when a batch is done. */
void residue_clear(void)
{
    const uint8_t *deepest = stack;

    while (*deepest == PAINT)
        deepest++;
    depth = (size_t)((const uint8_t *)__builtin_frame_address(0) - deepest);
}

static __attribute__((noinline)) void paint(void)
{
    for (volatile uint8_t *byte = stack; byte < (uint8_t *)__builtin_frame_address(0) - ROOM; byte++)
        *byte = PAINT;
}

/* -------------------------------------------------------------------------------------------- the place */

/* Whether an exponentiation has called something from where its stack is to begin: there it goes back to. */
static bool begins_in_place(uintptr_t function)
{
    for (const uint8_t *at = stack; at < stack + STACK; at += sizeof(uintptr_t)) {
        uintptr_t address, place = ((uintptr_t)at + sizeof(address) - (uintptr_t)&mont) % PAGE_BYTES;

        memcpy(&address, at, sizeof(address));
        if ((place == 0 || place == sizeof(__m512i)) && address > function && address < function + CODE)
            return true;
    }
    return false;
}

/* What the numbers are does not matter. */
static void *look_at_powers(void *unused)
{
    static __m512i base[DIGITS_MAX], one[DIGITS_MAX], out[DIGITS_MAX], table[TABLE_DIGITS];
    static const uint64_t digits[DIGITS_MAX] = {3, 1}, exponents[LANES] = {17, 17, 17, 17, 17, 17, 17, 17};
    static const uint8_t exponent[16] = {1, 2, 3};
    const uint64_t *moduli[LANES];
    const uint8_t *secret[LANES];

    for (unsigned lane = 0; lane < LANES; lane++) {
        moduli[lane] = digits;
        secret[lane] = exponent;
    }
    for (unsigned block = BLOCK_MIN; block <= BLOCK_MAX; block++) {
        for (unsigned offset = 0; offset < PAGE_BYTES; offset += STEP) {
            char *below = __builtin_alloca(STEP);

            __asm__ volatile("" : : "r"(below) : "memory");
            montgomery_set_moduli(&mont, (struct shape){block, 1 + offset / STEP % 4}, moduli, exponents);
            paint();
            montgomery_power(&mont, out, base, one, secret, 20, table);
            CHECK(begins_in_place((uintptr_t)montgomery_power));
            paint();
            montgomery_public_power(&mont, out, base, NULL, exponents);
            CHECK(begins_in_place((uintptr_t)montgomery_public_power));
        }
    }
    return unused;
}

/* -------------------------------------------------------------------------------------------- the depth */

static __attribute__((noinline)) void compute(const struct ersatz_op *op, size_t offset)
{
    enum ersatz_result result = ERSATZ_BAD_INPUT;
    char *below = __builtin_alloca(offset + 16);

    __asm__ volatile("" : : "r"(below) : "memory");
    paint();
    CHECK_EQ(rsa_ifma_compute(ifma, &op, &result, 1, false), 1);
    CHECK_EQ(result, ERSATZ_OK);
}

static void look_at(const char *what, const struct ersatz_op *op)
{
    size_t deepest = 0;

    compute(op, 0); /* the dynamic linker binds functions at their first call */
    for (size_t offset = 0; offset < PAGE_BYTES; offset += STEP) {
        compute(op, offset);
        deepest = depth > deepest ? depth : deepest;
    }
    printf("%-16s %zu bytes deep, %u are cleared\n", what, deepest, RESIDUE_DEPTH);
    CHECK(deepest <= RESIDUE_DEPTH);
}

static void *look_at_keys(void *directory)
{
    static const char *const names[] = {"1024_e3", "1536", "2048", "3072", "4096"};
    static uint8_t in[SIZE_MAX_BYTES], out[SIZE_MAX_BYTES];

    for (unsigned i = 0; i < 2 * sizeof(names) / sizeof(names[0]); i++) {
        RSA *rsa = rsa_read_key(directory, names[i / 2]);
        struct ersatz_rsa_numbers numbers = rsa_numbers(rsa);
        struct ersatz_op op = {
            .kind = i % 2 ? ERSATZ_RSA_PUBLIC : ERSATZ_RSA_PRIVATE, .u.rsa = {.in = in, .out = out}};
        struct ersatz_rsa_key *key;
        char what[32];

        CHECK_EQ(ersatz_rsa_key_new(&numbers, &key), ERSATZ_OK);
        op.u.rsa.key = key;
        memset(in, 0x5c, sizeof(in));
        in[0] = 0;
        snprintf(what, sizeof(what), "%s %s", names[i / 2], i % 2 ? "public" : "private");
        look_at(what, &op);
        ersatz_rsa_key_free(key);
        rsa_numbers_free(&numbers);
        RSA_free(rsa);
    }
    return NULL;
}

static void run(void *(*function)(void *), void *arg)
{
    pthread_attr_t attributes;
    pthread_t thread;

    CHECK_EQ(pthread_attr_init(&attributes), 0);
    CHECK_EQ(pthread_attr_setstack(&attributes, stack, STACK), 0);
    CHECK_EQ(pthread_create(&thread, &attributes, function, arg), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(pthread_attr_destroy(&attributes), 0);
}

int main(int argc, char **argv)
{
    test_begin(120);
    CHECK_EQ(argc, 2);
    stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stack != MAP_FAILED);
    run(look_at_powers, NULL);
    ersatz_kernels_choose(1u << ERSATZ_KERNEL_IFMA);
    ifma = rsa_ifma_new();
    CHECK(ifma != NULL);
    CHECK_EQ((uintptr_t)ifma % PAGE_BYTES, 0);
    run(look_at_keys, argv[1]);
    rsa_ifma_free(ifma);
    CHECK_EQ(munmap(stack, STACK), 0);
    return 0;
}

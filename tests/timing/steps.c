/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instructions of one operation, for scripts/predict: a kernel of ours, or libcrypto's code for the same
 * work, is executed step by step, and where each step was is printed. Or both are timed on this processor.
 *
 * steps trace WORK KERNEL COUNT   COUNT 0: one operation, from its begin to its end; else so many steps out
 *                                 of the middle of operations without end
 * steps time WORK KERNEL          nanoseconds for an operation by that kernel and by libcrypto, in turn
 *
 * WORK: MODE-BITS-encrypt:BYTES or -decrypt:BYTES, MODE as in ersatz_mode_name(); or rsa-BITS, whose keys are
 * in $ERSATZ_TEST_KEYS. KERNEL: portable (libcrypto's), x86, ipsec-mb, ifma; narrow is what there is on
 * processors without AVX-512: x86 without VAES, and for GCM ipsec-mb; lanes is ipsec-mb with 16 operations at
 * once. A batch counts as so many operations.
 */
#include <link.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sched.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "check.h"
#include "ersatz/device.h"
#include "kernels/aes_state.h"
#include "kernels/compute.h"
#ifdef HAVE_IPSEC_MB
#include "kernels/imb_manager.h"
#endif
#include "kernels/x86.h"
#include "rsa_numbers.h"

#define BATCH 16u
#define TEXT_MAX 65536u
#define RSA_MAX 512u
#define SINGLE_STEP 2 /* TRAP_TRACE */
#define NAP_US 300000
#define TIME_NS 300000000u

struct work {
    bool is_rsa;
    unsigned count; /* of operations at once */
    RSA *rsa;
    struct ersatz_cipher *ciphers[BATCH];
    struct ersatz_op ops[BATCH];
    struct compute_lanes *lanes;
    uint8_t iv[16], tag[16];
    uint8_t in[RSA_MAX], out[BATCH][RSA_MAX];
    uint8_t *text[BATCH];
};

static struct ersatz_stats stats;

/* --------------------------------------------------------------------------------------------------- work */

static void set_up_rsa(struct work *work, unsigned bits, bool portable)
{
    char path[1000];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%u.pem", getenv("ERSATZ_TEST_KEYS"), bits);
    file = fopen(path, "re");
    CHECK(file != NULL);
    work->rsa = PEM_read_RSAPrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    CHECK(work->rsa != NULL);
    work->is_rsa = true;
    work->count = portable ? 1 : BATCH;
    memset(work->in + 1, 0x5a, bits / 8 - 1);
    for (unsigned i = 0; i < BATCH && !portable; i++)
        work->ops[i] = (struct ersatz_op){.kind = ERSATZ_RSA_PRIVATE,
            .u.rsa = {.key = device_key_of(work->rsa), .in = work->in, .out = work->out[i]}};
}

static void set_up_cipher(
    struct work *work, enum ersatz_mode mode, unsigned bits, bool encrypt, size_t len, unsigned kernel)
{
    static const uint8_t key[64] = {1}; /* XTS refuses one with equal halves */
    size_t key_len = bits / 8 * (mode == ERSATZ_XTS ? 2 : 1);

    CHECK(len > 0 && len <= TEXT_MAX);
    for (unsigned i = 0; i < work->count; i++) {
        work->text[i] = aligned_alloc(64, TEXT_MAX + 64);
        CHECK(work->text[i] != NULL);
        memset(work->text[i], 1, TEXT_MAX);
        work->ciphers[i] =
            cipher_new_for_kernel(mode, key, key_len, encrypt, work->count > 1 ? ERSATZ_KERNEL_X86 : kernel);
        if (work->ciphers[i] == NULL) {
            printf("no such kernel\n");
            exit(1);
        }
        work->ops[i] = ersatz_text_op(work->ciphers[i], work->iv, work->text[i], work->text[i], len);
        if (mode == ERSATZ_GCM || mode == ERSATZ_CCM) {
            work->ops[i].u.cipher.long_iv = work->iv;
            work->ops[i].u.cipher.iv_len = 12;
            work->ops[i].u.cipher.tag = encrypt || mode == ERSATZ_CCM ? work->tag : NULL;
            work->ops[i].u.cipher.tag_len = 16;
        }
    }
}

static void set_up(struct work *work, const char *name, const char *kernel_name)
{
    static const char *const kernels[] = {
        [ERSATZ_KERNEL_PORTABLE] = "portable",
        [ERSATZ_KERNEL_X86] = "x86",
        [ERSATZ_KERNEL_IPSEC_MB] = "ipsec-mb",
        [ERSATZ_KERNEL_IFMA] = "ifma",
    };
    unsigned kernel = 0, bits, len;
    char mode_name[20], direction[10];

    memset(work, 0, sizeof(*work));
    work->count = strcmp(kernel_name, "lanes") == 0 ? BATCH : 1;
    if (work->count > 1)
        kernel = ERSATZ_KERNEL_IPSEC_MB;
    else if (strcmp(kernel_name, "narrow") == 0)
        kernel = strncmp(name, "GCM", 3) == 0 ? ERSATZ_KERNEL_IPSEC_MB : ERSATZ_KERNEL_X86;
    else
        while (strcmp(kernels[kernel], kernel_name) != 0)
            CHECK(++kernel < sizeof(kernels) / sizeof(kernels[0]));
    if (sscanf(name, "rsa-%u", &bits) == 1) {
        set_up_rsa(work, bits, kernel == ERSATZ_KERNEL_PORTABLE);
    } else {
        enum ersatz_mode mode = 0;

        CHECK_EQ(sscanf(name, "%19[A-Z]-%u-%9[a-z]:%u", mode_name, &bits, direction, &len), 4);
        while (strcmp(ersatz_mode_name(mode), mode_name) != 0)
            CHECK(++mode < ERSATZ_MODES);
        set_up_cipher(work, mode, bits, strcmp(direction, "encrypt") == 0, len, kernel);
    }
    if (work->count > 1) {
        ersatz_kernels_choose(1u << kernel); /* whatever is faster */
        work->lanes = compute_lanes_new();
        CHECK(work->lanes != NULL);
    }
}

static void run(struct work *work)
{
    const struct ersatz_op *ops[BATCH];
    enum ersatz_result results[BATCH];

    if (work->count > 1) {
        for (unsigned i = 0; i < BATCH; i++)
            ops[i] = &work->ops[i];
        compute_batch(work->lanes, ops, results, BATCH, &stats);
    } else if (work->is_rsa) {
        RSA_private_encrypt(RSA_size(work->rsa), work->in, work->out[0], work->rsa, RSA_NO_PADDING);
    } else if (work->ops[0].u.cipher.long_iv == NULL) {
        (void)ersatz_compute_text(
            work->ciphers[0], work->iv, work->text[0], work->text[0], work->ops[0].u.cipher.len, &stats);
    } else {
        (void)ersatz_compute(&work->ops[0], &stats);
    }
}

/* -------------------------------------------------------------------------------------------------- trace */

static int print_object(struct dl_phdr_info *info, size_t size, void *none)
{
    (void)size;
    (void)none;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0)
            printf("object %lx %lx %lx %s\n", (unsigned long)info->dlpi_addr,
                (unsigned long)(info->dlpi_addr + segment->p_vaddr),
                (unsigned long)(info->dlpi_addr + segment->p_vaddr + segment->p_memsz),
                info->dlpi_name[0] != '\0' ? info->dlpi_name : "/proc/self/exe");
    }
    return 0;
}

static void be_traced(struct work *work, bool for_ever)
{
    CHECK_EQ(ptrace(PTRACE_TRACEME, 0, NULL, NULL), 0);
    run(work);
    __asm__ volatile("int3");
    do
        run(work);
    while (for_ever);
    __asm__ volatile("int3");
    _exit(0);
}

static int wait_for_stop(pid_t child)
{
    int status;

    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSTOPPED(status));
    return WSTOPSIG(status);
}

static bool is_single_step(pid_t child)
{
    siginfo_t info;

    return ptrace(PTRACE_GETSIGINFO, child, NULL, &info) == 0 && info.si_code == SINGLE_STEP;
}

static void trace(struct work *work, unsigned long count)
{
    struct user_regs_struct registers;
    cpu_set_t one;
    pid_t child;

    dl_iterate_phdr(print_object, NULL);
    fflush(stdout);
    /* On the same core: each step is a switch from one to the other and back. */
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0)
        be_traced(work, count > 0);
    CHECK_EQ(wait_for_stop(child), SIGTRAP);
    if (count > 0) {
        CHECK_EQ(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
        usleep(NAP_US);
        kill(child, SIGSTOP);
        CHECK_EQ(wait_for_stop(child), SIGSTOP);
    }
    for (unsigned long done = 0; count == 0 || done < count; done++) {
        CHECK_EQ(ptrace(PTRACE_GETREGS, child, NULL, &registers), 0);
        printf("%llx\n", registers.rip);
        CHECK_EQ(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        CHECK_EQ(wait_for_stop(child), SIGTRAP);
        if (!is_single_step(child))
            break;
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* --------------------------------------------------------------------------------------------------- time */

/* The shortest that it took, for one operation. */
static void time_one(struct work *work, double *least)
{
    unsigned times = 0;
    uint64_t begin = clock_thread_cpu(), took;
    double each;

    do {
        run(work);
        times++;
        took = clock_thread_cpu() - begin;
    } while (took < 20000);
    each = (double)took / times / work->count;
    if (*least == 0 || each < *least)
        *least = each;
}

static void time_both(struct work *ours, struct work *theirs)
{
    uint64_t begin = clock_now();
    double least[2] = {0, 0};

    do {
        time_one(ours, &least[0]);
        time_one(theirs, &least[1]);
    } while (clock_now() - begin < TIME_NS);
    printf("%.1f %.1f\n", least[0], least[1]);
}

int main(int argc, char **argv)
{
    struct work ours, theirs;

    test_begin(300);
    CHECK(argc >= 4);
    if (strcmp(argv[3], "narrow") == 0) {
        x86_forbid_vaes();
#ifdef HAVE_IPSEC_MB
        (void)imb_use_architecture(IMB_ARCH_AVX2);
#endif
    }
    set_up(&ours, argv[2], argv[3]);
    if (strcmp(argv[1], "trace") == 0) {
        CHECK_EQ(argc, 5);
        trace(&ours, strtoul(argv[4], NULL, 10));
        return 0;
    }
    set_up(&theirs, argv[2], "portable");
    time_both(&ours, &theirs);
    return 0;
}

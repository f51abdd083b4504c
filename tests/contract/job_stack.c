/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcrypto gives a job 32 KiB of stack, without a page below it that would end a program which needs more.
 * What the module takes of them beside what plain libcrypto would is measured: every mode, by the card and by
 * the calling core, with each kernel. However ersatz was built, it is a quarter of the stack at most.
 */
#include <openssl/err.h>
#include <stdint.h>
#include <sys/mman.h>

#include "check.h"
#include "ersatz/sanitizer.h"
#include "support/card.h"
#include "support/work.h"

#define STACK 32768u /* as libcrypto asks for it */
#define PAGE 4096u
#if defined(ERSATZ_ADDRESS_SANITIZER) || defined(ERSATZ_THREAD_SANITIZER)
#define MOST STACK /* they put room around each variable; the page below the stack tells */
#else
#define MOST (STACK / 4)
#endif
#define PAINT 0xa5
#define LONGEST (1u << 20)
#define RECORD 1024

static unsigned char *stack;  /* above a page that nobody may touch */
static unsigned made, in_use; /* jobs, one after the other */

static void make_stack(void)
{
    unsigned char *room =
        mmap(NULL, PAGE + STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK(room != MAP_FAILED && mprotect(room, PAGE, PROT_NONE) == 0);
    stack = room + PAGE;
}

static void *make(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size != STACK)
        return malloc(size);
    CHECK_EQ(in_use++, 0);
    made++;
    memset(stack, PAINT, STACK);
    return stack;
}

static void discard(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    if (memory == stack)
        in_use--;
    else
        free(memory);
}

static void *change(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    CHECK(memory != stack);
    return realloc(memory, size);
}

/* --------------------------------------------------------------------------------------------- the work */

struct task {
    struct card *card;
    const char *cipher; /* NULL: RSA */
    int encrypt;
    int len;
    EVP_PKEY *key;
    EVP_CIPHER_CTX *ctx;
};

static unsigned char in[LONGEST], out[LONGEST + 64];

static int encipher(struct task *task)
{
    static const unsigned char key[64] = {1, 2, 3}, iv[16] = {4};
    bool ccm = strstr(task->cipher, "CCM") != NULL;
    int len;

    /* CCM begins when key, IV, length and tag are there. To decrypt, the tag is wrong: no matter. */
    if (ccm) {
        CHECK_EQ(card_cipher_init(task->card, task->ctx, task->cipher, NULL, NULL, task->encrypt), 1);
        CHECK_EQ(EVP_CIPHER_CTX_ctrl(task->ctx, EVP_CTRL_AEAD_SET_TAG, 16, task->encrypt ? NULL : in), 1);
    }
    CHECK_EQ(card_cipher_init(task->card, task->ctx, task->cipher, key, iv, task->encrypt), 1);
    if (EVP_CipherUpdate(task->ctx, out, &len, in, task->len) != 1)
        CHECK(ccm && !task->encrypt);
    (void)EVP_CipherFinal_ex(task->ctx, out, &len); /* wrong padding, and no tag: no matter */
    ERR_clear_error();
    return 1;
}

/* A record of TLS 1.2. */
static int seal(struct task *task)
{
    static unsigned char key[64] = {1, 2, 3}, iv[16] = {4};
    unsigned char header[EVP_AEAD_TLS1_AAD_LEN] = {[8] = 23, 3, 3, (RECORD + 16) >> 8, 16};
    int padding;

    CHECK_EQ(card_cipher_init(task->card, task->ctx, task->cipher, key, iv, 1), 1);
    CHECK_EQ(EVP_CIPHER_CTX_ctrl(task->ctx, EVP_CTRL_AEAD_SET_MAC_KEY, 20, key), 1);
    padding = EVP_CIPHER_CTX_ctrl(task->ctx, EVP_CTRL_AEAD_TLS1_AAD, sizeof(header), header);
    CHECK(padding > 0);
    CHECK(EVP_Cipher(task->ctx, out, out, (unsigned)(RECORD + 16 + padding)) > 0);
    return 1;
}

static int sign(struct task *task)
{
    unsigned char digest[32] = {1}, signature[512], text[512];
    int len = key_sign(task->card, task->key, RSA_PKCS1_PADDING, digest, sizeof(digest), signature);

    CHECK(len > 0);
    len = key_recover(task->card, task->key, RSA_PKCS1_PADDING, signature, (size_t)len, text);
    CHECK_EQ(len, sizeof(digest));
    return 1;
}

static int work(void *arg)
{
    struct task *task = *(struct task **)arg;

    if (task->cipher == NULL)
        return sign(task);
    return strstr(task->cipher, "HMAC") != NULL ? seal(task) : encipher(task);
}

/* NULL, plain libcrypto: no engine is the default here. */
static EVP_PKEY *key_of(struct card *card)
{
    EVP_PKEY *key;

    if (card != NULL)
        return test_key(card);
    key = EVP_PKEY_new();
    CHECK(key != NULL && EVP_PKEY_assign_RSA(key, test_rsa()) == 1);
    return key;
}

/* How much of its stack the job touches. */
static size_t depth(struct task *task)
{
    struct job job;
    size_t untouched = 0;

    task->ctx = EVP_CIPHER_CTX_new();
    job_init(&job, BY_FD, work, task);
    job_run(&job);
    CHECK_EQ(job_finish(&job), 1);
    job_free(&job);
    EVP_CIPHER_CTX_free(task->ctx);
    ASYNC_cleanup_thread();
    while (untouched < STACK && stack[untouched] == PAINT)
        untouched++;
    return STACK - untouched;
}

/* ------------------------------------------------------------------------------------------- every way */

/* One way's. */
struct most {
    size_t rsa, aes;
};

static void measure(struct task *task, struct most *most)
{
    size_t used = depth(task), *of = task->cipher == NULL ? &most->rsa : &most->aes;

    *of = used > *of ? used : *of;
}

/* card: NULL, plain libcrypto. */
static struct most measure_all(struct card *card, const char *way)
{
    static const char *const modes[] = {"ECB", "CBC", "CFB", "OFB", "CTR", "GCM", "CCM", "XTS"};
    static const int lengths[] = {16, 64, 208, 1024, 8192, 16384 + 48, LONGEST};
    struct task task = {.card = card, .key = key_of(card)};
    struct most most = {0};

    measure(&task, &most);
    for (unsigned bits = 128; bits <= 256; bits += 128) {
        for (unsigned mode = 0; mode < sizeof(modes) / sizeof(modes[0]); mode++) {
            char name[32];

            snprintf(name, sizeof(name), "AES-%u-%s", bits, modes[mode]);
            task.cipher = name;
            for (unsigned i = 0; i < 2 * sizeof(lengths) / sizeof(lengths[0]); i++) {
                task.encrypt = i % 2;
                task.len = lengths[i / 2];
                measure(&task, &most);
            }
        }
    }
    task.cipher = "AES-128-CBC-HMAC-SHA1";
    task.len = RECORD;
    measure(&task, &most);
    EVP_PKEY_free(task.key);
    printf("%5zu bytes for RSA, %5zu for AES: %s\n", most.rsa, most.aes, way);
    fflush(stdout);
    return most;
}

/* Beside what libcrypto would take itself. */
static void check(struct most most, struct most plain)
{
    CHECK(most.rsa <= plain.rsa + MOST);
    CHECK(most.aes <= plain.aes + MOST);
}

int main(void)
{
    static const char *const kernels[] = {"portable", "x86,portable", "ipsec-mb,portable", "auto"};
    struct most plain;
    struct card *card;

    make_stack();
    CHECK_EQ(CRYPTO_set_mem_functions(make, change, discard), 1);
    test_begin(120);
    plain = measure_all(NULL, "plain libcrypto");
    card = card_load(ALL_SIZES);
    check(measure_all(card, "the card, and its start"), plain);
    for (unsigned i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
        char way[64];

        if (!card_try_command(card, "KERNELS", kernels[i])) {
            ERR_clear_error();
            continue;
        }
        snprintf(way, sizeof(way), "the calling core, KERNELS:%s", kernels[i]);
        card_command(card, "OFFLOAD", "fastest");
        check(measure_all(card, way), plain);
        card_command(card, "OFFLOAD", "card");
    }
    CHECK(made > 100); /* of the size that is looked for */
    card_unload(card);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA decryption by the card says no more of a wrong padding than libcrypto does: whatever is wrong
 * with it, the call returns what libcrypto's returns, with the same errors and, where this libcrypto has
 * implicit rejection, the same bytes; and the card is asked as often, the job pauses as often and the
 * statistics count the same as for a right one. A message that is wrong in one way cannot be told from one
 * that is wrong in another.
 *
 * padding fd|callback|outside
 */
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "check.h"
#include "support/card.h"

#define SIZE 256
#define HASH 20 /* SHA-1, OAEP's default */
#define REASONS_MAX 6
#define TLS_SECRET 48
#define TLS_VERSION 0x0303

/* How the key is asked. A provider has the second way alone. */
enum route { LOW, DEFAULT, EXPLICIT, ROUTES };
enum padding { PKCS1, OAEP, TLS, PADDINGS };

enum fault {
    RIGHT,
    RIGHT_OF_OTHER_LENGTH,
    FIRST_BYTE,
    BLOCK_TYPE,   /* OAEP: hash of the label */
    NO_SEPARATOR, /* no zero byte at all; OAEP: no one */
    SEPARATOR_FIRST,
    SHORT_STRING, /* seven bytes of padding; OAEP: another byte among the zeros */
    ALL_ZERO,
    RANDOM,
    WRONG_VERSION, /* TLS only */
    FAULTS
};

static const char *const fault_names[FAULTS] = {"right", "right, of another length", "first byte",
    "block type or label", "no separator", "separator first", "short or wrong string", "all zero", "random",
    "wrong version"};

/* One who decrypts. */
struct side {
    RSA *rsa;
    EVP_PKEY *key;
    ENGINE *engine;    /* for EVP_PKEY_CTX_new(), or: */
    struct card *card; /* the key is this one's */
};

/* Everything that a caller, or whoever watches the card, may see of a decryption. */
static const char *const counters[] = {"rsa_priv", "rsa_pub", "completed", "failed", "retries", "batches",
    "wakeups", "callbacks", "messages", "early_resumes", "orphans", "inline"};
#define COUNTERS (sizeof(counters) / sizeof(counters[0]))

struct seen {
    int returned;
    size_t len;
    unsigned char out[SIZE];
    unsigned long reasons[REASONS_MAX];
    unsigned reasons_count;
    int pauses;
    long counted[COUNTERS];
};

struct decryption {
    const struct side *side;
    enum route route;
    enum padding padding;
    const unsigned char *in;
    struct seen *seen;
};

static struct card *card;
static const char *way;

/* ------------------------------------------------------------------------------------------ messages */

static void fill_nonzero(unsigned char *out, size_t len)
{
    CHECK_EQ(RAND_bytes(out, (int)len), 1);
    for (size_t i = 0; i < len; i++)
        out[i] |= 1;
}

/* RFC 8017, 7.2.1: 00 02, at least eight bytes that are not zero, 00, the message. */
static void pkcs1_encoded(unsigned char *em, enum fault fault, bool tls)
{
    size_t len = tls ? TLS_SECRET : 20;
    unsigned char *text;

    if (fault == RIGHT_OF_OTHER_LENGTH)
        len = tls ? len : 0;
    if (fault == SHORT_STRING)
        len = SIZE - 10;
    fill_nonzero(em, SIZE);
    em[0] = fault == FIRST_BYTE;
    em[1] = fault == BLOCK_TYPE ? 1 : 2;
    text = em + SIZE - len;
    if (fault == SEPARATOR_FIRST)
        em[2] = 0;
    if (fault != NO_SEPARATOR)
        text[-1] = 0;
    if (tls && fault != NO_SEPARATOR && fault != SHORT_STRING) {
        text[0] = TLS_VERSION >> 8;
        text[1] = (TLS_VERSION & 0xff) - (fault == WRONG_VERSION);
    }
}

/* RFC 8017, 7.1.1: 00, a seed and a data block, each masked with the other. */
static void oaep_encoded(unsigned char *em, enum fault fault)
{
    unsigned char *seed = em + 1, *block = em + 1 + HASH, mask[SIZE];
    size_t block_len = SIZE - 1 - HASH, text_len = fault == RIGHT_OF_OTHER_LENGTH ? 0 : 20;

    SHA1((const unsigned char *)"x", fault == BLOCK_TYPE, block);
    memset(block + HASH, 0, block_len - HASH);
    if (fault != NO_SEPARATOR) {
        block[block_len - text_len - 1] = 1;
        memset(block + block_len - text_len, 0x41, text_len);
    }
    if (fault == SEPARATOR_FIRST)
        block[HASH] = 2;
    if (fault == SHORT_STRING)
        block[HASH + 30] = 0x80;
    CHECK_EQ(RAND_bytes(seed, HASH), 1);
    CHECK_EQ(PKCS1_MGF1(mask, (long)block_len, seed, HASH, EVP_sha1()), 0);
    for (size_t i = 0; i < block_len; i++)
        block[i] ^= mask[i];
    CHECK_EQ(PKCS1_MGF1(mask, HASH, block, (long)block_len, EVP_sha1()), 0);
    for (size_t i = 0; i < HASH; i++)
        seed[i] ^= mask[i];
    em[0] = fault == FIRST_BYTE;
}

/* Encrypted with libcrypto's public half. */
static void make_ciphertext(
    const struct side *plain, enum route route, enum padding padding, enum fault fault, unsigned char *out)
{
    unsigned char em[SIZE] = {0};
    size_t len = SIZE;
    EVP_PKEY_CTX *ctx;

    if (fault == RANDOM) {
        CHECK_EQ(RAND_bytes(em, SIZE), 1);
        em[0] = 0;
        em[1] |= 0x80; /* else it may be right after all */
    } else if (padding == OAEP && fault != ALL_ZERO) {
        oaep_encoded(em, fault);
    } else if (fault != ALL_ZERO) {
        pkcs1_encoded(em, fault, padding == TLS);
    }
    if (route == LOW) {
        CHECK_EQ(RSA_public_encrypt(SIZE, em, out, plain->rsa, RSA_NO_PADDING), SIZE);
        return;
    }
    ctx = EVP_PKEY_CTX_new(plain->key, NULL);
    CHECK(EVP_PKEY_encrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING) == 1);
    CHECK(EVP_PKEY_encrypt(ctx, out, &len, em, SIZE) == 1 && len == SIZE);
    EVP_PKEY_CTX_free(ctx);
}

/* ---------------------------------------------------------------------------------------- decrypting */

static void decrypt_low(const struct decryption *what)
{
    int padding = what->padding == OAEP ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING;

    what->seen->returned = RSA_private_decrypt(SIZE, what->in, what->seen->out, what->side->rsa, padding);
    what->seen->len = what->seen->returned > 0 ? (size_t)what->seen->returned : 0;
}

static void decrypt_evp(const struct decryption *what)
{
    static const int paddings[PADDINGS] = {
        RSA_PKCS1_PADDING, RSA_PKCS1_OAEP_PADDING, RSA_PKCS1_WITH_TLS_PADDING};
    unsigned version = TLS_VERSION;
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_uint(OSSL_ASYM_CIPHER_PARAM_TLS_CLIENT_VERSION, &version), OSSL_PARAM_END};
    const struct side *side = what->side;
    int padding = paddings[what->padding];
    EVP_PKEY_CTX *ctx;
    size_t len = SIZE;

    if (side->card != NULL) {
        ctx = card_key_context(side->card, side->key, EVP_PKEY_decrypt_init, padding);
    } else {
        ctx = EVP_PKEY_CTX_new(side->key, side->engine);
        CHECK(EVP_PKEY_decrypt_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_padding(ctx, padding) == 1);
    }
    CHECK(ctx != NULL);
    if (what->padding == TLS)
        CHECK_EQ(EVP_PKEY_CTX_set_params(ctx, parameters), 1);
    what->seen->returned = EVP_PKEY_decrypt(ctx, what->seen->out, &len, what->in, SIZE);
    what->seen->len = what->seen->returned > 0 ? len : 0;
    EVP_PKEY_CTX_free(ctx);
}

static int decrypt(void *arg)
{
    const struct decryption *what = *(struct decryption **)arg;
    unsigned long code;

    ERR_clear_error();
    if (what->route == LOW)
        decrypt_low(what);
    else
        decrypt_evp(what);
    while ((code = ERR_get_error()) != 0) {
        CHECK(what->seen->reasons_count < REASONS_MAX);
        what->seen->reasons[what->seen->reasons_count++] = code;
    }
    return 1;
}

static void decrypt_in_a_job(struct decryption *what)
{
    struct job job;

    job_init(&job, strcmp(way, "fd") == 0 ? BY_FD : BY_CALLBACK, decrypt, what);
    while (job_run(&job) == ASYNC_PAUSE) {
        what->seen->pauses++;
        CHECK(ASYNC_WAIT_CTX_get_status(job.context) == ASYNC_STATUS_OK || job.told_by == BY_FD);
        if (job.told_by == BY_CALLBACK)
            CHECK_EQ(sem_wait(&job.told), 0);
        else
            while (!fd_is_readable(job_fd(&job)))
                usleep(50);
    }
    job_free(&job);
}

static void count(long counted[COUNTERS])
{
    for (unsigned i = 0; i < COUNTERS; i++)
        counted[i] = card_count(card, counters[i]);
}

static long counted(const struct seen *seen, const char *name)
{
    for (unsigned i = 0; i < COUNTERS; i++) {
        if (strcmp(counters[i], name) == 0)
            return seen->counted[i];
    }
    FAIL("not among those counted");
}

/* The card counts when the caller has long gone on, last of all that it has told. */
static bool is_all_counted(const struct seen *seen)
{
    long completed = counted(seen, "completed");

    if (completed == 0 || completed != counted(seen, "rsa_priv") + counted(seen, "rsa_pub"))
        return false;
    if (strcmp(way, "fd") == 0)
        return counted(seen, "wakeups") >= completed;
    return strcmp(way, "callback") != 0 ||
           (counted(seen, "messages") >= completed && counted(seen, "callbacks") >= completed);
}

/* Decrypt by the card, and see what it counts. */
static void watch(struct decryption *what)
{
    void *arg = what;
    long before[COUNTERS];

    count(before);
    if (strcmp(way, "outside") == 0)
        decrypt(&arg);
    else
        decrypt_in_a_job(what);
    do {
        usleep(100);
        count(what->seen->counted);
        for (unsigned i = 0; i < COUNTERS; i++)
            what->seen->counted[i] -= before[i];
    } while (!is_all_counted(what->seen));
}

/* ----------------------------------------------------------------------------------------- comparing */

static void same_outcome(const struct seen *ours, const struct seen *plain, bool random_secret)
{
    CHECK_EQ(ours->returned, plain->returned);
    CHECK_EQ(ours->len, plain->len);
    CHECK_EQ(ours->reasons_count, plain->reasons_count);
    for (unsigned i = 0; i < plain->reasons_count; i++) {
        CHECK_EQ(ERR_GET_LIB(ours->reasons[i]), ERR_GET_LIB(plain->reasons[i]));
        CHECK_EQ(ERR_GET_REASON(ours->reasons[i]), ERR_GET_REASON(plain->reasons[i]));
    }
    if (!random_secret)
        CHECK_EQ(memcmp(ours->out, plain->out, plain->len), 0);
}

static void same_work(const struct seen *ours, const struct seen *right)
{
    CHECK_EQ(ours->pauses, right->pauses);
    for (unsigned i = 0; i < COUNTERS; i++) {
        if (ours->counted[i] != right->counted[i])
            fprintf(stderr, "counter %s:\n", counters[i]);
        CHECK_EQ(ours->counted[i], right->counted[i]);
    }
}

static bool is_right(enum fault fault)
{
    return fault == RIGHT || fault == RIGHT_OF_OTHER_LENGTH;
}

/* From 3.2 on, a wrong message is decrypted to another one, which may be empty. */
static bool failed(const struct seen *seen, enum route route)
{
    return route == LOW ? seen->returned < 0 : seen->returned <= 0;
}

static bool applies(enum padding padding, enum fault fault)
{
    return padding == TLS || fault != WRONG_VERSION;
}

static void compare(const struct side *ours, const struct side *plain, enum route route, enum padding padding)
{
    struct seen right = {0}, first_wrong = {0};

    for (enum fault fault = RIGHT; fault < FAULTS; fault++) {
        struct seen by_card = {0}, by_plain = {0};
        unsigned char in[SIZE];
        struct decryption on_card = {ours, route, padding, in, &by_card};
        struct decryption on_plain = {plain, route, padding, in, &by_plain};
        void *arg = &on_plain;

        if (!applies(padding, fault))
            continue;
        make_ciphertext(plain, route, padding, fault, in);
        decrypt(&arg);
        watch(&on_card);
        if (fault == RIGHT) {
            right = by_card;
            CHECK_EQ(right.counted[0], 1);
            CHECK_EQ(right.pauses, strcmp(way, "outside") != 0);
        }
        fprintf(stderr, "%s: %d, %zu bytes, %u errors\n", fault_names[fault], by_card.returned, by_card.len,
            by_card.reasons_count);
        CHECK(by_plain.returned >= 0 || !is_right(fault));
        same_outcome(&by_card, &by_plain, padding == TLS && !is_right(fault));
        same_work(&by_card, &right);
        if (fault == FIRST_BYTE)
            first_wrong = by_card;
        else if (!is_right(fault) && (failed(&by_card, route) || padding == TLS))
            same_outcome(&by_card, &first_wrong, true);
    }
}

/* ---------------------------------------------------------------------------------------------- keys */

/* The card's key with the numbers of the plain one. */
static EVP_PKEY *copy_key(EVP_PKEY *key, OSSL_LIB_CTX *context, const char *properties)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(context, "RSA", properties);
    OSSL_PARAM *numbers = NULL;
    EVP_PKEY *copy = NULL;

    CHECK_EQ(EVP_PKEY_todata(key, EVP_PKEY_KEYPAIR, &numbers), 1);
    CHECK(EVP_PKEY_fromdata_init(ctx) == 1 && EVP_PKEY_fromdata(ctx, &copy, EVP_PKEY_KEYPAIR, numbers) == 1);
    OSSL_PARAM_free(numbers);
    EVP_PKEY_CTX_free(ctx);
    return copy;
}

static void compare_route(const struct side *ours, const struct side *plain, enum route route)
{
    for (enum padding padding = PKCS1; padding < PADDINGS; padding++) {
        if (padding == TLS && route != DEFAULT)
            continue; /* a provider's key only; it is what libssl asks */
        fprintf(stderr, "route %d, padding %d\n", route, padding);
        compare(ours, plain, route, padding);
    }
}

#ifndef OPENSSL_NO_ENGINE
/* libcrypto's own EVP_PKEY methods, which refuse with another number than a provider does. */
static int plain_methods(ENGINE *plain, EVP_PKEY_METHOD **method, const int **nids, int nid)
{
    (void)plain;
    if (method == NULL) {
        *nids = NULL;
        return 0;
    }
    *method = nid == EVP_PKEY_RSA ? (EVP_PKEY_METHOD *)EVP_PKEY_meth_find(EVP_PKEY_RSA) : NULL;
    return *method != NULL;
}

static void compare_engine(struct side *plain)
{
    ENGINE *engine = card_engine(card), *other = ENGINE_new();
    EVP_PKEY *key = test_key(card);
    struct side low = {.rsa = EVP_PKEY_get1_RSA(key)}, by_default = {0},
                by_name = {.key = plain->key, .engine = engine};

    compare_route(&low, plain, LOW);
    CHECK(ENGINE_set_default_RSA(engine));
    by_default.key = copy_key(plain->key, NULL, NULL);
    ENGINE_unregister_RSA(engine); /* the key has its method */
    compare_route(&by_default, plain, DEFAULT);
    CHECK(ENGINE_set_id(other, "plain") && ENGINE_set_pkey_meths(other, plain_methods));
    plain->engine = other;
    compare_route(&by_name, plain, EXPLICIT);
    EVP_PKEY_free(by_default.key);
    RSA_free(low.rsa);
    EVP_PKEY_free(key);
    ENGINE_free(other);
}
#else
static void compare_engine(struct side *plain)
{
    (void)plain;
    FAIL("this OpenSSL has no engines");
}
#endif

int main(int argc, char **argv)
{
    struct side plain = {0};

    test_begin(120);
    CHECK_EQ(argc, 2);
    way = argv[1];
    plain.key = EVP_RSA_gen(2048);
    plain.rsa = test_rsa();
    CHECK(plain.key != NULL);
    card = card_load(NULL);
    if (card_is_provider()) {
        struct side provided = {
            .key = copy_key(plain.key, card_context(card), "provider=ersatz"), .card = card};

        compare_route(&provided, &plain, DEFAULT);
        EVP_PKEY_free(provided.key);
    } else {
        compare_engine(&plain);
    }
    EVP_PKEY_free(plain.key);
    RSA_free(plain.rsa);
    card_unload(card);
    return 0;
}

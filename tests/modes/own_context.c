/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application with a library context of its own, and nothing in the default one but the null provider, as
 * OSSL_PROVIDER-null(7) advises: TLS 1.2, whose GCM draws the IV it counts from, and random keys, as CMS
 * wants them. The engine, which is not told of library contexts, takes its random numbers from elsewhere; it
 * pauses nowhere in there, and after a fork no number comes twice.
 */
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>

#include <openssl/engine.h>

#include "all_ways.h"
#include "child.h"

static OSSL_LIB_CTX *own;

/* ---------------------------------------------------------------------------------------------------- TLS */

static const unsigned char secret[] = "shared in secret";

static unsigned client_psk(
    SSL *ssl, const char *hint, char *identity, unsigned identity_len, unsigned char *psk, unsigned psk_len)
{
    (void)ssl;
    (void)hint;
    CHECK(identity_len > 5 && psk_len >= sizeof(secret));
    memcpy(identity, "test", 5);
    memcpy(psk, secret, sizeof(secret));
    return sizeof(secret);
}

static unsigned server_psk(SSL *ssl, const char *identity, unsigned char *psk, unsigned psk_len)
{
    (void)ssl;
    CHECK(strcmp(identity, "test") == 0 && psk_len >= sizeof(secret));
    memcpy(psk, secret, sizeof(secret));
    return sizeof(secret);
}

static SSL *make_end(bool server, const char *suite, BIO *bio)
{
    SSL_CTX *ctx = SSL_CTX_new_ex(own, NULL, server ? TLS_server_method() : TLS_client_method());
    SSL *ssl;

    CHECK(ctx != NULL && SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION));
    SSL_CTX_set_security_level(ctx, 0);
    CHECK(SSL_CTX_set_cipher_list(ctx, suite));
    SSL_CTX_set_options(ctx, SSL_OP_NO_ENCRYPT_THEN_MAC);
    if (server)
        SSL_CTX_set_psk_server_callback(ctx, server_psk);
    else
        SSL_CTX_set_psk_client_callback(ctx, client_psk);
    ssl = SSL_new(ctx);
    CHECK(ssl != NULL);
    SSL_set_bio(ssl, bio, bio);
    SSL_CTX_free(ctx);
    return ssl;
}

static int talk(void *arg)
{
    const char *suite = arg;
    char got[16];
    BIO *here, *there;
    SSL *client, *server;
    int connected = 0, accepted = 0;

    CHECK(BIO_new_bio_pair(&here, 0, &there, 0));
    client = make_end(false, suite, here);
    server = make_end(true, suite, there);
    for (int rounds = 0; rounds < 10 && (connected != 1 || accepted != 1); rounds++) {
        connected = SSL_connect(client);
        accepted = SSL_accept(server);
    }
    if (connected != 1 || accepted != 1)
        ERR_print_errors_fp(stderr);
    CHECK(connected == 1 && accepted == 1);
    CHECK(SSL_write(client, "to the server", 14) == 14 && SSL_read(server, got, sizeof(got)) == 14);
    CHECK(strcmp(got, "to the server") == 0);
    CHECK(SSL_write(server, "to the client", 14) == 14 && SSL_read(client, got, sizeof(got)) == 14);
    CHECK(strcmp(got, "to the client") == 0);
    SSL_free(client);
    SSL_free(server);
    return 1;
}

/* --------------------------------------------------------------------------------------- keys, IVs, forks */

#define BYTES 32

/* The IV that GCM counts from, as far as it is drawn, and a key. */
static int draw(void *arg)
{
    unsigned char *out = arg, fixed[12] = {0};
    EVP_CIPHER *gcm = EVP_CIPHER_fetch(own, "AES-128-GCM", NULL);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

    CHECK(gcm != NULL && EVP_EncryptInit_ex(ctx, gcm, NULL, secret, NULL));
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_IV_FIXED, 4, fixed) == 1);
    CHECK(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_IV_GEN, 8, out) == 1);
    CHECK(EVP_CIPHER_CTX_rand_key(ctx, out + 8) == 1);
    EVP_CIPHER_CTX_free(ctx);
    EVP_CIPHER_free(gcm);
    return 1;
}

static bool is_new(const unsigned char *bytes, const unsigned char *others)
{
    static const unsigned char zeros[BYTES];

    return memcmp(bytes, zeros, 8) != 0 && memcmp(bytes + 8, zeros, 16) != 0 &&
           memcmp(bytes, others, 8) != 0 && memcmp(bytes + 8, others + 8, 16) != 0;
}

static void draw_in_both_after_a_fork(void)
{
    unsigned char mine[BYTES] = {0}, its[BYTES] = {0};
    int pipe_fds[2];
    pid_t pid;

    CHECK_EQ(pipe(pipe_fds), 0);
    draw(mine); /* the generator is there, and is forked */
    pid = fork();
    CHECK(pid >= 0);
    draw(mine);
    if (pid == 0) {
        CHECK_EQ(write(pipe_fds[1], mine, BYTES), BYTES);
        _exit(7);
    }
    CHECK_EQ(read(pipe_fds[0], its, BYTES), BYTES);
    child_exits_with(pid, 7);
    CHECK(is_new(its, mine));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

static void every_cipher_draws_keys(ENGINE *engine)
{
    const int *nids;
    int count = ENGINE_get_ciphers(engine)(engine, NULL, &nids, 0);

    for (int i = 0; i < count; i++) {
        unsigned char key[EVP_MAX_KEY_LENGTH + 1] = {0}, other[EVP_MAX_KEY_LENGTH] = {0};
        EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        int len;

        CHECK(EVP_EncryptInit_ex(ctx, EVP_get_cipherbynid(nids[i]), engine, NULL, NULL));
        len = EVP_CIPHER_CTX_get_key_length(ctx);
        CHECK(EVP_CIPHER_CTX_rand_key(ctx, key) == 1 && EVP_CIPHER_CTX_rand_key(ctx, other) == 1);
        CHECK(memcmp(key, other, (size_t)len) != 0 && memcmp(key + len - 8, other + len - 8, 8) != 0);
        CHECK_EQ(key[len], 0);
        CHECK(EVP_EncryptInit_ex(ctx, NULL, NULL, key, NULL));
        EVP_CIPHER_CTX_free(ctx);
    }
}

/* An application's generator that pauses in the job it is asked by. */
static int pausing_bytes(unsigned char *out, int len)
{
    static unsigned char asked;

    memset(out, ++asked, (size_t)len);
    ASYNC_pause_job();
    return 1;
}

static int draw_in_job(void *arg)
{
    return draw(*(unsigned char **)arg);
}

static void nothing_pauses(void)
{
    static RAND_METHOD pausing = {.bytes = pausing_bytes, .pseudorand = pausing_bytes};
    const RAND_METHOD *before = RAND_get_rand_method();
    unsigned char out[BYTES] = {0};
    struct job job;

    CHECK(RAND_set_rand_method(&pausing));
    job_init(&job, BY_FD, draw_in_job, out);
    CHECK_EQ(job_run(&job), ASYNC_FINISH);
    CHECK(job.result == 1 && out[0] == 1 && out[8] == 2); /* it was asked, once for each */
    CHECK(RAND_set_rand_method(before));
    job_free(&job);
}

int main(void)
{
    /* The last one is for CBC with HMAC, where there is that. */
    static char *const suites[] = {"PSK-AES128-GCM-SHA256", "PSK-AES256-GCM-SHA384", "PSK-AES128-CCM",
        "PSK-AES256-CCM8", "PSK-AES128-CBC-SHA", "PSK-AES256-CBC-SHA384"};
    OSSL_PROVIDER *null, *usual;
    struct card *card;
    ENGINE *engine;

    test_begin(120);
    card = ways_card("SYNC_OFFLOAD:1");
    engine = card_engine(card);
    ways_set_default(card, true);
    null = OSSL_PROVIDER_load(NULL, "null");
    own = OSSL_LIB_CTX_new();
    usual = OSSL_PROVIDER_load(own, "default");
    CHECK(null != NULL && usual != NULL);
    for (unsigned i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        for (enum way way = 0; way < WAYS; way++)
            CHECK(way_run(way, talk, suites[i]));
    }
    CHECK(card_count(card, "aes_gcm") > 0 && card_count(card, "aes_ccm") > 0);
    every_cipher_draws_keys(engine);
    draw_in_both_after_a_fork();
    nothing_pauses();
    ways_set_default(card, false);
    OSSL_PROVIDER_unload(usual);
    OSSL_PROVIDER_unload(null);
    OSSL_LIB_CTX_free(own);
    card_unload(card);
    return 0;
}

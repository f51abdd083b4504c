/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS with SSL_MODE_ASYNC on the card, client and server on one thread: TLS 1.2 with ephemeral keys and
 * without, and TLS 1.3; told by descriptor, by a callback of the SSL or by one of its SSL_CTX. A side goes on
 * only when it was told, so a wake-up that is lost hangs the test.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdatomic.h>

#include "check.h"
#include "support/card.h"

#define MESSAGE_BYTES 40000 /* several records, the last one not full */

enum callback_of { DESCRIPTOR, OF_SSL, OF_CONTEXT };

struct side {
    SSL *ssl;
    bool waiting;
    int seen;          /* of `calls`, when it began to wait */
    _Atomic int calls; /* of the callback */
    int pauses;
};

static struct {
    int version;
    const char *ciphers, *name;
} const kinds[] = {
    {TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"},
    {TLS1_2_VERSION, "AES128-GCM-SHA256", "AES128-GCM-SHA256"},
    {TLS1_2_VERSION, "AES128-SHA256", "AES128-SHA256"},
    {TLS1_3_VERSION, NULL, "TLS_AES_256_GCM_SHA384"},
};

static struct card *card;
static EVP_PKEY *key;
static X509 *certificate;

static int was_called(SSL *ssl, void *arg)
{
    struct side *side = arg;

    (void)ssl;
    atomic_fetch_add(&side->calls, 1);
    return 1;
}

static void make_certificate(void)
{
    X509_NAME *name = X509_NAME_new();

    key = EVP_RSA_gen(2048); /* an ordinary key of an ordinary program: with the default */
    certificate = X509_new();
    CHECK(key != NULL && certificate != NULL);
    CHECK(ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1));
    CHECK(X509_gmtime_adj(X509_getm_notBefore(certificate), 0) &&
          X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
    CHECK(X509_set_pubkey(certificate, key));
    CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"ersatz", -1, -1, 0));
    CHECK(X509_set_subject_name(certificate, name) && X509_set_issuer_name(certificate, name));
    CHECK(X509_sign(certificate, key, EVP_sha256()));
    X509_NAME_free(name);
}

static SSL_CTX *make_context(const SSL_METHOD *method, unsigned kind)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    CHECK(ctx != NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_ASYNC | SSL_MODE_ENABLE_PARTIAL_WRITE);
    CHECK(SSL_CTX_set_min_proto_version(ctx, kinds[kind].version) &&
          SSL_CTX_set_max_proto_version(ctx, kinds[kind].version));
    CHECK(kinds[kind].ciphers == NULL || SSL_CTX_set_cipher_list(ctx, kinds[kind].ciphers));
    CHECK(SSL_CTX_use_certificate(ctx, certificate) && SSL_CTX_use_PrivateKey(ctx, key));
    return ctx;
}

static void make_side(struct side *side, SSL_CTX *ctx, BIO *bio, enum callback_of callback_of)
{
    *side = (struct side){0};
    if (callback_of == OF_CONTEXT) {
        CHECK(SSL_CTX_set_async_callback(ctx, was_called));
        CHECK(SSL_CTX_set_async_callback_arg(ctx, side));
    }
    side->ssl = SSL_new(ctx);
    CHECK(side->ssl != NULL);
    if (callback_of == OF_SSL) {
        CHECK(SSL_set_async_callback(side->ssl, was_called));
        CHECK(SSL_set_async_callback_arg(side->ssl, side));
    }
    SSL_set_bio(side->ssl, bio, bio);
}

static int descriptor(const struct side *side)
{
    OSSL_ASYNC_FD fd = -1;
    size_t count = 0;

    CHECK(SSL_get_all_async_fds(side->ssl, NULL, &count));
    CHECK(count <= 1);
    if (count == 1)
        CHECK(SSL_get_all_async_fds(side->ssl, &fd, &count));
    return fd;
}

static bool is_told(const struct side *side)
{
    int fd = descriptor(side);
    int status = ASYNC_STATUS_UNSUPPORTED;

    if (fd >= 0)
        return fd_is_readable(fd);
    CHECK(SSL_get_async_status(side->ssl, &status));
    CHECK_EQ(status, ASYNC_STATUS_OK);
    return atomic_load(&side->calls) != side->seen;
}

/* What came of a call of libssl's: 1 done; 0 not yet. */
static int outcome(struct side *side, int result)
{
    if (result > 0)
        return 1;
    switch (SSL_get_error(side->ssl, result)) {
    case SSL_ERROR_WANT_ASYNC:
        side->waiting = true;
        side->pauses++;
        return 0;
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return 0;
    default:
        ERR_print_errors_fp(stderr);
        FAIL("libssl failed");
        return -1;
    }
}

/* True when the side may try (again). */
static bool may_go_on(struct side *side)
{
    if (!side->waiting)
        side->seen = atomic_load(&side->calls); /* before it submits anything */
    else if (!is_told(side))
        return false;
    else
        side->seen = atomic_load(&side->calls);
    side->waiting = false;
    return true;
}

static void shake_hands(struct side *a, struct side *b)
{
    bool a_done = false, b_done = false;

    while (!a_done || !b_done) {
        if (!a_done && may_go_on(a))
            a_done = outcome(a, SSL_connect(a->ssl)) == 1;
        if (!b_done && may_go_on(b))
            b_done = outcome(b, SSL_accept(b->ssl)) == 1;
    }
}

static void transfer(struct side *from, struct side *to, unsigned char seed)
{
    unsigned char *in = malloc(MESSAGE_BYTES), *out = calloc(1, MESSAGE_BYTES);
    int sent = 0, got = 0;

    for (int i = 0; i < MESSAGE_BYTES; i++)
        in[i] = (unsigned char)(i * 13 + i / 256 + seed);
    while (got < MESSAGE_BYTES) {
        if (sent < MESSAGE_BYTES && may_go_on(from)) {
            int result = SSL_write(from->ssl, in + sent, MESSAGE_BYTES - sent);

            if (outcome(from, result) == 1)
                sent += result;
        }
        if (may_go_on(to)) {
            int result = SSL_read(to->ssl, out + got, MESSAGE_BYTES - got);

            if (outcome(to, result) == 1)
                got += result;
        }
    }
    CHECK_EQ(sent, MESSAGE_BYTES);
    CHECK_EQ(memcmp(in, out, MESSAGE_BYTES), 0);
    free(in);
    free(out);
}

static void quiet(const struct side *side, enum callback_of callback_of)
{
    int fd = descriptor(side);

    if (callback_of == DESCRIPTOR) {
        CHECK(side->pauses == 0 || fd >= 0);
        CHECK(fd < 0 || !fd_is_readable(fd)); /* N2 */
        CHECK_EQ(side->calls, 0);
    } else {
        CHECK_EQ(fd, -1); /* N7 */
        CHECK_EQ(side->calls, side->pauses);
    }
}

static void talk(unsigned kind, enum callback_of callback_of)
{
    SSL_CTX *client_ctx = make_context(TLS_client_method(), kind);
    SSL_CTX *server_ctx = make_context(TLS_server_method(), kind);
    struct side client, server;
    BIO *client_end, *server_end;
    long rsa = card_count(card, "rsa_priv");
    long records = card_count(card, "aes_gcm") + card_count(card, "aes_cbc");

    CHECK(BIO_new_bio_pair(&client_end, 20000, &server_end, 20000));
    make_side(&client, client_ctx, client_end, callback_of);
    make_side(&server, server_ctx, server_end, callback_of);
    shake_hands(&client, &server);
    CHECK_EQ(strcmp(SSL_get_cipher_name(client.ssl), kinds[kind].name), 0);
    CHECK_EQ(card_count(card, "rsa_priv") - rsa, 1);
    CHECK(server.pauses >= 1 && client.pauses >= 1); /* the client's: public operations */
    transfer(&client, &server, 1);
    transfer(&server, &client, 2);
    CHECK(card_count(card, "aes_gcm") + card_count(card, "aes_cbc") - records >= 2 * 2 * 2);
    quiet(&client, callback_of);
    quiet(&server, callback_of);
    usleep(5000);
    quiet(&client, callback_of);
    quiet(&server, callback_of);
    SSL_free(client.ssl);
    SSL_free(server.ssl);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
}

/* A connection that is given up while the card has its signature. */
static void give_up(const char *where)
{
    SSL_CTX *client_ctx = make_context(TLS_client_method(), 0),
            *server_ctx = make_context(TLS_server_method(), 0);
    struct side client, server;
    BIO *client_end, *server_end;
    long completed = card_count(card, "completed"), orphans = card_count(card, "orphans");

    CHECK(BIO_new_bio_pair(&client_end, 20000, &server_end, 20000));
    make_side(&client, client_ctx, client_end, DESCRIPTOR);
    make_side(&server, server_ctx, server_end, DESCRIPTOR);
    CHECK_EQ(outcome(&client, SSL_connect(client.ssl)), 0);
    card_command(card, "HOLD", where);
    CHECK_EQ(outcome(&server, SSL_accept(server.ssl)), 0);
    CHECK(server.waiting);
    if (strcmp(where, "signal") == 0)
        card_wait_for(card, "completed", completed + 1);
    CHECK_EQ(card_count(card, "orphans"), orphans);
    SSL_free(server.ssl);
    SSL_free(client.ssl);
    CHECK_EQ(card_count(card, "orphans"), orphans + 1);
    card_command(card, "HOLD", "none");
    card_wait_for(card, "completed", completed + 1);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
}

int main(void)
{
    test_begin(100);
    card = card_load(NULL);
    card_set_default(card);
    make_certificate();
    for (unsigned kind = 0; kind < sizeof(kinds) / sizeof(kinds[0]); kind++) {
        talk(kind, DESCRIPTOR);
        talk(kind, OF_SSL);
        talk(kind, OF_CONTEXT);
    }
    give_up("compute");
    give_up("signal");
    CHECK_EQ(card_count(card, "failed"), 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
    card_unload(card);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RSA key exchange of TLS 1.2 against a server on the card: a client whose premaster secret is padded wrong,
 * or says another version, gets the alert that one with a wrong secret gets, at the same point of the
 * handshake, and the server has asked the card as often and paused as often (RFC 5246, 7.4.7.1).
 */
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "check.h"
#include "support/card.h"

#define SIZE 256
#define SECRET 48

enum fault {
    NONE,
    OTHER_SECRET,
    OTHER_VERSION,
    FIRST_BYTE,
    BLOCK_TYPE,
    NO_SEPARATOR,
    SHORT_STRING,
    LONG_SECRET,
    RANDOM,
    FAULTS
};

static const char *const names[FAULTS] = {"none", "another secret", "another version", "first byte",
    "block type", "no separator", "short string", "longer secret", "random"};

struct seen {
    bool connected;
    int alert;   /* the fatal one that the server sent */
    int flights; /* calls of the two sides until it was over */
    int pauses;
    long private_operations, completed, failed;
};

static struct card *card;
static EVP_PKEY *key;
static X509 *certificate;
static enum fault fault; /* what the client's encryption does */

/* ------------------------------------------------------------------------------------------ the client */

/* In the place of libcrypto's encryption with PKCS#1 padding, on the client's side. */
static int encrypt_wrongly(int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
    unsigned char em[SIZE];
    unsigned char *text = em + SIZE - SECRET;

    CHECK(padding == RSA_PKCS1_PADDING && len == SECRET);
    CHECK_EQ(RSA_padding_add_PKCS1_type_2(em, SIZE, from, len), 1);
    switch (fault) {
    case OTHER_SECRET:
        text[SECRET - 1] ^= 1;
        break;
    case OTHER_VERSION:
        text[1] ^= 1;
        break;
    case FIRST_BYTE:
        em[0] = 1;
        break;
    case BLOCK_TYPE:
        em[1] = 1;
        break;
    case NO_SEPARATOR:
        for (unsigned i = 2; i < SIZE; i++)
            em[i] |= 1;
        break;
    case SHORT_STRING:
        em[8] = 0;
        break;
    case LONG_SECRET:
        text[-1] = 1;
        text[-2] = 0;
        break;
    case RANDOM:
        CHECK_EQ(RAND_bytes(em, SIZE), 1);
        em[0] = 0;
        em[1] |= 0x80; /* else it may be right after all */
        break;
    default:
        break;
    }
    return RSA_meth_get_pub_enc(RSA_PKCS1_OpenSSL())(SIZE, em, to, rsa, RSA_NO_PADDING);
}

static void make_clients_method(void)
{
    RSA_METHOD *method = RSA_meth_dup(RSA_PKCS1_OpenSSL());

    CHECK(method != NULL && RSA_meth_set_pub_enc(method, encrypt_wrongly));
    RSA_set_default_method(method); /* the client's key comes out of the certificate */
}

/* ------------------------------------------------------------------------------------------ handshakes */

/* The server's key is the card's, the client's is not. */
static EVP_PKEY *make_key(void)
{
#ifndef OPENSSL_NO_ENGINE
    EVP_PKEY *made;

    if (card_is_provider())
        return test_key(card);
    CHECK(ENGINE_set_default_RSA(card_engine(card)));
    made = EVP_RSA_gen(2048);
    ENGINE_unregister_RSA(card_engine(card)); /* the key has its method */
    return made;
#else
    return test_key(card);
#endif
}

static void make_certificate(void)
{
    key = make_key();
    certificate = X509_new();
    CHECK(key != NULL && certificate != NULL);
    CHECK(X509_gmtime_adj(X509_getm_notBefore(certificate), 0) &&
          X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
    CHECK(X509_set_pubkey(certificate, key) && X509_sign(certificate, key, EVP_sha256()));
}

static SSL *make_side(SSL_CTX *ctx, BIO *bio)
{
    SSL *ssl;

    CHECK(ctx != NULL);
    SSL_CTX_set_mode(ctx, SSL_MODE_ASYNC);
    CHECK(SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) &&
          SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION));
    CHECK(SSL_CTX_set_cipher_list(ctx, "AES128-GCM-SHA256"));
    ssl = SSL_new(ctx);
    CHECK(ssl != NULL);
    SSL_set_bio(ssl, bio, bio);
    SSL_CTX_free(ctx);
    return ssl;
}

static void look_for_alert(const SSL *ssl, int where, int value)
{
    struct seen *seen = SSL_get_app_data(ssl);

    if ((where & SSL_CB_WRITE_ALERT) == SSL_CB_WRITE_ALERT && value >> 8 == SSL3_AL_FATAL)
        seen->alert = value & 0xff;
}

static void wait_for_card(SSL *ssl)
{
    OSSL_ASYNC_FD fd;
    size_t count = 0;

    CHECK(SSL_get_all_async_fds(ssl, NULL, &count) && count == 1 && SSL_get_all_async_fds(ssl, &fd, &count));
    while (!fd_is_readable(fd))
        usleep(50);
}

/* Until the server has connected, or refused. */
static void shake_hands(SSL *client, SSL *server, struct seen *seen)
{
    for (;;) {
        int result;

        CHECK(++seen->flights < 100);
        result = SSL_connect(client);
        CHECK(result == 1 || SSL_get_error(client, result) == SSL_ERROR_WANT_READ);
        while ((result = SSL_accept(server)) != 1 && SSL_get_error(server, result) == SSL_ERROR_WANT_ASYNC) {
            seen->pauses++;
            wait_for_card(server);
        }
        seen->connected = result == 1;
        if (result == 1 || SSL_get_error(server, result) != SSL_ERROR_WANT_READ)
            return;
    }
}

static struct seen talk(void)
{
    struct seen seen = {.alert = -1};
    SSL_CTX *server_ctx = SSL_CTX_new_ex(card_context(card), card_properties(card), TLS_server_method());
    BIO *client_end, *server_end;
    SSL *client, *server;
    long before[3] = {
        card_count(card, "rsa_priv"), card_count(card, "completed"), card_count(card, "failed")};

    CHECK(SSL_CTX_use_certificate(server_ctx, certificate) && SSL_CTX_use_PrivateKey(server_ctx, key));
    CHECK(BIO_new_bio_pair(&client_end, 20000, &server_end, 20000));
    client = make_side(SSL_CTX_new(TLS_client_method()), client_end);
    server = make_side(server_ctx, server_end);
    SSL_set_app_data(server, &seen);
    SSL_set_info_callback(server, look_for_alert);
    shake_hands(client, server, &seen);
    ERR_clear_error();
    seen.private_operations = card_count(card, "rsa_priv") - before[0];
    card_wait_for(card, "completed", before[1] + seen.private_operations);
    seen.completed = card_count(card, "completed") - before[1];
    seen.failed = card_count(card, "failed") - before[2];
    SSL_free(client);
    SSL_free(server);
    return seen;
}

int main(void)
{
    struct seen reference = {0};

    test_begin(120);
    card = card_load(NULL);
    make_certificate();
    make_clients_method();
    for (fault = NONE; fault < FAULTS; fault++) {
        struct seen seen = talk();

        fprintf(stderr, "%s: alert %d, %d flights, %d pauses\n", names[fault], seen.alert, seen.flights,
            seen.pauses);
        CHECK_EQ(seen.connected, fault == NONE);
        CHECK_EQ(seen.private_operations, 1);
        CHECK_EQ(seen.completed, 1);
        CHECK_EQ(seen.failed, 0);
        CHECK_EQ(seen.pauses, 1);
        if (fault == OTHER_SECRET)
            reference = seen;
        if (fault <= OTHER_SECRET)
            continue;
        CHECK_EQ(seen.alert, reference.alert);
        CHECK_EQ(seen.flights, reference.flights);
    }
    CHECK(reference.alert > 0);
    X509_free(certificate);
    EVP_PKEY_free(key);
    card_unload(card);
    return 0;
}

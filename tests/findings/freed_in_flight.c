/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frees the wait context while the card works for its job: one with a descriptor; one with a callback
 * (`callback`); or that of a TLS connection with a callback, by freeing the connection (`connection`).
 */
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "wrong.h"

static void free_context(struct card *card, enum told_by told_by, bool mended)
{
    static struct job job; /* the callback of a context of the program's own still runs */

    card_command(card, "HOLD", "compute");
    start_signing(card, &job, told_by);
    if (!mended)
        job_free(&job);
    card_command(card, "HOLD", "none");
    if (mended)
        finish_signing(&job);
}

/* ------------------------------------------------------------------------------------------- a connection */

static sem_t told;
static _Atomic int callbacks;

static int tell(SSL *ssl, void *arg)
{
    (void)arg;
    CHECK(SSL_is_server(ssl)); /* it is still there */
    callbacks++;
    sem_post(&told);
    return 1;
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();

    CHECK(certificate != NULL && ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1));
    CHECK(X509_gmtime_adj(X509_getm_notBefore(certificate), 0) &&
          X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
    CHECK(X509_set_pubkey(certificate, key) && X509_sign(certificate, key, EVP_sha256()));
    return certificate;
}

static SSL_CTX *make_server_context(struct card *card)
{
    SSL_CTX *context = SSL_CTX_new_ex(card_context(card), card_properties(card), TLS_server_method());
    EVP_PKEY *key = test_key(card);
    X509 *certificate;

    CHECK(context != NULL);
    certificate = make_certificate(key);
    CHECK(SSL_CTX_use_certificate(context, certificate) && SSL_CTX_use_PrivateKey(context, key));
    SSL_CTX_set_mode(context, SSL_MODE_ASYNC);
    CHECK(SSL_CTX_set_async_callback(context, tell));
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static void shake_hands(SSL *client, SSL *server)
{
    int connected = 0, accepted = 0;

    while (connected <= 0 || accepted <= 0) {
        if (connected <= 0)
            connected = SSL_connect(client);
        if (accepted <= 0)
            accepted = SSL_accept(server);
        if (accepted <= 0 && SSL_get_error(server, accepted) == SSL_ERROR_WANT_ASYNC) {
            while (sem_wait(&told) != 0)
                ;
        }
    }
}

static void free_connection(struct card *card, bool mended)
{
    SSL_CTX *client_context = SSL_CTX_new(TLS_client_method()), *server_context = make_server_context(card);
    SSL *client = SSL_new(client_context), *server = SSL_new(server_context);
    BIO *one, *other;
    size_t descriptors;
    int result;

    CHECK(client != NULL && server != NULL);
    CHECK_EQ(sem_init(&told, 0, 0), 0);
    CHECK(BIO_new_bio_pair(&one, 0, &other, 0));
    SSL_set_bio(client, one, one);
    SSL_set_bio(server, other, other);
    card_command(card, "HOLD", "compute");
    CHECK(SSL_connect(client) < 0);
    result = SSL_accept(server);
    CHECK_EQ(SSL_get_error(server, result), SSL_ERROR_WANT_ASYNC);
    CHECK(SSL_get_all_async_fds(server, NULL, &descriptors));
    CHECK_EQ(descriptors, 0); /* nothing is changed for who is watched */
    if (!mended)
        SSL_free(server);
    card_command(card, "HOLD", "none");
    if (mended) {
        shake_hands(client, server);
        SSL_free(server);
    }
    SSL_free(client);
    SSL_CTX_free(client_context);
    SSL_CTX_free(server_context);
}

int main(int argc, char **argv)
{
    bool mended = has_argument(argc, argv, "mended"), connection = has_argument(argc, argv, "connection");
    struct card *card = load_checked(NULL);

    if (connection)
        free_connection(card, mended);
    else
        free_context(card, has_argument(argc, argv, "callback") ? BY_CALLBACK : BY_FD, mended);
    card_wait_for(card, "completed", 1);
    unload_used(card);
    /* The one that was freed is not called, as the descriptor of one is not written to. */
    CHECK(!connection || (callbacks > 0) == mended);
    return 0;
}

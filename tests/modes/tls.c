/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.2 and 1.3 over a pair of BIOs, both ends in jobs with the engine as default: the cipher suites whose
 * ciphers this room is about, with pipelines and without, told by descriptor and by callback. Data arrive
 * whole, the card did the records, and a record that was changed on its way ends the connection.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdatomic.h>

#include "all_ways.h"

#define DATA 200000
#define FRAGMENT 2048
#define PIPES 4

struct end {
    SSL *ssl;
    int (*does)(struct end *); /* the call under way, to be repeated while it wants that */
    _Atomic int told;
    int pauses;
    int at; /* how much is written or read */
    unsigned char got[DATA];
};

static unsigned char data[DATA];

static int on_completion(SSL *ssl, void *arg)
{
    (void)ssl;
    atomic_fetch_add((_Atomic int *)arg, 1);
    return 1;
}

static X509 *self_signed(EVP_PKEY *key)
{
    X509 *cert = X509_new();

    CHECK(X509_set_version(cert, 2) && ASN1_INTEGER_set(X509_get_serialNumber(cert), 1));
    CHECK(X509_gmtime_adj(X509_getm_notBefore(cert), 0) && X509_gmtime_adj(X509_getm_notAfter(cert), 86400));
    CHECK(X509_set_issuer_name(cert, X509_get_subject_name(cert)) && X509_set_pubkey(cert, key));
    CHECK(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

static SSL_CTX *make_context(bool server, int version, const char *suite, bool pipelines)
{
    static EVP_PKEY *key;
    static X509 *cert;
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

    if (key == NULL) {
        key = EVP_RSA_gen(2048);
        CHECK(key != NULL);
        cert = self_signed(key);
    }
    CHECK(SSL_CTX_set_min_proto_version(ctx, version) && SSL_CTX_set_max_proto_version(ctx, version));
    CHECK(version == TLS1_3_VERSION ? SSL_CTX_set_ciphersuites(ctx, suite)
                                    : SSL_CTX_set_cipher_list(ctx, suite));
    SSL_CTX_set_security_level(ctx, 0); /* the 64-bit tags of CCM_8 are below level 1 from OpenSSL 3.2 on */
    SSL_CTX_set_options(ctx, SSL_OP_NO_ENCRYPT_THEN_MAC);
    SSL_CTX_set_mode(ctx, SSL_MODE_ASYNC);
    if (server)
        CHECK(SSL_CTX_use_certificate(ctx, cert) && SSL_CTX_use_PrivateKey(ctx, key));
    CHECK(SSL_CTX_set_max_send_fragment(ctx, FRAGMENT * PIPES));
    if (pipelines) {
        CHECK(SSL_CTX_set_max_pipelines(ctx, PIPES) && SSL_CTX_set_split_send_fragment(ctx, FRAGMENT));
        SSL_CTX_set_default_read_buffer_len(ctx, DATA);
        SSL_CTX_set_read_ahead(ctx, 1);
    }
    return ctx;
}

static void make_end(struct end *end, SSL_CTX *ctx, BIO *bio, bool server, bool by_callback)
{
    memset(end, 0, sizeof(*end));
    end->ssl = SSL_new(ctx);
    SSL_set_bio(end->ssl, bio, bio);
    if (server)
        SSL_set_accept_state(end->ssl);
    else
        SSL_set_connect_state(end->ssl);
    if (by_callback) {
        CHECK(SSL_set_async_callback(end->ssl, on_completion));
        CHECK(SSL_set_async_callback_arg(end->ssl, &end->told));
    }
    SSL_CTX_free(ctx);
}

static int handshake(struct end *end)
{
    return SSL_do_handshake(end->ssl);
}

static int write_data(struct end *end)
{
    int done = SSL_write(end->ssl, data + end->at, DATA - end->at);

    end->at += done > 0 ? done : 0;
    return end->at == DATA ? 1 : done > 0 ? 0 : done;
}

static int read_data(struct end *end)
{
    int done = SSL_read(end->ssl, end->got + end->at, DATA - end->at);

    end->at += done > 0 ? done : 0;
    return end->at == DATA ? 1 : done > 0 ? 0 : done;
}

static void wait_to_be_told(struct end *end, bool by_callback)
{
    struct pollfd poll_fd = {.events = POLLIN};
    size_t count = 1;

    end->pauses++;
    if (by_callback) {
        while (atomic_load(&end->told) == 0)
            usleep(20);
        CHECK_EQ(atomic_exchange(&end->told, 0), 1);
        return;
    }
    CHECK(SSL_get_all_async_fds(end->ssl, NULL, &count) && count == 1);
    CHECK(SSL_get_all_async_fds(end->ssl, &poll_fd.fd, &count));
    CHECK_EQ(poll(&poll_fd, 1, -1), 1);
}

enum progress { GOES_ON, DONE, BROKEN };

/* From OpenSSL 4.0 on SSL_read(3) and its like resume no job of a connection that has failed: the job that
 * paused on its way to send the alert stays paused for ever. */
static bool resumes_no_more(struct end *end, int result)
{
    return OpenSSL_version_num() >= 0x40000000 && SSL_get_error(end->ssl, result) == SSL_ERROR_SSL;
}

/* One call, and again after each pause. */
static enum progress step(struct end *end, bool by_callback)
{
    for (;;) {
        int result = end->does(end);

        if (result > 0)
            return DONE;
        if (result == 0 && end->at > 0 && end->at < DATA)
            return GOES_ON;
        /* A job may have paused on its way to send an alert: SSL_get_error() speaks of the error then. */
        if (SSL_waiting_for_async(end->ssl)) {
            wait_to_be_told(end, by_callback);
            if (resumes_no_more(end, result))
                return BROKEN;
            continue;
        }
        switch (SSL_get_error(end->ssl, result)) {
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            return GOES_ON;
        default:
            return BROKEN;
        }
    }
}

/* Both ends until both are done, or one is broken. */
/* Whether one of the errors is this; 3.2 and later put more words on top. */
static bool has_reason(int reason)
{
    unsigned long error;
    bool found = false;

    while ((error = ERR_get_error()) != 0)
        found = found || ERR_GET_REASON(error) == reason;
    return found;
}

static bool both(
    struct end *a, struct end *b, int (*a_does)(struct end *), int (*b_does)(struct end *), bool by_callback)
{
    enum progress a_is = GOES_ON, b_is = GOES_ON;

    a->does = a_does;
    b->does = b_does;
    a->at = b->at = 0;
    while (a_is == GOES_ON || b_is == GOES_ON) {
        if (a_is == GOES_ON)
            a_is = step(a, by_callback);
        if (b_is == GOES_ON)
            b_is = step(b, by_callback);
        if (a_is == BROKEN || b_is == BROKEN)
            return false;
    }
    return true;
}

/* Bytes from one side's BIO to the other's are changed by this when it is set. */
static bool spoil;

static long on_bio(
    BIO *bio, int oper, const char *bytes, size_t len, int argi, long argl, int result, size_t *n)
{
    (void)bio;
    (void)argi;
    (void)argl;
    (void)n;
    if (spoil && oper == BIO_CB_WRITE && len > 100) {
        ((char *)bytes)[len - 1] ^= 1;
        spoil = false;
    }
    return result;
}

struct suite {
    const char *name, *stat;
    int version;
    bool pipelines, by_callback;
};

static void connect_and_talk(struct card *card, const struct suite *suite)
{
    static struct end server, client;
    BIO *server_bio, *client_bio;
    long requests, told;
    bool shaken;
    SSL_CTX *server_ctx = make_context(true, suite->version, suite->name, suite->pipelines);
    SSL_CTX *client_ctx = make_context(false, suite->version, suite->name, suite->pipelines);

    CHECK(BIO_new_bio_pair(&server_bio, DATA, &client_bio, DATA));
    BIO_set_callback_ex(server_bio, on_bio);
    make_end(&server, server_ctx, server_bio, true, suite->by_callback);
    make_end(&client, client_ctx, client_bio, false, suite->by_callback);
    shaken = both(&server, &client, handshake, handshake, suite->by_callback);
    ERR_print_errors_fp(stderr);
    CHECK(shaken);
    requests = card_count(card, suite->stat);
    told = card_count(card, "wakeups") + card_count(card, "callbacks");
    CHECK(both(&server, &client, write_data, read_data, suite->by_callback));
    CHECK(memcmp(client.got, data, DATA) == 0);
    CHECK(both(&client, &server, write_data, read_data, suite->by_callback));
    CHECK(memcmp(server.got, data, DATA) == 0);
    requests = card_count(card, suite->stat) - requests;
    told = card_count(card, "wakeups") + card_count(card, "callbacks") - told;
    printf("%-24s %s %-8s: %ld records on the card, told of %ld times\n", SSL_get_cipher_name(server.ssl),
        suite->by_callback ? "callback  " : "descriptor", suite->pipelines ? "pipes" : "", requests, told);
    CHECK(requests >= 2 * 2 * DATA / (FRAGMENT * PIPES));
    if (suite->pipelines && !card_is_provider()) /* of which libssl makes no pipelines */
        CHECK(told * 2 < requests);              /* sealed by four at a time, and opened by several */
    else
        CHECK_EQ(told, requests);
    spoil = true;
    CHECK(!both(&server, &client, write_data, read_data, suite->by_callback));
    CHECK(!spoil);
    CHECK(has_reason(SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC));
    SSL_free(server.ssl);
    SSL_free(client.ssl);
}

int main(void)
{
    static const struct suite suites[] = {
        {"AES128-SHA:@SECLEVEL=0", "aes_cbc_hmac_sha1", TLS1_2_VERSION, false, false},
        {"AES128-SHA:@SECLEVEL=0", "aes_cbc_hmac_sha1", TLS1_2_VERSION, true, false},
        {"AES128-SHA:@SECLEVEL=0", "aes_cbc_hmac_sha1", TLS1_2_VERSION, true, true},
        {"AES256-SHA:@SECLEVEL=0", "aes_cbc_hmac_sha1", TLS1_1_VERSION, true, false},
        {"AES128-SHA:@SECLEVEL=0", "aes_cbc_hmac_sha1", TLS1_VERSION, false, false},
        {"AES256-SHA256:@SECLEVEL=0", "aes_cbc_hmac_sha256", TLS1_2_VERSION, false, true},
        {"AES256-SHA256:@SECLEVEL=0", "aes_cbc_hmac_sha256", TLS1_2_VERSION, true, false},
        {"AES128-CCM:@SECLEVEL=0", "aes_ccm", TLS1_2_VERSION, false, false},
        {"AES256-CCM8:@SECLEVEL=0", "aes_ccm", TLS1_2_VERSION, false, true},
        {"TLS_AES_128_CCM_SHA256", "aes_ccm", TLS1_3_VERSION, false, false},
        {"TLS_AES_128_CCM_8_SHA256", "aes_ccm", TLS1_3_VERSION, false, true},
    };
    struct numbers numbers = {71};
    struct card *card;

    test_begin(120);
    card = ways_card(NULL);
    number_fill(&numbers, data, sizeof(data));
    ways_set_default(card, true);
    for (unsigned i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
        if (strncmp(suites[i].stat, "aes_cbc_hmac", 12) == 0 &&
            !ways_have_cipher(card, EVP_aes_128_cbc_hmac_sha1()))
            continue; /* not on this processor */
        connect_and_talk(card, &suites[i]);
    }
    ways_set_default(card, false);
    card_unload(card);
    return 0;
}

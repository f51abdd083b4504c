/* SPDX-License-Identifier: Apache-2.0 */
/* Connections over memory, client and server on one thread, each side going on when it can. */
#include "scenario_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "check.h"
#include "question.h"

#define CONNECTIONS 24
#define MESSAGE_BYTES 30000 /* two records */
#define STEPS_UNTIL_DOOM 60

struct side {
    SSL *ssl;
    bool shaken; /* hands */
    size_t moved;
    bool failed; /* the other side is gone */
};

struct connection {
    struct side client, server; /* the server sends, the client reads */
    unsigned doom;              /* steps until it is freed, whatever it is doing; 0: never */
    unsigned char received[MESSAGE_BYTES];
};

static unsigned char message[MESSAGE_BYTES];

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();

    CHECK(certificate != NULL && ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1));
    CHECK(X509_gmtime_adj(X509_getm_notBefore(certificate), 0) &&
          X509_gmtime_adj(X509_getm_notAfter(certificate), 3600));
    CHECK(X509_set_pubkey(certificate, key));
    CHECK(X509_set_issuer_name(certificate, X509_get_subject_name(certificate)));
    CHECK(X509_sign(certificate, key, EVP_sha256()));
    return certificate;
}

static SSL_CTX *make_context(const SSL_METHOD *method, EVP_PKEY *key, X509 *certificate)
{
    SSL_CTX *ctx = SSL_CTX_new(method);

    CHECK(ctx != NULL && SSL_CTX_use_certificate(ctx, certificate) && SSL_CTX_use_PrivateKey(ctx, key));
    SSL_CTX_set_mode(
        ctx, SSL_MODE_ASYNC | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return ctx;
}

/* Up to TLS 1.2; the ciphers of 1.3 are libssl's choice. */
static void draw_suite(struct connection *connection, struct random *random)
{
    static const char *const suites[] = {"ECDHE-RSA-AES128-GCM-SHA256", "AES256-GCM-SHA384", "AES128-SHA",
        "AES256-SHA", "AES128-SHA256", "ECDHE-RSA-AES256-SHA384", "AES128-CCM"};
    char list[100];

    snprintf(list, sizeof(list), "%s:@SECLEVEL=0",
        suites[random_below(random, sizeof(suites) / sizeof(suites[0]))]);
    CHECK(SSL_set_cipher_list(connection->client.ssl, list));
    if (random_percent(random, 70))
        SSL_set_options(connection->client.ssl, SSL_OP_NO_ENCRYPT_THEN_MAC);
    if (random_percent(random, 50)) { /* several records to one wake-up, where the cipher can */
        CHECK(SSL_set_split_send_fragment(connection->server.ssl, 2048));
        CHECK(SSL_set_max_pipelines(connection->server.ssl, 4) &&
              SSL_set_max_pipelines(connection->client.ssl, 4));
        SSL_set_default_read_buffer_len(connection->client.ssl, MESSAGE_BYTES);
    }
}

static void connect_sides(
    struct connection *connection, SSL_CTX *client, SSL_CTX *server, struct random *random)
{
    int version = random_percent(random, 50) ? TLS1_2_VERSION : TLS1_3_VERSION;
    BIO *near, *far;

    *connection = (struct connection){.client.ssl = SSL_new(client), .server.ssl = SSL_new(server)};
    CHECK(connection->client.ssl != NULL && connection->server.ssl != NULL);
    CHECK(BIO_new_bio_pair(&near, 0, &far, 0));
    SSL_set_bio(connection->client.ssl, near, near);
    SSL_set_bio(connection->server.ssl, far, far);
    SSL_set_connect_state(connection->client.ssl);
    SSL_set_accept_state(connection->server.ssl);
    CHECK(SSL_set_max_proto_version(connection->client.ssl, version));
    draw_suite(connection, random);
    if (random_percent(random, 40))
        connection->doom = 1 + (unsigned)random_below(random, STEPS_UNTIL_DOOM);
}

/* Whatever comes next on this side, if it need not wait. */
static void step(struct side *side, bool sends, unsigned char *bytes)
{
    size_t moved = 0;
    int result;

    if (side->ssl == NULL || side->failed || side->moved == MESSAGE_BYTES)
        return;
    if (!side->shaken) {
        result = SSL_do_handshake(side->ssl);
        side->shaken = result == 1;
    } else if (sends) {
        result = SSL_write_ex(side->ssl, message + side->moved, MESSAGE_BYTES - side->moved, &moved);
    } else {
        result = SSL_read_ex(side->ssl, bytes + side->moved, MESSAGE_BYTES - side->moved, &moved);
    }
    if (result > 0) {
        side->moved += moved;
    } else { /* a paused call leaves the length of the one before in moved */
        int error = SSL_get_error(side->ssl, result);

        side->failed = error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE &&
                       error != SSL_ERROR_WANT_ASYNC && error != SSL_ERROR_WANT_ASYNC_JOB;
    }
}

/* Of a doomed connection, one side or both vanish. */
static void free_sides(struct connection *connection, unsigned which)
{
    if (which != 1) {
        SSL_free(connection->client.ssl);
        connection->client.ssl = NULL;
    }
    if (which != 2) {
        SSL_free(connection->server.ssl);
        connection->server.ssl = NULL;
    }
    connection->doom = 0;
}

static bool is_over(const struct connection *connection)
{
    if (connection->client.ssl == NULL || connection->server.ssl == NULL)
        return true;
    CHECK(!connection->client.failed && !connection->server.failed);
    return connection->client.moved == MESSAGE_BYTES && connection->server.moved == MESSAGE_BYTES;
}

static void go_on(struct connection *connection, struct random *random)
{
    if (random_percent(random, 50))
        step(&connection->client, false, connection->received);
    else
        step(&connection->server, true, NULL);
    if (ERR_peek_error() != 0) {
        ERR_print_errors_fp(stderr);
        FAIL("libssl failed");
    }
    if (connection->doom > 0 && --connection->doom == 0)
        free_sides(connection, (unsigned)random_below(random, 3));
}

void tls_talk(struct random *random)
{
    static struct connection connections[CONNECTIONS];
    EVP_PKEY *key = EVP_RSA_gen(2048);
    X509 *certificate = make_certificate(key);
    SSL_CTX *client = make_context(TLS_client_method(), key, certificate);
    SSL_CTX *server = make_context(TLS_server_method(), key, certificate);
    unsigned open = CONNECTIONS;

    CHECK(SSL_CTX_set_cipher_list(server, "ALL:@SECLEVEL=0"));
    random_fill(random, message, sizeof(message));
    for (unsigned i = 0; i < CONNECTIONS; i++)
        connect_sides(&connections[i], client, server, random);
    while (open > 0) {
        open = 0;
        for (unsigned i = 0; i < CONNECTIONS; i++) {
            if (is_over(&connections[i]))
                continue;
            go_on(&connections[i], random);
            open++;
        }
    }
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        bool whole = connections[i].client.moved == MESSAGE_BYTES;

        CHECK(!whole || memcmp(connections[i].received, message, sizeof(message)) == 0);
        free_sides(&connections[i], 0);
    }
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

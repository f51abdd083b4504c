/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS client in asynchronous mode, as a careful application writes one: each call of libssl's is repeated
 * until it is done before there is another on the same connection. The engine comes from OPENSSL_CONF.
 *
 *   async-client OPTION ... STEP ...
 *
 * Options: port=N; ca=FILE, which must vouch for "localhost"; version=1.0 to 1.3; suite=NAME; etm or no_etm;
 * no_ticket; certificate=FILE, with the key, for the server. Steps, in this order: connect; connections=N,
 * connects N times; resume, a new connection that must be a resumption of the last one; early=FILE, the same
 * with early data, which must be accepted; echo=FILE, sends it to a server that sends it back, and compares;
 * send=FILE; receive=FILE, which the server sends; renegotiate; key_update, of
 * both sides; half_close=FILE, sends it, closes this half, and only then reads it back, to the end.
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "check.h"
#include "tls_version.h"

#define PIECE 16384u
#define FILE_MAX 128000000

static SSL_CTX *context;
static SSL *connection;
static SSL_SESSION *session; /* of the last connection */
static int port;
static unsigned long pauses;
static unsigned char *data;
static size_t data_len;

static void fail_step(const char *step)
{
    ERR_print_errors_fp(stderr);
    fprintf(stderr, "async-client: %s failed\n", step);
    exit(1);
}

/* After a call of libssl's with this result: true when it is to be called again, which is now. */
static bool again(int result)
{
    struct pollfd told = {.events = POLLIN};
    size_t count = 1;

    if (result > 0 || SSL_get_error(connection, result) != SSL_ERROR_WANT_ASYNC)
        return false;
    CHECK(SSL_get_all_async_fds(connection, NULL, &count) && count == 1);
    CHECK(SSL_get_all_async_fds(connection, &told.fd, &count));
    CHECK_EQ(poll(&told, 1, 30000), 1);
    pauses++;
    return true;
}

static void read_file(const char *path)
{
    FILE *file = fopen(path, "re");

    CHECK(file != NULL);
    free(data);
    data = malloc(FILE_MAX);
    CHECK(data != NULL);
    data_len = fread(data, 1, FILE_MAX, file);
    CHECK(data_len > 0 && data_len < FILE_MAX);
    fclose(file);
}

static void shake_hands(const char *step)
{
    int result;

    do
        result = SSL_do_handshake(connection);
    while (again(result));
    if (result != 1)
        fail_step(step);
}

static void write_all(const unsigned char *from, size_t len)
{
    size_t done = 0;
    int result;

    while (len > 0) {
        do
            result = SSL_write_ex(connection, from, len < PIECE ? len : PIECE, &done);
        while (again(result));
        if (result != 1)
            fail_step("writing");
        from += done;
        len -= done;
    }
}

static void read_and_compare(const unsigned char *wanted, size_t len)
{
    unsigned char got[PIECE];
    size_t done = 0;
    int result;

    for (size_t at = 0; at < len; at += done) {
        do
            result = SSL_read_ex(connection, got, len - at < PIECE ? len - at : PIECE, &done);
        while (again(result));
        if (result != 1)
            fail_step("reading");
        if (memcmp(got, wanted + at, done) != 0)
            fail_step("comparing");
    }
}

static void echo(const char *path)
{
    read_file(path);
    for (size_t at = 0; at < data_len; at += PIECE) {
        size_t len = data_len - at < PIECE ? data_len - at : PIECE;

        write_all(data + at, len);
        read_and_compare(data + at, len);
    }
}

static void send_file(const char *path)
{
    read_file(path);
    write_all(data, data_len);
}

static void receive_file(const char *path)
{
    read_file(path);
    read_and_compare(data, data_len);
}

static void close_half(void)
{
    int result;

    do
        result = SSL_shutdown(connection);
    while (result < 0 && again(result));
    CHECK(result >= 0);
}

/* Reads to the other's close_notify. */
static void read_to_end(void)
{
    unsigned char byte;
    int result;

    do
        result = SSL_read(connection, &byte, 1);
    while (again(result));
    if (SSL_get_error(connection, result) != SSL_ERROR_ZERO_RETURN)
        fail_step("the end of what the server says");
}

static void half_close(const char *path)
{
    read_file(path);
    write_all(data, data_len);
    close_half();
    read_and_compare(data, data_len);
    read_to_end();
}

/* Reads to the end, however the server ends it: what it still sends may be tickets, which belong to the
 * session. */
static void read_the_rest(void)
{
    char rest[4096];
    int result;

    do
        result = SSL_read(connection, rest, sizeof(rest));
    while (result > 0 || again(result));
}

static void disconnect(void)
{
    char rest[4096];
    int fd;

    if (connection == NULL)
        return;
    fd = SSL_get_fd(connection);
    if (SSL_get_shutdown(connection) == 0) {
        close_half();
        read_the_rest();
    }
    SSL_SESSION_free(session);
    session = SSL_get1_session(connection);
    shutdown(fd, SHUT_WR);
    while (read(fd, rest, sizeof(rest)) > 0)
        ; /* closing over unread bytes would reset the connection before the server has read all */
    SSL_free(connection);
    close(fd);
    connection = NULL;
}

static void new_connection(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    disconnect();
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    connection = SSL_new(context);
    CHECK(connection != NULL && SSL_set_fd(connection, fd) && SSL_set1_host(connection, "localhost"));
    SSL_set_connect_state(connection);
}

static void connect_step(void)
{
    new_connection();
    shake_hands("connect");
    CHECK(!SSL_session_reused(connection));
}

static void connections(const char *count)
{
    for (int i = atoi(count); i > 0; i--)
        connect_step();
}

static void resume(void)
{
    new_connection();
    CHECK(session != NULL && SSL_set_session(connection, session));
    shake_hands("resume");
    if (!SSL_session_reused(connection))
        fail_step("resumption");
}

static void early(const char *path)
{
    size_t done = 0;
    int result;

    read_file(path);
    new_connection();
    CHECK(session != NULL && SSL_set_session(connection, session));
    for (size_t at = 0; at < data_len; at += done) {
        size_t len = data_len - at < PIECE ? data_len - at : PIECE;

        do
            result = SSL_write_early_data(connection, data + at, len, &done);
        while (again(result));
        if (result != 1)
            fail_step("early data");
    }
    shake_hands("connect after early data");
    CHECK_EQ(SSL_get_early_data_status(connection), SSL_EARLY_DATA_ACCEPTED);
}

static void renegotiate(void)
{
    long before = SSL_num_renegotiations(connection);

    CHECK(SSL_renegotiate(connection));
    shake_hands("renegotiate");
    CHECK_EQ(SSL_num_renegotiations(connection), before + 1);
}

static void key_update(void)
{
    CHECK(SSL_key_update(connection, SSL_KEY_UPDATE_REQUESTED));
    shake_hands("key_update");
    CHECK_EQ(SSL_get_key_update_type(connection), SSL_KEY_UPDATE_NONE);
}

static bool set_version(const char *name)
{
    int version = tls_version(name);

    return SSL_CTX_set_min_proto_version(context, version) && SSL_CTX_set_max_proto_version(context, version);
}

static bool set_suite(const char *name)
{
    SSL_CTX_set_security_level(context, 0); /* CCM_8 is below level 1 from OpenSSL 3.2 on */
    return strncmp(name, "TLS_", 4) == 0 ? SSL_CTX_set_ciphersuites(context, name)
                                         : SSL_CTX_set_cipher_list(context, name);
}

static bool set_certificate(const char *path)
{
    return SSL_CTX_use_certificate_file(context, path, SSL_FILETYPE_PEM) &&
           SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM);
}

static bool set_option(const char *name, const char *value)
{
    if (strcmp(name, "port") == 0)
        return (port = atoi(value)) > 0;
    if (strcmp(name, "ca") == 0)
        return SSL_CTX_load_verify_file(context, value);
    if (strcmp(name, "version") == 0)
        return set_version(value);
    if (strcmp(name, "suite") == 0)
        return set_suite(value);
    if (strcmp(name, "certificate") == 0)
        return set_certificate(value);
    if (strcmp(name, "etm") == 0)
        return true; /* the default */
    if (strcmp(name, "no_etm") == 0)
        return SSL_CTX_set_options(context, SSL_OP_NO_ENCRYPT_THEN_MAC) != 0;
    if (strcmp(name, "no_ticket") == 0)
        return SSL_CTX_set_options(context, SSL_OP_NO_TICKET) != 0;
    return false;
}

static bool take_step(const char *name, const char *value)
{
    static const struct {
        const char *name;
        void (*step)(void);
        void (*step_with)(const char *);
    } steps[] = {
        {"connect", connect_step, NULL},
        {"resume", resume, NULL},
        {"renegotiate", renegotiate, NULL},
        {"key_update", key_update, NULL},
        {"early", NULL, early},
        {"echo", NULL, echo},
        {"send", NULL, send_file},
        {"receive", NULL, receive_file},
        {"connections", NULL, connections},
        {"half_close", NULL, half_close},
    };

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        if (strcmp(steps[i].name, name) != 0)
            continue;
        if (steps[i].step != NULL)
            steps[i].step();
        else
            steps[i].step_with(value);
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    test_begin(300);
    context = SSL_CTX_new(TLS_client_method());
    CHECK(context != NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ASYNC);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT);
    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');

        if (value != NULL)
            *value++ = '\0';
        else
            value = argv[i] + strlen(argv[i]);
        if (!set_option(argv[i], value) && !take_step(argv[i], value))
            fail_step(argv[i]);
    }
    disconnect();
    printf("%lu pauses\n", pauses);
    SSL_SESSION_free(session);
    SSL_CTX_free(context);
    free(data);
    return 0;
}

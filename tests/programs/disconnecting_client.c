/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that go away: opens many TLS connections to a server on loopback and leaves each at a random moment
 * of the handshake or of the data, by a close, by a reset, or by closing its own half first. Some stay to the
 * end; these verify the certificate.
 *
 *   disconnecting-client --port P --ca FILE [--answer FILE] [--request FILE]
 *       [--connections N] [--concurrency C] [--seed S] [--only MOMENT]
 *
 * With --answer the server is an HTTP server and must answer with that file, after its headers. Without it,
 * the client only speaks, and stays until the server has closed too. At the end it prints how many
 * connections left at each moment, as JSON. Whoever did not come as far as it wanted, or saw something else
 * than it should, is a failure.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "check.h"
#include "lots.h"

#define PIECE 16384
#define RECEIVE_BUFFER 8192 /* small, so that the server is still sending when its client leaves */
#define LINGER_MAX_US 3000  /* so long, at most, between a moment and leaving */
#define SILENCE_MAX 20      /* seconds, or more on a busy machine: test_seconds() */

/* How much of what it says in one turn a connection lets out before it leaves. */
enum part { NOTHING, SOME, EVERYTHING };

/* A connection speaks in turns: hello; (key exchange and) Finished; request. */
enum { HELLO = 1, FINISHED, REQUEST };

static const struct moment {
    const char *name;
    int turn; /* the one in which it leaves; after REQUEST: it hears some of the answer, or all */
    enum part part;
} moments[] = {
    {"after_connect", HELLO, NOTHING},
    {"in_hello", HELLO, SOME},
    {"after_hello", HELLO, EVERYTHING},
    {"after_server_flight", FINISHED, NOTHING},
    {"in_finished", FINISHED, SOME},
    {"after_finished", FINISHED, EVERYTHING},
    {"after_handshake", REQUEST, NOTHING},
    {"in_request", REQUEST, SOME},
    {"after_request", REQUEST, EVERYTHING},
    {"in_answer", REQUEST + 1, SOME},
    {"stays", REQUEST + 1, EVERYTHING},
};

#define MOMENTS (sizeof(moments) / sizeof(moments[0]))
#define STAYS (&moments[MOMENTS - 1])

enum manner { CLOSE, RESET, HALF_CLOSE, MANNERS };

struct connection {
    SSL *ssl; /* on two memory BIOs; NULL: the place is free */
    int fd;
    const struct moment *moment;
    enum manner manner;
    int turn;
    bool speaks;     /* has not yet let out what it has to say in this turn */
    int headers_end; /* how much of the empty line after the headers it has heard */
    size_t may_say;  /* bytes of this turn that are still to go out, once it is the turn to leave in */
    size_t may_hear;
    size_t heard; /* bytes of the answer */
    bool goes;    /* has come to its moment */
    bool listens; /* has closed its half, and waits for the server to close the other */
    uint64_t goes_at, last_event, random;
};

static struct {
    int port;
    const char *ca, *only;
    const char *request;
    size_t request_len;
    const char *answer; /* NULL: none */
    size_t answer_len;
    unsigned connections, concurrency;
    uint64_t seed;
} options = {.connections = 1000, .concurrency = 32, .seed = 1};

static SSL_CTX *contexts[3];
static int epoll;
static unsigned long left_at[MOMENTS], left_by[MANNERS];

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Each connection has numbers of its own, so that its plan does not depend on what the others
 * do meanwhile. */
static size_t below(struct connection *connection, size_t limit)
{
    return lots_below(&connection->random, (uint32_t)limit);
}

static SSL_CTX *make_context(int version, const char *ciphers)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    CHECK(context != NULL && SSL_CTX_load_verify_file(context, options.ca));
    CHECK(SSL_CTX_set_min_proto_version(context, version) && SSL_CTX_set_max_proto_version(context, version));
    CHECK(ciphers == NULL || SSL_CTX_set_cipher_list(context, ciphers));
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    return context;
}

static const struct moment *choose_moment(struct connection *connection)
{
    const struct moment *moment = &moments[below(connection, MOMENTS)];

    if (options.only == NULL)
        return moment->turn > REQUEST && options.answer == NULL ? STAYS : moment;
    for (size_t i = 0; i < MOMENTS; i++)
        if (strcmp(moments[i].name, options.only) == 0)
            return &moments[i];
    FAIL("no such moment");
}

static void open_connection(struct connection *connection, unsigned number)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    const int small = RECEIVE_BUFFER;

    *connection = (struct connection){.random = options.seed << 32 | number};
    connection->moment = choose_moment(connection);
    connection->manner = (enum manner)below(connection, MANNERS);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    CHECK(connection->fd >= 0);
    CHECK_EQ(setsockopt(connection->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(connection->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        CHECK_EQ(errno, EINPROGRESS);
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event), 0);
    connection->ssl = SSL_new(contexts[below(connection, sizeof(contexts) / sizeof(contexts[0]))]);
    CHECK(connection->ssl != NULL && SSL_set1_host(connection->ssl, "localhost"));
    SSL_set_bio(connection->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(connection->ssl);
    BIO_set_mem_eof_return(SSL_get_rbio(connection->ssl), -1);
    connection->may_say = connection->may_hear = SIZE_MAX;
    if (connection->moment->turn > REQUEST && options.answer == NULL)
        connection->manner = HALF_CLOSE;
    else if (connection->moment->turn > REQUEST)
        connection->may_hear =
            connection->moment->part == SOME ? 1 + below(connection, options.answer_len - 1) : SIZE_MAX;
    connection->last_event = now_us();
}

static void end_connection(struct connection *connection)
{
    left_at[connection->moment - moments]++;
    left_by[connection->manner]++;
    SSL_free(connection->ssl);
    close(connection->fd);
    connection->ssl = NULL;
}

/* It has come to its moment; after a while it leaves. */
static void go(struct connection *connection)
{
    connection->goes = true;
    connection->goes_at = now_us() + (below(connection, 2) == 0 ? 0 : below(connection, LINGER_MAX_US));
}

static void leave(struct connection *connection)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    switch (connection->manner) {
    case RESET:
        CHECK_EQ(setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)), 0);
        break;
    case HALF_CLOSE:
        if (shutdown(connection->fd, SHUT_WR) == 0) {
            connection->listens = true;
            return;
        }
        CHECK_EQ(errno, ENOTCONN);
        break;
    default:
        break;
    }
    end_connection(connection);
}

static void fail_connection(const struct connection *connection, const char *what)
{
    ERR_print_errors_fp(stderr);
    fprintf(stderr, "%s, %s, turn %d, heard %zu: %s\n", SSL_get_version(connection->ssl),
        connection->moment->name, connection->turn, connection->heard, what);
    abort();
}

/* What libssl has to say now is another turn. */
static void begin_turn(struct connection *connection)
{
    size_t pending = BIO_ctrl_pending(SSL_get_wbio(connection->ssl));

    connection->turn++;
    connection->speaks = true;
    if (connection->turn == REQUEST && connection->moment->turn > REQUEST && options.answer == NULL)
        connection->may_say = pending; /* there is no more to wait for */
    if (connection->turn != connection->moment->turn)
        return;
    switch (connection->moment->part) {
    case NOTHING:
        connection->may_say = 0;
        break;
    case SOME:
        connection->may_say = 1 + below(connection, pending - 1);
        break;
    case EVERYTHING:
        connection->may_say = pending;
        break;
    }
}

/* Lets out what libssl has to say, as far as it may. False: the socket takes no more. */
static bool say(struct connection *connection)
{
    BIO *bio = SSL_get_wbio(connection->ssl);
    char bytes[PIECE];
    size_t pending;

    while ((pending = BIO_ctrl_pending(bio)) > 0 && connection->may_say > 0) {
        char *unsent;
        size_t len = pending < connection->may_say ? pending : connection->may_say;
        ssize_t sent;

        BIO_get_mem_data(bio, &unsent);
        sent = send(connection->fd, unsent, len < PIECE ? len : PIECE, MSG_NOSIGNAL);
        if (sent < 0 && (errno == EAGAIN || errno == ENOTCONN))
            return false;
        if (sent < 0)
            fail_connection(connection, strerror(errno));
        CHECK_EQ(BIO_read(bio, bytes, (int)sent), sent);
        if (connection->may_say != SIZE_MAX)
            connection->may_say -= (size_t)sent;
    }
    if (pending == 0)
        connection->speaks = false;
    if (connection->may_say == 0)
        go(connection);
    return true;
}

/* Brings what the server said to libssl. False: there is no more for now. */
static bool hear(struct connection *connection)
{
    char bytes[PIECE];
    ssize_t got = recv(connection->fd, bytes, sizeof(bytes), 0);

    if (got > 0) {
        CHECK_EQ(BIO_write(SSL_get_rbio(connection->ssl), bytes, (int)got), got);
        return true;
    }
    if (got < 0 && (errno == EAGAIN || errno == ENOTCONN))
        return false;
    if (got < 0)
        fail_connection(connection, strerror(errno));
    if (connection->moment != STAYS || connection->heard < options.answer_len)
        fail_connection(connection, "the server left first");
    connection->manner = CLOSE;
    go(connection);
    return false;
}

static void ask(struct connection *connection)
{
    if (SSL_write(connection->ssl, options.request, (int)options.request_len) != (int)options.request_len)
        fail_connection(connection, "libssl does not take the request");
    if (options.answer == NULL)
        SSL_shutdown(connection->ssl);
}

/* The answer stands after the server's headers, which end with an empty line. */
static void hear_answer(struct connection *connection, const char *bytes, size_t len)
{
    static const char end_of_headers[] = "\r\n\r\n";

    while (len > 0 && connection->headers_end < 4) {
        bool fits = *bytes == end_of_headers[connection->headers_end];

        connection->headers_end = fits ? connection->headers_end + 1 : *bytes == '\r';
        bytes++;
        len--;
    }
    if (len > options.answer_len - connection->heard ||
        memcmp(bytes, options.answer + connection->heard, len) != 0)
        fail_connection(connection, "another answer");
    connection->heard += len;
}

/* Lets libssl work on what was heard. */
static void think(struct connection *connection)
{
    char bytes[PIECE];
    int result, error;

    if (connection->turn < REQUEST) {
        result = SSL_do_handshake(connection->ssl);
        error = SSL_get_error(connection->ssl, result);
        if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ)
            fail_connection(connection, "the handshake failed");
        if (result == 1 && BIO_ctrl_pending(SSL_get_wbio(connection->ssl)) == 0)
            ask(connection);
    } else {
        while ((result = SSL_read(connection->ssl, bytes, sizeof(bytes))) > 0)
            hear_answer(connection, bytes, (size_t)result);
        error = SSL_get_error(connection->ssl, result);
        if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_ZERO_RETURN)
            fail_connection(connection, "reading failed");
        if (connection->heard >= connection->may_hear)
            go(connection);
    }
    if (!connection->speaks && BIO_ctrl_pending(SSL_get_wbio(connection->ssl)) > 0)
        begin_turn(connection);
}

/* After Finished of TLS 1.3 there is nothing to hear before the request: hence once more to think. */
static void talk(struct connection *connection)
{
    do {
        do {
            think(connection);
            if (connection->goes || !say(connection) || connection->goes)
                return;
        } while (connection->turn == FINISHED && SSL_is_init_finished(connection->ssl));
    } while (hear(connection));
}

/* Waits for the end of what the server says. */
static void listen_on(struct connection *connection)
{
    char bytes[PIECE];
    ssize_t got;

    while ((got = recv(connection->fd, bytes, sizeof(bytes), 0)) > 0)
        connection->last_event = now_us();
    if (got == 0 || errno == ECONNRESET)
        end_connection(connection);
    else
        CHECK_EQ(errno, EAGAIN);
}

static void on_event(struct connection *connection)
{
    connection->last_event = now_us();
    if (connection->listens)
        listen_on(connection);
    else if (!connection->goes)
        talk(connection);
}

static void on_time(struct connection *connection)
{
    if (connection->goes && !connection->listens) {
        if (now_us() < connection->goes_at)
            return;
        leave(connection);
        if (connection->listens)
            listen_on(connection);
    } else if (now_us() - connection->last_event > test_seconds(SILENCE_MAX) * UINT64_C(1000000)) {
        fail_connection(connection, connection->listens ? "the server keeps it" : "the server is silent");
    }
}

static void run(void)
{
    struct connection *connections = calloc(options.concurrency, sizeof(*connections));
    struct epoll_event events[64];
    unsigned opened = 0, open = 0;

    CHECK(connections != NULL);
    do {
        int count = epoll_wait(epoll, events, 64, opened == 0 ? 0 : 1);

        for (int i = 0; i < count; i++)
            on_event(events[i].data.ptr);
        open = 0;
        for (unsigned i = 0; i < options.concurrency; i++) {
            if (connections[i].ssl != NULL)
                on_time(&connections[i]);
            if (connections[i].ssl == NULL && opened < options.connections) {
                open_connection(&connections[i], opened++);
            }
            open += connections[i].ssl != NULL;
        }
    } while (open > 0);
    free(connections);
}

static void report(void)
{
    printf("{\"connections\": %u, \"close\": %lu, \"reset\": %lu, \"half_close\": %lu", options.connections,
        left_by[CLOSE], left_by[RESET], left_by[HALF_CLOSE]);
    for (size_t i = 0; i < MOMENTS; i++)
        printf(", \"%s\": %lu", moments[i].name, left_at[i]);
    puts("}");
}

static const char *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "re");
    char *bytes;

    CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
    *len = (size_t)ftell(file);
    bytes = malloc(*len);
    rewind(file);
    CHECK(bytes != NULL && *len > 1);
    CHECK_EQ(fread(bytes, 1, *len, file), *len);
    fclose(file);
    return bytes;
}

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"port", required_argument, NULL, 'p'},
        {"ca", required_argument, NULL, 'a'},
        {"answer", required_argument, NULL, 'f'},
        {"request", required_argument, NULL, 'r'},
        {"connections", required_argument, NULL, 'n'},
        {"concurrency", required_argument, NULL, 'c'},
        {"seed", required_argument, NULL, 's'},
        {"only", required_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    static const char get[] = "GET / HTTP/1.0\r\n\r\n";
    int option;

    options.request = get;
    options.request_len = sizeof(get) - 1;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'p':
            options.port = atoi(optarg);
            break;
        case 'a':
            options.ca = optarg;
            break;
        case 'f':
            options.answer = read_file(optarg, &options.answer_len);
            break;
        case 'r':
            options.request = read_file(optarg, &options.request_len);
            break;
        case 'n':
            options.connections = (unsigned)atoi(optarg);
            break;
        case 'c':
            options.concurrency = (unsigned)atoi(optarg);
            break;
        case 's':
            options.seed = strtoull(optarg, NULL, 10);
            break;
        case 'o':
            options.only = optarg;
            break;
        default:
            exit(2);
        }
    }
    CHECK(options.port > 0 && options.ca != NULL && options.concurrency > 0);
}

int main(int argc, char **argv)
{
    test_begin(1800);
    read_options(argc, argv);
    contexts[0] = make_context(TLS1_2_VERSION, "AES128-GCM-SHA256");
    contexts[1] = make_context(TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256");
    contexts[2] = make_context(TLS1_3_VERSION, NULL);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll >= 0);
    run();
    report();
    for (size_t i = 0; i < sizeof(contexts) / sizeof(contexts[0]); i++)
        SSL_CTX_free(contexts[i]);
    close(epoll);
    return 0;
}

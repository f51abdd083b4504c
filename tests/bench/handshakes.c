/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS client that keeps so many handshakes under way at once, each on a new connection, with plain
 * libcrypto; and measures how long each takes, from connect() to its end.
 *
 *   handshakes PORT 1.2|1.3 SUITE CONNECTIONS SECONDS SERVER_PID
 *
 * SUITE is ignored for 1.3. Prints names and values: handshakes, handshakes a second, median and 99th
 * percentile in microseconds, and the processor time that the server used for each.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "check.h"
#include "times.h"

#define CONNECTIONS_MAX 1024u
#define WARM_UP 0.2 /* seconds, which are not counted */

struct connection {
    SSL *ssl;
    uint64_t started;
    bool is_done; /* the handshake; now both sides close */
};

static struct connection connections[CONNECTIONS_MAX];
static SSL_CTX *context;
static struct sockaddr_in address;
static int epoll;
static unsigned open_count;
static uint64_t end; /* of the clock; nothing starts from the end on */
static struct times times;

static void fail(const char *what)
{
    ERR_print_errors_fp(stderr);
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

static void start(struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    connection->started = clock_now();
    connection->is_done = false;
    connection->ssl = SSL_new(context);
    if (fd < 0 || (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 && errno != EINPROGRESS))
        fail("connect");
    if (connection->ssl == NULL || !SSL_set_fd(connection->ssl, fd))
        fail("a connection");
    SSL_set_connect_state(connection->ssl);
    CHECK_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
    open_count++;
}

static void shake_hands(struct connection *connection)
{
    int result = SSL_do_handshake(connection->ssl), error;

    if (result == 1) {
        times_add(&times, clock_now() - connection->started);
        connection->is_done = true;
        SSL_shutdown(connection->ssl);
        shutdown(SSL_get_fd(connection->ssl), SHUT_WR);
        return;
    }
    error = SSL_get_error(connection->ssl, result);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        fail("handshake");
}

/* Reads to the end: closing over unread bytes would reset the connection before the server has read all. */
static void close_when_read(struct connection *connection)
{
    char rest[4096];
    int fd = SSL_get_fd(connection->ssl);
    ssize_t got;

    while ((got = read(fd, rest, sizeof(rest))) > 0)
        ;
    if (got < 0 && errno == EAGAIN)
        return;
    SSL_free(connection->ssl);
    connection->ssl = NULL;
    close(fd);
    open_count--;
    if (clock_now() < end)
        start(connection);
}

static void go_on(struct connection *connection)
{
    if (!connection->is_done)
        shake_hands(connection);
    if (connection->is_done)
        close_when_read(connection);
}

/* Returns how long it took, in seconds. */
static double run(unsigned count, double seconds)
{
    struct epoll_event events[CONNECTIONS_MAX];
    uint64_t begin = clock_now();

    memset(&times, 0, sizeof(times));
    end = begin + (uint64_t)(seconds * 1e9);
    for (unsigned i = 0; i < count; i++)
        start(&connections[i]);
    while (open_count > 0) {
        int ready = epoll_wait(epoll, events, CONNECTIONS_MAX, 30000);

        if (ready == 0)
            fail("no answer in 30 s");
        for (int i = 0; i < ready; i++)
            go_on(events[i].data.ptr);
    }
    return (double)(clock_now() - begin) / 1e9;
}

/* The processor time that the process has used, in seconds. */
static double used_by(const char *pid)
{
    char path[64], line[1024], *rest;
    unsigned long user, kernel;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%s/stat", pid);
    file = fopen(path, "re");
    if (file == NULL || fgets(line, sizeof(line), file) == NULL)
        fail(path);
    fclose(file);
    rest = strrchr(line, ')'); /* the name may have anything in it */
    CHECK(rest != NULL);
    CHECK_EQ(sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &kernel), 2);
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static void use_context(const char *version, const char *suite)
{
    int number = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;

    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || !SSL_CTX_set_min_proto_version(context, number) ||
        !SSL_CTX_set_max_proto_version(context, number) ||
        (number == TLS1_2_VERSION && !SSL_CTX_set_cipher_list(context, suite)))
        fail(suite);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

int main(int argc, char **argv)
{
    int port, count;
    double seconds, took, used;

    if (argc != 7 || (port = atoi(argv[1])) <= 0 || (count = atoi(argv[4])) <= 0 ||
        count > (int)CONNECTIONS_MAX || !((seconds = atof(argv[5])) > 0)) {
        fprintf(stderr, "usage: handshakes PORT 1.2|1.3 SUITE CONNECTIONS SECONDS SERVER_PID\n");
        return 2;
    }
    use_context(argv[2], argv[3]);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll >= 0);
    run((unsigned)count, WARM_UP);
    used = used_by(argv[6]);
    took = run((unsigned)count, seconds);
    used = used_by(argv[6]) - used;
    CHECK(times.count > 0);
    printf("handshakes %llu\n", (unsigned long long)times.count);
    printf("rate %.1f\n", (double)times.count / took);
    printf("median_us %.1f\n", times_quantile(&times, 0.5) / 1e3);
    printf("p99_us %.1f\n", times_quantile(&times, 0.99) / 1e3);
    printf("cpu_us %.1f\n", used / (double)times.count * 1e6);
    SSL_CTX_free(context);
    close(epoll);
    return 0;
}

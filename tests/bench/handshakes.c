/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS client of several processes, with plain libcrypto. Together they keep so many handshakes under way,
 * each on a new connection, and measure how long each takes, from connect() to its end.
 *
 *   handshakes PORT 1.2|1.3 SUITE CONNECTIONS SECONDS SERVER_PID PROCESSES [RATE]
 *
 * With RATE, they begin so many handshakes a second instead, at random times that do not depend on the
 * server, as clients that know nothing of each other do. Then CONNECTIONS is the most that may be under way;
 * one that is due beyond that waits. A handshake's time begins when it is due. So a server that falls behind
 * shows that, while a client that waits for answers would send it less.
 *
 * SUITE is ignored for 1.3. Prints names and values: handshakes, handshakes a second, median and 99th
 * percentile in microseconds, and the processor time that the server and the client used for each; and RATE,
 * as asked_rate.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "check.h"
#include "times.h"

#define CONNECTIONS_MAX 1024u
#define PROCESSES_MAX 64u
#define WARM_UP 0.2 /* seconds, which are not counted */

struct connection {
    struct connection *next_free;
    SSL *ssl;
    uint64_t started;
    bool is_done; /* the handshake; now both sides close */
};

static struct connection connections[CONNECTIONS_MAX];
static struct connection *free_connections;
static SSL_CTX *context;
static struct sockaddr_in address;
static int epoll;
static unsigned open_count;
static uint64_t end; /* of the clock; nothing starts from the end on */
static struct times times;
static double interval; /* between two handshakes of this process, in nanoseconds; 0: no RATE */
static uint64_t due;    /* when the next one begins, if there is an interval */
static unsigned short seed[3] = {0x330e}; /* a process's own; the same in each run */

static void fail(const char *what)
{
    ERR_print_errors_fp(stderr);
    fprintf(stderr, "failed: %s\n", what);
    exit(1);
}

static void start(uint64_t since)
{
    struct connection *connection = free_connections;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    free_connections = connection->next_free;
    connection->started = since;
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

/* Begin what is to be under way now. Returns until when to wait for an event, of the clock; 0: for any
 * time. */
static uint64_t start_due(void)
{
    uint64_t now = time_now();

    while (free_connections != NULL) {
        uint64_t begin = interval > 0 ? due : now;

        if (begin >= end)
            break;
        if (begin > now)
            return begin;
        start(begin);
        if (interval > 0)
            due += (uint64_t)(-log(1 - erand48(seed)) * interval);
    }
    return 0;
}

static void shake_hands(struct connection *connection)
{
    int result = SSL_do_handshake(connection->ssl), error;

    if (result == 1) {
        times_add(&times, time_now() - connection->started);
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
    connection->next_free = free_connections;
    free_connections = connection;
}

static void go_on(struct connection *connection)
{
    if (!connection->is_done)
        shake_hands(connection);
    if (connection->is_done)
        close_when_read(connection);
}

#define PATIENCE_NS UINT64_C(30000000000)

/* Wait for events, or until that time; 0: for an answer. */
static void serve(uint64_t until)
{
    struct epoll_event events[CONNECTIONS_MAX];
    uint64_t now = time_now(), wait = until == 0 ? PATIENCE_NS : until > now ? until - now : 0;
    struct timespec timeout = {.tv_sec = (time_t)(wait / 1000000000), .tv_nsec = (long)(wait % 1000000000)};
    int ready = epoll_pwait2(epoll, events, CONNECTIONS_MAX, &timeout, NULL);

    if (ready < 0 && errno != EINTR) /* EINTR: the process was stopped, and goes on */
        fail("epoll_pwait2");
    if (ready == 0 && until == 0)
        fail("no answer in 30 s");
    for (int i = 0; i < ready; i++)
        go_on(events[i].data.ptr);
}

/* Returns how long it took, in seconds. */
static double run(unsigned count, double seconds)
{
    uint64_t begin = time_now(), until;

    memset(&times, 0, sizeof(times));
    end = begin + (uint64_t)(seconds * 1e9);
    due = begin;
    free_connections = NULL;
    for (unsigned i = 0; i < count; i++) {
        connections[i].next_free = free_connections;
        free_connections = &connections[i];
    }
    while ((until = start_due()) != 0 || open_count > 0)
        serve(until);
    return (double)(time_now() - begin) / 1e9;
}

/* The processor time that the process has used, in seconds: in /proc it has ticks, of which a short run has
 * none. */
static double used_by(const char *pid)
{
    struct timespec used;
    clockid_t clock;

    errno = clock_getcpuclockid((pid_t)strtol(pid, NULL, 10), &clock);
    if (errno != 0 || clock_gettime(clock, &used) != 0)
        fail("the server's processor time");
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* The client does not verify the chain of certificates: that would take longer than the rest of its
 * handshake, and the server has no part in it. It verifies the server's signature. */
static int accept_chain(X509_STORE_CTX *chain, void *arg)
{
    (void)chain;
    (void)arg;
    return 1;
}

static void use_context(const char *version, const char *suite)
{
    int number = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;

    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || !SSL_CTX_set_min_proto_version(context, number) ||
        !SSL_CTX_set_max_proto_version(context, number) ||
        (number == TLS1_2_VERSION && !SSL_CTX_set_cipher_list(context, suite)))
        fail(suite);
    SSL_CTX_set_cert_verify_callback(context, accept_chain, NULL);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
}

/* What a process of the client sends to its parent when it has ended. */
struct result {
    double seconds;
    uint64_t used; /* nanoseconds of processor time */
    struct times times;
};

static void receive(int fd, void *to, size_t len)
{
    CHECK_EQ(recv(fd, to, len, MSG_WAITALL), (ssize_t)len); /* else the other process has failed */
}

static void send_all(int fd, const void *from, size_t len)
{
    CHECK_EQ(send(fd, from, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* One process of the client. It warms up, reports that, waits for the start, measures, and sends its
 * result. */
static void be_client(int parent, unsigned index, unsigned count, double seconds)
{
    static struct result result;
    char byte = 0;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1UL); /* begin each handshake when it is due */
    seed[1] = (unsigned short)index;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    CHECK(epoll >= 0);
    run(count, WARM_UP);
    send_all(parent, &byte, 1);
    receive(parent, &byte, 1);
    result.used = clock_used();
    result.seconds = run(count, seconds);
    result.used = clock_used() - result.used;
    result.times = times;
    send_all(parent, &result, sizeof(result));
    SSL_CTX_free(context);
    close(epoll);
    exit(0);
}

/* Start process number `index` of the client. Returns the socket to it. */
static int start_client(unsigned index, unsigned processes, unsigned count, double seconds)
{
    int ends[2];
    pid_t pid;

    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        be_client(ends[1], index, (count + processes - 1 - index) / processes, seconds);
    }
    close(ends[1]);
    return ends[0];
}

static void print_results(const struct result *results, unsigned processes, double server_used)
{
    static struct times all;
    double rate = 0, client_used = 0;

    for (unsigned i = 0; i < processes; i++) {
        rate += (double)results[i].times.count / results[i].seconds;
        client_used += (double)results[i].used / 1e9;
        times_merge(&all, &results[i].times);
    }
    CHECK(all.count > 0);
    printf("handshakes %llu\n", (unsigned long long)all.count);
    printf("rate %.1f\n", rate);
    printf("median_us %.1f\n", times_quantile(&all, 0.5) / 1e3);
    printf("p99_us %.1f\n", times_quantile(&all, 0.99) / 1e3);
    printf("cpu_us %.1f\n", server_used / (double)all.count * 1e6);
    printf("client_us %.1f\n", client_used / (double)all.count * 1e6);
}

int main(int argc, char **argv)
{
    static struct result results[PROCESSES_MAX];
    int clients[PROCESSES_MAX], port, count, processes;
    double seconds, used, rate = 0;
    char byte = 0;

    if (argc < 8 || argc > 9 || (argc == 9 && !((rate = atof(argv[8])) > 0)) || (port = atoi(argv[1])) <= 0 ||
        (count = atoi(argv[4])) <= 0 || count > (int)CONNECTIONS_MAX || !((seconds = atof(argv[5])) > 0) ||
        (processes = atoi(argv[7])) <= 0 || processes > (int)PROCESSES_MAX) {
        fprintf(stderr, "usage: handshakes PORT 1.2|1.3 SUITE CONNECTIONS SECONDS SERVER_PID PROCESSES "
                        "[RATE]\n");
        return 2;
    }
    if (processes > count)
        processes = count;
    interval = rate > 0 ? processes * 1e9 / rate : 0;
    use_context(argv[2], argv[3]);
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int i = 0; i < processes; i++)
        clients[i] = start_client((unsigned)i, (unsigned)processes, (unsigned)count, seconds);
    for (int i = 0; i < processes; i++)
        receive(clients[i], &byte, 1);
    used = used_by(argv[6]);
    for (int i = 0; i < processes; i++)
        send_all(clients[i], &byte, 1);
    for (int i = 0; i < processes; i++)
        receive(clients[i], &results[i], sizeof(results[i]));
    used = used_by(argv[6]) - used;
    for (int i = 0; i < processes; i++)
        wait(NULL);
    if (rate > 0)
        printf("asked_rate %.1f\n", rate);
    print_results(results, (unsigned)processes, used);
    SSL_CTX_free(context);
    return 0;
}

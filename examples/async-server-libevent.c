/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS server that sends back all that it receives: many connections on one thread, SSL_MODE_ASYNC, and
 * libevent's loop. Without bufferevent_openssl, which knows nothing of SSL_ERROR_WANT_ASYNC.
 *
 *   async-server-libevent PORT CERTIFICATE.pem KEY.pem [JOBS]
 *
 * JOBS is how many may exist at a time; 0, the default, is no limit. OpenSSL's configuration names the engine
 * or provider. async-server-epoll.c is the same without a library; docs/async-guide.md explains each step.
 */
#include <arpa/inet.h>
#include <event2/event.h>
#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#define FDS_MAX 4 /* of one connection's jobs: one for each accelerator, so nearly always one */

/* The call of libssl that a connection is at. While a job is paused, that call and no other is repeated. */
enum step { HANDSHAKE, READ, WRITE, SHUTDOWN };

struct connection {
    TAILQ_ENTRY(connection) link;
    SSL *ssl;
    int fd;
    enum step step;
    struct event *readable,
        *writable;       /* of the socket; at most one of them is added, and none while a job is paused */
    struct event *retry; /* a timer, added while there was no job to be had */
    struct event *async[FDS_MAX]; /* the descriptors of the jobs; NULL: free. Always added */
    size_t len, written;          /* of data. A paused call uses it: it stays where it is, unchanged */
    unsigned char data[SSL3_RT_MAX_PLAIN_LENGTH];
};
static TAILQ_HEAD(, connection) connections = TAILQ_HEAD_INITIALIZER(connections);
static struct event_base *base;
static struct event *listener_event, *signal_events[2];
static SSL_CTX *context;
static bool stopping;
static unsigned long accepted, pauses, refusals;

static void serve(evutil_socket_t fd, short what, void *arg);

static void die(const char *text)
{
    fprintf(stderr, "async-server-libevent: %s\n", text);
    ERR_print_errors_fp(stderr);
    exit(1);
}

static struct event *new_event(int fd, short what, struct connection *c)
{
    struct event *event = event_new(base, fd, what, serve, c);

    if (event == NULL)
        die("event_new");
    return event;
}

/* It may be closed already; libevent does not mind. */
static void remove_async_fd(struct connection *c, OSSL_ASYNC_FD fd)
{
    for (int i = 0; i < FDS_MAX; i++) {
        if (c->async[i] != NULL && event_get_fd(c->async[i]) == fd) {
            event_free(c->async[i]); /* and event_del */
            c->async[i] = NULL;
        }
    }
}

static void add_async_fd(struct connection *c, OSSL_ASYNC_FD fd)
{
    int i = 0;

    remove_async_fd(c, fd); /* if it was reported before */
    while (i < FDS_MAX && c->async[i] != NULL)
        i++;
    if (i == FDS_MAX)
        die("too many descriptors");
    c->async[i] = new_event(fd, EV_READ | EV_PERSIST, c);
    event_add(c->async[i], NULL);
}

/*
 * After each call: which descriptors the accelerator has added and removed. libssl reports a change until a
 * job is resumed, so one change may come several times.
 */
static void follow_async_fds(struct connection *c)
{
    OSSL_ASYNC_FD added[FDS_MAX], removed[FDS_MAX];
    size_t added_count = 0, removed_count = 0;

    if (!SSL_get_changed_async_fds(c->ssl, NULL, &added_count, NULL, &removed_count))
        return; /* it has had no job yet */
    if (added_count > FDS_MAX || removed_count > FDS_MAX)
        die("too many descriptors");
    SSL_get_changed_async_fds(c->ssl, added, &added_count, removed, &removed_count);
    for (size_t i = 0; i < removed_count; i++) /* first: a number that is closed may be used again */
        remove_async_fd(c, removed[i]);
    for (size_t i = 0; i < added_count; i++)
        add_async_fd(c, added[i]);
}

static void end_if_done(void)
{
    if (stopping && TAILQ_EMPTY(&connections))
        event_base_loopbreak(base);
}

/* Only if no job is paused: SSL_free would drop the job, with all that it holds. */
static void close_connection(struct connection *c)
{
    for (int i = 0; i < FDS_MAX; i++) {
        if (c->async[i] != NULL)
            event_free(c->async[i]); /* before SSL_free closes the descriptor */
    }
    event_free(c->readable);
    event_free(c->writable);
    event_free(c->retry);
    SSL_free(c->ssl);
    close(c->fd);
    TAILQ_REMOVE(&connections, c, link);
    free(c); /* events of this round for it are gone with event_free */
    end_if_done();
}

/* Calls what the connection is at: for the first time, or again, which resumes a paused job. */
static int call(struct connection *c)
{
    switch (c->step) {
    case HANDSHAKE:
        return SSL_accept(c->ssl);
    case READ:
        return SSL_read_ex(c->ssl, c->data, sizeof(c->data), &c->len);
    case WRITE: /* all of it, without SSL_MODE_ENABLE_PARTIAL_WRITE */
        return SSL_write_ex(c->ssl, c->data, c->len, &c->written);
    default: /* 0 is success, too: the client has not said good-bye, and we need not wait for that */
        return SSL_shutdown(c->ssl) < 0 ? -1 : 1;
    }
}

/* Its socket, its job or its timer is ready: serves the connection until it has to wait again. */
static void serve(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval soon = {.tv_usec = 5000};
    struct connection *c = arg;

    (void)fd, (void)what;
    event_del(c->readable);
    event_del(c->writable);
    event_del(c->retry);
    for (;;) {
        int result, error;

        ERR_clear_error(); /* the queue is the thread's, and SSL_get_error looks at it */
        result = call(c);
        error = SSL_get_error(c->ssl, result);
        follow_async_fds(c);
        switch (error) {
        case SSL_ERROR_NONE:
            if (c->step == SHUTDOWN)
                break;
            c->step = c->step == READ ? WRITE : stopping ? SHUTDOWN : READ;
            continue;
        case SSL_ERROR_ZERO_RETURN: /* the client has said good-bye: answer */
            c->step = SHUTDOWN;
            continue;
        case SSL_ERROR_WANT_READ:
        case SSL_ERROR_WANT_WRITE:
            if (stopping)
                break; /* no waiting for clients any more */
            event_add(error == SSL_ERROR_WANT_READ ? c->readable : c->writable, NULL);
            return;
        case SSL_ERROR_WANT_ASYNC: /* a job is paused: the event of its descriptor is there already */
            pauses++;
            return;
        case SSL_ERROR_WANT_ASYNC_JOB: /* no job was to be had, so nothing has begun */
            refusals++;
            event_add(c->retry, &soon);
            return;
        } /* all others: SSL_ERROR_SSL, SSL_ERROR_SYSCALL: no more calls but SSL_free */
        close_connection(c);
        return;
    }
}

static void accept_all(evutil_socket_t listener, short what, void *arg)
{
    int fd;

    (void)what, (void)arg;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof(*c));

        if (c == NULL || (c->ssl = SSL_new(context)) == NULL || !SSL_set_fd(c->ssl, fd))
            die("a connection");
        accepted++;
        c->fd = fd;
        c->readable = new_event(fd, EV_READ, c);
        c->writable = new_event(fd, EV_WRITE, c);
        c->retry = new_event(-1, 0, c);
        TAILQ_INSERT_TAIL(&connections, c, link);
        serve(fd, 0, c);
    }
    if (errno == EMFILE || errno == ENFILE)
        die("no descriptor for a client"); /* the listener stays readable: the loop would spin */
}

/* A signal: no new clients. A connection with a paused job stays until the job has ended. */
static void stop(evutil_socket_t number, short what, void *arg)
{
    struct connection *c, *next;

    (void)number, (void)what, (void)arg;
    stopping = true;
    event_del(listener_event);
    for (c = TAILQ_FIRST(&connections); c != NULL; c = next) {
        next = TAILQ_NEXT(c, link);
        if (!SSL_waiting_for_async(c->ssl)) {
            if (c->step == READ)
                c->step = SHUTDOWN;
            serve(c->fd, 0, c); /* which closes it, or waits for a job */
        }
    }
    end_if_done();
}

int main(int argc, char **argv)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (argc < 4)
        return fprintf(stderr, "usage: async-server-libevent PORT CERTIFICATE.pem KEY.pem [JOBS]\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    if (!ASYNC_is_capable() || !ASYNC_init_thread(argc > 4 ? strtoul(argv[4], NULL, 10) : 0, 0))
        die("no asynchronous jobs here");
    context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[3], SSL_FILETYPE_PEM) != 1)
        die("certificate or key");
    SSL_CTX_set_mode(context, SSL_MODE_ASYNC); /* each call of libssl now runs in a job, which may pause */

    address.sin_port = htons((uint16_t)atoi(argv[1]));
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, SOMAXCONN) != 0)
        die("cannot listen");
    base = event_base_new();
    if (base == NULL)
        die("event_base_new");
    listener_event = event_new(base, listener, EV_READ | EV_PERSIST, accept_all, NULL);
    event_add(listener_event, NULL);
    for (int i = 0; i < 2; i++) {
        signal_events[i] = evsignal_new(base, numbers[i], stop, NULL);
        event_add(signal_events[i], NULL);
    }
    event_base_dispatch(base);
    printf("%lu connections, %lu pauses, %lu times without a job\n", accepted, pauses, refusals);

    event_free(listener_event);
    event_free(signal_events[0]);
    event_free(signal_events[1]);
    event_base_free(base);
    close(listener);
    SSL_CTX_free(context);
    ASYNC_cleanup_thread();
    return 0;
}

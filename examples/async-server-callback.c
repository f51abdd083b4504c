/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TLS server that sends back all that it receives: many connections on one thread, SSL_MODE_ASYNC, and a
 * callback instead of a descriptor for each job. One eventfd(2) wakes the thread for all of them.
 *
 *   async-server-callback PORT CERTIFICATE.pem KEY.pem [JOBS]
 *
 * JOBS is how many may exist at a time; 0, the default, is no limit. OpenSSL's configuration names the engine
 * or provider. Left out: limits on connections and on their time. docs/async-guide.md explains each step.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/async.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* The call of libssl that a connection is at. While a job is paused, that call and no other is repeated. */
enum step { HANDSHAKE, READ, WRITE, SHUTDOWN };

struct connection {
    TAILQ_ENTRY(connection) link;
    struct list *in; /* which list */
    SSL *ssl;
    int fd;
    uint32_t watched; /* events of fd that epoll reports; 0: fd is not in the epoll set */
    enum step step;
    struct connection *next_ready;
    atomic_bool is_ready; /* its callback has run, and it is not served yet */
    size_t len, written;  /* of data. A paused call uses it: it stays where it is, unchanged */
    unsigned char data[SSL3_RT_MAX_PLAIN_LENGTH];
};
TAILQ_HEAD(list, connection);

/* Closed connections are freed when the events of this round are handled: there may be one for them. */
static struct list serving = TAILQ_HEAD_INITIALIZER(serving);
static struct list retry = TAILQ_HEAD_INITIALIZER(retry); /* nothing will wake them */
static struct list closed = TAILQ_HEAD_INITIALIZER(closed);
static _Atomic(struct connection *) ready; /* a stack: callbacks push, the loop takes all */
static int epoll, listener, signals, wake; /* descriptors; their addresses mark their events */
static SSL_CTX *context;
static bool stopping;
static unsigned long accepted, pauses, retries;

static void die(const char *text)
{
    fprintf(stderr, "async-server-callback: %s: %s\n", text, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

static void move(struct connection *c, struct list *to)
{
    TAILQ_REMOVE(c->in, c, link);
    TAILQ_INSERT_TAIL(to, c, link);
    c->in = to;
}

static bool watch(int operation, int fd, uint32_t events, void *data)
{
    struct epoll_event event = {.events = events, .data.ptr = data};

    return epoll_ctl(epoll, operation, fd, &event) == 0;
}

/* 0: not at all. Events 0 would not do: epoll would still report EPOLLHUP and EPOLLERR, again and again. */
static void watch_socket(struct connection *c, uint32_t events)
{
    int operation = c->watched == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;

    if (events != c->watched && !watch(operation, c->fd, events, c))
        die("epoll_ctl");
    c->watched = events;
}

/*
 * The callback runs on a thread of the accelerator's driver, perhaps before the call that paused has
 * returned. It may not block, compute for long or call libssl for the connection: it hands it to the loop. If
 * the stack was not empty, the loop has been woken already and has not yet taken the stack.
 */
static int on_result(SSL *ssl, void *arg)
{
    struct connection *c = SSL_get_app_data(ssl), *first = atomic_load(&ready);

    (void)arg;
    if (atomic_exchange(&c->is_ready, true))
        return 1; /* libssl's manual allows a callback for ASYNC_STATUS_EAGAIN, too */
    do
        c->next_ready = first;
    while (!atomic_compare_exchange_weak(&ready, &first, c));
    if (first == NULL && write(wake, &(uint64_t){1}, sizeof(uint64_t)) < 0) /* c may be gone by now */
        abort();
    return 1;
}

/* Only if no job is paused: SSL_free would drop it, and its callback would find the connection gone. */
static void close_connection(struct connection *c)
{
    watch_socket(c, 0);
    SSL_free(c->ssl);
    close(c->fd);
    move(c, &closed);
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

/* Serves the connection until it has to wait for something. */
static void serve(struct connection *c)
{
    for (;;) {
        int result, error, status;

        ERR_clear_error(); /* the queue is the thread's, and SSL_get_error looks at it */
        result = call(c);
        error = SSL_get_error(c->ssl, result);
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
            watch_socket(c, error == SSL_ERROR_WANT_READ ? EPOLLIN : EPOLLOUT);
            return;
        case SSL_ERROR_WANT_ASYNC:
            /* A job is paused. Until it is resumed, no matter what the socket says: the client may be
             * gone. */
            pauses++;
            watch_socket(c, 0);
            if (SSL_get_async_status(c->ssl, &status) && status == ASYNC_STATUS_OK)
                return; /* the callback will run, or has run */
            /* No callback comes: EAGAIN (a queue was full), ERR, or UNSUPPORTED (there are no callbacks). */
            retries++;
            move(c, &retry);
            return;
        case SSL_ERROR_WANT_ASYNC_JOB:
            /* No job was to be had, so nothing has begun. Try again when another job has ended. */
            retries++;
            watch_socket(c, 0);
            move(c, &retry);
            return;
        } /* all others: SSL_ERROR_SSL, SSL_ERROR_SYSCALL: no more calls but SSL_free */
        close_connection(c);
        return;
    }
}

static void accept_all(void)
{
    int fd;

    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof(*c));

        if (c == NULL || (c->ssl = SSL_new(context)) == NULL || !SSL_set_fd(c->ssl, fd))
            die("a connection");
        accepted++;
        c->fd = fd;
        c->in = &serving;
        SSL_set_app_data(c->ssl, c);
        TAILQ_INSERT_TAIL(&serving, c, link);
        serve(c);
    }
    if (errno == EMFILE || errno == ENFILE)
        die("no descriptor for a client"); /* the listener stays readable: the loop would spin */
}

static void serve_ready(void)
{
    struct connection *c, *next;

    /* Empty the eventfd first: a callback that finds the stack empty after that writes again. */
    if (read(wake, &(uint64_t){0}, sizeof(uint64_t)) < 0 && errno != EAGAIN)
        die("eventfd");
    for (c = atomic_exchange(&ready, NULL); c != NULL; c = next) {
        next = c->next_ready;
        atomic_store(&c->is_ready, false);
        if (c->in != &closed)
            serve(c);
    }
}

/* A signal: no new clients. A connection with a paused job stays until the job has ended. */
static void stop(void)
{
    struct connection *c, *next;

    stopping = true;
    watch(EPOLL_CTL_DEL, listener, 0, NULL);
    watch(EPOLL_CTL_DEL, signals, 0, NULL);
    for (c = TAILQ_FIRST(&serving); c != NULL; c = next) {
        next = TAILQ_NEXT(c, link);
        if (!SSL_waiting_for_async(c->ssl)) {
            if (c->step == READ)
                c->step = SHUTDOWN;
            serve(c); /* which closes it */
        }
    }
}

static void loop(void)
{
    struct epoll_event events[64];
    struct connection *c;
    unsigned long before;

    while (!stopping || !TAILQ_EMPTY(&serving) || !TAILQ_EMPTY(&retry)) {
        int count = epoll_wait(epoll, events, 64, TAILQ_EMPTY(&retry) ? -1 : 1);

        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            c = events[i].data.ptr;
            if (events[i].data.ptr == &listener)
                accept_all();
            else if (events[i].data.ptr == &signals)
                stop();
            else if (events[i].data.ptr != &wake && c->watched != 0) /* else it is closed, or paused */
                serve(c);
        }
        /* At each event, and each millisecond: those that nothing will wake, until there is again no room. */
        for (before = retries; (c = TAILQ_FIRST(&retry)) != NULL && retries == before;) {
            move(c, &serving);
            serve(c);
        }
        serve_ready();
        while ((c = TAILQ_FIRST(&closed)) != NULL) {
            TAILQ_REMOVE(&closed, c, link);
            free(c);
        }
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    sigset_t stop_signals;

    if (argc < 4)
        return fprintf(stderr, "usage: async-server-callback PORT CERTIFICATE.pem KEY.pem [JOBS]\n"), 2;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGINT);
    sigaddset(&stop_signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop_signals, NULL); /* before an accelerator's driver starts threads */
    if (!ASYNC_is_capable() || !ASYNC_init_thread(argc > 4 ? strtoul(argv[4], NULL, 10) : 0, 0))
        die("no asynchronous jobs here");
    context = SSL_CTX_new(TLS_server_method());
    if (context == NULL || SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[3], SSL_FILETYPE_PEM) != 1)
        die("certificate or key");
    SSL_CTX_set_mode(context, SSL_MODE_ASYNC); /* each call of libssl now runs in a job, which may pause */
    SSL_CTX_set_async_callback(context, on_result); /* before SSL_new: an SSL takes it over there */
    address.sin_port = htons((uint16_t)atoi(argv[1]));
    epoll = epoll_create1(EPOLL_CLOEXEC);
    signals = signalfd(-1, &stop_signals, SFD_CLOEXEC);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(listener, SOMAXCONN) != 0)
        die("listen");
    watch(EPOLL_CTL_ADD, listener, EPOLLIN, &listener);
    watch(EPOLL_CTL_ADD, signals, EPOLLIN, &signals);
    wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    watch(EPOLL_CTL_ADD, wake, EPOLLIN, &wake);
    loop();
    printf("%lu connections, %lu pauses, %lu retries\n", accepted, pauses, retries);
    SSL_CTX_free(context);
    ASYNC_cleanup_thread();
    return 0;
}

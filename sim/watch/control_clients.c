/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See control_clients.h. Nothing here blocks, so that no client keeps the others waiting: one that does not
 * read its answer is not read from until it does. In one round each client gets at most one line answered.
 */
#include "control_clients.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"

#define ACCEPTED_AT_ONCE 16u
#define REST_MS 100 /* before the next attempt where no descriptor was free for a client */

struct client {
    int fd;
    char *out; /* the answer that is being sent; NULL: none */
    size_t out_len, sent;
    size_t used;   /* bytes in `in` */
    bool skipping; /* the rest of a line that was too long */
    bool at_end;   /* the client sends nothing more */
    char in[ERSATZ_CONTROL_LINE_MAX + 1];
};

struct server {
    ersatz_control_run *run;
    struct client *clients[ERSATZ_CONTROL_CLIENTS_MAX];
    unsigned count;
    struct control_owners owners;
    bool rests; /* no descriptor was free */
};

/* ------------------------------------------------------------------------------------------- one client */

static char *error_line(const char *text, size_t *len)
{
    char *line = NULL;
    FILE *stream = open_memstream(&line, len);
    struct json json = {.stream = stream};

    if (stream == NULL)
        return NULL;
    json_open(&json, NULL, '{');
    json_bool(&json, "ok", false);
    json_text(&json, "error", text);
    json_close(&json, '}');
    fputc('\n', stream);
    if (fclose(stream) == 0)
        return line;
    free(line);
    return NULL;
}

/* False: the client is gone. */
static bool send_out(struct client *client)
{
    while (client->out != NULL) {
        ssize_t sent = send(client->fd, client->out + client->sent, client->out_len - client->sent,
            MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0)
            return errno == EAGAIN || errno == EINTR;
        client->sent += (size_t)sent;
        if (client->sent == client->out_len) {
            free(client->out);
            client->out = NULL;
        }
    }
    return true;
}

/* False: out of memory, or the client is gone. */
static bool answer(struct client *client, char *line, size_t len)
{
    client->out = line;
    client->out_len = len;
    client->sent = 0;
    return line != NULL && send_out(client);
}

static bool answer_error(struct client *client, const char *text)
{
    size_t len;
    char *line = error_line(text, &len);

    return answer(client, line, len);
}

static void drop(struct client *client, size_t count)
{
    client->used -= count;
    memmove(client->in, client->in + count, client->used);
}

static bool has_line(const struct client *client)
{
    return client->out == NULL && memchr(client->in, '\n', client->used) != NULL;
}

/* Answer the first line, if it is complete. False: the client is to be closed. */
static bool answer_line(struct server *server, struct client *client)
{
    char *end = memchr(client->in, '\n', client->used), *line;
    size_t len = end == NULL ? 0 : (size_t)(end - client->in), answer_len;
    bool skipped = client->skipping;

    if (end != NULL) {
        client->skipping = false;
        *end = '\0';
        line = skipped ? NULL
                       : control_answer(client->in, len, server->run, client, &server->owners, &answer_len);
        drop(client, len + 1);
        return skipped || answer(client, line, answer_len);
    }
    if (client->used <= ERSATZ_CONTROL_LINE_MAX && !(client->at_end && client->used > 0))
        return true;
    client->used = 0;
    client->skipping = true;
    if (skipped)
        return true;
    return answer_error(client, client->at_end
                                    ? "the last line does not end; expected a newline behind each command"
                                    : "the line is too long; expected at most 8192 bytes");
}

_Static_assert(ERSATZ_CONTROL_LINE_MAX == 8192, "as the text above says");

/* False: the client is gone. */
static bool receive(struct client *client)
{
    ssize_t got =
        recv(client->fd, client->in + client->used, sizeof(client->in) - client->used, MSG_DONTWAIT);

    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    client->at_end = got == 0;
    client->used += (size_t)got;
    return true;
}

/* False: the client is gone, or done. */
static bool advance(struct server *server, struct client *client, short events)
{
    if (client->out != NULL) {
        if ((events & (POLLOUT | POLLERR | POLLHUP)) != 0 && !send_out(client))
            return false;
    } else if (!has_line(client) && (events & (POLLIN | POLLERR | POLLHUP)) != 0 && !receive(client)) {
        return false;
    }
    if (client->out == NULL && !answer_line(server, client))
        return false;
    return client->out != NULL || client->used > 0 || !client->at_end;
}

static void close_client(struct server *server, unsigned at)
{
    struct client *client = server->clients[at];

    server->clients[at] = server->clients[--server->count];
    close(client->fd);
    free(client->out);
    free(client);
}

/* -------------------------------------------------------------------------------------------- new clients */

/* Why the client is refused; NULL: it is not. Root may steer everybody's card. */
static const char *refusal(const struct server *server, int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        (peer.uid != geteuid() && peer.uid != 0))
        return "another user's process; expected one of the user whose program this is, or of root";
    if (server->count == ERSATZ_CONTROL_CLIENTS_MAX)
        return "64 clients are connected; expected no more: try again when one has closed its connection";
    return NULL;
}

_Static_assert(ERSATZ_CONTROL_CLIENTS_MAX == 64, "as the text above says");

static void refuse(int fd, const char *why)
{
    size_t len;
    char *line = error_line(why, &len);

    if (line != NULL)
        (void)send(fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    free(line);
    close(fd);
}

static void take_client(struct server *server, int fd)
{
    const char *why = refusal(server, fd);
    struct client *client = why == NULL ? malloc(sizeof(*client)) : NULL;

    if (client == NULL) {
        refuse(fd, why == NULL ? "out of memory" : why);
        return;
    }
    client->fd = fd;
    client->out = NULL;
    client->used = 0;
    client->skipping = client->at_end = false;
    server->clients[server->count++] = client;
}

static void take_clients(struct server *server, int listener)
{
    for (unsigned i = 0; i < ACCEPTED_AT_ONCE; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0) {
            server->rests = errno != EAGAIN && errno != ECONNABORTED && errno != EINTR;
            return;
        }
        take_client(server, fd);
    }
}

/* -------------------------------------------------------------------------------------------------- serve */

/* Waits until there is something to do. */
static void wait_for_clients(struct server *server, struct pollfd *fds, int listener, int wake)
{
    int timeout = server->rests ? REST_MS : -1;

    fds[0] = (struct pollfd){.fd = wake, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = server->rests ? -1 : listener, .events = POLLIN};
    for (unsigned i = 0; i < server->count; i++) {
        const struct client *client = server->clients[i];

        fds[2 + i] = (struct pollfd){.fd = client->fd, .events = client->out != NULL ? POLLOUT : POLLIN};
        if (has_line(client))
            timeout = 0;
    }
    server->rests = false;
    if (poll(fds, 2 + server->count, timeout) < 0)
        fds[1].revents = 0;
}

void control_serve(int listener, int wake, ersatz_control_run *run, const _Atomic bool *ending)
{
    struct server server = {.run = run};
    struct pollfd fds[2 + ERSATZ_CONTROL_CLIENTS_MAX];
    eventfd_t woken;

    for (;;) {
        wait_for_clients(&server, fds, listener, wake);
        if (atomic_load(ending))
            break;
        if ((fds[0].revents & POLLIN) != 0)
            (void)eventfd_read(wake, &woken);
        for (unsigned i = server.count; i-- > 0;) { /* the last one moves to the place of one that goes */
            if (!advance(&server, server.clients[i], fds[2 + i].revents)) {
                control_undo(server.clients[i], &server.owners, run);
                close_client(&server, i);
            }
        }
        if (fds[1].revents != 0)
            take_clients(&server, listener);
    }
    while (server.count > 0)
        close_client(&server, server.count - 1);
}

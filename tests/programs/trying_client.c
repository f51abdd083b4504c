/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client that takes whatever comes, on plain OpenSSL: opens connections one after the other, asks each for
 * a page, and counts what became of them. It fails only if a page came that was not the right one.
 *
 * Arguments: port, file with the right page, number of connections, how many seconds to wait for a silent
 * server.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "check.h"

enum outcome {
    SERVED,     /* the right page, whole */
    HANDSHAKE,  /* the server ended it in the handshake, with an alert or without */
    BAD_RECORD, /* a record did not decipher: its tag was wrong */
    CUT,        /* the page ended early */
    SILENT,     /* nothing came for as long as we waited */
    OUTCOMES
};

static char *page;
static size_t page_len;

static void read_page(const char *path)
{
    FILE *file = fopen(path, "re");

    CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
    page_len = (size_t)ftell(file);
    page = malloc(page_len);
    rewind(file);
    CHECK(page != NULL && fread(page, 1, page_len, file) == page_len);
    fclose(file);
}

static int connect_to(int port, int seconds)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct timeval limit = {.tv_sec = seconds};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
    CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* A call that waits on the socket, once more if it was stopped meanwhile (SIGSTOP, a frozen cgroup, suspend):
 * with a limit of time, recv(2) is not continued by itself then. */
#define CONTINUED(ssl, call)                                                                                 \
    ({                                                                                                       \
        int done_;                                                                                           \
        do {                                                                                                 \
            errno = 0;                                                                                       \
            done_ = (call);                                                                                  \
        } while (done_ <= 0 && errno == EINTR && SSL_get_error(ssl, done_) == SSL_ERROR_WANT_READ);          \
        done_;                                                                                               \
    })

/* What an operation that did not succeed came to; otherwise, where it was. */
static enum outcome failure(SSL *ssl, int done, enum outcome where)
{
    int err = SSL_get_error(ssl, done);

    if (err == SSL_ERROR_WANT_READ || (err == SSL_ERROR_SYSCALL && (errno == EAGAIN || errno == EWOULDBLOCK)))
        return SILENT; /* the limit of the socket */
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC)
        return BAD_RECORD;
    return where;
}

/* The header of the answer ends with an empty line; the page follows. */
static enum outcome get_page(SSL *ssl)
{
    static const char request[] = "GET /page HTTP/1.0\r\n\r\n";
    char *answer = malloc(page_len + 4096), *body;
    size_t len = 0;
    int got = SSL_write(ssl, request, sizeof(request) - 1);
    enum outcome outcome;

    CHECK(answer != NULL);
    while (got > 0 && len < page_len + 4095) {
        got = CONTINUED(ssl, SSL_read(ssl, answer + len, (int)(page_len + 4095 - len)));
        len += got > 0 ? (size_t)got : 0;
    }
    outcome = failure(ssl, got, CUT);
    answer[len] = '\0';
    body = strstr(answer, "\r\n\r\n");
    if (body != NULL && (size_t)(answer + len - body - 4) == page_len) {
        CHECK(memcmp(body + 4, page, page_len) == 0);
        outcome = SERVED;
    }
    free(answer);
    return outcome;
}

static enum outcome try(SSL_CTX *context, int port, int seconds)
{
    int fd = connect_to(port, seconds), done;
    SSL *ssl = SSL_new(context);
    enum outcome outcome;

    CHECK(ssl != NULL && SSL_set_fd(ssl, fd));
    ERR_clear_error();
    done = CONTINUED(ssl, SSL_connect(ssl));
    outcome = done == 1 ? get_page(ssl) : failure(ssl, done, HANDSHAKE);
    SSL_free(ssl);
    close(fd);
    return outcome;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"served", "handshake", "bad_record", "cut", "silent"};
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    int count[OUTCOMES] = {0};

    test_begin(120);
    CHECK_EQ(argc, 5);
    read_page(argv[2]);
    CHECK(context != NULL && SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF));
    for (int i = 0; i < atoi(argv[3]); i++)
        count[try(context, atoi(argv[1]), atoi(argv[4]))]++;
    for (int i = 0; i < OUTCOMES; i++)
        printf("%s\"%s\": %d", i == 0 ? "{" : ", ", names[i], count[i]);
    puts("}");
    SSL_CTX_free(context);
    free(page);
    return 0;
}

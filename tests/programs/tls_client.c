/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client on plain OpenSSL. `handshakes`: opens so many new connections, one after the other. `reversed`:
 * sends so many megabytes in lines to a server that sends each line back reversed (s_server -rev), and
 * compares every byte.
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "check.h"
#include "tls_version.h"

#define PIECE 65536

static SSL_CTX *context;
static int port;

static SSL *connect_to_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *ssl = SSL_new(context);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && ssl != NULL);
    CHECK_EQ(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    CHECK(SSL_set_fd(ssl, fd));
    if (SSL_connect(ssl) != 1) {
        ERR_print_errors_fp(stderr);
        FAIL("handshake");
    }
    return ssl;
}

static void disconnect(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    char rest[4096];

    SSL_shutdown(ssl);
    shutdown(fd, SHUT_WR);
    while (read(fd, rest, sizeof(rest)) > 0)
        ; /* closing over unread bytes (session tickets) would reset the connection before the peer has read
             all */
    SSL_free(ssl);
    close(fd);
}

static void send_file(SSL *ssl, FILE *file)
{
    static char buffer[PIECE];
    size_t len, done;

    while ((len = fread(buffer, 1, sizeof(buffer), file)) > 0)
        CHECK(SSL_write_ex(ssl, buffer, len, &done) && done == len);
}

static void receive_file(SSL *ssl, FILE *file)
{
    static char wanted[PIECE], got[PIECE];
    size_t len, done;

    while ((len = fread(wanted, 1, sizeof(wanted), file)) > 0) {
        for (size_t at = 0; at < len; at += done)
            CHECK(SSL_read_ex(ssl, got + at, len - at, &done));
        CHECK_EQ(memcmp(got, wanted, len), 0);
    }
}

static void use_context(const char *version, const char *cipher)
{
    int number = tls_version(version);

    context = SSL_CTX_new(TLS_client_method());
    CHECK(context != NULL && SSL_CTX_set_min_proto_version(context, number) &&
          SSL_CTX_set_max_proto_version(context, number));
    SSL_CTX_set_security_level(context, 0); /* CCM_8 is below level 1 from OpenSSL 3.2 on */
    if (strncmp(cipher, "TLS_", 4) == 0)
        CHECK(SSL_CTX_set_ciphersuites(context, cipher));
    else if (number != TLS1_3_VERSION)
        CHECK(SSL_CTX_set_cipher_list(context, cipher));
}

/* Arguments: what to do, port, TLS version, cipher, number or file. */
int main(int argc, char **argv)
{
    SSL *ssl;
    FILE *file;

    test_begin(600); /* hundreds of handshakes */
    CHECK_EQ(argc, 6);
    port = atoi(argv[2]);
    use_context(argv[3], argv[4]);
    if (strcmp(argv[1], "handshakes") == 0) {
        for (int i = 0; i < atoi(argv[5]); i++)
            disconnect(connect_to_server());
        SSL_CTX_free(context);
        return 0;
    }
    file = fopen(argv[5], "re");
    CHECK(file != NULL);
    ssl = connect_to_server();
    if (strcmp(argv[1], "send") == 0)
        send_file(ssl, file);
    else
        receive_file(ssl, file);
    disconnect(ssl);
    fclose(file);
    SSL_CTX_free(context);
    return 0;
}

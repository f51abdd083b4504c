/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the control socket. */
#ifndef ERSATZ_TESTS_CONTROL_CLIENT_H
#define ERSATZ_TESTS_CONTROL_CLIENT_H

#include <sys/socket.h>
#include <sys/un.h>

#include "check.h"

/* flags: SOCK_NONBLOCK, or 0. Returns -1 if nobody takes the connection. */
static inline int control_connect(const char *path, int flags)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    CHECK(fd >= 0);
    CHECK(strlen(path) < sizeof(address.sun_path));
    strcpy(address.sun_path, path);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* The answer to a command, with `value` in quotes, or NULL: a line without its newline, until the next
 * call. */
static inline const char *control_ask(int fd, const char *command, const char *value)
{
    static char line[65536];
    size_t len = 0;

    snprintf(line, sizeof(line),
        value == NULL ? "{\"command\":\"%s\"}\n" : "{\"command\":\"%s\",\"value\":\"%s\"}\n", command, value);
    CHECK_EQ(write(fd, line, strlen(line)), strlen(line));
    do {
        ssize_t got = read(fd, line + len, sizeof(line) - 1 - len);

        CHECK(got > 0);
        len += (size_t)got;
    } while (line[len - 1] != '\n');
    line[len - 1] = '\0';
    return line;
}

/* The command must be done, and answer no more than that. */
static inline void control_steer(int fd, const char *command, const char *value)
{
    const char *answer = control_ask(fd, command, value);

    if (strcmp(answer, "{\"ok\": true}") != 0) {
        fprintf(stderr, "%s: %s\n", command, answer);
        FAIL("refused");
    }
}

#endif

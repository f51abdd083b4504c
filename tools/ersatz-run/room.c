/* SPDX-License-Identifier: Apache-2.0 */
/* See room.h. */
#include "room.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "run.h"

/* Below those that the kernel gives to clients: a connection of one of these would keep a server from
 * binding. */
#define PORT_FIRST 11000u
#define PORT_COUNT 2100u /* groups of ROOM_PORTS */

/* Keeps other hunts of this machine from a group of ports until this process ends, by an abstract socket of
 * that name: such names belong to a network namespace, as ports do. The ports themselves cannot be held: a
 * server that does not set SO_REUSEADDR could not bind them. Returns the socket, or -1: another hunt has the
 * group. */
static int reserve(unsigned first)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1, "ersatz-run/ports/%u", first);
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (s < 0)
        give_up("cannot reserve ports: %s", strerror(errno));
    if (bind(s, (const struct sockaddr *)&address,
            (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0)
        return s;
    close(s);
    return -1;
}

static bool is_free(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = s >= 0 && bind(s, (const struct sockaddr *)&address, sizeof(address)) == 0;

    if (s >= 0)
        close(s);
    return ok;
}

static bool is_free_group(unsigned first)
{
    for (unsigned i = 0; i < ROOM_PORTS; i++) {
        if (!is_free(first + i))
            return false;
    }
    return true;
}

/* The search begins at a group that is drawn: programs that know nothing of reservations, such as an older
 * build of this one, look at the same moment. */
static unsigned find_ports(void)
{
    uint32_t random;

    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        random = (uint32_t)getpid();
    for (unsigned i = 0; i < PORT_COUNT; i++) {
        unsigned first = PORT_FIRST + (random % PORT_COUNT + i) % PORT_COUNT * ROOM_PORTS;
        int reserved = reserve(first);

        if (reserved < 0)
            continue;
        if (is_free_group(first))
            return first; /* the socket stays open until this process ends */
        close(reserved);
    }
    give_up("no %u free ports in a row from %u on", ROOM_PORTS, PORT_FIRST);
}

void room_make(struct room *room, const char *parent, const char *name, unsigned number)
{
    *room = (struct room){.directory = text("%s/%s", parent, name), .number = number};
    if (mkdir(room->directory, 0755) != 0)
        give_up("cannot make the directory %s: %s", room->directory, strerror(errno));
    room->port = find_ports();
}

/* The word with each NAME replaced. */
static char *replaced(const char *word, const char *name, const char *value)
{
    char *made = text("%s", ""), *longer;
    const char *found;

    while ((found = strstr(word, name)) != NULL) {
        longer = text("%s%.*s%s", made, (int)(found - word), word, value);
        free(made);
        made = longer;
        word = found + strlen(name);
    }
    longer = text("%s%s", made, word);
    free(made);
    return longer;
}

char **room_furnish(const struct room *room, char **command)
{
    char *port = text("%u", room->port), *number = text("%u", room->number);
    size_t count = 0;
    char **made;

    while (command[count] != NULL)
        count++;
    made = calloc(count + 1, sizeof(*made));
    if (made == NULL || setenv("ERSATZ_PORT", port, 1) != 0 || setenv("ERSATZ_ROUND", number, 1) != 0 ||
        setenv("ERSATZ_DIR", room->directory, 1) != 0)
        give_up("out of memory");
    for (size_t i = 0; i < count; i++) {
        char *half = replaced(command[i], "{port}", port);

        made[i] = replaced(half, "{dir}", room->directory);
        free(half);
    }
    free(port);
    free(number);
    return made;
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
    (void)status;
    (void)ftw;
    (void)(flag == FTW_DP ? rmdir(path) : unlink(path));
    return 0;
}

void room_remove_directory(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a round of a hunt has to itself: a directory, ports, and their names in its command and
 * environment. */
#ifndef ERSATZ_RUN_ROOM_H
#define ERSATZ_RUN_ROOM_H

#include <stdbool.h>

#define ROOM_PORTS 10u /* so many ports in a row, of which the first is named */

struct room {
    char *directory; /* absolute; empty at first */
    unsigned port, number;
};

/* Makes the directory NAME in `parent`, and finds ports on which nobody listens, and which no other room has
 * until this process ends. Exits if that fails. */
void room_make(struct room *room, const char *parent, const char *name, unsigned number);

/* The command with {dir} and {port} replaced, ends with NULL. Never freed. Also sets ERSATZ_DIR, ERSATZ_PORT
 * and ERSATZ_ROUND in our environment. */
char **room_furnish(const struct room *room, char **command);

/* Removes a directory with all that is in it. */
void room_remove_directory(const char *path);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* ersatzctl: sends a command to the control socket of a running card, and prints the answer. */
#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ersatz/control_socket.h"
#include "ersatz/output.h"
#include "find.h"
#include "tools/common/program.h"

#define EXIT_REFUSED 1

static const char usage[] =
    "ersatzctl SOCKET|PID COMMAND [VALUE]\n"
    "\n"
    "Steers a card of ersatz while the program runs that uses it, and asks it. SOCKET is the path that was "
    "given\n"
    "as CONTROL (or by ersatz-run --control); PID is a process that has such a socket.\n"
    "\n"
    "  hold compute|signal|none   hold requests before they are computed, or before they are signalled; let\n"
    "                             all go\n"
    "  release NUMBER             let so many held requests pass\n"
    "  faults LIST|none           replace the list of faults: late=5%:2ms,fail=#100\n"
    "  reset [MILLISECONDS]       reset the card, for 100 ms if no time is given\n"
    "  gone                       take the card away\n"
    "  back                       bring it back\n"
    "  profile NAME|FILE          the profile of the next card that starts\n"
    "  stats                      print the statistics\n"
    "  findings                   print the findings so far\n"
    "  trace FILE                 write the timeline of the newest requests\n"
    "\n"
    "Other commands that the card takes while it runs are listed in docs/control.md. Answers are JSON.\n"
    "The status is 0; 1 if the card refused the command; 2 if it was not asked.\n"
    "\n"
    "  --version    show the version\n"
    "  --help, -h   show this text\n";

const char program_name[] = "ersatzctl";

/* Commands are written in capital letters; here, either will do. */
static char *capital(const char *word)
{
    char *copy = strdup(word);

    if (copy == NULL)
        give_up("out of memory");
    for (char *at = copy; *at != '\0'; at++)
        *at = (char)toupper((unsigned char)*at);
    return copy;
}

/* The card reads and writes files in another process, which may be in another directory. */
static const char *for_card(const char *command, const char *value)
{
    static char path[2 * PATH_MAX];
    char here[PATH_MAX];
    bool is_path = strcmp(command, "TRACE") == 0 || (strcmp(command, "PROFILE") == 0 && strchr(value, '/'));

    if (!is_path || value[0] == '/' || value[0] == '\0')
        return value;
    if (getcwd(here, sizeof(here)) == NULL)
        give_up("the current directory: %s", strerror(errno));
    snprintf(path, sizeof(path), "%s/%s", here, value);
    return path;
}

/* In the socket's directory: a path may be longer than a socket's address. */
static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    char *directory = strdup(path), *name = strdup(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (directory == NULL || name == NULL || fd < 0)
        give_up("no socket: %s", strerror(errno));
    if (strlen(basename(name)) >= sizeof(address.sun_path))
        give_up("%s: the name of a socket has at most %zu bytes", path, sizeof(address.sun_path) - 1);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", basename(name));
    if (stat(path, &status) == 0 && !S_ISSOCK(status.st_mode))
        give_up("%s: it is not a socket", path);
    if (chdir(dirname(directory)) != 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        give_up("%s: %s%s", path, strerror(errno),
            errno == ECONNREFUSED ? "; the process that had this socket has ended" : "");
    free(directory);
    free(name);
    return fd;
}

/* Where the card has refused us already, there is an answer all the same. */
static void send_command(int fd, const char *command, const char *value)
{
    FILE *stream = fdopen(dup(fd), "w");

    if (stream == NULL)
        give_up("%s", strerror(errno));
    fputs("{\"command\": ", stream);
    ersatz_json_string(command, strlen(command), stream);
    if (value != NULL) {
        fputs(", \"value\": ", stream);
        ersatz_json_string(value, strlen(value), stream);
    }
    fputs("}\n", stream);
    if (fclose(stream) != 0 && errno != EPIPE)
        give_up("the command could not be sent: %s", strerror(errno));
}

static int show_answer(int fd)
{
    FILE *stream = fdopen(fd, "r");
    char *line = NULL;
    const char *text;
    size_t room = 0;
    ssize_t len = stream == NULL ? -1 : getline(&line, &room, stream);
    bool ok;

    if (len <= 0 || line[len - 1] != '\n')
        give_up("no answer: the card has stopped, or its process has ended");
    line[len - 1] = '\0';
    if (!ersatz_control_read_answer(line, &ok, &text))
        give_up("what answers is no card of ersatz: %.200s", line);
    if (ok && text[0] != '\0')
        puts(text);
    else if (!ok)
        fprintf(complaints(), "ersatzctl: %s\n", text);
    fclose(stream);
    free(line);
    return ok ? 0 : EXIT_REFUSED;
}

int main(int argc, char **argv)
{
    char found[PATH_MAX];
    const char *path, *value = NULL;
    char *command;
    int fd;

    program_begin();
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        finish(0, NULL);
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        puts("ersatzctl " VERSION);
        finish(0, NULL);
    }
    if (argc > 1 && argv[1][0] == '-')
        give_up("unknown option %s; see ersatzctl --help", argv[1]);
    if (argc < 3 || argc > 4)
        give_up("expected a socket or a process, a command, and at most one value; see ersatzctl --help");
    (void)signal(SIGPIPE, SIG_IGN);
    command = capital(argv[2]);
    if (argc == 4)
        value = for_card(command, argv[3]);
    path = argv[1];
    if (is_number(path) && strlen(path) <= 10) {
        find_socket(path, found, sizeof(found));
        path = found;
    }
    fd = connect_to(path);
    send_command(fd, command, value);
    free(command);
    finish(show_answer(fd), NULL);
}

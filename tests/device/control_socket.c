/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: its path, its lines and their answers, clients that misbehave, and what the program
 * notices of all that. */
#include <errno.h>
#include <ersatz/control_socket.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "child.h"
#include "control_client.h"
#include "proc.h"
#include "scratch.h"

#define BIG 300000

static const char path[] = "./socket";
static struct ersatz_error error;

/* What FAULTS, GONE and HOLD have set. */
static _Atomic bool is_faulty, is_gone, is_held;

/* ECHO answers its value; BIG answers a long string; NOTHING has no answer; others are refused. */
static bool run(const char *command, const char *value, FILE *answer, struct ersatz_error *why)
{
    if (strcmp(command, "ECHO") == 0 && value != NULL) {
        fprintf(answer, "\n  \"%s\"\n", value);
    } else if (strcmp(command, "BIG") == 0) {
        fputc('"', answer);
        for (unsigned i = 0; i < BIG; i++)
            fputc('x', answer);
        fputc('"', answer);
    } else if (strcmp(command, "FAULTS") == 0) {
        is_faulty = strcmp(value, "none") != 0;
    } else if (strcmp(command, "GONE") == 0 || strcmp(command, "BACK") == 0) {
        is_gone = strcmp(command, "GONE") == 0;
    } else if (strcmp(command, "HOLD") == 0) {
        is_held = strcmp(value, "none") != 0;
    } else if (strcmp(command, "NOTHING") != 0) {
        snprintf(why->text, sizeof(why->text), "cannot \"%.20s\"", command);
        return false;
    }
    return true;
}

static int client(void)
{
    int fd = control_connect(path, 0);

    CHECK(fd >= 0);
    return fd;
}

static void say(int fd, const char *text, size_t len)
{
    CHECK_EQ(send(fd, text, len, MSG_NOSIGNAL), len);
}

/* One line, without its newline. */
static const char *hear(int fd)
{
    static char line[1024];
    size_t len = 0;

    while (len < sizeof(line) - 1) {
        CHECK_EQ(read(fd, line + len, 1), 1);
        if (line[len++] == '\n')
            break;
    }
    CHECK(line[len - 1] == '\n');
    line[len - 1] = '\0';
    return line;
}

static void ask(int fd, const char *line, const char *wanted)
{
    const char *got;

    say(fd, line, strlen(line));
    got = hear(fd);
    if (strcmp(got, wanted) != 0) {
        fprintf(stderr, "%s: got %s, wanted %s\n", line, got, wanted);
        abort();
    }
}

#define OK_X "{\"ok\": true, \"answer\":  \"x\" }"
#define ECHO_X "{\"command\":\"ECHO\",\"value\":\"x\"}\n"

static bool is_closed(int fd)
{
    char byte;

    return read(fd, &byte, 1) <= 0;
}

static struct ersatz_control_socket *open_socket(void)
{
    struct ersatz_control_socket *control = ersatz_control_open(path, run, &error);

    if (control == NULL)
        FAIL(error.text);
    return control;
}

/* ----------------------------------------------------------------------------------------------- lines */

static const struct {
    const char *line, *error;
} wrong[] = {
    {"\n", "wrong at character 1: expected {"},
    {"{\n", "wrong at character 2: expected a name in quotes"},
    {"[1]\n", "wrong at character 1: expected {"},
    {"{\"command\":\"ECHO\"\n", "wrong at character 18: expected a comma or }"},
    {"{\"command\":\"NOTHING\"} x\n", "wrong at character 23: expected nothing after the }"},
    {"{\"command\":\"NOTHING\",}\n", "wrong at character 22: expected a name in quotes"},
    {"{\"command\" \"NOTHING\"}\n", "wrong at character 12: expected a colon"},
    {"{\"command\":\"A\",\"command\":\"A\"}\n", "wrong at character 25: expected each name once"},
    {"{\"command\":\"A\\x\"}\n",
        "wrong at character 15: expected one of \\\" \\\\ / b f n r t u after a backslash"},
    {"{\"command\":\"\\ud800\"}\n", "wrong at character 19: expected the second half of a surrogate pair"},
    {"{\"command\":\"\\u0000\"}\n", "wrong at character 19: expected no zero character before this"},
    {"{\"command\":\"\xff\"}\n", "wrong at character 13: expected UTF-8"},
    {"{\"command\":\"\t\"}\n", "wrong at character 13: expected no control character in a string; write "
                               "it as \\\\n or \\\\u000a"},
    {"{\"command\":{}}\n", "wrong at character 12: expected a string or a number"},
    {"{\"command\":\"A\",\"value\":-}\n", "wrong at character 25: expected a digit"},
    {"{\"command\":\"A\",\"value\":01}\n", "wrong at character 25: expected a comma or }"},
    {"{}\n", "no command; expected {\\\"command\\\": NAME, \\\"value\\\": VALUE}"},
    {"{\"command\":3}\n", "command is 3; expected a string"},
    {"{\"command\":\"A\",\"value\":true}\n", "value is true; expected a string or a number"},
    {"{\"command\":\"A\",\"more\":1}\n", "unknown name \\\"more\\\"; expected command, value and until"},
    {"{\"command\":\"HOLD\",\"value\":\"compute\",\"until\":\"noon\"}\n",
        "until is \\\"noon\\\"; expected close"},
    {"{\"command\":\"HOLD\",\"value\":\"compute\",\"until\":1}\n", "until is 1; expected a string"},
    {"{\"command\":\"ECHO\",\"until\":\"close\"}\n",
        "until is for FAULTS, GONE and HOLD, and not for \\\"ECHO\\\""},
    {"{\"command\":\"DANCE\"}\n", "cannot \\\"DANCE\\\""},
};

static void test_lines(void)
{
    struct ersatz_control_socket *control = open_socket();
    char text[256];
    int fd = client();

    ask(fd, ECHO_X, OK_X);
    ask(fd, " { \"value\" : 1.5e+3 , \"command\" : \"ECHO\" } \r\n",
        "{\"ok\": true, \"answer\":  \"1.5e+3\" }");
    ask(fd, "{\"command\":\"ECHO\",\"value\":\"\\u00e9\\ud83d\\ude00\\/\"}\n",
        "{\"ok\": true, \"answer\":  \"\xc3\xa9\xf0\x9f\x98\x80/\" }");
    ask(fd, "{\"command\":\"NOTHING\"}\n", "{\"ok\": true}");
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(text, sizeof(text), "{\"ok\": false, \"error\": \"%s\"}", wrong[i].error);
        ask(fd, wrong[i].line, text);
    }
    say(fd, "{\"command\":\"A\0\"}\n", 17);
    CHECK(strstr(hear(fd), "wrong at character 14") != NULL);
    for (unsigned i = 0; i < 3; i++)
        say(fd, ECHO_X ECHO_X, strlen(ECHO_X ECHO_X)); /* without waiting for the answers */
    for (unsigned i = 0; i < 6; i++)
        CHECK(strcmp(hear(fd), OK_X) == 0);
    close(fd);
    ersatz_control_close(control);
}

/* The longest line, with spaces, and one that is too long: it is answered once, and the next one counts. */
static void test_long_lines(void)
{
    struct ersatz_control_socket *control = open_socket();
    char *line = malloc(ERSATZ_CONTROL_LINE_MAX + 2);
    int fd = client();

    CHECK(line != NULL);
    memset(line, ' ', ERSATZ_CONTROL_LINE_MAX + 1);
    memcpy(line, ECHO_X, strlen(ECHO_X) - 1);
    line[ERSATZ_CONTROL_LINE_MAX] = '\n';
    say(fd, line, ERSATZ_CONTROL_LINE_MAX + 1);
    CHECK(strcmp(hear(fd), OK_X) == 0);
    line[ERSATZ_CONTROL_LINE_MAX] = ' ';
    for (unsigned i = 0; i < 5; i++)
        say(fd, line, ERSATZ_CONTROL_LINE_MAX + 1);
    ask(fd, "\n", "{\"ok\": false, \"error\": \"the line is too long; expected at most 8192 bytes\"}");
    ask(fd, ECHO_X, OK_X);
    close(fd);
    free(line);
    ersatz_control_close(control);
}

/* A line that is cut off does nothing. */
static void test_cut_line(void)
{
    struct ersatz_control_socket *control = open_socket();
    int fd = client();

    say(fd, ECHO_X, strlen(ECHO_X) - 1);
    CHECK_EQ(shutdown(fd, SHUT_WR), 0);
    CHECK(strstr(hear(fd), "the last line does not end") != NULL && is_closed(fd));
    close(fd);
    ersatz_control_close(control);
}

#define DONE "{\"ok\": true}"
#define UNTIL_CLOSE ",\"until\":\"close\"}\n"

static void wait_until_not(_Atomic bool *flag)
{
    while (*flag)
        usleep(1000);
}

/* What was to be in force until the connection closes is undone then, and nothing else. */
static void test_until_close(void)
{
    struct ersatz_control_socket *control = open_socket();
    int fd = client(), other = client();

    ask(fd, "{\"command\":\"FAULTS\",\"value\":\"late=5%\"" UNTIL_CLOSE, DONE);
    ask(fd, "{\"command\":\"GONE\"" UNTIL_CLOSE, DONE);
    ask(fd, "{\"command\":\"HOLD\",\"value\":\"compute\"" UNTIL_CLOSE, DONE);
    close(other);
    ask(fd, ECHO_X, OK_X);
    CHECK(is_faulty && is_gone && is_held);
    close(fd);
    wait_until_not(&is_faulty);
    wait_until_not(&is_gone);
    wait_until_not(&is_held);

    /* A client that says no more what it said; HOLD is the last of what is undone. */
    fd = client();
    ask(fd, "{\"command\":\"FAULTS\",\"value\":\"late=5%\"" UNTIL_CLOSE, DONE);
    ask(fd, "{\"command\":\"FAULTS\",\"value\":\"late=6%\"}\n", DONE);
    ask(fd, "{\"command\":\"GONE\"" UNTIL_CLOSE, DONE);
    ask(fd, "{\"command\":\"BACK\"}\n", DONE);
    ask(fd, "{\"command\":\"HOLD\",\"value\":\"signal\"" UNTIL_CLOSE, DONE);
    other = client();
    ask(other, "{\"command\":\"GONE\"}\n", DONE);
    close(fd);
    wait_until_not(&is_held);
    CHECK(is_faulty && is_gone);

    /* What another client says later stays, until that one closes. */
    fd = client();
    ask(fd, "{\"command\":\"FAULTS\",\"value\":\"late=5%\"" UNTIL_CLOSE, DONE);
    ask(fd, "{\"command\":\"GONE\"" UNTIL_CLOSE, DONE);
    ask(fd, "{\"command\":\"HOLD\",\"value\":\"signal\"" UNTIL_CLOSE, DONE);
    ask(other, "{\"command\":\"FAULTS\",\"value\":\"late=6%\"}\n", DONE);
    ask(other, "{\"command\":\"GONE\"" UNTIL_CLOSE, DONE);
    close(fd);
    wait_until_not(&is_held);
    CHECK(is_faulty && is_gone);
    close(other);
    wait_until_not(&is_gone);
    CHECK(is_faulty);
    ersatz_control_close(control);
}

/* --------------------------------------------------------------------------------------------- clients */

/* More than it takes, some of them half-way through a line, some not reading their answers. */
static void test_many_clients(void)
{
    int before = count_descriptors();
    unsigned told = 0;
    struct ersatz_control_socket *control = open_socket();
    int fds[ERSATZ_CONTROL_CLIENTS_MAX], deaf;

    CHECK_EQ(count_descriptors(), before + 1);
    deaf = client();
    for (unsigned i = 0; i < 1000; i++) { /* it reads none of these */
        if (send(deaf, "{\"command\":\"BIG\"}\n", 18, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            break;
        told++;
    }
    CHECK(told > 0);
    for (unsigned i = 1; i < ERSATZ_CONTROL_CLIENTS_MAX; i++) {
        fds[i] = client();
        ask(fds[i], ECHO_X, OK_X);
        say(fds[i], "{\"comm", 6);
    }
    CHECK_EQ(count_descriptors(), before + 1 + ERSATZ_CONTROL_CLIENTS_MAX); /* our ends alone */
    for (unsigned i = 0; i < 300; i++) {
        int more = client();

        CHECK(strstr(hear(more), "64 clients are connected") != NULL && is_closed(more));
        close(more);
    }
    close(fds[1]); /* a half-sent line goes with its client */
    do {
        fds[1] = client();
        (void)send(fds[1], ECHO_X, strlen(ECHO_X), MSG_NOSIGNAL); /* the place may not be free yet */
        if (strcmp(hear(fds[1]), OK_X) == 0)
            break;
        close(fds[1]);
    } while (true);
    for (unsigned i = 2; i < ERSATZ_CONTROL_CLIENTS_MAX; i++)
        ask(fds[i], "and\":\"NOTHING\"}\n", "{\"ok\": true}");
    for (unsigned i = 1; i < ERSATZ_CONTROL_CLIENTS_MAX; i++)
        close(fds[i]);
    for (unsigned i = 0; i < 100; i++) { /* gone before they are answered */
        int fd = client();

        (void)send(fd, "{\"command\":\"BIG\"}\n", 18, MSG_NOSIGNAL);
        close(fd);
    }
    ersatz_control_close(control); /* while answers wait for `deaf` */
    CHECK(control_connect(path, 0) < 0);
    close(deaf);
    CHECK_EQ(count_descriptors(), before);
}

/* One that reads late gets all of its answers. */
static void test_slow_client(void)
{
    struct ersatz_control_socket *control = open_socket();
    char buffer[4096];
    size_t lines = 0;
    int fd = client();

    for (unsigned i = 0; i < 5; i++)
        say(fd, "{\"command\":\"BIG\"}\n", 18);
    usleep(20000); /* by now the first answer waits for us */
    while (lines < 5) {
        ssize_t got = read(fd, buffer, sizeof(buffer));

        CHECK(got > 0);
        for (ssize_t i = 0; i < got; i++)
            lines += buffer[i] == '\n';
    }
    ask(fd, ECHO_X, OK_X);
    close(fd);
    ersatz_control_close(control);
}

/* Another user, if we are root and can be one; whatever the mode of the socket is by then. */
static void test_other_user(void)
{
    struct ersatz_control_socket *control;
    pid_t pid;

    if (geteuid() != 0)
        return;
    control = open_socket();
    CHECK_EQ(chmod(path, 0666), 0);
    CHECK_EQ(chmod(".", 0755), 0);
    pid = fork();
    if (pid == 0) {
        CHECK_EQ(setresuid(65534, 65534, 65534), 0);
        CHECK(strstr(hear(client()), "another user's process") != NULL);
        _exit(0);
    }
    child_exits_with(pid, 0);
    ersatz_control_close(control);
}

/* ----------------------------------------------------------------------------------------------- path */

static void refused(const char *name, const char *said)
{
    CHECK(ersatz_control_open(name, run, &error) == NULL);
    if (strstr(error.text, said) == NULL || strstr(error.text, name) == NULL) {
        fprintf(stderr, "\"%s\" does not speak of \"%s\" and \"%s\"\n", error.text, name, said);
        FAIL("path");
    }
}

static void test_mode(mode_t mask)
{
    mode_t before = umask(mask);
    struct ersatz_control_socket *control = open_socket();
    struct stat status;

    umask(before);
    CHECK_EQ(stat(path, &status), 0);
    CHECK_EQ(status.st_mode, S_IFSOCK | 0600);
    ersatz_control_close(control);
    CHECK(stat(path, &status) != 0 && errno == ENOENT);
}

static void make_file(const char *name)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    CHECK(fd >= 0);
    close(fd);
}

static void test_path(void)
{
    struct ersatz_control_socket *control;
    char longer[200];
    struct stat status;
    pid_t pid;

    test_mode(0);
    test_mode(0777);
    snprintf(longer, sizeof(longer), "./%0120d", 0);
    refused(longer, "too long; the path of a socket has at most 107 bytes");
    refused("/nonexistent/socket", "No such file or directory");
    refused("/dev/null", "is not a socket");
    refused("/dev/", "names no file");
    make_file(path);
    refused(path, "is not a socket");
    CHECK(stat(path, &status) == 0 && S_ISREG(status.st_mode));
    CHECK_EQ(unlink(path), 0);
    CHECK_EQ(symlink("elsewhere", path), 0);
    refused(path, "is not a socket");
    CHECK_EQ(unlink(path), 0);

    pid = fork(); /* a process that is killed leaves its socket behind */
    if (pid == 0) {
        (void)open_socket();
        raise(SIGKILL);
    }
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    CHECK(stat(path, &status) == 0 && control_connect(path, 0) < 0);
    control = open_socket();
    refused(path, "is the socket of another process");
    close(client()); /* which still has it */
    CHECK_EQ(unlink(path), 0);
    make_file(path);
    ersatz_control_close(control); /* what has its name by now stays */
    CHECK(stat(path, &status) == 0 && S_ISREG(status.st_mode));
    CHECK_EQ(unlink(path), 0);
}

/* ---------------------------------------------------------------------------------------------- program */

/* A child inherits neither socket nor clients: they close with the parent's. */
static void test_fork(void)
{
    struct ersatz_control_socket *control = open_socket();
    int fd = client(), wait[2];
    pid_t pid;

    CHECK_EQ(pipe(wait), 0);
    ask(fd, ECHO_X, OK_X);
    pid = fork();
    if (pid == 0) {
        int before = count_descriptors();
        char byte;

        ersatz_control_forget(control);
        CHECK_EQ(count_descriptors(), before - 1);
        close(wait[1]);
        CHECK_EQ(read(wait[0], &byte, 1), 0);
        _exit(0);
    }
    ask(fd, ECHO_X, OK_X);
    ersatz_control_close(control);
    CHECK(is_closed(fd) && control_connect(path, 0) < 0);
    close(wait[0]);
    close(wait[1]);
    child_exits_with(pid, 0);
    close(fd);
}

/* A program that closes all that it does not know, and opens other files under the same numbers. */
static void test_closed(void)
{
    static struct ersatz_control_socket *control; /* its thread cannot be woken, and keeps it for ever */
    struct stat status;
    int fd, others[8];

    control = open_socket();
    closefrom(3);
    for (unsigned i = 0; i < 8; i++)
        CHECK((others[i] = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0);
    fd = client();
    ask(fd, ECHO_X, OK_X);
    ersatz_control_close(control);
    CHECK(stat(path, &status) != 0);
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(close(others[i]), 0);
    close(fd);
}

int main(void)
{
    test_begin(60);
    scratch_enter();
    test_lines();
    test_long_lines();
    test_cut_line();
    test_until_close();
    test_many_clients();
    test_slow_client();
    test_other_user();
    test_path();
    test_fork();
    test_closed();
    scratch_remove();
    return 0;
}

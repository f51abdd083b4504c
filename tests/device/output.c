/* SPDX-License-Identifier: Apache-2.0 */
/* Lines and files: once, to whom they are for, whatever became of standard error; and nobody is killed. */
#include <errno.h>
#include <ersatz/output.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "check.h"
#include "child.h"
#include "scratch.h"

/* Run it in a process of its own, which must end with 7 and by no signal. */
static void in_child(void (*run)(void))
{
    child_exits_with(child_start(run, 7), 7);
}

/* ----------------------------------------------------------------------------------------- standard error */

/* Standard error of this test, when it began: a pipe, whose other end is here. */
static int heard;

static const char *hear(void)
{
    static char text[8192];
    ssize_t got = read(heard, text, sizeof(text) - 1);

    text[got > 0 ? got : 0] = '\0';
    return text;
}

static void say_in_child(void)
{
    ersatz_say("number %d", 1);
}

static void once(void)
{
    errno = 99;
    ersatz_say("number %d", 1);
    ersatz_say("number %d", 2);
    ersatz_say("number %d", 1);
    CHECK_EQ(errno, 99);
    CHECK(strcmp(hear(), "ersatz: number 1\nersatz: number 2\n") == 0);
    in_child(say_in_child); /* another process, which may say it, too */
    CHECK(strcmp(hear(), "ersatz: number 1\n") == 0);
    ersatz_say("%04000d", 3); /* is cut, and keeps its newline */
    CHECK_EQ(strchr(hear(), '\n') != NULL, 1);
}

/* The program closed its standard error and opened a file of its own, which got the number. */
static void to_another(void)
{
    struct stat status;

    close(STDERR_FILENO);
    CHECK_EQ(open("own", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), STDERR_FILENO);
    ersatz_say("not for this file");
    ersatz_say_text("nor this\n", 9);
    CHECK_EQ(fstat(STDERR_FILENO, &status), 0);
    CHECK_EQ(status.st_size, 0);
}

static void to_none(void)
{
    close(STDERR_FILENO);
    ersatz_say("to nobody");
}

/* Nobody is there to read any more. */
static void to_broken_pipe(void)
{
    close(heard);
    ersatz_say("to nobody");
}

static bool is_pending(int signal)
{
    sigset_t set;

    sigpending(&set);
    return sigismember(&set, signal);
}

/* A signal of the application's own stays for it. */
static void keep_pending(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    raise(SIGPIPE);
    close(heard);
    ersatz_say("to nobody");
    CHECK(is_pending(SIGPIPE));
}

/* ... and where it only blocks it, none comes of us. */
static void leave_none_pending(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    sigprocmask(SIG_BLOCK, &set, NULL);
    close(heard);
    ersatz_say("to nobody");
    CHECK(!is_pending(SIGPIPE));
}

/* The pipe is full, and nobody reads: the test hangs if that is waited for. */
static void to_full_pipe(void)
{
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    char bytes[4096] = {0};

    CHECK_EQ(fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK), 0);
    while (write(STDERR_FILENO, bytes, sizeof(bytes)) > 0)
        ;
    CHECK_EQ(fcntl(STDERR_FILENO, F_SETFL, flags), 0);
    ersatz_say("to nobody");
}

/* The test itself, with a standard error that can be listened to from the beginning. */
static void standard_error(void)
{
    once();
    in_child(to_another);
    in_child(to_none);
    in_child(to_broken_pipe);
    in_child(keep_pending);
    in_child(leave_none_pending);
    in_child(to_full_pipe);
}

/* -------------------------------------------------------------------------------------------------- files */

static bool fill(void *arg, FILE *stream)
{
    return fputs(arg, stream) >= 0;
}

static bool put(const char *name, char *text, struct ersatz_error *error)
{
    char path[128];

    snprintf(path, sizeof(path), "./%s", name);
    return ersatz_write_file(path, fill, text, error);
}

static void check_file(const char *name, const char *text)
{
    char got[64] = "";
    FILE *stream = fopen(name, "re");

    CHECK(stream != NULL);
    (void)!fgets(got, sizeof(got), stream);
    fclose(stream);
    CHECK(strcmp(got, text) == 0);
}

static void refuse(const char *name, const char *why)
{
    struct ersatz_error error;

    CHECK(!put(name, "refused", &error));
    if (strstr(error.text, why) == NULL || strstr(error.text, name) == NULL)
        FAIL(error.text);
}

static void accept_as(const char *name, char *text)
{
    struct ersatz_error error = {0};

    if (!put(name, text, &error))
        FAIL(error.text);
    check_file(name, text);
}

static void check_mode(const char *name)
{
    struct stat status;

    CHECK_EQ(stat(name, &status), 0);
    CHECK_EQ(status.st_mode & 0777, 0644);
}

static unsigned count_files(void)
{
    unsigned count = 0;
    FILE *stream = popen("ls -A | wc -l", "re");

    CHECK(stream != NULL && fscanf(stream, "%u", &count) == 1);
    pclose(stream);
    return count;
}

/* `shared`: others may write to the directory, as to /tmp. */
static void files(bool shared)
{
    unsigned before;

    CHECK_EQ(chmod(".", shared ? 01777 : 0700), 0);
    umask(0);
    accept_as("new", "one");
    check_mode("new");
    accept_as("new", "two");
    check_mode("new");
    accept_as("victim", "precious");
    CHECK_EQ(symlink("victim", "link"), 0);
    CHECK_EQ(symlink("made", "dangling"), 0);
    CHECK_EQ(mkfifo("pipe", 0600), 0);
    CHECK_EQ(link("victim", "hard"), 0);
    before = count_files();
    if (shared) {
        refuse("link", "it is a link or not a regular file");
        refuse("dangling", "it is a link or not a regular file");
        refuse("pipe", "it is a link or not a regular file");
        accept_as("hard", "a file of its own");
    } else {
        refuse("pipe", "No such device or address"); /* nobody reads it, and nobody waits for that */
        accept_as("link", "precious");
        refuse("nowhere/new", "No such file");
    }
    check_file("victim", "precious");
    CHECK_EQ(count_files(), before); /* nothing half-made is left */
    scratch_clear();
}

static void limited(void)
{
    struct rlimit none = {0, RLIM_INFINITY};

    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
    refuse("limited", "File too large");
}

/* The stream's number must not be one that the program takes for a standard stream. */
static bool fill_by_number(void *arg, FILE *stream)
{
    (void)arg;
    CHECK(fileno(stream) > STDERR_FILENO);
    return true;
}

static void without_standard_streams(void)
{
    static const char path[] = "./numbers";
    struct ersatz_error error;

    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    CHECK(ersatz_write_file(path, fill_by_number, NULL, &error));
    CHECK_EQ(unlink(path), 0);
}

/* It starts itself again, with a pipe for standard error: what is compared is what there was at the start. */
int main(int argc, char **argv)
{
    int ends[2], status;
    char number[16];
    pid_t pid;

    test_begin(60);
    if (argc == 2) {
        heard = atoi(argv[1]);
        standard_error();
        return 0;
    }
    scratch_enter();
    CHECK_EQ(pipe(ends), 0);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        snprintf(number, sizeof(number), "%d", ends[0]);
        CHECK(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO && close(ends[1]) == 0);
        execl("/proc/self/exe", argv[0], number, (char *)NULL);
        _exit(1);
    }
    close(ends[1]);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (status != 0) {
        heard = ends[0];
        FAIL(hear());
    }
    close(ends[0]);
    files(false);
    files(true);
    in_child(limited);
    in_child(without_standard_streams);
    scratch_leave();
    return 0;
}

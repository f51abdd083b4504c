/* SPDX-License-Identifier: Apache-2.0 */
/* What the module writes at its end, or in between: files and lines on standard error. The program ends as it
 * wanted to, whatever becomes of them, and its own files are left alone. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "check.h"
#include "child.h"
#include "scratch.h"
#include "support/card.h"
#include "support/seccomp.h"
#include "support/work.h"

#define OWN "contract-reports.own"

static void use(const char *commands)
{
    struct card *card = card_load_for_good(commands);
    struct work *work = work_rsa(card, 1);

    CHECK_EQ(work_do(&work), 1);
    work_free(work);
    CHECK_EQ(card_count(card, "completed"), 1);
}

/* As a sandbox does it before it reads from the network. */
static void limit_files(void)
{
    struct rlimit none = {0, RLIM_INFINITY};

    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &none), 0);
}

static void limited(void)
{
    use("STATS_FILE:contract-reports.json;TRACE:contract-reports.trace");
    limit_files();
}

static void child_limited(void)
{
    pid_t pid;

    use("STATS_FILE:contract-reports.json");
    pid = fork();
    if (pid == 0) {
        limit_files();
        exit(7);
    }
    child_exits_with(pid, 7);
}

/* A child that cannot have a record of its own goes on without. */
static void child_without_record(void)
{
    char name[64];
    pid_t pid;

    CHECK_EQ(mkdir("records", 0700), 0);
    use("RECORD:records");
    limit_files();
    pid = fork();
    if (pid == 0)
        _exit(7);
    child_exits_with(pid, 7);
    snprintf(name, sizeof(name), "records/%d.record", (int)getpid());
    CHECK_EQ(unlink(name), 0);
    CHECK_EQ(rmdir("records"), 0);
}

static void record_limited(void)
{
    limit_files();
    CHECK(card_try("RECORD:.") == NULL);
    CHECK(error_speaks_of("File too large"));
}

/* As OpenSSH's child before the login: it forks, confines itself, and ends. */
static void sandboxed(void)
{
    pid_t pid;

    use("STATS_FILE:contract-reports.json;TRACE:contract-reports.trace");
    pid = fork();
    if (pid == 0) {
        limit_files();
        enter_sandbox();
        exit(7);
    }
    child_exits_with(pid, 7);
}

/* Nobody reads standard error any more. */
static void unheard(void)
{
    int ends[2];

    use("STATS_FILE:/nowhere/stats.json");
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[0]);
}

/* Standard error is closed, and its number given to a file of the program's own. */
static void replaced(void)
{
    use("STATS_FILE:/nowhere/stats.json");
    close(STDERR_FILENO);
    CHECK_EQ(open(OWN, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), STDERR_FILENO);
}

/* The module stops twice before the process ends, and can write its file at none of the three. */
static void thrice(void)
{
    for (int i = 0; i < 2; i++) {
        struct card *card = card_load("STATS_FILE:/nowhere/stats.json");

        card_command(card, "INIT_ENGINE", NULL);
        card_unload(card);
    }
    use("STATS_FILE:/nowhere/stats.json");
}

/* A provider gives them to its caller. */
static void statistics_to_broken_pipe(void)
{
    struct card *card = card_load(NULL);
    int ends[2];

    if (card_is_provider())
        return;
    CHECK_EQ(pipe(ends), 0);
    CHECK_EQ(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    close(ends[0]);
    CHECK(card_refuses(card, "STATS", NULL, "standard output"));
}

static const struct {
    const char *name;
    void (*run)(void);
} ways[] = {{"limited", limited}, {"child_limited", child_limited},
    {"child_without_record", child_without_record}, {"record_limited", record_limited},
    {"sandboxed", sandboxed}, {"unheard", unheard}, {"replaced", replaced}, {"thrice", thrice},
    {"statistics_to_broken_pipe", statistics_to_broken_pipe}};

/* Runs a way as a program of its own, whose standard error goes to the stream; it must end with 7. */
static void run_way(const char *program, const char *way, int standard_error)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        if (dup2(standard_error, STDERR_FILENO) == STDERR_FILENO)
            execl("/proc/self/exe", program, way, (char *)NULL);
        _exit(1);
    }
    CHECK(pid > 0);
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    if (status != 7 << 8) {
        fprintf(stderr, "%s\n", way);
        FAIL("it did not end as it wanted to");
    }
}

static void check_said_once(const char *program)
{
    char text[4096];
    int ends[2];
    ssize_t got;
    const char *first;

    CHECK_EQ(pipe(ends), 0);
    run_way(program, "thrice", ends[1]);
    close(ends[1]);
    got = read(ends[0], text, sizeof(text) - 1);
    text[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    first = strstr(text, "ersatz: STATS_FILE /nowhere/stats.json: No such file or directory\n");
    if (first == NULL || strstr(first + strlen("ersatz: STATS_FILE"), "STATS_FILE") != NULL)
        FAIL(text);
}

int main(int argc, char **argv)
{
    struct stat status;

    test_begin(60);
    if (argc == 1)
        scratch_enter();
    for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        if (argc == 1) {
            run_way(argv[0], ways[i].name, STDERR_FILENO);
        } else if (strcmp(argv[1], ways[i].name) == 0) {
            ways[i].run();
            exit(7);
        }
    }
    CHECK_EQ(argc, 1);
    check_said_once(argv[0]);
    CHECK_EQ(stat(OWN, &status), 0);
    CHECK_EQ(status.st_size, 0);
    scratch_leave();
    return 0;
}

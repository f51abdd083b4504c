/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the engine's module, and loads it as a trial. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

/* True if a module that lies beside this program may be loaded: its owner is root, this user, or the owner of
 * this program. */
static bool is_trusted(const char *path)
{
    struct stat own, status;

    return stat("/proc/self/exe", &own) == 0 && stat(path, &status) == 0 &&
           (status.st_uid == 0 || status.st_uid == geteuid() || status.st_uid == own.st_uid);
}

/* The module in the build directory, if this program runs from there; else NULL. */
static char *built_with_this(void)
{
    char self[PATH_MAX], *path, *found;
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (length < 0)
        return NULL;
    self[length] = '\0';
    path = text("%s/../../engine/ersatz.so", dirname(self));
    found = realpath(path, NULL);
    free(path);
    if (found != NULL && !is_trusted(found)) {
        free(found);
        found = NULL;
    }
    return found;
}

static char *installed(void)
{
    const char *directory = getenv("OPENSSL_ENGINES");
    char *path = text("%s/ersatz.so", directory != NULL ? directory : MODULE_DIRECTORY);
    char *found = realpath(path, NULL);

    free(path);
    return found;
}

char *module_find(const char *wanted)
{
    char *found;

    if (wanted != NULL) {
        found = realpath(wanted, NULL);
        if (found == NULL)
            give_up("--module %s: %s", wanted, strerror(errno));
        return found;
    }
    found = built_with_this();
    if (found == NULL)
        found = installed();
    if (found == NULL)
        give_up(
            "the engine's module is neither beside this program nor in %s; use --module", MODULE_DIRECTORY);
    return found;
}

/* Prints OpenSSL's error queue, a line for each error. */
static void print_errors(FILE *stream)
{
    const char *data;
    int flags;
    unsigned long code;

    while ((code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
        const char *reason = ERR_reason_error_string(code);

        if ((flags & ERR_TXT_STRING) != 0 && data[0] != '\0')
            fprintf(stream, "ersatz-run: %s\n", data);
        else if (reason != NULL)
            fprintf(stream, "ersatz-run: %s\n", reason);
    }
}

/* Points descriptor 2 at /dev/null, because the engine would print there the errors that print_errors()
 * prints from the queue. Returns a stream to the old standard error. */
static FILE *silence_engine(void)
{
    int copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    FILE *stream = copy < 0 ? NULL : fdopen(copy, "w");

    if (stream == NULL || null < 0 || dup2(null, STDERR_FILENO) < 0)
        return stderr;
    return stream;
}

/* Runs in a child process. Leaves without exit handlers: the engine's would write files of statistics. */
static _Noreturn void load(const char *module, const char *control)
{
    FILE *errors = silence_engine();
    ENGINE *engine;

    unsetenv("OPENSSL_CONF");
    if (setenv("ERSATZ_CTRL", control, 1) != 0 ||
        !OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_ENGINE_DYNAMIC, NULL))
        _exit(EXIT_TROUBLE);
    engine = ENGINE_by_id("dynamic");
    if (engine == NULL || !ENGINE_ctrl_cmd_string(engine, "SO_PATH", module, 0) ||
        !ENGINE_ctrl_cmd_string(engine, "LOAD", NULL, 0) || !ENGINE_init(engine)) {
        fprintf(errors, "ersatz-run: the engine %s does not start:\n", module);
        print_errors(errors);
        fflush(errors);
        _exit(EXIT_TROUBLE);
    }
    _exit(0);
}

void module_try(const char *module, const char *control)
{
    pid_t pid = fork();
    int status;

    if (pid < 0)
        give_up("cannot start a process: %s", strerror(errno));
    if (pid == 0)
        load(module, control);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            give_up("cannot wait for the process that loads the module: %s", strerror(errno));
    }
    if (WIFSIGNALED(status))
        give_up("loading %s ended with signal %d", module, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        exit(EXIT_TROUBLE);
}

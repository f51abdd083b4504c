/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the module, and loads it as a trial: first with our own commands, then by the
 * program's configuration. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/conf.h>
#ifndef OPENSSL_NO_ENGINE
#include <openssl/engine.h>
#endif
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ersatz/output.h"
#include "run.h"

#define NAME "ersatz"
/* This program in a build directory */
#define BUILT_PROGRAM "/tools/ersatz-run/ersatz-run"

/* True if a module that lies beside this program may be loaded: its owner is root, this user, or the owner of
 * this program. */
static bool is_trusted(const char *path)
{
    struct stat own, status;

    return stat("/proc/self/exe", &own) == 0 && stat(path, &status) == 0 &&
           (status.st_uid == 0 || status.st_uid == geteuid() || status.st_uid == own.st_uid);
}

/* The module in the build directory, if this program runs from there; else NULL. An installed program has no
 * module beside it: it must not look for one outside of its prefix. */
static char *built_with_this(void)
{
    char self[PATH_MAX], *path, *found;
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    ssize_t top = length - (ssize_t)strlen(BUILT_PROGRAM); /* length of the build directory's name */

    if (top < 0 || memcmp(self + top, BUILT_PROGRAM, strlen(BUILT_PROGRAM)) != 0)
        return NULL;
    path = text("%.*s/engine/ersatz.so", (int)top, self);
    found = realpath(path, NULL);
    free(path);
    if (found != NULL && !is_trusted(found)) {
        free(found);
        found = NULL;
    }
    return found;
}

/* The directory of the installed module. */
static const char *module_directory(void)
{
    const char *engines = getenv("OPENSSL_ENGINES"), *modules = getenv("OPENSSL_MODULES");

    return engines != NULL ? engines : modules != NULL ? modules : MODULE_DIRECTORY;
}

static char *installed(void)
{
    char *path = text("%s/ersatz.so", module_directory());
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
        give_up("ersatz.so is neither beside this program nor in %s; use --module", module_directory());
    return found;
}

static void add_line(char **lines, const char *line)
{
    char *more = text("%sersatz-run: %s\n", *lines, line);

    free(*lines);
    *lines = more;
}

/* Finds in what the module has printed the reason for which it was refused. False: it was not refused. */
static bool find_refusal(int file, char *reason, size_t size)
{
    ssize_t length = pread(file, reason, size - 1, 0);
    char *found;

    reason[length < 0 ? 0 : length] = '\0';
    found = strstr(reason, ERSATZ_REFUSED);
    if (found == NULL)
        return false;
    found += strlen(ERSATZ_REFUSED);
    found[strcspn(found, "\n")] = '\0';
    memmove(reason, found, strlen(found) + 1);
    return true;
}

/* Prints OpenSSL's error queue, a line for each error: those of the module if there are any, as all others
 * then say only that it did not start. The queue of another libcrypto than this program's is not seen: then
 * what the module has printed to `said`. */
static void print_errors(int said, FILE *stream)
{
    char refusal[8192], *own = text("%s", ""), *others = text("%s", "");
    const char *data;
    int flags;
    unsigned long code;

    while ((code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
        const char *reason = ERR_reason_error_string(code), *library = ERR_lib_error_string(code);
        bool has_text = (flags & ERR_TXT_STRING) != 0 && data[0] != '\0' && strncmp(data, "name=", 5) != 0;
        bool is_own = library != NULL && strcmp(library, NAME) == 0;

        if (has_text || reason != NULL)
            add_line(is_own ? &own : &others, has_text ? data : reason);
    }
    if (own[0] == '\0' && find_refusal(said, refusal, sizeof(refusal)))
        add_line(&own, refusal);
    fputs(own[0] != '\0' ? own : others, stream);
    free(own);
    free(others);
}

/* Points descriptor 2 at this file, because the module would print there the errors that we print. Returns a
 * stream to where we print them. */
static FILE *redirect_errors(int file)
{
    int copy = fcntl(fileno(complaints()), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    FILE *stream = copy < 0 ? NULL : fdopen(copy, "w");

    if (stream == NULL || file < 0 || dup2(file, STDERR_FILENO) < 0)
        return complaints();
    return stream;
}

/* Runs a trial in a child process. The trial leaves without exit handlers: the module's would write files of
 * statistics. Exits if it fails. */
static void run_trial(const char *module, void (*trial)(void *), void *arg)
{
    pid_t pid = fork();
    int status;

    if (pid < 0)
        give_up("cannot start a process: %s", strerror(errno));
    if (pid == 0)
        trial(arg); /* does not return */
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            give_up("cannot wait for the process that loads the module: %s", strerror(errno));
    }
    if (WIFSIGNALED(status))
        give_up("loading %s ended with signal %d", module, WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        exit(EXIT_TROUBLE);
}

/* -------------------------------------------------------------------------------------- with our commands */

struct commands_trial {
    const char *module, *control;
    enum door door;
};

static bool load_engine(const char *module)
{
#ifdef OPENSSL_NO_ENGINE
    (void)module;
    return false;
#else
    ENGINE *engine;

    OPENSSL_init_crypto(OPENSSL_INIT_ENGINE_DYNAMIC, NULL);
    engine = ENGINE_by_id("dynamic");
    return engine != NULL && ENGINE_ctrl_cmd_string(engine, "SO_PATH", module, 0) &&
           ENGINE_ctrl_cmd_string(engine, "LOAD", NULL, 0) && ENGINE_init(engine);
#endif
}

static _Noreturn void try_commands(void *arg)
{
    const struct commands_trial *trial = arg;
    int said = memfd_create("stderr", MFD_CLOEXEC);
    FILE *errors = redirect_errors(said);

    unsetenv("OPENSSL_CONF");
    if (setenv("ERSATZ_CTRL", trial->control, 1) != 0 ||
        !OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL))
        _exit(EXIT_TROUBLE);
    if (trial->door == DOOR_PROVIDER ? OSSL_PROVIDER_load(NULL, trial->module) == NULL
                                     : !load_engine(trial->module)) {
        fprintf(errors, "ersatz-run: the %s %s does not start:\n", door_name(trial->door), trial->module);
        print_errors(said, errors);
        fflush(errors);
        _exit(EXIT_TROUBLE);
    }
    _exit(0);
}

void module_try(const char *module, enum door door, const char *control)
{
    struct commands_trial trial = {.module = module, .control = control, .door = door};

    run_trial(module, try_commands, &trial);
}

/* ----------------------------------------------------------------------- with the program's configuration */

struct config_trial {
    const struct config *config;
    const char *const *environment;
    struct sources *sources; /* shared with the parent process */
};

/* True if OpenSSL has loaded the module. */
static bool is_loaded(enum door door)
{
#ifndef OPENSSL_NO_ENGINE
    if (door == DOOR_ENGINE) {
        ENGINE *engine = ENGINE_get_first();

        while (engine != NULL && strcmp(ENGINE_get_id(engine), NAME) != 0)
            engine = ENGINE_get_next(engine);
        return engine != NULL;
    }
#endif
    (void)door;
    return OSSL_PROVIDER_available(NULL, NAME);
}

static void set_source(char *source, const OSSL_PROVIDER *provider)
{
    snprintf(source, PROVIDER_NAME_MAX, "%s", provider == NULL ? "" : OSSL_PROVIDER_get0_name(provider));
}

static void find_sources(struct sources *sources)
{
    EVP_CIPHER *aes = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
    EVP_KEYMGMT *rsa = EVP_KEYMGMT_fetch(NULL, "RSA", NULL);

    set_source(sources->aes, aes == NULL ? NULL : EVP_CIPHER_get0_provider(aes));
    set_source(sources->rsa, rsa == NULL ? NULL : EVP_KEYMGMT_get0_provider(rsa));
}

static _Noreturn void try_config(void *arg)
{
    const struct config_trial *trial = arg;
    enum door door = trial->config->door;
    const char *const *environment = trial->environment;
    int said = memfd_create("stderr", MFD_CLOEXEC);
    FILE *errors = redirect_errors(said);
    char reason[8192];
    bool refused;

    for (; environment[0] != NULL; environment += 2) {
        if (setenv(environment[0], environment[1], 1) != 0)
            _exit(EXIT_TROUBLE);
    }
    OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);
    refused = find_refusal(said, reason, sizeof(reason));
    if (refused || !is_loaded(door)) {
        fprintf(errors, "ersatz-run: with your configuration%s%s the %s does not start:\n",
            trial->config->file == NULL ? "" : " ", trial->config->file == NULL ? "" : trial->config->file,
            door_name(door));
        if (refused)
            fprintf(errors, "ersatz-run: %s\n", reason);
        else if (CONF_modules_load_file(NULL, NULL, 0) <= 0) /* as OpenSSL did, but it keeps the errors */
            print_errors(said, errors);
        else
            fputs("ersatz-run: OpenSSL gives no reason\n", errors);
        fflush(errors);
        _exit(EXIT_TROUBLE);
    }
    if (door == DOOR_PROVIDER)
        find_sources(trial->sources);
    _exit(0);
}

void module_try_config(const struct config *config, const char *const *environment, struct sources *sources)
{
    struct config_trial trial = {.config = config, .environment = environment};
    void *shared = mmap(NULL, sizeof(*sources), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED)
        give_up("out of memory");
    trial.sources = shared;
    run_trial(config->module, try_config, &trial);
    *sources = *trial.sources;
    munmap(shared, sizeof(*sources));
}

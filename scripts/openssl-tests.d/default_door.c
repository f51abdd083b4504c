/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into OpenSSL's own test programs (scripts/openssl-tests). If ERSATZ_MODULE is set, it is loaded
 * before main() and becomes the default for everything: as an engine, or with OPENSSL_TESTS_DOOR=provider as
 * a provider, and then also in each library context that the program makes. With OPENSSL_TESTS_IN_JOBS set,
 * main() runs in a job, which this program's real main thread resumes when it is signalled. Programs without
 * libcrypto are left alone; the script sees to it that none has one linked in statically. The module's
 * commands are those of OPENSSL_TESTS_CTRL, and its statistics go to OPENSSL_TESTS_STATS/RECIPE.PROGRAM.PID.
 */
#include <dlfcn.h>
#include <errno.h>
#include <openssl/async.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define STACK_SIZE ((size_t)8 << 20) /* what a main thread has; libcrypto gives a job 32 KiB */
#define NOT_LOADED 97                /* exit code: no test shall pass for want of the engine */

typedef int main_fn(int argc, char **argv, char **envp);

static main_fn *real_main;
static bool in_job; /* of the main thread */

struct arguments {
    int argc;
    char **argv, **envp;
};

/* libcrypto is looked up, not linked: most programs that a test starts, perl for one, have none. */
#define FIND(name) __typeof__(&name) name##_found = (__typeof__(&name))dlsym(RTLD_DEFAULT, #name)

static bool has_libcrypto(void)
{
    return dlsym(RTLD_DEFAULT, "OPENSSL_init_crypto") != NULL;
}

static void end_unloaded(void)
{
    FIND(ERR_print_errors_fp);

    ERR_print_errors_fp_found(stderr);
    _exit(NOT_LOADED);
}

/* -------------------------------------------------------------------------------------------------- doors */

#ifdef OPENSSL_NO_ENGINE
static void load_engine(void)
{
    end_unloaded();
}
#else
static void load_engine(void)
{
    FIND(OPENSSL_init_crypto);
    FIND(ENGINE_by_id);
    FIND(ENGINE_ctrl_cmd_string);
    FIND(ENGINE_set_default);
    FIND(ENGINE_free);
    ENGINE *engine;

    OPENSSL_init_crypto_found(OPENSSL_INIT_ENGINE_DYNAMIC, NULL);
    engine = ENGINE_by_id_found("dynamic");
    if (engine == NULL || !ENGINE_ctrl_cmd_string_found(engine, "SO_PATH", getenv("ERSATZ_MODULE"), 0) ||
        !ENGINE_ctrl_cmd_string_found(engine, "LOAD", NULL, 0) ||
        !ENGINE_set_default_found(engine, ENGINE_METHOD_ALL))
        end_unloaded();
    ENGINE_free_found(engine);
}
#endif

/* The module, where the provider is to be loaded; else NULL. */
static const char *provider(void)
{
    const char *door = getenv("OPENSSL_TESTS_DOOR");

    return door != NULL && strcmp(door, "provider") == 0 ? getenv("ERSATZ_MODULE") : NULL;
}

/*
 * The default provider stays what it was: there, until the program loads another. Only the default context
 * has read the configuration, which knows the module by OPENSSL_TESTS_NAME, with settings.
 */
static void load_provider(OSSL_LIB_CTX *context)
{
    FIND(OSSL_PROVIDER_try_load);
    FIND(EVP_set_default_properties);
    const char *name = context == NULL ? getenv("OPENSSL_TESTS_NAME") : NULL;

    if (name == NULL)
        name = provider();
    if (OSSL_PROVIDER_try_load_found(context, name, 1) == NULL ||
        !EVP_set_default_properties_found(context, "?provider=ersatz"))
        end_unloaded();
}

/* Contexts of libraries, such as the module's own, are not the program's. */
static bool is_of_program(void *address)
{
    Dl_info here, there;

    return dladdr(address, &here) != 0 && dladdr((void *)real_main, &there) != 0 &&
           here.dli_fbase == there.dli_fbase;
}

OSSL_LIB_CTX *OSSL_LIB_CTX_new(void)
{
    typedef OSSL_LIB_CTX *new_fn(void);
    void *from = __builtin_return_address(0);
    new_fn *real = (new_fn *)dlsym(RTLD_NEXT, "OSSL_LIB_CTX_new");
    OSSL_LIB_CTX *context;
    Dl_info caller;

    /* Where the program has a libcrypto of its own, the one of its modules is not in reach. It calls this. */
    if (real == NULL && dladdr(from, &caller) != 0)
        real = (new_fn *)dlsym(dlopen(caller.dli_fname, RTLD_LAZY | RTLD_NOLOAD), "OSSL_LIB_CTX_new");
    context = real();
    if (context != NULL && provider() != NULL && is_of_program(from))
        load_provider(context);
    return context;
}

/* --------------------------------------------------------------------------------------------------- jobs */

static int run_main(void *arg)
{
    const struct arguments *arguments = arg;

    return real_main(arguments->argc, arguments->argv, arguments->envp);
}

static void wait_to_be_told(ASYNC_WAIT_CTX *context)
{
    FIND(ASYNC_WAIT_CTX_get_all_fds);
    struct pollfd poll_fds[8];
    OSSL_ASYNC_FD fds[8];
    size_t count = 0;

    if (!ASYNC_WAIT_CTX_get_all_fds_found(context, NULL, &count) || count == 0 || count > 8 ||
        !ASYNC_WAIT_CTX_get_all_fds_found(context, fds, &count)) {
        usleep(100);
        return;
    }
    for (size_t i = 0; i < count; i++)
        poll_fds[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    poll(poll_fds, count, 1000);
}

static int run_in_job(struct arguments *arguments)
{
    FIND(ASYNC_start_job);
    FIND(ASYNC_WAIT_CTX_new);
    FIND(ASYNC_WAIT_CTX_free);
    ASYNC_WAIT_CTX *context = ASYNC_WAIT_CTX_new_found();
    ASYNC_JOB *job = NULL;
    int status, code = NOT_LOADED;

    /* The next definition, this library's own being the first. */
    ASYNC_start_job_found = (__typeof__(&ASYNC_start_job))dlsym(RTLD_NEXT, "ASYNC_start_job");
    while ((status = ASYNC_start_job_found(&job, context, &code, run_main, arguments, sizeof(*arguments))) ==
           ASYNC_PAUSE)
        wait_to_be_told(context);
    ASYNC_WAIT_CTX_free_found(context);
    return status == ASYNC_FINISH ? code : NOT_LOADED;
}

/* A job's context, with a stack that a whole program fits on. libcrypto frees the one it knows of. */
void makecontext(ucontext_t *context, void (*function)(void), int argc, ...)
{
    void (*real)(ucontext_t *, void (*)(void), int, ...) =
        (void (*)(ucontext_t *, void (*)(void), int, ...))dlsym(RTLD_NEXT, "makecontext");
    stack_t given = context->uc_stack;
    void *stack =
        mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    if (argc != 0) /* not libcrypto, which gives no arguments */
        abort();
    if (stack != MAP_FAILED) {
        context->uc_stack.ss_sp = stack;
        context->uc_stack.ss_size = STACK_SIZE;
    }
    real(context, function, 0);
    context->uc_stack = given;
}

/* libcrypto's jobs do not nest: what the program would do in one of its own it does in the one it is in. */
int ASYNC_start_job(
    ASYNC_JOB **job, ASYNC_WAIT_CTX *context, int *ret, int (*function)(void *), void *args, size_t size)
{
    FIND(ASYNC_get_current_job);
    __typeof__(&ASYNC_start_job) real = (__typeof__(&ASYNC_start_job))dlsym(RTLD_NEXT, "ASYNC_start_job");

    if (!in_job || ASYNC_get_current_job_found() == NULL)
        return real(job, context, ret, function, args, size);
    *ret = function(args);
    *job = NULL;
    return ASYNC_FINISH;
}

/* --------------------------------------------------------------------------------------------------- main */

static void set_commands(void)
{
    const char *commands = getenv("OPENSSL_TESTS_CTRL");
    const char *directory = getenv("OPENSSL_TESTS_STATS");
    const char *recipe = getenv("OPENSSL_TESTS_RECIPE");
    char *all;

    if (commands == NULL || directory == NULL || recipe == NULL)
        return;
    if (asprintf(&all, "%s;STATS_FILE:%s/%s.%s.%%p", commands, directory, recipe,
            program_invocation_short_name) < 0 ||
        setenv("ERSATZ_CTRL", all, 1) != 0)
        _exit(NOT_LOADED);
    free(all);
}

static int main_with_door(int argc, char **argv, char **envp)
{
    struct arguments arguments = {argc, argv, envp};

    if (has_libcrypto())
        set_commands();
    if (has_libcrypto() && provider() != NULL)
        load_provider(NULL);
    else if (has_libcrypto() && getenv("ERSATZ_MODULE") != NULL)
        load_engine();
    if (!has_libcrypto() || getenv("OPENSSL_TESTS_IN_JOBS") == NULL)
        return real_main(argc, argv, envp);
    in_job = true;
    return run_in_job(&arguments);
}

int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
    void (*rtld_fini)(void), void *stack_end);

int __libc_start_main(main_fn *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
    void (*rtld_fini)(void), void *stack_end)
{
    int (*real)(main_fn *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *) =
        (int (*)(main_fn *, int, char **, void (*)(void), void (*)(void), void (*)(void), void *))dlsym(
            RTLD_NEXT, "__libc_start_main");

    real_main = main;
    return real(main_with_door, argc, argv, init, fini, rtld_fini, stack_end);
}

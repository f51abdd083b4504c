/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Preloaded into a program: watches which locks libcrypto and libssl hold when a job pauses. A lock that is
 * held there stays held until the job is resumed, and the thread's next job that wants it waits for ever, or
 * gets in between.
 *
 * A pause under a lock ends the program by abort(), after the lock's name and the stack have been printed.
 * LOCK_WATCH names a file to which each process appends the number of its pauses, so that a run without any
 * is no success.
 */
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <openssl/async.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HELD_MAX 16
#define FRAMES_MAX 48

static _Thread_local void *held[HELD_MAX];
static _Thread_local unsigned held_count;
static _Atomic unsigned long pauses;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Whether the address belongs to libcrypto or libssl. */
static bool is_openssl(void *address)
{
    Dl_info module;
    const char *name;

    if (dladdr(address, &module) == 0 || module.dli_fname == NULL)
        return false;
    name = strrchr(module.dli_fname, '/');
    name = name == NULL ? module.dli_fname : name + 1;
    return strncmp(name, "libcrypto.", 10) == 0 || strncmp(name, "libssl.", 7) == 0;
}

static void take(void *lock, int result, void *caller)
{
    if (result != 0 || !is_openssl(caller))
        return;
    if (held_count < HELD_MAX)
        held[held_count] = lock;
    held_count++;
}

static void give(const void *lock)
{
    for (unsigned i = held_count < HELD_MAX ? held_count : HELD_MAX; i-- > 0;) {
        if (held[i] != lock)
            continue;
        memmove(&held[i], &held[i + 1], (HELD_MAX - 1 - i) * sizeof(held[0]));
        held_count--;
        return;
    }
}

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
    int result = REAL(pthread_rwlock_rdlock)(lock);

    take(lock, result, __builtin_return_address(0));
    return result;
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
    int result = REAL(pthread_rwlock_wrlock)(lock);

    take(lock, result, __builtin_return_address(0));
    return result;
}

int pthread_rwlock_unlock(pthread_rwlock_t *lock)
{
    give(lock);
    return REAL(pthread_rwlock_unlock)(lock);
}

int pthread_mutex_lock(pthread_mutex_t *lock)
{
    int result = REAL(pthread_mutex_lock)(lock);

    take(lock, result, __builtin_return_address(0));
    return result;
}

int pthread_mutex_unlock(pthread_mutex_t *lock)
{
    give(lock);
    return REAL(pthread_mutex_unlock)(lock);
}

int ASYNC_pause_job(void)
{
    void *frames[FRAMES_MAX];

    atomic_fetch_add(&pauses, 1);
    if (held_count > 0) {
        fprintf(stderr, "lock_watch: %u lock(s) of OpenSSL's are held at a pause; the last at %p\n",
            held_count, held[held_count <= HELD_MAX ? held_count - 1 : HELD_MAX - 1]);
        backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), STDERR_FILENO);
        abort();
    }
    return REAL(ASYNC_pause_job)();
}

__attribute__((destructor)) static void report(void)
{
    const char *path = getenv("LOCK_WATCH");
    unsigned long count = atomic_load(&pauses);
    int file;

    if (path == NULL || count == 0)
        return;
    file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0)
        return;
    dprintf(file, "%lu\n", count);
    close(file);
}

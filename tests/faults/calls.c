/* SPDX-License-Identifier: Apache-2.0 */
/* The places in the module that call what may fail, and which of them is to fail. See calls.h. */
#include "calls.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "calls_inside.h"
#include "check.h"

static struct shared {
    pthread_mutex_t lock; /* between processes: for adding a place */
    _Atomic unsigned count;
    struct place places[PLACES_MAX];
} * shared;

static uintptr_t module_begin, module_end;
static void *module; /* for dlopen(3) */
static const char *module_name;

/* What is to fail; set while this process has one thread. */
static const struct place *_Atomic failing;
static int failing_error;
static _Atomic long failing_times;

#define MEMORY                                                                                               \
    {                                                                                                        \
        ENOMEM                                                                                               \
    }
#define NO_ERRNO                                                                                             \
    {                                                                                                        \
        -1                                                                                                   \
    }

/* EINTR and EAGAIN come and go. What comes for good is what the kernel may say for good. */
static const struct errors table[] = {
    {"malloc", MEMORY, true},
    {"calloc", MEMORY, true},
    {"aligned_alloc", MEMORY, true},
    {"realloc", MEMORY, true},
    {"strdup", MEMORY, true},
    {"mmap", {ENOMEM, ENODEV}, true},
    {"ftruncate", {ENOSPC, EIO}, true},
    {"open", {EACCES, EMFILE, ENOSPC}, true},
    {"openat", {EACCES, EMFILE}, true},
    {"opendir", {EMFILE}, true},
    {"fstat", {EIO}, true},
    {"ppoll", {EINTR, ENOMEM}, false},
    {"process_vm_readv", {EPERM, EFAULT}, true},
    {"eventfd", {EMFILE, ENFILE, ENOMEM}, true},
    {"dup3", {EMFILE, EBUSY}, true},
    {"pthread_create", {EAGAIN, EPERM}, true},
    {"fopen", {ENOSPC, EACCES}, true},
    {"open_memstream", MEMORY, true},
    {"read", {EINTR, EIO}, false},
    {"write", {EINTR}, false},
    {"poll", {EINTR, ENOMEM}, false},
    {"sem_wait", {EINTR}, false},
    {"syscall", {EINTR, EAGAIN}, false},
    {"sched_getaffinity", {EPERM}, true},
    {"pthread_key_create", {EAGAIN, ENOMEM}, true},
    {"ASYNC_pause_job", NO_ERRNO, false}, /* a job that is held, and cannot pause, waits for ever */
    {"io_uring_queue_init_params", {EMFILE, ENOMEM, EPERM, ENOSYS, EINVAL}, true},
    {"io_uring_get_probe_ring", NO_ERRNO, true},
    {"io_uring_register_ring_fd", {ENOMEM, EBUSY, EINVAL}, true},
    {"io_uring_submit_and_wait", {EINTR, EAGAIN, EBUSY, ENOMEM, EBADF, EPERM}, true},
};

static const struct errors of_libcrypto = {"", NO_ERRNO, true};

const struct errors *calls_errors(const char *function)
{
    for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(table[i].function, function) == 0)
            return &table[i];
    }
    return &of_libcrypto;
}

/* ------------------------------------------------------------------------------------------------- places */

static struct place *find(const char *function, unsigned long offset, unsigned from)
{
    unsigned count = atomic_load_explicit(&shared->count, memory_order_acquire);

    for (unsigned i = from; i < count; i++) {
        if (shared->places[i].offset == offset && strcmp(shared->places[i].function, function) == 0)
            return &shared->places[i];
    }
    return NULL;
}

static struct place *add(const char *function, unsigned long offset)
{
    struct place *place;

    pthread_mutex_lock(&shared->lock);
    place = find(function, offset, 0);
    if (place == NULL) {
        unsigned count = atomic_load(&shared->count);

        CHECK(count < PLACES_MAX);
        place = &shared->places[count];
        place->function = function;
        place->offset = offset;
        /* Release: pairs with the acquire in find(). */
        atomic_store_explicit(&shared->count, count + 1, memory_order_release);
    }
    pthread_mutex_unlock(&shared->lock);
    return place;
}

bool calls_is_module(const void *address)
{
    return (uintptr_t)address >= module_begin && (uintptr_t)address < module_end;
}

bool calls_refuse(const char *function, const void *caller)
{
    struct place *place;

    if (!calls_is_module(caller))
        return false;
    place = find(function, (uintptr_t)caller - module_begin, 0);
    if (place == NULL)
        place = add(function, (uintptr_t)caller - module_begin);
    atomic_fetch_add(&place->calls, 1);
    if (place != atomic_load(&failing) || atomic_fetch_sub(&failing_times, 1) <= 0)
        return false;
    atomic_fetch_add(&place->failures, 1);
    if (failing_error > 0)
        errno = failing_error;
    else
        ERR_raise(ERR_LIB_CRYPTO, ERR_R_MALLOC_FAILURE); /* as libcrypto would */
    return true;
}

static int note_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    if (strcmp(info->dlpi_name, module_name) != 0)
        return 0;
    module_begin = info->dlpi_addr;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];

        if (header->p_type == PT_LOAD && info->dlpi_addr + header->p_vaddr + header->p_memsz > module_end)
            module_end = info->dlpi_addr + header->p_vaddr + header->p_memsz;
    }
    return 1;
}

void calls_begin(const char *path)
{
    pthread_mutexattr_t attributes;

    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&shared->lock, &attributes);
    module_name = path;
    module = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* it stays: so does its place in memory */
    CHECK(module != NULL);
    CHECK_EQ(dl_iterate_phdr(note_module, NULL), 1);
}

void calls_fail(const struct place *place, int error, long times)
{
    failing_error = error;
    atomic_store(&failing_times, times);
    atomic_store(&failing, place);
}

unsigned calls_places(void)
{
    return atomic_load(&shared->count);
}

struct place *calls_place(unsigned i)
{
    return &shared->places[i];
}

int calls_error(void)
{
    return failing_error;
}

void *calls_behind(const char *name)
{
    void *real = dlsym(module == NULL ? RTLD_NEXT : module, name);

    CHECK(real != NULL);
    return real;
}

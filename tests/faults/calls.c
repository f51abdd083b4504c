/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in front of what the module calls. See calls.h. */
#include "calls.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <link.h>
#include <linux/futex.h>
#include <openssl/async.h>
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "check.h"
#include "sanitizer.h"

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

static bool is_module(uintptr_t address)
{
    return address >= module_begin && address < module_end;
}

/* Whether this call is to fail. */
static bool fails(const char *function, void *caller)
{
    struct place *place;

    if (!is_module((uintptr_t)caller))
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

/* ------------------------------------------------------------------------------------------------- memory */

#define HERE __builtin_return_address(0)

#pragma GCC visibility push(default)

#ifdef SANITIZER_ALLOCATES

long calls_blocks(void)
{
    return -1;
}

#else

/* glibc's own, under the names it gives them for this. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *pointer, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *pointer);

/* The addresses of the module's blocks: open addressing, by a lock of its own. */
#define BLOCKS (1u << 16)
static void *blocks[BLOCKS];
static long block_count;
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned slot_of(const void *pointer)
{
    return (unsigned)((uintptr_t)pointer * UINT64_C(0x9e3779b97f4a7c15) >> 48) % BLOCKS;
}

static void *note(void *pointer, void *caller)
{
    if (pointer == NULL || !is_module((uintptr_t)caller))
        return pointer;
    pthread_mutex_lock(&blocks_lock);
    for (unsigned i = slot_of(pointer), tried = 0; tried < BLOCKS; tried++, i = (i + 1) % BLOCKS) {
        if (blocks[i] == NULL || blocks[i] == &blocks) {
            blocks[i] = pointer;
            block_count++;
            break;
        }
    }
    pthread_mutex_unlock(&blocks_lock);
    return pointer;
}

/* Whether it was the module's. */
static bool forget(const void *pointer)
{
    bool known = false;

    pthread_mutex_lock(&blocks_lock);
    for (unsigned i = slot_of(pointer), tried = 0; tried < BLOCKS && blocks[i] != NULL;
         tried++, i = (i + 1) % BLOCKS) {
        if (blocks[i] == pointer) {
            blocks[i] = &blocks; /* was used: the search goes on past it */
            block_count--;
            known = true;
            break;
        }
    }
    pthread_mutex_unlock(&blocks_lock);
    return known;
}

/* Another thread may have it at a fork. */
static void lock_blocks(void)
{
    pthread_mutex_lock(&blocks_lock);
}

static void unlock_blocks(void)
{
    pthread_mutex_unlock(&blocks_lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    CHECK_EQ(pthread_atfork(lock_blocks, unlock_blocks, unlock_blocks), 0);
}

long calls_blocks(void)
{
    long count;

    pthread_mutex_lock(&blocks_lock);
    count = block_count;
    pthread_mutex_unlock(&blocks_lock);
    return count;
}

void *malloc(size_t size)
{
    return fails("malloc", HERE) ? NULL : note(__libc_malloc(size), HERE);
}

void *calloc(size_t count, size_t size)
{
    return fails("calloc", HERE) ? NULL : note(__libc_calloc(count, size), HERE);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails("aligned_alloc", HERE) ? NULL : note(__libc_memalign(alignment, size), HERE);
}

void *realloc(void *pointer, size_t size)
{
    void *other;

    if (fails("realloc", HERE))
        return NULL;
    if (pointer == NULL)
        return note(__libc_malloc(size), HERE);
    other = __libc_realloc(pointer, size);
    if (other != NULL && other != pointer && forget(pointer))
        note(other, HERE);
    return other;
}

char *strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = fails("strdup", HERE) ? NULL : note(__libc_malloc(size), HERE);

    return copy == NULL ? NULL : memcpy(copy, text, size);
}

void free(void *pointer)
{
    if (pointer == NULL)
        return;
    forget(pointer);
    __libc_free(pointer);
}

#endif

/* ------------------------------------------------------------------------------------------- system calls */

/* The function that stands behind ours: in a library of the module's, or before that is loaded, of this
 * program's. */
static void *behind(const char *name)
{
    void *real = dlsym(module == NULL ? RTLD_NEXT : module, name);

    CHECK(real != NULL);
    return real;
}

#define REAL(name) ((__typeof__(&(name)))behind(#name))

#define REFUSE(type, name, refusal, parameters, ...)                                                         \
    type name parameters;                                                                                    \
    type name parameters                                                                                     \
    {                                                                                                        \
        static __typeof__(&(name)) real;                                                                     \
                                                                                                             \
        if (real == NULL)                                                                                    \
            real = REAL(name);                                                                               \
        return fails(#name, HERE) ? (refusal) : real(__VA_ARGS__);                                           \
    }

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#pragma GCC diagnostic ignored "-Wpedantic"

REFUSE(int, eventfd, -1, (unsigned count, int flags), count, flags)
REFUSE(int, dup3, -1, (int from, int to, int flags), from, to, flags)
REFUSE(int, pthread_create, failing_error,
    (pthread_t * thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg), thread, attr, start,
    arg)
REFUSE(FILE *, open_memstream, NULL, (char **text, size_t *size), text, size)
REFUSE(ssize_t, read, -1, (int fd, void *to, size_t size), fd, to, size)
REFUSE(ssize_t, write, -1, (int fd, const void *from, size_t size), fd, from, size)
REFUSE(int, poll, -1, (struct pollfd * fds, nfds_t count, int timeout), fds, count, timeout)
REFUSE(int, ppoll, -1,
    (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask), fds, count,
    timeout, mask)
REFUSE(DIR *, opendir, NULL, (const char *path), path)
REFUSE(ssize_t, process_vm_readv, -1,
    (pid_t pid, const struct iovec *to, unsigned long to_count, const struct iovec *from,
        unsigned long from_count, unsigned long flags),
    pid, to, to_count, from, from_count, flags)
REFUSE(int, sem_wait, -1, (sem_t * semaphore), semaphore)
REFUSE(int, sched_getaffinity, -1, (pid_t pid, size_t size, cpu_set_t *set), pid, size, set)
REFUSE(int, pthread_key_create, failing_error, (pthread_key_t * key, void (*end)(void *)), key, end)
REFUSE(int, io_uring_queue_init_params, -failing_error,
    (unsigned entries, struct io_uring *ring, struct io_uring_params *params), entries, ring, params)
REFUSE(struct io_uring_probe *, io_uring_get_probe_ring, NULL, (struct io_uring * ring), ring)
REFUSE(int, io_uring_register_ring_fd, -failing_error, (struct io_uring * ring), ring)
REFUSE(int, io_uring_submit_and_wait, -failing_error, (struct io_uring * ring, unsigned wanted), ring, wanted)
/* Which large files give another name. */
FILE *fopen64(const char *restrict path, const char *restrict mode)
{
    static __typeof__(&fopen64) real;

    if (real == NULL)
        real = REAL(fopen64);
    return fails("fopen", HERE) ? NULL : real(path, mode);
}

/* Large files give others other names, too. */
void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
    static __typeof__(&mmap64) real;

    if (real == NULL)
        real = REAL(mmap64);
    return fails("mmap", HERE) ? MAP_FAILED : real(at, size, protection, flags, fd, offset);
}

int ftruncate64(int fd, off64_t size)
{
    static __typeof__(&ftruncate64) real;

    if (real == NULL)
        real = REAL(ftruncate64);
    return fails("ftruncate", HERE) ? -1 : real(fd, size);
}

int fstat64(int fd, struct stat64 *stat)
{
    static __typeof__(&fstat64) real;

    if (real == NULL)
        real = REAL(fstat64);
    return fails("fstat", HERE) ? -1 : real(fd, stat);
}

int open64(const char *path, int flags, ...)
{
    static __typeof__(&open64) real;
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    if (real == NULL)
        real = REAL(open64);
    return fails("open", HERE) ? -1 : real(path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...)
{
    static __typeof__(&openat64) real;
    va_list list;
    mode_t mode;

    va_start(list, flags);
    mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;
    va_end(list);
    if (real == NULL)
        real = REAL(openat64);
    return fails("openat", HERE) ? -1 : real(directory, path, flags, mode);
}

/* The futex: to wait on it may fail, to wake does not. */
long syscall(long number, ...)
{
    static __typeof__(&syscall) real;
    long args[6];
    va_list list;

    va_start(list, number);
    for (int i = 0; i < 6; i++)
        args[i] = va_arg(list, long);
    va_end(list);
    if (real == NULL)
        real = REAL(syscall);
    if (number == SYS_futex &&
        ((args[1] & FUTEX_CMD_MASK) == FUTEX_WAIT || (args[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET) &&
        fails("syscall", HERE))
        return -1;
    return real(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

/* ---------------------------------------------------------------------------------------------- libcrypto */

REFUSE(void *, CRYPTO_malloc, NULL, (size_t size, const char *file, int line), size, file, line)
REFUSE(void *, CRYPTO_zalloc, NULL, (size_t size, const char *file, int line), size, file, line)
REFUSE(void *, CRYPTO_memdup, NULL, (const void *from, size_t size, const char *file, int line), from, size,
    file, line)
REFUSE(int, CRYPTO_get_ex_new_index, -1,
    (int kind, long argl, void *argp, CRYPTO_EX_new *new_fn, CRYPTO_EX_dup *dup_fn, CRYPTO_EX_free *free_fn),
    kind, argl, argp, new_fn, dup_fn, free_fn)
REFUSE(int, OPENSSL_atexit, 0, (void (*handler)(void)), handler)
REFUSE(BN_CTX *, BN_CTX_new, NULL, (void), )
REFUSE(BN_CTX *, BN_CTX_secure_new, NULL, (void), )
REFUSE(BIGNUM *, BN_CTX_get, NULL, (BN_CTX * ctx), ctx)
REFUSE(BIGNUM *, BN_new, NULL, (void), )
REFUSE(BIGNUM *, BN_dup, NULL, (const BIGNUM *from), from)
REFUSE(BIGNUM *, BN_bin2bn, NULL, (const unsigned char *from, int len, BIGNUM *to), from, len, to)
REFUSE(int, BN_set_word, 0, (BIGNUM * number, BN_ULONG word), number, word)
REFUSE(int, BN_mul, 0, (BIGNUM * to, const BIGNUM *a, const BIGNUM *b, BN_CTX *ctx), to, a, b, ctx)
REFUSE(int, BN_nnmod, 0, (BIGNUM * to, const BIGNUM *a, const BIGNUM *b, BN_CTX *ctx), to, a, b, ctx)
REFUSE(int, BN_lshift, 0, (BIGNUM * to, const BIGNUM *from, int by), to, from, by)
REFUSE(BIGNUM *, BN_mod_inverse, NULL, (BIGNUM * to, const BIGNUM *a, const BIGNUM *n, BN_CTX *ctx), to, a, n,
    ctx)
REFUSE(EVP_CIPHER *, EVP_CIPHER_meth_new, NULL, (int type, int block, int key), type, block, key)
REFUSE(EVP_MD *, EVP_MD_meth_dup, NULL, (const EVP_MD *from), from)
REFUSE(EVP_PKEY_CTX *, EVP_PKEY_CTX_dup, NULL, (const EVP_PKEY_CTX *from), from)
REFUSE(EVP_PKEY_CTX *, EVP_PKEY_CTX_new, NULL, (EVP_PKEY * key, ENGINE *engine), key, engine)
REFUSE(EVP_PKEY_CTX *, EVP_PKEY_CTX_new_from_name, NULL,
    (OSSL_LIB_CTX * context, const char *name, const char *query), context, name, query)
REFUSE(EVP_PKEY_METHOD *, EVP_PKEY_meth_new, NULL, (int id, int flags), id, flags)
REFUSE(EVP_PKEY *, EVP_PKEY_new, NULL, (void), )
REFUSE(OSSL_LIB_CTX *, OSSL_LIB_CTX_new, NULL, (void), )
REFUSE(OSSL_PROVIDER *, OSSL_PROVIDER_load, NULL, (OSSL_LIB_CTX * context, const char *name), context, name)
REFUSE(const OSSL_ALGORITHM *, OSSL_PROVIDER_query_operation, NULL,
    (const OSSL_PROVIDER *provider, int operation, int *no_cache), provider, operation, no_cache)
REFUSE(int, RAND_bytes, 0, (unsigned char *to, int size), to, size)
REFUSE(int, RAND_set_DRBG_type, 0,
    (OSSL_LIB_CTX * context, const char *drbg, const char *query, const char *cipher, const char *digest),
    context, drbg, query, cipher, digest)
REFUSE(RSA *, RSA_new, NULL, (void), )
REFUSE(RSA_METHOD *, RSA_meth_dup, NULL, (const RSA_METHOD *from), from)
REFUSE(int, RSA_meth_set1_name, 0, (RSA_METHOD * method, const char *name), method, name)
REFUSE(int, RSA_set_method, 0, (RSA * rsa, const RSA_METHOD *method), rsa, method)
REFUSE(int, RSA_set_ex_data, 0, (RSA * rsa, int index, void *data), rsa, index, data)
REFUSE(int, RSA_private_encrypt, -1,
    (int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding), len, from, to, rsa,
    padding)
REFUSE(int, RSA_public_encrypt, -1,
    (int len, const unsigned char *from, unsigned char *to, RSA *rsa, int padding), len, from, to, rsa,
    padding)
REFUSE(int, ENGINE_set_id, 0, (ENGINE * engine, const char *id), engine, id)
REFUSE(int, ASYNC_pause_job, 0, (void), )
REFUSE(int, ASYNC_WAIT_CTX_set_wait_fd, 0,
    (ASYNC_WAIT_CTX * context, const void *key, OSSL_ASYNC_FD fd, void *custom,
        void (*end)(ASYNC_WAIT_CTX *, const void *, OSSL_ASYNC_FD, void *)),
    context, key, fd, custom, end)

#pragma GCC diagnostic pop
#pragma GCC visibility pop

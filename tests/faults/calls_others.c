/* SPDX-License-Identifier: Apache-2.0 */
/* Stands in front of what the module calls of the C library, liburing and libcrypto, without malloc(3). */
#include <dirent.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/futex.h>
#include <openssl/async.h>
#include <openssl/engine.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "calls_inside.h"

/* ------------------------------------------------------------------------------------------- system calls */

#define REAL(name) ((__typeof__(&(name)))calls_behind(#name))

#define REFUSE(type, name, refusal, parameters, ...)                                                         \
    type name parameters;                                                                                    \
    type name parameters                                                                                     \
    {                                                                                                        \
        static __typeof__(&(name)) real;                                                                     \
                                                                                                             \
        if (real == NULL)                                                                                    \
            real = REAL(name);                                                                               \
        return calls_refuse(#name, HERE) ? (refusal) : real(__VA_ARGS__);                                    \
    }

#pragma GCC visibility push(default)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
#pragma GCC diagnostic ignored "-Wpedantic"

REFUSE(int, eventfd, -1, (unsigned count, int flags), count, flags)
REFUSE(int, dup3, -1, (int from, int to, int flags), from, to, flags)
REFUSE(int, pthread_create, calls_error(),
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
REFUSE(int, pthread_key_create, calls_error(), (pthread_key_t * key, void (*end)(void *)), key, end)
REFUSE(int, io_uring_queue_init_params, -calls_error(),
    (unsigned entries, struct io_uring *ring, struct io_uring_params *params), entries, ring, params)
REFUSE(struct io_uring_probe *, io_uring_get_probe_ring, NULL, (struct io_uring * ring), ring)
REFUSE(int, io_uring_register_ring_fd, -calls_error(), (struct io_uring * ring), ring)
REFUSE(int, io_uring_submit_and_wait, -calls_error(), (struct io_uring * ring, unsigned wanted), ring, wanted)
/* Which large files give another name. */
FILE *fopen64(const char *restrict path, const char *restrict mode)
{
    static __typeof__(&fopen64) real;

    if (real == NULL)
        real = REAL(fopen64);
    return calls_refuse("fopen", HERE) ? NULL : real(path, mode);
}

/* Large files give others other names, too. */
void *mmap64(void *at, size_t size, int protection, int flags, int fd, off64_t offset)
{
    static __typeof__(&mmap64) real;

    if (real == NULL)
        real = REAL(mmap64);
    return calls_refuse("mmap", HERE) ? MAP_FAILED : real(at, size, protection, flags, fd, offset);
}

int ftruncate64(int fd, off64_t size)
{
    static __typeof__(&ftruncate64) real;

    if (real == NULL)
        real = REAL(ftruncate64);
    return calls_refuse("ftruncate", HERE) ? -1 : real(fd, size);
}

int fstat64(int fd, struct stat64 *stat)
{
    static __typeof__(&fstat64) real;

    if (real == NULL)
        real = REAL(fstat64);
    return calls_refuse("fstat", HERE) ? -1 : real(fd, stat);
}

/* The argument behind the flags, which only some of them have. */
#define TAKE_MODE(mode, flags)                                                                               \
    do {                                                                                                     \
        va_list list;                                                                                        \
        va_start(list, flags);                                                                               \
        (mode) = (flags) & (O_CREAT | __O_TMPFILE) ? va_arg(list, mode_t) : 0;                               \
        va_end(list);                                                                                        \
    } while (0)

int open64(const char *path, int flags, ...)
{
    static __typeof__(&open64) real;
    mode_t mode;

    TAKE_MODE(mode, flags);
    if (real == NULL)
        real = REAL(open64);
    return calls_refuse("open", HERE) ? -1 : real(path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...)
{
    static __typeof__(&openat64) real;
    mode_t mode;

    TAKE_MODE(mode, flags);
    if (real == NULL)
        real = REAL(openat64);
    return calls_refuse("openat", HERE) ? -1 : real(directory, path, flags, mode);
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
        calls_refuse("syscall", HERE))
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

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the end of a wait context is noticed.
 *
 * One that libssl made: the argument of libssl's callback is the SSL. When an SSL is freed, libcrypto frees
 * its ex_data, and calls our function for that. The application sees nothing of this.
 *
 * One that the application made: libcrypto reports its end through its descriptors only. So it gets an entry
 * without a descriptor (-1), which ASYNC_WAIT_CTX_get_all_fds() shows as long as the operation lasts.
 */
#include "contexts.h"

#include <dlfcn.h>
#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "ersatz/undisturbed.h"

/* Held for a few instructions, and across fork(), so that the child finds it free and the list whole. */
static struct ersatz_lock lock = ERSATZ_LOCK_INITIALIZER;
static struct waiting *all;
static bool listens; /* for the end of each SSL */

/* The last callback of each kind that was looked up. Relaxed: they are compared only. */
static _Atomic uintptr_t of_libssl, of_others;

__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_hold_across_forks(&lock);
}

static void unlink_waiting(struct waiting *waiting)
{
    *waiting->link = waiting->next;
    if (waiting->next != NULL)
        waiting->next->link = waiting->link;
    waiting->link = NULL;
}

/* Called when an SSL is freed. */
static void connection_ends(
    void *connection, void *pointer, CRYPTO_EX_DATA *data, int index, long arg_long, void *arg)
{
    struct ersatz_locked locked;
    struct ersatz_request *request = NULL;

    (void)pointer;
    (void)data;
    (void)index;
    (void)arg_long;
    (void)arg;
    ersatz_lock(&lock, &locked);
    for (struct waiting *each = all; each != NULL; each = each->next) {
        if (each->connection != connection)
            continue;
        request = each->request;
        unlink_waiting(each);
        break;
    }
    ersatz_unlock(&locked);
    if (request != NULL)
        ersatz_request_lost(request, false, true);
}

/* Called when a wait context is freed that is not libssl's. The callback's argument may be still in use. */
static void context_ends(ASYNC_WAIT_CTX *context, const void *key, OSSL_ASYNC_FD fd, void *arg)
{
    struct waiting *waiting = arg;
    struct ersatz_locked locked;
    struct ersatz_request *request = NULL;

    (void)context;
    (void)key;
    (void)fd;
    ersatz_lock(&lock, &locked);
    if (waiting->link != NULL) {
        request = waiting->request;
        unlink_waiting(waiting);
    }
    ersatz_unlock(&locked);
    if (request != NULL)
        ersatz_request_lost(request, false, false);
}

/* Whether it is the callback that libssl sets for SSL_MODE_ASYNC. */
static bool is_of_libssl(ASYNC_callback_fn callback)
{
    uintptr_t function = (uintptr_t)callback;
    const char *name;
    Dl_info info;
    bool is;

    if (atomic_load_explicit(&of_libssl, memory_order_relaxed) == function)
        return true;
    if (atomic_load_explicit(&of_others, memory_order_relaxed) == function)
        return false;
    if (dladdr((void *)function, &info) == 0 || info.dli_fname == NULL)
        return false;
    name = strrchr(info.dli_fname, '/');
    is = strncmp(name == NULL ? info.dli_fname : name + 1, "libssl", strlen("libssl")) == 0;
    atomic_store_explicit(is ? &of_libssl : &of_others, function, memory_order_relaxed);
    return is;
}

/* Once for the process, with the first operation that is checked. */
static void listen_once(void)
{
    struct ersatz_locked locked;
    bool first;

    ersatz_lock(&lock, &locked);
    first = !listens;
    listens = true;
    ersatz_unlock(&locked);
    if (first)
        CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, NULL, NULL, NULL, connection_ends);
}

/* The unfinished operation that waits through this context, or NULL. Under the lock. */
static struct waiting *find(const ASYNC_WAIT_CTX *context)
{
    struct waiting *each = all;

    while (each != NULL && each->context != context)
        each = each->next;
    return each;
}

void contexts_begin(struct waiting *waiting, struct ersatz_request *request, ASYNC_WAIT_CTX *context,
    ASYNC_callback_fn callback, void *arg)
{
    struct waiting *earlier;
    struct ersatz_locked locked;
    struct ersatz_request *lost = NULL;

    listen_once();
    *waiting = (struct waiting){.context = context, .request = request};
    if (is_of_libssl(callback))
        waiting->connection = arg;
    ersatz_lock(&lock, &locked);
    earlier = find(context);
    if (earlier != NULL) {
        lost = earlier->request;
        unlink_waiting(earlier);
    }
    waiting->next = all;
    waiting->link = &all;
    if (all != NULL)
        all->link = &waiting->next;
    all = waiting;
    ersatz_unlock(&locked);
    if (lost != NULL) {
        ASYNC_WAIT_CTX_clear_fd(context, earlier);
        ersatz_request_lost(lost, true, false);
    }
    /* The address of `waiting` is a key that nobody else has. Without memory, the context's end is missed. */
    if (waiting->connection == NULL)
        ASYNC_WAIT_CTX_set_wait_fd(context, waiting, OSSL_BAD_ASYNC_FD, waiting, context_ends);
}

void contexts_end(struct waiting *waiting)
{
    struct ersatz_locked locked;
    bool known;

    ersatz_lock(&lock, &locked);
    known = waiting->link != NULL;
    if (known)
        unlink_waiting(waiting);
    ersatz_unlock(&locked);
    /* If it is not listed any more, its context is gone. */
    if (known && waiting->connection == NULL)
        ASYNC_WAIT_CTX_clear_fd(waiting->context, waiting);
}

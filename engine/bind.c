/* SPDX-License-Identifier: Apache-2.0 */
/* The entry of the module for libcrypto: binds an ENGINE to the module, and frees what belongs to it. */
#include <dlfcn.h>
#include <openssl/engine.h>
#include <openssl/rand.h>
#include <string.h>

#include "cipher.h"
#include "control.h"
#include "digests.h"
#include "driver/card.h"
#include "driver/door.h"
#include "driver/error.h"
#include "driver/refusal.h"
#include "driver/rsa.h"
#include "ersatz/undisturbed.h"
#include "rsa_pkey.h"

#define ENGINE_ID "ersatz"
#define ENGINE_NAME "ersatz: a simulated asynchronous crypto accelerator"

/* Under bound_lock: how many ENGINEs are bound to the module. Each load through `dynamic` makes one. */
static struct ersatz_lock bound_lock = ERSATZ_LOCK_INITIALIZER;
static unsigned bound;

/*
 * OPENSSL_cleanup(3) frees the random generators before the engines if somebody has called
 * RAND_get_rand_method(3), and after them otherwise. A generator that uses AES of this engine would then call
 * ENGINE_finish(3), which takes a lock that is already freed. So the module calls that function, but not
 * before the clean-up begins: the call selects a method, and the application could not choose another one
 * afterwards.
 */
static void ask_for_random_method(void)
{
    (void)RAND_get_rand_method();
}

/* Registers the handler once. Under the lock. False: no memory. */
static bool watch_cleanup(void)
{
    static bool watching;

    if (!watching)
        watching = OPENSSL_atexit(ask_for_random_method);
    return watching;
}

/* The lock cannot be taken before a fork, as others are: its holder may be joining the thread that forks,
 * which is in a callback. So the child gets a new one. */
__attribute__((constructor)) static void watch_forks(void)
{
    ersatz_lock_renew_in_children(&bound_lock);
}

static int create_methods(void)
{
    return control_create() && cipher_list_create() && rsa_pkey_create() && digest_list_create();
}

static void destroy_methods(void)
{
    control_destroy();
    cipher_list_destroy();
    rsa_pkey_destroy();
    digest_list_destroy();
}

/* ENGINE_init(3), for the first functional reference. Fails if io_uring is not available and the calling core
 * is not to compute instead. */
static int init(ENGINE *engine)
{
    (void)engine;
    if (door_has_card()) {
        card_use();
        refusal_end();
        return 1;
    }
    refusal_say();
    return 0;
}

/* This ENGINE has lost its last functional reference. libcrypto holds no lock while it calls this: another
 * thread may have made a new reference already. */
static int finish(ENGINE *engine)
{
    (void)engine;
    card_leave();
    return 1;
}

static int destroy(ENGINE *engine)
{
    struct ersatz_locked locked;

    (void)engine;
    ersatz_lock(&bound_lock, &locked);
    if (--bound == 0)
        control_end();
    door_close();
    if (bound == 0)
        destroy_methods();
    ersatz_unlock(&locked);
    return 1;
}

static int set_up(ENGINE *engine, const char *id)
{
    return ENGINE_set_id(engine, id) && ENGINE_set_name(engine, ENGINE_NAME) &&
           ENGINE_set_RSA(engine, rsa_method()) && ENGINE_set_ciphers(engine, cipher_list) &&
           ENGINE_set_pkey_meths(engine, rsa_pkey_methods) && ENGINE_set_digests(engine, digest_list) &&
           ENGINE_set_init_function(engine, init) && ENGINE_set_finish_function(engine, finish) &&
           ENGINE_set_cmd_defns(engine, control_definitions()) &&
           ENGINE_set_flags(engine, ENGINE_FLAGS_MANUAL_CMD_CTRL) /* see control.c */ &&
           ENGINE_set_ctrl_function(engine, control) && ENGINE_set_destroy_function(engine, destroy);
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash == NULL ? path : slash + 1;
}

/*
 * The id of this engine, if it is what id means: its own; that of Intel's engine, now or once, which some
 * programs have built in, and which they find by a link qatengine.so or qat.so to this module; or the path of
 * the module, as in `openssl engine PATH`. Else NULL.
 */
static const char *known_id(const char *id)
{
    static const char *const others[] = {"qatengine", "qat"};
    static const char here = '\0';
    Dl_info module;

    if (id == NULL || strcmp(id, ENGINE_ID) == 0)
        return ENGINE_ID;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (strcmp(id, others[i]) == 0)
            return others[i];
    if (strchr(id, '/') != NULL && dladdr(&here, &module) != 0 &&
        strcmp(file_name(id), file_name(module.dli_fname)) == 0)
        return ENGINE_ID;
    error_raise(REASON_BAD_COMMAND,
        "this module is the engine " ENGINE_ID
        "; expected that name, qatengine, qat, or its path, not \"%s\"",
        id);
    return NULL;
}

/* Under the lock. */
static bool load(ENGINE *engine, const char *id)
{
    error_load();
    id = known_id(id);
    if (id == NULL || !door_open(NULL, NULL))
        return false;
    if (!watch_cleanup())
        error_raise_result(ERSATZ_NO_MEMORY);
    else if (create_methods() && set_up(engine, id))
        return true;
    door_close();
    return false;
}

static int bind(ENGINE *engine, const char *id)
{
    struct ersatz_locked locked;
    bool ok;

    ersatz_lock(&bound_lock, &locked);
    ok = load(engine, id);
    if (ok) {
        bound++;
    } else {
        refusal_say();
        if (bound == 0)
            destroy_methods();
    }
    ersatz_unlock(&locked);
    return ok;
}

/*
 * Whether the application uses the same libcrypto as this module. A program that has libcrypto linked into it
 * statically does not, and an ENGINE, a key or an error of one libcrypto means nothing to the other.
 * bind_engine() was made for such pairs and hands over the memory functions, but since 1.1.0 the two share no
 * data any more.
 */
static int is_own_libcrypto(const dynamic_fns *application)
{
    if (application->static_state == ENGINE_get_static_state())
        return 1;
    error_load();
    door_refuse_libcrypto();
    refusal_say(); /* the application sees the error queue of its own libcrypto, not this one */
    return 0;
}

#pragma GCC visibility push(default)
int bind_engine(ENGINE *engine, const char *id, const dynamic_fns *application);

/* libcrypto looks for this name. */
int bind_engine(ENGINE *engine, const char *id, const dynamic_fns *application)
{
    return is_own_libcrypto(application) && bind(engine, id);
}

IMPLEMENT_DYNAMIC_CHECK_FN()
#pragma GCC visibility pop

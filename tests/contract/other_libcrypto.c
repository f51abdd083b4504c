/* SPDX-License-Identifier: Apache-2.0 */
/* An application whose libcrypto is not the module's, as one that is linked in statically, is refused in
 * words, before the one's ENGINE comes into the other's hands. */
#include <dlfcn.h>
#include <openssl/engine.h>

#include "check.h"
#include "support/errors.h"

int main(void)
{
    void *module = dlopen(getenv("ERSATZ_MODULE"), RTLD_NOW);
    dynamic_bind_engine bind;
    ENGINE *engine = ENGINE_new();
    static char state_of_another;
    dynamic_fns fns = {.static_state = &state_of_another};

    test_begin(100);
    CHECK(module != NULL && engine != NULL);
    CRYPTO_get_mem_functions(&fns.mem_fns.malloc_fn, &fns.mem_fns.realloc_fn, &fns.mem_fns.free_fn);
    *(void **)&bind = dlsym(module, "bind_engine");
    CHECK(bind != NULL);
    CHECK(!bind(engine, NULL, &fns));
    CHECK(error_speaks_of("libcrypto of its own"));
    CHECK(ENGINE_get_id(engine) == NULL); /* not touched */
    fns.static_state = ENGINE_get_static_state();
    CHECK(bind(engine, NULL, &fns));
    CHECK(strcmp(ENGINE_get_id(engine), "ersatz") == 0);
    CHECK(ENGINE_free(engine));
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The library's managers; see imb_manager.h. */
#include "imb_manager.h"

#include <pthread.h>
#include <stdlib.h>

#include "imb.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static IMB_ARCH wanted = IMB_ARCH_NONE; /* NONE: the widest; for tests only */
static IMB_ARCH architecture = IMB_ARCH_NONE;

static pthread_once_t functions_once = PTHREAD_ONCE_INIT;
static IMB_MGR *functions; /* constant once made; lives as long as the process */

static _Thread_local struct imb *own;
static pthread_once_t own_once = PTHREAD_ONCE_INIT;
static pthread_key_t own_key; /* whose destructor frees it when the thread ends */
static bool has_own_key;

static bool has(uint64_t features, uint64_t needed)
{
    return (features & needed) == needed;
}

/* The library looks at what the processor has, not at whether the system saves the registers across a switch
 * of threads: libgcc knows both. */
static bool runs(IMB_ARCH arch, uint64_t features)
{
    switch (arch) {
    case IMB_ARCH_AVX512:
        return has(features, IMB_CPUFLAGS_AVX512) && __builtin_cpu_supports("avx512bw");
    case IMB_ARCH_AVX2:
        return has(features, IMB_CPUFLAGS_AVX2) && __builtin_cpu_supports("avx2");
#ifdef IMB_CPUFLAGS_AVX /* later versions have none */
    case IMB_ARCH_AVX:
        return has(features, IMB_CPUFLAGS_AVX) && __builtin_cpu_supports("avx");
#endif
    case IMB_ARCH_SSE:
        return has(features, IMB_CPUFLAGS_SSE);
    default:
        return false;
    }
}

static void find_architecture(void)
{
    static const IMB_ARCH widest_first[] = {IMB_ARCH_AVX512, IMB_ARCH_AVX2,
#ifdef IMB_CPUFLAGS_AVX
        IMB_ARCH_AVX,
#endif
        IMB_ARCH_SSE};
    IMB_MGR *manager = alloc_mb_mgr(0);

    if (manager == NULL)
        return;
    for (unsigned i = 0; architecture == IMB_ARCH_NONE && i < sizeof(widest_first) / sizeof(widest_first[0]);
         i++) {
        if ((wanted == IMB_ARCH_NONE || wanted == widest_first[i]) &&
            runs(widest_first[i], manager->features))
            architecture = widest_first[i];
    }
    free_mb_mgr(manager);
}

bool imb_is_available(void)
{
    pthread_once(&once, find_architecture);
    return architecture != IMB_ARCH_NONE;
}

bool imb_use_architecture(IMB_ARCH arch)
{
    wanted = arch;
    return imb_is_available() && architecture == arch;
}

__attribute__((target("avx"))) static void clear_upper_halves(void)
{
    __builtin_ia32_vzeroupper();
}

void imb_clear_upper_halves(void)
{
    if (architecture > IMB_ARCH_SSE)
        clear_upper_halves();
}

static IMB_MGR *new_manager(void)
{
    IMB_MGR *manager = imb_is_available() ? alloc_mb_mgr(0) : NULL;

    if (manager == NULL)
        return NULL;
    switch (architecture) {
    case IMB_ARCH_AVX512:
        init_mb_mgr_avx512(manager);
        break;
    case IMB_ARCH_AVX2:
        init_mb_mgr_avx2(manager);
        break;
#ifdef IMB_CPUFLAGS_AVX
    case IMB_ARCH_AVX:
        init_mb_mgr_avx(manager);
        break;
#endif
    default:
        init_mb_mgr_sse(manager);
    }
    imb_clear_upper_halves();
    if (imb_get_errno(manager) == 0)
        return manager;
    free_mb_mgr(manager); /* its test of itself failed */
    return NULL;
}

static void find_functions(void)
{
    functions = new_manager();
}

const IMB_MGR *imb_functions(void)
{
    pthread_once(&functions_once, find_functions);
    return functions;
}

bool imb_has_vaes(void)
{
    return architecture == IMB_ARCH_AVX512 &&
           has(imb_functions()->features, IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ);
}

struct imb *imb_new(void)
{
    return calloc(1, sizeof(struct imb));
}

void imb_free(struct imb *imb)
{
    if (imb == NULL)
        return;
    if (imb->manager != NULL)
        free_mb_mgr(imb->manager);
    free(imb->key_streams);
    free(imb);
}

bool imb_make_ready(struct imb *imb)
{
    if (imb->manager == NULL)
        imb->manager = new_manager();
    return imb->manager != NULL;
}

static void free_own(void *imb)
{
    own = NULL;
    imb_free(imb);
}

static void make_own_key(void)
{
    has_own_key = pthread_key_create(&own_key, free_own) == 0;
}

static struct imb *make_own(void)
{
    struct imb *imb;

    pthread_once(&own_once, make_own_key);
    imb = has_own_key ? imb_new() : NULL;
    if (imb == NULL)
        return NULL;
    if (!imb_make_ready(imb) || pthread_setspecific(own_key, imb) != 0) {
        imb_free(imb);
        return NULL;
    }
    own = imb;
    return imb;
}

/* Not inlined: a fibre may go on in another thread, where the compiler must not use this one's addresses. */
__attribute__((noinline)) struct imb *imb_own(void)
{
    return own != NULL ? own : make_own();
}

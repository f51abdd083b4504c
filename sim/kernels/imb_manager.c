/* SPDX-License-Identifier: Apache-2.0 */
/* The library's managers; see imb_manager.h. */
#include "imb_manager.h"

#include <pthread.h>
#include <stdlib.h>

#include "imb.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static IMB_ARCH wanted = IMB_ARCH_NONE; /* NONE: the widest; for tests only */
static IMB_ARCH architecture = IMB_ARCH_NONE;

static bool has(uint64_t features, uint64_t needed)
{
    return (features & needed) == needed;
}

/* The library asks which instructions the processor has, but not whether the system saves the registers when
 * it switches threads: libgcc asks both. */
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

IMB_MGR *imb_new_manager(void)
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

struct imb *imb_new(void)
{
    return calloc(1, sizeof(struct imb));
}

void imb_free(struct imb *imb)
{
    if (imb == NULL)
        return;
    imb_cleanse(imb);
    if (imb->manager != NULL)
        free_mb_mgr(imb->manager);
    free(imb->key_streams);
    free(imb);
}

bool imb_make_ready(struct imb *imb)
{
    if (imb->manager == NULL)
        imb->manager = imb_new_manager();
    return imb->manager != NULL;
}

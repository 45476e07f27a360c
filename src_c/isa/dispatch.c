#include "isa/dispatch.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

typedef struct candidate {
    const lrk_kernels *kernels;
    int (*runs_here)(void);
} candidate;

static int always(void)
{
    return 1;
}

#if defined(__x86_64__)
/* __builtin_cpu_supports also checks (XGETBV) that the OS saves the wide registers. */
static int has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static int has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
}
#endif

/* Narrowest first. */
static const candidate candidates[] = {
    {&lrk_kernels_scalar, always},
#if defined(__x86_64__)
    {&lrk_kernels_avx2, has_avx2},
    {&lrk_kernels_avx512, has_avx512},
#elif defined(__aarch64__)
    {&lrk_kernels_neon, always},
#endif
};
enum { N_CANDIDATES = sizeof candidates / sizeof candidates[0] };

static _Atomic(const lrk_kernels *) active;

/* The usable kernels with number `index`; NULL past the last one. */
static const lrk_kernels *usable(int index)
{
    for (size_t i = 0; i < N_CANDIDATES; i++)
        if (candidates[i].runs_here() && index-- == 0)
            return candidates[i].kernels;
    return NULL;
}

int lrk_isa_count(void)
{
    int count = 0;
    while (usable(count) != NULL)
        count++;
    return count;
}

const char *lrk_isa_name(int index)
{
    const lrk_kernels *kernels = index < 0 ? NULL : usable(index);
    return kernels == NULL ? NULL : kernels->isa;
}

const lrk_kernels *lrk_active(void)
{
    const lrk_kernels *kernels = atomic_load_explicit(&active, memory_order_relaxed);
    if (kernels == NULL) {
        const lrk_kernels *widest = usable(lrk_isa_count() - 1);
        /* Only if no other thread has chosen in the meantime. */
        if (atomic_compare_exchange_strong(&active, &kernels, widest))
            kernels = widest;
    }
    return kernels;
}

const char *lrk_active_isa(void)
{
    return lrk_active()->isa;
}

int lrk_use_isa(const char *name)
{
    const lrk_kernels *kernels;
    for (int i = 0; (kernels = usable(i)) != NULL; i++)
        if (strcmp(kernels->isa, name) == 0) {
            atomic_store(&active, kernels);
            return 0;
        }
    return -1;
}

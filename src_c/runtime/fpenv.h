/* Kernels promise IEEE arithmetic: round to nearest, denormals kept. Libraries built with -ffast-math disable denormals for
   the threads of a process, so every job sets the default mode and restores the previous one. */
#ifndef LRK_FPENV_H
#define LRK_FPENV_H

#include <stdint.h>

#if defined(__x86_64__)
static inline uint64_t lrk_fp_default(void)
{
    const unsigned found = __builtin_ia32_stmxcsr();
    if ((found & 0xFFC0u) != 0x1F80u)
        __builtin_ia32_ldmxcsr(0x1F80u);
    return found;
}

static inline void lrk_fp_restore(uint64_t found)
{
    if ((found & 0xFFC0u) != 0x1F80u)
        __builtin_ia32_ldmxcsr((unsigned)found);
}
#elif defined(__aarch64__)
static inline uint64_t lrk_fp_default(void)
{
    uint64_t found;
    __asm__ volatile("mrs %0, fpcr" : "=r"(found));
    if (found != 0)
        __asm__ volatile("msr fpcr, xzr");
    return found;
}

static inline void lrk_fp_restore(uint64_t found)
{
    if (found != 0)
        __asm__ volatile("msr fpcr, %0" : : "r"(found));
}
#else
static inline uint64_t lrk_fp_default(void)
{
    return 0;
}

static inline void lrk_fp_restore(uint64_t found)
{
    (void)found;
}
#endif

/* For functions with several returns: holds until the end of the block. */
static inline void lrk_fp_restore_at(const uint64_t *found)
{
    lrk_fp_restore(*found);
}
#define LRK_FP_DEFAULT_HERE \
    __attribute__((cleanup(lrk_fp_restore_at), unused)) const uint64_t lrk_fp_found_here = lrk_fp_default()

#endif

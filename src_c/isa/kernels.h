/* The kernels of one ISA: one constant table each, filled by all.inc in <name>.c. */
#ifndef LRK_KERNELS_H
#define LRK_KERNELS_H

#include "schedule/compiler_kernels.h"
#include "schedule/plan_kernels.h"
#include "scan/scan.h"
#include "steps/kernels.h"

typedef struct lrk_kernels {
    const char *isa;
    const lrk_compiler_kernels *compiler;
    const lrk_plan_kernels *plan;
    const lrk_step_kernels *steps;
    const lrk_scan_kernels *scan;
} lrk_kernels;

extern const lrk_kernels lrk_kernels_scalar;
#if defined(__x86_64__)
extern const lrk_kernels lrk_kernels_avx2;
extern const lrk_kernels lrk_kernels_avx512;
extern const lrk_compiler_kernels lrk_compiler_avx2;
#elif defined(__aarch64__)
extern const lrk_kernels lrk_kernels_neon;
#endif

#endif

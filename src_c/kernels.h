/* The kernels of one ISA: one constant table each, filled by isa.inc in the file isa_<name>.c. */
#ifndef LRK_KERNELS_H
#define LRK_KERNELS_H

#include "compiler_kernels.h"
#include "plan_kernels.h"
#include "scan.h"
#include "steps_kernels.h"

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

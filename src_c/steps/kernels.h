/* The step kernels of one ISA, filled by steps.inc. */
#ifndef LRK_STEPS_KERNELS_H
#define LRK_STEPS_KERNELS_H

#include "steps/steps.h"

enum { LRK_CACHE_LINE = 64 };

/* Prefetches `bytes` at `offset` from the start of an array, within it or not. */
static inline void lrk_prefetch(const void *array, int64_t offset, int64_t bytes)
{
    const uintptr_t first = (uintptr_t)array + (uintptr_t)offset;
    for (int64_t k = 0; k < bytes; k += LRK_CACHE_LINE)
        __builtin_prefetch((const void *)(first + (uintptr_t)k), 1, 3);
}

/* Keys of the random bits of a run of elements whose indices have the same upper half. */
typedef struct lrk_step_random {
    uint32_t low, high;
    uint32_t first; /* lower half of the first element's index */
} lrk_step_random;

/* `ahead`: prefetch distance in elements. */

/* How a kernel accesses parameters and states. */
typedef enum lrk_step_kept {
    LRK_IN_T, /* in the type of the computation */
    LRK_IN_BF16,
    LRK_IN_SPLIT, /* parameters only */
    LRK_N_KEPT,
    LRK_STAGED = LRK_N_KEPT /* any other way: copied to memory in T, and back */
} lrk_step_kept;

/* `size` elements are updated. `remainder`: of split parameters. `coefs`: the family's scalars in T. `random`: keys of each
   state; bfloat16 states are rounded stochastically. */
typedef void lrk_step_update(int64_t size, int64_t ahead, void *restrict param, void *restrict remainder,
                             const void *restrict grad, void *restrict state0, void *restrict state1, void *restrict state2,
                             void *restrict state3, void *restrict state4, const void *restrict coefs,
                             const lrk_step_random *restrict random);
/* Writes what the rule measures to `out`, in T. Changes states. */
typedef void lrk_step_measure(int64_t size, int64_t ahead, const void *restrict param, const void *restrict grad,
                              void *restrict state0, void *restrict state1, void *restrict state2, void *restrict state3,
                              void *restrict state4, const void *restrict coefs, void *restrict out);
typedef void lrk_step_load(int64_t size, int64_t ahead, const void *restrict in, void *restrict out);
/* in * factor, then between -limit and limit, in T. */
typedef void lrk_step_prepare(int64_t size, int64_t ahead, const void *restrict in, void *restrict out, double factor,
                              double limit);
typedef void lrk_step_store(int64_t size, int64_t ahead, const void *restrict in, void *restrict out);
typedef void lrk_step_store_random(int64_t size, const void *restrict in, void *restrict out, lrk_step_random random);
typedef void lrk_step_average(int64_t size, int64_t ahead, void *restrict average, const void *restrict param, double weight);
typedef void lrk_step_add(int64_t size, void *restrict sum, const void *restrict term);
/* less = from - less */
typedef void lrk_step_subtract_from(int64_t size, void *restrict less, const void *restrict from);
/* Sum of squares of up to LRK_NORM_BLOCK elements, each multiplied by `scale`. */
typedef double lrk_step_norm(int64_t size, int64_t ahead, const void *restrict in, double scale);
/* Sum of up to LRK_NORM_BLOCK elements. */
typedef double lrk_step_sum(int64_t size, const void *restrict in);

/* The kernels of one type of computation. */
typedef struct lrk_step_computed {
    lrk_step_update *update[LRK_N_KEPT][LRK_N_KEPT][LRK_N_RULES]; /* by parameters and states; NULL: stage them */
    lrk_step_measure *measure[LRK_N_RULES]; /* NULL: the rule needs no norms */
    lrk_step_load *load[LRK_N_STORAGES];
    lrk_step_prepare *prepare[LRK_N_STORAGES];
    lrk_step_store *store[LRK_N_STORAGES];
    lrk_step_store_random *store_random[LRK_N_STORAGES]; /* NULL: storage that is not rounded this way */
    lrk_step_average *average;
    lrk_step_add *add;
    lrk_step_subtract_from *subtract_from;
    lrk_step_norm *norm;
    lrk_step_sum *sum;
} lrk_step_computed;

typedef struct lrk_step_kernels {
    const lrk_step_computed *computed[LRK_N_COMPUTED];
    void (*load_split)(int64_t size, int64_t ahead, const void *restrict param, const void *restrict remainder,
                       void *restrict out);
    void (*store_split)(int64_t size, const void *restrict in, void *restrict param, void *restrict remainder);
} lrk_step_kernels;

#endif

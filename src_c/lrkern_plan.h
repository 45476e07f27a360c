/* The value of a plan at one step, inline, for loops of your own that need a learning rate at each step. The kernels use the
 * same code, so results are bit-identical to lrk_fill.
 *
 * lrk_plan_compile makes a plan; until it is freed it is only read, so any number of threads may use it.
 * Nothing here calls into the library. If the compiler may not use the machine's fused multiply-add (x86-64 without -mfma), it
 * calls the C library's fma instead: bit-identical but slower; then link with -lm. */
#ifndef LRKERN_PLAN_H
#define LRKERN_PLAN_H

#include "lrkern.h"

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__)
#error "lrkern_plan.h relies on the order of operations: compile this file without -ffast-math and -fassociative-math"
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* t, or the step of the plan's first cycle with the same value. */
static inline int64_t lrk_plan_reduce(const lrk_plan *plan, int64_t t)
{
    if (plan->period == 0 || t < plan->tail_start + plan->period)
        return t;
    return plan->period == 1 ? plan->tail_start : plan->tail_start + (t - plan->tail_start) % plan->period;
}

/* Index of the piece that covers t, 0 <= t < plan->end. */
static inline int64_t lrk_plan_find(const lrk_plan *plan, int64_t t)
{
    const lrk_piece *base = plan->pieces;
    for (int64_t n = plan->n_pieces; n > 1;) {
        const int64_t half = n / 2;
        base += base[half].begin <= t ? half : 0;
        n -= half;
    }
    return base - plan->pieces;
}

/* Value at a step of the piece; lrkern.h has the formula. Products are added by explicit fma only, so there is nothing for a
 * compiler to contract. */
static inline double lrk_piece_at(const lrk_piece *piece, int64_t t)
{
    const double *const c = piece->c;
    const double u = (double)(t - piece->center) * piece->scale;
    double q = c[11];
    for (int k = 10; k >= 2; k--)
        q = __builtin_fma(q, u, c[k]);
    const double s = __builtin_fma(c[1], u, c[0]);
    const double e = __builtin_fma(c[1], u, c[0] - s);
    double low = q + e;
    if (piece->unscale == 1.0)
        return s + low;
    const double h = piece->magic + s;
    low = (s - (h - piece->magic)) + low;
    return ((h + low) - piece->magic) * piece->unscale;
}

/* Whether the plan has a value for step t. */
static inline int lrk_plan_covers(const lrk_plan *plan, int64_t t)
{
    return t >= 0 && lrk_plan_reduce(plan, t) < plan->end;
}

/* Value at step t; NaN if the plan does not cover it. */
static inline double lrk_plan_at(const lrk_plan *plan, int64_t t)
{
    const int64_t reduced = lrk_plan_reduce(plan, t);
    if (reduced < 0 || reduced >= plan->end)
        return __builtin_nan("");
    return lrk_piece_at(plan->pieces + lrk_plan_find(plan, reduced), reduced);
}

#ifdef __cplusplus
}
#endif

#endif

/* What plan_eval.inc gives for one ISA. Arrays may have any alignment. */
#ifndef LRK_PLAN_KERNELS_H
#define LRK_PLAN_KERNELS_H

#include "lrkern.h"

typedef struct lrk_plan_kernels {
    int lanes; /* doubles in a vector */
    /* out[i] = value of the piece at step t + i, 0 <= i < n; f32: rounded once more. stream: past the caches. */
    void (*fill_f64)(const lrk_piece *piece, int64_t t, int64_t n, void *out, int stream);
    void (*fill_f32)(const lrk_piece *piece, int64_t t, int64_t n, void *out, int stream);
    /* Copies n bytes past the caches. */
    void (*stream_copy)(void *out, const void *in, size_t n);
    /* Value at one step t of the piece. */
    double (*point)(const lrk_piece *piece, int64_t t);
    /* out[i] = value at steps[i]; every step lies in [0, plan->end) or is reduced by the plan's period. */
    void (*lookup)(const lrk_plan *plan, const int64_t *steps, int64_t n, double *out);
} lrk_plan_kernels;

/* Index of the piece that covers t, 0 <= t < plan->end. */
static inline int64_t lrk_plan_find(const lrk_plan *plan, int64_t t)
{
    const lrk_piece *base = plan->pieces;
    for (int64_t n = plan->n_pieces; n > 1;) {
        int64_t half = n / 2;
        base += base[half].begin <= t ? half : 0;
        n -= half;
    }
    return base - plan->pieces;
}

/* t, or the step of the plan's first cycle that has the same value. */
static inline int64_t lrk_plan_reduce(const lrk_plan *plan, int64_t t)
{
    if (plan->period == 0 || t < plan->tail_start + plan->period)
        return t;
    return plan->period == 1 ? plan->tail_start : plan->tail_start + (t - plan->tail_start) % plan->period;
}

#endif

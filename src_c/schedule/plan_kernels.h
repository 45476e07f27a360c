/* The kernels of plan_eval.inc for one ISA. Arrays may have any alignment. */
#ifndef LRK_PLAN_KERNELS_H
#define LRK_PLAN_KERNELS_H

#include "lrkern_plan.h"

enum { LRK_NOISE_BLOCK = 256 };

/* scale z, of a seed; a normal z is below the limit. */
typedef struct {
    lrk_noise_kind kind;
    uint64_t seed;
    double scale, limit;
} lrk_noise_numbers;

typedef struct lrk_plan_kernels {
    int lanes; /* doubles in a vector */
    /* out[i] = value of the piece at step t + i, 0 <= i < n; f32: rounded once more. stream: past the caches. */
    void (*fill_f64)(const lrk_piece *piece, int64_t t, int64_t n, void *out, int stream);
    void (*fill_f32)(const lrk_piece *piece, int64_t t, int64_t n, void *out, int stream);
    /* Copies n bytes past the caches. */
    void (*stream_copy)(void *out, const void *in, size_t n);
    /* lrk_piece_at, with this ISA's fused multiply-add. */
    double (*point)(const lrk_piece *piece, int64_t t);
    /* out[i] = number of step t + i, 0 <= i < LRK_NOISE_BLOCK; NaN where it takes more digits or words, that often. */
    int (*noise)(const lrk_noise_numbers *numbers, int64_t t, double *out);
    /* out[i] = value at steps[i]; every step lies in [0, plan->end) or is reduced by the plan's period. */
    void (*lookup)(const lrk_plan *plan, const int64_t *steps, int64_t n, double *out);
} lrk_plan_kernels;

#endif

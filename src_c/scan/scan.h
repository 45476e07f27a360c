/* Loss-driven schedules: the learning rate after each metric of many runs, one recurrence per run. */
#ifndef LRK_SCAN_H
#define LRK_SCAN_H

#include <stdint.h>

#include "lrkern.h"

/* The recurrences: see scan.inc. A type in a name is the type that the recurrence computes in. */
#define LRK_SCAN_RULES(X) \
    X(torch) \
    X(keras_f32) \
    X(keras_f64) \
    X(optax_f32) \
    X(optax_f64) \
    X(greedy) \
    X(greedy_smooth) \
    X(paddle_abs) \
    X(paddle_rel) \
    X(newbob) \
    X(anchor) \
    X(kl) \
    X(kl_positive)

/* The parameters of each run. Integers are doubles, too. A metric beats the best one if it is < slope best - margin.
   (paddle_rel: < best - slope best; newbob: margin is the minimum improvement; anchor: <= best; kl: lr falls above slope, rises
   below margin) */
#define LRK_SCAN_PARAMS(X) \
    X(start) \
    X(factor) \
    X(patience) \
    X(slope) \
    X(margin) \
    X(cooldown) \
    X(min_lr) \
    X(max_lr) \
    X(eps) \
    X(warmup) \
    X(reset_start) \
    X(window) \
    X(accumulate)

/* The state that each run carries from metric to metric; each rule uses a part of it. */
#define LRK_SCAN_STATE(X) \
    X(lr) \
    X(scale) \
    X(best) \
    X(bad) \
    X(good) \
    X(cooling) \
    X(warming) \
    X(resets) \
    X(sum) \
    X(summed)

#define X(name) LRK_SCAN_##name,
typedef enum lrk_scan_rule { LRK_SCAN_RULES(X) LRK_N_SCAN_RULES } lrk_scan_rule;
#undef X
#define X(name) LRK_SCAN_PARAM_##name,
enum { LRK_SCAN_PARAMS(X) LRK_N_SCAN_PARAMS };
#undef X
#define X(name) LRK_SCAN_STATE_##name,
enum { LRK_SCAN_STATE(X) LRK_N_SCAN_STATE };
#undef X

/* A kernel processes this many runs side by side, without a branch: enough vectors to hide the latency of each. */
enum { LRK_SCAN_LANES = 32 };
/* ... and this many metrics of each at a time: few enough for the inner caches, enough to read memory in long pieces. */
enum { LRK_SCAN_BLOCK = 64 };

#define X(name) double name[LRK_SCAN_LANES];
typedef struct lrk_scan_params {
    LRK_SCAN_PARAMS(X)
} lrk_scan_params;
typedef struct lrk_scan_state {
    LRK_SCAN_STATE(X)
} lrk_scan_state;
#undef X

/* `steps` metrics of each lane -> lr after each of them; all are [step][lane]. `delayed`: the metrics that leave the
   window of greedy_smooth, else not read. */
typedef void lrk_scan_kernel(int64_t steps, const lrk_scan_params *p, lrk_scan_state *s, const double *restrict metrics,
                             const double *restrict delayed, double *restrict lr);

/* lr[t] = loss[t] < loss[t-1] ? table[t] : table[t-1], lr[0] = table[0]. */
typedef void lrk_loss_driven_kernel(int64_t steps, const void *restrict loss, const double *restrict table,
                                    double *restrict lr);

/* The scan kernels of one ISA. */
typedef struct lrk_scan_kernels {
    lrk_scan_kernel *advance[LRK_N_SCAN_RULES];
    lrk_loss_driven_kernel *loss_driven[2]; /* per lrk_dtype */
} lrk_scan_kernels;

/* Rows of numbers: `data` plus `pitch` bytes per run; a run's numbers are contiguous. */
typedef struct lrk_scan_rows {
    const void *data;
    int64_t pitch;
    lrk_dtype dtype;
} lrk_scan_rows;

typedef struct lrk_scan {
    lrk_scan_rule rule;
    double sign; /* of the metrics compared: -1 if larger is better */
    int64_t runs, steps;
    const double *params[LRK_N_SCAN_PARAMS];
    int64_t params_step[LRK_N_SCAN_PARAMS]; /* 1: a number per run; 0: one for all */
    double *state[LRK_N_SCAN_STATE];        /* a number per run */
    lrk_scan_rows metrics;
    lrk_scan_rows delayed; /* delayed[t - delay] leaves the window at metric t, none if t < delay */
    int64_t delay;
    double *lr;
    int64_t lr_pitch;
} lrk_scan;

/* Advances all runs. Returns the name of the ISA. */
const char *lrk_scan_run(const lrk_scan *scan);

/* Rows of losses -> rows of lr by lrk_loss_driven_kernel, run i with row table_of[i] of `tables`. Returns the ISA's name. */
const char *lrk_loss_driven_run(int64_t runs, int64_t steps, lrk_scan_rows losses, const double *tables,
                                const int64_t *table_of, double *lr, int64_t lr_pitch);

/* medians[t] = the median of the 2 reach + 1 numbers around t. The sequence is extended by copies of the first number before
   it, and by its mirror image after the last. 0 <= reach < n. Returns 0, or -1 if memory runs out. */
int lrk_running_median(int64_t n, const double *numbers, int64_t reach, double *medians);

/* out[t] = weights[t] (weights[t+1] + ... + weights[n-1]), the sum rounded once (to 2^-100). `out` may be `weights`. */
void lrk_times_later_sum(int64_t n, const double *weights, double *out);

#endif

/* lrkern's C interface: schedules as expressions, filled through plans.
 *
 * Ownership. An expression is immutable and reference-counted: every constructor returns a new reference (NULL when memory is
 *   short), retains what it is given, and is balanced by lrk_expr_release. Safe to share between threads.
 * Arguments are not checked here beyond what memory safety needs; the Python layer checks them.
 * Time t is an int64 step, 0 <= t <= LRK_MAX_STEP. Values are right to 0.6 ULP in float64; float32 is that value rounded once.
 * Bits depend on the expression and the step alone: never on ISA, threads, slice or alignment.
 */
#ifndef LRKERN_H
#define LRKERN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LRK_MAX_STEP (INT64_C(1) << 53)

typedef struct lrk_expr lrk_expr;

/* How a ramp goes from its start (x = 0) to its end (x = 1), x = t/steps. f is the weight of the start, 1 - f of the end.
 * Powers a and b are > 0. */
typedef enum {
    LRK_SHAPE_FALL,        /* f = (1 - x^b)^a */
    LRK_SHAPE_RISE,        /* f = 1 - x^a */
    LRK_SHAPE_COSINE,      /* f = ((1 + cos(pi x^b))/2)^a */
    LRK_SHAPE_REX,         /* f = (1 - x)/(1 - x/2) */
    LRK_SHAPE_LOGISTIC,    /* f = (1 - tanh(a (1 - x) + b x))/2; the ramp's ends are not exactly start and end */
    LRK_SHAPE_GEOMETRIC,   /* value = start (end/start)^x */
    LRK_SHAPE_EXPONENTIAL, /* f = (a^x - a)/(1 - a), a != 1 */
    LRK_SHAPE_LOGARITHMIC  /* f = 1 - log(1 + t)/log(1 + steps) */
} lrk_shape;

/* numerator/denominator, exactly (to 2^-100). */
lrk_expr *lrk_constant(double numerator, double denominator);

/* From the value of `start` at start_at to the value of `end` at end_at over `steps` steps, then held. */
lrk_expr *lrk_ramp(lrk_shape shape, double a, double b, int64_t steps, lrk_expr *start, int64_t start_at, lrk_expr *end,
                   int64_t end_at);

/* scale ((offset + slope t)/unit)^power, for a base that stays positive. */
lrk_expr *lrk_power_law(double scale, double offset, double slope, double unit, double power);

/* scale rate^(t/every). */
lrk_expr *lrk_exponential(double scale, double rate, double every);

/* start + slope t/every. */
lrk_expr *lrk_line(double start, double slope, double every);

/* values[floor(t)], then the last; copies the values. */
lrk_expr *lrk_table(const double *values, int64_t n);

lrk_expr *lrk_sum(lrk_expr *a, lrk_expr *b);
lrk_expr *lrk_product(lrk_expr *a, lrk_expr *b);
lrk_expr *lrk_clip(lrk_expr *a, double low, double high);

/* a(t - by), a(0) before that. */
lrk_expr *lrk_shift(lrk_expr *a, int64_t by);

/* a(t divisor/factor), divisor >= 1. */
lrk_expr *lrk_stretch(lrk_expr *a, double factor, int64_t divisor);

/* a(every floor(t/every)). */
lrk_expr *lrk_staircase(lrk_expr *a, int64_t every);

/* parts[i](t - boundaries[i-1]) from boundaries[i-1] (0 for the first) until boundaries[i]. n parts, n-1 boundaries. */
lrk_expr *lrk_join(lrk_expr *const *parts, const int64_t *boundaries, int64_t n);

/* gain^(power i) a(t - i period), i = min(floor(t/period), times - 1). */
lrk_expr *lrk_repeat(lrk_expr *a, int64_t period, int64_t times, double gain, double power);

/* Cycle i has length period growth^i and is the ramp from gain^i its start to its end, stretched to that length; `ramp` takes
 * `period` steps. Where growth < 1, cycles end at period/(1 - growth); from there the value is `rest`. */
lrk_expr *lrk_restarts(lrk_expr *ramp, int64_t period, double growth, double gain, double rest);

lrk_expr *lrk_expr_retain(lrk_expr *e);
void lrk_expr_release(lrk_expr *e);

/* 1 for what lrk_ramp made. */
int lrk_is_ramp(const lrk_expr *e);

/* Nodes, every shared part counted where it is used (saturates). */
int64_t lrk_expr_size(const lrk_expr *e);

/* The most steps of local time, anywhere inside, that one step takes: stretches by less than 1. Beyond 2^100 values fail. */
double lrk_expr_fastest(const lrk_expr *e);

typedef enum {
    LRK_OK = 0,
    LRK_ERROR_MEMORY = -1,
    LRK_ERROR_OVERFLOW = -2 /* a value is beyond the range of float64 */
} lrk_status;

/* The value at a real t >= 0 (steps between integers included), correctly rounded but for ~2^-60 of it. */
lrk_status lrk_expr_value(const lrk_expr *e, double t, double *value);

/* A plan: the compiled form. Piece i covers steps breaks[i] <= t < breaks[i+1] (the last one up to `end`):
 *     u = (t - center) scale                                   exact
 *     q = Horner of c9 u^7 + ... + c3 u + c2, then fma(q, u, c1_lo), then fma(., u, c0_lo)
 *     s = fma(c1, u, c0);  e = fma(c1, u, c0 - s)               s + e = c0 + c1 u almost exactly
 *     value = s + (q + e)
 * In a piece whose unscale is not 1 (values near or below the smallest normal number) the coefficients are scaled up:
 *     h = magic + s;  value = ((h + ((s - (h - magic)) + (q + e))) - magic) unscale
 */
typedef struct {
    int64_t begin, center;
    double scale;
    double c[12]; /* c0, c1, c0_lo, c1_lo, c2 ... c9 */
    double magic, unscale;
} lrk_piece;

typedef struct {
    int64_t end;        /* pieces cover 0 <= t < end */
    int64_t tail_start; /* t >= tail_start + period has the value of tail_start + (t - tail_start) mod period; */
    int64_t period;     /* 0: no such rule, and t >= end is not in this plan */
    int64_t n_pieces;
    lrk_piece *pieces;
    int64_t overflow_at; /* when compilation gave LRK_ERROR_OVERFLOW: the step */
} lrk_plan;

/* Compiles at least steps 0 <= t < horizon, unless that takes more than max_pieces pieces: then what fits. Where values repeat
 * further on, it goes on to there as long as the pieces are no more than `ahead`. */
lrk_status lrk_plan_compile(const lrk_expr *e, int64_t horizon, int64_t max_pieces, int64_t ahead, lrk_plan *plan);
/* 0 where filling and looking up are as fast without a plan: a table. */
int lrk_needs_plan(const lrk_expr *e);
void lrk_plan_free(lrk_plan *plan);

typedef enum { LRK_FLOAT64, LRK_FLOAT32 } lrk_dtype;

/* out[i] = value at step start + i, 0 <= i < n. `plan` may be NULL or cover only a part: the rest is compiled on the way.
 * On overflow *overflow_at is the first step found so (out is then partly written). */
lrk_status lrk_fill(const lrk_expr *e, const lrk_plan *plan, int64_t start, int64_t n, void *out, lrk_dtype dtype,
                    int64_t *overflow_at);

/* The same for a row of n values per expression. */
lrk_status lrk_fill_rows(lrk_expr *const *rows, int64_t n_rows, int64_t start, int64_t n, void *out, lrk_dtype dtype,
                         int64_t *overflow_row, int64_t *overflow_at);

/* out[i] = value at steps[i], in any order. */
lrk_status lrk_lookup(const lrk_expr *e, const lrk_plan *plan, const int64_t *steps, int64_t n, double *out,
                      int64_t *overflow_at);

#ifdef __cplusplus
}
#endif

#endif

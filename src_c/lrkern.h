/* lrkern's C interface: schedules as expressions, compiled to plans, written into arrays. lrkern_plan.h evaluates a plan
 * inline, lrkern_steps.h has the optimizer steps. Link with -pthread and -lm.
 *
 * Errors. Functions that can fail return lrk_status: LRK_OK (0) or a negative code; constructors of expressions return NULL
 *   when memory runs out. Arguments are not checked except where stated (the Python layer checks them): times and lengths must
 *   be >= 0, pointers valid, numbers finite, steps of ramps, periods and the like > 0.
 * Ownership. An expression is immutable and reference-counted. Every constructor returns a new reference, to be balanced by
 *   lrk_expr_release, and retains its arguments, so release those when you no longer need them. NULL may be passed in (then the
 *   result is NULL) and released, so it is enough to check the last expression. The caller owns the struct of a plan, the
 *   library allocates its pieces: balance lrk_plan_compile by lrk_plan_free. The library keeps no pointer to your arrays.
 * Alignment and aliasing. Arrays of fills and steps may have any alignment, even less than that of their elements. Arrays that
 *   a function writes must not overlap its other arguments.
 * Threads. Every function may be called from any thread at any time, also on shared expressions and plans, except lrk_plan_free
 *   and the last lrk_expr_release of an object still in use. Large jobs run on lrk_get_threads() threads, which the library
 *   starts at the first such job. Small jobs, jobs within jobs, and jobs that arrive while another thread's job is running use
 *   only the calling thread. Do not call from a signal handler.
 * fork. A child process starts its own threads at its first large job; parent and child may both continue.
 * Floating point. Each job sets the default mode (round to nearest, denormals kept) and restores the caller's.
 * Results. Time t is an int64 step, 0 <= t <= LRK_MAX_STEP. Values are accurate to 0.6 ULP in float64; float32 is that value
 *   rounded once. Bits depend only on the expression and the step, never on ISA, threads, slice or alignment.
 * ABI. LRK_ABI_VERSION counts changes in this header, lrkern_plan.h and lrkern_steps.h that require recompilation: of a struct
 *   layout, a signature or the value of a constant. Additions do not count. Compare it with lrk_abi_version().
 */
#ifndef LRKERN_H
#define LRKERN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LRK_API __attribute__((visibility("default")))
#else
#define LRK_API
#endif

#define LRK_ABI_VERSION 6

/* The LRK_ABI_VERSION that the library was built with. */
LRK_API int lrk_abi_version(void);

typedef enum {
    LRK_OK = 0,
    LRK_ERROR_MEMORY = -1,
    LRK_ERROR_OVERFLOW = -2, /* a value is beyond the range of float64 */
    LRK_ERROR_OVERLAP = -3, /* an array that is written overlaps another; nothing has been written */
    LRK_ERROR_ARGUMENT = -4 /* lrk_rule_register: the rule is invalid, or its name is taken */
} lrk_status;

/* A short description of the status. */
LRK_API const char *lrk_status_text(lrk_status status);

/* ---- Instruction sets and threads: settings of the whole process */

/* Number of instruction sets that were built and that this CPU and OS support. */
LRK_API int lrk_isa_count(void);

/* Name of ISA 0 <= index < lrk_isa_count(), narrowest first; NULL outside. */
LRK_API const char *lrk_isa_name(int index);

/* Name of the ISA in use: the widest, until lrk_use_isa selects another. */
LRK_API const char *lrk_active_isa(void);

/* Makes `name` the active ISA. Returns 0, or -1 (nothing changed) if it cannot run here. */
LRK_API int lrk_use_isa(const char *name);

enum { LRK_MAX_THREADS = 1024 };

/* Threads that a job may use, the caller included. Takes effect at the next job. Returns 0, or -1 (nothing changed)
 * outside 1 .. LRK_MAX_THREADS. */
LRK_API int lrk_set_threads(int n);

/* The number set, else LRKERN_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs this process may use: those it may run on, or
 * the CPU quota of its control groups, rounded up, if that is less. */
LRK_API int lrk_get_threads(void);

/* Whose threads jobs of the calling thread use: the file of an OpenMP runtime, or "own", the library's. The string is valid
 * forever. */
LRK_API const char *lrk_active_pool(void);

/* ---- Expressions */

#define LRK_MAX_STEP (INT64_C(1) << 53)

typedef struct lrk_expr lrk_expr;

/* How a ramp goes from its start (x = 0) to its end (x = 1), x = t/steps. f is the weight of the start, 1 - f of the end.
 * Powers a and b are > 0. */
typedef enum {
    LRK_SHAPE_FALL, /* f = (1 - x^b)^a */
    LRK_SHAPE_RISE, /* f = 1 - x^a */
    LRK_SHAPE_COSINE, /* f = ((1 + cos(pi x^b))/2)^a */
    LRK_SHAPE_REX, /* f = (1 - x)/(1 - a x), a < 1, a != 0 */
    LRK_SHAPE_LOGISTIC, /* f = (1 - tanh(a (1 - x) + b x))/2; the ramp's ends are not exactly start and end */
    LRK_SHAPE_GEOMETRIC, /* value = start (end/start)^x */
    LRK_SHAPE_MIRROR_COSINE, /* f = 2 (1 - x) - (1 + cos(pi x))/2 */
    LRK_SHAPE_HARMONIC, /* 1/value = f/start + (1 - f)/end, f = 1 - x; start and end > 0 */
    LRK_SHAPE_HARMONIC_COSINE, /* the same with f = (1 + cos(pi x))/2 */
    LRK_SHAPE_EXPONENTIAL, /* f = (a^x - a)/(1 - a), a != 1; for a = 1/2 it is 2^(1 - x) - 1 */
    LRK_SHAPE_LOGARITHMIC /* f = 1 - log(1 + t)/log(1 + steps) */
} lrk_shape;

/* numerator/denominator, exactly (to 2^-100). */
LRK_API lrk_expr *lrk_constant(double numerator, double denominator);

/* From the value of `start` at start_at to the value of `end` at end_at over `steps` steps, then held. Both values are taken as
 * by lrk_expr_beginning. */
LRK_API lrk_expr *lrk_ramp(lrk_shape shape, double a, double b, int64_t steps, lrk_expr *start, int64_t start_at, lrk_expr *end,
                           int64_t end_at);

/* scale ((offset + slope t)/unit)^power; the base must stay positive. */
LRK_API lrk_expr *lrk_power_law(double scale, double offset, double slope, double unit, double power);

/* scale rate^(t/every). */
LRK_API lrk_expr *lrk_exponential(double scale, double rate, double every);

/* start + slope t/every. */
LRK_API lrk_expr *lrk_line(double start, double slope, double every);

/* values[floor(t)], then the last; copies the values. */
LRK_API lrk_expr *lrk_table(const double *values, int64_t n);

typedef enum { LRK_NOISE_UNIFORM, LRK_NOISE_NORMAL } lrk_noise_kind;

/* scale z, z a random number for the seed and floor(t), see docs/schedules.md; normal numbers have |z| < limit. */
LRK_API lrk_expr *lrk_noise(lrk_noise_kind kind, double scale, double limit, uint64_t seed);

LRK_API lrk_expr *lrk_sum(lrk_expr *a, lrk_expr *b);
LRK_API lrk_expr *lrk_product(lrk_expr *a, lrk_expr *b);

/* a(t)/b(t). Undefined where b is 0: evaluating it there fails like an overflow. */
LRK_API lrk_expr *lrk_quotient(lrk_expr *a, lrk_expr *b);

/* a(t)^power. Undefined where a is 0 and power < 0, or where a < 0 and power is not an integer. */
LRK_API lrk_expr *lrk_power(lrk_expr *a, double power);

LRK_API lrk_expr *lrk_clip(lrk_expr *a, double low, double high);

/* a(t - by); before t = by the beginning of a, see lrk_expr_beginning. */
LRK_API lrk_expr *lrk_shift(lrk_expr *a, int64_t by);

/* a(t divisor/factor), divisor >= 1. */
LRK_API lrk_expr *lrk_stretch(lrk_expr *a, double factor, int64_t divisor);

/* a(clock(t)), for a clock that is >= 0 and never decreases. Where the clock is a straight line, pieces are long; elsewhere
 * each step is a piece. */
LRK_API lrk_expr *lrk_composition(lrk_expr *a, lrk_expr *clock);

/* a(every floor(t/every)); `late`: a multiple of `every` still has the value of the stair that ends there. */
LRK_API lrk_expr *lrk_staircase(lrk_expr *a, int64_t every, int late);

/* a(p(floor(t))), repeated: p is the fractal permutation of 0 ... 2^bits - 1, 0 <= bits <= 53. */
LRK_API lrk_expr *lrk_fractal(lrk_expr *a, int bits);

/* parts[i](t - boundaries[i-1]) from boundaries[i-1] (0 for the first) until boundaries[i]. n parts, n-1 boundaries, real
 * numbers from 0 to LRK_MAX_STEP that do not decrease. after[i] != 0: boundaries[i] itself still belongs to the earlier part;
 * after = NULL: all 0. Among equal boundaries, those with after[i] = 0 come first. */
LRK_API lrk_expr *lrk_join(lrk_expr *const *parts, const double *boundaries, const unsigned char *after, int64_t n);

/* gain^(power i) a(t - i period), i = min(floor(t/period), times - 1); `late`: a multiple of `period` still belongs to the
 * cycle that ends there. */
LRK_API lrk_expr *lrk_repeat(lrk_expr *a, int64_t period, int64_t times, double gain, double power, int late);

/* Cycle i is the ramp from gain^i times its start to its end, stretched to the length steps growth^i; `ramp` takes `steps`.
 * If growth < 1, cycles end at steps/(1 - growth); from there on the value is `rest`.
 * `rise` is NULL or a second ramp, of `warmup` steps: the warm-up of each cycle, from its own start to the start of the cycle,
 * not stretched; cycle i then takes (warmup + steps) growth^i, growth >= 1. */
LRK_API lrk_expr *lrk_restarts(lrk_expr *ramp, double growth, double gain, double rest, lrk_expr *rise);

LRK_API lrk_expr *lrk_expr_retain(lrk_expr *e);
LRK_API void lrk_expr_release(lrk_expr *e);

/* 1 if lrk_ramp made the expression. */
LRK_API int lrk_is_ramp(const lrk_expr *e);

/* Number of nodes; shared parts count at every use (saturates). */
LRK_API int64_t lrk_expr_size(const lrk_expr *e);

/* The maximum number of local steps per step in any part: above 1 by stretches below 1. Beyond 2^100 values fail. */
LRK_API double lrk_expr_fastest(const lrk_expr *e);

/* The value at a real t >= 0 (not only at integers), rounded once from a result with a relative error of ~2^-60. If it fails,
 * *value is infinite, or NaN if the value is undefined: a division by zero, or a power of a negative number. */
LRK_API lrk_status lrk_expr_value(const lrk_expr *e, double t, double *value);

/* The value at step t, except that a ramp of zero steps at t counts with its start, although its value is its end. A warm-up
 * rises to this. */
LRK_API lrk_status lrk_expr_beginning(const lrk_expr *e, int64_t t, double *value);

/* Whether an expression can be a clock, see lrk_composition. 1: it can; -1: it decreases or is negative at step *at; 0:
 * unknown, because it does not consist of straight lines. */
LRK_API int lrk_clock_follow(const lrk_expr *clock, int64_t *at);

/* The first step at which a non-decreasing clock shows `time` or more; -1: no step up to LRK_MAX_STEP. */
LRK_API int64_t lrk_clock_arrival(const lrk_expr *clock, int64_t time);

/* ---- Plans and tables */

/* The range of steps *begin <= t < *end around step t that is one smooth formula, between two joins, restarts or jumps. (Steps
 * at which a clip starts or stops being active do not count.) */
LRK_API void lrk_expr_segment(const lrk_expr *e, int64_t t, int64_t *begin, int64_t *end);

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
    int64_t end; /* pieces cover 0 <= t < end */
    int64_t tail_start; /* t >= tail_start + period has the value of tail_start + (t - tail_start) mod period; */
    int64_t period; /* 0: the plan does not repeat, and t >= end is not in it */
    int64_t n_pieces;
    lrk_piece *pieces;
    int64_t overflow_at; /* -1, or the first step whose value is beyond the range of float64: the plan ends there */
} lrk_plan;

/* Compiles at least the steps 0 <= t < horizon. If that takes more than max_pieces pieces, or a value is beyond float64, the
 * plan ends there; see lrk_plan_covers. If values repeat later on, it continues to that point while there are at most `ahead`
 * pieces. Using a plan never changes it, and it may outlive its expression. */
LRK_API lrk_status lrk_plan_compile(const lrk_expr *e, int64_t horizon, int64_t max_pieces, int64_t ahead, lrk_plan *plan);
/* The same for the steps start <= t < horizon only: the first piece covers `start`. */
LRK_API lrk_status lrk_plan_compile_part(const lrk_expr *e, int64_t start, int64_t horizon, int64_t max_pieces, lrk_plan *plan);

/* Value at step t, NaN if the plan does not cover it: lrk_plan_at of lrkern_plan.h, with the machine's fused multiply-add and
 * in the default floating-point mode, whatever the caller's flags and mode are. */
LRK_API double lrk_plan_value(const lrk_plan *plan, int64_t t);

/* 0 if filling and looking up are as fast without a plan, as for a table and for noise. */
LRK_API int lrk_needs_plan(const lrk_expr *e);

LRK_API void lrk_plan_free(lrk_plan *plan);

typedef enum { LRK_FLOAT64, LRK_FLOAT32 } lrk_dtype;

/* out[i] = value at step start + i, 0 <= i < n. `plan` may be NULL or cover only a part: the rest is compiled on the fly.
 * On overflow, *overflow_at is the first such step found (out is then partly written). */
LRK_API lrk_status lrk_fill(const lrk_expr *e, const lrk_plan *plan, int64_t start, int64_t n, void *out, lrk_dtype dtype,
                            int64_t *overflow_at);

/* The same for a row of n values per expression. */
LRK_API lrk_status lrk_fill_rows(lrk_expr *const *rows, int64_t n_rows, int64_t start, int64_t n, void *out, lrk_dtype dtype,
                                 int64_t *overflow_row, int64_t *overflow_at);

/* out[i] = value at steps[i], in any order. */
LRK_API lrk_status lrk_lookup(const lrk_expr *e, const lrk_plan *plan, const int64_t *steps, int64_t n, double *out,
                              int64_t *overflow_at);

#ifdef __cplusplus
}
#endif

#endif

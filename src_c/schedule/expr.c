/* Nodes of expressions: making them, counting references. What they mean as functions of time is in expr_eval.inc. */
#include "schedule/expr.h"

#include <stdlib.h>
#include <string.h>

#include "isa/dispatch.h"
#include "runtime/fpenv.h"
#include "arithmetic/wide.h"

static lrk_expr *new_node(lrk_kind kind, lrk_expr *const *parts, int64_t n_parts)
{
    for (int64_t i = 0; i < n_parts; i++)
        if (parts[i] == NULL)
            return NULL;
    lrk_expr *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    static _Atomic uint64_t last_id;
    atomic_init(&e->references, 1);
    e->id = atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
    e->kind = kind;
    e->size = 1;
    e->monotone = 1;
    e->fastest = 1.0;
    if (n_parts > 0 && !(e->parts = malloc((size_t)n_parts * sizeof *e->parts))) {
        free(e);
        return NULL;
    }
    e->n_parts = n_parts;
    for (int64_t i = 0; i < n_parts; i++) {
        e->parts[i] = lrk_expr_retain(parts[i]);
        e->monotone &= parts[i]->monotone;
        e->partial |= parts[i]->partial;
        e->clocked |= parts[i]->clocked;
        if (e->fastest < parts[i]->fastest)
            e->fastest = parts[i]->fastest;
        e->size = e->size > INT64_MAX - parts[i]->size ? INT64_MAX : e->size + parts[i]->size;
    }
    return e;
}

lrk_expr *lrk_expr_retain(lrk_expr *e)
{
    if (e)
        atomic_fetch_add_explicit(&e->references, 1, memory_order_relaxed);
    return e;
}

void lrk_expr_release(lrk_expr *e)
{
    if (!e || atomic_fetch_sub_explicit(&e->references, 1, memory_order_acq_rel) != 1)
        return;
    for (int64_t i = 0; i < e->n_parts; i++)
        lrk_expr_release(e->parts[i]);
    free(e->parts);
    free(e->boundaries);
    free(e->after);
    free(e->values);
    free(e->cycles);
    free(e->cached);
    free(e);
}

double lrk_expr_fastest(const lrk_expr *e)
{
    return e->fastest;
}

int64_t lrk_expr_size(const lrk_expr *e)
{
    return e->size;
}

static const lrk_compiler_kernels *compiler(void)
{
    return lrk_active()->compiler;
}

/* Whether values are a straight line (1) or constant (2) within each segment, whatever the numbers: what only rounds to a line
 * somewhere is none. Nor is a line that is clipped, which turns within its segment. */
static int straightness(const lrk_expr *e)
{
    int least = 2;
    for (int64_t i = 0; i < e->n_parts; i++)
        least = e->parts[i]->straight < least ? e->parts[i]->straight : least;
    switch (e->kind) {
    case LRK_KIND_CONSTANT:
    case LRK_KIND_TABLE:
    case LRK_KIND_NOISE:
    case LRK_KIND_STAIRCASE:
    case LRK_KIND_FRACTAL:
        return 2;
    case LRK_KIND_LINE:
        return 1;
    case LRK_KIND_RAMP:
        return e->n == 0 ? 2 : e->a == 1.0 && (e->shape == LRK_SHAPE_RISE || (e->shape == LRK_SHAPE_FALL && e->b == 1.0));
    case LRK_KIND_POWER_LAW:
        return e->a == 1.0;
    case LRK_KIND_EXPONENTIAL:
        return 0;
    case LRK_KIND_PRODUCT:
        return e->parts[0]->straight == 2 || e->parts[1]->straight == 2 ? least : 0;
    case LRK_KIND_QUOTIENT:
        return e->parts[1]->straight == 2 ? least : 0;
    case LRK_KIND_POWER:
    case LRK_KIND_CLIP:
        return least == 2 ? 2 : 0;
    case LRK_KIND_SUM:
    case LRK_KIND_SHIFT:
    case LRK_KIND_STRETCH:
    case LRK_KIND_COMPOSITION:
    case LRK_KIND_JOIN:
    case LRK_KIND_REPEAT:
    case LRK_KIND_RESTARTS:
        return least;
    }
    return 0;
}

/* What every constructor returns. */
static lrk_expr *finished(lrk_expr *e)
{
    if (e) {
        e->straight = straightness(e);
        compiler()->find_repetition(e);
    }
    return e;
}

static xdd exactly(double value)
{
    return compiler()->normalise(dd_of(value), 0);
}

lrk_expr *lrk_constant(double numerator, double denominator)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = new_node(LRK_KIND_CONSTANT, NULL, 0);
    if (e)
        e->value = compiler()->ratio(exactly(numerator), exactly(denominator));
    return finished(e);
}

lrk_expr *lrk_ramp(lrk_shape shape, double a, double b, int64_t steps, lrk_expr *start, int64_t start_at, lrk_expr *end,
                   int64_t end_at)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = start == NULL || end == NULL ? NULL : new_node(LRK_KIND_RAMP, NULL, 0);
    if (!e)
        return NULL;
    e->shape = shape;
    e->a = a;
    e->b = b;
    e->n = steps;
    lrk_ramp_between(e, compiler()->beginning_at(start, dd_of_int(start_at)), compiler()->beginning_at(end, dd_of_int(end_at)));
    if (e->partial) /* an end is not defined: nor is any value */
        return finished(e);
    if (steps > 0)
        e->inverse = dd_div(dd_of(1.0), dd_of_int(steps));
    if (shape == LRK_SHAPE_GEOMETRIC) {
        xdd ratio = compiler()->ratio(e->end, e->value);
        e->log_rate = compiler()->log(ratio.v, ratio.e);
    } else if (shape == LRK_SHAPE_EXPONENTIAL) {
        e->log_rate = compiler()->log(dd_of(a), 0);
    } else if (shape == LRK_SHAPE_LOGARITHMIC && steps > 0) {
        e->log_rate = compiler()->log(dd_add_d(dd_of_int(steps), 1.0), 0);
    }
    return finished(e);
}

int lrk_is_ramp(const lrk_expr *e)
{
    return e != NULL && e->kind == LRK_KIND_RAMP;
}

/* The same ramp between other ends. */
static lrk_expr *ramp_between(const lrk_expr *ramp, xdd start, xdd end)
{
    lrk_expr *e = new_node(LRK_KIND_RAMP, NULL, 0);
    if (!e)
        return NULL;
    e->shape = ramp->shape;
    e->a = ramp->a;
    e->b = ramp->b;
    e->n = ramp->n;
    e->inverse = ramp->inverse;
    e->log_rate = ramp->log_rate;
    lrk_ramp_between(e, start, end);
    return finished(e);
}

/* As a double-double. What is larger than 2^800 counts as that: times a step it still is no infinity, and as a rate per step it
 * leaves nothing of the second one. */
enum { LARGEST_RATE = 800 };

static dd to_dd(xdd a)
{
    return dd_ldexp(a.v, a.e > LARGEST_RATE ? LARGEST_RATE : a.e);
}

enum { LARGE = 400, SMALL = -900 }; /* binary exponents of bases, and of what needs more than a double-double */

/* scale (offset + slope t)^power: where bases are far from 1, in units of a power of two, whose power is a factor. */
lrk_expr *lrk_power_law(double scale, double offset, double slope, double unit, double power)
{
    LRK_FP_DEFAULT_HERE;
    const int constant = slope == 0.0 || power == 0.0 || scale == 0.0;
    lrk_expr *e = new_node(constant ? LRK_KIND_CONSTANT : LRK_KIND_POWER_LAW, NULL, 0);
    if (!e)
        return NULL;
    e->value = exactly(scale);
    if (power == 0.0 || scale == 0.0)
        return finished(e);
    xdd base = compiler()->ratio(exactly(offset), exactly(unit)), per_step = compiler()->ratio(exactly(slope), exactly(unit));
    const xdd at_start = compiler()->product(e->value, compiler()->power(base, power));
    if (slope == 0.0) {
        e->value = at_start;
        return finished(e);
    }
    e->a = power;
    const int64_t top = base.e > per_step.e ? base.e : per_step.e;
    if (top > LARGE || top < -LARGE) {
        e->value = compiler()->product(e->value, compiler()->power((xdd){dd_of(0.5), top + 1}, power));
        base.e -= top;
        per_step.e -= top;
    }
    if (base.v.hi != 0.0 && base.e < SMALL)
        e->end = at_start; /* a base that is none of float64 */
    e->offset = to_dd(base);
    e->slope = to_dd(per_step);
    return finished(e);
}

lrk_expr *lrk_exponential(double scale, double rate, double every)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = new_node(scale == 0.0 || rate == 1.0 ? LRK_KIND_CONSTANT : LRK_KIND_EXPONENTIAL, NULL, 0);
    if (!e)
        return NULL;
    e->value = exactly(scale);
    e->log_rate = to_dd(compiler()->ratio(compiler()->normalise(compiler()->log(dd_of(rate), 0), 0), exactly(every)));
    return finished(e);
}

lrk_expr *lrk_line(double start, double slope, double every)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = new_node(slope == 0.0 ? LRK_KIND_CONSTANT : LRK_KIND_LINE, NULL, 0);
    if (!e)
        return NULL;
    e->value = exactly(start);
    e->end = compiler()->ratio(exactly(slope), exactly(every));
    return finished(e);
}

lrk_expr *lrk_table(const double *values, int64_t n)
{
    lrk_expr *e = new_node(LRK_KIND_TABLE, NULL, 0);
    if (!e)
        return NULL;
    e->n = n;
    e->values = malloc((size_t)n * sizeof *e->values);
    e->boundaries = malloc((size_t)n * sizeof *e->boundaries);
    if (!e->values || !e->boundaries) {
        lrk_expr_release(e);
        return NULL;
    }
    for (int64_t i = 0; i < n; i++) {
        e->values[i] = values[i] + 0.0; /* no -0: plans have none */
        if (i > 0 && e->values[i] != e->values[i - 1])
            e->boundaries[e->n_boundaries++] = (double)i;
    }
    return finished(e);
}

lrk_expr *lrk_noise(lrk_noise_kind kind, double scale, double limit, uint64_t seed)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = new_node(LRK_KIND_NOISE, NULL, 0);
    if (e) {
        e->noise = kind;
        e->value = exactly(scale);
        e->a = limit;
        e->seed = seed;
    }
    return finished(e);
}

static lrk_expr *binary(lrk_kind kind, lrk_expr *a, lrk_expr *b)
{
    lrk_expr *e = new_node(kind, (lrk_expr *[]){a, b}, 2);
    if (e)
        e->monotone = a->monotone && b->monotone && (a->kind == LRK_KIND_CONSTANT || b->kind == LRK_KIND_CONSTANT);
    return finished(e);
}

/* Digits by which a sum of two constants may cancel for its double-double to be right in itself. */
enum { MAY_CANCEL = 30 };

lrk_expr *lrk_sum(lrk_expr *a, lrk_expr *b)
{
    LRK_FP_DEFAULT_HERE;
    if (a == NULL || b == NULL || a->kind != LRK_KIND_CONSTANT || b->kind != LRK_KIND_CONSTANT)
        return binary(LRK_KIND_SUM, a, b);
    const xdd sum = compiler()->sum(a->value, b->value);
    const int exact = a->value.v.lo == 0.0 && b->value.v.lo == 0.0;
    if (!exact && sum.e < (a->value.e > b->value.e ? a->value.e : b->value.e) - MAY_CANCEL)
        return binary(LRK_KIND_SUM, a, b);
    lrk_expr *e = new_node(LRK_KIND_CONSTANT, NULL, 0);
    if (e)
        e->value = sum;
    return finished(e);
}

static int is_defined(const lrk_expr *e)
{
    return e != NULL && !e->partial;
}

static int is_zero(const lrk_expr *e)
{
    return e && e->kind == LRK_KIND_CONSTANT && e->value.v.hi == 0.0;
}

lrk_expr *lrk_product(lrk_expr *a, lrk_expr *b)
{
    LRK_FP_DEFAULT_HERE;
    if ((is_zero(a) && is_defined(b)) || (is_zero(b) && is_defined(a))) /* also times what is beyond float64 */
        return lrk_constant(0.0, 1.0);
    if (a == NULL || b == NULL || a->kind != LRK_KIND_CONSTANT ||
        (b->kind != LRK_KIND_CONSTANT && b->kind != LRK_KIND_POWER_LAW && b->kind != LRK_KIND_LINE))
        return binary(LRK_KIND_PRODUCT, a, b);
    lrk_expr *e = new_node(b->kind, NULL, 0);
    if (e) { /* one of the same kind */
        e->value = compiler()->product(a->value, b->value);
        e->end = compiler()->product(a->value, b->end);
        e->a = b->a;
        e->offset = b->offset;
        e->slope = b->slope;
    }
    return finished(e);
}

static int is_constant(const lrk_expr *e)
{
    return e != NULL && e->kind == LRK_KIND_CONSTANT;
}

lrk_expr *lrk_quotient(lrk_expr *a, lrk_expr *b)
{
    LRK_FP_DEFAULT_HERE;
    if (!is_constant(b) || b->value.v.hi == 0.0) {
        lrk_expr *e = new_node(LRK_KIND_QUOTIENT, (lrk_expr *[]){a, b}, 2);
        if (e) {
            e->monotone = 0; /* not across a pole */
            e->partial = 1;
        }
        return finished(e);
    }
    lrk_expr *const factor = new_node(LRK_KIND_CONSTANT, NULL, 0);
    if (factor)
        factor->value = compiler()->ratio(exactly(1.0), b->value);
    lrk_expr *const e = lrk_product(factor, a);
    lrk_expr_release(factor);
    return e;
}

lrk_expr *lrk_power(lrk_expr *a, double power)
{
    LRK_FP_DEFAULT_HERE;
    if (power == 0.0)
        return a == NULL ? NULL : lrk_constant(1.0, 1.0);
    if (power == 1.0)
        return lrk_expr_retain(a);
    if (power == 2.0)
        return lrk_product(a, a);
    lrk_expr *e = new_node(LRK_KIND_POWER, &a, 1);
    if (e) {
        e->a = power;
        e->monotone = 0; /* not across a zero */
        e->partial |= power < 0.0 || power != __builtin_floor(power);
    }
    return finished(e);
}

lrk_expr *lrk_clip(lrk_expr *a, double low, double high)
{
    lrk_expr *e = new_node(LRK_KIND_CLIP, &a, 1);
    if (e) {
        e->a = low;
        e->b = high;
    }
    return finished(e);
}

lrk_expr *lrk_shift(lrk_expr *a, int64_t by)
{
    lrk_expr *e = new_node(LRK_KIND_SHIFT, &a, 1);
    if (e)
        e->n = by;
    return finished(e);
}

lrk_expr *lrk_stretch(lrk_expr *a, double factor, int64_t divisor)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = new_node(LRK_KIND_STRETCH, &a, 1);
    if (e) {
        e->a = factor;
        e->n = divisor;
        e->fastest = dd_max(1.0, e->fastest / factor * (double)divisor);
    }
    return finished(e);
}

/* Steps of local time that one step of a clock may take, for what `fastest` is there to bound. */
#define CLOCK_RATE 0x1p40

lrk_expr *lrk_composition(lrk_expr *a, lrk_expr *clock)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = new_node(LRK_KIND_COMPOSITION, (lrk_expr *[]){a, clock}, 2);
    if (e) {
        int64_t at;
        e->clocked = 1;
        e->fastest = a->fastest * clock->fastest * CLOCK_RATE;
        e->monotone = a->monotone; /* along each straight line of the clock; elsewhere segments are single steps */
        e->times = lrk_clock_follow(clock, &at) == 1;
    }
    return finished(e);
}

lrk_expr *lrk_staircase(lrk_expr *a, int64_t every, int late)
{
    lrk_expr *e = new_node(LRK_KIND_STAIRCASE, &a, 1);
    if (e) {
        e->n = every;
        e->late = late != 0;
    }
    return finished(e);
}

lrk_expr *lrk_fractal(lrk_expr *a, int bits)
{
    lrk_expr *e = new_node(LRK_KIND_FRACTAL, &a, 1);
    if (e) {
        e->n = INT64_C(1) << bits;
        e->monotone = 1; /* constant from step to step */
    }
    return finished(e);
}

lrk_expr *lrk_join(lrk_expr *const *parts, const double *boundaries, const unsigned char *after, int64_t n)
{
    lrk_expr *e = new_node(LRK_KIND_JOIN, parts, n);
    if (!e)
        return NULL;
    e->n_boundaries = n - 1;
    e->boundaries = malloc((size_t)n * sizeof *boundaries);
    e->after = calloc((size_t)n, 1);
    if (!e->boundaries || !e->after) {
        lrk_expr_release(e);
        return NULL;
    }
    if (n > 1) {
        memcpy(e->boundaries, boundaries, (size_t)(n - 1) * sizeof *boundaries);
        if (after)
            memcpy(e->after, after, (size_t)(n - 1));
    }
    return finished(e);
}

/* Periods of which all values are kept: so many short cycles that differ by their gain cost a product a step. */
enum { CACHED_PERIOD = 48 };

lrk_expr *lrk_repeat(lrk_expr *a, int64_t period, int64_t times, double gain, double power, int late)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = new_node(LRK_KIND_REPEAT, &a, 1);
    if (!e)
        return NULL;
    e->n = period;
    e->times = times;
    e->late = late != 0;
    e->log_rate = dd_mul_d(compiler()->log(dd_of(gain), 0), power);
    if (period <= CACHED_PERIOD) {
        if (!(e->cached = malloc((size_t)period * sizeof *e->cached))) {
            lrk_expr_release(e);
            return NULL;
        }
        for (; e->n_cached < period; e->n_cached++)
            e->cached[e->n_cached] = compiler()->value_at(a, dd_of_int(e->n_cached));
    }
    return finished(e);
}

/* Whether ramps of the shape are start f + end (1 - f). */
static int is_weighted_sum(lrk_shape shape)
{
    return shape != LRK_SHAPE_GEOMETRIC && shape != LRK_SHAPE_HARMONIC && shape != LRK_SHAPE_HARMONIC_COSINE;
}

/* Cycles of one length, of which the end keeps its value: those of the start and of the end, each a repetition. */
static lrk_expr *equal_restarts(const lrk_expr *ramp, int64_t period, double gain)
{
    const xdd zero = compiler()->normalise(dd_of(0.0), 0);
    lrk_expr *const up = ramp_between(ramp, zero, ramp->end), *const down = ramp_between(ramp, ramp->value, zero);
    lrk_expr *const ends = up ? lrk_repeat(up, period, INT64_MAX, 1.0, 1.0, 0) : NULL;
    lrk_expr *const starts = down ? lrk_repeat(down, period, INT64_MAX, gain, 1.0, 0) : NULL;
    lrk_expr *const sum = ends && starts ? lrk_sum(ends, starts) : NULL;
    lrk_expr_release(up);
    lrk_expr_release(down);
    lrk_expr_release(ends);
    lrk_expr_release(starts);
    return sum;
}

enum { LATEST_BITS = 160 }; /* of local times: of 2^53 steps, 2^100 times as fast */

/* period/(1 - growth). Where that is just above a whole step, so near that local times cannot tell them apart, it is moved away
 * from the step, at which cycles still go on. */
static dd shrinking_limit(int64_t period, double growth)
{
    const dd limit = dd_div(dd_of_int(period), dd_two_sum(1.0, -growth));
    const dd whole = dd_floor(dd_add_d(limit, 0.5)), left = dd_add(dd_sub(dd_of_int(period), whole), dd_mul_d(whole, growth));
    const dd beyond = dd_add_d(whole, whole.hi * 0x1p-95);
    return left.hi > 0.0 && dd_less(limit, beyond) ? beyond : limit;
}

/* Cycles that are all alike. */
static lrk_expr *alike_restarts(lrk_expr *rise, lrk_expr *ramp)
{
    const double boundary = (double)rise->n;
    lrk_expr *const up = ramp_between(rise, rise->value, ramp->value);
    lrk_expr *const phase = lrk_join((lrk_expr *[]){up, ramp}, &boundary, NULL, 2);
    lrk_expr *const e = lrk_repeat(phase, rise->n + ramp->n, INT64_MAX, 1.0, 1.0, 0);
    lrk_expr_release(up);
    lrk_expr_release(phase);
    return e;
}

lrk_expr *lrk_restarts(lrk_expr *ramp, double growth, double gain, double rest, lrk_expr *rise)
{
    LRK_FP_DEFAULT_HERE;
    if (ramp == NULL)
        return NULL;
    const int64_t warmup = rise ? rise->n : 0, period = ramp->n + warmup;
    if (warmup > 0 && growth == 1.0 && gain == 1.0)
        return alike_restarts(rise, ramp);
    if (warmup == 0 && growth == 1.0 && (gain == 1.0 || ramp->end.v.hi == 0.0))
        return lrk_repeat(ramp, period, INT64_MAX, gain, 1.0, 0);
    if (warmup == 0 && growth == 1.0 && is_weighted_sum(ramp->shape))
        return equal_restarts(ramp, period, gain);
    lrk_expr *e = new_node(LRK_KIND_RESTARTS, (lrk_expr *[]){ramp, rise}, warmup > 0 ? 2 : 1);
    if (!e)
        return NULL;
    e->n = period;
    e->times = warmup;
    e->a = growth;
    const xdd held = compiler()->value_at(ramp, dd_of_int(period));
    e->end = compiler()->round(held) == rest ? held : exactly(rest);
    e->log_rate = compiler()->log(dd_of(gain), 0);
    lrk_cycles *c = e->cycles = calloc(1, sizeof *c);
    if (!c) {
        lrk_expr_release(e);
        return NULL;
    }
    /* S(2m) = S(m) (1 + g^m) */
    const wide one = wide_of(1.0);
    wide length = one, power = wide_of(growth);
    while (c->bits < LRK_CYCLE_BITS && length.e <= LATEST_BITS && (power.e > -1000 || c->bits == 0)) {
        c->length[c->bits] = wide_to_dd(&length);
        c->power[c->bits] = wide_to_dd(&power);
        c->bits++;
        const wide next = wide_add(&one, &power);
        length = wide_mul(&length, &next);
        power = wide_mul(&power, &power);
    }
    if (growth < 1.0)
        c->limit = shrinking_limit(period, growth);
    return finished(e);
}

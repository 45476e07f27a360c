/* Nodes made of others: sums, products, joins, repetitions and so on. */
#include <stdlib.h>
#include <string.h>

#include "arithmetic/wide.h"
#include "runtime/fpenv.h"
#include "schedule/nodes.h"

static lrk_expr *binary(lrk_kind kind, lrk_expr *a, lrk_expr *b)
{
    lrk_expr *e = lrk_new_node(kind, (lrk_expr *[]){a, b}, 2);
    if (e)
        e->monotone = a->monotone && b->monotone && (a->kind == LRK_KIND_CONSTANT || b->kind == LRK_KIND_CONSTANT);
    return lrk_finished(e);
}

/* Digits by which a sum of two constants may cancel for its double-double to be right in itself. */
enum { MAY_CANCEL = 30 };

lrk_expr *lrk_sum(lrk_expr *a, lrk_expr *b)
{
    LRK_FP_DEFAULT_HERE;
    if (a == NULL || b == NULL || a->kind != LRK_KIND_CONSTANT || b->kind != LRK_KIND_CONSTANT)
        return binary(LRK_KIND_SUM, a, b);
    const xdd sum = lrk_compiler()->sum(a->value, b->value);
    const int exact = a->value.v.lo == 0.0 && b->value.v.lo == 0.0;
    if (!exact && sum.e < (a->value.e > b->value.e ? a->value.e : b->value.e) - MAY_CANCEL)
        return binary(LRK_KIND_SUM, a, b);
    lrk_expr *e = lrk_new_node(LRK_KIND_CONSTANT, NULL, 0);
    if (e)
        e->value = sum;
    return lrk_finished(e);
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
    lrk_expr *e = lrk_new_node(b->kind, NULL, 0);
    if (e) { /* one of the same kind */
        e->value = lrk_compiler()->product(a->value, b->value);
        e->end = lrk_compiler()->product(a->value, b->end);
        e->a = b->a;
        e->offset = b->offset;
        e->slope = b->slope;
    }
    return lrk_finished(e);
}

static int is_constant(const lrk_expr *e)
{
    return e != NULL && e->kind == LRK_KIND_CONSTANT;
}

lrk_expr *lrk_quotient(lrk_expr *a, lrk_expr *b)
{
    LRK_FP_DEFAULT_HERE;
    if (!is_constant(b) || b->value.v.hi == 0.0) {
        lrk_expr *e = lrk_new_node(LRK_KIND_QUOTIENT, (lrk_expr *[]){a, b}, 2);
        if (e) {
            e->monotone = 0; /* not across a pole */
            e->partial = 1;
        }
        return lrk_finished(e);
    }
    lrk_expr *const factor = lrk_new_node(LRK_KIND_CONSTANT, NULL, 0);
    if (factor)
        factor->value = lrk_compiler()->ratio(lrk_exactly(1.0), b->value);
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
    lrk_expr *e = lrk_new_node(LRK_KIND_POWER, &a, 1);
    if (e) {
        e->a = power;
        e->monotone = 0; /* not across a zero */
        e->partial |= power < 0.0 || power != __builtin_floor(power);
    }
    return lrk_finished(e);
}

lrk_expr *lrk_clip(lrk_expr *a, double low, double high)
{
    lrk_expr *e = lrk_new_node(LRK_KIND_CLIP, &a, 1);
    if (e) {
        e->a = low;
        e->b = high;
    }
    return lrk_finished(e);
}

lrk_expr *lrk_shift(lrk_expr *a, int64_t by)
{
    lrk_expr *e = lrk_new_node(LRK_KIND_SHIFT, &a, 1);
    if (e)
        e->n = by;
    return lrk_finished(e);
}

lrk_expr *lrk_stretch(lrk_expr *a, double factor, int64_t divisor)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = lrk_new_node(LRK_KIND_STRETCH, &a, 1);
    if (e) {
        e->a = factor;
        e->n = divisor;
        e->fastest = dd_max(1.0, e->fastest / factor * (double)divisor);
    }
    return lrk_finished(e);
}

/* Steps of local time that one step of a clock may take, for what `fastest` is there to bound. */
#define CLOCK_RATE 0x1p40

lrk_expr *lrk_composition(lrk_expr *a, lrk_expr *clock)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = lrk_new_node(LRK_KIND_COMPOSITION, (lrk_expr *[]){a, clock}, 2);
    if (e) {
        int64_t at;
        e->clocked = 1;
        e->fastest = a->fastest * clock->fastest * CLOCK_RATE;
        e->monotone = a->monotone; /* along each straight line of the clock; elsewhere segments are single steps */
        e->times = lrk_clock_follow(clock, &at) == 1;
    }
    return lrk_finished(e);
}

lrk_expr *lrk_staircase(lrk_expr *a, int64_t every, int late)
{
    lrk_expr *e = lrk_new_node(LRK_KIND_STAIRCASE, &a, 1);
    if (e) {
        e->n = every;
        e->late = late != 0;
    }
    return lrk_finished(e);
}

lrk_expr *lrk_fractal(lrk_expr *a, int bits)
{
    lrk_expr *e = lrk_new_node(LRK_KIND_FRACTAL, &a, 1);
    if (e) {
        e->n = INT64_C(1) << bits;
        e->monotone = 1; /* constant from step to step */
    }
    return lrk_finished(e);
}

lrk_expr *lrk_join(lrk_expr *const *parts, const double *boundaries, const unsigned char *after, int64_t n)
{
    lrk_expr *e = lrk_new_node(LRK_KIND_JOIN, parts, n);
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
    return lrk_finished(e);
}

/* Periods of which all values are kept: so many short cycles that differ by their gain cost a product a step. */
enum { CACHED_PERIOD = 48 };

lrk_expr *lrk_repeat(lrk_expr *a, int64_t period, int64_t times, double gain, double power, int late)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = lrk_new_node(LRK_KIND_REPEAT, &a, 1);
    if (!e)
        return NULL;
    e->n = period;
    e->times = times;
    e->late = late != 0;
    e->log_rate = dd_mul_d(lrk_compiler()->log(dd_of(gain), 0), power);
    if (period <= CACHED_PERIOD) {
        if (!(e->cached = malloc((size_t)period * sizeof *e->cached))) {
            lrk_expr_release(e);
            return NULL;
        }
        for (; e->n_cached < period; e->n_cached++)
            e->cached[e->n_cached] = lrk_compiler()->value_at(a, dd_of_int(e->n_cached));
    }
    return lrk_finished(e);
}

/* Whether ramps of the shape are start f + end (1 - f). */
static int is_weighted_sum(lrk_shape shape)
{
    return shape != LRK_SHAPE_GEOMETRIC && shape != LRK_SHAPE_HARMONIC && shape != LRK_SHAPE_HARMONIC_COSINE;
}

/* Cycles of one length, of which the end keeps its value: those of the start and of the end, each a repetition. */
static lrk_expr *equal_restarts(const lrk_expr *ramp, int64_t period, double gain)
{
    const xdd zero = lrk_compiler()->normalise(dd_of(0.0), 0);
    lrk_expr *const up = lrk_ramp_like(ramp, zero, ramp->end), *const down = lrk_ramp_like(ramp, ramp->value, zero);
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
    lrk_expr *const up = lrk_ramp_like(rise, rise->value, ramp->value);
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
    lrk_expr *e = lrk_new_node(LRK_KIND_RESTARTS, (lrk_expr *[]){ramp, rise}, warmup > 0 ? 2 : 1);
    if (!e)
        return NULL;
    e->n = period;
    e->times = warmup;
    e->a = growth;
    const xdd held = lrk_compiler()->value_at(ramp, dd_of_int(period));
    e->end = lrk_compiler()->round(held) == rest ? held : lrk_exactly(rest);
    e->log_rate = lrk_compiler()->log(dd_of(gain), 0);
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
    return lrk_finished(e);
}

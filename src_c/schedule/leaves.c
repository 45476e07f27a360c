/* Nodes without parts: constants, ramps, power laws, exponentials, lines, tables, noise. */
#include <stdlib.h>
#include <string.h>

#include "arithmetic/wide.h"
#include "runtime/fpenv.h"
#include "schedule/nodes.h"

lrk_expr *lrk_constant(double numerator, double denominator)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = lrk_new_node(LRK_KIND_CONSTANT, NULL, 0);
    if (e)
        e->value = lrk_compiler()->ratio(lrk_exactly(numerator), lrk_exactly(denominator));
    return lrk_finished(e);
}

lrk_expr *lrk_ramp(lrk_shape shape, double a, double b, int64_t steps, lrk_expr *start, int64_t start_at, lrk_expr *end,
                   int64_t end_at)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = start == NULL || end == NULL ? NULL : lrk_new_node(LRK_KIND_RAMP, NULL, 0);
    if (!e)
        return NULL;
    e->shape = shape;
    e->a = a;
    e->b = b;
    e->n = steps;
    lrk_ramp_between(e, lrk_compiler()->beginning_at(start, dd_of_int(start_at)),
                     lrk_compiler()->beginning_at(end, dd_of_int(end_at)));
    if (e->partial) /* an end is not defined: nor is any value */
        return lrk_finished(e);
    if (steps > 0)
        e->inverse = dd_div(dd_of(1.0), dd_of_int(steps));
    if (shape == LRK_SHAPE_GEOMETRIC) {
        xdd ratio = lrk_compiler()->ratio(e->end, e->value);
        e->log_rate = lrk_compiler()->log(ratio.v, ratio.e);
    } else if (shape == LRK_SHAPE_EXPONENTIAL) {
        e->log_rate = lrk_compiler()->log(dd_of(a), 0);
    } else if (shape == LRK_SHAPE_LOGARITHMIC && steps > 0) {
        e->log_rate = lrk_compiler()->log(dd_add_d(dd_of_int(steps), 1.0), 0);
    }
    return lrk_finished(e);
}

int lrk_is_ramp(const lrk_expr *e)
{
    return e != NULL && e->kind == LRK_KIND_RAMP;
}

/* The same ramp between other ends. */
lrk_expr *lrk_ramp_like(const lrk_expr *ramp, xdd start, xdd end)
{
    lrk_expr *e = lrk_new_node(LRK_KIND_RAMP, NULL, 0);
    if (!e)
        return NULL;
    e->shape = ramp->shape;
    e->a = ramp->a;
    e->b = ramp->b;
    e->n = ramp->n;
    e->inverse = ramp->inverse;
    e->log_rate = ramp->log_rate;
    lrk_ramp_between(e, start, end);
    return lrk_finished(e);
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
    lrk_expr *e = lrk_new_node(constant ? LRK_KIND_CONSTANT : LRK_KIND_POWER_LAW, NULL, 0);
    if (!e)
        return NULL;
    e->value = lrk_exactly(scale);
    if (power == 0.0 || scale == 0.0)
        return lrk_finished(e);
    xdd base = lrk_compiler()->ratio(lrk_exactly(offset), lrk_exactly(unit)),
        per_step = lrk_compiler()->ratio(lrk_exactly(slope), lrk_exactly(unit));
    const xdd at_start = lrk_compiler()->product(e->value, lrk_compiler()->power(base, power));
    if (slope == 0.0) {
        e->value = at_start;
        return lrk_finished(e);
    }
    e->a = power;
    const int64_t top = base.e > per_step.e ? base.e : per_step.e;
    if (top > LARGE || top < -LARGE) {
        e->value = lrk_compiler()->product(e->value, lrk_compiler()->power((xdd){dd_of(0.5), top + 1}, power));
        base.e -= top;
        per_step.e -= top;
    }
    if (base.v.hi != 0.0 && base.e < SMALL)
        e->end = at_start; /* a base that is none of float64 */
    e->offset = to_dd(base);
    e->slope = to_dd(per_step);
    return lrk_finished(e);
}

lrk_expr *lrk_exponential(double scale, double rate, double every)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = lrk_new_node(scale == 0.0 || rate == 1.0 ? LRK_KIND_CONSTANT : LRK_KIND_EXPONENTIAL, NULL, 0);
    if (!e)
        return NULL;
    e->value = lrk_exactly(scale);
    e->log_rate =
        to_dd(lrk_compiler()->ratio(lrk_compiler()->normalise(lrk_compiler()->log(dd_of(rate), 0), 0), lrk_exactly(every)));
    return lrk_finished(e);
}

lrk_expr *lrk_line(double start, double slope, double every)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = lrk_new_node(slope == 0.0 ? LRK_KIND_CONSTANT : LRK_KIND_LINE, NULL, 0);
    if (!e)
        return NULL;
    e->value = lrk_exactly(start);
    e->end = lrk_compiler()->ratio(lrk_exactly(slope), lrk_exactly(every));
    return lrk_finished(e);
}

lrk_expr *lrk_table(const double *values, int64_t n)
{
    lrk_expr *e = lrk_new_node(LRK_KIND_TABLE, NULL, 0);
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
    return lrk_finished(e);
}

lrk_expr *lrk_noise(lrk_noise_kind kind, double scale, double limit, uint64_t seed)
{
    LRK_FP_DEFAULT_HERE;
    lrk_expr *e = lrk_new_node(LRK_KIND_NOISE, NULL, 0);
    if (e) {
        e->noise = kind;
        e->value = lrk_exactly(scale);
        e->a = limit;
        e->seed = seed;
    }
    return lrk_finished(e);
}

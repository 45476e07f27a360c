/* Expressions as functions of time: smooth segments, Taylor jets, repetition. One case per kind in each function. */
#include "ddmath.h"
#include "expr.h"

#define TIME_TOLERANCE 0x1p-96
#define PI_HI 0x1.921fb54442d18p+1
#define PI_LO 0x1.1a62633145c07p-53

int lrk_time_reached(dd x, dd y)
{
    dd d = dd_sub(x, y);
    return d.hi >= -TIME_TOLERANCE * __builtin_fabs(y.hi);
}

int64_t lrk_time_ceil(dd x)
{
    dd f = dd_floor(x);
    int64_t n = (int64_t)f.hi + (int64_t)f.lo;
    return lrk_time_reached(f, x) ? n : n + 1;
}

/* floor(x/n), n >= 1; a time that reaches a multiple of n counts as that multiple. */
static int64_t count_of(dd x, int64_t n)
{
    dd q = dd_floor(dd_div(x, dd_of_int(n)));
    int64_t k = (int64_t)q.hi + (int64_t)q.lo;
    if (lrk_time_reached(x, dd_mul(dd_of_int(k + 1), dd_of_int(n))))
        return k + 1;
    return k < 0 ? 0 : k;
}

/* Local time since k periods of n. Never negative. */
static dd since(dd x, int64_t k, int64_t n)
{
    dd r = dd_sub(x, dd_mul(dd_of_int(k), dd_of_int(n)));
    return r.hi < 0.0 ? dd_of(0.0) : r;
}

static int64_t part_of(const lrk_expr *e, dd x)
{
    int64_t low = 0, high = e->n; /* number of boundaries <= x */
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        if (lrk_time_reached(x, dd_of_int(e->boundaries[mid])))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* The restart cycle that x lies in: its number, beginning and scale growth^i, found bit by bit (no logarithm). */
typedef struct {
    int64_t i;
    dd begin, scale;
    int over; /* past the limit of growth < 1 */
} cycle;

static cycle cycle_of(const lrk_expr *e, dd x)
{
    const lrk_cycles *c = e->cycles;
    cycle r = {0, {0.0, 0.0}, {1.0, 0.0}, 0};
    if (e->a < 1.0 && lrk_time_reached(x, c->limit)) {
        r.over = 1;
        return r;
    }
    dd period = dd_of_int(e->n);
    for (int j = c->bits - 1; j >= 0; j--) {
        dd next = dd_add(r.begin, dd_mul(period, dd_mul(r.scale, c->length[j])));
        if (lrk_time_reached(x, next)) {
            r.begin = next;
            r.scale = dd_mul(r.scale, c->power[j]);
            r.i += INT64_C(1) << j;
        }
    }
    return r;
}

static dd cycle_time(const cycle *c, dd x)
{
    dd t = dd_sub(x, c->begin);
    return t.hi <= 0.0 ? dd_of(0.0) : dd_div(t, c->scale);
}

static dd later(dd a, dd b)
{
    return dd_less(a, b) ? b : a;
}

static dd sooner(dd a, dd b)
{
    return dd_less(a, b) ? a : b;
}

static dd table_run(const lrk_expr *e, int64_t i, int64_t *first)
{
    int64_t low = i, high = i + 1;
    while (low > 0 && e->values[low - 1] == e->values[i])
        low--;
    while (high < e->n && e->values[high] == e->values[i])
        high++;
    *first = low;
    return high == e->n ? dd_of(LRK_NEVER) : dd_of_int(high);
}

void lrk_expr_segment(const lrk_expr *e, dd x, dd *low, dd *high)
{
    const dd never = dd_of(LRK_NEVER);
    dd l, h;
    *low = dd_neg(never);
    *high = never;
    switch (e->kind) {
    case LRK_KIND_CONSTANT:
    case LRK_KIND_POWER_LAW:
    case LRK_KIND_EXPONENTIAL:
        break;
    case LRK_KIND_RAMP:
        if (lrk_time_reached(x, dd_of_int(e->n)))
            *low = dd_of_int(e->n);
        else
            *high = dd_of_int(e->n);
        break;
    case LRK_KIND_TABLE: {
        int64_t i = count_of(x, 1), first;
        *high = table_run(e, i < e->n ? i : e->n - 1, &first);
        *low = dd_of_int(first);
        break;
    }
    case LRK_KIND_SUM:
    case LRK_KIND_PRODUCT:
        lrk_expr_segment(e->parts[0], x, low, high);
        lrk_expr_segment(e->parts[1], x, &l, &h);
        *low = later(*low, l);
        *high = sooner(*high, h);
        break;
    case LRK_KIND_CLIP:
        lrk_expr_segment(e->parts[0], x, low, high);
        break;
    case LRK_KIND_SHIFT: {
        dd by = dd_of_int(e->n);
        if (e->n > 0 && !lrk_time_reached(x, by)) {
            *high = by;
            break;
        }
        lrk_expr_segment(e->parts[0], dd_sub(x, by), &l, &h);
        *low = e->n > 0 ? later(by, dd_add(l, by)) : dd_add(l, by);
        *high = sooner(never, dd_add(h, by));
        break;
    }
    case LRK_KIND_STRETCH: {
        dd f = dd_of(e->a);
        lrk_expr_segment(e->parts[0], dd_div(x, f), &l, &h);
        *low = later(*low, dd_mul(l, f));
        *high = h.hi == LRK_NEVER ? h : sooner(never, dd_mul(h, f));
        break;
    }
    case LRK_KIND_STAIRCASE: {
        int64_t k = count_of(x, e->n);
        *low = dd_mul(dd_of_int(k), dd_of_int(e->n));
        *high = dd_add(*low, dd_of_int(e->n));
        break;
    }
    case LRK_KIND_JOIN: {
        int64_t i = part_of(e, x);
        dd begin = dd_of_int(i > 0 ? e->boundaries[i - 1] : 0);
        lrk_expr_segment(e->parts[i], dd_sub(x, begin), &l, &h);
        *low = later(begin, dd_add(l, begin));
        *high = sooner(never, dd_add(h, begin));
        if (i < e->n)
            *high = sooner(*high, dd_of_int(e->boundaries[i]));
        break;
    }
    case LRK_KIND_REPEAT: {
        int64_t i = count_of(x, e->n);
        if (i > e->times - 1)
            i = e->times - 1;
        dd begin = dd_mul(dd_of_int(i), dd_of_int(e->n));
        lrk_expr_segment(e->parts[0], since(x, i, e->n), &l, &h);
        *low = later(begin, dd_add(l, begin));
        *high = sooner(never, dd_add(h, begin));
        if (i < e->times - 1)
            *high = sooner(*high, dd_add(begin, dd_of_int(e->n)));
        break;
    }
    case LRK_KIND_RESTARTS: {
        cycle c = cycle_of(e, x);
        if (c.over) {
            *low = e->cycles->limit;
            break;
        }
        dd length = dd_mul(dd_of_int(e->n), c.scale);
        lrk_expr_segment(e->parts[0], cycle_time(&c, x), &l, &h);
        *low = later(c.begin, dd_add(c.begin, dd_mul(l, c.scale)));
        *high = dd_add(c.begin, length);
        if (h.hi < (double)e->n)
            *high = sooner(*high, dd_add(c.begin, dd_mul(h, c.scale)));
        if (e->a < 1.0)
            *high = sooner(*high, e->cycles->limit);
        break;
    }
    }
}

/* Shape of a ramp: the jet of f, the weight of the start, and 1 - f at u = 0 with a relative accuracy of its own. */
typedef struct {
    jet f;
    dd rest;
} weights;

/* 1 - y^power for y = 1 - x in [0, 1]. */
static dd one_minus_power(dd x, dd y, double power)
{
    if (power == 1.0)
        return x;
    if (power == 2.0)
        return dd_mul(x, dd_add_d(y, 1.0));
    if (power == 0.5)
        return dd_div(x, dd_add_d(dd_sqrt(y), 1.0));
    if (y.hi <= 0.0)
        return dd_of(1.0);
    dd log_y = x.hi < 0.5 ? lrk_dd_log1p(dd_neg(x)) : lrk_dd_log(y, 0);
    dd z = dd_mul_d(log_y, power);
    return z.hi < -100.0 ? dd_of(1.0) : dd_neg(lrk_dd_expm1(z));
}

static lrk_smoothness power_weights(dd y, dd x, dd slope, double power, weights *w)
{
    if (y.hi <= 0.0 && slope.hi != 0.0)
        return LRK_NOT_SMOOTH; /* around its zero a power is no power series, or one whose constant says nothing */
    int e;
    dd value = lrk_dd_pow(y, power, &e);
    dd ratio = y.hi > 0.0 ? dd_div(slope, y) : dd_of(0.0);
    lrk_jet_power(value, e, ratio, power, &w->f);
    w->rest = one_minus_power(x, y, power);
    return LRK_SMOOTH;
}

static void cosine_weights(dd y, dd x, dd slope, weights *w)
{
    dd s, c; /* of pi x/2, from whichever end is nearer */
    if (x.hi < 0.5)
        lrk_dd_sincospi(dd_scale(x, 0.5), &s, &c);
    else
        lrk_dd_sincospi(dd_scale(y, 0.5), &c, &s);
    jet *f = &w->f;
    dd rate = dd_mul((dd){PI_HI, PI_LO}, slope);
    dd half_sine = dd_mul(s, c);
    f->c0 = dd_mul(c, c);
    w->rest = dd_mul(s, s);
    f->c1 = dd_neg(dd_mul(half_sine, rate));
    double r = rate.hi, term = r * r * 0.5;
    double even = 0.5 * (w->rest.hi - f->c0.hi), odd = half_sine.hi; /* -cos(pi x)/2, sin(pi x)/2 */
    for (int k = 2; k < JET; k += 2) {
        f->c[k] = even * term;
        term *= r / (k + 1);
        f->c[k + 1] = odd * term;
        term *= r / (k + 2);
        even = -even;
        odd = -odd;
    }
    f->e = 0;
    f->scale = 0.0;
}

/* f = 2y/(1 + y). */
static void rex_weights(dd y, dd x, dd slope, weights *w)
{
    dd sum = dd_add_d(y, 1.0);
    dd inverse = dd_div(dd_of(1.0), sum);
    lrk_jet_power(dd_scale(inverse, -2.0), 0, dd_mul(slope, inverse), -1.0, &w->f);
    w->f.c0 = dd_scale(dd_mul(y, inverse), 2.0);
    w->rest = dd_mul(x, inverse);
}

/* f = 1/(1 + exp(z)), z = 2 (a y + b x); f' = -z' f (1 - f). */
static void logistic_weights(dd y, dd x, dd slope, double a, double b, weights *w)
{
    dd z = dd_scale(dd_add(dd_mul_d(y, a), dd_mul_d(x, b)), 2.0);
    dd rate = dd_scale(dd_mul(dd_two_sum(b, -a), slope), 2.0);
    int e;
    dd small = lrk_dd_exp(z.hi > 0.0 ? dd_neg(z) : z, &e);
    small = dd_scale(small, dd_pow2(e));
    dd large = dd_div(dd_of(1.0), dd_add_d(small, 1.0));
    small = dd_mul(small, large);
    jet *f = &w->f;
    f->c0 = z.hi > 0.0 ? small : large;
    w->rest = z.hi > 0.0 ? large : small;
    f->c1 = dd_neg(dd_mul(rate, dd_mul(small, large)));
    f->e = 0;
    f->scale = 0.0;
    f->c[1] = f->c1.hi;
    for (int k = 1; k + 1 < JET; k++) {
        double sum = f->c[k] * (w->rest.hi - f->c0.hi);
        for (int i = 1; i < k; i++)
            sum -= f->c[i] * f->c[k - i];
        f->c[k + 1] = -rate.hi * sum / (k + 1);
    }
}

static lrk_smoothness ramp_jet(const lrk_expr *e, dd t, dd slope, jet *out)
{
    dd steps = dd_of_int(e->n);
    int over = lrk_time_reached(t, steps);
    if (over && e->shape != LRK_SHAPE_LOGISTIC) {
        lrk_jet_constant(e->end, out);
        return LRK_SMOOTH;
    }
    if (over) { /* a logistic ramp holds what it has reached */
        steps = t = dd_of(1.0);
        slope = dd_of(0.0);
    }
    dd x = dd_div(t, steps), y = dd_div(dd_sub(steps, t), steps);
    dd rate = dd_div(slope, steps); /* of x; y falls */
    weights w;
    switch (e->shape) {
    case LRK_SHAPE_FALL:
        if (power_weights(y, x, dd_neg(rate), e->a, &w) == LRK_NOT_SMOOTH)
            return LRK_NOT_SMOOTH;
        break;
    case LRK_SHAPE_RISE: { /* the weight of the end is the power */
        if (power_weights(x, y, rate, e->a, &w) == LRK_NOT_SMOOTH)
            return LRK_NOT_SMOOTH;
        if (e->value.v.hi == 0.0) { /* all of the value is the power's */
            *out = w.f;
            lrk_jet_scale(out, e->end);
            return LRK_SMOOTH;
        }
        const double unit = -dd_pow2(w.f.e);
        const dd power = dd_scale(w.f.c0, -unit);
        w.f.c0 = w.rest;
        w.f.c1 = dd_scale(w.f.c1, unit);
        for (int k = 2; k < JET; k++)
            w.f.c[k] *= unit;
        w.f.e = 0;
        w.rest = power;
        break;
    }
    case LRK_SHAPE_COSINE:
        cosine_weights(y, x, rate, &w);
        break;
    case LRK_SHAPE_REX:
        rex_weights(y, x, dd_neg(rate), &w);
        break;
    case LRK_SHAPE_LOGISTIC:
        logistic_weights(y, x, rate, e->a, e->b, &w);
        break;
    case LRK_SHAPE_GEOMETRIC: {
        int k;
        dd grown = lrk_dd_exp(dd_mul(e->log_rate, x), &k);
        lrk_jet_exp(grown, k, dd_mul(e->log_rate, rate), out);
        lrk_jet_scale(out, e->value);
        return LRK_SMOOTH;
    }
    }
    if (e->end.v.hi == 0.0) {
        *out = w.f;
        lrk_jet_scale(out, e->value);
        return LRK_SMOOTH;
    }
    /* value = start f + end (1 - f): terms of one sign unless start and end differ in sign. */
    int top = e->value.e > e->end.e ? e->value.e : e->end.e;
    dd start = dd_scale(e->value.v, dd_pow2(e->value.e - top));
    dd end = dd_scale(e->end.v, dd_pow2(e->end.e - top));
    double unit = dd_pow2(w.f.e);
    dd drop = dd_sub(start, end);
    out->c0 = dd_add(dd_mul(start, dd_scale(w.f.c0, unit)), dd_mul(end, w.rest));
    out->c1 = dd_mul(drop, dd_scale(w.f.c1, unit));
    for (int k = 2; k < JET; k++)
        out->c[k] = drop.hi * (w.f.c[k] * unit);
    out->e = top;
    out->scale = start.hi * end.hi < 0.0 ? __builtin_fmax(dd_abs(start), dd_abs(end)) : 0.0;
    return LRK_SMOOTH;
}

static lrk_smoothness clip_jet(const lrk_expr *e, dd x, dd slope, double reach, jet *out)
{
    if (lrk_expr_jet(e->parts[0], x, slope, reach, out) == LRK_NOT_SMOOTH)
        return LRK_NOT_SMOOTH;
    xdd low = lrk_xdd(dd_of(e->a), 0), high = lrk_xdd(dd_of(e->b), 0);
    dd unit_low = dd_of(__builtin_ldexp(e->a, -out->e)), unit_high = dd_of(__builtin_ldexp(e->b, -out->e));
    double least, most;
    lrk_jet_bounds(out, reach, &least, &most);
    double swing = most - dd_abs(out->c0);
    dd bottom = dd_add_d(out->c0, -swing), top = dd_add_d(out->c0, swing);
    /* Every answer needs a comparison that holds: bounds of a far too long interval may be NaN. */
    if (dd_at_most(unit_low, bottom) && dd_at_most(top, unit_high))
        return LRK_SMOOTH;
    if (dd_at_most(top, unit_low))
        lrk_jet_constant(low, out);
    else if (dd_at_most(unit_high, bottom))
        lrk_jet_constant(high, out);
    else
        return LRK_NOT_SMOOTH;
    return LRK_SMOOTH;
}

/* a *= exp(i log_rate) */
static void jet_gain(jet *a, dd log_rate, int64_t i)
{
    if (i == 0 || log_rate.hi == 0.0)
        return;
    int k;
    dd gain = lrk_dd_exp(dd_mul(log_rate, dd_of_int(i)), &k);
    lrk_jet_scale(a, (xdd){gain, k});
}

lrk_smoothness lrk_expr_jet(const lrk_expr *e, dd x, dd slope, double reach, jet *out)
{
    switch (e->kind) {
    case LRK_KIND_CONSTANT:
        lrk_jet_constant(e->value, out);
        return LRK_SMOOTH;
    case LRK_KIND_RAMP:
        return ramp_jet(e, x, slope, out);
    case LRK_KIND_POWER_LAW: {
        int k;
        dd base = dd_add(e->offset, dd_mul(e->slope, x));
        dd value = lrk_dd_pow(base, e->a, &k);
        lrk_jet_power(value, k, dd_div(dd_mul(e->slope, slope), base), e->a, out);
        lrk_jet_scale(out, e->value);
        return LRK_SMOOTH;
    }
    case LRK_KIND_EXPONENTIAL: {
        int k;
        dd value = lrk_dd_exp(dd_mul(e->log_rate, x), &k);
        lrk_jet_exp(value, k, dd_mul(e->log_rate, slope), out);
        lrk_jet_scale(out, e->value);
        return LRK_SMOOTH;
    }
    case LRK_KIND_TABLE: {
        int64_t i = count_of(x, 1);
        lrk_jet_constant(lrk_xdd(dd_of(e->values[i < e->n ? i : e->n - 1]), 0), out);
        return LRK_SMOOTH;
    }
    case LRK_KIND_SUM:
    case LRK_KIND_PRODUCT: {
        jet a, b;
        if (lrk_expr_jet(e->parts[0], x, slope, reach, &a) == LRK_NOT_SMOOTH ||
            lrk_expr_jet(e->parts[1], x, slope, reach, &b) == LRK_NOT_SMOOTH)
            return LRK_NOT_SMOOTH;
        (e->kind == LRK_KIND_SUM ? lrk_jet_add : lrk_jet_mul)(&a, &b, out);
        return LRK_SMOOTH;
    }
    case LRK_KIND_CLIP:
        return clip_jet(e, x, slope, reach, out);
    case LRK_KIND_SHIFT: {
        dd by = dd_of_int(e->n);
        if (e->n > 0 && !lrk_time_reached(x, by))
            return lrk_expr_jet(e->parts[0], dd_of(0.0), dd_of(0.0), 0.0, out);
        return lrk_expr_jet(e->parts[0], dd_sub(x, by), slope, reach, out);
    }
    case LRK_KIND_STRETCH: {
        dd f = dd_of(e->a);
        return lrk_expr_jet(e->parts[0], dd_div(x, f), dd_div(slope, f), reach, out);
    }
    case LRK_KIND_STAIRCASE: {
        dd level = dd_mul(dd_of_int(count_of(x, e->n)), dd_of_int(e->n));
        return lrk_expr_jet(e->parts[0], level, dd_of(0.0), 0.0, out);
    }
    case LRK_KIND_JOIN: {
        int64_t i = part_of(e, x);
        dd t = i > 0 ? dd_sub(x, dd_of_int(e->boundaries[i - 1])) : x;
        return lrk_expr_jet(e->parts[i], t, slope, reach, out);
    }
    case LRK_KIND_REPEAT: {
        int64_t i = count_of(x, e->n);
        if (i > e->times - 1)
            i = e->times - 1;
        if (lrk_expr_jet(e->parts[0], since(x, i, e->n), slope, reach, out) == LRK_NOT_SMOOTH)
            return LRK_NOT_SMOOTH;
        jet_gain(out, e->log_rate, i);
        return LRK_SMOOTH;
    }
    case LRK_KIND_RESTARTS: {
        cycle c = cycle_of(e, x);
        if (c.over) {
            lrk_jet_constant(e->end, out);
            return LRK_SMOOTH;
        }
        if (lrk_expr_jet(e->parts[0], cycle_time(&c, x), dd_div(slope, c.scale), reach, out) == LRK_NOT_SMOOTH)
            return LRK_NOT_SMOOTH;
        jet_gain(out, e->log_rate, c.i);
        return LRK_SMOOTH;
    }
    }
    return LRK_NOT_SMOOTH; /* not reached: every kind is above */
}

static int64_t common_multiple(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y != 0) {
        int64_t r = x % y;
        x = y;
        y = r;
    }
    int64_t product;
    return __builtin_mul_overflow(a / x, b, &product) || product > LRK_MAX_STEP ? 0 : product;
}

int lrk_expr_periodic(const lrk_expr *e, int64_t *start, int64_t *period)
{
    int64_t s, p;
    *start = 0;
    *period = 1;
    switch (e->kind) {
    case LRK_KIND_CONSTANT:
        return 1;
    case LRK_KIND_RAMP:
        *start = e->n;
        return 1;
    case LRK_KIND_TABLE:
        *start = e->n - 1;
        return 1;
    case LRK_KIND_POWER_LAW:
        return e->slope.hi == 0.0;
    case LRK_KIND_EXPONENTIAL:
        return e->log_rate.hi == 0.0;
    case LRK_KIND_SUM:
    case LRK_KIND_PRODUCT:
        if (!lrk_expr_periodic(e->parts[0], start, period) || !lrk_expr_periodic(e->parts[1], &s, &p))
            return 0;
        *start = s > *start ? s : *start;
        *period = common_multiple(*period, p);
        return *period != 0;
    case LRK_KIND_CLIP:
        return lrk_expr_periodic(e->parts[0], start, period);
    case LRK_KIND_SHIFT:
        if (!lrk_expr_periodic(e->parts[0], start, period))
            return 0;
        *start = *start + e->n < 0 ? 0 : *start + e->n;
        return 1;
    case LRK_KIND_STRETCH: {
        if (!lrk_expr_periodic(e->parts[0], &s, &p))
            return 0;
        double length = (double)p * e->a;
        if (p != 1 && (length != __builtin_floor(length) || length > 0x1p53))
            return 0; /* a cycle of a fractional number of steps never repeats the same values */
        *period = p == 1 ? 1 : (int64_t)length;
        dd begin = dd_mul_d(dd_of_int(s), e->a);
        if (begin.hi > 0x1p53)
            return 0;
        *start = lrk_time_ceil(begin);
        return 1;
    }
    case LRK_KIND_STAIRCASE:
        if (!lrk_expr_periodic(e->parts[0], start, period))
            return 0;
        *start += e->n - 1; /* the level may lag by that much */
        *period = *period == 1 ? 1 : common_multiple(*period, e->n);
        return *period != 0;
    case LRK_KIND_JOIN:
        if (!lrk_expr_periodic(e->parts[e->n], start, period))
            return 0;
        *start += e->n > 0 ? e->boundaries[e->n - 1] : 0;
        return 1;
    case LRK_KIND_REPEAT: {
        if (e->times == INT64_MAX) {
            *period = e->n;
            return e->log_rate.hi == 0.0;
        }
        if (!lrk_expr_periodic(e->parts[0], start, period))
            return 0;
        int64_t begin;
        if (__builtin_mul_overflow(e->times - 1, e->n, &begin) || begin > LRK_MAX_STEP)
            return 0;
        *start += begin;
        return 1;
    }
    case LRK_KIND_RESTARTS:
        if (e->a >= 1.0 || e->cycles->limit.hi > 0x1p53)
            return 0;
        *start = lrk_time_ceil(e->cycles->limit);
        return 1;
    }
    return 0;
}

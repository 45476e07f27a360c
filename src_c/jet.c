#include "jet.h"

enum { ZERO_EXPONENT = -1000000 }; /* a zero never decides the exponent of a sum */

xdd lrk_xdd(dd v, int e)
{
    if (v.hi == 0.0)
        return (xdd){dd_of(0.0), ZERO_EXPONENT};
    int k;
    (void)__builtin_frexp(v.hi, &k);
    /* Two factors: 2^-k overflows for denormal v. */
    double f = dd_pow2(-k / 2), g = dd_pow2(-k - (-k / 2));
    return (xdd){dd_scale(dd_scale(v, f), g), e + k};
}

xdd lrk_xdd_mul(xdd a, xdd b)
{
    return lrk_xdd(dd_mul(a.v, b.v), a.e + b.e);
}

xdd lrk_xdd_div(xdd a, xdd b)
{
    return lrk_xdd(dd_div(a.v, b.v), a.e - b.e);
}

double lrk_xdd_round(xdd a)
{
    a = lrk_xdd(a.v, a.e);
    if (a.v.hi == 0.0 || a.e < -1080)
        return __builtin_copysign(0.0, a.v.hi);
    if (a.e >= -1021)
        return a.e > 1025 ? __builtin_copysign(__builtin_inf(), a.v.hi) : __builtin_ldexp(a.v.hi, a.e);
    /* Below the normal numbers: to a multiple of 2^-1074, rounded once. */
    double magic = __builtin_copysign(dd_pow2(-1022 - a.e), a.v.hi);
    double h = magic + a.v.hi;
    double rest = (a.v.hi - (h - magic)) + a.v.lo;
    return __builtin_ldexp((h + rest) - magic, a.e);
}

static void jet_ldexp(jet *a, int k)
{
    double f = dd_pow2(k);
    a->c0 = dd_scale(a->c0, f);
    a->c1 = dd_scale(a->c1, f);
    for (int i = 2; i < JET; i++)
        a->c[i] *= f;
    a->scale *= f;
    a->e -= k;
}

/* Keeps chains of products and gains near 1. */
static void normalise(jet *a)
{
    double m = __builtin_fabs(a->c0.hi);
    if (m != 0.0 && (m < 0x1p-200 || m > 0x1p200)) {
        int k;
        (void)__builtin_frexp(m, &k);
        jet_ldexp(a, -k);
    }
}

void lrk_jet_constant(xdd value, jet *out)
{
    *out = (jet){.c0 = value.v, .e = value.e};
}

void lrk_jet_add(const jet *a, const jet *b, jet *out)
{
    jet small = a->e < b->e ? *a : *b;
    jet r = a->e < b->e ? *b : *a;
    jet_ldexp(&small, small.e - r.e);
    double scale = __builtin_fmax(small.scale, r.scale);
    if (small.c0.hi * r.c0.hi < 0.0)
        scale = __builtin_fmax(scale, __builtin_fmax(dd_abs(small.c0), dd_abs(r.c0)));
    r.c0 = dd_add(r.c0, small.c0);
    r.c1 = dd_add(r.c1, small.c1);
    for (int i = 2; i < JET; i++)
        r.c[i] += small.c[i];
    r.scale = scale;
    *out = r;
}

void lrk_jet_mul(const jet *a, const jet *b, jet *out)
{
    jet r;
    r.e = a->e + b->e;
    r.c0 = dd_mul(a->c0, b->c0);
    r.c1 = dd_add(dd_mul(a->c0, b->c1), dd_mul(a->c1, b->c0));
    double x[JET], y[JET];
    x[0] = a->c0.hi, x[1] = a->c1.hi, y[0] = b->c0.hi, y[1] = b->c1.hi;
    for (int i = 2; i < JET; i++)
        x[i] = a->c[i], y[i] = b->c[i];
    for (int k = 2; k < JET; k++) {
        double sum = 0.0;
        for (int i = 0; i <= k; i++)
            sum = __builtin_fma(x[i], y[k - i], sum);
        r.c[k] = sum;
    }
    r.c[0] = r.c[1] = 0.0;
    r.scale = __builtin_fmax(a->scale * dd_abs(b->c0), b->scale * dd_abs(a->c0));
    normalise(&r);
    *out = r;
}

void lrk_jet_scale(jet *a, xdd by)
{
    a->c0 = dd_mul(a->c0, by.v);
    a->c1 = dd_mul(a->c1, by.v);
    for (int i = 2; i < JET; i++)
        a->c[i] *= by.v.hi;
    a->scale *= __builtin_fabs(by.v.hi);
    a->e += by.e;
    normalise(a);
}

void lrk_jet_power(dd value, int e, dd ratio, double power, jet *out)
{
    out->c0 = value;
    out->c1 = dd_mul(dd_mul_d(value, power), ratio);
    out->e = e;
    out->scale = 0.0;
    double c = out->c1.hi;
    for (int k = 2; k < JET; k++)
        out->c[k] = c = c * ((power - (k - 1)) / k) * ratio.hi;
}

void lrk_jet_exp(dd value, int e, dd rate, jet *out)
{
    static const double inverse[JET] = {0,       1,       1.0 / 2, 1.0 / 3, 1.0 / 4,  1.0 / 5,
                                        1.0 / 6, 1.0 / 7, 1.0 / 8, 1.0 / 9, 1.0 / 10, 1.0 / 11};
    out->c0 = value;
    out->c1 = dd_mul(value, rate);
    out->e = e;
    out->scale = 0.0;
    double c = out->c1.hi;
    for (int k = 2; k < JET; k++)
        out->c[k] = c = c * rate.hi * inverse[k];
}

void lrk_jet_bounds(const jet *a, double reach, double *low, double *high)
{
    double tail = 0.0;
    for (int i = JET - 1; i >= 2; i--)
        tail = (tail + __builtin_fabs(a->c[i])) * reach;
    tail = (tail + __builtin_fabs(a->c1.hi)) * reach;
    *low = dd_abs(a->c0) - tail;
    *high = dd_abs(a->c0) + tail;
}

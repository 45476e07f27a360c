/* Elementary functions in double-double: a table look-up, then a short series whose first terms are double-double.
 * Later terms are so small that plain doubles carry them (the bound is noted at each). */
#include "ddmath.h"

#include "ddtables.inc"

enum { EXP_STEPS = 128, LOG_STEPS = 128, LOG_FIRST = -32, TURN_STEPS = 256 };

/* exp(r) - 1 for |r| <= 0.0055. The double part is r^3/6 ... < 2^-15 r^2, so its rounding is < 2^-68 of r. */
static dd expm1_small(dd r) {
    double h = r.hi;
    double tail = h * h * h *
                  (1.0 / 6 + h * (1.0 / 24 + h * (1.0 / 120 + h * (1.0 / 720 + h * (1.0 / 5040 + h * (1.0 / 40320))))));
    dd half_square = dd_scale(dd_mul(r, r), 0.5);
    return dd_add(r, dd_add_d(half_square, tail));
}

dd lrk_dd_exp(dd x, int *exponent) {
    if (x.hi > 1e8 || x.hi < -1e8) x = dd_of(x.hi > 0 ? 1e8 : -1e8);
    double k = __builtin_floor(x.hi * (EXP_STEPS / 0x1.62e42fefa39efp-1) + 0.5);
    dd r = dd_sub(x, dd_mul_d(exp_step, k));
    long long n = (long long)k;
    long long index = n & (EXP_STEPS - 1);
    *exponent = (int)((n - index) / EXP_STEPS);
    dd base = exp_table[index];
    return dd_add(base, dd_mul(base, expm1_small(r)));
}

dd lrk_dd_expm1(dd x) {
    if (__builtin_fabs(x.hi) < 0.0055) return expm1_small(x);
    int e;
    dd y = lrk_dd_exp(x, &e);
    return dd_add_d(dd_scale(y, dd_pow2(e)), -1.0);
}

/* log(1 + r) for |r| <= 0.0056: three double-double terms, then r^4/4 ... < 2^-24 of r in doubles. */
static dd log1p_small(dd r) {
    double h = r.hi;
    double tail = -h * h * h * h *
                  (0.25 - h * (0.2 - h * (1.0 / 6 - h * (1.0 / 7 - h * (0.125 - h * (1.0 / 9 - h * (0.1 - h / 11)))))));
    dd square = dd_mul(r, r);
    dd third = dd_div(dd_mul(square, r), dd_of(3.0));
    return dd_add(r, dd_add(dd_scale(square, -0.5), dd_add_d(third, tail)));
}

dd lrk_dd_log(dd x, int exponent) {
    int e;
    double m = __builtin_frexp(x.hi, &e); /* [0.5, 1) -> [0.75, 1.5), so that values around 1 need no exponent */
    e += m < 0.75 ? -1 : 0;
    x = dd_scale(x, dd_pow2(-e));
    exponent += e;
    int i = (int)__builtin_floor((x.hi - 1.0) * LOG_STEPS + 0.5) - LOG_FIRST;
    dd small = log1p_small(dd_add_d(dd_mul_d(x, log_inverse[i]), -1.0));
    if (exponent == 0 && i == -LOG_FIRST) return small;
    return dd_add(dd_add(dd_mul_d(ln2, exponent), log_table[i]), small);
}

dd lrk_dd_log1p(dd x) {
    if (__builtin_fabs(x.hi) < 0.0055) return log1p_small(x);
    return lrk_dd_log(dd_add_d(x, 1.0), 0);
}

void lrk_dd_sincospi(dd y, dd *sine, dd *cosine) {
    double k = __builtin_floor(y.hi * TURN_STEPS + 0.5);
    dd r = dd_mul(pi, dd_add_d(y, -k / TURN_STEPS)); /* |r| <= 0.0062 */
    double h = r.hi, h2 = h * h;
    /* r^3/6 is < 2^-17 of r, r^4/24 < 2^-34 of 1: doubles carry them. */
    dd sin_r = dd_add_d(r, h * h2 * (-1.0 / 6 + h2 * (1.0 / 120 - h2 * (1.0 / 5040 - h2 / 362880))));
    dd cos_r = dd_add_d(dd_scale(dd_mul(r, r), -0.5), h2 * h2 * (1.0 / 24 - h2 * (1.0 / 720 - h2 / 40320)));
    cos_r = dd_add_d(cos_r, 1.0);
    dd s = sin_table[(int)k], c = cos_table[(int)k];
    *sine = dd_add(dd_mul(s, cos_r), dd_mul(c, sin_r));
    *cosine = dd_sub(dd_mul(c, cos_r), dd_mul(s, sin_r));
}

dd lrk_dd_pow(dd x, double power, int *exponent) {
    *exponent = 0;
    if (power == 0.0) return dd_of(1.0);
    if (x.hi <= 0.0) return dd_of(0.0);
    if (power == 1.0) return x;
    if (power == -1.0) return dd_div(dd_of(1.0), x);
    if (power == 2.0) return dd_mul(x, x);
    if (power == 0.5) return dd_sqrt(x);
    if (power == -0.5) return dd_div(dd_of(1.0), dd_sqrt(x));
    return lrk_dd_exp(dd_mul_d(lrk_dd_log(x, 0), power), exponent);
}

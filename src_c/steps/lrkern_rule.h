/* The words of rules as C: what the code of rules needs, that of lrkern itself and what `rule.c_source()` returns.
 *
 * Before the macros at the end are used, T must be float or double. Compile without contraction (-ffp-contract=off) and without
 * -ffast-math, so that each operation is rounded once. */
#ifndef LRKERN_RULE_H
#define LRKERN_RULE_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__)
#error "lrkern_rule.h relies on the order of operations: compile this file without -ffast-math and -fassociative-math"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define lrk_sqrt __builtin_sqrt

#define LRK_MAX_SCALAR_STATES 2

/* What the scalars of a rule depend on, besides its inputs. */
typedef struct lrk_rule_tensor {
    int64_t n; /* the number of this update of the tensor, from 1 */
    double norm, measured; /* of the parameter, and of what the rule measures; 1 if it does not */
    double size; /* the number of elements */
    double states[LRK_MAX_SCALAR_STATES]; /* scalars from the last update; 0 before the first one */
} lrk_rule_tensor;

typedef struct lrk_double_double {
    double high, low;
} lrk_double_double;

/* high + low as a double-double; without `low` where that is not a number, as high is infinite. */
static inline lrk_double_double lrk_power_pair(double high, double low)
{
    const double rest = high - high == 0 ? low : 0;
    lrk_double_double result;
    result.high = high + rest;
    result.low = high - high == 0 ? rest - (result.high - high) : 0;
    return result;
}

/* One step of a power: the product with a square, and the next square. */
static inline lrk_double_double lrk_power_times(lrk_double_double power, lrk_double_double square)
{
    const double high = power.high * square.high;
    const double low = __builtin_fma(power.high, square.high, -high) + (power.high * square.low + power.low * square.high);
    return lrk_power_pair(high, low);
}

static inline lrk_double_double lrk_power_square(lrk_double_double x)
{
    const double high = x.high * x.high;
    const double low = __builtin_fma(x.high, x.high, -high) + 2 * (x.high * x.low);
    return lrk_power_pair(high, low);
}

/* 1 / power. */
static inline lrk_double_double lrk_power_inverse(lrk_double_double power)
{
    const double inverse = 1 / power.high;
    const bool is_plain = inverse - inverse == 0 && inverse != 0;
    return lrk_power_pair(inverse, is_plain ? (__builtin_fma(-inverse, power.high, 1) - inverse * power.low) / power.high : 0);
}

/* base^n in double-double arithmetic, by squaring: a relative error of ~2^-90. Negative powers are reciprocals. */
static inline lrk_double_double lrk_power_of(double base, int64_t n)
{
    const bool negative = n < 0;
    lrk_double_double power, square;
    power.high = 1, power.low = 0;
    square.high = base, square.low = 0;
    if (negative)
        n = -n;
    for (;;) {
        if (n & 1)
            power = lrk_power_times(power, square);
        n >>= 1;
        if (n == 0)
            break;
        square = lrk_power_square(square);
    }
    return negative ? lrk_power_inverse(power) : power;
}

/* base^n, rounded once. */
static inline double lrk_whole_power(double base, int64_t n)
{
    return lrk_power_of(base, n).high;
}

/* 1 - x without cancellation, rounded once. */
static inline double lrk_one_minus(lrk_double_double x)
{
    const double gap = 1 - x.high;
    return gap - gap == 0 ? gap + (((1 - gap) - x.high) - x.low) : gap;
}

/* 1 - base^n. */
static inline double lrk_one_minus_power(double base, int64_t n)
{
    return lrk_one_minus(lrk_power_of(base, n));
}

/* High and low part of a sum, a product, and of the quotient by a small integer. */
static inline lrk_double_double lrk_dd_sum(lrk_double_double x, lrk_double_double y)
{
    const double sum = x.high + y.high, part = sum - x.high;
    const double rest = ((x.high - (sum - part)) + (y.high - part)) + (x.low + y.low);
    lrk_double_double result;
    result.high = sum + rest;
    result.low = rest - (result.high - sum);
    return result;
}

static inline lrk_double_double lrk_dd_product(lrk_double_double x, lrk_double_double y)
{
    const double product = x.high * y.high;
    const double rest = __builtin_fma(x.high, y.high, -product) + (x.high * y.low + x.low * y.high);
    lrk_double_double result;
    result.high = product + rest;
    result.low = rest - (result.high - product);
    return result;
}

static inline lrk_double_double lrk_dd_over(lrk_double_double x, double y)
{
    const double quotient = x.high / y;
    const double rest = (__builtin_fma(-quotient, y, x.high) + x.low) / y;
    lrk_double_double result;
    result.high = quotient + rest;
    result.low = rest - (result.high - quotient);
    return result;
}

#define LRK_LN2_HIGH 0.6931471805599453
#define LRK_LN2_LOW 2.3190468138462996e-17

/* ln x of a positive, finite x: x = 2^e f with f between 1/sqrt(2) and sqrt(2); ln f = 2 artanh((f - 1)/(f + 1)). */
static inline lrk_double_double lrk_dd_log(double x)
{
    double e = 0, scale = 1.3407807929942597e154; /* 2^512 */
    if (x < 2.2250738585072014e-308) {
        x = x * 18446744073709551616.0;
        e = -64;
    }
    for (double step = 512; step >= 1; step = step / 2) {
        if (x >= scale) {
            x = x / scale;
            e = e + step;
        }
        if (x * scale < 1) {
            x = x * scale;
            e = e - step;
        }
        scale = lrk_sqrt(scale);
    }
    if (x < 0.7071067811865476) {
        x = x * 2;
        e = e - 1;
    }
    if (x > 1.4142135623730951) {
        x = x / 2;
        e = e + 1;
    }
    const double sum = x + 1, part = sum - x, below = (x - (sum - part)) + (1 - part); /* the rest of the sum */
    const double ratio = (x - 1) / sum;
    lrk_double_double s;
    s.high = ratio;
    s.low = (__builtin_fma(-ratio, sum, x - 1) - ratio * below) / sum;
    const lrk_double_double square = lrk_dd_product(s, s);
    lrk_double_double series;
    series.high = 0;
    series.low = 0;
    for (double k = 51; k >= 1; k = k - 2) {
        lrk_double_double one;
        one.high = 1;
        one.low = 0;
        series = lrk_dd_sum(lrk_dd_product(series, square), lrk_dd_over(one, k));
    }
    series = lrk_dd_product(series, s);
    series.high = series.high * 2;
    series.low = series.low * 2;
    lrk_double_double ln2, whole;
    ln2.high = LRK_LN2_HIGH, ln2.low = LRK_LN2_LOW;
    whole.high = e, whole.low = 0;
    return lrk_dd_sum(lrk_dd_product(ln2, whole), series);
}

/* e^x, rounded once unless it is subnormal: 2^k e^r with |r| <= ln(2)/2. */
static inline double lrk_dd_exp(lrk_double_double x)
{
    if (!(x.high < 710))
        return x.high != x.high ? x.high : __builtin_inf();
    if (x.high < -750)
        return 0;
    int k = (int)(x.high / LRK_LN2_HIGH + (x.high < 0 ? -0.5 : 0.5));
    lrk_double_double ln2, minus_k, one, r;
    ln2.high = LRK_LN2_HIGH, ln2.low = LRK_LN2_LOW;
    minus_k.high = -k, minus_k.low = 0;
    one.high = 1, one.low = 0;
    r = lrk_dd_sum(x, lrk_dd_product(ln2, minus_k));
    lrk_double_double series = one;
    for (double i = 24; i >= 1; i = i - 1)
        series = lrk_dd_sum(lrk_dd_over(lrk_dd_product(series, r), i), one);
    double result = series.high;
    for (; k > 0; k--)
        result = result * 2;
    for (; k < 0; k++)
        result = result / 2;
    return result;
}

/* base^exponent for any exponent, rounded once unless it is subnormal; NaN for a negative base. */
static inline double lrk_real_power(double base, double exponent)
{
    if (exponent == 0 || base == 1)
        return 1;
    if (base == 0)
        return exponent > 0 ? 0 : exponent < 0 ? __builtin_inf() : exponent;
    if (!(base > 0) || exponent != exponent)
        return __builtin_nan("");
    if (base - base != 0 || exponent - exponent != 0)
        return (base > 1) == (exponent > 0) ? __builtin_inf() : 0;
    lrk_double_double y;
    y.high = exponent, y.low = 0;
    return lrk_dd_exp(lrk_dd_product(lrk_dd_log(base), y));
}

/* The smaller, or the larger one; NaN if one of them is: if b is NaN, the comparison fails and b is the result; if a is NaN, the
   second test selects a. Functions, not macros: arguments that occur several times would be computed several times, in
   branches. */
static inline double lrk_minimum(double a, double b)
{
    const double least = a <= b ? a : b;
    return a != a ? a : least;
}

static inline float lrk_minimum_f32(float a, float b)
{
    const float least = a <= b ? a : b;
    return a != a ? a : least;
}

static inline double lrk_maximum(double a, double b)
{
    const double most = a >= b ? a : b;
    return a != a ? a : most;
}

static inline float lrk_maximum_f32(float a, float b)
{
    const float most = a >= b ? a : b;
    return a != a ? a : most;
}

static inline double lrk_sign(double x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x;
}

static inline bool lrk_isfinite(double x)
{
    return x - x == 0;
}

/* For arguments without side effects. */
#define SIGN(x) ((x) > 0 ? (T)1 : (x) < 0 ? (T) - 1 : (x))
#define ISFINITE(x) ((x) - (x) == 0)

#ifdef __cplusplus
}
#endif

#endif

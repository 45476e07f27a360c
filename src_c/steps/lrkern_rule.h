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

typedef struct lrk_double_double {
    double high, low;
} lrk_double_double;

/* base^n in double-double arithmetic, by squaring: a relative error of ~2^-90. */
static inline lrk_double_double lrk_power_of(double base, int64_t n)
{
    double power = 1, power_low = 0, square = base, square_low = 0;
    for (;;) {
        if (n & 1) {
            const double high = power * square;
            const double low = __builtin_fma(power, square, -high) + (power * square_low + power_low * square);
            power = high + low;
            power_low = low - (power - high);
        }
        n >>= 1;
        if (n == 0)
            break;
        const double high = square * square;
        const double low = __builtin_fma(square, square, -high) + 2 * (square * square_low);
        square = high + low;
        square_low = low - (square - high);
    }
    lrk_double_double result;
    result.high = power;
    result.low = power_low;
    return result;
}

/* base^n, rounded once. */
static inline double lrk_whole_power(double base, int64_t n)
{
    return lrk_power_of(base, n).high;
}

/* 1 - base^n without cancellation. */
static inline double lrk_one_minus_power(double base, int64_t n)
{
    const lrk_double_double x = lrk_power_of(base, n);
    const double gap = 1 - x.high;
    return gap + (((1 - gap) - x.high) - x.low);
}

/* The smaller, or the larger one; NaN if one of them is. */
static inline double lrk_minimum(double a, double b)
{
    return a <= b || a != a ? a : b;
}

static inline double lrk_maximum(double a, double b)
{
    return a >= b || a != a ? a : b;
}

static inline double lrk_sign(double x)
{
    return x > 0 ? 1 : x < 0 ? -1 : x;
}

static inline bool lrk_isfinite(double x)
{
    return x - x == 0;
}

/* The same of elements, for arguments without side effects. */
#define SIGN(x) ((x) > 0 ? (T)1 : (x) < 0 ? (T) - 1 : (x))
#define MINIMUM(a, b) ((a) <= (b) || (a) != (a) ? (a) : (b))
#define MAXIMUM(a, b) ((a) >= (b) || (a) != (a) ? (a) : (b))
#define ISFINITE(x) ((x) - (x) == 0)

#ifdef __cplusplus
}
#endif

#endif

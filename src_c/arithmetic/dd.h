/* Double-double arithmetic: a value is the unevaluated sum hi + lo, |lo| <= ulp(hi)/2.
 *
 * About 106 bits, from ordinary doubles and fma. Relative error of each operation below: < 2^-100.
 * Only the compiler of plans uses it; kernels evaluate plans in plain doubles.
 * Algorithms: Dekker 1971; Knuth, TAOCP 2; Joldes, Muller, Popescu, ACM TOMS 44 (2017).
 */
#ifndef LRK_DD_H
#define LRK_DD_H

#include <math.h>

typedef struct {
    double hi, lo;
} dd;

static inline dd dd_of(double a)
{
    return (dd){a, 0.0};
}

/* a + b exactly; fast_two_sum needs |a| >= |b| (or a == 0). */
static inline dd dd_fast_two_sum(double a, double b)
{
    double s = a + b;
    return (dd){s, b - (s - a)};
}

static inline dd dd_two_sum(double a, double b)
{
    double s = a + b;
    double t = s - a;
    return (dd){s, (a - (s - t)) + (b - t)};
}

/* a * b exactly (barring underflow). */
static inline dd dd_two_prod(double a, double b)
{
    double p = a * b;
    return (dd){p, __builtin_fma(a, b, -p)};
}

static inline dd dd_neg(dd a)
{
    return (dd){-a.hi, -a.lo};
}

static inline dd dd_add(dd a, dd b)
{
    dd s = dd_two_sum(a.hi, b.hi);
    dd t = dd_two_sum(a.lo, b.lo);
    s = dd_fast_two_sum(s.hi, s.lo + t.hi);
    return dd_fast_two_sum(s.hi, s.lo + t.lo);
}

static inline dd dd_add_d(dd a, double b)
{
    dd s = dd_two_sum(a.hi, b);
    return dd_fast_two_sum(s.hi, s.lo + a.lo);
}

static inline dd dd_sub(dd a, dd b)
{
    return dd_add(a, dd_neg(b));
}

static inline dd dd_mul(dd a, dd b)
{
    dd p = dd_two_prod(a.hi, b.hi);
    return dd_fast_two_sum(p.hi, p.lo + __builtin_fma(a.hi, b.lo, a.lo * b.hi));
}

static inline dd dd_mul_d(dd a, double b)
{
    dd p = dd_two_prod(a.hi, b);
    return dd_fast_two_sum(p.hi, __builtin_fma(a.lo, b, p.lo));
}

/* Multiplication by a power of two is exact. */
static inline dd dd_scale(dd a, double power_of_two)
{
    return (dd){a.hi * power_of_two, a.lo * power_of_two};
}

static inline dd dd_div(dd a, dd b)
{
    double q = a.hi / b.hi;
    double rest = __builtin_fma(-q, b.hi, a.hi); /* exact */
    return dd_fast_two_sum(q, (rest + __builtin_fma(-q, b.lo, a.lo)) / b.hi);
}

/* 2^k, a normal number. */
static inline double dd_normal_pow2(long long k)
{
    const union {
        unsigned long long bits;
        double value;
    } u = {(unsigned long long)(k + 1023) << 52};
    return u.value;
}

/* 2^k; 0 below the normal numbers, infinite above them. */
static inline double dd_pow2(long long k)
{
    return k < -1022 ? 0.0 : k > 1023 ? __builtin_inf() : dd_normal_pow2(k);
}

/* k with 2^(k-1) <= |a| < 2^k, as frexp gives it; a is normal, or 0 (then far below any other exponent). */
static inline int dd_exponent(double a)
{
    const union {
        double value;
        unsigned long long bits;
    } u = {a};
    return (int)(u.bits >> 52 & 0x7ff) - 1022;
}

/* 2^k as two factors: multiplying by one after the other overflows or underflows only if the result does. */
typedef struct {
    double first, second;
} power_of_two;

/* |k| > 2000 counts as 2000. */
static inline power_of_two dd_power_of_two(long long k)
{
    k = k < -2000 ? -2000 : k > 2000 ? 2000 : k;
    return (power_of_two){dd_normal_pow2(k / 2), dd_normal_pow2(k - k / 2)};
}

static inline dd dd_times(dd a, power_of_two p)
{
    return (dd){a.hi * p.first * p.second, a.lo * p.first * p.second};
}

static inline dd dd_ldexp(dd a, long long k)
{
    return dd_times(a, dd_power_of_two(k));
}

static inline double dd_max(double a, double b)
{
    return a > b ? a : b;
}
static inline double dd_min(double a, double b)
{
    return a < b ? a : b;
}

/* hi is correctly rounded by every libm and compiler builtin, so the result is bit-identical everywhere. */
static inline dd dd_sqrt(dd a)
{
    if (a.hi <= 0.0)
        return dd_of(0.0);
    double s = __builtin_sqrt(a.hi);
    double rest = __builtin_fma(-s, s, a.hi); /* exact */
    return dd_fast_two_sum(s, (rest + a.lo) / (2.0 * s));
}

static inline int dd_less(dd a, dd b)
{
    return a.hi < b.hi || (a.hi == b.hi && a.lo < b.lo);
}

static inline int dd_at_most(dd a, dd b)
{
    return a.hi < b.hi || (a.hi == b.hi && a.lo <= b.lo);
}

static inline double dd_abs(dd a)
{
    return __builtin_fabs(a.hi);
}

static inline dd dd_floor(dd a)
{
    double h = __builtin_floor(a.hi);
    if (h != a.hi)
        return dd_of(h);
    return dd_fast_two_sum(h, __builtin_floor(a.lo));
}

static inline dd dd_of_int(long long n)
{
    double hi = (double)n; /* |n| <= 2^62: the remainder fits a long long */
    return (dd){hi, (double)(n - (long long)hi)};
}

#endif

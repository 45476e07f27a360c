/* Elementary functions in double-double for the compiler of plans. Nothing here calls libm: libm differs between hosts.
 * Bounds are relative unless said otherwise; tests/test_ddmath.py holds each of them against mpmath. */
#ifndef LRK_DDMATH_H
#define LRK_DDMATH_H

#include "dd.h"

/* exp(x) = result * 2^*exponent, the result in [0.7, 1.42]. Error < 2^-75 for |x| <= 2000. Beyond +-1e8: clamped. */
dd lrk_dd_exp(dd x, int *exponent);

/* exp(x) - 1, relative error < 2^-70 also near 0; |x| <= 700. */
dd lrk_dd_expm1(dd x);

/* Natural logarithm of x * 2^exponent, x > 0. Relative error < 2^-70, also near 1. */
dd lrk_dd_log(dd x, int exponent);

/* log(1 + x), relative error < 2^-70 also near 0; x > -1. */
dd lrk_dd_log1p(dd x);

/* sin(pi y) and cos(pi y) for 0 <= y <= 1/2; each keeps its relative accuracy (2^-68) down to its zero. */
void lrk_dd_sincospi(dd y, dd *sine, dd *cosine);

/* x^power * 2^*exponent for x >= 0; 0^positive = 0, 0^0 = 1. Error < 2^-66 for |power * log(x)| <= 1000. */
dd lrk_dd_pow(dd x, double power, int *exponent);

#endif

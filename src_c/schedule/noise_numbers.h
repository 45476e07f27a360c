/* What the numbers of noise are made of, defined in docs/schedules.md: words, and a double next to a normal number. */
#ifndef LRK_NOISE_NUMBERS_H
#define LRK_NOISE_NUMBERS_H

#include <stdint.h>
#include <string.h>

#include "runtime/random.h"

#define NOISE_STREAM (UINT64_C(1) << 63) /* words that the steps of optimizers do not use */
#define NOISE_GRID 0x1p24 /* normal numbers are multiples of its inverse: far coarser than their errors */

static inline uint64_t noise_word(uint64_t seed, uint64_t t, uint64_t k)
{
    return lrk_random_word(seed, t, NOISE_STREAM + k);
}

/* n < 2^52, by its place in the digits of 2^52 + n: so loops of it are vectors on every instruction set. */
static inline double noise_small(uint64_t n)
{
    const uint64_t bits = n | UINT64_C(0x4330000000000000);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x - 0x1p52;
}

/* n < 2^53. */
static inline double noise_double(uint64_t n)
{
    return noise_small(n >> 26) * 0x1p26 + noise_small(n & ((1 << 26) - 1));
}

/* (2 m + 1)/2^53 - 1, exactly; m < 2^53. */
static inline double noise_uniform(uint64_t m)
{
    return (noise_double(m) - 0x1p52) * 0x1p-52 + 0x1p-53;
}

/* Of the distance to a number half-way between two of the grid, 0.5: below it, noise_nearby does not tell which one is near. */
#define NOISE_DOUBT 0x1p-17

/* 2^24 sqrt(-2 log u) cos(pi v/2) for u = (2 m + 1)/2^54 and v = (2 n + 1)/2^53, m < 2^53, n < 2^52, to 2^-20.
 *
 * It is below 2^27.2, its relative error below 2^-48: log u = k log 2 + log(1 + f) has 2^-49.9 of its value, as the terms cancel
 * by a factor of two at most; the cosine, a sine of pi y <= pi/2, has 2^-49.6. Both series end where terms are below 2^-52. */
static inline double noise_nearby(uint64_t m, uint64_t n)
{
    const uint64_t from_0 = 2 * m + 1, from_1 = (UINT64_C(1) << 54) - from_0;
    const int lower = from_0 < from_1; /* u or 1 - u is less than 1/2, and exact */
    const double whole = noise_double(lower ? from_0 : from_1), d = whole * 0x1p-54;
    uint64_t bits;
    memcpy(&bits, &whole, sizeof bits);
    const uint64_t k = (bits - UINT64_C(0x3FE6A09E667F3BCD)) >> 52; /* to [sqrt(1/2), sqrt(2)) */
    const uint64_t rest = bits - (k << 52);
    double g;
    memcpy(&g, &rest, sizeof g);
    const int next_to_1 = d < 0x1.2bec333018866p-2;
    const double f = lower ? g - 1.0 : next_to_1 ? -d : 1.0 - 2.0 * d;
    const double power = lower ? noise_small(k) - 54.0 : next_to_1 ? 0.0 : -1.0;
    const double s = f / (2.0 + f), z = s * s; /* log(1 + f) = 2 artanh(s), |s| < 0.172 */
    double p = 1.0 / 19;
    p = p * z + 1.0 / 17;
    p = p * z + 1.0 / 15;
    p = p * z + 1.0 / 13;
    p = p * z + 1.0 / 11;
    p = p * z + 1.0 / 9;
    p = p * z + 1.0 / 7;
    p = p * z + 1.0 / 5;
    p = p * z + 1.0 / 3;
    p = p * z + 1.0;
    const double log_u = power * 0x1.62e42fefa39efp-1 + 2.0 * s * p;
    const double x = 0x1.921fb54442d18p+1 * (noise_double((UINT64_C(1) << 53) - (2 * n + 1)) * 0x1p-54), x2 = x * x;
    double q = -1.0 / 121645100408832000.0; /* 1/19! */
    q = q * x2 + 1.0 / 355687428096000.0;
    q = q * x2 - 1.0 / 1307674368000.0;
    q = q * x2 + 1.0 / 6227020800.0;
    q = q * x2 - 1.0 / 39916800.0;
    q = q * x2 + 1.0 / 362880.0;
    q = q * x2 - 1.0 / 5040.0;
    q = q * x2 + 1.0 / 120.0;
    q = q * x2 - 1.0 / 6.0;
    q = q * x2 + 1.0;
    return NOISE_GRID * __builtin_sqrt(-2.0 * log_u) * (q * x);
}

/* The whole number nearest to 0 <= x < 2^51. */
static inline double noise_nearest(double x)
{
    return (x + 0x1p52) - 0x1p52;
}

/* Whether that is certain, of an x from noise_nearby. */
static inline int noise_certain(double x)
{
    return __builtin_fabs(x - noise_nearest(x)) < 0.5 - NOISE_DOUBT;
}

#endif

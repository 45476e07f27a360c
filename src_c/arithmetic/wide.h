/* Positive numbers with 256 bits, for the powers of the growth of restarts: squaring a double-double fifty times would lose
 * half of its digits. value = m 2^(e - 256), m as four 64-bit digits, least significant first, the highest bit of m[3] set. */
#ifndef LRK_WIDE_H
#define LRK_WIDE_H

#include <stdint.h>

#include "arithmetic/dd.h"

enum { WIDE = 4 };

__extension__ typedef unsigned __int128 lrk_u128;
__extension__ typedef __int128 lrk_i128;

typedef struct {
    uint64_t m[WIDE];
    int e;
} wide;

static inline wide wide_of(double a) /* > 0 */
{
    const int small = a < 0x1p-1022; /* a denormal has no exponent of its own */
    if (small)
        a *= 0x1p100;
    const int e = dd_exponent(a);
    return (wide){{0, 0, 0, (uint64_t)(dd_ldexp(dd_of(a), -e).hi * 0x1p53) << 11}, small ? e - 100 : e};
}

static inline wide wide_mul(const wide *a, const wide *b)
{
    uint64_t digits[2 * WIDE] = {0};
    for (int i = 0; i < WIDE; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < WIDE; j++) {
            const lrk_u128 sum = (lrk_u128)a->m[i] * b->m[j] + digits[i + j] + carry;
            digits[i + j] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
        digits[i + WIDE] = carry;
    }
    wide r = {.e = a->e + b->e};
    const int shift = digits[2 * WIDE - 1] >> 63 ? 0 : 1;
    for (int i = 0; i < WIDE; i++)
        r.m[i] = shift ? digits[WIDE + i] << 1 | digits[WIDE + i - 1] >> 63 : digits[WIDE + i];
    r.e -= shift;
    return r;
}

static inline wide wide_add(const wide *a, const wide *b)
{
    wide r = a->e < b->e ? *b : *a, small = a->e < b->e ? *a : *b;
    const int shift = r.e - small.e;
    if (shift >= 64 * WIDE)
        return r;
    for (int i = 0; i < WIDE; i++) { /* right by shift */
        const int from = i + shift / 64, bits = shift % 64;
        const uint64_t low = from < WIDE ? small.m[from] : 0, high = from + 1 < WIDE ? small.m[from + 1] : 0;
        small.m[i] = bits ? low >> bits | high << (64 - bits) : low;
    }
    uint64_t carry = 0;
    for (int i = 0; i < WIDE; i++) {
        const lrk_u128 sum = (lrk_u128)r.m[i] + small.m[i] + carry;
        r.m[i] = (uint64_t)sum;
        carry = (uint64_t)(sum >> 64);
    }
    if (carry) {
        for (int i = 0; i < WIDE; i++)
            r.m[i] = r.m[i] >> 1 | (i + 1 < WIDE ? r.m[i + 1] << 63 : UINT64_C(1) << 63);
        r.e++;
    }
    return r;
}

static inline dd wide_to_dd(const wide *a)
{
    const lrk_u128 top = (lrk_u128)a->m[3] << 64 | a->m[2];
    const double hi = (double)(a->m[3] >> 11) * 0x1p75; /* 53 bits of the 128 */
    const double lo = (double)(lrk_i128)(top - (lrk_u128)hi);
    const dd v = dd_fast_two_sum(hi, lo);
    return dd_ldexp(v, (long long)a->e - 128);
}

#endif

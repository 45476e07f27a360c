#include "arithmetic/exact_sum.h"

#include <stdbool.h>
#include <string.h>

void lrk_sum_add(lrk_exact_sum *sum, double term)
{
    uint64_t bits;
    memcpy(&bits, &term, sizeof bits);
    const int exponent = (int)(bits >> 52 & 0x7FF);
    const uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    if (exponent == 0x7FF) {
        sum->special += term;
        return;
    }
    /* term = mantissa 2^(place - 1074) */
    const uint64_t mantissa = fraction | (uint64_t)(exponent != 0) << 52;
    const int place = exponent == 0 ? 0 : exponent - 1, shift = place % 32;
    int64_t *const digits = &sum->digits[place / 32];
    const uint64_t low = mantissa << shift, high = shift == 0 ? 0 : mantissa >> (64 - shift);
    const int64_t sign = bits >> 63 ? -1 : 1;
    digits[0] += sign * (int64_t)(low & UINT32_MAX);
    digits[1] += sign * (int64_t)(low >> 32);
    digits[2] += sign * (int64_t)high;
}

/* m 2^(e - 1074), rounded; bit 63 of m is set; `rest`: whether nonzero bits follow below m. */
static double rounded(uint64_t m, int e, bool rest)
{
    /* Bits below the last digit of a double: 11, or more if the number is denormal. */
    const int cut = e + 11 < 0 ? -e : 11;
    const uint64_t half = UINT64_C(1) << (cut - 1), tail = m & ((half << 1) - 1);
    uint64_t kept = m >> cut;
    kept += tail > half || (tail == half && (rest || (kept & 1)));
    int exponent = e + cut + 1; /* of a normal number whose leading 1 is bit 52 of `kept` */
    if (kept >> 53) {
        kept >>= 1;
        exponent++;
    }
    uint64_t bits = kept >> 52 ? (uint64_t)exponent << 52 | (kept & ((UINT64_C(1) << 52) - 1)) : kept;
    if (exponent >= 0x7FF)
        bits = UINT64_C(0x7FF) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The digits of a sum multiplied by 1 or -1, each below 2^32; whether it is negative, and they are of no use. */
static bool carry_over(const lrk_exact_sum *sum, int64_t sign, uint64_t digits[LRK_SUM_DIGITS + 1])
{
    int64_t carry = 0;
    for (int k = 0; k < LRK_SUM_DIGITS; k++) {
        carry += sign * sum->digits[k];
        digits[k] = (uint64_t)carry & UINT32_MAX;
        carry = (carry - (int64_t)digits[k]) / ((int64_t)1 << 32);
    }
    digits[LRK_SUM_DIGITS] = (uint64_t)carry;
    return carry < 0;
}

double lrk_sum_round(const lrk_exact_sum *sum)
{
    if (sum->special != 0)
        return sum->special;
    uint64_t digits[LRK_SUM_DIGITS + 1];
    const bool is_negative = carry_over(sum, 1, digits);
    if (is_negative)
        carry_over(sum, -1, digits);

    int top = LRK_SUM_DIGITS;
    while (top >= 0 && digits[top] == 0)
        top--;
    if (top < 0)
        return 0.0;
    /* The leading 64 bits, from three digits. */
    const uint64_t a = digits[top], b = top > 0 ? digits[top - 1] : 0, c = top > 1 ? digits[top - 2] : 0;
    const int free = __builtin_clzll(a) - 32;
    const uint64_t m = (a << 32 | b) << free | (free == 0 ? 0 : c >> (32 - free));
    bool rest = free == 0 ? c != 0 : (c & ((UINT64_C(1) << (32 - free)) - 1)) != 0;
    for (int k = top - 3; k >= 0 && !rest; k--)
        rest = digits[k] != 0;
    const double size = rounded(m, 32 * (top - 1) - free, rest);
    return is_negative ? -size : size;
}

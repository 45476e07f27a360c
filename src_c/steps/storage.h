/* Elements as they are stored: bfloat16 and float16 as bits, split float32, and the rounding to them. Free of branches, so that
   loops over these become vector code. */
#ifndef LRK_STORAGE_H
#define LRK_STORAGE_H

#include <stdint.h>
#include <string.h>

static inline uint32_t lrk_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float lrk_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* To a float32 that rounds to every narrower format as x does: truncated, with the last bit set if that was inexact. */
static inline float lrk_to_odd_f32(float x)
{
    return x;
}

static inline float lrk_to_odd_f64(double x)
{
    const float nearest = (float)x;
    const double back = nearest;
    const uint32_t too_large = __builtin_fabs(back) > __builtin_fabs(x), inexact = back != x;
    return lrk_float((lrk_bits(nearest) - too_large) | inexact);
}

static inline float lrk_from_bf16(uint16_t h)
{
    return lrk_float((uint32_t)h << 16);
}

static inline uint16_t lrk_to_bf16(float x)
{
    const uint32_t bits = lrk_bits(x), rounded = bits + 0x7FFF + (bits >> 16 & 1);
    return (uint16_t)((x != x ? 0x7FC00000 : rounded) >> 16);
}

static inline float lrk_from_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, digits = h & 0x7FFF;
    const uint32_t normal = (digits << 13) + (digits >= 0x7C00 ? 224u << 23 : 112u << 23);
    const uint32_t denormal = lrk_bits((float)(int32_t)digits * 0x1p-24f);
    return lrk_float(sign | (digits < 0x400 ? denormal : normal));
}

/* From the bits of a float32 without its sign; numbers beyond the largest float16 count as 65536, which becomes infinity. */
static inline uint32_t lrk_below_f16_infinity(uint32_t digits)
{
    return digits < 0x47800000 ? digits : 0x47800000;
}

/* The bits that turn an infinite float16 into a NaN if the float32 was one. */
static inline uint32_t lrk_f16_nan(uint32_t digits)
{
    return digits > 0x7F800000 ? 0x200 : 0;
}

static inline uint16_t lrk_to_f16(float x)
{
    const uint32_t bits = lrk_bits(x), digits = bits & 0x7FFFFFFF, finite = lrk_below_f16_infinity(digits);
    const uint32_t normal = (finite + 0xFFF + (finite >> 13 & 1) - (112u << 23)) >> 13;
    /* 2^-24, the quantum of denormals, is the last digit of numbers from 0.5 to 1. */
    const uint32_t denormal = lrk_bits(lrk_float(digits) + 0.5f) - 0x3F000000;
    return (uint16_t)((bits >> 16 & 0x8000) | (digits < 0x38800000 ? denormal : normal) | lrk_f16_nan(digits));
}

/* Split float32: the parameter is its rounded upper half, the remainder the difference. */
typedef struct lrk_split {
    uint16_t param, remainder;
} lrk_split;

static inline float lrk_from_split(uint16_t param, uint16_t remainder)
{
    const float whole = lrk_float(((uint32_t)param << 16) + (uint32_t)(int32_t)(int16_t)remainder);
    /* Together they would be a NaN if the parameter was overwritten and the remainder belongs to the old value. */
    return whole == whole ? whole : lrk_from_bf16(param);
}

static inline lrk_split lrk_to_split(float x)
{
    const uint32_t bits = x != x ? 0x7FC00000 : lrk_bits(x);
    return (lrk_split){(uint16_t)((bits + 0x8000) >> 16), (uint16_t)bits};
}

/* Stochastic rounding: away from zero with a probability equal to the discarded fraction of a unit; r: random bits. */
static inline uint16_t lrk_to_bf16_random(float x, uint32_t r)
{
    const uint32_t bits = lrk_bits(x), more = (bits & 0x7FFFFFFF) < 0x7F800000 ? r >> 16 : 0;
    return (uint16_t)((x != x ? 0x7FC00000 : bits + more) >> 16);
}

static inline uint16_t lrk_to_f16_random(float x, uint32_t r)
{
    const uint32_t bits = lrk_bits(x), digits = bits & 0x7FFFFFFF, more = r >> 19;
    const uint32_t normal = (lrk_below_f16_infinity(digits) + more - (112u << 23)) >> 13;
    /* Both are computed for all x: this one must not overflow even where it is not used. */
    const float small = lrk_float(digits < 0x38800000 ? digits : 0);
    const uint32_t denormal = ((uint32_t)(int32_t)(small * 0x1p37f) + more) >> 13;
    return (uint16_t)((bits >> 16 & 0x8000) | (digits < 0x38800000 ? denormal : normal) | lrk_f16_nan(digits));
}

/* The random bits of an element: see docs/steps.md. */
static inline uint32_t lrk_random_bits(uint32_t element, uint32_t low, uint32_t high)
{
    uint32_t x = element ^ low;
    x ^= x >> 16;
    x *= 0x21F0AAAD;
    x ^= x >> 15;
    x += high;
    x *= 0xD35A2D97;
    return x ^ x >> 15;
}

#endif

#include "decode.h"

#include <float.h>
#include <math.h>
#include <string.h>

uint64_t fuzz_raw(fuzz_bytes *bytes, int count)
{
    uint64_t value = 0;
    for (int i = 0; i < count && bytes->left > 0; i++, bytes->next++, bytes->left--)
        value |= (uint64_t)*bytes->next << 8 * i;
    return value;
}

int fuzz_pick(fuzz_bytes *bytes, int below)
{
    return (int)(fuzz_raw(bytes, 1) % (uint64_t)below);
}

bool fuzz_chance(fuzz_bytes *bytes, int in)
{
    return fuzz_pick(bytes, in) == in - 1;
}

/* ---- Real numbers. The first byte: a sign, and which of these or how it goes on. */

static const double numbers[] = {
    1.0,       0.0,       0.1,    0.5,     2.0,     0.9,         0.01,        1e-3,        3.0,         10.0,     0.3,
    0.99,      0.999,     1e-4,   5e-5,    1e-8,    100.0,       1000.0,      7.0,         0.25,        0.75,     1.1,
    1.5,       1e6,       1e-6,   1e-10,   1e10,    1e16,        1e-16,       1e100,       1e-100,      1e300,    1e-300,
    1e-308,    1e-310,    5e-324, DBL_MAX, DBL_MIN, DBL_EPSILON, 0x1p53,      0x1p-53,     0x1p62,      0x1p63,   0x1p64,
    0x1p-64,   0x1p31,    0x1p32, 0x1p511, 0x1p512, 0x1p-511,    0x1p-512,    0x1p900,     0x1p1023,    0x1p-900, 0x1p-1022,
    0x1p-1023, 0x1p-1060, 1e154,  1e-154,  1e20,    1e-20,       0x1.8p-1074, 1 - 0x1p-53, 1 + 0x1p-52,
};
enum { N_NUMBERS = sizeof numbers / sizeof *numbers };
_Static_assert(N_NUMBERS == 64, "a quarter of a byte");

static double any_bits(fuzz_bytes *bytes)
{
    uint64_t bits = fuzz_raw(bytes, 8);
    if ((bits >> 52 & 0x7FF) == 0x7FF)
        bits ^= UINT64_C(1) << 62;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double scaled(fuzz_bytes *bytes, int exponent_bytes, int lowest, int highest)
{
    const int exponent = lowest + (int)(fuzz_raw(bytes, exponent_bytes) % (uint64_t)(highest - lowest + 1));
    return ldexp(1 + (double)fuzz_raw(bytes, 2) * 0x1p-16, exponent);
}

double fuzz_number(fuzz_bytes *bytes)
{
    const int first = fuzz_pick(bytes, 256), way = first & 127;
    const double value = way < N_NUMBERS ? numbers[way]
                         : way < 88      ? (double)fuzz_raw(bytes, 1)
                         : way < 104     ? scaled(bytes, 1, -30, 30)
                         : way < 120     ? scaled(bytes, 2, -1074, 1023)
                                         : any_bits(bytes);
    return first > 127 ? -value : value;
}

double fuzz_positive(fuzz_bytes *bytes)
{
    const double value = fabs(fuzz_number(bytes));
    return value > 0 ? value : 1;
}

double fuzz_between(fuzz_bytes *bytes, double low, double high)
{
    const double value = fuzz_positive(bytes);
    return value < low ? low : value > high ? high : value;
}

/* ---- Integers */

int64_t fuzz_integer(fuzz_bytes *bytes, int64_t low, int64_t high)
{
    const int first = fuzz_pick(bytes, 256);
    uint64_t value;
    if (first < 128) {
        value = (uint64_t)first;
    } else if (first < 192) {
        const uint64_t power = UINT64_C(1) << (first - 128);
        value = power - 2 + fuzz_raw(bytes, 1) % 5;
    } else if (first < 224) {
        value = fuzz_raw(bytes, 2);
    } else {
        value = fuzz_raw(bytes, 8);
    }
    const uint64_t range = (uint64_t)high - (uint64_t)low;
    if (range < UINT64_MAX && value > range)
        value %= range + 1;
    return (int64_t)((uint64_t)low + value);
}

"""Sums that do not depend on their order, rounded once: one source for Numba and CUDA.

The twin of src_c/arithmetic/exact_sum.c.

A sum is a row of int64 bins: bin k counts units of 2^(32 k - 1074); two more count infinities and NaNs. On CUDA, terms
are added to bins by integer atomics, so that the result does not depend on the order of threads. Bins may be negative.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lrkern.pointwise.primitives import bits64, float64_of, pointwise

DIGITS = 68
"""Bins of digits: enough for 2^30 terms as large as the largest double."""
INFINITIES, NANS = DIGITS, DIGITS + 1
"""The lower half of the first one counts positive infinities, the upper half negative ones."""
BINS = DIGITS + 2

_LOW = 0xFFFFFFFF


@pointwise
def parts(term):
    """(k, a, b, c): the term is a, b, c in bins k, k + 1, k + 2."""
    bits = bits64(np.float64(term))
    exponent = (bits >> 52) & 0x7FF
    fraction = bits & 0xFFFFFFFFFFFFF
    if exponent == 0x7FF:
        return (INFINITIES if fraction == 0 else NANS), (1 if term > 0 else 1 << 32), 0, 0
    mantissa = fraction if exponent == 0 else fraction + (1 << 52)
    place = 0 if exponent == 0 else exponent - 1
    shift = place % 32
    low, high = (mantissa & _LOW) << shift, (mantissa >> 32) << shift
    a, b, c = low & _LOW, (low >> 32) + (high & _LOW), high >> 32
    if bits < 0:
        return place // 32, -a, -b, -c
    return place // 32, a, b, c


@pointwise
def add(bins, term):
    """Add a number to a row of bins."""
    k, a, b, c = parts(term)
    bins[k] += a
    if b != 0:
        bins[k + 1] += b
    if c != 0:
        bins[k + 2] += c


@pointwise
def _length(x):
    """The number of binary digits."""
    n = 0
    while x != 0:
        x >>= 1
        n += 1
    return n


@pointwise
def _rounded(m, e, rest):
    """m 2^(e - 1074), rounded, for 2^62 <= m < 2^63; `rest`: whether nonzero digits follow below m."""
    cut = max(10, -e)  # digits below the last one of a double
    half = 1 << (cut - 1)
    tail = m & (2 * half - 1)
    kept = m >> cut
    if tail > half or (tail == half and (rest or (kept & 1) != 0)):
        kept += 1
    exponent = e + cut + 1
    if kept >> 53:
        kept >>= 1
        exponent += 1
    if exponent >= 0x7FF:
        return math.inf
    bits = (exponent << 52) | (kept & 0xFFFFFFFFFFFFF) if kept >> 52 else kept
    return float64_of(np.int64(bits))


@pointwise
def _carried(bins, sign):
    """Multiply by 1 or -1 and carry over, so that each bin is from 0 to 2^32 - 1. Returns what is carried out of the last."""
    carry = 0
    for k in range(DIGITS):
        carry += sign * bins[k]
        bins[k] = carry & _LOW
        carry >>= 32
    return carry


@pointwise
def total(bins: Any):
    """The sum in a row of bins, rounded to nearest, ties to even. Changes the row."""
    infinite = bins[INFINITIES]
    if bins[NANS] != 0 or (infinite & _LOW != 0 and infinite >> 32 != 0):
        return math.nan
    if infinite != 0:
        return math.inf if infinite >> 32 == 0 else -math.inf
    is_negative = _carried(bins, 1) < 0
    if is_negative:
        _carried(bins, -1)  # what was carried out is 2^(32 DIGITS), which negation carries back
    top = DIGITS - 1
    while top >= 0 and bins[top] == 0:
        top -= 1
    if top < 0:
        return 0.0
    a = bins[top]
    b = bins[top - 1] if top > 0 else 0
    c = bins[top - 2] if top > 1 else 0
    n = _length(a)
    if n == 32:
        m = (a << 31) | (b >> 1)
        rest = (b & 1) != 0 or c != 0
    else:
        m = (a << (63 - n)) | (b << (31 - n)) | (c >> (n + 1))
        rest = (c & ((1 << (n + 1)) - 1)) != 0
    for k in range(top - 2):
        rest = rest or bins[k] != 0
    size = _rounded(m, 32 * top - 63 + n, rest)
    return -size if is_negative else size

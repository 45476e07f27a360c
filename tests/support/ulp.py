"""Errors in units in the last place (ULP), and comparisons of bits.

The unit is that of the *exact* value: the distance between neighbouring float64 numbers in the binade the exact value
lies in, 2^-1074 below the normal range.  There are no tolerances here; the tests have their own.
"""

from __future__ import annotations

import math

import numpy as np

SMALLEST = -1074  # the exponent of the smallest positive float64
UNSIGNED = {8: np.uint64, 4: np.uint32, 2: np.uint16, 1: np.uint8}


def ulp_exponent(exact) -> int:
    """k, where one ULP of the mpf `exact` is 2^k."""
    _, mantissa, exponent, bits = exact._mpf_
    if not mantissa:
        return SMALLEST
    return max(int(exponent) + bits - 53, SMALLEST)


def ulp_error(value: float, exact, scale=None) -> float:
    """|value - exact| in ULP of `exact`, or of `scale` where that is the larger of the two (sums that cancel)."""
    value = float(value)
    if not math.isfinite(value):
        return math.inf
    unit = ulp_exponent(exact)
    if scale is not None:
        unit = max(unit, ulp_exponent(scale))
    difference = exact.context.mpf(value) - exact
    return abs(float(exact.context.ldexp(difference, -unit)))


def nearest(exact) -> float:
    """The float64 nearest to an mpf, ties to even, denormals included; OverflowError beyond the largest."""
    sign, mantissa, exponent, _ = exact._mpf_
    mantissa, exponent = int(mantissa), int(exponent)
    if exponent < -40_000:  # far below every float64 whatever the mantissa: avoid a huge integer
        shift = -exponent - 40_000
        mantissa, exponent = mantissa >> shift, -40_000
    if exponent >= 0:
        if exponent > 1100:
            raise OverflowError("beyond the largest float64")
        value = float(mantissa << exponent)
    else:
        value = mantissa / (1 << -exponent)  # division of integers rounds once, also where the quotient is denormal
    return -value if sign else value


def worst(values, exacts, scales=None) -> tuple[float, int]:
    """(largest error, its index) of an array of values."""
    scales = scales if scales is not None else [None] * len(exacts)
    errors = [ulp_error(v, e, s) for v, e, s in zip(values, exacts, scales, strict=True)]
    if not errors:
        return 0.0, -1
    index = max(range(len(errors)), key=errors.__getitem__)
    return errors[index], index


def bits(array) -> np.ndarray:
    """The bits of a float array as unsigned integers."""
    array = np.ascontiguousarray(array)
    return array.view(UNSIGNED[array.dtype.itemsize])


def different(a, b) -> np.ndarray:
    """Indices at which the bits of two arrays of the same dtype and shape differ."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.dtype == b.dtype, f"dtypes differ: {a.dtype} and {b.dtype}"
    assert a.shape == b.shape, f"shapes differ: {a.shape} and {b.shape}"
    return np.flatnonzero(bits(a).ravel() != bits(b).ravel())


def assert_same_bits(a, b, what: str = "arrays") -> None:
    """Check that both arrays hold the same bits; the message has the number of differences and the first one."""
    a, b = np.asarray(a), np.asarray(b)
    wrong = different(a, b)
    if wrong.size:
        i = int(wrong[0])
        x, y = a.ravel()[i], b.ravel()[i]
        raise AssertionError(
            f"{what}: {wrong.size} of {a.size} differ, first at {i}: {float(x).hex()} ({x!r}) and {float(y).hex()} ({y!r})"
        )


def steps_apart(a: float, b: float) -> int:
    """The distance of two float64 numbers, in float64 numbers."""

    def order(x: float) -> int:
        i = int(np.float64(x).view(np.int64))
        return i if i >= 0 else -(i & 0x7FFF_FFFF_FFFF_FFFF)

    return abs(order(a) - order(b))

"""SGD one element and one operation at a time, each rounded once: the oracle of the fused step.

Written from the formulas in the docstring of `sgd_step`, in exact integer arithmetic; shares no code with the kernels.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

# Significant bits, exponent of the smallest positive number, and of the power of two that is too large.
FORMATS = {np.dtype("f4"): (24, -149, 128), np.dtype("f8"): (53, -1074, 1024)}


def _exact(x: float) -> tuple[int, int]:
    """A finite float as n * 2**e."""
    mantissa, exponent = math.frexp(x)
    return int(mantissa * 2**53), exponent - 53


def _rounded(n: int, e: int, dtype: np.dtype[Any]) -> float:
    """n * 2**e, n != 0, in a format, rounded to nearest, ties to even."""
    precision, smallest, too_large = FORMATS[dtype]
    sign, n = (-1.0, -n) if n < 0 else (1.0, n)
    quantum = max(n.bit_length() - precision + e, smallest)
    shift = quantum - e
    if shift > 0:
        rest, half = n & ((1 << shift) - 1), 1 << (shift - 1)
        n >>= shift
        n += rest > half or (rest == half and n % 2 == 1)
    else:
        n <<= -shift
    return sign * (math.inf if n.bit_length() + quantum > too_large else math.ldexp(n, quantum))


def fma(a: float, b: float, c: float, dtype: np.dtype[Any]) -> float:
    """a * b + c with one rounding, for a, b and c in the format."""
    if math.isinf(c) and math.isfinite(a) and math.isfinite(b):
        return c
    if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return a * b + c
    na, ea = _exact(a)
    nb, eb = _exact(b)
    nc, ec = _exact(c)
    e = min(ea + eb, ec)
    n = (na * nb << (ea + eb - e)) + (nc << (ec - e))
    if n == 0:  # the sign of an exact zero; with a zero factor the product is exact, so plain arithmetic has it right
        return a * b + c if a == 0 or b == 0 else 0.0
    return _rounded(n, e, dtype)


def mul(a: float, b: float, dtype: np.dtype[Any]) -> float:
    """a * b with one rounding."""
    if not (math.isfinite(a) and math.isfinite(b)) or a == 0 or b == 0:
        return a * b
    na, ea = _exact(a)
    nb, eb = _exact(b)
    return _rounded(na * nb, ea + eb, dtype)


def sgd(
    p: float,
    g: float,
    b: float,
    dtype: np.dtype[Any],
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
    first: bool = False,
) -> tuple[float, float]:
    """(p, b) after one step of one element."""

    def scalar(x: float) -> float:
        return float(dtype.type(x))

    if maximize:
        g = -g
    if scalar(weight_decay) != 0 and not decoupled:
        g = fma(scalar(weight_decay), p, g, dtype)
    if decoupled:
        p = mul(p, scalar(1 - lr * weight_decay), dtype)
    d = g
    if momentum != 0:
        b = g if first else fma(scalar(momentum), b, mul(scalar(1 - dampening), g, dtype), dtype)
        d = fma(scalar(momentum), b, g, dtype) if nesterov else b
    return fma(-scalar(lr), d, p, dtype), b


def sgd_arrays(p: np.ndarray, g: np.ndarray, b: np.ndarray, **options: Any) -> tuple[np.ndarray, np.ndarray]:
    """(p, b) after one step of 1-D arrays, which stay as they are."""
    results = [
        sgd(float(x), float(y), float(z), p.dtype, **options)
        for x, y, z in zip(p.tolist(), g.tolist(), b.tolist(), strict=True)
    ]
    with np.errstate(all="ignore"):
        return np.array([r[0] for r in results], p.dtype), np.array([r[1] for r in results], p.dtype)

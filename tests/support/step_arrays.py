"""Arrays for tests of steps, and comparisons of bits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from reference_steps import BF16, F16, F32, F64, Array


def values(dtype: Any, n: int, seed: int) -> Array:
    """Numbers of very different magnitudes."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(n) * 2.0 ** rng.integers(-8, 4, n)).astype(dtype)


def fitting(name: str, options: dict[str, Any], state_dtype: Any) -> Any:
    """This dtype of states, or the next wider one that an optimizer with these options supports."""
    if state_dtype is None:
        return None
    narrow = {"float16": F16, "bfloat16": BF16}.get(str(np.dtype(state_dtype) if state_dtype != "bfloat16" else BF16))
    if name in ("SGD", "Lion", "LARS") or narrow is None:
        return state_dtype
    return F32 if options.get("centered") else BF16


def bits(array: Array) -> Array:
    """Bit patterns, with the same one for all NaNs: NaN payloads are not defined."""
    flat = np.ravel(array, order="K")
    if flat.dtype.kind in "iu":
        return flat
    unsigned = flat.view(f"u{flat.itemsize}")
    return np.where(np.isnan(flat), unsigned.dtype.type(2 ** (8 * flat.itemsize) - 1), unsigned)


def assert_same_bits(found: Array, expected: Array, what: str = "") -> None:
    assert found.dtype == expected.dtype, what
    assert found.size == expected.size, what
    wrong = np.flatnonzero(bits(found) != bits(expected))
    if wrong.size:
        i = wrong[0]
        one, other = (float(np.ravel(array, order="K")[i]) for array in (found, expected))
        raise AssertionError(
            f"{what}: {wrong.size} of {found.size} elements differ, first at {i}: {one!r} ({one.hex()}) instead of "
            f"{other!r} ({other.hex()})"
        )


def specials(dtype: Any) -> Array:
    """The limits of a format."""
    limits = {F64: (-1074, -1022, 971, 53), F32: (-149, -126, 104, 24), BF16: (-133, -126, 120, 8), F16: (-24, -14, 5, 11)}
    least, normal, last, precision = limits[np.dtype(dtype)]
    edges = [math.ldexp(1, least), math.ldexp(3, least), math.ldexp(1, normal), math.ldexp(2**precision - 1, last)]
    found = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, edges[0], -edges[1], edges[2], -edges[2], edges[3], -edges[3]]
    with np.errstate(all="ignore"):
        return np.array(found).astype(dtype)

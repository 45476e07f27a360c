"""Checks of results before timing: identical bits, or a bound in ULP. All tolerances are given by the caller or named here."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrkern.bench.timing import exact

Floats = NDArray[Any]

MAX_ULP = 0.6  # what lrkern promises
NAIVE_ULP = 200  # error bound of a float64 formula, in ULP of its largest value, to recognize the same schedule
FLOAT32_ULP = 500  # likewise in float32, in which the step is rounded as well
RECURSION_ULP = 10**7  # torch accumulates products from step to step


class WrongResult(AssertionError):
    """A contestant's result is wrong."""


def same_bits(ours: Floats, theirs: Floats, what: str) -> None:
    """Check that both arrays have the same dtype, shape and bits."""
    if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        raise WrongResult(f"{what}: {ours.dtype} {ours.shape} and {theirs.dtype} {theirs.shape}")
    word = f"u{ours.dtype.itemsize}"
    wrong = np.flatnonzero(np.ravel(ours).view(word) != np.ravel(theirs).view(word))
    if wrong.size:
        first = int(wrong[0])
        pair = f"{ours.ravel()[first]!r} and {theirs.ravel()[first]!r}"
        raise WrongResult(f"{what}: {wrong.size} of {ours.size} differ, first at {first}: {pair}")


def sampled_steps(n: int, points: int) -> list[int]:
    """Steps below n: both ends, the middle and random ones."""
    wanted = {0, 1, 2, n // 2, n - 2, n - 1}
    wanted.update(random.Random(n).randrange(n) for _ in range(points))
    return sorted(t for t in wanted if 0 <= t < n)


def table(schedule: Any, values: Floats, points: int, twin: Callable[[int], float] | None = None) -> None:
    """Check a schedule's table from step 0.

    It must be accurate at sampled steps: within `MAX_ULP` of the exact value where the tests' oracle is at hand, elsewhere
    as near to `twin`, the naive function of a step, as that is accurate. And it must have the bits of s(steps) at many more.
    """
    sampled = sampled_steps(len(values), points)
    if values.dtype == np.float64 and exact.available():
        error, step = exact.largest_error(schedule, values, sampled)
        if not error <= MAX_ULP:
            raise WrongResult(f"{schedule!r}: off by {error:.3f} ULP at step {step}; got {float(values[step])!r}")
    elif values.dtype == np.float64 and twin is not None:
        alike(np.array([twin(t) for t in sampled]), values[sampled], NAIVE_ULP, repr(schedule))
    steps = np.random.default_rng(1).integers(0, len(values), 100 * points)
    same_bits(values[steps], schedule(steps).astype(values.dtype), repr(schedule))


def alike(ours: Floats, theirs: Floats, ulps: int, what: str) -> None:
    """Check that a rival's values are the same schedule within its rounding, in ULP of the largest value."""
    theirs = np.asarray(theirs)
    unit = np.spacing(np.abs(ours).max().astype(theirs.dtype)).astype(np.float64)
    error = np.abs(ours - theirs.astype(np.float64)).max() / unit
    if not error <= ulps:
        raise WrongResult(f"{what}: differs by {error:.3g} ULP of the largest value; allowed are {ulps}")


def fma(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> NDArray[np.float32]:
    """a b + c of float32 numbers, rounded once.

    The product is exact in float64. The sum is rounded to odd there (its last bit is set if it is inexact), which avoids
    double rounding in the conversion to float32.
    """
    product = np.asarray(a, np.float64) * np.asarray(b, np.float64)
    addend = np.asarray(c, np.float64)
    total = product + addend
    back = total - product
    lost = (product - (total - back)) + (addend - back)
    even = (total.view(np.int64) & 1) == 0
    odd = np.where((lost != 0) & even, np.nextafter(total, np.copysign(np.inf, lost)), total)
    return odd.astype(np.float32)


def sgd(param: Floats, grad: Floats, buffer: Floats, lr: float, momentum: float) -> tuple[Floats, Floats]:
    """(param, buffer) after one step with momentum of float32 arrays, every operation rounded once."""
    m, rate = np.float32(momentum), np.float32(-lr)
    fresh = fma(m, buffer, grad)
    return fma(rate, fresh, param), fresh

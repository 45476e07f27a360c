"""Checks of results before timing: identical bits, or a bound in ULP. All tolerances are given by the caller or named here."""

from __future__ import annotations

import random
from typing import Any

import cases  # noqa: F401  (enters its formulas into the oracle)
import numpy as np
import oracle
import ulp
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[Any]

MAX_ULP = 0.6  # what lrkern promises
NAIVE_ULP = 200  # error bound of a float64 formula, in ULP of its largest value, to recognize the same schedule
FLOAT32_ULP = 500  # likewise in float32, in which the step is rounded as well
RECURSION_ULP = 10**7  # torch accumulates products from step to step


class WrongResult(AssertionError):
    """A contestant's result is wrong."""


def same_bits(ours: Floats, theirs: Floats, what: str) -> None:
    """Check that both arrays have the same dtype, shape and bits."""
    try:
        ulp.assert_same_bits(ours, theirs, what)
    except AssertionError as error:
        raise WrongResult(str(error)) from None


def sampled_steps(n: int, marks: tuple[int, ...], points: int) -> list[int]:
    """Steps below n: both ends, typical joints and their neighbours, and random ones."""
    wanted = {0, 1, 2, n // 2, n - 2, n - 1}
    wanted.update(mark + near for mark in marks for near in (-1, 0, 1))
    wanted.update(random.Random(n).randrange(n) for _ in range(points))
    return sorted(t for t in wanted if 0 <= t < n)


def largest_error(schedule: Any, values: Floats, points: int) -> tuple[float, int]:
    """(ULP, step) of the largest error of a float64 table from step 0, against 60 digits at sampled steps."""
    exact = oracle.evaluate(repr(schedule))
    steps = sampled_steps(len(values), exact.marks, points)
    pairs = [exact.at_with_scale(t) for t in steps]
    error, index = ulp.worst([values[t] for t in steps], [p[0] for p in pairs], [p[1] for p in pairs])
    return error, steps[index]


def table(schedule: Any, values: Floats, points: int) -> None:
    """Check a schedule's table from step 0: accurate at sampled steps, and with the bits of s(steps) at many more."""
    if values.dtype == np.float64:
        error, step = largest_error(schedule, values, points)
        if not error <= MAX_ULP:
            raise WrongResult(f"{schedule!r}: off by {error:.3f} ULP at step {step}; got {float(values[step])!r}")
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

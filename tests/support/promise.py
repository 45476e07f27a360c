"""The accuracy that the documentation promises, checked at single steps against the exact twin.

Errors are in ULP of the exact value, or of the larger term if a sum cancelled (`oracle.Measured`), minus the change of the
value within 2^-100 of the time if there are non-integer times: docs/plans.md, "Limits of the error bound".
"""

from __future__ import annotations

import ast
import math
import random
import time
from dataclasses import dataclass
from fractions import Fraction

import case_steps
import cases
import numpy as np
import oracle
import ulp
from oracle import mp

LIMIT = mp.ldexp(1, 1024) - mp.ldexp(1, 970)  # what rounds to beyond float64


@dataclass
class Fault:
    """A promise broken at a step."""

    kind: str  # "accuracy", "overflow", "no overflow", "exact", "bounds", "steps"
    text: str
    step: float
    got: float
    exact: object
    scale: object
    error: float

    def __str__(self) -> str:
        larger = f", larger term {float(self.scale):.6g}" if self.scale > abs(self.exact) and self.scale < LIMIT else ""
        values = f"got {self.got!r}, exact {mp.nstr(self.exact, 20)}{larger}: {self.error:.4g} ULP"
        return f"{self.kind}: {self.text} at step {self.step!r}: {values}"


def ahead(t: float) -> Fraction:
    """How close before a boundary a non-integer time counts as having reached it."""
    return Fraction(t) / 2**96


def moved(exact: oracle.Exact, t: float, value):
    """Twice the approximate change of the value within 2^-100 of the time, the precision of non-integer times, and within 2^-96
    after it, where they count as having reached a boundary."""
    shifts = [ahead(t) * share / 16 for share in (16, 8, 2, 1, -1, Fraction(1, 3), Fraction(-2, 3))]
    try:
        return 2 * max(abs(exact.at(max(Fraction(t) + shift, Fraction(0))) - value) for shift in shifts)
    except oracle.Undefined:  # next to a pole every value is within the tolerance
        return mp.inf


def error_at(text: str, exact: oracle.Exact, t: float, got: float, value, scale) -> float:
    """The error at a step in ULP of `scale`, minus what the precision of 2^-100 of times allows."""
    error = ulp.ulp_error(got, value, scale)
    if error > cases.MAX_ULP and cases.has_local_times(text) and np.isfinite(got):
        unit = mp.ldexp(1, max(ulp.ulp_exponent(scale), ulp.ulp_exponent(value)))
        excess = (abs(mp.mpf(float(got)) - value) - moved(exact, t, value)) / unit
        error = min(error, max(float(excess), 0.0))
    return error


def overflows(value, scale) -> bool | None:
    """Whether a value must overflow; None if it is so close to the limit that either is correct."""
    if abs(abs(value) - LIMIT) <= mp.ldexp(1, ulp.ulp_exponent(scale)):
        return None
    return bool(abs(value) > LIMIT)


def few_steps(exact: oracle.Exact, rng: random.Random, n: int = 60) -> list[int]:
    """Ends and joins with two steps on both sides, powers of two, and random steps, about `n` in total."""
    end = case_steps.last_of(exact)
    marks = [m for m in exact.marks if m <= cases.LAST_STEP]
    marks = rng.sample(marks, min(len(marks), n // 12))
    steps = {0, 1, 2, end, min(end + 1, cases.LAST_STEP), max(end - 1, 0), cases.LAST_STEP if rng.random() < 0.3 else 3}
    steps.update(t for m in marks for t in range(m - 2, m + 3))
    steps.update(2**k + d for k, d in ((rng.randrange(53), rng.randint(-1, 1)) for _ in range(n // 10)))
    steps.update(int(2 ** rng.uniform(0, 53)) for _ in range(n // 10))
    beyond = min(max(4 * end // 3, 10), cases.LAST_STEP)
    steps.update(rng.randrange(beyond + 1) for _ in range(n // 3))
    near = max([*marks, end]) if rng.random() < 0.5 else rng.choice([*marks, end])
    steps.update(int(2 ** rng.uniform(0, max(near, 2).bit_length())) for _ in range(n // 6))
    return sorted(t for t in steps if 0 <= t <= cases.LAST_STEP)


def between(steps: list[int], rng: random.Random, n: int) -> list[float]:
    """Non-integer times, some of them next to an integer."""
    last = float(cases.LAST_STEP)
    chosen = [rng.choice(steps) + rng.choice((0.5, 0.25, rng.random())) for _ in range(n)]
    chosen += [math.nextafter(float(rng.choice(steps)), rng.choice((0.0, last))) for _ in range(n // 2)]
    return sorted({t for t in chosen if 1e-300 < t < last})


def values_at(schedule, steps: list[float], seconds: float = 3.0) -> list[float]:
    """The value at every step, or at the first ones if time runs out; infinity where one overflows."""
    out, began = [], time.monotonic()
    for first in range(0, len(steps), 8):
        some = steps[first : first + 8]
        try:
            out += schedule(np.array(some)).tolist()
        except (OverflowError, ZeroDivisionError):
            out += [value_at(schedule, t) for t in some]
        if time.monotonic() - began > seconds:
            break
    return out


def value_at(schedule, t: float) -> float:
    try:
        return schedule(t)
    except OverflowError:
        return float("inf")
    except ZeroDivisionError:
        return float("nan")


def clip_bounds(text: str) -> tuple[float, float] | None:
    """The bounds of an expression whose outermost operation is a clip."""
    node = ast.parse(text, mode="eval").body
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "clip" and not node.keywords:
        low, high = ([ast.literal_eval(a) for a in node.args] + [None, None])[:2]
        return (-np.inf if low is None else low, np.inf if high is None else high)
    return None


def judge(text: str, schedule, exact: oracle.Exact, steps: list[float]) -> tuple[list[Fault], list[float]]:
    """The promises broken at the steps, and the error at each step that has one.

    Monotonicity is not checked: two values within 0.6 ULP each are out of order by at most one ULP, and only if the exact ones
    are closer than that.
    """
    faults, errors = [], []
    bounds = clip_bounds(text)
    marks = {0, case_steps.last_of(exact), *exact.marks}
    for t, got in zip(steps, values_at(schedule, steps), strict=False):
        try:
            value, scale = exact.at_with_scale(t)
        except oracle.Undefined:
            if not np.isnan(got):
                faults.append(Fault("defined", text, t, got, mp.nan, mp.zero, 0.0))
            continue
        must = overflows(value, scale)
        if cases.has_local_times(text) and must != np.isinf(got):
            try:
                must = overflows(*exact.at_with_scale(t + ahead(t)))
            except oracle.Undefined:
                continue
            if must == np.isinf(got):
                continue

        def fault(kind, error=0.0, t=t, got=got, value=value, scale=scale):
            faults.append(Fault(kind, text, t, got, value, scale, error))

        if np.isinf(got):
            if must is False:
                fault("overflow")
            continue
        if must and not np.isnan(got):
            fault("no overflow")
            continue
        error = error_at(text, exact, t, got, value, scale)
        errors.append(error)
        if not error <= cases.MAX_ULP:
            fault("accuracy", error)
        elif t in marks and scale <= abs(value) < LIMIT and mp.mpf(got) != value == ulp.nearest(value):
            fault("exact", error)
        if bounds and not bounds[0] <= got <= bounds[1]:
            fault("bounds", error)
    return faults, errors


def examine(text: str, schedule, rng: random.Random, n: int = 60) -> tuple[list[Fault], list[float]]:
    """Check an expression at about `n` steps, and between a few of them."""
    exact = oracle.evaluate(text)
    steps = few_steps(exact, rng, n)
    faults, errors = judge(text, schedule, exact, steps)
    more, of_those = judge(text, schedule, exact, between(steps, rng, n // 12))
    faults, errors = faults + more, errors + of_those
    if schedule.steps != exact.steps:
        faults.append(Fault("steps", text, exact.steps or -1, schedule.steps or -1, mp.zero, mp.zero, 0.0))
    return faults, errors

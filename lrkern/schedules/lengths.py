"""Lengths of combined schedules. None: it never ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lrkern import _core
from lrkern._checks import MAX_COUNT, describe, real

if TYPE_CHECKING:
    from fractions import Fraction


def plus(steps: int | None, more: int) -> int | None:
    """A length and more steps."""
    if steps is None:
        return None
    if steps + more > MAX_COUNT:
        raise ValueError(f"schedule: it must end by step 2^53; got an end at {steps + more}")
    return steps + more


def longer(a: _core.Expression, b: _core.Expression) -> int | None:
    """The length of a sum or product of two."""
    return None if a.steps is None or b.steps is None else max(a.steps, b.steps)


def arrival(clock: _core.Expression, steps: int | None) -> int | None:
    """The first step at which a clock shows `steps` or more; if it stops before that, the step at which it stops."""
    found = -1 if steps is None else _core.clock_arrival(clock.node, steps)
    return clock.steps if found < 0 else found


def stretched(steps: int | None, factor: float, divisor: int) -> int | None:
    """factor/divisor times a length, rounded up."""
    if steps is None:
        return None
    numerator, denominator = factor.as_integer_ratio()
    found = -(-steps * numerator // (denominator * divisor))
    if found > MAX_COUNT:
        raise ValueError(f"stretch: the stretched schedule must end by step 2^53; got an end at {found}")
    return found


def ratio(factor: float | Fraction, divisor: int) -> tuple[float, int]:
    """factor/divisor as a float over an odd integer."""
    from fractions import Fraction  # its import takes longer than that of the schedules

    exact = Fraction(factor if isinstance(factor, Fraction) else real("stretch", "factor", factor, above=0.0)) / divisor
    odd = exact.denominator // (exact.denominator & -exact.denominator)
    try:
        value = float(exact * odd)
    except OverflowError:
        value = 0.0
    if not (value > 0.0 and value == exact * odd and odd <= MAX_COUNT):
        shown = describe(factor) + (f" over {divisor}" if divisor > 1 else "")
        raise ValueError(f"stretch: factor over divisor must be > 0, a float64 over an integer up to 2^53; got {shown}")
    return value, odd

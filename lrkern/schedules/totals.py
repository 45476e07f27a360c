"""Running totals of piecewise constant schedules: `Schedule.cumulative`."""

from __future__ import annotations

from lrkern import _core
from lrkern._checks import MAX_COUNT, describe

_MOST_LEVELS = 100_000


def running_total(s: _core.Expression) -> tuple[_core.Node, int | None]:
    """The sum of s(0), s(1), ..., s(t - 1), and its length."""
    from fractions import Fraction

    begins, levels = _levels(s)
    total, parts = Fraction(0), []
    for i, level in enumerate(levels):
        base, line = float(total), _core.line(0.0, level, 1.0)
        low = float(total - Fraction(base))
        start = _core.constant(base) if low == 0.0 else _core.add(_core.constant(base), _core.constant(low))
        parts.append(_core.add(start, line) if level else start)
        if i + 1 < len(begins):
            total += Fraction(level) * (begins[i + 1] - begins[i])
    return _core.join(parts, list(begins[1:])), begins[-1] if levels[-1] == 0.0 else None


def _levels(s: _core.Expression) -> tuple[list[int], list[float]]:
    """The steps at which a piecewise constant schedule changes, beginning with 0, and its value from each on."""
    begins = [0, *s._joints(0, MAX_COUNT, _MOST_LEVELS)]
    if len(begins) > _MOST_LEVELS:
        raise ValueError(f"cumulative: the schedule must not change at more than {_MOST_LEVELS} steps; {describe(s)} does")
    levels = []
    for i, begin in enumerate(begins):
        level, last = s(begin), begins[i + 1] - 1 if i + 1 < len(begins) else MAX_COUNT
        # A smooth piece that is not constant differs at one of these steps.
        if any(s(t) != level for t in (begin + 1, (begin + last) // 2, last - 1, last) if begin < t <= last):
            raise ValueError(
                f"cumulative: the schedule must be piecewise constant, as piecewise and staircase make it; "
                f"{describe(s)} is not constant from step {begin} to {last}"
            )
        if level < 0.0:
            raise ValueError(f"cumulative: values must be >= 0; got {level} at step {begin}")
        levels.append(level)
    return begins, levels

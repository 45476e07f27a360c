"""`diff`: what changes for a run at some step if it continues with another schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrkern._checks import MAX_COUNT, count
from lrkern.schedules.expression import Schedule, schedule

_ALL = 1 << 20  # steps from `at` on that are all compared
_PLACES = 4096  # steps sampled beyond those


@dataclass(frozen=True, slots=True, repr=False)
class Diff:
    """What `lrkern.diff` found.

    Attributes:
        at: the step that the run has reached.
        old_value, new_value: the values at `at`.
        old_steps, new_steps: the lengths; None for a schedule that never ends.
        old_end, new_end: the values at these lengths; None likewise.
        first: the first step from `at` on at which the values differ; None if no such step was found.
        largest: the largest |new - old| found, 0.0 if none differs.
        largest_step, largest_values: its first step, and both values there; None if none differs.
        exhaustive: whether every step was compared, up to the end of both.

    >>> import lrkern as lk
    >>> found = lk.diff(lk.constant(0.1), lk.piecewise([0.1, 0.2], [7]), at=3)
    >>> found.same, found.first, found.largest_values
    (False, 7, (0.1, 0.2))
    """

    at: int
    old_value: float
    new_value: float
    old_steps: int | None
    new_steps: int | None
    old_end: float | None
    new_end: float | None
    first: int | None
    largest: float
    largest_step: int | None
    largest_values: tuple[float, float] | None
    exhaustive: bool

    @property
    def same(self) -> bool:
        """Whether nothing changes from `at` on, at the steps compared."""
        return self.first is None and self.old_steps == self.new_steps

    def __repr__(self) -> str:
        return f"Diff({'; '.join(self.lines())})"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The findings, one sentence per line."""
        if self.same:
            return [f"from step {self.at} on: the same values{'' if self.exhaustive else ' at all steps sampled'}"]
        lines = []
        if self.old_value == self.new_value:
            lines.append(f"at step {self.at}: {self.old_value!r}, as before")
        else:
            lines.append(f"at step {self.at}: {self.new_value!r} instead of {self.old_value!r}{self._times()}")
        if self.first is None:
            lines.append("no value differs")
        elif self.largest_values is not None:
            old, new = self.largest_values
            since = "" if self.first == self.at else f"values differ from step {self.first} on; "
            lines.append(f"{since}furthest apart at step {self.largest_step}: {new!r} instead of {old!r}")
        if self.old_steps != self.new_steps:
            lines.append(f"{_end(self.new_steps, self.new_end)}; before: {_end(self.old_steps, self.old_end)}")
        return lines

    def _times(self) -> str:
        return f", {self.new_value / self.old_value:.4g} times that" if self.old_value else ""


def _end(steps: int | None, value: float | None) -> str:
    return "it never ends" if steps is None else f"it ends at step {steps} with {value!r}"


def diff(old: Schedule, new: Schedule, at: int) -> Diff:
    """What changes from step `at` on if a run continues with `new` instead of `old`.

    For a run that is resumed with another schedule, such as one with another total or peak. Printed, it says what the next
    update will do differently. Values are compared exactly; `lrkern.compare` distinguishes rounding from other differences.

    The first 2^20 steps from `at` on are all compared. Beyond those, up to the end of the longer schedule, about 4,000 evenly
    spaced steps are, and those at which another formula begins.

    Args:
        old, new: Schedules.
        at: the step that the run has reached, 0 to 2^53.

    Raises:
        TypeError, ValueError: bad arguments.
        OverflowError, ZeroDivisionError: a value is beyond float64, or undefined.

    >>> import lrkern as lk
    >>> print(lk.diff(lk.linear(0.1, 0.0, 1000), lk.linear(0.1, 0.0, 2000), at=500))
    at step 500: 0.075 instead of 0.05, 1.5 times that
    furthest apart at step 1000: 0.05 instead of 0.0
    it ends at step 2000 with 0.0; before: it ends at step 1000 with 0.0
    >>> lk.diff(lk.cosine(0.1, 0.0, 1000), lk.cosine(0.1, 0.0, 1000).extend(2000, at=500), at=500).first
    501
    >>> lk.diff(lk.linear(0.1, 0.0, 9), lk.linear(0.1, 0.0, 9), at=3).same
    True
    """
    old, new = schedule("diff", "old", old), schedule("diff", "new", new)
    at = count("diff", "at", at)
    first, largest, where, values = None, 0.0, None, None
    exhaustive = True
    for steps, complete in _chosen(old, new, at):
        exhaustive = exhaustive and complete
        before, after = old(steps), new(steps)
        apart = np.abs(after - before)
        if first is None and (changed := np.flatnonzero(before != after)).size:
            first = int(steps[changed[0]])
        furthest = int(np.argmax(apart))
        if apart[furthest] > largest:
            largest, where = float(apart[furthest]), int(steps[furthest])
            values = float(before[furthest]), float(after[furthest])
    old_end, new_end = (None if s.steps is None else s(s.steps) for s in (old, new))
    return Diff(at, old(at), new(at), old.steps, new.steps, old_end, new_end, first, largest, where, values, exhaustive)


def _chosen(old: Schedule, new: Schedule, at: int) -> list[tuple[NDArray[Any], bool]]:
    """The steps to compare, in order, in batches; each with whether it has every step of its range."""
    if old == new:
        return [(np.array([at]), True)]
    ends = [s.steps for s in (old, new)]
    known = [end for end in ends if end is not None]
    last = max(at, *known) if len(known) == 2 else MAX_COUNT
    near = min(last, at + _ALL - 1)
    chosen = [(np.arange(at, near + 1), True)]
    if last > near:
        spread = np.unique(np.linspace(near + 1, last, _PLACES).astype(np.int64))
        joints = [t for s in (old, new) for t in s._joints(near, last, _PLACES)]
        beyond = np.unique(np.concatenate([spread, np.array([*joints, *known], np.int64)]))
        chosen.append((beyond[(beyond > near) & (beyond <= last)], False))
    return chosen

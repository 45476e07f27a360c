"""What a plot shows: how many steps, which of them, and where one formula ends and the next begins."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lrkern._checks import MAX_COUNT, count
from lrkern.pictures.logged import Drawable, Logged
from lrkern.schedules.expression import Schedule

_ENDLESS = 1_000  # steps shown of a schedule that has no end and never falls to half its peak
_WHOLE = 1 << 16  # up to this many steps, all are evaluated
_JOINTS = 1 << 12  # up to this many joints, all are used
_MARKS = 16  # if there are more marks, none is drawn

_Steps = NDArray[np.int64]
_Values = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One curve as it is drawn.

    Attributes:
        steps, values: the points to connect, from left to right. Where a value is held until the next formula begins, there is
            a second point at that step, so that the line is a stair. NaNs among logged values are gaps.
        marks: the joints to mark: where one formula ends and the next begins, except for staircase steps and repeated cycles.
    """

    steps: _Steps
    values: _Values
    marks: list[int]


def lines(where: str, curves: Sequence[Drawable], n: int | None, columns: int) -> tuple[int, list[Line]]:
    """The number of steps to show, at most `n`, and a line for each curve, up to its last value or until it exceeds float64.

    The lines keep the schedules' extremes: the steps are divided into `columns` ranges, and each has its smallest and its
    largest value. Beyond 65536 steps and 4096 joints these are the extremes of a sample and of the joints near the ends of the
    range.
    """
    n = default_steps(curves) if n is None else count(where, "n", n, low=1)
    lengths = [min(n, one.length) if isinstance(one, Logged) else _finite_length(one, n) for one in curves]
    if not any(lengths):
        raise OverflowError(f"{where}: nothing to draw: the value at step 0 is beyond the range of float64")
    drawn = [
        _logged_line(one, length, columns) if isinstance(one, Logged) else _line(one, length, columns)
        for one, length in zip(curves, lengths, strict=True)
    ]
    return max(lengths), drawn


def default_steps(curves: Sequence[Drawable]) -> int:
    """The default number of steps to show; see `lrkern.plot`."""
    logged = [one.length for one in curves if isinstance(one, Logged)]
    schedules = [one for one in curves if isinstance(one, Schedule)]
    finite = [min(s.steps + max(1, s.steps // 20) + 1, MAX_COUNT) for s in schedules if s.steps]
    endless = [] if logged else [_until_half(s) for s in schedules if s.steps is None]
    return max(logged + finite + endless, default=100)


def even_steps(n: int, at_most: int) -> _Steps:
    """The steps 0 ... n - 1, or evenly spaced ones among them, both ends included."""
    if n <= at_most:
        return np.arange(n, dtype=np.int64)
    return np.rint(np.linspace(0, n - 1, at_most)).astype(np.int64)


def _until_half(schedule: Schedule) -> int:
    n = _ENDLESS
    while n < 2**36:
        try:
            values = np.abs(np.asarray(schedule(even_steps(n, 512))))
        except OverflowError:
            break
        peak = int(values.argmax())
        if values[peak:].min() < values[peak] / 2:
            return n
        n *= 4
    return _ENDLESS


def _finite_length(schedule: Schedule, n: int) -> int:
    """The length of the longest prefix, at most n, in which no sample is beyond float64."""
    return _first(range(1, n + 1), lambda length: not _is_finite(schedule, even_steps(length, 512)))


def _is_finite(schedule: Schedule, steps: _Steps) -> bool:
    try:
        schedule(steps)
    except OverflowError:
        return False
    return True


def _first(lengths: range, too_long: Callable[[int], bool]) -> int:
    """The number of lengths that are not too long."""
    return bisect_left(lengths, True, key=too_long) if too_long(lengths[-1]) else len(lengths)


def _line(schedule: Schedule, n: int, columns: int) -> Line:
    joints = schedule._joints(0, n, _JOINTS)
    few = joints if len(joints) < _JOINTS else []
    steps = np.arange(n, dtype=np.int64) if n <= _WHOLE else _sampled(schedule, n, columns, joints)
    # The line ends at the first value beyond float64, also if the coarser samples above missed it.
    steps = steps[: _first(range(1, len(steps) + 1), lambda length: not _is_finite(schedule, steps[:length]))]
    steps, values = _thinned(steps, np.asarray(schedule(steps)), n, columns, few if len(few) <= columns else [])
    return Line(*_stairs(schedule, steps, values, few), _worth_marking(few, n))


def _logged_line(logged: Logged, n: int, columns: int) -> Line:
    end = int(np.searchsorted(logged.steps, n))
    steps, values = logged.steps[:end], logged.values[:end]
    known = ~np.isnan(values)
    if known.all():
        return Line(*_thinned(steps, values, n, columns, []), [])
    kept, _ = _thinned(steps[known], values[known], n, columns, [])
    gap_begins = np.flatnonzero(~known & np.append(True, known[:-1]))
    shown = np.union1d(np.searchsorted(steps, kept), gap_begins)
    return Line(steps[shown], values[shown], [])


def _sampled(schedule: Schedule, n: int, columns: int, joints: list[int]) -> _Steps:
    """The steps to evaluate: evenly spaced ones, and both sides of joints."""
    even = even_steps(n, 8 * columns)
    if len(joints) >= _JOINTS:  # too many: the first few of each column
        joints = [joint for begin, end in pairwise(even[::8].tolist()) for joint in schedule._joints(begin, end, 4)]
    beside = np.array(joints, np.int64)
    return np.unique(np.concatenate([even, beside - 1, beside]))


def _thinned(steps: _Steps, values: _Values, n: int, columns: int, joints: list[int]) -> tuple[_Steps, _Values]:
    """The first, smallest, largest and last value of each column, and both sides of joints."""
    if len(steps) <= 4 * columns:
        return steps, values
    begins = np.searchsorted(steps, np.arange(columns, dtype=np.int64) * n // columns)
    begins = np.unique(begins[begins < len(steps)])
    column = np.zeros(len(steps), np.int64)
    column[begins[1:]] = 1
    order = np.lexsort((values, np.cumsum(column)))
    ends = np.append(begins[1:], len(steps)) - 1
    beside = np.searchsorted(steps, np.array(joints, np.int64))
    kept = np.unique(np.concatenate([begins, ends, order[begins], order[ends], beside, np.maximum(beside, 1) - 1]))
    kept = kept[kept < len(steps)]
    return steps[kept], values[kept]


def _stairs(schedule: Schedule, steps: _Steps, values: _Values, joints: list[int]) -> tuple[_Steps, _Values]:
    """Adds a second point at every jump from a value that is held until then."""
    jumps = np.flatnonzero((values[1:] != values[:-1]) & (np.diff(steps) == 1) & np.isin(steps[1:], joints)) + 1
    held = jumps[np.asarray(schedule(steps[jumps] - 0.5)) == values[jumps - 1]] if jumps.size else jumps
    return np.insert(steps, held, steps[held]), np.insert(values, held, values[held - 1])


def _worth_marking(joints: list[int], n: int) -> list[int]:
    """The joints; if too many, only those not evenly spaced (one or two alternating gaps); none if those are too many."""
    if len(joints) <= _MARKS:
        return joints
    gaps = np.diff([0, *joints, n])
    irregular = [joint for i, joint in enumerate(joints) if not _regular(gaps, i)]
    return irregular if len(irregular) <= _MARKS else []


def _regular(gaps: NDArray[np.int64], i: int) -> bool:
    """Whether a nearby joint has the same gap before it, within rounding, and the same or a longer gap after it."""
    nearby = [j for j in (i - 2, i - 1, i + 1, i + 2) if 0 <= j < len(gaps) - 1]
    return any(abs(gaps[j] - gaps[i]) <= 1 and gaps[i + 1] <= gaps[j + 1] + 1 for j in nearby)

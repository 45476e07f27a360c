"""Plans for array libraries, which trace or dispatch whole operations: no loops, no fused multiply-adds, perhaps no int64.

The integer difference of step and centre is formed first, then the polynomial of the piece: with

    u = (t - anchor) scale + offset
    q = (... (c9 u + c8) u + ... + c2) u + c1_lo
    value = c0 + (c1 u + (q u + c0_lo))

of a plan (`lrkern.Plan`), whose coefficients are pairs of numbers of the type in which values are computed. The centre is the
anchor, offset 0, unless the centre is beyond the integers of the library.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lrkern._checks import MAX_COUNT, count, describe, warn
from lrkern.schedules.expression import Schedule
from lrkern.schedules.plan import Plan

HORIZON = 2**31
"""The steps that are covered of a schedule that neither ends nor repeats,"""

SHORT_HORIZON = 2**20
"""or these, if its plan has as many pieces as a plan may have, before that: stairs and cycles of a few steps."""

MOST_PIECES = 2**17
"""Pieces of joined plans: they become constants of compiled programs, about a hundred bytes each."""


class Library(Protocol):
    """The operations of an array library."""

    def cast(self, x: Any, dtype: Any) -> Any:
        """An array in another type."""

    def floor(self, x: Any) -> Any:
        """The largest integers <= x, as floats."""

    def where(self, condition: Any, a: Any, b: Any) -> Any:
        """`a` where the condition holds, else `b`."""

    def find(self, breaks: Any, t: Any) -> Any:
        """The number of breaks <= t, for sorted breaks."""

    def take(self, rows: Any, index: Any) -> Any:
        """The rows with these indices."""


def plan_of(where: str, schedule: Schedule, horizon: int | None) -> Plan:
    """The plan of a schedule for all steps, or, if it neither ends nor repeats, for those before `horizon`.

    Warns if the plan ends early and nobody has chosen that.

    Raises:
        ValueError: it would have too many pieces.
    """
    if horizon is not None:
        stop = count(where, "horizon", horizon, low=1)
    else:
        stop = HORIZON if schedule.steps is None else min(schedule.steps + 1, MAX_COUNT)
    first = Plan(*schedule._plan_arrays(stop))
    if first.period or first.breaks[-1] >= stop:
        return first
    if horizon is None and schedule.steps is None:
        stop = SHORT_HORIZON
    parts, pieces = [_merged(first)], 0
    while (reached := int(parts[-1].breaks[-1])) < stop:
        pieces += len(parts[-1].center)
        if pieces > MOST_PIECES:
            wanted = f"must be at most {reached}, the steps that a plan of {MOST_PIECES} pieces covers"
            raise ValueError(f"{where}: horizon {wanted}; got {horizon} for {describe(schedule)}")
        parts.append(_merged(Plan(*schedule._plan_arrays(stop, reached))))
    if stop == SHORT_HORIZON and horizon is None and reached < HORIZON:
        end = f"values from step {reached:,} on are NaN, as {describe(schedule)} has no end and too many pieces"
        warn(f"{where}: {end}; horizon= chooses the number of steps that are covered")
    ends = np.append(np.concatenate([one.breaks[:-1] for one in parts]), parts[-1].breaks[-1])
    center, coef = (np.concatenate([getattr(one, name) for one in parts]) for name in ("center", "coef"))
    return first._replace(breaks=ends, center=center, coef=coef)


def _merged(plan: Plan) -> Plan:
    """The plan with neighbouring pieces of the same constant joined, as the steps of a stair."""
    constant = np.all(plan.coef[:, [1, *range(3, 12)]] == 0.0, axis=1)
    same = constant[1:] & constant[:-1] & np.all(plan.coef[1:, [0, 2, 14]] == plan.coef[:-1, [0, 2, 14]], axis=1)
    kept = np.concatenate([[True], ~same])
    breaks = np.append(plan.breaks[:-1][kept], plan.breaks[-1])
    return plan._replace(breaks=breaks, center=plan.center[kept], coef=plan.coef[kept])


def _pairs(high: NDArray[np.float64], low: NDArray[np.float64], dtype: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Numbers in pairs, in pairs of another type."""
    rounded = (high + low).astype(dtype)
    return rounded, ((high - rounded) + low).astype(dtype)


class TracedPlan:
    """A plan in the types of an array library, as NumPy's arrays."""

    def __init__(self, plan: Plan, integer: Any, floating: Any) -> None:
        plan = _merged(plan)
        self.integer, self.floating = np.dtype(integer), np.dtype(floating)
        last = int(np.iinfo(self.integer).max)
        self.period, self.tail_start = plan.period, plan.tail_start
        if plan.tail_start + plan.period > last:
            self.period = 0  # no step that the library can count has come so far
        self.end = int(plan.breaks[-1]) if plan.period == 0 and plan.breaks[-1] <= last else None
        kept = int(np.searchsorted(plan.breaks[:-1], last, side="right"))
        coef = plan.coef[:kept, :12] * plan.coef[:kept, 14:15]
        anchor = np.minimum(plan.center[:kept], last)
        scale = plan.coef[:kept, 12]
        offset = (anchor - plan.center[:kept]) * scale
        with np.errstate(over="ignore", under="ignore"):
            c0, c0_low = _pairs(coef[:, 0], coef[:, 2], floating)
            c1, c1_low = _pairs(coef[:, 1], coef[:, 3], floating)
            higher = coef[:, 4:].astype(floating)
        degrees = int(np.flatnonzero(np.any(higher != 0.0, axis=0)).max(initial=-1)) + 1
        columns = [scale, offset, c0, c1, c0_low, c1_low, *higher[:, :degrees].T]
        self.starts = plan.breaks[1:kept].astype(integer)
        self.anchor = anchor.astype(integer)
        self.numbers = np.stack([one.astype(floating) for one in columns], axis=-1)

    def at_reals(self, ops: Library, t: Any) -> Any:
        """The values at an array of floats, at least float32: between integers, what the piece of the lower one extends to."""
        whole = ops.floor(t)
        # Beyond the integers of the library a conversion wraps or stops at the last one. False for NaN.
        counted = (whole >= 0) & (whole < 2.0 ** (8 * self.integer.itemsize - 1))
        whole = ops.where(counted, whole, -1.0)
        return self.at(ops, ops.cast(whole, self.integer), ops.cast(t - whole, self.floating))

    def at(self, ops: Library, t: Any, part: Any = None) -> Any:
        """The values at an array of integers, plus `part` of a step each; NaN where the plan has none."""
        t = ops.cast(t, self.integer)
        valid = t >= 0 if self.end is None else (t >= 0) & (t < self.end)
        if self.period:
            later = t - self.tail_start
            t = ops.where(later < self.period, t, self.tail_start + later % self.period)
        if len(self.anchor) == 1:
            anchor, c = ops.cast(self.anchor[0], self.integer), ops.cast(self.numbers[0], self.floating)
        else:
            piece = ops.find(self.starts, t)
            anchor, c = ops.take(self.anchor, piece), ops.take(self.numbers, piece)
        distance = ops.cast(t - anchor, self.floating)
        if part is not None:
            distance = distance + part
        u = distance * c[..., 0] + c[..., 1]
        q = c[..., 5]
        if c.shape[-1] > 6:
            q = c[..., -1]
            for k in range(c.shape[-1] - 2, 5, -1):
                q = q * u + c[..., k]
            q = q * u + c[..., 5]
        value = c[..., 2] + (c[..., 3] * u + (q * u + c[..., 4]))
        # A number of NumPy: making a NaN of the library is an error where it looks for them, as with `jax_debug_nans`.
        return ops.where(valid, value, self.floating.type(np.nan))

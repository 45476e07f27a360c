"""Plans: the compiled form of schedules, and tables of many schedules at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrkern._checks import MAX_COUNT, count, counts, counts_for, describe
from lrkern.backends import choose
from lrkern.expression import Schedule, schedule


class Plan(NamedTuple):
    """A schedule compiled to piecewise polynomials of the step: arrays only, for kernels of any backend.

    Piece i covers the integer steps breaks[i] <= t < breaks[i + 1]. With (c0, c1, c0_lo, c1_lo, c2, ..., c9, scale, magic,
    unscale) = coef[i]::

        u = (t - center[i]) * scale                              exact, |u| <= 1
        q = fma(... fma(fma(c9, u, c8), u, c7) ..., u, c2)
        q = fma(fma(q, u, c1_lo), u, c0_lo)
        s = fma(c1, u, c0)
        e = fma(c1, u, c0 - s)
        value = s + (q + e)

    Where `unscale` is not 1 (values near or below the smallest normal number) the coefficients are scaled up, and
    h = magic + s; value = ((h + ((s - (h - magic)) + (q + e))) - magic) * unscale.

    Where `period` > 0 the plan covers every step: t >= tail_start + period has the value of
    tail_start + (t - tail_start) % period. Else it covers t < breaks[-1].
    """

    breaks: NDArray[np.int64]
    center: NDArray[np.int64]
    coef: NDArray[np.float64]
    tail_start: int
    period: int


def compile_plan(s: Schedule, horizon: int | None) -> Plan:
    """The plan of `s` for at least the steps before `horizon`."""
    if horizon is None:
        horizon = 1 if s.steps is None else min(s.steps + 1, MAX_COUNT)
        must_cover_all = s.steps is None
    else:
        horizon = count("plan", "horizon", horizon, low=1)
        must_cover_all = False
    plan = Plan(*s._plan_arrays(horizon))
    if must_cover_all and plan.period == 0:
        raise ValueError(f"plan: horizon must be given for a schedule that never ends; got None for {describe(s)}")
    if plan.period == 0 and plan.breaks[-1] < horizon:
        raise ValueError(
            f"plan: horizon must be <= {plan.breaks[-1]}, where the plan has as many pieces as it may, "
            f"{len(plan.center)}; got {horizon}"
        )
    return plan


def cooldowns(
    base: Schedule,
    at: Sequence[int] | ArrayLike,
    steps: int | Sequence[int] | ArrayLike,
    end: float = 0.0,
    curve: str = "linear",
) -> list[Schedule]:
    """Branches that leave one schedule at several steps, each to cool down: `base.cooldown(at[i], steps[i], end, curve)`.

    With `tables` they are a grid whose rows agree up to the first of their branching points.

    Args:
        base: the schedule they leave.
        at: the steps at which they do, >= 0, in any order.
        steps: lengths of the cooldowns, >= 0: one for all, or as many as `at`.
        end, curve: as in `Schedule.cooldown`.

    Source: Hagele et al., arXiv 2405.18392, where one run with a constant rate gives models for every budget.

    >>> import lrkern as lk
    >>> lk.tables(lk.cooldowns(lk.constant(1.0).warmup(1), at=[2, 4], steps=2), 7)
    array([[0. , 1. , 1. , 0.5, 0. , 0. , 0. ],
           [0. , 1. , 1. , 1. , 1. , 0.5, 0. ]])
    """
    schedule("cooldowns", "base", base)
    points = counts("cooldowns", "at", at, ordered=False)
    lengths = counts_for("cooldowns", "steps", steps, "at", len(points))
    return [base.cooldown(point, length, end, curve) for point, length in zip(points, lengths, strict=True)]


def tables(
    schedules: Sequence[Schedule],
    n: int,
    start: int = 0,
    dtype: Any = None,
    out: NDArray[Any] | None = None,
    *,
    backend: str | None = None,
) -> NDArray[Any]:
    """Row i: the values of schedules[i] at steps start, start + 1, ..., start + n - 1.

    Schedules are compiled and filled in parallel; no plan is kept. The bits are those of `Schedule.table`.

    Args:
        schedules: a sequence of Schedules.
        n, start, dtype, backend: as in `Schedule.table`.
        out: array to fill: shape (len(schedules), n), otherwise as in `Schedule.table`.

    Returns:
        `out`, or a new array of shape (len(schedules), n).

    Raises:
        TypeError, ValueError: bad arguments; nothing has been written.
        ImportError, RuntimeError: the backend cannot be used here, and why; see `lrkern.info`.
        OverflowError: a value is beyond float64 (then `out` may be partly written).

    >>> import lrkern as lk
    >>> lk.tables([lk.linear(lr, 0.0, 2) for lr in (0.1, 0.2)], 3)
    array([[0.1 , 0.05, 0.  ],
           [0.2 , 0.1 , 0.  ]])
    """
    if isinstance(schedules, Schedule) or not isinstance(schedules, Sequence):
        raise TypeError(f"tables: schedules must be a sequence of Schedules; got {describe(schedules)}")
    rows = list(schedules)
    for i, row in enumerate(rows):
        if not isinstance(row, Schedule):
            schedule("tables", f"schedules[{i}]", row)
    n = count("tables", "n", n)
    start = count("tables", "start", start, high=MAX_COUNT - n)
    return choose("tables", backend, out).tables(rows, n, start, dtype, out)

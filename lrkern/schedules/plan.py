"""Plans: the compiled form of schedules."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrkern._checks import MAX_COUNT, count, describe

if TYPE_CHECKING:
    from lrkern.schedules.expression import Schedule


class Plan(NamedTuple):
    """A schedule compiled to piecewise polynomials of the step: plain arrays, for kernels of any backend.

    Piece i covers the integer steps breaks[i] <= t < breaks[i + 1]. With (c0, c1, c0_lo, c1_lo, c2, ..., c9, scale, magic,
    unscale) = coef[i]::

        u = (t - center[i]) * scale                              exact, |u| <= 1
        q = fma(... fma(fma(c9, u, c8), u, c7) ..., u, c2)
        q = fma(fma(q, u, c1_lo), u, c0_lo)
        s = fma(c1, u, c0)
        e = fma(c1, u, c0 - s)
        value = s + (q + e)

    If `unscale` is not 1 (values near or below the smallest normal number), the coefficients are scaled up, and
    h = magic + s; value = ((h + ((s - (h - magic)) + (q + e))) - magic) * unscale.

    If `period` > 0, the plan covers every step: t >= tail_start + period has the value of
    tail_start + (t - tail_start) % period. Otherwise it covers t < breaks[-1].
    """

    breaks: NDArray[np.int64]
    center: NDArray[np.int64]
    coef: NDArray[np.float64]
    tail_start: int
    period: int


def compile_plan(s: Schedule, horizon: int | None) -> Plan:
    """The plan of `s`, covering at least the steps before `horizon`."""
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
            f"plan: horizon must be <= {plan.breaks[-1]}, where the plan reaches its limit of {len(plan.center)} pieces; "
            f"got {horizon}"
        )
    return plan

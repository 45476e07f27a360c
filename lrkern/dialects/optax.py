"""The schedules of optax.schedules: step t is the count that they are called with.

optax computes in float32 unless JAX is told otherwise, and counts in int32. Boundaries that fall together (one-cycles of very
few steps) are segments of no length here; optax loses one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from lrkern import schedules
from lrkern._checks import choice, count, describe, flag, real
from lrkern.dialects._parts import between, called, check_keywords, products, public, value_errors, warmed
from lrkern.schedules import recipes
from lrkern.schedules.expression import Schedule, join

_LEAST = -(2**53)


def constant_schedule(value: float) -> Schedule:
    """value.

    Source: optax constant_schedule.

    >>> constant_schedule(0.1)(1000)
    0.1
    """
    return schedules.constant(real("optax.constant_schedule", "value", value))


def polynomial_schedule(
    init_value: float, end_value: float, power: float, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """end_value + (init_value - end_value)(1 - s/transition_steps)^power, s = t - transition_begin from 0 to transition_steps.

    Args:
        init_value, end_value: the ends.
        power: >= 0; with 0 it stays at init_value.
        transition_steps: <= 0: always init_value, as in optax.
        transition_begin: negative counts as 0.

    Source: optax polynomial_schedule.

    >>> polynomial_schedule(1.0, 0.0, 2, 4, transition_begin=1).table(6)
    array([1.    , 1.    , 0.5625, 0.25  , 0.0625, 0.    ])
    """
    return _polynomial("optax.polynomial_schedule", init_value, end_value, power, transition_steps, transition_begin)


def _polynomial(where: str, init_value: float, end_value: float, power: float, steps: int, begin: int) -> Schedule:
    start, end = real(where, "init_value", init_value), real(where, "end_value", end_value)
    power = real(where, "power", power, low=0.0)
    steps, begin = count(where, "transition_steps", steps, low=_LEAST), count(where, "transition_begin", begin, low=_LEAST)
    if steps <= 0 or power == 0.0:
        return schedules.constant(start)
    curve = schedules.linear(start, end, steps) if power == 1.0 else schedules.polynomial(start, end, steps, power)
    return curve.shift(begin) if begin > 0 else curve


def linear_schedule(init_value: float, end_value: float, transition_steps: int, transition_begin: int = 0) -> Schedule:
    """init_value + (end_value - init_value) s/transition_steps, s = t - transition_begin from 0 to transition_steps.

    Args:
        transition_steps: <= 0: always init_value, as in optax.
        transition_begin: negative counts as 0.

    Source: optax linear_schedule.

    >>> linear_schedule(1.0, 0.0, 4, transition_begin=1).table(6)
    array([1.  , 1.  , 0.75, 0.5 , 0.25, 0.  ])
    """
    return _polynomial("optax.linear_schedule", init_value, end_value, 1.0, transition_steps, transition_begin)


def exponential_decay(
    init_value: float,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    """init_value decay_rate^(s/transition_steps), s = max(t - transition_begin, 0).

    Args:
        transition_steps: <= 0: always init_value, as in optax.
        decay_rate: >= 0; with 0 always init_value, as in optax.
        transition_begin: negative counts as 0.
        staircase: whether the exponent is rounded down.
        end_value: the least value for decay_rate < 1, else the largest.

    Source: optax exponential_decay.

    >>> exponential_decay(1.0, 2, 0.5, staircase=True, end_value=0.3).table(5)
    array([1. , 1. , 0.5, 0.5, 0.3])
    """
    where = "optax.exponential_decay"
    start = real(where, "init_value", init_value)
    every = count(where, "transition_steps", transition_steps, low=_LEAST)
    rate = real(where, "decay_rate", decay_rate, low=0.0)
    begin = count(where, "transition_begin", transition_begin, low=_LEAST)
    stairs = flag(where, "staircase", staircase)
    end = None if end_value is None else real(where, "end_value", end_value)
    if every <= 0 or rate == 0.0:
        return schedules.constant(start)
    curve = schedules.step_decay(start, rate, every) if stairs else schedules.exponential(start, rate, every)
    curve = curve.shift(begin) if begin > 0 else curve
    if end is None:
        return curve
    return curve.clip(low=end) if rate < 1.0 else curve.clip(high=end)


def cosine_decay_schedule(init_value: float, decay_steps: int, alpha: float = 0.0, exponent: float = 1.0) -> Schedule:
    """init_value ((1 - alpha) c^exponent + alpha), c = (1 + cos(pi min(t, decay_steps)/decay_steps))/2.

    Args:
        decay_steps: >= 1.
        alpha: the last value as a share of the first.
        exponent: 0.001 to 1000, or 0, which keeps the first value.

    Source: optax cosine_decay_schedule.

    >>> cosine_decay_schedule(1.0, 2, alpha=0.5).table(4)
    array([1.  , 0.75, 0.5 , 0.5 ])
    """
    where = "optax.cosine_decay_schedule"
    start, alpha = real(where, "init_value", init_value), real(where, "alpha", alpha)
    return start * _cosine(where, 1.0, alpha, count(where, "decay_steps", decay_steps, low=1), exponent)


def _cosine(where: str, high: float, low: float, steps: int, exponent: float) -> Schedule:
    """low + (high - low) c^exponent, c = (1 + cos(pi t/steps))/2, with 0^0 = 1."""
    if real(where, "exponent", exponent, low=0.0) == 0.0:
        return schedules.constant(high)
    return schedules.cosine(high, low, steps, real(where, "exponent", exponent, low=1e-3, high=1e3))


def piecewise_constant_schedule(init_value: float, boundaries_and_scales: Mapping[int, float] | None = None) -> Schedule:
    """init_value times the scales of all boundaries <= t.

    Args:
        boundaries_and_scales: step >= 0 -> factor >= 0.

    Source: optax piecewise_constant_schedule.

    >>> piecewise_constant_schedule(1.0, {2: 0.5, 3: 0.5}).table(5)
    array([1.  , 1.  , 0.5 , 0.25, 0.25])
    """
    where = "optax.piecewise_constant_schedule"
    values, at = _scaled(where, init_value, boundaries_and_scales)
    return schedules.piecewise(values, at)


def _scaled(where: str, init_value: float, table: Mapping[int, float] | None) -> tuple[list[float], list[int]]:
    start = real(where, "init_value", init_value)
    if not isinstance(table, Mapping | None):
        raise TypeError(f"{where}: boundaries_and_scales must be a dict of factors by step; got {describe(table)}")
    pairs = sorted((count(where, "boundaries_and_scales: a step", at), scale) for at, scale in (table or {}).items())
    scales = [real(where, f"boundaries_and_scales[{at}]", scale, low=0.0) for at, scale in pairs]
    return products(start, scales), [at for at, _ in pairs]


def piecewise_interpolate_schedule(
    interpolate_type: str, init_value: float, boundaries_and_scales: Mapping[int, float] | None = None
) -> Schedule:
    """Through init_value at step 0 and, at each boundary, init_value times all scales so far; the last is held.

    Args:
        interpolate_type: "linear" or "cosine".
        boundaries_and_scales: step >= 0 -> factor >= 0.

    Source: optax piecewise_interpolate_schedule.

    >>> piecewise_interpolate_schedule("linear", 1.0, {2: 0.5, 4: 0.0}).table(6)
    array([1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    where = "optax.piecewise_interpolate_schedule"
    with value_errors():
        choice(where, "interpolate_type", interpolate_type, ("linear", "cosine"))
    values, at = _scaled(where, init_value, boundaries_and_scales)
    return schedules.interpolate(values, [0, *at], interpolate_type)


def linear_onecycle_schedule(
    transition_steps: int,
    peak_value: float,
    pct_start: float = 0.3,
    pct_final: float = 0.85,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Linearly from peak/div_factor to peak at int(pct_start N), back at int(pct_final N), to peak/(div final_div) at N.

    Args:
        transition_steps: N >= 1.
        peak_value: peak.
        pct_start, pct_final: 0 to 1, the second not below the first.
        div_factor, final_div_factor: > 0.

    Source: optax linear_onecycle_schedule, arXiv 1708.07120.

    >>> s = linear_onecycle_schedule(100, 0.1)
    >>> s(0), s(30), s(85), round(s(100), 12)
    (0.004, 0.1, 0.004, 4e-07)
    """
    where = "optax.linear_onecycle_schedule"
    steps, peak = count(where, "transition_steps", transition_steps, low=1), real(where, "peak_value", peak_value)
    pct_start = real(where, "pct_start", pct_start, low=0.0, high=1.0)
    pct_final = real(where, "pct_final", pct_final, low=pct_start, high=1.0)
    low = schedules.constant(peak) / real(where, "div_factor", div_factor, above=0.0)
    last = schedules.constant(1.0) / real(where, "final_div_factor", final_div_factor, above=0.0)
    up, down = int(pct_start * steps), int(pct_final * steps)
    parts = [between("linear", low, peak, up), between("linear", peak, low, down - up)]
    return join([*parts, low * between("linear", 1.0, last, steps - down)], [up, down])


def cosine_onecycle_schedule(
    transition_steps: int, peak_value: float, pct_start: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> Schedule:
    """Along cosines from peak/div_factor to peak at int(pct_start N) and to peak/(div_factor final_div_factor) at N.

    Args:
        transition_steps: N >= 1.
        peak_value: peak.
        pct_start: 0 to 1.
        div_factor, final_div_factor: > 0.

    Source: optax cosine_onecycle_schedule, arXiv 1708.07120. With pct_start = 1 optax loses the top and falls from the first
        step on; here it rises until step N, where the end is.

    >>> s = cosine_onecycle_schedule(100, 0.1)
    >>> s(0), s(30), round(s(100), 12)
    (0.004, 0.1, 4e-07)
    """
    where = "optax.cosine_onecycle_schedule"
    steps, peak = count(where, "transition_steps", transition_steps, low=1), real(where, "peak_value", peak_value)
    pct_start = real(where, "pct_start", pct_start, low=0.0, high=1.0)
    div, final = real(where, "div_factor", div_factor, above=0.0), real(where, "final_div_factor", final_div_factor, above=0.0)
    return recipes.one_cycle(peak, steps, pct_start, div, final)


def warmup_constant_schedule(init_value: float, peak_value: float, warmup_steps: int) -> Schedule:
    """Linearly from init_value to peak_value in warmup_steps, then peak_value.

    Args:
        init_value, peak_value: the ends.
        warmup_steps: <= 0: always init_value, as in optax.

    Source: optax warmup_constant_schedule.

    >>> warmup_constant_schedule(0.0, 1.0, 2).table(4)
    array([0. , 0.5, 1. , 1. ])
    """
    where = "optax.warmup_constant_schedule"
    start, peak = real(where, "init_value", init_value), real(where, "peak_value", peak_value)
    steps = count(where, "warmup_steps", warmup_steps, low=_LEAST)
    return schedules.linear(start, peak, steps) if steps > 0 else schedules.constant(start)


def _warmup(where: str, init_value: float, peak_value: float, warmup_steps: int) -> Callable[[Schedule], Schedule]:
    """Puts a linear warm-up before a schedule."""
    start, peak = real(where, "init_value", init_value), real(where, "peak_value", peak_value)
    steps = count(where, "warmup_steps", warmup_steps)
    return lambda then: warmed(start, peak, steps, then)


def warmup_cosine_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    decay_steps: int,
    end_value: float = 0.0,
    exponent: float = 1.0,
) -> Schedule:
    """Linearly from init_value to peak_value in warmup_steps, then end + (peak - end) c^exponent until decay_steps.

    c = (1 + cos(pi (t - warmup_steps)/(decay_steps - warmup_steps)))/2.

    Args:
        init_value, peak_value, end_value: the values at the beginning, after the warm-up and at the end. With a peak of
            0 it stays at 0 for any end: optax takes the end as a share of the peak.
        warmup_steps: >= 0.
        decay_steps: all steps, the warm-up included: > warmup_steps.
        exponent: 0.001 to 1000, or 0, which keeps peak_value.

    Source: optax warmup_cosine_decay_schedule.

    >>> warmup_cosine_decay_schedule(0.0, 1.0, 2, 4, end_value=0.5).table(6)
    array([0.  , 0.5 , 1.  , 0.75, 0.5 , 0.5 ])
    """
    where = "optax.warmup_cosine_decay_schedule"
    with_warmup = _warmup(where, init_value, peak_value, warmup_steps)
    steps = count(where, "decay_steps", decay_steps, low=warmup_steps + 1) - warmup_steps
    peak, end = float(peak_value), real(where, "end_value", end_value)
    return with_warmup(_cosine(where, peak, end if peak else 0.0, steps, exponent))


def warmup_exponential_decay_schedule(
    init_value: float,
    peak_value: float,
    warmup_steps: int,
    transition_steps: int,
    decay_rate: float,
    transition_begin: int = 0,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    """Linearly from init_value to peak_value in warmup_steps, then `exponential_decay` from its own step 0.

    Args:
        init_value, peak_value: the ends of the warm-up.
        warmup_steps: >= 0.
        transition_steps, decay_rate, transition_begin, staircase, end_value: as in `exponential_decay`.

    Source: optax warmup_exponential_decay_schedule.

    >>> warmup_exponential_decay_schedule(0.0, 1.0, 2, 1, 0.5).table(5)
    array([0.  , 0.5 , 1.  , 0.5 , 0.25])
    """
    where = "optax.warmup_exponential_decay_schedule"
    with_warmup = _warmup(where, init_value, peak_value, warmup_steps)
    with called(where):
        decay = exponential_decay(peak_value, transition_steps, decay_rate, transition_begin, staircase, end_value)
    return with_warmup(decay)


_CYCLE = ("init_value", "peak_value", "warmup_steps", "decay_steps")


def sgdr_schedule(cosine_kwargs: Iterable[Mapping[str, Any]]) -> Schedule:
    """One `warmup_cosine_decay_schedule` after the other, each decay_steps long.

    Args:
        cosine_kwargs: the arguments of each, dicts.

    Source: optax sgdr_schedule, arXiv 1608.03983.

    >>> cycle = dict(init_value=0.0, peak_value=1.0, warmup_steps=1, decay_steps=3)
    >>> sgdr_schedule([cycle, {**cycle, "peak_value": 0.5}]).table(6)
    array([0.  , 1.  , 0.5 , 0.  , 0.5 , 0.25])
    """
    where = "optax.sgdr_schedule"
    parts, boundaries = [], [0]
    for i, kwargs in enumerate(cosine_kwargs):
        check_keywords(where, f"cosine_kwargs[{i}]", kwargs, _CYCLE, ("end_value", "exponent"))
        with called(where):
            parts.append(warmup_cosine_decay_schedule(**kwargs))
        boundaries.append(boundaries[-1] + kwargs["decay_steps"])
    if not parts:
        raise ValueError(f"{where}: cosine_kwargs must not be empty")
    return join(parts, boundaries[1:-1])


def join_schedules(schedules: Sequence[Schedule], boundaries: Sequence[int]) -> Schedule:
    """schedules[i] from its own step 0, i the number of boundaries <= t.

    Args:
        schedules: Schedules.
        boundaries: one less, steps >= 0 that do not decrease.

    Source: optax join_schedules; `lrkern.join` itself.

    >>> join_schedules([constant_schedule(1.0), linear_schedule(0.5, 0.0, 2)], [2]).table(5)
    array([1.  , 1.  , 0.5 , 0.25, 0.  ])
    """
    with called("optax.join_schedules"):
        return join(schedules, boundaries)


__all__ = public(globals())

"""The six schedules of keras.optimizers.schedules: step t is `optimizer.iterations`. `name` is ignored.

keras computes in the dtype of the initial rate, float32 as a rule, the step included: it cannot tell steps beyond 2^24 apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from lrkern import schedules
from lrkern._checks import count, flag, real, reals, times
from lrkern.dialects._cycles import exact, longer_each_time
from lrkern.dialects._parts import called, placed, public, span, stretched, warmed
from lrkern.schedules.expression import Schedule


def _stairs(curve: Schedule, decay_steps: float) -> Schedule:
    """`curve`, a function of t/decay_steps, at whole numbers only."""
    return curve.staircase(1).stretch(decay_steps)


def ExponentialDecay(
    initial_learning_rate: float,
    decay_steps: float,
    decay_rate: float,
    staircase: bool = False,
    name: str = "ExponentialDecay",
) -> Schedule:
    """initial_learning_rate decay_rate^(t/decay_steps).

    Args:
        decay_steps: > 0.
        decay_rate: > 0.
        staircase: whether the exponent is rounded down.
        name: ignored.

    Source: keras ExponentialDecay.

    >>> ExponentialDecay(0.1, 2, 0.5, staircase=True).table(5)
    array([0.1  , 0.1  , 0.05 , 0.05 , 0.025])
    """
    where = "keras.ExponentialDecay"
    start = real(where, "initial_learning_rate", initial_learning_rate)
    decay_steps = span(where, "decay_steps", decay_steps)
    decay_rate = real(where, "decay_rate", decay_rate, above=0.0)
    if flag(where, "staircase", staircase):
        return _stairs(schedules.exponential(start, decay_rate), decay_steps)
    return schedules.exponential(start, decay_rate, decay_steps)


def PiecewiseConstantDecay(boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> Schedule:
    """values[i], i the number of boundaries < t: at a boundary itself the old value still holds.

    Args:
        boundaries: numbers >= 0 that do not decrease.
        values: one more.
        name: ignored.

    Source: keras PiecewiseConstantDecay.

    >>> PiecewiseConstantDecay([2], [1.0, 0.5]).table(5)
    array([1. , 1. , 1. , 0.5, 0.5])
    """
    where = "keras.PiecewiseConstantDecay"
    at, levels = times(where, "boundaries", boundaries), reals(where, "values", values, least=1)
    if len(levels) != len(at) + 1:
        raise ValueError(f"{where}: values must be one more than the {len(at)} boundaries; got {len(levels)}")
    return schedules.piecewise(levels, at, "after")


def PolynomialDecay(
    initial_learning_rate: float,
    decay_steps: float,
    end_learning_rate: float = 0.0001,
    power: float = 1.0,
    cycle: bool = False,
    name: str = "PolynomialDecay",
) -> Schedule:
    """end + (initial - end)(1 - min(t, D)/D)^power; with `cycle`, D is the first multiple of decay_steps not before t.

    With `cycle` it is at the end value in every multiple of decay_steps and jumps up after it.

    Args:
        initial_learning_rate, end_learning_rate: the ends.
        decay_steps: > 0.
        power: > 0.
        name: ignored.

    Source: keras PolynomialDecay.

    >>> PolynomialDecay(1.0, 2, 0.0, cycle=True).table(7).round(4)
    array([1.    , 0.5   , 0.    , 0.25  , 0.    , 0.1667, 0.    ])
    """
    where = "keras.PolynomialDecay"
    start = real(where, "initial_learning_rate", initial_learning_rate)
    end = real(where, "end_learning_rate", end_learning_rate)
    power = real(where, "power", power, above=0.0, high=1e6)
    if not flag(where, "cycle", cycle):
        decay_steps = span(where, "decay_steps", decay_steps)
        return placed(lambda steps: schedules.polynomial(start, end, steps, power), decay_steps)
    length = exact(span(where, "decay_steps", decay_steps))
    if isinstance(length, int):
        return longer_each_time(start, end, length, power)
    return stretched(longer_each_time(start, end, 1, power), length)


def InverseTimeDecay(
    initial_learning_rate: float,
    decay_steps: float,
    decay_rate: float,
    staircase: bool = False,
    name: str = "InverseTimeDecay",
) -> Schedule:
    """initial_learning_rate/(1 + decay_rate t/decay_steps).

    Args:
        decay_steps: > 0.
        decay_rate: >= 0.
        staircase: whether t/decay_steps is rounded down.
        name: ignored.

    Source: keras InverseTimeDecay.

    >>> InverseTimeDecay(1.0, 2, 1.0, staircase=True).table(5)
    array([1.        , 1.        , 0.5       , 0.5       , 0.33333333])
    """
    where = "keras.InverseTimeDecay"
    start = real(where, "initial_learning_rate", initial_learning_rate)
    decay_steps = span(where, "decay_steps", decay_steps)
    decay_rate = real(where, "decay_rate", decay_rate, low=0.0)
    if flag(where, "staircase", staircase):
        return _stairs(schedules.inverse_time(start, decay_rate), decay_steps)
    return schedules.inverse_time(start, decay_rate, decay_steps)


def CosineDecay(
    initial_learning_rate: float,
    decay_steps: float,
    alpha: float = 0.0,
    name: str = "CosineDecay",
    warmup_target: float | None = None,
    warmup_steps: int = 0,
) -> Schedule:
    """peak ((1 - alpha)(1 + cos(pi s/decay_steps))/2 + alpha), s = min(t - warmup_steps, decay_steps).

    The peak is warmup_target, reached linearly from initial_learning_rate in warmup_steps. With no warmup_target there is no
    warm-up and the peak is initial_learning_rate.

    Args:
        decay_steps: > 0, after the warm-up.
        alpha: the last value as a share of the peak.
        name: ignored.
        warmup_steps: >= 0; without warmup_target it has no effect.

    Source: keras CosineDecay.

    >>> CosineDecay(0.0, 2, alpha=0.5, warmup_target=1.0, warmup_steps=2).table(6)
    array([0.  , 0.5 , 1.  , 0.75, 0.5 , 0.5 ])
    """
    where = "keras.CosineDecay"
    start = real(where, "initial_learning_rate", initial_learning_rate)
    decay_steps, alpha = span(where, "decay_steps", decay_steps), real(where, "alpha", alpha)
    warmup = count(where, "warmup_steps", warmup_steps)
    peak = start if warmup_target is None else real(where, "warmup_target", warmup_target)
    fall = peak * placed(lambda steps: schedules.cosine(1.0, alpha, steps), decay_steps)
    return warmed(start, peak, 0 if warmup_target is None else warmup, fall)


def CosineDecayRestarts(
    initial_learning_rate: float,
    first_decay_steps: int,
    t_mul: float = 2.0,
    m_mul: float = 1.0,
    alpha: float = 0.0,
    name: str = "SGDRDecay",
) -> Schedule:
    """initial_learning_rate ((1 - alpha) m_mul^i (1 + cos(pi p))/2 + alpha), p the part done of cycle i.

    Cycle i has first_decay_steps t_mul^i steps.

    Args:
        first_decay_steps: >= 1.
        t_mul: > 0, either 1 or 1e-9 away from it at least.
        m_mul: > 0.
        alpha: the lowest value as a share of the initial rate.
        name: ignored.

    Source: keras CosineDecayRestarts. The number of the cycle is exact here; keras takes a float32 logarithm, and has no value
        past the end that cycles with t_mul < 1 come to, where this holds the lowest.

    >>> CosineDecayRestarts(1.0, 2, m_mul=0.5).table(7).round(4)
    array([1.    , 0.5   , 0.5   , 0.4268, 0.25  , 0.0732, 0.25  ])
    """
    where = "keras.CosineDecayRestarts"
    start = real(where, "initial_learning_rate", initial_learning_rate)
    first = count(where, "first_decay_steps", first_decay_steps, low=1)
    t_mul, m_mul = real(where, "t_mul", t_mul, above=0.0), real(where, "m_mul", m_mul, above=0.0)
    alpha = real(where, "alpha", alpha)
    with called(where):
        if m_mul == 1.0:
            return start * schedules.warm_restarts(1.0, alpha, first, t_mul)
        cycles = schedules.warm_restarts(1.0, 0.0, first, t_mul, m_mul)
    return start * (alpha + (schedules.constant(1.0) - alpha) * cycles) if alpha else start * cycles


__all__ = public(globals())

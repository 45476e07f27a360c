"""The schedulers of fvcore.common.param_scheduler, over `steps` steps: step t is fvcore's where = t/steps.

fvcore asks for 0 <= where < 1 only; from step `steps` on the value is held. Boundaries are exact here, where fvcore moves them
forward by 1e-6 of the whole: 10 steps early in 10 million.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

from lrkern import schedules
from lrkern._checks import choice, count, counts, describe, real, reals
from lrkern.dialects._parts import moment, powers, public, sequence, value_errors
from lrkern.schedules.expression import Schedule, schedule


def ConstantParamScheduler(value: float) -> Schedule:
    """value.

    Source: fvcore ConstantParamScheduler.

    >>> ConstantParamScheduler(0.1)(7)
    0.1
    """
    return schedules.constant(real("fvcore.ConstantParamScheduler", "value", value))


def CosineParamScheduler(start_value: float, end_value: float, *, steps: int) -> Schedule:
    """end_value + (start_value - end_value)(1 + cos(pi t/steps))/2.

    Args:
        start_value, end_value: the ends.
        steps: the whole, >= 1.

    Source: fvcore CosineParamScheduler.

    >>> CosineParamScheduler(0.1, 0.0, steps=4)(2)
    0.05
    """
    where = "fvcore.CosineParamScheduler"
    start, end = real(where, "start_value", start_value), real(where, "end_value", end_value)
    return schedules.cosine(start, end, count(where, "steps", steps, low=1))


def ExponentialParamScheduler(start_value: float, decay: float, *, steps: int) -> Schedule:
    """start_value decay^(t/steps): decay is the factor of the whole.

    Args:
        start_value: any number.
        decay: > 0.
        steps: the whole, >= 1.

    Source: fvcore ExponentialParamScheduler.

    >>> ExponentialParamScheduler(2.0, 0.25, steps=2).table(4)
    array([2. , 1. , 0.5, 0.5])
    """
    where = "fvcore.ExponentialParamScheduler"
    start, decay = real(where, "start_value", start_value), real(where, "decay", decay, above=0.0)
    return start * schedules.geometric(1.0, decay, count(where, "steps", steps, low=1))


def LinearParamScheduler(start_value: float, end_value: float, *, steps: int) -> Schedule:
    """start_value + (end_value - start_value) t/steps.

    Args:
        start_value, end_value: the ends.
        steps: the whole, >= 1.

    Source: fvcore LinearParamScheduler.

    >>> LinearParamScheduler(0.0, 1.0, steps=4).table(6)
    array([0.  , 0.25, 0.5 , 0.75, 1.  , 1.  ])
    """
    where = "fvcore.LinearParamScheduler"
    start, end = real(where, "start_value", start_value), real(where, "end_value", end_value)
    return schedules.linear(start, end, count(where, "steps", steps, low=1))


def PolynomialDecayParamScheduler(base_value: float, power: float, *, steps: int) -> Schedule:
    """base_value (1 - t/steps)^power.

    Args:
        base_value: any number.
        power: > 0.
        steps: the whole, >= 1.

    Source: fvcore PolynomialDecayParamScheduler.

    >>> PolynomialDecayParamScheduler(1.0, 2, steps=4).table(5)
    array([1.    , 0.5625, 0.25  , 0.0625, 0.    ])
    """
    where = "fvcore.PolynomialDecayParamScheduler"
    base, power = real(where, "base_value", base_value), real(where, "power", power, above=0.0)
    return schedules.polynomial(base, 0.0, count(where, "steps", steps, low=1), power)


def MultiStepParamScheduler(
    values: Sequence[float], num_updates: int | None = None, milestones: Sequence[int] | None = None
) -> Schedule:
    """values[i], i the number of milestones <= t.

    Args:
        values: at least one.
        num_updates: all steps; None: the last of the milestones says.
        milestones: increasing steps >= 1, one less than the values (as many without num_updates); None: parts of
            ceil(num_updates/len(values)) steps.

    Source: fvcore MultiStepParamScheduler.

    >>> MultiStepParamScheduler([1.0, 0.5, 0.1], num_updates=6).table(7)
    array([1. , 1. , 0.5, 0.5, 0.1, 0.1, 0.1])
    """
    where = "fvcore.MultiStepParamScheduler"
    with value_errors():
        levels = reals(where, "values", values, least=1)
    if num_updates is None and milestones is None:
        raise ValueError(f"{where}: num_updates or milestones must be given; got None")
    if milestones is None:
        width = -(-count(where, "num_updates", num_updates, low=1) // len(levels))
        at = [width * i for i in range(1, len(levels))]
    else:
        with value_errors():
            given = counts(where, "milestones", milestones, ordered=False)
        at = [count(where, f"milestones[{i}]", m, low=1) for i, m in enumerate(given)]
        wanted = len(levels) - (num_updates is not None)
        if len(at) != wanted:
            raise ValueError(f"{where}: milestones must be {wanted} for {len(levels)} values; got {len(at)}")
    for before, after in pairwise(at):
        if after <= before:
            raise ValueError(f"{where}: milestones must increase; got {after} after {before}")
    if num_updates is None:  # fvcore takes the last one for it
        if at[-1] < len(levels):
            raise ValueError(f"{where}: the last of milestones must be >= {len(levels)}, a step for each value; got {at[-1]}")
        return schedules.piecewise(levels, at[:-1])
    steps = count(where, "num_updates", num_updates, low=1)
    if steps < len(levels):
        raise ValueError(f"{where}: num_updates must be >= {len(levels)}, one for each value; got {steps}")
    if at and at[-1] >= steps:
        wrong = f"milestones must be below num_updates = {steps}; got {at[-1]}"
        if milestones is None:
            wrong = f"num_updates must leave a step for the last of {len(levels)} parts of {at[0]}; got {steps}"
        raise ValueError(f"{where}: {wrong}")
    return schedules.piecewise(levels, at)


def StepParamScheduler(num_updates: int, values: Sequence[float]) -> Schedule:
    """values[i] in the i-th of len(values) equal parts of num_updates steps.

    Args:
        num_updates: all steps, >= 1.
        values: at least one.

    Source: fvcore StepParamScheduler, which has no value at where = 1; the last is held here.

    >>> StepParamScheduler(4, [1.0, 0.5]).table(6)
    array([1. , 1. , 0.5, 0.5, 0.5, 0.5])
    """
    where = "fvcore.StepParamScheduler"
    steps = count(where, "num_updates", num_updates, low=1)
    with value_errors():
        levels = reals(where, "values", values, least=1)
    return schedules.piecewise(levels, [moment(Fraction(i * steps, len(levels))) for i in range(1, len(levels))])


def StepWithFixedGammaParamScheduler(base_value: float, num_decays: int, gamma: float, num_updates: int) -> Schedule:
    """base_value gamma^i in the i-th of num_decays + 1 equal parts of num_updates steps.

    Args:
        base_value, gamma: > 0.
        num_decays, num_updates: >= 1.

    Source: fvcore StepWithFixedGammaParamScheduler.

    >>> StepWithFixedGammaParamScheduler(1.0, 1, 0.5, 4).table(5)
    array([1. , 1. , 0.5, 0.5, 0.5])
    """
    where = "fvcore.StepWithFixedGammaParamScheduler"
    with value_errors():
        base, gamma = real(where, "base_value", base_value, above=0.0), real(where, "gamma", gamma, above=0.0)
        decays, steps = count(where, "num_decays", num_decays, low=1), count(where, "num_updates", num_updates, low=1)
    return schedules.piecewise(
        powers(base, gamma, decays), [moment(Fraction(i * steps, decays + 1)) for i in range(1, decays + 1)]
    )


def CompositeParamScheduler(
    schedulers: Sequence[Schedule], lengths: Sequence[float], interval_scaling: Sequence[str], *, steps: int
) -> Schedule:
    """schedulers[i] during its share of the steps: squeezed into it, or seen through it as through a window.

    Args:
        schedulers: Schedules, each made for all the `steps`.
        lengths: their shares, > 0; they add up to 1.
        interval_scaling: for each "rescaled" (squeezed) or "fixed" (a window).
        steps: the whole, >= 1.

    Source: fvcore CompositeParamScheduler.

    >>> warm, flat = LinearParamScheduler(0.0, 1.0, steps=8), ConstantParamScheduler(1.0)
    >>> CompositeParamScheduler([warm, flat], [0.5, 0.5], ["rescaled", "fixed"], steps=8).table(6)
    array([0.  , 0.25, 0.5 , 0.75, 1.  , 1.  ])
    """
    where = "fvcore.CompositeParamScheduler"
    if isinstance(schedulers, Schedule) or not isinstance(schedulers, Sequence):
        raise TypeError(f"{where}: schedulers must be a sequence of Schedules; got {describe(schedulers)}")
    if not schedulers:
        raise ValueError(f"{where}: schedulers must not be empty")
    children = [schedule(where, f"schedulers[{i}]", one) for i, one in enumerate(schedulers)]
    shares, steps = reals(where, "lengths", lengths), count(where, "steps", steps, low=1)
    for name, given in (("lengths", shares), ("interval_scaling", interval_scaling)):
        if len(given) != len(children):
            raise ValueError(f"{where}: {name} must be as many as the {len(children)} schedulers; got {len(given)}")
    if min(shares) <= 0.0 or abs(sum(shares) - 1.0) >= 1e-3:
        raise ValueError(f"{where}: lengths must be > 0 and add up to 1; got {describe(list(shares))}")
    parts: list[Schedule] = []
    starts: list[float] = [0]
    begin = Fraction(0)
    for i, (child, share, scaling) in enumerate(zip(children, shares, interval_scaling, strict=True)):
        if _scaling(where, i, scaling) == "fixed":
            parts.append(_seen_from(child, starts[-1]))
        else:
            parts.append(child.stretch(1.0 - sum(shares[:-1]) if i == len(shares) - 1 else share))
        begin += Fraction(share) * steps
        # shares are decimals, 0.1 is a little more than a tenth: what is nearly a step is one
        starts.append(round(begin) if abs(begin - round(begin)) < Fraction(1, 10**6) else moment(begin))
    return sequence(parts, starts[1:-1])


def _scaling(where: str, i: int, scaling: str) -> str:
    with value_errors():
        return choice(where, f"interval_scaling[{i}]", scaling, ("rescaled", "fixed"))


def _seen_from(child: Schedule, time: float) -> Schedule:
    """child(t + time)."""
    if time == int(time):
        return child.shift(-int(time)) if time else child
    return child.of(schedules.line(time, 1.0))


__all__ = public(globals())

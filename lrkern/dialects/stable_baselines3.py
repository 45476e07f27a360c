"""The schedules of Stable-Baselines3: step t is the number of environment steps done, `num_timesteps`.

There they are functions of the progress that remains, which falls from 1 to 0: 1 - t/total_timesteps. The other way round, any
schedule s over `total` environment steps is handed to an algorithm as `learning_rate=lambda left: s((1.0 - left) * total)`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from lrkern import schedules
from lrkern._checks import MAX_COUNT, count, describe, real
from lrkern.dialects._parts import from_calls, public
from lrkern.schedules.expression import Schedule


def ConstantSchedule(val: float) -> Schedule:
    """val.

    Source: stable_baselines3 ConstantSchedule; formerly constant_fn.

    >>> ConstantSchedule(3e-4)(1000)
    0.0003
    """
    return schedules.constant(real("stable_baselines3.ConstantSchedule", "val", val))


def LinearSchedule(start: float, end: float, end_fraction: float, *, total_timesteps: int) -> Schedule:
    """start + (end - start) p/end_fraction until p = end_fraction, then end; p = t/total_timesteps.

    Args:
        start, end: the ends.
        end_fraction: where the end is reached, as a share of the run, > 0; above 1 the run is over before.
        total_timesteps: environment steps of the run, >= 1, as `learn` is told.

    Source: stable_baselines3 LinearSchedule; formerly get_linear_fn.

    >>> LinearSchedule(1.0, 0.2, 0.5, total_timesteps=8).table(6)
    array([1. , 0.8, 0.6, 0.4, 0.2, 0.2])
    """
    where = "stable_baselines3.LinearSchedule"
    start, end = real(where, "start", start), real(where, "end", end)
    part = real(where, "end_fraction", end_fraction, above=0.0)
    total = count(where, "total_timesteps", total_timesteps, low=1)
    length = Fraction(part) * total
    if not Fraction(1, 2**50) <= length <= MAX_COUNT:
        raise ValueError(f"{where}: end_fraction must end by step 2^53, 2^-50 steps on at least; got {describe(end_fraction)}")
    if length.denominator == 1:
        return schedules.linear(start, end, length.numerator)
    return schedules.linear(start, end, 1).stretch(part).stretch(total)  # exact, which the product of both need not be


def FloatSchedule(
    value_schedule: float | Schedule | Callable[[float], float], *, total_timesteps: int | None = None, every: int = 1
) -> Schedule:
    """A number, a Schedule, or a function of the progress that remains, as a schedule of the step.

    Args:
        value_schedule: the function is called at every multiple of `every` below total_timesteps.
        total_timesteps: environment steps of the run, >= 1; for a function only.
        every: environment steps between two updates (PPO: n_steps times the environments), >= 1; between them the value holds.

    Source: stable_baselines3 FloatSchedule; formerly get_schedule_fn.

    >>> FloatSchedule(lambda left: left * 0.1, total_timesteps=4).table(4)
    array([0.1  , 0.075, 0.05 , 0.025])
    """
    where = "stable_baselines3.FloatSchedule"
    every = count(where, "every", every, low=1)
    if isinstance(value_schedule, Schedule):
        return value_schedule
    if not callable(value_schedule):
        return schedules.constant(real(where, "value_schedule", value_schedule))
    if total_timesteps is None:
        raise TypeError(f"{where}: total_timesteps must be given with a function; got {describe(None)}")
    total, f = count(where, "total_timesteps", total_timesteps, low=1), value_schedule
    values = from_calls(where, "value_schedule", lambda i: f(1.0 - float(i * every) / float(total)), -(-total // every))
    return values.stretch(every) if every > 1 else values


__all__ = public(globals())

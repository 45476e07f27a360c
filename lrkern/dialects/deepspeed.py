"""The schedulers of deepspeed.runtime.lr_schedules: step t is the number of optimizer updates done.

DeepSpeed's constructor sets the rate for the first update, its first `step()` starts counting at 0: the Warmup schedules are
one update late, their first rate is used twice. `last_batch_iteration` is omitted.
"""

from __future__ import annotations

from fractions import Fraction

from lrkern import schedules
from lrkern._checks import choice, count, flag, real
from lrkern.dialects._cycles import needs_momentum
from lrkern.dialects._parts import moment, public, sequence, value_errors
from lrkern.schedules.budget import spend
from lrkern.schedules.expression import Schedule, join


def _warmup(where: str, low: float, high: float, warmup_num_steps: int, warmup_type: str) -> tuple[Schedule, int]:
    """The rise from low to high and its length: DeepSpeed makes it two steps at least."""
    with value_errors():
        steps = max(2, count(where, "warmup_num_steps", warmup_num_steps, low=1))
    if choice(where, "warmup_type", warmup_type, ("log", "linear")) == "linear":
        return schedules.linear(low, high, steps), steps
    # along the logarithm the top is reached one step before the end
    return schedules.constant(high).warmup(steps - 1, low, "logarithmic"), steps


def WarmupLR(
    base_lr: float,
    warmup_min_lr: float = 0.0,
    warmup_max_lr: float | None = None,
    warmup_num_steps: int = 1000,
    warmup_type: str = "log",
) -> Schedule:
    """From warmup_min_lr to warmup_max_lr along min(ln(s + 1)/ln(W), 1) or s/W, then warmup_max_lr; s = max(t - 1, 0).

    Args:
        base_lr: warmup_max_lr, where that is None.
        warmup_num_steps: W, at least 2 is taken.
        warmup_type: "log" or "linear".

    Source: deepspeed WarmupLR.

    >>> WarmupLR(1.0, warmup_num_steps=4, warmup_type="linear").table(7)
    array([0.  , 0.  , 0.25, 0.5 , 0.75, 1.  , 1.  ])
    """
    where = "deepspeed.WarmupLR"
    base, low = real(where, "base_lr", base_lr), real(where, "warmup_min_lr", warmup_min_lr)
    high = base if warmup_max_lr is None else real(where, "warmup_max_lr", warmup_max_lr)
    rise, steps = _warmup(where, low, high, warmup_num_steps, warmup_type)
    return join([rise, schedules.constant(high)], [steps]).shift(1)


def WarmupDecayLR(
    total_num_steps: int,
    warmup_min_lr: float = 0.0,
    warmup_max_lr: float = 0.001,
    warmup_num_steps: int = 1000,
    warmup_type: str = "log",
) -> Schedule:
    """`WarmupLR`, then linearly back to warmup_min_lr at s = total_num_steps, where it stays.

    Args:
        total_num_steps: >= 0, the warm-up included.
        warmup_min_lr, warmup_max_lr: the lowest and the highest rate.
        warmup_num_steps, warmup_type: as in `WarmupLR`.

    Source: deepspeed WarmupDecayLR.

    >>> WarmupDecayLR(6, 0.0, 1.0, 2, "linear").table(9)
    array([0.  , 0.  , 0.5 , 1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    where = "deepspeed.WarmupDecayLR"
    low, high = real(where, "warmup_min_lr", warmup_min_lr), real(where, "warmup_max_lr", warmup_max_lr)
    rise, steps = _warmup(where, low, high, warmup_num_steps, warmup_type)
    fall = schedules.linear(high, low, max(count(where, "total_num_steps", total_num_steps) - steps, 0))
    return join([rise, fall], [steps]).shift(1)


def WarmupCosineLR(
    base_lr: float,
    total_num_steps: int,
    warmup_min_ratio: float = 0.0,
    warmup_num_steps: int = 1000,
    cos_min_ratio: float = 0.0001,
    warmup_type: str = "log",
) -> Schedule:
    """0 at t = 0, then base_lr times: warmup_min_ratio to 1 in W steps, a cosine to cos_min_ratio, which is held.

    cos_min_ratio + (1 - cos_min_ratio)(1 + cos(pi min(1, (s - W + 1)/(total_num_steps - W))))/2 from s = t - 1 = W on: one step
    ahead, so that the peak is not in it; the linear warm-up does not reach it either.

    Args:
        base_lr: the peak.
        total_num_steps: >= 0, the warm-up included.
        warmup_min_ratio, cos_min_ratio: >= 0.
        warmup_num_steps: W, at least 2 is taken.
        warmup_type: "log" or "linear".

    Source: deepspeed WarmupCosineLR.

    >>> WarmupCosineLR(1.0, 6, 0.5, 2, 0.0, "linear").table(8).round(4)
    array([0.    , 0.5   , 0.75  , 0.8536, 0.5   , 0.1464, 0.    , 0.    ])
    """
    where = "deepspeed.WarmupCosineLR"
    base = real(where, "base_lr", base_lr)
    low, last = real(where, "warmup_min_ratio", warmup_min_ratio, low=0.0), real(where, "cos_min_ratio", cos_min_ratio, low=0.0)
    rise, steps = _warmup(where, low, 1.0, warmup_num_steps, warmup_type)
    fall = schedules.cosine(1.0, last, max(count(where, "total_num_steps", total_num_steps) - steps, 1)).shift(-1)
    return base * join([schedules.constant(0.0), rise, fall], [1, steps + 1])


def OneCycle(
    cycle_min_lr: float,
    cycle_max_lr: float,
    decay_lr_rate: float = 0.0,
    cycle_first_step_size: int = 2000,
    cycle_second_step_size: int | None = None,
    cycle_first_stair_count: int = 0,
    cycle_second_stair_count: int | None = None,
    decay_step_size: int = 0,
    cycle_momentum: bool = True,
    cycle_min_mom: float = 0.8,
    cycle_max_mom: float = 0.9,
    decay_mom_rate: float = 0.0,
) -> Schedule:
    """Up from cycle_min_lr to cycle_max_lr and back, then cycle_min_lr/(1 + decay_lr_rate k/decay_step_size), k steps later.

    Args:
        decay_lr_rate: >= 0.
        cycle_first_step_size, cycle_second_step_size: steps up, >= 1, and down, >= 0 (None: as many).
        cycle_first_stair_count, cycle_second_stair_count: in how many stairs, rounded down; 0: without, None: as the first.
        decay_step_size: >= 0; with 0 cycle_min_lr is held.
        cycle_momentum, cycle_min_mom, cycle_max_mom, decay_mom_rate: see `OneCycleMomentum`, which takes the same arguments.

    Source: deepspeed OneCycle.

    >>> OneCycle(0.0, 1.0, cycle_first_step_size=2, cycle_second_step_size=4).table(8)
    array([0.  , 0.5 , 1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    where = "deepspeed.OneCycle"
    low, high = real(where, "cycle_min_lr", cycle_min_lr), real(where, "cycle_max_lr", cycle_max_lr)
    flag(where, "cycle_momentum", cycle_momentum)
    rate, every = real(where, "decay_lr_rate", decay_lr_rate, low=0.0), count(where, "decay_step_size", decay_step_size)
    tail = schedules.inverse_time(low, rate, every) if rate and every else schedules.constant(low)
    stairs = (cycle_first_stair_count, cycle_second_stair_count)
    return _triangle(where, low, high, cycle_first_step_size, cycle_second_step_size, stairs, tail)


def OneCycleMomentum(
    cycle_min_lr: float,
    cycle_max_lr: float,
    decay_lr_rate: float = 0.0,
    cycle_first_step_size: int = 2000,
    cycle_second_step_size: int | None = None,
    cycle_first_stair_count: int = 0,
    cycle_second_stair_count: int | None = None,
    decay_step_size: int = 0,
    cycle_momentum: bool = True,
    cycle_min_mom: float = 0.8,
    cycle_max_mom: float = 0.9,
    decay_mom_rate: float = 0.0,
) -> Schedule:
    """The first beta that goes with `OneCycle`: down from cycle_max_mom to cycle_min_mom and back.

    After the cycle it is cycle_max_mom (1 + decay_mom_rate k/decay_step_size), k steps later, without a limit.

    Args: those of `OneCycle`; `cycle_momentum=False` is a ValueError, as there is no momentum then.

    Source: deepspeed OneCycle, which sets cycle_min_mom for the very first update, and the second beta to 0.99 throughout.

    >>> OneCycleMomentum(0.0, 1.0, cycle_first_step_size=2).table(5)
    array([0.9 , 0.85, 0.8 , 0.85, 0.9 ])
    """
    where = "deepspeed.OneCycleMomentum"
    needs_momentum(where, cycle_momentum)
    low, high = real(where, "cycle_min_mom", cycle_min_mom), real(where, "cycle_max_mom", cycle_max_mom)
    rate, every = real(where, "decay_mom_rate", decay_mom_rate, low=0.0), count(where, "decay_step_size", decay_step_size)
    tail = high * schedules.line(1.0, rate, every) if rate and every else schedules.constant(high)
    stairs = (cycle_first_stair_count, cycle_second_stair_count)
    return _triangle(where, high, low, cycle_first_step_size, cycle_second_step_size, stairs, tail)


def _triangle(
    where: str, low: float, high: float, first: int, second: int | None, stairs: tuple[int, int | None], tail: Schedule
) -> Schedule:
    """From low to high and back, smoothly or in stairs, then the tail."""
    up = count(where, "cycle_first_step_size", first, low=1)
    down = up if second is None else count(where, "cycle_second_step_size", second)
    up_stairs = count(where, "cycle_first_stair_count", stairs[0])
    down_stairs = up_stairs if stairs[1] is None else count(where, "cycle_second_stair_count", stairs[1])

    spend(3 * (up_stairs + down_stairs))

    def levels(n: int) -> list[float]:
        return [float(Fraction(low) + (Fraction(high) - Fraction(low)) * i / n) for i in range(n + 1)]

    rise, fall = schedules.linear(low, high, up), schedules.linear(high, low, down)
    if up_stairs:
        rise = schedules.piecewise(levels(up_stairs), [moment(Fraction(i * up, up_stairs)) for i in range(1, up_stairs + 1)])
    if down_stairs:
        # below stair i after the time at which i stairs are left
        at = [moment(down - Fraction(i * down, down_stairs)) for i in range(down_stairs, 0, -1)]
        fall = schedules.piecewise(levels(down_stairs)[::-1], at, "after")
    return sequence([rise, fall, tail], [up, up + down])


def LRRangeTest(
    lr_range_test_min_lr: float = 1e-3,
    lr_range_test_step_size: int = 2000,
    lr_range_test_step_rate: float = 1.0,
    lr_range_test_staircase: bool = False,
) -> Schedule:
    """lr_range_test_min_lr (1 + lr_range_test_step_rate t/lr_range_test_step_size).

    Args:
        lr_range_test_step_size: >= 1.
        lr_range_test_step_rate: any number.
        lr_range_test_staircase: whether t/lr_range_test_step_size is rounded down.

    Source: deepspeed LRRangeTest.

    >>> LRRangeTest(1.0, 2, 0.5, lr_range_test_staircase=True).table(5)
    array([1. , 1. , 1.5, 1.5, 2. ])
    """
    where = "deepspeed.LRRangeTest"
    start, rate = (
        real(where, "lr_range_test_min_lr", lr_range_test_min_lr),
        real(where, "lr_range_test_step_rate", lr_range_test_step_rate),
    )
    with value_errors():
        every = count(where, "lr_range_test_step_size", lr_range_test_step_size, low=1)
    growth = start * schedules.line(1.0, rate, every)
    return growth.staircase(every) if flag(where, "lr_range_test_staircase", lr_range_test_staircase) else growth


__all__ = public(globals())

"""The schedulers of speechbrain.nnet.schedulers: step t is the number that each computes with.

That is `n_steps` or `current_step`, the number of calls, where it counts calls; `num_updates` or `current_epoch` where it is
told. Recipes call most of them after an update: the first update then has the optimizer's own rate, and update number t from 0
the value of step t. `NewBobScheduler` and `ReduceLROnPlateau` follow a metric:
they are the dialects "speechbrain" and "speechbrain_plateau" of `lrkern.plateau`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lrkern import schedules
from lrkern._checks import count, counts, describe, real, reals
from lrkern.dialects import _hugging_face
from lrkern.dialects._cycles import cyclic
from lrkern.dialects._parts import inverse_root, products, public, span, warmed, wave
from lrkern.schedules.expression import Schedule, join


def WarmAndExpDecayLRSchedule(lr: float, n_warmup_steps: int, total_steps: int, decay_factor: float = 0.1) -> Schedule:
    """lr t/W before t = W, then lr min(decay_factor^((t - W)/(total_steps - W)), 1).

    Args:
        n_warmup_steps: W >= 0.
        total_steps: > W; the decay continues after it.
        decay_factor: > 0.

    Source: speechbrain WarmAndExpDecayLRSchedule.

    >>> WarmAndExpDecayLRSchedule(1.0, 2, 4, decay_factor=0.25).table(6)
    array([0.   , 0.5  , 1.   , 0.5  , 0.25 , 0.125])
    """
    where = "speechbrain.WarmAndExpDecayLRSchedule"
    lr, warmup = real(where, "lr", lr), count(where, "n_warmup_steps", n_warmup_steps)
    steps = count(where, "total_steps", total_steps, low=warmup + 1) - warmup
    factor = real(where, "decay_factor", decay_factor, above=0.0)
    fall = schedules.exponential(lr, factor, steps) if factor < 1.0 else schedules.constant(lr)
    return warmed(0.0, lr, warmup, fall)


def LinearScheduler(initial_value: float, final_value: float, epoch_count: int) -> Schedule:
    """From initial_value in epoch 0 to final_value in epoch epoch_count - 1, linearly.

    Args:
        initial_value, final_value: the ends.
        epoch_count: >= 1; a single epoch has the initial value.

    Source: speechbrain LinearScheduler, which computes in float32.

    >>> LinearScheduler(1.0, 0.0, 5).table(6)
    array([1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    where = "speechbrain.LinearScheduler"
    first, last = real(where, "initial_value", initial_value), real(where, "final_value", final_value)
    steps = count(where, "epoch_count", epoch_count, low=1) - 1
    return schedules.linear(first, last, steps) if steps else schedules.constant(first)


def LinearWarmupScheduler(initial_value: float, num_warmup_steps: int, num_training_steps: int) -> Schedule:
    """initial_value t/num_warmup_steps, then initial_value max(0, (N - t)/(N - num_warmup_steps)), N = num_training_steps.

    Args:
        num_warmup_steps, num_training_steps: >= 0; the second includes the first.

    Source: speechbrain LinearWarmupScheduler.

    >>> LinearWarmupScheduler(1.0, 2, 4).table(6)
    array([0. , 0.5, 1. , 0.5, 0. , 0. ])
    """
    where = "speechbrain.LinearWarmupScheduler"
    value = real(where, "initial_value", initial_value)
    return _hugging_face.linear(where, value, num_warmup_steps, num_training_steps)


def StepScheduler(
    initial_value: float, decay_factor: float | None = None, decay_drop: float | None = None, half_life: float | None = None
) -> Schedule:
    """initial_value decay_factor^floor((1 + t)/decay_drop); with half_life initial_value 2^(-(1 + t)/half_life).

    Args:
        decay_factor: > 0; None: 0.5.
        decay_drop: epochs between two drops, > 0, need not be whole; None: 2.
        half_life: epochs, > 0, instead of the other two.

    Source: speechbrain StepScheduler.

    >>> StepScheduler(1.0).table(5)
    array([1.  , 0.5 , 0.5 , 0.25, 0.25])
    >>> StepScheduler(1.0, half_life=1).table(3)
    array([0.5  , 0.25 , 0.125])
    """
    where = "speechbrain.StepScheduler"
    value = real(where, "initial_value", initial_value)
    if half_life is not None:
        if decay_factor is not None or decay_drop is not None:
            raise ValueError(f"{where}: half_life must not be given with decay_factor or decay_drop; got {describe(half_life)}")
        return schedules.exponential(value, 0.5, span(where, "half_life", half_life)).shift(-1)
    factor = 0.5 if decay_factor is None else real(where, "decay_factor", decay_factor, above=0.0)
    drop = 2.0 if decay_drop is None else span(where, "decay_drop", decay_drop)
    return schedules.step_decay(value, factor, 1).stretch(drop).shift(-1)


class _Noam:
    """Arguments and curve of both Noam schedulers."""

    def __init__(self, where: str, lr_initial: float, n_warmup_steps: int, model_size: float | None) -> None:
        lr, warmup = real(where, "lr_initial", lr_initial), count(where, "n_warmup_steps", n_warmup_steps, low=1)
        shape = join([schedules.linear(0.0, 1.0, warmup), schedules.inverse_sqrt(1.0, warmup)], [warmup])
        self.schedule = lr * shape
        if model_size is not None:
            width = real(where, "model_size", model_size, above=0.0)
            self.schedule = inverse_root(lr, width) * (inverse_root(1.0, warmup) * shape)


def NoamScheduler(lr_initial: float, n_warmup_steps: int, model_size: float | None = None) -> Schedule:
    """lr_initial min(t/W, sqrt(W/t)), or lr_initial model_size^(-1/2) min(t^(-1/2), t W^(-3/2)); 0 at t = 0.

    Args:
        n_warmup_steps: W >= 1; the top is at t = W.
        model_size: > 0; None: the top is lr_initial.

    Source: speechbrain NoamScheduler, arXiv 1706.03762.

    >>> NoamScheduler(1.0, 4)([0, 1, 2, 4, 16])
    array([0.  , 0.25, 0.5 , 1.  , 0.5 ])
    """
    return _Noam("speechbrain.NoamScheduler", lr_initial, n_warmup_steps, model_size).schedule


def NoamIntervalScheduler(
    lr_initial: float,
    n_warmup_steps: int,
    anneal_steps: Sequence[int],
    anneal_rates: Sequence[float],
    model_size: float | None = None,
) -> Schedule:
    """`NoamScheduler` times every anneal_rates[i] whose anneal_steps[i] is < t.

    Args:
        n_warmup_steps: W >= 1.
        anneal_steps: integers >= 0 that do not decrease.
        anneal_rates: as many.
        model_size: > 0; None: the top is lr_initial.

    Source: speechbrain NoamIntervalScheduler.

    >>> NoamIntervalScheduler(1.0, 1, [2, 3], [0.5, 0.1])([1, 2, 3, 4]).round(4)
    array([1.    , 0.7071, 0.2887, 0.025 ])
    """
    where = "speechbrain.NoamIntervalScheduler"
    s = _Noam(where, lr_initial, n_warmup_steps, model_size).schedule
    at, rates = counts(where, "anneal_steps", anneal_steps), reals(where, "anneal_rates", anneal_rates)
    if len(at) != len(rates):
        raise ValueError(f"{where}: anneal_rates must be as many as the {len(at)} anneal_steps; got {len(rates)}")
    return s * schedules.piecewise(products(1.0, rates), at, "after") if at else s


def LinearNoamScheduler(lr_initial: float, n_warmup_steps: int, n_keep_steps: int) -> Schedule:
    """lr_initial t/W before t = W, lr_initial for n_keep_steps, then lr_initial W/(t - n_keep_steps).

    Args:
        n_warmup_steps: W >= 1.
        n_keep_steps: >= 0.

    Source: speechbrain LinearNoamScheduler, arXiv 2206.00888.

    >>> LinearNoamScheduler(1.0, 2, 2)([0, 1, 2, 4, 6, 10])
    array([0.  , 0.5 , 1.  , 1.  , 0.5 , 0.25])
    """
    where = "speechbrain.LinearNoamScheduler"
    lr, warmup = real(where, "lr_initial", lr_initial), count(where, "n_warmup_steps", n_warmup_steps, low=1)
    fall = schedules.inverse_time(lr, 1.0, warmup)
    return warmed(0.0, lr, warmup, fall.shift(count(where, "n_keep_steps", n_keep_steps)))


def CyclicCosineScheduler(n_warmup_steps: int, lr_initial: float, total_steps: int = 100000) -> Schedule:
    """lr_initial (1 + cos(pi (t - n_warmup_steps)/total_steps))/2; never ends.

    Args:
        n_warmup_steps: where the top is, >= 0; the steps before it are on the wave, too.
        lr_initial: the top. (Without it the peer multiplies the rate of the optimizer by the wave at every step.)
        total_steps: from the top to the bottom, >= 1.

    Source: speechbrain CyclicCosineScheduler.

    >>> CyclicCosineScheduler(1, 1.0, 2).table(6).round(4)
    array([0.5, 1. , 0.5, 0. , 0.5, 1. ])
    """
    where = "speechbrain.CyclicCosineScheduler"
    late, half = count(where, "n_warmup_steps", n_warmup_steps), count(where, "total_steps", total_steps, low=1)
    s = wave(real(where, "lr_initial", lr_initial), 0.0, half)
    return s.shift(-(-late % (2 * half))) if late else s


def CyclicLRScheduler(
    base_lr: float = 0.001,
    max_lr: float = 0.006,
    step_size: float = 2000.0,
    mode: str = "triangular",
    gamma: float = 1.0,
    scale_fn: Callable[[float], float] | None = None,
    scale_mode: str = "cycle",
    *,
    steps: int | None = None,
) -> Schedule:
    """Triangles: base_lr + (max_lr - base_lr) x s, x the height in the triangle (0 to 1 to 0), s the scale.

    s is 1 for mode "triangular", 2^-i in cycle i (0, 1, ...) for "triangular2", gamma^t for "exp_range".

    Args:
        base_lr, max_lr: bottom and top.
        step_size: half a cycle, > 0.
        gamma: > 0.
        scale_fn: a function that gives s instead of `mode`: of the number of the cycle (1, 2, ...) for scale_mode "cycle", of
            the step for "iterations". It needs `steps`.
        steps: number of steps for which scale_fn is called; the last value is held.

    Source: speechbrain CyclicLRScheduler, arXiv 1506.01186.

    >>> CyclicLRScheduler(0.0, 1.0, 2, mode="triangular2").table(9)
    array([0.  , 0.5 , 1.  , 0.5 , 0.  , 0.25, 0.5 , 0.25, 0.  ])
    """
    where = "speechbrain.CyclicLRScheduler"
    low, high = real(where, "base_lr", base_lr), real(where, "max_lr", max_lr)
    half = span(where, "step_size", step_size)
    return cyclic(where, low, high, half, half, mode, gamma, scale_fn, scale_mode, steps)


def IntervalScheduler(base_lr: float, intervals: Sequence[Mapping[str, Any]]) -> Schedule:
    """The "lr" of the last interval whose "steps" are <= t; base_lr, the rate of the optimizer, before the first.

    Args:
        intervals: dicts with "steps", integers >= 1 that increase, and "lr".

    Source: speechbrain IntervalScheduler.

    >>> IntervalScheduler(0.1, [{"steps": 2, "lr": 0.2}, {"steps": 4, "lr": 0.05}]).table(6)
    array([0.1 , 0.1 , 0.2 , 0.2 , 0.05, 0.05])
    """
    where = "speechbrain.IntervalScheduler"
    if not isinstance(intervals, Sequence) or not all(isinstance(one, Mapping) for one in intervals):
        raise TypeError(f"{where}: intervals must be a sequence of dicts; got {describe(intervals)}")
    for i, one in enumerate(intervals):
        if set(one) != {"steps", "lr"}:
            raise ValueError(f"{where}: intervals[{i}] must have steps and lr; got {', '.join(map(str, one)) or 'nothing'}")
    at = [count(where, f"steps of intervals[{i}]", one["steps"], low=1) for i, one in enumerate(intervals)]
    if sorted(set(at)) != at:
        raise ValueError(f"{where}: steps of intervals must increase; got {at}")
    levels = [real(where, f"lr of intervals[{i}]", one["lr"]) for i, one in enumerate(intervals)]
    return schedules.piecewise([real(where, "base_lr", base_lr), *levels], at)


def InverseSquareRootScheduler(warmup_steps: int) -> Schedule:
    """1/sqrt(max(t, warmup_steps)), for any rate of the optimizer.

    Args:
        warmup_steps: >= 1.

    Source: speechbrain InverseSquareRootScheduler.

    >>> InverseSquareRootScheduler(4)([0, 4, 16])
    array([0.5 , 0.5 , 0.25])
    """
    steps = count("speechbrain.InverseSquareRootScheduler", "warmup_steps", warmup_steps, low=1)
    return inverse_root(1.0, steps) * schedules.inverse_sqrt(1.0, steps).shift(steps)


def WarmCoolDecayLRSchedule(
    lr: float, warmup: int, cooldown: int, total_steps: int, decay_factor: float = 0.75, decay_every: float = 100000
) -> Schedule:
    """Warm-up lr t/warmup, then lr decay_factor^((t - warmup)/decay_every), and after step C linearly to 0 at total_steps.

    C = total_steps - cooldown. The cooldown begins from lr decay_factor^(C/decay_every), a little lower: the warm-up is not
    taken off there.

    Args:
        warmup: >= 0.
        cooldown: >= 1, at most total_steps - warmup.
        total_steps: >= 1; from there on 0 is held.
        decay_factor: > 0.
        decay_every: > 0.

    Source: speechbrain WarmCoolDecayLRSchedule, which continues below 0.

    >>> WarmCoolDecayLRSchedule(1.0, 2, 2, 6, decay_factor=0.25, decay_every=4).table(7).round(4)
    array([0.    , 0.5   , 1.    , 0.7071, 0.5   , 0.125 , 0.    ])
    """
    where = "speechbrain.WarmCoolDecayLRSchedule"
    lr, rise = real(where, "lr", lr), count(where, "warmup", warmup)
    steps, fall = count(where, "total_steps", total_steps, low=1), count(where, "cooldown", cooldown, low=1)
    if rise + fall > steps:
        raise ValueError(f"{where}: warmup and cooldown must fit into total_steps = {steps}; got {rise} and {fall}")
    factor, every = real(where, "decay_factor", decay_factor, above=0.0), real(where, "decay_every", decay_every, above=0.0)
    decay, at = schedules.exponential(lr, factor, every), steps - fall
    down = decay.cooldown(at, fall, 0.0).shift(-at)
    return join([warmed(0.0, lr, rise, decay), down], [at], "after")  # step C itself is still the decay's


def TriStageLRSchedule(
    lr: float,
    warmup_steps: int,
    hold_steps: int,
    decay_steps: int,
    total_steps: int,
    init_lr_scale: float = 0.01,
    final_lr_scale: float = 0.05,
) -> Schedule:
    """From lr init_lr_scale to lr in warmup_steps, lr for hold_steps, then lr final_lr_scale^(s/decay_steps), s steps later.

    Args:
        warmup_steps, decay_steps: >= 1.
        hold_steps: >= 0.
        total_steps: without effect, as in speechbrain: the decay continues.
        init_lr_scale: any number.
        final_lr_scale: > 0.

    Source: speechbrain TriStageLRSchedule, arXiv 1904.08779.

    >>> TriStageLRSchedule(1.0, 2, 2, 2, 6, 0.0, 0.25).table(8)
    array([0.   , 0.5  , 1.   , 1.   , 1.   , 0.5  , 0.25 , 0.125])
    """
    where = "speechbrain.TriStageLRSchedule"
    lr, first = real(where, "lr", lr), real(where, "init_lr_scale", init_lr_scale)
    last = real(where, "final_lr_scale", final_lr_scale, above=0.0)
    rise, decay = count(where, "warmup_steps", warmup_steps, low=1), count(where, "decay_steps", decay_steps, low=1)
    hold = count(where, "hold_steps", hold_steps)
    count(where, "total_steps", total_steps)
    return lr * join([schedules.linear(first, 1.0, rise), schedules.exponential(1.0, last, decay).shift(hold)], [rise])


__all__ = public(globals())

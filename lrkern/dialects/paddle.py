"""The schedulers of paddle.optimizer.lr: step t is `last_epoch`, the number of calls of `scheduler.step()`.

Paddle computes some of them by recursion from step to step; these are their closed forms. `ReduceOnPlateau` follows a metric:
it is the dialect "paddle" of `lrkern.plateau`. `last_epoch` and `verbose` are omitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lrkern import schedules
from lrkern._checks import choice, count, counts, describe, flag, real, reals
from lrkern.dialects import torch
from lrkern.dialects._cycles import Phase, cyclic, longer_each_time, one_cycle
from lrkern.dialects._parts import between, called, exponential_of, inverse_root, powers, public, wave
from lrkern.schedules.expression import Schedule, join


def _rate(where: str, learning_rate: float, name: str = "learning_rate") -> float:
    return real(where, name, learning_rate, low=0.0)


def NoamDecay(d_model: float, warmup_steps: int, learning_rate: float = 1.0) -> Schedule:
    """learning_rate d_model^(-1/2) min(t^(-1/2), t warmup_steps^(-3/2)): 0 at t = 0.

    Args:
        d_model: > 0.
        warmup_steps: >= 1; the top is at t = warmup_steps.
        learning_rate: >= 0.

    Source: paddle NoamDecay, arXiv 1706.03762.

    >>> NoamDecay(4, 4)([0, 2, 4, 16])
    array([0.   , 0.125, 0.25 , 0.125])
    """
    where = "paddle.NoamDecay"
    width = real(where, "d_model", d_model, above=0.0)
    warmup = count(where, "warmup_steps", warmup_steps, low=1)
    shape = join([schedules.linear(0.0, 1.0, warmup), schedules.inverse_sqrt(1.0, warmup)], [warmup])
    return inverse_root(_rate(where, learning_rate), width) * (inverse_root(1.0, warmup) * shape)


def PiecewiseDecay(boundaries: Sequence[int], values: Sequence[float]) -> Schedule:
    """values[i], i the number of boundaries <= t.

    Args:
        boundaries: at least one, integers >= 0 that do not decrease.
        values: one more.

    Source: paddle PiecewiseDecay.

    >>> PiecewiseDecay([2, 3], [1.0, 0.5, 0.1]).table(5)
    array([1. , 1. , 0.5, 0.1, 0.1])
    """
    where = "paddle.PiecewiseDecay"
    at, levels = counts(where, "boundaries", boundaries), reals(where, "values", values)
    if not at:
        raise ValueError(f"{where}: boundaries must not be empty")
    if len(levels) != len(at) + 1:
        raise ValueError(f"{where}: values must be one more than the {len(at)} boundaries; got {len(levels)}")
    return schedules.piecewise(levels, at)


def NaturalExpDecay(learning_rate: float, gamma: float) -> Schedule:
    """learning_rate e^(-gamma t).

    Args:
        learning_rate: >= 0.
        gamma: 1e-200 to 1e200.

    Source: paddle NaturalExpDecay.

    >>> NaturalExpDecay(1.0, 0.5)(2)
    0.36787944117144233
    """
    where = "paddle.NaturalExpDecay"
    return exponential_of(_rate(where, learning_rate), real(where, "gamma", gamma, low=1e-200, high=1e200))


def InverseTimeDecay(learning_rate: float, gamma: float) -> Schedule:
    """learning_rate/(1 + gamma t).

    Args:
        learning_rate, gamma: >= 0.

    Source: paddle InverseTimeDecay.

    >>> InverseTimeDecay(1.0, 1.0).table(4).round(4)
    array([1.    , 0.5   , 0.3333, 0.25  ])
    """
    where = "paddle.InverseTimeDecay"
    return schedules.inverse_time(_rate(where, learning_rate), real(where, "gamma", gamma, low=0.0))


def PolynomialDecay(
    learning_rate: float, decay_steps: int, end_lr: float = 0.0001, power: float = 1.0, cycle: bool = False
) -> Schedule:
    """end_lr + (learning_rate - end_lr)(1 - min(t, D)/D)^power, D = decay_steps.

    With `cycle` D is the first multiple of decay_steps not before t: it is at the end value in every multiple of decay_steps
    and jumps up after it.

    Args:
        learning_rate: >= 0.
        decay_steps: >= 1.
        end_lr: the last value.
        power: > 0.

    Source: paddle PolynomialDecay.

    >>> PolynomialDecay(1.0, 2, 0.0, cycle=True).table(7).round(4)
    array([1.    , 0.5   , 0.    , 0.25  , 0.    , 0.1667, 0.    ])
    """
    where = "paddle.PolynomialDecay"
    start, end = _rate(where, learning_rate), real(where, "end_lr", end_lr)
    steps, power = count(where, "decay_steps", decay_steps, low=1), real(where, "power", power, above=0.0, high=1e6)
    return (longer_each_time if flag(where, "cycle", cycle) else schedules.polynomial)(start, end, steps, power)


def LinearWarmup(learning_rate: float | Schedule, warmup_steps: int, start_lr: float, end_lr: float) -> Schedule:
    """start_lr + (end_lr - start_lr) t/warmup_steps before t = warmup_steps, then learning_rate.

    Args:
        learning_rate: >= 0, or a Schedule, which begins with its step 0 then.
        warmup_steps: >= 1.
        start_lr, end_lr: start_lr < end_lr.

    Source: paddle LinearWarmup.

    >>> LinearWarmup(StepDecay(1.0, 2, 0.5), 2, 0.0, 1.0).table(7)
    array([0.  , 0.5 , 1.  , 1.  , 0.5 , 0.5 , 0.25])
    """
    where = "paddle.LinearWarmup"
    then = learning_rate if isinstance(learning_rate, Schedule) else schedules.constant(_rate(where, learning_rate))
    steps, start = count(where, "warmup_steps", warmup_steps, low=1), real(where, "start_lr", start_lr, low=0.0)
    return join([schedules.linear(start, real(where, "end_lr", end_lr, above=start), steps), then], [steps])


def ExponentialDecay(learning_rate: float, gamma: float) -> Schedule:
    """learning_rate gamma^t.

    Args:
        learning_rate: >= 0.
        gamma: above 0, below 1.

    Source: paddle ExponentialDecay.

    >>> ExponentialDecay(1.0, 0.5).table(4)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    where = "paddle.ExponentialDecay"
    return schedules.exponential(_rate(where, learning_rate), real(where, "gamma", gamma, above=0.0, below=1.0))


def MultiStepDecay(learning_rate: float, milestones: Sequence[int], gamma: float = 0.1) -> Schedule:
    """learning_rate gamma^(number of milestones <= t).

    Args:
        learning_rate: >= 0.
        milestones: increasing steps >= 0.
        gamma: < 1.

    Source: paddle MultiStepDecay.

    >>> MultiStepDecay(1.0, [2, 3], gamma=0.5).table(5)
    array([1.  , 1.  , 0.5 , 0.25, 0.25])
    """
    where = "paddle.MultiStepDecay"
    start, gamma = _rate(where, learning_rate), real(where, "gamma", gamma, below=1.0)
    at = counts(where, "milestones", milestones)
    if len(set(at)) != len(at):
        raise ValueError(f"{where}: milestones must increase; got {describe(milestones)}")
    return schedules.piecewise(powers(start, gamma, len(at)), at)


def StepDecay(learning_rate: float, step_size: int, gamma: float = 0.1) -> Schedule:
    """learning_rate gamma^floor(t/step_size).

    Args:
        learning_rate: >= 0.
        step_size: >= 1.
        gamma: at least 0, below 1.

    Source: paddle StepDecay.

    >>> StepDecay(1.0, 2, gamma=0.5).table(5)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25])
    """
    where = "paddle.StepDecay"
    real(where, "gamma", gamma, below=1.0)
    with called(where):
        return torch.StepLR(_rate(where, learning_rate), step_size, gamma)


def LambdaDecay(learning_rate: float, lr_lambda: Callable[[int], float] | Schedule, steps: int | None = None) -> Schedule:
    """learning_rate lr_lambda(t).

    Args:
        learning_rate: >= 0.
        lr_lambda: a function of the step (an int), or a Schedule, which needs no `steps`.
        steps: how many steps to ask the function for, >= 1; the last value is held.

    Source: paddle LambdaDecay.

    >>> LambdaDecay(0.1, lambda t: 0.5**t, steps=3)
    from_table([0.1, 0.05, 0.025])
    """
    where = "paddle.LambdaDecay"
    with called(where):
        return torch.LambdaLR(_rate(where, learning_rate), lr_lambda, steps)


def MultiplicativeDecay(learning_rate: float, lr_lambda: Callable[[int], float], steps: int | None = None) -> Schedule:
    """learning_rate lr_lambda(1) lr_lambda(2) ... lr_lambda(t).

    Args:
        learning_rate: >= 0.
        lr_lambda: a function of the step (an int).
        steps: length of the table, >= 1; the last value is held. The function is called for steps 1 to steps - 1.

    Source: paddle MultiplicativeDecay.

    >>> MultiplicativeDecay(1.0, lambda t: 0.5, steps=4)
    from_table([1.0, 0.5, 0.25, 0.125])
    """
    where = "paddle.MultiplicativeDecay"
    with called(where):
        return torch.MultiplicativeLR(_rate(where, learning_rate), lr_lambda, steps)


def CosineAnnealingDecay(learning_rate: float, T_max: int, eta_min: float = 0.0) -> Schedule:
    """eta_min + (learning_rate - eta_min)(1 + cos(pi t/T_max))/2: after T_max steps it rises again, and so on.

    Args:
        learning_rate: >= 0.
        T_max: >= 1.
        eta_min: lowest value, absolute.

    Source: paddle CosineAnnealingDecay, which computes each value from the one before.

    >>> CosineAnnealingDecay(1.0, T_max=2).table(6)
    array([1. , 0.5, 0. , 0.5, 1. , 0.5])
    """
    where = "paddle.CosineAnnealingDecay"
    steps = count(where, "T_max", T_max, low=1)
    return wave(_rate(where, learning_rate), real(where, "eta_min", eta_min), steps)


def OneCycleLR(
    max_learning_rate: float,
    total_steps: int,
    divide_factor: float = 25.0,
    end_learning_rate: float = 0.0001,
    phase_pct: float = 0.3,
    anneal_strategy: str = "cos",
    three_phase: bool = False,
) -> Schedule:
    """From max_learning_rate/divide_factor to max_learning_rate at t = phase_pct N - 1, to end_learning_rate at t = N - 1.

    With `three_phase` back to max_learning_rate/divide_factor at t = 2 phase_pct N - 2 and from there to the end. The phases
    may end between two steps; then no step has the top value itself.

    Args:
        max_learning_rate, end_learning_rate: >= 0.
        total_steps: N >= 1.
        divide_factor: > 0.
        phase_pct: 0 to 1, with `three_phase` below 0.5.
        anneal_strategy: "cos" or "linear".

    Source: paddle OneCycleLR. After step N - 1 the value is held, while paddle continues for one step and then raises.

    >>> OneCycleLR(0.1, 100)([0, 29, 99])
    array([0.004 , 0.1   , 0.0001])
    """
    where = "paddle.OneCycleLR"
    top, end = _rate(where, max_learning_rate, "max_learning_rate"), _rate(where, end_learning_rate, "end_learning_rate")
    steps = count(where, "total_steps", total_steps, low=1)
    low = schedules.constant(top) / real(where, "divide_factor", divide_factor, above=0.0)
    part = real(where, "phase_pct", phase_pct, low=0.0, high=1.0)
    phases: list[Phase] = [lambda kind, n: between(kind, low, top, n), lambda kind, n: between(kind, top, end, n)]
    if flag(where, "three_phase", three_phase):
        real(where, "phase_pct", phase_pct, below=0.5)
        phases[1:] = [lambda kind, n: between(kind, top, low, n), lambda kind, n: between(kind, low, end, n)]
    return one_cycle(where, steps, part, anneal_strategy, phases)


def CyclicLR(
    base_learning_rate: float,
    max_learning_rate: float,
    step_size_up: int,
    step_size_down: int | None = None,
    mode: str = "triangular",
    exp_gamma: float = 1.0,
    scale_fn: Callable[[float], float] | None = None,
    scale_mode: str = "cycle",
    *,
    steps: int | None = None,
) -> Schedule:
    """Triangles: base_learning_rate + (max_learning_rate - base_learning_rate) x s.

    x is the height in the triangle (0 to 1 to 0), s the scale: 1 for mode "triangular", 2^-i in cycle i (0, 1, ...) for
    "triangular2", exp_gamma^t for "exp_range".

    Args:
        base_learning_rate, max_learning_rate: >= 0.
        step_size_up, step_size_down: >= 1; `step_size_down=None` is as `step_size_up`.
        exp_gamma: > 0.
        scale_fn: a function that gives s instead of `mode`: of the number of the cycle (1, 2, ...) for scale_mode "cycle", of
            the step for "iterations". It needs `steps`.
        steps: number of steps for which scale_fn is called; the last value is held.

    Source: paddle CyclicLR, arXiv 1506.01186; triangular2 overflows there after 1024 cycles.

    >>> CyclicLR(0.0, 1.0, 2, mode="triangular2").table(9)
    array([0.  , 0.5 , 1.  , 0.5 , 0.  , 0.25, 0.5 , 0.25, 0.  ])
    """
    where = "paddle.CyclicLR"
    low = _rate(where, base_learning_rate, "base_learning_rate")
    high = _rate(where, max_learning_rate, "max_learning_rate")
    up = count(where, "step_size_up", step_size_up, low=1)
    down = up if step_size_down is None else count(where, "step_size_down", step_size_down, low=1)
    gamma = real(where, "exp_gamma", exp_gamma, above=0.0)
    choice(where, "scale_mode", scale_mode, ("cycle", "iterations"))
    return cyclic(where, low, high, up, down, mode, gamma, scale_fn, scale_mode, steps)


def LinearLR(learning_rate: float, total_steps: int, start_factor: float = 1.0 / 3, end_factor: float = 1.0) -> Schedule:
    """learning_rate (start_factor + (end_factor - start_factor) min(t, total_steps)/total_steps).

    Args:
        learning_rate: >= 0.
        total_steps: >= 1.
        start_factor: above 0, at most 1.
        end_factor: 0 to 1.

    Source: paddle LinearLR, which computes each value from the one before.

    >>> LinearLR(0.1, 4, start_factor=0.5).table(6)
    array([0.05  , 0.0625, 0.075 , 0.0875, 0.1   , 0.1   ])
    """
    where = "paddle.LinearLR"
    first = real(where, "start_factor", start_factor, above=0.0, high=1.0)
    last = real(where, "end_factor", end_factor, low=0.0, high=1.0)
    return _rate(where, learning_rate) * schedules.linear(first, last, count(where, "total_steps", total_steps, low=1))


def CosineAnnealingWarmRestarts(learning_rate: float, T_0: int, T_mult: int = 1, eta_min: float = 0.0) -> Schedule:
    """eta_min + (learning_rate - eta_min)(1 + cos(pi T_cur/T_i))/2, cycle i of T_i = T_0 T_mult^i steps, T_cur of them done.

    Args:
        learning_rate: >= 0.
        T_0, T_mult: >= 1.
        eta_min: lowest value, absolute; a restart comes before it is reached.

    Source: paddle CosineAnnealingWarmRestarts, whose step(epoch) takes a logarithm and errs at some restarts, as torch's does.

    >>> CosineAnnealingWarmRestarts(1.0, T_0=2, T_mult=2).table(7).round(4)
    array([1.    , 0.5   , 1.    , 0.8536, 0.5   , 0.1464, 1.    ])
    """
    where = "paddle.CosineAnnealingWarmRestarts"
    start = _rate(where, learning_rate)
    with called(where):
        return torch.CosineAnnealingWarmRestarts(start, T_0, T_mult, eta_min)


__all__ = public(globals())

"""The schedulers of mmengine.optim.scheduler, one at a time: step t is the number of calls of `scheduler.step()`.

Each works from step `begin` until `end`; before that the rate is base_lr, from step end - 1 on the value reached. To chain
several that scale, multiply them and divide by base_lr; windows that do not overlap can be joined with `lrkern.join`.

Names ending in `Momentum` take the base momentum for base_lr and give the same values; mmengine's `...ParamScheduler` are the
same again under any name of a parameter. `by_epoch`, `last_step` and `verbose` are omitted: t may count anything.
"""

from __future__ import annotations

from collections.abc import Sequence

from lrkern import schedules
from lrkern._checks import count, counts, describe, real, reals
from lrkern.dialects import torch
from lrkern.dialects._parts import called, powers, public, sequence, value_errors, wave
from lrkern.schedules.expression import Schedule, join

INF = 10**9
"""No end: mmengine's constant, where its schedulers do end."""


def _length(where: str, begin: int, end: int) -> int:
    begin = count(where, "begin", begin)
    return count(where, "end", end, low=begin + 1) - begin


def _windowed(s: Schedule, base: float, begin: int, end: int) -> Schedule:
    """base before begin, s from its own step 0, held as it is at step end - 1."""
    parts, starts = [s], []
    if end != INF and (s.steps is None or s.steps > end - begin - 1):
        parts.append(schedules.constant(s(end - begin - 1)))
        starts.append(end - 1)
    if begin:
        parts.insert(0, schedules.constant(base))
        starts.insert(0, begin)
    return sequence(parts, starts)


def ConstantLR(base_lr: float, factor: float = 1.0 / 3, begin: int = 0, end: int = INF) -> Schedule:
    """base_lr factor from step begin until step end - 1 (torch: until the end), then base_lr.

    Args:
        factor: 0 to 1.
        begin, end: 0 <= begin < end.

    Source: mmengine ConstantLR, which divides by zero for factor 0, and stays at factor where end = begin + 1.

    >>> ConstantLR(0.1, 0.5, end=3).table(4)
    array([0.05, 0.05, 0.1 , 0.1 ])
    """
    where = "mmengine.ConstantLR"
    base, factor = real(where, "base_lr", base_lr), real(where, "factor", factor, low=0.0, high=1.0)
    return _windowed(schedules.piecewise([base * factor, base], [_length(where, begin, end) - 1]), base, begin, end)


def LinearLR(
    base_lr: float, start_factor: float = 1.0 / 3, end_factor: float = 1.0, begin: int = 0, end: int = INF
) -> Schedule:
    """base_lr (start_factor + (end_factor - start_factor)(t - begin)/(end - begin - 1)): end_factor in step end - 1.

    Args:
        start_factor, end_factor: 0 to 1.
        begin, end: 0 <= begin < end.

    Source: mmengine LinearLR, which divides by zero for start_factor 0.

    >>> LinearLR(0.1, 0.5, end=3).table(4)
    array([0.05 , 0.075, 0.1  , 0.1  ])
    """
    where = "mmengine.LinearLR"
    base, first = real(where, "base_lr", base_lr), real(where, "start_factor", start_factor, low=0.0, high=1.0)
    last, steps = real(where, "end_factor", end_factor, low=0.0, high=1.0), _length(where, begin, end) - 1
    # a window of one step has no way to go
    return _windowed(base * (schedules.linear(first, last, steps) if steps else schedules.constant(first)), base, begin, end)


def ExponentialLR(base_lr: float, gamma: float, begin: int = 0, end: int = INF) -> Schedule:
    """base_lr gamma^(t - begin) from step begin to step end - 1.

    Args:
        gamma: > 0.
        begin, end: 0 <= begin < end.

    Source: mmengine ExponentialLR.

    >>> ExponentialLR(1.0, 0.5, begin=1, end=4).table(6)
    array([1.  , 1.  , 0.5 , 0.25, 0.25, 0.25])
    """
    where = "mmengine.ExponentialLR"
    base, gamma = real(where, "base_lr", base_lr), real(where, "gamma", gamma, above=0.0)
    _length(where, begin, end)
    return _windowed(schedules.exponential(base, gamma), base, begin, end)


def StepLR(base_lr: float, step_size: int, gamma: float = 0.1, begin: int = 0, end: int = INF) -> Schedule:
    """base_lr gamma^floor((t - begin)/step_size) from step begin to step end - 1.

    Args:
        step_size: >= 1.
        gamma: > 0.
        begin, end: 0 <= begin < end.

    Source: mmengine StepLR.

    >>> StepLR(1.0, 2, 0.5, begin=1).table(6)
    array([1.  , 1.  , 1.  , 0.5 , 0.5 , 0.25])
    """
    where = "mmengine.StepLR"
    base, step_size = real(where, "base_lr", base_lr), count(where, "step_size", step_size, low=1)
    gamma = real(where, "gamma", gamma, above=0.0)
    _length(where, begin, end)
    return _windowed(schedules.step_decay(base, gamma, step_size), base, begin, end)


def MultiStepLR(base_lr: float, milestones: Sequence[int], gamma: float = 0.1, begin: int = 0, end: int = INF) -> Schedule:
    """base_lr gamma^(number of milestones <= t - begin) from step begin to step end - 1.

    Args:
        milestones: steps after begin, >= 1; one that stands there twice counts twice.
        gamma: any number.
        begin, end: 0 <= begin < end.

    Source: mmengine MultiStepLR.

    >>> MultiStepLR(1.0, [2, 3], 0.5, begin=1).table(6)
    array([1.  , 1.  , 1.  , 0.5 , 0.25, 0.25])
    """
    where = "mmengine.MultiStepLR"
    base, gamma = real(where, "base_lr", base_lr), real(where, "gamma", gamma)
    at = sorted(counts(where, "milestones", milestones, ordered=False))
    _length(where, begin, end)
    return _windowed(schedules.piecewise(powers(base, gamma, len(at)), at), base, begin, end)


def PolyLR(base_lr: float, eta_min: float = 0.0, power: float = 1.0, begin: int = 0, end: int = INF) -> Schedule:
    """eta_min + (base_lr - eta_min)(1 - (t - begin)/(end - begin - 1))^power: eta_min in step end - 1.

    Args:
        eta_min: lowest value.
        power: > 0.
        begin, end: 0 <= begin < end.

    Source: mmengine PolyLR.

    >>> PolyLR(1.0, power=2.0, end=5).table(6)
    array([1.    , 0.5625, 0.25  , 0.0625, 0.    , 0.    ])
    """
    where = "mmengine.PolyLR"
    base, low = real(where, "base_lr", base_lr), real(where, "eta_min", eta_min)
    power, steps = real(where, "power", power, above=0.0), _length(where, begin, end) - 1
    s = schedules.polynomial(base, low, steps, power) if steps else schedules.constant(base)
    return _windowed(s, base, begin, end)


def _floor(where: str, base: float, eta_min: float | None, eta_min_ratio: float | None) -> float:
    if eta_min_ratio is not None and eta_min is not None:
        raise ValueError(f"{where}: eta_min and eta_min_ratio must not both be given; got {describe(eta_min_ratio)}")
    if eta_min_ratio is not None:
        return base * real(where, "eta_min_ratio", eta_min_ratio)
    return real(where, "eta_min", 0.0 if eta_min is None else eta_min)


def CosineAnnealingLR(
    base_lr: float,
    T_max: int | None = None,
    eta_min: float | None = None,
    begin: int = 0,
    end: int = INF,
    eta_min_ratio: float | None = None,
) -> Schedule:
    """eta_min + (base_lr - eta_min)(1 + cos(pi (t - begin)/T_max))/2 from step begin to step end - 1, rising after T_max.

    Args:
        T_max: >= 1; None: end - begin.
        eta_min, eta_min_ratio: lowest value, or its ratio to base_lr; None: 0.
        begin, end: 0 <= begin < end.

    Source: mmengine CosineAnnealingLR, which computes each value from the one before.

    >>> CosineAnnealingLR(1.0, 4, end=4).table(6).round(4)
    array([1.    , 0.8536, 0.5   , 0.1464, 0.1464, 0.1464])
    """
    where = "mmengine.CosineAnnealingLR"
    base = real(where, "base_lr", base_lr)
    length = _length(where, begin, end)
    half = length if T_max is None else count(where, "T_max", T_max, low=1)
    return _windowed(wave(base, _floor(where, base, eta_min, eta_min_ratio), half), base, begin, end)


def CosineRestartLR(
    base_lr: float,
    periods: Sequence[int],
    restart_weights: Sequence[float] = (1,),
    eta_min: float | None = None,
    eta_min_ratio: float | None = None,
    begin: int = 0,
    end: int = INF,
) -> Schedule:
    """Cosines of periods[i] steps from base_lr restart_weights[i] towards eta_min; after the last its last value is held.

    Args:
        periods: >= 1 each.
        restart_weights: as many.
        eta_min, eta_min_ratio: lowest value, or its ratio to base_lr; None: 0.
        begin, end: 0 <= begin < end.

    Source: mmengine CosineRestartLR.

    >>> CosineRestartLR(1.0, [2, 2], [1.0, 0.5]).table(6)
    array([1.  , 0.5 , 0.5 , 0.25, 0.25, 0.25])
    """
    where = "mmengine.CosineRestartLR"
    base = real(where, "base_lr", base_lr)
    given = counts(where, "periods", periods, ordered=False)
    lengths = [count(where, f"periods[{i}]", period, low=1) for i, period in enumerate(given)]
    weights = reals(where, "restart_weights", restart_weights, least=1)
    if len(weights) != len(lengths):
        raise ValueError(f"{where}: restart_weights must be as many as the {len(lengths)} periods; got {len(weights)}")
    low = _floor(where, base, eta_min, eta_min_ratio)
    _length(where, begin, end)
    parts = [schedules.cosine(base * weight, low, length) for weight, length in zip(weights, lengths, strict=True)]
    parts.append(schedules.constant(parts[-1](lengths[-1] - 1)))
    starts = [sum(lengths[:i]) for i in range(1, len(lengths))] + [sum(lengths) - 1]
    return _windowed(join(parts, starts), base, begin, end)


def OneCycleLR(
    base_lr: float,
    eta_max: float = 0.0,
    total_steps: int | None = None,
    pct_start: float = 0.3,
    anneal_strategy: str = "cos",
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
    three_phase: bool = False,
    begin: int = 0,
    end: int = INF,
) -> Schedule:
    """torch's OneCycleLR from step begin on; base_lr before.

    Args:
        base_lr: the rate before begin only.
        eta_max: the top.
        total_steps: >= 1; None: end - begin.
        pct_start, anneal_strategy, div_factor, final_div_factor, three_phase: as in `dialects.torch.OneCycleLR`.
        begin, end: 0 <= begin < end.

    Source: mmengine OneCycleLR.

    >>> OneCycleLR(0.01, 0.1, 100)(29)
    0.1
    """
    where = "mmengine.OneCycleLR"
    base, length = real(where, "base_lr", base_lr), _length(where, begin, end)
    with value_errors():
        steps = length if total_steps is None else count(where, "total_steps", total_steps, low=1)
    top = real(where, "eta_max", eta_max)
    with called(where):
        s = torch.OneCycleLR(
            top,
            steps,
            pct_start=pct_start,
            anneal_strategy=anneal_strategy,
            div_factor=div_factor,
            final_div_factor=final_div_factor,
            three_phase=three_phase,
        )
    return _windowed(s, base, begin, end)


ConstantMomentum = ConstantLR
CosineAnnealingMomentum = CosineAnnealingLR
CosineRestartMomentum = CosineRestartLR
ExponentialMomentum = ExponentialLR
LinearMomentum = LinearLR
MultiStepMomentum = MultiStepLR
PolyMomentum = PolyLR
StepMomentum = StepLR


__all__ = public(globals())

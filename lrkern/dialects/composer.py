"""The schedulers of composer.optim.scheduler: step t is the number of batches done.

Times are strings, "10ba" (batches), "1ep" (epochs), "0.5dur" (share of max_duration), or numbers of batches. What they need to
know stands behind the composer arguments of each: `max_duration` of the run (batches, or a time in "ba" or "ep") for "dur",
`batches_per_epoch` for "ep". `ssr` is composer's scale schedule ratio: it scales every time but shares of max_duration, which
is given as it is after scaling, and the warm-up only with `scale_warmup`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypedDict, Unpack

from lrkern import schedules
from lrkern._checks import MAX_COUNT, count, describe, flag, real
from lrkern.dialects._parts import powers, public, sequence, takes
from lrkern.schedules.expression import Schedule, join

Time = str | int


class _Times(TypedDict, total=False):
    """What times need to know: see the module."""

    max_duration: Time | None
    batches_per_epoch: int | None
    ssr: float


class _Run:
    """What turns times into batches."""

    def __init__(
        self, where: str, max_duration: Time | None = None, batches_per_epoch: int | None = None, ssr: float = 1.0
    ) -> None:
        self.where = where
        self.per_epoch = None if batches_per_epoch is None else count(where, "batches_per_epoch", batches_per_epoch, low=1)
        self.ssr = real(where, "ssr", ssr, above=0.0)
        self.max_duration = None if max_duration is None else self._batches("max_duration", max_duration, 1.0)

    def batches(self, name: str, time: Time, low: int = 0, *, scaled: bool = True) -> int:
        """The time in batches, rounded down as composer does."""
        return count(self.where, name, self._batches(name, time, self.ssr if scaled else 1.0), low=low)

    def _batches(self, name: str, time: Time, ssr: float) -> int:
        if not isinstance(time, str):
            return self._whole(name, count(self.where, name, time) * ssr)
        found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*(ba|ep|dur)\s*", time)
        if not found:
            raise ValueError(f"{self.where}: {name} must be a time such as '10ba', '1ep' or '0.5dur'; got {describe(time)}")
        value, unit = found[1], found[2]
        if unit == "dur":
            if name == "max_duration" or self.max_duration is None:
                raise ValueError(f"{self.where}: max_duration must be given in batches or epochs for {name} {time!r}; got None")
            return self._whole(name, float(value) * self.max_duration)
        if unit == "ep" and self.per_epoch is None:
            raise ValueError(f"{self.where}: batches_per_epoch must be given for {name} {time!r}; got None")
        return self._whole(name, float(value) * (self.per_epoch or 1 if unit == "ep" else 1) * ssr)

    def _whole(self, name: str, batches: float) -> int:
        if batches > MAX_COUNT:
            raise ValueError(f"{self.where}: {name} times ssr must be at most 2^53 batches; got {batches:g}")
        return int(batches)


@takes(_Times, ssr=1.0)
def StepScheduler(base_lr: float, step_size: Time, gamma: float = 0.1, **times: Unpack[_Times]) -> Schedule:
    """base_lr gamma^floor(t/step_size).

    Args:
        step_size: a time of at least one batch.
        gamma: > 0.
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer StepScheduler.

    >>> StepScheduler(1.0, "1ep", 0.5, batches_per_epoch=2).table(5)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25])
    """
    where = "composer.StepScheduler"
    run = _Run(where, **times)
    base, gamma = real(where, "base_lr", base_lr), real(where, "gamma", gamma, above=0.0)
    return schedules.step_decay(base, gamma, run.batches("step_size", step_size, low=1))


def _multi_step(run: _Run, base: float, milestones: Sequence[Time], gamma: float) -> Schedule:
    if isinstance(milestones, str) or not isinstance(milestones, Sequence):
        raise TypeError(f"{run.where}: milestones must be a sequence of times; got {describe(milestones)}")
    at = sorted(run.batches(f"milestones[{i}]", milestone) for i, milestone in enumerate(milestones))
    return schedules.piecewise(powers(base, real(run.where, "gamma", gamma), len(at)), at)


@takes(_Times, ssr=1.0)
def MultiStepScheduler(base_lr: float, milestones: Sequence[Time], gamma: float = 0.1, **times: Unpack[_Times]) -> Schedule:
    """base_lr gamma^(number of milestones <= t).

    Args:
        milestones: times, in any order.
        gamma: any number.
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer MultiStepScheduler.

    >>> MultiStepScheduler(1.0, ["2ba", "0.5dur"], 0.5, max_duration=6).table(5)
    array([1.  , 1.  , 0.5 , 0.25, 0.25])
    """
    where = "composer.MultiStepScheduler"
    run = _Run(where, **times)
    return _multi_step(run, real(where, "base_lr", base_lr), milestones, gamma)


@takes(_Times, ssr=1.0)
def ConstantScheduler(base_lr: float, alpha: float = 1.0, t_max: Time = "1dur", **times: Unpack[_Times]) -> Schedule:
    """base_lr alpha until t_max, then base_lr.

    Args:
        alpha: any number.
        t_max: a time.
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer ConstantScheduler.

    >>> ConstantScheduler(1.0, 0.5, "2ba").table(4)
    array([0.5, 0.5, 1. , 1. ])
    """
    where = "composer.ConstantScheduler"
    run = _Run(where, **times)
    base, alpha = real(where, "base_lr", base_lr), real(where, "alpha", alpha)
    return schedules.piecewise([base * alpha, base], [run.batches("t_max", t_max)])


@takes(_Times, ssr=1.0)
def LinearScheduler(
    base_lr: float,
    alpha_i: float = 1.0,
    alpha_f: float = 0.0,
    t_max: Time = "1dur",
    **times: Unpack[_Times],
) -> Schedule:
    """base_lr (alpha_i + (alpha_f - alpha_i) min(1, t/t_max)).

    Args:
        alpha_i, alpha_f: factors at both ends.
        t_max: a time of at least one batch.
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer LinearScheduler.

    >>> LinearScheduler(1.0, max_duration=4).table(6)
    array([1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    where = "composer.LinearScheduler"
    run = _Run(where, **times)
    first, last = real(where, "alpha_i", alpha_i), real(where, "alpha_f", alpha_f)
    return real(where, "base_lr", base_lr) * schedules.linear(first, last, run.batches("t_max", t_max, low=1))


@takes(_Times, ssr=1.0)
def ExponentialScheduler(base_lr: float, gamma: float, decay_period: Time = "1ep", **times: Unpack[_Times]) -> Schedule:
    """base_lr gamma^(t/decay_period).

    Args:
        gamma: > 0.
        decay_period: a time of at least one batch.
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer ExponentialScheduler.

    >>> ExponentialScheduler(1.0, 0.25, batches_per_epoch=2).table(4)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    where = "composer.ExponentialScheduler"
    run = _Run(where, **times)
    base, gamma = real(where, "base_lr", base_lr), real(where, "gamma", gamma, above=0.0)
    return schedules.exponential(base, gamma, run.batches("decay_period", decay_period, low=1))


@takes(_Times, ssr=1.0)
def CosineAnnealingScheduler(base_lr: float, t_max: Time = "1dur", alpha_f: float = 0.0, **times: Unpack[_Times]) -> Schedule:
    """base_lr (alpha_f + (1 - alpha_f)(1 + cos(pi min(1, t/t_max)))/2).

    Args:
        t_max: a time of at least one batch.
        alpha_f: the last factor.
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer CosineAnnealingScheduler.

    >>> CosineAnnealingScheduler(1.0, "4ba").table(6).round(4)
    array([1.    , 0.8536, 0.5   , 0.1464, 0.    , 0.    ])
    """
    where = "composer.CosineAnnealingScheduler"
    run = _Run(where, **times)
    base, last = real(where, "base_lr", base_lr), real(where, "alpha_f", alpha_f)
    return base * schedules.cosine(1.0, last, run.batches("t_max", t_max, low=1))


@takes(_Times, ssr=1.0)
def CosineAnnealingWarmRestartsScheduler(
    base_lr: float,
    t_0: Time,
    t_mult: float = 1.0,
    alpha_f: float = 0.0,
    **times: Unpack[_Times],
) -> Schedule:
    """Cosines from base_lr towards base_lr alpha_f, the first of t_0, each next one int(t_mult length) batches long.

    Args:
        t_0: a time of at least one batch.
        t_mult: > 0.
        alpha_f: the last factor; it is held where the lengths have come down to nothing (composer raises there).
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer CosineAnnealingWarmRestartsScheduler, whose lengths are rounded down from cycle to cycle: 10, 15, 22,
        33 for t_mult 1.5.

    >>> CosineAnnealingWarmRestartsScheduler(1.0, "2ba", 2.0).table(7).round(4)
    array([1.    , 0.5   , 1.    , 0.8536, 0.5   , 0.1464, 1.    ])
    """
    where = "composer.CosineAnnealingWarmRestartsScheduler"
    run = _Run(where, **times)
    base, last = real(where, "base_lr", base_lr), real(where, "alpha_f", alpha_f)
    length, factor = run.batches("t_0", t_0, low=1), real(where, "t_mult", t_mult, above=0.0)
    parts, starts, begin = [], [], 0
    while length and begin + length <= MAX_COUNT:
        cosine, following = schedules.cosine(1.0, last, length), int(min(factor * length, MAX_COUNT))
        if following == length:
            cosine = cosine.repeat(length)
        parts.append(cosine)
        starts.append(begin)
        if following == length:
            break
        begin, length = begin + length, following
    if not length:
        parts.append(schedules.constant(last))
        starts.append(begin)
    return base * sequence(parts, starts[1:])


@takes(_Times, ssr=1.0)
def PolynomialScheduler(
    base_lr: float,
    power: float,
    t_max: Time = "1dur",
    alpha_f: float = 0.0,
    **times: Unpack[_Times],
) -> Schedule:
    """base_lr (alpha_f + (1 - alpha_f)(1 - min(1, t/t_max))^power).

    Args:
        power: > 0.
        t_max: a time of at least one batch.
        alpha_f: the last factor.
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer PolynomialScheduler.

    >>> PolynomialScheduler(1.0, 2.0, "4ba").table(6)
    array([1.    , 0.5625, 0.25  , 0.0625, 0.    , 0.    ])
    """
    where = "composer.PolynomialScheduler"
    run = _Run(where, **times)
    base, power = real(where, "base_lr", base_lr), real(where, "power", power, above=0.0)
    return base * schedules.polynomial(1.0, real(where, "alpha_f", alpha_f), run.batches("t_max", t_max, low=1), power)


def _after_warmup(
    run: _Run, base: float, top: float, t_warmup: Time, scale_warmup: bool, after: Schedule, shift: bool
) -> Schedule:
    """0 to base top linearly during the warm-up, then `after`: from its own step 0, or (not `shift`) from the same step on."""
    steps = run.batches("t_warmup", t_warmup, scaled=flag(run.where, "scale_warmup", scale_warmup))
    if not steps:
        return base * after
    return base * join([schedules.linear(0.0, top, steps), after if shift else after.shift(-steps)], [steps])


def _rest(run: _Run, t_warmup: Time, scale_warmup: bool, t_max: Time) -> int:
    """Batches from the end of the warm-up to t_max, which must not come before the end of the run."""
    end = run.batches("t_max", t_max)
    if run.max_duration is not None and end < run.max_duration:
        raise ValueError(f"{run.where}: t_max must be >= max_duration, {run.max_duration} batches; got {describe(t_max)}")
    return max(end - run.batches("t_warmup", t_warmup, scaled=flag(run.where, "scale_warmup", scale_warmup)), 0)


def _along(curve: Schedule, first: float, rest: int) -> Schedule:
    # composer stays at the top if there is no time left to come down
    return curve if rest else schedules.constant(first)


@takes(_Times, ssr=1.0)
def MultiStepWithWarmupScheduler(
    base_lr: float,
    t_warmup: Time,
    milestones: Sequence[Time],
    gamma: float = 0.1,
    scale_warmup: bool = False,
    **times: Unpack[_Times],
) -> Schedule:
    """base_lr t/t_warmup, then `MultiStepScheduler`, whose milestones count from step 0.

    Args:
        t_warmup: a time.
        milestones: times, in any order.
        gamma: any number.
        scale_warmup: whether ssr scales the warm-up too.
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer MultiStepWithWarmupScheduler.

    >>> MultiStepWithWarmupScheduler(1.0, "2ba", ["4ba"], 0.5).table(6)
    array([0. , 0.5, 1. , 1. , 0.5, 0.5])
    """
    where = "composer.MultiStepWithWarmupScheduler"
    run = _Run(where, **times)
    after = _multi_step(run, 1.0, milestones, gamma)
    return _after_warmup(run, real(where, "base_lr", base_lr), 1.0, t_warmup, scale_warmup, after, shift=False)


@takes(_Times, ssr=1.0)
def LinearWithWarmupScheduler(
    base_lr: float,
    t_warmup: Time,
    alpha_i: float = 1.0,
    alpha_f: float = 0.0,
    t_max: Time = "1dur",
    scale_warmup: bool = False,
    **times: Unpack[_Times],
) -> Schedule:
    """base_lr alpha_i t/t_warmup, then linearly to base_lr alpha_f at t = t_max.

    Args:
        t_warmup, t_max: times, the second not before max_duration.
        alpha_i, alpha_f: factors after the warm-up and at the end.
        scale_warmup: whether ssr scales the warm-up too.
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer LinearWithWarmupScheduler.

    >>> LinearWithWarmupScheduler(1.0, "2ba", t_max="4ba").table(6)
    array([0. , 0.5, 1. , 0.5, 0. , 0. ])
    """
    where = "composer.LinearWithWarmupScheduler"
    run = _Run(where, **times)
    first, last = real(where, "alpha_i", alpha_i), real(where, "alpha_f", alpha_f)
    return _linear_with_warmup(where, base_lr, t_warmup, first, last, t_max, scale_warmup, run)


def _linear_with_warmup(
    where: str, base_lr: float, t_warmup: Time, first: float, last: float, t_max: Time, scale_warmup: bool, run: _Run
) -> Schedule:
    base, rest = real(where, "base_lr", base_lr), _rest(run, t_warmup, scale_warmup, t_max)
    after = _along(schedules.linear(first, last, rest), first, rest)
    return _after_warmup(run, base, first, t_warmup, scale_warmup, after, shift=True)


@takes(_Times, ssr=1.0)
def ConstantWithWarmupScheduler(
    base_lr: float,
    t_warmup: Time,
    alpha: float = 1.0,
    t_max: Time = "1dur",
    scale_warmup: bool = False,
    **times: Unpack[_Times],
) -> Schedule:
    """base_lr alpha t/t_warmup, then base_lr alpha.

    Args:
        t_warmup, t_max: times; the second, not before max_duration, has no effect on the values.
        alpha: any number.
        scale_warmup: whether ssr scales the warm-up too.
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer ConstantWithWarmupScheduler.

    >>> ConstantWithWarmupScheduler(1.0, "2ba", 0.5, max_duration=4).table(4)
    array([0.  , 0.25, 0.5 , 0.5 ])
    """
    where = "composer.ConstantWithWarmupScheduler"
    run, level = _Run(where, **times), real(where, "alpha", alpha)
    return _linear_with_warmup(where, base_lr, t_warmup, level, level, t_max, scale_warmup, run)


@takes(_Times, ssr=1.0)
def CosineAnnealingWithWarmupScheduler(
    base_lr: float,
    t_warmup: Time,
    t_max: Time = "1dur",
    alpha_f: float = 0.0,
    scale_warmup: bool = False,
    **times: Unpack[_Times],
) -> Schedule:
    """base_lr t/t_warmup, then along a cosine to base_lr alpha_f at t = t_max.

    Args:
        t_warmup, t_max: times, the second not before max_duration.
        alpha_f: the last factor.
        scale_warmup: whether ssr scales the warm-up too.
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer CosineAnnealingWithWarmupScheduler.

    >>> CosineAnnealingWithWarmupScheduler(1.0, "2ba", "4ba").table(6)
    array([0. , 0.5, 1. , 0.5, 0. , 0. ])
    """
    where = "composer.CosineAnnealingWithWarmupScheduler"
    run = _Run(where, **times)
    rest, last = _rest(run, t_warmup, scale_warmup, t_max), real(where, "alpha_f", alpha_f)
    after = _along(schedules.cosine(1.0, last, rest), 1.0, rest)
    return _after_warmup(run, real(where, "base_lr", base_lr), 1.0, t_warmup, scale_warmup, after, shift=True)


@takes(_Times, ssr=1.0)
def PolynomialWithWarmupScheduler(
    base_lr: float,
    t_warmup: Time,
    power: float = 2.0,
    t_max: Time = "1dur",
    alpha_f: float = 0.0,
    scale_warmup: bool = False,
    **times: Unpack[_Times],
) -> Schedule:
    """base_lr t/t_warmup, then base_lr (alpha_f + (1 - alpha_f)(1 - p)^power), p from 0 to 1 at t = t_max.

    Args:
        t_warmup, t_max: times, the second not before max_duration.
        power: > 0.
        alpha_f: the last factor.
        scale_warmup: whether ssr scales the warm-up too.
        max_duration, batches_per_epoch, ssr: see the module.

    Source: composer PolynomialWithWarmupScheduler.

    >>> PolynomialWithWarmupScheduler(1.0, "2ba", t_max="4ba").table(6)
    array([0.  , 0.5 , 1.  , 0.25, 0.  , 0.  ])
    """
    where = "composer.PolynomialWithWarmupScheduler"
    run = _Run(where, **times)
    rest, last = _rest(run, t_warmup, scale_warmup, t_max), real(where, "alpha_f", alpha_f)
    after = _along(schedules.polynomial(1.0, last, rest, real(where, "power", power, above=0.0)), 1.0, rest)
    return _after_warmup(run, real(where, "base_lr", base_lr), 1.0, t_warmup, scale_warmup, after, shift=True)


__all__ = public(globals())

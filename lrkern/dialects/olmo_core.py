"""The schedulers of OLMo-core: step t is what `get_lr` is told as `current`: `trainer.global_step`, or the tokens seen.

Every length is in the same unit as t. `max_steps` is the trainer's `max_steps` or `max_tokens`; what follows it are the
fields of the peer's class. Where the peer has a length and a fraction for the same phase, one of them is given; `warmup_steps`
and `decay_steps` are its former names of `warmup` and `decay`. A fraction is rounded as there, round(fraction max_steps).

Past `max_steps`, where the trainer never gets to, decays hold their end. A decay of no steps, by which OLMo-core divides, is
none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lrkern import schedules
from lrkern._checks import choice, count, describe, real, reals
from lrkern.dialects._parts import between, check_keywords, held, public, sequence, warmed
from lrkern.schedules.expression import Schedule, join

SHAPES = ("linear", "cosine")


def _length(where: str, name: str, whole: int, length: int | None, former: int | None, fraction: float | None) -> int:
    """The phase that is `length` long, formerly called `name`_steps, or a fraction of the whole."""
    given = {name: length, f"{name}_steps": former, f"{name}_fraction": fraction}
    names = [key for key, value in given.items() if value is not None]
    if len(names) != 1:
        found = " and ".join(names) or "None"
        raise ValueError(f"{where}: one of {name} and {name}_fraction must be given; got {found}")
    if fraction is None:
        return count(where, names[0], given[names[0]])
    return round(whole * real(where, names[0], fraction, low=0.0, high=1.0))


class _Run:
    """The common warm-up: from warmup_min_lr to the rate, linearly."""

    def __init__(
        self,
        where: str,
        initial_lr: float,
        max_steps: int,
        warmup: int | None,
        warmup_steps: int | None,
        warmup_fraction: float | None,
        warmup_min_lr: float,
    ) -> None:
        self.where = where
        self.lr, self.steps = real(where, "initial_lr", initial_lr), count(where, "max_steps", max_steps, low=1)
        self.warmup = _length(where, "warmup", self.steps, warmup, warmup_steps, warmup_fraction)
        self.first = real(where, "warmup_min_lr", warmup_min_lr, low=0.0)
        if self.warmup and self.first >= self.lr:
            raise ValueError(f"{where}: warmup_min_lr must be below initial_lr = {self.lr:g}; got {describe(warmup_min_lr)}")

    def then(self, fall: Schedule) -> Schedule:
        """The warm-up, then the rest from its step 0."""
        return warmed(self.first, self.lr, self.warmup, fall)

    def decay(self, s: Schedule, decay: int, end: float, start: float) -> Schedule:
        """s until the last `decay` steps, then linearly from where it is to `end`, which is below `start`."""
        end = real(self.where, "decay_min_lr", end, low=0.0)
        if decay and end >= start:
            raise ValueError(f"{self.where}: decay_min_lr must be below the {start:g} that it falls from; got {end:g}")
        if decay > self.steps:
            raise ValueError(f"{self.where}: decay must be <= max_steps = {self.steps}; got {decay}")
        return s.cooldown(self.steps - decay, decay, end) if decay else s


def ConstantScheduler(initial_lr: float, max_steps: int | None = None) -> Schedule:
    """initial_lr.

    Args:
        max_steps: ignored.

    Source: OLMo-core ConstantScheduler, "constant".

    >>> ConstantScheduler(0.1)(1000)
    0.1
    """
    return schedules.constant(real("olmo_core.ConstantScheduler", "initial_lr", initial_lr))


def ConstantWithWarmup(
    initial_lr: float,
    max_steps: int,
    *,
    warmup: int | None = None,
    warmup_steps: int | None = None,
    warmup_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
) -> Schedule:
    """Linearly from warmup_min_lr to initial_lr at t = warmup, then initial_lr.

    Args:
        max_steps: >= 1; matters with warmup_fraction.
        warmup, warmup_steps: >= 0.
        warmup_fraction: 0 to 1.
        warmup_min_lr: >= 0, below initial_lr.

    Source: OLMo-core ConstantWithWarmup, "constant_with_warmup", which divides by zero where the warm-up is 0 long.

    >>> ConstantWithWarmup(1.0, 8, warmup=4).table(6)
    array([0.  , 0.25, 0.5 , 0.75, 1.  , 1.  ])
    """
    where = "olmo_core.ConstantWithWarmup"
    run = _Run(where, initial_lr, max_steps, warmup, warmup_steps, warmup_fraction, warmup_min_lr)
    return run.then(schedules.constant(run.lr))


def WSD(
    initial_lr: float,
    max_steps: int,
    *,
    warmup: int | None = None,
    warmup_steps: int | None = None,
    warmup_fraction: float | None = None,
    decay: int | None = None,
    decay_steps: int | None = None,
    decay_fraction: float | None = 0.1,
    warmup_min_lr: float = 0.0,
    decay_min_lr: float = 0.0,
) -> Schedule:
    """Warm-up to initial_lr at t = warmup, initial_lr, and in the last `decay` steps linearly to decay_min_lr.

    Args:
        max_steps: >= 1.
        warmup, warmup_steps: >= 0.
        warmup_fraction: 0 to 1.
        decay, decay_steps: 0 to max_steps, with decay_fraction=None; a decay that begins during the warm-up continues after it.
        decay_fraction: 0 to 1.
        warmup_min_lr, decay_min_lr: >= 0, below initial_lr.

    Source: OLMo-core WSD, "wsd".

    >>> WSD(1.0, 8, warmup=2, decay_fraction=0.5).table(10)
    array([0.  , 0.5 , 1.  , 1.  , 1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    where = "olmo_core.WSD"
    run = _Run(where, initial_lr, max_steps, warmup, warmup_steps, warmup_fraction, warmup_min_lr)
    fall = _length(where, "decay", run.steps, decay, decay_steps, decay_fraction)
    s = run.decay(schedules.constant(run.lr), fall, decay_min_lr, run.lr)
    if run.steps - fall >= run.warmup:
        return run.then(s.shift(-run.warmup))
    return join([run.then(schedules.constant(run.lr)), s.shift(-run.warmup)], [run.warmup], "after")


def PowerLR(
    initial_lr: float,
    max_steps: int,
    *,
    b: float = -0.51,
    warmup: int | None = None,
    warmup_steps: int | None = None,
    warmup_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
    decay: int | None = None,
    decay_steps: int | None = None,
    decay_fraction: float | None = 0.1,
    decay_min_lr: float = 0.0,
) -> Schedule:
    """Warm-up to initial_lr at t = warmup, initial_lr (t/warmup)^b, and in the last `decay` steps linearly to decay_min_lr.

    Args:
        max_steps: >= 1.
        b: < 0.
        warmup, warmup_steps: >= 1.
        warmup_fraction: 0 to 1.
        warmup_min_lr: >= 0, below initial_lr.
        decay, decay_steps: >= 0, with decay_fraction=None; at most max_steps less the warm-up.
        decay_fraction: 0 to 1.
        decay_min_lr: >= 0, below the rate that the decay begins with.

    Source: OLMo-core PowerLR, "power_lr", arXiv 2408.13359.

    >>> PowerLR(1.0, 16, b=-0.5, warmup=4, decay=0, decay_fraction=None)([2, 4, 9])
    array([0.5       , 1.        , 0.66666667])
    """
    where = "olmo_core.PowerLR"
    run = _Run(where, initial_lr, max_steps, warmup, warmup_steps, warmup_fraction, warmup_min_lr)
    if run.warmup == 0:
        raise ValueError(f"{where}: warmup must be an integer >= 1, it is what t is divided by; got 0")
    fall = _length(where, "decay", run.steps, decay, decay_steps, decay_fraction)
    if run.warmup + fall > run.steps:
        raise ValueError(f"{where}: warmup and decay must fit into max_steps = {run.steps}; got {run.warmup} and {fall}")
    curve = schedules.inverse_power(run.lr, run.warmup, -real(where, "b", b, low=-1e6, below=0.0))
    s = run.then(curve)
    return run.decay(s, fall, decay_min_lr, s(run.steps - fall))


def _half(where: str, horizon: int, t_max: int | None) -> int:
    return horizon if t_max is None else count(where, "t_max", t_max, low=1)


def LinearWithWarmup(
    initial_lr: float,
    max_steps: int,
    *,
    alpha_f: float = 0.1,
    t_max: int | None = None,
    warmup: int | None = None,
    warmup_steps: int | None = None,
    warmup_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
) -> Schedule:
    """Warm-up to initial_lr at t = warmup, then linearly to initial_lr alpha_f at t = t_max.

    Args:
        max_steps: >= 1.
        alpha_f: the last value as a share of initial_lr.
        t_max: >= 1; None: max_steps.
        warmup, warmup_steps: >= 0.
        warmup_fraction: 0 to 1, of t_max.
        warmup_min_lr: >= 0, below initial_lr.

    Source: OLMo-core LinearWithWarmup, "linear_with_warmup".

    >>> LinearWithWarmup(1.0, 6, alpha_f=0.2, warmup=2).table(8)
    array([0. , 0.5, 1. , 0.8, 0.6, 0.4, 0.2, 0.2])
    """
    where = "olmo_core.LinearWithWarmup"
    run = _Run(where, initial_lr, _half(where, max_steps, t_max), warmup, warmup_steps, warmup_fraction, warmup_min_lr)
    return run.then(run.lr * schedules.linear(1.0, real(where, "alpha_f", alpha_f), max(run.steps - run.warmup, 0)))


def InvSqrtWithWarmup(
    initial_lr: float,
    max_steps: int,
    *,
    alpha_f: float = 0.1,
    warmup: int | None = None,
    warmup_steps: int | None = None,
    warmup_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
) -> Schedule:
    """Warm-up to initial_lr at t = warmup, then initial_lr (alpha_f + (1 - alpha_f) sqrt(warmup/t)).

    Args:
        max_steps: >= 1; matters with warmup_fraction.
        alpha_f: what it tends to, as a share of initial_lr.
        warmup, warmup_steps: >= 1.
        warmup_fraction: 0 to 1.
        warmup_min_lr: >= 0, below initial_lr.

    Source: OLMo-core InvSqrtWithWarmup, "inv_sqrt_with_warmup".

    >>> InvSqrtWithWarmup(1.0, 99, alpha_f=0.0, warmup=4)([2, 4, 16])
    array([0.5, 1. , 0.5])
    """
    where = "olmo_core.InvSqrtWithWarmup"
    run = _Run(where, initial_lr, max_steps, warmup, warmup_steps, warmup_fraction, warmup_min_lr)
    if run.warmup == 0:
        raise ValueError(f"{where}: warmup must be an integer >= 1, it is what is divided by t; got 0")
    low, fall = real(where, "alpha_f", alpha_f), schedules.inverse_sqrt(1.0, run.warmup)
    return run.then(run.lr * (low + (schedules.constant(1.0) - low) * fall if low else fall))


def CosWithWarmup(
    initial_lr: float,
    max_steps: int,
    *,
    warmup: int | None = None,
    warmup_steps: int | None = None,
    warmup_fraction: float | None = None,
    alpha_f: float = 0.1,
    t_max: int | None = None,
    warmup_min_lr: float = 0.0,
) -> Schedule:
    """Warm-up to initial_lr at t = warmup, then a cosine to initial_lr alpha_f at t = t_max.

    Args:
        max_steps: >= 1.
        warmup, warmup_steps: >= 0.
        warmup_fraction: 0 to 1, of t_max.
        alpha_f: the last value as a share of initial_lr.
        t_max: >= 1; None: max_steps.
        warmup_min_lr: >= 0, below initial_lr.

    Source: OLMo-core CosWithWarmup, "cos_with_warmup".

    >>> CosWithWarmup(1.0, 6, warmup=2).table(8).round(4)
    array([0.    , 0.5   , 1.    , 0.8682, 0.55  , 0.2318, 0.1   , 0.1   ])
    """
    where = "olmo_core.CosWithWarmup"
    return _cosine(where, initial_lr, max_steps, warmup, warmup_steps, warmup_fraction, alpha_f, t_max, warmup_min_lr)[1]


def _cosine(
    where: str,
    initial_lr: float,
    max_steps: int,
    warmup: int | None,
    warmup_steps: int | None,
    warmup_fraction: float | None,
    alpha_f: float,
    t_max: int | None,
    warmup_min_lr: float,
) -> tuple[_Run, Schedule]:
    run = _Run(where, initial_lr, _half(where, max_steps, t_max), warmup, warmup_steps, warmup_fraction, warmup_min_lr)
    fall = schedules.cosine(1.0, real(where, "alpha_f", alpha_f), max(run.steps - run.warmup, 0))
    return run, run.then(run.lr * fall)


def HalfCosWithWarmup(
    initial_lr: float,
    max_steps: int,
    *,
    warmup: int | None = None,
    warmup_steps: int | None = None,
    warmup_fraction: float | None = None,
    alpha_f: float = 0.1,
    t_max: int | None = None,
    warmup_min_lr: float = 0.0,
) -> Schedule:
    """The second half of a cosine from initial_lr to initial_lr alpha_f, after a warm-up to its middle.

    The warm-up ends at initial_lr (1 + alpha_f)/2 at t = warmup, the cosine at t = t_max.

    Args:
        max_steps: >= 1.
        warmup, warmup_steps: >= 0.
        warmup_fraction: 0 to 1, of t_max.
        alpha_f: the last value as a share of initial_lr.
        t_max: >= 1; None: max_steps.
        warmup_min_lr: >= 0, below initial_lr.

    Source: OLMo-core HalfCosWithWarmup, "half_cos_with_warmup".

    >>> HalfCosWithWarmup(1.0, 6, warmup=2, alpha_f=0.0).table(8).round(4)
    array([0.    , 0.25  , 0.5   , 0.3087, 0.1464, 0.0381, 0.    , 0.    ])
    """
    where = "olmo_core.HalfCosWithWarmup"
    run = _Run(where, initial_lr, _half(where, max_steps, t_max), warmup, warmup_steps, warmup_fraction, warmup_min_lr)
    low, steps = real(where, "alpha_f", alpha_f), max(run.steps - run.warmup, 0)
    top = run.lr * ((schedules.constant(1.0) + low) * 0.5)
    if run.warmup and run.first >= top(0):
        raise ValueError(f"{where}: warmup_min_lr must be below the {top(0):g} that it rises to; got {run.first:g}")
    fall = run.lr * (schedules.cosine(1.0, low, 2 * steps).shift(-steps) if steps else schedules.constant(low))
    return join([top.warmup(run.warmup, run.first), fall], [run.warmup]) if run.warmup else fall


def CosWithWarmupAndLinearDecay(
    initial_lr: float,
    max_steps: int,
    *,
    warmup: int | None = None,
    warmup_steps: int | None = None,
    warmup_fraction: float | None = None,
    alpha_f: float = 0.1,
    t_max: int | None = None,
    warmup_min_lr: float = 0.0,
    decay: int | None = None,
    decay_steps: int | None = None,
    decay_fraction: float | None = 0.1,
    decay_min_lr: float = 0.0,
) -> Schedule:
    """`CosWithWarmup` cut short: in the last `decay` of max_steps linearly from where it is to decay_min_lr.

    Args:
        initial_lr, warmup, warmup_steps, warmup_fraction, alpha_f, t_max, warmup_min_lr: as in `CosWithWarmup`.
        max_steps: >= 1.
        decay, decay_steps: 0 to max_steps, with decay_fraction=None.
        decay_fraction: 0 to 1, of max_steps.
        decay_min_lr: >= 0, below the rate that the decay begins with.

    Source: OLMo-core CosWithWarmupAndLinearDecay, "cos_with_warmup_and_linear_decay".

    >>> CosWithWarmupAndLinearDecay(1.0, 6, warmup=2, decay=2, decay_fraction=None).table(8).round(4)
    array([0.    , 0.5   , 1.    , 0.8682, 0.55  , 0.275 , 0.    , 0.    ])
    """
    where = "olmo_core.CosWithWarmupAndLinearDecay"
    run, s = _cosine(where, initial_lr, max_steps, warmup, warmup_steps, warmup_fraction, alpha_f, t_max, warmup_min_lr)
    run.steps = count(where, "max_steps", max_steps, low=1)
    fall = _length(where, "decay", run.steps, decay, decay_steps, decay_fraction)
    return run.decay(s, fall, decay_min_lr, s(max(run.steps - fall, 0)))


class _Level:
    """A rate, absolute or as a share of the initial one; its schedule is exact in either case."""

    def __init__(self, where: str, initial: float, value: object, share: object, name: str) -> None:
        self.value = None if value is None else real(where, f"{name}_lr", value, low=0.0)
        self.share = 0.0 if value is not None else real(where, f"{name}_lr_fraction", share, low=0.0)
        self.initial = initial

    def flat(self) -> Schedule | float:
        return self.initial * schedules.constant(self.share) if self.value is None else self.value

    def to(self, other: _Level, kind: str, steps: int) -> Schedule:
        """A ramp between two."""
        if self.value is None and other.value is None:
            return self.initial * between(kind, self.share, other.share, steps)
        return between(kind, self.flat(), other.flat(), steps)


def _end(where: str, stage: Mapping[str, Any], initial: float, name: str) -> _Level:
    value, share = stage.get("end_lr"), stage.get("end_lr_fraction")
    if (value is None) == (share is None):
        found = "None" if value is None else "both"
        raise ValueError(f"{where}: {name} must have one of end_lr and end_lr_fraction; got {found}")
    return _Level(f"{where}: {name}", initial, value, share, "end")


_ENDS = ("duration", "shape", "end_lr", "end_lr_fraction")


def _overridden(where: str, s: Schedule, initial: float, override: Mapping[str, Any] | None) -> Schedule:
    """The schedule with the override, which takes over at its start."""
    if override is None:
        return s
    check_keywords(where, "override_decay", override, (), ("start", *_ENDS))
    inside = f"{where}: override_decay"
    start = count(inside, "start", override.get("start"))
    steps = count(inside, "duration", override.get("duration"), low=1)
    kind = choice(inside, "shape", override.get("shape", "linear"), SHAPES)
    end = _end(where, override, initial, "override_decay")
    if end.value is not None or initial == 0.0:
        return s.cooldown(start, steps, end.value or 0.0, kind)
    return initial * (s / initial).cooldown(start, steps, end.share, kind)


def ComposableScheduler(
    initial_lr: float,
    max_steps: int | None = None,
    *,
    stages: Sequence[Mapping[str, Any]] = (),
    override_decay: Mapping[str, Any] | None = None,
) -> Schedule:
    """Stages one after the other, each from where the one before ended, the first from initial_lr; then the last end.

    Args:
        max_steps: ignored, as in OLMo-core.
        stages: dicts: "duration" >= 1; "shape" "linear" (default) or "cosine"; one of "end_lr" and "end_lr_fraction" (a share
            of initial_lr); at most one of "start_lr" and "start_lr_fraction".
        override_decay: a dict: from "start" on, in "duration" steps along "shape" from the rate there to "end_lr" or
            "end_lr_fraction".

    Source: OLMo-core ComposableScheduler, ComposableSchedulerStage, OverrideDecay; "composable".

    >>> up = {"duration": 2, "start_lr": 0.0, "end_lr_fraction": 1.0}
    >>> ComposableScheduler(1.0, stages=[up, {"duration": 4, "end_lr": 0.2}]).table(8)
    array([0. , 0.5, 1. , 0.8, 0.6, 0.4, 0.2, 0.2])
    """
    where = "olmo_core.ComposableScheduler"
    initial = real(where, "initial_lr", initial_lr)
    if isinstance(stages, str | Mapping) or not isinstance(stages, Sequence) or not stages:
        raise TypeError(f"{where}: stages must be a sequence of dicts, at least one; got {describe(stages)}")
    parts, starts, level = [], [0], _Level(where, initial, None, 1.0, "start")
    for i, stage in enumerate(stages):
        name = f"stages[{i}]"
        check_keywords(where, name, stage, (), (*_ENDS, "start_lr", "start_lr_fraction"))
        value, share = stage.get("start_lr"), stage.get("start_lr_fraction")
        if value is not None and share is not None:
            raise ValueError(f"{where}: {name} must have at most one of start_lr and start_lr_fraction; got both")
        if value is not None or share is not None:
            level = _Level(f"{where}: {name}", initial, value, share, "start")
        steps = count(f"{where}: {name}", "duration", stage.get("duration"), low=1)
        end = _end(where, stage, initial, name)
        parts.append(level.to(end, choice(f"{where}: {name}", "shape", stage.get("shape", "linear"), SHAPES), steps))
        starts.append(starts[-1] + steps)
        level = end
    return _overridden(where, sequence(parts, starts[1:-1]), initial, override_decay)


def SequentialScheduler(
    initial_lr: float,
    max_steps: int,
    *,
    schedulers: Sequence[Callable[[float, int], Schedule]],
    schedulers_max: Sequence[int],
    override_decay: Mapping[str, Any] | None = None,
) -> Schedule:
    """Schedulers one after the other; each begins with the rate that the one before ended with as its initial_lr.

    The last step of each is its own; after it the next has begun, which goes on with its step 1.

    Args:
        max_steps: of all together, more than all of schedulers_max.
        schedulers: functions of (initial_lr, max_steps), such as `functools.partial(CosWithWarmup, warmup=100)`.
        schedulers_max: the length of each, >= 1; the last one takes the rest, and its length, if given, has no effect.
        override_decay: as in `ComposableScheduler`.

    Source: OLMo-core SequentialScheduler, "sequential".

    >>> from functools import partial
    >>> warm, fall = partial(ConstantWithWarmup, warmup=2), partial(LinearWithWarmup, warmup=0, alpha_f=0.0)
    >>> SequentialScheduler(1.0, 7, schedulers=[warm, fall], schedulers_max=[3]).table(9)
    array([0.  , 0.5 , 1.  , 1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    where = "olmo_core.SequentialScheduler"
    initial, left = real(where, "initial_lr", initial_lr), count(where, "max_steps", max_steps, low=1)
    if not isinstance(schedulers, Sequence) or not schedulers or not all(map(callable, schedulers)):
        raise TypeError(
            f"{where}: schedulers must be a sequence of functions of a rate and a length; got {describe(schedulers)}"
        )
    if not isinstance(schedulers_max, Sequence) or len(schedulers_max) not in (len(schedulers) - 1, len(schedulers)):
        wanted = f"{len(schedulers) - 1} lengths"
        raise ValueError(f"{where}: schedulers_max must be {wanted} for {len(schedulers)} schedulers; got {schedulers_max}")
    lengths = [count(where, f"schedulers_max[{i}]", n, low=1) for i, n in enumerate(schedulers_max[: len(schedulers) - 1])]
    if sum(lengths) >= left:
        raise ValueError(f"{where}: max_steps must be more than the {sum(lengths)} of schedulers_max; got {max_steps}")
    parts: list[Schedule] = []
    ends: list[int] = []
    lr = initial
    for make, steps in zip(schedulers, [*lengths, 0], strict=True):
        s = make(lr, steps or left)
        parts.append(s)
        ends.append((ends[-1] if ends else 0) + steps)
        lr, left = s(steps), left - steps
    return _overridden(where, sequence(parts, ends[:-1], "after"), initial, override_decay)


def WSDS(
    initial_lr: float,
    max_steps: int | None = None,
    *,
    period_lengths: Sequence[int],
    period_lr_multipliers: Sequence[float] | None = None,
    warmup: int | None = None,
    warmup_fraction: float | None = None,
    decay: int | None = None,
    decay_fraction: float | None = None,
    warmup_min_lr: float = 0.0,
    decay_min_lr: float = 0.0,
) -> Schedule:
    """Periods of a constant rate and a linear decay to decay_min_lr, the first with a warm-up; then decay_min_lr.

    The last step of each period is at decay_min_lr; after it the rate is up again.

    Args:
        max_steps: ignored, as in OLMo-core.
        period_lengths: >= 1 each, the first with the warm-up.
        period_lr_multipliers: the rate of each period as a share of initial_lr, > 0; None: 1.
        warmup: >= 0.
        warmup_fraction: 0 to 1, of the first period.
        decay: >= 1, at most a period (with the warm-up at most the first).
        decay_fraction: 0 to 1, of each period.
        warmup_min_lr, decay_min_lr: >= 0, below the rates.

    Source: OLMo-core WSDS, "wsds", arXiv 2410.05192; it divides by zero at the end of a period without a decay.

    >>> WSDS(1.0, period_lengths=[5, 4], warmup=1, decay=2).table(11)
    array([0. , 1. , 1. , 1. , 0.5, 0. , 1. , 1. , 0.5, 0. , 0. ])
    """
    where = "olmo_core.WSDS"
    initial = real(where, "initial_lr", initial_lr, above=0.0)
    if isinstance(period_lengths, str) or not isinstance(period_lengths, Sequence) or not period_lengths:
        raise TypeError(f"{where}: period_lengths must be a sequence of integers; got {describe(period_lengths)}")
    lengths = [count(where, f"period_lengths[{i}]", n, low=1) for i, n in enumerate(period_lengths)]
    shares = (1.0,) * len(lengths)
    if period_lr_multipliers is not None:
        shares = reals(where, "period_lr_multipliers", period_lr_multipliers)
        if len(shares) != len(lengths) or min(shares) <= 0.0:
            raise ValueError(
                f"{where}: period_lr_multipliers must be > 0, one for each of {len(lengths)} periods; got {shares}"
            )
    rise = _length(where, "warmup", lengths[0], warmup, None, warmup_fraction)
    falls = [_length(where, "decay", n, decay, None, decay_fraction) for n in lengths]
    first, end = real(where, "warmup_min_lr", warmup_min_lr, low=0.0), real(where, "decay_min_lr", decay_min_lr, low=0.0)
    parts: list[Schedule] = []
    starts: list[int] = []
    sides: list[str] = []
    begin = 0
    for i, (length, fall, share) in enumerate(zip(lengths, falls, shares, strict=True)):
        level, before = initial * schedules.constant(share), 0 if i else rise
        for name, low, steps in (("warmup_min_lr", first, before), ("decay_min_lr", end, fall)):
            if steps and low >= level(0):
                raise ValueError(f"{where}: {name} must be below the rate {level(0):g} of period {i}; got {low:g}")
        if before + fall > length:
            raise ValueError(f"{where}: warmup and decay must fit into period {i} of {length}; got {before} and {fall}")
        phases = [(level.warmup(before, first), before)] if before else []
        phases += [(level, length - before - fall), (level.cooldown(0, fall, end) if fall else level, fall)]
        side = "after"  # step 0 of a later period is the last of the one before
        for phase, steps in phases:
            if steps:
                parts.append(phase)
                starts.append(begin)
                sides.append(side)
                begin, side = begin + steps, "from"
    return held(sequence(parts, starts[1:], sides[1:]), begin, end)


def ExponentialScheduler(initial_lr: float, max_steps: int, *, lr_min: float = 1e-9) -> Schedule:
    """lr_min (initial_lr/lr_min)^(t/max_steps): up to initial_lr, for range tests.

    Args:
        initial_lr, lr_min: > 0.
        max_steps: >= 1.

    Source: OLMo-core ExponentialScheduler, "exponential".

    >>> ExponentialScheduler(1.0, 4, lr_min=0.0625).table(6)
    array([0.0625, 0.125 , 0.25  , 0.5   , 1.    , 1.    ])
    """
    where = "olmo_core.ExponentialScheduler"
    low, top = real(where, "lr_min", lr_min, above=0.0), real(where, "initial_lr", initial_lr, above=0.0)
    return schedules.geometric(low, top, count(where, "max_steps", max_steps, low=1))


__all__ = public(globals())

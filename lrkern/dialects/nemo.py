"""The learning-rate policies of NeMo: step t is the number of calls of `scheduler.step()`.

The warm-up of W steps is base_lr (t + 1)/(W + 1) until t = W, unless said otherwise; after `max_steps` the rate is min_lr. Of a
number of steps and a ratio of max_steps, rounded down, one is given, or none. StepLR, ExponentialLR and CyclicLR, which NeMo
takes from torch, are in `dialects.torch`; `ReduceLROnPlateau` is the dialect "torch" of `lrkern.plateau`.
"""

from __future__ import annotations

from typing import TypedDict, Unpack

from lrkern import schedules
from lrkern._checks import count, describe, flag, real
from lrkern.dialects._cycles import longer_each_time
from lrkern.dialects._parts import held, inverse_root, public, takes, warmed
from lrkern.schedules.expression import Schedule, join


class _Warmup(TypedDict, total=False):
    """The warm-up: a number of steps, or a ratio."""

    warmup_steps: int | None
    warmup_ratio: float | None


class _Hold(_Warmup, total=False):
    """The same with a hold after it."""

    hold_steps: int | None
    hold_ratio: float | None


class _Run:
    """Checked arguments: the length of the warm-up and the end of the hold (0 for no hold, as in NeMo)."""

    def __init__(
        self,
        where: str,
        base_lr: float,
        max_steps: int | None,
        min_lr: float,
        warmup_steps: int | None = None,
        warmup_ratio: float | None = None,
        hold_steps: int | None = None,
        hold_ratio: float | None = None,
    ) -> None:
        self.where = where
        self.base, self.min_lr = real(where, "base_lr", base_lr), real(where, "min_lr", min_lr, low=0.0)
        self.max_steps = None if max_steps is None else count(where, "max_steps", max_steps, low=1)
        self.warmup = self.phase("warmup", warmup_steps, warmup_ratio)
        self.hold = 0
        if hold_steps is not None or hold_ratio is not None:
            self.hold = self.warmup + self.phase("hold", hold_steps, hold_ratio)
        if self.max_steps is not None and self.max_steps < max(self.warmup, self.hold):
            needed = f"the {max(self.warmup, self.hold)} of warm-up and hold"
            raise ValueError(f"{where}: max_steps must be >= {needed}; got {max_steps}")

    def phase(self, name: str, steps: int | None, ratio: float | None) -> int:
        """The length of a phase that is given as steps or as a ratio."""
        if ratio is None:
            return 0 if steps is None else count(self.where, f"{name}_steps", steps)
        if steps is not None:
            raise ValueError(f"{self.where}: one of {name}_steps and {name}_ratio must be given; got {steps} and {ratio}")
        if self.max_steps is None:
            raise ValueError(f"{self.where}: max_steps must be given with {name}_ratio; got {describe(None)}")
        return int(real(self.where, f"{name}_ratio", ratio, low=0.0, high=1.0) * self.max_steps)

    def length(self, begin: int) -> int:
        """From `begin` to max_steps, which must leave a step."""
        if self.max_steps is None:
            raise TypeError(f"{self.where}: max_steps must be given; got {describe(None)}")
        if self.max_steps <= begin:
            raise ValueError(f"{self.where}: max_steps must be > {begin}, where the decay begins; got {self.max_steps}")
        return self.max_steps - begin

    def then(self, curve: Schedule, begin: int = 0) -> Schedule:
        """Warm-up, base_lr until t = begin, and then the curve, a function of t - begin."""
        if begin == self.warmup == 0:
            return curve
        # Step W belongs to the warm-up, even if the curve does not continue from its end.
        goes_on = begin > self.warmup or (begin == self.warmup and curve(0) == self.base)
        at, side = (begin, "from") if goes_on else (self.warmup, "after")
        rise = (
            self.base * schedules.linear(0.0, 1.0, self.warmup + 1).shift(-1) if self.warmup else schedules.constant(self.base)
        )
        return join([rise, curve.shift(begin - at) if at > begin else curve], [at], side)

    def end(self, s: Schedule) -> Schedule:
        """min_lr after max_steps, for curves that do not end there."""
        return s if self.max_steps is None else held(s, self.max_steps, self.min_lr, "after")


def WarmupPolicy(
    base_lr: float,
    *,
    warmup_steps: int | None = None,
    warmup_ratio: float | None = None,
    max_steps: int | None = None,
    min_lr: float = 0.0,
) -> Schedule:
    """Warm-up, then base_lr; min_lr after max_steps.

    Args:
        warmup_steps, warmup_ratio: >= 0; 0 to 1.
        max_steps: >= 1 and not before the end of the warm-up; None: no end.
        min_lr: >= 0.

    Source: NeMo WarmupPolicy.

    >>> WarmupPolicy(1.0, warmup_steps=3, max_steps=5).table(8)
    array([0.25, 0.5 , 0.75, 1.  , 1.  , 1.  , 0.  , 0.  ])
    """
    run = _Run("nemo.WarmupPolicy", base_lr, max_steps, min_lr, warmup_steps, warmup_ratio)
    return run.end(run.then(schedules.constant(run.base), run.warmup))


def WarmupHoldPolicy(
    base_lr: float,
    *,
    max_steps: int,
    warmup_steps: int | None = None,
    warmup_ratio: float | None = None,
    hold_steps: int | None = None,
    hold_ratio: float | None = None,
    min_lr: float = 0.0,
) -> Schedule:
    """`WarmupPolicy`, whose hold has no effect: base_lr until max_steps.

    Args:
        max_steps: >= 1 and not before the end of the hold.
        warmup_steps, warmup_ratio: >= 0; 0 to 1.
        hold_steps, hold_ratio: >= 0; 0 to 1, after the warm-up.
        min_lr: >= 0.

    Source: NeMo WarmupHoldPolicy, for base_lr.

    >>> WarmupHoldPolicy(1.0, max_steps=3, warmup_steps=1, hold_steps=1).table(6)
    array([0.5, 1. , 1. , 1. , 0. , 0. ])
    """
    run = _Run("nemo.WarmupHoldPolicy", base_lr, max_steps, min_lr, warmup_steps, warmup_ratio, hold_steps, hold_ratio)
    run.length(0)
    return run.end(run.then(schedules.constant(run.base), run.warmup))


@takes(_Warmup)
def SquareAnnealing(base_lr: float, *, max_steps: int, min_lr: float = 1e-5, **warmup: Unpack[_Warmup]) -> Schedule:
    """Warm-up of W steps, then max(base_lr ((max_steps - t)/(max_steps - W))^2, min_lr).

    Args:
        max_steps: > W.
        min_lr: >= 0.
        warmup_steps, warmup_ratio: >= 0; 0 to 1.

    Source: NeMo SquareAnnealing, for base_lr.

    >>> SquareAnnealing(1.0, max_steps=5, min_lr=0.1, warmup_steps=1).table(8)
    array([0.5   , 1.    , 0.5625, 0.25  , 0.1   , 0.1   , 0.1   , 0.1   ])
    """
    run = _Run("nemo.SquareAnnealing", base_lr, max_steps, min_lr, **warmup)
    fall = schedules.polynomial(run.base, 0.0, run.length(run.warmup), 2.0).clip(low=run.min_lr)
    return run.then(fall, run.warmup)


@takes(_Warmup)
def SquareRootAnnealing(base_lr: float, *, max_steps: int, min_lr: float = 0.0, **warmup: Unpack[_Warmup]) -> Schedule:
    """Warm-up of W steps, then max(base_lr sqrt((max_steps - t)/max_steps), min_lr): lower than base_lr at once.

    Args:
        max_steps: > W.
        min_lr: >= 0.
        warmup_steps, warmup_ratio: >= 0; 0 to 1.

    Source: NeMo SquareRootAnnealing, for base_lr.

    >>> SquareRootAnnealing(1.0, max_steps=4, warmup_steps=1).table(6).round(4)
    array([0.5   , 1.    , 0.7071, 0.5   , 0.    , 0.    ])
    """
    run = _Run("nemo.SquareRootAnnealing", base_lr, max_steps, min_lr, **warmup)
    run.length(run.warmup)
    return run.then(schedules.polynomial(run.base, 0.0, run.length(0), 0.5).clip(low=run.min_lr))


def CosineAnnealing(
    base_lr: float,
    *,
    max_steps: int,
    min_lr: float = 0.0,
    warmup_steps: int | None = None,
    warmup_ratio: float | None = None,
    constant_steps: int | None = None,
    constant_ratio: float | None = None,
) -> Schedule:
    """Warm-up of W steps, then min_lr + (base_lr - min_lr)(1 + cos(pi (t - W)/D))/2, D = max_steps - W; then min_lr.

    With a constant phase of C > 0 steps, D = max_steps - W - C, and the warm-up is base_lr t/W.

    Args:
        max_steps: > W + C.
        min_lr: 0 to base_lr.
        warmup_steps, warmup_ratio: W, >= 0; 0 to 1.
        constant_steps, constant_ratio: C, the last steps, which are at min_lr: >= 0; 0 to 1.

    Source: NeMo CosineAnnealing, for base_lr.

    >>> CosineAnnealing(1.0, max_steps=5, warmup_steps=1, min_lr=0.2).table(7).round(4)
    array([0.5   , 1.    , 0.8828, 0.6   , 0.3172, 0.2   , 0.2   ])
    """
    where = "nemo.CosineAnnealing"
    run = _Run(where, base_lr, max_steps, min_lr, warmup_steps, warmup_ratio)
    real(where, "min_lr", min_lr, low=0.0, high=run.base)
    constant = run.phase("constant", constant_steps, constant_ratio)
    fall = schedules.cosine(run.base, run.min_lr, run.length(run.warmup + constant))
    if not constant:
        return run.then(fall, run.warmup)
    if run.base == run.min_lr:
        raise ValueError(f"{where}: min_lr must be below base_lr with a constant phase; got {describe(min_lr)}")
    return warmed(0.0, run.base, run.warmup, fall)


def NoamAnnealing(
    base_lr: float,
    *,
    d_model: float,
    warmup_steps: int | None = None,
    warmup_ratio: float | None = None,
    max_steps: int | None = None,
    min_lr: float = 0.0,
) -> Schedule:
    """base_lr d_model^(-1/2) min(t^(-1/2), t W^(-3/2)), t at least 1; min_lr is the least after t = W. It has no end.

    Args:
        d_model: > 0.
        warmup_steps, warmup_ratio: W, >= 0; 0 to 1. The top is at t = W.
        max_steps: for warmup_ratio.
        min_lr: 0 to base_lr.

    Source: NeMo NoamAnnealing, for base_lr; arXiv 1706.03762.

    >>> NoamAnnealing(1.0, d_model=4, warmup_steps=4)([0, 1, 2, 4, 16])
    array([0.0625, 0.0625, 0.125 , 0.25  , 0.125 ])
    """
    where = "nemo.NoamAnnealing"
    run = _Run(where, base_lr, max_steps, min_lr, warmup_steps, warmup_ratio)
    real(where, "min_lr", min_lr, low=0.0, high=run.base)
    top = inverse_root(run.base, real(where, "d_model", d_model, above=0.0)), inverse_root(1.0, max(run.warmup, 1))
    fall = schedules.inverse_sqrt(1.0, max(run.warmup, 1))
    if not run.warmup:
        return (top[0] * fall.shift(1)).clip(low=run.min_lr)
    shape = join([schedules.linear(0.0, 1.0, run.warmup), fall], [run.warmup]).shift(-1).shift(1)
    s = top[0] * (top[1] * shape)
    if run.min_lr == 0.0:
        return s
    return join([s, s.clip(low=run.min_lr).shift(-run.warmup)], [run.warmup], "after")


@takes(_Hold)
def NoamHoldAnnealing(
    base_lr: float,
    *,
    max_steps: int,
    decay_rate: float = 0.5,
    min_lr: float = 0.0,
    **phases: Unpack[_Hold],
) -> Schedule:
    """Warm-up of W steps, H steps of base_lr, then max(base_lr (W/(t - H))^decay_rate, min_lr); min_lr after max_steps.

    Args:
        max_steps: >= W + H.
        decay_rate: >= 0.
        min_lr: >= 0.
        warmup_steps, warmup_ratio: W, at least 1.
        hold_steps, hold_ratio: H, >= 0; 0 to 1.

    Source: NeMo NoamHoldAnnealing, for base_lr.

    >>> NoamHoldAnnealing(1.0, max_steps=18, warmup_steps=4, hold_steps=2)([3, 4, 6, 18, 19])
    array([0.8, 1. , 1. , 0.5, 0. ])
    """
    where = "nemo.NoamHoldAnnealing"
    run = _Run(where, base_lr, max_steps, min_lr, **phases)
    if run.warmup == 0:
        raise ValueError(f"{where}: warmup_steps must be an integer >= 1, the decay is measured in them; got 0")
    run.length(0)
    curve = schedules.inverse_power(run.base, run.warmup, real(where, "decay_rate", decay_rate, low=0.0, high=1e6))
    return run.end(run.then(curve.clip(low=run.min_lr), max(run.hold, run.warmup)))


@takes(_Hold)
def WarmupHoldAnnealOneMinusSquareRoot(
    base_lr: float,
    *,
    max_steps: int,
    min_lr: float = 0.0,
    **phases: Unpack[_Hold],
) -> Schedule:
    """Warm-up, base_lr until t = H, then max(base_lr (1 - sqrt((t - H)/(max_steps - H))), min_lr).

    Args:
        max_steps: > H.
        min_lr: >= 0.
        warmup_steps, warmup_ratio: >= 0; 0 to 1.
        hold_steps, hold_ratio: >= 0; 0 to 1: H is that after the warm-up. If neither is given, H = 0, as in NeMo: then the
            decay has begun when the warm-up ends.

    Source: NeMo WarmupHoldAnnealOneMinusSquareRoot, for base_lr.

    >>> WarmupHoldAnnealOneMinusSquareRoot(1.0, max_steps=6, warmup_steps=1, hold_steps=1).table(8).round(4)
    array([0.5   , 1.    , 1.    , 0.5   , 0.2929, 0.134 , 0.    , 0.    ])
    """
    where = "nemo.WarmupHoldAnnealOneMinusSquareRoot"
    run = _Run(where, base_lr, max_steps, min_lr, **phases)
    return run.then(schedules.one_minus_sqrt(run.base, 0.0, run.length(run.hold)).clip(low=run.min_lr), run.hold)


@takes(_Hold)
def WarmupHoldAnnealLinear(base_lr: float, *, max_steps: int, min_lr: float = 0.0, **phases: Unpack[_Hold]) -> Schedule:
    """Warm-up, base_lr until t = H, then base_lr - (base_lr - min_lr)(t - H)/(max_steps - H).

    Args:
        max_steps: > H.
        min_lr: >= 0.
        warmup_steps, warmup_ratio: >= 0; 0 to 1.
        hold_steps, hold_ratio: as in `WarmupHoldAnnealOneMinusSquareRoot`.

    Source: NeMo WarmupHoldAnnealLinear, for base_lr.

    >>> WarmupHoldAnnealLinear(1.0, max_steps=6, warmup_steps=1, hold_steps=1).table(8)
    array([0.5 , 1.  , 1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    where = "nemo.WarmupHoldAnnealLinear"
    run = _Run(where, base_lr, max_steps, min_lr, **phases)
    return run.then(schedules.linear(run.base, run.min_lr, run.length(run.hold)), run.hold)


@takes(_Warmup)
def WarmupAnnealing(base_lr: float, *, max_steps: int, min_lr: float = 0.0, **warmup: Unpack[_Warmup]) -> Schedule:
    """Warm-up of W steps, then linearly from base_lr to min_lr at t = max_steps.

    Args:
        max_steps: > W.
        min_lr: >= 0.
        warmup_steps, warmup_ratio: >= 0; 0 to 1.

    Source: NeMo WarmupAnnealing, for base_lr.

    >>> WarmupAnnealing(1.0, max_steps=5, warmup_steps=1).table(7)
    array([0.5 , 1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    run = _Run("nemo.WarmupAnnealing", base_lr, max_steps, min_lr, **warmup)
    return run.then(schedules.linear(run.base, run.min_lr, run.length(run.warmup)), run.warmup)


@takes(_Warmup)
def InverseSquareRootAnnealing(base_lr: float, *, max_steps: int, min_lr: float = 0.0, **warmup: Unpack[_Warmup]) -> Schedule:
    """Warm-up of W steps, then base_lr sqrt((W + 1)/(t + 1)); min_lr after max_steps.

    Args:
        max_steps: >= W.
        min_lr: >= 0; used only after max_steps.
        warmup_steps, warmup_ratio: >= 0; 0 to 1.

    Source: NeMo InverseSquareRootAnnealing, for base_lr.

    >>> InverseSquareRootAnnealing(1.0, max_steps=9, warmup_steps=3)([2, 3, 8, 10]).round(4)
    array([0.75  , 1.    , 0.6667, 0.    ])
    """
    run = _Run("nemo.InverseSquareRootAnnealing", base_lr, max_steps, min_lr, **warmup)
    run.length(0)
    return run.end(run.then(schedules.inverse_sqrt(run.base, run.warmup + 1), run.warmup))


def T5InverseSquareRootAnnealing(
    base_lr: float,
    *,
    max_steps: int,
    min_lr: float = 0.0,
    constant_steps: int,
) -> Schedule:
    """1/sqrt(max(t, constant_steps)) for any base_lr; min_lr after max_steps.

    Args:
        base_lr: has no effect, as in NeMo.
        max_steps: >= constant_steps.
        min_lr: >= 0; used only after max_steps.
        constant_steps: >= 1. (NeMo fails where constant_ratio is given instead.)

    Source: NeMo T5InverseSquareRootAnnealing.

    >>> T5InverseSquareRootAnnealing(1.0, max_steps=20, constant_steps=4)([0, 4, 16, 21])
    array([0.5 , 0.5 , 0.25, 0.  ])
    """
    where = "nemo.T5InverseSquareRootAnnealing"
    run = _Run(where, base_lr, max_steps, min_lr)
    steps = count(where, "constant_steps", constant_steps, low=1)
    if run.length(0) < steps:
        raise ValueError(f"{where}: max_steps must be >= constant_steps = {steps}; got {max_steps}")
    return run.end(inverse_root(1.0, steps) * schedules.inverse_sqrt(1.0, steps).shift(steps))


@takes(_Warmup)
def PolynomialDecayAnnealing(
    base_lr: float,
    *,
    max_steps: int,
    min_lr: float = 0.0,
    power: float = 1.0,
    cycle: bool = False,
    **warmup: Unpack[_Warmup],
) -> Schedule:
    """Warm-up of W steps, then min_lr + (base_lr - min_lr)(1 - (t - W)/(max_steps - W))^power.

    Args:
        max_steps: > W.
        min_lr: >= 0.
        power: > 0.
        cycle: without effect, as after max_steps the rate is min_lr.
        warmup_steps, warmup_ratio: >= 0; 0 to 1.

    Source: NeMo PolynomialDecayAnnealing, for base_lr.

    >>> PolynomialDecayAnnealing(1.0, max_steps=5, power=2.0, warmup_steps=1).table(7)
    array([0.5   , 1.    , 0.5625, 0.25  , 0.0625, 0.    , 0.    ])
    """
    where = "nemo.PolynomialDecayAnnealing"
    run = _Run(where, base_lr, max_steps, min_lr, **warmup)
    flag(where, "cycle", cycle)
    power = real(where, "power", power, above=0.0)
    return run.then(schedules.polynomial(run.base, run.min_lr, run.length(run.warmup), power), run.warmup)


@takes(_Hold)
def PolynomialHoldDecayAnnealing(
    base_lr: float,
    *,
    max_steps: int,
    min_lr: float = 0.0,
    power: float = 1.0,
    cycle: bool = False,
    **phases: Unpack[_Hold],
) -> Schedule:
    """Warm-up of W steps, base_lr until t = H, then min_lr + (base_lr - min_lr)(1 - (t - H)/D)^power.

    D = max_steps - max(W, H), and t - H at most D; with `cycle` D twice that where t - H is more.

    Args:
        max_steps: > max(W, H).
        min_lr: >= 0.
        power: > 0.
        warmup_steps, warmup_ratio: >= 0; 0 to 1.
        hold_steps, hold_ratio: as in `WarmupHoldAnnealOneMinusSquareRoot`.

    Source: NeMo PolynomialHoldDecayAnnealing, for base_lr.

    >>> PolynomialHoldDecayAnnealing(1.0, max_steps=6, warmup_steps=1, hold_steps=1).table(8)
    array([0.5 , 1.  , 1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    where = "nemo.PolynomialHoldDecayAnnealing"
    run = _Run(where, base_lr, max_steps, min_lr, **phases)
    power, steps = real(where, "power", power, above=0.0), run.length(max(run.warmup, run.hold))
    if flag(where, "cycle", cycle):
        return run.end(run.then(longer_each_time(run.base, run.min_lr, steps, power), run.hold))
    return run.then(schedules.polynomial(run.base, run.min_lr, steps, power), run.hold)


__all__ = public(globals())

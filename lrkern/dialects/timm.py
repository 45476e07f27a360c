"""The schedulers of timm.scheduler: step t is what `scheduler.step(t)` or `scheduler.step_update(t)` is called with.

t counts epochs or updates, whichever the scheduler was made for: `t_in_epochs` is ignored. Before the first call timm's
constructor sets the base rate, or warmup_lr_init. Noise is timm's own, bit for bit: seeded with noise_seed + t at
every step. Where it has no end (`noise_range_t` a number) `steps` says how many steps to work it out for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from lrkern import schedules
from lrkern._checks import MAX_COUNT, choice, count, counts, describe, flag, real, single
from lrkern.dialects._parts import called, held, powers, public, span, value_errors, warmed
from lrkern.dialects._timm_noise import noise
from lrkern.schedules.budget import spend
from lrkern.schedules.expression import Schedule, join

NoiseRange = Sequence[int] | int | None


class _Cycles:
    """cycle_limit cycles of t_initial cycle_mul^i steps that fall from base_lr cycle_decay^i to lr_min, which is held."""

    def __init__(self, where: str, base_lr: float, t_initial: int, lr_min: float, mul: float, decay: float, limit: int) -> None:
        self.where = where
        self.base = real(where, "base_lr", base_lr)
        self.steps = count(where, "t_initial", t_initial, low=1)
        self.lr_min = real(where, "lr_min", lr_min, low=0.0)
        self.mul = Fraction(real(where, "cycle_mul", mul, above=0.0))
        self.decay = real(where, "cycle_decay", decay, above=0.0)
        self.limit = count(where, "cycle_limit", limit, high=1000)

    def begin(self, i: int) -> Fraction:
        """Where cycle i begins, not always on a step."""
        return self.steps * (Fraction(i) if self.mul == 1 else (self.mul**i - 1) / (self.mul - 1))

    @property
    def end(self) -> Fraction:
        return self.begin(self.limit)

    def of(self, curve: Schedule) -> Schedule:
        """All cycles of the curve, which is the first one."""
        with called(self.where):
            s = curve if self.limit == 1 else curve.restarts(float(self.mul), self.decay)
        return s if self.end > MAX_COUNT else held(s, self.end, self.lr_min)


def _warmed(
    where: str, s: Schedule, base: float, warmup_t: int, lr_init: float, prefix: bool, *, to_curve: bool = False
) -> Schedule:
    """warmup_t steps from lr_init to the base rate (`to_curve`: to the curve), before the curve or over its beginning."""
    steps, start = count(where, "warmup_t", warmup_t), real(where, "warmup_lr_init", lr_init)
    then = s if flag(where, "warmup_prefix", prefix) else s.shift(-steps)
    if to_curve and not prefix:
        return then.warmup(steps, start)
    return warmed(start, base, steps, then) if steps else s


def _noisy(
    where: str, s: Schedule, noise_range_t: NoiseRange, pct: float, std: float, seed: int | None, steps: int | None
) -> Schedule:
    if noise_range_t is None:
        return s
    pct, std = real(where, "noise_pct", pct, above=0.0), real(where, "noise_std", std, low=0.0)
    seed = 42 if seed is None else count(where, "noise_seed", seed)
    if isinstance(noise_range_t, Sequence):
        bounds = counts(where, "noise_range_t", noise_range_t)
        if len(bounds) != 2:
            raise ValueError(f"{where}: noise_range_t must be two steps or one; got {describe(noise_range_t)}")
        begin, end = bounds
    else:
        begin = count(where, "noise_range_t", noise_range_t)
        if steps is None:
            raise TypeError(f"{where}: steps must be given where noise_range_t has no end; got None")
        end = count(where, "steps", steps)
    if end <= begin:
        return s
    spend(end - begin)
    factors = schedules.from_table([1.0 + noise(seed + t, pct, std) for t in range(begin, end)])
    return s * join([schedules.constant(1.0), factors, schedules.constant(1.0)], [begin, end])


def CosineLRScheduler(
    base_lr: float,
    t_initial: int,
    lr_min: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    t_in_epochs: bool = True,
    noise_range_t: NoiseRange = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    k_decay: float = 1.0,
    *,
    steps: int | None = None,
) -> Schedule:
    """Cycle i: lr_min + (base_lr cycle_decay^i - lr_min)(1 + cos(pi (t_curr/t_i)^k_decay))/2, t_i = t_initial cycle_mul^i.

    After cycle_limit cycles lr_min. Warm-up: warmup_lr_init + t (base_lr - warmup_lr_init)/warmup_t before t = warmup_t.

    Args:
        t_initial: length of the first cycle, >= 1.
        lr_min: >= 0.
        cycle_mul, cycle_decay: > 0.
        cycle_limit: 0 to 1000.
        warmup_t: >= 0.
        warmup_prefix: whether the cycles begin after the warm-up; else it covers their beginning, the rate drops at its end
            and never reaches base_lr, as in timm.
        t_in_epochs: ignored.
        noise_range_t, noise_pct, noise_std, noise_seed, steps: the rate is multiplied by 1 + noise from noise_range_t[0] until
            noise_range_t[1] (or from that number on, for `steps` steps in all): normal numbers times noise_std, smaller than
            noise_pct.
        k_decay: 0.001 to 1000.

    Source: timm CosineLRScheduler, arXiv 1608.03983, k-decay arXiv 2004.05909. Cycle boundaries are exact here; timm takes a
        logarithm and errs at some of them, or fails past the end that cycles with cycle_mul < 1 come to.

    >>> CosineLRScheduler(1.0, 4, warmup_t=2, warmup_prefix=True).table(8).round(4)
    array([0.    , 0.5   , 1.    , 0.8536, 0.5   , 0.1464, 0.    , 0.    ])
    """
    where = "timm.CosineLRScheduler"
    cycles = _Cycles(where, base_lr, t_initial, lr_min, cycle_mul, cycle_decay, cycle_limit)
    k = real(where, "k_decay", k_decay, low=1e-3, high=1e3)
    s = cycles.of(schedules.cosine(cycles.base, cycles.lr_min, cycles.steps, warp=k))
    s = _warmed(where, s, cycles.base, warmup_t, warmup_lr_init, warmup_prefix)
    return _noisy(where, s, noise_range_t, noise_pct, noise_std, noise_seed, steps)


def TanhLRScheduler(
    base_lr: float,
    t_initial: int,
    lb: float = -7.0,
    ub: float = 3.0,
    lr_min: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    t_in_epochs: bool = True,
    noise_range_t: NoiseRange = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    *,
    steps: int | None = None,
) -> Schedule:
    """Cycle i: lr_min + (base_lr cycle_decay^i - lr_min)(1 - tanh(lb (1 - r) + ub r))/2, r = t_curr/t_i.

    Without warmup_prefix the warm-up leads to the curve's own value at t = warmup_t.

    Args:
        lb, ub: bounds of the argument of tanh, lb < ub.
        t_initial, lr_min, cycle_mul, cycle_decay, cycle_limit: as in `CosineLRScheduler`.
        warmup_t, warmup_lr_init, warmup_prefix, t_in_epochs: as there.
        noise_range_t, noise_pct, noise_std, noise_seed, steps: as there.

    Source: timm TanhLRScheduler, arXiv 1806.01593.

    >>> TanhLRScheduler(1.0, 10).table(11).round(3)
    array([1.   , 1.   , 1.   , 1.   , 0.998, 0.982, 0.881, 0.5  , 0.119,
           0.018, 0.   ])
    """
    where = "timm.TanhLRScheduler"
    cycles = _Cycles(where, base_lr, t_initial, lr_min, cycle_mul, cycle_decay, cycle_limit)
    lower = real(where, "lb", lb, low=-1e6, high=1e6)
    upper = real(where, "ub", ub, above=lower, high=1e6)
    s = cycles.of(schedules.tanh(cycles.base, cycles.lr_min, cycles.steps, lower, upper))
    s = _warmed(where, s, cycles.base, warmup_t, warmup_lr_init, warmup_prefix, to_curve=True)
    return _noisy(where, s, noise_range_t, noise_pct, noise_std, noise_seed, steps)


def PolyLRScheduler(
    base_lr: float,
    t_initial: int,
    power: float = 0.5,
    lr_min: float = 0.0,
    cycle_mul: float = 1.0,
    cycle_decay: float = 1.0,
    cycle_limit: int = 1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = False,
    t_in_epochs: bool = True,
    noise_range_t: NoiseRange = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    k_decay: float = 1.0,
    *,
    steps: int | None = None,
) -> Schedule:
    """Cycle i: lr_min + (base_lr cycle_decay^i - lr_min)(1 - (t_curr/t_i)^k_decay)^power, t_i = t_initial cycle_mul^i.

    Args:
        power: > 0.
        t_initial, lr_min, cycle_mul, cycle_decay, cycle_limit: as in `CosineLRScheduler`.
        warmup_t, warmup_lr_init, warmup_prefix, t_in_epochs: as there.
        noise_range_t, noise_pct, noise_std, noise_seed, k_decay, steps: as there.

    Source: timm PolyLRScheduler, arXiv 2004.05909.

    >>> PolyLRScheduler(1.0, 4, power=1.0, lr_min=0.2).table(6)
    array([1. , 0.8, 0.6, 0.4, 0.2, 0.2])
    """
    where = "timm.PolyLRScheduler"
    cycles = _Cycles(where, base_lr, t_initial, lr_min, cycle_mul, cycle_decay, cycle_limit)
    power, k = real(where, "power", power, above=0.0), real(where, "k_decay", k_decay, low=1e-3, high=1e3)
    s = cycles.of(schedules.polynomial(cycles.base, cycles.lr_min, cycles.steps, power, k))
    s = _warmed(where, s, cycles.base, warmup_t, warmup_lr_init, warmup_prefix)
    return _noisy(where, s, noise_range_t, noise_pct, noise_std, noise_seed, steps)


def StepLRScheduler(
    base_lr: float,
    decay_t: float,
    decay_rate: float = 1.0,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = True,
    t_in_epochs: bool = True,
    noise_range_t: NoiseRange = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    *,
    steps: int | None = None,
) -> Schedule:
    """base_lr decay_rate^floor(t/decay_t).

    Args:
        decay_t: > 0, need not be an integer.
        decay_rate: > 0.
        warmup_t, warmup_lr_init, warmup_prefix, t_in_epochs: as in `CosineLRScheduler`.
        noise_range_t, noise_pct, noise_std, noise_seed, steps: as there.

    Source: timm StepLRScheduler.

    >>> StepLRScheduler(1.0, 2.5, 0.5).table(6)
    array([1.  , 1.  , 1.  , 0.5 , 0.5 , 0.25])
    """
    where = "timm.StepLRScheduler"
    base = real(where, "base_lr", base_lr)
    every, rate = span(where, "decay_t", decay_t), real(where, "decay_rate", decay_rate, above=0.0)
    s = schedules.step_decay(base, rate, 1).stretch(every)
    s = _warmed(where, s, base, warmup_t, warmup_lr_init, warmup_prefix)
    return _noisy(where, s, noise_range_t, noise_pct, noise_std, noise_seed, steps)


def MultiStepLRScheduler(
    base_lr: float,
    decay_t: Sequence[int],
    decay_rate: float = 1.0,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    warmup_prefix: bool = True,
    t_in_epochs: bool = True,
    noise_range_t: NoiseRange = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    *,
    steps: int | None = None,
) -> Schedule:
    """base_lr decay_rate^(number of decay_t <= t + 1): a new rate holds from one step before its milestone.

    Args:
        decay_t: steps >= 0 that do not decrease.
        decay_rate: any number.
        warmup_t, warmup_lr_init, warmup_prefix, t_in_epochs: as in `CosineLRScheduler`.
        noise_range_t, noise_pct, noise_std, noise_seed, steps: as there.

    Source: timm MultiStepLRScheduler.

    >>> MultiStepLRScheduler(1.0, [3, 5], 0.5).table(6)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25, 0.25])
    """
    where = "timm.MultiStepLRScheduler"
    base, rate = real(where, "base_lr", base_lr), real(where, "decay_rate", decay_rate)
    at = counts(where, "decay_t", decay_t)
    s = schedules.piecewise(powers(base, rate, len(at)), [max(milestone - 1, 0) for milestone in at])
    s = _warmed(where, s, base, warmup_t, warmup_lr_init, warmup_prefix)
    return _noisy(where, s, noise_range_t, noise_pct, noise_std, noise_seed, steps)


def WSDLRScheduler(
    base_lr: float,
    t_initial: int,
    decay_t: int,
    lr_min: float = 0.0,
    stable_fn: str = "constant",
    stable_timescale: float | None = None,
    stable_power: float = 0.5,
    decay_fn: str | Callable[[float], float] = "1-sqrt",
    decay_power: float = 0.5,
    decay_ratio: float = 0.1,
    warmup_t: int = 0,
    warmup_lr_init: float = 0.0,
    t_in_epochs: bool = True,
    noise_range_t: NoiseRange = None,
    noise_pct: float = 0.67,
    noise_std: float = 1.0,
    noise_seed: int | None = 42,
    *,
    steps: int | None = None,
) -> Schedule:
    """Warm-up, then lr_min + (max(base_lr f(s), lr_min) - lr_min) g(p), s steps after it.

    f is 1, or (1 + s/stable_timescale)^-stable_power, or that with power 1/2; g falls from 1 to 0 in the last decay_t of the
    t_initial steps, p from 0 to 1: 1 - p, 1 - sqrt(p), (1 + cos(pi p))/2, 1 - p^decay_power or (r^p - r)/(1 - r).

    Args:
        t_initial: steps after the warm-up, >= 1.
        decay_t: 1 to t_initial.
        lr_min: >= 0.
        stable_fn: "constant", "rsqrt" or "power" for f.
        stable_timescale: > 0; None: warmup_t.
        stable_power: > 0.
        decay_fn: "linear", "1-sqrt", "cosine", "power" or "exp" for g; or a function of p, called decay_t + 1 times.
        decay_power: 0.001 to 1000.
        decay_ratio: r, at least 1e-100, below 1.
        warmup_t, warmup_lr_init, t_in_epochs: as in `CosineLRScheduler`; the warm-up comes first.
        noise_range_t, noise_pct, noise_std, noise_seed, steps: as there.

    Source: timm WSDLRScheduler, arXiv 2404.06395, 2405.18392.

    >>> WSDLRScheduler(1.0, 4, 2, decay_fn="linear", warmup_t=2).table(8)
    array([0. , 0.5, 1. , 1. , 1. , 0.5, 0. , 0. ])
    """
    where = "timm.WSDLRScheduler"
    base, lr_min = real(where, "base_lr", base_lr), real(where, "lr_min", lr_min, low=0.0)
    total = count(where, "t_initial", t_initial, low=1)
    fall = count(where, "decay_t", decay_t, low=1, high=total)
    stable: Schedule = schedules.constant(base)
    power = real(where, "stable_power", stable_power, above=0.0)
    with value_errors():
        kind = choice(where, "stable_fn", stable_fn, ("constant", "rsqrt", "power"))
    if kind != "constant":
        timescale = real(where, "stable_timescale", warmup_t if stable_timescale is None else stable_timescale, above=0.0)
        stable = schedules.inverse_power(base, timescale, 0.5 if kind == "rsqrt" else power)
    stable = stable.clip(low=lr_min)
    shape = _decay(where, decay_fn, fall, real(where, "decay_power", decay_power, low=1e-3, high=1e3), decay_ratio)
    weight = join([schedules.constant(1.0), shape], [total - fall]) if total > fall else shape
    s = lr_min + (stable - lr_min) * weight if lr_min else stable * weight
    s = _warmed(where, s, base, warmup_t, warmup_lr_init, True)
    return _noisy(where, s, noise_range_t, noise_pct, noise_std, noise_seed, steps)


def _decay(where: str, decay_fn: str | Callable[[float], float], steps: int, power: float, ratio: float) -> Schedule:
    """From 1 to 0 in `steps` steps, as timm calls it."""
    if callable(decay_fn):
        spend(steps)
        values = [single(decay_fn(t / steps)) for t in range(steps + 1)]
        return schedules.from_table([real(where, f"decay_fn({t}/{steps})", value) for t, value in enumerate(values)])
    ratio = real(where, "decay_ratio", ratio, low=1e-100, below=1.0)
    kind = choice(where, "decay_fn", decay_fn, ("linear", "1-sqrt", "cosine", "power", "exp"))
    if kind == "exp":
        return schedules.exponential_ramp(1.0, 0.0, steps, ratio)
    if kind == "cosine":
        return schedules.cosine(1.0, 0.0, steps)
    return schedules.polynomial(1.0, 0.0, steps, warp={"linear": 1.0, "1-sqrt": 0.5, "power": power}[kind])


__all__ = public(globals())

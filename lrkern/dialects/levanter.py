"""Levanter's learning rate, which marin trains with: step t is the count of updates that optax hands over.

`lr_scheduler` is `OptimizerConfig.lr_scheduler`, with the fields of the config as its arguments. Lengths up to 1 are shares of
the cycle (of the run for `cycle_length` and `cooldown`), rounded down; larger ones are whole numbers of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import floor, log2
from typing import Any

from lrkern import schedules
from lrkern._checks import choice, count, counts, describe, real
from lrkern.dialects._parts import always, inverse_root, moment, public, sequence, stretched
from lrkern.schedules.budget import spend
from lrkern.schedules.expression import Schedule, join


def _steps(where: str, name: str, length: object, whole: int) -> int:
    """A share of the whole, or steps."""
    value = real(where, name, length, low=0.0)
    if value > 1.0 and value % 1:
        raise ValueError(f"{where}: {name} must be a share from 0 to 1 or a whole number of steps; got {describe(length)}")
    return int(value * whole) if value <= 1.0 else int(value)


class _Decay:
    """What a decay is made from: its length, the warm-up before it, the rates that it runs between, its options."""

    def __init__(self, where: str, lr: float, ratio: float, warmup: int, steps: int, options: Mapping[str, Any]) -> None:
        self.where, self.lr, self.ratio, self.low = where, lr, ratio, lr * ratio
        self.warmup, self.steps, self.options = warmup, steps, options

    def number(self, name: str, default: float | None, **bounds: float) -> float:
        value = self.options.get(name, default)
        if value is None:
            raise TypeError(f"{self.where}: {name} must be given in lr_schedule for {self.options['type']!r}; got None")
        return real(self.where, f"{name} of lr_schedule", value, **bounds)

    def constant(self) -> Schedule:
        return schedules.constant(self.lr)

    def cosine(self) -> Schedule:
        exponent = self.number("exponent", 1.0, low=1e-3, high=1e3)
        return self.lr * schedules.cosine(1.0, self.ratio, self.steps, power=exponent)

    def linear(self) -> Schedule:
        return self.lr * schedules.linear(1.0, self.ratio, self.steps)

    def polynomial(self) -> Schedule:
        return self.lr * schedules.polynomial(1.0, self.ratio, self.steps, self.number("power", 2.0, above=0.0))

    def inv_sqrt(self) -> Schedule:
        """lr sqrt(T/x), x = t + warmup, at least 1; at most lr."""
        begun = max(self.warmup, 1)
        curve = schedules.inverse_sqrt(1.0, begun)
        scale = schedules.exponential(1.0, self.number("timescale", 10000.0, above=0.0), 2).shift(-1)
        s = always(scale) * (inverse_root(1.0, begun) * (curve if self.warmup else curve.shift(1)))
        return (self.lr * s).clip(high=self.lr).clip(low=self.low)

    def inv(self) -> Schedule:
        """lr/(1 + (lr/low - 1) x/steps), x = max(t, 1)."""
        if not 0.0 < self.ratio <= 1.0:
            raise ValueError(f"{self.where}: min_lr_ratio must be > 0 and <= 1 for 'inv'; got {describe(self.ratio)}")
        curve = schedules.inverse_time(self.lr, self.lr / self.low - 1.0, self.steps)
        return curve.shift(-1).shift(1).clip(low=self.low)

    def inv_sqrt_decay(self) -> Schedule:
        constant = self.number("decay_constant", 28.6, above=0.0)
        return stretched(schedules.inverse_sqrt(self.lr, 1.0), Fraction(self.steps) / Fraction(constant)).clip(low=self.low)

    def power(self) -> Schedule:
        """min(lr, batch a (batch seq c)^b), and lr at c = 0."""
        batch = count(self.where, "batch_size of lr_schedule", int(self.number("batch_size", None)), low=1)
        length = count(self.where, "seq_length of lr_schedule", int(self.number("seq_length", None)), low=1)
        a, b = self.number("a", 4.6, above=0.0), self.number("b", -0.51, below=0.0)
        tokens, finest = batch * length, 1
        if self.lr > 0.0:
            # The law is begun where it is still above lr: at c = 1/finest.
            crossing = (log2(self.lr) - log2(batch) - log2(a)) / b - log2(tokens)
            finest = 1 << min(max(2 - floor(crossing), 0), 52)
        # (tokens/finest)^b (c finest)^b; `law` is x^b at its step x - 1.
        law = schedules.inverse_power(1.0, 1.0, -b)
        shared = min(tokens, finest)
        scale = always((law.stretch(shared) if shared > 1 else law).shift(shared - max(tokens, finest)))
        curve = schedules.inverse_power(1.0, 1.0 / finest, -b)
        s = float(batch) * (a * (scale * curve if tokens >= finest else curve / scale))
        return join([schedules.constant(self.lr), s.clip(high=self.lr)], [moment(Fraction(1, finest))])


_DECAYS: dict[str, tuple[Callable[[_Decay], Schedule], tuple[str, ...]]] = {
    "constant": (_Decay.constant, ()),
    "cosine": (_Decay.cosine, ("exponent",)),
    "linear": (_Decay.linear, ()),
    "inv_sqrt": (_Decay.inv_sqrt, ("timescale",)),
    "inv": (_Decay.inv, ()),
    "polynomial": (_Decay.polynomial, ("power",)),
    "inv_sqrt_decay": (_Decay.inv_sqrt_decay, ("decay_constant",)),
    "power": (_Decay.power, ("batch_size", "seq_length", "a", "b")),
}
"""Which decay each name is, and the options it has."""


def lr_scheduler(
    learning_rate: float,
    num_train_steps: int,
    *,
    min_lr_ratio: float = 0.1,
    warmup: float = 0.01,
    decay: float | None = None,
    rewarmup: float = 0.0,
    cooldown: float | None = None,
    cycle_length: float | Sequence[int] | None = None,
    cycles: int | Sequence[int] | None = None,
    lr_schedule: str | Mapping[str, Any] = "cosine",
    haps: Sequence[int] | None = None,
) -> Schedule:
    """Cycles of a warm-up, learning_rate and a decay towards learning_rate min_lr_ratio; at last a cool-down.

    The first warm-up is linear from 0, the others (`rewarmup`) from where the decay before them ended. With c the steps since
    the decay began and D its length: "constant"; "linear"; "cosine", to the power `exponent` (1); "polynomial", (1 - c/D) to
    the `power` (2); "inv": learning_rate/(1 + (1/min_lr_ratio - 1) max(c, 1)/D); "inv_sqrt": learning_rate sqrt(T/(c + warm-up
    steps)), `timescale` T = 10000, at most learning_rate; "inv_sqrt_decay": learning_rate/sqrt(1 + C c/D), `decay_constant` C =
    28.6; "power": batch_size a (batch_size seq_length c)^b, at most learning_rate, a = 4.6, b = -0.51. All but "power" are at
    least learning_rate min_lr_ratio.

    Args:
        num_train_steps: >= 1.
        min_lr_ratio: >= 0.
        warmup, rewarmup: of the first and of the other cycles; >= 0.
        decay: the last steps of each cycle; None: all that the warm-up leaves.
        cooldown: the last steps of the run, linearly to learning_rate min_lr_ratio (deprecated there).
        cycle_length: of each cycle, the last takes the rest as well; or a list of lengths, where a rest makes a last cycle.
        cycles: how many, or where they end; not with cycle_length.
        lr_schedule: a name, or a dict of "type", the name, and options.
        haps: former name of a list of `cycles`.

    Source: levanter optim/config.py OptimizerConfig.lr_scheduler (in the marin repository, 2026).

    >>> lr_scheduler(1.0, 10, warmup=2, decay=4, lr_schedule="linear", min_lr_ratio=0.2).table(12)
    array([0. , 0.5, 1. , 1. , 1. , 1. , 1. , 0.8, 0.6, 0.4, 0.2, 0.2])
    """
    where = "levanter.lr_scheduler"
    lr, total = real(where, "learning_rate", learning_rate), count(where, "num_train_steps", num_train_steps, low=1)
    ratio = real(where, "min_lr_ratio", min_lr_ratio, low=0.0)
    cool = 0 if cooldown is None else _steps(where, "cooldown", cooldown, total)
    if cool >= total:
        raise ValueError(f"{where}: cooldown must leave steps of num_train_steps = {total}; got {describe(cooldown)}")
    options = lr_schedule if isinstance(lr_schedule, Mapping) else {"type": lr_schedule}
    make, known = _DECAYS[choice(where, "lr_schedule", options.get("type"), tuple(_DECAYS))]
    for key in set(options) - {"type", *known}:
        raise TypeError(f"{where}: lr_schedule {options['type']!r} must have {', '.join(known) or 'no options'}; got {key!r}")
    parts: list[Schedule] = []
    starts: list[int] = []
    level, begin = 0.0, 0
    for end in _ends(where, total - cool, cycle_length, cycles, haps):
        length, name = end - begin, "rewarmup" if begin else "warmup"
        rise = min(_steps(where, name, rewarmup if begin else warmup, length), length)
        fall = length - rise if decay is None else min(_steps(where, "decay", decay, length), length - rise)
        if rise:
            parts.append(schedules.linear(level, lr, rise))
            starts.append(begin)
        if rise + fall < length:
            parts.append(schedules.constant(lr))
            starts.append(begin + rise)
        last = make(_Decay(where, lr, ratio, rise, fall, options)) if fall else schedules.constant(lr)
        parts.append(last)
        starts.append(end - fall)
        level, begin = last(fall), end
    if cool:
        parts.append(schedules.linear(level, lr * ratio, cool))
        starts.append(begin)
    return sequence(parts, starts[1:])


_MOST = 10_000
"""Cycles: each is a few parts of a join."""


def _ends(
    where: str,
    total: int,
    cycle_length: float | Sequence[int] | None,
    cycles: int | Sequence[int] | None,
    haps: Sequence[int] | None,
) -> list[int]:
    """Where the cycles end."""
    given = [name for name, value in (("cycle_length", cycle_length), ("cycles", cycles), ("haps", haps)) if value is not None]
    if len(given) > 1:
        raise ValueError(f"{where}: at most one of cycle_length, cycles and haps must be given; got {' and '.join(given)}")
    ends: list[int] = []
    if isinstance(cycle_length, Sequence):
        lengths = counts(where, "cycle_length", cycle_length, ordered=False)
        ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    elif cycle_length is not None:
        length = _steps(where, "cycle_length", cycle_length, total)
        if length == 0:
            raise ValueError(f"{where}: cycle_length must be a step at least; got {describe(cycle_length)}")
        if total // length > _MOST:
            raise ValueError(f"{where}: cycle_length must make at most {_MOST} cycles; got {describe(cycle_length)}")
        ends = [i * length for i in range(1, total // length)]
    elif isinstance(cycles, int) and not isinstance(cycles, bool):
        times = count(where, "cycles", cycles, low=1, high=_MOST)
        ends = [int(total / times * (i + 1)) for i in range(times - 1)]
    elif given:
        ends = list(counts(where, given[0], cycles if haps is None else haps))
    spend(len(ends))
    if not ends or ends[-1] != total:
        ends.append(total)
    for before, after in zip([0, *ends], ends, strict=False):
        if after <= before:
            raise ValueError(f"{where}: {given[0]} must end cycles one after the other, within {total} steps; got {ends[:-1]}")
    return ends


__all__ = public(globals())

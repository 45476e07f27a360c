"""Random expressions: every curve, every method and operator, nested, between constants from mild to extreme.

`Draws` is a source of random numbers and the ranges they come from; `expression(draws, depth)` gives the text of a schedule.
A text may be invalid (steps beyond 2^53, a geometric ramp down to zero): `build` then raises ValueError, and the caller draws
the next.  If hypothesis draws (`strategy`), it also finds the smallest failing example; otherwise `shrinking.py` does.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import lrkern as lk

LARGEST = 1.7976931348623157e308
BUILT_WITH = {"__builtins__": {"float": float, "int": int, "range": range}}


def build(text: str) -> lk.Schedule:
    """The schedule of a text, built through the public names."""
    return eval(text, BUILT_WITH, vars(lk))


@dataclass
class Draws:
    """Random constants. `magnitude`: values lie within 10^-magnitude to 10^magnitude, most of them."""

    rng: random.Random
    magnitude: float = 1.0
    longest: int = 10**12
    extreme: float = 0.0  # share of constants that are as extreme as they may be
    leaves: tuple[str, ...] = ()  # texts that are taken as they are, now and then

    def one_of(self, *choices):
        return self.rng.choice(choices)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    # -- values
    def positive(self) -> float:
        if self.chance(self.extreme):
            return self.one_of(
                5e-324,
                2.5e-322 * self.rng.random() + 5e-324,
                10 ** self.rng.uniform(-323, -308),
                2.2250738585072014e-308,
                10 ** self.rng.uniform(-300, 300),
                10 ** self.rng.uniform(300, 308),
                LARGEST,
                math.ldexp(1.0, self.rng.randint(-1074, 1023)),
            )
        if self.chance(0.3):
            return self.one_of(1.0, 0.1, 0.5, 0.3, 1e-3, 2.0, 3.0, 10.0, 0.7)
        x = 10 ** self.rng.uniform(-self.magnitude, self.magnitude)
        return float(f"{x:.{self.one_of(1, 3, 17)}g}") or x

    def value(self) -> float:
        if self.chance(0.1):
            return self.one_of(0.0, 0.0, -0.0) if self.chance(0.9) else self.one_of(1, -1, 3)
        return self.one_of(1, 1, 1, -1) * self.positive()

    def pair(self) -> tuple[float, float]:
        """The two ends of a ramp."""
        a = self.value()
        kind = self.rng.randrange(12)
        if kind == 0:
            return a, a
        if kind == 1:
            return a, -a
        if kind == 2:
            return a, math.nextafter(a, self.one_of(-math.inf, math.inf) if abs(a) < LARGEST else 0.0)
        if kind == 3:
            return self.one_of((a, 0.0), (0.0, a))
        if kind == 4:
            return a, -self.value()
        if kind == 5:
            return a, a * (1.0 + self.rng.uniform(-1e-6, 1e-6)) if abs(a) < 1e308 else a
        return a, self.value()

    def rate(self) -> float:
        """A ratio from step to step or cycle to cycle."""
        if self.chance(self.extreme / 2):
            return self.positive()
        kind = self.rng.randrange(8)
        if kind == 0:
            return 1.0
        if kind == 1:
            return 1.0 + self.one_of(-1, 1) * 10 ** self.rng.uniform(-9, -2)
        if kind == 2:
            return self.rng.uniform(1.0, 2.5)
        if kind == 3:
            return self.one_of(0.5, 2.0, 0.1, 10.0, math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0))
        return self.rng.uniform(0.3, 1.0)

    def growth(self) -> float:
        if self.chance(self.extreme / 4):
            return self.one_of(1e-3, 1e3, 1e-300, 1e300, 1.0 + 1e-9, 1.0 - 2e-9, 5e-324)
        return self.one_of(0.5, 0.9, 1.0, 1.0, 1.1, 1.5, 2.0, 3.0, 0.999, 1.001, self.rng.uniform(0.5, 3.0))

    def power(self) -> float:
        """1e-3 to 1e3."""
        if self.chance(self.extreme):
            return self.one_of(1e-3, 1e3, 10 ** self.rng.uniform(-3, 3), math.nextafter(1.0, 0.0), math.nextafter(1.0, 2.0))
        return self.one_of(0.5, 1.0, 2.0, 3.0, 1.7, 10 ** self.rng.uniform(-1, 1))

    # -- steps
    def count(self, low: int = 0) -> int:
        kind = self.rng.randrange(10)
        if kind == 0:
            n = self.rng.randint(0, 5)
        elif kind <= 3:
            n = self.rng.randint(0, 60)
        elif kind <= 5:
            n = self.rng.randint(0, 3000)
        elif kind == 6:
            n = 10 ** self.rng.randint(0, 12)
        elif kind == 7:
            n = 2 ** self.rng.randint(0, 40) + self.rng.randint(-1, 1)
        else:
            n = int(10 ** self.rng.uniform(0, 12))
        if n > self.longest:
            n = self.rng.randint(0, self.longest)
        if self.longest > 10**11 and self.chance(0.02):
            n = self.one_of(2**53, 2**53 - 1, 2**52 + 1, 10**15)
        return max(n, low)

    def period(self) -> int:
        return self.count(1)

    def boundaries(self, n: int) -> list[int]:
        return sorted(self.count() for _ in range(n))

    def times(self, n: int) -> list[float]:
        """Boundaries, some of them between steps."""
        return sorted(self.one_of(self.count(), self.rng.uniform(0.0, self.count(1))) for _ in range(n))


# ------------------------------------------------------------------------------------------------------------- leaves

TAILS = ["linear", "cosine", "one_minus_sqrt", "square", "logarithmic", "mirror_cosine", "halving"]
POSITIVE_TAILS = ["exponential", "inverse_proportional"]


def call(name: str, *arguments: object) -> str:
    return f"{name}({', '.join(map(repr, arguments))})"


def values(d: Draws, n: int) -> list[float]:
    return [d.value() for _ in range(n)]


def sided(d: Draws, n: int) -> tuple[object, ...]:
    """n boundaries, and their sides."""
    if d.chance(0.6):
        return (d.boundaries(n),)
    return d.times(n), d.one_of("from", "after")


def piecewise(d: Draws) -> str:
    n = d.rng.randint(0, 5)
    return call("piecewise", values(d, n + 1), *sided(d, n))


def interpolate(d: Draws) -> str:
    n = d.rng.randint(1, 5)
    return call("interpolate", values(d, n), d.boundaries(n), d.one_of("linear", "cosine"))


def cyclic(d: Draws) -> str:
    up, down = d.count(), d.count()
    mode = d.one_of("triangular", "triangular", "triangular2", "exp_range")
    return call("cyclic", *d.pair(), max(up, 1 - down), down, mode, d.rate() if mode == "exp_range" else 1.0)


def chebyshev(d: Draws) -> str:
    low, high = sorted((d.positive(), d.positive()))
    if d.chance(0.5):
        return call("chebyshev", low, high, 2 ** d.rng.randint(0, 30))
    return call("chebyshev", low, high, min(d.period(), 2**52), "plain")


def noise(d: Draws) -> str:
    if d.chance(0.4):
        return call("noise", d.value(), "uniform", None, d.rng.randrange(2**64))
    return call("noise", d.value(), "normal", d.one_of(None, d.rng.uniform(0.2, 4.0)), d.rng.randrange(2**64))


def exponential(d: Draws) -> str:
    start, rate, every = d.value(), d.rate(), d.one_of(1, d.period(), d.positive())
    if d.chance(0.7):
        return call("exponential", start, rate, every)
    beyond = d.positive()
    towards_zero = rate < 1.0 or (rate == 1.0 and d.chance(0.5))
    falls = towards_zero == (start > 0.0)
    end = min(start, start - beyond) if falls else max(start, start + beyond)
    if towards_zero and d.chance(0.7):
        end = start * d.rng.uniform(0.0, 1.0)
    return call("exponential", start, rate, every, max(min(end, LARGEST), -LARGEST))


def tanh(d: Draws) -> str:
    low, high = sorted((d.rng.uniform(-10, 10), d.rng.uniform(-10, 10)))
    if d.chance(d.extreme):
        low, high = d.one_of((-1e6, 1e6), (-300.0, 300.0), (1.0, 1.0000001), (-1e-300, 1e-300), (50.0, 60.0))
    return call("tanh", *d.pair(), d.count(), low, high)


def truncated_cosine(d: Draws) -> str:
    steps = d.count()
    return call("truncated_cosine", *d.pair(), steps, d.rng.randint(0, steps), d.one_of(0.0, d.value()))


def one_cycle(d: Draws) -> str:
    three = d.chance(0.4)
    share = d.rng.uniform(0.0, 0.5 if three else 1.0)
    return call("one_cycle", d.value(), d.count(), share, d.positive(), d.positive(), d.one_of("cosine", "linear"), three)


def one_cycle_momentum(d: Draws) -> str:
    three = d.chance(0.4)
    share = d.rng.uniform(0.0, 0.5 if three else 1.0)
    return call("one_cycle_momentum", *d.pair(), d.count(), share, d.one_of("cosine", "linear"), three)


def tail(d: Draws, a: float, b: float) -> str:
    return d.one_of(*TAILS, *(POSITIVE_TAILS if a > 0 and b > 0 else []))


def wsd(d: Draws) -> str:
    peak, end = d.pair()
    return call("wsd", peak, d.count(), d.count(), d.count(), end, tail(d, peak, end))


def wsd_s(d: Draws) -> str:
    peak, end = d.pair()
    warmup, budgets, falls = d.count(), [], []
    at = warmup
    for _ in range(d.rng.randint(1, 4)):
        fall = d.count()
        at += fall + d.count()
        budgets.append(at)
        falls.append(fall)
    return call("wsd_s", peak, end, warmup, budgets, falls, tail(d, peak, end))


def tri_stage(d: Draws) -> str:
    scales = [d.one_of(0.01, d.rng.uniform(0.001, 2.0), d.positive()) for _ in range(2)]
    return call("tri_stage", d.positive(), d.count(), d.count(), d.count(), *scales)


def power_lr(d: Draws) -> str:
    law = (d.positive(), d.positive(), -d.rng.uniform(0.01, 3.0))
    return call("power_lr", d.positive(), d.positive(), d.period(), *law)


def lr_range_test(d: Draws) -> str:
    if d.chance(0.5):
        return call("lr_range_test", d.positive(), d.positive(), d.count(), "exponential", d.one_of(1, d.period()))
    return call("lr_range_test", *d.pair(), d.count(), "linear", d.one_of(1, d.period()))


RAMPS: dict[str, Callable[[Draws], str]] = {  # single curves from a start to an end, which `restarts` accepts
    "linear": lambda d: call("linear", *d.pair(), d.count()),
    "polynomial": lambda d: call("polynomial", *d.pair(), d.count(), d.power(), d.one_of(1.0, 1.0, d.power())),
    "cosine": lambda d: call("cosine", *d.pair(), d.count(), *d.one_of((), (), (d.power(), d.one_of(1.0, d.power())))),
    "geometric": lambda d: call("geometric", d.positive(), d.positive(), d.count()),
    "exponential_ramp": lambda d: call("exponential_ramp", *d.pair(), d.count(), ratio(d)),
    "one_minus_sqrt": lambda d: call("one_minus_sqrt", *d.pair(), d.count()),
    "tanh": tanh,
    "rex": lambda d: call("rex", *d.pair(), d.count(), *d.one_of((), (0.9,), (d.rng.uniform(-3.0, 1.0),))),
}
CURVES: dict[str, Callable[[Draws], str]] = {
    **RAMPS,
    "constant": lambda d: call("constant", d.value()),
    "line": lambda d: call("line", d.value(), d.value(), d.one_of(1, d.period(), d.positive())),
    "half_cosine": lambda d: call("half_cosine", *d.pair(), d.count()),
    "exponential": exponential,
    "inverse_time": lambda d: call("inverse_time", d.value(), d.one_of(0.0, d.positive()), d.one_of(1, d.positive())),
    "inverse_sqrt": lambda d: call("inverse_sqrt", d.value(), d.positive()),
    "inverse_power": lambda d: call("inverse_power", d.value(), d.positive(), d.rng.uniform(0.0, 4.0)),
    "step_decay": lambda d: call("step_decay", d.value(), d.rate(), d.period()),
    "piecewise": piecewise,
    "interpolate": interpolate,
    "noam": lambda d: call("noam", d.period(), d.count(), d.value()),
    "cyclic": cyclic,
    "warm_restarts": lambda d: call("warm_restarts", *d.pair(), d.period(), d.growth(), d.rate()),
    "chebyshev": chebyshev,
    "noise": noise,
    "one_cycle": one_cycle,
    "one_cycle_momentum": one_cycle_momentum,
    "wsd": wsd,
    "wsd_s": wsd_s,
    "knee": lambda d: call("knee", d.value(), d.count(), d.count(), d.count()),
    "linear_to_zero": lambda d: call("linear_to_zero", d.value(), d.count(), d.count()),
    "tri_stage": tri_stage,
    "power_lr": power_lr,
    "truncated_cosine": truncated_cosine,
    "lr_range_test": lr_range_test,
    "from_table": lambda d: call("from_table", values(d, d.rng.randint(1, 12))),
    "from_function": lambda d: f"from_function(lambda t: {d.positive()!r} / (t + 3), {d.rng.randint(1, 20)})",
}


def ratio(d: Draws) -> float:
    drawn = d.rate()
    return drawn if drawn != 1.0 else 0.5


def leaf(d: Draws) -> str:
    if d.leaves and d.chance(0.15):
        return d.one_of(*d.leaves)
    if d.chance(0.4):  # the common ones, most of the time
        return CURVES[d.one_of("constant", "linear", "cosine", "polynomial", "exponential", "line", "inverse_sqrt", "cyclic")](
            d
        )
    return d.one_of(*CURVES.values())(d)


# -------------------------------------------------------------------------------------------------------- combinations


def method(inner: str, name: str, *arguments: object) -> str:
    return f"({inner}).{call(name, *arguments)}"


def shape(d: Draws) -> str:
    return d.one_of(*TAILS, *TAILS, *POSITIVE_TAILS)


def clip(d: Draws, s: str) -> str:
    low, high = sorted(d.pair())
    return method(s, "clip", *d.one_of((low, high), (low, high), (low,), (None, high)))


def stretch(d: Draws, s: str) -> str:
    kind = d.rng.randrange(4)
    if kind == 0:
        return method(s, "stretch", d.period())
    if kind == 1:
        return method(s, "stretch", d.period(), d.period() | 1)
    if kind == 2 and d.extreme:
        return method(s, "stretch", 10 ** d.rng.uniform(-12, 12))
    return method(s, "stretch", d.one_of(0.5, 2.0, 0.7, 1.5, 3.3, d.rng.uniform(0.1, 10.0)))


def repeat(d: Draws, s: str) -> str:
    times = d.one_of(None, None, d.rng.randint(1, 50), d.period())
    return method(s, "repeat", d.period(), times, d.one_of(1.0, 1.0, d.rate()), *d.one_of((), (), ("after",)))


def clock(d: Draws) -> str:
    """A schedule that never decreases: straight lines."""
    kind = d.rng.randrange(4)
    if kind == 0:
        return call(
            "line", d.one_of(0.0, float(d.count())), d.one_of(1.0, 0.5, float(d.count(1)), 1 / 3), d.one_of(1, d.period())
        )
    if kind == 1:
        sizes = [float(d.rng.randint(0, 4096)) for _ in range(4)]
        return method(call("piecewise", sizes, d.boundaries(3)), "cumulative")
    if kind == 2:
        return call("linear", 0.0, float(d.count(1)), d.count(1))
    return f"join([{call('line', 0.0, 2.0)}, {call('line', 1e6, 0.25)}], [{d.rng.randint(0, 500_000)}])"


def power(d: Draws, s: str) -> str:
    return f"({s}) ** {d.one_of(2, 3, -1, 0.5, -0.5, 1, 0, d.rng.uniform(-3.0, 3.0))!r}"


ONE: dict[str, Callable[[Draws, str], str]] = {  # of one schedule
    "warmup": lambda d, s: method(s, "warmup", d.count(), d.one_of(0.0, d.value()), shape(d)),
    "cooldown": lambda d, s: method(s, "cooldown", d.count(), d.count(), d.one_of(0.0, d.value()), shape(d)),
    "shift": lambda d, s: method(s, "shift", d.one_of(1, -1) * d.count()),
    "stretch": stretch,
    "staircase": lambda d, s: method(s, "staircase", d.period(), *d.one_of((), (), ("after",))),
    "extend": lambda d, s: method(s, "extend", d.period(), d.count()),
    "finish": lambda d, s: method(s, "finish", d.count(), d.count()),
    "of": lambda d, s: f"({s}).of({clock(d)})",
    "**": power,
    "1/": lambda d, s: f"{d.value()!r} / ({s})",
    "repeat": repeat,
    "clip": clip,
    "/": lambda d, s: f"({s}) / {d.one_of(1, -1) * d.positive()!r}",
    "*": lambda d, s: d.one_of(f"{d.value()!r} * ({s})", f"({s}) * {d.value()!r}"),
    "+": lambda d, s: d.one_of(f"{d.value()!r} + ({s})", f"({s}) + {d.value()!r}"),
    "-": lambda d, s: d.one_of(f"{d.value()!r} - ({s})", f"({s}) - {d.value()!r}", f"-({s})"),
}
TWO: dict[str, Callable[[Draws, str, str], str]] = {  # of two
    "+": lambda d, a, b: f"({a}) + ({b})",
    "-": lambda d, a, b: f"({a}) - ({b})",
    "*": lambda d, a, b: f"({a}) * ({b})",
    "/": lambda d, a, b: f"({a}) / ({b})",
    "then": lambda d, a, b: f"({a}).then({b})",
    "join": lambda d, a, b: f"join([{a}, {b}], [{d.count()}])",
}


def join(d: Draws, depth: int) -> str:
    parts = [expression(d, d.rng.randint(0, depth)) for _ in range(d.rng.randint(1, 4))]
    return f"join([{', '.join(parts)}], {', '.join(map(repr, sided(d, len(parts) - 1)))})"


def expression(d: Draws, depth: int) -> str:
    """The text of a schedule, nested up to `depth` levels."""
    if depth == 0 or d.chance(0.1):
        return leaf(d)
    kind = d.rng.random()
    if kind < 0.06:
        warmup = (d.count(), d.one_of(0.0, d.value())) if d.chance(0.3) else ()
        return method(d.one_of(*RAMPS.values())(d), "restarts", d.growth(), d.rate(), *warmup)
    if kind < 0.10 and depth <= 3:
        return join(d, depth - 1)
    if kind < 0.35:
        two = expression(d, depth - 1), expression(d, d.rng.randint(0, depth - 1))
        return d.one_of(*TWO.values())(d, *(two if d.chance(0.5) else two[::-1]))
    return d.one_of(*ONE.values())(d, expression(d, depth - 1))


def any_expression(rng: random.Random, deepest: int = 6, leaves: tuple[str, ...] = ()) -> str:
    """Of any depth, with constants from a few ordinary ones to extremes only."""
    magnitude, extreme = rng.choice([(1.0, 0.0), (3.0, 0.0), (6.0, 0.02), (30.0, 0.05), (100.0, 0.1), (300.0, 0.2)])
    longest = rng.choice([50, 3000, 10**6, 10**12, 10**12])
    return expression(Draws(rng, magnitude, longest, extreme, leaves), rng.randint(0, deepest))


def buildable(rng: random.Random, deepest: int = 6, leaves: tuple[str, ...] = ()) -> tuple[str, lk.Schedule]:
    """The next valid text, and its schedule."""
    while True:
        text = any_expression(rng, deepest, leaves)
        try:
            return text, build(text)
        except (ValueError, OverflowError, ZeroDivisionError):  # a value that a shape needs may be undefined
            continue

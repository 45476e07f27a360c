"""The table of schedules that are timed, each with equivalent hand-written code.

One entry per curve and per kind of composite: `build(n, a)` makes the schedule that starts or peaks at `a` and spans
about n steps; `loop(n, a)` is the naive function of one step (for Python loops and, compiled, for Numba), `array(n, a)`
the NumPy expression of an array of steps. The latter two only need to be right for 0 <= t < n.
In a checkout, a curve without an entry is timed as tests/support/cases.py builds it, without these rivals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import cos, log2, pi, sqrt, tanh
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lrkern as lk
from lrkern.bench.timing import exact

Floats = NDArray[np.float64]
Loop = Callable[[int], float]
Expression = Callable[[Floats], Floats]

END = 0.001
PEAK = 0.1


@dataclass(frozen=True)
class Curve:
    """One schedule in three forms."""

    name: str
    build: Callable[[int, float], Any]
    loop: Callable[[int, float], Loop] | None = None
    array: Callable[[int, float], Expression] | None = None

    def twin(self, n: int, a: float) -> Loop | None:
        """The naive function of one step, if there is one."""
        return self.loop(n, a) if self.loop else None


def warm_cosine_loop(n: int, a: float) -> Loop:
    """Warm-up over a hundredth of n steps, then cosine."""
    w, m = n // 100, n - n // 100
    return lambda t: a * t / w if t < w else END + (a - END) * (1 + cos(pi * (t - w) / m)) / 2


def warm_cosine_array(n: int, a: float) -> Expression:
    """The same on arrays."""
    w, m = n // 100, n - n // 100
    return lambda t: np.where(t < w, a * t / w, END + (a - END) * (1 + np.cos(np.pi * (t - w) / m)) / 2)


def interpolate_loop(n: int, a: float) -> Loop:
    """Up to a at n/4, down to a/2 at n/2, on to END at n."""
    q = n // 4

    def at(t: int) -> float:
        if t < q:
            return END + (a - END) * t / q
        if t < 2 * q:
            return a + (a / 2 - a) * (t - q) / q
        return a / 2 + (END - a / 2) * (t - 2 * q) / (n - 2 * q)

    return at


def cyclic_loop(n: int, a: float) -> Loop:
    """Triangles of n/100 steps."""
    up = n // 200

    def at(t: int) -> float:
        x = t % (2 * up)
        return END + (a - END) * (x / up if x < up else 1 - (x - up) / up)

    return at


def cyclic_array(n: int, a: float) -> Expression:
    """The same on arrays."""
    up = n // 200
    return lambda t: END + (a - END) * (1 - np.abs(t % (2 * up) / up - 1))


def restarts_loop(n: int, a: float) -> Loop:
    """Cycles of n/100, n/50, n/25, ... steps."""
    p = n // 100

    def at(t: int) -> float:
        i = int(log2(t / p + 1))
        length = p * 2**i
        return END + (a * 0.9**i - END) * (1 + cos(pi * (t - (length - p)) / length)) / 2

    return at


def restarts_array(n: int, a: float) -> Expression:
    """The same on arrays."""
    p = n // 100

    def at(t: Floats) -> Floats:
        i = np.floor(np.log2(t / p + 1))
        length = p * 2**i
        values: Floats = END + (a * 0.9**i - END) * (1 + np.cos(np.pi * (t - (length - p)) / length)) / 2
        return values

    return at


def one_cycle_loop(n: int, first: float, top: float, last: float) -> Loop:
    """Cosine up over 0.3 n steps, cosine down over the rest."""
    up = int(0.3 * n)

    def at(t: int) -> float:
        if t < up:
            return top + (first - top) * (1 + cos(pi * t / up)) / 2
        return last + (top - last) * (1 + cos(pi * (t - up) / (n - up))) / 2

    return at


def one_cycle_array(n: int, first: float, top: float, last: float) -> Expression:
    """The same on arrays."""
    up = int(0.3 * n)
    return lambda t: np.where(
        t < up,
        top + (first - top) * (1 + np.cos(np.pi * t / up)) / 2,
        last + (top - last) * (1 + np.cos(np.pi * (t - up) / (n - up))) / 2,
    )


def wsd_loop(n: int, a: float) -> Loop:
    """Up over n/100 steps, flat, down over the last fifth."""
    w, d = n // 100, n // 5
    return lambda t: a * t / w if t < w else (a if t < n - d else a * (1 - (t - (n - d)) / d))


def cooldown_loop(n: int, a: float) -> Loop:
    """An inverse square root, then down to 0 over the last fifth."""
    at, unit = n - n // 5, n // 100
    level = a / sqrt(1 + at / unit)
    return lambda t: a / sqrt(1 + t / unit) if t < at else level * (1 - (t - at) / (n - at))


def cooldown_array(n: int, a: float) -> Expression:
    """The same on arrays."""
    at, unit = n - n // 5, n // 100
    level = a / sqrt(1 + at / unit)
    return lambda t: np.where(t < at, a / np.sqrt(1 + t / unit), level * (1 - (t - at) / (n - at)))


LEVELS = np.random.default_rng(1).uniform(0.5, 1.0, 1000)


def levels(a: float) -> Floats:
    """A thousand arbitrary values."""
    return a * LEVELS


def levels_loop(n: int, a: float) -> Loop:
    """Each value for n/1000 steps."""
    values, every = levels(a), n // 1000
    return lambda t: values[t // every]


def levels_array(n: int, a: float) -> Expression:
    """The same on arrays."""
    values, every = levels(a), n // 1000
    return lambda t: values[t.astype(np.int64) // every]


CURVES = [
    Curve("constant", lambda n, a: lk.constant(a), lambda n, a: lambda t: a, lambda n, a: lambda t: np.full(t.shape, a)),
    Curve(
        "linear",
        lambda n, a: lk.linear(a, END, n),
        lambda n, a: lambda t: a + (END - a) * t / n,
        lambda n, a: lambda t: a + (END - a) * t / n,
    ),
    Curve(
        "polynomial",
        lambda n, a: lk.polynomial(a, END, n, 0.9),
        lambda n, a: lambda t: END + (a - END) * (1 - t / n) ** 0.9,
        lambda n, a: lambda t: END + (a - END) * (1 - t / n) ** 0.9,
    ),
    Curve(
        "cosine",
        lambda n, a: lk.cosine(a, END, n),
        lambda n, a: lambda t: END + (a - END) * (1 + cos(pi * t / n)) / 2,
        lambda n, a: lambda t: END + (a - END) * (1 + np.cos(np.pi * t / n)) / 2,
    ),
    Curve(
        "geometric",
        lambda n, a: lk.geometric(a, END, n),
        lambda n, a: lambda t: a * (END / a) ** (t / n),
        lambda n, a: lambda t: a * (END / a) ** (t / n),
    ),
    Curve(
        "exponential",
        lambda n, a: lk.exponential(a, 0.9, every=n // 50),
        lambda n, a: lambda t: a * 0.9 ** (t / (n // 50)),
        lambda n, a: lambda t: a * 0.9 ** (t / (n // 50)),
    ),
    Curve(
        "inverse_time",
        lambda n, a: lk.inverse_time(a, 0.5, every=n // 100),
        lambda n, a: lambda t: a / (1 + 0.5 * t / (n // 100)),
        lambda n, a: lambda t: a / (1 + 0.5 * t / (n // 100)),
    ),
    Curve(
        "inverse_sqrt",
        lambda n, a: lk.inverse_sqrt(a, n // 100),
        lambda n, a: lambda t: a / sqrt(1 + t / (n // 100)),
        lambda n, a: lambda t: a / np.sqrt(1 + t / (n // 100)),
    ),
    Curve(
        "one_minus_sqrt",
        lambda n, a: lk.one_minus_sqrt(a, END, n),
        lambda n, a: lambda t: END + (a - END) * (1 - sqrt(t / n)),
        lambda n, a: lambda t: END + (a - END) * (1 - np.sqrt(t / n)),
    ),
    Curve(
        "tanh",
        lambda n, a: lk.tanh(a, END, n),
        lambda n, a: lambda t: END + (a - END) * (1 - tanh(-7 + 10 * t / n)) / 2,
        lambda n, a: lambda t: END + (a - END) * (1 - np.tanh(-7 + 10 * t / n)) / 2,
    ),
    Curve(
        "rex",
        lambda n, a: lk.rex(a, END, n),
        lambda n, a: lambda t: END + (a - END) * (1 - t / n) / (1 - t / n / 2),
        lambda n, a: lambda t: END + (a - END) * (1 - t / n) / (1 - t / n / 2),
    ),
    Curve(
        "step_decay",
        lambda n, a: lk.step_decay(a, 0.5, n // 20),
        lambda n, a: lambda t: a * 0.5 ** (t // (n // 20)),
        lambda n, a: lambda t: a * 0.5 ** (t // (n // 20)),
    ),
    Curve(
        "piecewise",
        lambda n, a: lk.piecewise([a, a / 2, a / 5, a / 10], [n // 4, n // 2, 3 * n // 4]),
        lambda n, a: lambda t: a if t < n // 4 else (a / 2 if t < n // 2 else (a / 5 if t < 3 * n // 4 else a / 10)),
        lambda n, a: (
            lambda t: np.piecewise(
                t,
                [t < n // 4, (t >= n // 4) & (t < n // 2), (t >= n // 2) & (t < 3 * n // 4)],
                [a, a / 2, a / 5, a / 10],
            )
        ),
    ),
    Curve(
        "interpolate",
        lambda n, a: lk.interpolate([END, a, a / 2, END], [0, n // 4, 2 * (n // 4), n]),
        interpolate_loop,
        lambda n, a: lambda t: np.interp(t, [0, n // 4, 2 * (n // 4), n], [END, a, a / 2, END]),
    ),
    Curve(
        "noam",
        lambda n, a: lk.noam(512, n // 25, factor=a),
        lambda n, a: lambda t: a * 512**-0.5 * min((t + 1) ** -0.5, (t + 1) * (n // 25) ** -1.5),
        lambda n, a: lambda t: a * 512**-0.5 * np.minimum((t + 1) ** -0.5, (t + 1) * (n // 25) ** -1.5),
    ),
    Curve("cyclic", lambda n, a: lk.cyclic(END, a, n // 200), cyclic_loop, cyclic_array),
    Curve(
        "warm_restarts",
        lambda n, a: lk.warm_restarts(a, END, n // 100, growth=2.0, gain=0.9),
        restarts_loop,
        restarts_array,
    ),
    Curve(
        "one_cycle",
        lambda n, a: lk.one_cycle(a, n),
        lambda n, a: one_cycle_loop(n, a / 25, a, a / 25e4),
        lambda n, a: one_cycle_array(n, a / 25, a, a / 25e4),
    ),
    Curve(
        "one_cycle_momentum",
        lambda n, a: lk.one_cycle_momentum(0.85 * a, 0.95 * a, n),
        lambda n, a: one_cycle_loop(n, 0.95 * a, 0.85 * a, 0.95 * a),
        lambda n, a: one_cycle_array(n, 0.95 * a, 0.85 * a, 0.95 * a),
    ),
    Curve(
        "wsd",
        lambda n, a: lk.wsd(a, n // 100, n - n // 100 - n // 5, n // 5),
        wsd_loop,
        lambda n, a: lambda t: np.interp(t, [0, n // 100, n - n // 5, n], [0.0, a, a, 0.0]),
    ),
    Curve("wsd_s", lambda n, a: lk.wsd_s(a, a / 10, n // 100, [n // 2, n], n // 10)),
    Curve("knee", lambda n, a: lk.knee(a, n // 100, n // 2, n // 2 - n // 100)),
    Curve("linear_to_zero", lambda n, a: lk.linear_to_zero(a, n // 10, n - n // 10)),
    Curve("tri_stage", lambda n, a: lk.tri_stage(a, n // 10, 4 * (n // 10), n // 2)),
    Curve("power_lr", lambda n, a: lk.power_lr(1024, 4e11 / n, n // 100, peak=a)),
    Curve("half_cosine", lambda n, a: lk.half_cosine(a, END, n)),
    Curve("truncated_cosine", lambda n, a: lk.truncated_cosine(a, 0.0, n, n // 10, END)),
    Curve("line", lambda n, a: lk.line(a, -a / (2 * n))),
    Curve("exponential_ramp", lambda n, a: lk.exponential_ramp(a, END, n, 0.1)),
    Curve("inverse_power", lambda n, a: lk.inverse_power(a, n // 100, 0.7)),
    Curve("lr_range_test", lambda n, a: lk.lr_range_test(1e-6 * a, a, n)),
    Curve("chebyshev", lambda n, a: lk.chebyshev(1 / a, 100 / a, 64)),
    Curve("from_table", lambda n, a: lk.from_table(levels(a)).stretch(n // 1000), levels_loop, levels_array),
    Curve(
        "warmup",
        lambda n, a: lk.cosine(a, END, n - n // 100).warmup(n // 100),
        warm_cosine_loop,
        warm_cosine_array,
    ),
    Curve(
        "join",
        lambda n, a: lk.join([lk.cosine(a, END, n), lk.rex(a / 2, 0.0, n)], [n // 2]),
        lambda n, a: (
            lambda t: (
                END + (a - END) * (1 + cos(pi * t / n)) / 2
                if t < n // 2
                else a / 2 * (1 - (t - n // 2) / n) / (1 - (t - n // 2) / n / 2)
            )
        ),
        lambda n, a: (
            lambda t: np.where(
                t < n // 2,
                END + (a - END) * (1 + np.cos(np.pi * t / n)) / 2,
                a / 2 * (1 - (t - n // 2) / n) / (1 - (t - n // 2) / n / 2),
            )
        ),
    ),
    Curve(
        "sum",
        lambda n, a: lk.cosine(a, 0.0, n) + lk.inverse_sqrt(a, n // 100),
        lambda n, a: lambda t: a * (1 + cos(pi * t / n)) / 2 + a / sqrt(1 + t / (n // 100)),
        lambda n, a: lambda t: a * (1 + np.cos(np.pi * t / n)) / 2 + a / np.sqrt(1 + t / (n // 100)),
    ),
    Curve(
        "product",
        lambda n, a: lk.cosine(a, 0.0, n) * lk.inverse_sqrt(1.0, n // 100),
        lambda n, a: lambda t: a * (1 + cos(pi * t / n)) / 2 / sqrt(1 + t / (n // 100)),
        lambda n, a: lambda t: a * (1 + np.cos(np.pi * t / n)) / 2 / np.sqrt(1 + t / (n // 100)),
    ),
    Curve(
        "clip",
        lambda n, a: lk.cosine(a, 0.0, n).clip(a / 10, a / 2),
        lambda n, a: lambda t: min(max(a * (1 + cos(pi * t / n)) / 2, a / 10), a / 2),
        lambda n, a: lambda t: np.clip(a * (1 + np.cos(np.pi * t / n)) / 2, a / 10, a / 2),
    ),
    Curve(
        "shift",
        lambda n, a: lk.cosine(a, END, 2 * n).shift(-n),
        lambda n, a: lambda t: END + (a - END) * (1 + cos(pi * (t + n) / (2 * n))) / 2,
        lambda n, a: lambda t: END + (a - END) * (1 + np.cos(np.pi * (t + n) / (2 * n))) / 2,
    ),
    Curve(
        "stretch",
        lambda n, a: lk.cosine(a, END, n // 3).stretch(3.0),
        lambda n, a: lambda t: END + (a - END) * (1 + cos(pi * min(t / 3 / (n // 3), 1.0))) / 2,
        lambda n, a: lambda t: END + (a - END) * (1 + np.cos(np.pi * np.minimum(t / 3 / (n // 3), 1.0))) / 2,
    ),
    Curve(
        "staircase",
        lambda n, a: lk.cosine(a, END, n).staircase(n // 1000),
        lambda n, a: lambda t: END + (a - END) * (1 + cos(pi * (n // 1000 * (t // (n // 1000))) / n)) / 2,
        lambda n, a: lambda t: END + (a - END) * (1 + np.cos(np.pi * (n // 1000 * (t // (n // 1000))) / n)) / 2,
    ),
    Curve("restarts", lambda n, a: lk.linear(a, END, n // 100).restarts(2.0, gain=0.9)),
    Curve(
        "repeat",
        lambda n, a: lk.cosine(a, END, n // 100).repeat(n // 100, gain=0.99),
        lambda n, a: (
            lambda t: 0.99 ** (t // (n // 100)) * (END + (a - END) * (1 + cos(pi * (t % (n // 100)) / (n // 100))) / 2)
        ),
        lambda n, a: (
            lambda t: 0.99 ** (t // (n // 100)) * (END + (a - END) * (1 + np.cos(np.pi * (t % (n // 100)) / (n // 100))) / 2)
        ),
    ),
    Curve(
        "cooldown",
        lambda n, a: lk.inverse_sqrt(a, n // 100).cooldown(n - n // 5, n // 5),
        cooldown_loop,
        cooldown_array,
    ),
    Curve("extend", lambda n, a: lk.cosine(a, END, n // 2).extend(n, n // 4)),
    Curve("of", lambda n, a: lk.cosine(a, END, 4 * n).of(lk.piecewise([2, 4, 8], [n // 4, n // 2]).cumulative())),
    Curve("cumulative", lambda n, a: lk.piecewise([2, 4, 8], [n // 4, n // 2]).cumulative()),
]

# Public names that make a schedule but have no entry, and the entries that cover them.
STAND_INS = {"from_function": "from_table", "then": "join", "finish": "cooldown"}
# ... and noise, which has its own row: it does not consist of polynomials.
APART = {"noise"}


def at_its_own_length(case: Any) -> Callable[[int, float], Any]:
    """A builder for a case of the tests; parsing its text is not included."""
    build = case.builder(lk)
    return lambda n, a: build()


def as_tested(name: str) -> Curve:
    """A curve's first case in tests/support/cases.py that is neither very short nor very long."""
    for case in exact.module("cases").CASES:
        if case.curve == name:
            schedule = case.build(lk)
            if schedule.steps is None or 1000 <= schedule.steps <= 10**8:
                return Curve(name, at_its_own_length(case))
    raise LookupError(f"tests/support/cases.py has no case of {name} with 1000 steps or more")


def without_entry() -> list[str]:
    """Names of curves that only the tests know."""
    public: set[str] = exact.module("cases").public_curves(lk) if exact.available() else set()
    return sorted(public - {curve.name for curve in CURVES} - set(STAND_INS) - APART)


CURVES += map(as_tested, without_entry())
BY_NAME = {curve.name: curve for curve in CURVES}

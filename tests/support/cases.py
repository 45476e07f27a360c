"""The schedules and the optimizers under test.

One entry per curve: its exact formula, decorated with the expressions under test.  Every generic test (accuracy,
bits, properties, round trips) reads this table, so a new curve needs its entry here, or in recipe_cases.py where it is one
of lrkern/schedules/recipes.py, and nothing else in the tests:

    @curve(spans("my_curve({start}, {end}, {steps})"), "my_curve(0.1, 0.0, 10, sharpness=3.0)")
    def my_curve(start, end, steps, sharpness=1.0):
        return span(start, end, steps, lambda start, end, p: ...)

A formula gets the arguments as written and returns an `oracle.Exact`; p and t are fractions, values are mpf.
"""

from __future__ import annotations

import math
from fractions import Fraction

from case_table import (  # noqa: F401  (some of them for the tests)
    BOTH_POSITIVE,
    CASES,
    EXTREME_PAIRS,
    LAST_STEP,
    MAX_ULP,
    Case,
    curve,
    over,
    spans,
)
from oracle import (
    SHAPES,
    Exact,
    Measured,
    along,
    blend,
    cosine_power_weights,
    crossings,
    exactly,
    mp,
    power_weights,
    reached,
    real,
    span,
)
from random_words import word


@curve(over("constant({})", ["0.1", "-1e300", "5e-324", "0.0", "3"]))
def constant(value):
    return Exact.curve(lambda t: real(value), 0, is_constant=True, levels=[(0, value)])


@curve(spans("linear({start}, {end}, {steps})"), "linear(1.0, 0.5, 2**52)", "linear(0.0, 1.0, 2**53)")
def linear(start, end, steps):
    return span(start, end, steps, SHAPES["linear"])


@curve(
    spans("polynomial({start}, {end}, {steps})", lengths=[7, 1000, 10**8], extremes=[]),
    spans("polynomial({start}, {end}, {steps}, 0.5)", extremes=EXTREME_PAIRS[:4]),
    spans("polynomial({start}, {end}, {steps}, 2.0)", extremes=EXTREME_PAIRS[:9]),
    spans("polynomial({start}, {end}, {steps}, power=0.9)", extremes=EXTREME_PAIRS[4:9], odd=[1000]),
    spans("polynomial({start}, {end}, {steps}, 3.7)", lengths=[3, 100, 10**6, 10**12], extremes=[]),
    [
        f"polynomial({pair}, {n}, {power})"
        for pair, n in [("0.1, 0.0", 1000), ("0.0, 0.1", 1000), ("3e-4, 3e-5", 10**12)]
        for power in (1e-10, 1e-3, 50.0, 1e3, 1e6, 3, 1.0000000000000002)
    ],
    "polynomial(1.0, 0.0, 1000, 1e-300)",
    "polynomial(1.0, 0.5, 1000, 1e300)",
    "polynomial(0.0, 1.0, 1000000, 1e15)",
    spans("polynomial({start}, {end}, {steps}, warp=0.6)", lengths=[100], extremes=EXTREME_PAIRS[:4], odd=[1000]),
    spans("polynomial({start}, {end}, {steps}, 1.7, 2.5)", lengths=[3, 10**12], extremes=EXTREME_PAIRS[:7], odd=[1000]),
    over("polynomial(0.1, 0.01, 1000, {})", ["0.5, 0.5", "2.0, 1e-3", "1e-3, 1e3", "1e6, 30.0", "3.0, 1e-3"]),
    over("polynomial(0.0, 0.1, 10**5, {})", ["0.5, 3.0", "20.0, 0.1", "1e3, 1e3", "0.01, 1e3"]),
)
def polynomial(start, end, steps, power=1.0, warp=1.0):
    return span(start, end, steps, along(lambda p: power_weights(p, power, warp)))


@curve(
    spans("cosine({start}, {end}, {steps})"),
    "cosine(1.0, -1.0, 2)",
    "cosine(1.0, -3.0, 3)",
    "cosine(-0.5, 1.5, 3000)",
    "cosine(-0.001, 30.0, 10**6)",
    "cosine(3e-4, 3e-5, 2**53)",
    spans("cosine({start}, {end}, {steps}, 1.7)", lengths=[3, 10**12], extremes=EXTREME_PAIRS[:7], odd=[1000]),
    spans("cosine({start}, {end}, {steps}, warp=0.7)", lengths=[100], extremes=EXTREME_PAIRS[:4], odd=[1000]),
    spans("cosine({start}, {end}, {steps}, warp=1.5)", lengths=[3, 10**12], extremes=EXTREME_PAIRS[:7], odd=[1000]),
    over("cosine(0.1, 0.01, 1000, {})", ["0.5", "1e-3", "1e3", "0.3, 2.0", "1e3, 1e-3", "2.5, 1e3", "1e3, 1e3"]),
    over("cosine(0.0, 0.1, 10**5, {})", ["0.5, 3.0", "20.0, 0.1", "1e3, 1e3", "1e-3, 1e3", "100.0"]),
    over("cosine(0.1, 0.0, 10**6, {})", ["30.0", "0.01", "3.0, 7.0"]),
)
def cosine(start, end, steps, power=1.0, warp=1.0):
    return span(start, end, steps, along(lambda p: cosine_power_weights(p, power, warp)))


@curve(
    over("line(0.1, {})", ["0.01", "-0.01", "1e-9, 1000", "3, 0.1", "0.0", "-1e-9", "1e300", "-0.1, 12345.678"]),
    over("line(0.0, {})", ["1.0", "0.1, 3", "-5e-324", "0.7, 1e12"]),
    "line(-1e300, 1e297)",
    "line(1e-300, -1e-303, 7)",
)
def line(start, slope, every=1):
    start, rate = exactly(start), exactly(slope) / exactly(every)

    def function(t):
        value = real(start + rate * t)
        return value, max(abs(value), abs(real(start)) if start * rate < 0 else mp.zero)

    zero = [] if start * rate >= 0 else [math.floor(-start / rate)]
    return Exact(function, None, [*zero, *(2 * z for z in zero)], is_constant=slope == 0)


@curve(
    spans("exponential_ramp({start}, {end}, {steps}, 0.1)", lengths=[1, 7, 1000, 10**12], odd=[1000]),
    spans("exponential_ramp({start}, {end}, {steps}, 30.0)", lengths=[100], extremes=EXTREME_PAIRS[:4], odd=[1000]),
    over("exponential_ramp(0.1, 0.0, 1000, {})", [0.5, 1e-100, 1e100, 0.9999999999999999, 1.0000000001, 1e-10]),
    over("exponential_ramp(0.0, 0.1, 1000, {})", [2, 1e-100, 1e100]),
)
def exponential_ramp(start, end, steps, ratio):
    log = mp.log(real(ratio))
    along_it = lambda p: mp.expm1(log * real(p)) / mp.expm1(log)  # noqa: E731
    back = lambda p: mp.expm1(-log * real(1 - p)) / mp.expm1(-log)  # noqa: E731
    return span(start, end, steps, along(lambda p: (back(p), along_it(p))))


@curve(spans("geometric({start}, {end}, {steps})", BOTH_POSITIVE, extremes=[]), "geometric(5e-324, 1.0, 5000)")
def geometric(start, end, steps):
    return span(start, end, steps, SHAPES["exponential"])


@curve(
    over("exponential(0.1, {})", [0.5, 0.9, 0.999, 0.999999, 1.0, 1.01, 1.0000001, 1e-3, 3, 1e-300]),
    over("exponential(0.1, 0.9, {})", [1000, 10**6, 10**12, 0.7, 1e-3, 12345.678]),
    over("exponential({}, 0.99)", [-0.1, 1e300, 1e-300, 5e-324, 0.0]),
    over("exponential(0.1, 0.5, 100, end={})", [1e-3, 0.0, 0.1, -1.0, 3.0517578125e-06]),
    "exponential(1e-3, 1.5, 100, 0.1)",
    "exponential(0.1, 1.0, end=0.01)",
    "exponential(0.0, 0.5, end=-0.01)",
    "exponential(-1.0, 0.9, 10, end=-0.01)",
    "exponential(-1.0, 1.1, 10, end=-1000.0)",
    "exponential(1.0, 0.9999999999999999, end=1e-5)",
)
def exponential(start, rate, every=1, end=None):
    base, every, start = real(rate), exactly(every), real(start)

    def free(t):
        return start * mp.power(base, real(t / every))

    if end is None:
        return Exact.curve(free, None, [math.ceil(every)])
    bound = real(end)
    if rate == 1 or start == 0:
        return Exact.curve(free, None, [])
    falls = (rate < 1) == (start > 0)
    met = crossings(lambda t: free(t) - bound, [0, 10**6, 10**9, LAST_STEP])
    return Exact.curve(lambda t: max(free(t), bound) if falls else min(free(t), bound), None, met)


@curve(
    over("inverse_time(0.1, {})", [0.0, 1e-6, 0.1, 0.5, 3, 1e6, 1e300]),
    over("inverse_time(1e-3, 0.1, {})", [1000, 0.3, 10**12]),
    over("inverse_time({}, 0.01)", [1e300, 1e-300, -1.0, 5e-324]),
)
def inverse_time(start, rate, every=1):
    return Exact.curve(lambda t: real(exactly(start) / (1 + exactly(rate) * t / exactly(every))), None, is_constant=rate == 0)


@curve(
    over("inverse_sqrt(0.1, {})", [1, 10000, 0.1, 1e-300, 1e12, 1e300, 12345.678]),
    over("inverse_sqrt({}, 4000)", [1e300, 1e-300, -1.0, 5e-324]),
)
def inverse_sqrt(start, timescale):
    return Exact.curve(lambda t: real(start) / mp.sqrt(real(1 + t / exactly(timescale))), None)


@curve(
    over("inverse_power(0.1, 10000, {})", [0, 0.3, 0.5, 1, 1.5, 7, 300.0]),
    over("inverse_power(1e-3, {}, 0.7)", [1, 0.1, 1e12, 12345.678]),
    over("inverse_power({}, 4000, 0.51)", [1e300, 1e-300, -1.0, 5e-324]),
)
def inverse_power(start, timescale, power):
    return Exact.curve(lambda t: real(start) * mp.power(real(1 + t / exactly(timescale)), -real(power)), None)


@curve(spans("one_minus_sqrt({start}, {end}, {steps})"))
def one_minus_sqrt(start, end, steps):
    return span(start, end, steps, SHAPES["one_minus_sqrt"])


@curve(
    spans("tanh({start}, {end}, {steps})", extremes=EXTREME_PAIRS[:8]),
    over("tanh(0.1, 0.0, 1000, {})", ["-6", "-7, 3", "0.0, 1.0", "-200.0, 250.0", "-1e-3, 1e-3", "-1, upper=30"]),
    over("tanh(0.1, 0.01, 1000000, {})", ["-3.0, 3.0", "-20.5, 0.5", "-300.0, 300.0"]),
)
def tanh(start, end, steps, lower=-7, upper=3):
    def ramp(start, end, r):
        x = real(exactly(lower) * (1 - r) + exactly(upper) * r)
        # (1 - tanh x)/2 = 1/(1 + e^2x)
        return blend(start, end, 1 / (1 + mp.exp(2 * x)), 1 / (1 + mp.exp(-2 * x)))

    def value(t):
        return ramp(start, end, min(t / steps, Fraction(1)) if steps else Fraction(1))

    exact = Exact.curve(value, steps, begin=lambda t: ramp(start, end, Fraction(0)) if t == 0 else value(t))
    exact.ramp = start, end, ramp
    return exact


@curve(
    spans("rex({start}, {end}, {steps})"),
    spans("rex({start}, {end}, {steps}, 0.9)", lengths=[3, 1000, 10**12], extremes=EXTREME_PAIRS[:7], odd=[1000]),
    spans("rex({start}, {end}, {steps}, -3.0)", lengths=[3, 1000, 10**12], extremes=EXTREME_PAIRS[:7], odd=[1000]),
    over("rex(0.1, 0.01, 1000, {})", ["0.0", "1e-300", "-1e6", "0.9999999999999999", "0.999", "d=-1e-10"]),
)
def rex(start, end, steps, d=0.5):
    d = exactly(d)
    return span(start, end, steps, along(lambda p: ((1 - p) / (1 - d * p), p * (1 - d) / (1 - d * p))))


@curve(
    over("step_decay(0.1, 0.5, {})", [1, 2, 7, 30, 10**5, 10**10]),
    over("step_decay(0.1, {}, 30)", [0.1, 0.999, 1.0, 2.0, 1.0001, 1e-300]),
    over("step_decay({}, 0.9, 1000)", [-1.0, 1e300, 5e-324, 0.0]),
    "step_decay(1.0, 0.9999999, 1)",
)
def step_decay(start, factor, every):
    value = lambda t: real(start) * mp.power(real(factor), math.floor(t / every))  # noqa: E731
    return Exact.curve(value, None, [every * k for k in (1, 2, 3, 10, 1000, 10**6)])


@curve(
    "piecewise([0.1], [])",
    "piecewise([0.1, 0.01, 1e-300], [30, 60])",
    "piecewise([0.1, 0.5, 0.01, 0.2], [0, 10, 10])",
    "piecewise([1.0, -1.0, 1e300], [10**6, 10**12])",
    "piecewise([1, 2, 3], [5, 9007199254740992])",
    "piecewise([1.0, 0.1, 0.2], [30, 60.0], 'after')",
    "piecewise([1.0, 0.1, 0.2], [0, 2.5], side='after')",
    "piecewise([1.0, 0.1, 0.2, 0.3], [7.5, 10, 10], ['after', 'from', 'after'])",
)
def piecewise(values, boundaries, side="from"):
    def value(t):
        return real(values[reached(t, boundaries, side)])

    sides = [side] * len(boundaries) if isinstance(side, str) else side
    begins = [math.ceil(b) if one == "from" or b != int(b) else int(b) + 1 for b, one in zip(boundaries, sides, strict=True)]
    return Exact.curve(value, None, [*boundaries, *begins], levels=list(zip([0, *begins], values, strict=True)))


@curve(
    "interpolate([0.3], [5])",
    "interpolate([0.0, 0.1, 0.0], [0, 30, 100])",
    "interpolate([0.0, 0.1, 0.0], [10, 40, 100], 'cosine')",
    "interpolate([0.1, 0.2, 0.7, 0.01], [0, 10, 10, 20], kind='linear')",
    "interpolate([0.1, 0.2, 0.7, 0.01], [5, 10, 10, 20], kind='cosine')",
    "interpolate([0.1, 0.2, 0.3], [7, 7, 7])",
    "interpolate([1e300, 1e-300, 1.0, 0.5], [1, 1000, 10**6, 10**12])",
    "interpolate([1.0, -1.0, 1.0, 0.0], [0, 300, 2000, 10**8], 'cosine')",
)
def interpolate(values, boundaries, kind="linear"):
    def value(t):
        i = sum(b <= t for b in boundaries)
        if i in (0, len(values)):
            return real(values[0 if i == 0 else -1])
        left, right = boundaries[i - 1], boundaries[i]
        return SHAPES[kind](values[i - 1], values[i], (t - left) / (right - left))

    return Exact.curve(value, boundaries[-1], boundaries)


@curve(
    over("cyclic(0.001, 0.1, {})", ["1", "100", "10, 20", "0, 7", "7, 0", "7, down=0", "2000, 10**6", "10**12"]),
    over("cyclic(0.0, 0.1, 10, {}, 'triangular2')", ["None", "20", "0"]),
    over("cyclic(0.01, 0.1, 50, mode='triangular2'{})", [""]),
    over("cyclic(0.001, 0.1, 50, 30, 'exp_range', {})", [0.999, 0.5, 1.0, 0.9999999]),
    "cyclic(0.0, 1.0, 3, 4, mode='exp_range', gamma=1.01)",
    "cyclic(0.0, 1.0, 1, 0)",
    "cyclic(1.0, 0.1, 100, 50)",
    "cyclic(-1.0, 1.0, 4, 4)",
    "cyclic(-1.0, 1.0, 1000, 3000, 'triangular2')",
    "cyclic(1e-300, 1e300, 5, 10)",
)
def cyclic(low, high, up, down=None, mode="triangular", gamma=1.0):
    down = up if down is None else down
    low, high, period = exactly(low), exactly(high), up + down

    def value(t):
        i = math.floor(t / period)
        x = t - i * period
        rise = x / up if x < up else 1 - (x - up) / down
        if mode == "triangular":
            return SHAPES["linear"](low, high, rise)
        scale = mp.ldexp(1, -i) if mode == "triangular2" else mp.power(real(gamma), real(t))
        bottom, height = real(low), real((high - low) * rise) * scale
        total = bottom + height
        return Measured(total, max(abs(total), abs(bottom), abs(height)) if bottom * height < 0 else abs(total))

    return Exact.curve(value, None, [b for k in (0, 1, 2, 3, 52, 1000, 10**6) for b in (k * period, k * period + up)])


@curve(
    over("warm_restarts(0.1, 0.0, {})", [1, 2, 10, 1000, 10**8]),
    [f"warm_restarts(0.1, 0.001, 10, {growth})" for growth in (2, 3.0, 1.5, 1.1, 1.001)],
    [f"warm_restarts(0.1, 0.0, 1000, {growth})" for growth in (2.0, 1.5, 1.1, 0.5, 0.9, 0.999)],
    [f"warm_restarts(0.1, 0.01, 10, {growth})" for growth in (0.5, 0.9, 0.1, 1e-10)],
    [f"warm_restarts(0.1, 0.001, 50, {growth}, {gain})" for growth in (1.0, 2, 1.5, 0.9) for gain in (0.5, 0.999, 1.01)],
    "warm_restarts(0.0, 0.1, 100, gain=0.5)",
    "warm_restarts(0.1, 0.0, 10, gain=0.9)",
    "warm_restarts(0.1, 0.0, 7, gain=0.99999)",
    "warm_restarts(1e300, 1e-300, 20, 2, 1e-10)",
    "warm_restarts(-1.0, 1.0, 40, 1.3)",
    "warm_restarts(1e-5, 0.1, 40, 1.7, 1.9)",
    "warm_restarts(0.05, 0.0, 10, 3)",
)
def warm_restarts(start, end, period, growth=1.0, gain=1.0):
    return cosine(start, end, period).restarts(growth, gain)


def permuted(t, n):
    """Element t of the fractal permutation of n numbers."""
    if n == 1:
        return 0
    half = permuted(t // 2, n // 2)
    return n - 1 - half if t % 2 else half


@curve(
    over("chebyshev(0.1, 1.0, {})", [1, 2, 4, 8, 64, 1024, 2**20, 2**50]),
    over("chebyshev(0.1, 1.0, {}, 'plain')", [1, 2, 3, 7, 1000, 10**6, 10**12]),
    over("chebyshev({}, 32)", ["1.0, 1.0", "1e-12, 1.0", "1e-300, 1e300", "1e300, 1.1e300", "3, 1000"]),
    over("chebyshev({}, 1000, order='plain')", ["1.0, 1.0", "1e-12, 1.0", "1e-150, 1e150", "1e300, 1.1e300"]),
)
def chebyshev(smallest, largest, period, order="fractal"):
    def value(t):
        k = permuted(math.floor(t) % period, period) if order == "fractal" else min(t % period, period - Fraction(1, 2))
        half = real((2 * k + 1) / Fraction(4 * period))
        return 1 / (real(smallest) * mp.cospi(half) ** 2 + real(largest) * mp.sinpi(half) ** 2)

    return Exact.curve(value, None, [period * k for k in (1, 2, 3, 1000)])


@curve(
    over("noise(0.1{})", ["", ", seed=1", ", seed=2**64 - 1", ", limit=1", ", limit=0.1, seed=7", ", 'normal', 2.5, 3"]),
    over("noise({}, 'uniform', seed=12345)", [1.0, -3e-4, 1e300, 1e-300, 5e-324, 0.0]),
    over("noise({}, seed=99)", [1, 1e300, 1e-300, 5e-324]),
)
def noise(scale, kind="normal", limit=None, seed=0):
    def draw(t, k):
        return word(seed, t, 2**63 + k)

    def normal(t):
        for k in range(0, 10**6, 2):
            a, b = draw(t, k), draw(t, k + 1)
            u, v = Fraction(2 * (a >> 11) + 1, 2**54), Fraction(2 * (b >> 12) + 1, 2**53)
            z = Fraction(int(mp.floor(mp.sqrt(-2 * mp.log(real(u))) * mp.cospi(real(v) / 2) * 2**24 + 0.5)), 2**24)
            if limit is None or z < exactly(limit):
                return -z if b % 2 else z
        raise AssertionError("a million numbers, none below the limit")

    def uniform(t):
        return Fraction(2 * (draw(t, 0) >> 11) + 1, 2**53) - 1

    random_number = uniform if kind == "uniform" else normal
    return Exact.curve(lambda t: real(exactly(scale) * random_number(math.floor(t))), None, [1, 2, 1000, 10**9, 2**52])


@curve(
    "from_table([0.5])",
    "from_table([1.0, 0.5, -0.25, 1e300, 5e-324])",
    "from_table([1.0 / (i + 3) for i in range(2000)])",
)
def from_table(values):
    values = [float(v) for v in values]
    value = lambda t: real(values[min(math.floor(t), len(values) - 1)])  # noqa: E731
    return Exact.curve(value, len(values), levels=list(enumerate(values)))


@curve("from_function(lambda t: 1.0 / (t + 3), 50)", "from_function(lambda t: 2.0, 1)")
def from_function(f, steps):
    return from_table([f(t) for t in range(steps)])


# The modules with cases of schedules/recipes.py, of methods, operators and mixtures add them to the table themselves.
import recipe_cases  # noqa: E402, F401  isort: skip
import mixture_cases  # noqa: E402, F401

# --------------------------------------------------------------------------------------------------- what to cover


def gives_a_schedule(function, lk) -> bool:
    """Whether a call returns a Schedule, by its annotations."""
    hint = getattr(function, "__annotations__", {}).get("return")
    return hint is lk.Schedule or str(hint).rpartition(".")[2].strip("'\"") == "Schedule"


def public_curves(lk) -> set[str]:
    """Names in `lrkern.__all__` of functions that return a Schedule from numbers; parse takes a text, refine a record."""
    curves = {n for n in lk.__all__ if callable(getattr(lk, n)) and gives_a_schedule(getattr(lk, n), lk)}
    return curves - {"parse", "refine"}


def public_methods(lk) -> set[str]:
    """Names of the methods of Schedule that return another one."""
    methods = {n: f for n, f in vars(lk.Schedule).items() if callable(f) and not n.startswith("_")}
    return {n for n, f in methods.items() if gives_a_schedule(f, lk)}


def has_local_times(text):
    """Whether local times are fractions: in stretches, and in restarts whose lengths change."""
    return any(name in text for name in ("stretch", "restarts", "extend", ".of("))


# --------------------------------------------------------------------------------------------------------------- steps

# Optimizer -> options to test.
OPTIMIZERS = {
    "SGD": [
        {"lr": 0.1},
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1, "decoupled": True, "maximize": True},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "convention": "zero-init"},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "convention": "keras", "weight_decay": 0.01},
    ],
    "Adam": [
        {"lr": 0.01},
        {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True, "maximize": True},
        {"lr": 0.01, "eps": 1e-3, "eps_inside": True},
        {"lr": 0.01, "eps": 1e-3, "convention": "keras"},
    ],
    "AdamW": [
        {"lr": 0.01},
        {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True, "eps_inside": True, "beta1": 0.8, "beta2": 0.95},
        {"lr": 0.01, "weight_decay": 0.1, "decay_after": True},
    ],
    "Lion": [{"lr": 0.01}, {"lr": 0.01, "weight_decay": 0.1, "beta1": 0.5, "maximize": True}],
    "RMSprop": [
        {"lr": 0.01},
        {"lr": 0.01, "centered": True, "weight_decay": 0.1},
        {"lr": 0.01, "centered": True, "momentum": 0.9, "eps": 1e-3, "eps_inside": True},
        {"lr": 0.01, "momentum": 0.9, "convention": "keras", "weight_decay": 0.1, "decoupled": True, "maximize": True},
    ],
    "Adagrad": [
        {"lr": 0.1},
        {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator": 0.1},
        {"lr": 0.1, "eps": 1e-3, "eps_inside": True, "weight_decay": 0.1, "decoupled": True, "maximize": True},
    ],
    "LARS": [
        {"lr": 0.5},
        {"lr": 0.5, "weight_decay": 0.1, "convention": "optax", "nesterov": True, "eps": 1e-3, "trust": 0.1},
        {"lr": 0.5, "weight_decay": 0.1, "convention": "apex", "maximize": True, "momentum": 0.5},
        {"lr": 0.5, "momentum": 0.0},
        {"lr": 0.1, "weight_decay": 0.1, "convention": "apex", "adapt": False},
    ],
    "LAMB": [
        {"lr": 0.01},
        {"lr": 0.01, "weight_decay": 0.1, "bias_correction": False, "maximize": True},
        {"lr": 0.01, "weight_decay": 0.1, "adapt": False},
    ],
}

# Optimizer -> options, peak learning rate and number of steps with which it reaches a minimum.
DESCENTS = {
    "SGD": ({"momentum": 0.9}, 1e-3, 6000),
    "Adam": ({}, 2e-2, 6000),
    "AdamW": ({"weight_decay": 0.0}, 2e-2, 6000),
    "Lion": ({}, 2e-3, 6000),
    "RMSprop": ({"momentum": 0.5}, 2e-3, 6000),
    "Adagrad": ({}, 0.5, 6000),
    "LARS": ({"momentum": 0.9, "trust": 1.0}, 1e-3, 6000),
    "LAMB": ({}, 2e-2, 6000),
    "Signum": ({}, 2e-3, 6000),
    "Tiger": ({"weight_decay": 0.0}, 2e-3, 6000),
    "Rprop": ({}, 1e-2, 6000),
    "AdaBelief": ({}, 2e-2, 6000),
    "Adamax": ({}, 5e-2, 6000),
    "RAdam": ({}, 5e-3, 20000),
    "LaProp": ({}, 2e-2, 6000),
    "ADOPT": ({"beta2": 0.99}, 0.1, 6000),
    "AdEMAMix": ({"alpha": 1.0, "beta3": 0.99}, 2e-2, 6000),
    "Adan": ({}, 2e-2, 6000),
    "Adadelta": ({}, 1.0, 6000),
    "NAdam": ({}, 2e-2, 6000),
    "ASGD": ({"lambd": 0.0}, 2e-3, 30000),
    "StableAdamW": ({"weight_decay": 0.0}, 2e-2, 6000),
    "MARS": ({}, 2e-2, 6000),
    "NovoGrad": ({}, 2e-3, 6000),
    "ScheduleFreeSGD": ({"r": 20.0}, 5e-3, 20000),
    "ScheduleFreeAdamW": ({"r": 5.0}, 5e-2, 6000),
    "ScheduleFreeRAdam": ({"r": 5.0}, 5e-2, 6000),
}

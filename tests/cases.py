"""The table of schedules under test, the steps they are tried at, and the budgets.

One entry per curve: its exact formula, decorated with the expressions it is tried in.  Every generic test (accuracy,
bits, properties, round trips) reads this table, so a new curve needs its entry here and nothing else in the tests:

    @curve(spans("my_curve({start}, {end}, {steps})"), "my_curve(0.1, 0.0, 10, sharpness=3.0)")
    def my_curve(start, end, steps, sharpness=1.0):
        return span(start, end, steps, lambda start, end, p: ...)

A formula gets the arguments as written and gives an `oracle.Exact`; p and t are fractions, values are mpf.
"""

from __future__ import annotations

import ast
import math
import random
import zlib
from dataclasses import dataclass
from fractions import Fraction

import oracle
from oracle import (
    SHAPES,
    Exact,
    along,
    blend,
    cosine_power_weights,
    crossings,
    exactly,
    mp,
    power_weights,
    ramp_at,
    real,
    span,
)
from random_words import word

MAX_ULP = 0.6
LAST_STEP = 2**53
SHORT = 3000  # schedules up to this many steps are tried at every one of them

LENGTHS = [1, 2, 3, 7, 100, 1000, 10**5, 10**6, 10**8, 10**12]
ODD_LENGTHS = [7, 1000, 10**6]
FALLS_AND_RISES = [(0.1, 0.0), (0.0, 0.1), (3e-4, 3e-5)]
BOTH_POSITIVE = [(0.1, 1e-4), (3e-5, 3e-4), (1e-300, 1e300), (1e300, 1e-300), (2.0, 1.9999999999999998), (0.1, 0.1)]
EXTREME_PAIRS = [
    (1e-300, 0.0),
    (1e300, 1e-300),
    (1e-300, 1e300),
    (1.7976931348623157e308, -1.7976931348623157e308),
    (5e-324, 0.0),
    (2.2250738585072014e-308, 1e-310),
    (1.0, -1.0),
    (-1.0, 3.0),
    (-0.1, -0.3),
    (0.1, 0.1),
    (1.0, 0.9999999999999999),
    (0.0, 0.0),
]


@dataclass(frozen=True)
class Case:
    curve: str  # the entry it belongs to
    text: str

    def builder(self, lk):
        """What makes the schedule, through the public names: its text, read."""
        code = compile(self.text, self.curve, "eval")
        return lambda: eval(code, {"__builtins__": {"float": float, "int": int, "range": range}}, vars(lk))

    def build(self, lk):
        """The schedule."""
        return self.builder(lk)()

    def exact(self) -> Exact:
        """Its exact twin."""
        return oracle.evaluate(self.text)


CASES: list[Case] = []


def add_cases(name, texts):
    """Appends expressions, or lists of them, that are not in the table yet."""
    known = {case.text for case in CASES}
    flat = [t for text in texts for t in ([text] if isinstance(text, str) else text)]
    CASES.extend(Case(name, t) for t in dict.fromkeys(flat) if t not in known)


def curve(*texts):
    """Enters the expressions, and the decorated function as the exact twin of the curve of that name."""

    def enter(formula):
        oracle.namespace[formula.__name__] = formula
        add_cases(formula.__name__, texts)
        return formula

    return enter


def composites(name: str, *texts):
    """Enters expressions that are about a method, an operator or a mixture."""
    add_cases(name, texts)


def spans(template, pairs=FALLS_AND_RISES, lengths=LENGTHS, extremes=EXTREME_PAIRS, odd=ODD_LENGTHS):
    """A curve from start to end over `steps`: the first usual pair at every length, other and extreme pairs at a few."""
    texts = [template.format(start=a, end=b, steps=n) for a, b in pairs[:1] for n in (0, *lengths)]
    texts += [template.format(start=a, end=b, steps=n) for a, b in pairs[1:] for n in (0, *lengths[::3])]
    return texts + [template.format(start=a, end=b, steps=n) for a, b in extremes for n in odd]


def over(template, values, **fixed):
    """One expression for each value of the one free field."""
    return [template.format(value, **fixed) for value in values]


# ------------------------------------------------------------------------------------------------------------ curves


@curve(over("constant({})", ["0.1", "-1e300", "5e-324", "0.0", "3"]))
def constant(value):
    return Exact.curve(lambda t: real(value), 0)


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
    return Exact(function, None, [*zero, *(2 * z for z in zero)])


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
    return Exact.curve(lambda t: real(exactly(start) / (1 + exactly(rate) * t / exactly(every))), None)


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

    exact = Exact.curve(lambda t: ramp(start, end, min(t / steps, Fraction(1)) if steps else Fraction(1)), steps)
    exact.ramp = start, end, ramp
    return exact


@curve(spans("rex({start}, {end}, {steps})"))
def rex(start, end, steps):
    return span(start, end, steps, along(lambda p: ((1 - p) / (1 - p / 2), (p / 2) / (1 - p / 2))))


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
)
def piecewise(values, boundaries):
    def value(t):
        return real(values[sum(b <= t for b in boundaries)])

    return Exact.curve(value, boundaries[-1] if boundaries else 0, boundaries)


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
    over("noam(512, {})", [0, 1, 2, 400, 4000, 10**6, 10**12]),
    "noam(1, 10, 2.5)",
    "noam(1000000, 4000, factor=1e-290)",
    "noam(513, 4000, -1.0)",
)
def noam(model_size, warmup, factor=1.0):
    def value(t):
        n = real(t + 1)
        least = 1 / mp.sqrt(n) if warmup == 0 else min(1 / mp.sqrt(n), n / mp.sqrt(real(warmup)) ** 3)
        return real(factor) / mp.sqrt(real(model_size)) * least

    return Exact.curve(value, None, [warmup])


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
            return real(low + (high - low) * rise)
        scale = mp.ldexp(1, -i) if mode == "triangular2" else mp.power(real(gamma), real(t))
        return real(low) + real((high - low) * rise) * scale

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


def phases(up, first, second, third, steps, shape, three_phase):
    """[(begin, end of phase, from, to)] of a one-cycle policy, and the curve through them."""
    legs = [(0, up, *first), (up, 2 * up, *second), (2 * up, steps, *third)]
    if not three_phase:
        legs = [(0, up, *first), (up, steps, second[0], third[1])]

    def value(t):
        for begin, stop, a, b in legs:
            if t < stop:
                return shape(a, b, (t - begin) / (stop - begin))
        return real(legs[-1][3])

    return Exact.curve(value, steps, [stop for _, stop, _, _ in legs])


ONE_CYCLES = ["", ", 0.5", ", pct_start=0.0", ", pct_start=1.0", ", anneal='linear'", ", 0.25, anneal='linear'"]


@curve(
    [f"one_cycle(0.1, {n})" for n in (0, *LENGTHS)],
    [f"one_cycle(0.3, 1000{extra})" for extra in ONE_CYCLES],
    "one_cycle(0.3, 10**6, div=7.0)",
    "one_cycle(0.3, 10**6, 0.3, 3.0, 7.0)",
    "one_cycle(0.3, 1000, 0.3, 25.0, 1e4, 'cosine', True)",
    "one_cycle(0.3, 10**6, three_phase=True, anneal='linear')",
    "one_cycle(-1.0, 10, pct_start=0.5, three_phase=True)",
    "one_cycle(1e-300, 1000, div=1e10, final_div=1e10)",
    "one_cycle(1e300, 1000, div=1e-5)",
)
def one_cycle(peak, steps, pct_start=0.3, div=25.0, final_div=1e4, anneal="cosine", three_phase=False):
    up, top = int(pct_start * steps), exactly(peak)
    low = top / exactly(div)
    end = low / exactly(final_div)
    return phases(up, (low, top), (top, low), (low, end), steps, SHAPES[anneal], three_phase)


@curve(
    [f"one_cycle_momentum(0.85, 0.95, {n})" for n in (0, *LENGTHS)],
    [f"one_cycle_momentum(0.85, 0.95, 1000{extra})" for extra in ONE_CYCLES],
    "one_cycle_momentum(0.85, 0.95, 1000, 0.3, 'linear', True)",
    "one_cycle_momentum(0.0, 0.95, 10**6, three_phase=True)",
)
def one_cycle_momentum(low, high, steps, pct_start=0.3, anneal="cosine", three_phase=False):
    return phases(int(pct_start * steps), (high, low), (low, high), (high, high), steps, SHAPES[anneal], three_phase)


TAILS = ["linear", "cosine", "one_minus_sqrt", "square", "logarithmic", "mirror_cosine", "halving"]
POSITIVE_TAILS = ["exponential", "inverse_proportional"]


def hold_and_fall(peak, warmup, stable, decay, end, tail, start=0.0):
    """start to peak, peak, then to end along the tail."""
    fall = warmup + stable

    def value(t):
        if t < warmup:
            return SHAPES["linear"](start, peak, t / warmup)
        if t < fall:
            return real(peak)
        return real(end) if t >= fall + decay else ramp_at(tail, peak, end, t - fall, decay)

    return Exact.curve(value, fall + decay, [warmup, fall, fall + decay])


@curve(
    [f"wsd(0.1, {w}, {s}, {d}, tail='{tail}')" for tail in TAILS for w, s, d in [(10, 50, 40), (2000, 10**6, 10**5)]],
    [f"wsd(0.1, {w}, {s}, {d}, 0.001, '{tail}')" for tail in [*TAILS, *POSITIVE_TAILS] for w, s, d in [(10, 90, 100)]],
    [f"wsd({a}, 100, 50, {n}, {b}, 'inverse_proportional')" for a, b in BOTH_POSITIVE for n in ODD_LENGTHS],
    [f"wsd({a}, 7, 50, {n}, {b}, '{tail}')" for a, b in BOTH_POSITIVE for n in (7, 10**6) for tail in TAILS[-2:]],
    "wsd(0.1, 10, 50, 10**12, tail='mirror_cosine')",
    "wsd(0.1, 10, 50, 10**12, tail='halving')",
    "wsd(-1.0, 10, 50, 1000, 1.0, tail='halving')",
    "wsd(3e-4, 10**4, 10**8, 10**7, 3e-5, 'exponential')",
    "wsd(0.1, 10, 50, 40)",
    "wsd(0.1, 0, 50, 40)",
    "wsd(0.1, 10, 0, 40)",
    "wsd(0.1, 10, 50, 0)",
    "wsd(0.1, 0, 0, 0)",
    "wsd(0.1, 1, 1, 1, 0.2)",
    "wsd(-1e300, 100, 1000, 300, 1e300, tail='cosine')",
)
def wsd(peak, warmup, stable, decay, end=0.0, tail="linear"):
    return hold_and_fall(peak, warmup, stable, decay, end, tail)


@curve(
    "wsd_s(0.1, 0.01, 100, [1000, 2000, 4000], 200)",
    "wsd_s(0.1, 0.01, 2000, [10**5, 2 * 10**5, 4 * 10**5], [10**4, 2 * 10**4, 4 * 10**4])",
    [f"wsd_s(0.1, 0.001, 10, [50, 90], [20, 30], '{tail}')" for tail in [*TAILS, *POSITIVE_TAILS]],
    "wsd_s(0.1, 0.0, 0, [7], 3, tail='linear')",
    "wsd_s(0.1, 0.2, 5, [5, 5, 9], [0, 0, 4])",
    "wsd_s(0.1, 0.001, 0, [3, 6], 3)",
    "wsd_s(3e-4, 3e-5, 10**9, [10**11, 10**12], 10**10)",
)
def wsd_s(peak, end, warmup, budgets, decay, tail="inverse_proportional"):
    falls = [decay] * len(budgets) if isinstance(decay, int) else decay

    def value(t):
        if t < warmup:
            return SHAPES["linear"](0.0, peak, t / warmup)
        for budget, fall in zip(budgets, falls, strict=True):
            if t < budget:
                into = t - (budget - fall)
                return real(peak) if into <= 0 else ramp_at(tail, peak, end, into, fall)
        return real(end)

    marks = [mark for b, n in zip(budgets, falls, strict=True) for mark in (b - n, b)]
    return Exact.curve(value, budgets[-1], [warmup, *marks])


@curve("knee(0.1, 100, 1000, 900)", "knee(0.1, 2000, 10**6, 10**5)", "knee(0.1, 0, 0, 7)", "knee(-1.0, 3, 0, 0)")
def knee(peak, warmup, explore, decay):
    return hold_and_fall(peak, warmup, explore, decay, 0.0, "linear")


@curve(
    over("linear_to_zero(0.1, {})", ["100, 900", "2000, 10**6", "0, 1000", "10, 0", "10**9, 10**12", "1, 1"]),
    "linear_to_zero(1e-300, 7, 1000)",
)
def linear_to_zero(peak, warmup, decay):
    return hold_and_fall(peak, warmup, 0, decay, 0.0, "linear")


@curve(
    over("tri_stage(0.1, {})", ["100, 400, 500", "1000, 10**5, 10**6", "0, 7, 10", "10, 0, 10", "3, 3, 0", "0, 0, 0"]),
    over("tri_stage(5e-4, 100, 400, 500, {})", ["0.0, 0.05", "1.0, 1.0", "2, 0.5", "final_scale=1e-300", "0.3, 3.0"]),
    "tri_stage(1e300, 10, 10, 1000, 1e-300, 1e-300)",
    "tri_stage(0.1, 10**9, 10**11, 10**12)",
)
def tri_stage(peak, warmup, hold, decay, init_scale=0.01, final_scale=0.01):
    first, last = exactly(peak) * exactly(init_scale), exactly(peak) * exactly(final_scale)
    return hold_and_fall(peak, warmup, hold, decay, last, "exponential", first)


@curve(
    "power_lr(128, 128 * 4096, 2000)",
    "power_lr(1024, 1024 * 4096, 240)",
    over(
        "power_lr(16.0, 1e6, {})", ["1", "1000, 1e-3", "10, 1e300", "10**6, peak=1e-9", "100, a=4.6, b=-1.0", "7, 0.1, 3, -0.4"]
    ),
    "power_lr(1, 1, 1, 1e-300, 1e-290, -2.5)",
    "power_lr(1e-3, 1e12, 10**9)",
)
def power_lr(batch_size, tokens, warmup, peak=0.02, a=4.0, b=-0.51):
    def law(t):
        return min(real(peak), real(exactly(batch_size) * exactly(a)) * mp.power(real(t * exactly(tokens)), real(b)))

    def value(t):
        return law(t) if t >= warmup else law(Fraction(warmup)) * real(t / warmup)

    below = mp.power(real(peak) / real(exactly(batch_size) * exactly(a)), 1 / real(b)) / real(tokens)
    return Exact.curve(value, None, [warmup, int(min(below, 2**53))])


@curve(spans("half_cosine({start}, {end}, {steps})", extremes=EXTREME_PAIRS[:6] + EXTREME_PAIRS[8:]))
def half_cosine(peak, end, steps):
    middle = real((exactly(peak) + exactly(end)) / 2)

    def value(t):
        return real(end) if t >= steps else SHAPES["cosine"](peak, end, (1 + t / steps) / 2)

    return Exact.curve(value, steps, ends=(middle, end))


@curve(
    over("truncated_cosine(0.1, 0.0, 1000, {})", ["100", "100, 0.01", "0", "1000", "999, floor=0.05", "1, 0.01"]),
    over("truncated_cosine(3e-4, 3e-5, {})", ["10**6, 10**5, 3e-5", "10**12, 10**10", "0, 0", "7, 3", "1, 1", "1, 0"]),
    "truncated_cosine(1e-300, 1e-310, 1000, 300)",
    "truncated_cosine(1e300, 1e-300, 1000, 300, 1e299)",
)
def truncated_cosine(start, end, steps, decay, floor=0.0):
    left = steps - decay

    def value(t):
        if t < left:
            return SHAPES["cosine"](start, floor, t / steps)
        if t >= steps:
            return real(end)
        begin = SHAPES["cosine"](start, floor, Fraction(left, steps)) if decay < steps else start
        return SHAPES["linear"](begin, end, (t - left) / decay)

    return Exact.curve(value, steps, [left, steps])


@curve(
    over("lr_range_test(1e-7, 10.0, {})", ["0", "1", "100", "1000", "10**6", "10**12", "1000, every=10", "1000, every=7"]),
    over("lr_range_test(0.0, 1.0, {}, 'linear')", ["0", "7", "1000", "10**12"]),
    "lr_range_test(1e-3, 0.1, 2000, 'linear', 100)",
    "lr_range_test(1e-3, 0.1, 5, 'linear', every=3)",
    "lr_range_test(1e-300, 1e300, 1000)",
)
def lr_range_test(low, high, steps, kind="exponential", every=1):
    smooth = span(low, high, steps, SHAPES[kind])
    return smooth if every == 1 else smooth.staircase(every)


def permuted(t, n):
    """Place t of the fractal permutation of n numbers."""
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
    return Exact.curve(value, len(values) - 1)


@curve("from_function(lambda t: 1.0 / (t + 3), 50)", "from_function(lambda t: 2.0, 1)")
def from_function(f, steps):
    return from_table([f(t) for t in range(steps)])


# -------------------------------------------------------------------------------------------- methods and mixtures

composites(
    "join",
    "join([linear(0.0, 0.1, 10), cosine(0.1, 0.0, 90)], [10])",
    "join([constant(1.0), constant(2.0), constant(3.0)], [5, 5])",
    "join([constant(1.0), linear(0.0, 1.0, 10)], [0])",
    "join([cosine(0.1, 0.0, 1000), exponential(0.1, 0.99), inverse_sqrt(0.1, 3)], [500, 10**6])",
    "join([cosine(0.1, 0.0, 30)], [])",
    "join([linear(0.0, 1.0, 100)] * 50, [i * 37 for i in range(1, 50)])",
    "linear(0.0, 0.1, 10).then(cosine(0.1, 0.0, 90)).then(constant(1.0))",
    "cosine(0.1, 0.0, 0).then(exponential(0.1, 0.9))",
)
composites(
    "warmup",
    over("cosine(0.1, 0.0, 1000).warmup({})", ["0", "1", "2", "10", "137", "50, 0.01", "50, start=0.2", "10**6"]),
    [f"cosine(0.1, 0.0, 900).warmup(100, curve='{shape}')" for shape in TAILS],
    "cosine(0.1, 0.0, 900).warmup(100, 1e-5, 'exponential')",
    "cosine(3e-4, 3e-5, 100_000).warmup(2_000)",
    "cosine(3e-4, 3e-5, 10**12).warmup(10**9)",
    "inverse_sqrt(0.1, 4000).warmup(4000)",
    "noam(512, 4000).warmup(7)",
    "exponential(0.3, 0.999).warmup(10, 1.0).warmup(5)",
    "(cosine(0.1, 0.0, 50) * 0.3).warmup(3)",
    "(cosine(0.3, 0.0, 50) / 3.0).warmup(50, curve='cosine')",
    "constant(30.0).warmup(10**5, start=-0.001, curve='square')",
)
composites(
    "cooldown",
    over("cosine(0.1, 0.0, 1000).cooldown({})", ["500, 100", "0, 10", "500, 0", "2000, 10, 0.1", "999, 1"]),
    [f"inverse_sqrt(0.1, 100).cooldown(10**5, 10**4, curve='{shape}')" for shape in TAILS],
    "exponential(0.1, 0.9999).cooldown(10**4, 1000, 1e-6, 'exponential')",
    "inverse_sqrt(0.1, 100).cooldown(10**5, 10**4, 1e-3, 'inverse_proportional')",
    "power_lr(128, 128 * 4096, 2000).cooldown(10**6, 10**5, curve='halving')",
    "constant(0.1).warmup(100).cooldown(10**6, 10**5, curve='one_minus_sqrt')",
    "(linear(1.0, 0.3, 1000) * 0.7).cooldown(333, 50, end=-1.0)",
)
composites(
    "add",
    "linear(0.1, 0.0, 100) + cosine(0.0, 0.1, 70)",
    "cosine(0.1, 0.0, 10**6) + 0.01",
    "0.25 + exponential(0.1, 0.99)",
    "linear(1.0, 0.0, 1000) - cosine(1.0, 0.0, 1000)",
    "1.0 - cosine(1.0, 0.0, 1000)",
    "cosine(0.1, 0.0, 3000) - 0.05",
    "polynomial(1.0, 0.0, 1000, 2.0) - linear(1.0, 0.0, 1000)",
    "cyclic(0.0, 1.0, 5, 7) + warm_restarts(1.0, 0.0, 13)",
    "warm_restarts(0.1, 0.0, 100, 1.1) + step_decay(0.1, 0.5, 30)",
    "exponential(1.0, 0.999) + exponential(-1.0, 0.998)",
    "(linear(0.0, 1.0, 50) + linear(0.0, 1.0, 50)) + linear(0.0, -2.0, 50)",
    "constant(1e300) + linear(1e-300, 0.0, 10)",
    "-cosine(0.1, 0.0, 1000)",
    "inverse_sqrt(1.0, 10) + inverse_time(1.0, 0.001)",
    "from_table([0.1, 0.2, 0.3]) + linear(0.1, 0.0, 10)",
    "0.5 + inverse_time(0.001, 7.0, 4.75)",
    "inverse_time(0.6112, 17.0, 0.001) + 0.013",
    "from_table([0.0, 0.0, 0.0, 1.0, 1.0]) + cyclic(0.0, 1.0, 25)",
    " + ".join(["noam(512, 100)", "linear(0.1, 0.0, 1000)"] * 6),
)
composites(
    "multiply",
    "2.0 * cosine(0.1, 0.0, 1000)",
    "cosine(0.1, 0.0, 1000) * -3",
    "cosine(0.1, 0.0, 1000) / 3.0",
    "cosine(0.1, 0.0, 1000) / 1e-10",
    "0.0 * cosine(0.1, 0.0, 1000)",
    "linear(0.1, 0.0, 1000) * cosine(1.0, 0.1, 700)",
    "cosine(1.0, 0.0, 10**6) * cosine(1.0, 0.0, 10**6)",
    "exponential(0.1, 0.999) * inverse_sqrt(1.0, 100)",
    "polynomial(1.0, 0.0, 1000, 0.5) * polynomial(1.0, 0.0, 1000, 0.5)",
    "cyclic(0.0, 1.0, 50) * exponential(1.0, 0.9999)",
    "warm_restarts(1.0, 0.0, 50, 1.5) * linear(1.0, 0.0, 2000)",
    "linear(1.0, -1.0, 1000) * linear(-1.0, 1.0, 777)",
    "(cosine(1.0, 0.0, 500) - 0.5) * (linear(0.0, 1.0, 300) + 0.25)",
    "1e300 * (1e-300 * cosine(1.0, 0.5, 100))",
    "exponential(1e-160, 0.99) * exponential(1e-140, 0.99)",
    "linear(0.0, 1.0, 10**6) * exponential(1.0, 0.99)",
    "exponential(1.0, 0.8) * wsd(1.0, 10**4, 10**4, 10**4)",
    "exponential(1.0, 2.0) * exponential(1.0, 0.25)",
    "step_decay(1.0, 0.5, 1) * exponential(1.0, 1.9)",
)
composites(
    "clip",
    "cosine(0.1, 0.0, 1000).clip(0.01)",
    "cosine(0.1, 0.0, 1000).clip(high=0.07)",
    "cosine(0.1, 0.0, 1000).clip(0.02, 0.08)",
    "cosine(0.1, 0.0, 10**8).clip(low=1e-9, high=0.09999)",
    "exponential(0.1, 0.999).clip(low=1e-6)",
    "exponential(1e-6, 1.001).clip(high=1.0)",
    "warm_restarts(0.1, 0.0, 100, gain=0.9).clip(0.005, 0.05)",
    "cyclic(0.0, 1.0, 100, 50).clip(0.3, 0.6)",
    "(linear(1.0, -1.0, 1000) * linear(1.0, -1.0, 1000)).clip(0.1)",
    "(cosine(1.0, 0.0, 1000) - linear(1.0, 0.0, 1000)).clip(-0.05, 0.05)",
    "linear(0.0, 1.0, 100).clip(0.5, 0.5)",
    "linear(0.0, 1.0, 100).clip(2.0)",
    "interpolate([0.0, 1.0, 0.0, 1.0], [0, 500, 900, 1000], 'cosine').clip(0.1, 0.9)",
    "noam(512, 400).clip(high=1e-3)",
    "linear(0.1, 0.0, 10).clip()",
    "inverse_time(0.1, 1.0).clip(low=1e-4)",
    "inverse_time(0.1, 50.0).clip(low=1e-4)",
    "inverse_sqrt(0.1, 1.0).clip(low=1e-4)",
    "linear(-75.5, 1e20, 55).clip(-0.5, 31.7)",
)
composites(
    "shift",
    over("cosine(0.1, 0.0, 1000).shift({})", [0, 10, -10, 1000, -999, -1000, -5000, 10**6]),
    "warm_restarts(0.1, 0.0, 10, 2, 0.5).shift(-15)",
    "exponential(0.1, 0.9).shift(100)",
    "cyclic(0.0, 1.0, 5, 6).shift(-10**12 - 3)",
)
composites(
    "stretch",
    [f"cosine(0.1, 0.0, 1000).stretch({f})" for f in (3, 0.7, 1, 1e-3, 1e6, 0.5, 1 / 3)],
    "linear(0.0, 1.0, 10).warmup(3).stretch(0.7)",
    "exponential(0.1, 0.9).stretch(3)",
    "warm_restarts(0.1, 0.0, 100, 1.5).stretch(0.7)",
    "piecewise([1.0, 2.0, 3.0], [10, 20]).stretch(0.7)",
    "step_decay(0.1, 0.5, 10).stretch(2.5)",
    "from_table([0.1, 0.2, 0.3, 0.4]).stretch(3.3)",
    "cyclic(0.0, 1.0, 10, 7).stretch(0.7)",
    "cosine(0.1, 0.0, 1000).stretch(3).stretch(0.7)",
    "inverse_sqrt(0.1, 100).stretch(1e-9)",
    "warm_restarts(0.1, 0.0, 1).stretch(391)",
    "cyclic(0.0, 1.0, 1, 0).stretch(100)",
    "linear(0.0, 1.0, 3).repeat(1).stretch(1.5)",
    "from_table([1.0, 2.0, 3.0]).stretch(1e-25)",
    "cyclic(0.0, 1.0, 10).stretch(2.0**-14)",
    "warm_restarts(1.0, 0.1, 10).stretch(2.0**-20)",
    "step_decay(1.0, 0.5, 10).stretch(2.0**-64)",
    [f"cosine(0.1, 0.0, 1000).stretch({f})" for f in ("1, 3", "7, 3", "1000001, 999999", "10**6, 7", "0.5, 3")],
    "linear(0.0, 1.0, 10).repeat(10).stretch(10, 3)",
    "cyclic(0.0, 1.0, 7, 3).stretch(2**53 - 1, 10**9)",
    "cosine(0.1, 0.0, 30).shift(-7).stretch(1, 30)",
    "step_decay(0.1, 0.5, 7).stretch(13, 7).stretch(1, 13)",
)
composites(
    "restarts",
    "cosine(0.1, 0.001, 50, 2.0, 0.5).restarts(2.0, 0.9)",
    "polynomial(0.1, 0.01, 20, 2.0, 1.5).restarts(1.0, 0.5)",
    "polynomial(0.1, 0.0, 20, 0.5).restarts(1.5)",
    "linear(1.0, 0.2, 10).restarts()",
    "linear(1.0, 0.2, 100).restarts(0.5, 0.7)",
    "geometric(1.0, 0.01, 30).restarts(1.0, 0.8)",
    "geometric(1.0, 0.01, 30).restarts(2.0, 0.8)",
    "tanh(0.1, 0.01, 40).restarts(1.0, 0.9)",
    "tanh(0.1, 0.0, 40).restarts(0.75, 1.1)",
    "rex(0.1, 0.01, 40).restarts(3.0)",
    "one_minus_sqrt(0.1, 0.01, 40).restarts(1.25, 0.5)",
    "exponential_ramp(0.1, 0.01, 40, 0.5).restarts(1.25, 0.5)",
)
composites(
    "staircase",
    over("cosine(0.1, 0.0, 1000).staircase({})", [1, 10, 300, 1000, 5000]),
    "exponential(0.1, 0.9).staircase(10)",
    "exponential(0.1, 0.99999).staircase(1000)",
    "linear(0.1, 0.0, 10**6).staircase(10**4)",
    "warm_restarts(0.1, 0.0, 100, 1.5).staircase(7)",
    "cosine(0.1, 0.0, 1000).warmup(15).staircase(10)",
    "cosine(0.1, 0.0, 1000).staircase(10).stretch(0.7)",
    "inverse_time(0.1, 0.01).staircase(100)",
)
composites(
    "repeat",
    over("cosine(0.1, 0.0, 100).repeat({})", ["100", "70", "150", "100, 3", "100, 1", "1", "50, times=4"]),
    over("linear(0.1, 0.0, 30).repeat(30, gain={})", [0.5, 0.9, 1.01, 0.99999, 2.0, 1e-300]),
    "cosine(0.1, 0.01, 100).warmup(10).repeat(110, 5, 0.5)",
    "exponential(1.0, 0.9).repeat(50)",
    "exponential(1.0, 0.9).repeat(50, 3, gain=0.3)",
    "cosine(0.1, 0.0, 10).repeat(10, 10**6)",
    "cosine(0.1, 0.0, 10).repeat(10, times=100_000, gain=0.9999)",
    "cosine(0.1, 0.0, 10**9).repeat(10**9)",
    "cosine(0.1, 0.0, 7).repeat(7).repeat(25, gain=0.9)",
    "warm_restarts(1.0, 0.0, 10, 2).repeat(70, gain=0.5)",
    "piecewise([1.0, 0.5], [3]).repeat(5)",
    "constant(0.0).repeat(1, gain=1.1)",
    "cyclic(0.0, 1.0, 20_000, mode='exp_range', gamma=0.9)",
)
composites(
    "nested",
    "(cosine(0.1, 0.0, 1000).warmup(10) * exponential(1.0, 0.999)).clip(1e-4).cooldown(800, 100)",
    "cosine(0.1, 0.01, 90).warmup(10).repeat(100, gain=0.8).clip(low=0.005).stretch(3)",
    "join([cosine(0.1, 0.0, 50).repeat(50, 4), linear(0.1, 0.0, 100)], [200]).warmup(20).shift(5)",
    "((linear(0.0, 1.0, 10).repeat(10) + 0.5) * 0.1).staircase(3).repeat(100, 7, 1.1)",
    "(wsd(0.1, 100, 500, 400) + 0.001 * cyclic(0.0, 1.0, 10)).clip(high=0.1)",
    "one_cycle(0.1, 500).then(one_cycle(0.05, 300).repeat(300, 3)).shift(-77)",
    "(1.0 - noam(64, 30)).stretch(1.7).staircase(4)",
    "cosine(0.1, 0.0, 1000).warmup(10) * (1.0 + noise(0.1, limit=2.0, seed=3))",
    "(linear(0.1, 0.0, 100) + noise(0.01, 'uniform').staircase(10)).clip(0.0)",
    "inverse_power(0.1, 1, 0.275) * noise(1.0)",
    "chebyshev(0.1, 1.0, 16).stretch(2.5) * noise(0.1, seed=8).stretch(0.7)",
    "(chebyshev(0.5, 1.0, 8) + cyclic(0.0, 1.0, 5)).shift(-3)",
    "tanh(1.0, 0.0, 300).cooldown(200, 50, curve='cosine').repeat(250, gain=0.7).warmup(10)",
    "(rex(1.0, 0.0, 400) * step_decay(1.0, 0.5, 90) + geometric(1e-3, 1e-5, 300)).shift(50)",
)


# ------------------------------------------------------------------------------------------------- steps to try them at


def names_used(text: str) -> set[str]:
    """Every function and method name in an expression."""
    tree = ast.walk(ast.parse(text, mode="eval"))
    return {n.id if isinstance(n, ast.Name) else n.attr for n in tree if isinstance(n, ast.Name | ast.Attribute)}


def rng(text: str, salt: str = "") -> random.Random:
    """Random numbers that depend on the case alone."""
    return random.Random(zlib.crc32((text + salt).encode()))


def last_of(exact: Exact) -> int:
    """The end of the schedule, or of the steps there are."""
    return LAST_STEP if exact.steps is None else min(exact.steps, LAST_STEP)


def landmarks(exact: Exact) -> list[int]:
    """Joins and ends, changes of sign, and where values leave the normal range."""
    end = last_of(exact)
    marks = sorted({0, end, *(m for m in exact.marks if m <= end)})
    tiny, smallest, largest = mp.ldexp(1, -1022), mp.ldexp(1, -1075), mp.ldexp(1, 1024)
    found = []
    for function in (
        exact.at,
        lambda t: abs(exact.at(t)) - tiny,
        lambda t: abs(exact.at(t)) - smallest,
        lambda t: abs(exact.at(t)) - largest,
    ):
        found += crossings(function, marks)
    return sorted({*marks, *found})


def sample(text: str, exact: Exact, dense: int = 300, scattered: int = 250) -> list[int]:
    """Integer steps: all of a short schedule; both ends, landmarks, powers of two and random ones of a long one."""
    end = last_of(exact)
    chosen = {0, LAST_STEP}
    if end <= SHORT:
        chosen.update(range(end + 4))
        chosen.update((end + 1000, 10**9))
        return sorted(chosen)
    random_ = rng(text)
    chosen.update(range(dense))
    chosen.update(range(end - dense, min(end + 4, LAST_STEP + 1)))
    for mark in landmarks(exact):
        chosen.update(range(max(mark - 3, 0), min(mark + 4, LAST_STEP + 1)))
    chosen.update(n + d for k in range(2, 54) for d in (-1, 0, 1) if (n := 2**k) < end)
    chosen.update(random_.randrange(end) for _ in range(scattered))
    chosen.update(int(2 ** random_.uniform(0, math.log2(end))) for _ in range(scattered // 2))
    return sorted(chosen)


def fractional_sample(text: str, exact: Exact, scattered: int = 40) -> list[float]:
    """Steps between the integers: random, halves, and the floats next to landmarks."""
    end, random_ = last_of(exact), rng(text, "fractional")
    chosen = {0.5, 1e-3, math.pi, 1e-9}
    for mark in landmarks(exact)[:12]:
        chosen.update((mark - 0.5, mark + 0.25, math.nextafter(mark, 0.0), math.nextafter(mark, math.inf)))
    chosen.discard(5e-324)
    chosen.update(random_.uniform(0, max(end, 1)) for _ in range(scattered))
    chosen.update(2 ** random_.uniform(-3, math.log2(max(end, 2))) for _ in range(scattered))
    return sorted(t for t in chosen if 0 <= t <= LAST_STEP)


# --------------------------------------------------------------------------------------------- what there is to cover


def gives_a_schedule(function, lk) -> bool:
    """Whether the annotations say that a call gives a Schedule."""
    hint = getattr(function, "__annotations__", {}).get("return")
    return hint is lk.Schedule or str(hint).rpartition(".")[2].strip("'\"") == "Schedule"


def public_curves(lk) -> set[str]:
    """Names in `lrkern.__all__` of functions that give a Schedule from numbers; parse takes a text, refine a record."""
    curves = {n for n in lk.__all__ if callable(getattr(lk, n)) and gives_a_schedule(getattr(lk, n), lk)}
    return curves - {"parse", "refine"}


def public_methods(lk) -> set[str]:
    """Names of the methods of Schedule that give another one."""
    methods = {n: f for n, f in vars(lk.Schedule).items() if callable(f) and not n.startswith("_")}
    return {n for n, f in methods.items() if gives_a_schedule(f, lk)}


def has_local_times(text):
    """Whether steps become fractions on the way: in stretched time, and in restarts whose lengths change."""
    return "stretch" in text or "restarts" in text


# --------------------------------------------------------------------------------------------------------------- steps

# Optimizer -> options to try it with.
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
    ],
    "LAMB": [{"lr": 0.01}, {"lr": 0.01, "weight_decay": 0.1, "bias_correction": False, "maximize": True}],
}

# Optimizer -> options, peak learning rate and number of steps with which it comes down to a minimum.
DESCENTS = {
    "SGD": ({"momentum": 0.9}, 1e-3, 6000),
    "Adam": ({}, 2e-2, 6000),
    "AdamW": ({"weight_decay": 0.0}, 2e-2, 6000),
    "Lion": ({}, 2e-3, 6000),
    "RMSprop": ({"momentum": 0.5}, 2e-3, 6000),
    "Adagrad": ({}, 0.5, 6000),
    "LARS": ({"momentum": 0.9, "trust": 1.0}, 1e-3, 6000),
    "LAMB": ({}, 2e-2, 6000),
}

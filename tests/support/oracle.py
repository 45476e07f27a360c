"""Exact twins of schedules: slow, obvious, written from the formulas alone (60 digits, exact integers for the steps).

`namespace` maps the name of every curve to a function with the same arguments; the formulas stand in cases.py, beside
the cases they are tried on.  `Exact` has the methods and operators of a schedule, so evaluating the text of a schedule
in `namespace` gives its twin:

    >>> import oracle
    >>> twin = oracle.evaluate("cosine(0.1, 0.0, 3).warmup(2)")
    >>> print(oracle.mp.nstr(twin.at(3), 20))
    0.075000000000000004163

Every float64 argument means exactly the number it holds.  Steps are fractions throughout, so which piece, cycle or
table entry a step falls into is never a question of rounding.
"""

from __future__ import annotations

import functools
import math
import numbers
from fractions import Fraction
from typing import NamedTuple

import mpmath

DIGITS = 60
mp = mpmath.MPContext()
mp.dps = DIGITS
fine = mpmath.MPContext()  # for the places of restart cycles, where steps and starts of cycles nearly cancel
fine.dps = 2 * DIGITS
MPF = (mp.mpf, mpmath.mpf)

namespace: dict[str, object] = {}


def evaluate(text: str) -> Exact:
    """The exact twin of an expression, as written or as printed by repr."""
    return eval(text, {"__builtins__": {"float": float, "int": int, "range": range}}, namespace)


def real(x):
    """An mpf from a number of any kind."""
    if isinstance(x, MPF):  # some versions of mpmath call it a numbers.Real: ask first
        return x
    if isinstance(x, Fraction):
        return mp.make_mpf(mpmath.libmp.from_rational(x.numerator, x.denominator, mp.prec))
    return mp.mpf(int(x) if isinstance(x, numbers.Integral) else float(x))


def exactly(x):
    """A Fraction where the number is one, else (an mpf) the number itself."""
    if isinstance(x, (MPF, Fraction)):
        return x
    return Fraction(int(x)) if isinstance(x, numbers.Integral) else Fraction(float(x))


class Measured(NamedTuple):
    """A value, and the magnitude of the larger term of the sum that gave it, where its terms cancelled; else its own."""

    value: object
    scale: object


def measured(x):
    """The scale of the error of a number that is not a sum with cancellation: the number itself."""
    return x if isinstance(x, Measured) else Measured(x, abs(x))


class Undefined(Exception):
    """The value is undefined: a division by zero, or a power of a negative number."""


def rational(x):
    """A Fraction for a number that is one, as far as 50 digits tell."""
    if not isinstance(x, MPF):
        return exactly(x)
    if x > 2**62:  # where clocks stand still, far beyond every step
        return Fraction(2**62)
    man, exp = (-1) ** x._mpf_[0] * x._mpf_[1], x._mpf_[2]
    whole = Fraction(int(man)) * Fraction(2) ** exp
    near = whole.limit_denominator(10**24)
    return near if abs(near - whole) <= max(abs(whole), 1) / 10**50 else whole


def blend(start, end, w, v):
    """start w + end v for w + v = 1, exact where all four are rational; rounding residue at an exact zero becomes 0."""
    a, b = real(start) * real(w), real(end) * real(v)
    if not any(isinstance(x, MPF) for x in (start, end, w, v)):
        total = real(exactly(start) * w + exactly(end) * v)
    else:
        total = a + b
        if (a > 0) != (b > 0) and abs(total) < mp.ldexp(max(abs(a), abs(b)), -160):
            total = mp.zero
    return Measured(total, max(abs(total), abs(a), abs(b)) if (a > 0) != (b > 0) else abs(total))


# ------------------------------------------------------------------------------------------------ shapes of one ramp
# Each gives (w, v): the weights of `start` and `end` at progress p, 0 <= p < 1, w + v = 1, each with full precision.


def linear_weights(p):
    return 1 - p, p


def cosine_weights(p):
    # (1 + cos(pi p))/2 = cos(pi p/2)^2, and its complement is the square of the sine
    half = real(p) / 2
    w, v = mp.cospi(half), mp.sinpi(half)
    return w * w, v * v


def one_minus_sqrt_weights(p):
    root = mp.sqrt(real(p))
    return real(1 - p) / (1 + root), root  # 1 - sqrt(p) = (1 - p)/(1 + sqrt(p))


def square_weights(p):
    return 1 - p * p, p * p


def raised(log, power):
    """x^power and 1 - x^power from the logarithm of x."""
    exponent = real(power) * log
    w = mp.exp(exponent)
    return w, -mp.expm1(exponent) if w > 0.9 else 1 - w


def log_of_rest(p):
    """log(1 - p), where 1 - p may lie closer to 1 than DIGITS digits can tell."""
    return mp.log(real(1 - p)) if p > 2.0**-120 else -real(p) - real(p) ** 2 / 2 - real(p) ** 3 / 3


def warped(p, warp):
    """p^warp and 1 - p^warp."""
    if warp == 1 or p in (0, 1):
        return p, 1 - p
    return raised(mp.log(real(p)) if p < 0.5 else log_of_rest(1 - p), warp)


def power_weights(p, power, warp=1):
    p, rest = warped(p, warp)
    if not rest:
        return mp.zero, mp.one
    return raised(mp.log(real(rest)) if p > 0.5 else log_of_rest(p), power)


def cosine_power_weights(p, power, warp=1):
    p, rest = warped(p, warp)
    if not rest:
        return mp.zero, mp.one
    w, v = (mp.sinpi(real(rest) / 2), mp.cospi(real(rest) / 2)) if p > 0.5 else (mp.cospi(real(p) / 2), mp.sinpi(real(p) / 2))
    if power == 1:
        return w * w, v * v
    return raised(log_of_rest(v * v) if p < 0.5 else 2 * mp.log(w), power)


def mirror_cosine_weights(p):
    w, v = cosine_weights(p)
    return real(2 * (1 - p)) - w, real(2 * p) - v


def halving_weights(p):
    return mp.expm1(real(1 - p) * mp.ln2), -2 * mp.expm1(-real(p) * mp.ln2)


def along(weights):
    """A ramp (start, end, p) -> value, measured, from a rule for weights."""
    return lambda start, end, p: blend(start, end, *weights(p))


def geometric_ramp(start, end, p):
    start, end = real(start), real(end)
    return measured(start * mp.power(end / start, real(p)))


def inverse_ramp(start, end, p):
    return measured(1 / (real(1 - p) / real(start) + real(p) / real(end)))


SHAPES = {
    "linear": along(linear_weights),
    "cosine": along(cosine_weights),
    "one_minus_sqrt": along(one_minus_sqrt_weights),
    "square": along(square_weights),
    "exponential": geometric_ramp,
    "mirror_cosine": along(mirror_cosine_weights),
    "halving": along(halving_weights),
    "inverse_proportional": inverse_ramp,
}


def ramp_at(curve, start, end, t, steps):
    """The value, measured, at step t of a ramp by its name, 0 <= t < steps."""
    if curve == "logarithmic":
        whole = mp.log1p(real(steps))
        return blend(start, end, mp.log1p(real(Fraction(steps - t) / (1 + t))) / whole, mp.log1p(real(t)) / whole)
    return SHAPES[curve](start, end, t / steps)


def carried(curve, scale, value, ramp, at_start, t, steps):
    """What a scale of one end, larger than its value, comes to within a ramp from or to it."""
    if scale <= abs(value):
        return mp.zero
    if curve in ("exponential", "inverse_proportional"):
        return ramp * scale / value
    return ramp_at(curve, *((scale, 0) if at_start else (0, scale)), t, steps).value


# --------------------------------------------------------------------------------------------------------- schedules


class Exact:
    """A schedule as a function Fraction -> (value, scale), both mpf.

    `scale` is what the accuracy promise is measured in: |value|, or the magnitude of the larger term where a sum
    cancelled on the way to the value.  `marks` are steps worth looking at: joins, ends, the first few boundaries.
    """

    def __init__(self, function, steps, marks=(), ramp=None, begin=None, is_constant=False, levels=None):
        self._function = function
        self._begin = begin or function  # the same where phases of no steps that lie at t count with their start
        self.steps = steps
        self.ramp = ramp  # of a curve between two numbers: they, and (start, end, p) -> value
        self.is_constant = is_constant
        self.joined = None  # of a join: its parts, boundaries and their sides
        self.levels = levels  # of one that is constant from change to change: [(step, value from there on), ...]
        self.marks = tuple(sorted({int(m) for m in marks if 0 <= m <= 2**53}))[:40]

    @classmethod
    def curve(cls, value, steps, marks=(), begin=None, **more):
        """A curve from its formula, a function Fraction -> mpf or Measured; `begin`: the same with phases of no steps."""
        start = begin and (lambda t: measured(begin(t)))
        return cls(lambda t: measured(value(t)), steps, marks if marks or not steps else (steps,), begin=start, **more)

    def at_with_scale(self, t):
        return self._function(Fraction(int(t)) if isinstance(t, numbers.Integral) else Fraction(t))

    def at(self, t):
        return self.at_with_scale(t)[0]

    # -- arithmetic
    def __add__(self, other):
        def add(x, y):
            (a, sa), (b, sb) = x, y
            return a + b, max(sa, sb, abs(a + b))

        return self.combined(as_exact(other), add)

    def __mul__(self, other):
        other = as_exact(other)

        def multiply(x, y):
            (a, sa), (b, sb) = x, y
            return a * b, max(sa * abs(b), abs(a) * sb)

        return self.combined(other, multiply, is_constant=self.is_constant and other.is_constant)

    def __neg__(self):
        return self.mapped(lambda v: -v)

    def __sub__(self, other):
        return self + -as_exact(other)

    def __rsub__(self, other):
        return as_exact(other) + -self

    def __truediv__(self, other):
        if isinstance(other, numbers.Real):
            divisor = real(other)
            return self.mapped(lambda v: v / divisor)

        def divide(x, y):
            (a, sa), (b, sb) = x, y
            if b == 0:
                raise Undefined
            return a / b, max(sa / abs(b), abs(a) * sb / (b * b))

        return self.combined(other, divide, is_constant=self.is_constant and other.is_constant)

    def __rtruediv__(self, number):
        return as_exact(number) / self

    def __pow__(self, power):
        if power == 0:
            return Exact.curve(lambda t: mp.one, self.steps, is_constant=True)
        if power in (1, 2):
            return self if power == 1 else self * self

        def raised(value, scale):
            if value == 0 and power > 0:
                return mp.zero, scale**power
            if value == 0 or (value < 0 and power != math.floor(power)):
                raise Undefined
            result = mp.power(abs(value), real(power)) * (-1 if value < 0 and power % 2 == 1 else 1)
            return result, abs(result) * scale / abs(value)

        return Exact(lambda t: raised(*self._function(t)), self.steps, self.marks, begin=lambda t: raised(*self._begin(t)))

    __radd__ = __add__
    __rmul__ = __mul__

    def combined(self, other, operation, **more):
        return Exact(
            lambda t: operation(self._function(t), other._function(t)),
            longest(self, other),
            self.marks + other.marks,
            begin=lambda t: operation(self._begin(t), other._begin(t)),
            **more,
        )

    def mapped(self, linear):
        def both(value, scale):
            return linear(value), abs(linear(scale))

        return Exact(
            lambda t: both(*self._function(t)),
            self.steps,
            self.marks,
            begin=lambda t: both(*self._begin(t)),
            is_constant=self.is_constant,
        )

    # -- in time
    def seen_at(self, place, steps, marks):
        """This schedule with step t replaced by place(t)."""
        return Exact(lambda t: self._function(place(t)), steps, marks, begin=lambda t: self._begin(place(t)))

    def shift(self, n):
        steps = None if self.steps is None else max(self.steps + n, 0)
        shifted = self.seen_at(lambda t: max(t - n, Fraction(0)), steps, (max(n, 0), *(m + n for m in self.marks)))
        if n > 0:
            shifted._function = lambda t: self._function(t - n) if t >= n else self._begin(Fraction(0))
        return shifted

    def stretch(self, factor, divisor=1):
        factor = Fraction(factor) / divisor
        steps = None if self.steps is None else math.ceil(self.steps * factor)
        return self.seen_at(lambda t: t / factor, steps, [math.floor(m * factor) for m in self.marks])

    def staircase(self, every, side="from"):
        steps = None if self.steps is None else -(-self.steps // every) * every + (side == "after")
        marks = [k * every for k in (1, 2, 3)] + [-(-m // every) * every for m in self.marks]
        return self.seen_at(lambda t: Fraction(every * whole_times(t, every, side)), steps, marks)

    def repeat(self, period, times=None, gain=1.0, side="from"):
        gain = real(gain)

        def cycle(t):
            i = whole_times(t, period, side)
            return i if times is None else min(i, times - 1)

        def seen(of, t):
            i = cycle(t)
            value, scale = of(t - i * period)
            return value * gain**i, scale * gain**i

        if times is None or self.steps is None:
            steps = None
        else:
            steps = (times - 1) * period + self.steps
        last = 10**9 if times is None else times - 1
        first = [i for i in (0, 1, 2, 3, 1000, 10**6, last) if i <= last]
        marks = [i * period + m for i in first for m in (0, *self.marks[:3]) if m <= period or i == last]
        return Exact(
            lambda t: seen(self._function, t),
            steps,
            [*marks, *([steps] if steps else [])],
            begin=lambda t: seen(self._begin, t),
        )

    def restarts(self, growth=1.0, gain=1.0, warmup=0, warmup_start=0.0):
        start, end, ramp = self.ramp
        period, rate = self.steps + warmup, exactly(growth)
        rest = self.at(self.steps)

        def value(t):
            cycle = restart_cycle(t, period, rate)
            if cycle is None:
                return rest
            i, place, length = cycle
            top = real(start) * mp.power(real(gain), i)
            if place < warmup:
                return SHAPES["linear"](warmup_start, top, place / warmup)
            return ramp(top, end, (place - warmup) / (length - warmup))

        marks, begin, length = [], Fraction(period), Fraction(period)
        for _ in range(12):
            marks.append(math.floor(begin))
            length *= rate
            begin += length
        marks += [10**6 * period] if rate == 1 else []
        marks += [math.floor(period / (1 - rate))] if rate < 1 else []
        return Exact.curve(value, None, marks)

    def warmup(self, steps, start=0.0, curve="linear"):
        if steps == 0:
            return self

        def function(t):
            if t >= steps:
                return self._function(t - steps)
            goal, scale = self._begin(Fraction(0))
            value, terms = ramp_at(curve, start, goal, t, steps)
            return value, max(terms, carried(curve, scale, goal, value, False, t, steps))

        total = None if self.steps is None else self.steps + steps
        marks = (steps, *(m + steps for m in self.marks))
        return Exact(function, total, marks, begin=lambda t: function(t) if t < steps else self._begin(t - steps))

    def cooldown(self, at, steps, end=0.0, curve="linear"):
        def function(t):
            if t < at:
                return self._function(t)
            if t >= at + steps:
                return real(end), abs(real(end))
            begin, scale = self._begin(Fraction(at))
            value, terms = ramp_at(curve, begin, end, t - at, steps)
            return value, max(terms, carried(curve, scale, begin, value, True, t - at, steps))

        marks = (at, at + steps, *(m for m in self.marks if m < at))
        return Exact(function, at + steps, marks, begin=lambda t: self._begin(t) if t <= at else function(t))

    finish = cooldown

    def extend(self, total, at):
        factor = Fraction(self.steps - at, total - at)

        def place(t):
            return t if t < at else at + (t - at) * factor

        marks = [m if m < at else math.floor(at + (m - at) / factor) for m in self.marks]
        return self.seen_at(place, total, [at, total, *marks])

    def then(self, other):
        if self.joined is None:
            return join([self, other], [self.steps])
        parts, boundaries, sides = self.joined
        return join([*parts, other], [*boundaries, self.steps], [*sides, "from"])

    def of(self, clock):
        def place(t):
            return rational(clock.at(t))

        if self.steps is None or place(Fraction(2**53)) < self.steps:
            return self.seen_at(place, clock.steps, clock.marks)
        low, high = 0, 2**53
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if place(Fraction(middle)) >= self.steps else (middle + 1, high)
        return self.seen_at(place, low, [low, *clock.marks])

    def cumulative(self):
        def function(t):
            total, ends = Fraction(0), [begin for begin, _ in self.levels[1:]]
            for (begin, level), end in zip(self.levels, [*ends, t], strict=True):
                total += exactly(level) * max(min(Fraction(end), t) - begin, 0)
            return measured(real(total))

        last, level = self.levels[-1]
        return Exact(function, last if level == 0 else None, self.marks)

    # -- in value
    def clip(self, low=None, high=None):
        low = None if low is None else real(low)
        high = None if high is None else real(high)

        def clipped(value, scale):
            held = value
            if low is not None:
                held = max(held, low)
            if high is not None:
                held = min(held, high)
            # just past a crossing a rounded value may still lie on the other side of the bound
            near = abs(value - held) <= mp.ldexp(scale, -50)
            return held, scale if near else abs(held)

        marks = list(self.marks)
        for bound in (low, high):
            if bound is not None:
                marks += crossings(lambda t, bound=bound: self.at(t) - bound, [0, *self.marks])
        return Exact(lambda t: clipped(*self._function(t)), self.steps, marks, begin=lambda t: clipped(*self._begin(t)))


def whole_times(t, n, side):
    """How many times n there have been by t; "after": one that ends at t is not over yet."""
    k = math.floor(t / n)
    return k - 1 if side == "after" and k > 0 and t == k * n else k


def as_exact(x):
    return x if isinstance(x, Exact) else namespace["constant"](x)


def longest(*parts):
    return None if any(p.steps is None for p in parts) else max(p.steps for p in parts)


def crossings(function, marks):
    """The last integer step before each change of sign of `function` between neighbouring marks."""
    found = []
    marks = sorted(set(marks))[:16]

    def above(t):
        try:
            return function(t) > 0
        except Undefined:  # a pole: to either side of it there may be a crossing, which is not looked for
            return False

    for left, right in zip(marks, marks[1:], strict=False):
        # a mark may be a jump: look at the stretch just before it
        right = max(left, right - 1)
        sign = above(left)
        if above(right) == sign:
            continue
        while right - left > 1:
            middle = (left + right) // 2
            if above(middle) == sign:
                left = middle
            else:
                right = middle
        found.append(left)
    return found


def span(start, end, steps, ramp):
    """A curve from start to end over `steps` steps along ramp(start, end, p), then held at end."""

    def value(t):
        return real(end) if t >= steps else ramp(start, end, t / steps)

    def begin(t):
        return ramp(start, end, Fraction(0)) if steps == 0 and t == 0 else value(t)

    exact = Exact.curve(value, steps, begin=begin)
    exact.ramp = start, end, ramp
    return exact


def reached(t, boundaries, side):
    """How many boundaries t has reached, or passed where they are "after" ones."""
    sides = [side] * len(boundaries) if isinstance(side, str) else side
    return sum(b < t if one == "after" else b <= t for b, one in zip(boundaries, sides, strict=True))


def join(schedules, boundaries, side="from"):
    """Each schedule from its boundary on, counting its own steps from there."""
    boundaries = [Fraction(b) for b in boundaries]
    starts = [Fraction(0), *boundaries]

    def function(t):
        i = reached(t, boundaries, side)
        return schedules[i]._function(t - starts[i])

    def begin(t):
        holds = i = reached(t, boundaries, side)
        while i > 0 and starts[i] == t == starts[i - 1]:
            i -= 1
        while i < holds and schedules[i].is_constant:
            i += 1
        return schedules[i]._begin(t - starts[i])

    last = schedules[-1].steps
    marks = [*map(math.floor, boundaries), *map(math.ceil, boundaries)]
    for i, (s, first) in enumerate(zip(schedules, starts, strict=True)):
        limit = boundaries[i] if i < len(boundaries) else 2**53
        marks += [math.ceil(first + m) for m in s.marks if first + m <= limit]
    exact = Exact(function, None if last is None else math.ceil(starts[-1]) + last, marks, begin=begin)
    exact.joined = schedules, boundaries, [side] * len(boundaries) if isinstance(side, str) else side
    return exact


namespace["join"] = join


def restart_cycle(t, period, growth):
    """(i, place, length) of the restart cycle that step t lies in; None past the end of all cycles (growth < 1).

    Cycle i starts at period (1 + growth + ... + growth^(i-1)) and is period growth^i long.  The comparison that decides
    i is made with 160 digits, and in exact fractions where that cannot tell.
    """
    growth = Fraction(growth)
    if growth == 1:
        i = math.floor(t / period)
        return i, t - i * period, Fraction(period)
    if growth < 1 and t * (1 - growth) >= period:
        return None
    reached = 1 + t * (growth - 1) / period  # growth^i where t is the start of cycle i
    base, log_base = restart_base(growth)
    x = fine.mpf(reached.numerator) / reached.denominator

    def begun(i):
        power = base**i
        if abs(power - x) > x * fine.mpf(10) ** -100:
            return power <= x if growth > 1 else power >= x
        assert i < 3000, "too close to call"  # so far out no start of a cycle is a number a step can be
        return growth**i <= reached if growth > 1 else growth**i >= reached

    i = max(int(fine.floor(fine.log(x) / log_base)) - 1, 0)
    while begun(i + 1):
        i += 1
    assert begun(i)
    place = (x - base**i) * period / (base - 1)
    return i, mp.mpf(place), mp.mpf(period * base**i)


@functools.cache
def restart_base(growth):
    """(growth, log(growth)) with many digits, also next to 1."""
    base = fine.mpf(growth.numerator) / growth.denominator
    with fine.workdps(4 * DIGITS):
        return base, +fine.log(base)


import cases  # noqa: E402, F401  (the formulas of the curves, which enter themselves into `namespace`)

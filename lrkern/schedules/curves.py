"""The curves: each checks its arguments and returns a node of the C expression.

These have one formula, or one that repeats; curves of several phases are in recipes.py. Most are compositions of the
primitives in `_core`: ramps between two values, power laws, exponentials, tables, sums, products, joins, repetitions.

Common to all: t is the 0-based index of the optimizer update; a curve of length `steps` runs from `start` at t = 0 to exactly
`end` at t = steps and holds `end` after that; `steps=0` is `end` everywhere. Values are any finite numbers, counts are
integers. Errors: TypeError for the wrong kind of argument, ValueError for a value out of range, OverflowError for a value
beyond float64. Accuracy: 0.6 ULP of the formula at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from lrkern import _core
from lrkern._checks import MAX_COUNT, choice, count, counts, describe, real, reals, single, times
from lrkern.schedules import shapes
from lrkern.schedules.define import Recipe, curve, ends
from lrkern.schedules.expression import Schedule
from lrkern.schedules.sides import sides

__all__ = [
    "chebyshev",
    "constant",
    "cosine",
    "cyclic",
    "exponential",
    "exponential_ramp",
    "from_function",
    "from_table",
    "geometric",
    "interpolate",
    "inverse_power",
    "inverse_sqrt",
    "inverse_time",
    "line",
    "linear",
    "noise",
    "one_minus_sqrt",
    "piecewise",
    "polynomial",
    "rex",
    "step_decay",
    "tanh",
    "warm_restarts",
]


def _bent(where: str, name: str, power: float) -> float:
    """A power, checked against the bounds within which results keep full precision."""
    return real(where, name, power, low=1e-3, high=1e3)


@curve
def constant(value: float) -> Recipe:
    """Always `value`. Its length is 0 (`steps` is 0), so `then` continues at once with what follows.

    >>> import lrkern as lk
    >>> lk.constant(0.1)(1000)
    0.1
    """
    value = real("constant", "value", value)
    return (value,), _core.constant(value), 0


@curve
def linear(start: float, end: float, steps: int) -> Recipe:
    """start + (end - start) t/steps.

    Source: torch LinearLR, optax linear_schedule; here `steps=0` and any `start` (also 0) are allowed.

    >>> import lrkern as lk
    >>> lk.linear(0.1, 0.0, 4).table(6)
    array([0.1  , 0.075, 0.05 , 0.025, 0.   , 0.   ])
    """
    start, end, steps = ends("linear", start, end, steps)
    return (start, end, steps), _core.ramp_between("fall", 1.0, 1.0, steps, start, end), steps


@curve
def line(start: float, slope: float, every: float = 1) -> Recipe:
    """start + slope t/every; never ends.

    Args:
        start: value at t = 0.
        slope: increase per `every` steps, any number.
        every: > 0, need not be an integer.

    Source: Smith, learning-rate range tests, arXiv 1506.01186; deepspeed LRRangeTest.

    >>> import lrkern as lk
    >>> lk.line(0.5, 0.25, every=2).table(4)
    array([0.5  , 0.625, 0.75 , 0.875])
    """
    start, slope = real("line", "start", start), real("line", "slope", slope)
    every = real("line", "every", every, above=0.0)
    return (start, slope, every), _core.line(start, slope, every), None


@curve
def polynomial(start: float, end: float, steps: int, power: float = 1.0, warp: float = 1.0) -> Recipe:
    """end + (start - end)(1 - (t/steps)^warp)^power, power > 0.

    Args:
        warp: 0.001 to 1000; above 1 the fall begins later, below 1 sooner.

    Source: torch PolynomialLR, keras PolynomialDecay, optax polynomial_schedule; `warp` is the k-decay of Zhang and Li,
        arXiv 2004.05909.

    >>> import lrkern as lk
    >>> lk.polynomial(1.0, 0.0, 4, power=2.0).table(5)
    array([1.    , 0.5625, 0.25  , 0.0625, 0.    ])
    >>> lk.polynomial(1.0, 0.0, 4, warp=2.0).table(5)
    array([1.    , 0.9375, 0.75  , 0.4375, 0.    ])
    """
    start, end, steps = ends("polynomial", start, end, steps)
    power = real("polynomial", "power", power, above=0.0)
    warp = _bent("polynomial", "warp", warp)
    shape = ("rise", warp, 0.0) if power == 1.0 and warp != 1.0 else ("fall", power, warp)
    return (start, end, steps, power, warp), _core.ramp_between(*shape, steps, start, end), steps


@curve
def cosine(start: float, end: float, steps: int, power: float = 1.0, warp: float = 1.0) -> Recipe:
    """end + (start - end)((1 + cos(pi (t/steps)^warp))/2)^power, then `end` (torch's and transformers' rise again).

    Args:
        power: 0.001 to 1000.
        warp: 0.001 to 1000; above 1 the fall begins later, below 1 sooner.

    Source: Loshchilov and Hutter, SGDR, arXiv 1608.03983; torch CosineAnnealingLR. `power` is optax' exponent, `warp` the
        k-decay of Zhang and Li, arXiv 2004.05909, in timm.

    >>> import lrkern as lk
    >>> lk.cosine(0.1, 0.0, 4)(2), lk.cosine(0.1, 0.0, 4)(100)
    (0.05, 0.0)
    >>> lk.cosine(1.0, 0.0, 4, power=2.0)(2), lk.cosine(1.0, 0.0, 4, warp=0.5)(1)
    (0.25, 0.5)
    """
    start, end, steps = ends("cosine", start, end, steps)
    power, warp = _bent("cosine", "power", power), _bent("cosine", "warp", warp)
    return (start, end, steps, power, warp), _core.ramp_between("cosine", power, warp, steps, start, end), steps


@curve
def geometric(start: float, end: float, steps: int) -> Recipe:
    """start (end/start)^(t/steps), both ends > 0: a constant ratio from step to step.

    Source: the exponential sweep of learning-rate range tests; torch ExponentialLR with its end given instead of its rate.

    >>> import lrkern as lk
    >>> lk.geometric(1.0, 0.01, 2).table(3)
    array([1.  , 0.1 , 0.01])
    """
    start, end = real("geometric", "start", start, above=0.0), real("geometric", "end", end, above=0.0)
    steps = count("geometric", "steps", steps)
    return (start, end, steps), _core.ramp_between("geometric", 0.0, 0.0, steps, start, end), steps


@curve
def exponential_ramp(start: float, end: float, steps: int, ratio: float) -> Recipe:
    """end + (start - end)(ratio^(t/steps) - ratio)/(1 - ratio): an exponential from start to end.

    Args:
        ratio: the slope at the end divided by that at the start, 1e-100 to 1e100 except 1: below 1 the fall is fast at first.

    Source: timm WSDLRScheduler with decay_fn="exp"; Megatron-LM's exponential tail, whose ratio is 1/2.

    >>> import lrkern as lk
    >>> lk.exponential_ramp(1.0, 0.0, 2, 0.25).table(4).round(4)
    array([1.    , 0.3333, 0.    , 0.    ])
    """
    start, end, steps = ends("exponential_ramp", start, end, steps)
    ratio = real("exponential_ramp", "ratio", ratio, low=1e-100, high=1e100)
    if ratio == 1.0:
        raise ValueError("exponential_ramp: ratio must not be 1, which is a straight line; got 1.0 (float)")
    return (start, end, steps, ratio), _core.ramp_between("exponential", ratio, 0.0, steps, start, end), steps


@curve
def exponential(start: float, rate: float, every: float = 1, end: float | None = None) -> Recipe:
    """start rate^(t/every), never past `end`; never ends.

    Args:
        start: value at t = 0.
        rate: factor per `every` steps, > 0.
        every: > 0, need not be an integer.
        end: the bound, on the side of `start` towards which the curve moves. With rate 1 the curve is constant.

    Source: keras ExponentialDecay, optax exponential_decay; `step_decay` is their staircase form.

    >>> import lrkern as lk
    >>> lk.exponential(1.0, 0.5, every=2, end=0.3).table(6).round(4)
    array([1.    , 0.7071, 0.5   , 0.3536, 0.3   , 0.3   ])
    """
    start = real("exponential", "start", start)
    rate = real("exponential", "rate", rate, above=0.0)
    every = real("exponential", "every", every, above=0.0)
    node = _core.exponential(start, rate, every)
    if end is not None:
        if rate == 1.0 or start == 0.0:
            end = real("exponential", "end", end)
        elif (rate < 1.0) == (start > 0.0):
            end = real("exponential", "end", end, high=start)
            node = _core.clip(node, end, np.inf)
        else:
            end = real("exponential", "end", end, low=start)
            node = _core.clip(node, -np.inf, end)
    return (start, rate, every, end), node, None


@curve
def inverse_time(start: float, rate: float, every: float = 1) -> Recipe:
    """start / (1 + rate t/every), rate >= 0; never ends.

    Source: keras InverseTimeDecay.

    >>> import lrkern as lk
    >>> lk.inverse_time(1.0, 1.0).table(4).round(4)
    array([1.    , 0.5   , 0.3333, 0.25  ])
    """
    start = real("inverse_time", "start", start)
    rate = real("inverse_time", "rate", rate, low=0.0)
    every = real("inverse_time", "every", every, above=0.0)
    return (start, rate, every), _core.power_law(start, every, rate, every, -1.0), None


@curve
def inverse_sqrt(start: float, timescale: float) -> Recipe:
    """start / sqrt(1 + t/timescale), timescale > 0; never ends.

    Source: Zhai et al., arXiv 2106.04560 (big_vision's rsqrt); transformers get_inverse_sqrt_schedule.

    >>> import lrkern as lk
    >>> lk.inverse_sqrt(1.0, 100)(300)
    0.5
    """
    start = real("inverse_sqrt", "start", start)
    timescale = real("inverse_sqrt", "timescale", timescale, above=0.0)
    return (start, timescale), _core.power_law(start, timescale, 1.0, timescale, -0.5), None


@curve
def inverse_power(start: float, timescale: float, power: float) -> Recipe:
    """start (1 + t/timescale)^-power, timescale > 0; never ends.

    Args:
        power: 0 to 1e6; 1/2 is `inverse_sqrt`, 1 `inverse_time`.

    Source: timm WSDLRScheduler with stable_fn="power".

    >>> import lrkern as lk
    >>> lk.inverse_power(1.0, 100, 2.0)(100)
    0.25
    """
    start = real("inverse_power", "start", start)
    timescale = real("inverse_power", "timescale", timescale, above=0.0)
    power = real("inverse_power", "power", power, low=0.0, high=1e6)
    return (start, timescale, power), _core.power_law(start, timescale, 1.0, timescale, -power), None


@curve
def one_minus_sqrt(start: float, end: float, steps: int) -> Recipe:
    """end + (start - end)(1 - sqrt(t/steps)).

    Source: the cooldown that Hagele et al., arXiv 2405.18392, found best.

    >>> import lrkern as lk
    >>> lk.one_minus_sqrt(1.0, 0.0, 4).table(5).round(4)
    array([1.    , 0.5   , 0.2929, 0.134 , 0.    ])
    """
    start, end, steps = ends("one_minus_sqrt", start, end, steps)
    return (start, end, steps), _core.ramp_between("rise", 0.5, 0.0, steps, start, end), steps


@curve
def tanh(start: float, end: float, steps: int, lower: float = -7.0, upper: float = 3.0) -> Recipe:
    """end + (start - end)(1 - tanh(lower (1 - r) + upper r))/2, r = t/steps; holds the value at r = 1.

    The ends are the paper's: nearly `start`, and 0.25 % of the way above `end` for the default bounds.

    Args:
        lower, upper: bounds of the argument of tanh, lower < upper, -1e6 to 1e6.

    Source: Hsueh et al., hyperbolic-tangent decay, arXiv 1806.01593.

    >>> import lrkern as lk
    >>> round(lk.tanh(1.0, 0.0, 100)(70), 12), lk.tanh(1.0, 0.0, 100)(100) > 0.0
    (0.5, True)
    """
    start, end, steps = ends("tanh", start, end, steps)
    lower = real("tanh", "lower", lower, low=-1e6, high=1e6)
    upper = real("tanh", "upper", upper, above=lower, high=1e6)
    node = _core.ramp_between("logistic", lower, upper, steps, start, end)
    return (start, end, steps, lower, upper), node, steps


@curve
def rex(start: float, end: float, steps: int, d: float = 0.5) -> Recipe:
    """end + (start - end)(1 - p)/(1 - d p), p = t/steps: a hyperbola.

    Args:
        d: -1e6 <= d < 1. Near 1 the curve stays near `start` for long and falls steeply at the end; 0 is a straight line;
            below 0 it falls steeply at first, like `inverse_time`, and still reaches `end`.

    Source: Chen, Wolfe, Kyrillidis, REX, arXiv 2107.04197, where d is 1/2; 0.9 is in wide use as well.

    >>> import lrkern as lk
    >>> lk.rex(1.0, 0.0, 4).table(5).round(4)
    array([1.    , 0.8571, 0.6667, 0.4   , 0.    ])
    >>> lk.rex(1.0, 0.0, 4, d=0.9)(2).__round__(4)
    0.9091
    """
    start, end, steps = ends("rex", start, end, steps)
    d = real("rex", "d", d, low=-1e6, below=1.0)
    shape = ("rex", d, 0.0) if d else ("fall", 1.0, 1.0)
    return (start, end, steps, d), _core.ramp_between(*shape, steps, start, end), steps


@curve
def step_decay(start: float, factor: float, every: int) -> Recipe:
    """start factor^floor(t/every), factor > 0; never ends.

    Source: torch StepLR.

    >>> import lrkern as lk
    >>> lk.step_decay(1.0, 0.5, 2).table(6)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25, 0.25])
    """
    start = real("step_decay", "start", start)
    factor = real("step_decay", "factor", factor, above=0.0)
    every = count("step_decay", "every", every, low=1)
    return (start, factor, every), _core.staircase(_core.exponential(start, factor, every), every), None


@curve
def piecewise(
    values: Sequence[float] | ArrayLike, boundaries: Sequence[float] | ArrayLike, side: str | Sequence[str] = "from"
) -> Recipe:
    """values[i], where i is the number of boundaries <= t; never ends, as the last value holds.

    The new value is in force at t = boundary, as in torch MultiStepLR and optax. With side="after" it is in force after the
    boundary only, for t > boundary, as in keras.

    Args:
        values: one more than the boundaries.
        boundaries: numbers >= 0 that do not decrease, whole or not; a repeated one skips a value.
        side: "from" or "after", one for all or one for each boundary.

    >>> import lrkern as lk
    >>> lk.piecewise([1.0, 0.1], [2]).table(4)
    array([1. , 1. , 0.1, 0.1])
    >>> lk.piecewise([1.0, 0.1], [2], "after").table(4)
    array([1. , 1. , 1. , 0.1])
    """
    levels, at = reals("piecewise", "values", values, least=1), times("piecewise", "boundaries", boundaries)
    if len(levels) != len(at) + 1:
        raise ValueError(f"piecewise: values must be one more than the {len(at)} boundaries; got {len(levels)}")
    shown, after = sides("piecewise", side, at)
    node = _core.join([_core.constant(level) for level in levels], list(at), after)
    return (levels, at, shown), node, None


@curve
def interpolate(values: Sequence[float] | ArrayLike, boundaries: Sequence[int] | ArrayLike, kind: str = "linear") -> Recipe:
    """Through the points (boundaries[i], values[i]), held before the first and after the last.

    Args:
        values, boundaries: of one length >= 1; boundaries are integers >= 0 that do not decrease, a repeated one is a jump
            (at the boundary the later value is in force).
        kind: "linear" or "cosine" between two points.

    Source: optax piecewise_interpolate_schedule, which takes factors instead of values.

    >>> import lrkern as lk
    >>> lk.interpolate([0.0, 1.0, 0.5], [0, 2, 4]).table(6)
    array([0.  , 0.5 , 1.  , 0.75, 0.5 , 0.5 ])
    """
    points, at = reals("interpolate", "values", values, least=1), counts("interpolate", "boundaries", boundaries)
    choice("interpolate", "kind", kind, ("linear", "cosine"))
    if len(points) != len(at):
        raise ValueError(f"interpolate: values must be as many as the {len(at)} boundaries; got {len(points)}")
    levels = [_core.constant(point) for point in points]
    parts = [levels[0]]
    for i in range(1, len(points)):
        length = at[i] - at[i - 1]
        parts.append(shapes.ramp(kind, length, levels[i - 1], 0, levels[i], 0) if length else levels[i])
    return (points, at, kind), _core.join([*parts, levels[-1]], list(at)), at[-1]


@curve
def cyclic(low: float, high: float, up: int, down: int | None = None, mode: str = "triangular", gamma: float = 1.0) -> Recipe:
    """Triangles between `low` and `high`: `up` steps up, `down` steps down; never ends.

    low + (high - low) x s, x the height in the triangle (0 to 1 to 0); s = 1 for mode "triangular", 2^-i in cycle i for
    "triangular2", gamma^t for "exp_range".

    Args:
        up, down: >= 0, together >= 1; `down=None` means `up`.
        gamma: > 0.

    Source: Smith, arXiv 1506.01186; torch CyclicLR.

    >>> import lrkern as lk
    >>> lk.cyclic(0.0, 1.0, 2, mode="triangular2").table(9)
    array([0.  , 0.5 , 1.  , 0.5 , 0.  , 0.25, 0.5 , 0.25, 0.  ])
    """
    low, high = real("cyclic", "low", low), real("cyclic", "high", high)
    up = count("cyclic", "up", up)
    down = up if down is None else count("cyclic", "down", down)
    period = count("cyclic", "up + down", up + down, low=1)
    choice("cyclic", "mode", mode, ("triangular", "triangular2", "exp_range"))
    gamma = real("cyclic", "gamma", gamma, above=0.0)
    bottom, top = (low, high) if mode == "triangular" else (0.0, 1.0)
    rise = _core.ramp_between("fall", 1.0, 1.0, up, bottom, top)
    fall = _core.ramp_between("fall", 1.0, 1.0, down, top, bottom)
    gain = 0.5 if mode == "triangular2" else 1.0
    node = _core.repeat(_core.join([rise, fall], [up]) if up else fall, period, _core.FOREVER, gain)
    if mode == "exp_range":
        node = _core.multiply(node, _core.exponential(1.0, gamma, 1.0))
    if mode != "triangular" and low == 0.0:
        node = _core.multiply(_core.constant(high), node)
    elif mode != "triangular":
        height = _core.add(_core.constant(high), _core.constant(-low))
        node = _core.add(_core.constant(low), _core.multiply(height, node))
    return (low, high, up, down, mode, gamma), node, None


@curve
def warm_restarts(start: float, end: float, period: int, growth: float = 1.0, gain: float = 1.0) -> Recipe:
    """Cosine cycles: cycle i falls from start gain^i to `end` within period growth^i steps.

    With B_i = period (1 + growth + ... + growth^(i-1)) the beginning of cycle i:
    end + (start gain^i - end)(1 + cos(pi (t - B_i)/(period growth^i)))/2. The B_i are exact for every i (torch and timm take a
    logarithm and miss some restarts); they need not be integers.

    Args:
        period: length of the first cycle, >= 1.
        growth: ratio of lengths, > 0, either 1 or at least 1e-9 away from it; below 1 the cycles end at
            period/(1 - growth), and `end` is held from there on.
        gain: ratio of peaks, > 0.

    The same as `cosine(start, end, period).restarts(growth, gain)`.

    Source: Loshchilov and Hutter, SGDR, arXiv 1608.03983; torch CosineAnnealingWarmRestarts, keras CosineDecayRestarts.

    >>> import lrkern as lk
    >>> lk.warm_restarts(1.0, 0.0, 2, growth=2.0).table(7).round(4)
    array([1.    , 0.5   , 1.    , 0.8536, 0.5   , 0.1464, 1.    ])
    """
    start, end = real("warm_restarts", "start", start), real("warm_restarts", "end", end)
    period = count("warm_restarts", "period", period, low=1)
    growth, gain = shapes.restart_ratios("warm_restarts", growth, gain)
    node = _core.restarts(_core.ramp_between("cosine", 1.0, 1.0, period, start, end), growth, gain, end)
    return (start, end, period, growth, gain), node, None


@curve
def chebyshev(smallest: float, largest: float, period: int, order: str = "fractal") -> Recipe:
    """Step sizes for gradient descent: the `period` inverse roots of a Chebyshev polynomial, repeated.

    1/(smallest + (largest - smallest)(1 - cos(pi (k + 1/2)/period))/2), k = 0 ... period - 1. In each period k = t for
    "plain", from the largest step to the smallest (between steps as well, with k at most period - 1/2); for "fractal" k is
    entry floor(t) of the fractal permutation, in which small steps soon compensate large ones: [0] for one step, and for 2n
    steps each k of that for n followed by 2n - 1 - k, thus [0, 1], [0, 3, 1, 2], [0, 7, 3, 4, 1, 6, 2, 5], ...

    Args:
        smallest, largest: bounds of the eigenvalues of the Hessian (m and M), 0 < smallest <= largest.
        period: >= 1; a power of 2 for "fractal".
        order: "fractal" or "plain".

    Source: Agarwal, Goel, Zhang, arXiv 2103.01338.

    >>> import lrkern as lk
    >>> lk.chebyshev(0.1, 1.0, 4).table(4).round(4)
    array([7.4486, 1.0355, 2.647 , 1.3846])
    """
    smallest = real("chebyshev", "smallest", smallest, above=0.0)
    largest = real("chebyshev", "largest", largest, low=smallest)
    period = count("chebyshev", "period", period, low=1, high=MAX_COUNT // 2)
    choice("chebyshev", "order", order, ("fractal", "plain"))
    first, last = _core.constant(1.0, smallest), _core.constant(1.0, largest)
    halves = _core.ramp("harmonic_cosine", 0.0, 0.0, 2 * period, first, 0, last, 0)
    node = _core.stretch(_core.shift(halves, -1), 0.5)  # at t + 1/2
    if order == "plain":
        node = _core.repeat(node, period, _core.FOREVER, 1.0)
    elif period & (period - 1) == 0:
        node = _core.fractal(node, period.bit_length() - 1)
    else:
        raise ValueError(f"chebyshev: period must be a power of 2 for order 'fractal'; got {period}")
    return (smallest, largest, period, order), node, None


@curve
def noise(scale: float, kind: str = "normal", limit: float | None = None, seed: int = 0) -> Recipe:
    """scale z, with z a random number of mean 0 for each integer step that depends on the seed and the step only; never ends.

    A slice has the same numbers as the whole table, and step 10^15 takes as long as step 0. Between steps the previous step's
    number is held. `s * (1.0 + noise(0.1))` is s with noise of 10 %, `s + noise(0.01).staircase(100)` has a new offset every
    100 steps, `inverse_power(0.1, 1, 0.275) * noise(1.0)` anneals as in Neelakantan et al., arXiv 1511.06807. The reference
    defines z, so that it can be reproduced.

    Args:
        kind: "normal", of variance 1, or "uniform" between -1 and 1.
        limit: bound of |z|, >= 0.1, for "normal" only: numbers not below it are drawn again, as in timm's noise.
        seed: 0 to 2^64 - 1. Give each hyper-parameter its own seed.

    Accuracy: scale z within 0.6 ULP, z exact.

    >>> import lrkern as lk
    >>> lk.noise(0.1, seed=7).table(3)
    array([ 0.12180943, -0.11358439, -0.02510546])
    >>> lk.noise(0.1, seed=7)(10**15)
    -0.1889008164405823
    """
    scale = real("noise", "scale", scale)
    choice("noise", "kind", kind, ("normal", "uniform"))
    if limit is not None:
        limit = real("noise", "limit", limit, low=0.1)
        if kind == "uniform":
            raise ValueError(f"noise: limit must be None for kind 'uniform'; got {limit!r}")
    seed = count("noise", "seed", seed, high=2**64 - 1)
    return (scale, kind, limit, seed), _core.noise(kind, scale, np.inf if limit is None else limit, seed), None


@curve
def from_table(values: Sequence[float] | ArrayLike) -> Recipe:
    """values[t], then the last value; the values are copied. The length is the number of values.

    Args:
        values: 1-D, at least one finite number.

    >>> import lrkern as lk
    >>> lk.from_table([0.1, 0.2]).table(4)
    array([0.1, 0.2, 0.2, 0.2])
    """
    levels = reals("from_table", "values", values, least=1)
    return (levels,), _core.table(levels), len(levels)


def from_function(f: Callable[[int], float], steps: int) -> Schedule:
    """A table of f(0), f(1), ..., f(steps - 1), each called once, then the last value.

    Args:
        f: returns a finite number for a step (a Python int); arrays and tensors of one element count as numbers.
        steps: >= 1.

    >>> import lrkern as lk
    >>> lk.from_function(lambda t: 1.0 / (1 + t), 3)
    from_table([1.0, 0.5, 0.3333333333333333])
    """
    if not callable(f):
        raise TypeError(f"from_function: f must be callable; got {describe(f)}")
    steps = count("from_function", "steps", steps, low=1, high=min(MAX_COUNT, 2**31))
    return from_table([real("from_function", f"f({t})", single(f(t))) for t in range(steps)])

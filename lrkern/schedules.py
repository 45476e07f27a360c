"""The curves: each a few lines from checked arguments to a node of the C side, and all that a user needs to know of it.

A curve is a function decorated with `curve` that returns its arguments as they will be printed, its node and its number of
steps (None: it never ends). Most are compositions of the primitives in `_core`: ramps between two values, power laws,
exponentials, tables, sums, products, joins, repetitions.

What holds for all of them: t is the 0-based index of the optimizer update; a curve of length `steps` runs from `start` at
t = 0 to exactly `end` at t = steps and holds `end` after; `steps=0` is `end` everywhere. Values are any finite numbers, counts
are integers. Errors: TypeError for the wrong kind of argument, ValueError for a value out of range; OverflowError when a value
beyond float64 is asked for. Accuracy: 0.6 ULP of the formula at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec

import numpy as np
from numpy.typing import ArrayLike

from lrkern import _core, ramps
from lrkern._checks import MAX_COUNT, choice, count, counts, describe, flag, real, reals
from lrkern.expression import Schedule

__all__ = [
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
    "noam",
    "one_cycle",
    "one_cycle_momentum",
    "one_minus_sqrt",
    "piecewise",
    "polynomial",
    "rex",
    "step_decay",
    "tanh",
    "warm_restarts",
    "wsd",
]

_P = ParamSpec("_P")
_Recipe = tuple[tuple[Any, ...], "_core.Node", "int | None"]

# name -> curve; what `lrkern.parse` may call.
CURVES: dict[str, Callable[..., Schedule]] = {}


def curve(recipe: Callable[_P, _Recipe]) -> Callable[_P, Schedule]:
    """Make a curve of a function that returns (arguments, node, steps)."""
    name = recipe.__name__

    @wraps(recipe)
    def build(*args: _P.args, **kwargs: _P.kwargs) -> Schedule:
        return Schedule(name, *recipe(*args, **kwargs))

    build.__annotations__ = {**recipe.__annotations__, "return": "Schedule"}
    CURVES[name] = build
    return build


def _ends(where: str, start: float, end: float, steps: int) -> tuple[float, float, int]:
    return real(where, "start", start), real(where, "end", end), count(where, "steps", steps)


def _bent(where: str, name: str, power: float) -> float:
    """A power within the bounds that keep every digit of what it bends."""
    return real(where, name, power, low=1e-3, high=1e3)


@curve
def constant(value: float) -> _Recipe:
    """Always `value`. It takes no steps (`steps` is 0), so `then` goes on to what follows at once.

    >>> import lrkern as lk
    >>> lk.constant(0.1)(1000)
    0.1
    """
    value = real("constant", "value", value)
    return (value,), _core.constant(value), 0


@curve
def linear(start: float, end: float, steps: int) -> _Recipe:
    """start + (end - start) t/steps.

    Source: torch LinearLR, optax linear_schedule; here `steps=0` and any `start` (also 0) are allowed.

    >>> import lrkern as lk
    >>> lk.linear(0.1, 0.0, 4).table(6)
    array([0.1  , 0.075, 0.05 , 0.025, 0.   , 0.   ])
    """
    start, end, steps = _ends("linear", start, end, steps)
    return (start, end, steps), _core.ramp_between("fall", 1.0, 1.0, steps, start, end), steps


@curve
def line(start: float, slope: float, every: float = 1) -> _Recipe:
    """start + slope t/every; goes on for ever.

    Args:
        start: value at t = 0.
        slope: what is added per `every` steps, any number.
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
def polynomial(start: float, end: float, steps: int, power: float = 1.0, warp: float = 1.0) -> _Recipe:
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
    start, end, steps = _ends("polynomial", start, end, steps)
    power = real("polynomial", "power", power, above=0.0)
    warp = _bent("polynomial", "warp", warp)
    shape = ("rise", warp, 0.0) if power == 1.0 and warp != 1.0 else ("fall", power, warp)
    return (start, end, steps, power, warp), _core.ramp_between(*shape, steps, start, end), steps


@curve
def cosine(start: float, end: float, steps: int, power: float = 1.0, warp: float = 1.0) -> _Recipe:
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
    start, end, steps = _ends("cosine", start, end, steps)
    power, warp = _bent("cosine", "power", power), _bent("cosine", "warp", warp)
    return (start, end, steps, power, warp), _core.ramp_between("cosine", power, warp, steps, start, end), steps


@curve
def geometric(start: float, end: float, steps: int) -> _Recipe:
    """start (end/start)^(t/steps), both ends > 0: equal ratios from step to step.

    Source: the exponential sweep of learning-rate range tests; torch ExponentialLR with its end given instead of its rate.

    >>> import lrkern as lk
    >>> lk.geometric(1.0, 0.01, 2).table(3)
    array([1.  , 0.1 , 0.01])
    """
    start, end = real("geometric", "start", start, above=0.0), real("geometric", "end", end, above=0.0)
    steps = count("geometric", "steps", steps)
    return (start, end, steps), _core.ramp_between("geometric", 0.0, 0.0, steps, start, end), steps


@curve
def exponential_ramp(start: float, end: float, steps: int, ratio: float) -> _Recipe:
    """end + (start - end)(ratio^(t/steps) - ratio)/(1 - ratio): along an exponential from the start to the end.

    Args:
        ratio: the slope at the end next to that at the start, 1e-100 to 1e100 but not 1: below 1 the fall is fast first.

    Source: timm WSDLRScheduler with decay_fn="exp"; Megatron-LM's exponential tail, whose ratio is 1/2.

    >>> import lrkern as lk
    >>> lk.exponential_ramp(1.0, 0.0, 2, 0.25).table(4).round(4)
    array([1.    , 0.3333, 0.    , 0.    ])
    """
    start, end, steps = _ends("exponential_ramp", start, end, steps)
    ratio = real("exponential_ramp", "ratio", ratio, low=1e-100, high=1e100)
    if ratio == 1.0:
        raise ValueError("exponential_ramp: ratio must not be 1, which is a straight line; got 1.0 (float)")
    return (start, end, steps, ratio), _core.ramp_between("exponential", ratio, 0.0, steps, start, end), steps


@curve
def exponential(start: float, rate: float, every: float = 1, end: float | None = None) -> _Recipe:
    """start rate^(t/every), never past `end`; goes on for ever.

    Args:
        start: value at t = 0.
        rate: factor per `every` steps, > 0.
        every: > 0, need not be an integer.
        end: where to stop: on the side of `start` to which the curve goes. With rate 1 it goes nowhere.

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
def inverse_time(start: float, rate: float, every: float = 1) -> _Recipe:
    """start / (1 + rate t/every), rate >= 0; goes on for ever.

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
def inverse_sqrt(start: float, timescale: float) -> _Recipe:
    """start / sqrt(1 + t/timescale), timescale > 0; goes on for ever.

    Source: Zhai et al., arXiv 2106.04560 (big_vision's rsqrt); transformers get_inverse_sqrt_schedule.

    >>> import lrkern as lk
    >>> lk.inverse_sqrt(1.0, 100)(300)
    0.5
    """
    start = real("inverse_sqrt", "start", start)
    timescale = real("inverse_sqrt", "timescale", timescale, above=0.0)
    return (start, timescale), _core.power_law(start, timescale, 1.0, timescale, -0.5), None


@curve
def inverse_power(start: float, timescale: float, power: float) -> _Recipe:
    """start (1 + t/timescale)^-power, timescale > 0; goes on for ever.

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
def one_minus_sqrt(start: float, end: float, steps: int) -> _Recipe:
    """end + (start - end)(1 - sqrt(t/steps)).

    Source: the cooldown that Hagele et al., arXiv 2405.18392, found best.

    >>> import lrkern as lk
    >>> lk.one_minus_sqrt(1.0, 0.0, 4).table(5).round(4)
    array([1.    , 0.5   , 0.2929, 0.134 , 0.    ])
    """
    start, end, steps = _ends("one_minus_sqrt", start, end, steps)
    return (start, end, steps), _core.ramp_between("rise", 0.5, 0.0, steps, start, end), steps


@curve
def tanh(start: float, end: float, steps: int, lower: float = -7.0, upper: float = 3.0) -> _Recipe:
    """end + (start - end)(1 - tanh(lower (1 - r) + upper r))/2, r = t/steps; holds what it has reached at r = 1.

    The ends are the paper's: nearly `start`, and 0.25 % of the way above `end` for the default bounds.

    Args:
        lower, upper: bounds of the argument of tanh, lower < upper, -1e6 to 1e6.

    Source: Hsueh et al., hyperbolic-tangent decay, arXiv 1806.01593.

    >>> import lrkern as lk
    >>> round(lk.tanh(1.0, 0.0, 100)(70), 12), lk.tanh(1.0, 0.0, 100)(100) > 0.0
    (0.5, True)
    """
    start, end, steps = _ends("tanh", start, end, steps)
    lower = real("tanh", "lower", lower, low=-1e6, high=1e6)
    upper = real("tanh", "upper", upper, above=lower, high=1e6)
    node = _core.ramp_between("logistic", lower, upper, steps, start, end)
    return (start, end, steps, lower, upper), node, steps


@curve
def rex(start: float, end: float, steps: int) -> _Recipe:
    """end + (start - end)(1 - p)/(1 - p/2), p = t/steps.

    Source: Chen, Wolfe, Kyrillidis, REX, arXiv 2107.04197.

    >>> import lrkern as lk
    >>> lk.rex(1.0, 0.0, 4).table(5).round(4)
    array([1.    , 0.8571, 0.6667, 0.4   , 0.    ])
    """
    start, end, steps = _ends("rex", start, end, steps)
    return (start, end, steps), _core.ramp_between("rex", 0.0, 0.0, steps, start, end), steps


@curve
def step_decay(start: float, factor: float, every: int) -> _Recipe:
    """start factor^floor(t/every), factor > 0; goes on for ever.

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
def piecewise(values: Sequence[float] | ArrayLike, boundaries: Sequence[int] | ArrayLike) -> _Recipe:
    """values[i], where i is the number of boundaries <= t.

    The new value is in force at t = boundary, as in torch MultiStepLR and optax; keras changes one step later.

    Args:
        values: one more than the boundaries.
        boundaries: integers >= 0 that do not decrease; a repeated one skips a value.

    >>> import lrkern as lk
    >>> lk.piecewise([1.0, 0.1], [2]).table(4)
    array([1. , 1. , 0.1, 0.1])
    """
    levels, at = reals("piecewise", "values", values, least=1), counts("piecewise", "boundaries", boundaries)
    if len(levels) != len(at) + 1:
        raise ValueError(f"piecewise: values must be one more than the {len(at)} boundaries; got {len(levels)}")
    node = _core.join([_core.constant(level) for level in levels], list(at))
    return (levels, at), node, at[-1] if at else 0


@curve
def interpolate(values: Sequence[float] | ArrayLike, boundaries: Sequence[int] | ArrayLike, kind: str = "linear") -> _Recipe:
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
        parts.append(ramps.ramp(kind, at[i] - at[i - 1], levels[i - 1], 0, levels[i], 0))
    return (points, at, kind), _core.join([*parts, levels[-1]], list(at)), at[-1]


@curve
def noam(model_size: int, warmup: int, factor: float = 1.0) -> _Recipe:
    """factor model_size^(-1/2) min((t+1)^(-1/2), (t+1) warmup^(-3/2)); goes on for ever.

    Args:
        model_size: width of the model, >= 1.
        warmup: >= 0; the peak is at t = warmup - 1. 0: no warm-up.

    Source: Vaswani et al., arXiv 1706.03762, where steps count from 1.

    >>> import lrkern as lk
    >>> round(lk.noam(512, 4000)(3999), 8)
    0.00069877
    """
    model_size = count("noam", "model_size", model_size, low=1)
    warmup = count("noam", "warmup", warmup)
    factor = real("noam", "factor", factor)
    scale = _core.power_law(factor, model_size, 0.0, 1.0, -0.5)
    fall = _core.power_law(1.0, max(warmup, 1), 1.0, 1.0, -0.5)
    shape = fall
    if warmup > 1:
        rise = _core.multiply(_core.power_law(1.0, warmup, 0.0, 1.0, -1.5), _core.power_law(1.0, 1.0, 1.0, 1.0, 1.0))
        shape = _core.join([rise, fall], [warmup - 1])
    return (model_size, warmup, factor), _core.multiply(scale, shape), None


@curve
def cyclic(low: float, high: float, up: int, down: int | None = None, mode: str = "triangular", gamma: float = 1.0) -> _Recipe:
    """Triangles between `low` and `high`: `up` steps up, `down` steps down, for ever.

    low + (high - low) x s, x the height in the triangle (0 to 1 to 0); s = 1 for mode "triangular", 2^-i in cycle i for
    "triangular2", gamma^t for "exp_range".

    Args:
        up, down: >= 0, together >= 1; `down=None` is as `up`.
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
    node = _core.repeat(_core.join([rise, fall], [up]), period, _core.FOREVER, gain)
    if mode == "exp_range":
        node = _core.multiply(node, _core.exponential(1.0, gamma, 1.0))
    if mode != "triangular" and low == 0.0:
        node = _core.multiply(_core.constant(high), node)
    elif mode != "triangular":
        height = _core.add(_core.constant(high), _core.constant(-low))
        node = _core.add(_core.constant(low), _core.multiply(height, node))
    return (low, high, up, down, mode, gamma), node, None


@curve
def warm_restarts(start: float, end: float, period: int, growth: float = 1.0, gain: float = 1.0) -> _Recipe:
    """Cosines one after the other: cycle i falls from start gain^i to `end` within period growth^i steps.

    With B_i = period (1 + growth + ... + growth^(i-1)) the beginning of cycle i:
    end + (start gain^i - end)(1 + cos(pi (t - B_i)/(period growth^i)))/2. Beginnings are exact, whatever their number
    (torch and timm take a logarithm and err at some restarts); they need not be integers.

    Args:
        period: length of the first cycle, >= 1.
        growth: ratio of lengths, > 0, either 1 or 1e-9 away from it at least; below 1 the cycles end at
            period/(1 - growth), where `end` is held.
        gain: ratio of peaks, > 0.

    It is `cosine(start, end, period).restarts(growth, gain)`.

    Source: Loshchilov and Hutter, SGDR, arXiv 1608.03983; torch CosineAnnealingWarmRestarts, keras CosineDecayRestarts.

    >>> import lrkern as lk
    >>> lk.warm_restarts(1.0, 0.0, 2, growth=2.0).table(7).round(4)
    array([1.    , 0.5   , 1.    , 0.8536, 0.5   , 0.1464, 1.    ])
    """
    start, end = real("warm_restarts", "start", start), real("warm_restarts", "end", end)
    period = count("warm_restarts", "period", period, low=1)
    growth, gain = ramps.restart_ratios("warm_restarts", growth, gain)
    node = _core.restarts(_core.ramp_between("cosine", 1.0, 1.0, period, start, end), period, growth, gain, end)
    return (start, end, period, growth, gain), node, None


def _one_cycle_joints(where: str, steps: int, pct_start: float, three_phase: bool) -> tuple[int, float, int]:
    steps = count(where, "steps", steps)
    pct_start = real(where, "pct_start", pct_start, low=0.0, high=1.0)
    up = int(pct_start * steps)
    if flag(where, "three_phase", three_phase) and 2 * up > steps:
        raise ValueError(f"{where}: pct_start must be <= 0.5 with three_phase; got {pct_start!r}")
    return steps, pct_start, up


@curve
def one_cycle(
    peak: float,
    steps: int,
    pct_start: float = 0.3,
    div: float = 25.0,
    final_div: float = 1e4,
    anneal: str = "cosine",
    three_phase: bool = False,
) -> _Recipe:
    """Up from peak/div to `peak` within int(pct_start steps) steps, then down to peak/(div final_div) at t = steps.

    With `three_phase` down to peak/div within as many steps as up, and from there to the end.

    Args:
        pct_start: share of the steps that go up, 0 to 1.
        div, final_div: > 0.
        anneal: "cosine" or "linear".

    Source: Smith and Topin, arXiv 1708.07120; torch OneCycleLR (whose phases end one step earlier) and optax.

    >>> import lrkern as lk
    >>> s = lk.one_cycle(0.1, 100)
    >>> s(0), s(30), s(100) == 0.1 / 250_000
    (0.004, 0.1, True)
    """
    peak = real("one_cycle", "peak", peak)
    steps, pct_start, up = _one_cycle_joints("one_cycle", steps, pct_start, three_phase)
    div = real("one_cycle", "div", div, above=0.0)
    final_div = real("one_cycle", "final_div", final_div, above=0.0)
    choice("one_cycle", "anneal", anneal, ("cosine", "linear"))
    first, top = _core.constant(peak, div), _core.constant(peak)
    last = _core.multiply(first, _core.constant(1.0, final_div))
    parts, joints = [ramps.ramp(anneal, up, first, 0, top, 0)], [up]
    if three_phase:
        parts.append(ramps.ramp(anneal, up, top, 0, first, 0))
        joints.append(2 * up)
    parts.append(ramps.ramp(anneal, steps - joints[-1], first if three_phase else top, 0, last, 0))
    args = (peak, steps, pct_start, div, final_div, anneal, bool(three_phase))
    return args, _core.join(parts, joints), steps


@curve
def one_cycle_momentum(
    low: float, high: float, steps: int, pct_start: float = 0.3, anneal: str = "cosine", three_phase: bool = False
) -> _Recipe:
    """The momentum that goes with `one_cycle`: from `high` down to `low` where the learning rate peaks, and back.

    With `three_phase` it is back at `high` after as many steps as down, and stays there.

    Args:
        pct_start, anneal, three_phase: as in `one_cycle`.

    Source: Smith and Topin, arXiv 1708.07120; torch OneCycleLR, whose defaults are 0.85 and 0.95.

    >>> import lrkern as lk
    >>> m = lk.one_cycle_momentum(0.85, 0.95, 100)
    >>> m(0), m(30), m(100)
    (0.95, 0.85, 0.95)
    """
    low, high = real("one_cycle_momentum", "low", low), real("one_cycle_momentum", "high", high)
    steps, pct_start, up = _one_cycle_joints("one_cycle_momentum", steps, pct_start, three_phase)
    choice("one_cycle_momentum", "anneal", anneal, ("cosine", "linear"))
    bottom, top = _core.constant(low), _core.constant(high)
    back = up if three_phase else steps - up
    parts = [ramps.ramp(anneal, up, top, 0, bottom, 0), ramps.ramp(anneal, back, bottom, 0, top, 0)]
    return (low, high, steps, pct_start, anneal, bool(three_phase)), _core.join(parts, [up]), steps


@curve
def wsd(peak: float, warmup: int, stable: int, decay: int, end: float = 0.0, tail: str = "linear") -> _Recipe:
    """Warm-up, stable, decay: 0 to `peak` linearly, `peak`, then `peak` to `end` along `tail`.

    Args:
        warmup, stable, decay: numbers of steps, >= 0.
        end: final value.
        tail: "linear", "cosine", "one_minus_sqrt", "exponential" (peak and end > 0) or "square".

    Source: Hu et al., MiniCPM, arXiv 2404.06395; Hagele et al., arXiv 2405.18392.

    >>> import lrkern as lk
    >>> lk.wsd(1.0, 2, 2, 2).table(7)
    array([0. , 0.5, 1. , 1. , 1. , 0.5, 0. ])
    """
    peak, end = real("wsd", "peak", peak), real("wsd", "end", end)
    warmup, stable = count("wsd", "warmup", warmup), count("wsd", "stable", stable)
    decay = count("wsd", "decay", decay)
    steps = count("wsd", "warmup + stable + decay", warmup + stable + decay)
    choice("wsd", "tail", tail, ramps.NAMES)
    if tail == "exponential":
        ramps.check_positive("wsd", start=peak, end=end, start_name="peak")
    top = _core.constant(peak)
    parts = [
        ramps.ramp("linear", warmup, _core.constant(0.0), 0, top, 0),
        top,
        ramps.ramp(tail, decay, top, 0, _core.constant(end), 0),
    ]
    return (peak, warmup, stable, decay, end, tail), _core.join(parts, [warmup, warmup + stable]), steps


@curve
def from_table(values: Sequence[float] | ArrayLike) -> _Recipe:
    """values[t], then the last value for ever; the values are copied.

    Args:
        values: 1-D, at least one finite number.

    >>> import lrkern as lk
    >>> lk.from_table([0.1, 0.2]).table(4)
    array([0.1, 0.2, 0.2, 0.2])
    """
    levels = reals("from_table", "values", values, least=1)
    return (levels,), _core.table(levels), len(levels) - 1


def from_function(f: Callable[[int], float], steps: int) -> Schedule:
    """A table of f(0), f(1), ..., f(steps - 1), each called once; then the last value.

    Args:
        f: gives a finite number for a step (a Python int).
        steps: >= 1.

    >>> import lrkern as lk
    >>> lk.from_function(lambda t: 1.0 / (1 + t), 3)
    from_table([1.0, 0.5, 0.3333333333333333])
    """
    if not callable(f):
        raise TypeError(f"from_function: f must be callable; got {describe(f)}")
    steps = count("from_function", "steps", steps, low=1, high=min(MAX_COUNT, 2**31))
    return from_table([real("from_function", f"f({t})", f(t)) for t in range(steps)])

"""Curves of several phases, and those known by their paper's name: compositions of the primitives in `_core`.

Arguments that are numbers of steps are durations of consecutive phases. What curves.py says of all curves holds here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from lrkern import _core
from lrkern._checks import MAX_COUNT, choice, count, counts, counts_for, flag, real
from lrkern.schedules import shapes
from lrkern.schedules.define import Recipe, curve, ends

__all__ = [
    "half_cosine",
    "knee",
    "linear_to_zero",
    "lr_range_test",
    "noam",
    "one_cycle",
    "one_cycle_momentum",
    "power_lr",
    "tri_stage",
    "truncated_cosine",
    "wsd",
    "wsd_s",
]


@curve
def noam(model_size: int, warmup: int, factor: float = 1.0) -> Recipe:
    """factor model_size^(-1/2) min((t+1)^(-1/2), (t+1) warmup^(-3/2)); never ends.

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
) -> Recipe:
    """Up from peak/div to `peak` within int(pct_start steps) steps, then down to peak/(div final_div) at t = steps.

    With `three_phase`, down to peak/div within as many steps as up, and from there to the end.

    torch's OneCycleLR differs by a step: there each phase ends one step earlier, the peak is at step
    pct_start total_steps - 1 and the last value at step total_steps - 1. Use `dialects.torch.OneCycleLR` for its values.

    Args:
        pct_start: fraction of the steps that go up, 0 to 1.
        div, final_div: > 0.
        anneal: "cosine" or "linear".

    Source: Smith and Topin, arXiv 1708.07120; torch OneCycleLR (except for that step) and optax.

    >>> import lrkern as lk
    >>> s = lk.one_cycle(0.1, 100)
    >>> s(0), s(30), s(100) == 0.1 / 250_000
    (0.004, 0.1, True)
    >>> like_torch = lk.dialects.torch.OneCycleLR(0.1, 100)
    >>> like_torch(0), like_torch(29), like_torch(99) == 0.1 / 250_000
    (0.004, 0.1, True)
    """
    peak = real("one_cycle", "peak", peak)
    steps, pct_start, up = _one_cycle_joints("one_cycle", steps, pct_start, three_phase)
    div = real("one_cycle", "div", div, above=0.0)
    final_div = real("one_cycle", "final_div", final_div, above=0.0)
    choice("one_cycle", "anneal", anneal, ("cosine", "linear"))
    first, top = _core.constant(peak, div), _core.constant(peak)
    last = _core.multiply(first, _core.constant(1.0, final_div))
    rise, parts, joints = shapes.ramp(anneal, up, first, 0, top, 0), [], [up]
    if three_phase:
        parts.append(shapes.ramp(anneal, up, top, 0, first, 0))
        joints.append(2 * up)
    parts.append(shapes.ramp(anneal, steps - joints[-1], first if three_phase else top, 0, last, 0))
    args = (peak, steps, pct_start, div, final_div, anneal, bool(three_phase))
    return args, _after_rise(rise, up, parts, joints[1:]), steps


@curve
def one_cycle_momentum(
    low: float, high: float, steps: int, pct_start: float = 0.3, anneal: str = "cosine", three_phase: bool = False
) -> Recipe:
    """The momentum for `one_cycle`: from `high` down to `low`, where the learning rate peaks, and back.

    With `three_phase`, the way back takes as many steps as the way down, and `high` is held after that.

    Args:
        pct_start, anneal, three_phase: as in `one_cycle`.

    Source: Smith and Topin, arXiv 1708.07120; torch OneCycleLR, whose defaults are 0.85 and 0.95 and whose phases end one
    step earlier.

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
    fall, rise = shapes.ramp(anneal, up, top, 0, bottom, 0), shapes.ramp(anneal, back, bottom, 0, top, 0)
    return (low, high, steps, pct_start, anneal, bool(three_phase)), _after_rise(fall, up, [rise], []), steps


def _phases(where: str, **steps: int) -> tuple[list[int], int]:
    """The checked lengths of consecutive phases, and their sum."""
    checked = [count(where, name, value) for name, value in steps.items()]
    return checked, count(where, " + ".join(steps), sum(checked))


def _rise_hold_fall(
    peak: _core.Node, steps: Sequence[int], end: _core.Node, tail: str = "linear", start: float = 0.0
) -> _core.Node:
    """From `start` linearly to `peak`, hold `peak`, along `tail` to `end`; `steps` has the three lengths."""
    warmup, stable, decay = steps
    rise = shapes.ramp("linear", warmup, _core.constant(start), 0, peak, 0)
    return _after_rise(rise, warmup, [peak, shapes.ramp(tail, decay, peak, 0, end, 0)], [warmup + stable])


def _after_rise(rise: _core.Node, warmup: int, parts: list[_core.Node], joints: list[int]) -> _core.Node:
    """A join that begins with a warm-up. One of zero steps is omitted, so that nothing takes its beginning as a target."""
    if warmup == 0:
        return _core.join(parts, list(joints))
    return _core.join([rise, *parts], [warmup, *joints])


def _tail(where: str, tail: str, peak: float, end: float) -> str:
    choice(where, "tail", tail, shapes.NAMES)
    if tail in shapes.POSITIVE:
        shapes.check_positive(where, tail, start=peak, end=end, start_name="peak")
    return tail


@curve
def wsd(peak: float, warmup: int, stable: int, decay: int, end: float = 0.0, tail: str = "linear") -> Recipe:
    """Warm-up, stable, decay: 0 to `peak` linearly, `peak`, then `peak` to `end` along `tail`.

    Args:
        warmup, stable, decay: numbers of steps, >= 0.
        end: final value.
        tail: "linear", "cosine", "mirror_cosine", "one_minus_sqrt", "square", "logarithmic", "halving"; "exponential" or
            "inverse_proportional", for which peak and end are > 0. The reference has the formulas.

    Source: Hu et al., MiniCPM, arXiv 2404.06395; Hagele et al., arXiv 2405.18392.

    >>> import lrkern as lk
    >>> lk.wsd(1.0, 2, 2, 2).table(7)
    array([0. , 0.5, 1. , 1. , 1. , 0.5, 0. ])
    """
    peak, end = real("wsd", "peak", peak), real("wsd", "end", end)
    phases, steps = _phases("wsd", warmup=warmup, stable=stable, decay=decay)
    tail = _tail("wsd", tail, peak, end)
    return (peak, *phases, end, tail), _rise_hold_fall(_core.constant(peak), phases, _core.constant(end), tail), steps


@curve
def wsd_s(
    peak: float,
    end: float,
    warmup: int,
    budgets: Sequence[int] | ArrayLike,
    decay: int | Sequence[int] | ArrayLike,
    tail: str = "inverse_proportional",
) -> Recipe:
    """WSD-S: one run that decays before each of several budgets and continues from there at `peak`.

    0 to `peak` linearly over `warmup` steps; then `peak`, except for the `decay` steps before each budget, which go from `peak`
    to `end` along `tail`. At t = budget the next phase has begun, at `peak` without a second warm-up: the decayed model is the
    one after `budget` updates. From the last budget on, `end` is held.

    Args:
        peak, end: > 0 for the default tail.
        warmup: >= 0.
        budgets: total numbers of updates, at least one; they do not decrease, and leave room for the decays.
        decay: >= 0, one for all or one for each budget; no decay begins before the warm-up or the previous decay is over.
        tail: as in `wsd`. The default is the paper's, whose `end` is peak/10.

    Source: Wen et al., arXiv 2410.05192. OLMo-core's WSDS is linear.

    >>> import lrkern as lk
    >>> lk.wsd_s(1.0, 0.1, 2, [6, 10], 2, tail="linear").table(11)
    array([0.  , 0.5 , 1.  , 1.  , 1.  , 0.55, 1.  , 1.  , 1.  , 0.55, 0.1 ])
    """
    peak, end = real("wsd_s", "peak", peak), real("wsd_s", "end", end)
    warmup, at = count("wsd_s", "warmup", warmup), counts("wsd_s", "budgets", budgets)
    if not at:
        raise ValueError("wsd_s: budgets must not be empty")
    lengths = counts_for("wsd_s", "decay", decay, "budgets", len(at))
    tail = _tail("wsd_s", tail, peak, end)
    top, bottom = _core.constant(peak), _core.constant(end)
    rise = shapes.ramp("linear", warmup, _core.constant(0.0), 0, top, 0)
    parts: list[_core.Node] = []
    joints: list[int] = []
    free = warmup
    for budget, length in zip(at, lengths, strict=True):
        if budget - length < free:
            raise ValueError(f"wsd_s: the decay before budget {budget} must not begin before step {free}; got {length} steps")
        joints += [free, budget - length]
        parts += [top, shapes.ramp(tail, length, top, 0, bottom, 0)]
        free = budget
    shown = lengths[0] if len(set(lengths)) == 1 else lengths
    return (peak, end, warmup, at, shown, tail), _after_rise(rise, warmup, parts, joints[1:]), at[-1]


@curve
def knee(peak: float, warmup: int, explore: int, decay: int) -> Recipe:
    """Warm-up, explore, exploit: 0 to `peak` linearly, `peak`, then linearly to 0. A special case of `wsd`.

    Args:
        warmup, explore, decay: numbers of steps, >= 0. The paper explores for about half of all steps.

    Source: Iyer et al., wide-minima density hypothesis and the explore-exploit schedule, arXiv 2003.03977.

    >>> import lrkern as lk
    >>> lk.knee(1.0, 1, 3, 2).table(7)
    array([0. , 1. , 1. , 1. , 1. , 0.5, 0. ])
    """
    peak = real("knee", "peak", peak)
    phases, steps = _phases("knee", warmup=warmup, explore=explore, decay=decay)
    return (peak, *phases), _rise_hold_fall(_core.constant(peak), phases, _core.constant(0.0)), steps


@curve
def linear_to_zero(peak: float, warmup: int, decay: int) -> Recipe:
    """D2Z: 0 to `peak` linearly over `warmup` steps, then linearly to exactly 0 over `decay` steps.

    Args:
        warmup, decay: numbers of steps, >= 0.

    Source: Bergsma et al., Straight to Zero, arXiv 2502.15938.

    >>> import lrkern as lk
    >>> lk.linear_to_zero(1.0, 1, 4).table(6)
    array([0.  , 1.  , 0.75, 0.5 , 0.25, 0.  ])
    """
    peak = real("linear_to_zero", "peak", peak)
    (warmup, decay), steps = _phases("linear_to_zero", warmup=warmup, decay=decay)
    node = _rise_hold_fall(_core.constant(peak), (warmup, 0, decay), _core.constant(0.0))
    return (peak, warmup, decay), node, steps


@curve
def tri_stage(peak: float, warmup: int, hold: int, decay: int, init_scale: float = 0.01, final_scale: float = 0.01) -> Recipe:
    """Warm-up, hold, exponential decay: linearly from peak init_scale to `peak`, `peak`, then to peak final_scale.

    In the decay, p = t/decay steps into it: peak final_scale^p; then peak final_scale is held.

    Args:
        peak: > 0.
        warmup, hold, decay: numbers of steps, >= 0.
        init_scale: >= 0. SpecAugment starts from 0.
        final_scale: > 0.

    Source: Park et al., SpecAugment, arXiv 1904.08779; fairseq tri_stage, whose defaults these are.

    >>> import lrkern as lk
    >>> lk.tri_stage(1.0, 2, 1, 2).table(7)
    array([0.01 , 0.505, 1.   , 1.   , 0.1  , 0.01 , 0.01 ])
    """
    peak = real("tri_stage", "peak", peak, above=0.0)
    (warmup, hold, decay), steps = _phases("tri_stage", warmup=warmup, hold=hold, decay=decay)
    init_scale = real("tri_stage", "init_scale", init_scale, low=0.0)
    final_scale = real("tri_stage", "final_scale", final_scale, above=0.0)
    top = _core.constant(peak)
    first, last = (_core.multiply(top, _core.constant(scale)) for scale in (init_scale, final_scale))
    rise, fall = shapes.ramp("linear", warmup, first, 0, top, 0), shapes.ramp("exponential", decay, top, 0, last, 0)
    args = (peak, warmup, hold, decay, init_scale, final_scale)
    return args, _after_rise(rise, warmup, [top, fall], [warmup + hold]), steps


@curve
def power_lr(batch_size: float, tokens: float, warmup: int, peak: float = 0.02, a: float = 4.0, b: float = -0.51) -> Recipe:
    """Power scheduler: a linear warm-up from 0, then eta(t) = min(peak, batch_size a n^b) at n = t tokens; never ends.

    The warm-up is eta(warmup) t/warmup for t < warmup. The final decay is a separate `cooldown`, in the paper to 0 along an
    exponential, for example `s.cooldown(n - decay, decay, curve="halving")`.

    Args:
        batch_size: sequences per step, > 0.
        tokens: tokens per step, > 0: batch_size times the sequence length.
        warmup: number of steps, >= 1. The paper's is about 10^9 tokens.
        peak: upper bound, > 0.
        a, b: a > 0; -1000 <= b < 0. The defaults of `a`, `b` and `peak` are the paper's.

    Source: Shen et al., Power Scheduler, arXiv 2408.13359.

    >>> import lrkern as lk
    >>> s = lk.power_lr(128, 128 * 4096, warmup=2000)
    >>> s(1000) == s(2000) / 2, s(2000), round(s(100_000), 8)
    (True, 0.012845884273395702, 0.00174699)
    """
    batch_size, tokens = (real("power_lr", n, v, above=0.0) for n, v in (("batch_size", batch_size), ("tokens", tokens)))
    warmup = count("power_lr", "warmup", warmup, low=1)
    peak, a = real("power_lr", "peak", peak, above=0.0), real("power_lr", "a", a, above=0.0)
    b = real("power_lr", "b", b, low=-1000.0, below=0.0)
    scale = _core.multiply(_core.constant(batch_size), _core.power_law(a, tokens, 0.0, 1.0, b))
    law = _core.clip(_core.multiply(scale, _core.power_law(1.0, warmup, 1.0, 1.0, b)), -np.inf, peak)
    rise = shapes.ramp("linear", warmup, _core.constant(0.0), 0, law, 0)
    return (batch_size, tokens, warmup, peak, a, b), _core.join([rise, law], [warmup]), None


@curve
def half_cosine(peak: float, end: float, steps: int) -> Recipe:
    """The second half of a cosine from `peak` to `end`: end + (peak - end)(1 + cos(pi (1 + t/steps)/2))/2.

    It begins at (peak + end)/2, the value of a cosine of twice the length after `steps` steps. With a `warmup` up to that value
    it is OLMo's.

    Args:
        peak: where the whole cosine would begin.
        steps: of this half, >= 0.

    Source: OLMo-core HalfCosWithWarmup. (Half a period, which others call a half cosine, is `cosine`.)

    >>> import lrkern as lk
    >>> lk.half_cosine(1.0, 0.0, 4).warmup(1).table(6).round(4)
    array([0.    , 0.5   , 0.3087, 0.1464, 0.0381, 0.    ])
    """
    peak, end = real("half_cosine", "peak", peak), real("half_cosine", "end", end)
    steps = count("half_cosine", "steps", steps, high=MAX_COUNT // 2)
    if steps == 0:
        middle = _core.add(_core.constant(peak, 2.0), _core.constant(end, 2.0))
        return (peak, end, steps), shapes.ramp("linear", 0, middle, 0, _core.constant(end), 0), steps
    whole = _core.ramp_between("cosine", 1.0, 1.0, 2 * steps, peak, end)
    return (peak, end, steps), _core.shift(whole, -steps), steps


@curve
def truncated_cosine(start: float, end: float, steps: int, decay: int, floor: float = 0.0) -> Recipe:
    """A cosine from `start` towards `floor` at t = steps, replaced for the last `decay` steps by a line to `end`.

    c(t) = floor + (start - floor)(1 + cos(pi t/steps))/2 for t < steps - decay; then from c(steps - decay) linearly to `end`.

    Args:
        decay: steps of the line, 0 to `steps`.
        floor: the cosine's target.

    Source: OLMo-core CosWithWarmupAndLinearDecay (there `floor` is alpha_f times the peak, 0.1 by default).

    >>> import lrkern as lk
    >>> lk.truncated_cosine(1.0, 0.0, 4, 2, floor=0.1).table(6).round(4)
    array([1.    , 0.8682, 0.55  , 0.275 , 0.    , 0.    ])
    """
    start, end, steps = ends("truncated_cosine", start, end, steps)
    decay = count("truncated_cosine", "decay", decay, high=steps)
    floor = real("truncated_cosine", "floor", floor)
    whole, at = _core.ramp_between("cosine", 1.0, 1.0, steps, start, floor), steps - decay
    line = shapes.ramp("linear", decay, whole, at, _core.constant(end), 0)
    return (start, end, steps, decay, floor), _core.join([whole, line], [at]), steps


@curve
def lr_range_test(low: float, high: float, steps: int, kind: str = "exponential", every: int = 1) -> Recipe:
    """From `low` up to `high` over `steps` steps, to find the rates at which training starts to work and to diverge.

    low (high/low)^(t/steps), or low + (high - low) t/steps; with `every` > 1, its value at every floor(t/every).

    Args:
        low, high: for "exponential" both > 0.
        kind: "exponential" (fastai's lr_find) or "linear" (the paper's).
        every: steps between changes, >= 1: stairs, as in DeepSpeed's lr_range_test_staircase. `high` is reached at the first
            stair that begins at t >= steps.

    Source: Smith, arXiv 1506.01186.

    >>> import lrkern as lk
    >>> lk.lr_range_test(1e-4, 1.0, 4).table(5)
    array([1.e-04, 1.e-03, 1.e-02, 1.e-01, 1.e+00])
    >>> lk.lr_range_test(0.0, 1.0, 4, "linear", every=2).table(5)
    array([0. , 0. , 0.5, 0.5, 1. ])
    """
    low, high = real("lr_range_test", "low", low), real("lr_range_test", "high", high)
    steps, every = count("lr_range_test", "steps", steps), count("lr_range_test", "every", every, low=1)
    choice("lr_range_test", "kind", kind, ("exponential", "linear"))
    if kind == "exponential":
        shapes.check_positive("lr_range_test", kind, start=low, end=high, start_name="low", end_name="high")
    node = shapes.ramp(kind, steps, _core.constant(low), 0, _core.constant(high), 0)
    last = count("lr_range_test", "the last stair", -(-steps // every) * every)
    return (low, high, steps, kind, every), node if every == 1 else _core.staircase(node, every), last

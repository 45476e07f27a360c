"""The recurrences of loss-driven schedules, one run and one metric at a time: the twin of src_c/scan/scan.inc.

Each rule is a function of a kind (the rule and its flag), of a run's parameters, its state and the next metric. No branch
depends on the last three, so that a loop over many runs is vectorized. Operations are in the peer's order, so that results are
bit-identical to it. Comparisons with NaN are false, as in the peers. Counts are floats.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from lrkern.pointwise.primitives import FLAGS, pointwise, word


class ScanParams(NamedTuple):
    """The parameters of a run, in the order of `_core.SCAN_PARAMS`. A metric beats the best one if it is < slope best - margin.

    Some rules use the last two differently: see src_c/scan/scan.h.
    """

    start: Any
    factor: Any
    patience: Any
    slope: Any
    margin: Any
    cooldown: Any
    min_lr: Any
    max_lr: Any
    eps: Any
    warmup: Any
    reset_start: Any
    window: Any
    accumulate: Any


class ScanState(NamedTuple):
    """The state of a run, in the order of `_core.SCAN_STATE`."""

    lr: Any
    scale: Any
    best: Any
    bad: Any
    good: Any
    cooling: Any
    warming: Any
    resets: Any
    sum: Any
    summed: Any


@intrinsic
def pick(typing_context, mask, yes, no):
    """`yes` if the mask is True, else `no`. Both are computed: there is no branch that would prevent vectorization."""

    def code(context, builder, signature, arguments):
        return builder.select(*arguments)

    return types.float64(types.boolean, types.float64, types.float64), code


@pointwise
def in_single(single, x):
    """x, rounded to float32 if the peer computes in float32."""
    return pick(single, np.float64(np.float32(x)), x)


@pointwise
def changed(
    s, lr=None, scale=None, best=None, bad=None, good=None, cooling=None, warming=None, resets=None, sum=None, summed=None
):
    """The `ScanState` with some fields changed."""
    return ScanState(
        s.lr if lr is None else lr,
        s.scale if scale is None else scale,
        s.best if best is None else best,
        s.bad if bad is None else bad,
        s.good if good is None else good,
        s.cooling if cooling is None else cooling,
        s.warming if warming is None else warming,
        s.resets if resets is None else resets,
        s.sum if sum is None else sum,
        s.summed if summed is None else summed,
    )


class Torch(NamedTuple):
    """torch, mmengine, timm."""

    flag: bool = False


@pointwise
def torch(kind, p, s, x, delayed):
    """Fires at more than `patience` bad metrics in a row, none of them in a cooldown."""
    better = x < s.best * p.slope - p.margin
    cooling = s.cooling > 0.0
    bad = pick(better | cooling, 0.0, s.bad + 1.0)
    fires = bad > p.patience

    product = s.lr * p.factor
    lower = pick(p.min_lr > product, p.min_lr, product)
    return changed(
        s,
        lr=pick(fires & (s.lr - lower > p.eps), lower, s.lr),
        best=pick(better, x, s.best),
        bad=pick(fires, 0.0, bad),
        cooling=pick(fires, p.cooldown, pick(cooling, s.cooling - 1.0, s.cooling)),
    )


class Keras(NamedTuple):
    """keras; flag: in float32."""

    flag: bool


@pointwise
def keras(kind, p, s, x, delayed):
    """The cooldown counts down before the metric is compared; the first metric is always the best so far.

    lr > min_lr is always decided in float32; at min_lr nothing is reset.
    """
    single = kind.flag
    rest = pick(s.cooling > 0.0, s.cooling - 1.0, 0.0)
    cooling = rest > 0.0
    better = (s.summed == 0.0) | (in_single(single, x + p.margin) < in_single(single, s.best))
    wait = pick(better, 0.0, pick(cooling, s.bad, s.bad + 1.0))

    reducible = in_single(True, s.lr) > in_single(True, p.min_lr)
    fires = (wait >= p.patience) & reducible & (not (better | cooling))
    product = s.lr * p.factor
    lower = in_single(single, pick(p.min_lr > product, p.min_lr, product))
    return changed(
        s,
        lr=pick(fires, lower, s.lr),
        best=pick(better, x, s.best),
        bad=pick(fires, 0.0, wait),
        cooling=pick(fires, p.cooldown, rest),
        summed=1.0,
    )


class Optax(NamedTuple):
    """optax; flag: in float32."""

    flag: bool


@pointwise
def optax(kind, p, s, x, delayed):
    """Compares means of `accumulate` metrics; fires at exactly `patience` bad ones; scales a given lr."""
    single = kind.flag
    total = in_single(single, in_single(single, s.summed * s.sum) + in_single(single, x))
    summed = s.summed + 1.0
    mean = in_single(single, total / summed)
    full = summed == p.accumulate

    better = mean < in_single(single, in_single(single, p.slope * s.best) - p.margin)
    bad = pick(better, 0.0, s.bad + 1.0)
    cooling = s.cooling > 0.0
    plateau = bad == p.patience
    scaled = pick(plateau, in_single(single, s.scale * p.factor), s.scale)
    scale = pick(full & (not cooling), pick(scaled < p.min_lr, p.min_lr, scaled), s.scale)
    rest = pick(cooling, s.cooling - 1.0, pick(plateau, p.cooldown, 0.0))
    return changed(
        s,
        lr=p.start * scale,
        scale=scale,
        best=pick(full & better, mean, s.best),
        bad=pick(full, pick(cooling | plateau, 0.0, bad), s.bad),
        cooling=pick(full, rest, s.cooling),
        sum=pick(full, 0.0, mean),
        summed=pick(full, 0.0, summed),
    )


class Greedy(NamedTuple):
    """transformers; flag: compares the mean of a window."""

    flag: bool


@pointwise
def greedy(kind, p, s, x, delayed):
    """Also increases lr after more than `patience` good metrics in a row.

    It ignores `cooldown` metrics after a decrease and `warmup` after an increase, and starts over after `reset_start` decisions
    at min_lr. `delayed`: the metric that leaves the window of a running sum, which keeps its rounding errors like the peer.
    """
    sum, summed = 0.0, 0.0
    if kind.flag:  # the same for all runs: a loop over them is compiled for each case
        leaves = s.summed == p.window
        longer = s.sum + x
        sum = pick(leaves, longer - delayed, longer)
        summed = pick(leaves, p.window, s.summed + 1.0)
        x = sum / summed

    cooling = s.cooling > 0.0
    warming = (not cooling) & (s.warming > 0.0)
    better = x < s.best * p.slope - p.margin
    looks = not (cooling | warming)
    good = pick(looks & better, s.good + 1.0, 0.0)
    bad = pick(looks & (not better), s.bad + 1.0, 0.0)
    rises = good > p.patience
    falls = bad > p.patience

    quotient = s.lr / p.factor
    higher = pick(p.max_lr < quotient, p.max_lr, quotient)
    product = s.lr * p.factor
    lower = pick(p.min_lr > product, p.min_lr, product)
    risen = pick(rises & (higher - s.lr > p.eps), higher, s.lr)
    moved = pick(falls & (s.lr - lower > p.eps), lower, risen)

    hits = falls & (not (moved > p.min_lr))
    resets = pick(rises, p.reset_start, pick(hits, s.resets - 1.0, s.resets))
    restarted = hits & (resets <= 0.0)
    rest_up = pick(rises, p.warmup, pick(warming, s.warming - 1.0, s.warming))
    return changed(
        s,
        lr=pick(restarted, p.start, moved),
        best=pick(restarted, math.inf, pick(looks & better, x, s.best)),
        bad=pick(falls, 0.0, bad),
        good=pick(rises, 0.0, good),
        cooling=pick(falls, p.cooldown, pick(cooling, s.cooling - 1.0, s.cooling)),
        warming=pick(restarted, 0.0, rest_up),
        resets=pick(restarted, p.reset_start, resets),
        sum=pick(restarted, 0.0, sum),
        summed=pick(restarted, 0.0, summed),
    )


class Paddle(NamedTuple):
    """paddle; flag: a relative threshold."""

    flag: bool


@pointwise
def paddle(kind, p, s, x, delayed):
    """Metrics during a cooldown are ignored; the first other metric is always the best so far."""
    cooling = s.cooling > 0.0
    bar = s.best - s.best * p.slope if kind.flag else s.best - p.margin
    better = (s.summed == 0.0) | (x < bar)
    bad = pick(better, 0.0, s.bad + 1.0)
    fires = (not cooling) & (bad > p.patience)

    product = s.lr * p.factor
    lower = pick(p.min_lr > product, p.min_lr, product)
    return changed(
        s,
        lr=pick(fires & (s.lr - lower > p.eps), lower, s.lr),
        best=pick((not cooling) & better, x, s.best),
        bad=pick(cooling, s.bad, pick(fires, 0.0, bad)),
        cooling=pick(fires, p.cooldown, pick(cooling, s.cooling - 1.0, s.cooling)),
        summed=pick(cooling, s.summed, 1.0),
    )


class NewBob(NamedTuple):
    """speechbrain."""

    flag: bool = False


@pointwise
def newbob(kind, p, s, x, delayed):
    """Compares with the previous metric, stored in `best`.

    Fires at every (patience + 1)-th metric whose relative improvement is too small; these need not be consecutive.
    """
    improvement = pick(s.best == 0.0, 0.0, (s.best - x) / s.best)
    poor = (s.summed > 0.0) & (improvement < p.margin)
    fires = poor & (s.bad >= p.patience)
    return changed(
        s,
        lr=pick(fires, s.lr * p.factor, s.lr),
        best=x,
        bad=pick(fires, 0.0, pick(poor, s.bad + 1.0, s.bad)),
        summed=1.0,
    )


class Anchor(NamedTuple):
    """speechbrain_plateau."""

    flag: bool = False


@pointwise
def anchor(kind, p, s, x, delayed):
    """Each of the first `warmup` metrics becomes the best one; after that, a metric that is not worse does.

    A NaN, which is neither better nor worse, fires immediately. lr is never below min_lr.
    """
    good = (s.summed < p.warmup) | (x <= s.best)
    waits = (not good) & (x > s.best) & (s.bad < p.patience)
    moved = pick(good | waits, s.lr, s.lr * p.factor)
    return changed(
        s,
        lr=pick(p.min_lr > moved, p.min_lr, moved),
        best=pick(good, x, s.best),
        bad=pick(waits, s.bad + 1.0, 0.0),
        summed=s.summed + 1.0,
    )


class KL(NamedTuple):
    """skrl, rsl_rl; flag: a divergence of 0 does not count as small."""

    flag: bool


@pointwise
def kl(kind, p, s, x, delayed):
    """Adapts lr to keep a Kullback-Leibler divergence near its target."""
    falls = x > p.slope
    rises = (x < p.margin) & ((x > 0.0) | (not kind.flag))
    quotient, product = s.lr / p.factor, s.lr * p.factor
    lower = pick(p.min_lr > quotient, p.min_lr, quotient)
    higher = pick(p.max_lr < product, p.max_lr, product)
    return changed(
        s,
        lr=pick(falls, lower, pick(rises, higher, s.lr)),
    )


RULES = {Torch: torch, Keras: keras, Optax: optax, Greedy: greedy, Paddle: paddle, NewBob: newbob, Anchor: anchor, KL: kl}
KINDS = {
    "torch": Torch(),
    "keras_f32": Keras(True),
    "keras_f64": Keras(False),
    "optax_f32": Optax(True),
    "optax_f64": Optax(False),
    "greedy": Greedy(False),
    "greedy_smooth": Greedy(True),
    "paddle_abs": Paddle(False),
    "paddle_rel": Paddle(True),
    "newbob": NewBob(),
    "anchor": Anchor(),
    "kl": KL(False),
    "kl_positive": KL(True),
}
"""The rules of `_core.SCAN_RULES`."""

advance = word("advance")  # advance(kind, p, s, x, delayed): the state after one more metric, by the rule of the kind


@overload(advance, jit_options=FLAGS)
def _advance(kind, p, s, x, delayed):
    rule = RULES[kind.instance_class]
    return lambda kind, p, s, x, delayed: rule(kind, p, s, x, delayed)


@pointwise
def follow(kind, p, s, sign, metrics, delayed, delay, lr):
    """The state of one run after its metrics; delayed[t - delay] leaves the window at metric t."""
    for t in range(metrics.size):
        gone = sign * np.float64(delayed[t - delay]) if 0 < delay <= t else 0.0
        s = advance(kind, p, s, sign * np.float64(metrics[t]), gone)
        lr[t] = s.lr
    return s

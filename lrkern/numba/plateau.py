"""The learning rate on a plateau in compiled code, metric by metric: `lrkern.Plateau`, its dialects and their arguments."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from lrkern._loss_driven.dialects import DIALECTS
from lrkern.numba.plateau_arguments import NAMES, NONE
from lrkern.numba.scan_rules import (
    Anchor,
    Greedy,
    Keras,
    NewBob,
    Optax,
    Paddle,
    ScanParams,
    Torch,
    advance,
    changed,
    follow,
    in_single,
)
from lrkern.pointwise.primitives import pointwise

MMENGINE, TIMM = NAMES.index("mmengine"), NAMES.index("timm")
KERAS, OPTAX, GREEDY = NAMES.index("keras"), NAMES.index("optax"), NAMES.index("transformers")
PADDLE, NEWBOB, ANCHOR = NAMES.index("paddle"), NAMES.index("speechbrain"), NAMES.index("speechbrain_plateau")
BEST = tuple(one.best for one in DIALECTS.values())
"""The best metric before the first one."""


class PlateauState(NamedTuple):
    """The state and arguments of a plateau. `lr` is the current learning rate.

    It has the fields of a `scan_rules.ScanState` and a `ScanParams`, as which rules use it, and those of warm-up and window.
    """

    lr: float
    scale: float
    best: float
    bad: float
    good: float
    cooling: float
    warming: float
    resets: float
    sum: float
    summed: float
    history: Any
    """The latest metrics, oldest first; empty without a window."""
    seen: float
    """The number of metrics so far."""
    dialect: int
    flag: bool
    """The flag of the rule's kind."""
    sign: float
    begin: float
    end: float
    """The range of metrics that count."""
    warmup_lr: float
    each: float
    """The learning rates of a warm-up."""
    start: float
    factor: float
    patience: float
    slope: float
    margin: float
    cooldown: float
    min_lr: float
    max_lr: float
    eps: float
    warmup: float
    reset_start: float
    window: float
    accumulate: float


@pointwise
def first_state(d, given):
    """The state before the first metric; `given`: a `Given` of dialect d. Twin of `_loss_driven.dialects.kernel_params`."""
    if d == MMENGINE and given.end != NONE and given.end <= given.begin:
        raise ValueError("plateau: end must be larger than begin")
    if d == OPTAX and given.threshold == 0.0 and given.atol == 0.0:
        raise ValueError("plateau: threshold or atol must be > 0 in dialect 'optax'; got 0 for both")
    sign = -1.0 if given.mode == 1.0 else 1.0
    relative = d == OPTAX or (d not in (KERAS, NEWBOB) and given.threshold_mode == 0.0)
    single = d in (OPTAX, KERAS) and given.precision == 0.0
    slope = 1.0 - sign * given.threshold if relative else 1.0
    if d == PADDLE:
        slope = sign * given.threshold
    margin = 0.0 if relative else given.threshold
    start, factor, least = given.start, given.factor, given.min_lr
    begin, end, each, window = 0.0, math.inf, 0.0, 0.0
    if d == OPTAX:
        slope = in_single(single, slope)
        margin, least, factor = in_single(single, given.atol), in_single(single, given.min_scale), in_single(single, factor)
    elif d == KERAS:
        start = in_single(single, start)
    elif d == MMENGINE:  # the peer counts from 1
        begin = max(given.begin - 1.0, 0.0)
        end = math.inf if given.end == NONE else max(given.end - 1.0, 0.0)
    elif d == TIMM:
        begin = given.warmup
        each = (start - given.warmup_lr) / begin if begin > 0.0 else 0.0
    elif d == GREEDY:
        window = max(given.window, 0.0)
    flag = single | (window > 0.0) | ((d == PADDLE) & relative)
    lr = given.warmup_lr if d == TIMM and begin > 0.0 else start
    return PlateauState(
        lr, 1.0, BEST[d], 0.0, 0.0, 0.0, 0.0, given.reset_start, 0.0, 0.0,
        np.zeros(int(window)), 0.0, d, flag, sign, begin, end, given.warmup_lr, each,
        start, factor, given.patience, slope, margin, given.cooldown, least, given.max_lr, given.eps, given.warmup,
        given.reset_start, window, given.accumulate,
    )  # fmt: skip


def _by_dialect(function):
    """chosen(s, arguments): function(kind, *arguments), with the kind of rule that the state's dialect has."""

    @pointwise
    def chosen(s, arguments):
        if s.dialect == KERAS:
            return function(Keras(s.flag), *arguments)
        if s.dialect == OPTAX:
            return function(Optax(s.flag), *arguments)
        if s.dialect == GREEDY:
            return function(Greedy(s.flag), *arguments)
        if s.dialect == PADDLE:
            return function(Paddle(s.flag), *arguments)
        if s.dialect == NEWBOB:
            return function(NewBob(False), *arguments)
        if s.dialect == ANCHOR:
            return function(Anchor(False), *arguments)
        return function(Torch(False), *arguments)

    return chosen


next_state = _by_dialect(pointwise(lambda kind, p, s, x, delayed: advance(kind, p, s, x, delayed)))
follow_all = _by_dialect(follow)


@pointwise
def after(s, metric):
    """The state after one more metric."""
    seen, history, smooth = s.seen + 1.0, s.history, s.history.size > 0
    if s.begin <= s.seen < s.end:
        new = next_state(s, (s, s, s.sign * metric, s.sign * history[0] if smooth else 0.0))
    else:
        lr = s.warmup_lr + seen * s.each if s.dialect == TIMM and s.seen < s.begin else s.lr
        new = changed(s, lr=lr)
    if smooth:
        history = np.append(history[1:], metric)
    return PlateauState(
        new.lr, new.scale, new.best, new.bad, new.good, new.cooling, new.warming, new.resets, new.sum, new.summed,
        history, seen, s.dialect, s.flag, s.sign, s.begin, s.end, s.warmup_lr, s.each,
        s.start, s.factor, s.patience, s.slope, s.margin, s.cooldown, s.min_lr, s.max_lr, s.eps, s.warmup,
        s.reset_start, s.window, s.accumulate,
    )  # fmt: skip


@pointwise
def watch(s, metrics, lr):
    """The learning rates after metrics that count: those of `after`, without creating a state for each."""
    p = ScanParams(
        s.start, s.factor, s.patience, s.slope, s.margin, s.cooldown, s.min_lr, s.max_lr, s.eps, s.warmup, s.reset_start,
        s.window, s.accumulate,
    )  # fmt: skip
    return follow_all(s, (p, changed(s), s.sign, metrics, metrics, s.history.size, lr)).lr


@pointwise
def run(begun, metrics, lr):
    """The learning rates of one run from its start."""
    begin = int(min(begun.begin, float(metrics.size)))
    end = int(max(min(begun.end, float(metrics.size)), float(begin)))
    state = begun
    for t in range(begin):
        state = after(state, 0.0)
        lr[t] = state.lr
    held = watch(state, metrics[begin:end], lr[begin:end])
    lr[end:] = held

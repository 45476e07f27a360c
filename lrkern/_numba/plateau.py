"""The learning rate on a plateau, metric by metric, in compiled code: the rule "torch" of src_c/scan.inc."""

from __future__ import annotations

import math
from typing import NamedTuple

from lrkern._jit import pointwise


class PlateauState(NamedTuple):
    """What a plateau carries from metric to metric, and what it was told. `lr` is the learning rate in force."""

    lr: float
    best: float
    bad: float
    cooling: float
    factor: float
    patience: float
    slope: float
    margin: float
    sign: float
    cooldown: float
    min_lr: float
    eps: float


@pointwise
def first_state(start, factor, patience, threshold, relative, largest, cooldown, min_lr, eps):
    """Before the first metric. A metric x is good if sign x < slope best - margin."""
    sign = -1.0 if largest else 1.0
    slope = 1.0 - sign * threshold if relative else 1.0
    margin = 0.0 if relative else threshold
    return PlateauState(
        start, math.inf, 0.0, 0.0, factor, float(patience), slope, margin, sign, float(cooldown), min_lr, eps
    )  # fmt: skip


@pointwise
def after(s, metric):
    """After one more metric."""
    x = s.sign * metric
    better = x < s.best * s.slope - s.margin
    cooling = s.cooling > 0.0
    bad = 0.0 if better or cooling else s.bad + 1.0
    fires = bad > s.patience
    product = s.lr * s.factor
    lower = s.min_lr if s.min_lr > product else product
    lr = lower if fires and s.lr - lower > s.eps else s.lr
    rest = s.cooldown if fires else s.cooling - 1.0 if cooling else s.cooling
    return PlateauState(
        lr, x if better else s.best, 0.0 if fires else bad, rest, s.factor, s.patience, s.slope, s.margin, s.sign, s.cooldown,
        s.min_lr, s.eps,
    )  # fmt: skip

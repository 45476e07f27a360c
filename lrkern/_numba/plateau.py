"""The learning rate on a plateau in compiled code, metric by metric or of many runs: the rule "torch" of src_c/scan.inc."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from lrkern import _core
from lrkern._jit import pointwise
from lrkern._numba.arrays import array_at, cached
from lrkern._numba.threads import all_threads

# Metrics below which threads do not pay.
SERIAL = 1 << 15


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


# ----------------------------------------------------------------------------------------------------------- many runs


class Rows(NamedTuple):
    """Where rows of numbers are: the address of the first, and from each to the next. A row is dense, whatever its array is."""

    address: Any
    pitch: Any
    like: Any
    """0 in the type of the numbers."""


@pointwise
def row_of(rows, run, steps):
    """The numbers of a run."""
    return array_at(rows.address + run * rows.pitch, 0, steps, rows.like)


@pointwise
def advance_run(run, steps, metrics, lr, states):
    """One run over all its metrics; states[:, run]: the fields of its PlateauState."""
    f = states[:, run]
    s = PlateauState(f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9], f[10], f[11])
    seen, out = row_of(metrics, run, steps), row_of(lr, run, steps)
    for t in range(steps):
        s = after(s, np.float64(seen[t]))
        out[t] = s.lr
    f[0], f[1], f[2], f[3] = s.lr, s.best, s.bad, s.cooling


@cached
def advance_serial(runs, steps, metrics, lr, states):
    """All runs."""
    for run in range(runs):
        advance_run(run, steps, metrics, lr, states)


@cached(parallel=True)
def advance_parallel(runs, steps, metrics, lr, states):
    """The same, on several threads."""
    for run in prange(runs):
        advance_run(run, steps, metrics, lr, states)


def _rows(array: NDArray[Any]) -> Rows:
    return Rows(array.ctypes.data, array.strides[0], array.dtype.type(0))


def scan(
    sign: float,
    params: dict[str, NDArray[np.float64]],
    state: dict[str, NDArray[np.float64]],
    metrics: NDArray[Any],
    delayed: NDArray[Any],
    delay: int,
    lr: NDArray[np.float64],
) -> str:
    """`_core.scan` by the rule "torch", which delays nothing."""
    runs, steps = metrics.shape
    states = np.empty((len(PlateauState._fields), runs))
    for name, row in zip(PlateauState._fields, states, strict=True):
        row[:] = state[name] if name in state else sign if name == "sign" else params[name]
    if runs > 1 and metrics.size >= SERIAL and _core.get_threads() > 1:
        with all_threads():
            advance_parallel(runs, steps, _rows(metrics), _rows(lr), states)
    else:
        advance_serial(runs, steps, _rows(metrics), _rows(lr), states)
    for name, row in zip(PlateauState._fields, states, strict=True):
        if name in state:
            state[name][:] = row
    return "numba"

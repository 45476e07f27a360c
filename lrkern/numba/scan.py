"""Loss-driven schedules of many runs in compiled code: `_core.scan`, `_core.loss_driven_scan`.

The layout is that of src_c/scan/scan.c.

LANES runs are advanced side by side, metric by metric: their states are in rows of scratch memory, one row per field, so that
the loop over the lanes is vectorized.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from lrkern import _core
from lrkern.numba.arrays import STRIDE, array_at, ask, cached
from lrkern.numba.modes import enter, leave
from lrkern.numba.scan_rules import KINDS, ScanParams, ScanState, advance, follow
from lrkern.numba.threads import all_threads
from lrkern.pointwise.primitives import pointwise

LANES = 32
BLOCK = 64
"""Metrics per lane that are gathered at a time: few enough for the inner caches."""

FEW = 8
"""Up to this many runs are done one by one: that takes no longer than LANES side by side."""

# The offsets of rows of lanes in scratch memory, and its size. They are constants, so that the compiler sees no aliasing.
STATES = len(ScanParams._fields)
METRIC = STATES + len(ScanState._fields)
DELAYED = METRIC + 1
RATE = DELAYED + 1
SCRATCH = (RATE + 1) * LANES


class Rows(NamedTuple):
    """Rows of numbers: the address of the first, and the distance between rows. Each row is contiguous."""

    address: Any
    pitch: Any
    like: Any
    """0, with the type of the numbers."""


def _rows(array: NDArray[Any]) -> Rows:
    return Rows(array.ctypes.data, array.strides[0], array.dtype.type(0))


@pointwise
def row_of(rows, run, begin, steps):
    """Consecutive numbers of a run."""
    return array_at(rows.address + run * rows.pitch, begin, steps, rows.like)


@pointwise
def ask_for(rows, first, lanes, begin, t):
    """Prefetch a block, a part at each of its BLOCK steps: the hardware prefetcher does not track that many rows."""
    parts = BLOCK // STRIDE
    for part in range(t * LANES * parts // BLOCK, (t + 1) * LANES * parts // BLOCK):
        ask(row_of(rows, first + min(part // parts, lanes - 1), begin, BLOCK), part % parts * STRIDE)


@pointwise
def gather(rows, sign, first, lanes, begin, steps, block):
    """block[t, lane] = sign rows[first + lane][begin + t]; 0 before the beginning of a row."""
    skipped = min(max(-begin, 0), steps)
    block[: skipped * LANES] = 0.0
    for lane in range(0, lanes, 2):  # two at a time halves the stores
        a = row_of(rows, first + lane, begin, steps)
        b = row_of(rows, first + min(lane + 1, lanes - 1), begin, steps)
        for t in range(skipped, steps):
            block[t * LANES + lane] = sign * np.float64(a[t])
            block[t * LANES + lane + 1] = sign * np.float64(b[t])


@pointwise
def scatter(block, rows, first, lanes, begin, steps):
    """The inverse of `gather`, four steps at a time."""
    whole = steps // 4 * 4
    for lane in range(lanes):
        out = row_of(rows, first + lane, begin, steps)
        for t in range(0, whole, 4):
            k = t * LANES + lane
            out[t], out[t + 1], out[t + 2], out[t + 3] = block[k], block[k + LANES], block[k + 2 * LANES], block[k + 3 * LANES]
        for t in range(whole, steps):
            out[t] = block[t * LANES + lane]


@intrinsic
def copy_row(typing_context, source, row, target, to):
    """Row `to` of target = row `row` of source, without the compiler's check for overlaps at each row."""

    def code(context, builder, signature, arguments):
        (begin, end), size = (
            [
                builder.gep(context.make_array(kind)(context, builder, array).data, [builder.mul(k, k.type(LANES))])
                for kind, array, k in ((source, *arguments[:2]), (target, *arguments[2:]))
            ],
            context.get_constant(types.intp, LANES),
        )
        cgutils.raw_memcpy(builder, end, begin, size, 8)
        return context.get_dummy_value()

    return types.void(source, types.intp, target, types.intp), code


@pointwise
def params_of(w, i):
    """The parameters of lane i."""
    return ScanParams(
        w[i], w[LANES + i], w[2 * LANES + i], w[3 * LANES + i], w[4 * LANES + i], w[5 * LANES + i], w[6 * LANES + i],
        w[7 * LANES + i], w[8 * LANES + i], w[9 * LANES + i], w[10 * LANES + i], w[11 * LANES + i], w[12 * LANES + i],
    )  # fmt: skip


@pointwise
def state_of(w, i):
    """The state of lane i."""
    k = STATES * LANES + i
    return ScanState(
        w[k], w[k + LANES], w[k + 2 * LANES], w[k + 3 * LANES], w[k + 4 * LANES], w[k + 5 * LANES], w[k + 6 * LANES],
        w[k + 7 * LANES], w[k + 8 * LANES], w[k + 9 * LANES],
    )  # fmt: skip


@pointwise
def keep_state(w, i, s):
    """Set the state of lane i."""
    k = STATES * LANES + i
    w[k], w[k + LANES], w[k + 2 * LANES], w[k + 3 * LANES], w[k + 4 * LANES] = s.lr, s.scale, s.best, s.bad, s.good
    w[k + 5 * LANES], w[k + 6 * LANES], w[k + 7 * LANES] = s.cooling, s.warming, s.resets
    w[k + 8 * LANES], w[k + 9 * LANES] = s.sum, s.summed


@pointwise
def advance_lanes(kind, w):
    """Advance all lanes by one metric. `w`: scratch memory."""
    for i in range(LANES):
        s = advance(kind, params_of(w, i), state_of(w, i), w[METRIC * LANES + i], w[DELAYED * LANES + i])
        keep_state(w, i, s)
        w[RATE * LANES + i] = s.lr


@pointwise
def advance_few(kind, w, first, lanes, steps, sign, metrics, delayed, delay, lr):
    """Advance each lane by all its metrics."""
    for i in range(lanes):
        seen, out = row_of(metrics, first + i, 0, steps), row_of(lr, first + i, 0, steps)
        gone = row_of(delayed, first + i, 0, steps)
        keep_state(w, i, follow(kind, params_of(w, i), state_of(w, i), sign, seen, gone, delay, out))


@pointwise
def advance_groups(kind, begin, end, runs, steps, sign, params, states, metrics, delayed, delay, lr):
    """Advance groups of runs by all their metrics. states[:, run]: its state; params[:, run], or params[:, 0] for all."""
    w, rates = np.zeros(SCRATCH), np.empty(BLOCK * LANES)
    seen, gone = np.zeros(BLOCK * LANES), np.zeros(BLOCK * LANES)
    for group in range(begin, end):
        first = group * LANES
        lanes = min(LANES, runs - first)
        for i in range(lanes):  # lanes beyond the last run compute values that are not used
            for k in range(params.shape[0]):
                w[k * LANES + i] = params[k, min(first + i, params.shape[1] - 1)]
            for k in range(states.shape[0]):
                w[(STATES + k) * LANES + i] = states[k, first + i]
        if lanes < FEW:
            advance_few(kind, w, first, lanes, steps, sign, metrics, delayed, delay, lr)
        for at in range(0, steps if lanes >= FEW else 0, BLOCK):
            size = min(BLOCK, steps - at)
            gather(metrics, sign, first, lanes, at, size, seen)
            if delay > 0:
                gather(delayed, sign, first, lanes, at - delay, size, gone)
            for t in range(size):
                ask_for(metrics, first, lanes, at + BLOCK, t)
                ask_for(lr, first, lanes, at + BLOCK, t)
                copy_row(seen, t, w, METRIC)
                if delay > 0:
                    copy_row(gone, t, w, DELAYED)
                advance_lanes(kind, w)
                copy_row(w, RATE, rates, t)
            scatter(rates, lr, first, lanes, at, size)
        for i in range(lanes):
            for k in range(states.shape[0]):
                states[k, first + i] = w[(STATES + k) * LANES + i]


@cached
def scan_serial(kind, groups, runs, steps, sign, params, states, metrics, delayed, delay, lr):
    """Advance all groups on the calling thread."""
    advance_groups(kind, 0, groups, runs, steps, sign, params, states, metrics, delayed, delay, lr)


@cached(parallel=True)
def scan_parallel(kind, groups, share, runs, steps, sign, params, states, metrics, delayed, delay, lr):
    """The same, `share` of them at a time."""
    for task in prange((groups + share - 1) // share):
        begin, end = task * share, min(groups, (task + 1) * share)
        found = enter()
        advance_groups(kind, begin, end, runs, steps, sign, params, states, metrics, delayed, delay, lr)
        leave(found)


def scan(
    rule: str,
    sign: float,
    params: dict[str, NDArray[np.float64]],
    state: dict[str, NDArray[np.float64]],
    metrics: NDArray[Any],
    delayed: NDArray[Any],
    delay: int,
    lr: NDArray[np.float64],
) -> str:
    """`_core.scan` without support for metrics that continue earlier ones: `delayed` is `metrics`, or there is no delay."""
    runs, steps = metrics.shape
    given = np.array(np.broadcast_arrays(*[params[name] for name in ScanParams._fields]))
    states = np.array([state[name] for name in ScanState._fields])
    work = runs, steps, sign, given, states, _rows(metrics), _rows(delayed), delay, _rows(lr)
    groups = -(-runs // LANES)
    if groups > 1 and _core.scan_in_parallel(metrics.size):
        with all_threads():
            scan_parallel(KINDS[rule], groups, _core.SCAN_MIN_TASK // (LANES * steps) + 1, *work)
    else:
        scan_serial(KINDS[rule], groups, *work)
    for name, row in zip(ScanState._fields, states, strict=True):
        state[name][:] = row
    return "numba"


# ---------------------------------------------------------------------------------------------------------- loss_driven


@pointwise
def drive(run, steps, losses, tables, table_of, lr):
    """One run: a new value if the loss falls, else the previous one."""
    loss = array_at(losses.address + run * losses.pitch, 0, steps, losses.like)
    out = array_at(lr.address + run * lr.pitch, 0, steps, lr.like)
    table = tables[table_of[run]]
    out[0] = table[0]
    for t in range(1, steps):
        fresh, held = table[t], table[t - 1]
        out[t] = fresh if loss[t] < loss[t - 1] else held


@cached
def drive_serial(runs, steps, losses, tables, table_of, lr):
    """All runs."""
    for run in range(runs):
        drive(run, steps, losses, tables, table_of, lr)


@cached(parallel=True)
def drive_parallel(runs, steps, losses, tables, table_of, lr):
    """The same on several threads."""
    for run in prange(runs):
        found = enter()
        drive(run, steps, losses, tables, table_of, lr)
        leave(found)


def loss_driven(losses: NDArray[Any], tables: NDArray[np.float64], table_of: NDArray[np.int64], lr: NDArray[np.float64]) -> str:
    """`_core.loss_driven_scan`."""
    runs, steps = losses.shape
    work = runs, steps, _rows(losses), tables, table_of, _rows(lr)
    if losses.size == 0:
        return "numba"
    if runs > 1 and _core.scan_in_parallel(losses.size):
        with all_threads():
            drive_parallel(*work)
    else:
        drive_serial(*work)
    return "numba"


SCANS = {rule: partial(scan, rule) for rule in KINDS} | {"loss_driven": loss_driven}

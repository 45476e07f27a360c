"""Plans in compiled code: single values and runs of values. The pointwise part is in `lrkern.pointwise.plan_eval`."""

from __future__ import annotations

import math

import numpy as np
from numba import prange, types
from numba.core.errors import TypingError
from numba.extending import overload

from lrkern.numba import machine
from lrkern.numba.arrays import STRIDE, cached, only_writable
from lrkern.numba.modes import enter, leave
from lrkern.pointwise import plan_eval
from lrkern.pointwise.primitives import FLAGS, pointwise, word

COPIED = 4096  # cycles up to this many elements are filled once and copied
STAGED = 16 << 10  # bytes in the innermost cache that are filled, then streamed

value_at = word("value_at")  # value_at(plan, step): at an integer or a float
fill_from = word("fill_from")  # fill_from(plan, out, start): `fill_run` from an integer, or from a float


@overload(value_at, jit_options=FLAGS)
def _value_at(plan, step):
    if isinstance(step, types.Float):
        return lambda plan, step: plan_eval.at_real(plan, np.float64(step))
    if isinstance(step, types.Integer):
        return lambda plan, step: plan_eval.at_integer(plan, np.int64(step))
    raise TypingError(f"lrkern: a step must be an integer or a float; got {step}")


# One loop per degree of pieces: the omitted terms are 0 and change no bit, but would take time.
# Inner loops have a fixed length, so that expressions of i alone are computed once for all of them.
# `ahead`: steps from the centre of the piece to the first element; all numbers here are exact in float64.


@pointwise
def fill_0(c, ahead, out):
    """A constant piece."""
    out[:] = c[0] + (c[2] + 0.0)


@pointwise
def fill_degree(high, c, ahead, out):
    """A piece of the degree whose higher terms `high` computes."""
    machine.wide()
    whole = out.size // STRIDE * STRIDE
    for group in range(0, whole, STRIDE):
        first = (ahead + np.float64(group)) * c[12]
        for i in range(STRIDE):
            u = first + np.float64(np.int32(i)) * c[12]
            out[group + i] = plan_eval.combine(c, u, high(c, u))
    for i in range(whole, out.size):
        u = (ahead + np.float64(np.int32(i))) * c[12]
        out[i] = plan_eval.combine(c, u, high(c, u))


@pointwise
def fill_any(c, ahead, out):
    """Any piece, with or without scaled coefficients."""
    for i in range(out.size):
        out[i] = plan_eval.value(c, (ahead + np.float64(np.int32(i))) * c[12])


@pointwise
def fill_piece(c, ahead, out):
    """Fill steps of one piece, at most 2^31 of them."""
    if c[14] != 1.0 or out.size < 4:
        fill_any(c, ahead, out)
    elif c[10] != 0.0 or c[11] != 0.0:
        fill_degree(plan_eval.horner9, c, ahead, out)
    elif c[4] != 0.0 or c[5] != 0.0 or c[6] != 0.0 or c[7] != 0.0 or c[8] != 0.0 or c[9] != 0.0:
        fill_degree(plan_eval.horner7, c, ahead, out)
    elif c[1] != 0.0 or c[3] != 0.0:
        fill_degree(plan_eval.horner1, c, ahead, out)
    else:
        fill_0(c, ahead, out)


@pointwise
def fill_covered(plan, t, cycle_end, out):
    """Fill steps from t on until `cycle_end`, or until `out` is full. Returns their number."""
    k, done = plan_eval.find(plan, t), 0
    while done < out.size and t < cycle_end:
        size = min(min(plan.breaks[k + 1], cycle_end) - t, min(out.size - done, 1 << 30))
        fill_piece(plan_eval.piece(plan, k), np.float64(t - plan.center[k]), out[done : done + size])
        done += size
        t += size
        k += 1
    return done


@pointwise
def repeat(out, period, begin):
    """Repeat out[:begin], whole periods, in the rest of `out`; the copied part stays in the inner caches."""
    most = max(period, COPIED // period * period)
    while begin < out.size:
        target = out[begin : begin + min(begin, most)]
        for i in range(target.size):
            target[i] = out[i]
        begin += target.size


@cached
def fill_run(plan, out, start):
    """Fill a 1-D array with values at steps start, start + 1, ...; NaN where the plan does not cover a step."""
    machine.wide()
    last = plan.breaks[plan.center.size]
    cycle_end = plan.tail_start + plan.period if plan.period > 0 else last
    covered = plan_eval.MAX_STEP + 1 if plan.period > 0 else last
    done = min(max(-start, 0), out.size)
    stop = max(min(covered - start, out.size), done)
    out[:done] = math.nan
    out[stop:] = math.nan
    while done < stop:
        t = plan_eval.reduced(plan, start + done)
        if plan.period == 1 and t == plan.tail_start:
            out[done:stop] = plan_eval.at_integer(plan, t)
            return
        if plan.period > 0 and t == plan.tail_start and stop - done > plan.period:
            rest = out[done:stop]
            repeat(rest, plan.period, fill_covered(plan, t, cycle_end, rest))
            return
        done += fill_covered(plan, t, cycle_end, out[done:stop])


@pointwise
def fill_streaming(plan, out, start):
    """`fill_run` with streaming stores to `out`, for outputs that do not fit in the caches."""
    address, size = machine.address_of(out), out.itemsize
    piece = np.empty(STAGED // size, out.dtype)
    done = min((-address % machine.LINE) // size, out.size)  # up to the first cache line
    fill_run(plan, out[:done], start)
    while done < out.size:
        many = min(piece.size, out.size - done)
        fill_run(plan, piece[:many], start + done)
        lines = many * size // machine.LINE
        machine.stream(address + done * size, machine.address_of(piece), lines)
        for i in range(lines * machine.LINE // size, many):
            out[done + i] = piece[i]
        done += many
    machine.publish()


@overload(fill_from, jit_options=FLAGS)
def _fill_from(plan, out, start):
    def from_integer(plan, out, start):
        fill_run(plan, out.reshape(out.size), np.int64(start))

    def from_real(plan, out, start):
        if abs(start) <= plan_eval.MAX_STEP and start == math.floor(start):
            fill_run(plan, out.reshape(out.size), np.int64(start))
        else:
            elements = out.reshape(out.size)
            for i in range(elements.size):
                elements[i] = plan_eval.at_real(plan, start + float(i))

    if not (isinstance(out, types.Array) and isinstance(out.dtype, types.Float)):
        raise TypingError(f"lrkern: out must be float64 or float32; got {out}")
    if out.layout != "C":
        raise TypingError(f"lrkern: out must be C-contiguous; got {out}")
    only_writable(out)
    if isinstance(start, types.Float):
        return from_real
    if isinstance(start, types.Integer):
        return from_integer
    raise TypingError(f"lrkern: start must be an integer or a float; got {start}")


@cached(parallel=True)
def fill_parallel(plan, out, start, share, streams):
    """`fill_run` in chunks of `share` elements, on all threads. `streams`: with streaming stores."""
    for k in prange((out.size + share - 1) // share):
        begin = k * share
        machine.wide()
        found, mine = enter(), out[begin : min(out.size, begin + share)]
        if streams:
            fill_streaming(plan, mine, start + begin)
        else:
            fill_run(plan, mine, start + begin)
        leave(found)

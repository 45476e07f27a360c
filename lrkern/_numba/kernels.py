"""Compiled steps of lists of tensors, given by their addresses. One version for each kind of list: see `lists.Kind`."""

from __future__ import annotations

import numpy as np
from numba import prange

from lrkern import rules
from lrkern._jit import pointwise, rounded
from lrkern._numba import norms
from lrkern._numba.arrays import array_at, cached, load, part, zero_of
from lrkern._numba.update import Pipeline, inputs_at, measure_block, run_range


@pointwise
def run_chunks(chunks, lrs, addresses, group_of, updates, measured, measures, inputs, weights, around, like, h_like, stored):
    """Steps chunks (tensor, begin, end, begin in the gradient). `like`, `h_like`, `stored` say of which types things are."""
    group, n, tensor = np.int64(-1), np.int64(-1), np.int64(-1)
    c = rounded(rules.scalars(inputs_at(h_like, inputs, 0), 1, 1.0, 1.0), like)
    for k in range(chunks.shape[0]):
        i, begin, size, shifted = chunks[k, 0], chunks[k, 1], chunks[k, 2] - chunks[k, 1], chunks[k, 3]
        if lrs is not None or group != group_of[i] or n != updates[i] or (measures and tensor != i):
            group, n, tensor = group_of[i], updates[i], i
            own = inputs[group : group + 1]
            if lrs is not None:
                own = own.copy()
                own[0, 0] = lrs[k]
            c = rounded(rules.scalars(inputs_at(h_like, own, 0), n + 1, measured[i, 0], measured[i, 1]), like)
        at = addresses[i]
        run_range(
            c,
            like,
            begin,
            Pipeline(around.factor, around.limit, weights[group], around.zero, around.mixed),
            array_at(at[0], begin, size, stored[0]),
            array_at(at[1], begin, size, stored[1]),
            array_at(at[2], shifted, size, stored[2]),
            array_at(at[3], begin, size, stored[3]),
            array_at(at[4], begin, size, stored[4]),
            array_at(at[5], begin, size, stored[5]),
            array_at(at[6], begin, size, stored[6]),
            array_at(at[7], begin, size, stored[7]),
        )


@pointwise
def count(counts, tensors, updates):
    """The step is done. Counted here and not by the caller: between this and a line of Python, Ctrl-C could come."""
    for i in tensors:
        updates[i] += 1
    counts[0] += 1


@cached
def run_serial(
    counts,
    tensors,
    chunks,
    lrs,
    addresses,
    group_of,
    updates,
    measured,
    measures,
    inputs,
    weights,
    around,
    like,
    h_like,
    stored,
):
    """All chunks."""
    run_chunks(
        chunks,
        lrs,
        addresses,
        group_of,
        updates,
        measured,
        measures,
        inputs,
        weights,
        around,
        like,
        h_like,
        stored,
    )
    count(counts, tensors, updates)


@cached(parallel=True)
def run_parallel(
    counts,
    tensors,
    share,
    chunks,
    lrs,
    addresses,
    group_of,
    updates,
    measured,
    measures,
    inputs,
    weights,
    around,
    like,
    h_like,
    stored,
):
    """The same, `share` chunks at a time."""
    for k in prange((chunks.shape[0] + share - 1) // share):
        run_chunks(
            chunks[k * share : (k + 1) * share],
            part(lrs, k * share, share),
            addresses,
            group_of,
            updates,
            measured,
            measures,
            inputs,
            weights,
            around,
            like,
            h_like,
            stored,
        )
    count(counts, tensors, updates)


@cached(parallel=True)
def square_blocks(blocks, addresses, stored, like, scale, out, share):
    """out[k] = the sum of squares of block k (tensor, begin, end) of gradients, each element multiplied by `scale`."""
    for piece in prange((blocks.shape[0] + share - 1) // share):
        lanes = np.empty(norms.LANES)
        for k in range(piece * share, min(blocks.shape[0], (piece + 1) * share)):
            i, begin, end = blocks[k]
            out[k] = norms.square_of(array_at(addresses[i], begin, end - begin, stored), like, scale, lanes)


@cached(parallel=True)
def measure_blocks(blocks, addresses, group_of, updates, inputs, around, like, h_like, stored, out, share):
    """out[0, k], out[1, k] = the sums of squares of parameters in block k, and of what their rule measures."""
    for piece in prange((blocks.shape[0] + share - 1) // share):
        lanes, others = np.empty(norms.LANES), np.empty(norms.LANES)
        for k in range(piece * share, min(blocks.shape[0], (piece + 1) * share)):
            i, begin, end = blocks[k]
            size, at = end - begin, addresses[i]
            c = rounded(rules.scalars(inputs_at(h_like, inputs, group_of[i]), updates[i] + 1, 1.0, 1.0), like)
            out[0, k], out[1, k] = measure_block(
                c,
                like,
                around,
                array_at(at[0], begin, size, stored[0]),
                array_at(at[1], begin, size, stored[1]),
                array_at(at[2], begin, size, stored[2]),
                array_at(at[3], begin, size, stored[3]),
                array_at(at[4], begin, size, stored[4]),
                array_at(at[5], begin, size, stored[5]),
                lanes,
                others,
            )


@cached
def sum_rows(values, begin, order, out):
    """out[k] = the sum of the rows values[order[begin[k]:begin[k + 1]]], in this order, in the type of `out`."""
    like = zero_of(out)
    for k in range(out.shape[0]):
        for column in range(out.shape[1]):
            total = load(values[order[begin[k]]], column, like)
            for j in range(begin[k] + 1, begin[k + 1]):
                total += load(values[order[j]], column, like)
            out[k, column] = total

"""Norms of all gradients, or of what LARS and LAMB measure in each tensor; see docs/steps.md ("Norm").

Four threads process a block of 1024 elements. Each has four of the sixteen accumulators and takes four adjacent elements at a
time, in ascending order. Block sums are added exactly (`exact_sum`), first within the thread block, so that few atomics go to
memory.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from lrkern import _core
from lrkern.cuda import _elements, _rows
from lrkern.cuda._kernels import GRAD, STATE, Layout, param_access
from lrkern.cuda._overloads import native
from lrkern.cuda._platform import THREADS, atomic_add, cuda, device, kernel, types
from lrkern.cuda._table_layout import (
    ADDRESSES,
    CLIP,
    FACTOR,
    FIRST_ENTRY,
    LIMIT,
    RESCALE,
    ROW_SIZE,
    SIZE,
    WIDE,
    reader_of_scalars,
)
from lrkern.pointwise.exact_sum import BINS, parts, total
from lrkern.pointwise.pipeline import prepared
from lrkern.pointwise.primitives import pointwise, product, sqrt
from lrkern.rules.compiled import FAMILIES

BLOCK = _core.NORM_BLOCK
CHUNK = THREADS // 4 * BLOCK
"""Elements per thread block in norms."""

LANES = 4
SUMS = THREADS * LANES

TINY_SUM, SCALE = _core.NORM_TINY_SUM, _core.NORM_SCALE


@pointwise
def with_square(sum_so_far, x, scale):
    y = np.float64(x) * scale
    return sum_so_far + product(y, y)


@pointwise
def with_own_square(sum_so_far, x):
    return sum_so_far + product(np.float64(x), np.float64(x))


@pointwise
def with_term(sum_so_far, x):
    return sum_so_far + np.float64(x)


@pointwise
def _sum_of_block(sums, first):
    """The sum of sixteen accumulators. Changes them."""
    w = 8
    while w > 0:
        for j in range(w):
            sums[first + j] = sums[first + j] + sums[first + j + w]
        w //= 2
    return sums[first]


@pointwise
def root(square):
    """sqrt, in kernels."""
    return sqrt(square)


@device
def add_block(sums: Any, bins: Any, row: int, accumulators: Any) -> None:
    """Add the sums of the blocks, each of four threads, to a row of bins; all threads of the thread block call this."""
    thread = cuda.threadIdx.x
    for k in range(LANES):
        sums[thread * LANES + k] = accumulators[k]
    cuda.syncthreads()
    if thread % 4 == 0:
        k, a, b, c = parts(_sum_of_block(native(sums), thread * LANES))
        atomic_add(bins, (row, k), a)
        if b != 0:
            atomic_add(bins, (row, k + 1), b)
        if c != 0:
            atomic_add(bins, (row, k + 2), c)
    cuda.syncthreads()


@device
def clear(bins: Any, rows: int) -> None:
    for row in range(rows):
        k = cuda.threadIdx.x
        while k < BINS:
            bins[row, k] = 0
            k += cuda.blockDim.x
    cuda.syncthreads()


@cache
def make_square(t: Any, storage: int, second: bool, sparse: bool) -> Any:
    """The kernel square(tensors, chunks, clips, bins), which adds squares of gradients to their rows of bins.

    `second`: for the second pass, with elements multiplied by RESCALE of `clips` unless that is 0. `sparse`: for gradients
    (indices, values): squares of the summed rows, with one more argument, `entries`.
    """
    if sparse:
        read_wide, read_single = (_rows.reader(storage, t, lanes, False) for lanes in (LANES, 1))
        source_of = _rows.source_of
    else:
        read_wide, read_single = _elements.reader(storage, t, LANES), _elements.reader(storage, t, 1)
        source_of = _rows.dense_source_of

    @device  # shared memory is created in kernels: numba-cuda-mlir 0.6.0 loses that of functions
    def square_of(
        tensors: Any, chunks: Any, scale: float, bins: Any, row: int, other: int, entries: Any, mine: Any, sums: Any
    ) -> None:
        accumulators = cuda.local.array(LANES, types.float64)
        found, one = cuda.local.array(LANES, t), cuda.local.array(1, t)
        clear(mine, 1)
        tensor = chunks[cuda.blockIdx.x, 0]
        grad, wide, width = tensors[tensor, GRAD], tensors[tensor, WIDE], tensors[tensor, ROW_SIZE]
        begin, end, length, entry = chunks[cuda.blockIdx.x, 1] + cuda.threadIdx.x // 4 * BLOCK, tensors[tensor, SIZE], BLOCK, 0
        if sparse:
            begin, end, entry = _block_of_row(entries, begin // BLOCK, width, tensors[tensor, FIRST_ENTRY], end)
            length = min(BLOCK, end - begin)
            if width % LANES != 0:
                wide = 0
        for k in range(LANES):
            accumulators[k] = 0.0
        for line in range(0, length, 4 * LANES):
            i = begin + line + cuda.threadIdx.x % 4 * LANES
            if wide != 0 and i + LANES <= end:
                read_wide(grad, source_of(entries, entry, width, i, i), found)
            else:
                for k in range(LANES):
                    one[0] = 0
                    if i + k < end:
                        read_single(grad, source_of(entries, entry, width, i + k, i + k), one)
                    found[k] = one[0]
            for k in range(LANES):
                accumulators[k] = with_square(accumulators[k], found[k], scale)
        add_block(sums, mine, 0, accumulators)
        k = cuda.threadIdx.x
        while k < BINS:
            if mine[0, k] != 0:
                atomic_add(bins, (row, k), mine[0, k])
                if other != row:
                    atomic_add(bins, (other, k), mine[0, k])
            k += cuda.blockDim.x

    @device
    def squares_of(tensors: Any, chunks: Any, clips: Any, bins: Any, entries: Any, mine: Any, sums: Any) -> None:
        clip = tensors[chunks[cuda.blockIdx.x, 0], CLIP]
        if second:  # the norm of all and the tensor's own may have different scales
            which = 0
            while which >= 0:
                if clips[which, RESCALE] != 0.0:
                    row = 2 * which + 1
                    square_of(tensors, chunks, clips[which, RESCALE], bins, row, row, entries, mine, sums)
                which = clip if which == 0 and clip != 0 else -1
        else:
            square_of(tensors, chunks, 1.0, bins, 0, 2 * clip, entries, mine, sums)

    def square(tensors: Any, chunks: Any, clips: Any, bins: Any) -> None:
        mine = cuda.shared.array((1, BINS), types.int64)
        sums = cuda.shared.array(SUMS, types.float64)
        squares_of(tensors, chunks, clips, bins, chunks, mine, sums)

    def square_of_rows(tensors: Any, chunks: Any, clips: Any, bins: Any, entries: Any) -> None:
        mine = cuda.shared.array((1, BINS), types.int64)
        sums = cuda.shared.array(SUMS, types.float64)
        squares_of(tensors, chunks, clips, bins, entries, mine, sums)

    return kernel(square_of_rows if sparse else square, t, storage, second, sparse)


def blocks_of_row(width: int) -> int:
    """The number of blocks of a row."""
    return (width - 1) // BLOCK + 1


@device
def _block_of_row(entries: Any, block: int, width: int, first_entry: int, size: int) -> Any:
    """(first column, end, position of the entry) of a block of sparse gradients with `size` elements in total.

    It is empty if the entry is not the first of its row, and after the last entry.
    """
    each = (width - 1) // BLOCK + 1
    k, column = block // each, block % each * BLOCK
    entry = first_entry + k
    if k * width >= size or _rows.row_of(entries, entry, 0) < 0:
        return 0, 0, entry
    return column, width, entry


@pointwise
def _rescale(square):
    if square < TINY_SUM:
        return SCALE
    return 1.0 / SCALE if square == np.inf else 0.0


@kernel
def judge_scale(clips: Any, bins: Any) -> None:
    """One thread per norm: decide whether a second pass is needed, and with what scale."""
    i = cuda.grid(1)
    if i < clips.shape[0]:
        clips[i, RESCALE] = _rescale(total(native(bins[2 * i])))


@cache
def make_measure(layout: Layout) -> Any:
    """The kernel measure(tensors, chunks, coefs, bins), which adds to the bins of each tensor.

    bins[tensor, 0]: squares of the parameter; bins[tensor, 1]: what the rule measures, or its squares. coefs do not contain
    norms yet.
    """
    t, measured = layout.t, FAMILIES[layout.rule].measured
    noted = with_term if FAMILIES[layout.rule].sums else with_own_square
    assert measured is not None
    scalars_type: Any = FAMILIES[layout.rule].scalars_type
    read_scalars = reader_of_scalars(scalars_type)

    def readers(lanes: int) -> Any:
        read_param, _ = param_access(layout, lanes)
        read_grad = _elements.reader(layout.grad, t, lanes)
        read_0, read_1, read_2, read_3, read_4 = (_elements.reader(one, t, lanes) for one in layout.states)

        def read(places: Any, i: int, p: Any, g: Any, s0: Any, s1: Any, s2: Any, s3: Any, s4: Any) -> None:
            read_param(places, i, p)
            read_grad(places[GRAD], i, g)
            read_0(places[STATE], i, s0)
            read_1(places[STATE + 1], i, s1)
            read_2(places[STATE + 2], i, s2)
            read_3(places[STATE + 3], i, s3)
            read_4(places[STATE + 4], i, s4)

        return device(read)

    wide, single = readers(LANES), readers(1)

    def measure(tensors: Any, chunks: Any, coefs: Any, bins: Any) -> None:
        mine = cuda.shared.array((2, BINS), types.int64)
        sums = cuda.shared.array(SUMS, types.float64)
        of_param = cuda.local.array(LANES, types.float64)
        of_measured = cuda.local.array(LANES, types.float64)
        p, g = cuda.local.array(LANES, t), cuda.local.array(LANES, t)
        s0, s1, s2 = cuda.local.array(LANES, t), cuda.local.array(LANES, t), cuda.local.array(LANES, t)
        s3, s4 = cuda.local.array(LANES, t), cuda.local.array(LANES, t)
        p1, g1 = cuda.local.array(1, t), cuda.local.array(1, t)
        s01, s11, s21 = cuda.local.array(1, t), cuda.local.array(1, t), cuda.local.array(1, t)
        s31, s41 = cuda.local.array(1, t), cuda.local.array(1, t)
        clear(mine, 2)
        tensor = chunks[cuda.blockIdx.x, 0]
        size, is_wide, places = tensors[tensor, SIZE], tensors[tensor, WIDE], ADDRESSES(tensors, tensor)
        c = read_scalars(coefs, tensor)
        factor, limit = coefs[tensor, FACTOR], coefs[tensor, LIMIT]
        begin = chunks[cuda.blockIdx.x, 1] + cuda.threadIdx.x // 4 * BLOCK
        for k in range(LANES):
            of_param[k] = 0.0
            of_measured[k] = 0.0
        for line in range(0, BLOCK, 4 * LANES):
            i = begin + line + cuda.threadIdx.x % 4 * LANES
            if is_wide != 0 and i + LANES <= size:
                wide(places, i, p, g, s0, s1, s2, s3, s4)
                for k in range(LANES):
                    g[k] = prepared(g[k], factor, limit)
                    g[k] = measured(c, p[k], g[k], s0[k], s1[k], s2[k], s3[k], s4[k])
                    of_param[k] = with_square(of_param[k], p[k], 1.0)
                    of_measured[k] = noted(of_measured[k], g[k])
            else:
                for k in range(LANES):
                    if i + k < size:
                        single(places, i + k, p1, g1, s01, s11, s21, s31, s41)
                        g1[0] = prepared(g1[0], factor, limit)
                        g1[0] = measured(c, p1[0], g1[0], s01[0], s11[0], s21[0], s31[0], s41[0])
                        of_param[k] = with_square(of_param[k], p1[0], 1.0)
                        of_measured[k] = noted(of_measured[k], g1[0])
        add_block(sums, mine, 0, of_param)
        add_block(sums, mine, 1, of_measured)
        for row in range(2):
            k = cuda.threadIdx.x
            while k < BINS:
                if mine[row, k] != 0:
                    atomic_add(bins, (tensor, row, k), mine[row, k])
                k += cuda.blockDim.x

    return kernel(measure, layout, rule=scalars_type)


@kernel
def take_norms(bins: Any, norms: Any) -> None:
    """norms[tensor, which]: the sum in bins[tensor, which], which are cleared; one thread each."""
    i = cuda.grid(1)
    if i < norms.shape[0] * 2:
        norms[i // 2, i % 2] = total(native(bins[i // 2, i % 2]))
        for k in range(BINS):
            bins[i // 2, i % 2, k] = 0

"""Steps that take norms of gradients, parameters and updates in the same pass. Four threads process a block, as in `_norms`."""

from __future__ import annotations

from functools import cache
from typing import Any

from lrkern.cuda import _rows
from lrkern.cuda._kernels import GRAD, Layout, make_block, make_clear, make_scalars_at
from lrkern.cuda._norms import BLOCK, LANES, SUMS, add_block, clear, root, with_square
from lrkern.cuda._overloads import native
from lrkern.cuda._platform import atomic_add, cuda, device, kernel, types
from lrkern.cuda._table_layout import (
    ADDRESSES,
    AROUND,
    CONTROL_AVERAGES,
    CONTROL_SKIPS,
    FIRST_ENTRY,
    FIRST_ROW,
    GRAD_SCALE,
    GROUP,
    HAS_GRADIENT,
    ROW_LRS,
    ROW_SIZE,
    SIZE,
    SKIPPED,
    WIDE,
    reader_of_inputs,
    reader_of_scalars,
)
from lrkern.pointwise.exact_sum import BINS, total
from lrkern.rules.compiled import FAMILIES, SCALAR_STATES

NORMS = 3


@device
def _place(block: int, width: int, size: int) -> Any:
    """(row, first column, end) of a block of rows of this width, `size` elements in total; empty after the last row."""
    each = (width - 1) // BLOCK + 1
    k, column = block // each, block % each * BLOCK
    return k, column, min(column + BLOCK, width) if k * width < size else column


@cache
def make_step(layout: Layout) -> Any:
    """The kernel step(tensors, chunks, coefs, control, random, inputs, updates, states, entries, bins).

    bins[tensor] get the squares of the gradient, of the parameter, and of its change.
    """
    by_rows = layout.row_lrs or layout.sparse
    t, sparse, row_lrs = layout.t, layout.sparse, layout.row_lrs
    wide, single, clear_one = make_block(layout, LANES), make_block(layout, 1), make_clear(layout, 1)
    family: Any = FAMILIES[layout.rule]
    read_inputs, read_scalars = reader_of_inputs(family.inputs), reader_of_scalars(family.scalars_type)
    scalars_at, zero_grad = make_scalars_at(layout), layout.zero_grad
    row_of, source_of = _rows.dense_row_of, _rows.dense_source_of
    if sparse:
        row_of, source_of = _rows.row_of, _rows.source_of

    def step(
        tensors: Any,
        chunks: Any,
        coefs: Any,
        control: Any,
        random: Any,
        inputs: Any,
        updates: Any,
        states: Any,
        entries: Any,
        bins: Any,
    ) -> None:
        mine = cuda.shared.array((NORMS, BINS), types.int64)
        sums = cuda.shared.array(SUMS, types.float64)
        of_grad = cuda.local.array(LANES, types.float64)
        of_param = cuda.local.array(LANES, types.float64)
        of_update = cuda.local.array(LANES, types.float64)
        seen, seen1 = cuda.local.array((NORMS, LANES), t), cuda.local.array((NORMS, 1), t)
        tensor = chunks[cuda.blockIdx.x, 0]
        places, mixed, lane = ADDRESSES(tensors, tensor), random[0], cuda.threadIdx.x % 4
        size, first = tensors[tensor, SIZE], chunks[cuda.blockIdx.x, 1] + cuda.threadIdx.x // 4 * BLOCK
        width = tensors[tensor, ROW_SIZE] if by_rows else size
        k, begin, end = 0, first, min(first + BLOCK, size)
        if by_rows:
            k, begin, end = _place(first // BLOCK, width, size)
        if control[CONTROL_SKIPS] != 0:
            if zero_grad and control[CONTROL_SKIPS] == SKIPPED:
                i = begin + lane
                while i < end:
                    clear_one(places[GRAD], k * width + i)
                    i += 4
            return
        clear(mine, NORMS)
        for j in range(LANES):
            of_grad[j] = 0.0
            of_param[j] = 0.0
            of_update[j] = 0.0
        if begin < end:
            around, averages, is_wide = AROUND(coefs, tensor), control[CONTROL_AVERAGES], tensors[tensor, WIDE]
            row, entry = k, k
            if sparse:
                entry = tensors[tensor, FIRST_ENTRY] + k
                row = row_of(entries, entry, tensors[tensor, FIRST_ROW])
                if row < 0:  # another entry has this row
                    row, end = 0, begin
            if by_rows and width % LANES != 0:
                is_wide = 0
            before = states[tensor, SCALAR_STATES], states[tensor, SCALAR_STATES + 1]
            scalars = read_scalars(coefs, tensor), read_inputs(inputs, tensors[tensor, GROUP]), updates[tensor], before
            c = scalars_at(scalars, tensors[tensor, ROW_LRS], row)
            i = begin + lane * LANES
            while i < end:
                at = row * width + i
                if is_wide != 0 and i + LANES <= end:
                    wide(places, at, source_of(entries, entry, width, i, at), c, around, averages, mixed, seen)
                    for j in range(LANES):
                        of_grad[j] = with_square(of_grad[j], seen[0, j], 1.0)
                        of_param[j] = with_square(of_param[j], seen[1, j], 1.0)
                        of_update[j] = with_square(of_update[j], seen[2, j], 1.0)
                else:
                    for j in range(LANES):
                        if i + j < end:
                            source = source_of(entries, entry, width, i + j, at + j)
                            single(places, at + j, source, c, around, averages, mixed, seen1)
                            of_grad[j] = with_square(of_grad[j], seen1[0, 0], 1.0)
                            of_param[j] = with_square(of_param[j], seen1[1, 0], 1.0)
                            of_update[j] = with_square(of_update[j], seen1[2, 0], 1.0)
                i += 4 * LANES
        add_block(sums, mine, 0, of_grad)
        add_block(sums, mine, 1, of_param)
        add_block(sums, mine, 2, of_update)
        for which in range(NORMS):
            b = cuda.threadIdx.x
            while b < BINS:
                if mine[which, b] != 0:
                    atomic_add(bins, (tensor, which, b), mine[which, b])
                b += cuda.blockDim.x

    assert sparse or row_lrs == by_rows
    return kernel(step, layout, rule=FAMILIES[layout.rule].scalars_type)


@kernel
def take_lengths(tensors: Any, control: Any, numbers: Any, bins: Any, lengths: Any) -> None:
    """lengths[tensor] from bins[tensor], which are cleared, after a step that was done; one thread for each number."""
    i = cuda.grid(1)
    if i < lengths.shape[0] * NORMS and control[CONTROL_SKIPS] == 0:
        tensor, which = i // NORMS, i % NORMS
        norm = root(total(native(bins[tensor, which])))
        if which == 0:
            norm = norm / numbers[GRAD_SCALE]
        lengths[tensor, which] = norm if tensors[tensor, HAS_GRADIENT] != 0 else -1.0
        for k in range(BINS):
            bins[tensor, which, k] = 0

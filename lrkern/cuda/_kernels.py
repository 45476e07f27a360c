"""The step kernels: every array of a tensor is read once, updated in registers, and written once.

One launch updates a whole list: block b of the grid works on chunk b of the map, (tensor, first element), and finds the
addresses of the tensor's arrays in the table. The layout is a compile-time constant: see `Layout`.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from lrkern import _core
from lrkern.cuda import _elements, _rows
from lrkern.cuda._platform import CHUNK, WIDEST, cuda, device, kernel, load
from lrkern.cuda._table_layout import (
    ADDRESSES,
    AROUND,
    AVERAGES,
    CONTROL_AVERAGES,
    CONTROL_SKIPS,
    FIRST_ENTRY,
    FIRST_ROW,
    GROUP,
    MAX_SCALARS,
    ROW_LRS,
    ROW_SIZE,
    SIZE,
    SKIPPED,
    WIDE,
    reader_of_inputs,
    reader_of_scalars,
    with_lr,
    writer_of_scalars,
)
from lrkern.pointwise.pipeline import averaged, prepared
from lrkern.rules.compiled import FAMILIES, SCALAR_STATES, Tensor
from lrkern.rules.reader import MAX_STATES

PARAM, GRAD, STATE, EMA, _, _, COPY, REMAINDER = _core.ROLES.values()
"""Columns of addresses in a row of the table."""


class Layout(NamedTuple):
    """Properties of all tensors that one launch updates. Storage types are numbered as in `_elements`; None: no array."""

    rule: str
    param: int
    grad: int
    states: tuple[int | None, ...]
    averages: int
    """The number of averages of the parameter."""
    copy: int | None
    split: bool
    zero_grad: bool
    stochastic: bool
    """Whether a 16-bit parameter is rounded stochastically."""
    stochastic_states: bool
    row_lrs: bool
    sparse: bool
    """Whether gradients are (indices, values)."""
    norms: bool = False
    """Whether norms are taken in the pass of the step: see `_step_norms`."""

    @property
    def t(self) -> Any:
        """The type of the computation."""
        return np.float64 if self.param == _elements.FLOAT64 else np.float32

    @property
    def lanes(self) -> int:
        """Adjacent elements per thread: enough to make the access to the narrowest array a wide one."""
        average = _elements.FLOAT64 if self.param == _elements.FLOAT64 else _elements.FLOAT32
        storages = [self.param, self.grad, *self.states, self.copy, average if self.averages else None]
        return WIDEST // min(_elements.itemsize(one) for one in storages if one is not None)


def make_block(layout: Layout, lanes: int) -> Any:
    """block(places, i, source, c, around, averages, mixed, seen): updates elements i, ..., i + lanes - 1.

    `source`: the place of the gradient. `around`: factor, limit, weights. `averages`: whether averages change. `seen`: for
    norms, rows of `lanes` elements that get the gradient, the old parameter, and its change.
    Numbers are passed between functions in arrays of type T: in the simulator, return values lose their type.
    """
    t, update = layout.t, FAMILIES[layout.rule].update
    note_before, note_after = _make_notes(layout.norms, lanes)
    average = _elements.FLOAT64 if t is np.float64 else _elements.FLOAT32
    kept = [average if k < layout.averages else None for k in range(AVERAGES)]
    streams = [1 + k if layout.stochastic_states else None for k in range(MAX_STATES)]

    def read(storage: int | None) -> Any:
        return _elements.reader(storage, t, lanes)

    take_grad = _make_take(layout, lanes)
    read_e0, read_e1, read_e2 = (read(one) for one in kept)
    read_0, read_1, read_2, read_3, read_4 = (read(one) for one in layout.states)
    read_param, write_param = param_access(layout, lanes)
    write_0, write_1, write_2, write_3, write_4 = (
        _elements.writer(one, t, lanes, stream) for one, stream in zip(layout.states, streams, strict=True)
    )
    write_e0, write_e1, write_e2 = (_elements.writer(one, t, lanes) for one in kept)
    write_copy = _elements.writer(layout.copy, t, lanes)

    def block(places: Any, i: int, source: Any, c: Any, around: Any, averages: int, mixed: Any, seen: Any) -> None:
        p, g = cuda.local.array(lanes, t), cuda.local.array(lanes, t)
        s0, s1, s2 = cuda.local.array(lanes, t), cuda.local.array(lanes, t), cuda.local.array(lanes, t)
        s3, s4 = cuda.local.array(lanes, t), cuda.local.array(lanes, t)
        e0, e1, e2 = cuda.local.array(lanes, t), cuda.local.array(lanes, t), cuda.local.array(lanes, t)
        read_param(places, i, p)
        take_grad(places[GRAD], source, g)
        read_0(places[STATE], i, s0)
        read_1(places[STATE + 1], i, s1)
        read_2(places[STATE + 2], i, s2)
        read_3(places[STATE + 3], i, s3)
        read_4(places[STATE + 4], i, s4)
        if averages != 0:
            read_e0(places[EMA], i, e0)
            read_e1(places[EMA + 1], i, e1)
            read_e2(places[EMA + 2], i, e2)
        note_before(seen, g, p)
        for k in range(lanes):
            g[k] = prepared(g[k], around[0], around[1])
            p[k], s0[k], s1[k], s2[k], s3[k], s4[k] = update(c, p[k], g[k], s0[k], s1[k], s2[k], s3[k], s4[k])
        note_after(seen, p)
        if averages != 0:
            for k in range(lanes):
                e0[k] = averaged(e0[k], p[k], around[2])
                e1[k] = averaged(e1[k], p[k], around[3])
                e2[k] = averaged(e2[k], p[k], around[4])
            write_e0(places[EMA], i, e0, mixed)
            write_e1(places[EMA + 1], i, e1, mixed)
            write_e2(places[EMA + 2], i, e2, mixed)
        write_copy(places[COPY], i, p, mixed)
        write_param(places, i, p, mixed)
        write_0(places[STATE], i, s0, mixed)
        write_1(places[STATE + 1], i, s1, mixed)
        write_2(places[STATE + 2], i, s2, mixed)
        write_3(places[STATE + 3], i, s3, mixed)
        write_4(places[STATE + 4], i, s4, mixed)

    return device(block)


@cache
def _make_notes(norms: bool, lanes: int) -> tuple[Any, Any]:
    """before(seen, g, p) and after(seen, p), which fill `seen` for norms."""

    def before(seen: Any, g: Any, p: Any) -> None:
        for k in range(lanes):
            seen[0, k] = g[k]
            seen[1, k] = p[k]

    def after(seen: Any, p: Any) -> None:
        for k in range(lanes):
            seen[2, k] = p[k] - seen[1, k]

    def skip_before(seen: Any, g: Any, p: Any) -> None:
        pass

    def skip_after(seen: Any, p: Any) -> None:
        pass

    return (device(before), device(after)) if norms else (device(skip_before), device(skip_after))


def param_access(layout: Layout, lanes: int) -> tuple[Any, Any]:
    """read(places, i, p) and write(places, i, p, mixed) of the parameter."""
    if layout.split:
        read_split, write_split = _elements.reader_of_split(lanes), _elements.writer_of_split(lanes)

        def read(places: Any, i: int, p: Any) -> None:
            read_split(places[PARAM], places[REMAINDER], i, p)

        def write(places: Any, i: int, p: Any, mixed: Any) -> None:
            write_split(places[PARAM], places[REMAINDER], i, p)

    else:
        read_plain = _elements.reader(layout.param, layout.t, lanes)
        write_plain = _elements.writer(layout.param, layout.t, lanes, 0 if layout.stochastic else None)

        def read(places: Any, i: int, p: Any) -> None:
            read_plain(places[PARAM], i, p)

        def write(places: Any, i: int, p: Any, mixed: Any) -> None:
            write_plain(places[PARAM], i, p, mixed)

    return device(read), device(write)


def _make_take(layout: Layout, lanes: int) -> Any:
    """take(values, source, g): reads the gradient in T, and sets it to 0 in memory if requested."""
    if layout.sparse:
        return _rows.reader(layout.grad, layout.t, lanes, layout.zero_grad)
    read, clear = _elements.reader(layout.grad, layout.t, lanes), make_clear(layout, lanes)

    def take(values: Any, i: int, g: Any) -> None:
        read(values, i, g)
        clear(values, i)

    return device(take)


def make_clear(layout: Layout, lanes: int) -> Any:
    return _elements.clearer(layout.grad if layout.zero_grad else None, layout.t, lanes)


def _make_clear_span(layout: Layout) -> Any:
    """clear(address, begin, middle, end): zeroes the gradients of a skipped step, in the two parts that `_middle` divides."""
    lanes = layout.lanes
    wide, single = make_clear(layout, lanes), make_clear(layout, 1)

    def clear(address: int, begin: int, middle: int, end: int) -> None:
        i = begin + cuda.threadIdx.x * lanes
        while i < middle:
            wide(address, i)
            i += cuda.blockDim.x * lanes
        i = middle + cuda.threadIdx.x
        while i < end:
            single(address, i)
            i += cuda.blockDim.x

    return device(clear)


@device
def _middle(tensors: Any, tensor: int, begin: int, end: int, lanes: int) -> int:
    """The end of the part of a chunk that is processed `lanes` at a time."""
    return end - (end - begin) % lanes if tensors[tensor, WIDE] != 0 else begin


@cache
def make_step(layout: Layout) -> Any:
    """The kernel step(tensors, chunks, coefs, control, random), for blocks of any number of threads.

    Loops do not use `range`, which divides if its step is not a constant.
    """
    if layout.row_lrs or layout.sparse:
        return _make_step_of_rows(layout)
    lanes = layout.lanes
    wide, single = make_block(layout, lanes), make_block(layout, 1)
    clear = _make_clear_span(layout)
    scalars_type: Any = FAMILIES[layout.rule].scalars_type
    read_scalars = reader_of_scalars(scalars_type)
    zero_grad = layout.zero_grad

    def step(tensors: Any, chunks: Any, coefs: Any, control: Any, random: Any) -> None:
        tensor, begin = chunks[cuda.blockIdx.x, 0], chunks[cuda.blockIdx.x, 1]
        end = min(begin + CHUNK, tensors[tensor, SIZE])
        middle = _middle(tensors, tensor, begin, end, lanes)
        places, mixed = ADDRESSES(tensors, tensor), random[0]
        if control[CONTROL_SKIPS] != 0:
            if zero_grad and control[CONTROL_SKIPS] == SKIPPED:
                clear(places[GRAD], begin, middle, end)
            return
        c = read_scalars(coefs, tensor)
        around, averages = AROUND(coefs, tensor), control[CONTROL_AVERAGES]
        i = begin + cuda.threadIdx.x * lanes
        while i < middle:
            wide(places, i, i, c, around, averages, mixed, 0)
            i += cuda.blockDim.x * lanes
        i = middle + cuda.threadIdx.x
        while i < end:
            single(places, i, i, c, around, averages, mixed, 0)
            i += cuda.blockDim.x

    return kernel(step, layout, rule=FAMILIES[layout.rule].scalars_type)


def _make_step_of_rows(layout: Layout) -> Any:
    """The kernel step(tensors, chunks, coefs, control, random, inputs, updates, states, entries), for rows that differ.

    Rows have their own learning rates, or gradients are (indices, values): chunks are then parts of the values in the order of
    `entries`, and only those of the first entry of each row are processed.
    """
    lanes = layout.lanes
    wide, single = _make_block_of_rows(layout, lanes), _make_block_of_rows(layout, 1)
    clear = _make_clear_span(layout)
    family: Any = FAMILIES[layout.rule]
    read_inputs, read_scalars = reader_of_inputs(family.inputs), reader_of_scalars(family.scalars_type)
    zero_grad = layout.zero_grad

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
    ) -> None:
        tensor, begin = chunks[cuda.blockIdx.x, 0], chunks[cuda.blockIdx.x, 1]
        end = min(begin + CHUNK, tensors[tensor, SIZE])
        row_size = tensors[tensor, ROW_SIZE]
        middle = begin
        if row_size % lanes == 0:
            middle = _middle(tensors, tensor, begin, end, lanes)
        places, mixed = ADDRESSES(tensors, tensor), random[0]
        if control[CONTROL_SKIPS] != 0:
            if zero_grad and control[CONTROL_SKIPS] == SKIPPED:
                clear(places[GRAD], begin, middle, end)
            return
        rows = row_size, tensors[tensor, FIRST_ROW], tensors[tensor, FIRST_ENTRY], tensors[tensor, ROW_LRS]
        before = states[tensor, SCALAR_STATES], states[tensor, SCALAR_STATES + 1]
        scalars = read_scalars(coefs, tensor), read_inputs(inputs, tensors[tensor, GROUP]), updates[tensor], before
        around, averages = AROUND(coefs, tensor), control[CONTROL_AVERAGES]
        i = begin + cuda.threadIdx.x * lanes
        while i < middle:
            wide(places, i, entries, rows, scalars, around, averages, mixed)
            i += cuda.blockDim.x * lanes
        i = middle + cuda.threadIdx.x
        while i < end:
            single(places, i, entries, rows, scalars, around, averages, mixed)
            i += cuda.blockDim.x

    return kernel(step, layout, rule=FAMILIES[layout.rule].scalars_type)


def _make_block_of_rows(layout: Layout, lanes: int) -> Any:
    """block(places, i, entries, rows, scalars, around, averages, mixed): updates adjacent elements of one row."""
    block, scalars_at = make_block(layout, lanes), make_scalars_at(layout)
    row_of, source_of = _rows.dense_row_of, _rows.dense_source_of
    if layout.sparse:
        row_of, source_of = _rows.row_of, _rows.source_of

    def block_of_rows(
        places: Any, i: int, entries: Any, rows: Any, scalars: Any, around: Any, averages: int, mixed: Any
    ) -> None:
        row_size, first_row, first_entry, lrs = rows
        k = i // row_size
        row = row_of(entries, first_entry + k, first_row)
        if row >= 0:
            source = source_of(entries, first_entry + k, row_size, i - k * row_size, i)
            block(places, i + (row - k) * row_size, source, scalars_at(scalars, lrs, row), around, averages, mixed, 0)

    return device(block_of_rows)


def make_scalars_at(layout: Layout) -> Any:
    """scalars_at(scalars, lrs, row): the scalars of a row.

    Each thread computes them in float64 for each of its rows: reading them from memory would take more bandwidth than the rows
    themselves.
    """
    if not layout.row_lrs:

        def scalars_of_tensor(scalars: Any, lrs: int, row: int) -> Any:
            return scalars[0]

        return device(scalars_of_tensor)

    family: Any = FAMILIES[layout.rule]
    scalars_of, with_own, load_lr, t = family.scalars, with_lr(family.inputs), load(np.float64, 1), layout.t
    write_scalars, read_scalars = writer_of_scalars(family.scalars_type), reader_of_scalars(family.scalars_type)

    def scalars_of_row(scalars: Any, lrs: int, row: int) -> Any:
        _, h, n, before = scalars
        own = cuda.local.array((1, MAX_SCALARS), t)
        facts = Tensor(n, 1.0, 1.0, 1.0, before[0], before[1])  # rules that need norms have one lr for all rows
        write_scalars(own, 0, scalars_of(with_own(h, load_lr(lrs + row * 8)), facts))
        return read_scalars(own, 0)

    return device(scalars_of_row)

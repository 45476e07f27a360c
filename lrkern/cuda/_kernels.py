"""The step kernels: every array of a tensor is read once, worked on in registers, and written once.

One launch steps a whole list: block b of the grid works on chunk b of the map, (tensor, first element), and finds the
addresses of the tensor's arrays in the table. What differs between lists is compiled in: see `Layout`.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from lrkern import _core
from lrkern._jit import fma, pointwise
from lrkern.cuda import _elements
from lrkern.cuda._fields import (
    ADDRESSES,
    CONTROL_SKIPS,
    FACTOR,
    GROUP,
    LIMIT,
    MAX_SCALARS,
    ROW_LRS,
    ROW_SIZE,
    SIZE,
    WEIGHT,
    WIDE,
    reader_of_inputs,
    reader_of_scalars,
    with_lr,
    writer_of_scalars,
)
from lrkern.cuda._platform import CHUNK, WIDEST, cuda, device, kernel, load
from lrkern.rules import FAMILIES

PARAM, GRAD, STATE, EMA, COPY, REMAINDER = _core.ROLES.values()
"""Places of addresses in a row of the table."""


class Layout(NamedTuple):
    """What tensors that are stepped by one launch have in common. Storages are numbered as in `_elements`; None: no array."""

    rule: str
    param: int
    grad: int
    states: tuple[int | None, int | None, int | None]
    ema: bool
    copy: int | None
    split: bool
    zero_grad: bool
    stochastic: bool
    row_lrs: bool

    @property
    def t(self) -> Any:
        """What is computed in."""
        return np.float64 if self.param == _elements.FLOAT64 else np.float32

    @property
    def lanes(self) -> int:
        """Neighbours that a thread works on: so many that an access to the narrowest array is a wide one."""
        average = _elements.FLOAT64 if self.param == _elements.FLOAT64 else _elements.FLOAT32
        storages = [self.param, self.grad, *self.states, self.copy, average if self.ema else None]
        return WIDEST // min(_elements.itemsize(one) for one in storages if one is not None)


@pointwise
def prepared(g, factor, limit):
    """The gradient, scaled and clipped. What is scaled by 1 is what it was."""
    y = g * factor
    return -limit if y < -limit else limit if y > limit else y


@pointwise
def _averaged(e, p, weight):
    return fma(weight, p - e, e)


def make_block(layout: Layout, lanes: int) -> Any:
    """block(places, i, c, around, mixed): a step of elements i, ..., i + lanes - 1.

    Numbers of T go from one function to the next through arrays: in the simulator, what compiled functions return is of no T.
    """
    t, update = layout.t, FAMILIES[layout.rule].update
    average = (_elements.FLOAT64 if t is np.float64 else _elements.FLOAT32) if layout.ema else None
    streams = [1 + k if layout.stochastic else None for k in range(3)]

    def read(storage: int | None) -> Any:
        return _elements.reader(storage, t, lanes)

    read_grad, read_ema = read(layout.grad), read(average)
    read_0, read_1, read_2 = (read(one) for one in layout.states)
    read_param, write_param = param_access(layout, lanes)
    write_0, write_1, write_2 = (
        _elements.writer(one, t, lanes, stream) for one, stream in zip(layout.states, streams, strict=True)
    )
    write_ema, write_copy = _elements.writer(average, t, lanes), _elements.writer(layout.copy, t, lanes)
    clear = _make_clear(layout, lanes)

    def block(places: Any, i: int, c: Any, around: Any, mixed: Any) -> None:
        p, g = cuda.local.array(lanes, t), cuda.local.array(lanes, t)
        s0, s1, s2 = cuda.local.array(lanes, t), cuda.local.array(lanes, t), cuda.local.array(lanes, t)
        e = cuda.local.array(lanes, t)
        read_param(places, i, p)
        read_grad(places[GRAD], i, g)
        read_0(places[STATE], i, s0)
        read_1(places[STATE + 1], i, s1)
        read_2(places[STATE + 2], i, s2)
        read_ema(places[EMA], i, e)
        for k in range(lanes):
            g[k] = prepared(g[k], around[0], around[1])
            p[k], s0[k], s1[k], s2[k] = update(c, p[k], g[k], s0[k], s1[k], s2[k])
            e[k] = _averaged(e[k], p[k], around[2])
        write_ema(places[EMA], i, e, mixed)
        write_copy(places[COPY], i, p, mixed)
        write_param(places, i, p, mixed)
        write_0(places[STATE], i, s0, mixed)
        write_1(places[STATE + 1], i, s1, mixed)
        write_2(places[STATE + 2], i, s2, mixed)
        clear(places[GRAD], i, mixed)

    return device(block)


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


def _make_clear(layout: Layout, lanes: int) -> Any:
    """clear(address, i, mixed): zeros into the gradient, if that is asked for."""
    t = layout.t
    write = _elements.writer(layout.grad if layout.zero_grad else None, t, lanes)

    def clear(address: int, i: int, mixed: Any) -> None:
        zeros = cuda.local.array(lanes, t)
        for k in range(lanes):
            zeros[k] = t(0)
        write(address, i, zeros, mixed)

    return device(clear)


def _make_clear_span(layout: Layout) -> Any:
    """clear(address, begin, middle, end, mixed): the zeros of a skipped step, into what `_middle` divides."""
    lanes = layout.lanes
    wide, single = _make_clear(layout, lanes), _make_clear(layout, 1)

    def clear(address: int, begin: int, middle: int, end: int, mixed: Any) -> None:
        i = begin + cuda.threadIdx.x * lanes
        while i < middle:
            wide(address, i, mixed)
            i += cuda.blockDim.x * lanes
        i = middle + cuda.threadIdx.x
        while i < end:
            single(address, i, mixed)
            i += cuda.blockDim.x

    return device(clear)


@device
def _middle(tensors: Any, tensor: int, begin: int, end: int, lanes: int) -> int:
    """Where a chunk ends that can be worked on `lanes` at a time."""
    return end - (end - begin) % lanes if tensors[tensor, WIDE] != 0 else begin


@cache
def make_step(layout: Layout) -> Any:
    """The kernel step(tensors, chunks, coefs, control, random), for blocks of any number of threads.

    Loops are not over `range`: for a step that is no constant, it divides.
    """
    if layout.row_lrs:
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
            if zero_grad:
                clear(places[GRAD], begin, middle, end, mixed)
            return
        c = read_scalars(coefs, tensor)
        around = coefs[tensor, FACTOR], coefs[tensor, LIMIT], coefs[tensor, WEIGHT]
        i = begin + cuda.threadIdx.x * lanes
        while i < middle:
            wide(places, i, c, around, mixed)
            i += cuda.blockDim.x * lanes
        i = middle + cuda.threadIdx.x
        while i < end:
            single(places, i, c, around, mixed)
            i += cuda.blockDim.x

    return kernel(step)


def _make_step_of_rows(layout: Layout) -> Any:
    """The kernel step(tensors, chunks, coefs, control, random, inputs, updates), for tensors with a learning rate for each row.

    A thread computes the scalars of each row that it meets, in float64: written to memory by another kernel, they would take
    more of its bandwidth than rows do.
    """
    lanes = layout.lanes
    wide, single = make_block(layout, lanes), make_block(layout, 1)
    clear = _make_clear_span(layout)
    family: Any = FAMILIES[layout.rule]
    read_inputs, scalars_of, with_own = reader_of_inputs(family.inputs), family.scalars, with_lr(family.inputs)
    write_scalars, read_scalars = writer_of_scalars(family.scalars_type), reader_of_scalars(family.scalars_type)
    load_lr, t, zero_grad = load(np.float64, 1), layout.t, layout.zero_grad

    def step(tensors: Any, chunks: Any, coefs: Any, control: Any, random: Any, inputs: Any, updates: Any) -> None:
        tensor, begin = chunks[cuda.blockIdx.x, 0], chunks[cuda.blockIdx.x, 1]
        end = min(begin + CHUNK, tensors[tensor, SIZE])
        lrs, row_size = tensors[tensor, ROW_LRS], tensors[tensor, ROW_SIZE]
        middle = begin
        if row_size % lanes == 0:
            middle = _middle(tensors, tensor, begin, end, lanes)
        places, mixed = ADDRESSES(tensors, tensor), random[0]
        if control[CONTROL_SKIPS] != 0:
            if zero_grad:
                clear(places[GRAD], begin, middle, end, mixed)
            return
        h, n = read_inputs(inputs, tensors[tensor, GROUP]), updates[tensor]
        around = coefs[tensor, FACTOR], coefs[tensor, LIMIT], coefs[tensor, WEIGHT]
        own = cuda.local.array((1, MAX_SCALARS), t)
        i = begin + cuda.threadIdx.x * lanes
        while i < middle:
            write_scalars(own, 0, scalars_of(with_own(h, load_lr(lrs + i // row_size * 8)), n, 1.0, 1.0))
            wide(places, i, read_scalars(own, 0), around, mixed)
            i += cuda.blockDim.x * lanes
        i = middle + cuda.threadIdx.x
        while i < end:
            write_scalars(own, 0, scalars_of(with_own(h, load_lr(lrs + i // row_size * 8)), n, 1.0, 1.0))
            single(places, i, read_scalars(own, 0), around, mixed)
            i += cuda.blockDim.x

    return kernel(step)

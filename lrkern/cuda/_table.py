"""The table of a list: addresses of its arrays, launches, and the chunk of each block of a launch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrkern.cuda import _elements, _norms
from lrkern.cuda._arrays import Pair
from lrkern.cuda._kernels import COPY, EMA, GRAD, PARAM, REMAINDER, STATE, Layout
from lrkern.cuda._platform import CHUNK, WIDEST, to_device, write_over
from lrkern.cuda._rows import INDEX_KINDS, Order
from lrkern.cuda._table_layout import (
    CLIP,
    FIRST_ENTRY,
    FIRST_ROW,
    GROUP,
    HAS_GRADIENT,
    INDEX_KIND,
    INDEX_STRIDE,
    INDICES,
    ROLES,
    ROW_LRS,
    ROW_SIZE,
    ROWS,
    SIZE,
    TENSOR_FIELDS,
    WIDE,
)
from lrkern.rules.reader import MAX_STATES

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """Addresses of gradients are rewritten when they move; the rest is kept while the same tensors have gradients."""

    members: tuple[tuple[Layout, tuple[int, ...]], ...]
    """The updated tensors of each layout."""
    tensors: Any
    """On the device: see `_table_layout`."""
    steps: list[tuple[Layout, Any]]
    """One launch per layout, usually a single one, with the map of its chunks on the device."""
    measures: list[tuple[Layout, Any]]
    norms: list[tuple[Any, int, bool, Any]]
    """(T, storage type of gradients, whether they are (indices, values), chunks) of the launches for norms."""
    order: Order
    """The order of the entries of gradients (indices, values)."""

    @classmethod
    def of(
        cls,
        layout: tuple[Ints, NDArray[np.uint8], Ints],
        groups: list[str],
        group_of: list[int],
        measuring: list[bool],
        clip_of: list[int],
        row_lrs: dict[int, tuple[int, int]],
        pairs: dict[int, Pair],
        zero_grad: bool,
        roundings: tuple[str, str],
        norms: bool,
        stream: int,
        last: Table | None,
    ) -> Table:
        """From `_core.TensorList.layout`; tensors without a gradient and empty ones get no chunks.

        `measuring`: which groups need norms. `clip_of`: the row of `clips` of each tensor. `row_lrs`: the address and number of
        the learning rates of tensors that have them per row. `pairs`: the gradients (indices, values). `roundings`: of
        parameters and of states. `norms`: whether steps take norms. `last`: a table of the same tensors, which is updated and
        reused if possible.
        """
        addresses, storages, sizes = layout
        rows = np.zeros((max(1, len(sizes)), TENSOR_FIELDS), np.int64)
        n = len(sizes)
        rows[:n, :ROLES], rows[:n, SIZE], rows[:n, GROUP] = addresses, sizes, group_of
        rows[:n, CLIP] = clip_of
        rows[:n, WIDE] = np.all(addresses % WIDEST == 0, axis=1)
        for i, (address, count) in row_lrs.items():
            rows[i, ROW_LRS], rows[i, ROW_SIZE] = address, sizes[i] // max(1, count)
        has_gradient = addresses[:, GRAD] != 0
        rows[:n, HAS_GRADIENT] = has_gradient
        _enter_pairs(rows, pairs)
        active = np.flatnonzero(has_gradient & (rows[:n, SIZE] > 0))
        by_layout: dict[Layout, list[int]] = {}
        for i in active.tolist():
            there = addresses[i] != 0
            one = _layout(groups[group_of[i]], there, storages[i], i in row_lrs, i in pairs, zero_grad, roundings, norms)
            by_layout.setdefault(one, []).append(i)

        stepped = tuple((one, tuple(members)) for one, members in by_layout.items())
        counts = {i: len(pair.indices) for i, pair in pairs.items()}
        if last is not None and last.members == stepped and last.order.counts == counts:
            write_over(last.tensors, rows, stream)
            return last

        in_blocks = rows[:n, SIZE].copy()
        for i, count in counts.items():
            in_blocks[i] = count * _norms.blocks_of_row(rows[i, ROW_SIZE]) * _norms.BLOCK

        in_rows = in_blocks.copy()
        for i, (_, count) in row_lrs.items():
            if i not in counts:
                in_rows[i] = count * _norms.blocks_of_row(rows[i, ROW_SIZE]) * _norms.BLOCK
        in_steps = (_norms.CHUNK, in_rows) if norms else (CHUNK, rows[:n, SIZE])

        def chunks(members: list[int], length: int, extents: Ints = rows[:n, SIZE]) -> Any:
            return to_device(_chunks(extents, members, length), stream)

        measured = [(one, [i for i in members if measuring[group_of[i]]]) for one, members in by_layout.items()]
        of_norms: dict[tuple[Any, int, bool], list[int]] = {}
        for one, members in by_layout.items():
            of_norms.setdefault((one.t, one.grad, one.sparse), []).extend(members)
        return cls(
            stepped,
            to_device(rows, stream),
            [(one, chunks(members, *in_steps)) for one, members in by_layout.items()],
            [(one, chunks(members, _norms.CHUNK)) for one, members in measured if members],
            [(*key, chunks(members, _norms.CHUNK, in_blocks)) for key, members in of_norms.items()],
            Order.of(counts, stream),
        )


def _enter_pairs(rows: Ints, pairs: Mapping[int, Pair]) -> None:
    """Enter gradients (indices, values) into the table."""
    first_row = first_entry = 0
    for i, (indices, values, of_param) in pairs.items():
        width = math.prod(values.shape[1:])
        rows[i, SIZE], rows[i, ROW_SIZE] = values.size, width
        rows[i, ROWS], rows[i, FIRST_ROW], rows[i, FIRST_ENTRY] = of_param, first_row, first_entry
        rows[i, INDICES], rows[i, INDEX_STRIDE] = indices.address, indices.strides[0]
        rows[i, INDEX_KIND] = INDEX_KINDS[indices.dtype.name]
        first_row += max(1, of_param)  # so that entries of two tensors never share a row, whatever their indices
        first_entry += len(indices)


def _layout(
    rule: str, there: Any, storages: Any, row_lrs: bool, sparse: bool, zero_grad: bool, roundings: tuple[str, str], norms: bool
) -> Layout:
    def storage(role: int) -> int | None:
        return int(storages[role]) if there[role] else None

    states = tuple(storage(STATE + k) for k in range(MAX_STATES))
    halves = _elements.BFLOAT16, _elements.FLOAT16
    of_params, of_states = (rounding == "stochastic" for rounding in roundings)
    return Layout(
        rule=rule,
        param=int(storages[PARAM]),
        grad=int(storages[GRAD]),
        states=states,
        averages=int(np.sum(there[EMA:COPY])),
        copy=storage(COPY),
        split=bool(there[REMAINDER]),
        zero_grad=zero_grad,
        stochastic=of_params and int(storages[PARAM]) in halves,
        stochastic_states=of_states and any(one in halves for one in states),
        row_lrs=row_lrs,
        sparse=sparse,
        norms=norms,
    )


def _chunks(extents: Ints, members: list[int], length: int) -> Ints:
    """(tensor, first element) of every chunk of these tensors."""
    counts = (extents[members] - 1) // length + 1
    ends = np.cumsum(counts)
    within = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
    return np.stack([np.repeat(np.array(members, np.int64), counts), within * length], axis=1)

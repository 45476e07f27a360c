"""Gradients given as (indices, values): their entries in the order of rows, and how kernels read the sum of a row's.

Entry number k of a gradient is indices[k] and values[k]. The entries of all gradients of a list are sorted together, anew
at each step, because a captured graph has to follow indices that are written over. The sort is stable, so that the entries of
a row stay in the order in which they came; it begins with runs of THREADS entries and merges two and two of them, so that all
launches are known beforehand. The first entry of each row then stands for the row: threads that meet it add up the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from lrkern.cuda import _elements
from lrkern.cuda._table_layout import (
    CONTROL_LAST_WRONG,
    CONTROL_WRONG,
    FIRST_ENTRY,
    FIRST_ROW,
    INDEX_KIND,
    INDEX_STRIDE,
    INDICES,
    ROWS,
)
from lrkern.cuda._platform import THREADS, Launch, cuda, device, kernel, load, to_device, types

KEY, NUMBER = range(2)
"""Rows of `entries`: the entry's row of its parameter, counted over all parameters that have such gradients; its number."""


# ------------------------------------------------------------------------------------------------------------- indices

INDEX_KINDS = {"int8": 0, "uint8": 1, "int16": 2, "uint16": 3, "int32": 4, "uint32": 5, "int64": 6, "uint64": 6}
"""The dtypes of indices as kernels number them. What is too large for int64 is negative there, and no row either."""

_load_int8, _load_uint8 = load(np.int8, 1), load(np.uint8, 1)
_load_int16, _load_uint16 = load(np.int16, 1), load(np.uint16, 1)
_load_int32, _load_uint32 = load(np.int32, 1), load(np.uint32, 1)
_load_int64 = load(np.int64, 1)


@device
def _index_at(address: int, kind: int) -> Any:
    if kind == 0:
        return np.int64(_load_int8(address))
    if kind == 1:
        return np.int64(_load_uint8(address))
    if kind == 2:
        return np.int64(_load_int16(address))
    if kind == 3:
        return np.int64(_load_uint16(address))
    if kind == 4:
        return np.int64(_load_int32(address))
    if kind == 5:
        return np.int64(_load_uint32(address))
    return _load_int64(address)


# ---------------------------------------------------------------------------------------------------------------- order


@device
def _first_from(sorted_rows: Any, low: int, high: int, key: int) -> int:
    """The first place in [low, high) of row 0 whose number is `key` or more; `high` where there is none."""
    while low < high:
        middle = (low + high) // 2
        if sorted_rows[0, middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def sort_blocks(tensors: Any, sources: Any, entries: Any, control: Any) -> None:
    """The entries of each block of threads in order. What is no row of its parameter is told to `control`."""
    keys = cuda.shared.array(THREADS, types.int64)
    thread, i, count = cuda.threadIdx.x, cuda.grid(1), entries.shape[1]
    key, number = 0, 0
    if i < count:
        tensor = sources[1, _first_from(sources, 0, sources.shape[1], i + 1) - 1]
        number = i - tensors[tensor, FIRST_ENTRY]
        row = _index_at(tensors[tensor, INDICES] + number * tensors[tensor, INDEX_STRIDE], tensors[tensor, INDEX_KIND])
        if row < 0 or row >= tensors[tensor, ROWS]:
            if cuda.atomic.add(control, CONTROL_WRONG, 1) == 0:
                control[CONTROL_LAST_WRONG] = tensor
            row = 0  # for norms to stay in bounds; nothing is written in such a step
        key = tensors[tensor, FIRST_ROW] + row
        keys[thread] = key
    cuda.syncthreads()
    if i < count:
        begin = i - thread
        place = begin
        for other in range(min(cuda.blockDim.x, count - begin)):
            if keys[other] < key or (keys[other] == key and other < thread):
                place += 1
        entries[KEY, place] = key
        entries[NUMBER, place] = number


@kernel
def merge(source: Any, target: Any, length: int) -> None:
    """Of sorted runs of this length, each two neighbours are made one."""
    i, count = cuda.grid(1), source.shape[1]
    if i < count:
        key = source[KEY, i]
        begin = i // (2 * length) * (2 * length)
        middle, end = min(begin + length, count), min(begin + 2 * length, count)
        if i < middle:  # before equal ones of the other run
            place = i + _first_from(source, middle, end, key) - middle
        else:  # after them
            place = i - middle + _first_from(source, begin, middle, key + 1)
        target[KEY, place] = key
        target[NUMBER, place] = source[NUMBER, i]


@dataclass(frozen=True)
class Order:
    """Where the entries of a list's gradients are sorted."""

    counts: dict[int, int]
    """How many entries each tensor has that has such a gradient."""
    sources: Any
    """On the device: row 0, the first entry of each that has any; row 1, which tensor that is."""
    buffers: tuple[Any, Any]
    """On the device: `entries`, and room to merge them from and to."""

    @classmethod
    def of(cls, counts: dict[int, int], stream: int) -> Order:
        """For these tensors' entries."""
        filled = [i for i, count in counts.items() if count > 0]
        ends = np.cumsum([counts[i] for i in filled], dtype=np.int64)
        room = 2, int(ends[-1]) if filled else 1
        return cls(
            counts,
            to_device(np.array([[0, *ends[:-1]], filled], np.int64) if filled else np.zeros(room, np.int64), stream),
            (cuda.device_array(room, np.int64), cuda.device_array(room if room[1] > THREADS else (2, 1), np.int64)),
        )

    @property
    def entries(self) -> Any:
        """In order, when the launches have run."""
        return self.buffers[len(self._lengths()) % 2]

    def launches(self, tensors: Any, control: Any) -> list[Launch]:
        """Those that sort."""
        total = sum(self.counts.values())
        if total == 0:
            return []
        blocks = (total - 1) // THREADS + 1
        found = [Launch(sort_blocks, blocks, tensors, self.sources, self.buffers[0], control)]
        for k, length in enumerate(self._lengths()):
            found.append(Launch(merge, blocks, self.buffers[k % 2], self.buffers[(k + 1) % 2], length))
        return found

    def _lengths(self) -> list[int]:
        """Of the runs that are merged, from launch to launch."""
        found, length = [], THREADS
        while length < sum(self.counts.values()):
            found.append(length)
            length *= 2
        return found


# ----------------------------------------------------------------------------------------------------------------- sums


@device
def row_of(entries: Any, entry: int, first_row: int) -> int:
    """The row of the parameter that an entry stands for, -1 where one before it does. `entry`: its place in the order."""
    key = entries[KEY, entry]
    return -1 if entry > 0 and entries[KEY, entry - 1] == key else key - first_row


@device
def source_of(entries: Any, entry: int, width: int, column: int, i: int) -> Any:
    """Where `reader`'s functions read element i of a gradient: a column of rows of this width, from an entry on."""
    return entries, entry, width, column


@device
def dense_row_of(entries: Any, entry: int, first_row: int) -> int:
    """`row_of` of an array."""
    return entry


@device
def dense_source_of(entries: Any, entry: int, width: int, column: int, i: int) -> Any:
    """`source_of` of an array: where `_elements.reader`'s functions read."""
    return i


@cache
def reader(storage: int, t: Any, lanes: int, clears: bool) -> Any:
    """read(values, source, out): the sum of a row's gradients in T, in neighbouring columns; `clears`: they become zeros."""
    read, clear = _elements.reader(storage, t, lanes), _elements.clearer(storage if clears else None, t, lanes)

    def read_sum(values: Any, source: Any, out: Any) -> None:
        entries, entry, width, column = source
        term = cuda.local.array(lanes, t)
        key = entries[KEY, entry]
        at = entries[NUMBER, entry] * width + column
        read(values, at, out)
        clear(values, at)
        entry += 1
        while entry < entries.shape[1] and entries[KEY, entry] == key:
            at = entries[NUMBER, entry] * width + column
            read(values, at, term)
            clear(values, at)
            for k in range(lanes):
                out[k] = out[k] + term[k]
            entry += 1

    return device(read_sum)

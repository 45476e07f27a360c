"""Gradients (indices, values): sorting their entries by row, and how kernels read the sum of a row.

Entry k of a gradient is indices[k] and values[k]. The entries of all gradients of a list are sorted together at each step,
because a captured graph must follow indices that are overwritten. The sort is stable, so that the entries of a row keep their
order. It sorts runs of THREADS entries and merges pairs of runs, so that the launches depend on the number of entries only. The
first entry of each row then represents the row: its threads add the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from lrkern.cuda import _elements
from lrkern.cuda._platform import THREADS, Launch, cuda, device, kernel, load, to_device, types
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

KEY, NUMBER = range(2)
"""Rows of `entries`: the entry's row, counted over all parameters with such gradients; the entry's index."""


# ------------------------------------------------------------------------------------------------------------- indices

INDEX_KINDS = {"int8": 0, "uint8": 1, "int16": 2, "uint16": 3, "int32": 4, "uint32": 5, "int64": 6, "uint64": 6}
"""The dtypes of indices, as numbered in kernels. Numbers beyond int64 become negative, so they are out of range as well."""

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
    """The first position in [low, high) whose number in row 0 is >= `key`; `high` if there is none."""
    while low < high:
        middle = (low + high) // 2
        if sorted_rows[0, middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def sort_blocks(tensors: Any, sources: Any, entries: Any, control: Any) -> None:
    """Sort the entries of each thread block. Out-of-range indices are counted in `control`."""
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
            row = 0  # keeps norms in bounds; such a step writes nothing
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
    """Merge pairs of adjacent sorted runs of this length."""
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
    """The sorted entries of a list's gradients."""

    counts: dict[int, int]
    """The number of entries of each tensor with such a gradient."""
    sources: Any
    """On the device: row 0, the first entry of each tensor with entries; row 1, the tensor's index."""
    buffers: tuple[Any, Any]
    """On the device: two buffers for `entries`, between which they are merged."""

    @classmethod
    def of(cls, counts: dict[int, int], stream: int) -> Order:
        """The buffers for these tensors' entries."""
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
        """The buffer with the sorted entries after the launches."""
        return self.buffers[len(self._lengths()) % 2]

    def launches(self, tensors: Any, control: Any) -> list[Launch]:
        """The launches that sort."""
        total = sum(self.counts.values())
        if total == 0:
            return []
        blocks = (total - 1) // THREADS + 1
        found = [Launch(sort_blocks, blocks, tensors, self.sources, self.buffers[0], control)]
        for k, length in enumerate(self._lengths()):
            found.append(Launch(merge, blocks, self.buffers[k % 2], self.buffers[(k + 1) % 2], length))
        return found

    def _lengths(self) -> list[int]:
        """The lengths of runs in successive merges."""
        found, length = [], THREADS
        while length < sum(self.counts.values()):
            found.append(length)
            length *= 2
        return found


# ----------------------------------------------------------------------------------------------------------------- sums


@device
def row_of(entries: Any, entry: int, first_row: int) -> int:
    """The row of the parameter that an entry represents, -1 if an earlier entry does. `entry`: its sorted position."""
    key = entries[KEY, entry]
    return -1 if entry > 0 and entries[KEY, entry - 1] == key else key - first_row


@device
def source_of(entries: Any, entry: int, width: int, column: int, i: int) -> Any:
    """The source, for functions made by `reader`, of element i of a gradient: an entry and a column of rows of this width."""
    return entries, entry, width, column


@device
def dense_row_of(entries: Any, entry: int, first_row: int) -> int:
    """`row_of` for dense gradients."""
    return entry


@device
def dense_source_of(entries: Any, entry: int, width: int, column: int, i: int) -> Any:
    """`source_of` for dense gradients and functions made by `_elements.reader`."""
    return i


@cache
def reader(storage: int, t: Any, lanes: int, clears: bool) -> Any:
    """read(values, source, out): the sum of a row's gradients in T, in adjacent columns; `clears`: also zeroes them."""
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

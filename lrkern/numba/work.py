"""The work of a step: tensors of one kind together, cut into chunks for threads and into blocks of norms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrkern import _core
from lrkern.numba import norms
from lrkern.numba.kernels import AVERAGE, COPY, GRAD, Kind
from lrkern.numba.threads import in_parallel
from lrkern.numba.update import Arrays
from lrkern.rules.compiled import FAMILIES

Ints = NDArray[np.int64]
Sparse = dict[int, NDArray[Any]]
"""The summed rows of sparse gradients, by tensor."""

ZEROS = {"float32": np.float32(0), "float64": np.float64(0), "bfloat16": np.uint16(0), "float16": np.int16(0)}
"""The dtypes of elements in compiled code: 16-bit floats are their bits."""

CARRIERS = {number: ZEROS[name] for name, number in _core.STORAGES.items()}
ABSENT = 255  # instead of a storage type
TENSOR_COST = 64  # the overhead of a chunk, in bytes that take the same time


@dataclass(frozen=True)
class Lists:
    """What the work of a list depends on, besides its gradients."""

    checked: _core.TensorList
    sizes: Sequence[int]
    widths: Sequence[int]
    """Elements of a row."""
    inputs: NDArray[np.float64]
    """Those of each group's rule."""
    with_norms: bool
    """Whether norms of each tensor are computed."""


@dataclass(frozen=True)
class Work:
    """The tensors of one kind in a step, cut into chunks and blocks."""

    kind: Kind
    members: Ints
    """The indices of the tensors."""
    size: int
    """The amount of work, in bytes of parameters."""
    states: int
    """The number of states."""
    chunks: Ints
    """(tensor, begin, end, begin in the gradient, number of the first block of norms in it) of each chunk."""
    rows: list[int] | None
    """The learning rate of each chunk, if rows have their own."""
    blocks: Ints
    """(tensor, begin, end in the gradient) of the blocks of norms."""
    tensor_of: Ints
    """The tensor of each block of norms that chunks are cut into."""

    @property
    def in_parallel(self) -> bool:
        """Whether to use threads."""
        return in_parallel(_core.step_in_parallel(self.size, self.states))


def laid_out(lists: Lists, storages: NDArray[np.uint8], averages: bool, grads: list[Any], sparse: Sparse) -> list[Work]:
    """The work of a step in which averages change, or do not. `storages`: of the arrays of each tensor; ABSENT: none."""
    storages, found = storages.copy(), dict[Any, list[int]]()
    if not averages:
        storages[:, AVERAGE:COPY] = ABSENT
    groups, group_of = lists.checked.groups, lists.checked.group_of
    for i in np.flatnonzero(storages[:, GRAD] != ABSENT).tolist():
        family = FAMILIES[groups[group_of[i]]]
        key = family.inputs, _measures(lists, group_of[i]), lists.checked.row_lrs[i] is not None, storages[i].tobytes()
        found.setdefault(key, []).append(i)
    made = []
    for (inputs, measures, has_lrs, stored), members in found.items():
        zeros = Arrays(*[CARRIERS.get(one) for one in stored], *[None])
        if zeros.remainder is not None:
            zeros = zeros._replace(remainder=np.int16(0))
        like = np.float64(0) if type(zeros.param) is np.float64 else np.float32(0)
        kind = Kind(like, inputs(*[0.0] * len(inputs._fields)), zeros, measures)
        made.append(_cut(lists, kind, members, has_lrs, grads, sparse))
    return made


def _measures(lists: Lists, group: int) -> bool:
    """Whether the rule of a group needs norms."""
    rule = lists.checked.groups[group]
    if FAMILIES[rule].measured is None:
        return False
    fields = _core.RULES.get(rule, ())
    return "unadapted" not in fields or not lists.inputs[group, fields.index("unadapted")]


def _cut(lists: Lists, kind: Kind, members: list[int], has_lrs: bool, grads: list[Any], sparse: Sparse) -> Work:
    """Cut tensors into chunks, for threads and at rows with their own learning rates, and into blocks of norms."""
    stored = kind.stored
    item = stored.param.itemsize
    total = sum(sparse[i].size if i in sparse else lists.sizes[i] for i in members) * item
    piece = (
        min(max(total // (_core.get_threads() * _core.PIECES_PER_THREAD), _core.STEP_MIN_PIECE), _core.STEP_MAX_PIECE) // item
    )
    if lists.with_norms:  # chunks begin at blocks of norms
        piece = -(-piece // norms.BLOCK) * norms.BLOCK
    chunks, rows, blocks, tensor_of = [], [], [], list[int]()
    for i in members:
        size, lrs, width = lists.sizes[i], lists.checked.row_lrs[i], lists.widths[i]
        if i in sparse:
            runs = [(row, row * width, (row + 1) * width, k * width) for k, row in enumerate(grads[i][1].tolist())]
        elif lrs is not None:
            runs = [(row, row * width, (row + 1) * width, row * width) for row in range(len(lrs))]
        else:
            runs = [(0, 0, size, 0)]
        for row, begin, end, shifted in runs:
            for at in range(begin, end, piece):
                chunks.append((i, at, min(end, at + piece), shifted + at - begin, len(tensor_of)))
                rows.append(row)
                if lists.with_norms:
                    tensor_of += [i] * -(-(min(end, at + piece) - at) // norms.BLOCK)
        span, last = (width, sparse[i].size) if i in sparse else (size, size)
        for first in range(0, last, max(span, 1)):
            for at in range(first, first + span, norms.BLOCK):
                blocks.append((i, at, min(first + span, at + norms.BLOCK)))
    return Work(
        kind,
        np.array(members, np.int64),
        total + TENSOR_COST * len(chunks),
        sum(one is not None for one in (stored.s0, stored.s1, stored.s2, stored.s3, stored.s4)),
        np.array(chunks, np.int64).reshape(len(chunks), 5),
        rows if has_lrs else None,
        np.array(blocks, np.int64).reshape(len(blocks), 3),
        np.array(tensor_of, np.int64),
    )

"""Norms of lists of tensors: of their gradients, and of what rules measure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lrkern import _core
from lrkern.numba import kernels
from lrkern.numba.kernels import Tensors
from lrkern.numba.threads import all_threads
from lrkern.numba.update import Pipeline
from lrkern.numba.work import Ints, Work


def raw_norms(works: Sequence[Work], addresses: Ints, sets: Ints) -> tuple[NDArray[np.float64], bool]:
    """The norms of each set's gradients as stored, and last that of all; whether all gradients are finite."""
    squares = _squares(works, addresses, 1.0, sets)
    sums, scales = squares, np.ones(len(squares))
    if any(type(one.kind.like) is np.float64 for one in works):
        for scale, chosen in (
            (_core.NORM_SCALE, squares < _core.NORM_TINY_SUM),
            (1 / _core.NORM_SCALE, squares == math.inf),
        ):
            if chosen.any():
                sums = np.where(chosen, _squares(works, addresses, scale, sets), sums)
                scales[chosen] = scale
    with np.errstate(all="ignore"):
        return np.sqrt(sums) / scales, bool(sums[-1] < math.inf)


def _squares(works: Sequence[Work], addresses: Ints, scale: float, sets: Ints) -> NDArray[np.float64]:
    """The sums of squares of gradients times `scale`, for each set and for all."""
    sums = np.empty(sum(len(one.blocks) for one in works))
    set_of = np.empty(len(sums), np.int64)
    begin = 0
    for one in works:
        mine = slice(begin, begin + len(one.blocks))
        begin = mine.stop
        set_of[mine] = sets[one.blocks[:, 0]]
        arguments = one.blocks, addresses, scale, sums[mine], one.kind.like, one.kind.stored.grad
        if one.in_parallel:
            with all_threads():
                kernels.square_parallel(*arguments, _core.NORM_BLOCKS_PER_PIECE)
        else:
            kernels.square_serial(*arguments)
    of_all = kernels.totals(sums, np.zeros(len(sums), np.int64), 1)
    count = int(sets.max(initial=-1)) + 1
    of_sets = of_all if count == 1 else kernels.totals(sums, set_of, count)
    return np.concatenate([of_sets, of_all])


def measure(work: Work, tensors: Tensors, around: Pipeline, sums_up: bool) -> None:
    """Compute the norms, or with `sums_up` norms and sums, that the rule of these tensors needs."""
    sums = np.empty((2, len(work.blocks)))
    if work.in_parallel:
        with all_threads():
            kernels.measure_parallel(work.blocks, tensors, around, sums, _core.NORM_BLOCKS_PER_PIECE, *work.kind)
    else:
        kernels.measure_serial(work.blocks, tensors, work.kind, around, sums)
    kernels.take_norms(work.blocks, work.members, sums, tensors.norms, sums_up)

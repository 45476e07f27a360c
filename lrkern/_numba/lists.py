"""Lists of tensors: what `_core.StepList` does, checks included, with compiled Python in the place of C."""

from __future__ import annotations

import math
import threading
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrkern import _core, _storage, rules
from lrkern._numba import kernels, norms
from lrkern._numba.threads import PIECES_PER_THREAD, all_threads
from lrkern._numba.update import Pipeline

# Bytes of parameters: below which threads do not pay; of a piece that a thread takes.
SERIAL, LEAST, MOST = 256 << 10, 32 << 10, 1 << 20
BLOCKS = 64  # blocks of a norm that a thread takes at a time

TINY_SUM, SCALE = 2.0**-900, 2.0**600
"""Norms of float64 beyond these lose digits to overflow and underflow of squares, and are taken of scaled elements."""

ROLES = ("param", "remainder", "grad", "state0", "state1", "state2", "average", "copy")
GRAD = ROLES.index("grad")
FIELDS = max(len(family.inputs._fields) for family in rules.FAMILIES.values())


def _stored_as(array: NDArray[Any] | None) -> NDArray[Any] | None:
    """An array without elements that is stored like this one, as compiled code knows it: 16-bit floats are their bits."""
    if array is None:
        return None
    if array.dtype in (np.float16, np.int16):
        return np.empty(0, np.int16)
    return np.empty(0, array.dtype if array.dtype.name in ("float32", "float64") else np.uint16)


class Kind(NamedTuple):
    """What compiled code is made for: a family of rules, and how each array is stored."""

    inputs: type[Any]
    stored: tuple[str, ...]


class Work:
    """Tensors of one kind that a step works on, cut into chunks."""

    def __init__(self, rule: str, stored: tuple[Any, ...], tensors: list[int]) -> None:
        family = rules.FAMILIES[rule]
        self.stored, self.tensors = stored, tensors
        self.like = np.float64(0) if stored[0].dtype == np.float64 else np.float32(0)
        self.inputs = family.inputs(*[0.0] * len(family.inputs._fields))
        self.measures = family.measured is not None
        self.numbers = np.empty(0, np.int64)  # those of the tensors, for compiled code
        self.bytes = 0  # of parameters that are stepped
        self.chunks = np.empty((0, 4), np.int64)  # tensor, begin, end, begin of the gradient
        self.rows: NDArray[np.int64] | None = None  # of each chunk, where rows have learning rates
        self.blocks = np.empty((0, 3), np.int64)  # tensor, begin, end in the gradient


class StepList(_core.StepList):
    """As `_core.StepList`."""

    def __init__(
        self,
        where: str,
        label: Any,
        params: list[Any],
        groups: list[str],
        group_of: list[int],
        states: dict[str, list[Any]],
        *,
        others: dict[str, list[Any]] | None = None,
        row_lrs: list[Any] | None = None,
        halves: bool = False,
        as_gradient: Any = None,
    ) -> None:
        super().__init__(
            where,
            label,
            params,
            groups,
            group_of,
            states,
            others=others,
            row_lrs=row_lrs,
            halves=halves,
            as_gradient=as_gradient,
        )
        n, others = len(params), others or {}
        kept = [*states.values(), *[[None] * n] * (3 - len(states))]
        none = [None] * n
        self._arrays = [
            params, others.get("remainder", none), none, *kept, others.get("ema_param", none), others.get("copy_to", none)
        ]  # fmt: skip
        self._where, self._rules, self._row_lrs = where, groups, row_lrs or none
        self._group_of = np.array(group_of, np.int64)
        self._updates = np.zeros(n, np.int64)
        self._inputs = np.zeros((len(groups), FIELDS))
        for g, rule in enumerate(groups):
            if rule == "sgd_momentum":
                self._inputs[g, rules.SGDInputs._fields.index("with_momentum")] = 1.0
        self._weights = np.zeros(len(groups))
        self._addresses = np.zeros((n, len(ROLES)), np.int64)
        for role, arrays in enumerate(self._arrays):
            for i, array in enumerate(arrays):
                self._addresses[i, role] = 0 if array is None else array.ctypes.data
        self._norms = np.ones((n, 2))
        self._counts = np.zeros(2, np.int64)  # steps done, steps skipped
        self._norm = math.nan
        self._layout: tuple[Any, list[Work]] = None, []
        self._bound: list[Any] | None = None
        self._noted: list[Any] | None = None  # bound gradients whose addresses are noted already
        self._lock = threading.Lock()
        self.set_options(math.inf, math.inf, False, False, "nearest", 0)

    @property
    def count(self) -> int:
        """Steps done."""
        return int(self._counts[0])

    @property
    def skipped(self) -> int:
        """Steps skipped."""
        return int(self._counts[1])

    @property
    def grad_norm(self) -> float:
        """Of the last step; NaN where nothing asked for it."""
        return self._norm

    def set_options(
        self, clip_norm: float, clip_value: float, skip_nonfinite: bool, zero_grad: bool, rounding: str, seed: int
    ) -> None:
        """What steps do around the rule."""
        super().set_options(clip_norm, clip_value, skip_nonfinite, zero_grad, rounding, seed)
        self._clip_norm, self._clip_value, self._skips, self._zeroes = clip_norm, clip_value, skip_nonfinite, zero_grad
        self._seed = np.uint64(seed) if rounding == "stochastic" else None

    def set_input(self, group: int, index: int, value: float) -> None:
        """Set an input of a group's rule."""
        self._inputs[group, index] = value

    def set_ema(self, group: int, decay: float) -> None:
        """Set the decay of a group's averages."""
        self._weights[group] = 1 - decay

    def get_updates(self) -> list[int]:
        """For each tensor, how many updates it has had."""
        updates: list[int] = self._updates.tolist()
        return updates

    def restore(self, updates: list[int], count: int, skipped: int, arrays: list[tuple[Any, Any]]) -> None:
        """Go back to these counts, and copy arrays."""
        super().restore(updates, count, skipped, arrays)
        self._updates[:] = updates
        self._counts[:] = count, skipped

    def bind(self, grads: list[Any]) -> None:
        """Check the gradients, and keep them for steps that are given none."""
        super().bind(grads)
        self._bound = self.bound

    def run(self, grads: list[Any] | None, grad_scale: float) -> None:
        """One step with these gradients (None: the bound ones)."""
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(f"{self._where}: another thread is in the middle of a step of this optimizer")
        try:
            if grads is not None:
                super().bind(grads)
                used, self._bound = self.bound, None
            elif self._bound is None:
                raise ValueError(f"{self._where}: grads are needed: pass them to step(), or bind() them before")
            else:
                used = self._bound
            self._step(used, grad_scale)
        finally:
            self._lock.release()

    # ---------------------------------------------------------------------------------------------------------- a step

    def _step(self, grads: list[Any], grad_scale: float) -> None:
        sparse: dict[int, NDArray[Any]] = {}
        if grads is not self._noted:
            sparse = {i: self._summed(i, grad) for i, grad in enumerate(grads) if type(grad) is tuple}
            self._note(grads, sparse)
        work = self._layout[1]
        factor, norm = 1 / grad_scale, math.nan
        if self._clip_norm < math.inf or self._skips:
            raw, finite = self._raw_norm(work)
            norm = raw / grad_scale
            if self._skips and not finite:
                if self._zeroes:
                    _set_to_zero(grads)
                self._norm = norm
                self._counts[1] += 1
                return
            if self._clip_norm < math.inf and not norm <= self._clip_norm:
                factor = self._clip_norm / raw
        # An int, as compiled code returns it, would come back as int64.
        mixed = None if self._seed is None else np.uint64(_storage.random_seed(self._seed, np.uint64(self._counts[0])))
        around = Pipeline(factor, self._clip_value, 0.0, self._zeroes, mixed)
        for one in work:
            if one.measures:
                self._measure(one, around)
        for k, one in enumerate(work):
            self._run(one, around, k + 1 == len(work))
        if not work:
            self._counts[0] += 1
        if self._zeroes and sparse:
            _set_to_zero([grads[i] for i in sparse])
        self._norm = norm

    def _summed(self, i: int, grad: tuple[Any, ...]) -> NDArray[Any]:
        """A sparse gradient with the rows of one index added, in T."""
        values, index, begin, order = grad
        width = math.prod(values.shape[1:])
        t = np.float64 if self._arrays[0][i].dtype == np.float64 else np.float32
        out = np.empty((len(index), width), t)
        bits = values.reshape(len(order), width)
        bits = bits if (stored := _stored_as(values)) is None or stored.dtype == bits.dtype else bits.view(stored.dtype)
        kernels.sum_rows(bits, begin, order, out)
        return out

    def _note(self, grads: list[Any], sparse: dict[int, NDArray[Any]]) -> None:
        """Note the addresses of these gradients, and the work that a step with them is."""
        dense = [sparse.get(i, grad) for i, grad in enumerate(grads)] if sparse else grads
        self._addresses[:, GRAD] = [0 if grad is None else grad.ctypes.data for grad in dense]
        # Numbers of dtypes: NumPy says that float64 equals None, and names are made anew each time.
        kinds = [None if grad is None else grad.dtype.num for grad in dense]
        if self._layout[0] != kinds or sparse:
            self._layout = None if sparse else kinds, self._laid_out(grads, dense)
        self._noted = grads if grads is self._bound and not sparse else None

    def _laid_out(self, grads: list[Any], dense: list[Any]) -> list[Work]:
        found: dict[Kind, Work] = {}
        for i, grad in enumerate(dense):
            if grad is not None:
                arrays = [*self._arrays]
                arrays[GRAD] = dense
                rule = self._rules[self._group_of[i]]
                stored = tuple(_stored_as(one[i]) for one in arrays)
                names = tuple("" if one is None else one.dtype.name for one in stored)
                rows = "rows" if self._row_lrs[i] is not None else ""
                kind = Kind(rules.FAMILIES[rule].inputs, (*names, rows))
                found.setdefault(kind, Work(rule, stored, [])).tensors.append(i)
        for work in found.values():
            self._cut(work, grads, dense)
        return list(found.values())

    def _cut(self, work: Work, grads: list[Any], dense: list[Any]) -> None:
        """Cut the tensors into chunks: for threads, at rows with learning rates of their own, at blocks of norms."""
        item = work.stored[0].dtype.itemsize
        total = sum(dense[i].size for i in work.tensors) * item
        threads = _core.get_threads()
        piece = min(max(total // (threads * PIECES_PER_THREAD), LEAST), MOST) // item
        chunks, rows, blocks = [], [], []
        for i in work.tensors:
            param, lrs, grad = self._arrays[0][i], self._row_lrs[i], grads[i]
            width = param.size // max(1, param.shape[0]) if param.ndim else 1
            if type(grad) is tuple:
                runs = [(row, row * width, (row + 1) * width, k * width) for k, row in enumerate(grad[1].tolist())]
            elif lrs is not None:
                runs = [(row, row * width, (row + 1) * width, row * width) for row in range(len(lrs))]
            else:
                runs = [(0, 0, param.size, 0)]
            for row, begin, end, shifted in runs:
                for at in range(begin, end, piece):
                    chunks.append((i, at, min(end, at + piece), shifted + at - begin))
                    rows.append(row)
            span = width if type(grad) is tuple else param.size
            for first in range(0, dense[i].size, max(span, 1)):
                for at in range(first, first + span, norms.BLOCK):
                    blocks.append((i, at, min(first + span, at + norms.BLOCK)))
        work.numbers, work.bytes = np.array(work.tensors, np.int64), total
        work.chunks = np.array(chunks, np.int64).reshape(len(chunks), 4)
        work.blocks = np.array(blocks, np.int64).reshape(len(blocks), 3)
        work.rows = np.array(rows, np.int64) if any(self._row_lrs[i] is not None for i in work.tensors) else None

    def _run(self, work: Work, around: Pipeline, last: bool) -> None:
        lrs = None
        if work.rows is not None:
            lrs = np.array([self._row_lrs[i][row] for (i, *_), row in zip(work.chunks, work.rows, strict=True)])
        arguments = (
            work.chunks, lrs, self._addresses, self._group_of, self._updates, self._norms, work.measures, self._inputs,
            self._weights, around, work.like, work.inputs, work.stored,
        )  # fmt: skip
        counts = self._counts if last else np.zeros(2, np.int64)
        if work.bytes < SERIAL or _core.get_threads() == 1:
            kernels.run_serial(counts, work.numbers, *arguments)
        else:
            with all_threads() as threads:
                share = -(-len(work.chunks) // (threads * PIECES_PER_THREAD))
                kernels.run_parallel(counts, work.numbers, share, *arguments)

    # ----------------------------------------------------------------------------------------------------------- norms

    def _raw_norm(self, work: list[Work]) -> tuple[float, bool]:
        """The norm of all gradients as they are stored; whether each of them is finite."""
        square = self._square(work, 1.0)
        scale = 1.0
        if any(one.like.dtype == np.float64 for one in work) and (square == math.inf or square < TINY_SUM):
            scale = SCALE if square < TINY_SUM else 1 / SCALE
            square = self._square(work, scale)
        return math.sqrt(square) / scale, square < math.inf

    def _square(self, work: list[Work], scale: float) -> float:
        sums = [np.empty(len(one.blocks)) for one in work]
        for one, out in zip(work, sums, strict=True):
            with all_threads():
                kernels.square_blocks(one.blocks, self._addresses[:, GRAD], one.stored[GRAD], one.like, scale, out, BLOCKS)
        return float(norms.sum_exactly(np.concatenate([*sums, np.empty(0)])))

    def _measure(self, work: Work, around: Pipeline) -> None:
        """The norms that the rules of these tensors ask for."""
        sums = np.empty((2, len(work.blocks)))
        with all_threads():
            kernels.measure_blocks(
                work.blocks, self._addresses, self._group_of, self._updates, self._inputs, around, work.like, work.inputs,
                work.stored, sums, BLOCKS,
            )  # fmt: skip
        for i in work.tensors:
            mine = work.blocks[:, 0] == i
            self._norms[i] = [math.sqrt(norms.sum_exactly(np.ascontiguousarray(row[mine]))) for row in sums]


def _set_to_zero(grads: list[Any]) -> None:
    for grad in grads:
        if grad is not None:
            (grad[0] if type(grad) is tuple else grad)[...] = 0

"""Lists of tensors: what `_core.StepList` does, checks included, with compiled Python in the place of C."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lrkern import _core, rules
from lrkern.backends import StepOptions, StepTensors
from lrkern.numba import kernels, norms
from lrkern.numba.kernels import GRAD, PARAM, Kind, Tensors
from lrkern.numba.threads import PIECES_PER_THREAD, all_threads
from lrkern.numba.update import Arrays, Pipeline
from lrkern.optimizers.turns import Turns

Ints = NDArray[np.int64]
T = TypeVar("T")

# Bytes of parameters: below which threads do not pay; of a piece that a thread takes.
SERIAL, LEAST, MOST = 256 << 10, 32 << 10, 1 << 20
TENSOR_COST = 64  # a chunk costs about what this many bytes do
BLOCKS = 64  # blocks of a norm that a thread takes at a time

TINY_SUM, SCALE = 2.0**-900, 2.0**600
"""Norms of float64 beyond these lose digits to overflow and underflow of squares, and are taken of scaled elements."""

FIELDS = max(len(family.inputs._fields) for family in rules.FAMILIES.values())

ZEROS = {"float32": np.float32(0), "float64": np.float64(0), "bfloat16": np.uint16(0), "float16": np.int16(0)}
"""What compiled code takes elements for: 16-bit floats are their bits."""

CARRIERS = {number: ZEROS[name] for name, number in _core.STORAGES.items()}
ABSENT = 255  # in the place of a storage


@dataclass(frozen=True)
class Work:
    """Tensors of one kind that a step works on, cut up."""

    kind: Kind
    members: Ints
    """Which tensors these are."""
    is_large: bool
    """Whether threads pay."""
    chunks: Ints
    """(tensor, begin, end, begin in the gradient) of what is stepped at a time."""
    rows: list[int] | None
    """Of each chunk, where rows have learning rates."""
    blocks: Ints
    """(tensor, begin, end in the gradient) of what norms are made of."""

    @property
    def in_parallel(self) -> bool:
        """Whether threads are used."""
        return self.is_large and _core.get_threads() > 1


class StepList(_core.StepList):
    """As `_core.StepList`, which checks all arguments."""

    def __init__(self, tensors: StepTensors) -> None:
        super().__init__(tensors)
        # As they are now: a user may give an array another shape later.
        self._sizes = [param.size for param in self.params]
        self._widths = [math.prod(param.shape[1:]) for param in self.params]
        n, groups = len(self.params), len(self.groups)
        self._tensors = Tensors(
            addresses=np.zeros((n, kernels.ROLES), np.int64),
            group_of=np.array(self.group_of, np.int64),
            updates=np.zeros(n, np.int64),
            norms=np.ones((n, 2)),
            inputs=np.zeros((groups, FIELDS)),
            weights=np.zeros(groups),
        )
        for g, rule in enumerate(self.groups):
            if rule == "sgd_momentum":
                self._tensors.inputs[g, rules.SGDInputs._fields.index("with_momentum")] = 1.0
        self._counts = np.zeros(2, np.int64)  # steps done, steps skipped
        self._norm = math.nan
        self._storages = np.empty(0, np.uint8)  # for which `_work` was laid out
        self._work: list[Work] = []
        self._bound: list[Any] | None = None
        self._noted: list[Any] | None = None  # bound gradients whose addresses are noted already
        states = [one for kind in tensors.states.values() for one in kind if one is not None]
        self._has_narrow_states = any(one.itemsize == 2 for one in states)
        self._turns = Turns(tensors.where)
        self.set_options(StepOptions())

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

    def set_options(self, options: StepOptions) -> None:
        """What steps do around the rule."""
        super().set_options(options)
        self._options = options
        self._random_params = options.rounding == "stochastic"
        self._random_states = options.state_rounding == "stochastic" and self._has_narrow_states

    def set_input(self, group: int, index: int, value: float) -> None:
        """Set an input of a group's rule."""
        self._tensors.inputs[group, index] = value

    def set_ema(self, group: int, decay: float) -> None:
        """Set the decay of a group's averages."""
        with _core.DefaultMode():
            self._tensors.weights[group] = 1 - decay

    def get_updates(self) -> list[int]:
        """For each tensor, how many updates it has had."""
        updates: list[int] = self._tensors.updates.tolist()
        return updates

    def alone(self, function: Callable[[], T]) -> T:
        """What a function returns, called while no other thread can step."""
        with self._turns:
            return function()

    def restore(self, updates: list[int], count: int, skipped: int, arrays: list[tuple[Any, Any]]) -> None:
        """Go back to these counts, and copy arrays."""
        with self._turns:
            super().restore(updates, count, skipped, arrays)
            self._tensors.updates[:] = updates
            self._counts[:] = count, skipped

    def bind(self, grads: list[Any]) -> None:
        """Check the gradients, and keep them for steps that are given none."""
        with self._turns:
            super().bind(grads)
            self._bound = self.bound

    def run(self, grads: list[Any] | None, grad_scale: float, prepare: Callable[[], None] | None = None) -> None:
        """One step with these gradients (None: the bound ones), after a call of `prepare`, which may set inputs for it."""
        with self._turns, _core.DefaultMode():
            if prepare is not None:
                prepare()
            taken = self._taken(grads)
            try:
                self.hold()
                self._step(taken, grad_scale)
            finally:
                self.let_go()

    def _taken(self, grads: list[Any] | None) -> list[Any]:
        if grads is not None:
            super().bind(grads)
            self._bound = None
            return self.bound
        if self._bound is None:
            raise ValueError(f"{self.where}: grads are needed: pass them to step(), or bind() them before")
        return self._bound

    # ---------------------------------------------------------------------------------------------------------- a step

    def _step(self, grads: list[Any], grad_scale: float) -> None:
        sparse: dict[int, NDArray[Any]] = {}  # kept until the step is done
        if grads is not self._noted:
            if tuple in map(type, grads):
                sparse = {i: self._summed(i, grad) for i, grad in enumerate(grads) if type(grad) is tuple}
            self._note(grads, sparse)
        options, factor, norm = self._options, 1 / grad_scale, math.nan
        if options.clip_norm < math.inf or options.skip_nonfinite:
            raw, finite = self._raw_norm()
            norm = raw / grad_scale
            if options.skip_nonfinite and not finite:
                if options.zero_grad:
                    _set_to_zero(grads)
                self._norm = norm
                self._counts[1] += 1
                return
            if options.clip_norm < math.inf and not norm <= options.clip_norm:
                factor = options.clip_norm / raw
        mixed = None
        if self._random_params or self._random_states:
            # An int, as compiled code returns it, would come back as int64.
            mixed = np.uint64(kernels.random_seed(np.uint64(options.seed), np.uint64(self._counts[0])))
        of_params, of_states = mixed if self._random_params else None, mixed if self._random_states else None
        around = Pipeline(factor, options.clip_value, 0.0, options.zero_grad, of_params, of_states)
        for one in self._work:
            if one.kind.measures:
                self._measure(one, around)
        for k, one in enumerate(self._work):
            self._run(one, around, k + 1 == len(self._work))
        if not self._work:
            self._counts[0] += 1
        if options.zero_grad and sparse:
            _set_to_zero([grads[i] for i in sparse])
        self._norm = norm

    def _run(self, work: Work, around: Pipeline, last: bool) -> None:
        lrs = None
        if work.rows is not None:
            lrs = np.array([self.row_lrs[i][row] for (i, *_), row in zip(work.chunks, work.rows, strict=True)])
        counts = self._counts if last else np.zeros(2, np.int64)
        if work.in_parallel:
            with all_threads() as threads:
                share = -(-len(work.chunks) // (threads * PIECES_PER_THREAD))
                kernels.run_parallel(counts, work.members, share, work.chunks, lrs, self._tensors, around, *work.kind)
        else:
            kernels.run_serial(counts, work.members, work.chunks, lrs, self._tensors, work.kind, around)

    # ------------------------------------------------------------------------------------------------------- gradients

    def _summed(self, i: int, grad: tuple[Any, ...]) -> NDArray[Any]:
        """A sparse gradient with the rows of one index added, in T."""
        values, index, begin, order = grad
        width = self._widths[i]
        out = np.empty((len(index), width), np.float64 if self.params[i].dtype == np.float64 else np.float32)
        rows = values.reshape(len(order), width)
        if rows.itemsize == 2:
            rows = rows.view(np.int16 if rows.dtype == np.float16 else np.uint16)
        kernels.sum_rows(rows, begin, order, out)
        return out

    def _note(self, grads: list[Any], sparse: dict[int, NDArray[Any]]) -> None:
        """Note the addresses of these gradients, which C has checked, and the work that a step with them is."""
        addresses, storages, _ = self.layout()
        for i, rows in sparse.items():
            addresses[i, GRAD], storages[i, GRAD] = rows.ctypes.data, _core.STORAGES[rows.dtype.name]
        self._tensors.addresses[:] = addresses
        params = storages[:, PARAM].copy()
        np.putmask(storages, addresses == 0, ABSENT)
        storages[:, PARAM] = params  # even of nothing: they say what T is
        if sparse or not np.array_equal(storages, self._storages):
            self._work = self._laid_out(storages, grads, sparse)
            self._storages = storages if not sparse else np.empty(0, np.uint8)
        self._noted = grads if grads is self._bound and not sparse else None

    def _laid_out(self, storages: NDArray[np.uint8], grads: list[Any], sparse: dict[int, NDArray[Any]]) -> list[Work]:
        found: dict[Any, list[int]] = {}
        for i in np.flatnonzero(storages[:, GRAD] != ABSENT).tolist():
            family = rules.FAMILIES[self.groups[self.group_of[i]]]
            key = family.inputs, family.measured is not None, self.row_lrs[i] is not None, storages[i].tobytes()
            found.setdefault(key, []).append(i)
        made = []
        for (inputs, measures, has_lrs, stored), members in found.items():
            zeros = Arrays(*[CARRIERS.get(one) for one in stored])
            if zeros.remainder is not None:
                zeros = zeros._replace(remainder=np.int16(0))
            like = np.float64(0) if type(zeros.param) is np.float64 else np.float32(0)
            kind = Kind(like, inputs(*[0.0] * len(inputs._fields)), zeros, measures)
            made.append(self._cut(kind, members, has_lrs, grads, sparse))
        return made

    def _cut(self, kind: Kind, members: list[int], has_lrs: bool, grads: list[Any], sparse: dict[int, NDArray[Any]]) -> Work:
        """Cut tensors into chunks: for threads, at rows with learning rates of their own; and into blocks of norms."""
        item = kind.stored.param.itemsize
        total = sum(sparse[i].size if i in sparse else self._sizes[i] for i in members) * item
        piece = min(max(total // (_core.get_threads() * PIECES_PER_THREAD), LEAST), MOST) // item
        chunks, rows, blocks = [], [], []
        for i in members:
            size, lrs, width = self._sizes[i], self.row_lrs[i], self._widths[i]
            if i in sparse:
                runs = [(row, row * width, (row + 1) * width, k * width) for k, row in enumerate(grads[i][1].tolist())]
            elif lrs is not None:
                runs = [(row, row * width, (row + 1) * width, row * width) for row in range(len(lrs))]
            else:
                runs = [(0, 0, size, 0)]
            for row, begin, end, shifted in runs:
                for at in range(begin, end, piece):
                    chunks.append((i, at, min(end, at + piece), shifted + at - begin))
                    rows.append(row)
            span, last = (width, sparse[i].size) if i in sparse else (size, size)
            for first in range(0, last, max(span, 1)):
                for at in range(first, first + span, norms.BLOCK):
                    blocks.append((i, at, min(first + span, at + norms.BLOCK)))
        return Work(
            kind,
            np.array(members, np.int64),
            total + TENSOR_COST * len(chunks) >= SERIAL,
            np.array(chunks, np.int64).reshape(len(chunks), 4),
            rows if has_lrs else None,
            np.array(blocks, np.int64).reshape(len(blocks), 3),
        )

    # ----------------------------------------------------------------------------------------------------------- norms

    def _raw_norm(self) -> tuple[float, bool]:
        """The norm of all gradients as they are stored; whether each of them is finite."""
        square = self._square(1.0)
        scale = 1.0
        if (square == math.inf or square < TINY_SUM) and any(type(one.kind.like) is np.float64 for one in self._work):
            scale = SCALE if square < TINY_SUM else 1 / SCALE
            square = self._square(scale)
        return math.sqrt(square) / scale, square < math.inf

    def _square(self, scale: float) -> float:
        sums = np.empty(sum(len(one.blocks) for one in self._work))
        begin = 0
        for one in self._work:
            out = sums[begin : begin + len(one.blocks)]
            begin += len(out)
            if one.in_parallel:
                with all_threads():
                    kernels.square_parallel(one.blocks, self._tensors, scale, out, BLOCKS, *one.kind)
            else:
                kernels.square_serial(one.blocks, self._tensors, one.kind, scale, out)
        return float(kernels.total(sums))

    def _measure(self, work: Work, around: Pipeline) -> None:
        """The norms that the rule of these tensors asks for."""
        sums = np.empty((2, len(work.blocks)))
        if work.in_parallel:
            with all_threads():
                kernels.measure_parallel(work.blocks, self._tensors, around, sums, BLOCKS, *work.kind)
        else:
            kernels.measure_serial(work.blocks, self._tensors, work.kind, around, sums)
        kernels.take_norms(work.blocks, work.members, sums, self._tensors.norms)


def _set_to_zero(grads: list[Any]) -> None:
    for grad in grads:
        if grad is not None:
            (grad[0] if type(grad) is tuple else grad)[...] = 0

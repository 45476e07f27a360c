"""The Numba engine: `_core.StepList` in compiled Python instead of C."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lrkern import _core
from lrkern.backends.engine import Check, StepOptions, StepTensors
from lrkern.numba import kernels, norms
from lrkern.numba.kernels import AVERAGE, COPY, GRAD, PARAM, Kind, Tensors
from lrkern.numba.threads import all_threads
from lrkern.numba.update import Arrays, Pipeline
from lrkern.rules.compiled import FAMILIES

EMA = _core.PLACES["ema"]
LIMITS = {place: name for name, place in _core.LIMITS.items()}

Ints = NDArray[np.int64]
T = TypeVar("T")

TENSOR_COST = 64  # the overhead of a chunk, in bytes that take the same time

ZEROS = {"float32": np.float32(0), "float64": np.float64(0), "bfloat16": np.uint16(0), "float16": np.int16(0)}
"""The dtypes of elements in compiled code: 16-bit floats are their bits."""

CARRIERS = {number: ZEROS[name] for name, number in _core.STORAGES.items()}
ABSENT = 255  # instead of a storage type


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
        return _core.step_in_parallel(self.size, self.states)


class StepList:
    """Updates a list of tensors. See `lrkern.backends.engine.Engine`."""

    def __init__(self, tensors: StepTensors) -> None:
        self.tensors = _core.TensorList(*tensors)
        self._live = _core.LiveInputs(self.tensors)
        # The current shapes: a user may reshape an array later.
        self._sizes = [param.size for param in tensors.params]
        self._widths = [math.prod(param.shape[1:]) for param in tensors.params]
        n, groups = len(tensors.params), len(tensors.groups)
        self._tensors = Tensors(
            addresses=np.zeros((n, kernels.ROLES), np.int64),
            group_of=np.array(tensors.group_of, np.int64),
            updates=np.zeros(n, np.int64),
            norms=np.ones((n, 2)),
            factors=np.ones(n),
            inputs=np.zeros((groups, max(len(FAMILIES[rule].inputs._fields) for rule in tensors.groups))),
            weights=np.zeros((groups, COPY - AVERAGE)),
        )
        self._counts = np.zeros(2, np.int64)  # steps done, steps skipped
        self._norm = math.nan
        self._lengths = np.full((n, 3), -1.0)
        self._recent, self._recent_count = np.empty(0), 0
        self._storages = np.empty(0, np.uint8)  # of the last gradients
        self._works: dict[bool, list[Work]] = {}
        """The work of a step of arrays stored like this, by whether averages change."""
        self._work: list[Work] = []
        self._was_sparse = False
        self._noted: list[Any] | None = None  # bound gradients whose addresses are already set
        states = [one for kind in tensors.states.values() for one in kind if one is not None]
        self._has_narrow_states = any(one.itemsize == 2 for one in states)
        clips_with = np.arange(groups) if tensors.clips_with is None else np.array(tensors.clips_with)
        self._sets = {
            "list": np.zeros(n, np.int64),
            "group": clips_with.astype(np.int64)[self._tensors.group_of],
            "tensor": np.arange(n),
        }
        """For each tensor, the index of the set that shares its norm, by `clip_per`."""
        self._limits = dict.fromkeys(LIMITS.values(), math.inf)
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
        """The norm of the last step's gradients; NaN if it was not computed."""
        return self._norm

    def set_options(self, options: StepOptions) -> None:
        """Set the options of steps outside the rule."""
        self.tensors.zero_grad = options.zero_grad
        self._options = options
        self._recent, self._recent_count = np.zeros(options.skip_window), 0
        self._random_params = options.rounding == "stochastic"
        self._random_states = options.state_rounding == "stochastic" and self._has_narrow_states

    def set_limit(self, name: str, limit: float) -> None:
        """Set a limit of norms."""
        self._live.remove(0, _core.PLACES[name])
        self._limits[name] = limit

    def set_input(self, group: int, index: int, value: float) -> None:
        """Set an input of a group's rule."""
        self._live.remove(group, index)
        self._tensors.inputs[group, index] = value

    def set_ema(self, group: int, which: int, decay: float) -> None:
        """Set a decay of a group's averages."""
        self._live.remove(group, EMA - which)
        with _core.DefaultMode():
            self._tensors.weights[group, which] = 1 - decay

    def set_schedule(self, group: int, index: int | None, name: str, schedule: Any, check: Check) -> None:
        """Schedule an input."""
        self._live.add(group, index, name, schedule, check)

    def publish(self) -> None:
        """Does nothing: the next step reads what has been set."""

    def get_norms(self) -> list[tuple[float, float, float]]:
        """The norms of gradient, parameter and update of each tensor."""
        return [(grad, param, update) for grad, param, update in self._lengths.tolist()]

    def get_updates(self) -> list[int]:
        """The number of updates of each tensor."""
        updates: list[int] = self._tensors.updates.tolist()
        return updates

    def alone(self, function: Callable[[], T]) -> T:
        """Call a function while no other thread can use the optimizer, and return its result."""
        with self.tensors:
            return function()

    def held(self, function: Callable[[], T]) -> T:
        """The same within `alone`, with arrays checked to be in place."""
        self.tensors.hold()
        try:
            return function()
        finally:
            self.tensors.let_go()

    def get_recent(self) -> list[float]:
        """The norms of the last steps done, the oldest first."""
        found: list[float] = np.roll(self._recent, -self._recent_count % len(self._recent)).tolist()
        return found[-min(self._recent_count, len(found)) :] if self._recent_count else []

    def restore(
        self, updates: list[int], count: int, skipped: int, arrays: list[tuple[Any, Any]], recent: Sequence[float] = ()
    ) -> None:
        """Set the counts and norms, and copy the second array of each pair into the first."""
        with self.tensors:
            self.tensors.overwrite(arrays)
            self._tensors.updates[:] = updates
            self._counts[:] = count, skipped
            self._recent_count = min(len(recent), len(self._recent))
            self._recent[: self._recent_count] = recent[len(recent) - self._recent_count :]

    def write_copies(self) -> None:
        """Write the arrays of "copy_to" as a step would, from the current parameters."""
        self.tensors.write_copies()

    def bind(self, grads: list[Any]) -> None:
        """Check the gradients, and keep them for steps without gradients."""
        with self.tensors:
            self.tensors.bind(grads)

    def run(self, grads: list[Any] | None, grad_scale: float) -> list[tuple[int, int, float]] | None:
        """One step with these gradients (None: the bound ones) and the current values of schedules."""
        with self.tensors as tensors, _core.DefaultMode():
            self._refresh()
            taken = tensors.bound if grads is None else tensors.take(grads)
            if taken is None:
                raise ValueError(f"{tensors.where}: grads are needed: pass them to step(), or bind() them first")
            tensors.hold()
            return self._step(taken, grad_scale)

    def _refresh(self) -> None:
        inputs = self._tensors.inputs
        for group, place, value in self._live.at(self.count):
            if place in LIMITS:
                self._limits[LIMITS[place]] = value
            elif place < 0:
                self._tensors.weights[group, EMA - place] = 1 - value
            else:
                inputs[group, place] = value
        for group in self._live.shrinking:
            lr, decay, decoupled = inputs[group, :3].tolist()
            self._live.check(group, lr, decay, decoupled != 0)

    # ---------------------------------------------------------------------------------------------------------- a step

    def _step(self, grads: list[Any], grad_scale: float) -> list[tuple[int, int, float]] | None:
        sparse: dict[int, NDArray[Any]] = {}  # kept alive until the step is done
        if grads is not self._noted:
            if tuple in map(type, grads):
                sparse = {i: self._summed(i, grad) for i, grad in enumerate(grads) if type(grad) is tuple}
            self._note(grads, sparse)
        averages = (self.count + 1) % self._options.ema_every == 0
        if averages not in self._works:
            self._works[averages] = self._laid_out(averages, grads, sparse)
        self._work = self._works[averages]
        options, norm, clip_norm = self._options, math.nan, self._limits["clip_norm"]
        clips = clip_norm < math.inf
        self._tensors.factors[:] = 1 / grad_scale
        if self._wants_norm:
            sets = self._sets[options.clip_per if clips else "list"]
            raw, finite = self._raw_norms(sets)
            norm = float(raw[-1]) / grad_scale
            if options.error_if_nonfinite and not finite:
                return self.tensors.nonfinite()
            if (options.skip_nonfinite and not finite) or norm > self._limits["skip_norm"] or self._is_spike(norm):
                if options.zero_grad:
                    _set_to_zero(grads)
                self._norm = norm
                self._counts[1] += 1
                return None
            if clips:
                with np.errstate(all="ignore"):
                    clipped = np.where(raw / grad_scale <= clip_norm, 1 / grad_scale, clip_norm / raw)
                self._tensors.factors[:] = clipped[sets]
        mixed = None
        if self._random_params or self._random_states:
            # Compiled code would return a Python int as int64.
            mixed = np.uint64(kernels.random_seed(np.uint64(options.seed), np.uint64(self._counts[0])))
        of_params, of_states = mixed if self._random_params else None, mixed if self._random_states else None
        around = Pipeline(1.0, options.clip_value, 0.0, 0.0, 0.0, options.zero_grad, of_params, of_states)
        for one in self._work:
            if one.kind.measures:
                self._measure(one, around)
        found = [self._run(one, around, k + 1 == len(self._work)) for k, one in enumerate(self._work)]
        if not self._work:
            self._counts[0] += 1
        if options.zero_grad and sparse:
            _set_to_zero([grads[i] for i in sparse])
        self._norm = norm
        if self._limits["skip_sigma"] < math.inf and norm < math.inf:
            self._recent[self._recent_count % len(self._recent)] = norm
            self._recent_count += 1
        if options.norms:
            self._note_norms(found, grads, grad_scale)
        return None

    def _note_norms(self, found: list[NDArray[np.float64] | None], grads: list[Any], grad_scale: float) -> None:
        """Add the sums of blocks."""
        n, lengths = len(grads), np.zeros((len(grads), 3))
        for work, sums in zip(self._work, found, strict=True):
            assert sums is not None
            for k in range(3):
                lengths[:, k] += kernels.totals(np.ascontiguousarray(sums[:, k]), work.tensor_of, n)
        lengths = np.sqrt(lengths)
        with np.errstate(all="ignore"):
            lengths[:, 0] /= grad_scale
        lengths[[one is None for one in grads]] = -1
        self._lengths = lengths

    def _is_spike(self, norm: float) -> bool:
        sigma = self._limits["skip_sigma"]
        return sigma < math.inf and bool(kernels.is_spike(self._recent, self._recent_count, norm, sigma))

    @property
    def _wants_norm(self) -> bool:
        options = self._options
        return options.skip_nonfinite or options.error_if_nonfinite or min(self._limits.values()) < math.inf

    def _run(self, work: Work, around: Pipeline, last: bool) -> NDArray[np.float64] | None:
        """Update the tensors of one kind. Returns sums of squares of blocks, for norms."""
        lrs = None
        if work.rows is not None:
            lrs = np.array([self.tensors.row_lrs[i][row] for (i, *_), row in zip(work.chunks, work.rows, strict=True)])
        counts = self._counts if last else np.zeros(2, np.int64)
        sums = np.empty((len(work.tensor_of), 3)) if self._options.norms else None
        if work.in_parallel:
            with all_threads() as threads:
                share = -(-len(work.chunks) // (threads * _core.PIECES_PER_THREAD))
                kernels.run_parallel(counts, work.members, share, work.chunks, lrs, self._tensors, around, sums, *work.kind)
        else:
            kernels.run_serial(counts, work.members, work.chunks, lrs, self._tensors, work.kind, around, sums)
        return sums

    # ------------------------------------------------------------------------------------------------------- gradients

    def _summed(self, i: int, grad: tuple[Any, ...]) -> NDArray[Any]:
        """A sparse gradient with the rows of one index added, in T."""
        values, index, begin, order = grad
        width = self._widths[i]
        out = np.empty((len(index), width), np.float64 if self.tensors.params[i].dtype == np.float64 else np.float32)
        rows = values.reshape(len(order), width)
        if rows.itemsize == 2:
            rows = rows.view(np.int16 if rows.dtype == np.float16 else np.uint16)
        kernels.sum_rows(rows, begin, order, out)
        return out

    def _note(self, grads: list[Any], sparse: dict[int, NDArray[Any]]) -> None:
        """Set the addresses of checked gradients."""
        addresses, storages, _ = self.tensors.layout()
        for i, rows in sparse.items():
            addresses[i, GRAD], storages[i, GRAD] = rows.ctypes.data, _core.STORAGES[rows.dtype.name]
        self._tensors.addresses[:] = addresses
        params = storages[:, PARAM].copy()
        np.putmask(storages, addresses == 0, ABSENT)
        storages[:, PARAM] = params  # even without gradients: they determine T
        if sparse or self._was_sparse or not np.array_equal(storages, self._storages):
            self._works, self._storages, self._was_sparse = {}, storages, bool(sparse)
        self._noted = grads if grads is self.tensors.bound and not sparse else None

    def _laid_out(self, averages: bool, grads: list[Any], sparse: dict[int, NDArray[Any]]) -> list[Work]:
        """The work of a step in which averages change, or do not."""
        storages, found = self._storages.copy(), dict[Any, list[int]]()
        if not averages:
            storages[:, AVERAGE:COPY] = ABSENT
        groups, group_of = self.tensors.groups, self.tensors.group_of
        for i in np.flatnonzero(storages[:, GRAD] != ABSENT).tolist():
            family = FAMILIES[groups[group_of[i]]]
            key = family.inputs, self._measures(group_of[i]), self.tensors.row_lrs[i] is not None, storages[i].tobytes()
            found.setdefault(key, []).append(i)
        made = []
        for (inputs, measures, has_lrs, stored), members in found.items():
            zeros = Arrays(*[CARRIERS.get(one) for one in stored], *[None])
            if zeros.remainder is not None:
                zeros = zeros._replace(remainder=np.int16(0))
            like = np.float64(0) if type(zeros.param) is np.float64 else np.float32(0)
            kind = Kind(like, inputs(*[0.0] * len(inputs._fields)), zeros, measures)
            made.append(self._cut(kind, members, has_lrs, grads, sparse))
        return made

    def _measures(self, group: int) -> bool:
        """Whether the rule of a group needs norms."""
        family = FAMILIES[self.tensors.groups[group]]
        if family.measured is None:
            return False
        fields = family.inputs._fields
        return "unadapted" not in fields or not self._tensors.inputs[group, fields.index("unadapted")]

    def _cut(self, kind: Kind, members: list[int], has_lrs: bool, grads: list[Any], sparse: dict[int, NDArray[Any]]) -> Work:
        """Cut tensors into chunks, for threads and at rows with their own learning rates, and into blocks of norms."""
        stored = kind.stored
        item = stored.param.itemsize
        total = sum(sparse[i].size if i in sparse else self._sizes[i] for i in members) * item
        piece = (
            min(max(total // (_core.get_threads() * _core.PIECES_PER_THREAD), _core.STEP_MIN_PIECE), _core.STEP_MAX_PIECE)
            // item
        )
        if self._options.norms:  # chunks begin at blocks of norms
            piece = -(-piece // norms.BLOCK) * norms.BLOCK
        chunks, rows, blocks, tensor_of = [], [], [], list[int]()
        for i in members:
            size, lrs, width = self._sizes[i], self.tensors.row_lrs[i], self._widths[i]
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
                    if self._options.norms:
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

    # ----------------------------------------------------------------------------------------------------------- norms

    def _raw_norms(self, sets: Ints) -> tuple[NDArray[np.float64], bool]:
        """The norms of each set's gradients as stored, and last that of all; whether all gradients are finite."""
        squares = self._squares(1.0, sets)
        sums, scales = squares, np.ones(len(squares))
        if any(type(one.kind.like) is np.float64 for one in self._work):
            for scale, chosen in (
                (_core.NORM_SCALE, squares < _core.NORM_TINY_SUM),
                (1 / _core.NORM_SCALE, squares == math.inf),
            ):
                if chosen.any():
                    sums = np.where(chosen, self._squares(scale, sets), sums)
                    scales[chosen] = scale
        with np.errstate(all="ignore"):
            return np.sqrt(sums) / scales, bool(sums[-1] < math.inf)

    def _squares(self, scale: float, sets: Ints) -> NDArray[np.float64]:
        """The sums of squares of gradients times `scale`, for each set and for all."""
        sums = np.empty(sum(len(one.blocks) for one in self._work))
        set_of = np.empty(len(sums), np.int64)
        begin = 0
        for one in self._work:
            mine = slice(begin, begin + len(one.blocks))
            begin = mine.stop
            set_of[mine] = sets[one.blocks[:, 0]]
            arguments = one.blocks, self._tensors.addresses, scale, sums[mine], one.kind.like, one.kind.stored.grad
            if one.in_parallel:
                with all_threads():
                    kernels.square_parallel(*arguments, _core.NORM_BLOCKS_PER_PIECE)
            else:
                kernels.square_serial(*arguments)
        of_all = kernels.totals(sums, np.zeros(len(sums), np.int64), 1)
        count = int(sets.max(initial=-1)) + 1
        of_sets = of_all if count == 1 else kernels.totals(sums, set_of, count)
        return np.concatenate([of_sets, of_all])

    def _measure(self, work: Work, around: Pipeline) -> None:
        """Compute the norms that the rule of these tensors needs."""
        sums = np.empty((2, len(work.blocks)))
        if work.in_parallel:
            with all_threads():
                kernels.measure_parallel(work.blocks, self._tensors, around, sums, _core.NORM_BLOCKS_PER_PIECE, *work.kind)
        else:
            kernels.measure_serial(work.blocks, self._tensors, work.kind, around, sums)
        kernels.take_norms(work.blocks, work.members, sums, self._tensors.norms)


def _set_to_zero(grads: list[Any]) -> None:
    for grad in grads:
        if grad is not None:
            (grad[0] if type(grad) is tuple else grad)[...] = 0

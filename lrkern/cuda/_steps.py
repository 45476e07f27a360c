"""The CUDA engine: lists of tensors on a device, checked like those of C, and updated by a few launches without the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np

from lrkern import _core
from lrkern._checks import describe
from lrkern.backends.engine import Check, StepOptions, StepTensors
from lrkern.cuda import _arrays
from lrkern.cuda._arrays import DeviceArray, Pair
from lrkern.cuda._plans import Packed
from lrkern.cuda._platform import current_stream, is_captured, on_device, read_back, to_device, write_over
from lrkern.cuda._program import Program
from lrkern.cuda._step_norms import NORMS
from lrkern.cuda._step_scalars import CLIP_VALUE, EMA_EVERY, ERROR_IF_NONFINITE, OPTIONS, SKIP_NONFINITE, WANTS_NORM
from lrkern.cuda._table import Table
from lrkern.cuda._table_layout import (
    CLIP_FIELDS,
    CLIP_NORM,
    COEFS,
    CONTROL_COUNT,
    CONTROL_LAST_WRONG,
    CONTROL_RECENT,
    CONTROL_REFUSED,
    CONTROL_SKIPPED,
    CONTROL_SKIPS,
    CONTROLS,
    EMA_DECAY,
    GRAD_NORM,
    INPUTS,
    NOT_FINITE,
    NUMBERS,
    RULE,
    SKIP_NORM,
    SKIP_SIGMA,
)
from lrkern.optimizers.arrays import as_gradient, own_rows
from lrkern.pointwise.exact_sum import BINS
from lrkern.rules.compiled import FAMILIES, SCALAR_STATES

T = TypeVar("T")

LIMITS = {"clip_norm": CLIP_NORM, "skip_norm": SKIP_NORM, "skip_sigma": SKIP_SIGMA}
"""Columns of `inputs` with limits of norms."""
PLACES = LIMITS | {name: EMA_DECAY + _core.EMA_PLACES["ema"] - place for name, place in _core.EMA_PLACES.items()}
"""The same of all that can be scheduled and is no input of a rule."""


class StepList:
    """The tensors of an optimizer on a device. See `lrkern.backends.engine.Engine`.

    Counters, hyper-parameters, plans of schedules, addresses and the decisions of a step are in device memory. A step only
    launches kernels on the current stream, so that a CUDA graph that captured one follows the schedule.
    """

    def __init__(self, tensors: StepTensors) -> None:
        self._where, self._label, self._params, self._groups = tensors.where, tensors.label, tensors.params, tensors.groups
        self._as_gradient = tensors.as_gradient or _arrays.as_dense_gradient
        self._checked = _core.TensorList(*tensors._replace(row_lrs=None, as_gradient=_rows_for_c))
        kept = (tensors.states | tensors.others).values()
        self._find_device([*tensors.params, *(one for kind in kept for one in kind if one is not None)])
        self._homes = [
            (kind, i, address_of, address_of())
            for kind, arrays in {"param": tensors.params, **tensors.others}.items()
            for i, one in enumerate(arrays)
            if (address_of := _arrays.address_of(one)) is not None
        ]
        """Functions that return the current address of arrays whose memory may be replaced (torch's); and their addresses."""
        self._row_lrs = {i: lrs for i, lrs in enumerate(tensors.row_lrs or []) if lrs is not None}
        self._group_of, self._halves = tensors.group_of, tensors.halves
        self._copies, self._remainders = (
            tensors.others.get(kind, [None] * len(tensors.params)) for kind in ("copy_to", "remainder")
        )
        self._keys: list[Any] | None = None
        self._pairs: dict[int, Pair] = {}
        self._told = 0  # refused steps that have been reported
        self._table: Table | None = None
        self._program: Program | None = None
        self._captured: set[Program] = set()
        self._schedules: dict[tuple[int, int], tuple[str, Any]] = {}
        self._inputs = np.zeros((max(1, len(tensors.groups)), INPUTS))
        self._inputs[0, list(LIMITS.values())] = math.inf
        self._rules = sorted(set(tensors.groups))
        for g, rule in enumerate(tensors.groups):
            self._inputs[g, RULE] = self._rules.index(rule)
        self._options = np.zeros(OPTIONS)
        self._clips_with = tensors.clips_with or list(range(len(tensors.groups)))
        self.set_options(StepOptions())
        self._measures = any(FAMILIES[rule].measured is not None for rule in tensors.groups)
        self._made = False
        self._on_device: dict[str, Any] = {}
        self._packed = Packed.of(tensors.where, {})
        self._plans: tuple[Any, ...] = ()

    def _find_device(self, arrays: list[DeviceArray]) -> None:
        """Find the device of all arrays, and the library that has the current stream."""
        first = arrays[0] if arrays else None
        self._device_id = 0 if first is None else first.device_id
        self._library = "" if first is None else first.library
        for array in arrays:
            if array.device_id != self._device_id:
                raise ValueError(
                    f"{self._where}: all arrays must be on one device; got some on device {self._device_id} and "
                    f"some on device {array.device_id}"
                )

    # ---------------------------------------------------------------------------------------------------------- settings

    def set_options(self, options: StepOptions) -> None:
        """Set the options of steps outside the rule."""
        self._checked.zero_grad = options.zero_grad
        self._checks_finite, self._error_if_nonfinite = options.skip_nonfinite, options.error_if_nonfinite
        self._options[[CLIP_VALUE, SKIP_NONFINITE, ERROR_IF_NONFINITE, EMA_EVERY]] = (
            options.clip_value, options.skip_nonfinite, options.error_if_nonfinite, options.ema_every,
        )  # fmt: skip
        self._zero_grad, self._seed, self._window = options.zero_grad, options.seed, options.skip_window
        self._roundings, self._norms = (options.rounding, options.state_rounding), options.norms
        n = len(self._params)
        self._clip_of = {
            "list": [0] * n,
            "group": [1 + self._clips_with[g] for g in self._group_of],
            "tensor": list(range(1, n + 1)),
        }[options.clip_per]
        self._clips = {"list": 1, "group": 1 + len(self._groups), "tensor": 1 + n}[options.clip_per]
        self._options[WANTS_NORM] = self._wants_norm

    @property
    def _wants_norm(self) -> bool:
        limited = any(self._inputs[0, place] < math.inf for place in LIMITS.values())
        return self._checks_finite or self._error_if_nonfinite or limited

    def set_limit(self, name: str, limit: float) -> None:
        """Set a limit of norms; takes effect with `publish`."""
        self.set_input(0, LIMITS[name], limit)
        self._options[WANTS_NORM] = self._wants_norm

    def set_input(self, group: int, index: int, value: float) -> None:
        """Set an input of a group's rule, by its place in RULES; takes effect with `publish`."""
        self._schedules.pop((group, index), None)
        self._inputs[group, index] = value

    def set_ema(self, group: int, which: int, decay: float) -> None:
        """Set a decay of a group's averages; takes effect with `publish`."""
        self.set_input(group, EMA_DECAY + which, decay)

    def set_schedule(self, group: int, index: int | None, name: str, schedule: Any, check: Check) -> None:
        """Schedule an input (None: the one of that name in PLACES); takes effect with `publish`."""
        place = PLACES[name] if index is None else index
        self._schedules[group, place] = (name, schedule)

    def publish(self) -> None:
        """Copy hyper-parameters to the device. Numbers are written in place, so that captured graphs see them."""
        if not self._made:
            self._make()
            return
        packed = Packed.of(self._where, self._schedules)
        with on_device(self._device_id):
            stream = self._stream()
            self._refuse_capture(stream, "hyper-parameters cannot change")
            write_over(self._on_device["inputs"], self._inputs, stream)
            write_over(self._on_device["options"], self._options, stream)
            for i, lrs in self._row_lrs.items():
                write_over(self._on_device[f"lrs of {i}"], lrs, stream)
            if not packed.same_as(self._packed):
                self._packed, self._plans, self._program = packed, packed.to_device(stream), None

    def _make(self) -> None:
        """Create everything that does not change from step to step."""
        n = max(1, len(self._params))
        self._packed = Packed.of(self._where, self._schedules)
        host: dict[str, Any] = {
            "control": np.zeros(CONTROLS, np.int64),
            "numbers": np.zeros(NUMBERS),
            "recent": np.zeros(self._window),
            "random": np.array([0, self._seed], np.uint64),
            "bins": np.zeros((2 * self._clips, BINS), np.int64),
            "clips": np.zeros((self._clips, CLIP_FIELDS)),
            "inputs": self._inputs,
            "options": self._options,
            "updates": np.zeros(n, np.int64),
            "scalar_states": np.zeros((n, 2 * SCALAR_STATES)),
            "norms": np.ones((n, 2)),
            "coefs32": np.zeros((n, COEFS), np.float32),
            "coefs64": np.zeros((n, COEFS)),
        }
        if self._measures:
            host["tensor_bins"] = np.zeros((n, 2, BINS), np.int64)
        if self._norms:
            host |= {"norm_bins": np.zeros((n, NORMS, BINS), np.int64), "lengths": np.full((n, NORMS), -1.0)}
        host |= {f"lrs of {i}": lrs for i, lrs in self._row_lrs.items()}
        with on_device(self._device_id):
            stream = self._stream()
            self._refuse_capture(stream, "arrays cannot be made")
            self._on_device = {name: to_device(array, stream) for name, array in host.items()}
            self._plans = self._packed.to_device(stream)
        self._made = True

    def _stream(self) -> int:
        return current_stream(self._library, self._device_id)

    def _refuse_capture(self, stream: int, what: str) -> None:
        """Raise during a capture, for operations that allocate or synchronize."""
        if is_captured(stream):
            raise RuntimeError(f"{self._where}: {what} while a CUDA graph is captured; do this, or a step, before the capture")

    # ------------------------------------------------------------------------------------------------------------- steps

    def bind(self, grads: list[Any]) -> None:
        """Check the gradients, and keep them for steps without gradients."""
        with self._checked:
            self._take(grads, binds=True)

    def _take(self, grads: list[Any], binds: bool = False) -> None:
        """Use these gradients. Does nothing if they are at the same addresses as the last ones.

        `binds`: check their indices here; in a step, which does not synchronize, the device checks them.
        """
        keys = [_key(grad) for grad in grads]
        if self._table is not None and keys == self._keys:
            if binds:
                self._check_rows(self._pairs)
            self._grads = grads
            return
        arrays = [None if grad is None else self._as_device_array(i, grad) for i, grad in enumerate(grads)]
        self._checked.bind(arrays)
        pairs = {i: one for i, one in enumerate(arrays) if isinstance(one, Pair)}
        if binds:
            self._check_rows(pairs)
        if not self._made:
            self._make()
        with on_device(self._device_id):
            stream = self._stream()
            self._refuse_capture(stream, "gradients cannot move")
            row_lrs = {
                i: (_arrays.as_array("", "", self._on_device[f"lrs of {i}"], written=False).address, len(lrs))
                for i, lrs in self._row_lrs.items()
            }
            last = None if any(self._table is one.table for one in self._captured) else self._table
            table = Table.of(
                self._checked.layout(), self._groups, self._group_of, self._measuring(), self._clip_of, row_lrs, pairs,
                self._zero_grad, self._roundings, self._norms, stream, last,
            )  # fmt: skip
            if table is not self._table or self._program is None:
                self._program = self._make_program(table)
            self._table = table
        self._keys, self._grads, self._pairs = keys, grads, pairs

    def _check_rows(self, pairs: dict[int, Pair]) -> None:
        """Raise for out-of-range indices, except during a capture, when they have no values yet."""
        with on_device(self._device_id):
            if is_captured(self._stream()):
                return
        for i, pair in pairs.items():
            own_rows(self._where, self._label("grad", i), _arrays.copy(pair.indices), self._params[i])

    def _measuring(self) -> list[bool]:
        """Whether the rule of each group needs norms."""
        found = []
        for g, rule in enumerate(self._groups):
            fields = _core.RULES.get(rule, ())
            unadapted = "unadapted" in fields and self._inputs[g, fields.index("unadapted")] != 0
            found.append(FAMILIES[rule].measured is not None and not unadapted)
        return found

    def _make_program(self, table: Table) -> Program:
        return Program(self._rules if self._params else [], table, self._on_device, self._plans, self._wants_norm)

    def _as_device_array(self, index: int, grad: Any) -> DeviceArray | Pair:
        name = self._label("grad", index)
        array = self._as_gradient(self._where, name, grad, self._params[index], self._zero_grad)
        if array is None:
            raise TypeError(f"{self._where}: {name} must be an array on a CUDA device; got {describe(grad)}")
        for one in (array.indices, array.values) if isinstance(array, Pair) else (array,):
            if one.device_id != self._device_id:
                wanted = f"{name} must be on device {self._device_id}"
                raise ValueError(f"{self._where}: {wanted}; got one on device {one.device_id}")
        found: DeviceArray | Pair = array
        return found

    def run(self, grads: list[Any] | None, grad_scale: Any) -> list[tuple[int, int, float]] | None:
        """One step with these gradients (None: the bound ones)."""
        with self._checked:
            if grads is not None:
                self._take(grads)
            if self._table is None:
                raise ValueError(f"{self._where}: grads are needed: pass them to step(), or bind() them first")
            for kind, i, address_of, address in self._homes:
                if address_of() != address:
                    raise ValueError(_core.moved(self._where, self._label(kind, i), "create a new optimizer"))
            self._launch(self._table, grad_scale)
            # Everything has been launched: even if an exception comes now, the counted step is complete.
            if self._error_if_nonfinite and self._read("control")[CONTROL_SKIPS] == NOT_FINITE:
                return self._nonfinite()
            return None

    def _nonfinite(self) -> list[tuple[int, int, float]]:
        """`_core.TensorList.nonfinite`, for gradients that are copied to the CPU one by one."""
        found = []
        for i, grad in enumerate(self._grads):
            if grad is None:
                continue
            array = self._as_device_array(i, grad)
            values = (
                (_arrays.copy(array.indices), _arrays.copy(array.values)) if isinstance(array, Pair) else _arrays.copy(array)
            )
            param = np.empty_like(np.ndarray.view(self._params[i], np.ndarray))
            made_of = StepTensors(self._where, self._label, [param], ["sgd"], [0], {}, halves=self._halves)
            alone = _core.TensorList(*made_of._replace(as_gradient=partial(as_gradient, True, self._halves)))
            alone.bind([values])
            found += [(i, element, value) for _, element, value in alone.nonfinite()]
        return found

    def _launch(self, table: Table, grad_scale: Any) -> None:
        scale, scale_address = grad_scale, 0
        if not isinstance(grad_scale, float):
            array = _arrays.as_array(self._where, "grad_scale", grad_scale, written=False)
            if array.dtype != np.float32 or array.size != 1:
                wanted = "grad_scale must be a number, or one float32 on the device"
                raise TypeError(f"{self._where}: {wanted}; got {describe(array)}")
            if array.device_id != self._device_id:
                wanted = f"grad_scale must be on device {self._device_id}"
                raise ValueError(f"{self._where}: {wanted}; got one on device {array.device_id}")
            scale, scale_address = 1.0, array.address
        with on_device(self._device_id):
            stream = self._stream()
            if self._error_if_nonfinite and is_captured(stream):
                wanted = "error_if_nonfinite must be False while a CUDA graph is captured"
                raise RuntimeError(f"{self._where}: {wanted}: it waits for the device")
            if self._program is None or self._program.wants_norm != self._wants_norm:
                self._refuse_capture(stream, "a change of schedules cannot take effect")
                self._program = self._make_program(table)
            if is_captured(stream):
                self._captured.add(self._program)
            self._program(stream, scale, scale_address)

    # --------------------------------------------------------------------------------------------------- reading the device

    def _read(self, name: str) -> Any:
        if not self._made:
            self._make()
        with on_device(self._device_id):
            stream = self._stream()
            control = read_back(self._on_device["control"], stream)
            self._tell_of_refused(int(control[CONTROL_REFUSED]), int(control[CONTROL_LAST_WRONG]))
            return control if name == "control" else read_back(self._on_device[name], stream)

    def _tell_of_refused(self, refused: int, last: int) -> None:
        """Raise if steps have been refused since the last read: they could not report it without synchronizing."""
        steps, self._told = refused - self._told, refused
        if steps > 0:
            wanted = f"{self._label('grad', last)}[0] must be rows in 0..{self._params[last].shape[0] - 1}"
            raise ValueError(f"{self._where}: {wanted}; got out-of-range indices; steps discarded: {steps}")

    @property
    def count(self) -> int:
        """The number of steps done. Waits for the device, like every read."""
        return int(self._read("control")[CONTROL_COUNT])

    @property
    def skipped(self) -> int:
        """The number of steps skipped."""
        return int(self._read("control")[CONTROL_SKIPPED])

    @property
    def grad_norm(self) -> float:
        """The norm of the last gradients; NaN if it was not computed."""
        return float(self._read("numbers")[GRAD_NORM])

    def get_norms(self) -> list[tuple[float, float, float]]:
        """The norms of gradient, parameter and update of each tensor."""
        found = self._read("lengths")[: len(self._params)].tolist()
        return [(grad, param, update) for grad, param, update in found]

    def get_updates(self) -> list[int]:
        """The number of updates of each tensor."""
        found: list[int] = self._read("updates")[: len(self._params)].tolist()
        return found

    def write_copies(self) -> None:
        """Write the arrays of "copy_to" as a step would, from the current parameters."""
        for param, copy, remainder in zip(self._params, self._copies, self._remainders, strict=True):
            if copy is not None:
                _arrays.write_copy(param, remainder, copy, self._halves)

    def alone(self, function: Callable[[], T]) -> T:
        """Call a function while no other thread can use the optimizer, and return its result.

        Its reads of the device come after all steps so far, on their stream.
        """
        with self._checked:
            return function()

    def held(self, function: Callable[[], T]) -> T:
        """The same; device arrays do not move."""
        return function()

    def get_recent(self) -> list[float]:
        """The norms of the last steps done, the oldest first."""
        recent, count = self._read("recent"), int(self._read("control")[CONTROL_RECENT])
        return [float(recent[k % self._window]) for k in range(max(0, count - self._window), count)]

    def get_scalar_states(self) -> list[tuple[float, ...]]:
        """The scalar states of each tensor."""
        return [tuple(row) for row in self._read("scalar_states")[: len(self._params), :SCALAR_STATES].tolist()]

    def restore(
        self,
        updates: list[int],
        count: int,
        skipped: int,
        arrays: list[tuple[Any, Any]],
        recent: Sequence[float] = (),
        scalar_states: Sequence[Sequence[float]] = (),
    ) -> None:
        """Set the counts, norms and scalar states, and copy the second array of each pair into the first."""
        with self._checked:
            self._restore(updates, count, skipped, arrays, recent[-self._window :], scalar_states)

    def _restore(
        self,
        updates: list[int],
        count: int,
        skipped: int,
        arrays: list[tuple[Any, Any]],
        recent: Sequence[float],
        scalar_states: Sequence[Sequence[float]],
    ) -> None:
        kept = np.zeros((max(1, len(self._params)), 2 * SCALAR_STATES))
        for row, values in zip(kept, scalar_states, strict=False):
            row[: len(values)] = values
        if not self._made:
            self._make()
        for own, saved in arrays:
            if own is not saved:
                _arrays.overwrite(own, saved)
        with on_device(self._device_id):
            stream = self._stream()
            write_over(self._on_device["updates"], np.array(updates or [0], np.int64), stream)
            write_over(self._on_device["scalar_states"], kept, stream)
            control = np.zeros(CONTROLS, np.int64)
            control[[CONTROL_COUNT, CONTROL_SKIPPED, CONTROL_RECENT]] = count, skipped, len(recent)
            write_over(self._on_device["control"], control, stream)
            write_over(self._on_device["recent"], np.array([*recent, *[0.0] * (self._window - len(recent))]), stream)
            self._told = 0


_NONE = np.empty(0, np.int64)


def _rows_for_c(where: str, name: str, grad: Any, param: DeviceArray, written: bool) -> Any:
    """A pair in the form of `optimizers.arrays.as_sparse_gradient`, without rows, so that the C list checks its values."""
    return (grad.values, _NONE, _NONE, _NONE) if isinstance(grad, Pair) else grad


def _key(grad: Any) -> Any:
    """The properties of a gradient that determine its row of the table: address, shape, dtype."""
    if isinstance(grad, tuple):
        return tuple(map(_key, grad))
    if grad is None or isinstance(grad, DeviceArray):
        return None if grad is None else (grad.address, grad.shape, grad.strides, grad.dtype)
    address = getattr(grad, "data_ptr", None)  # torch's: faster than its array interface
    if address is not None:
        try:
            return address(), grad.shape, grad.stride(), grad.dtype
        except RuntimeError:  # a sparse tensor, which is refused later
            return id(grad)
    interface = _arrays.interface_of(grad)
    if interface is None:
        return id(grad)  # of an object that is kept until it is replaced
    return interface["data"], interface["shape"], interface.get("strides"), interface["typestr"]

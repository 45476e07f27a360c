"""An optimizer of lrkern over the memory of an adapter's parameters."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lrkern import _core
from lrkern.torch.construction import core_of, places_of_copies
from lrkern.torch.gradients import clear, fitted
from lrkern.torch.memory import Memory, is_freed, memory_of
from lrkern.torch.tensors import as_complex, is_plain, plain
from lrkern.torch.watched import WatchedStates, Writes, publish

if TYPE_CHECKING:
    from lrkern.torch.adapter import Adapter

# Arrays that are no states of a rule -> names in `state`.
_OF_OTHERS = {kind: kind.removesuffix("_param") for kind in _core.AVERAGES} | {"remainder": "remainder"}

_modes: Callable[[], int] = torch._C._len_torch_function_stack
"""How many function modes of torch are active, such as `with torch.device(...)`."""

AVERAGES = [_OF_OTHERS[kind] for kind in _core.AVERAGES]
"""The names of averages in `state`."""


class Bound:
    """An optimizer of lrkern for the parameters as they are now; made again when they have moved."""

    def __init__(self, owner: Adapter) -> None:
        # No circles of references: an optimizer that is dropped frees its memory at once.
        self._owner, self.where = weakref.ref(owner), f"{type(owner).__name__}.step"
        groups = owner.param_groups
        self.params: list[Tensor] = [param for group in groups for param in group["params"]]
        self.memory: Memory = memory_of(type(owner).__name__, self.params, owner.shared.get("backend"))
        self.odd = {i for i, one in enumerate(self.params) if not is_plain(one)}
        self.arrays = [self._array(i) for i in range(len(self.params))]
        self.core = core_of(owner, self.params, self.arrays, self.memory)
        self._on_device = self.core._backend.on_device
        self._counts: tuple[int, int] | None = None
        self._is_cuda = self.params[0].is_cuda
        self._copies = places_of_copies(owner)
        self.states: dict[str, list[Any]] = {}
        names = {**owner.names.states, **_OF_OTHERS}
        for kind, arrays in self.core._kept.items():
            self.states[names[kind]] = [None if one is None else self.memory.tensor(self._given(one)) for one in arrays]
        self.writes = Writes()
        # The numbers in `state`: of each parameter, its updates and its scalar states.
        self._shown = _core.Shown(len(self.params), len(self.core._rule.scalars))
        self.steps, self.scalars = self._shown.rows[:, 0], self._shown.rows[:, 1:]
        self._steps, self._scalars = torch.from_numpy(self.steps), torch.from_numpy(self.scalars)
        self._load()
        self.grads: list[Any] = [None] * len(self.params)
        self.missing, self.any_sparse = 0, False
        self._to_clear: list[Tensor] = []  # parameters whose gradients a step with `zero_grad` does not clear by itself
        self._layouts = [None if i in self.odd else (one.shape, _strides(one)) for i, one in enumerate(self.arrays)]
        self.direct = self.memory.takes(self.core._tensors, _fit_of(weakref.ref(self)))
        # Reads parameters and gradients within the step: no code of users runs between a look at their memory and its use.
        self.source = self.memory.source(self.params, self.arrays) if self.direct and not self.odd else None

    @property
    def owner(self) -> Adapter:
        """The adapter whose parameters these are."""
        owner = self._owner()
        assert owner is not None
        return owner

    # ------------------------------------------------------------------------------------------------------ construction

    def name(self, i: int) -> str:
        """The name of a parameter in errors."""
        for g, group in enumerate(self.owner.param_groups):
            if i < len(group["params"]):
                names = group.get("param_names")
                label = f"params[{i}]" if len(self.owner.param_groups) == 1 else f"params[{g}][{i}]"
                return label if names is None else f"{label} ({names[i]})"
            i -= len(group["params"])
        raise IndexError(i)

    def _array(self, i: int) -> Any:
        param = self.params[i]
        tensor = plain(param)
        if not tensor.is_leaf:
            raise ValueError(f"{type(self.owner).__name__}: {self.name(i)} must be a leaf tensor")
        return self.memory.array(type(self.owner).__name__, self.name(i), tensor)

    def _given(self, array: Any) -> Any:
        return self.core._backend.arrays.given(array)

    # ------------------------------------------------------------------------------------------------------------- state

    def _load(self) -> None:
        """Take the states in the adapter's `state`, and put tensors on the optimizer's own there."""
        owner, updates = self.owner, [0] * len(self.params)
        given = set()
        with torch.no_grad():
            for i, param in enumerate(self.params):
                saved = owner.state.get(param)
                if not saved:
                    continue
                found = [self._fill(i, name, saved.get(name)) for name in self.states]
                if any(found):
                    given.add(i)
                step = saved.get("step")
                updates[i] = int(step) if step is not None else max(1, owner.count) if any(found) else 0
                for kind in _core.AVERAGES:
                    average = self.states.get(_OF_OTHERS[kind], {i: None})[i]
                    if average is not None and saved.get(_OF_OTHERS[kind]) is None:
                        average.copy_(plain(param).detach())
                for k, name in enumerate(self.core._rule.scalars):
                    self.scalars[i, k] = float(saved.get(name, 0.0))
        self.core._tensors.restore(updates, owner.count, owner.skipped, [], owner.recent, self.scalars.tolist())
        self._counts = owner.count, owner.skipped
        self.steps[:] = updates
        self._shown.note()
        for i, n in enumerate(updates):
            if n or i in given:
                self._publish(i)
        self.waiting = {i for i, n in enumerate(updates) if not n}
        self.state, self.size = owner.state, len(owner.state)
        if type(owner.state) is WatchedStates:
            owner.state.writes = self.writes

    def _fill(self, i: int, name: str, saved: Any) -> bool:
        own = self.states[name][i]
        if own is None or saved is None:
            return False
        if not isinstance(saved, Tensor):  # a mode, or a default device, would put it elsewhere
            saved = torch.as_tensor(saved, device="cpu")
        if i in self.odd:
            saved = plain(saved)
        if saved.shape != own.shape:
            wanted = f"must have shape {tuple(own.shape)} like its parameter"
            raise ValueError(f"{self.where}: state {name!r} of {self.name(i)} {wanted}; got {tuple(saved.shape)}")
        own.copy_(saved)
        return True

    def _publish(self, i: int) -> None:
        """Show a parameter's states in the adapter's `state`."""
        shown: dict[str, Any] = {"step": self._steps[i]}
        is_complex = self.params[i].is_complex()
        for name, tensors in self.states.items():
            one = tensors[i]
            if one is not None:
                shown[name] = as_complex(one) if is_complex else one
        shown |= {name: self._scalars[i, k] for k, name in enumerate(self.core._rule.scalars)}
        publish(self.owner.state, self.params[i], shown, self.writes)

    def counts(self) -> tuple[int, int]:
        """The numbers of steps done and skipped.

        Those of a device are kept here, since to read them waits for the device: None after an error, which may have come
        before or after a step.
        """
        if not self._on_device:
            return self.core.count, self.core.skipped
        if self._counts is None:
            self._counts = self.core.count, self.core.skipped
        return self._counts

    @property
    def count(self) -> int:
        """The number of steps done."""
        count: int = self.counts()[0] if self._on_device else self.core.count
        return count

    def _count_on_device(self, before: tuple[int, int]) -> bool:
        """Count a step of a device; False if it has been skipped. Only where one may be, this waits to know."""
        limits = self.core._limits.values
        skips = self.core._step_options.skip_nonfinite or limits["skip_norm"] is not None or limits["skip_sigma"] is not None
        count, skipped = before
        is_done = not (skips or self.any_sparse) or self.core.skipped == skipped  # a device may refuse indices, and raises then
        self._counts = (count + 1, skipped) if is_done else (count, skipped + 1)
        return is_done

    def skip(self) -> None:
        """Count a step as skipped that has not been begun."""
        engine, (count, skipped) = self.core._tensors, self.counts()
        self._counts = None
        engine.restore(engine.get_updates(), count, skipped + 1, [], engine.get_recent(), engine.get_scalar_states())
        self._counts = count, skipped + 1

    def refuse_capture(self) -> None:
        """Raise while a CUDA graph is captured."""
        if self._is_cuda and torch.cuda.is_current_stream_capturing():
            raise RuntimeError(
                f"{self.where}: it must not be captured in a CUDA graph, because it counts and shows states on the CPU, which "
                "replays do not; the optimizers of lrkern itself can be captured"
            )

    def is_current(self) -> bool:
        """Whether nobody has written to the adapter's state, or changed its groups or the number of their parameters.

        What is written into the tensors of states, in place, needs no notice: they are the optimizer's own memory.
        """
        owner = self.owner
        return (
            self.state is owner.state
            and not self.writes.any
            and self._shown.are_as_noted()
            and self.size == len(owner.state)
            and owner.is_aligned()
            and len(self.params) == sum([len(group["params"]) for group in owner.param_groups])
        )

    def copies_are_there(self) -> bool:
        """Whether the tensors of `copy_to` are where they were. The optimizer does not keep their memory."""
        return not self._copies or self._copies == places_of_copies(self.owner)

    # -------------------------------------------------------------------------------------------------------------- steps

    def _params_now(self) -> list[Tensor]:
        groups = self.owner.param_groups
        found: list[Tensor] = groups[0]["params"]
        return found if len(groups) == 1 else [param for group in groups for param in group["params"]]

    def _read(self, is_new: bool) -> bool:
        """Read all gradients; False if parameters have been moved or replaced."""
        params = self._params_now()
        moved, self.missing = self.memory.gradients(params, self.params, self.arrays, self.grads)
        if moved and not is_new and not self._still_there(moved, params):
            return False
        if not self.direct:
            self.grads = self._arrays_of(self.grads, range(len(self.grads)))
        return True

    def read_one(self, i: int) -> bool:
        """Read the gradient of one parameter; False if it has been moved or replaced, so that another `Bound` is needed."""
        param, grads = self.params[i], [None]
        moved, _ = self.memory.gradients([param], [param], [self.arrays[i]], grads)
        if moved and not self._still_there([i], self.params):
            return False
        [self.grads[i]] = grads if self.direct else self._arrays_of(grads, [i])
        return True

    def step_one(self, i: int) -> None:
        """A step of one parameter, whose gradient has been read. It is not counted, so that others follow at the same count."""
        self.core._step_flat(self.grads, self.grads, 1.0)
        self.core._tensors.rewind()
        self.grads[i] = None
        self._to_clear.clear()  # the gradient is dropped
        self.steps[i] += 1
        if self.core._rule.scalars:
            self._read_scalars()
        self._shown.note_one(i)
        if i in self.waiting:
            self._begin()

    def _still_there(self, moved: list[int], params: list[Tensor]) -> bool:
        for i in moved:
            param = params[i]
            if param is not self.params[i]:
                return False
            was, now = self.arrays[i], plain(param)
            own = self.memory.tensor(was)
            same = own.dtype == now.dtype and own.shape == now.shape and own.device == now.device
            if (
                same
                and not is_freed(now)
                and (not now.numel() or own.data_ptr() == now.data_ptr())
                and own.stride() == now.stride()
            ):
                continue
            if not same and self.steps[i]:
                got = [f"{str(one.dtype).removeprefix('torch.')} {tuple(one.shape)} on {one.device}" for one in (own, now)]
                raise ValueError(
                    f"{self.where}: {self.name(i)} must stay {got[0]}, as its states are; got {got[1]}: "
                    "create a new optimizer after such a change, and load the state"
                )
            return False
        return True

    def _arrays_of(self, grads: list[Any], indices: Sequence[int]) -> list[Any]:
        quick = self.memory.alike(grads, [self._layouts[i] for i in indices])
        return [
            self._fitted(i) if array is None and grad is not None else array
            for i, grad, array in zip(indices, grads, quick, strict=True)
        ]

    def _fitted(self, i: int) -> Any:
        grad = self.params[i].grad
        assert grad is not None
        found = fitted(self.where, f"gradient of {self.name(i)}", self.params[i], grad, self.memory)
        is_sparse = type(found.array) is tuple
        if found.is_copy and self.owner.shared.get("zero_grad"):
            if is_sparse or i in self.odd:
                self._to_clear.append(self.params[i])
            else:
                self.params[i].grad = found.tensor  # so that the step clears the user's gradient, and needs no copy next time
        self.any_sparse |= is_sparse
        return found.array

    def change(self, changes: dict[int, dict[str, Any]]) -> None:
        """Set hyper-parameters of groups. Raises an exception, having changed nothing, if that needs another optimizer."""
        found = []
        arranged = self.core._arranged
        for g, values in changes.items():
            for one in [arranged.groups[k] for k in arranged.parts[g]]:
                options = one.options
                for name, value in values.items():
                    options = one.changed(self.where, name, value, options)
                found.append((one, options))
        self.core._tensors.alone(partial(self.core._change, found))

    def step(self, scale: Any, *, is_new: bool = False) -> list[Tensor] | None:
        """One step with the gradients as they are now; returns the parameters that have some.

        None if parameters have been moved or replaced: nothing has been done, and another `Bound` is needed; never if this one
        `is_new`.
        """
        core, before = self.core, self.counts()
        self.any_sparse = False
        self._to_clear.clear()
        self._counts = None
        stepped = None if self.source is None else self._step_source(self.source, scale)
        if stepped is None:
            stepped = self._step_list(scale, is_new)
        if stepped is None:
            self._counts = before
            return None
        for param in self._to_clear:
            clear(param)
        if self._count_on_device(before) if self._on_device else core.skipped == before[1]:
            if self.any_sparse or (self.missing and not self._on_device):  # rows may be none
                self.steps[:] = core._tensors.get_updates()
            elif self.missing:
                there = set(map(id, stepped))
                self.steps[[i for i, param in enumerate(self.params) if id(param) in there]] += 1
            else:
                self._shown.count()
            if self.core._rule.scalars:
                self._read_scalars()
            self._shown.note()
            if self.waiting:
                self._begin()
        return stepped

    def _step_source(self, source: _core.Gradients, scale: Any) -> list[Tensor] | None:
        """A step that reads all tensors itself; None if it has found other parameters, or the same ones elsewhere."""
        source.params = self._params_now()
        try:
            if _modes():
                with torch._C.DisableTorchFunction():  # a mode's code would run while gradients are read
                    self.core._step_flat(source, None, scale)
            else:
                self.core._step_flat(source, None, scale)
        except _core.Moved:
            return None
        self.missing = source.missing
        return source.stepped

    def _step_list(self, scale: Any, is_new: bool) -> list[Tensor] | None:
        """A step with a list of gradients; None if parameters have been moved or replaced."""
        if not self._read(is_new):
            return None
        self.core._step_flat(self.grads, self.grads, scale)
        stepped = self.params
        if self.missing:
            stepped = [param for param, one in zip(self.params, self.grads, strict=True) if one is not None]
        self.grads = [None] * len(self.grads)
        return stepped

    def _read_scalars(self) -> None:
        """Show the scalar states after a step."""
        found = self.core._tensors.get_scalar_states()
        self.scalars[:] = [own[: self.scalars.shape[1]] for own in found]

    def _begin(self) -> None:
        for i in [i for i in sorted(self.waiting) if self.steps[i]]:
            self._publish(i)
            self.waiting.discard(i)
        self.size = len(self.state)


def _strides(array: Any) -> Any:
    """The strides of an array in bytes; something else for a tensor, which is not read as an array."""
    return getattr(array, "strides", None)


def _fit_of(bound: weakref.ref[Bound]) -> Callable[[int], Any]:
    def fit(i: int) -> Any:
        found = bound()
        assert found is not None
        return found._fitted(i)

    return fit

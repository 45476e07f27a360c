"""The engine of plain operations: `_core.StepList` over tensors of any device."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

from lrkern import _core
from lrkern.backends.engine import Check, StepOptions, StepTensors
from lrkern.optimizers.arrays import nonfinite_error
from lrkern.rules.reader import MAX_SCALAR_STATES
from lrkern.torch.operations.arrays import computed_in
from lrkern.torch.operations.live import Inputs
from lrkern.torch.operations.norms import is_spike, norm_of

T = TypeVar("T")


class _Layout(NamedTuple):
    """What an error needs of an array to name an element."""

    ndim: int
    itemsize: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class StepList:
    """Steps a list of tensors. See `lrkern.backends.engine.Engine`."""

    def __init__(self, tensors: StepTensors) -> None:
        if any(one is not None for one in tensors.row_lrs or ()):
            raise ValueError(f"{tensors.where}: lr must be one number with backend 'torch'; got one per row")
        self.tensors = tensors
        self._inputs = Inputs(tensors.where, tensors.groups)
        self._averages = [tensors.others[kind] for kind in _core.AVERAGES if kind in tensors.others]
        self._copies = tensors.others.get("copy_to", [None] * len(tensors.params))
        self._updates = [0] * len(tensors.params)
        self._scalar_states: list[tuple[Any, ...]] = [()] * len(tensors.params)
        """Numbers, or tensors of one element; () before the first update."""
        self.count = self.skipped = 0
        self._norm: Tensor | float = math.nan
        self._recent: list[float] = []
        self._lengths: list[tuple[Tensor, Tensor, Tensor] | None] = []
        self._bound: list[Any] | None = None
        self._options = StepOptions()
        self._lock = threading.Lock()
        self._sets = {
            "list": [0] * len(tensors.params),
            "group": [g if tensors.clips_with is None else tensors.clips_with[g] for g in tensors.group_of],
            "tensor": list(range(len(tensors.params))),
        }
        """For each tensor, the number of the set that shares its norm, by `clip_per`."""

    # ---------------------------------------------------------------------------------------------------------- options

    def set_options(self, options: StepOptions) -> None:
        """Set the options outside the rule."""
        where = self.tensors.where
        if options.rounding != "nearest":
            raise ValueError(f"{where}: rounding must be 'nearest' with backend 'torch'; got {options.rounding!r}")
        states = [one for kind in self.tensors.states.values() for one in kind if one is not None]
        if options.state_rounding != "nearest" and any(one.dtype.itemsize == 2 for one in states):
            wanted = "must be 'nearest' with backend 'torch' and states of 16 bits"
            raise ValueError(f"{where}: state_rounding {wanted}; got {options.state_rounding!r}")
        self._options = options

    def set_input(self, group: int, index: int, value: float) -> None:
        """Set an input of a group's rule."""
        self._inputs.set(group, index, value)

    def set_ema(self, group: int, which: int, decay: float) -> None:
        """Set a decay of a group's averages."""
        self._inputs.set(group, _core.PLACES["ema"] - which, decay)

    def set_limit(self, name: str, limit: float) -> None:
        """Set a limit of norms."""
        self._inputs.set(0, _core.PLACES[name], limit)

    def set_schedule(self, group: int, index: int | None, name: str, schedule: Any, check: Check) -> None:
        """Schedule an input."""
        self._inputs.schedule(group, _core.PLACES[name] if index is None else index, name, schedule, check)

    def publish(self) -> None:
        """Does nothing: the next step reads what has been set."""

    # ----------------------------------------------------------------------------------------------------------- counts

    @property
    def grad_norm(self) -> float:
        """The norm of the last step's gradients; NaN if it was not computed."""
        return float(self._norm)

    def get_updates(self) -> list[int]:
        """The number of updates of each tensor."""
        return list(self._updates)

    def get_recent(self) -> list[float]:
        """The norms of the last steps done, the oldest first."""
        return list(self._recent)

    def get_norms(self) -> list[tuple[float, float, float]]:
        """The norms of gradient, parameter and update of each tensor at the last step done; -1: no gradient."""
        return [(-1.0, -1.0, -1.0) if one is None else tuple(map(float, one)) for one in self._lengths]  # type: ignore[misc]

    def get_scalar_states(self) -> list[tuple[float, ...]]:
        """The scalar states of each tensor."""
        return [(*map(float, own), *[0.0] * (MAX_SCALAR_STATES - len(own))) for own in self._scalar_states]

    def restore(
        self,
        updates: list[int],
        count: int,
        skipped: int,
        arrays: list[tuple[Any, Any]],
        recent: Sequence[float] = (),
        scalar_states: Sequence[Sequence[float]] = (),
    ) -> None:
        """Set the counts, norms and scalar states, and copy the second tensor of each pair into the first."""
        with self._alone(), torch.no_grad():
            for own, saved in arrays:
                own.copy_(saved)
            self._updates, self.count, self.skipped = list(updates), count, skipped
            self._recent = list(recent)[-self._options.skip_window :]
            given = [tuple(own) for own in scalar_states]
            self._scalar_states = [*given, *[()] * (len(updates) - len(given))]

    def write_copies(self) -> None:
        """Write the tensors of "copy_to" from the current parameters."""
        with torch.no_grad():
            for param, copy in zip(self.tensors.params, self._copies, strict=True):
                if copy is not None:
                    copy.copy_(param)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(f"{self.tensors.where}: the optimizer is in use by another thread, or by code that a step calls")
        try:
            yield
        finally:
            self._lock.release()

    def alone(self, function: Callable[[], T]) -> T:
        """Call a function while no other thread can use the optimizer, and return its result."""
        with self._alone():
            return function()

    def held(self, function: Callable[[], T]) -> T:
        """Call a function, and return its result."""
        return function()

    # ----------------------------------------------------------------------------------------------------------- a step

    def bind(self, grads: list[Any]) -> None:
        """Keep gradients for steps without gradients."""
        self._bound = grads

    def run(self, grads: list[Any] | None, grad_scale: Any) -> list[tuple[int, int, float]] | None:
        """One step with these gradients (None: the bound ones) and the current values of schedules."""
        with self._alone(), torch.no_grad():
            taken = self._bound if grads is None else grads
            if taken is None:
                raise ValueError(f"{self.tensors.where}: grads are needed: pass them to step(), or bind() them first")
            self._inputs.refresh(self.count)
            params = self.tensors.params
            loaded = {i: one.to(computed_in(params[i])) for i, one in enumerate(taken) if one is not None}
            factors = self._factors(loaded, grad_scale)
            if factors is None:
                self.skipped += 1
            else:
                self._step(loaded, factors, grad_scale)
            if self._options.zero_grad:
                for one in taken:
                    if one is not None:
                        one.zero_()
        return None

    def _step(self, loaded: dict[int, Tensor], factors: Sequence[Tensor | float], grad_scale: float) -> None:
        is_averaged = (self.count + 1) % self._options.ema_every == 0
        lengths: list[Any] = [None] * len(self._updates)
        for i, grad in loaded.items():
            self._updates[i] += 1
            before, after = self._step_one(i, grad, factors[i], is_averaged)
            if self._options.norms:
                lengths[i] = norm_of([grad]) / grad_scale, norm_of([before]), norm_of([after - before])
            self.tensors.params[i].copy_(after)
        self.count += 1
        self._lengths = lengths

    def _step_one(self, i: int, grad: Tensor, factor: Tensor | float, is_averaged: bool) -> tuple[Tensor, Tensor]:
        """Update the states, averages and copies of a tensor. Returns the parameter before and after, not yet stored."""
        tensors, group = self.tensors, self.tensors.group_of[i]
        param, limit = tensors.params[i], self._options.clip_value
        if isinstance(factor, Tensor):
            factor = factor.to(grad.device, grad.dtype)
        if isinstance(factor, Tensor) or factor != 1.0:
            grad = grad * factor
        if limit < math.inf:
            grad = grad.clamp(-limit, limit)
        update, values = self._inputs.update(group), self._inputs.values[group]
        states = [tensors.states[name][i] for name in update.states]
        before = param.to(grad.dtype)
        hypers = {name: values[name] for name in update.hypers}
        scalars = [*self._scalar_states[i], *[0.0] * MAX_SCALAR_STATES][: len(update.scalar_states)]
        after, *kept = update(self._updates[i], hypers, before, grad, *[one.to(grad.dtype) for one in states], *scalars)
        for own, one in zip(states, kept, strict=False):
            own.copy_(one)
        self._scalar_states[i] = tuple(kept[len(states) :])
        if is_averaged:
            for k, averages in enumerate(self._averages):
                if averages[i] is not None:
                    averages[i].lerp_(after, 1.0 - self._inputs.decays[group][k])
        if self._copies[i] is not None:
            self._copies[i].copy_(after)
        return before, after

    # ------------------------------------------------------------------------------------------------ clipping, skipping

    def _factors(self, loaded: dict[int, Tensor], grad_scale: float) -> Sequence[Tensor | float] | None:
        """What each gradient is multiplied by, on its device if it is clipped by a norm; None to skip the step."""
        limits, options = self._inputs.limits, self._options
        of_all: list[Tensor | float] = [1.0 / grad_scale] * len(self._updates)
        self._norm = math.nan
        checks = options.skip_nonfinite or options.error_if_nonfinite
        if not loaded or (not checks and min(limits.values()) == math.inf):
            return of_all
        raw = norm_of(list(loaded.values()))
        self._norm = raw / grad_scale
        if checks or min(limits["skip_norm"], limits["skip_sigma"]) < math.inf:
            self._norm = float(self._norm)  # waits for the device
            if checks and not math.isfinite(self._norm) and self._has_nonfinite(loaded):
                return None
            if self._norm > limits["skip_norm"]:
                return None
            if limits["skip_sigma"] < math.inf:
                if is_spike(self._recent, options.skip_window, self._norm, limits["skip_sigma"]):
                    return None
                if self._norm < math.inf:
                    self._recent = [*self._recent, self._norm][-options.skip_window :]
        if limits["clip_norm"] == math.inf:
            return of_all
        sets = self._sets[options.clip_per]
        norms = {0: raw} if options.clip_per == "list" else self._norms_of_sets(loaded, sets)
        found = {s: _clipped(norm, limits["clip_norm"], grad_scale) for s, norm in norms.items()}
        return [found.get(s, 1.0) for s in sets]

    @staticmethod
    def _norms_of_sets(loaded: dict[int, Tensor], sets: Sequence[int]) -> dict[int, Tensor]:
        members: dict[int, list[Tensor]] = {}
        for i, grad in loaded.items():
            members.setdefault(sets[i], []).append(grad)
        return {s: norm_of(grads) for s, grads in members.items()}

    def _has_nonfinite(self, loaded: dict[int, Tensor]) -> bool:
        """Whether gradients are not finite; raises with `error_if_nonfinite`, naming them."""
        found = []
        for i, grad in loaded.items():
            bad = (~torch.isfinite(grad)).nonzero()
            if len(bad):
                place = bad[0].tolist()
                found.append(
                    (i, sum(k * step for k, step in zip(place, grad.stride(), strict=True)), float(grad[tuple(place)]))
                )
        if found and self._options.error_if_nonfinite:
            layouts: list[Any] = [
                _Layout(one.ndim, 1, tuple(one.shape), one.stride()) if (one := loaded.get(i)) is not None else None
                for i in range(len(self._updates))
            ]
            raise nonfinite_error(f"{self.tensors.where}.step", self.tensors.label, layouts, found)
        return bool(found)


def _clipped(raw: Tensor, limit: float, grad_scale: float) -> Tensor:
    return torch.where(raw / grad_scale <= limit, 1.0 / grad_scale, limit / raw)

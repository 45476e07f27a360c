"""Parameters that a model has replaced by others: its optimizer has the old ones, and would train them without a word."""

from __future__ import annotations

import weakref
from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lrkern._checks import warn
from lrkern.torch.alive import alive

if TYPE_CHECKING:
    from lrkern.torch.bound import Bound

_IDLE = 3  # steps without a new gradient before a look, or a warning
_EVERY = 4  # steps for each look at a gradient: to watch one takes a microsecond

# A replaced parameter has no gradient from then on, or keeps the last one if only the model sets gradients to None. So may
# any parameter, for good reasons: a look at all modules tells. It takes as long as hundreds of steps, so that looks which find
# nothing become ever rarer.


class Replaced:
    """Warns of parameters that get no new gradients because the model has others instead."""

    def __init__(self) -> None:
        self._steps, self._idle = 0, 0
        self._warned = False
        # Steps in a row in which some parameters had no gradient, and how many there were at the last look.
        self._run, self._looked_at = 0, 0
        self._next_look = _IDLE
        # The parameter whose gradient is watched, another one each time: all have their turn.
        self._turn, self._repeats = 0, 0
        self._grad: Any = _nothing
        self._version = 0

    def after(self, bound: Bound, released: Set[Tensor]) -> None:
        """Look at the gradients of a step that has been done. `released`: parameters stepped and freed before."""
        self._steps += 1
        if bound.missing == len(bound.params) and not released:
            self._idle += 1
            if self._idle == _IDLE:
                _warn_of_none(bound)
            return
        self._idle = 0
        if self._warned:
            return
        missing = bound.missing - len(released) if bound.missing else 0
        if missing > 0:
            self._run += 1
        else:
            self._run, self._looked_at = 0, 0
        if self._run >= _IDLE and missing != self._looked_at and self._steps >= self._next_look:
            self._looked_at = missing
            self._look(bound, [i for i, one in enumerate(bound.params) if one.grad is None and one not in released])
        if self._repeats or self._steps % _EVERY == 0:
            stale = self._stale(bound.params)
            if stale and self._steps >= self._next_look:
                self._look(bound, stale)

    def _stale(self, params: Sequence[Tensor]) -> list[int]:
        """The parameter that is watched, if its gradient is that of the steps before, in a list. Then watches the next one."""
        i, n = self._turn, len(params)
        grad = params[i].grad if i < n else None
        if grad is not None and grad is self._grad():
            self._repeats += 1
            if self._repeats < _IDLE - 1:
                self._version = _version(grad)
                return []
            found = [i] if _version(grad) == self._version else []
        else:
            found = []
        self._turn, self._repeats = i + 1 if i + 1 < n else 0, 0
        grad = params[self._turn].grad
        self._grad = _nothing if grad is None else weakref.ref(grad)
        return found

    def _look(self, bound: Bound, suspects: list[int]) -> None:
        """Warn if the parameter is in no module, while one of its shape is that the optimizer does not have."""
        suspects = [i for i in suspects if isinstance(bound.params[i], torch.nn.Parameter) and bound.params[i].requires_grad]
        if not suspects:
            return
        self._next_look = 2 * self._steps
        own, owned, others = set(map(id, bound.params)), set(), set()
        for module in alive(torch.nn.Module):
            for param in [*getattr(module, "_parameters", {}).values()]:
                if id(param) in own:
                    owned.add(id(param))
                elif param is not None and param.requires_grad and not torch.nn.parameter.is_lazy(param):
                    others.add(param.shape)
        for i in suspects:
            if id(bound.params[i]) not in owned and bound.params[i].shape in others:
                self._warned = True
                warn(
                    f"{bound.where}: {bound.name(i)} gets no new gradients and is in no module any more, while one has another "
                    "parameter of its shape: load_state_dict(assign=True) and conversions may replace parameters; create a "
                    "new optimizer after such a change, and load the state"
                )
                return


def _nothing() -> None:
    """What a reference to nothing returns."""


def _version(grad: Tensor) -> int:
    return -1 if grad.is_inference() else grad._version


def _warn_of_none(bound: Bound) -> None:
    warn(
        f"{bound.where}: no parameter had a gradient in {_IDLE} steps, {bound.name(0)} for example: has a backward pass "
        "been run, and does the model still have these parameters? load_state_dict(assign=True) replaces them"
    )

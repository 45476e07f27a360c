"""The interfaces between optimizers and backends: engines, which perform steps, and array libraries."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

T = TypeVar("T")

Check = Callable[[str, str, Any], float]
"""check(where, name, value): the value as a float; raises if it is invalid."""


class StepTensors(NamedTuple):
    """The arguments of an engine: those of `_core.TensorList`, in the same order."""

    where: str
    """The function named in errors."""
    label: Callable[[str, int], str]
    """label(kind, index) names an array: kind is "param", "grad" or a kind below."""
    params: list[Any]
    groups: list[str]
    """Each group's rule."""
    group_of: list[int]
    """Each parameter's group."""
    states: dict[str, list[Any]]
    """The arrays of each kind of state, in the rule's order: lists as long as `params`, with None for no array."""
    others: dict[str, list[Any]] = {}  # noqa: RUF012 (nobody writes to it)
    """The same for the kinds of averages, "copy_to" and "remainder"."""
    row_lrs: list[Any] | None = None
    """For each parameter, float64 factors, one per row, or None."""
    halves: bool = False
    """Whether uint16 arrays hold bfloat16."""
    as_gradient: Callable[[str, str, Any, Any, bool], Any] | None = None
    owns_states: bool = False
    """Whether states were allocated by lrkern, as averages and remainders are."""
    clips_with: list[int] | None = None
    """If each group has a norm of its own: for each group, the group whose norm its gradients belong to. None: itself."""


class StepOptions(NamedTuple):
    """Options of steps outside the rule, except for limits of norms, which may change. Clipping at infinity: no clipping."""

    clip_value: float = math.inf
    clip_per: str = "list"
    skip_window: int = 100
    skip_nonfinite: bool = False
    error_if_nonfinite: bool = False
    zero_grad: bool = False
    ema_every: int = 1
    """Averages change at the steps after which the count is a multiple of this."""
    norms: bool = False
    """Whether to compute norms of each tensor."""
    rounding: str = "nearest"
    state_rounding: str = "nearest"
    seed: int = 0


class Engine(Protocol):
    """Steps a list of tensors, made from a StepTensors: `_core.StepList`, `lrkern.numba.lists.StepList` and CUDA's.

    Inputs of rules are set by group and place (as in `_core.RULES`), as numbers or as schedules, which the engine evaluates
    and checks at each step. Only one thread may step at a time; another one gets a RuntimeError.
    """

    @property
    def count(self) -> int:
        """The number of steps, not counting skipped ones."""

    @property
    def skipped(self) -> int:
        """The number of steps skipped."""

    @property
    def grad_norm(self) -> float:
        """The norm of the gradients of the last step; NaN if it was not needed."""

    def set_options(self, options: StepOptions) -> None:
        """Set the options outside the rule."""

    def set_input(self, group: int, index: int, value: float) -> None:
        """Set an input of a group's rule."""

    def set_ema(self, group: int, which: int, decay: float) -> None:
        """Set a decay of a group's averages."""

    def set_limit(self, name: str, limit: float) -> None:
        """Set a limit of norms, one of `_core.LIMITS`; infinity: off."""

    def set_schedule(self, group: int, index: int | None, name: str, schedule: Any, check: Check) -> None:
        """Take an input from a schedule at each step; if `index` is None, the one of that name in `_core.PLACES`."""

    def publish(self) -> None:
        """Make changes since the last call effective."""

    def bind(self, grads: list[Any]) -> None:
        """Check gradients, and keep them for steps without gradients."""

    def run(self, grads: list[Any] | None, grad_scale: Any) -> list[tuple[int, int, float]] | None:
        """One step; returns non-finite gradients (tensor, element, value) if `error_if_nonfinite` has refused it."""

    def get_norms(self) -> list[tuple[float, float, float]]:
        """With `norms`, of each tensor at the last step done: of the gradient, the parameter, the update; -1: no gradient."""

    def get_updates(self) -> list[int]:
        """The number of updates of each tensor."""

    def get_scalar_states(self) -> list[tuple[float, ...]]:
        """The scalar states of each tensor; 0 for those that its rule does not have."""

    def get_recent(self) -> list[float]:
        """With a limit "skip_sigma", the norms of the last steps done, at most `skip_window`, the oldest first."""

    def restore(
        self,
        updates: list[int],
        count: int,
        skipped: int,
        arrays: list[tuple[Any, Any]],
        recent: Sequence[float] = (),
        scalar_states: Sequence[Sequence[float]] = (),
    ) -> None:
        """Restore these counts, recent norms and scalar states, and copy the second array of each pair into the first.

        Scalar states that are not given become 0.
        """

    def write_copies(self) -> None:
        """Write the arrays of "copy_to" from the current parameters, as a step would."""

    def alone(self, function: Callable[[], T]) -> T:
        """The result of a function, called while no other thread can step."""
        ...

    def held(self, function: Callable[[], T]) -> T:
        """The same, within `alone`, while arrays cannot be moved or freed."""
        ...


class ArrayLibrary(Protocol):
    """A backend's array functions for optimizers: `optimizers.arrays` for the CPU, `cuda._arrays` for a device."""

    def as_array(self, where: str, name: str, value: Any, *, written: bool) -> Any:
        """The value as an array on the same memory, if it is an array; other objects unchanged."""

    def as_dense_gradient(self, where: str, name: str, grad: Any, param: Any, written: bool) -> Any:
        """A gradient as an array; None if it is not an array."""

    def as_gradient(self, takes_rows: bool, halves: bool, where: str, name: str, grad: Any, param: Any, written: bool) -> Any:
        """The same, or the internal form of a gradient of rows."""

    def computed_in(self, param: Any) -> Any:
        """The dtype that a parameter's steps are computed in."""

    def is_bfloat16(self, array: Any, halves: bool) -> bool:
        """Whether the elements are bfloat16 numbers."""
        ...

    def in_computed_type(self, param: Any, halves: bool) -> Any:
        """A copy in the type that steps are computed in."""

    def zeros_like(self, param: Any, dtype: Any) -> Any:
        """Zeros, in the shape and memory order of a parameter."""

    def given(self, array: Any) -> Any:
        """The original array of its library."""

    def in_cpu_memory(self, array: Any) -> Any:
        """The elements, in CPU memory."""

    def copy(self, array: Any) -> Any:
        """A copy of the elements."""

    def clear(self, array: Any) -> None:
        """Set all elements to 0."""

    def overwrite(self, array: Any, values: Any) -> None:
        """Set all elements to those of an array in CPU memory, of the same dtype."""

    def fill(self, array: Any, value: float, halves: bool) -> None:
        """Set all elements to a number."""

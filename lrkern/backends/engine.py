"""What engines are made from and told, and what optimizers ask of them and of their arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar

T = TypeVar("T")

Check = Callable[[str, str, Any], float]
"""check(where, name, value): the value as a float, or an error that says what is wrong with it."""


class StepTensors(NamedTuple):
    """What an engine is made from: the arguments of `_core.TensorList`, in their order."""

    where: str
    """The function, in errors."""
    label: Callable[[str, int], str]
    """label(kind, index) names an array: kind is "param", "grad" or one of those below."""
    params: list[Any]
    groups: list[str]
    """Each group's rule."""
    group_of: list[int]
    """Each parameter's group."""
    states: dict[str, list[Any]]
    """The arrays of each kind of state, in the order of the rule: lists as long as `params`, None for none."""
    others: dict[str, list[Any]] = {}  # noqa: RUF012 (nobody writes to it)
    """The same, of "ema_param", "copy_to" and "remainder"."""
    row_lrs: list[Any] | None = None
    """For each parameter float64 numbers, one per row, or None."""
    halves: bool = False
    """Whether uint16 arrays hold bfloat16."""
    as_gradient: Callable[[str, str, Any, Any, bool], Any] | None = None
    owns_states: bool = False
    """Whether states were made by lrkern, as averages and remainders are."""
    clips_with: list[int] | None = None
    """For each group the one in whose norm its gradients are where each group has a norm of its own; None: itself."""


class StepOptions(NamedTuple):
    """What steps do around the rule, but for `clip_norm`, which may change. Clipping at infinity is none."""

    clip_value: float = math.inf
    clip_per: str = "list"
    skip_nonfinite: bool = False
    error_if_nonfinite: bool = False
    zero_grad: bool = False
    rounding: str = "nearest"
    state_rounding: str = "nearest"
    seed: int = 0


class Engine(Protocol):
    """Steps a list of tensors, made from a StepTensors: `_core.StepList`, `lrkern.numba.lists.StepList` and CUDA's.

    Inputs of rules are set by group and place (as in `_core.RULES`), as numbers or as schedules, which the engine evaluates
    and checks at each step. One thread steps at a time; another one gets a RuntimeError.
    """

    @property
    def count(self) -> int:
        """Steps done, skipped ones excepted."""

    @property
    def skipped(self) -> int:
        """Steps skipped because a gradient was not finite."""

    @property
    def grad_norm(self) -> float:
        """Norm of the gradients of the last step; NaN where nothing asked for it."""

    def set_options(self, options: StepOptions) -> None:
        """Set what steps do around the rule."""

    def set_input(self, group: int, index: int, value: float) -> None:
        """Set an input of a group's rule."""

    def set_ema(self, group: int, decay: float) -> None:
        """Set the decay of a group's averages."""

    def set_clip_norm(self, limit: float) -> None:
        """Set what norms are clipped to; infinity: they are not."""

    def set_schedule(self, group: int, index: int | None, name: str, schedule: Any, check: Check) -> None:
        """Let a schedule give an input at each step; without an `index` that of the name, "ema" or "clip_norm"."""

    def publish(self) -> None:
        """Make known what has been set since the last time."""

    def bind(self, grads: list[Any]) -> None:
        """Check gradients, and keep them for steps that are given none."""

    def run(self, grads: list[Any] | None, grad_scale: Any) -> list[tuple[int, int, float]] | None:
        """One step; what is not finite (tensor, element, value) where `error_if_nonfinite` has refused it."""

    def get_updates(self) -> list[int]:
        """For each tensor, how many updates it has had."""

    def restore(self, updates: list[int], count: int, skipped: int, arrays: list[tuple[Any, Any]]) -> None:
        """Go back to these counts, and copy the second array of each pair into the first."""

    def write_copies(self) -> None:
        """Write the arrays of "copy_to" as a step would, with the parameters as they are."""

    def alone(self, function: Callable[[], T]) -> T:
        """What a function returns, called while no other thread can step."""
        ...

    def held(self, function: Callable[[], T]) -> T:
        """The same, within `alone`, while arrays are known to be where they were."""
        ...


class ArrayLibrary(Protocol):
    """What optimizers ask of a backend's arrays: `optimizers.arrays` for those of the CPU, `cuda._arrays` for a device's."""

    def as_array(self, where: str, name: str, value: Any, *, written: bool) -> Any:
        """The value as an array on the same memory, if it is one; other things as they are."""

    def as_dense_gradient(self, where: str, name: str, grad: Any, param: Any, written: bool) -> Any:
        """A gradient as an array; None if it is none."""

    def as_gradient(self, takes_rows: bool, halves: bool, where: str, name: str, grad: Any, param: Any, written: bool) -> Any:
        """The same, or what a gradient of some rows is made into."""

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
        """The array of the library that it comes from."""

    def in_cpu_memory(self, array: Any) -> Any:
        """The elements, where the CPU reaches them."""

    def copy(self, array: Any) -> Any:
        """The same elements in memory of their own."""

    def clear(self, array: Any) -> None:
        """Set all elements to 0."""

    def fill(self, array: Any, value: float, halves: bool) -> None:
        """Set all elements to a number."""

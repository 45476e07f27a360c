"""Averages of parameters: reading them, and exchanging parameters with them for a while."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from lrkern import _checks, _core
from lrkern.backends import Backend
from lrkern.backends.engine import StepTensors
from lrkern.optimizers.arranged import Arranged
from lrkern.optimizers.options import RuleOptions

if TYPE_CHECKING:
    from lrkern.backends.engine import Engine


class Averaging:
    """The part of an optimizer that has averages of its parameters."""

    _rule: ClassVar[RuleOptions]
    _name: str
    _arranged: Arranged
    _kept: dict[str, list[Any]]
    _tensors: Engine
    _backend: Backend
    _halves: bool
    _is_averaged = False
    """Whether the parameters are their averages now."""

    if TYPE_CHECKING:

        @property
        def count(self) -> int: ...

    @property
    def ema_params(self) -> Any:
        """The averages of the parameters (no copies), structured like `params`; None without `ema`.

        If `ema` is a tuple, of the optimizer or of a group, a tuple of such structures.
        """
        found = tuple(self._arrays_of(kind) for kind in _core.AVERAGES if kind in self._kept)
        return found if any(isinstance(group.ema, tuple) for group in self._arranged.groups) else found[0]

    @property
    def averaged_params(self) -> Any:
        """The averages that the rule itself keeps (no copies), structured like `params`; None if it keeps none.

        They are valid after the first step of an array. `ScheduleFreeSGD` and its relatives, and `ASGD` have them.
        """
        return self._arrays_of(self._rule.averages) if self._rule.averages else None

    def _arrays_of(self, kind: str) -> Any:
        arrays = self._kept[kind]
        if all(one is None for one in arrays):
            return None
        given = self._backend.arrays.given
        return self._arranged.structure.unflatten([None if one is None else given(one) for one in arrays])

    @contextmanager
    def averaged(self, which: int = 0) -> Iterator[None]:
        """A context in which the parameters are their averages, for example to evaluate a model.

        After it, also after an exception, they have the bits they had before; what is written to them in it is lost. The
        averages are rounded to nearest in the dtypes of the parameters. The arrays of `copy_to` follow. Arrays without an
        average, in groups without `ema`, stay as they are. The values of the parameters are kept in CPU memory meanwhile.

        Args:
            which: the index of the average, if `ema` is a tuple. Without `ema`, optimizers whose rule averages parameters
                (`ScheduleFreeSGD`, `ASGD`) use that average.

        Raises:
            ValueError: the optimizer keeps no averages.
            RuntimeError: in the context: a step, `add_group`, loading a state, saving a checkpoint with parameters, or another
                such context. Nothing has changed.

        Example:
            >>> import numpy as np, lrkern as lk
            >>> p = np.ones(2)
            >>> opt = lk.SGD([p], lr=1.0, ema=0.75)
            >>> opt.step([np.ones(2)])
            >>> with opt.averaged():
            ...     print(p)
            [0.75 0.75]
            >>> p
            array([0., 0.])
        """
        where, own, arrays = f"{self._name}.averaged", self._arranged, self._tensors
        kinds = [kind for kind in _core.AVERAGES if any(one is not None for one in self._kept.get(kind, ()))]
        kinds = kinds or ([self._rule.averages] if self._rule.averages and self.count else [])
        if not kinds:
            wanted = "have done a step" if self._rule.averages else "keep averages"
            hint = "" if self._rule.averages else ": create it with ema=..."
            raise ValueError(f"{where}: the optimizer must {wanted}; got none{hint}")
        averages = self._kept[kinds[_checks.count(where, "which", which, high=len(kinds) - 1)]]
        before: list[tuple[Any, Any]] = []

        def enter() -> None:
            self._refuse_if_averaged(where)
            for targets in (own.params, own.copies):
                before.extend(exchange(self._backend, where, averages, targets, self._halves))
            self._is_averaged = True

        def leave() -> None:
            put_back(self._backend, before)
            self._is_averaged = False

        try:
            arrays.alone(partial(arrays.held, enter))
            yield
        finally:
            if before:
                arrays.alone(partial(arrays.held, leave))

    def _refuse_if_averaged(self, where: str) -> None:
        if self._is_averaged:
            raise RuntimeError(f"{where}: the parameters are averages here: leave the block of averaged() first")


def exchange(
    backend: Backend, where: str, averages: Sequence[Any], targets: Sequence[Any], halves: bool
) -> list[tuple[Any, Any]]:
    """Write each average to its target, as a step writes a copy. Returns (target, its elements before)."""
    pairs = [(one, target) for one, target in zip(averages, targets, strict=True) if one is not None and target is not None]
    before = [(target, backend.arrays.copy(target)) for _, target in pairs]
    sources, others = [one for one, _ in pairs], {"copy_to": [target for _, target in pairs]}

    def label(kind: str, index: int) -> str:
        return f"{'ema_params' if kind == 'param' else 'params'}[{index}]"

    made_of = StepTensors(where, label, sources, ["sgd"], [0] * len(sources), {}, others, halves=halves)
    backend.StepList(made_of).write_copies()
    return before


def put_back(backend: Backend, before: Sequence[tuple[Any, Any]]) -> None:
    """Undo `exchange`, bit by bit."""
    for target, values in before:
        backend.arrays.overwrite(target, values)

"""Limits of gradient norms, common to all groups of an optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lrkern import _checks
from lrkern.optimizers.options import MAX, OF_ALL

if TYPE_CHECKING:
    from lrkern.backends.engine import Engine


class Limits:
    """The options in `OF_ALL`: each a number, a schedule, or None. Missing ones are None."""

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.values = {name: _checked(where, name, values.get(name)) for name in OF_ALL}

    def changed(self, where: str, values: Mapping[str, Any]) -> Limits:
        """These with other values of some."""
        return Limits(where, {**self.values, **values})

    @property
    def any(self) -> bool:
        """Whether there is a limit."""
        return any(value is not None for value in self.values.values())

    def apply(self, tensors: Engine) -> None:
        """Give an engine the numbers and schedules."""
        for name, value in self.values.items():
            if callable(value):
                tensors.set_limit(name, MAX)  # so that norms are computed from the first step on
                tensors.set_schedule(0, None, name, value, _limit)
            else:
                tensors.set_limit(name, math.inf if value is None else value)


def _checked(where: str, name: str, value: Any) -> Any:
    return value if value is None or callable(value) else _limit(where, name, value)


def _limit(where: str, name: str, value: Any) -> float:
    return _checks.real(where, name, _checks.single(value), above=0.0, high=MAX)

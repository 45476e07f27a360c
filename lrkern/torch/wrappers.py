"""Wrappers of an optimizer that take its class as their base, as Lightning and Fabric do, so that `isinstance` holds.

They find the optimizer's methods as their own, and call them with themselves as `self`. What they read comes from the
optimizer, by `__getattr__` or from a copy of its `__dict__`; what a method writes would stay with the wrapper.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def itself(opt: Any) -> Any:
    """The optimizer that a wrapper stands for; an optimizer itself."""
    found = opt._itself()  # a wrapper reads that of its optimizer
    return opt if found is None else found


def on_itself(method: Callable[Concatenate[Any, P], R]) -> Callable[Concatenate[Any, P], R]:
    """A method that a wrapper calls on its optimizer, where all that the method writes belongs."""

    @functools.wraps(method)
    def call(self: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(itself(self), *args, **kwargs)

    return call

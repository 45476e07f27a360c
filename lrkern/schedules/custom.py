"""Custom curves: `lrkern.curve` makes one from a function that composes a schedule."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeGuard

import numpy as np

from lrkern._checks import describe
from lrkern.schedules import names
from lrkern.schedules.expression import Schedule

_P = ParamSpec("_P")


def curve(function: Callable[_P, Schedule]) -> Callable[_P, Schedule]:
    """Make a curve from a function that composes a schedule; a decorator.

    The schedule that the function returns keeps its values, and its expression becomes the call: `repr` prints it, and
    `parse`, `Schedule.from_dict`, pickle and the command line read it back wherever the function is known. It is known once it
    has been defined; in other processes, if its package provides it as an entry point::

        [project.entry-points."lrkern.schedules"]
        sawtooth = "my_package.schedules:sawtooth"

    An entry point has the function's name. A package is imported only when one of its names is used.

    Args:
        function: takes plain arguments (no `*args`, `**kwargs`, keyword-only or positional-only ones): finite numbers,
            strings, booleans, None, Schedules, or sequences or 1-D arrays of those. It must return the same schedule for the
            same arguments. Its name must not be one of lrkern's.

    Raises:
        TypeError: it is not such a function; or, in a call, an argument or the result is of the wrong kind.
        ValueError: its name is taken; or, in a call, a number is not finite.

    >>> import lrkern as lk
    >>> @lk.curve
    ... def sawtooth(peak, period, gain=1.0):
    ...     return lk.linear(peak, 0.0, period).repeat(period, gain=gain)
    >>> s = sawtooth(0.1, 2, gain=0.5)
    >>> s
    sawtooth(0.1, 2, 0.5)
    >>> s.table(4)
    array([0.1  , 0.05 , 0.05 , 0.025])
    >>> lk.parse("sawtooth(0.1, 2).warmup(10)") == sawtooth(0.1, 2).warmup(10)
    True
    """
    signature, name = _checked(function), function.__name__

    @wraps(function)
    def build(*args: _P.args, **kwargs: _P.kwargs) -> Schedule:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = {parameter: _plain(f"{name}: {parameter}", value) for parameter, value in bound.arguments.items()}
        made = function(*given.values())  # type: ignore[call-arg]
        if not isinstance(made, Schedule):
            raise TypeError(f"{name}: a curve must return a Schedule; got {describe(made)}")
        return Schedule(name, tuple(given.values()), made.node, made.steps, made.depth)

    names.OWN[name] = build
    return build


def _checked(function: object) -> inspect.Signature:
    if not inspect.isfunction(function):
        raise TypeError(f"curve: function must be a function; got {describe(function)}")
    name, signature = function.__name__, inspect.signature(function)
    if not name.isidentifier():
        raise ValueError(f"curve: function must have a name that is an identifier, as def gives it; got {name}")
    if names.is_built_in(name):
        raise ValueError(f"curve: {name!r} is the name of a curve or method of lrkern; rename the function")
    for parameter in signature.parameters.values():
        if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            raise TypeError(f"curve: {name} must take plain arguments only; got {parameter}")
    before = names.OWN.get(name)
    if before is not None and _home(before) != _home(function):
        raise ValueError(f"curve: {name!r} is already the name of {_home(before)}; rename {_home(function)}")
    return signature


def _home(function: names.Builder) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _plain(where: str, value: Any) -> Any:
    """An argument in its stored form: plain and immutable."""
    if isinstance(value, np.ndarray) and value.ndim == 1:
        value = value.tolist()
    if _is_list(value):
        return tuple([_scalar(f"{where}[{i}]", item) for i, item in enumerate(value)])
    return _scalar(where, value)


def _is_list(value: object) -> TypeGuard[Sequence[Any]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _scalar(where: str, value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str | Schedule):
        return value
    if not isinstance(value, float):
        raise TypeError(f"{where} must be a number, a string, None, a Schedule or a sequence of those; got {describe(value)}")
    if not math.isfinite(value):
        raise ValueError(f"{where} must be a finite number; got {describe(value)}")
    return value

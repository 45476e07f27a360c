"""Which name is which curve: this package's own, those made with `curve`, those that installed packages bring.

The third kind is looked for when a name is met that is none of the first two, and only by that name: importing lrkern imports
nothing of it.
"""

from __future__ import annotations

import inspect
import math
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from functools import cache, wraps
from importlib import import_module
from typing import Any, ParamSpec, TypeGuard

import numpy as np

from lrkern._checks import cut, describe
from lrkern.schedules.define import CURVES
from lrkern.schedules.expression import Schedule, join

GROUP = "lrkern.schedules"  # the entry points of packages that bring curves

METHODS = (
    *("warmup", "then", "clip", "shift", "stretch", "staircase", "repeat", "restarts", "cooldown", "finish"),
    *("extend", "of", "cumulative"),
)

_P = ParamSpec("_P")
_Builder = Callable[..., Schedule]

_BUILT_IN: Mapping[str, _Builder] = ChainMap(CURVES, {"join": join})  # as modules of curves are imported
_OWN: dict[str, _Builder] = {}  # made with `curve`


def curve(function: Callable[_P, Schedule]) -> Callable[_P, Schedule]:
    """Make a curve of a function that puts a schedule together: a name of its own for a composition.

    What the function returns keeps its values and gets the call as its expression: `repr` prints it, and wherever the
    function is known `parse`, `Schedule.from_dict`, pickle and the command line read it back. It is known once it has been
    defined; in processes that have not, it is if its package brings it as an entry point::

        [project.entry-points."lrkern.schedules"]
        sawtooth = "my_package.schedules:sawtooth"

    An entry point has the function's name. A package is imported when one of its names is met and not before.

    Args:
        function: takes plain arguments (no `*args`, `**kwargs`, keyword-only or positional-only ones): finite numbers,
            texts, booleans, None, Schedules, or sequences or 1-D arrays of those. It must give the same schedule whenever it is
            called with the same arguments. Its name must not be one of this package's.

    Raises:
        TypeError: it is no such function, or, when it is called, it was given or returned something else.
        ValueError: its name is taken, or, when it is called, a number is not finite.

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

    _OWN[name] = build
    return build


def find(name: str) -> _Builder | None:
    """The function that builds schedules of this name; None where nobody knows it.

    Raises:
        ImportError: a package has it, and loading it fails.
    """
    if name in METHODS:
        method: _Builder = getattr(Schedule, name)
        return method
    return _BUILT_IN.get(name) or _OWN.get(name) or _installed(name)


@cache
def signature_of(function: Callable[..., Schedule]) -> inspect.Signature:
    """What a curve or a method takes."""
    return inspect.signature(function)


@cache
def _accepted(function: Callable[..., Schedule]) -> range:
    """How many arguments in order it takes; none where that alone does not tell whether it takes them."""
    parameters = signature_of(function).parameters.values()
    if any(p.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters):
        return range(0)
    return range(sum(p.default is inspect.Parameter.empty for p in parameters), len(parameters) + 1)


def call(where: str, function: Callable[..., Schedule], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Schedule:
    """What a curve or a method gives for arguments from a text or a record.

    Raises:
        ValueError: it takes other arguments than these; `where` begins the message.
    """
    if kwargs or len(args) not in _accepted(function):
        try:
            signature_of(function).bind(*args, **kwargs)
        except TypeError as error:
            raise ValueError(f"{where}: {cut(str(error), 100)}") from None
    return function(*args, **kwargs)


def dialects() -> Sequence[str]:
    """The modules of `lrkern.dialects`, whose functions texts may call by `torch.StepLR(0.1, 30)`."""
    from lrkern import dialects  # takes long to import

    return dialects.__all__


def find_in_dialect(dialect: str, name: str) -> _Builder | None:
    """A function of a dialect; None where it has none of that name."""
    module = import_module(f"lrkern.dialects.{dialect}")
    function: _Builder | None = getattr(module, name) if name in module.__all__ else None
    return function if inspect.isfunction(function) else None


def is_built_in(name: str) -> bool:
    """Whether the name is this package's own."""
    return name in _BUILT_IN or name in METHODS or not name.isidentifier()


def _checked(function: object) -> inspect.Signature:
    if not inspect.isfunction(function):
        raise TypeError(f"curve: function must be a function; got {describe(function)}")
    name, signature = function.__name__, inspect.signature(function)
    if not name.isidentifier():
        raise ValueError(f"curve: function must have a name to be written and read back by, as def gives one; got {name}")
    if is_built_in(name):
        raise ValueError(f"curve: {name!r} is a name of lrkern's own; the function needs another one")
    for parameter in signature.parameters.values():
        if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD:
            raise TypeError(f"curve: {name} must take plain arguments only; got {parameter}")
    before = _OWN.get(name)
    if before is not None and _home(before) != _home(function):
        raise ValueError(f"curve: {name!r} is the name of {_home(before)} already; {_home(function)} needs another one")
    return signature


def _home(function: _Builder) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _plain(where: str, value: Any) -> Any:
    """An argument as it is kept: of plain kinds, unchangeable."""
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
        raise TypeError(f"{where} must be a number, a text, None, a Schedule or a sequence of those; got {describe(value)}")
    if not math.isfinite(value):
        raise ValueError(f"{where} must be a finite number; got {describe(value)}")
    return value


def _installed(name: str) -> _Builder | None:
    """The curve of that name among the entry points of installed packages."""
    from importlib.metadata import entry_points  # takes longer to import than all of lrkern

    found = {point.value: point for point in entry_points(group=GROUP, name=name)} if name.isidentifier() else {}
    if not found:
        return None
    origin = " and of ".join(sorted(f"{point.dist.name if point.dist else '?'} ({point.value})" for point in found.values()))
    if len(found) > 1:
        raise ImportError(f"lrkern: {name!r} is the name of curves of {origin}; only one of them can be installed")
    (point,) = found.values()
    try:
        loaded: _Builder = point.load()
    except Exception as error:
        reason = f"{type(error).__name__}: {cut(str(error))}"
        raise ImportError(f"lrkern: the curve {name!r} of {origin} cannot be loaded: {reason}") from error
    if loaded is not _OWN.get(name):
        raise ImportError(f"lrkern: {name!r} of {origin} must be a function {name} made a curve by @lrkern.curve")
    return loaded

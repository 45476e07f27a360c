"""The registry of names: curves, methods and operators. The modules that define them fill it.

It imports none of them, so that code that writes or reads expressions needs only this table. Curves are those of this package,
those made with `lrkern.curve`, and those of installed packages. The last are looked up only by a name that is in none of the
other tables: importing lrkern does not import them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from lrkern._checks import cut

if TYPE_CHECKING:
    from lrkern.schedules.expression import Schedule

Builder = Callable[..., "Schedule"]

GROUP = "lrkern.schedules"  # the entry-point group of packages that provide curves

CURVES: dict[str, Builder] = {}
"""The curves of this package and `join`."""
METHODS: dict[str, Builder] = {}
"""The methods of schedules; the first argument is the schedule that they are applied to."""
OPERATORS: dict[str, Callable[[Any, Any], Schedule]] = {}
"""+ * / and **, functions of two values."""
OWN: dict[str, Builder] = {}
"""Made with `lrkern.curve`."""


def find(name: str) -> Builder | None:
    """The function that builds schedules of this name; None if it is unknown.

    Raises:
        ImportError: an installed package provides it, and loading it fails.
    """
    return METHODS.get(name) or CURVES.get(name) or OWN.get(name) or _installed(name)


@cache
def signature_of(function: Builder) -> inspect.Signature:
    """The signature of a curve or a method."""
    return inspect.signature(function)


@cache
def _accepted(function: Builder) -> range:
    """The numbers of positional arguments that it accepts; empty if the number alone does not decide."""
    parameters = signature_of(function).parameters.values()
    if any(p.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters):
        return range(0)
    return range(sum(p.default is inspect.Parameter.empty for p in parameters), len(parameters) + 1)


def call(where: str, function: Builder, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Schedule:
    """Call a curve or a method with arguments from a text or a record.

    Raises:
        ValueError: the arguments do not match its signature; `where` begins the message.
    """
    if kwargs or len(args) not in _accepted(function):
        try:
            signature_of(function).bind(*args, **kwargs)
        except TypeError as error:
            raise ValueError(f"{where}: {cut(str(error), 100)}") from None
    return function(*args, **kwargs)


def dialects() -> Sequence[str]:
    """The modules of `lrkern.dialects`, whose functions texts may call, as in `torch.StepLR(0.1, 30)`."""
    found: Sequence[str] = import_module("lrkern.dialects").__all__  # looked up by name, like the curves of packages
    return found


def find_in_dialect(dialect: str, name: str) -> Builder | None:
    """A function of a dialect; None if it has none of that name."""
    module = import_module(f"lrkern.dialects.{dialect}")
    function: Builder | None = getattr(module, name) if name in module.__all__ else None
    return function if inspect.isfunction(function) else None


def is_built_in(name: str) -> bool:
    """Whether the name is this package's own."""
    return name in CURVES or name in METHODS or not name.isidentifier()


def build(name: str, args: tuple[Any, ...]) -> Schedule:
    """The schedule with an expression's name and arguments."""
    return OPERATORS[name](*args) if name in OPERATORS else function_of(name)(*args)


def function_of(name: str) -> Builder:
    """A curve, `join`, or a method, whose first argument is the schedule that it is applied to."""
    function = find(name)
    if function is None:
        raise ValueError(f"schedule: {name!r} is not a known curve")
    return function


@cache
def _parameters(function: Builder) -> tuple[tuple[str, Any], ...]:
    return tuple([(p.name, p.default) for p in signature_of(function).parameters.values()])


def arguments_of(name: str, args: tuple[Any, ...]) -> list[tuple[str, Any, Any]]:
    """The name, default and value of each argument of a curve or a method, `self` included."""
    parameters = _parameters(function_of(name))
    if len(parameters) != len(args):  # a curve that has been redefined since
        parameters = (("", inspect.Parameter.empty),) * len(args)
    return [(*parameter, value) for parameter, value in zip(parameters, args, strict=True)]


def _installed(name: str) -> Builder | None:
    """The curve of that name among the entry points of installed packages."""
    from importlib.metadata import entry_points  # takes longer to import than all of lrkern

    found = {point.value: point for point in entry_points(group=GROUP, name=name)} if name.isidentifier() else {}
    if not found:
        return None
    origin = " and of ".join(sorted(f"{point.dist.name if point.dist else '?'} ({point.value})" for point in found.values()))
    if len(found) > 1:
        raise ImportError(f"lrkern: {name!r} is a curve of {origin}; uninstall all but one")
    (point,) = found.values()
    try:
        loaded: Builder = point.load()
    except Exception as error:
        reason = f"{type(error).__name__}: {cut(str(error))}"
        raise ImportError(f"lrkern: cannot load the curve {name!r} of {origin}: {reason}") from error
    if loaded is not OWN.get(name):
        raise ImportError(f"lrkern: {name!r} of {origin} must be a function {name} decorated with @lrkern.curve")
    return loaded

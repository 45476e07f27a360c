"""Which name is which curve, method or operator: a table that those who define them fill.

It imports none of them, so that whatever writes or reads expressions needs this table alone. There are the curves of this
package, those made with `lrkern.curve`, and those that installed packages bring. The last kind is looked for when a name is
met that none of the others has, and only by that name: importing lrkern imports nothing of it.
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

GROUP = "lrkern.schedules"  # the entry points of packages that bring curves

CURVES: dict[str, Builder] = {}
"""The curves of this package and `join`."""
METHODS: dict[str, Builder] = {}
"""The methods of schedules, whose first argument is what they are applied to."""
OPERATORS: dict[str, Callable[[Any, Any], Schedule]] = {}
"""+ * / and **, each of two values."""
OWN: dict[str, Builder] = {}
"""Made with `lrkern.curve`."""


def find(name: str) -> Builder | None:
    """The function that builds schedules of this name; None where nobody knows it.

    Raises:
        ImportError: a package has it, and loading it fails.
    """
    return METHODS.get(name) or CURVES.get(name) or OWN.get(name) or _installed(name)


@cache
def signature_of(function: Builder) -> inspect.Signature:
    """What a curve or a method takes."""
    return inspect.signature(function)


@cache
def _accepted(function: Builder) -> range:
    """How many arguments in order it takes; none where that alone does not tell whether it takes them."""
    parameters = signature_of(function).parameters.values()
    if any(p.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters):
        return range(0)
    return range(sum(p.default is inspect.Parameter.empty for p in parameters), len(parameters) + 1)


def call(where: str, function: Builder, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Schedule:
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
    found: Sequence[str] = import_module("lrkern.dialects").__all__  # found by name, as what packages bring
    return found


def find_in_dialect(dialect: str, name: str) -> Builder | None:
    """A function of a dialect; None where it has none of that name."""
    module = import_module(f"lrkern.dialects.{dialect}")
    function: Builder | None = getattr(module, name) if name in module.__all__ else None
    return function if inspect.isfunction(function) else None


def is_built_in(name: str) -> bool:
    """Whether the name is this package's own."""
    return name in CURVES or name in METHODS or not name.isidentifier()


def build(name: str, args: tuple[Any, ...]) -> Schedule:
    """The schedule of an expression's name and arguments."""
    return OPERATORS[name](*args) if name in OPERATORS else function_of(name)(*args)


def function_of(name: str) -> Builder:
    """A curve, `join`, or a method, whose first argument is what it is applied to."""
    function = find(name)
    if function is None:
        raise ValueError(f"schedule: {name!r} is not a curve that is known here")
    return function


@cache
def _parameters(function: Builder) -> tuple[tuple[str, Any], ...]:
    return tuple([(p.name, p.default) for p in signature_of(function).parameters.values()])


def arguments_of(name: str, args: tuple[Any, ...]) -> list[tuple[str, Any, Any]]:
    """Name, default and value of each argument of a curve or of a method, `self` included."""
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
        raise ImportError(f"lrkern: {name!r} is the name of curves of {origin}; only one of them can be installed")
    (point,) = found.values()
    try:
        loaded: Builder = point.load()
    except Exception as error:
        reason = f"{type(error).__name__}: {cut(str(error))}"
        raise ImportError(f"lrkern: the curve {name!r} of {origin} cannot be loaded: {reason}") from error
    if loaded is not OWN.get(name):
        raise ImportError(f"lrkern: {name!r} of {origin} must be a function {name} made a curve by @lrkern.curve")
    return loaded

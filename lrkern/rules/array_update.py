"""Rules as functions of whole arrays of JAX or torch: for tracing, and for devices that lrkern's kernels do not reach."""

from __future__ import annotations

import linecache
from collections import namedtuple
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import Parameter
from typing import Any

import numpy as np

from lrkern.rules.array_text import text_of
from lrkern.rules.array_words import LIBRARIES, words_of
from lrkern.rules.lowering import divided
from lrkern.rules.rule import Rule


def _plain(value: Any) -> Any:
    """A number of NumPy as one of Python."""
    return value.item() if isinstance(value, np.generic) else value


@dataclass(frozen=True, eq=False)
class ArrayUpdate:
    """The update of a whole array by a rule, as a pure function; its flags are fixed.

    What depends on scalars alone is computed in float64 where these are Python's numbers, else in the library's float, and
    rounded once to the type of the parameter. The gradient and the states must have the parameter's type and shape.
    """

    name: str
    text: str
    """Its source."""
    hypers: tuple[str, ...]
    defaults: Mapping[str, float]
    """Of those hyper-parameters that have one."""
    states: tuple[str, ...]
    """Those that the rule uses with these flags, in order."""
    scalar_states: tuple[str, ...]
    """Numbers that each tensor keeps: 0 before the first update."""
    function: Callable[..., tuple[Any, ...]]
    inputs: Callable[..., Any]

    def __call__(self, n: Any, hypers: Mapping[str, Any], p: Any, g: Any, *states: Any) -> tuple[Any, ...]:
        """The new parameter (or its difference from the old one) and states, arrays and scalars.

        Args:
            n: the number of this update, from 1.
            hypers: the hyper-parameters by name, numbers or arrays of no dimension; the others have their defaults.
            p, g: the parameter and its gradient.
            states: in the order of `states`, then those of `scalar_states`.

        Raises:
            TypeError: a hyper-parameter is missing or unknown.
        """
        values = {name: _plain(one) for name, one in {**self.defaults, **hypers}.items()}
        return self.function(self.inputs(**values), _plain(n), p, g, *states)


@cache
def _made(rule: Rule, library: str, flags: tuple[tuple[str, bool], ...], differs: bool) -> ArrayUpdate:
    parts = divided(rule.fixed(dict(flags)))
    text = text_of(parts, decided=library == "torch", differs=differs)
    file = f"<rule {rule.name} for {library} {' '.join(name for name, on in flags if on)}>"
    linecache.cache[file] = len(text), None, text.splitlines(True), file
    scope: dict[str, Any] = {**words_of(library)}
    exec(compile(text, file, "exec"), scope)
    names = tuple(one.name for one in parts.hypers)
    defaults = {one.name: one.default for one in parts.hypers if one.default is not Parameter.empty}
    inputs = namedtuple(f"Inputs_{rule.name}", names)  # type: ignore[misc]
    return ArrayUpdate(rule.name, text, names, defaults, parts.states, parts.scalar_states, scope["update"], inputs)


def array_update(rule: Rule, library: str, flags: Mapping[str, bool] | None = None, *, differs: bool = False) -> ArrayUpdate:
    """A rule as a function of arrays of a library.

    Args:
        rule: the rule.
        library: "jax" or "torch".
        flags: the flags that differ from their defaults. (A variant is a name for some flags: `rule.variants[variant]`.)
        differs: return the difference of the new parameter and the old one instead of the new one, as optax does.

    Raises:
        ValueError: an unknown library, or a flag that the rule does not have.
        ImportError: the library is missing.

    Example: see the documentation ("Rules").
    """
    if library not in LIBRARIES:
        raise ValueError(f"array_update: library must be one of {', '.join(LIBRARIES)}; got {library!r}")
    own = {one.name: bool(one.default) for one in rule.hypers if one.is_flag}
    for name in flags or {}:
        if name not in own:
            raise ValueError(f"array_update: flags must be those of {rule.name}, {', '.join(own) or 'none'}; got {name!r}")
    return _made(rule, library, tuple({**own, **(flags or {})}.items()), differs)

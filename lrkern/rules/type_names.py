"""The types of compiled rules, found by name.

Caches of compiled code on disk contain the types of all rules that they were filled with, as names in this module. A name ends
with a digest of the rule's text, so that a rule that has changed has other types, and its old code is not used. In a program
that does not have the rule, the name stands for an empty class, which equals no type of another rule.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

_MADE: dict[str, type[Any]] = {}
_UNKNOWN: dict[str, type[Any]] = {}


def digest_of(text: str) -> str:
    """A short digest of a text."""
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()[:16]


def tuple_type(kind: str, rule: str, digest: str, fields: Sequence[str]) -> type[Any]:
    """The NamedTuple of this kind ("Inputs" or "Scalars") of a rule."""
    name = f"{kind}_{rule}_{digest}"
    if name not in _MADE:
        made: Any = namedtuple(name, fields)  # type: ignore[misc]
        made.__module__ = __name__
        _MADE[name] = made
    return _MADE[name]


def __getattr__(name: str) -> type[Any]:
    if name in _MADE:
        return _MADE[name]
    if not name.startswith(("Inputs_", "Scalars_")):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _UNKNOWN:
        _UNKNOWN[name] = type(name, (tuple,), {"__module__": __name__})
    return _UNKNOWN[name]

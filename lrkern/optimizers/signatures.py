"""Signatures and docstrings of optimizers: those of each class include the shared options, for `help` and editors."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from lrkern._checks import cut, describe, is_array
from lrkern.schedules.expression import Schedule

_SHARED = "        shared: see `Optimizer`.\n"  # the line of docstrings that the options replace


class LazySignature:
    """`__signature__` of a class and its subclasses, made on demand."""

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self.defaults = defaults

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        return signature_of(owner, self.defaults)


def signature_of(cls: type, defaults: Mapping[str, Any]) -> inspect.Signature:
    """The signature of a class, with the options in `defaults` instead of `**shared`."""
    _, *own = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]  # unbound, so with self
    parameters: list[inspect.Parameter] = []
    for one in own:
        if one.kind is one.VAR_KEYWORD and one.name == "shared":
            parameters += [one.replace(name=name, kind=one.KEYWORD_ONLY, default=defaults[name]) for name in defaults]
        else:
            parameters.append(one)
    return inspect.Signature([one.replace(annotation=one.empty) for one in parameters])


def documented(doc: str | None, of_all: str | None) -> str | None:
    """The docstring of a class, with the shared options from that of `Optimizer`."""
    if doc is None or of_all is None:  # python -OO
        return doc
    arguments = of_all.partition("        clip_norm: ")
    explained = (arguments[1] + arguments[2]).partition("\n\n")[0]
    return doc.replace(_SHARED, f"{explained}\n")


def summary(
    cls: type,
    count: int | None,
    arrays: int,
    sizes: Sequence[int],
    groups: Sequence[Mapping[str, Any]],
    shared: Mapping[str, Any],
    frozen: Collection[int],
) -> str:
    """The repr of an optimizer: class, steps, arrays, and options that differ from defaults; those of groups separately."""
    defaults = {name: one.default for name, one in inspect.signature(cls).parameters.items()}
    in_words = [{name: _text(value) for name, value in group.items()} for group in groups]
    first = in_words[0]
    alike = {name: text for name, text in first.items() if all(one.get(name) == text for one in in_words)}
    told = [f"{name}={text}" for name, text in alike.items() if name == "lr" or _differs(name, text, defaults)]
    told += [
        f"{name}={_text(value)}"
        for name, value in shared.items()
        if name not in first and _differs(name, _text(value), defaults)
    ]
    head = [] if count is None else [f"{count} step{'' if count == 1 else 's'}"]
    head.append(f"{arrays} array{'' if arrays == 1 else 's'} of {sum(sizes)} elements")
    if len(groups) > 1:
        head[-1] += f" in {len(groups)} groups"
    elif frozen:
        head[-1] += ", frozen"
    parts = [f"{cls.__name__}: {', '.join(head)}", ", ".join(told)]
    for g, group in enumerate(in_words if len(groups) > 1 else []):
        own = [f"{name}={text}" for name, text in group.items() if name not in alike]
        own = [f"{sizes[g]} elements", *own, *(["frozen"] if g in frozen else [])]
        parts.append(f"group {g}: {', '.join(own)}")
    return f"<{'; '.join(part for part in parts if part)}>"


def _differs(name: str, text: str, defaults: Mapping[str, Any]) -> bool:
    return name in defaults and (defaults[name] is inspect.Parameter.empty or text != _text(defaults[name]))


def _text(value: Any) -> str:
    """An option in a few words."""
    if isinstance(value, Schedule) or value is None:
        return cut(str(value), 100)
    if callable(value) and hasattr(value, "__qualname__"):
        return cut(str(value.__qualname__))
    if isinstance(value, np.generic):
        return str(value)
    if isinstance(value, float | int | str):
        return cut(repr(value))
    if is_array(value):
        return f"<{describe(value)}>"
    if isinstance(value, tuple):
        return f"({', '.join(map(_text, value))})"
    return f"<{type(value).__name__}>"

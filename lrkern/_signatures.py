"""What `help` and editors show of optimizers: the options that all classes share are told of in each of them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

_SHARED = "        shared: see `Optimizer`.\n"  # the line of a docstring in whose place the options come


class LazySignature:
    """`__signature__` of a class and of those that inherit from it, made when somebody asks."""

    def __init__(self, defaults: Mapping[str, Any]) -> None:
        self.defaults = defaults

    def __get__(self, instance: object, owner: type) -> inspect.Signature:
        return signature_of(owner, self.defaults)


def signature_of(cls: type, defaults: Mapping[str, Any]) -> inspect.Signature:
    """The arguments of a class, with the options that `defaults` has in the place of `**shared`."""
    _, *own = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]  # of no instance
    parameters: list[inspect.Parameter] = []
    for one in own:
        if one.kind is one.VAR_KEYWORD and one.name == "shared":
            parameters += [one.replace(name=name, kind=one.KEYWORD_ONLY, default=defaults[name]) for name in defaults]
        else:
            parameters.append(one)
    return inspect.Signature([one.replace(annotation=one.empty) for one in parameters])


def documented(doc: str | None, of_all: str | None) -> str | None:
    """The docstring of a class, with the arguments that `Optimizer` explains."""
    if doc is None or of_all is None:  # python -OO
        return doc
    arguments = of_all.partition("        clip_norm: ")
    explained = (arguments[1] + arguments[2]).partition("\n\n")[0]
    return doc.replace(_SHARED, f"{explained}\n")

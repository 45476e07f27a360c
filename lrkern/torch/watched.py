"""Dicts that note when they are written to: users set and clear single states of an optimizer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any


class Writes:
    """Whether dicts that share it have been written to."""

    def __init__(self) -> None:
        self.any = False


class Watched(dict[str, Any]):
    """The states of a parameter by name. Copies and pickles are plain dicts."""

    writes: Writes | None = None

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


class WatchedStates(defaultdict[Any, Any]):
    """The states of all parameters, as `torch.optim.Optimizer.state`."""

    writes: Writes | None = None

    def __reduce__(self) -> Any:
        return defaultdict, (dict, dict(self))


def _noting(name: str) -> Any:
    method = getattr(dict, name)

    def write(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.writes is not None:
            self.writes.any = True
        return method(self, *args, **kwargs)

    write.__name__ = name
    return write


for _name in ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"):
    for _kind in (Watched, WatchedStates):
        setattr(_kind, _name, _noting(_name))


def watched(states: Mapping[Any, Any]) -> WatchedStates:
    """States of all parameters in a dict that can be watched."""
    return WatchedStates(dict, states)


def publish(states: dict[Any, Any], param: Any, shown: Mapping[str, Any], writes: Writes) -> None:
    """Show states of a parameter, which is no write, and watch them from then on."""
    own = states.get(param)
    if type(own) is not Watched:
        own = Watched(own or {})
        dict.__setitem__(states, param, own)
    dict.update(own, shown)
    own.writes = writes


def plain_states(states: Mapping[Any, Any]) -> dict[Any, Any]:
    """States in dicts of Python, as files and other programs expect them."""
    return {one: dict(own) if type(own) is Watched else own for one, own in states.items()}

"""`@curve`: makes a curve from a function that returns (arguments, node, steps)."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

from lrkern import _core
from lrkern._checks import count, real
from lrkern.schedules.expression import Schedule
from lrkern.schedules.names import CURVES

_P = ParamSpec("_P")

# The arguments as printed, the node, the number of steps (None: never ends).
Recipe = tuple[tuple[Any, ...], "_core.Node", "int | None"]


def curve(recipe: Callable[_P, Recipe]) -> Callable[_P, Schedule]:
    """Turn a function that returns (arguments, node, steps) into a curve, which returns a Schedule."""
    name = recipe.__name__

    @wraps(recipe)
    def build(*args: _P.args, **kwargs: _P.kwargs) -> Schedule:
        with _core.DefaultMode():
            return Schedule(name, *recipe(*args, **kwargs))

    build.__annotations__ = {**recipe.__annotations__, "return": "Schedule"}
    CURVES[name] = build
    return build


def ends(where: str, start: float, end: float, steps: int) -> tuple[float, float, int]:
    """The checked arguments of a curve from one value to another."""
    return real(where, "start", start), real(where, "end", end), count(where, "steps", steps)

"""What the functions of `lrkern.numba` ask of their arguments: kinds when they are compiled, values when they run."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core.errors import TypingError
from numba.extending import overload

from lrkern._checks import MAX_COUNT
from lrkern.numba.arrays import MAX, _kind
from lrkern.optimizers.options import DIFFERENCES, SQUARES
from lrkern.pointwise.primitives import FLAGS, word

fine = word("fine")  # fine(x): whether a number can be a hyper-parameter: 0 <= x, and float32 holds it
share = word("share")  # share(x): whether 0 <= x < 1
counted = word("counted")  # counted(x): whether an integer is a count: 0 <= x <= 2^53
flag = word("flag")  # flag(x): 1.0 for True, 0.0 for False
alike = word("alike")  # alike(param, other): whether another array has the shape and the memory order of the parameter
alike_or_none = word("alike_or_none")  # the same, of an array that need not be there


def only_numbers(x: Any) -> None:
    """Refuse what is neither an integer nor a float: a bool counts as neither, here as in C."""
    if not isinstance(x, types.Integer | types.Float):
        raise TypingError(f"lrkern: a number must be an integer or a float; got {x}")


@overload(fine, jit_options=FLAGS)
def _fine(x):
    only_numbers(x)
    return lambda x: x >= 0 and x <= MAX


@overload(share, jit_options=FLAGS)
def _share(x):
    only_numbers(x)
    return lambda x: x >= 0 and x < 1


@overload(counted, jit_options=FLAGS)
def _counted(x):
    if not isinstance(x, types.Integer):
        raise TypingError(f"lrkern: count must be an integer; got {x}")
    return lambda x: x >= 0 and x <= MAX_COUNT


@overload(flag, jit_options=FLAGS)
def _flag(x):
    if not isinstance(x, types.Boolean):
        raise TypingError(f"lrkern: a flag must be True or False; got {x}")
    return lambda x: 1.0 if x else 0.0


@overload(alike, jit_options=FLAGS)
def _alike(param, other):
    one_order = _kind(other) != "" and (param.ndim < 2 or param.layout == other.layout)
    if not one_order:
        return lambda param, other: False
    return lambda param, other: other.shape == param.shape


@overload(alike_or_none, jit_options=FLAGS)
def _alike_or_none(param, other):
    if _kind(other) == "":
        return lambda param, other: True
    return lambda param, other: alike(param, other)


_HALVES = {"int16": "float16", "uint16": "bfloat16"}  # what carries their bits


def squares_of(where: str, *names: str, centered_by: int | None = None) -> Any:
    """A check of the states of these names, at most three, for a rule that divides by the root of squares, when it is compiled.

    They are refused in the 16-bit floats that the functions of `lrkern` refuse. `centered_by`: where that state is there, the
    root is that of a difference.
    """
    check = word(f"{where}'s states")

    @overload(check, jit_options=FLAGS)
    def _check(first, second=None, third=None):
        states = (first, second, third)[: len(names)]
        unfit = SQUARES | DIFFERENCES if centered_by is not None and _kind(states[centered_by]) else SQUARES
        for name, state in zip(names, states, strict=True):
            dtype = _HALVES.get(_kind(state), "")
            if dtype in unfit:
                raise TypingError(f"{where}: {name} must not be {dtype}, {unfit[dtype]}; got {state}, its bits")
        return lambda first, second=None, third=None: None

    return check

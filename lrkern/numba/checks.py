"""Checks of the arguments of `lrkern.numba`'s functions: types at compile time, values at run time."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core.errors import TypingError
from numba.extending import overload

from lrkern._checks import MAX_COUNT
from lrkern.numba.arrays import MAX, _kind
from lrkern.optimizers.options import DIFFERENCES, SQUARES
from lrkern.pointwise.primitives import FLAGS, word
from lrkern.rules.compiled import FAMILIES

is_hyper = word("is_hyper")  # is_hyper(x): whether 0 <= x <= the largest float32, as for hyper-parameters
is_fraction = word("is_fraction")  # is_fraction(x): whether 0 <= x < 1
is_count = word("is_count")  # is_count(x): whether an integer is a count: 0 <= x <= 2^53
flag = word("flag")  # flag(x): 1.0 for True, 0.0 for False
same_layout = word("same_layout")  # same_layout(param, other): the same shape and memory order
same_layout_or_none = word("same_layout_or_none")  # the same, or `other` is None


def only_numbers(x: Any) -> None:
    """Refuse everything except integers and floats; bools are refused, as in the C backend."""
    if not isinstance(x, types.Integer | types.Float):
        raise TypingError(f"lrkern: a number must be an integer or a float; got {x}")


@overload(is_hyper, jit_options=FLAGS)
def _is_hyper(x):
    only_numbers(x)
    return lambda x: x >= 0 and x <= MAX


@overload(is_fraction, jit_options=FLAGS)
def _is_fraction(x):
    only_numbers(x)
    return lambda x: x >= 0 and x < 1


@overload(is_count, jit_options=FLAGS)
def _is_count(x):
    if not isinstance(x, types.Integer):
        raise TypingError(f"lrkern: count must be an integer; got {x}")
    return lambda x: x >= 0 and x <= MAX_COUNT


@overload(flag, jit_options=FLAGS)
def _flag(x):
    if not isinstance(x, types.Boolean):
        raise TypingError(f"lrkern: a flag must be True or False; got {x}")
    return lambda x: 1.0 if x else 0.0


@overload(same_layout, jit_options=FLAGS)
def _same_layout(param, other):
    one_order = _kind(other) != "" and (param.ndim < 2 or param.layout == other.layout)
    if not one_order:
        return lambda param, other: False
    return lambda param, other: other.shape == param.shape


@overload(same_layout_or_none, jit_options=FLAGS)
def _same_layout_or_none(param, other):
    if _kind(other) == "":
        return lambda param, other: True
    return lambda param, other: same_layout(param, other)


_HALVES = {"int16": "float16", "uint16": "bfloat16"}  # the integer types that hold their bits


def squares_of(where: str, *names: str, centered_by: int | None = None) -> Any:
    """A compile-time check of up to three states of a rule that divides by the root of an average of squares.

    States are refused in the 16-bit types that the functions of `lrkern` refuse. `centered_by`: index of the state that, if
    given, is subtracted under the root.
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


def inputs_of(rule: str) -> Any:
    """A function for compiled code: the inputs of a rule, from a tuple. The rule is read when that is compiled, not before."""
    made = word(f"the inputs of {rule}", "given")

    @overload(made, jit_options=FLAGS)
    def _made(given):
        kind = FAMILIES[rule].inputs
        return lambda given: kind(*given)

    return made

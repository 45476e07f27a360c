"""The arguments of `plateau` in compiled code: names, defaults, ranges and errors of every dialect, as tables of `DIALECTS`."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.core.errors import TypingError
from numba.extending import overload

from lrkern import _checks
from lrkern._checks import MAX_COUNT
from lrkern._loss_driven.dialects import DIALECTS
from lrkern._loss_driven.runs import LR, Number
from lrkern.pointwise.primitives import FLAGS, word

NAMES = tuple(DIALECTS)
ARGUMENTS = ("start", *dict.fromkeys(name for dialect in DIALECTS.values() for name in dialect.arguments))
SHAPE = len(NAMES), len(ARGUMENTS)
Given: Any = namedtuple("Given", ARGUMENTS)  # type: ignore[misc]  # fields of a table
"""All arguments, as floats."""

# Of each dialect and each of its arguments. Words are told by their place among their choices; None is NONE.
NONE = -1.0
HAS, WHOLE = np.zeros(SHAPE, np.bool_), np.zeros(SHAPE, np.bool_)
DEFAULT, LOW, ABOVE, BELOW, HIGH = (np.zeros(SHAPE) for _ in range(5))
TEXT = np.zeros(SHAPE, np.int64)
_texts: list[str] = []
WORDS = tuple(
    next((getattr(one.arguments[name][0], "choices", ()) for one in DIALECTS.values() if name in one.arguments), ())
    for name in ARGUMENTS
)
FIRST, SECOND = (tuple(words[k] if words else "" for words in WORDS) for k in range(2))
KNOWN = tuple(", ".join(dialect.arguments) for dialect in DIALECTS.values())


def _text(check: Callable[..., object], *arguments: object) -> str:
    """What a check says that refuses, but for what came."""
    try:
        check(*arguments)
    except (TypeError, ValueError) as error:
        return str(error).partition("; got")[0]
    raise AssertionError(arguments)


def _fill(d: int, j: int, check: Any, default: Any) -> None:
    """Set what the tables say of an argument."""
    HAS[d, j] = True
    choices = getattr(check, "choices", ())
    DEFAULT[d, j] = choices.index(default) if choices else NONE if default is None else default
    is_number = isinstance(check, Number)
    WHOLE[d, j] = check.whole if is_number else True
    LOW[d, j] = 0.0 if choices else check.low
    ABOVE[d, j], BELOW[d, j] = (check.above, check.below) if is_number else (-np.inf, np.inf)
    HIGH[d, j] = min(check.high if is_number else np.inf, MAX_COUNT if WHOLE[d, j] else np.inf)
    text = _text(check.check, "plateau", ARGUMENTS[j], math.nan)
    if text not in _texts:
        _texts.append(text)
    TEXT[d, j] = _texts.index(text)


for _d, _dialect in enumerate(DIALECTS.values()):
    _fill(_d, 0, LR, NONE)
    for _name, (_check, _default) in _dialect.arguments.items():
        _fill(_d, ARGUMENTS.index(_name), _check, _default)

TEXTS = tuple(_texts)
UNKNOWN = _text(_checks.choice, "plateau", "dialect", "", NAMES)

dialect_number = word("dialect_number")  # dialect_number(dialect): its place in NAMES
checked = word("checked")  # checked(d, values): all arguments of dialect d, a tuple in the order of ARGUMENTS, as a `Given`
argument = word("argument")  # argument(d, j, value): argument j of dialect d as a float, its default for None


@overload(dialect_number, jit_options=FLAGS)
def _dialect_number(dialect):
    if not isinstance(dialect, types.UnicodeType | types.StringLiteral):
        raise TypingError(f"lrkern: dialect must be a string; got {dialect}")

    def impl(dialect):
        for d in range(len(NAMES)):
            if NAMES[d] == dialect:
                return d
        raise ValueError(UNKNOWN)

    return impl


@overload(checked, jit_options=FLAGS)
def _checked(d, values):
    scope: dict[str, Any] = {"made": Given, "argument": argument}
    fields = ", ".join(f"argument(d, {j}, values[{j}])" for j in range(len(ARGUMENTS)))
    exec(f"def impl(d, values): return made({fields})", scope)
    return scope["impl"]


@overload(argument, jit_options=FLAGS)
def _argument(d, j, value):
    def absent(d, j, value):
        if ARGUMENTS[j] == "start":
            raise TypeError(TEXTS[TEXT[d, j]])
        return DEFAULT[d, j]

    def word(d, j, value):
        _check_that_it_has(d, j)
        if FIRST[j] == "" or not (value == FIRST[j] or value == SECOND[j]):
            raise ValueError(TEXTS[TEXT[d, j]])
        return 0.0 if value == FIRST[j] else 1.0

    def number(d, j, value):
        _check_that_it_has(d, j)
        x = np.float64(value)
        if FIRST[j] != "" or not (
            x > ABOVE[d, j]
            and x < BELOW[d, j]
            and x >= LOW[d, j]
            and x <= HIGH[d, j]
            and (x == math.floor(x) or not WHOLE[d, j])
        ):
            raise ValueError(TEXTS[TEXT[d, j]])
        return x

    if isinstance(value, types.NoneType):
        return absent
    if isinstance(value, types.UnicodeType | types.StringLiteral):
        return word
    if isinstance(value, types.Integer | types.Float):
        return number
    raise TypingError(f"lrkern: an argument of plateau must be an integer, a float or a string; got {value}")


_check_that_it_has = word("_check_that_it_has")


@overload(_check_that_it_has, jit_options=FLAGS)
def _has(d, j):
    def impl(d, j):
        if not HAS[d, j]:
            raise TypeError("plateau: dialect '" + NAMES[d] + "' has no argument " + ARGUMENTS[j] + "; it has " + KNOWN[d])

    return impl

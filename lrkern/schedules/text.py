"""Schedules as text: `repr` writes the expression that rebuilds one, `parse` reads it with its own parser (never `eval`)."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

from lrkern._checks import describe
from lrkern._core import Expression
from lrkern.schedules.names import CURVES, METHODS, OPERATORS, arguments_of

if TYPE_CHECKING:
    from lrkern.schedules.expression import Schedule


def write(schedule: Expression) -> str:
    """The expression that rebuilds `schedule`. Arguments equal to their defaults are omitted."""
    name, args = schedule.name, schedule.args
    if name == "+":
        right = f"({_value(args[1])})" if isinstance(args[1], Expression) and args[1].name == "+" else _value(args[1])
        return f"{_value(args[0])} + {right}"
    if name == "*":
        return f"{_factor(args[0])} * {_divisor(args[1])}"
    if name == "/":
        return f"{_factor(args[0])} / {_divisor(args[1])}"
    if name == "**":
        return f"{_operand(args[0])} ** {_value(args[1])}"
    arguments = arguments_of(name, args)
    if name in METHODS:
        return f"{_operand(args[0])}.{name}({_arguments(arguments[1:])})"
    return f"{name}({_arguments(arguments)})"


def _factor(value: Any) -> str:
    return f"({_value(value)})" if isinstance(value, Expression) and value.name == "+" else _value(value)


def _divisor(value: Any) -> str:
    return f"({_value(value)})" if isinstance(value, Expression) and value.name in ("+", "*", "/") else _value(value)


def _operand(schedule: Expression) -> str:
    return f"({write(schedule)})" if schedule.name in OPERATORS else write(schedule)


def _arguments(arguments: list[tuple[str, Any, Any]]) -> str:
    shown_args, positional = [], True
    for parameter, default, value in arguments:
        if default is not inspect.Parameter.empty and value == default:
            positional = False
            continue
        shown_args.append(_value(value) if positional else f"{parameter}={_value(value)}")
    return ", ".join(shown_args)


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return write(value) if isinstance(value, Expression) else repr(value)


def parse(text: str) -> Schedule:
    """Read a schedule from text: calls of curves, `join` and dialects, methods of schedules, + - * / and numbers; nothing else.

    A dialect's function is called with its module, ``torch.StepLR(0.1, 30)``. Its arguments are numbers, strings, lists, dicts
    and schedules. The result is the same schedule as in Python, and `repr` writes it as the curves that it consists of. If it
    returns several, one is chosen by its name: ``ultralytics.BaseTrainer(100, 500).momentum``.

    Reading takes at most about a second per million characters.

    Args:
        text: an expression as `repr` writes it, at most 1,000,000 characters, brackets nested at most 100 deep.

    Raises:
        TypeError: `text` is not a string.
        ValueError: it is not such an expression; the message names what is wrong. Errors about the arguments of curves and
            methods are passed on unchanged.
        OverflowError: a value needed to build it is beyond float64.
        ImportError: it names a curve of an installed package (see `lrkern.curve`) that cannot be loaded.

    >>> import lrkern as lk
    >>> lk.parse("cosine(0.1, 0, 1000).warmup(10)") == lk.cosine(0.1, 0.0, 1000).warmup(10)
    True
    >>> lk.parse("torch.StepLR(0.1, step_size=30)")
    step_decay(0.1, 0.1, 30)
    >>> lk.parse("__import__('os')")
    Traceback (most recent call last):
    ...
    ValueError: parse: '__import__' is not a curve
    """
    from lrkern.schedules.budget import limited
    from lrkern.schedules.reader import MAX_TEXT, Reader  # whose regular expression takes 3 ms to compile

    if not isinstance(text, str):
        raise TypeError(f"parse: text must be a string; got {describe(text)}")
    if len(text) > MAX_TEXT:
        raise ValueError(f"parse: text must have at most {MAX_TEXT} characters; got {len(text)}")
    try:
        with limited():
            result = Reader(text).read()
    except RecursionError as error:
        raise ValueError("parse: the expression is nested too deeply for Python's stack") from error
    if isinstance(result, (int, float)) and not isinstance(result, bool):
        return CURVES["constant"](result)
    if not isinstance(result, Expression):
        raise ValueError(f"parse: the expression must be a schedule; got {describe(result)}")
    return cast("Schedule", result)

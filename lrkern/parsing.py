"""Schedules as text: `repr` writes the expression that rebuilds one, `parse` reads it through a whitelist (never `eval`)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from lrkern._checks import describe
from lrkern.expression import Schedule, add, multiply
from lrkern.registry import METHODS, find, signature_of
from lrkern.schedules import constant

OPERATORS: dict[str, Callable[[Any, Any], Schedule]] = {
    "+": lambda a, b: add(a, b),
    "*": lambda a, b: multiply(a, b) if isinstance(b, Schedule) and isinstance(a, Schedule) else multiply(b, a),
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}


def build(name: str, args: tuple[Any, ...]) -> Schedule:
    """The schedule of an expression's name and arguments."""
    return OPERATORS[name](*args) if name in OPERATORS else function_of(name)(*args)


def function_of(name: str) -> Callable[..., Schedule]:
    """A curve, `join`, or a method, whose first argument is what it is applied to."""
    function = find(name)
    if function is None:
        raise ValueError(f"schedule: {name!r} is not a curve that is known here")
    return function


@cache
def _parameters(function: Callable[..., Schedule]) -> tuple[tuple[str, Any], ...]:
    return tuple([(p.name, p.default) for p in signature_of(function).parameters.values()])


def arguments_of(schedule: Schedule) -> list[tuple[str, Any, Any]]:
    """Name, default and value of each argument of a curve or of a method, `self` included."""
    parameters = _parameters(function_of(schedule.name))
    if len(parameters) != len(schedule.args):  # a curve that has been written anew since
        parameters = (("", inspect.Parameter.empty),) * len(schedule.args)
    return [(*parameter, value) for parameter, value in zip(parameters, schedule.args, strict=True)]


def write(schedule: Schedule) -> str:
    """The expression that rebuilds `schedule`. Arguments equal to their defaults are left out."""
    name, args = schedule.name, schedule.args
    if name == "+":
        right = f"({_value(args[1])})" if isinstance(args[1], Schedule) and args[1].name == "+" else _value(args[1])
        return f"{_value(args[0])} + {right}"
    if name == "*":
        return f"{_factor(args[0])} * {_divisor(args[1])}"
    if name == "/":
        return f"{_factor(args[0])} / {_divisor(args[1])}"
    if name == "**":
        return f"{_operand(args[0])} ** {_value(args[1])}"
    arguments = arguments_of(schedule)
    if name in METHODS:
        return f"{_operand(args[0])}.{name}({_arguments(arguments[1:])})"
    return f"{name}({_arguments(arguments)})"


def _factor(value: Any) -> str:
    return f"({_value(value)})" if isinstance(value, Schedule) and value.name == "+" else _value(value)


def _divisor(value: Any) -> str:
    return f"({_value(value)})" if isinstance(value, Schedule) and value.name in ("+", "*", "/") else _value(value)


def _operand(schedule: Schedule) -> str:
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
    return write(value) if isinstance(value, Schedule) else repr(value)


def parse(text: str) -> Schedule:
    """Read a schedule from text: calls of curves, `join` and dialects, methods of schedules, + - * / and numbers; nothing else.

    A dialect is called with its module, ``torch.StepLR(0.1, 30)``, and with what can be written: numbers, texts, lists, dicts,
    schedules. It gives the schedule that it gives in Python, made of curves, which is how `repr` writes it. Where it gives
    several, one is taken by its name: ``ultralytics.BaseTrainer(100, 500).momentum``.

    Any text takes at most about a second per million characters.

    Args:
        text: an expression as `repr` writes it, at most 1,000,000 characters, brackets nested 100 deep at most.

    Raises:
        TypeError: `text` is not a string.
        ValueError: it is not such an expression; the message names what is wrong. Errors of the arguments of curves and methods
            come as they are.
        OverflowError: a value that has to be known to build it is beyond float64.
        ImportError: it names a curve of an installed package (see `lrkern.curve`), which cannot be loaded.

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
    from lrkern._budget import limited
    from lrkern._reader import MAX_TEXT, Reader  # whose regular expression takes 3 ms to compile

    if not isinstance(text, str):
        raise TypeError(f"parse: text must be a string; got {describe(text)}")
    if len(text) > MAX_TEXT:
        raise ValueError(f"parse: text must have at most {MAX_TEXT} characters; got {len(text)}")
    try:
        with limited():
            result = Reader(text).read()
    except RecursionError as error:
        raise ValueError("parse: Python's stack is full before the expression is read") from error
    if isinstance(result, (int, float)) and not isinstance(result, bool):
        return constant(result)
    if not isinstance(result, Schedule):
        raise ValueError(f"parse: the expression must be a schedule; got {describe(result)}")
    return result

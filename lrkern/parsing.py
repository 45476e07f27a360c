"""Schedules as text: `repr` writes the expression that rebuilds one, `parse` reads it through a whitelist (never `eval`)."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from lrkern import _core
from lrkern._checks import cut, describe
from lrkern.expression import Schedule, add, multiply
from lrkern.registry import METHODS, find
from lrkern.schedules import constant

MAX_TEXT = 1_000_000  # characters
MAX_NESTING = _core.MAX_DEPTH  # brackets within brackets
MAX_TREE = 2 * MAX_NESTING  # levels of the parsed expression

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
def signature_of(function: Callable[..., Schedule]) -> inspect.Signature:
    """What a curve or a method takes."""
    return inspect.signature(function)


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
    """Read a schedule from text: calls of curves and `join`, methods of schedules, + - * / and numbers; nothing else.

    Args:
        text: an expression as `repr` writes it, at most 1,000,000 characters, brackets nested 100 deep at most.

    Raises:
        TypeError: `text` is not a string.
        ValueError: it is not such an expression; the message names what is wrong. Errors of the arguments of curves and methods
            come as they are.
        ImportError: it names a curve of an installed package (see `lrkern.curve`), which cannot be loaded.

    >>> import lrkern as lk
    >>> lk.parse("cosine(0.1, 0, 1000).warmup(10)") == lk.cosine(0.1, 0.0, 1000).warmup(10)
    True
    >>> lk.parse("__import__('os')")
    Traceback (most recent call last):
    ...
    ValueError: parse: '__import__' is not a curve
    """
    if not isinstance(text, str):
        raise TypeError(f"parse: text must be a string; got {describe(text)}")
    if len(text) > MAX_TEXT:
        raise ValueError(f"parse: text must have at most {MAX_TEXT} characters; got {len(text)}")
    depth = 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_NESTING:
            raise ValueError(f"parse: brackets may be nested {MAX_NESTING} deep at most")
    text = text.strip()
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"parse: not an expression: {error.msg}") from None
    except (RecursionError, MemoryError):
        raise ValueError("parse: the expression is nested too deep to be read") from None
    except ValueError as error:
        raise ValueError(f"parse: not an expression that can be read: {error}") from None
    try:
        result = _Reader(text).read(tree.body, 0)
    except RecursionError:
        raise ValueError("parse: the expression is nested too deep to be read") from None
    if isinstance(result, (int, float)) and not isinstance(result, bool):
        return constant(result)
    if not isinstance(result, Schedule):
        raise ValueError(f"parse: the expression must be a schedule; got {describe(result)}")
    return result


class _Reader:
    """Evaluates the few kinds of syntax that schedules are written in."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _fail(self, node: ast.expr, what: str = "") -> ValueError:
        what = what or cut(ast.get_source_segment(self.text, node) or "")
        return ValueError(f"parse: {what} is not allowed (column {node.col_offset + 1})")

    def read(self, node: ast.expr, depth: int) -> Any:
        if depth > MAX_TREE:
            raise ValueError(f"parse: the expression may be nested {MAX_TREE} levels deep at most")
        if isinstance(node, ast.Constant):
            return self._constant(node)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            value = self._operand(node.operand, depth)
            return -value if isinstance(node.op, ast.USub) else value
        if isinstance(node, ast.BinOp):
            return self._binary(node, depth)
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self.read(item, depth + 1) for item in node.elts]
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        if isinstance(node, ast.Name):
            raise ValueError(f"parse: {node.id!r} is not a value; curves are called, as in cosine(0.1, 0.0, 1000)")
        raise self._fail(node)

    def _constant(self, node: ast.Constant) -> Any:
        if node.value is None or isinstance(node.value, (bool, int, float, str)):
            return node.value
        raise self._fail(node)

    def _operand(self, node: ast.expr, depth: int) -> Any:
        value = self.read(node, depth + 1)
        if isinstance(value, bool) or not isinstance(value, (int, float, Schedule)):
            raise self._fail(node, f"arithmetic with {describe(value)}")
        return value

    def _binary(self, node: ast.BinOp, depth: int) -> Any:
        if isinstance(node.op, ast.Pow):
            return self._power(node, depth)
        if not isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div)):
            raise self._fail(node)
        a, b = self._operand(node.left, depth), self._operand(node.right, depth)
        try:
            if isinstance(node.op, ast.Add):
                return a + b
            if isinstance(node.op, ast.Sub):
                return a - b
            return a * b if isinstance(node.op, ast.Mult) else a / b
        except (ZeroDivisionError, OverflowError, TypeError) as error:
            raise ValueError(f"parse: {error} (column {node.col_offset + 1})") from None

    def _power(self, node: ast.BinOp, depth: int) -> Any:
        """Schedules to a power; counts such as 10**6: small integers only, so that no text makes a number that takes long."""
        base, exponent = self._operand(node.left, depth), self._operand(node.right, depth)
        if isinstance(base, Schedule) and not isinstance(exponent, Schedule):
            return base**exponent
        if not (isinstance(base, int) and isinstance(exponent, int) and abs(base) <= 1000 and 0 <= exponent <= 60):
            raise self._fail(node, "** with anything but integers (base up to 1000, exponent from 0 to 60)")
        power: int = base**exponent
        return power

    def _call(self, node: ast.Call, depth: int) -> Schedule:
        args = [self.read(arg, depth + 1) for arg in node.args]
        kwargs = {}
        for keyword in node.keywords:
            if keyword.arg is None:
                raise self._fail(keyword.value, "**")
            if keyword.arg in kwargs:
                raise self._fail(keyword.value, f"giving {keyword.arg!r} twice")
            kwargs[keyword.arg] = self.read(keyword.value, depth + 1)
        function, target = self._called(node.func, depth)
        try:
            signature_of(function).bind(*target, *args, **kwargs)
        except TypeError as error:
            raise ValueError(f"parse: {function.__name__}: {error}") from None
        return function(*target, *args, **kwargs)

    def _called(self, node: ast.expr, depth: int) -> tuple[Callable[..., Schedule], list[Schedule]]:
        """What is called, and what it is applied to if it is a method."""
        if isinstance(node, ast.Name):
            curve = None if node.id in METHODS else find(node.id)
            if curve is None:
                raise ValueError(f"parse: {node.id!r} is not a curve")
            return curve, []
        if isinstance(node, ast.Attribute):
            if node.attr not in METHODS:
                raise ValueError(f"parse: {node.attr!r} is not a method of schedules")
            target = self.read(node.value, depth + 1)
            if not isinstance(target, Schedule):
                raise self._fail(node, f"a method of {describe(target)}")
            return function_of(node.attr), [target]
        raise self._fail(node)

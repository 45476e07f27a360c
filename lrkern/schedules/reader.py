"""The parser for expressions of schedules: a small subset of Python, and nothing beyond it.

    expression  signs operand, or two expressions with + - * / ** between them, binding as in Python
    operand     number | string | True | False | None | (expression) | [expression, ...] | (expression, ...)
                | {expression: expression, ...} | name(arguments) | dialect.name(arguments)
                | dialect.name(arguments).name | operand.name(arguments)
    arguments   expression, ..., name=expression, ...

Values are built while the text is read, in time proportional to its length: one regular expression splits it into tokens,
each token is visited once, and the size of integers is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice
from keyword import iskeyword
from operator import add, mul, sub, truediv
from typing import TYPE_CHECKING, Any

from lrkern import _core
from lrkern._checks import cut, describe
from lrkern._core import Expression
from lrkern.schedules.names import METHODS, Builder, call, dialects, find, find_in_dialect

if TYPE_CHECKING:
    from lrkern.schedules.expression import Schedule

MAX_TEXT = 1_000_000  # characters
MAX_NESTING = _core.MAX_DEPTH  # brackets within brackets
MAX_LEVELS = 3 * MAX_NESTING  # expressions within expressions: per bracket a sum and a product in it
_MAX_DIGITS = 310  # of an integer; no argument takes larger ones
_MAX_INTEGER = 10**_MAX_DIGITS

# Anything outside the language becomes a token as well, so that errors can name it: a single character, or an unclosed string
# with everything after it, which is thus scanned only once.
_TEXT = r"""'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+\""""
_TOKEN = re.compile(
    rf"""(?:\s|\#[^\n]*+)*+                                   # blanks and comments
    (?:(
        0[xX]\w*+ | \.?[0-9](?:[eE][-+]|[0-9A-Za-z_.])*+     # numbers, and malformed ones
      | (?:[A-Za-z_]|[^\x00-\x7f])(?:\w|[^\x00-\x7f\s])*+    # names
      | {_TEXT} | ['"](?s:.)*+
      | \*\* | [^\s]
    ) | \Z)""",
    re.VERBOSE,
)
_DIGITS = frozenset("0123456789")
_PREFIXES = ("0x", "0X", "0o", "0O", "0b", "0B")
_CONSTANTS = {"True": True, "False": False, "None": None}
_BINDING = {"+": 1, "-": 1, "*": 2, "/": 2, "**": 3}
_OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {"+": add, "-": sub, "*": mul, "/": truediv}
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t"}


class Reader:
    """Reads one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = _TOKEN.findall(text)  # the last one is empty
        self._next = self._brackets = self._levels = 0

    def read(self) -> Any:
        """The value of the whole text."""
        value = self._expression(0)
        if self._tokens[self._next]:
            raise self._unexpected()
        return value

    def _fail(self, what: str, token: int) -> ValueError:
        """An error at a token; its position is found by a second scan."""
        match = next(islice(_TOKEN.finditer(self._text), token, None))
        at = match.start(1) if match[1] else len(self._text)
        line, column = self._text.count("\n", 0, at) + 1, at - self._text.rfind("\n", 0, at)
        return ValueError(f"parse: {what} ({f'line {line}, ' if line > 1 else ''}column {column})")

    def _unexpected(self) -> ValueError:
        token = self._tokens[self._next]
        if not token:
            return self._fail("the text ends where more is expected", self._next)
        if token[0] in "'\"" and not _is_text(token):
            return self._fail(f"the quote {token[0]} is not closed", self._next)
        return self._fail(f"{_short(token)} is not allowed here", self._next)

    def _expression(self, binding: int) -> Any:
        """Operands joined by operators of at least this precedence."""
        at, token = self._next, self._tokens[self._next]
        if token[:1] in _DIGITS and _BINDING.get(self._tokens[at + 1], 0) < (binding or 1):
            self._next += 1  # fast path: a number alone, the most common operand
            return self._number(token, at)
        self._levels += 1
        if self._levels > MAX_LEVELS:
            raise ValueError(f"parse: the expression may be nested {MAX_LEVELS} levels deep at most")
        begin = at
        value = self._signed(begin) if token in ("+", "-") else self._operand()
        while True:
            at, operator = self._next, self._tokens[self._next]
            binds = _BINDING.get(operator, -1)
            if binds < binding or binds < 0:
                break
            self._next += 1
            right = self._expression(3 if binds == 3 else binds + 1)
            self._check_operand(value, begin)
            self._check_operand(right, at + 1)
            value = self._operate(operator, value, right, at)
        self._levels -= 1
        return value

    def _signed(self, begin: int) -> Any:
        minus = 0
        while self._tokens[self._next] in ("+", "-"):
            minus += self._tokens[self._next] == "-"
            self._next += 1
        value = self._expression(3)
        self._check_operand(value, begin)
        for _ in range(minus):
            value = -value
        return value

    def _check_operand(self, value: Any, at: int) -> None:
        if isinstance(value, bool) or not isinstance(value, (int, float, Expression)):
            raise self._fail(f"arithmetic with {describe(value)} is not allowed", at)

    def _operate(self, operator: str, a: Any, b: Any, at: int) -> Any:
        # For counts such as 10**6. Small integers only, so that no text builds a huge number.
        if operator == "**" and not isinstance(a, Expression):
            if not (isinstance(a, int) and isinstance(b, int) and abs(a) <= 1000 and 0 <= b <= 60):
                raise self._fail("** is only allowed between integers (base up to 1000, exponent from 0 to 60)", at)
            return a**b
        try:
            value = a**b if operator == "**" else _OPERATIONS[operator](a, b)
        except (ZeroDivisionError, OverflowError, TypeError) as error:
            raise self._fail(str(error), at) from None
        if isinstance(value, int) and abs(value) >= _MAX_INTEGER:
            raise self._fail(f"an integer of more than {_MAX_DIGITS} digits is not allowed", at)
        return value

    def _operand(self) -> Any:
        """One value, and the methods called on it."""
        at, token = self._next, self._tokens[self._next]
        first = token[:1]
        value: Any
        if first in _DIGITS or (first == "." and len(token) > 1):
            self._next += 1
            value = self._number(token, at)
        elif first in _CLOSING:
            value = self._bracketed(token)
        elif _is_text(token):
            self._next += 1
            value = self._unescaped(token, at)
        elif token in _CONSTANTS:
            self._next += 1
            value = _CONSTANTS[token]
        elif token.isidentifier() and not iskeyword(token):
            value = self._named(token)
        else:
            raise self._unexpected()
        while self._tokens[self._next] == ".":
            value = self._method(value, at)
        return value

    def _number(self, token: str, at: int) -> int | float:
        whole = token[:2] in _PREFIXES or not ("." in token or "e" in token or "E" in token)
        if whole and len(token) > _MAX_DIGITS:
            raise self._fail(f"{_short(token)} is not allowed, an integer of more than {_MAX_DIGITS} digits", at)
        try:
            return int(token, 0) if whole else float(token)
        except ValueError:
            raise self._fail(f"{_short(token)} is not a number", at) from None

    def _unescaped(self, token: str, at: int) -> str:
        def character(found: re.Match[str]) -> str:
            code = found[1] or found[2] or found[3]
            if code and int(code, 16) <= 0x10FFFF:
                return chr(int(code, 16))
            if code or found[4] not in _ESCAPED:
                raise self._fail(f"{found[0]!r} in a string is not allowed", at)
            return _ESCAPED[found[4]]

        return _ESCAPE.sub(character, token[1:-1]) if "\\" in token else token[1:-1]

    def _open(self) -> None:
        self._next += 1
        self._brackets += 1
        if self._brackets > MAX_NESTING:
            raise ValueError(f"parse: brackets may be nested {MAX_NESTING} deep at most")

    def _more(self, closing: str) -> bool:
        """Whether a bracket continues after one of its items; consumes the comma or the closing bracket."""
        token = self._tokens[self._next]
        if token == "," or token == closing:
            self._next += 1
            if token == "," and self._tokens[self._next] != closing:
                return True
            self._next += token == ","
            self._brackets -= 1
            return False
        raise self._unexpected()

    def _bracketed(self, opening: str) -> Any:
        """A list, a dict, or an expression in parentheses."""
        closing = _CLOSING[opening]
        self._open()
        items: list[Any] = []
        pairs: dict[Any, Any] = {}
        if self._tokens[self._next] == closing:
            self._next += 1
            self._brackets -= 1
            return pairs if opening == "{" else items
        while True:
            at = self._next
            items.append(self._expression(0))
            if opening == "{":
                self._pair(pairs, items.pop(), at)
            if not self._more(closing):
                break
        if opening == "{":
            return pairs
        single = opening == "(" and len(items) == 1 and self._tokens[self._next - 2] != ","
        return items[0] if single else items

    def _pair(self, pairs: dict[Any, Any], key: Any, at: int) -> None:
        """A key and the value that follows it; keys are strings or integers."""
        if self._tokens[self._next] != ":":
            raise self._unexpected()
        if type(key) not in (str, int):
            raise self._fail(f"a dict with the key {describe(key)} is not allowed", at)
        if key in pairs:
            raise self._fail(f"giving {_short(str(key))} twice is not allowed", at)
        self._next += 1
        pairs[key] = self._expression(0)

    def _named(self, name: str) -> Schedule:
        """The call of a curve, or of a function of a dialect."""
        self._next += 1
        if self._tokens[self._next] == "." and name in dialects():
            return self._of_dialect(name)
        if self._tokens[self._next] != "(":
            raise ValueError(f"parse: {_short(name)} is not a value; curves are called, as in cosine(0.1, 0.0, 1000)")
        curve = None if name in METHODS else find(name)
        if curve is None:
            raise ValueError(f"parse: {_short(name)} is not a curve")
        return self._called(curve.__name__, curve, [])

    def _of_dialect(self, dialect: str) -> Schedule:
        """The call of a function of a dialect; the next token is the dot."""
        at = self._next + 1
        self._next = at + 1
        name = self._tokens[at]
        if not name.isidentifier() or self._tokens[self._next] != "(":
            raise self._fail(f"{dialect}.{cut(name)} is not a value; dialects are called, as in torch.StepLR(0.1, 30)", at)
        function = find_in_dialect(dialect, name)
        if function is None:
            raise ValueError(f"parse: {_short(name)} is not a schedule of lrkern.dialects.{dialect}")
        made = self._called(f"{dialect}.{name}", function, [])
        several: Any = made
        if isinstance(several, tuple) and hasattr(several, "_fields"):
            return self._one_of(f"{dialect}.{name}", several)
        if not isinstance(made, Expression):
            raise self._fail(f"{dialect}.{name} returns {describe(made)}, not a schedule: it is not allowed", at)
        return made

    def _one_of(self, where: str, made: Any) -> Schedule:
        """One of several schedules that a dialect gives together, by its name; the next token is the dot."""
        at, names = self._next, tuple(made._fields)
        field = self._tokens[at + 1] if self._tokens[at] == "." else ""
        if field not in names or self._tokens[at + 2] == "(":
            one = " or ".join([", ".join(f".{name}" for name in names[:-1]), f".{names[-1]}"])
            raise self._fail(f"{where} gives {len(names)} schedules: write {one} after it to take one", at)
        self._next = at + 2
        one_of_them: Schedule = getattr(made, field)
        return one_of_them

    def _method(self, target: Any, begin: int) -> Schedule:
        """The call of a method; the next token is the dot."""
        self._next += 1
        name = self._tokens[self._next]
        if not name.isidentifier():
            raise self._unexpected()
        if name not in METHODS:
            raise ValueError(f"parse: {_short(name)} is not a method of schedules")
        self._next += 1
        if self._tokens[self._next] != "(":
            raise self._unexpected()
        if not isinstance(target, Expression):
            raise self._fail(f"a method of {describe(target)} is not allowed", begin)
        return self._called(name, METHODS[name], [target])

    def _called(self, name: str, function: Builder, target: list[Any]) -> Schedule:
        args, kwargs = self._arguments()
        return call(f"parse: {name}", function, [*target, *args], kwargs)

    def _arguments(self) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments; the next token is the opening parenthesis."""
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        self._open()
        if self._tokens[self._next] == ")":
            self._next += 1
            self._brackets -= 1
            return args, kwargs
        while True:
            at, name = self._next, self._tokens[self._next]
            if name.isidentifier() and self._tokens[at + 1] == "=":
                if name in kwargs:
                    raise self._fail(f"giving {_short(name)} twice is not allowed", at)
                self._next += 2
                kwargs[name] = self._expression(0)
            elif kwargs:
                raise self._fail("a positional argument after a keyword argument is not allowed", at)
            else:
                args.append(self._expression(0))
            if not self._more(")"):
                return args, kwargs


def _is_text(token: str) -> bool:
    """Whether a token is a complete string, with both of its quotes."""
    return token[:1] in ("'", '"') and re.fullmatch(_TEXT, token) is not None


def _short(token: str) -> str:
    return cut(repr(token[:100]), 63)

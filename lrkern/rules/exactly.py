"""Rules, executed: the function itself over one element at a time, each operation exact and then rounded once.

Independent of how rules are read and compiled: Python runs the function, on numbers that know whether they are scalars, in
float64, or elements, in T. Each operation is rounded once; infinities and NaN follow IEEE 754.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from lrkern.rules.rule import Part, Rule


def rounded(exact: Fraction, dtype: type[Any]) -> Any:
    """A fraction in a type, rounded to nearest, ties to even; 0 is +0."""
    try:
        near = exact.numerator / exact.denominator  # of integers: correctly rounded
    except OverflowError:
        return dtype(math.inf if exact > 0 else -math.inf)
    if dtype is np.float64:
        return np.float64(near)
    with np.errstate(all="ignore"):
        made = np.float32(near)
        rest = exact - Fraction(near)
        if rest and math.isfinite(float(made)):
            # `near` may lie half way between two float32 numbers where the fraction does not.
            made = np.float32(np.nextafter(near, math.inf if rest > 0 else -math.inf) if _is_tie(near, made) else near)
    return made


def _is_tie(x: float, nearest: Any) -> bool:
    other = np.nextafter(nearest, np.float32(math.inf if x > nearest else -math.inf), dtype=np.float32)
    return math.isfinite(float(other)) and Fraction(x) * 2 == Fraction(float(nearest)) + Fraction(float(other))


class Number:
    """A scalar (float64), or an element (T)."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: Any, dtype: Any = None) -> None:
        self.dtype = dtype  # None: a scalar
        with np.errstate(all="ignore"):
            self.value = (dtype or np.float64)(value)

    def _with(self, other: Any, operation: Callable[[Any, Any], Any], turned: bool = False) -> Any:
        a, b = alike(self, other)
        with np.errstate(all="ignore"):
            # NumPy's operations on numbers of one type are IEEE 754's, correctly rounded.
            result = operation(b.value, a.value) if turned else operation(a.value, b.value)
        return Number(result, a.dtype) if isinstance(result, np.floating) else bool(result)

    def __add__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a + b)

    def __radd__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a + b, True)

    def __sub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a - b, True)

    def __mul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a * b)

    def __rmul__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a * b, True)

    def __truediv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a / b)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a / b, True)

    def __neg__(self) -> Any:
        return Number(-self.value, self.dtype)

    def __pow__(self, exponent: Any) -> Any:
        if exponent == 2 and not isinstance(exponent, Whole):
            return self * self
        if exponent == 0.5:
            return WORDS["sqrt"](self)
        return Power(self.value, int(exponent))

    def __lt__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a < b)

    def __le__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a <= b)

    def __gt__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a > b)

    def __ge__(self, other: Any) -> Any:
        return self._with(other, lambda a, b: a >= b)

    def __eq__(self, other: object) -> Any:
        return self._with(other, lambda a, b: a == b)

    def __ne__(self, other: object) -> Any:
        return self._with(other, lambda a, b: a != b)


class Whole(int):
    """An integer that depends on n: a power of it is exact, even if it is 2."""

    def __add__(self, other: Any) -> Any:
        return _whole(int(self), other, int.__add__)

    def __sub__(self, other: Any) -> Any:
        return _whole(int(self), other, int.__sub__)

    def __mul__(self, other: Any) -> Any:
        return _whole(int(self), other, int.__mul__)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: Any) -> Any:
        return _whole(-int(self), other, int.__add__)


def _whole(a: int, other: Any, operation: Callable[[int, int], int]) -> Any:
    return Whole(operation(a, int(other))) if isinstance(other, int) else NotImplemented


class Power(Number):
    """base^n, exact until it is used."""

    def __init__(self, base: Any, n: int) -> None:
        self.exact = Fraction(float(base)) ** n
        super().__init__(rounded(self.exact, np.float64))

    def __rsub__(self, other: Any) -> Any:
        if not isinstance(other, Number) and other == 1:
            return Number(rounded(1 - self.exact, np.float64))
        return super().__rsub__(other)


def as_number(x: Any) -> Number:
    """A number, as one of these."""
    return x if isinstance(x, Number) else Number(x)


def alike(*given: Any) -> list[Number]:
    """Numbers in the type of an operation on them: elements if one of them is."""
    numbers = [as_number(one) for one in given]
    dtype = next((one.dtype for one in numbers if one.dtype is not None), None)
    return numbers if dtype is None else [Number(one.value, dtype) for one in numbers]


def fma(a: Any, b: Any, c: Any) -> Number:
    """a b + c, rounded once."""
    numbers = alike(a, b, c)
    dtype, values = numbers[0].dtype, [float(one.value) for one in numbers]
    for value in values:
        if math.isnan(value):  # the first one, with its sign
            return Number(value, dtype)
    if not all(map(math.isfinite, values)):
        with np.errstate(all="ignore"):
            # The product of finite numbers must not overflow next to an infinity.
            finite = math.isfinite(values[0]) and math.isfinite(values[1])
            return Number(values[2] if finite else np.float64(values[0]) * np.float64(values[1]) + np.float64(values[2]), dtype)
    exact = Fraction(values[0]) * Fraction(values[1]) + Fraction(values[2])
    if exact == 0:  # the signs decide if product and summand are both 0
        return Number(values[0] * values[1] + values[2] if values[2] == 0 else 0.0, dtype)
    result = rounded(exact, dtype or np.float64)
    if result == 0:
        result = math.copysign(0.0, exact)
    return Number(result, dtype)


def _of_one(function: Callable[[Any], Any]) -> Callable[[Any], Number]:
    def word(x: Any) -> Number:
        number = as_number(x)
        with np.errstate(all="ignore"):
            return Number(function(number.value), number.dtype)

    return word


def minimum(a: Any, b: Any) -> Number:
    """The smaller one; NaN if one of them is."""
    x, y = alike(a, b)
    return x if x <= y or x != x else y


def maximum(a: Any, b: Any) -> Number:
    """The larger one; NaN if one of them is."""
    x, y = alike(a, b)
    return x if x >= y or x != x else y


def sign(x: Any) -> Number:
    """1, -1, or x itself if it is 0 or NaN."""
    x = as_number(x)
    return Number(1.0, x.dtype) if x > 0 else Number(-1.0, x.dtype) if x < 0 else x


WORDS: dict[str, Callable[..., Any]] = {
    "fma": fma,
    "sqrt": _of_one(np.sqrt),
    "abs": _of_one(np.abs),
    "sign": sign,
    "minimum": minimum,
    "maximum": maximum,
    "isfinite": lambda x: bool(np.isfinite(as_number(x).value)),
}


def executable(function: Any, n: int) -> Any:
    """The function with the words, and the parts that it calls, as functions."""
    scope = {**function.__globals__, **WORDS, "n": Whole(n)}
    for name, one in function.__globals__.items():
        if isinstance(one, Part):
            scope[name] = partial(_call_part, one, n)
    made = types.FunctionType(function.__code__, scope)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _call_part(one: Part, n: int, *arguments: Any) -> Any:
    return executable(one.function, n)(*arguments)


def step(
    rule: Rule, variant: str, inputs: Mapping[str, float], n: int, param: Any, grad: Any, states: Sequence[Any]
) -> tuple[Any, list[Any]]:
    """The new parameter and states of update number n; `inputs` by name, flags as booleans. The rule takes no norms."""
    function, dtype = executable(rule.function, n), param.dtype.type
    flags = {one.name for one in rule.hypers if one.is_flag}
    scalars = {name: bool(value) if name in flags else Number(value) for name, value in inputs.items()}
    scalars |= rule.variants[variant]
    kept = rule.parts(variant).states
    out = [np.empty_like(param), *(np.empty_like(one) for one in states)]
    for i in range(param.size):
        own = dict(zip(kept, states, strict=True))
        elements = [Number(own[name][i], dtype) if name in own else Number(0, dtype) for name in rule.states]
        result = function(Number(param[i], dtype), Number(grad[i], dtype), *elements, **scalars)
        result = result if isinstance(result, tuple) else (result,)
        named = dict(zip(("", *rule.states), result, strict=True))
        for array, name in zip(out, ("", *kept), strict=True):
            array[i] = as_number(named[name]).value
    return out[0], out[1:]

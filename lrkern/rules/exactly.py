"""Rules, executed: the function itself over one element at a time, each operation exact and then rounded once.

Independent of how rules are read and compiled: Python runs the function, on numbers that know whether they are scalars, in
float64, or elements, in T. Each operation is rounded once; infinities and NaN follow IEEE 754. A norm, mean or count is taken
in a first run, in which it is 1, from the values that the elements have there; the documentation ("Steps") defines its bits.
"""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
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
        if isinstance(exponent, Number):
            return real_power(self.value, exponent.value)
        if exponent == 2 and not isinstance(exponent, Whole):
            return self * self
        if exponent == 0.5:
            return WORDS["sqrt"](self)
        return Power(self.value, exponent) if isinstance(exponent, int) else real_power(self.value, exponent)

    def __rpow__(self, base: Any) -> Any:
        return real_power(base, self.value)

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
        self.exact: Fraction | None = None
        if math.isfinite(base) and (base != 0 or n >= 0):
            self.exact = Fraction(float(base)) ** n
            super().__init__(rounded(self.exact, np.float64))
        else:
            with np.errstate(all="ignore"):
                super().__init__(np.float64(base) ** n)

    def __rsub__(self, other: Any) -> Any:
        if self.exact is not None and not isinstance(other, Number) and other == 1:
            return Number(rounded(1 - self.exact, np.float64))
        return super().__rsub__(other)


def real_power(base: Any, exponent: Any) -> Number:
    """base^exponent, rounded once; NaN for a negative base."""
    base, exponent = float(base), float(exponent)
    if exponent == 0 or base == 1:
        return Number(1.0)
    if base < 0 or math.isnan(base) or math.isnan(exponent):
        return Number(math.nan)
    if base == 0 or math.isinf(base) or math.isinf(exponent):
        return Number(math.inf if (base > 1) == (exponent > 0) else 0.0)
    precise = Context(prec=60, Emin=-9999999, Emax=9999999)
    return Number(rounded(Fraction(precise.power(Decimal(base), Decimal(exponent))), np.float64))


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


_BLOCK, _LANES = 1024, 16  # of the sums of a tensor


def sum_of(terms: Sequence[float]) -> float:
    """The sum as steps compute it: exact over blocks, in whose 16 lanes each addition is rounded."""
    total, special = Fraction(0), 0.0
    for begin in range(0, len(terms), _BLOCK):
        lanes = [0.0] * _LANES
        for j, one in enumerate(terms[begin : begin + _BLOCK]):
            lanes[j % _LANES] += one
        width = _LANES // 2
        while width:
            lanes = [lanes[j] + lanes[j + width] for j in range(width)]
            width //= 2
        if math.isfinite(lanes[0]):
            total += Fraction(lanes[0])
        else:
            special += lanes[0]
    return special if special != 0 else float(rounded(total, np.float64))


def norm_of(values: Sequence[float]) -> float:
    """The norm as steps compute it."""
    with np.errstate(all="ignore"):
        return math.sqrt(sum_of([float(np.float64(one) * np.float64(one)) for one in values]))


_OF_TENSOR: dict[str, Callable[[Sequence[float]], Any]] = {
    "norm": norm_of,
    "mean": lambda values: Number(sum_of(values)) / Number(float(len(values))),
    "count": sum_of,
}


class _Whole:
    """The words that look at all elements: each place in the text has its own values, and its result."""

    def __init__(self) -> None:
        self.values: dict[Any, tuple[str, list[float]]] = {}
        self.results: dict[Any, Any] = {}

    def word(self, name: str) -> Callable[[Any], Any]:
        def of_tensor(x: Any) -> Any:
            caller = sys._getframe(1)
            place = caller.f_code, caller.f_lasti
            if self.results:
                return self.results.get(place, Number(1.0))
            self.values.setdefault(place, (name, []))[1].append(float(x) if isinstance(x, bool) else float(as_number(x).value))
            return Number(1.0)

        return of_tensor

    def finish(self, size: int) -> None:
        """Compute the results for so many elements."""
        for name, values in self.values.values():
            if len(values) != size:
                wanted = "must be in a line of its own here, not within a choice between elements"
                raise ValueError(f"{name} {wanted}: Python computes only one branch")
        self.results = {place: as_number(_OF_TENSOR[name](values)) for place, (name, values) in self.values.items()}


def executable(function: Any, n: int, whole: _Whole) -> Any:
    """The function with the words, and the parts that it calls, as functions."""
    scope = {**function.__globals__, **WORDS, **{name: whole.word(name) for name in _OF_TENSOR}, "n": Whole(n)}
    for name, one in function.__globals__.items():
        if isinstance(one, Part):
            scope[name] = partial(_call_part, one, n, whole)
    made = types.FunctionType(function.__code__, scope)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _call_part(one: Part, n: int, whole: _Whole, *arguments: Any) -> Any:
    return executable(one.function, n, whole)(*arguments)


def step(
    rule: Rule,
    variant: str,
    inputs: Mapping[str, float],
    n: int,
    param: Any,
    grad: Any,
    states: Sequence[Any],
    scalars: Sequence[float] = (),
) -> tuple[Any, list[Any], list[float]]:
    """The new parameter, states and scalar states of update number n; `inputs` by name, flags as booleans."""
    whole, dtype = _Whole(), param.dtype.type
    function = executable(rule.function, n, whole)
    flags = {one.name for one in rule.hypers if one.is_flag}
    given = {name: bool(value) if name in flags else Number(value) for name, value in inputs.items()}
    given |= rule.variants[variant]
    kept = rule.parts(variant).states
    own = dict(zip(kept, states, strict=True))

    def run(i: int | None) -> dict[str, Any]:
        """What the function returns for element i, or, of no element, for 0."""

        def at(array: Any) -> Number:
            return Number(0 if i is None else array[i], dtype)

        elements = [at(own[name]) if name in own else Number(0, dtype) for name in rule.states]
        result = function(at(param), at(grad), *elements, *map(Number, scalars), **given)
        names = ("", *rule.states, *rule.scalar_states)
        return dict(zip(names, result if isinstance(result, tuple) else (result,), strict=True))

    if rule.parts(variant).needs_norms:
        for i in range(param.size):
            run(i)
        whole.finish(param.size)
    out = [np.empty_like(param), *(np.empty_like(one) for one in states)]
    named: dict[str, Any] = {}
    for i in range(param.size):
        named = run(i)
        for array, name in zip(out, ("", *kept), strict=True):
            array[i] = as_number(named[name]).value
    if not param.size and rule.scalar_states:
        named = run(None)
    return out[0], out[1:], [float(as_number(named[name]).value) for name in rule.scalar_states]

"""Rules, executed: each function over one element at a time, each operation on numbers that round it once.

Independent of how rules are read: Python runs the function itself, on numbers that know what is a scalar and what is in T.
"""

from __future__ import annotations

import types
from fractions import Fraction
from functools import partial

import numpy as np
import reference_steps

from lrkern.rules.rule import Part


class Number:
    """A scalar (float64), or an element (T), and what one operation makes of two."""

    def __init__(self, value, dtype=None):
        self.dtype = dtype  # None: a scalar
        self.value = np.float64(value) if dtype is None else dtype(value)

    def _with(self, other, operation, turned=False):
        if isinstance(other, Power):
            other = other.rounded()
        if not isinstance(other, Number):
            other = Number(other)
        dtype = self.dtype or other.dtype
        a, b = (one.value if dtype is None else dtype(one.value) for one in (self, other))
        with np.errstate(all="ignore"):
            result = operation(b, a) if turned else operation(a, b)
        return Number(result, dtype) if isinstance(result, np.floating) else bool(result)

    def __add__(self, other):
        return self._with(other, lambda a, b: a + b)

    def __radd__(self, other):
        return self._with(other, lambda a, b: a + b, True)

    def __sub__(self, other):
        return self._with(other, lambda a, b: a - b)

    def __rsub__(self, other):
        return self._with(other, lambda a, b: a - b, True)

    def __mul__(self, other):
        return self._with(other, lambda a, b: a * b)

    def __rmul__(self, other):
        return self._with(other, lambda a, b: a * b, True)

    def __truediv__(self, other):
        return self._with(other, lambda a, b: a / b)

    def __rtruediv__(self, other):
        return self._with(other, lambda a, b: a / b, True)

    def __neg__(self):
        return Number(-self.value, self.dtype)

    def __pow__(self, exponent):
        assert self.dtype is None
        return Power(self.value, int(exponent))

    def __lt__(self, other):
        return self._with(other, lambda a, b: a < b)

    def __le__(self, other):
        return self._with(other, lambda a, b: a <= b)

    def __gt__(self, other):
        return self._with(other, lambda a, b: a > b)

    def __ge__(self, other):
        return self._with(other, lambda a, b: a >= b)

    def __eq__(self, other):
        return self._with(other, lambda a, b: a == b)

    def __ne__(self, other):
        return self._with(other, lambda a, b: a != b)

    __hash__ = None


class Power:
    """base^n, exact until it is used."""

    def __init__(self, base, n):
        self.base, self.n = base, n

    def rounded(self):
        return Number(1.0 - float(reference_steps.one_minus_power(self.base, self.n))) if self.n > 50 else self._exactly()

    def _exactly(self):
        exact = Fraction(float(self.base)) ** self.n
        return Number(exact.numerator / exact.denominator)

    def __rsub__(self, other):
        assert other == 1
        return Number(reference_steps.one_minus_power(self.base, self.n))

    def __mul__(self, other):
        return self.rounded() * other

    def __rmul__(self, other):
        return other * self.rounded()

    def __truediv__(self, other):
        return self.rounded() / other


def as_number(x):
    return x.rounded() if isinstance(x, Power) else x if isinstance(x, Number) else Number(x)


def fma(a, b, c):
    a, b, c = (as_number(one) for one in (a, b, c))
    dtype = a.dtype or b.dtype or c.dtype
    made = [np.array([one.value], dtype or np.float64) for one in (a, b, c)]
    with np.errstate(all="ignore"):
        return Number(reference_steps.fma(*made)[0], dtype)


def of_one(function):
    def word(x):
        x = as_number(x)
        with np.errstate(all="ignore"):
            return Number(function(x.value), x.dtype)

    return word


def alike(a, b):
    a, b = as_number(a), as_number(b)
    dtype = a.dtype or b.dtype
    return Number(a.value, dtype), Number(b.value, dtype)


def minimum(a, b):
    a, b = alike(a, b)
    return a if a <= b or a != a else b


def maximum(a, b):
    a, b = alike(a, b)
    return a if a >= b or a != a else b


def sign(x):
    return Number(1.0, x.dtype) if x > 0 else Number(-1.0, x.dtype) if x < 0 else x


WORDS = {
    "fma": fma,
    "sqrt": of_one(np.sqrt),
    "abs": of_one(np.abs),
    "sign": sign,
    "minimum": minimum,
    "maximum": maximum,
    "isfinite": lambda x: bool(np.isfinite(as_number(x).value)),
}


def executable(function, n):
    """The function with the words, and the parts that it calls, as functions."""
    scope = {**function.__globals__, **WORDS, "n": n}
    for name, one in function.__globals__.items():
        if isinstance(one, Part):
            scope[name] = partial(_call_part, one, n)
    made = types.FunctionType(function.__code__, scope)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _call_part(one, n, *arguments):
    return executable(one.function, n)(*arguments)


def step(rule, variant, inputs, n, param, grad, states):
    """The new parameter and states of update number n; `inputs` by name, flags as booleans."""
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

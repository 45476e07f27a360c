"""Rules as functions that Numba and CUDA compile.

A variant of a rule becomes a `Family`:

- `inputs`: the inputs of a step as a NamedTuple, all float64, in the order of C (0.0 or 1.0 for a flag);
- `scalars(h, t)`: its `scalars_type`, float64, computed once per step from the inputs and a `Tensor`;
- `scalar_states(h, t)`: the scalar states after this update, as many as `Tensor` has;
- `update(c, p, g, s0, s1, ...)`: the new (p, s0, s1, ...). `c`: the scalars in T, by `primitives.rounded`; all others are
  numbers in T: the parameter, the gradient (scaled and clipped), the states, and any number for a state that is not used;
- `measured(c, p, g, s0, s1, ...)`: the element whose norm or sum is taken, or None.

In compiled code, `scalars`, `scalar_states` and `term` of this module dispatch on the type of their first
argument.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba.extending import overload

from lrkern.pointwise import primitives
from lrkern.pointwise.primitives import FLAGS, number, pointwise, word
from lrkern.rules.python_text import text_of
from lrkern.rules.reader import MAX_SCALAR_STATES, MAX_STATES
from lrkern.rules.rule import COMPILE, REGISTRY, USERS, Rule, own_rules
from lrkern.rules.type_names import digest_of, tuple_type

STATES = MAX_STATES
"""The number of states that `update` takes."""


class Tensor(NamedTuple):
    """What the scalars of a rule depend on, besides its inputs: the twin of lrk_rule_tensor in C."""

    n: Any
    """The number of this update of the tensor, from 1."""
    norm: Any
    """The norm of the parameter; 1 before it is known."""
    measured: Any
    """The norm or sum of what the rule measures; 1 before it is known."""
    size: Any
    """The number of elements."""
    z0: Any
    """The first scalar state, and the second one."""
    z1: Any


SCALAR_STATES = len(("z0", "z1"))
assert SCALAR_STATES == MAX_SCALAR_STATES


@pointwise
def power_pair(high, low):
    """high + low as a double-double; without `low` where that is not a number, as `high` is infinite."""
    if high - high != 0.0:
        return high, 0.0
    total = high + low
    return total, low - (total - high)


@pointwise
def power_and_rest(base, n):
    """base^n in double-double arithmetic, by squaring: a relative error of about 2^-90. Negative powers are reciprocals."""
    power, power_low, square, square_low, negative = 1.0, 0.0, base, 0.0, n < 0
    if negative:
        n = -n
    while True:
        if n & 1:
            high = primitives.product(power, square)
            low = primitives.fma(power, square, -high) + (
                primitives.product(power, square_low) + primitives.product(power_low, square)
            )
            power, power_low = power_pair(high, low)
        n >>= 1
        if n == 0:
            break
        high = primitives.product(square, square)
        low = primitives.fma(square, square, -high) + primitives.product(2.0, primitives.product(square, square_low))
        square, square_low = power_pair(high, low)
    if negative:
        inverse, rest = 1.0 / power, 0.0
        if inverse - inverse == 0.0 and inverse != 0.0:
            rest = (primitives.fma(-inverse, power, 1.0) - primitives.product(inverse, power_low)) / power
        power, power_low = power_pair(inverse, rest)
    return power, power_low


@pointwise
def power(base, n):
    """base^n, rounded once."""
    high, _ = power_and_rest(base, n)
    return high


@pointwise
def one_minus_power(base, n):
    """1 - base^n without cancellation."""
    high, low = power_and_rest(base, n)
    gap = 1.0 - high
    if gap - gap != 0.0:
        return gap
    return gap + (((1.0 - gap) - high) - low)


@pointwise
def dd_sum(a, a_low, b, b_low):
    """The sum of two double-doubles."""
    total = a + b
    part = total - a
    rest = ((a - (total - part)) + (b - part)) + (a_low + b_low)
    high = total + rest
    return high, rest - (high - total)


@pointwise
def dd_product(a, a_low, b, b_low):
    """Their product."""
    p = primitives.product(a, b)
    rest = primitives.fma(a, b, -p) + (primitives.product(a, b_low) + primitives.product(a_low, b))
    high = p + rest
    return high, rest - (high - p)


@pointwise
def dd_over(a, a_low, b):
    """The quotient of a double-double and a number."""
    quotient = a / b
    rest = (primitives.fma(-quotient, b, a) + a_low) / b
    high = quotient + rest
    return high, rest - (high - quotient)


LN2_HIGH, LN2_LOW = 0.6931471805599453, 2.3190468138462996e-17


@pointwise
def dd_log(x):
    """ln x of a positive, finite x: x = 2^e f with f between 1/sqrt(2) and sqrt(2); ln f = 2 artanh((f - 1)/(f + 1))."""
    e, scale = 0.0, 1.3407807929942597e154  # 2^512
    if x < 2.2250738585072014e-308:
        x = primitives.product(x, 18446744073709551616.0)
        e = -64.0
    step = 512.0
    while step >= 1.0:
        if x >= scale:
            x = x / scale
            e = e + step
        if primitives.product(x, scale) < 1.0:
            x = primitives.product(x, scale)
            e = e - step
        scale = primitives.sqrt(scale)
        step = primitives.product(step, 0.5)
    if x < 0.7071067811865476:
        x = primitives.product(x, 2.0)
        e = e - 1.0
    if x > 1.4142135623730951:
        x = primitives.product(x, 0.5)
        e = e + 1.0
    total = x + 1.0
    part = total - x
    below = (x - (total - part)) + (1.0 - part)  # the rest of the sum
    ratio = (x - 1.0) / total
    ratio_low = (primitives.fma(-ratio, total, x - 1.0) - primitives.product(ratio, below)) / total
    square, square_low = dd_product(ratio, ratio_low, ratio, ratio_low)
    high, low = 0.0, 0.0
    k = 51.0
    while k >= 1.0:
        high, low = dd_product(high, low, square, square_low)
        one, one_low = dd_over(1.0, 0.0, k)
        high, low = dd_sum(high, low, one, one_low)
        k = k - 2.0
    high, low = dd_product(high, low, ratio, ratio_low)
    whole, whole_low = dd_product(LN2_HIGH, LN2_LOW, e, 0.0)
    return dd_sum(whole, whole_low, primitives.product(high, 2.0), primitives.product(low, 2.0))


@pointwise
def dd_exp(x, x_low):
    """e^x, rounded once unless it is subnormal: 2^k e^r with |r| <= ln(2)/2."""
    if not x < 710.0:
        return np.inf if x == x else x
    if x < -750.0:
        return 0.0
    k = np.int64(x / LN2_HIGH + (-0.5 if x < 0.0 else 0.5))
    whole, whole_low = dd_product(LN2_HIGH, LN2_LOW, -np.float64(k), 0.0)
    r, r_low = dd_sum(x, x_low, whole, whole_low)
    high, low, i = 1.0, 0.0, 24.0
    while i >= 1.0:
        high, low = dd_product(high, low, r, r_low)
        high, low = dd_over(high, low, i)
        high, low = dd_sum(high, low, 1.0, 0.0)
        i = i - 1.0
    while k > 0:
        high = primitives.product(high, 2.0)
        k = k - 1
    while k < 0:
        high = primitives.product(high, 0.5)
        k = k + 1
    return high


@pointwise
def real_power(base, exponent):
    """base^exponent for any exponent, rounded once unless it is subnormal; NaN for a negative base."""
    if exponent == 0.0 or base == 1.0:
        return 1.0
    if base == 0.0:
        return 0.0 if exponent > 0.0 else np.inf if exponent < 0.0 else exponent
    if not base > 0.0 or not exponent == exponent:  # noqa: SIM201 (see `primitives`)
        return np.nan
    if not (base - base == 0.0 and exponent - exponent == 0.0):
        return np.inf if (base > 1.0) == (exponent > 0.0) else 0.0
    high, low = dd_log(base)
    high, low = dd_product(high, low, exponent, 0.0)
    return dd_exp(high, low)


@pointwise
def minimum(a, b):
    """The smaller one; NaN if one of them is."""
    return b if a == a and not a <= b else a


@pointwise
def maximum(a, b):
    """The larger one; NaN if one of them is."""
    return b if a == a and not a >= b else a


@pointwise
def sign(x):
    """1, -1, or x itself if it is 0 or NaN."""
    return number(1.0, x) if x > 0 else number(-1.0, x) if x < 0 else x


@pointwise
def isfinite(x):
    """Whether x is neither infinite nor NaN."""
    return x - x == 0


_WORDS = {
    "fma": primitives.fma,
    "sqrt": primitives.sqrt,
    "number": number,
    "product": primitives.product,
    "power": power,
    "one_minus_power": one_minus_power,
    "real_power": real_power,
    "minimum": minimum,
    "maximum": maximum,
    "sign": sign,
    "isfinite": isfinite,
}


@dataclass(frozen=True)
class Family:
    """A variant of a rule in compiled code: see the module."""

    inputs: type[Any]
    scalars: Callable[..., Any]
    scalars_type: type[Any]
    scalar_states: Callable[..., Any] | None
    """None if it has none."""
    update: Callable[..., Any]
    measured: Callable[..., Any] | None
    sums: bool
    """Whether the sum of what is measured is needed, not the norm."""


WITH_TYPES: list[Callable[[type[Any]], None]] = []
"""Functions of compilers that must know each type of a family before it is used."""

_MADE: dict[tuple[int, str], Family] = {}
_BY_INPUTS: dict[type, Family] = {}
_BY_SCALARS: dict[type, Family] = {}


def family(rule: Rule, variant: str) -> Family:
    """The functions of a rule's variant."""
    key = id(rule), variant
    if key not in _MADE:
        made = _MADE[key] = _made(rule, variant)
        _BY_INPUTS[made.inputs], _BY_SCALARS[made.scalars_type] = made, made
    return _MADE[key]


COMPILE["family"] = family


def _made(rule: Rule, variant: str) -> Family:
    parts = rule.parts(variant)
    fields, coefs = [one.name for one in parts.hypers], [name for name, _ in parts.coefs]
    text, file = text_of(parts, STATES), f"<rule {variant}>"
    digest, name = digest_of(f"{fields}\n{coefs}\n{text}"), rule.name
    inputs, scalars_type = tuple_type("Inputs", name, digest, fields), tuple_type("Scalars", name, digest, coefs)
    for told in WITH_TYPES:
        told(inputs)
        told(scalars_type)
    scope: dict[str, Any] = {**_WORDS, "Scalars": scalars_type}
    linecache.cache[file] = len(text), None, text.splitlines(True), file
    exec(compile(text, file, "exec"), scope)
    names = ("scalars", "scalar_states", "update", "measured")
    functions: dict[str, Any] = {name: pointwise(scope[name]) if name in scope else None for name in names}
    return Family(inputs, **functions, scalars_type=scalars_type, sums=parts.measures_sum)


class _Families(Mapping[str, Family]):
    """The families by the names of rules in C, and by the keys of the user's rules, which are not listed."""

    def __getitem__(self, name: str) -> Family:
        found = REGISTRY.get(name) or USERS.get(name)
        return family(own_rules()[name] if found is None else found, name)

    def __iter__(self) -> Iterator[str]:
        return iter(own_rules())

    def __len__(self) -> int:
        return len(own_rules())


FAMILIES = _Families()


def functions_of(scalars: type[Any]) -> Family:
    """The functions of the rule with these scalars."""
    return _BY_SCALARS[scalars]


def has_scalar_states(inputs: type[Any]) -> bool:
    """Whether the rule with these inputs keeps scalar states."""
    return _BY_INPUTS[inputs].scalar_states is not None


scalars = word("scalars", "h, t")
scalar_states = word("scalar_states", "h, t")
term = word("term", "c, m")  # what a measured element contributes, in float64


# The functions themselves: one that only calls them would have to be compiled, too.


@overload(scalars, target="cpu", jit_options=FLAGS)
def _scalars(h, t):
    function: Any = _BY_INPUTS[h.instance_class].scalars
    return function.py_func


@overload(scalar_states, target="cpu", jit_options=FLAGS)
def _scalar_states(h, t):
    function: Any = _BY_INPUTS[h.instance_class].scalar_states
    return (lambda h, t: (t.z0, t.z1)) if function is None else function.py_func


@overload(term, target="cpu", jit_options=FLAGS)
def _term(c, m):
    if _BY_SCALARS[c.instance_class].sums:
        return lambda c, m: np.float64(m)
    return lambda c, m: primitives.product(np.float64(m), np.float64(m))

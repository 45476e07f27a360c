"""Rules as functions that Numba and CUDA compile.

A variant of a rule becomes a `Family`:

- `inputs`: the inputs of a step as a NamedTuple, all float64, in the order of C (0.0 or 1.0 for a flag);
- `scalars(h, n, norm_p, norm_m)`: its `scalars_type`, float64, computed once per step; n is the number of this update, from
  1; the norms are those of the parameter and of `measured`, or 1.0 if the rule needs none;
- `update(c, p, g, s0, s1, ...)`: the new (p, s0, s1, ...). `c`: the scalars in T, by `primitives.rounded`; all others are
  numbers in T: the parameter, the gradient (scaled and clipped), the states, and any number for a state that is not used;
- `measured(c, p, g, s0, s1, ...)`: the element whose norm is taken, or None.

In compiled code, `scalars`, `update` and `measured` of this module dispatch on the type of their first argument.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numba.extending import overload

from lrkern.pointwise import primitives
from lrkern.pointwise.primitives import FLAGS, number, pointwise, word
from lrkern.rules.python_text import text_of
from lrkern.rules.reader import MAX_STATES
from lrkern.rules.rule import COMPILE, REGISTRY, USERS, Rule, own_rules
from lrkern.rules.type_names import digest_of, tuple_type

STATES = MAX_STATES
"""The number of states that `update` takes."""


@pointwise
def power_and_rest(base, n):
    """base^n in double-double arithmetic, by squaring: a relative error of about 2^-90."""
    power, power_low, square, square_low = 1.0, 0.0, base, 0.0
    while True:
        if n & 1:
            high = primitives.product(power, square)
            low = primitives.fma(power, square, -high) + (
                primitives.product(power, square_low) + primitives.product(power_low, square)
            )
            power = high + low
            power_low = low - (power - high)
        n >>= 1
        if n == 0:
            break
        high = primitives.product(square, square)
        low = primitives.fma(square, square, -high) + primitives.product(2.0, primitives.product(square, square_low))
        square = high + low
        square_low = low - (square - high)
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
    return gap + (((1.0 - gap) - high) - low)


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
    update: Callable[..., Any]
    measured: Callable[..., Any] | None = None


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
    functions = {name: pointwise(scope[name]) for name in ("scalars", "update", "measured") if name in scope}
    return Family(inputs, functions["scalars"], scalars_type, functions["update"], functions.get("measured"))


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


scalars = word("scalars", "h, n, norm_p, norm_m")
update = word("update", "c, p, g, s0, s1, s2, s3, s4")
measured = word("measured", "c, p, g, s0, s1, s2, s3, s4")


@overload(scalars, target="cpu", jit_options=FLAGS)
def _scalars(h, n, norm_p, norm_m):
    function = _BY_INPUTS[h.instance_class].scalars
    return lambda h, n, norm_p, norm_m: function(h, n, norm_p, norm_m)


@overload(update, target="cpu", jit_options=FLAGS)
def _update(c, p, g, s0, s1, s2, s3, s4):
    function = _BY_SCALARS[c.instance_class].update
    return lambda c, p, g, s0, s1, s2, s3, s4: function(c, p, g, s0, s1, s2, s3, s4)


@overload(measured, target="cpu", jit_options=FLAGS)
def _measured(c, p, g, s0, s1, s2, s3, s4):
    function = _BY_SCALARS[c.instance_class].measured
    return None if function is None else lambda c, p, g, s0, s1, s2, s3, s4: function(c, p, g, s0, s1, s2, s3, s4)

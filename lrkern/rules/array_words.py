"""The words of a rule's array text, for `jax.numpy` and for torch. Numbers of Python stay numbers, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import import_module
from types import SimpleNamespace
from typing import Any

_NUMBERS = (bool, int, float)


def _is_number(*values: Any) -> bool:
    return all(isinstance(one, _NUMBERS) for one in values)


def divide(a: Any, b: Any) -> Any:
    """a / b; infinite or NaN instead of an error if b is 0."""
    if _is_number(a, b) and b == 0:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a * 1.0 / b


def power(base: Any, n: Any) -> Any:
    """base^n, of numbers, too, as kernels have it, where Python raises an error or leaves the real numbers."""
    if not _is_number(base, n):
        return base**n
    if base < 0 and n % 1 != 0:
        return math.nan
    try:
        return base**n
    except ZeroDivisionError:
        return math.inf
    except OverflowError:
        return -math.inf if base < 0 and n % 2 else math.inf


def opposite(condition: Any) -> Any:
    """Not the condition."""
    return condition ^ True


def _root(x: float) -> float:
    return math.sqrt(x) if x >= 0 else math.nan


def _log1p(x: float) -> float:
    return math.log1p(x) if x > -1 else -math.inf


def _expm1(x: float) -> float:
    try:
        return math.expm1(x)
    except OverflowError:
        return math.inf


def _sign(x: float) -> float:
    return 1.0 if x > 0 else -1.0 if x < 0 else x


def _minimum(a: float, b: float) -> float:
    return a if a <= b or a != a else b


def _maximum(a: float, b: float) -> float:
    return a if a >= b or a != a else b


class _Jax:
    """What differs between libraries, for JAX."""

    module = "jax.numpy"

    def __init__(self) -> None:
        self.xp: Any = import_module(self.module)

    def like(self, x: Any, other: Any) -> Any:
        """A number as an operand next to an array; a traced integer as the library's float."""
        return x if _is_number(x) or not self.xp.issubdtype(x.dtype, self.xp.integer) else x * 1.0

    def cast(self, x: Any, dtype: Any) -> Any:
        """An array in another type."""
        return x.astype(dtype)

    def is_condition(self, x: Any) -> bool:
        """Whether an array holds conditions."""
        return bool(x.dtype == bool)

    def full(self, x: Any, p: Any) -> Any:
        """A scalar as an array like p."""
        return self.xp.full_like(p, self.within(x, p.dtype))

    def within(self, x: Any, dtype: Any) -> Any:
        """A scalar; infinite if it is a number beyond those of a type."""
        return x if not _is_number(x) or abs(x) <= float(self.xp.finfo(dtype).max) else math.copysign(math.inf, x)

    def sign(self, x: Any) -> Any:
        """The sign of an array."""
        return self.xp.sign(x)


class _Torch(_Jax):
    """The same for torch."""

    module = "torch"

    def like(self, x: Any, other: Any) -> Any:
        if not _is_number(x):
            return x
        if isinstance(x, bool):  # next to conditions
            return self.xp.as_tensor(x, device=other.device)
        # Next to a condition, as exact as the device can.
        exact = self.xp.float64 if other.device.type in ("cpu", "cuda") else self.xp.float32
        return self.xp.as_tensor(x, dtype=other.dtype if other.is_floating_point() else exact, device=other.device)

    def cast(self, x: Any, dtype: Any) -> Any:
        return x.to(dtype)

    def is_condition(self, x: Any) -> bool:
        return bool(x.dtype == self.xp.bool)

    def full(self, x: Any, p: Any) -> Any:
        return super().full(x, p) if _is_number(x) else x.to(p.dtype).expand_as(p)

    def sign(self, x: Any) -> Any:
        return self.xp.where(x == x, self.xp.sign(x), x)  # torch's sign of NaN is 0


LIBRARIES: dict[str, type[_Jax]] = {"jax": _Jax, "torch": _Torch}


def words_of(library: str) -> dict[str, Callable[..., Any]]:
    """The words, by name."""
    own = LIBRARIES[library]()
    xp = own.xp

    def either(of_numbers: Callable[..., Any], of_arrays: Callable[..., Any]) -> Callable[..., Any]:
        def word(*values: Any) -> Any:
            if _is_number(*values):
                return of_numbers(*values)
            array = next(one for one in values if not _is_number(one))
            return of_arrays(*(own.like(one, array) for one in values))

        return word

    def where(condition: Any, a: Any, b: Any) -> Any:
        if _is_number(condition):
            return a if condition else b
        array = next((one for one in (a, b) if not _is_number(one)), condition)
        return xp.where(condition, own.like(a, array), own.like(b, array))

    def norm(x: Any) -> Any:
        return xp.sqrt(xp.sum(x * x))

    def total(x: Any) -> Any:
        return xp.sum(x)

    def size_of(x: Any) -> Any:
        return float(math.prod(x.shape))

    def one_minus_power(base: Any, n: Any) -> Any:
        if _is_number(base) and base <= 0:  # without logarithm
            return 1 - power(base, n)
        log1p, expm1 = (_log1p if _is_number(base) else xp.log1p), (_expm1 if _is_number(base, n) else xp.expm1)
        return -expm1(n * log1p(base - 1))

    def rounded(p: Any, /, **values: Any) -> SimpleNamespace:
        for name, one in values.items():
            if not _is_number(one) and not own.is_condition(one):
                values[name] = own.cast(one, p.dtype)
        return SimpleNamespace(**values)

    return {
        "divide": divide, "power": power, "opposite": opposite, "where": where, "norm": norm, "total": total,
        "size_of": size_of, "rounded": rounded,
        "one_minus_power": one_minus_power, "number": own.full,
        "sqrt": either(_root, xp.sqrt), "abs": either(abs, xp.abs), "sign": either(_sign, own.sign),
        "minimum": either(_minimum, xp.minimum), "maximum": either(_maximum, xp.maximum),
        "isfinite": either(math.isfinite, xp.isfinite),
    }  # fmt: skip

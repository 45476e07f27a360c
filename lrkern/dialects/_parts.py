"""Helpers shared by the dialects: curves of any rational length, waves, exact powers, tables with a horizon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import wraps
from inspect import Parameter, isfunction, signature
from math import floor, lcm
from typing import Any, ParamSpec, TypeVar

from lrkern import schedules
from lrkern._checks import MAX_COUNT, count, describe, real, single
from lrkern.schedules.budget import spend
from lrkern.schedules.expression import Schedule, join

_FINEST = 2**52  # the longest curve, in fractions of a step

_P = ParamSpec("_P")
_R = TypeVar("_R")
Ramp = Callable[[int], Schedule]
Length = Fraction | float | int


def public(module: Mapping[str, Any]) -> list[str]:
    """`__all__` of a dialect: the functions that it defines, except for those whose names begin with `_`."""
    functions = [name for name, one in module.items() if isfunction(one) and one.__module__ == module["__name__"]]
    return sorted(name for name in functions if not name.startswith("_"))


def takes(options: type, **defaults: Any) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """For functions with `**kwargs: Unpack[options]`, a TypedDict: gives them its keys as keyword-only arguments.

    They are None by default, except for those in `defaults`.
    """
    more = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=kind.__forward_arg__)
        for name, kind in options.__annotations__.items()
    ]

    def taking(function: Callable[_P, _R]) -> Callable[_P, _R]:
        *own, _ = signature(function).parameters.values()
        known = signature(function).replace(parameters=[*own, *more])

        @wraps(function)
        def checked(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            for name in kwargs:
                if name not in known.parameters:
                    raise TypeError(f"{function.__name__}() got an unexpected keyword argument {name!r}")
            return function(*args, **kwargs)

        checked.__signature__ = known  # type: ignore[attr-defined]
        return checked

    return taking


def placed(ramp: Ramp, length: Length, offset: Length = 0) -> Schedule:
    """`ramp(steps)` over any length, started `offset` steps ago: at step t its value at progress (t + offset)/length.

    Exact if length and offset are multiples of 2^-52 times the larger one; otherwise they are rounded to such multiples.
    """
    if length == int(length) and offset == int(offset):
        curve = ramp(int(length))
        return curve.shift(-int(offset)) if offset else curve
    length, offset = Fraction(length), Fraction(offset)
    if not offset:
        return stretched(ramp(1), length)
    unit, whole = lcm(length.denominator, offset.denominator), max(length, abs(offset))
    if unit * whole > _FINEST:
        unit = fine_unit(whole)
    curve = ramp(round(length * unit)).shift(-round(offset * unit))
    # Floats, the usual case, are cheapest: their units are powers of two, whose reciprocals are floats as well.
    return curve.stretch(1.0 / unit) if unit.bit_count() == 1 else curve.stretch(1, unit)


def span(where: str, name: str, value: object) -> float:
    """A length in steps, > 0, that need not be whole; not so short or long that schedules cannot hold it."""
    length = real(where, name, value, above=0.0)
    if not 2.0**-50 <= length <= MAX_COUNT:
        raise ValueError(f"{where}: {name} must be from 2^-50 to 2^53 steps; got {describe(value)}")
    return length


def stretched(s: Schedule, factor: Fraction) -> Schedule:
    """s.stretch(factor), or by the nearest float64 if a stretch cannot represent it."""
    try:
        return s.stretch(factor)
    except ValueError:
        return s.stretch(float(factor))


def fine_unit(length: Fraction) -> int:
    """The largest power of two by which a length can be multiplied."""
    return 1 << max(floor(_FINEST / length).bit_length() - 1, 0)


def wave(high: float, low: float, half: Length) -> Schedule:
    """low + (high - low)(1 + cos(pi t/half))/2; never ends."""

    def waves(steps: int) -> Schedule:
        return join([schedules.cosine(high, low, steps), schedules.cosine(low, high, steps)], [steps]).repeat(2 * steps)

    return placed(waves, half)


def between(kind: str, start: Schedule | float, end: Schedule | float, steps: int) -> Schedule:
    """A "linear" or "cosine" ramp; one end may be a constant that is not a float, such as `constant(0.1) / 3.0`."""
    if isinstance(start, Schedule):
        assert not isinstance(end, Schedule)
        return start.cooldown(0, steps, end, kind)
    if isinstance(end, Schedule):
        return end.warmup(steps, start, kind)
    return (schedules.cosine if kind == "cosine" else schedules.linear)(start, end, steps)


def moment(time: Length) -> float:
    """A time as a boundary: the nearest float64."""
    return int(time) if time == int(time) else float(time)


def warmed(start: float, top: float, steps: int, then: Schedule, side: str = "from") -> Schedule:
    """From start to top linearly in `steps` steps, then the rest from its own step 0; without steps the rest alone."""
    return join([schedules.linear(start, top, steps), then], [steps], side) if steps else then


def held(s: Schedule, at: Length, value: float, side: str = "from") -> Schedule:
    """`s` before time `at`, then `value`: from `at` on, or after it with `side="after"`."""
    return join([s, schedules.constant(value)], [moment(at)], side)


def sequence(parts: Sequence[Schedule], boundaries: Sequence[float], side: str | Sequence[str] = "from") -> Schedule:
    """`join`, or the part itself if there is only one."""
    return parts[0] if len(parts) == 1 else join(parts, boundaries, side)


def always(s: Schedule) -> Schedule:
    """s(0) at every step, to more digits than a float."""
    return s.staircase(MAX_COUNT)


def counted(steps: int) -> Schedule:
    """(t + 1)/steps: a warm-up that counts its steps from 1; it continues above 1 after its last step."""
    return schedules.line(1.0, 1.0) / float(max(steps, 1))


def inverse_root(start: float, x: float) -> Schedule:
    """start/sqrt(x) at every step, x > 0."""
    return always(schedules.exponential(start, x, 2).shift(-1)) / x


def exponential_of(start: float, gamma: float) -> Schedule:
    """start e^(-gamma t), gamma > 0.

    e is not a float: 2^-(t/a) with a = ln 2/gamma rounded, times the 2^-(t/b) that compensates the rounding.
    """
    with localcontext() as context:
        context.prec = 60
        ln2, rate = Decimal(2).ln(), Decimal(gamma)
        a = float(ln2 / rate)
        rest = rate - ln2 / Decimal(a)
        b = float(ln2 / abs(rest)) if rest else 0.0
    s = schedules.exponential(start, 0.5, a)
    return s * schedules.exponential(1.0, 0.5 if rest > 0 else 2.0, b) if b else s


@contextmanager
def called(where: str) -> Iterator[None]:
    """Inside, errors name `where`, the function that the user called, instead of the function that it calls."""
    try:
        yield
    except (TypeError, ValueError) as error:
        error.args = (f"{where}: {str(error).partition(': ')[2]}",)
        raise


@contextmanager
def value_errors() -> Iterator[None]:
    """Inside, TypeErrors become ValueErrors, as the peer raises; usable as a decorator."""
    try:
        yield
    except TypeError as error:
        raise ValueError(*error.args) from None


def check_keywords(where: str, name: str, given: object, required: Sequence[str], optional: Sequence[str] = ()) -> None:
    """Check that `given` is a dict with these keys."""
    known = ", ".join([*required, *optional])
    if not isinstance(given, Mapping):
        raise TypeError(f"{where}: {name} must be a dict of {known}; got {describe(given)}")
    for key in given:
        if key not in required and key not in optional:
            raise TypeError(f"{where}: {name} must be a dict of {known}; got {key!r}")
    for key in required:
        if key not in given:
            raise TypeError(f"{where}: {name} must have {key}; got {', '.join(map(str, given)) or 'nothing'}")


def from_calls(where: str, name: str, f: object, steps: int | None, first: int = 0) -> Schedule:
    """A table of f(first), f(first + 1), ...: `steps` values."""
    if not callable(f):
        raise TypeError(f"{where}: {name} must be callable; got {describe(f)}")
    if steps is None:
        raise TypeError(f"{where}: steps, the number of calls, must be given with {name}; got None")
    steps = count(where, "steps", steps, low=1)
    spend(steps)
    return schedules.from_table([real(where, f"{name}({t})", single(f(t))) for t in range(first, first + steps)])


def equal_cycles(start: float, end: float, steps: int, cycles: int) -> Schedule:
    """`cycles` cosines from start towards end in `steps` steps, of equal lengths, which may be fractions."""
    length = Fraction(steps, cycles)
    wave = schedules.cosine(start, end, length.numerator).repeat(length.numerator, cycles)
    return wave.stretch(1, length.denominator)


def products(start: float, factors: Sequence[float]) -> list[float]:
    """start, start factors[0], start factors[0] factors[1], ..., each rounded once."""
    spend(len(factors) ** 2 // 30)
    value, levels = Fraction(start), [start]
    for factor in factors:
        value *= Fraction(factor)
        try:
            levels.append(float(value))
        except OverflowError:
            raise OverflowError(
                f"schedule: level {len(levels)}, after so many changes, is beyond the range of float64"
            ) from None
    return levels


def powers(start: float, factor: float, n: int) -> list[float]:
    """start, start factor, ..., start factor^n, each rounded once."""
    spend(n)
    return products(start, [factor] * n)

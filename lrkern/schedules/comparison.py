"""`compare`: how far two schedules differ in value, ULP and area, and whether rounding explains it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrkern import _core
from lrkern._checks import MAX_COUNT, choice, count, describe, real
from lrkern.schedules.expression import Schedule

_CHUNK_BITS = 14
_CHUNK = 1 << _CHUNK_BITS  # steps at a time: fits in cache
_HIGH_BITS = 53 - _CHUNK_BITS - 1  # leading bits of a value, few enough that `_CHUNK` of them add up exactly
_HUGE, _SMALLER = 2.0**900, 2.0**-200
_ROUNDING = 8.0  # differences up to this times eps times the largest value count as rounding
_LONE = 2**64 - 1  # the distance between NaN and a number, while it is counted in uint64

_Floats = NDArray[Any]
_Rows = Callable[[int, int], _Floats]


@dataclass(frozen=True, slots=True, repr=False)
class Comparison:
    """What `lrkern.compare` found.

    Attributes:
        n, start, dtype: what was compared: `n` steps from `start` on, as "float64" or "float32" numbers.
        rtol, atol: the tolerance: differences up to atol + rtol max(|a(t)|, |b(t)|) are accepted.
        rounding: whether the tolerance is the default, that for rounding.
        differing: the number of steps at which the values differ.
        beyond: the number of steps at which they differ by more than the tolerance.
        max_ulp: the largest distance in units in the last place (an integer; infinity where one value is NaN).
        ulp_step, ulp_values: the first step with that distance, and the two values there; None if nothing differs.
        max_difference: the largest |a(t) - b(t)|.
        difference_step, difference_values: its first step and the values there.
        max_relative: the largest |a(t) - b(t)|/max(|a(t)|, |b(t)|).
        relative_step, relative_values: its first step and the values there.
        area_ratio: the sum of a's values divided by that of b's.

    >>> import lrkern as lk
    >>> found = lk.compare([0.5, 0.25], [0.5, 0.5])
    >>> found.verdict, found.differing, found.difference_step, found.max_difference, found.max_relative, found.area_ratio
    ('different', 1, 1, 0.25, 0.5, 0.75)
    """

    n: int
    start: int
    dtype: str
    rtol: float
    atol: float
    rounding: bool
    differing: int
    beyond: int
    max_ulp: float
    ulp_step: int | None
    ulp_values: tuple[float, float] | None
    max_difference: float
    difference_step: int | None
    difference_values: tuple[float, float] | None
    max_relative: float
    relative_step: int | None
    relative_values: tuple[float, float] | None
    area_ratio: float

    @property
    def equal(self) -> bool:
        """Whether no step differs."""
        return self.differing == 0

    @property
    def close(self) -> bool:
        """Whether no step differs by more than the tolerance."""
        return self.beyond == 0

    @property
    def verdict(self) -> str:
        """ "equal", "equal up to rounding", "equal within the tolerance" or "different"."""
        if self.equal:
            return "equal"
        if not self.close:
            return "different"
        return "equal up to rounding" if self.rounding else "equal within the tolerance"

    def __repr__(self) -> str:
        return f"Comparison({'; '.join(self.lines())})"

    def lines(self) -> list[str]:
        """The findings, one sentence per line."""
        steps = f"{self.n} steps, {self.start} to {self.start + self.n - 1}"
        areas = f"ratio of areas {self.area_ratio!r}"
        if self.ulp_values is None or self.difference_values is None or self.relative_values is None:
            return [f"equal in {self.dtype} at all {steps}", areas]
        if self.close:
            found = f"{self.verdict} in {self.dtype} at all {steps}; not identical at {self.differing}"
        else:
            found = f"{self.beyond} of {self.n} steps ({self.start} to {self.start + self.n - 1}) differ in {self.dtype}"
            if self.beyond < self.differing:
                tolerated = "rounding" if self.rounding else "the tolerance"
                found += f" by more than {tolerated}, {self.differing} in total"
        return [
            found,
            f"by {self.max_difference:.6g} at step {self.difference_step}, {_both(self.difference_values)}",
            f"by {self.max_relative:.6g} of the larger one at step {self.relative_step}, {_both(self.relative_values)}",
            f"by {self.max_ulp} ULP at step {self.ulp_step}, {_both(self.ulp_values)}",
            areas,
        ]


def _both(values: tuple[float, float]) -> str:
    return f"{values[0]!r} and {values[1]!r}"


def compare(
    a: Schedule | ArrayLike,
    b: Schedule | ArrayLike,
    n: int | None = None,
    start: int = 0,
    dtype: Any = None,
    *,
    rtol: float | None = None,
    atol: float | None = None,
) -> Comparison:
    """Measure how far two schedules differ over the steps start, start + 1, ..., start + n - 1.

    Distances in ULP count floats: neighbours are 1 apart, also across powers of two, across zero, and from the largest number
    to infinity. 0.0 and -0.0 are equal, and so are any two NaNs; the distance between NaN and a number is infinite.

    Areas are sums over the steps, each within 2^-64 of the sum of magnitudes; their quotient is rounded once. It is NaN if
    a value is not finite or both areas are zero.

    The verdict is "equal", "different", or something in between. Without `rtol` and `atol` that is "equal up to rounding": no
    difference exceeds 8 eps M, where M is the largest magnitude among the values and eps is 2^-52 for float64, 2^-23 for
    float32. Formulas that differ only in the order of their operations differ by about that much, which near the zeros of a
    curve may be many ULP. With `rtol` or `atol` it is "equal within the tolerance"; `rtol=0.0` tolerates nothing.

    Memory use is about a megabyte for any number of steps.

    Args:
        a, b: Schedules, or 1-D arrays that hold the n values from step `start` on (float64, float32, integers; lists).
        n: number of steps, >= 1. Default: the length of an array.
        start: first step, >= 0.
        dtype: float64 or float32: values are rounded to it once before they are compared, and ULPs are counted in it.
            Default: float32 if an array is float32, else float64.
        rtol, atol: differences up to atol + rtol max(|a(t)|, |b(t)|) are accepted, both >= 0. If one is given, the other is 0.

    Raises:
        TypeError, ValueError: bad arguments; n is missing for two Schedules, or differs from the length of an array.
        OverflowError: a schedule's value is beyond float64.

    >>> import lrkern as lk
    >>> lk.compare(lk.linear(0.1, 0.0, 3), [0.1, 0.1 * 2 / 3, 0.1 / 3, 0.0])
    Comparison(equal in float64 at all 4 steps, 0 to 3; ratio of areas 1.0)
    >>> lk.compare(lk.cosine(1.0, 0.0, 100), lk.linear(1.0, 0.0, 100), 101).area_ratio
    1.0
    >>> found = lk.compare(lk.constant(0.1) + 0.2, lk.constant(0.3), 10)
    >>> found.verdict, found.equal, found.max_ulp, found.ulp_step, found.ulp_values
    ('equal up to rounding', False, 1, 0, (0.30000000000000004, 0.3))
    >>> lk.compare([0.1, 0.2], [0.1, 0.2002], rtol=1e-2).verdict
    'equal within the tolerance'
    """
    both = {"a": _operand("a", a), "b": _operand("b", b)}
    arrays = {name: one for name, one in both.items() if not isinstance(one, Schedule)}
    if n is None:
        if not arrays:
            raise TypeError("compare: n must be given for two Schedules; got None")
        n = len(next(iter(arrays.values())))
    n = count("compare", "n", n, low=1)
    start = count("compare", "start", start, high=MAX_COUNT - n)
    for name, array in arrays.items():
        if len(array) != n:
            raise ValueError(f"compare: {name} must have as many values as there are steps, {n}; got {describe(array)}")
    kind = _dtype(dtype, list(arrays.values()))
    with _core.DefaultMode():
        rows = [_rows(one, start, kind) for one in both.values()]
        parts = [(begin, min(begin + _CHUNK, n)) for begin in range(0, n, _CHUNK)]
        if rounding := rtol is None and atol is None:
            largest = max(_largest(row(*part)) for part in parts for row in rows)
            tolerance = 0.0, _ROUNDING * float(np.finfo(kind).eps) * largest
        else:
            given = {"rtol": rtol, "atol": atol}
            rtol, atol = [0.0 if one is None else real("compare", name, one, low=0.0) for name, one in given.items()]
            tolerance = rtol, atol
        found = _Found(*tolerance)
        for begin, end in parts:
            found.add(start + begin, rows[0](begin, end), rows[1](begin, end))
        return found.result(n, start, kind.name, rounding)


def _operand(name: str, value: Any) -> Any:
    """A Schedule, or a 1-D float array."""
    if isinstance(value, Schedule):
        return value
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8 or array.dtype == np.float16:
        raise TypeError(
            f"compare: {name} must be a Schedule or an array of float64, float32 or integers; got {describe(value)}"
        )
    if array.ndim != 1:
        raise ValueError(f"compare: {name} must be a Schedule or a 1-D array; got {describe(array)}")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _dtype(dtype: Any, arrays: list[_Floats]) -> np.dtype[Any]:
    if dtype is None:
        return np.dtype(np.float32 if any(array.dtype.name == "float32" for array in arrays) else np.float64)
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = dtype
    return np.dtype(choice("compare", "dtype", name, ("float64", "float32")))


def _rows(values: Any, start: int, kind: np.dtype[Any]) -> _Rows:
    """A function of (begin, end) that returns the values of that range in the dtype compared."""
    if isinstance(values, Schedule):
        buffer = np.empty(_CHUNK, kind)
        return lambda begin, end: values.table(end - begin, start + begin, out=buffer[: end - begin])

    def part(begin: int, end: int) -> _Floats:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            return np.ascontiguousarray(values[begin:end], kind)

    return part


@dataclass
class _Most:
    """A maximum, its first step, and the two values there."""

    size: float = 0
    step: int | None = None
    values: tuple[float, float] | None = None

    def see(self, sizes: NDArray[Any], steps: NDArray[np.int64], a: _Floats, b: _Floats) -> None:
        at = int(sizes.argmax())
        size = sizes[at].item()
        if size > self.size:
            self.size, self.step, self.values = size, int(steps[at]), (float(a[at]), float(b[at]))


@dataclass
class _Found:
    """The findings so far."""

    rtol: float
    atol: float
    differing: int = 0
    beyond: int = 0
    ulp: _Most = field(default_factory=_Most)
    difference: _Most = field(default_factory=_Most)
    relative: _Most = field(default_factory=_Most)
    areas: list[Fraction | None] = field(default_factory=lambda: [Fraction(0), Fraction(0)])  # None: not finite

    def add(self, first: int, a: _Floats, b: _Floats) -> None:
        """Add the values of a range of steps that begins with `first`."""
        sums = _sum(a), _sum(b)
        self.areas = [None if area is None or one is None else area + one for area, one in zip(self.areas, sums, strict=True)]
        apart = ulps_apart(a, b)
        if None in sums:  # infinities or NaNs; NaN has no place in the order of floats
            apart[np.isnan(a) & np.isnan(b)] = 0
            apart[np.isnan(a) != np.isnan(b)] = _LONE
        differ = np.flatnonzero(apart)
        if not differ.size:
            return
        apart, steps = apart[differ], first + differ
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            a, b = a[differ].astype(np.float64), b[differ].astype(np.float64)
            larger = np.maximum(np.abs(a), np.abs(b))
            difference, relative = np.abs(a - b), np.abs(a / larger - b / larger)
            fits = np.isfinite(difference)
            relative[fits] = difference[fits] / larger[fits]  # one rounding fewer than two quotients
            infinite = ~np.isfinite(larger)
            difference[infinite], relative[infinite] = math.inf, math.inf
            tolerated = (difference <= self.atol + self.rtol * larger) & ~infinite
        self.differing += differ.size
        self.beyond += int(np.count_nonzero(~tolerated))
        self.ulp.see(apart, steps, a, b)
        self.difference.see(difference, steps, a, b)
        self.relative.see(relative, steps, a, b)

    def result(self, n: int, start: int, dtype: str, rounding: bool) -> Comparison:
        """The `Comparison`."""
        ulp, difference, relative = self.ulp, self.difference, self.relative
        return Comparison(
            n=n,
            start=start,
            dtype=dtype,
            rtol=self.rtol,
            atol=self.atol,
            rounding=rounding,
            differing=self.differing,
            beyond=self.beyond,
            max_ulp=math.inf if ulp.size == _LONE else ulp.size,
            ulp_step=ulp.step,
            ulp_values=ulp.values,
            max_difference=difference.size,
            difference_step=difference.step,
            difference_values=difference.values,
            max_relative=relative.size,
            relative_step=relative.step,
            relative_values=relative.values,
            area_ratio=_ratio(*self.areas),
        )


def _largest(values: _Floats) -> float:
    """The largest finite magnitude, 0.0 if there is none."""
    with np.errstate(invalid="ignore"):  # a signalling NaN
        sizes = np.abs(values.astype(np.float64, copy=False))
    return float(np.max(sizes, where=np.isfinite(sizes), initial=0.0))


def ulps_apart(a: _Floats, b: _Floats) -> NDArray[np.uint64]:
    """How many floats lie between the elements, plus one where they differ; neither is NaN. Both of one dtype.

    >>> ulps_apart(np.array([1.0, 0.0, -5e-324]), np.array([1.0 + 2.0**-52, -0.0, 5e-324]))
    array([1, 0, 2], dtype=uint64)
    """
    x, y = _place(a), _place(b)
    below: NDArray[np.int64] = np.minimum(x, y)
    return (np.maximum(x, y) - below).view(np.uint64)  # a difference beyond int64 wraps to what it is without a sign


def _place(values: _Floats) -> NDArray[np.int64]:
    """The positions of floats in their order, both zeros at 0."""
    pattern: NDArray[Any] = values.view(f"i{values.dtype.itemsize}")
    if values.size and pattern.min() < 0:
        pattern = np.where(pattern < 0, np.iinfo(pattern.dtype).min - pattern, pattern)
    return pattern.astype(np.int64, copy=False)


def _sum(values: _Floats) -> Fraction | None:
    """The sum of at most `_CHUNK` values; None if one is not finite.

    Every value is split in two. The upper parts are multiples of one power of two and short enough to add up exactly, in any
    order; rounding in the sum of the lower parts is at most 2^-64 of the total.
    """
    with np.errstate(invalid="ignore"):  # a signalling NaN
        wide = values.astype(np.float64)
    largest = max(float(wide.max()), -float(wide.min()))
    if not math.isfinite(largest):
        return None
    scale = _SMALLER if largest > _HUGE else 1.0
    if scale != 1.0:
        wide *= scale
    grid = max(math.frexp(largest * scale)[1] - _HIGH_BITS, -1074)
    rounder = math.ldexp(1.5, grid + 52)
    high = wide + rounder
    high -= rounder
    wide -= high
    return (Fraction(float(high.sum())) + Fraction(float(wide.sum()))) / Fraction(scale)


def _ratio(a: Fraction | None, b: Fraction | None) -> float:
    if a is None or b is None or a == b == 0:
        return math.nan
    try:
        return float(a / b)
    except (ZeroDivisionError, OverflowError):
        return math.inf if (a > 0) == (b >= 0) else -math.inf

"""Schedule: an immutable expression of curves. Combining, calling, filling arrays, printing, comparing, pickling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf
from operator import truediv
from typing import TYPE_CHECKING, Any, Union, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrkern import _core
from lrkern._checks import MAX_COUNT, choice, count, describe, real, times
from lrkern.backends import choose
from lrkern.schedules import drawing, names, shapes
from lrkern.schedules.calls import call_any
from lrkern.schedules.lengths import arrival, longer, plus, ratio, stretched
from lrkern.schedules.plan import Plan, compile_plan
from lrkern.schedules.sides import SIDES, sides
from lrkern.schedules.text import write
from lrkern.schedules.totals import running_total

if TYPE_CHECKING:
    from fractions import Fraction

Number = Union[int, float, "np.integer[Any]", "np.floating[Any]"]

_NUMBERS = (int, float, np.integer, np.floating)


class Schedule(_core.Expression):
    """A function of the step, made by the curves of this package and by the methods below; immutable.

    ``s(step)`` is the value at one step or at an array of steps, ``s.table(n)`` is the whole schedule. Steps count from 0, one
    for each optimizer update, and are exact up to 2^53; calls accept fractional steps. Values are within 0.6 ULP of the
    real-valued formula (if the terms of a sum cancel: 0.6 ULP of the larger term).

    ``repr(s)`` is the expression that rebuilds it, and ``lrkern.parse`` reads it back; schedules compare, hash and pickle by
    it. Expressions may be nested 100 deep; each part of a join counts twice. Safe to use from several threads.

    >>> import lrkern as lk
    >>> s = lk.cosine(0.1, 0.0, 1000).warmup(10)
    >>> s
    cosine(0.1, 0.0, 1000).warmup(10)
    >>> s(10), s.steps
    (0.1, 1010)
    >>> s.table(3)
    array([0.  , 0.01, 0.02])
    """

    name: str
    args: tuple[Any, ...]
    steps: int | None

    # Keeps NumPy from making object arrays of schedules in array * schedule.
    __array_ufunc__ = None

    # -- values -------------------------------------------------------------------------------------------------------

    _call_any = call_any

    def table(
        self,
        n: int,
        start: int = 0,
        dtype: Any = None,
        out: NDArray[Any] | None = None,
        *,
        backend: str | None = None,
    ) -> NDArray[Any]:
        """Values at steps start, start + 1, ..., start + n - 1.

        Args:
            n: number of steps, >= 0.
            start: first step, >= 0; a slice is bit-identical to that part of the whole table.
            dtype: float64 (default) or float32, which is the float64 value rounded once.
            out: array to fill: shape (n,), float64 or float32, C-contiguous, writable, native byte order, any alignment.
            backend: "c", "numba" or "cuda", all bit-identical; None means "cuda" if `out` is on a device, else "c".

        Returns:
            `out`, or a new array of shape (n,).

        Raises:
            TypeError, ValueError: bad arguments; nothing has been written.
            ImportError, RuntimeError: the backend cannot be used here; the message says why. See `lrkern.info`.
            OverflowError: a value is beyond float64 (then `out` may be partly written).

        >>> import lrkern as lk
        >>> lk.linear(1.0, 0.0, 4).table(6)
        array([1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
        """
        n = count("table", "n", n)
        start = count("table", "start", start, high=MAX_COUNT - n)
        made = choose("table", backend, out).table(self, n, start, dtype, out)
        return made if out is None else out

    def plan(self, horizon: int | None = None) -> Plan:
        """The compiled form: arrays that every backend can evaluate. See `lrkern.Plan`.

        Args:
            horizon: minimum number of steps to cover. Needed only if the schedule neither ends nor repeats.
        """
        return compile_plan(self, horizon)

    # -- combining ----------------------------------------------------------------------------------------------------

    def warmup(self, steps: int, start: float = 0.0, curve: str = "linear") -> Schedule:
        """`steps` steps that rise from `start` to s(0), then s, shifted: s(t - steps).

        If s begins with a phase of zero steps, such as `cosine(0.1, 0.0, total - n)` with total = n, the warm-up rises to the
        start of that phase, 0.1, although s(0) is its end.

        The warm-up is added to the length: in a run of `total` updates with n of warm-up, s has total - n. Step 0 has the
        value `start`: with 0, the first update changes nothing. Many libraries use (t + 1)/n of s(0) at t < n, so that the
        first value is above 0; for that write `s.warmup(n - 1, start=s(0) / n)`.

        Args:
            steps: >= 0; 0 returns the schedule itself.
            start: value at step 0.
            curve: "linear", "cosine", "mirror_cosine", "one_minus_sqrt", "square", "logarithmic", "halving"; "exponential" or
                "inverse_proportional" between values > 0. The reference has the formulas.

        >>> import lrkern as lk
        >>> lk.constant(0.1).warmup(4).table(6)
        array([0.   , 0.025, 0.05 , 0.075, 0.1  , 0.1  ])
        >>> lk.constant(0.1).warmup(3, start=0.1 / 4).table(5)
        array([0.025, 0.05 , 0.075, 0.1  , 0.1  ])
        """
        steps = count("warmup", "steps", steps)
        start = real("warmup", "start", start)
        choice("warmup", "curve", curve, shapes.NAMES)
        if steps == 0:
            return self
        beginning = self._defined(0)
        if curve in shapes.POSITIVE:
            shapes.check_positive("warmup", curve, start=start, end=beginning, end_name="s(0)")
        rise = shapes.ramp(curve, steps, _core.constant(start), 0, self.node, 0)
        node = _core.join([rise, self.node], [steps])
        return Schedule("warmup", (self, steps, start, curve), node, plus(self.steps, steps))

    def then(self, other: Schedule) -> Schedule:
        """This schedule for its `steps` steps, then `other` from its own step 0.

        A schedule of length 0 disappears: `constant(v).then(s)` begins with s. To hold a value for n steps, write
        `join([constant(v), s], [n])`.

        >>> import lrkern as lk
        >>> lk.linear(0.0, 1.0, 2).then(lk.linear(1.0, 0.0, 2)).table(5)
        array([0. , 0.5, 1. , 0.5, 0. ])
        """
        other = schedule("then", "other", other)
        if self.steps is None:
            raise ValueError(f"then: the schedule must end; {describe(self)} never does: use join([a, b], [boundary])")
        if self.name == "join":  # extended, not nested, so that chains may have any length
            parts, boundaries, side = self.args
            if not isinstance(side, str):
                side = [*side, "from"]
            elif side == "after":
                side = ["after"] * len(boundaries) + ["from"]
            return join([*parts, other], [*boundaries, self.steps], side)
        return join([self, other], [self.steps])

    def __add__(self, other: Schedule | Number) -> Schedule:
        if not isinstance(other, (Schedule, *_NUMBERS)):
            return NotImplemented
        return add(self, other)

    def __radd__(self, other: Number) -> Schedule:
        if not isinstance(other, _NUMBERS):
            return NotImplemented
        return add(self, other)

    @overload
    def __mul__(self, other: Schedule | Number) -> Schedule: ...
    @overload
    def __mul__(self, other: NDArray[Any]) -> list[Schedule]: ...
    def __mul__(self, other: Schedule | Number | NDArray[Any]) -> Schedule | list[Schedule]:
        """The product with a schedule or a number; with a 1-D array, a list of products for `lrkern.tables`.

        >>> import numpy as np, lrkern as lk
        >>> lk.tables(lk.linear(1.0, 0.0, 4) * np.array([0.1, 0.2]), 3)
        array([[0.1  , 0.075, 0.05 ],
               [0.2  , 0.15 , 0.1  ]])
        """
        if isinstance(other, np.ndarray):
            return multiply_all(self, other)
        if not isinstance(other, (Schedule, *_NUMBERS)):
            return NotImplemented
        return multiply(self, other)

    @overload
    def __rmul__(self, other: Number) -> Schedule: ...
    @overload
    def __rmul__(self, other: NDArray[Any]) -> list[Schedule]: ...
    def __rmul__(self, other: Number | NDArray[Any]) -> Schedule | list[Schedule]:
        return self.__mul__(other)

    def __neg__(self) -> Schedule:
        return multiply(self, -1.0)

    def __sub__(self, other: Schedule | Number) -> Schedule:
        if not isinstance(other, (Schedule, *_NUMBERS)):
            return NotImplemented
        # Converted to float first: negating an unsigned NumPy integer wraps around.
        return add(self, -other if isinstance(other, Schedule) else -real("-", "number", other))

    def __rsub__(self, other: Number) -> Schedule:
        if not isinstance(other, _NUMBERS):
            return NotImplemented
        return add(-self, other)

    def __truediv__(self, other: Schedule | Number) -> Schedule:
        """a(t)/b(t). Evaluating it at a step where b is 0 raises ZeroDivisionError.

        >>> import lrkern as lk
        >>> (1.0 / lk.line(1.0, 1.0)).table(4).round(4)
        array([1.    , 0.5   , 0.3333, 0.25  ])
        """
        if isinstance(other, Schedule):
            return Schedule("/", (self, other), _core.divide(self.node, other.node), longer(self, other))
        if not isinstance(other, _NUMBERS):
            return NotImplemented
        other = real("/", "divisor", other)
        if other == 0.0:
            raise ZeroDivisionError("/: a schedule cannot be divided by zero")
        node = _core.multiply(_core.constant(1.0, other), self.node)
        return Schedule("/", (self, other), node, self.steps)

    def __rtruediv__(self, other: Number) -> Schedule:
        if not isinstance(other, _NUMBERS):
            return NotImplemented
        other = real("/", "number", other)
        return Schedule("/", (other, self), _core.divide(_core.constant(other), self.node), self.steps)

    def __pow__(self, power: Number) -> Schedule:
        """s(t)^power, for a power from -1000 to 1000.

        Evaluating it where it is undefined raises ZeroDivisionError: s(t) = 0 with power < 0, or s(t) < 0 with a power that is
        not an integer. 0^0 is 1.

        >>> import lrkern as lk
        >>> (lk.linear(1.0, 0.0, 4) ** 2).table(5)
        array([1.    , 0.5625, 0.25  , 0.0625, 0.    ])
        """
        if not isinstance(power, _NUMBERS):
            return NotImplemented
        power = real("**", "power", power, low=-1000.0, high=1000.0)
        return Schedule("**", (self, power), _core.power(self.node, power), self.steps)

    def clip(self, low: float | None = None, high: float | None = None) -> Schedule:
        """min(max(s(t), low), high).

        >>> import lrkern as lk
        >>> lk.linear(1.0, 0.0, 4).clip(low=0.3).table(5)
        array([1.  , 0.75, 0.5 , 0.3 , 0.3 ])
        """
        if low is not None:
            low = real("clip", "low", low)
        if high is not None:
            high = real("clip", "high", high, low=low if low is not None else -np.inf)
        node = _core.clip(self.node, -np.inf if low is None else low, np.inf if high is None else high)
        return Schedule("clip", (self, low, high), node, self.steps)

    def shift(self, n: int) -> Schedule:
        """s(max(t - n, 0)): `n` steps later, holding s(0) until then; with `n` < 0 it starts -n steps into s.

        If s begins with a phase of zero steps, the start of that phase is held, as in `warmup`.

        >>> import lrkern as lk
        >>> lk.linear(1.0, 0.0, 4).shift(2).table(4), lk.linear(1.0, 0.0, 4).shift(-2).table(2)
        (array([1.  , 1.  , 1.  , 0.75]), array([0.5 , 0.25]))
        """
        n = count("shift", "n", n, low=-MAX_COUNT)
        node = _core.shift(self.node, n)
        return Schedule("shift", (self, n), node, None if self.steps is None else max(self.steps + n, 0))

    def stretch(self, factor: float | Fraction, divisor: int = 1) -> Schedule:
        """s(t divisor/factor): `factor`/`divisor` times as long.

        Args:
            factor: > 0, used as the exact value of the float or Fraction.
            divisor: >= 1. The ratio must equal a float64 divided by an odd integer up to 2^53; it is printed that way.

        >>> import lrkern as lk
        >>> lk.linear(1.0, 0.0, 4).stretch(2).table(3)
        array([1.   , 0.875, 0.75 ])
        >>> lk.linear(1.0, 0.0, 4).stretch(1, 3).table(3)
        array([1.  , 0.25, 0.  ])
        """
        divisor = count("stretch", "divisor", divisor, low=1)
        if divisor == 1 and (isinstance(factor, _NUMBERS) or not hasattr(factor, "denominator")):
            factor = real("stretch", "factor", factor, above=0.0)
        else:
            factor, divisor = ratio(factor, divisor)
        node = _core.stretch(self.node, factor, divisor)
        return Schedule("stretch", (self, factor, divisor), node, stretched(self.steps, factor, divisor))

    def staircase(self, every: int, side: str = "from") -> Schedule:
        """s(every * floor(t / every)): changes at multiples of `every` only.

        Args:
            every: >= 1.
            side: "from": at a multiple of `every` the new stair has begun. "after": the multiple still belongs to the stair
                that ends there.

        >>> import lrkern as lk
        >>> lk.linear(1.0, 0.0, 4).staircase(2).table(5)
        array([1. , 1. , 0.5, 0.5, 0. ])
        """
        every = count("staircase", "every", every, low=1)
        late = choice("staircase", "side", side, SIDES) == "after"
        steps = None if self.steps is None else -(-self.steps // every) * every + late
        return Schedule("staircase", (self, every, side), _core.staircase(self.node, every, late), steps)

    def repeat(self, period: int, times: int | None = None, gain: float = 1.0, side: str = "from") -> Schedule:
        """gain^i s(t - i period), i = floor(t / period): the first `period` steps of s, repeated.

        Args:
            period: >= 1.
            times: number of cycles, >= 1; the last one continues to the end of s. None: never ends.
            gain: factor from one cycle to the next, > 0.
            side: "from": at a multiple of `period` the next cycle has begun. "after": the multiple still ends the old one.

        >>> import lrkern as lk
        >>> lk.linear(1.0, 0.0, 2).repeat(2, gain=0.5).table(6)
        array([1.   , 0.5  , 0.5  , 0.25 , 0.25 , 0.125])
        """
        period = count("repeat", "period", period, low=1)
        if times is not None:
            times = count("repeat", "times", times, low=1)
        gain = real("repeat", "gain", gain, above=0.0)
        late = choice("repeat", "side", side, SIDES) == "after"
        node = _core.repeat(self.node, period, _core.FOREVER if times is None else times, gain, 1.0, late)
        steps = None if times is None else plus(self.steps, (times - 1) * period)
        return Schedule("repeat", (self, period, times, gain, side), node, steps)

    def restarts(self, growth: float = 1.0, gain: float = 1.0, warmup: int = 0, warmup_start: float = 0.0) -> Schedule:
        """The curve, repeated: each cycle is `growth` times as long and starts `gain` times as high as the one before.

        Cycle i falls from gain^i times the start to the end within steps growth^i steps. Cycle beginnings are exact for every
        i; they need not be integers. The schedule must be a single curve from a start to an end.

        With a warm-up, cycle i takes (warmup + steps) growth^i steps: in every cycle the first `warmup` of them rise linearly
        from `warmup_start` to gain^i times the start; the curve takes the rest. `warmup_start` and the end do not scale.

        Args:
            growth: ratio of lengths, > 0, either 1 or at least 1e-9 away from it; below 1 the cycles end at
                steps/(1 - growth), and the end is held from there on. With a warm-up, >= 1.
            gain: ratio of starts, > 0.
            warmup: steps of the warm-up at the beginning of each cycle, >= 0.
            warmup_start: where each warm-up begins.

        >>> import lrkern as lk
        >>> lk.linear(1.0, 0.2, 2).restarts(growth=2.0, gain=0.5).table(8).round(4)
        array([1.    , 0.6   , 0.5   , 0.425 , 0.35  , 0.275 , 0.25  , 0.2438])
        """
        growth, gain = shapes.restart_ratios("restarts", growth, gain)
        warmup = count("restarts", "warmup", warmup, high=MAX_COUNT - (self.steps or 0))
        warmup_start = real("restarts", "warmup_start", warmup_start)
        if not _core.is_ramp(self.node) or not self.steps:
            raise ValueError(f"restarts: the schedule must be a single curve, like cosine(0.1, 0.0, 9); got {describe(self)}")
        rise = None
        if warmup > 0:
            growth = real("restarts", "growth", growth, low=1.0)
            rise = shapes.ramp("linear", warmup, _core.constant(warmup_start), 0, self.node, 0)
        node = _core.restarts(self.node, growth, gain, self(self.steps), rise)
        return Schedule("restarts", (self, growth, gain, warmup, warmup_start), node, None)

    def cooldown(self, at: int, steps: int, end: float = 0.0, curve: str = "linear") -> Schedule:
        """s until step `at`, then `steps` steps from s(at) to `end`, held.

        If a phase of zero steps lies at `at`, the cooldown starts from the start of that phase.

        Args:
            at: first step of the cooldown, >= 0.
            steps: its length, >= 0.
            end: final value.
            curve: as in `warmup`.

        >>> import lrkern as lk
        >>> lk.constant(1.0).cooldown(2, 2).table(6)
        array([1. , 1. , 1. , 0.5, 0. , 0. ])
        """
        return self._branch("cooldown", at, steps, end, curve)

    def finish(self, at: int, steps: int, end: float = 0.0, curve: str = "linear") -> Schedule:
        """`cooldown` under another name: ends a run early, from s(at) to `end` within `steps` steps.

        >>> import lrkern as lk
        >>> lk.cosine(0.1, 0.0, 1000).finish(at=500, steps=100)
        cosine(0.1, 0.0, 1000).cooldown(500, 100)
        """
        return self._branch("finish", at, steps, end, curve)

    def _branch(self, where: str, at: int, steps: int, end: float, curve: str) -> Schedule:
        at = count(where, "at", at)
        steps = count(where, "steps", steps, high=MAX_COUNT - at)
        end = real(where, "end", end)
        choice(where, "curve", curve, shapes.NAMES)
        beginning = self._defined(at)
        if curve in shapes.POSITIVE:
            shapes.check_positive(where, curve, start=beginning, end=end, start_name="s(at)")
        fall = shapes.ramp(curve, steps, self.node, at, _core.constant(end), 0)
        node = _core.join([self.node, fall], [at])
        return Schedule("cooldown", (self, at, steps, end, curve), node, at + steps)

    def _defined(self, at: int) -> float:
        """The beginning at `at`, infinite beyond float64; ZeroDivisionError if it is undefined."""
        try:
            return self._beginning(at)
        except OverflowError:
            return inf

    def extend(self, total: int, at: int) -> Schedule:
        """s until step `at`; the rest is stretched so that it ends at step `total` instead of s.steps.

        From step `at` on: s(at + (t - at)(s.steps - at)/(total - at)). It is continuous, the value at `at` is s(at), and the
        end is that of s; the remaining phases, one that has begun included, are stretched by the same factor. Use it when a
        running training gets another total: rebuilding the schedule with that total makes the value jump.

        Args:
            total: steps of the whole run, > `at`; may be less than s.steps.
            at: the step at which the run continues, < s.steps.

        Raises:
            ValueError: s never ends, or has ended by step `at`.

        >>> import lrkern as lk
        >>> lk.linear(1.0, 0.0, 4).extend(10, at=2).table(11)
        array([1.    , 0.75  , 0.5   , 0.4375, 0.375 , 0.3125, 0.25  , 0.1875,
               0.125 , 0.0625, 0.    ])
        """
        at = count("extend", "at", at)
        if self.steps is None:
            raise ValueError(f"extend: the schedule must end; {describe(self)} never does")
        if at >= self.steps:
            raise ValueError(f"extend: at must be before step {self.steps}, at which the schedule has ended; got {at}")
        total = count("extend", "total", total, low=at + 1)
        rest = self.shift(-at).stretch(total - at, self.steps - at)
        node = _core.join([self.node, rest.node], [at])
        return Schedule("extend", (self, total, at), node, total)

    def of(self, clock: Schedule) -> Schedule:
        """s(clock(t)): the schedule at a time that is itself a schedule.

        For a schedule over tokens or samples, where `clock` is the number of them so far: `batch.cumulative()` for a schedule
        of batch sizes.

        Args:
            clock: >= 0, never decreases. If it consists of straight lines (`line`, `linear`, joins of these, `cumulative`),
                times are exact up to 2^53 and tables fill as fast as those of s; otherwise each step is compiled separately.
                It stops at 2^62, beyond which no schedule changes.

        Raises:
            ValueError: the clock decreases or is negative; only its straight lines are checked.

        Accuracy: 0.6 ULP of s at the exact time; times below 1e-298 have fewer digits, down to those of a denormal number.

        >>> import lrkern as lk
        >>> batch = lk.piecewise([2, 4], [3])  # samples per step
        >>> lk.linear(1.0, 0.0, 10).of(batch.cumulative()).table(6)
        array([1. , 0.8, 0.6, 0.4, 0. , 0. ])
        """
        clock = schedule("of", "clock", clock)
        sound, at = _core.follow_clock(clock.node)
        if sound < 0:
            raise ValueError(f"of: clock must be >= 0 and never decrease; violated at step {at}")
        node = _core.composition(self.node, clock.node)
        return Schedule("of", (self, clock), node, arrival(clock, self.steps))

    def cumulative(self) -> Schedule:
        """The running total: the sum of s(0), s(1), ..., s(t - 1), linear between steps.

        The schedule must be piecewise constant, as batch sizes are: made by `piecewise`, `from_table`, `staircase` or joins of
        constants, with at most 100,000 changes. Totals are exact up to 2^53.

        Raises:
            ValueError: it is not piecewise constant, changes too often, or a value is negative.

        >>> import lrkern as lk
        >>> lk.piecewise([2, 4], [3]).cumulative().table(6)
        array([ 0.,  2.,  4.,  6., 10., 14.])
        """
        node, steps = running_total(self)
        return Schedule("cumulative", (self,), node, steps)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Schedule is immutable; cannot set {name!r}")

    # -- identity -----------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return write(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Schedule):
            return NotImplemented
        return self is other or (self.name == other.name and self.args == other.args)

    def __hash__(self) -> int:
        return hash((self.name, self.args))

    def __reduce__(self) -> tuple[Callable[..., Schedule], tuple[Any, ...]]:
        if names.is_built_in(self.name):
            return names.build, (self.name, self.args)
        return names.function_of(self.name), self.args  # by reference, so that unpickling imports its module

    def __copy__(self) -> Schedule:
        return self

    def __deepcopy__(self, memo: object) -> Schedule:
        return self

    # -- records and pictures -----------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """The expression as plain dicts, lists, numbers and strings, for JSON and other formats. `from_dict` reads it back.

        It has every argument, defaults included, so that a record keeps its meaning if a default changes. Tables are stored
        as numbers. `json.dumps` accepts it; Python's floats survive JSON exactly.

        >>> import lrkern as lk
        >>> lk.linear(0.1, 0.0, 9).to_dict()  # doctest: +NORMALIZE_WHITESPACE
        {'format': 'lrkern.schedule', 'version': 1,
         'schedule': {'name': 'linear', 'args': {'start': 0.1, 'end': 0.0, 'steps': 9}}}
        """
        from lrkern.schedules.records import to_record

        return to_record(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Schedule:
        """The schedule that `to_dict` wrote. Nothing in a record is ever executed.

        Args:
            record: {"format": "lrkern.schedule", "version": 1, "schedule": node}. A node is {"name": ..., "args": {...}}; a
                method's also has "of", the node that it is applied to. Arguments with defaults may be omitted.

        Raises:
            TypeError: something in the record is of the wrong kind.
            ValueError: the record is invalid: another format, a version that this lrkern does not know, an unknown name, a
                missing or unexpected key, nested more than 100 deep. Messages say where, such as `schedule.of.args`. Errors
                about the arguments of curves and methods are passed on unchanged.
            ImportError: it names a curve of an installed package (see `lrkern.curve`) that cannot be loaded.

        >>> import json
        >>> import lrkern as lk
        >>> s = lk.cosine(0.1, 0.0, 1000).warmup(10)
        >>> lk.Schedule.from_dict(json.loads(json.dumps(s.to_dict()))) == s
        True
        """
        from lrkern.schedules.records import from_record

        return from_record(record)

    def plot(self, n: int | None = None, ax: Any = None, *, label: str | None = None, **options: Any) -> Any:
        """Draw the first `n` steps with matplotlib (extra `[plot]`), on the axes `ax` if given. Returns the axes.

        `label` is the legend entry; the other options (log, marks, title, ylabel, ...) are those of `lrkern.plot`.
        """
        return drawing.HOOKS["plot"](self, n, ax, labels=label, **options)

    def _repr_html_(self) -> str | None:
        return drawing.picture("html", self)

    def _repr_svg_(self) -> str | None:
        return drawing.picture("svg", self)


def schedule(where: str, name: str, value: Any) -> Schedule:
    """`value` if it is a Schedule."""
    if not isinstance(value, Schedule):
        raise TypeError(f"{where}: {name} must be a Schedule; got {describe(value)}")
    return value


def join(
    schedules: Sequence[Schedule], boundaries: Sequence[float] | ArrayLike, side: str | Sequence[str] = "from"
) -> Schedule:
    """Schedules one after the other: from `boundaries[i-1]` on, `schedules[i]` from its own step 0.

    Args:
        schedules: at least one.
        boundaries: one fewer than schedules, numbers >= 0 that do not decrease. They need not be integers: after a boundary at
            47.5 the local time of the later schedule at step 48 is 0.5.
        side: "from": at a boundary the later schedule has begun. "after": a boundary still belongs to the earlier one. One for
            all, or one for each boundary.

    Source: the composition rule of optax.join_schedules.

    >>> import lrkern as lk
    >>> lk.join([lk.constant(1.0), lk.linear(0.5, 0.0, 2)], [2]).table(5)
    array([1.  , 1.  , 0.5 , 0.25, 0.  ])
    """
    if isinstance(schedules, Schedule) or not isinstance(schedules, Sequence):
        raise TypeError(f"join: schedules must be a sequence of Schedules; got {describe(schedules)}")
    parts = tuple([schedule("join", f"schedules[{i}]", part) for i, part in enumerate(schedules)])
    if not parts:
        raise ValueError("join: schedules must not be empty")
    at = times("join", "boundaries", boundaries)
    if len(at) != len(parts) - 1:
        raise ValueError(f"join: boundaries must be one fewer than the {len(parts)} schedules; got {len(at)}")
    shown, after = sides("join", side, at)
    node = _core.join([part.node for part in parts], list(at), after)
    return Schedule("join", (parts, at, shown), node, plus(parts[-1].steps, ceil(at[-1]) if at else 0))


def add(a: Schedule, b: Schedule | Number) -> Schedule:
    """a(t) + b(t)."""
    if isinstance(b, Schedule):
        return Schedule("+", (a, b), _core.add(a.node, b.node), longer(a, b))
    value = real("+", "number", b)
    return Schedule("+", (a, value), _core.add(a.node, _core.constant(value)), a.steps)


def multiply(a: Schedule, b: Schedule | Number) -> Schedule:
    """a(t) b(t)."""
    if isinstance(b, Schedule):
        return Schedule("*", (a, b), _core.multiply(a.node, b.node), longer(a, b))
    value = real("*", "number", b)
    return Schedule("*", (value, a), _core.multiply(_core.constant(value), a.node), a.steps)


def multiply_all(a: Schedule, factors: NDArray[Any]) -> list[Schedule]:
    """a(t) b for each b of a 1-D array."""
    if factors.ndim != 1:
        raise ValueError(f"*: factors must be a number, a Schedule or a 1-D array of numbers; got {describe(factors)}")
    return [multiply(a, factor) for factor in factors]


names.METHODS |= {
    method.__name__: method
    for method in (
        *(Schedule.warmup, Schedule.then, Schedule.clip, Schedule.shift, Schedule.stretch, Schedule.staircase),
        *(Schedule.repeat, Schedule.restarts, Schedule.cooldown, Schedule.finish, Schedule.extend),
        *(Schedule.of, Schedule.cumulative),
    )
}
names.CURVES["join"] = join
names.OPERATORS |= {
    "+": add,
    "*": lambda a, b: multiply(a, b) if isinstance(b, Schedule) and isinstance(a, Schedule) else multiply(b, a),
    "/": truediv,
    "**": pow,
}

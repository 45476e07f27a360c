"""Cycles shared by torch's and other dialects: triangles, and phases that may end between steps.

`where` is the function that the user called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor, lcm

from lrkern import schedules
from lrkern._checks import MAX_COUNT, choice, count, flag, real
from lrkern.dialects._parts import fine_unit, from_calls, moment, placed, sequence, span, stretched, value_errors
from lrkern.schedules.expression import Schedule, join


def cyclic(
    where: str,
    low: float,
    high: float,
    step_size_up: float,
    step_size_down: float | None,
    mode: str,
    gamma: float,
    scale_fn: Callable[[float], float] | None,
    scale_mode: str,
    steps: int | None,
) -> Schedule:
    up = Fraction(span(where, "step_size_up", step_size_up))
    down = up if step_size_down is None else Fraction(span(where, "step_size_down", step_size_down))
    gamma = real(where, "gamma", gamma, above=0.0)
    unit = lcm(up.denominator, down.denominator)
    unit = unit if (up + down) * unit <= MAX_COUNT else fine_unit(up + down)

    def triangles(low: float, high: float, mode: str = "triangular") -> Schedule:
        triangle = schedules.cyclic(low, high, round(up * unit), round(down * unit), mode)
        return triangle.stretch(Fraction(1, unit)) if unit > 1 else triangle

    if scale_fn is None:
        with value_errors():
            choice(where, "mode", mode, ("triangular", "triangular2", "exp_range"))
        if mode != "exp_range":
            return triangles(low, high, mode)
        scale = schedules.exponential(1.0, gamma)
    elif choice(where, "scale_mode", scale_mode, ("cycle", "iterations")) == "iterations":
        scale = from_calls(where, "scale_fn", scale_fn, steps)
    else:
        cycles = None if steps is None else floor((count(where, "steps", steps, low=1) - 1) / (up + down)) + 1
        scale = stretched(from_calls(where, "scale_fn", scale_fn, cycles, first=1), up + down)
    return low + (schedules.constant(high) - low) * (triangles(0.0, 1.0) * scale)


def longer_each_time(start: float, end: float, every: int, power: float) -> Schedule:
    """end + (start - end)(1 - t/D)^power, D the first multiple of `every` not before t."""
    # In cycle k = 1, 2, ... the fraction left is (k every - t)/(k every): the fraction left of this cycle, divided by k.
    left = schedules.polynomial(1.0, 0.0, every, power).repeat(every, side="after")
    shares = left * schedules.inverse_power(1.0, every, power).staircase(every, "after")
    return end + (schedules.constant(start) - end) * shares


def needs_momentum(where: str, cycle_momentum: bool) -> None:
    """Raise for a schedule of the momentum without one."""
    if not flag(where, "cycle_momentum", cycle_momentum):
        raise ValueError(f"{where}: cycle_momentum must be True, or momentum does not change; got False (bool)")


Phase = Callable[[str, int], Schedule]


def one_cycle(where: str, steps: int, pct_start: float, anneal_strategy: str, phases: Sequence[Phase]) -> Schedule:
    """Phases that end at pct_start N - 1 (with three phases, then at 2 pct_start N - 2) and N - 1, possibly between steps."""
    with value_errors():  # as torch, mmengine and paddle raise
        pct_start = real(where, "pct_start", pct_start, low=0.0, high=1.0)
        kind = {"cos": "cosine", "linear": "linear"}[choice(where, "anneal_strategy", anneal_strategy, ("cos", "linear"))]
    ends = [exact(pct_start * steps - 1.0), steps - 1]
    if len(phases) == 3:
        ends.insert(1, exact(2 * pct_start * steps - 2.0))
    parts: list[Schedule] = []
    starts: list[Fraction | int] = [0]
    begin = exact(0.0)
    for phase, end in zip(phases, ends, strict=True):
        # A phase that ends before it begins is skipped; its end is still where the next one begins.
        if end > begin:
            parts.append(placed(lambda n, phase=phase: phase(kind, n), end - begin, starts[-1] - begin))  # type: ignore[misc]
            starts.append(max(end, starts[-1]))
        begin = end
    last = phases[-1](kind, 0)
    if ends[-2] > ends[-1]:  # the middle phase is longer than the whole run: stop within it
        last = schedules.constant(sequence(parts[:2], [moment(starts[1])])(steps - 1))
        parts, starts = [*parts[:2], last], [*starts[:2], steps - 1, steps]
    # There are N rates, at steps 0 to N - 1, so the length is N, although the last step changes nothing.
    return join([*(parts or [last]), last], [*map(moment, starts[1:-1]), steps])


def exact(end: float) -> Fraction | int:
    """The exact value of a float, as an integer if possible: integers are much cheaper than Fractions."""
    return int(end) if end.is_integer() else Fraction(end)

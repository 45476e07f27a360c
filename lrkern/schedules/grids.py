"""Many schedules at once: cooldowns that branch off one schedule, and tables with a row for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike, NDArray

from lrkern._checks import MAX_COUNT, count, counts, counts_for, describe
from lrkern.backends import choose
from lrkern.schedules.expression import Schedule, schedule


def cooldowns(
    base: Schedule,
    at: Sequence[int] | ArrayLike,
    steps: int | Sequence[int] | ArrayLike,
    end: float = 0.0,
    curve: str = "linear",
) -> list[Schedule]:
    """Cooldowns that branch off one schedule at several steps: `base.cooldown(at[i], steps[i], end, curve)`.

    In their `tables`, two rows agree up to the earlier of their branching points.

    Args:
        base: the schedule they branch off.
        at: the branching steps, >= 0, in any order.
        steps: lengths of the cooldowns, >= 0: one for all, or as many as `at`.
        end, curve: as in `Schedule.cooldown`.

    Source: Hagele et al., arXiv 2405.18392: one run with a constant rate yields a model for every budget.

    >>> import lrkern as lk
    >>> lk.tables(lk.cooldowns(lk.constant(1.0).warmup(1), at=[2, 4], steps=2), 7)
    array([[0. , 1. , 1. , 0.5, 0. , 0. , 0. ],
           [0. , 1. , 1. , 1. , 1. , 0.5, 0. ]])
    """
    schedule("cooldowns", "base", base)
    points = counts("cooldowns", "at", at, ordered=False)
    lengths = counts_for("cooldowns", "steps", steps, "at", len(points))
    return [base.cooldown(point, length, end, curve) for point, length in zip(points, lengths, strict=True)]


def tables(
    schedules: Sequence[Schedule],
    n: int,
    start: int = 0,
    dtype: Any = None,
    out: NDArray[Any] | None = None,
    *,
    backend: str | None = None,
) -> NDArray[Any]:
    """Row i: the values of schedules[i] at steps start, start + 1, ..., start + n - 1.

    Schedules are compiled and filled in parallel; no plan is kept. Bit-identical to `Schedule.table`.

    Args:
        schedules: a sequence of Schedules.
        n, start, dtype, backend: as in `Schedule.table`.
        out: array to fill: shape (len(schedules), n), otherwise as in `Schedule.table`.

    Returns:
        `out`, or a new array of shape (len(schedules), n).

    Raises:
        TypeError, ValueError: bad arguments; nothing has been written.
        ImportError, RuntimeError: the backend cannot be used here; the message says why. See `lrkern.info`.
        OverflowError: a value is beyond float64 (then `out` may be partly written).

    >>> import lrkern as lk
    >>> lk.tables([lk.linear(lr, 0.0, 2) for lr in (0.1, 0.2)], 3)
    array([[0.1 , 0.05, 0.  ],
           [0.2 , 0.1 , 0.  ]])
    """
    if isinstance(schedules, Schedule) or not isinstance(schedules, Sequence):
        raise TypeError(f"tables: schedules must be a sequence of Schedules; got {describe(schedules)}")
    rows = list(schedules)
    for i, row in enumerate(rows):
        if not isinstance(row, Schedule):
            schedule("tables", f"schedules[{i}]", row)
    n = count("tables", "n", n)
    start = count("tables", "start", start, high=MAX_COUNT - n)
    made = choose("tables", backend, out).tables(rows, n, start, dtype, out)
    return made if out is None else out

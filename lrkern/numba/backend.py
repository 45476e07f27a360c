"""The backend "numba", in compiled Python: tables, lists of tensors (`lists`), loss-driven schedules of many runs (`scan`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from lrkern import _core
from lrkern._checks import table_output
from lrkern.backends import Backend
from lrkern.numba import plans, scan
from lrkern.numba.lists import StepList
from lrkern.numba.threads import all_threads, in_parallel
from lrkern.optimizers import arrays
from lrkern.schedules.plan import Plan

if TYPE_CHECKING:
    from lrkern.schedules.expression import Schedule


def _plans(schedule: Schedule, start: int, stop: int) -> Iterator[tuple[Plan, int, int]]:
    """(plan, begin, end) of plans that together cover the steps from start to stop."""
    try:
        whole = Plan(*schedule._plan_arrays(1))
    except OverflowError:  # raised for the first step of the plan, which may not be needed
        whole = None
    if whole is not None and whole.period > 0:
        yield whole, start, stop
        return
    while start < stop:
        some = Plan(*schedule._plan_arrays(stop, start))
        end = min(int(some.breaks[-1]), stop)
        yield some, start, end
        start = end


def _fill(schedule: Schedule, out: NDArray[Any], start: int) -> None:
    with _core.DefaultMode():
        _fill_by_default(schedule, out, start)


def _fill_by_default(schedule: Schedule, out: NDArray[Any], start: int) -> None:
    for plan, begin, end in _plans(schedule, start, start + out.size):
        wanted = out[begin - start : end - start]
        if not in_parallel(_core.fill_in_parallel(wanted.size)):
            plans.fill_run(plan, wanted, begin)
        else:
            with all_threads() as threads:
                share = -(-max(wanted.size // (threads * _core.PIECES_PER_THREAD), _core.FILL_MIN_TASK) // 64) * 64
                streams = wanted.flags.aligned and _core.streams(threads, wanted.nbytes)
                plans.fill_parallel(plan, wanted, begin, share, streams)


def table(schedule: Schedule, n: int, start: int, dtype: Any, out: Any) -> NDArray[Any]:
    """`Schedule.table`."""
    filled = table_output("table", (n,), dtype, out)
    with _core.hold("table", "out", filled):
        _fill(schedule, filled, start)
    return filled


def tables(schedules: list[Schedule], n: int, start: int, dtype: Any, out: Any) -> NDArray[Any]:
    """`lrkern.tables`."""
    filled = table_output("tables", (len(schedules), n), dtype, out)
    with _core.hold("tables", "out", filled):
        for i, schedule in enumerate(schedules):
            try:
                _fill(schedule, filled[i], start)
            except OverflowError as error:
                raise OverflowError(str(error).replace("schedule: the value", f"tables: the value of schedules[{i}]")) from None
    return filled


BACKEND = Backend(table, tables, StepList, arrays, scan.SCANS)

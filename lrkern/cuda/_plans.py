"""Plans in device memory: packed for the kernel that advances schedules, for tables, and singly for users' kernels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrkern import _checks
from lrkern._checks import MAX_COUNT, describe
from lrkern.cuda import _arrays, _elements
from lrkern.cuda._overloads import native
from lrkern.cuda._platform import (
    SIMULATED,
    THREADS,
    WIDEST,
    Launch,
    cuda,
    current_stream,
    kernel,
    on_device,
    overload,
    read_back,
    store,
    to_device,
    types,
)
from lrkern.pointwise.plan_eval import at_integer, at_real, find, piece, reduced, value
from lrkern.schedules.expression import Schedule
from lrkern.schedules.plan import Plan

_RUNS = 2 if SIMULATED else 16
"""Wide stores per thread of a table's kernel."""


class Packed(NamedTuple):
    """Concatenated plans of several schedules: rows of `live` (see `_step_scalars`), and the arrays of all plans."""

    live: NDArray[np.int64]
    breaks: NDArray[np.int64]
    center: NDArray[np.int64]
    coef: NDArray[np.float64]

    @classmethod
    def of(cls, where: str, schedules: dict[tuple[int, int], tuple[str, Any]]) -> Packed:
        """The plans of hyper-parameters, by (group, place), for as many steps as the limit of pieces allows."""
        plans = []
        for name, schedule in schedules.values():
            if not isinstance(schedule, Schedule):
                wanted = "a number or a Schedule on a CUDA device, which evaluates it (from_function converts a function)"
                raise TypeError(f"{where}: {name} must be {wanted}; got {describe(schedule)}")
            plans.append(Plan(*schedule._plan_arrays(MAX_COUNT)))
        return cls.of_plans([(group, place) for group, place in schedules], plans)

    @classmethod
    def of_plans(cls, places: Sequence[tuple[int, int]], plans: Sequence[Plan]) -> Packed:
        """The same from plans and their (group, place)."""
        pieces = np.cumsum([0, *(len(plan.center) for plan in plans)])
        rows = [
            (*place, pieces[j] + j, pieces[j], len(plan.center), plan.tail_start, plan.period)
            for j, (place, plan) in enumerate(zip(places, plans, strict=True))
        ]
        return cls(
            np.array(rows, np.int64).reshape(len(rows), 7),
            np.concatenate([np.empty(0, np.int64), *(plan.breaks for plan in plans)]),
            np.concatenate([np.empty(0, np.int64), *(plan.center for plan in plans)]),
            np.concatenate([np.empty((0, 15)), *(plan.coef for plan in plans)]),
        )

    def same_as(self, other: Packed) -> bool:
        """Whether these are the same plans for the same places."""
        return all(np.array_equal(a, b) for a, b in zip(self, other, strict=True))

    def to_device(self, stream: int) -> tuple[Any, ...]:
        """The arrays on the device."""
        return tuple(to_device(array, stream) for array in self)


def _plan_for(where: str, schedule: Schedule, horizon: int) -> Plan:
    try:
        return schedule.plan(max(1, horizon))
    except ValueError as error:
        raise ValueError(f"{where}: {describe(schedule)} has too many pieces for a table on a CUDA device: {error}") from None


# -------------------------------------------------------------------------------------------------------------- tables


@cache
def make_table(carrier: Any) -> Any:
    """The kernel table(live, breaks, center, coef, start, n, address): a row of n values per plan."""
    size = np.dtype(carrier).itemsize
    lanes = WIDEST // size
    chunk = THREADS * lanes * _RUNS
    store_wide, store_one = store(carrier, lanes), store(carrier, 1)
    as_stored = _elements.converted(lanes, "carrier({x})", carrier=carrier)

    def table(live: Any, breaks: Any, center: Any, coef: Any, start: int, n: int, address: int) -> None:
        per_row = (n + chunk - 1) // chunk
        row, begin = cuda.blockIdx.x // per_row, cuda.blockIdx.x % per_row * chunk
        end = min(begin + chunk, n)
        a, b, count = live[row, 2], live[row, 3], live[row, 4]
        arrays = native(breaks[a : a + count + 1]), native(center[b : b + count]), native(coef[b : b + count])
        plan = Plan(arrays[0], arrays[1], arrays[2], live[row, 5], live[row, 6])
        out = address + row * n * size
        is_wide = out % WIDEST == 0
        values = cuda.local.array(lanes, types.float64)
        k = find(plan, reduced(plan, start + begin))
        c = piece(plan, k)
        i = begin + cuda.threadIdx.x * lanes
        while i < end:
            for lane in range(lanes):
                t = reduced(plan, start + min(i + lane, n - 1))
                if t < plan.breaks[k] or t >= plan.breaks[k + 1]:
                    k = find(plan, t)
                    c = piece(plan, k)
                values[lane] = value(c, float(t - plan.center[k]) * c[12])
            if is_wide and i + lanes <= end:
                store_wide(out + i * size, as_stored(values, 0, 0, 0))
            else:
                for lane in range(lanes):
                    if i + lane < end:
                        store_one(out + (i + lane) * size, carrier(values[lane]))
            i += cuda.blockDim.x * lanes

    return kernel(table, carrier)


@lru_cache(maxsize=8)
def _on_device(device_id: int, schedules: tuple[Schedule, ...], where: str, horizon: int) -> tuple[Any, ...]:
    """The plans of a table, cached for the next one: allocating and freeing memory would synchronize every time."""
    packed = Packed.of_plans([(0, 0)] * len(schedules), [_plan_for(where, one, horizon) for one in schedules])
    found = packed.to_device(current_stream("", device_id))
    read_back(found[0], current_stream("", device_id))  # for any stream of the next table
    return found


def _fill(where: str, schedules: list[Schedule], shape: tuple[int, ...], start: int, dtype: Any, out: Any) -> Any:
    if out is None:
        kind = np.dtype(np.float64 if dtype is None else dtype)
        if kind not in (np.float64, np.float32):
            raise TypeError(f"{where}: dtype must be float64 or float32; got {describe(dtype)}")
        out = cuda.device_array(shape, kind)
        array = _arrays.as_array(where, "out", out, written=True)
    else:
        array = _arrays.as_array(where, "out", out, written=True)
        allowed = ("float32", "float64") if dtype is None else (np.dtype(dtype).name,)
        _checks.output(where, "out", array, shape, allowed)
    n = shape[-1]
    if array.size == 0:
        return out
    carrier = _elements.CARRIERS[_arrays.storage_of(array.dtype, False)]
    chunk = THREADS * (WIDEST // array.itemsize) * _RUNS
    with on_device(array.device_id):
        stream = current_stream(array.library, array.device_id)
        plans = _on_device(array.device_id, tuple(schedules), where, start + n)
        blocks = len(schedules) * ((n - 1) // chunk + 1)
        Launch(make_table(carrier), blocks, *plans, start, n, array.address)(stream)
    return out


def table(schedule: Schedule, n: int, start: int, dtype: Any, out: Any) -> Any:
    """`Schedule.table` in device memory."""
    return _fill("table", [schedule], (n,), start, dtype, out)


def tables(schedules: list[Schedule], n: int, start: int, dtype: Any, out: Any) -> Any:
    """`lrkern.tables` in device memory: one launch for all."""
    return _fill("tables", schedules, (len(schedules), n), start, dtype, out)


# --------------------------------------------------------------------------------------------------------- users' kernels


def plan(schedule: Schedule, horizon: int | None = None) -> Plan:
    """The plan of a schedule in device memory, an argument of kernels for `at`.

    Args:
        schedule: a Schedule.
        horizon: as in `Schedule.plan`.
    """
    host = schedule.plan(horizon)
    return Plan(
        cuda.to_device(host.breaks), cuda.to_device(host.center), cuda.to_device(host.coef), host.tail_start, host.period
    )


def at(plan: Plan, step: Any) -> float:
    """The value of a schedule at a step, in kernels: bit-identical to the table. NaN if the plan does not cover the step.

    Plans are made for integer steps. Between two of them, the polynomial of the lower one is extended, which may be a constant.

    Args:
        plan: the result of `lrkern.cuda.plan`.
        step: an integer or a float, from 0 to 2^53.
    """
    on_host = Plan(native(plan.breaks), native(plan.center), native(plan.coef), plan.tail_start, plan.period)
    found: float = (at_integer if isinstance(step, int | np.integer) else at_real)(on_host, step)
    return found


if not SIMULATED:

    @overload(at)
    def _at(plan, step):
        if isinstance(step, types.Integer):
            return lambda plan, step: at_integer(plan, step)
        return lambda plan, step: at_real(plan, step)

"""Schedules on a device: tables, and values within kernels. See `test_device`."""

from __future__ import annotations

import numpy as np
import pytest
from device_steps import (
    MARKS,
    bits,
    in_either_order,  # noqa: F401
    on_device,
)

import lrkern as lk
import lrkern.cuda
from lrkern.cuda._platform import cuda

pytestmark = MARKS

SCHEDULES = [
    lk.cosine(0.1, 0.0, 100).warmup(10),
    lk.warm_restarts(1.0, 0.0, 10),
    lk.polynomial(1.0, 0.0, 300, power=2.5),
    lk.constant(0.5),
    lk.exponential(1e-300, 0.5),
    lk.from_table([0.1, 0.3, 0.2]),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_tables(schedule, dtype):
    for n, start in ((0, 3), (1, 0), (33, 95), (150, 7)):
        expected = schedule.table(n, start=start, dtype=dtype)
        assert bits(schedule.table(n, start=start, dtype=dtype, backend="cuda").copy_to_host()) == bits(expected)
        for offset in (0, 8):
            out = on_device(np.zeros(n, dtype), offset)
            assert schedule.table(n, start=start, out=out) is out
            assert bits(out.array) == bits(expected)


def test_tables_of_many():
    for n in (1, 7, 200):
        expected = lk.tables(SCHEDULES, n, start=3)
        assert bits(lk.tables(SCHEDULES, n, start=3, backend="cuda").copy_to_host()) == bits(expected)


def test_at_in_kernels():
    schedule = lk.cosine(0.1, 0.0, 50).warmup(5)
    plan = lrkern.cuda.plan(schedule)
    steps = np.arange(70)

    @cuda.jit
    def fill(plan, integers, reals):
        i = cuda.grid(1)
        if i < integers.size:
            integers[i] = lrkern.cuda.at(plan, i)
            reals[i] = lrkern.cuda.at(plan, float(i))

    integers, reals = np.zeros(70), np.zeros(70)
    fill[9, 8](plan, integers, reals)
    assert bits(integers) == bits(reals) == bits(schedule(steps))

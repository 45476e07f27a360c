"""Schedules after a fork, in many threads at once, and built repeatedly."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import ulp
from concurrency import run_concurrently, ticks_during

import lrkern as lk


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = lk.get_threads()
    yield
    lk.set_threads(before)


def test_fork_in_the_middle():
    """A child forked while the pool has threads fills large tables correctly, with its own threads."""
    lk.set_threads(2)
    schedule = lk.cosine(0.1, 0.0, 10**6).warmup(1000)
    expected = schedule.table(2_000_000)
    program_bits = expected.tobytes()
    for _ in range(3):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 0 if schedule.table(2_000_000).tobytes() == program_bits else 2
                if os.path.exists("/proc/self/task") and len(os.listdir("/proc/self/task")) < 2:
                    code = 3
            finally:
                os._exit(code)
        deadline = time.monotonic() + 30
        while True:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                break
            if time.monotonic() > deadline:
                os.kill(child, 9)
                os.waitpid(child, 0)
                pytest.fail("the child hangs")
            time.sleep(0.005)
        assert os.waitstatus_to_exitcode(status) == 0
        assert schedule.table(2_000_000).tobytes() == program_bits


def test_fork_while_another_thread_fills():
    """The pool may be busy at the moment of the fork; the child starts its own."""
    program = """
import os, threading, time
import numpy as np
import lrkern as lk
s = lk.cosine(0.1, 0.0, 10**6)
expected = s.table(1_000_000).tobytes()
stop = threading.Event()
def work():
    while not stop.is_set():
        s.table(1_000_000)
thread = threading.Thread(target=work)
thread.start()
codes = []
for _ in range(10):
    child = os.fork()
    if child == 0:
        os._exit(0 if s.table(1_000_000).tobytes() == expected else 1)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
thread.join()
print(codes)
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.strip() == str([0] * 10)


def test_threads_share_a_schedule():
    """Infinite schedules whose plans grow while several threads request different steps."""
    texts = [
        "inverse_sqrt(0.1, 30)",
        "warm_restarts(0.1, 0.0, 10, 1.01, 0.999)",
        "exponential(0.1, 0.99999) * cyclic(0.0, 1.0, 17, 5)",
        "cosine(0.1, 0.0, 1_000_000).warmup(1000)",
        "noam(512, 4000).staircase(10)",
    ]
    starts = [0, 10, 10**5, 10**6, 10**9, 3, 5 * 10**5, 10**12]
    for text in texts:
        expected = [lk.parse(text).table(3000, start=start).tobytes() for start in starts]
        for _ in range(3):
            schedule = lk.parse(text)

            def work(i, schedule=schedule):
                tables = [schedule.table(3000, start=starts[(i + k) % 8]).tobytes() for k in range(8)]
                points = schedule(np.arange(starts[i], starts[i] + 3000)).tobytes()
                return tables[-i % 8 if i else 0], tables, points

            for i, (_, tables, points) in enumerate(run_concurrently(8, work)):
                assert tables == [expected[(i + k) % 8] for k in range(8)], text
                assert points == expected[i], text


def test_threads_fill_large_tables_at_once():
    """The pool serves one caller, the others do their own work; all get the right bits."""
    schedules = [lk.cosine(0.1 * (i + 1), 0.0, 10**6).warmup(100 * i) for i in range(6)]
    expected = [s.table(1_000_000) for s in schedules]
    for _ in range(3):
        rows = run_concurrently(6, lambda i: (schedules[i].table(1_000_000), lk.tables(schedules, 50_000)))
        for i, (row, grid) in enumerate(rows):
            ulp.assert_same_bits(row, expected[i])
            assert grid.tobytes() == b"".join(e[:50_000].tobytes() for e in expected)


def test_threads_may_change_the_number_of_threads():
    schedule = lk.cosine(0.1, 0.0, 10**6)
    expected = schedule.table(1_000_000).tobytes()

    def work(i):
        for k in range(20):
            lk.set_threads(1 + (i + k) % 3)
            if schedule.table(1_000_000).tobytes() != expected:
                return False
        return True

    assert all(run_concurrently(4, work))


def test_other_threads_run_while_steps_are_looked_up():
    """Neither integer nor fractional steps hold the interpreter lock."""
    schedule = lk.cosine(0.1, 0.0, 10**6)
    for steps in (np.random.default_rng(0).integers(0, 10**6, 10**7), np.random.default_rng(0).random(10**6) * 10**6):
        assert ticks_during(schedule, steps) > 10


def test_building_in_threads():
    def work(i):
        return [repr(lk.cosine(0.1, 0.0, 10 + i).warmup(k).repeat(50, 3) + 0.1) for k in range(200)]

    for i, texts in enumerate(run_concurrently(8, work)):
        assert texts == work(i)


def test_nothing_leaks():
    """Memory use is constant over thousands of schedules, tables and rejected calls."""

    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    if not os.path.exists("/proc/self/statm"):
        pytest.skip("needs /proc")
    out = np.empty(1000)

    def work():
        for i in range(3000):
            s = (lk.cosine(0.1, 0.0, 100 + i).warmup(7) * lk.exponential(1.0, 0.999)).clip(1e-4).repeat(300, 3)
            s.table(1000, out=out)
            s(3)
            lk.tables([s, s], 10)
            try:
                lk.exponential(1e300, 2.0 + i).table(1000, out=out)
            except OverflowError:
                pass
            try:
                lk.cosine(0.1, 0.0, -1)
            except ValueError:
                pass

    work()
    before = resident()
    work()
    assert resident() - before < 8 << 20

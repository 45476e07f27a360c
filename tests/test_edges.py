"""The corners: nothing to do, one step, millions of cycles, the last step there is, denormals, processes and threads."""

from __future__ import annotations

import concurrent.futures
import copy
import math
import os
import pickle
import subprocess
import sys
import threading
import time
import tracemalloc
from fractions import Fraction

import case_steps
import cases
import numpy as np
import oracle
import pytest
import ulp

import lrkern as lk

LAST = 2**53


def assert_exact(text, steps):
    """Values of an expression at these steps, against the oracle."""
    schedule, exact = lk.parse(text), oracle.evaluate(text)
    got = schedule(np.array(steps, np.int64))
    pairs = [exact.at_with_scale(t) for t in steps]
    error, i = ulp.worst(got, [v for v, _ in pairs], [s for _, s in pairs])
    assert error <= cases.MAX_ULP, (
        f"{text} at step {steps[i]}: got {float(got[i])!r}, exact {cases.mp.nstr(pairs[i][0], 25)}, {error:.4g} ULP"
    )
    return got


# ------------------------------------------------------------------------------------------------- lengths 0 and 1

SPANS = ["linear", "cosine", "geometric", "one_minus_sqrt", "rex", "polynomial"]


@pytest.mark.parametrize("name", SPANS)
def test_no_steps(name):
    s = lk.parse(f"{name}(0.5, 0.25, 0)")
    assert s.steps == 0
    assert s.table(4).tolist() == [0.25] * 4
    assert s(0) == s(0.5) == s(LAST) == 0.25


@pytest.mark.parametrize("name", SPANS)
def test_one_step(name):
    s = lk.parse(f"{name}(0.5, 0.25, 1)")
    assert s.steps == 1
    assert s.table(4).tolist() == [0.5, 0.25, 0.25, 0.25]
    assert 0.25 < s(0.5) < 0.5


@pytest.mark.parametrize("name", SPANS)
def test_both_ends_equal(name):
    s = lk.parse(f"{name}(0.3, 0.3, 1000)")
    assert set(s.table(1100).tolist()) == {0.3}


@pytest.mark.parametrize(
    "text", ["cosine({}, 1e10, 10**6)", "constant(1e20).warmup(10**6, {}, 'square')", "linear({}, 3.0, 7)"]
)
@pytest.mark.parametrize("start", [-0.001, -1e-9])
def test_a_start_far_smaller_than_the_end_and_of_the_other_sign_is_exact(text, start):
    schedule = lk.parse(text.format(start))
    assert schedule(0) == start
    assert schedule.table(3)[0] == start


def test_a_stretch_that_no_local_time_can_follow_is_refused():
    with pytest.raises(ValueError, match=r"stretches must not multiply to less than 2\*\*-100"):
        lk.cosine(1.0, 0.5, 10).stretch(5e-324)
    with pytest.raises(ValueError, match=r"less than 2\*\*-100"):
        lk.cosine(1.0, 0.5, 10).stretch(1e-20).shift(3).stretch(1e-20)


def test_products_of_exponentials_far_beyond_float64():
    assert (lk.exponential(1.0, 2.0) * lk.exponential(1.0, 0.5) * 3.0)(2**30) == 3.0
    assert (lk.exponential(1.0, 2.0) * lk.exponential(1.0, 0.25))(2**53) == 0.0


@pytest.mark.parametrize("terms", [12, 90])
def test_sums_take_time_in_proportion_to_their_terms(terms):
    schedule = lk.polynomial(1.0, 0.0, 1000, 0.5)
    for _ in range(terms):
        schedule = schedule + 0.001
    begin = time.perf_counter()
    schedule.table(1001)
    assert time.perf_counter() - begin < 1.0


def test_no_warmup():
    s = lk.cosine(0.1, 0.0, 100)
    assert s.warmup(0) == s
    assert s.warmup(0)(0) == 0.1
    assert lk.wsd(0.1, 0, 5, 5)(0) == 0.1
    assert lk.noam(64, 0)(0) == 0.125


def test_warmup_of_one_step():
    assert lk.constant(0.1).warmup(1).table(3).tolist() == [0.0, 0.1, 0.1]


def test_warmup_from_above_and_from_the_value_itself():
    assert lk.constant(0.25).warmup(2, start=0.75).table(4).tolist() == [0.75, 0.5, 0.25, 0.25]
    assert set(lk.constant(0.1).warmup(7, start=0.1).table(9).tolist()) == {0.1}


def test_a_peak_at_step_zero():
    """A ramp of no length before, a fall at once after."""
    s = lk.join([lk.linear(0.0, 1.0, 0), lk.cosine(1.0, 0.0, 10)], [0])
    assert s(0) == 1.0
    assert lk.cyclic(0.0, 1.0, 0, 4).table(5).tolist() == [1.0, 0.75, 0.5, 0.25, 1.0]
    assert lk.cyclic(0.0, 1.0, 4, 0).table(5).tolist() == [0.0, 0.25, 0.5, 0.75, 0.0]
    assert lk.one_cycle(1.0, 10, pct_start=0.0)(0) == 1.0
    assert lk.one_cycle(1.0, 3)(0) == 1.0  # int(0.3 * 3) == 0


def test_one_cycle_without_a_way_down():
    s = lk.one_cycle(1.0, 10, pct_start=1.0, div=4.0, final_div=4.0)
    assert s(0) == 0.25
    assert s(10) == 0.0625


def test_repeated_boundaries():
    assert lk.piecewise([1.0, 2.0, 3.0, 4.0], [2, 2, 2]).table(4).tolist() == [1.0, 1.0, 4.0, 4.0]
    assert lk.join([lk.constant(float(i)) for i in range(4)], [2, 2, 2]).table(4).tolist() == [0.0, 0.0, 3.0, 3.0]
    assert lk.interpolate([1.0, 2.0, 4.0, 8.0], [0, 2, 2, 4]).table(6).tolist() == [1.0, 1.5, 4.0, 6.0, 8.0, 8.0]
    assert lk.interpolate([1.0, 2.0, 4.0], [2, 2, 2]).table(4).tolist() == [1.0, 1.0, 4.0, 4.0]
    assert lk.piecewise([1.0, 2.0], [0]).table(2).tolist() == [2.0, 2.0]


def test_period_of_one_step():
    assert lk.warm_restarts(0.1, 0.0, 1).table(5).tolist() == [0.1] * 5
    assert lk.linear(1.0, 0.0, 10).repeat(1).table(5).tolist() == [1.0] * 5
    assert lk.linear(1.0, 0.0, 4).repeat(1, 3, 0.5).table(8).tolist() == [1.0, 0.5, 0.25, 0.1875, 0.125, 0.0625, 0.0, 0.0]
    assert lk.cosine(0.1, 0.0, 9).staircase(1) == lk.cosine(0.1, 0.0, 9).staircase(1)


def test_the_last_cycle_runs_on_to_the_end():
    s = lk.linear(1.0, 0.0, 4).repeat(2, 3)
    assert s.table(10).tolist() == [1.0, 0.75, 1.0, 0.75, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    assert s.steps == 8


def test_cut_short_and_run_over():
    """A period beyond the end holds it; a join may cut a curve anywhere or hold its end."""
    assert lk.linear(1.0, 0.0, 2).repeat(4).table(9).tolist() == [1.0, 0.5, 0.0, 0.0] * 2 + [1.0]
    assert lk.join([lk.linear(1.0, 0.0, 4), lk.constant(9.0)], [2]).table(4).tolist() == [1.0, 0.75, 9.0, 9.0]
    assert lk.join([lk.linear(1.0, 0.0, 1), lk.constant(9.0)], [3]).table(4).tolist() == [1.0, 0.0, 0.0, 9.0]


# ---------------------------------------------------------------------------------------------------- many cycles


def test_growth_below_one_ends():
    s = lk.warm_restarts(1.0, 0.25, 8, 0.5)
    assert s(0) == s(8) == s(12) == s(14) == s(15) == 1.0
    assert s(16) == s(17) == s(LAST) == 0.25
    assert s(15.5) == s(15.75) == 1.0


@pytest.mark.parametrize("growth", [0.5, 0.99, 0.1])
def test_the_limit_of_shrinking_cycles(growth):
    """Thousands of cycles crowd into the last steps before period/(1 - growth)."""
    text = f"warm_restarts(0.1, 0.01, 10, {growth})"
    limit = math.floor(10 / (1 - growth))
    assert_exact(text, [t for t in range(limit - 5, limit + 5) if t >= 0])


def test_starts_of_cycles_are_found_exactly():
    """Powers of three, where logarithms are off by one: every cycle starts at its peak."""
    for period, growth in [(10, 3), (7, 3), (1, 2), (50, 2), (3, 5), (1, 10)]:
        s = lk.warm_restarts(0.1, 0.0, period, growth)
        begin, length = 0, period
        while begin < LAST:
            assert s(begin) == 0.1, (period, growth, begin)
            if begin > 2:
                assert 0 < s(begin - 1) < 0.1 or length == growth, (period, growth, begin)
            begin, length = begin + length, length * growth


def test_a_million_cycles_of_restarts():
    s = lk.warm_restarts(0.1, 0.0, 10)
    row = s.table(10_000_000)
    assert row.reshape(-1, 10).tobytes() == np.tile(s.table(10), 10**6).tobytes()


@pytest.mark.parametrize(
    "text",
    [
        "warm_restarts(0.1, 0.0, 10, gain=0.99999)",
        "warm_restarts(0.1, 0.0, 10, 1.0000001)",
        "warm_restarts(0.1, 0.0, 10, 1.0000001, 0.99999)",
        "cyclic(0.0, 0.1, 3, 7, 'exp_range', 0.9999999)",
        "cosine(0.1, 0.0, 10).repeat(10, gain=0.99999)",
        "cosine(0.1, 0.0, 10).repeat(10, times=1_000_000)",
    ],
)
def test_a_million_cycles_with_growth_or_gain(text):
    draw = case_steps.rng(text)
    steps = sorted(draw.randrange(10_000_000) for _ in range(300))
    got = assert_exact(text, steps)
    schedule = lk.parse(text)
    for start in (0, 4_999_990, 9_999_000):
        row = schedule.table(1000, start=start)
        ulp.assert_same_bits(schedule(np.arange(start, start + 1000)), row, text)
    row = schedule.table(500_000)
    near = [i for i, t in enumerate(steps) if t < row.size]
    ulp.assert_same_bits(row[[steps[i] for i in near]], got[near], text)


@pytest.mark.parametrize(
    ("text", "cycles"),
    [
        ("cosine(0.1, 0.0, 10).repeat(10)", 10**6),
        ("cosine(0.1, 0.0, 10).repeat(10, gain=0.9999)", 10**5),
        ("warm_restarts(0.1, 0.0, 10)", 10**6),
        ("warm_restarts(0.1, 0.0, 10, gain=0.9999)", 10**5),
        ("cyclic(0.001, 0.1, 4, 6)", 10**6),
        ("cyclic(0.0, 0.1, 4, 6, 'triangular2')", 10**5),
        ("cosine(0.1, 0.0, 7).warmup(3).repeat(10, 100_000)", 10**5),
        ("warm_restarts(0.1, 0.0, 10, 1.0000001)", 10**5),
    ],
)
def test_cycles_are_not_compiled_one_by_one(text, cycles):
    """10^5 cycles as a table: below the 1 to 5 s that 10^5 compilations of 10 to 50 us each would take."""
    schedule = lk.parse(text)
    out = np.empty(10 * cycles)
    schedule.table(10)
    begin = time.process_time()
    schedule.table(out.size, out=out)
    seconds = time.process_time() - begin
    assert seconds < 1.0, f"{seconds:.3f} s of CPU time for {cycles} cycles"


@pytest.mark.parametrize(
    "text", ["cosine(0.1, 0.0, 10).repeat(10)", "warm_restarts(0.1, 0.0, 10, gain=0.99999)", "noam(512, 4000)"]
)
def test_a_far_step_costs_no_more_than_a_near_one(text):
    begin = time.process_time()
    lk.parse(text)(10**15)
    lk.parse(text).table(100, start=10**15)
    assert time.process_time() - begin < 0.1


def test_far_steps_take_no_memory():
    tracemalloc.start()
    for text in ("cosine(0.1, 0.0, 10).repeat(10, gain=0.9)", "warm_restarts(0.1, 0.0, 3, 1.001)", "cyclic(0.0, 1.0, 1)"):
        schedule = lk.parse(text)
        for t in (10**9, 10**12, LAST):
            schedule(t)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


# ------------------------------------------------------------------------------------------------------ far and tiny


@pytest.mark.parametrize("name", SPANS)
@pytest.mark.parametrize("steps", [10**12, LAST])
def test_a_very_long_curve(name, steps):
    text = f"{name}(0.1, 0.001, {steps})"
    near = [0, 1, 2, 3, steps // 2 - 1, steps // 2, steps - 3, steps - 2, steps - 1, steps]
    assert_exact(text, near)
    schedule = lk.parse(text)
    assert schedule(steps) == 0.001
    assert steps == LAST or schedule.table(5, start=steps - 4)[-1] == 0.001
    ulp.assert_same_bits(schedule.table(8, start=steps - 8), schedule(np.arange(steps - 8, steps)), text)


def test_the_last_step():
    for text in ("cosine(0.1, 0.0, 100)", "inverse_sqrt(0.1, 3)", "cyclic(0.0, 1.0, 3)", "warm_restarts(1.0, 0.0, 10, 2)"):
        s = lk.parse(text)
        assert s(LAST) == s(float(LAST)) == s(np.int64(LAST))
        assert s(LAST - 1) == s.table(1, start=LAST - 1)[0]
        for step in (LAST + 1, LAST + 2, 2**63, 2.0**60):
            with pytest.raises(ValueError, match="step"):
                s(step)


def test_steps_beyond_float32():
    """2^24 + 1 is not 2^24."""
    s = lk.linear(0.0, 2.0**30, 2**30)
    steps = [2**24 - 1, 2**24, 2**24 + 1, 2**24 + 3, 2**29 + 1]
    assert s(np.array(steps)).tolist() == steps
    assert [s(t) for t in steps] == steps
    s = lk.linear(0.0, 2.0**53, LAST)
    steps = [LAST - 1, LAST - 2, 2**52 + 1]
    assert s(np.array(steps)).tolist() == steps


@pytest.mark.parametrize(
    "text",
    [
        "linear(1e-310, 0.0, 1000)",
        "cosine(1e-308, 0.0, 1000)",
        "cosine(5e-324, 0.0, 10)",
        "linear(5e-324, 1e-323, 7)",
        "exponential(1.0, 0.5)",
        "exponential(1e-300, 0.9)",
        "geometric(1e-300, 5e-324, 1000)",
        "step_decay(1.0, 0.1, 3)",
        "1e-200 * cosine(1e-110, 0.0, 300)",
        "exponential(1e-160, 0.99) * linear(1e-150, 0.0, 900)",
        "cosine(1e-310, 0.0, 100).repeat(100, gain=0.9)",
        "warm_restarts(1e-305, 0.0, 30, gain=0.5)",
        "cosine(1e-310, 1e-312, 500).warmup(50)",
        "(linear(1e-308, 0.0, 100) + cosine(0.0, 1e-309, 100)).clip(low=1e-309)",
    ],
)
def test_denormals(text):
    """Below 2^-1022 one ULP is 2^-1074, and values are rounded to it."""
    assert_exact(text, list(range(1200)))


def test_denormals_are_not_flushed_in_tables():
    s = lk.linear(0.0, 1000 * 5e-324, 1000)
    expected = [t * 5e-324 for t in range(1001)]
    assert s.table(1001).tolist() == expected
    assert [s(t) for t in range(1001)] == expected


def test_gradual_underflow_reaches_zero():
    row = lk.exponential(1.0, 0.5).table(1100)
    assert row[1074] == 5e-324
    assert row[1075] == 0.0  # 2^-1075 is a tie, to the even zero
    assert np.all(row[1075:] == 0.0)
    assert lk.exponential(1.0, 0.5)(LAST) == 0.0


def test_float32_is_rounded_once():
    """Values whose double rounding would go wrong: float64 values just off a float32 tie."""
    s = lk.from_table([1 + 2**-24, 1 + 2**-24 + 2**-52, 1 + 3 * 2**-24, 1e-45, 7e-46, 3.5e38, -1e-46])
    with np.errstate(over="ignore", under="ignore"):
        expected = s.table(7).astype(np.float32)
    ulp.assert_same_bits(s.table(7, dtype=np.float32), expected)
    assert expected[1] != expected[0]


# ---------------------------------------------------------------------------------------------------------- overflow


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("exponential(1.0, 2.0)", 1024),
        ("exponential(-1.0, 2.0)", 1024),
        ("exponential(1e300, 10.0, every=100)", 826),
        ("step_decay(1.0, 2.0, 10)", 10240),
        ("linear(1.0, 0.0, 10).repeat(10, gain=2.0)", 10240),
        ("warm_restarts(1.0, 0.0, 10, gain=2.0)", 10240),
        ("exponential(1.0, 2.0) * exponential(1.0, 2.0)", 512),
        ("exponential(1.0, 2.0) + exponential(1.0, 2.0)", 1023),
        ("1e10 * exponential(1e290, 1.1)", 200),
        ("constant(1e308) + constant(1e308)", 0),
        ("cyclic(0.0, 1.0, 0, 1, 'exp_range', 2.0)", 1024),
    ],
)
def test_overflow_is_an_error_that_names_the_step(text, first):
    schedule, exact = lk.parse(text), oracle.evaluate(text)
    with pytest.raises(OverflowError):
        ulp.nearest(exact.at(first))
    for call in (
        lambda: schedule(first),
        lambda: schedule(np.array([0, first])) if first else schedule(np.array([first])),
        lambda: schedule.table(first + 5),
        lambda: schedule.table(1, start=first),
        lambda: schedule.table(first + 1, dtype=np.float32),
        lambda: lk.tables([lk.constant(1.0), schedule], first + 1),
    ):
        with pytest.raises(OverflowError, match=rf"\b{first}\b"):
            call()
    if first:
        ulp.nearest(exact.at(first - 1))
        assert math.isfinite(schedule(first - 1))
        assert np.all(np.isfinite(schedule.table(first)))


def test_no_overflow_on_the_way():
    """Differences of ends and sums of terms beyond float64 do not matter while the value is within it."""
    big = 1.7976931348623157e308
    assert lk.linear(big, -big, 2).table(3).tolist() == [big, 0.0, -big]
    assert lk.cosine(big, -big, 2).table(3).tolist() == [big, 0.0, -big]
    assert_exact(f"linear({big}, {-big}, 1000)", list(range(1001)))
    assert_exact(f"rex({-big}, {big}, 1000)", list(range(1001)))
    assert lk.constant(big).table(3).tolist() == [big] * 3


def test_an_overflow_that_is_clipped_or_cut_off_is_none():
    assert lk.exponential(1.0, 2.0).clip(high=100.0)(5000) == 100.0
    assert lk.join([lk.exponential(1.0, 2.0), lk.constant(1.0)], [100]).table(3000)[-1] == 1.0


# -------------------------------------------------------------------------------------------------- tables and shapes


def test_nothing_to_fill():
    s = lk.cosine(0.1, 0.0, 100)
    for dtype in (np.float64, np.float32):
        assert s.table(0, dtype=dtype).shape == (0,)
        assert s.table(0, dtype=dtype).dtype == dtype
        assert lk.tables([s, s], 0, dtype=dtype).shape == (2, 0)
        assert lk.tables([], 10, dtype=dtype).shape == (0, 10)
        assert lk.tables([], 0, dtype=dtype).shape == (0, 0)
    assert s.table(0, start=LAST).shape == (0,)
    assert s([]).shape == (0,)
    assert s(np.empty((3, 0), np.int64)).shape == (3, 0)
    out = np.empty(0)
    assert s.table(0, out=out) is out


def test_shapes_and_kinds_of_steps():
    s = lk.cosine(0.1, 0.0, 100)
    steps = np.arange(24)
    row = s.table(24)
    for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, np.float32, np.float64):
        got = s(steps.astype(dtype).reshape(2, 3, 4))
        assert got.dtype == np.float64
        ulp.assert_same_bits(got, row.reshape(2, 3, 4), str(dtype))
    ulp.assert_same_bits(s(steps.reshape(4, 6).T), row.reshape(4, 6).T.copy(), "a transposed array")
    ulp.assert_same_bits(s(steps[::-2]), row[::-2].copy(), "a strided array")
    ulp.assert_same_bits(s(steps.astype(">i4")), row, "foreign byte order")
    ulp.assert_same_bits(s(steps.astype(">f8")), row, "foreign byte order")
    ulp.assert_same_bits(s(list(range(24))), row, "a list")
    ulp.assert_same_bits(s(tuple(range(24))), row, "a tuple")
    ulp.assert_same_bits(s([[0, 1], [2, 3]]), row[:4].reshape(2, 2), "a nested list")
    assert isinstance(s(np.float32(3.0)), float)
    assert isinstance(s(np.uint8(3)), float)
    zero_dimensional = s(np.array(3))
    assert float(zero_dimensional) == row[3]
    assert np.shape(zero_dimensional) == ()
    assert type(s(3)) is float
    assert s(-0.0) == row[0]


def test_steps_are_not_written_to():
    steps = np.arange(1000)
    steps.flags.writeable = False
    lk.cosine(0.1, 0.0, 100)(steps)
    assert steps.tolist() == list(range(1000))


def test_out_is_returned_and_filled():
    s = lk.cosine(0.1, 0.0, 100)
    for dtype in (np.float64, np.float32):
        out = np.full(50, 7, dtype)
        assert s.table(50, out=out) is out
        ulp.assert_same_bits(out, s.table(50, dtype=dtype))
        grid = np.full((2, 50), 7, dtype)
        assert lk.tables([s, 2.0 * s], 50, out=grid) is grid
        ulp.assert_same_bits(grid[0], out)
        row = np.full((3, 50), 7, dtype)
        s.table(50, out=row[1])
        ulp.assert_same_bits(row[1], out)
        assert np.all(row[::2] == 7)


def test_many_schedules():
    """Thousands in one call, all different, some infinite: the rows are the tables."""
    schedules = []
    for i in range(3000):
        s = lk.cosine(0.1 + i / 1000, 1e-3 * (i % 7), 50 + i % 400).warmup(i % 20)
        schedules.append(s if i % 3 else lk.exponential(0.1 + i, 0.99) + lk.warm_restarts(0.1, 0.0, 10 + i % 9, 1.1))
    grid = lk.tables(schedules, 300, start=5)
    assert grid.shape == (3000, 300)
    for i in range(0, 3000, 17):
        ulp.assert_same_bits(grid[i], schedules[i].table(300, start=5), repr(schedules[i]))
    single = lk.tables(schedules, 300, start=5, dtype=np.float32)
    ulp.assert_same_bits(single, grid.astype(np.float32))


def test_one_schedule_many_times():
    s = lk.cosine(0.1, 0.0, 100)
    grid = lk.tables([s] * 1000, 64)
    assert grid.tobytes() == s.table(64).tobytes() * 1000


def test_wide_and_tall_grids():
    s, r = lk.cosine(0.1, 0.0, 10**5), lk.inverse_sqrt(0.1, 30)
    wide = lk.tables([s, r], 500_000)
    ulp.assert_same_bits(wide[0], s.table(500_000))
    ulp.assert_same_bits(wide[1], r.table(500_000))
    tall = lk.tables([s, r] * 50_000, 1)
    assert tall.tobytes() == np.array([s(0), r(0)] * 50_000).tobytes()


def test_any_sequence_of_schedules():
    s = lk.cosine(0.1, 0.0, 100)
    ulp.assert_same_bits(lk.tables((s, s), 5), lk.tables([s, s], 5))


def test_more_than_2_31_steps_in():
    s = lk.cosine(1.0, 0.0, 2**40)
    for start in (2**31 - 20, 2**32 - 20, 2**33 - 20):
        ulp.assert_same_bits(s.table(40, start=start), np.array([s(start + i) for i in range(40)]))


def test_the_first_large_table_has_the_bits_of_small_ones():
    """It is filled with both kinds of stores, in turns."""
    n = 2**25 + 13
    schedule = lk.cosine(0.1, 0.0, n)
    for _ in range(2):
        table = schedule.table(n)
        for start in (0, 1000, n // 3, n // 2 - 500, n - 1000):
            assert table[start : start + 1000].tobytes() == schedule.table(1000, start).tobytes()


def test_a_long_table_of_many_pieces():
    """Thousands of joins: each piece starts where it should, and deep expressions do not overflow a stack."""
    n = 5000
    s = lk.join([lk.linear(float(i), float(i + 1), 10) for i in range(n)], [10 * i for i in range(1, n)])
    assert s.table(10 * n)[::10].tolist() == list(range(n))
    assert s(np.arange(0, 10 * n, 10)).tolist() == list(range(n))


DEEPER = {
    "+": lambda s: s + 0.5,
    "reversed +": lambda s: lk.constant(1.0) + s,
    "*": lambda s: 0.999 * s,
    "- and /": lambda s: (1.0 - s) / 3.0,
    "warmup": lambda s: s.warmup(1),
    "cooldown": lambda s: s.cooldown(10, 1),
    "clip": lambda s: s.clip(0.0),
    "clip of a sum": lambda s: (s + lk.constant(0.5)).clip(0.0),
    "join": lambda s: lk.join([s, lk.linear(1.0, 0.0, 2)], [5]),
    "join on the right": lambda s: lk.join([lk.linear(1.0, 0.0, 2), s], [5]),
    "then on the right": lambda s: lk.linear(1.0, 0.0, 2).then(s),
}


@pytest.mark.parametrize("name", DEEPER)
def test_whatever_can_be_built_can_be_printed_read_compared_and_pickled(name):
    """Up to the greatest depth, which is told when an expression is built; from within a stack that is in use already."""
    s = r = lk.from_table([1.0, 0.5])
    built = 0
    with pytest.raises(ValueError, match=r"^schedule: expressions may be nested 100 deep at most; got 10[12]$"):  # noqa: PT012
        while built < 1000:
            s, r = DEEPER[name](s), DEEPER[name](r)
            built += 1
    assert built >= 32

    def with_frames(n, call):
        return with_frames(n - 1, call) if n else call()

    for call in (
        lambda: lk.parse(repr(s)) == s,
        lambda: pickle.loads(pickle.dumps(s)) == s,
        lambda: copy.deepcopy(s) == s,
        lambda: r == s,
        lambda: hash(r) == hash(s),
        lambda: np.isfinite(s.table(100)).all(),
        lambda: lk.parse(repr(s)).table(100).tobytes() == s.table(100).tobytes(),
    ):
        assert with_frames(100, call)


def test_a_chain_of_any_length():
    """`then` on a join makes it longer, not deeper."""
    s = lk.linear(0.0, 1.0, 10)
    for i in range(1, 1000):
        s = s.then(lk.linear(float(i), float(i + 1), 10))
    assert s.steps == 10_000
    assert s.table(10_000)[::10].tolist() == list(range(1000))
    assert lk.parse(repr(s)) == s == pickle.loads(pickle.dumps(s))
    three = lk.linear(0.0, 1.0, 2).then(lk.constant(3.0)).then(lk.cosine(1.0, 0.0, 2))
    assert repr(three) == "join([linear(0.0, 1.0, 2), constant(3.0), cosine(1.0, 0.0, 2)], [2, 2])"
    assert three.table(5).tolist() == [0.0, 0.5, 1.0, 0.5, 0.0]


def test_numbers_of_numpy_in_arithmetic():
    """On either side, and never an array of schedules."""
    s = lk.linear(1.0, 0.0, 4)
    for two in (np.float64(2.0), np.float32(2.0), np.int64(2), np.uint8(2), np.uint64(2)):
        assert two * s == s * two == 2.0 * s
        assert two + s == s + two == s + 2.0
        assert two - s == 2.0 - s
        assert s - two == s - 2.0
        assert s / two == s / 2.0
        assert (two == s) is False
    for array in (np.arange(3.0), np.array(2.0), np.arange(6).reshape(2, 3)):
        for wrong in (lambda x: x * s, lambda x: s * x, lambda x: x + s, lambda x: s - x, lambda x: s / x, lambda x: x / s):
            with pytest.raises(TypeError):
                wrong(array)


def test_fractions_as_steps():
    s = lk.cosine(1.0, 0.0, 10)
    assert s(Fraction(3, 2)) == s(1.5)
    assert s(Fraction(6, 2)) == s(3)
    assert s(Fraction(1, 3)) == s(1 / 3)  # the nearest float, as wherever a number is asked for


def test_arrays_of_whole_and_fractional_steps():
    """The bits are those of single calls, also where some steps are whole and where the plan has to grow."""
    for text in ("cosine(0.1, 0.0, 100).warmup(10)", "inverse_sqrt(0.1, 30)", "from_table([0.1, 0.2, 0.4])"):
        schedule = lk.parse(text)
        steps = np.array([0.0, 0.5, 7.0, 7.25, 99.0, 1e6, 1e6 + 0.5, 2.0**53, 3.0, 1e12 + 0.5])
        assert schedule(steps).tolist() == [lk.parse(text)(t) for t in steps.tolist()]
    with pytest.raises(OverflowError, match="step 1024 "):
        lk.exponential(1.0, 2.0)(np.array([1.5, 1024.5, 1023.0]))
    with pytest.raises(OverflowError, match="step 1024 "):
        lk.exponential(1.0, 2.0)(np.array([1.5, 1024.0, 1023.0]))


def test_where_an_exponential_ends():
    """Never past `end`, and from `start` on: an end that lies behind is refused, one that is never met does no harm."""
    assert lk.exponential(1.0, 0.5, end=0.3).table(4).tolist() == [1.0, 0.5, 0.3, 0.3]
    assert lk.exponential(1.0, 2.0, end=3.0).table(4).tolist() == [1.0, 2.0, 3.0, 3.0]
    assert lk.exponential(-1.0, 2.0, end=-3.0).table(4).tolist() == [-1.0, -2.0, -3.0, -3.0]
    assert lk.exponential(-1.0, 0.5, end=-0.3).table(4).tolist() == [-1.0, -0.5, -0.3, -0.3]
    for rate in (0.5, 1.0, 2.0):
        assert lk.exponential(1.0, rate, end=1.0).table(3).tolist() == [1.0] * 3
    for end in (0.5, 2.0, -1.0):
        assert lk.exponential(1.0, 1.0, end=end).table(3).tolist() == [1.0] * 3
        assert lk.exponential(0.0, 0.5, end=end).table(3).tolist() == [0.0] * 3


def test_what_takes_no_steps_leaves_no_trace():
    falling = lk.linear(1.0, 0.0, 2)
    assert lk.constant(0.1).then(falling).table(3).tolist() == falling.table(3).tolist()
    assert lk.join([lk.constant(0.1), falling], [2]).table(5).tolist() == [0.1, 0.1, 1.0, 0.5, 0.0]


def test_a_table_of_a_million_values_is_taken_quickly():
    values = np.random.default_rng(0).random(10**6)
    begin = time.process_time()
    schedule = lk.from_table(values)
    seconds = time.process_time() - begin
    assert schedule.table(10**6).tobytes() == values.tobytes()
    assert seconds < 0.5, f"{seconds:.3f} s"


# ------------------------------------------------------------------------------------------------ processes and threads


@pytest.fixture(autouse=True)
def _threads_as_before():
    before = lk.get_threads()
    yield
    lk.set_threads(before)


def test_fork_in_the_middle():
    """A child made while the pool has threads fills large tables right, with threads of its own."""
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
    """The pool may be at work at the moment of the fork; the child starts its own."""
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


def at_once(n, work):
    """Runs work(0) .. work(n-1) in threads that start together; results in order."""
    barrier = threading.Barrier(n)

    def begin(i):
        barrier.wait()
        return work(i)

    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(begin, range(n)))


def test_threads_share_a_schedule():
    """Infinite schedules whose plans grow while several threads ask for different places."""
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
        for _ in range(5):
            schedule = lk.parse(text)

            def work(i, schedule=schedule):
                tables = [schedule.table(3000, start=starts[(i + k) % 8]).tobytes() for k in range(8)]
                points = schedule(np.arange(starts[i], starts[i] + 3000)).tobytes()
                return tables[-i % 8 if i else 0], tables, points

            for i, (_, tables, points) in enumerate(at_once(8, work)):
                assert tables == [expected[(i + k) % 8] for k in range(8)], text
                assert points == expected[i], text


def test_threads_fill_large_tables_at_once():
    """The pool serves one caller, the others do their own work; everyone gets the right bits."""
    schedules = [lk.cosine(0.1 * (i + 1), 0.0, 10**6).warmup(100 * i) for i in range(6)]
    expected = [s.table(1_000_000) for s in schedules]
    for _ in range(3):
        rows = at_once(6, lambda i: (schedules[i].table(1_000_000), lk.tables(schedules, 50_000)))
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

    assert all(at_once(4, work))


def test_other_threads_run_while_steps_are_looked_up():
    """Neither whole nor fractional steps hold the interpreter."""
    schedule = lk.cosine(0.1, 0.0, 10**6)
    for steps in (np.random.default_rng(0).integers(0, 10**6, 10**7), np.random.default_rng(0).random(10**6) * 10**6):
        work = threading.Thread(target=schedule, args=(steps,))
        work.start()
        ticks = 0
        while work.is_alive():
            time.sleep(0.001)
            ticks += 1
        assert ticks > 10


def test_building_in_threads():
    def work(i):
        return [repr(lk.cosine(0.1, 0.0, 10 + i).warmup(k).repeat(50, 3) + 0.1) for k in range(200)]

    for i, texts in enumerate(at_once(8, work)):
        assert texts == work(i)


def test_nothing_leaks():
    """Memory stays where it was over thousands of schedules, tables and refused calls."""

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

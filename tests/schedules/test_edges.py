"""Edge cases: zero steps, one step, millions of cycles, the last possible step, denormals, overflow."""

from __future__ import annotations

import math
import time
import tracemalloc

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
    """A ramp of length zero before, an immediate fall after."""
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
        for step in (LAST + 1, LAST + 2, 2**63, 2**60):
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


# ------------------------------------------------------------------------------------- long pieces, and where clips hold


def far_steps(text):
    """Small steps, the last possible ones, powers of two and their neighbours, and random ones of any size."""
    powers = [2**k + i for k in range(2, 53) for i in (-1, 0, 1)]
    draw = case_steps.rng(text)
    scattered = [draw.randrange(2 ** draw.randrange(3, 54)) for _ in range(1000)]
    return sorted({*range(4), *powers, *scattered, LAST // 3, LAST - 2, LAST - 1, LAST})


@pytest.mark.parametrize(
    "text",
    [
        "line(0.0, 5e-05, 100.0).clip(0.0, 5.58e-05)",
        "line(-3.0, 1e-3).clip(-1.0, 1e-7)",
        "line(1e8, -7.0, 3.0).clip(0.0, 1e-9)",
        "line(0.0, 1.0, 2**40).clip(high=1e-13)",
        "line(1e-300, 1e300).clip(low=1.0, high=1e10)",
        "(line(5.0, -1e-9) + line(0.25, 3e-10)).clip(0.0, 1e-3)",
        "(line(0.0, 1e-3) * 0.5).clip(1e-3, 2e-3).warmup(7)",
        "inverse_sqrt(1.0, 1e-6).clip(1e-5, 1e-4)",
        "polynomial(1.0, 0.0, 2**53, 2.0).clip(1e-20, 1e-3)",
        "polynomial(0.0, 1.0, 2**53, 3.0).clip(1e-20, 1e-3)",
    ],
)
def test_a_clip_holds_where_it_should(text):
    """Also next to where it begins: it is decided on pieces as long as all steps, whose high parts say nothing about that."""
    marks = oracle.evaluate(text).marks
    near = {m + i for m in marks for i in range(-3, 4) if 0 <= m + i <= LAST}
    assert_exact(text, sorted({*range(200), *far_steps(text), *near}))


@pytest.mark.parametrize(
    "text",
    [
        f"line(1.0, 1.0, {2.0**61})",
        f"line(1.0, -1.0, {2.0**61})",
        "line(-1.3491374204392238e-05, -8.62e-07, 152211663792746530)",
        f"exponential(1.0, 0.5, {2.0**58})",
        f"inverse_time(1.0, 1.0, {2.0**60})",
        f"inverse_sqrt(1.0, {2.0**61})",
        f"line(1.0, 1.0, {2.0**61}) * exponential(1.0, 0.5, {2.0**59})",
        f"line(1.0, 1.0, {2.0**61}).shift(2**52).clip(low=1.001)",
        "line(2**39, 1.0)",
    ],
)
def test_pieces_without_end(text):
    """A piece is never so long that float64 cannot count its steps."""
    rows = []
    for isa in lk.isas():
        with lk.use_isa(isa):
            rows.append(assert_exact(text, far_steps(text)))
            ulp.assert_same_bits(rows[0], rows[-1], f"{text}, {isa}")


def test_no_piece_goes_beyond_the_last_step():
    plan = lk.line(1.0, 1.0, 2.0**61).plan(LAST)
    assert plan.breaks[-1] == LAST + 1


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

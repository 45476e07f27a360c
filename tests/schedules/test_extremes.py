"""Ends of opposite sign, magnitudes far apart, rates and lengths at the ends of float64, restarts next to their limit."""

from __future__ import annotations

from fractions import Fraction

import cases
import numpy as np
import oracle
import pytest
import ulp

import lrkern as lk

LAST = 2**53


def assert_value(text, step):
    """The value is accurate, whatever the terms."""
    got, exact = lk.parse(text)(step), oracle.evaluate(text).at(step)
    error = ulp.ulp_error(got, exact)
    assert error <= cases.MAX_ULP, f"{text} at step {step}: got {got!r}, exact {cases.mp.nstr(exact, 25)}, {error:.4g} ULP"


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("cosine(-1e-20, 1.0, 10**12)", [0, 1, 2, 3]),
        ("cosine(1.0, -1e-20, 10**12)", [10**12 - 1, 10**12 - 2]),
        ("cosine(1.0, -1e-73, 49998)", [49997]),
        ("linear(-2.0, 1.79769e+308, 4574).stretch(262142)", [0, 7, 10**6]),
        ("polynomial(5e-155, -1.0, 10, 1.0, 50.0)", [0, 1, 2]),
        ("polynomial(2e+27, -1.0, 2, 1000.0)", [0, 1]),
        ("polynomial(-0.0001, 100000.0, 2147483632)", [0, 7, 1000]),
        ("polynomial(1e+20, -1.0, 1, 2.0).restarts(3.0)", [265719]),
        ("rex(-3e-48, 1.0, 134217727)", [0, 1, 64]),
        ("tanh(-3e+35, 1.0, 1, 50.0, 60.0)", [0]),
        ("cosine(-4e+307, 1.0, 2, 1000.0)", [1]),
        ("constant(6e46).warmup(34359738365, -1.0)", [0, 7, 1000]),
        ("constant(-1e-30).cooldown(10, 10**9, 1e5, 'square')", [9, 10, 11, 20]),
        ("(cosine(1.0, -1e-20, 10**6) * linear(1.0, 0.5, 10**6)).stretch(3)", [3 * 10**6 - 1, 3 * 10**6 - 7]),
        ("polynomial(1e-300, 1e300, 10, 1.0, 590.0)", [1]),
        ("cosine(1.0, 0.1, 50, 1000.0).restarts(1.1, 1e3)", [10**12]),
        ("polynomial(0.0, 1e300, 2**33, 7e-304)", [1, 1863, 2**32, 2**33 - 1]),
        ("polynomial(1e-9, 1e300, 2**33, 7e-304)", [1, 1863, 2**32, 2**33 - 1]),
        ("polynomial(0.0, 1.0, 2**33, 7e-304)", [1863, 2**32, 2**33 - 1]),
        ("polynomial(-1e-5, 1e300, 2**33, 5e-320, 3.0)", [1863, 2**32, 2**33 - 1]),
    ],
)
def test_the_smaller_of_two_ends_has_all_its_digits_where_it_is_the_larger_term(text, steps):
    for step in steps:
        assert_value(text, step)


STEEP = [
    *["line(1.2e-210, 3.4e221)", "line(1e-300, 1e30)", "line(8e-321, 1.0)", "line(-0.1, 6e+306)", "line(-3e-322, 1.0)"],
    *["line(1.0, 1.0, 2e-322)", "line(0.0, 1.0, 1e-311) + constant(1.0)", "line(1.0, -1.0, 2e-58).clip(0.0)"],
    *["linear(1e-300, 1e300, 10**6)", "1e-300 * exponential(1.0, 0.5) + line(0.0, 1e200)"],
]


@pytest.mark.parametrize("text", STEEP)
def test_a_start_is_not_lost_next_to_a_slope(text):
    schedule, exact = lk.parse(text), oracle.evaluate(text).at(0)
    assert schedule(0) == schedule.table(1)[0] == lk.tables([schedule], 1)[0, 0] == ulp.nearest(exact)
    assert lk.parse(text).shift(3).table(4).tolist() == [ulp.nearest(exact)] * 4


TINY = "5e-324"
HUGE = "1.7976931348623157e308"


RATES = [
    "exponential(1.0, 1e-310)",
    f"exponential(1e-300, {HUGE})",
    f"exponential(1.0, {HUGE}, 3)",
    "exponential(1.0, 2e-322)",
    f"exponential(1e300, {TINY}, 700)",
    "exponential(1.0, 0.5, 1e-310)",
    f"exponential(1.0, 0.5, {TINY})",
    f"exponential(1.0, 2.0, {HUGE})",
    "inverse_time(1, 1, 1e-308)",
    f"inverse_time(1.0, {HUGE})",
    f"inverse_time(1e-3, {TINY}, {TINY})",
    f"inverse_time(3.0, {HUGE}, {TINY})",
    "inverse_time(-2.8e-80, 1.7976931348623157e+308, 1).repeat(5, 49)",
    *[f"inverse_power(1.0, {TINY}, {power})" for power in (1.0, 0.3, 2.0, 1e-3, 0.0)],
    f"inverse_power(1e-300, {HUGE}, 7.0)",
    "inverse_sqrt(-1e-25, 9e-323)",
    "inverse_sqrt(1.0, 3e-322).cooldown(0, 6)",
    "cosine(1.0, 0.5, 7).repeat(7, gain=1e-310)",
    f"linear(1.0, 0.0, 1).restarts(2.0, {TINY})",
    f"step_decay(1.0, {TINY}, 3)",
    "exponential_ramp(1.0, 0.5, 100, 1e-100)",
    "cyclic(0.5, 0.5, 0, 1, 'exp_range', 2.0)",
    "linear(1.0, 0.0, 2).restarts(1e-310)",
    "linear(1.0, 0.0, 2).restarts(1e-300, 0.5)",
    "line(1.0, 1.0, 2e-322).clip(high=2)",
    f"constant(1.0) - inverse_sqrt(1.0, {TINY})",
    f"-3.0 * inverse_power(1.0, {TINY}, 2.0)",
]


@pytest.mark.parametrize("text", RATES)
def test_rates_gains_and_lengths_at_the_ends_of_float64(text):
    schedule, exact = lk.parse(text), oracle.evaluate(text)
    for t in [*range(60), 99, 100, 101, 10**6, 10**12, LAST - 1, LAST]:
        if t > 1000 and "repeat" in text:
            continue  # a gain^t that the oracle takes long for
        try:
            assert ulp.ulp_error(schedule(t), exact.at(t)) <= cases.MAX_ULP, (text, t)
        except OverflowError:
            with pytest.raises(OverflowError):
                ulp.nearest(exact.at(t))


@pytest.mark.parametrize("rate", ["2e-307", TINY])
def test_a_clock_that_all_but_stands_still_hides_no_boundary_beside_it(rate):
    text = f"piecewise([3.0, 1.0], [7]).repeat(30) + linear(1.0, 0.5, 2**53).of(line(1.0, {rate}))"
    schedule, exact = lk.parse(text), oracle.evaluate(text)
    assert schedule.table(99).tolist() == [schedule(t) for t in range(99)]
    for t, value in enumerate(schedule.table(99)):
        assert ulp.ulp_error(value, exact.at(t)) <= cases.MAX_ULP, (text, t)


def test_a_steep_clock_between_its_first_steps():
    text = "exponential(1.0, 0.5, 1e15).of(line(7e15, 9e307))"
    assert lk.parse(text)(1e-308) == ulp.nearest(oracle.evaluate(text).at(Fraction(1e-308)))


@pytest.mark.parametrize(
    ("curve", "power", "warp"),
    [("polynomial", 2.8e18, 195.0), ("polynomial", 1e12, 40.0), ("polynomial", 1e9, 7.0), ("cosine", 1000.0, 195.0)],
)
def test_a_large_power_of_what_is_all_but_one(curve, power, warp):
    text = f"{curve}(-195.0, -1.0, 50115, power={power}, warp={warp})"
    exact = oracle.evaluate(text)
    values = lk.parse(text).table(50000)
    for t in range(100, 50000, 1097):
        assert ulp.ulp_error(values[t], exact.at(t)) <= cases.MAX_ULP, (text, t)


@pytest.mark.parametrize("side", ["from", "after"])
@pytest.mark.parametrize("stretched", [1, 3])
@pytest.mark.parametrize("begin", [5, 3 * 10**9, 17 * 10**9])  # the clock's: the last digits of its time are lost beside it
def test_boundaries_on_whole_steps_of_a_clock_seen_from_any_step(begin, stretched, side):
    every, ahead = 60, 1
    boundaries = [begin + i for i in range(1, 5)]
    text = f"piecewise([1.0, 2.0, 3.0, 4.0, 5.0], {boundaries}, {side!r}).of(line({begin}, 1.0, {every}).shift(-{ahead}))"
    text += f".stretch({stretched})" if stretched > 1 else ""
    steps = np.arange(5 * every * stretched)
    passed = (steps + ahead * stretched - (side == "after")) // (every * stretched)
    expected = 1.0 + np.clip(passed, 0, 4)
    for start in range(0, 4 * every * stretched, stretched + 1):
        values = lk.parse(text).table(len(steps) - start, start=start)  # parsed again: a table looks into an earlier one
        ulp.assert_same_bits(values, expected[start:], f"{text} from {start}")


@pytest.mark.parametrize("zero", [1, 4, 9, 19, 41, 87])  # centres of pieces that are tried
def test_powers_of_a_line_around_its_zero(zero):
    squared = f"line(-{zero}.0, 1.0) ** 2"
    fourth = f"({squared}) ** 2"
    eighth, sixth = f"({fourth}) ** 2", f"({fourth}) * ({squared})"
    powers = [f"({eighth}) ** 2", f"(({sixth}) + 1e9) ** 2", f"(({eighth}) + 1e12) ** 2", f"(({fourth}) + 1e6) ** -0.5"]
    for text in powers:
        exact = oracle.evaluate(text)
        for t, value in enumerate(lk.parse(text).table(2 * zero + 3)):
            assert ulp.ulp_error(value, exact.at(t)) <= cases.MAX_ULP, (text, t)


def test_powers_of_a_start_that_is_lost_next_to_a_slope():
    steep = lk.line(7.0, 156.0, 5e-324)
    for _ in range(4):
        steep = steep**2
    rate = (steep**3) ** -1
    assert rate.table(2).tolist() == [ulp.nearest(1 / cases.mp.mpf(7) ** 48), 0.0]


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("linear(7.4e-11, 10025.2, 1).restarts(0.9, 0.5)", range(13)),
        ("linear(1.0, 0.0, 1).restarts(1e-300)", range(4)),
        ("rex(0.0008, -0.000924, 3).restarts(3e-249, 1.0)", range(8)),
        ("cosine(1.0, 0.25, 1).restarts(0.5)", range(5)),
        ("cosine(1.0, 0.25, 100).restarts(0.99, 0.99)", [*range(9900, 10004), 10**9]),
        ("polynomial(1.0, 0.1, 7, 0.5).restarts(0.999)", range(6900, 7003)),
        ("tanh(1.0, 0.0, 2).restarts(1.5).stretch(1, 16777200)", [8814208905785995]),
        ("cosine(1.0, 0.1, 1).restarts(0.3).stretch(7).shift(2)", range(20)),
        ("tanh(100000.0, 0.0, 1).restarts(0.5)", [2, 3, 10]),
        (f"linear(1.0, 0.5, 2).restarts({HUGE})", [1, 2, 3, 10**12]),
        (f"cosine(-2.0, 0.5, 1).restarts({HUGE}, 0.25, warmup=1, warmup_start=3.0)", range(6)),
        ("linear(1.0, 0.5, 2).restarts(1e250, 0.25, warmup=1) * linear(3.0, 2.0, 2).repeat(2)", range(9)),
    ],
)
def test_restarts_next_to_their_limit(text, steps):
    for step in steps:
        assert_value(text, step)


def test_cycles_beyond_float64_are_told():
    with pytest.raises(OverflowError, match=r"\b1073741824\b"):
        lk.cosine(1.0, 1.0, 1, 1000.0).restarts(1.001, 2.0)(2**30)


def test_nothing_stays_nothing_whatever_it_is_multiplied_by():
    grown = lk.exponential(1.0, 2.0)
    nothings = [lk.constant(0.0), lk.linear(0.0, 0.0, 9), lk.constant(0.0).shift(-5), lk.inverse_sqrt(0.0, 1)]
    for schedule in (nothing * grown for nothing in nothings):
        for t in (0, 3000, 2**50):
            assert schedule(t) == 0.0


@pytest.mark.parametrize("isa", lk.isas())
def test_the_same_bits_at_the_extremes(isa):
    texts = ["cosine(-1e-20, 1.0, 10**12)", "line(1e-300, 1e30)", "inverse_time(1, 1, 1e-308)", "exponential(1.0, 0.5, 1e-310)"]
    for text in [*texts, "linear(7.4e-11, 10025.2, 1).restarts(0.9, 0.5)", "polynomial(5e-155, -1.0, 10, 1.0, 50.0)"]:
        with lk.use_isa("scalar"):
            expected = lk.parse(text).table(3000)
        with lk.use_isa(isa):
            schedule = lk.parse(text)
            ulp.assert_same_bits(schedule.table(3000), expected, text)
            ulp.assert_same_bits(lk.parse(text)(np.arange(3000)), expected, text)
            assert [lk.parse(text)(t) for t in range(20)] == expected[:20].tolist()

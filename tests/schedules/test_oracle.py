"""The oracle itself, against values worked out by hand and against the formulas in plain float arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import case_steps
import cases
import oracle
import pytest
import ulp

BY_HAND = [
    ("linear(0.0, 1.0, 4)", 1, Fraction(1, 4)),
    ("linear(0.0, 1.0, 4)", 4, 1),
    ("linear(3.0, 1.0, 0)", 0, 1),
    ("polynomial(1.0, 0.0, 4, 2.0)", 1, Fraction(9, 16)),
    ("polynomial(0.0, 1.0, 4, 2.0)", 3, Fraction(15, 16)),
    ("cosine(1.0, 0.0, 3)", 1, Fraction(3, 4)),
    ("cosine(1.0, -1.0, 2)", 1, 0),
    ("cosine(1.0, -3.0, 3)", 1, 0),
    ("geometric(1.0, 16.0, 4)", 3, 8),
    ("exponential(1.0, 0.5, 10)", 30, Fraction(1, 8)),
    ("exponential(1.0, 0.5, 10, end=0.25)", 21, Fraction(1, 4)),
    ("exponential(-1.0, 2.0, 1, end=-3.0)", 2, -3),
    ("exponential(1.0, 2.0, 1, end=3.0)", 2, 3),
    ("inverse_time(1.0, 1.0, 2)", 6, Fraction(1, 4)),
    ("inverse_sqrt(1.0, 4)", 12, Fraction(1, 2)),
    ("one_minus_sqrt(1.0, 0.0, 16)", 9, Fraction(1, 4)),
    ("rex(1.0, 0.0, 4)", 2, Fraction(2, 3)),
    ("step_decay(1.0, 0.5, 3)", 8, Fraction(1, 4)),
    ("piecewise([1.0, 2.0, 3.0], [5, 5])", 5, 3),
    ("piecewise([1.0, 2.0, 3.0], [4, 5])", 4.5, 2),
    ("interpolate([1.0, 2.0, 5.0, 6.0], [2, 4, 4, 8])", 3, Fraction(3, 2)),
    ("interpolate([1.0, 2.0, 5.0, 6.0], [2, 4, 4, 8])", 4, 5),
    ("noam(4, 4)", 1, Fraction(1, 8)),
    ("noam(4, 4)", 15, Fraction(1, 8)),
    ("noam(4, 0)", 3, Fraction(1, 4)),
    ("cyclic(0.0, 1.0, 4, 2)", 5, Fraction(1, 2)),
    ("cyclic(0.0, 1.0, 4, 2, 'triangular2')", 8, Fraction(1, 4)),
    ("cyclic(0.0, 1.0, 4, 4, 'exp_range', 0.5)", 2, Fraction(1, 8)),
    ("warm_restarts(1.0, 0.0, 10, 3, 0.5)", 1210, Fraction(1, 32)),  # 10 (1 + 3 + 9 + 27 + 81) = 1210
    ("warm_restarts(1.0, 0.0, 8, 0.5)", 14, 1),
    ("warm_restarts(1.0, 0.25, 8, 0.5)", 16, Fraction(1, 4)),
    ("warm_restarts(1.0, 0.0, 3)", 3 * 10**15 + 1, Fraction(3, 4)),
    ("one_cycle(1.0, 10, 0.5, div=2.0, final_div=2.0, anneal='linear')", 7.5, Fraction(5, 8)),
    ("one_cycle(1.0, 10, 0.4, 2.0, 4.0, 'linear', True)", 6, Fraction(3, 4)),
    ("one_cycle(1.0, 10, 0.4, 2.0, 4.0, 'linear', True)", 9, Fraction(5, 16)),
    ("one_cycle_momentum(0.5, 1.0, 10, 0.5, 'linear')", 4, Fraction(3, 5)),
    ("one_cycle_momentum(0.5, 1.0, 10, 0.25, 'linear', True)", 5, 1),
    ("wsd(1.0, 2, 3, 4, 0.0, 'square')", 7, Fraction(3, 4)),
    ("wsd(1.0, 2, 3, 4, 0.0625, 'exponential')", 7, Fraction(1, 4)),
    ("from_table([1.0, 2.0])", 1.9, 2),
    ("from_function(lambda t: t * 1.0, 4)", 99, 3),
    ("linear(1.0, 0.0, 4).warmup(2, curve='square')", 1, Fraction(1, 4)),
    ("linear(1.0, 0.0, 4).warmup(2)", 3, Fraction(3, 4)),
    ("linear(1.0, 0.0, 4).cooldown(2, 4)", 4, Fraction(1, 4)),
    ("linear(1.0, 0.0, 4).then(constant(2.0))", 4, 2),
    ("join([constant(1.0), linear(0.0, 1.0, 4)], [10])", 11, Fraction(1, 4)),
    ("1 - 2 * linear(0.0, 1.0, 4) / 4", 2, Fraction(3, 4)),
    ("linear(0.0, 1.0, 4) * linear(0.0, 1.0, 4)", 3, Fraction(9, 16)),
    ("linear(0.0, 1.0, 4).clip(0.3, 0.5)", 3, Fraction(1, 2)),
    ("linear(0.0, 1.0, 4).shift(2)", 3, Fraction(1, 4)),
    ("linear(0.0, 1.0, 4).shift(-2)", 1, Fraction(3, 4)),
    ("linear(0.0, 1.0, 4).stretch(0.5)", 1, Fraction(1, 2)),
    ("linear(0.0, 1.0, 4).staircase(3)", 2, 0),
    ("linear(0.0, 1.0, 4).repeat(2, 2, 0.5)", 5, Fraction(3, 8)),
    ("linear(0.0, 1.0, 4).repeat(2, gain=0.5)", 9, Fraction(1, 64)),
]


@pytest.mark.parametrize(("text", "t", "value"), BY_HAND)
def test_by_hand(text, t, value):
    got, want = oracle.evaluate(text).at(t), oracle.real(value)
    assert abs(got - want) <= abs(want) * oracle.mp.mpf(10) ** -50


SCALES = [  # what errors are measured in: the value, or the larger term of a sum that cancels
    ("linear(1.0, 3.0, 4)", 1, Fraction(3, 2)),
    ("linear(-1.0, 3.0, 4)", 1, Fraction(3, 4)),
    ("linear(-1.0, 3.0, 4)", 0, 1),
    ("linear(-1.0, 3.0, 4)", 9, 3),
    ("polynomial(1.0, -1.0, 4, 2.0)", 1, Fraction(9, 16)),
    ("line(-1.0, 0.5)", 2, 1),
    ("line(-1.0, 0.5)", 10, 4),
    ("cyclic(-1.0, 1.0, 4)", 2, Fraction(1, 2)),
    ("cyclic(-1.0, 1.0, 4, mode='triangular2')", 10, 1),
    ("half_cosine(1.0, -1.0, 3)", 0, Fraction(1, 2)),
    ("tanh(-1.0, 1.0, 2, -1.0, 1.0)", 1, Fraction(1, 2)),
    ("linear(-1.0, 1.0, 2).restarts(1.0, 4.0)", 3, 2),
    ("constant(3.0) - linear(0.0, 3.0, 1)", 1, 3),
    ("3.0 - constant(1.0) - 1.5", 0, 3),
    ("(constant(3.0) - 2.0) * 5.0", 0, 15),
    ("(constant(3.0) - 2.0) / -4.0", 0, Fraction(3, 4)),
    ("(constant(3.0) - 3.0) * constant(0.5)", 0, Fraction(3, 2)),
    ("(constant(3.0) - 2.0) * (constant(5.0) - 4.0)", 0, 5),
    ("(constant(3.0) - 2.0).repeat(1, gain=0.5)", 2, Fraction(3, 4)),
    ("constant(1.0).warmup(4, -1.0)", 1, Fraction(3, 4)),
    ("(constant(3.0) - 2.0).warmup(4)", 1, Fraction(3, 4)),
    ("(constant(3.0) - 2.0).warmup(4, curve='square')", 2, Fraction(3, 4)),
    ("(constant(3.0) - 2.0).cooldown(0, 4)", 1, Fraction(9, 4)),
    ("(constant(3.0) - 2.0).cooldown(0, 2, 0.25, 'exponential')", 1, Fraction(3, 2)),
    ("(constant(3.0) - 2.0).clip(1.0)", 0, 3),
    ("(constant(3.0) - 2.0).clip(2.0)", 0, 2),
]


@pytest.mark.parametrize(("text", "t", "scale"), SCALES)
def test_scales_by_hand(text, t, scale):
    got, want = oracle.evaluate(text).at_with_scale(t)[1], oracle.real(scale)
    assert abs(got - want) <= abs(want) * oracle.mp.mpf(10) ** -50


def floats():
    """The formulas of one curve family in float arithmetic, t strictly inside."""
    a, b, n = 0.3, 0.02, 777.0
    p = lambda t: t / n  # noqa: E731
    return {
        "linear(0.3, 0.02, 777)": lambda t: a + (b - a) * p(t),
        "polynomial(0.3, 0.02, 777, 1.7)": lambda t: b + (a - b) * (1 - p(t)) ** 1.7,
        "cosine(0.3, 0.02, 777)": lambda t: b + (a - b) * (1 + math.cos(math.pi * p(t))) / 2,
        "geometric(0.3, 0.02, 777)": lambda t: a * (b / a) ** p(t),
        "one_minus_sqrt(0.3, 0.02, 777)": lambda t: b + (a - b) * (1 - math.sqrt(p(t))),
        "tanh(0.3, 0.02, 777)": lambda t: b + (a - b) * (1 - math.tanh(-7 * (1 - p(t)) + 3 * p(t))) / 2,
        "rex(0.3, 0.02, 777)": lambda t: b + (a - b) * (1 - p(t)) / (1 - p(t) / 2),
        "exponential(0.3, 0.9, 12)": lambda t: 0.3 * 0.9 ** (t / 12),
        "inverse_time(0.3, 0.9, 12)": lambda t: 0.3 / (1 + 0.9 * t / 12),
        "inverse_sqrt(0.3, 12)": lambda t: 0.3 / math.sqrt(1 + t / 12),
        "noam(512, 300)": lambda t: 512**-0.5 * min((t + 1) ** -0.5, (t + 1) * 300**-1.5),
        "cosine(0.3, 0.02, 777).warmup(100)": lambda t: (
            0.3 * t / 100 if t < 100 else b + (a - b) * (1 + math.cos(math.pi * p(t - 100))) / 2
        ),
    }


@pytest.mark.parametrize("text", floats())
def test_against_float_formulas(text):
    formula, exact = floats()[text], oracle.evaluate(text)
    for t in range(0, 777, 3):
        assert ulp.ulp_error(formula(t), exact.at(t)) < 100, t


def test_more_digits_change_nothing(monkeypatch):
    """60 digits are enough: with twice as many, no value moves by a millionth of an ULP."""
    chosen = cases.CASES[::9]
    before = []
    for case in chosen:
        exact = case.exact()
        steps = case_steps.rng(case.text, "digits").sample(case_steps.sample(case.text, exact), 4)
        before.append((case.text, steps, [exact.at(t) for t in steps]))
    monkeypatch.setattr(oracle.mp, "dps", 2 * oracle.DIGITS)
    for text, steps, values in before:
        exact = oracle.evaluate(text)
        for t, value in zip(steps, values, strict=True):
            more = exact.at(t)
            tolerance = max(abs(more), oracle.mp.ldexp(1, -1074)) * oracle.mp.mpf(10) ** -22
            assert abs(more - value) <= tolerance, (text, t)


def test_ulp_error():
    mp = oracle.mp
    assert ulp.ulp_error(1.0, mp.mpf(1)) == 0
    assert ulp.ulp_error(1 + 2**-52, mp.mpf(1)) == 1
    assert ulp.ulp_error(1.0, mp.mpf(1) + mp.ldexp(1, -53)) == 0.5
    assert ulp.ulp_error(5e-324, mp.mpf(0)) == 1
    assert ulp.ulp_error(0.0, mp.ldexp(1, -1075)) == 0.5
    assert ulp.ulp_error(2.0**-1022, mp.ldexp(1, -1022) + mp.ldexp(1, -1075)) == 0.5
    assert ulp.ulp_error(1e-20, mp.mpf(0), mp.mpf(1)) < 1e-3
    assert ulp.ulp_error(math.inf, mp.mpf(1)) == math.inf
    assert ulp.ulp_error(math.nan, mp.mpf(1)) == math.inf


def test_nearest():
    mp = oracle.mp
    assert ulp.nearest(mp.mpf(1) / 3) == 1 / 3
    assert ulp.nearest(-mp.mpf(1) / 3) == -1 / 3
    assert ulp.nearest(mp.ldexp(3, -1075)) == 1e-323  # a tie between denormals goes to the even one
    assert ulp.nearest(mp.ldexp(1, -1075)) == 0.0
    assert ulp.nearest(mp.ldexp(1, -(10**9))) == 0.0
    with pytest.raises(OverflowError):
        ulp.nearest(mp.ldexp(1, 1024))
    with pytest.raises(OverflowError):
        ulp.nearest(mp.ldexp(1, 10**9))


def test_restart_cycles_are_found_exactly():
    """Starts of cycles, found by adding up whole numbers one by one."""
    for period, growth in [(1, 2), (10, 3), (3, 5), (7, 1), (1024, Fraction(3, 2)), (2**40, Fraction(1, 2))]:
        begin, length = Fraction(0), Fraction(period)
        for i in range(60):
            if begin <= 2**53 and begin.denominator == 1:
                assert oracle.restart_cycle(begin, period, growth)[0] == i
                assert oracle.restart_cycle(begin, period, growth)[1] == 0
            just_before = begin + length - Fraction(1, 2**200)
            assert oracle.restart_cycle(just_before, period, growth)[0] == i
            begin += length
            length *= growth


def test_steps_apart():
    assert ulp.steps_apart(1.0, 1.0) == 0
    assert ulp.steps_apart(1.0, math.nextafter(1.0, 2.0)) == 1
    assert ulp.steps_apart(-5e-324, 5e-324) == 2
    assert ulp.steps_apart(0.0, -0.0) == 0

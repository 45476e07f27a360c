"""dialects.keras against its formulas, and against the values of keras' own tests."""

import math
from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, real

import lrkern as lk
from lrkern.dialects import keras as K

CASES = []  # (schedule, formula)


def case(schedule, formula):
    CASES.append((schedule, formula))


def enter():
    b = exact(0.1)
    for d, r in [(20, 0.5), (7, 1.1), (2.5, 0.9), (0.7, 0.96)]:
        case(K.ExponentialDecay(0.1, d, r), lambda t, d=d, r=r: real(b) * checks.power(r, real(t / exact(d))))
        case(K.ExponentialDecay(0.1, d, r, staircase=True), lambda t, d=d, r=r: b * exact(r) ** math.floor(t / exact(d)))
        case(K.InverseTimeDecay(0.1, d, r), lambda t, d=d, r=r: b / (1 + exact(r) * t / exact(d)))
        case(K.InverseTimeDecay(0.1, d, r, True), lambda t, d=d, r=r: b / (1 + exact(r) * math.floor(t / exact(d))))
    for at, values in [([], [0.3]), ([10, 20], [0.1, 0.05, 0.2]), ([0, 5, 5, 7], [1.0, 2.0, 3.0, 4.0, 5.0])]:
        case(K.PiecewiseConstantDecay(at, values), lambda t, at=at, v=values: exact(v[sum(t > a for a in at)]))
    for d, end, p in [(100, 1e-4, 1.0), (30, 0.01, 0.5), (7, 0.0, 2.0), (12.5, 0.01, 1.0)]:
        case(
            K.PolynomialDecay(0.1, d, end, p),
            lambda t, d=d, end=end, p=p: (
                real(exact(end)) + real(b - exact(end)) * checks.power(1 - min(t / exact(d), Fraction(1)), p)
            ),
        )
        case(K.PolynomialDecay(0.1, d, end, p, cycle=True), lambda t, d=d, end=end, p=p: cycling(t, exact(d), end, p))
    for d, alpha in [(100, 0.0), (30, 0.1), (12.5, 0.3)]:
        fall = lambda s, d=d, alpha=alpha: checks.cosine(1, exact(alpha), min(s / exact(d), Fraction(1)))  # noqa: E731
        case(K.CosineDecay(0.1, d, alpha), lambda t, fall=fall: real(b) * fall(Fraction(t)))
        case(
            K.CosineDecay(0.01, d, alpha, warmup_target=0.1, warmup_steps=10),
            lambda t, fall=fall: checks.linear(exact(0.01), b, Fraction(t, 10)) if t < 10 else real(b) * fall(Fraction(t - 10)),
        )
    case(K.CosineDecay(0.1, 30, warmup_steps=10), lambda t: checks.cosine(0.1, 0, min(Fraction(t, 30), Fraction(1))))
    for first, growth, gain, alpha in [(10, 2.0, 1.0, 0.0), (7, 1.0, 0.9, 0.1), (10, 1.5, 0.5, 0.01), (30, 0.5, 1.0, 0.2)]:
        a = (first, growth, gain, alpha)
        case(K.CosineDecayRestarts(0.1, *a), lambda t, a=a: restarting(t, *a))


def cycling(t, every, end, power):
    horizon = every * max(math.ceil(Fraction(t) / every), 1)
    left = checks.power(1 - Fraction(t, horizon), power)
    return real(exact(end)) + real(exact(0.1) - exact(end)) * left, real(exact(0.1))


def restarting(t, first, growth, gain, alpha):
    begin, length, i = Fraction(0), Fraction(first), 0
    while t >= begin + length:
        begin, length, i = begin + length, length * exact(growth), i + 1
        if i > 100:  # the end of shrinking cycles
            return real(exact(0.1)) * real(exact(alpha))
    top = real(1 - exact(alpha)) * real(exact(gain) ** i)
    return real(exact(0.1)) * (top * checks.cosine(1, 0, (t - begin) / length) + real(exact(alpha)))


enter()


@pytest.mark.parametrize(("schedule", "formula"), CASES, ids=lambda x: repr(x)[:90] if isinstance(x, lk.Schedule) else "")
def test_formula(schedule, formula):
    checks.assert_follows(schedule, formula, range(130))
    checks.assert_ordinary(schedule)


def test_published():
    """Values that keras' own tests ask for."""
    assert K.ExponentialDecay(0.05, 10, 0.96)(3) == pytest.approx(0.05 * 0.96**0.3, rel=1e-15)
    assert K.ExponentialDecay(1.0, 3, 0.96, staircase=True)([0, 1, 2, 3, 4]).tolist() == [1.0] * 3 + [0.96] * 2
    assert K.PiecewiseConstantDecay([100, 110, 120], [1.0, 0.1, 0.01, 0.001])([0, 100, 110, 120, 999]).tolist() == [
        1.0, 1.0, 0.1, 0.01, 0.001,
    ]  # fmt: skip
    assert K.PolynomialDecay(0.05, 10, 0.0)([0, 5, 10, 20]).tolist() == [0.05, 0.025, 0.0, 0.0]
    assert K.PolynomialDecay(0.05, 10, 0.001, power=0.5)(5) == pytest.approx((0.05 - 0.001) * 0.5**0.5 + 0.001, rel=1e-15)
    cycle = K.PolynomialDecay(0.05, 10, 0.001, cycle=True)
    assert cycle([0, 5, 10, 15]).round(15).tolist() == [0.05, 0.0255, 0.001, 0.01325]
    assert K.InverseTimeDecay(0.1, 10, 0.96)(3) == pytest.approx(0.1 / (1 + 0.96 * 0.3), rel=1e-15)
    warm = K.CosineDecay(0.0, 10, warmup_target=10.0, warmup_steps=1500)
    assert warm([0, 750, 1500]).tolist() == [0.0, 5.0, 10.0]
    assert K.CosineDecayRestarts(1.0, 1000, t_mul=1.0)(500) == pytest.approx(0.5, rel=1e-15)
    assert K.CosineDecayRestarts(1.0, 1000, t_mul=1.0, m_mul=0.5, alpha=0.1)(1000) == pytest.approx(0.9 * 0.5 + 0.1, rel=1e-15)


def test_boundaries_hold_at_themselves_alone():
    """ "After step 3" begins at once, not at step 4; a decay that has come to its end goes on at once over twice the steps."""
    s = K.PiecewiseConstantDecay([3], [1.0, 0.1])
    assert s([3, 3.001, 3.5, 4]).tolist() == [1.0, 0.1, 0.1, 0.1]
    s = K.PolynomialDecay(1.0, 10, 0.0, cycle=True)
    assert s([10, 10.5, 11]).tolist() == [0.0, 0.475, 0.45]


BAD = [
    (
        lambda: K.ExponentialDecay(0.1, 0, 0.5),
        ValueError,
        "keras.ExponentialDecay: decay_steps must be a finite number > 0; got 0",
    ),
    (lambda: K.ExponentialDecay(0.1, 3, 0.5, 1), TypeError, "keras.ExponentialDecay: staircase must be True or False; got 1"),
    (lambda: K.PiecewiseConstantDecay([1], [1.0]), ValueError, "values must be one more than the 1 boundaries; got 1"),
    (lambda: K.PiecewiseConstantDecay([3, 1], [1, 2, 3]), ValueError, "boundaries must not decrease; got 3 (int) before 1"),
    (lambda: K.PolynomialDecay(0.1, 0, cycle=True), ValueError, "decay_steps must be a finite number > 0; got 0"),
    (
        lambda: K.InverseTimeDecay(0.1, 3, -1),
        ValueError,
        "keras.InverseTimeDecay: decay_rate must be a finite number >= 0; got -1",
    ),
    (lambda: K.CosineDecay("a", 3), TypeError, "initial_learning_rate must be a finite number; got 'a'"),
    (lambda: K.CosineDecayRestarts(0.1, 3, t_mul=0), ValueError, "t_mul must be a finite number > 0; got 0"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

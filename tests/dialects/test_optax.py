"""dialects.optax against its formulas, and against the values of optax' own tests."""

import math
from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, real

import lrkern as lk
from lrkern.dialects import optax as O

CASES = []  # (schedule, formula)


def case(schedule, formula):
    CASES.append((schedule, formula))


def clipped(x, low, high):
    return min(max(x, low), high)


def polynomial(t, start, end, power, steps, begin):
    frac = 1 - Fraction(clipped(t - max(begin, 0), 0, steps), 1) / steps
    return real(exact(start) - exact(end)) * checks.power(frac, power) + real(exact(end))


def decaying(t, start, steps, rate, begin, stairs, end):
    s = t - max(begin, 0)
    p = Fraction(s) / steps
    value = real(exact(start)) * (1 if s <= 0 else checks.power(rate, real(Fraction(math.floor(p)) if stairs else p)))
    if end is None:
        return value
    return max(value, real(exact(end))) if rate < 1 else min(value, real(exact(end)))


def cosine(t, start, steps, alpha=0.0, exponent=1.0):
    c = checks.cosine(1, 0, min(Fraction(t) / steps, Fraction(1)))
    return real(exact(start)) * (real(1 - exact(alpha)) * checks.power(c, exponent) + real(exact(alpha)))


def warmed(t, start, peak, steps, then):
    return checks.linear(exact(start), exact(peak), Fraction(t) / steps) if t < steps else then(t - steps)


def through(t, points, ramp):
    for (left, a), (right, b) in zip(points, points[1:], strict=False):
        if left <= t < right:
            return ramp(a, b, Fraction(t - left) / (right - left))
    return real(points[-1][1])


def enter():
    case(O.constant_schedule(0.3), lambda t: exact(0.3))
    for a in [(0.1, 0.01, 2.0, 50, 5), (0.1, 0.2, 0.5, 7, -3), (0.3, 0.0, 1, 100, 0)]:
        case(O.polynomial_schedule(*a), lambda t, a=a: polynomial(t, *a))
        case(O.linear_schedule(a[0], a[1], a[3], a[4]), lambda t, a=a: polynomial(t, a[0], a[1], 1, a[3], a[4]))
    for s in (O.polynomial_schedule(0.1, 0.5, 2, 0), O.linear_schedule(0.1, 0.5, -4), O.exponential_decay(0.1, 0, 0.5)):
        case(s, lambda t: exact(0.1))
    case(O.exponential_decay(0.1, 5, 0.0), lambda t: exact(0.1))
    case(O.polynomial_schedule(0.1, 0.5, 0, 10), lambda t: exact(0.1))
    for rate, end in [(0.5, None), (0.5, 0.03), (1.1, 0.2), (1.0, None)]:
        for begin in (0, 7, -2):
            for stairs in (False, True):
                a = (0.1, 10, rate, begin, stairs, end)
                case(O.exponential_decay(*a), lambda t, a=a: decaying(t, *a))
        a = (0.1, 10, rate, 3, False, end)
        case(
            O.warmup_exponential_decay_schedule(0.01, 0.1, 6, *a[1:]),
            lambda t, a=a: warmed(t, 0.01, 0.1, 6, lambda s: decaying(s, *a)),
        )
    for exponent in (1.0, 0.0, 2, 0.5, 1.5, 4.5, 0.3, 2.7):
        for alpha in (0.0, 0.1):
            case(O.cosine_decay_schedule(0.1, 60, alpha, exponent), lambda t, a=(alpha, exponent): cosine(t, 0.1, 60, *a))
        case(
            O.warmup_cosine_decay_schedule(0.01, 0.1, 7, 67, 0.0, exponent),
            lambda t, e=exponent: warmed(t, 0.01, 0.1, 7, lambda s: cosine(s, 0.1, 60, 0.0, e)),
        )
    case(
        O.warmup_cosine_decay_schedule(0.01, 0.1, 7, 67, 0.02),
        lambda t: warmed(t, 0.01, 0.1, 7, lambda s: checks.cosine(0.1, 0.02, min(Fraction(s) / 60, Fraction(1)))),
    )
    for table in ({}, {5: 0.5, 20: 0.1, 10: 3.0}, {0: 0.5}):
        at = sorted(table)

        def value(t, at=at, table=table):
            return math.prod([exact(table[a]) for a in at if a <= t], start=exact(0.1))

        case(O.piecewise_constant_schedule(0.1, table), value)
        points = [(0, exact(0.1)), *((a, value(a)) for a in at)]
        for kind, ramp in (("linear", checks.linear), ("cosine", checks.cosine)):
            points = [(left, exact(float(level))) for left, level in points]
            case(O.piecewise_interpolate_schedule(kind, 0.1, table), lambda t, p=points, ramp=ramp: through(t, p, ramp))
    case(O.piecewise_constant_schedule(0.1), lambda t: exact(0.1))
    top, low = exact(0.1), exact(0.1) / exact(7.0)
    points = [(0, low), (int(0.3 * 90), top), (int(0.85 * 90), low), (90, low / 20)]
    case(
        O.linear_onecycle_schedule(90, 0.1, div_factor=7.0, final_div_factor=20.0),
        lambda t, p=points: through(t, p, checks.linear),
    )
    points = [(0, low), (int(0.4 * 90), top), (90, low / 20)]
    case(O.cosine_onecycle_schedule(90, 0.1, 0.4, 7.0, 20.0), lambda t, p=points: through(t, p, checks.cosine))
    case(O.warmup_constant_schedule(0.01, 0.1, 9), lambda t: warmed(t, 0.01, 0.1, 9, lambda s: exact(0.1)))
    cycles = [
        {"init_value": 0.0, "peak_value": 0.1, "warmup_steps": 5, "decay_steps": 30},
        {"init_value": 0.01, "peak_value": 0.05, "warmup_steps": 0, "decay_steps": 40},
    ]

    def sgdr(t):
        if t < 30:
            return warmed(t, 0.0, 0.1, 5, lambda s: cosine(s, 0.1, 25))
        return cosine(t - 30, 0.05, 40)

    case(O.sgdr_schedule(cycles), sgdr)
    case(
        O.join_schedules([O.linear_schedule(0.1, 0.2, 10), O.constant_schedule(0.3)], [20]),
        lambda t: polynomial(t, 0.1, 0.2, 1, 10, 0) if t < 20 else exact(0.3),
    )


enter()


@pytest.mark.parametrize(("schedule", "formula"), CASES, ids=lambda x: repr(x)[:90] if isinstance(x, lk.Schedule) else "")
def test_formula(schedule, formula):
    checks.assert_follows(schedule, formula, range(120))
    checks.assert_ordinary(schedule)


def test_published():
    """Values that optax' own tests ask for."""
    assert (
        O.piecewise_constant_schedule(0.1, {3: 0.1, 6: 0.1}).table(10).round(15).tolist()
        == [0.1] * 3 + [0.01] * 3 + [0.001] * 4
    )
    assert O.linear_schedule(1e-4, 1.0, 10, 4).table(4).tolist() == [1e-4] * 4
    s = O.linear_onecycle_schedule(1000, 1000, 0.3, 0.7, 10, 100.0)
    assert s([0, 150, 300, 500, 700, 850, 1000, 1350]).round(10).tolist() == [
        100.0,
        550.0,
        1000.0,
        550.0,
        100.0,
        50.5,
        1.0,
        1.0,
    ]
    s = O.cosine_onecycle_schedule(1000, 1000, 0.5, 10, 100.0)
    expected = [100.0, 550.0, 1000.0, 1000 * (0.5 + 0.5 * 0.001), 1.0, 1.0]
    assert s([0, 250, 500, 750, 1000, 1500]).round(10).tolist() == [round(x, 10) for x in expected]
    s = O.piecewise_interpolate_schedule("linear", 200.0, {5: 1.5, 10: 0.25})
    assert s([0, 2, 5, 7, 10, 20]).tolist() == [200.0, 240.0, 300.0, 210.0, 75.0, 75.0]


def test_a_peak_of_zero_stays_at_zero():
    """optax takes the end as a share of the peak."""
    s = O.warmup_cosine_decay_schedule(0.2, 0.0, 50, 100, end_value=-3.0, exponent=2)
    assert s([0, 25, 50, 75, 100, 200]).tolist() == [0.2, 0.1, 0.0, 0.0, 0.0, 0.0]
    cycle = {"init_value": 0.2, "peak_value": 0.0, "warmup_steps": 2, "decay_steps": 5, "end_value": 1.0}
    assert O.sgdr_schedule([cycle, cycle])([2, 4, 9, 20]).tolist() == [0.0] * 4


BAD = [
    (
        lambda: O.sgdr_schedule([{"peak_value": 1.0}]),
        TypeError,
        "optax.sgdr_schedule: cosine_kwargs[0] must have init_value; got peak",
    ),
    (
        lambda: O.sgdr_schedule([{"a": 1.0}]),
        TypeError,
        "cosine_kwargs[0] must be a dict of init_value, peak_value, warmup_steps, dec",
    ),
    (lambda: O.join_schedules([1], []), TypeError, "optax.join_schedules: schedules[0] must be a Schedule; got 1"),
    (
        lambda: O.warmup_exponential_decay_schedule(0.0, 1.0, 2, 1.5, 0.5),
        TypeError,
        "optax.warmup_exponential_decay_schedule: transition_steps must be an integer",
    ),
    (
        lambda: O.piecewise_interpolate_schedule(None, 1.0),
        ValueError,
        "interpolate_type must be 'linear' or 'cosine'; got None",
    ),
    (
        lambda: O.cosine_decay_schedule(0.1, 0),
        ValueError,
        "optax.cosine_decay_schedule: decay_steps must be an integer >= 1; got 0",
    ),
    (lambda: O.cosine_decay_schedule(0.1, 9, 0.0, -1), ValueError, "exponent must be a finite number >= 0; got -1"),
    (
        lambda: O.piecewise_constant_schedule(0.1, [3]),
        TypeError,
        "boundaries_and_scales must be a dict of factors by step; got [3]",
    ),
    (
        lambda: O.piecewise_constant_schedule(0.1, {3: -1}),
        ValueError,
        "boundaries_and_scales[3] must be a finite number >= 0; got -1",
    ),
    (lambda: O.piecewise_constant_schedule(0.1, {0.5: 1}), TypeError, "boundaries_and_scales: a step must be an integer >= 0"),
    (
        lambda: O.piecewise_interpolate_schedule("cubic", 0.1),
        ValueError,
        "interpolate_type must be 'linear' or 'cosine'; got 'cubic'",
    ),
    (
        lambda: O.linear_onecycle_schedule(10, 0.1, 0.5, 0.4),
        ValueError,
        "pct_final must be a finite number >= 0.5 and <= 1; got 0.4",
    ),
    (lambda: O.warmup_cosine_decay_schedule(0.0, 0.1, 10, 10), ValueError, "decay_steps must be an integer >= 11; got 10"),
    (lambda: O.sgdr_schedule([3]), TypeError, "optax.sgdr_schedule: cosine_kwargs[0] must be a dict of init_value, peak"),
    (lambda: O.sgdr_schedule([]), ValueError, "optax.sgdr_schedule: cosine_kwargs must not be empty"),
    (lambda: O.join_schedules([0.1], []), TypeError, "schedules[0] must be a Schedule; got 0.1"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

"""dialects.fvcore against its formulas: the documented boundaries, without fvcore's 1e-6."""

import math
from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, real

import lrkern as lk
from lrkern.dialects import fvcore as F

N = 90
CASES = []  # (schedule, formula of where)


def whole(f):
    """A formula of `where` as one of the step, held at where = 1."""
    return lambda t: f(min(Fraction(t, N), Fraction(1)))


def composite(t):
    w = Fraction(t, N)
    if w < Fraction(1, 5):
        return checks.linear(0, exact(0.1), w * 5)
    if w < Fraction(1, 2):
        return exact(0.1)
    if w < Fraction(7, 10):
        return checks.cosine(0.1, 0.02, w)  # as through a window
    return checks.cosine(0.05, 0.0, min((w - Fraction(7, 10)) / Fraction(3, 10), Fraction(1)))


def enter():
    CASES.append((F.ConstantParamScheduler(0.1), lambda t: exact(0.1)))
    CASES.append((F.CosineParamScheduler(0.1, 0.01, steps=N), whole(lambda w: checks.cosine(0.1, 0.01, w))))
    CASES.append(
        (F.ExponentialParamScheduler(0.1, 0.02, steps=N), whole(lambda w: real(exact(0.1)) * checks.power(0.02, real(w))))
    )
    CASES.append((F.LinearParamScheduler(0.1, 0.3, steps=N), whole(lambda w: checks.linear(exact(0.1), exact(0.3), w))))
    for p in (1, 0.5, 2.7):
        CASES.append(
            (F.PolynomialDecayParamScheduler(0.1, p, steps=N), whole(lambda w, p=p: real(exact(0.1)) * checks.power(1 - w, p)))
        )
    values = [0.3, 0.2, 0.1, 0.05]
    for at in ([10, 20, 85], None):
        milestones = at or [23, 46, 69]
        case = lambda t, m=milestones: exact(values[sum(a <= t for a in m)])  # noqa: E731
        CASES.append((F.MultiStepParamScheduler(values, N, at), case))
    assert F.MultiStepParamScheduler(values, None, [10, 20, 85, N]) == F.MultiStepParamScheduler(values, N, [10, 20, 85])
    for n in (7, 90, 100):
        CASES.append((F.StepParamScheduler(n, values), lambda t, n=n: exact(values[min(math.floor(Fraction(t, n) * 4), 3)])))
    CASES.append(
        (
            F.StepWithFixedGammaParamScheduler(0.1, 4, 0.3, N),
            lambda t: exact(0.1) * exact(0.3) ** min(math.floor(Fraction(t, N) * 5), 4),
        )
    )


enter()


@pytest.mark.parametrize(("schedule", "formula"), CASES, ids=lambda x: repr(x)[:90] if isinstance(x, lk.Schedule) else "")
def test_formula(schedule, formula):
    checks.assert_follows(schedule, formula, range(N + 20))
    checks.assert_ordinary(schedule)


def test_composite():
    s = F.CompositeParamScheduler(
        [
            F.LinearParamScheduler(0.0, 0.1, steps=N),
            F.ConstantParamScheduler(0.1),
            F.CosineParamScheduler(0.1, 0.02, steps=N),
            F.CosineParamScheduler(0.05, 0.0, steps=N),
        ],
        [0.2, 0.3, 0.2, 0.3],
        ["rescaled", "fixed", "fixed", "rescaled"],
        steps=N,
    )
    # 0.2 and 0.3 are no exact fifths: the children are squeezed by the floats, whose sum is 1 within 2^-53
    checks.assert_follows(s, composite, range(N + 20), moved=Fraction(N, 2**50))
    checks.assert_ordinary(s)


def test_parts_that_end_between_steps():
    """Thirds of 100 steps: each child begins a little late, with what it has by then."""
    line = F.LinearParamScheduler(0.0, 1.0, steps=100)
    s = F.CompositeParamScheduler([line] * 3, [1 / 3, 1 / 3, 1 / 3], ["rescaled"] * 3, steps=100)
    for t in range(100):
        assert s(t) == pytest.approx((3 * t % 100) / 100, abs=1e-7)


def test_no_early_boundary():
    """fvcore adds 1e-6 of the whole: 10 steps of 10 million."""
    s = F.MultiStepParamScheduler([1.0, 0.1], 10**7, [5 * 10**6])
    assert s(5 * 10**6 - 1) == 1.0
    assert s(5 * 10**6) == 0.1


BAD = [
    (  # a ValueError, as there
        lambda: F.MultiStepParamScheduler([1.0, 0.5], 9, 3),
        ValueError,
        "fvcore.MultiStepParamScheduler: milestones must be a sequence of integers; got 3 (int)",
    ),
    (
        lambda: F.CosineParamScheduler(0.1, 0.0, steps=0),
        ValueError,
        "fvcore.CosineParamScheduler: steps must be an integer >= 1; got 0",
    ),
    (lambda: F.MultiStepParamScheduler([1.0]), ValueError, "num_updates or milestones must be given; got None"),
    (lambda: F.MultiStepParamScheduler([1, 2], 9, [3, 4]), ValueError, "milestones must be 1 for 2 values; got 2"),
    (
        lambda: F.MultiStepParamScheduler([1, 2], 9, [9]),
        ValueError,
        "fvcore.MultiStepParamScheduler: milestones must be below num_updates = 9; got 9",
    ),
    (lambda: F.MultiStepParamScheduler([1, 2, 3], 9, [5, 5]), ValueError, "milestones must increase; got 5 after 5"),
    (lambda: F.MultiStepParamScheduler([1, 2, 3], None, [3, 5, 4]), ValueError, "milestones must increase; got 4 after 5"),
    (lambda: F.MultiStepParamScheduler([1, 2], None, [1]), ValueError, "milestones must be 2 for 2 values; got 1"),
    (lambda: F.MultiStepParamScheduler([1, 2, 3], None, [1, 2]), ValueError, "milestones must be 3 for 3 values; got 2"),
    (lambda: F.MultiStepParamScheduler([1, 2, 3, 4], 5), ValueError, "must leave a step for the last of 4 parts of 2; got 5"),
    # arguments that fvcore refuses with a ValueError are refused with one here
    (
        lambda: F.MultiStepParamScheduler(1.0, 9),
        ValueError,
        "MultiStepParamScheduler: values must be a sequence of numbers; got 1.0",
    ),
    (
        lambda: F.StepParamScheduler(9, 1.0),
        ValueError,
        "fvcore.StepParamScheduler: values must be a sequence of numbers; got 1.0",
    ),
    (lambda: F.StepWithFixedGammaParamScheduler("1", 1, 0.5, 9), ValueError, "base_value must be a finite number > 0; got '1'"),
    (lambda: F.StepWithFixedGammaParamScheduler(1.0, 1.5, 0.5, 9), ValueError, "num_decays must be an integer >= 1; got 1.5"),
    (lambda: F.MultiStepParamScheduler([1, 2, 3], 2), ValueError, "num_updates must be >= 3, one for each value; got 2"),
    (lambda: F.StepParamScheduler(0, [1]), ValueError, "fvcore.StepParamScheduler: num_updates must be an integer >= 1; got 0"),
    (
        lambda: F.CompositeParamScheduler([], [], [], steps=3),
        ValueError,
        "CompositeParamScheduler: schedulers must not be empty",
    ),
    (lambda: F.CompositeParamScheduler(3, [], [], steps=3), TypeError, "schedulers must be a sequence of Schedules; got 3"),
    (
        lambda: F.CompositeParamScheduler([lk.constant(1)], [1.0], [1], steps=3),
        ValueError,
        "interval_scaling[0] must be 'rescaled'",
    ),
    (
        lambda: F.CompositeParamScheduler([lk.constant(1)], [0.5], ["fixed"], steps=3),
        ValueError,
        "lengths must be > 0 and add up to 1; got [0.5]",
    ),
    (
        lambda: F.CompositeParamScheduler([lk.constant(1)], [1.0], ["scaled"], steps=3),
        ValueError,
        "interval_scaling[0] must be 'rescaled' or 'fixed'; got 'scaled'",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

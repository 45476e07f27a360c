"""dialects.textbook against the formulas as they are written."""

from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, real

import lrkern as lk
from lrkern.dialects import textbook as X

CASES = []


def enter():
    for lr, end, warm, total in [(0.1, 0.01, 10, 60), (0.1, 0.2, 0, 100), (1.0, 0.0, 3, 4)]:

        def hold(t, lr=lr, end=end, warm=warm, total=total):
            if t < warm:
                return exact(lr)
            fall = t * (exact(end) - exact(lr)) / (total - warm)
            return exact(lr) + fall, max(exact(lr), abs(fall))

        CASES.append((X.hold_then_linear(lr, end, warm, total), hold))
    for lr, rate, total in [(0.1, 0.5, 60), (1.0, 1.0, 100), (0.3, -0.2, 7)]:
        CASES.append(
            (
                X.linear_fraction(lr, rate, total),
                lambda t, a=(lr, rate, total): (
                    exact(a[0]) * (1 - exact(a[1]) * Fraction(t, a[2])),
                    exact(a[0]) * max(1, abs(exact(a[1]) * Fraction(t, a[2]))),
                ),
            )
        )
    for alpha in (0.9, 1.01, 0.5):
        CASES.append((X.exponential(0.1, alpha), lambda t, a=alpha: exact(0.1) * checks.power(exact(a), t)))
        CASES.append((X.time_based(0.1, alpha), lambda t, a=alpha: exact(0.1) / (1 + exact(a) * t)))
        CASES.append((X.staircase(0.1, alpha, 7), lambda t, a=alpha: exact(0.1) * exact(a) ** (t // 7)))
    CASES.append((X.fixed(0.1), lambda t: exact(0.1)))


enter()


@pytest.mark.parametrize(("schedule", "formula"), CASES, ids=lambda x: repr(x)[:90] if isinstance(x, lk.Schedule) else "")
def test_formula(schedule, formula):
    checks.assert_follows(schedule, formula, range(140))
    checks.assert_ordinary(schedule)


def test_hold_then_linear_is_what_it_says():
    """The jump at the end of the hold, and no stop at the end: as the formula has it, not as one would have it."""
    s = X.hold_then_linear(1.0, 0.5, 100, 200)
    assert s(99) == 1.0
    assert s(100) == real(Fraction(1, 2))
    assert s(300) == -0.5


BAD = [
    (
        lambda: X.hold_then_linear(0.1, 0.0, 5, 5),
        ValueError,
        "textbook.hold_then_linear: total_steps must be an integer >= 6; got 5",
    ),
    (
        lambda: X.linear_fraction(0.1, 0.5, 0),
        ValueError,
        "textbook.linear_fraction: total_steps must be an integer >= 1; got 0",
    ),
    (lambda: X.exponential(0.1, 0), ValueError, "textbook.exponential: alpha must be a finite number > 0; got 0"),
    (lambda: X.time_based(0.1, -1), ValueError, "textbook.time_based: alpha must be a finite number >= 0; got -1"),
    (lambda: X.staircase(0.1, 0.5, 1.5), TypeError, "textbook.staircase: every must be an integer >= 1; got 1.5"),
    (lambda: X.fixed(None), TypeError, "textbook.fixed: lr must be a finite number; got None"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

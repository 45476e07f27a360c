"""dialects.stable_baselines3 against its formulas."""

from fractions import Fraction

import dialect_checks as checks
import numpy as np
import pytest
from dialect_checks import exact

import lrkern as lk
from lrkern.dialects import stable_baselines3 as S

N = 60


@pytest.mark.parametrize("part", [1.0, 0.5, 0.1, 0.37, 1.5, 1 / 3])
def test_linear(part):
    s = S.LinearSchedule(3e-4, 1e-5, part, total_timesteps=N)

    def formula(t):
        return checks.linear(exact(3e-4), exact(1e-5), min(Fraction(t) / N / exact(part), Fraction(1)))

    checks.assert_follows(s, formula, range(N + 20))
    for t in np.random.default_rng(1).random(20) * N:  # progress is a fraction there: between steps as well
        assert s(t) == pytest.approx(float(formula(Fraction(t))), rel=1e-15)
    checks.assert_ordinary(s)


def test_linear_at_the_end_of_its_part():
    """The end lies between steps 18 and 19; there is no jump."""
    s = S.LinearSchedule(1.0, 0.0, 0.3, total_timesteps=62)
    assert s(18.5) == pytest.approx(1 - 18.5 / 18.6)
    assert s(18.6) == pytest.approx(0, abs=1e-15)
    assert s(18.61) == s(10**6) == 0.0


def test_constant_and_float():
    assert S.ConstantSchedule(0.1) == S.FloatSchedule(0.1) == lk.constant(0.1)
    line = lk.linear(1.0, 0.0, 9)
    assert S.FloatSchedule(line) is line
    asked = []
    s = S.FloatSchedule(lambda left: asked.append(left) or left**2, total_timesteps=10, every=4)
    assert asked == [1.0, 1.0 - 0.4, 1.0 - 0.8]
    assert s.table(13).tolist() == [value**2 for value in asked for _ in range(4)] + [asked[-1] ** 2]
    checks.assert_ordinary(s)


def test_a_schedule_as_their_function():
    """What the module recommends: a schedule of the step as a function of the progress that remains."""
    s, total = lk.cosine(3e-4, 0.0, 1000), 1000
    theirs = lambda left: s((1.0 - left) * total)  # noqa: E731
    again = S.FloatSchedule(theirs, total_timesteps=total).table(total)
    checks.assert_agree(again, s.table(total), terms=1e-9)


LINEAR = "stable_baselines3.LinearSchedule"
BAD = [
    (
        lambda: S.LinearSchedule(1.0, 0.0, 0.0, total_timesteps=9),
        ValueError,
        f"{LINEAR}: end_fraction must be a finite number > 0",
    ),
    (
        lambda: S.LinearSchedule(1.0, 0.0, 0.5, total_timesteps=0),
        ValueError,
        f"{LINEAR}: total_timesteps must be an integer >= 1",
    ),
    (
        lambda: S.LinearSchedule(1.0, None, 0.5, total_timesteps=9),
        TypeError,
        f"{LINEAR}: end must be a finite number; got None",
    ),
    (
        lambda: S.FloatSchedule("1"),
        TypeError,
        "stable_baselines3.FloatSchedule: value_schedule must be a finite number; got '1'",
    ),
    (lambda: S.FloatSchedule(abs), TypeError, "stable_baselines3.FloatSchedule: total_timesteps must be given with a function"),
    (lambda: S.FloatSchedule(1.0, every=0), ValueError, "every must be an integer >= 1; got 0"),
    (
        lambda: S.FloatSchedule(lambda left: "a", total_timesteps=2),
        TypeError,
        "value_schedule(0) must be a finite number; got 'a'",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

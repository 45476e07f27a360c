"""dialects.mmengine against its formulas."""

from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, real

import lrkern as lk
from lrkern.dialects import mmengine as E
from lrkern.dialects import torch as T

CASES = []  # (schedule, formula, largest error in ULP)
B = exact(0.1)


def windowed(begin, end, formula):
    """The base before begin, formula(steps since), held as it is at end - 1."""
    return lambda t: B if t < begin else formula(min(t, end - 1) - begin)


def case(name, formula, *args, max_ulp=checks.MAX_ULP, **kwargs):
    for begin, end in [(0, E.INF), (0, 60), (15, 75), (20, 21)]:
        if (end == E.INF and name in ("ConstantLR", "LinearLR", "PolyLR")) or (name == "ConstantLR" and end == 21):
            continue
        s = getattr(E, name)(0.1, *args, begin=begin, end=end, **kwargs)
        # what is held is the rounded value, not exact
        CASES.append((s, windowed(begin, end, lambda t, n=end - begin: formula(t, n)), max_ulp))


def wave(t, half, low):
    return checks.cosine(0.1, low, Fraction(t, half))


def restarts(t, n):
    t = min(t, 20 + 10 + 39)  # what the last step of the last period has is held
    for weight, period in ((1, 20), (0.5, 10), (0.25, 40)):
        if t < period:
            return checks.cosine(B * exact(weight), exact(0.001), Fraction(t, period))
        t -= period
    raise AssertionError


def enter():
    case("ConstantLR", lambda t, n: B * exact(0.3) if t < n - 1 else B, 0.3)
    case("LinearLR", lambda t, n: B * real(checks.linear(exact(0.2), exact(0.9), Fraction(t, n - 1) if n > 1 else 0)), 0.2, 0.9)
    case("ExponentialLR", lambda t, n: B * checks.power(exact(0.97), t), 0.97)
    case("StepLR", lambda t, n: B * exact(0.3) ** (t // 7), 7, 0.3)
    case("MultiStepLR", lambda t, n: B * exact(0.3) ** sum(m <= t for m in (3, 9, 9, 30)), [9, 3, 30, 9], 0.3)
    case(
        "PolyLR",
        lambda t, n: real(exact(0.01)) + real(B - exact(0.01)) * checks.power(1 - Fraction(t, n - 1) if n > 1 else 1, 1.5),
        0.01, 1.5,
    )  # fmt: skip
    case("CosineAnnealingLR", lambda t, n: wave(t, 25, 0.01), 25, 0.01)
    case("CosineAnnealingLR", lambda t, n: wave(t, n, 0.0))
    case("CosineAnnealingLR", lambda t, n: wave(t, 25, 0.1 * 0.05), 25, eta_min_ratio=0.05)
    case("CosineRestartLR", restarts, [20, 10, 40], [1, 0.5, 0.25], 0.001)


enter()


@pytest.mark.parametrize(
    ("schedule", "formula", "max_ulp"), CASES, ids=lambda x: repr(x)[:90] if isinstance(x, lk.Schedule) else ""
)
def test_formula(schedule, formula, max_ulp):
    checks.assert_follows(schedule, formula, range(130), max_ulp)
    checks.assert_ordinary(schedule)


def test_one_cycle():
    ours = E.OneCycleLR(0.01, 0.1, 100, begin=10)
    assert ours.table(10).tolist() == [0.01] * 10
    assert ours.table(120, start=10).tolist() == T.OneCycleLR(0.1, 100).table(120).tolist()
    assert E.OneCycleLR(0.01, 0.1, end=100).table(120).tolist() == T.OneCycleLR(0.1, 100).table(120).tolist()


def test_momentum():
    assert E.LinearMomentum(0.9, 0.5, end=5) == E.LinearLR(0.9, 0.5, end=5)


BAD = [
    (lambda: E.ConstantLR(0.1, 0.5, 5, 5), ValueError, "mmengine.ConstantLR: end must be an integer from 6 to"),
    (lambda: E.ConstantLR(0.1, 2), ValueError, "mmengine.ConstantLR: factor must be a finite number >= 0 and <= 1; got 2"),
    (
        lambda: E.CosineAnnealingLR(0.1, 5, 0.0, eta_min_ratio=0.1),
        ValueError,
        "eta_min and eta_min_ratio must not both be given",
    ),
    (lambda: E.CosineRestartLR(0.1, [5, 5]), ValueError, "restart_weights must be as many as the 2 periods; got 1"),
    (lambda: E.PolyLR(0.1, power=0), ValueError, "mmengine.PolyLR: power must be a finite number > 0; got 0"),
    (
        lambda: E.OneCycleLR(0.1, 0.2, 9, 1.5),
        ValueError,
        "mmengine.OneCycleLR: pct_start must be a finite number >= 0 and <= 1",
    ),
    (
        lambda: E.OneCycleLR(0.1, 0.2, 9, div_factor=0),
        ValueError,
        "mmengine.OneCycleLR: div_factor must be a finite number > 0",
    ),
    (
        lambda: E.OneCycleLR(0.1, 0.2, 9, three_phase=1),
        TypeError,
        "mmengine.OneCycleLR: three_phase must be True or False; got 1",
    ),
    (lambda: E.OneCycleLR(0.1, 0.2, 2.5), ValueError, "mmengine.OneCycleLR: total_steps must be an integer >= 1; got 2.5"),
    (lambda: E.OneCycleLR(0.1, 0.2, 9, anneal_strategy=1), ValueError, "mmengine.OneCycleLR: anneal_strategy must be 'cos' or"),
    (lambda: E.OneCycleLR(0.1, None), TypeError, "mmengine.OneCycleLR: eta_max must be a finite number; got None"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value) or "end must be an integer >= 6" in str(caught.value)

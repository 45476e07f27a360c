"""dialects.composer against its formulas."""

from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, real

import lrkern as lk
from lrkern.dialects import composer as C

CASES = []
B = exact(0.1)
RUN = {"max_duration": 100, "batches_per_epoch": 20}


def part(t, steps):
    return min(Fraction(t, steps), Fraction(1))


def warm(t, steps, then):
    return B * Fraction(t, steps) if t < steps else real(B) * real(then(t - steps))


def fall(first, last, p, power=1):
    return exact(last) + exact(first - last) * real(checks.power(1 - p, power))


def enter():
    CASES.append((C.StepScheduler(0.1, "7ba", 0.3), lambda t: B * exact(0.3) ** (t // 7)))
    CASES.append((C.StepScheduler(0.1, "1.5ep", 0.3, ssr=0.5, **RUN), lambda t: B * exact(0.3) ** (t // 15)))
    at = ["10ba", "3ep", "0.8dur", "10ba"]
    CASES.append((C.MultiStepScheduler(0.1, at, 0.3, **RUN), lambda t: B * exact(0.3) ** sum(m <= t for m in (10, 60, 80, 10))))
    CASES.append(
        (C.MultiStepScheduler(0.1, at, 0.3, ssr=0.5, **RUN), lambda t: B * exact(0.3) ** sum(m <= t for m in (5, 30, 80, 5)))
    )
    CASES.append((C.ConstantScheduler(0.1, 0.3, "0.25dur", **RUN), lambda t: B * exact(0.3) if t < 25 else B))
    CASES.append(
        (C.LinearScheduler(0.1, 0.9, 0.2, "3ep", **RUN), lambda t: B * real(checks.linear(exact(0.9), exact(0.2), part(t, 60))))
    )
    CASES.append((C.ExponentialScheduler(0.1, 0.3, **RUN), lambda t: real(B) * checks.power(0.3, real(Fraction(t, 20)))))
    CASES.append(
        (C.CosineAnnealingScheduler(0.1, alpha_f=0.1, **RUN), lambda t: real(B) * checks.cosine(1, exact(0.1), part(t, 100)))
    )
    CASES.append((C.PolynomialScheduler(0.1, 1.5, "60ba", 0.0), lambda t: real(B) * checks.power(1 - part(t, 60), 1.5)))
    for growth, lengths in [(1.5, [10, 15, 22, 33, 49, 73]), (1.0, [10] * 20), (0.5, [10, 5, 2, 1]), (2.0, [10, 20, 40, 80])]:

        def restarts(t, lengths=lengths):
            for n in lengths:
                if t < n:
                    return real(B) * checks.cosine(1, exact(0.05), Fraction(t, n))
                t -= n
            return real(B) * real(exact(0.05))

        CASES.append((C.CosineAnnealingWarmRestartsScheduler(0.1, "10ba", growth, 0.05), restarts))
    w = "0.5ep"  # 10 batches
    linear = lambda s: checks.linear(1, exact(0.1), part(s, 90))  # noqa: E731
    CASES.append((C.LinearWithWarmupScheduler(0.1, w, alpha_f=0.1, **RUN), lambda t: warm(t, 10, linear)))
    CASES.append((C.LinearWithWarmupScheduler(0.1, "10ba", t_max="5ba"), lambda t: warm(t, 10, lambda s: 1)))
    cosine = lambda s: checks.cosine(1, exact(0.1), part(s, 90))  # noqa: E731
    CASES.append((C.CosineAnnealingWithWarmupScheduler(0.1, w, alpha_f=0.1, **RUN), lambda t: warm(t, 10, cosine)))
    scaled = lambda s: checks.cosine(1, exact(0.1), part(s, 95))  # noqa: E731
    s = C.CosineAnnealingWithWarmupScheduler(0.1, w, alpha_f=0.1, scale_warmup=True, ssr=0.5, **RUN)
    CASES.append((s, lambda t: warm(t, 5, scaled)))
    power = lambda s: checks.power(1 - part(s, 90), 2)  # noqa: E731
    CASES.append((C.PolynomialWithWarmupScheduler(0.1, w, **RUN), lambda t: warm(t, 10, power)))
    CASES.append((C.ConstantWithWarmupScheduler(0.1, w, 0.5, **RUN), lambda t: B / 2 * part(t, 10)))
    stairs = lambda s: exact(0.3) ** sum(m <= s + 10 for m in (5, 40))  # noqa: E731
    CASES.append((C.MultiStepWithWarmupScheduler(0.1, w, ["5ba", "2ep"], 0.3, **RUN), lambda t: warm(t, 10, stairs)))


enter()


@pytest.mark.parametrize(("schedule", "formula"), CASES, ids=lambda x: repr(x)[:90] if isinstance(x, lk.Schedule) else "")
def test_formula(schedule, formula):
    # factors of the base rate are rounded where they are tables of stairs, and then the product
    checks.assert_follows(schedule, formula, range(130), 1.1 if "piecewise" in repr(schedule) else checks.MAX_ULP)
    checks.assert_ordinary(schedule)


BAD = [
    (
        lambda: C.StepScheduler(0.1, "1dur"),
        ValueError,
        "composer.StepScheduler: max_duration must be given in batches or epochs for",
    ),
    (
        lambda: C.StepScheduler(0.1, "1ep"),
        ValueError,
        "composer.StepScheduler: batches_per_epoch must be given for step_size '1ep'",
    ),
    (
        lambda: C.StepScheduler(0.1, "1sec"),
        ValueError,
        "step_size must be a time such as '10ba', '1ep' or '0.5dur'; got '1sec'",
    ),
    (lambda: C.StepScheduler(0.1, "0ba"), ValueError, "composer.StepScheduler: step_size must be an integer >= 1; got 0"),
    (lambda: C.StepScheduler(0.1, 1.5), TypeError, "composer.StepScheduler: step_size must be an integer >= 0; got 1.5"),
    (
        lambda: C.MultiStepScheduler(0.1, "3ba"),
        TypeError,
        "composer.MultiStepScheduler: milestones must be a sequence of times",
    ),
    (
        lambda: C.PolynomialScheduler(0.1, 0, "3ba"),
        ValueError,
        "composer.PolynomialScheduler: power must be a finite number > 0",
    ),
    (
        lambda: C.LinearWithWarmupScheduler(0.1, "1ba", t_max="5ba", max_duration="1ep", batches_per_epoch=6),
        ValueError,
        "composer.LinearWithWarmupScheduler: t_max must be >= max_duration, 6 batches; got '5ba' (str)",
    ),
    (
        lambda: C.ConstantWithWarmupScheduler(0.1, 1, t_max="0.5dur", max_duration=9),
        ValueError,
        "t_max must be >= max_duration, 9 ba",
    ),
    (
        lambda: C.CosineAnnealingWithWarmupScheduler(0.1, 1, 10, ssr=0.5, max_duration=9),
        ValueError,
        "max_duration, 9 batches; got 10",
    ),
    (lambda: C.PolynomialWithWarmupScheduler(0.1, 1, t_max=8, max_duration=9), ValueError, "max_duration, 9 batches; got 8"),
    (
        lambda: C.LinearWithWarmupScheduler(0.1, "1ba", t_max=9, scale_warmup=1),
        TypeError,
        "scale_warmup must be True or False; got 1",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

"""dialects.nemo against its formulas."""

from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, mp, real

from lrkern.dialects import nemo as N

LR, LOW = 0.3, 0.01
CASES = []


def case(schedule, formula, steps=130):
    CASES.append(pytest.param(schedule, formula, steps, id=repr(schedule)[:90]))


def shaped(curve, warmup, hold=None, end=100, low=LOW):
    """Warm-up, hold, curve(t), low."""

    def formula(t):
        if warmup and t <= warmup:
            return exact(LR) * Fraction(t + 1, warmup + 1)
        if hold is not None and t < hold:
            return exact(LR)
        return exact(low) if t > end else curve(t)

    return formula


def power(p, exponent, low=LOW):
    return real(exact(LR) - exact(low)) * checks.power(real(p), exponent) + real(exact(low)), LR


def floored(value, low=LOW):
    return max(value, real(exact(low)))


def enter():
    assert N.WarmupPolicy(LR, warmup_ratio=0.1, max_steps=99) == N.WarmupPolicy(LR, warmup_steps=9, max_steps=99)
    case(N.WarmupPolicy(LR), lambda t: exact(LR))
    for W in (0, 9):
        given = {"max_steps": 100, "warmup_steps": W, "min_lr": LOW}
        done = lambda t, W=W: Fraction(t - W, 100 - W)  # noqa: E731
        case(N.WarmupPolicy(LR, **given), shaped(lambda t: exact(LR), W))
        case(N.WarmupHoldPolicy(LR, hold_steps=20, **given), shaped(lambda t: exact(LR), W))
        case(N.SquareAnnealing(LR, **given), shaped(lambda t, d=done: floored(real(exact(LR)) * real((1 - d(t)) ** 2)), W))
        root = lambda t: floored(real(exact(LR)) * mp.sqrt(real(Fraction(100 - t, 100))))  # noqa: E731
        case(N.SquareRootAnnealing(LR, **given), shaped(root, W))
        case(N.CosineAnnealing(LR, **given), shaped(lambda t, d=done: (checks.cosine(LR, LOW, d(t)), LR), W))
        line = lambda t, d=done: (checks.linear(exact(LR), exact(LOW), d(t)), exact(LR))  # noqa: E731
        case(N.WarmupAnnealing(LR, **given), shaped(line, W))
        inverse = lambda t, W=W: real(exact(LR)) / mp.sqrt(real(Fraction(t + 1, W + 1)))  # noqa: E731
        case(N.InverseSquareRootAnnealing(LR, **given), shaped(inverse, W))
        case(N.PolynomialDecayAnnealing(LR, power=2.5, **given), shaped(lambda t, d=done: power(1 - d(t), 2.5), W))

        def long_constant(t, W=W):
            if W and t <= W:
                return exact(LR) * Fraction(t, W)
            return checks.cosine(LR, LOW, min(Fraction(t - W, 80 - W), Fraction(1))), LR

        case(N.CosineAnnealing(LR, constant_steps=20, **given), long_constant)

        def noam(t, W=W):
            t = max(t, 1)
            a = 1 / mp.sqrt(real(t))
            b = real(t) / mp.power(real(W), real(Fraction(3, 2))) if W else a
            value = real(exact(LR)) * min(a, b) / mp.sqrt(real(7))
            return floored(value) if t > W else value

        case(N.NoamAnnealing(LR, d_model=7, min_lr=LOW, warmup_steps=W), noam, 200)
        for hold in (None, 0, 20):
            H = 0 if hold is None else W + hold
            given = {"max_steps": 100, "warmup_steps": W, "min_lr": LOW, "hold_steps": hold}
            done = lambda t, H=H: Fraction(t - H, 100 - H)  # noqa: E731
            minus = lambda t, d=done: (floored(real(exact(LR)) * (1 - mp.sqrt(real(d(t))))), LR)  # noqa: E731
            case(N.WarmupHoldAnnealOneMinusSquareRoot(LR, **given), shaped(minus, W, H))
            line = lambda t, d=done: (checks.linear(exact(LR), exact(LOW), d(t)), exact(LR))  # noqa: E731
            case(N.WarmupHoldAnnealLinear(LR, **given), shaped(line, W, H))
            for cycle in (False, True):

                def poly(t, H=H, W=W, cycle=cycle):
                    s, D = t - H, 100 - max(W, H)
                    length = D * max(-(-s // D), 1) if cycle else D
                    return power(1 - Fraction(min(s, length), length), 2.0)

                case(N.PolynomialHoldDecayAnnealing(LR, power=2.0, cycle=cycle, **given), shaped(poly, W, H))
            if W:

                def noam_hold(t, W=W, hold=hold or 0):
                    return floored(real(exact(LR)) * mp.power(real(Fraction(W, t - hold)), real(exact(0.7))))

                case(N.NoamHoldAnnealing(LR, decay_rate=0.7, **given), shaped(noam_hold, W, H))
    t5 = lambda t: 1 / mp.sqrt(real(max(t, 16))) if t <= 100 else exact(LOW)  # noqa: E731
    case(N.T5InverseSquareRootAnnealing(LR, max_steps=100, constant_steps=16, min_lr=LOW), t5)


enter()


@pytest.mark.parametrize(("schedule", "formula", "steps"), CASES)
def test_formula(schedule, formula, steps):
    checks.assert_follows(schedule, formula, range(steps))
    checks.assert_ordinary(schedule)


def test_a_floor_above_the_rate():
    """SquareAnnealing's default floor is 1e-5: smaller rates jump up to it after the warm-up."""
    s = N.SquareAnnealing(1e-6, max_steps=9, warmup_steps=3)
    assert s.table(6).tolist() == [2.5e-7, 5e-7, 7.5e-7, 1e-6, 1e-5, 1e-5]


BAD = [
    (lambda: N.WarmupPolicy(0.1, warmup_ratio=0.1), ValueError, "nemo.WarmupPolicy: max_steps must be given with warmup_ratio"),
    (
        lambda: N.WarmupPolicy(0.1, warmup_steps=3, warmup_ratio=0.1, max_steps=9),
        ValueError,
        "nemo.WarmupPolicy: one of warmup_steps and warmup_ratio must be given; got 3 and 0.1",
    ),
    (
        lambda: N.WarmupPolicy(0.1, warmup_steps=9, max_steps=3),
        ValueError,
        "max_steps must be >= the 9 of warm-up and hold; got 3",
    ),
    (lambda: N.WarmupHoldPolicy(0.1, max_steps=None), TypeError, "nemo.WarmupHoldPolicy: max_steps must be given; got None"),
    (
        lambda: N.WarmupHoldAnnealLinear(0.1, max_steps=9, warmup_steps=4, hold_steps=5),
        ValueError,
        "nemo.WarmupHoldAnnealLinear: max_steps must be > 9, where the decay begins; got 9",
    ),
    (lambda: N.SquareAnnealing(0.1, max_steps=9, min_lr=-1), ValueError, "min_lr must be a finite number >= 0; got -1"),
    (
        lambda: N.CosineAnnealing(0.1, max_steps=9, min_lr=0.2),
        ValueError,
        "min_lr must be a finite number >= 0 and <= 0.1; got 0.2",
    ),
    (
        lambda: N.CosineAnnealing(0.1, max_steps=9, constant_steps=1, constant_ratio=0.1),
        ValueError,
        "nemo.CosineAnnealing: one of constant_steps and constant_ratio must be given; got 1 and 0.1",
    ),
    (
        lambda: N.CosineAnnealing(0.1, max_steps=9, constant_steps=9),
        ValueError,
        "max_steps must be > 9, where the decay begins",
    ),
    (
        lambda: N.CosineAnnealing(0.1, max_steps=9, constant_steps=3, min_lr=0.1),
        ValueError,
        "min_lr must be below base_lr with a",
    ),
    (lambda: N.NoamAnnealing(0.1, d_model=0), ValueError, "nemo.NoamAnnealing: d_model must be a finite number > 0; got 0"),
    (
        lambda: N.NoamHoldAnnealing(0.1, max_steps=9),
        ValueError,
        "warmup_steps must be an integer >= 1, the decay is measured in them",
    ),
    (
        lambda: N.T5InverseSquareRootAnnealing(0.1, max_steps=9, constant_steps=10),
        ValueError,
        "max_steps must be >= constant_steps = 10; got 9",
    ),
    (lambda: N.PolynomialDecayAnnealing(0.1, max_steps=9, power=0), ValueError, "power must be a finite number > 0; got 0"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

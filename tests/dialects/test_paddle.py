"""dialects.paddle against its formulas; where they are torch's, against dialects.torch, which is tested by itself."""

from fractions import Fraction
from math import ceil

import dialect_checks as checks
import pytest
from dialect_checks import exact, mp, real

import lrkern as lk
from lrkern.dialects import keras as K
from lrkern.dialects import paddle as P
from lrkern.dialects import torch as T

LR = 0.3
CASES = []


def case(schedule, formula, steps=range(100)):
    CASES.append(pytest.param(schedule, formula, steps, id=repr(schedule)[:90]))


def enter():
    for width, warmup, factor in [(512, 40, 1.0), (0.01, 1, LR), (3.7, 25, 2.0), (1e10, 99, 1.0)]:

        def noam(t, width=width, warmup=warmup, factor=factor):
            a = mp.power(real(max(t, 1)), real(Fraction(-1, 2)))
            b = mp.power(real(warmup), real(Fraction(-3, 2))) * t
            return real(exact(factor)) / mp.sqrt(real(exact(width))) * min(a, b)

        case(P.NoamDecay(width, warmup, factor), noam)
    for gamma in (0.5, 0.001, 1e-9, 3.7, 700.0, 1e-200):
        decay = lambda t, gamma=gamma: real(exact(LR)) * mp.exp(-real(exact(gamma)) * t)  # noqa: E731
        case(
            P.NaturalExpDecay(LR, gamma), decay, [t for t in (0, 1, 2, 3, 50, 99, 700, 10**6, 10**9, 10**12) if gamma * t < 680]
        )
    case(P.PiecewiseDecay([3, 8], [0.1, 0.2, 0.3]), lambda t: exact((0.1, 0.2, 0.3)[(t >= 3) + (t >= 8)]))
    case(P.InverseTimeDecay(LR, 0.7), lambda t: exact(LR) / (1 + exact(0.7) * t))
    case(P.ExponentialDecay(LR, 0.9), lambda t: exact(LR) * checks.power(exact(0.9), t))
    case(P.MultiStepDecay(LR, [3, 40], 0.2), lambda t: exact(LR) * exact(0.2) ** ((t >= 3) + (t >= 40)))
    case(P.StepDecay(LR, 7, 0.8), lambda t: exact(LR) * exact(0.8) ** (t // 7))
    for cycle in (False, True):
        for power in (1.0, 2.5):

            def polynomial(t, cycle=cycle, power=power):
                length = 30 * max(ceil(t / 30), 1) if cycle else 30
                left = real(1 - Fraction(min(t, length), length))
                return real(exact(LR) - exact(0.01)) * checks.power(left, power) + real(exact(0.01)), LR

            case(P.PolynomialDecay(LR, 30, 0.01, power, cycle), polynomial)
    inner = P.ExponentialDecay(LR, 0.9)

    def warmed(t):
        if t < 9:
            return exact(0.01) + (exact(0.2) - exact(0.01)) * Fraction(t, 9)
        return exact(LR) * checks.power(exact(0.9), t - 9)

    case(P.LinearWarmup(inner, 9, 0.01, 0.2), warmed)
    case(P.LinearWarmup(LR, 9, 0.0, 0.2), lambda t: exact(0.2) * Fraction(t, 9) if t < 9 else exact(LR))
    for three in (False, True):
        for kind in ("cos", "linear"):
            ramp = (lambda a, b, p: checks.cosine(a, b, p)) if kind == "cos" else (lambda a, b, p: checks.linear(a, b, p))
            ends = [0, 24, 48, 99] if three else [0, 24, 99]  # 0.25 of 100, less one
            low = exact(LR) / exact(7.0)
            levels = [low, exact(LR), low, exact(1e-3)] if three else [low, exact(LR), exact(1e-3)]

            def one_cycle(t, ramp=ramp, ends=ends, levels=levels):
                t = min(t, 99)
                i = next(i for i in range(len(ends) - 1) if t <= ends[i + 1])
                return ramp(levels[i], levels[i + 1], Fraction(t - ends[i], ends[i + 1] - ends[i])), max(levels[i : i + 2])

            case(P.OneCycleLR(LR, 100, 7.0, 1e-3, 0.25, kind, three), one_cycle, range(120))


enter()


@pytest.mark.parametrize(("schedule", "formula", "steps"), CASES)
def test_formula(schedule, formula, steps):
    checks.assert_follows(schedule, formula, steps)
    checks.assert_ordinary(schedule)


def test_what_torch_and_keras_have_too():
    assert P.CosineAnnealingDecay(LR, 9, 0.01) == T.CosineAnnealingLR(LR, 9, 0.01)
    assert P.CosineAnnealingWarmRestarts(LR, 9, 2, 0.01) == T.CosineAnnealingWarmRestarts(LR, 9, 2, 0.01)
    assert P.LinearLR(LR, 9, 0.2, 0.7) == T.LinearLR(LR, 0.2, 0.7, 9)
    assert P.LambdaDecay(LR, lambda t: t, 5) == T.LambdaLR(LR, lambda t: t, 5)
    assert P.LambdaDecay(LR, lk.constant(1.0)) == T.LambdaLR(LR, lk.constant(1.0))
    assert P.MultiplicativeDecay(LR, lambda t: 0.9, 5) == T.MultiplicativeLR(LR, lambda t: 0.9, 5)
    assert P.StepDecay(LR, 3, 0.0) == T.StepLR(LR, 3, 0.0)
    assert P.PolynomialDecay(LR, 9, 0.01, 2.0, True) == K.PolynomialDecay(LR, 9, 0.01, 2.0, True)
    for mode in ("triangular", "triangular2", "exp_range"):
        assert P.CyclicLR(0.1, LR, 5, 7, mode, 0.99) == T.CyclicLR(0.1, LR, 5, 7, mode, 0.99)
    scaled = {"scale_fn": lambda i: 1 / i, "scale_mode": "cycle", "steps": 60}
    assert P.CyclicLR(0.1, LR, 5, **scaled) == T.CyclicLR(0.1, LR, 5, **scaled)


BAD = [
    (lambda: P.NoamDecay(0, 3), ValueError, "paddle.NoamDecay: d_model must be a finite number > 0; got 0"),
    (lambda: P.NoamDecay(8, 0), ValueError, "paddle.NoamDecay: warmup_steps must be an integer >= 1; got 0"),
    (lambda: P.PiecewiseDecay([], [1.0]), ValueError, "paddle.PiecewiseDecay: boundaries must not be empty"),
    (lambda: P.PiecewiseDecay([2], [1, 2, 3]), ValueError, "values must be one more than the 1 boundaries; got 3"),
    (
        lambda: P.NaturalExpDecay(-1.0, 1.0),
        ValueError,
        "paddle.NaturalExpDecay: learning_rate must be a finite number >= 0; got",
    ),
    (lambda: P.NaturalExpDecay(1.0, 0.0), ValueError, "paddle.NaturalExpDecay: gamma must be a finite number >= 1e-200"),
    (lambda: P.ExponentialDecay(1.0, 1.0), ValueError, "gamma must be a finite number > 0 and < 1; got 1.0"),
    (lambda: P.MultiStepDecay(1.0, [2, 2]), ValueError, "paddle.MultiStepDecay: milestones must increase; got [2, 2]"),
    (lambda: P.MultiStepDecay(1.0, [2], 1.0), ValueError, "paddle.MultiStepDecay: gamma must be a finite number < 1; got 1.0"),
    (lambda: P.StepDecay(1.0, 2.5), TypeError, "paddle.StepDecay: step_size must be an integer >= 1; got 2.5"),
    (lambda: P.LambdaDecay(1.0, 3), TypeError, "paddle.LambdaDecay: lr_lambda must be callable; got 3"),
    (lambda: P.MultiplicativeDecay(1.0, abs), TypeError, "paddle.MultiplicativeDecay: steps must be "),
    (
        lambda: P.LinearWarmup(1.0, 3, 0.2, 0.1),
        ValueError,
        "paddle.LinearWarmup: end_lr must be a finite number > 0.2; got 0.1",
    ),
    (lambda: P.LinearWarmup("1", 3, 0.0, 0.1), TypeError, "paddle.LinearWarmup: learning_rate must be a finite number >= 0"),
    (
        lambda: P.OneCycleLR(1.0, 9, phase_pct=0.5, three_phase=True),
        ValueError,
        "phase_pct must be a finite number < 0.5; got 0.5",
    ),
    (lambda: P.OneCycleLR(1.0, 9, anneal_strategy="sine"), ValueError, "paddle.OneCycleLR: anneal_strategy must be 'cos' or"),
    (lambda: P.CyclicLR(0.1, 1.0, 2.5), TypeError, "paddle.CyclicLR: step_size_up must be an integer >= 1; got 2.5"),
    (lambda: P.CyclicLR(0.1, 1.0, 2, exp_gamma=0), ValueError, "paddle.CyclicLR: exp_gamma must be a finite number > 0; got 0"),
    (
        lambda: P.CosineAnnealingWarmRestarts(1.0, 2.5),
        ValueError,
        "paddle.CosineAnnealingWarmRestarts: T_0 must be an integer >= 1",
    ),
    (
        lambda: P.LinearLR(1.0, 9, 0.0),
        ValueError,
        "paddle.LinearLR: start_factor must be a finite number > 0 and <= 1; got 0.0",
    ),
    (
        lambda: P.CosineAnnealingWarmRestarts(1.0, 0),
        ValueError,
        "paddle.CosineAnnealingWarmRestarts: T_0 must be an integer >= 1",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

"""dialects.speechbrain against its formulas."""

from fractions import Fraction
from math import floor

import dialect_checks as checks
import pytest
from dialect_checks import exact, mp, real

from lrkern.dialects import speechbrain as S
from lrkern.dialects import torch as T
from lrkern.dialects import transformers as H

LR = 0.3
CASES = []


def case(schedule, formula, steps=100):
    CASES.append(pytest.param(schedule, formula, steps, id=repr(schedule)[:90]))


def power(base, exponent):
    return mp.power(real(exact(base)), real(exponent))


def enter():
    for warmup in (0, 9):
        for factor in (0.1, 1.5):

            def warm_exp(t, warmup=warmup, factor=factor):
                if t < warmup:
                    return exact(LR) * Fraction(t, warmup)
                return real(exact(LR)) * min(power(factor, Fraction(t - warmup, 60 - warmup)), 1)

            case(S.WarmAndExpDecayLRSchedule(LR, warmup, 60, factor), warm_exp)

        def warm_cool(t, warmup=warmup):
            if t < warmup:
                return exact(LR) * Fraction(t, warmup)
            if t > 70:
                return real(exact(LR)) * power(0.75, Fraction(70, 33)) * real(Fraction(max(90 - t, 0), 20))
            return real(exact(LR)) * power(0.75, Fraction(t - warmup, 33))

        case(S.WarmCoolDecayLRSchedule(LR, warmup, 20, 90, 0.75, 33), warm_cool)
    line = lambda t: checks.linear(exact(LR), exact(0.01), min(Fraction(t, 39), Fraction(1)))  # noqa: E731
    case(S.LinearScheduler(LR, 0.01, 40), line)
    case(S.LinearScheduler(LR, 0.01, 1), lambda t: exact(LR))
    for factor, drop in ((None, None), (0.3, 3), (0.9, 2.5)):
        step = lambda t, f=factor or 0.5, d=drop or 2: exact(LR) * exact(f) ** floor((1 + t) / exact(d))  # noqa: E731
        case(S.StepScheduler(LR, factor, drop), step)
    case(S.StepScheduler(LR, half_life=7.5), lambda t: real(exact(LR)) * power(0.5, Fraction(1 + t) / exact(7.5)))
    for size in (None, 512, 7.3):
        for warmup in (1, 25):

            def noam(t, size=size, warmup=warmup):
                scale = mp.sqrt(real(warmup)) if size is None else 1 / mp.sqrt(real(exact(size)))
                a = 1 / mp.sqrt(real(max(t, 1)))
                return real(exact(LR)) * scale * min(a, real(t) / mp.power(real(warmup), real(Fraction(3, 2))))

            case(S.NoamScheduler(LR, warmup, size), noam)

            def interval(t, noam=noam):
                return noam(t) * real(exact(0.5) ** (t > 30) * exact(0.3) ** (t > 60))

            case(S.NoamIntervalScheduler(LR, warmup, [30, 60], [0.5, 0.3], size), interval)

    def linear_noam(t):
        return exact(LR) * (Fraction(t, 9) if t < 9 else Fraction(1) if t < 29 else Fraction(9, t - 20))

    case(S.LinearNoamScheduler(LR, 9, 20), linear_noam)
    for late in (0, 7, 95):
        case(S.CyclicCosineScheduler(late, LR, 30), lambda t, late=late: (checks.cosine(LR, 0, Fraction(t - late, 30)), LR))
    intervals = [{"steps": 5, "lr": 0.2}, {"steps": 40, "lr": 0.01}]
    case(S.IntervalScheduler(LR, intervals), lambda t: exact(LR if t < 5 else 0.2 if t < 40 else 0.01))
    case(S.InverseSquareRootScheduler(30), lambda t: 1 / mp.sqrt(real(max(t, 30))))

    def tri(t):
        if t < 10:
            return exact(LR) * (exact(0.01) + (1 - exact(0.01)) * Fraction(t, 10))
        return exact(LR) if t < 30 else real(exact(LR)) * power(0.05, Fraction(t - 30, 40))

    case(S.TriStageLRSchedule(LR, 10, 20, 40, 70), tri)


enter()


@pytest.mark.parametrize(("schedule", "formula", "steps"), CASES)
def test_formula(schedule, formula, steps):
    checks.assert_follows(schedule, formula, range(steps))
    checks.assert_ordinary(schedule)


def test_what_others_have_too():
    assert S.LinearWarmupScheduler(LR, 9, 60) == H.get_linear_schedule_with_warmup(LR, 9, 60)
    for mode in ("triangular", "triangular2", "exp_range"):
        ours = S.CyclicLRScheduler(0.1, LR, 7.5, mode, 0.99)
        assert ours == T.CyclicLR(0.1, LR, 7.5, mode=mode, gamma=0.99)


BAD = [
    (lambda: S.WarmAndExpDecayLRSchedule(1.0, 9, 9), ValueError, "total_steps must be an integer >= 10; got 9"),
    (
        lambda: S.LinearScheduler(1.0, 0.0, 0),
        ValueError,
        "speechbrain.LinearScheduler: epoch_count must be an integer >= 1; got 0",
    ),
    (lambda: S.LinearWarmupScheduler(1.0, -1, 0), ValueError, "speechbrain.LinearWarmupScheduler: num_warmup_steps must be an"),
    (
        lambda: S.LinearWarmupScheduler(None, 1, 9),
        TypeError,
        "LinearWarmupScheduler: initial_value must be a finite number; got",
    ),
    (lambda: S.StepScheduler(1.0, 0.5, half_life=2), ValueError, "half_life must not be given with decay_factor or decay_drop"),
    (lambda: S.StepScheduler(1.0, half_life=0), ValueError, "speechbrain.StepScheduler: half_life must be a finite number > 0"),
    (lambda: S.NoamScheduler(1.0, 0), ValueError, "speechbrain.NoamScheduler: n_warmup_steps must be an integer >= 1; got 0"),
    (lambda: S.NoamIntervalScheduler(1.0, 1, [2], []), ValueError, "anneal_rates must be as many as the 1 anneal_steps; got 0"),
    (lambda: S.NoamIntervalScheduler(1.0, 1, [2, 1], [1, 1]), ValueError, "anneal_steps must not decrease; got 2"),
    (
        lambda: S.CyclicCosineScheduler(1, None),
        TypeError,
        "CyclicCosineScheduler: lr_initial must be a finite number; got None",
    ),
    (
        lambda: S.CyclicLRScheduler(step_size=0),
        ValueError,
        "speechbrain.CyclicLRScheduler: step_size must be a finite number > 0",
    ),
    (lambda: S.CyclicLRScheduler(mode="sine"), ValueError, "speechbrain.CyclicLRScheduler: mode must be 'triangular', "),
    (lambda: S.IntervalScheduler(0.1, [3]), TypeError, "intervals must be a sequence of dicts; got [3]"),
    (lambda: S.IntervalScheduler(0.1, [{"steps": 1}]), ValueError, "intervals[0] must have steps and lr; got steps"),
    (lambda: S.IntervalScheduler(0.1, [{"steps": 2, "lr": 1}] * 2), ValueError, "steps of intervals must increase; got [2, 2]"),
    (lambda: S.InverseSquareRootScheduler(0), ValueError, "warmup_steps must be an integer >= 1; got 0"),
    (
        lambda: S.WarmCoolDecayLRSchedule(1.0, 5, 5, 9),
        ValueError,
        "speechbrain.WarmCoolDecayLRSchedule: warmup and cooldown must fit into total_steps = 9; got 5 and 5",
    ),
    (
        lambda: S.TriStageLRSchedule(1.0, 0, 1, 1, 9),
        ValueError,
        "TriStageLRSchedule: warmup_steps must be an integer >= 1; got 0",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

"""dialects.timm against its formulas."""

import math
from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, mp, real

import lrkern as lk
from lrkern.dialects import timm as M

CASES = []  # (schedule, formula)
BASE = exact(0.1)


def case(schedule, formula):
    CASES.append((schedule, formula))


def cycle(t, steps, mul=1.0, limit=1):
    """(number, part done) of the cycle of step t; None after the last."""
    begin, length = Fraction(0), Fraction(steps)
    for i in range(limit):
        if t < begin + length:
            return i, (t - begin) / length
        begin, length = begin + length, length * exact(mul)
    return None


def curve(left, steps, low=0.0, mul=1.0, decay=1.0, limit=1):
    def formula(t):
        found = cycle(t, steps, mul, limit)
        if found is None:
            return real(exact(low))
        i, done = found
        top = BASE * exact(decay) ** i
        weight = real(left(done))
        return real(exact(low)) * (1 - weight) + real(top) * weight

    return formula


def warm(formula, steps, init, prefix=False, goal=None):
    def value(t):
        if t < steps:
            return checks.linear(exact(init), goal(steps) if goal else BASE, Fraction(t, steps))
        return formula(t - steps if prefix else t)

    return value


def tanh(done, lower=-7, upper=3):
    return 1 / (1 + mp.exp(2 * real(lower * (1 - done) + upper * done)))


def enter():
    cosine = lambda done: checks.cosine(1, 0, done)  # noqa: E731
    sets = [
        {"steps": 100},
        {"steps": 30, "low": 0.01},
        {"steps": 20, "low": 0.001, "limit": 4},
        {"steps": 20, "decay": 0.5, "limit": 3},
        {"steps": 10, "mul": 2.0, "limit": 3},
        {"steps": 16, "mul": 1.5, "decay": 0.7, "low": 0.002, "limit": 4},
        {"steps": 7, "mul": 2.0, "limit": 0},
    ]
    for s in sets:
        options = {"lr_min": s.get("low", 0.0), "cycle_mul": s.get("mul", 1.0), "cycle_decay": s.get("decay", 1.0)}
        options["cycle_limit"] = s.get("limit", 1)
        case(M.CosineLRScheduler(0.1, s["steps"], **options), curve(cosine, **s))
        case(M.TanhLRScheduler(0.1, s["steps"], **options), curve(tanh, **s))
        case(M.PolyLRScheduler(0.1, s["steps"], **options), curve(lambda d: mp.sqrt(real(1 - d)), **s))
        for k in (0.7, 1.5):
            left = lambda d, k=k: checks.cosine(1, 0, checks.power(d, k))  # noqa: E731
            case(M.CosineLRScheduler(0.1, s["steps"], k_decay=k, **options), curve(left, **s))
            left = lambda d, k=k: (1 - checks.power(d, k)) ** 2  # noqa: E731
            case(M.PolyLRScheduler(0.1, s["steps"], 2.0, k_decay=k, **options), curve(left, **s))
    for prefix in (False, True):
        options = {"warmup_t": 10, "warmup_lr_init": 0.001, "warmup_prefix": prefix}
        case(M.CosineLRScheduler(0.1, 60, **options), warm(curve(cosine, 60), 10, 0.001, prefix))
        case(
            M.TanhLRScheduler(0.1, 60, **options), warm(curve(tanh, 60), 10, 0.001, prefix, None if prefix else curve(tanh, 60))
        )
        stairs = lambda t: BASE * exact(0.5) ** math.floor(t / exact(12.5))  # noqa: E731
        case(M.StepLRScheduler(0.1, 12.5, 0.5, **options), warm(stairs, 10, 0.001, prefix))
        stairs = lambda t: BASE * exact(0.5) ** sum(m <= t + 1 for m in (5, 30, 31))  # noqa: E731
        case(M.MultiStepLRScheduler(0.1, [5, 30, 31], 0.5, **options), warm(stairs, 10, 0.001, prefix))
    decays = {
        "linear": lambda p: 1 - p,
        "1-sqrt": lambda p: 1 - mp.sqrt(real(p)),
        "cosine": cosine,
        "power": lambda p: 1 - checks.power(p, 0.3),
        "exp": lambda p: (checks.power(exact(0.1), p) - real(exact(0.1))) / real(1 - exact(0.1)),
    }
    for name, fall in decays.items():
        for stable, power in (("constant", 0), ("rsqrt", 0.5), ("power", 0.7)):

            def formula(t, fall=fall, power=power):
                if t < 10:
                    return BASE * t / 10
                level = max(real(BASE) * mp.power(1 + real(Fraction(t - 10, 10)), -real(power)), real(exact(0.01)))
                p = Fraction(t - 10 - (80 - 30), 30)
                if p <= 0:
                    return level
                weight = real(fall(p)) if p < 1 else real(0)
                return real(exact(0.01)) + (level - real(exact(0.01))) * weight, real(BASE)

            s = M.WSDLRScheduler(0.1, 80, 30, 0.01, stable, None, 0.7, name, 0.3, warmup_t=10)
            case(s, formula)


enter()


@pytest.mark.parametrize(("schedule", "formula"), CASES, ids=lambda x: repr(x)[:90] if isinstance(x, lk.Schedule) else "")
def test_formula(schedule, formula):
    checks.assert_follows(schedule, formula, range(140))
    checks.assert_ordinary(schedule)


def test_drop_at_the_end_of_the_warmup():
    """Without prefix the warm-up covers the beginning of the cosine: the base rate is never reached."""
    s = M.CosineLRScheduler(1.0, 100, warmup_t=5)
    assert s.table(200).max() == pytest.approx(0.9938, abs=5e-5)
    assert M.CosineLRScheduler(1.0, 100, warmup_t=5, warmup_prefix=True)(5) == 1.0


def test_noise():
    """What torch's generator gives for seeds 42, 43, 44."""
    assert (M.StepLRScheduler(1.0, 100, noise_range_t=[0, 3]).table(4) - 1.0).tolist() == [
        0.33669036626815796, -0.6484010815620422, M.noise(44, 0.67, 1.0), 0.0,
    ]  # fmt: skip
    assert M.StepLRScheduler(1.0, 100, noise_range_t=2, steps=5) == M.StepLRScheduler(1.0, 100, noise_range_t=[2, 5])


def test_the_last_cycle_ends_between_steps():
    """10 + 15 + 22.5 steps: from 47.5 on the end is in force, also where a step is cut into a thousand."""
    s = M.CosineLRScheduler(0.1, 10, cycle_mul=1.5, cycle_limit=3)
    assert s([47.5, 47.6, 48]).tolist() == [0.0, 0.0, 0.0]
    fine = s.stretch(1000)
    assert s(47.25) == fine(47_250) > 0.0
    assert fine([47_500, 47_501, 47_999, 48_000]).tolist() == [0.0] * 4


BAD = [
    (  # a ValueError, as there
        lambda: M.WSDLRScheduler(0.1, 9, 2, stable_fn=None),
        ValueError,
        "timm.WSDLRScheduler: stable_fn must be 'constant', 'rsqrt' or 'power'; got None",
    ),
    (lambda: M.CosineLRScheduler(0.1, 0), ValueError, "timm.CosineLRScheduler: t_initial must be an integer >= 1; got 0"),
    (
        lambda: M.CosineLRScheduler(0.1, 9, -1),
        ValueError,
        "timm.CosineLRScheduler: lr_min must be a finite number >= 0; got -1",
    ),
    (lambda: M.CosineLRScheduler(0.1, 9, warmup_prefix=1), TypeError, "warmup_prefix must be True or False; got 1"),
    (
        lambda: M.CosineLRScheduler(0.1, 9, noise_range_t=3),
        TypeError,
        "steps must be given where noise_range_t has no end; got None",
    ),
    (lambda: M.CosineLRScheduler(0.1, 9, noise_range_t=[3]), ValueError, "noise_range_t must be two steps or one; got [3]"),
    (
        lambda: M.TanhLRScheduler(0.1, 9, 3, -7),
        ValueError,
        "timm.TanhLRScheduler: ub must be a finite number > 3 and <= 1e+06; got -7",
    ),
    (lambda: M.PolyLRScheduler(0.1, 9, 0), ValueError, "timm.PolyLRScheduler: power must be a finite number > 0; got 0"),
    (lambda: M.StepLRScheduler(0.1, 0), ValueError, "timm.StepLRScheduler: decay_t must be a finite number > 0; got 0"),
    (lambda: M.MultiStepLRScheduler(0.1, [3, 1]), ValueError, "timm.MultiStepLRScheduler: decay_t must not decrease"),
    (lambda: M.WSDLRScheduler(0.1, 9, 10), ValueError, "timm.WSDLRScheduler: decay_t must be an integer from 1 to 9; got 10"),
    (lambda: M.WSDLRScheduler(0.1, 9, 3, stable_fn="rsqrt"), ValueError, "stable_timescale must be a finite number > 0; got 0"),
    (
        lambda: M.WSDLRScheduler(0.1, 9, 3, decay_fn="log"),
        ValueError,
        "decay_fn must be 'linear', '1-sqrt', 'cosine', 'power' or 'exp'",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

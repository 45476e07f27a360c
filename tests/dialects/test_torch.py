"""dialects.torch against the formulas of torch's documentation, and against the lists of torch's own tests."""

import math
from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, mp, real

import lrkern as lk
from lrkern.dialects import torch as T

CASES = []  # (call, formula): a schedule, and its value at a step from the formula


def case(schedule, formula, steps=range(140), moved=0):
    CASES.append((schedule, formula, list(steps), moved))


def enter():
    third = 1.0 / 3
    b = exact(0.1)
    for step_size, gamma in [(1, 0.5), (7, 0.1), (30, 1.5)]:
        case(T.StepLR(0.1, step_size, gamma), lambda t, n=step_size, g=gamma: b * exact(g) ** (t // n))
    case(T.StepLR(0.1, 4, 0.0), lambda t: b if t < 4 else Fraction(0))
    for ms, gamma in [([30, 80], 0.1), ([9, 3, 9, 3, 3], 0.3), ([], 0.1), ([0], 0.5), ([2], -1.0)]:
        case(T.MultiStepLR(0.1, ms, gamma), lambda t, ms=ms, g=gamma: b * exact(g) ** sum(m <= t for m in ms))
    for f, n in [(third, 5), (0.0, 3), (1.0, 4), (0.7, 0)]:
        case(T.ConstantLR(0.1, f, n), lambda t, f=f, n=n: b * (exact(f) if t < n else 1))
    for a, e, n in [(third, 1.0, 5), (0.0, 1.0, 7), (1.0, 0.1, 130), (0.3, 0.9, 3), (0.5, 0.25, 0)]:
        case(
            T.LinearLR(0.1, a, e, n),
            lambda t, a=a, e=e, n=n: b * (exact(a) + (exact(e) - exact(a)) * (Fraction(min(t, n), n) if n else 1)),
        )
    for g in (0.9, 0.0, 1.0, 1.01):
        case(T.ExponentialLR(0.1, g), lambda t, g=g: b * checks.power(exact(g), t))
    for n, p in [(5, 1.0), (100, 0.5), (77, 2.0), (130, 0.9), (10, 0.0), (0, 1.0)]:
        case(
            T.PolynomialLR(0.1, n, p),
            lambda t, n=n, p=p: real(b) * checks.power(1 - Fraction(min(t, n), n) if n else Fraction(p == 0), p),
        )
    for n, eta in [(50, 0.0), (7, 0.01), (1, 0.2), (2.5, 0.0), (0.75, 0.01)]:
        case(T.CosineAnnealingLR(0.1, n, eta), lambda t, n=n, eta=eta: checks.cosine(0.1, eta, Fraction(t) / exact(n)))
    for n, k, eta in [(10, 1, 0.0), (7, 2, 0.001), (1, 1, 0.0), (10, 3, 0.0)]:
        case(T.CosineAnnealingWarmRestarts(0.1, n, k, eta), lambda t, n=n, k=k, eta=eta: restart(0.1, n, k, eta, t))
    case(T.CosineAnnealingWarmRestarts(0.05, 10, 3), lambda t: restart(0.05, 10, 3, 0.0, t), range(1200, 1220))
    cyclic()
    one_cycle()
    for swa, n, kind in [(0.05, 10, "cos"), (0.2, 7, "linear"), (0.05, 0, "cos")]:
        ramp = checks.cosine if kind == "cos" else checks.linear
        case(
            T.SWALR(0.1, swa, n, kind),
            lambda t, swa=swa, n=n, ramp=ramp: ramp(0.1, swa, Fraction(min(t, n), n) if n else Fraction(1)),
        )
    case(
        T.SequentialLR([T.ConstantLR(0.1, 0.1, 20), T.ExponentialLR(0.1, 0.9)], [20]),
        lambda t: b * exact(0.1) if t < 20 else b * checks.power(exact(0.9), t - 20),
    )
    case(
        T.ChainedScheduler([T.ConstantLR(0.1, 0.5, 4), T.ExponentialLR(0.1, 0.9), T.StepLR(0.1, 3)], 0.1),
        lambda t: b * (exact(0.5) if t < 4 else 1) * checks.power(exact(0.9), t) * exact(0.1) ** (t // 3),
    )
    # lr_lambda is called at integer steps; between two, the value of the first holds
    case(T.LambdaLR(0.1, lambda t: 0.95**t, 200), lambda t: real(0.1 * 0.95 ** math.floor(t)))
    case(T.LambdaLR(0.1, lk.inverse_sqrt(1.0, 10)), lambda t: real(0.1) / mp.sqrt(real(1 + Fraction(t, 10))))


def restart(base, length, growth, eta, t):
    while t >= length:
        t, length = t - length, length * growth
    return checks.cosine(base, eta, Fraction(t, length))


def cyclic():
    def formula(t, low, high, up, down, scale, lowering=False):
        total = exact(up) + exact(down)
        cycle = math.floor(1 + t / total)
        x = 1 + t / total - cycle
        ratio = exact(up) / total
        height = x / ratio if x <= ratio else (x - 1) / (ratio - 1)
        change = real((exact(high) - exact(low)) * height) * real(scale(cycle, t))
        return real(exact(high)) - change if lowering else real(exact(low)) + change

    kinds = [
        ({}, lambda cycle, t: Fraction(1)),
        ({"mode": "triangular2"}, lambda cycle, t: Fraction(1, 2 ** (cycle - 1))),
        ({"mode": "exp_range", "gamma": 0.97}, lambda cycle, t: checks.power(exact(0.97), t)),
        ({"scale_fn": lambda c: 1 / c, "steps": 140}, lambda cycle, t: exact(1 / cycle)),
        # a function of integer steps is called at those; between two, the value of the first holds
        (
            {"scale_fn": lambda t: 0.5**t, "scale_mode": "iterations", "steps": 140},
            lambda cycle, t: exact(0.5) ** math.floor(t),
        ),
    ]
    for up, down in [(20, 20), (3, 11), (2.5, 4.75), (10, 1)]:
        for options, scale in kinds:
            case(
                T.CyclicLR(0.01, 0.1, up, down, **options),
                lambda t, up=up, down=down, scale=scale: formula(t, 0.01, 0.1, up, down, scale),
            )
            case(
                T.CyclicMomentum(0.01, 0.1, up, down, base_momentum=0.8, max_momentum=0.95, **options),
                lambda t, up=up, down=down, scale=scale: formula(t, 0.8, 0.95, up, down, scale, lowering=True),
            )


def one_cycle():
    def formula(t, levels, pct, steps, ramp):
        ends = [exact(pct * steps - 1.0), Fraction(steps - 1)]
        if len(levels) == 4:
            ends.insert(1, exact(2 * pct * steps - 2.0))
        t, begin = min(t, steps - 1), Fraction(0)  # torch has no rate after the last step: it is held
        for i, end in enumerate(ends):
            if (t <= end and end != begin) or i == len(ends) - 1:
                return ramp(levels[i], levels[i + 1], (t - begin) / (end - begin) if end != begin else Fraction(1))
            begin = end
        raise AssertionError

    top = exact(0.1)
    for steps in (100, 37, 10, 3):
        for pct in (0.3, 0.25, 0.1, 0.5, 0.05, 0.9):
            for kind, ramp in (("cos", checks.cosine), ("linear", checks.linear)):
                low, last = top / exact(7.0), top / exact(7.0) / exact(30.0)
                options = {"total_steps": steps, "pct_start": pct, "anneal_strategy": kind}
                more, less = exact(0.95), exact(0.85)
                for three, levels, momenta in [
                    (False, [low, top, last], [more, less, more]),
                    (True, [low, top, low, last], [more, less, more, more]),
                ]:
                    last_step = steps if three and pct > 0.5 else steps + 5  # there the middle phase never ends
                    case(
                        T.OneCycleLR(0.1, div_factor=7.0, final_div_factor=30.0, three_phase=three, **options),
                        lambda t, a=(levels, pct, steps, ramp): formula(t, *a),
                        range(last_step),
                        Fraction(steps, 2**52),
                    )
                    case(
                        T.OneCycleMomentum(0.1, three_phase=three, **options),
                        lambda t, a=(momenta, pct, steps, ramp): formula(t, *a),
                        range(last_step),
                        Fraction(steps, 2**52),
                    )


enter()


def test_one_cycle_has_its_top_between_steps():
    """pct_start N - 1 = 1.5: the peak is there, and step 1.75 is on the way down."""
    s = T.OneCycleLR(0.1, 10, pct_start=0.25)
    assert s(1.5) == 0.1
    assert s(1.75) == pytest.approx(0.1 * (1e-6 / 0.25 + 1 + (1 - 1e-6 / 0.25) * math.cos(math.pi * 0.25 / 7.5)) / 2)
    assert s(1.75) == pytest.approx(0.099726, abs=5e-7)


@pytest.mark.parametrize(
    ("schedule", "formula", "steps", "moved"), CASES, ids=lambda x: repr(x)[:90] if isinstance(x, lk.Schedule) else ""
)
def test_formula(schedule, formula, steps, moved):
    checks.assert_follows(schedule, formula, steps, moved=moved)
    checks.assert_ordinary(schedule)


def test_one_cycle_whose_middle_phase_never_ends_holds_its_last_value():
    s = T.OneCycleLR(0.1, 100, pct_start=0.9, three_phase=True)
    assert s(99) == s(100) == s(10**9) > 0.05


def test_restart_121():
    """torch takes a logarithm there and gives the bottom of the cosine."""
    assert T.CosineAnnealingWarmRestarts(0.05, 10, 3)(1210) == 0.05


def test_documented_lists():
    """Values that torch's documentation and tests give, for base rate 0.05 or 0.5."""
    assert T.StepLR(0.05, 30)([0, 29, 30, 59, 60, 89]).round(15).tolist() == [0.05, 0.05, 0.005, 0.005, 0.0005, 0.0005]
    assert T.MultiStepLR(0.05, [30, 80])([0, 29, 30, 79, 80]).round(15).tolist() == [0.05, 0.05, 0.005, 0.005, 0.0005]
    assert T.ConstantLR(0.05, 0.5, 4).table(6).tolist() == [0.025] * 4 + [0.05] * 2
    expected = [0.025, 0.03125, 0.0375, 0.04375, 0.05]
    assert T.LinearLR(0.05, 0.5, total_iters=4).table(5).round(15).tolist() == expected
    two = T.SequentialLR([T.ConstantLR(1.0, 0.1, 20), T.ExponentialLR(1.0, 0.9)], [20])
    assert two([0, 19, 20, 21]).round(15).tolist() == [0.1, 0.1, 1.0, 0.9]
    cyclic = T.CyclicLR(1.0, 5.0, 4).table(13)
    assert cyclic.tolist() == [1, 2, 3, 4, 5, 4, 3, 2, 1, 2, 3, 4, 5]
    triangular2 = T.CyclicLR(1.0, 5.0, 4, mode="triangular2").table(25)
    assert triangular2.tolist() == [
        1, 2, 3, 4, 5, 4, 3, 2, 1, 1.5, 2.0, 2.5, 3.0, 2.5, 2.0, 1.5, 1, 1.25, 1.5, 1.75, 2.0, 1.75, 1.5, 1.25, 1,
    ]  # fmt: skip
    linear = T.OneCycleLR(25.0, 10, anneal_strategy="linear", final_div_factor=2.0, pct_start=0.4)
    assert linear.table(10).round(13).tolist() == [
        1,
        9,
        17,
        25,
        20.9166666666667,
        16.8333333333333,
        12.75,
        8.6666666666667,
        4.5833333333333,
        0.5,
    ]
    momentum = T.OneCycleMomentum(25.0, 10, anneal_strategy="linear", base_momentum=1, max_momentum=22, pct_start=0.4)
    assert momentum.table(10).round(12).tolist() == [22, 15, 8, 1, 4.5, 8, 11.5, 15, 18.5, 22]
    three = T.OneCycleLR(
        25.0, 10, div_factor=25, anneal_strategy="linear", final_div_factor=4.0, pct_start=0.4, three_phase=True
    )
    assert three.table(10).tolist() == [1, 9, 17, 25, 17, 9, 1, 0.75, 0.5, 0.25]


BAD = [
    (lambda: T.StepLR("0.1", 3), TypeError, "torch.StepLR: base_lr must be a finite number; got '0.1'"),
    (lambda: T.StepLR(0.1, 0), ValueError, "torch.StepLR: step_size must be an integer >= 1; got 0"),
    (lambda: T.StepLR(0.1, 3, -1.0), ValueError, "torch.StepLR: gamma must be a finite number >= 0; got -1.0"),
    (lambda: T.MultiStepLR(0.1, 3), TypeError, "torch.MultiStepLR: milestones must be a sequence of integers; got 3"),
    (lambda: T.MultiStepLR(0.1, [1.5]), TypeError, "torch.MultiStepLR: milestones[0] must be an integer >= 0; got 1.5"),
    (lambda: T.ConstantLR(0.1, 1.5), ValueError, "torch.ConstantLR: factor must be a finite number >= 0 and <= 1; got 1.5"),
    (lambda: T.LinearLR(0.1, end_factor=2), ValueError, "torch.LinearLR: end_factor must be a finite number >= 0 and <= 1"),
    (lambda: T.PolynomialLR(0.1, power=-1), ValueError, "torch.PolynomialLR: power must be a finite number >= 0; got -1"),
    (lambda: T.CosineAnnealingLR(0.1, 0), ValueError, "torch.CosineAnnealingLR: T_max must be a finite number > 0; got 0"),
    (lambda: T.CyclicLR(0.0, 1.0, mode="sine"), ValueError, "torch.CyclicLR: mode must be 'triangular', 'triangular2' or 'exp"),
    (lambda: T.CyclicLR(0.0, 1.0, scale_fn=abs), TypeError, "CyclicLR: steps, the number of calls, must be given with"),
    (lambda: T.CyclicLR(0.0, 1.0, scale_fn=3, steps=5), TypeError, "torch.CyclicLR: scale_fn must be callable; got 3"),
    (lambda: T.CyclicMomentum(0.0, 1.0, cycle_momentum=False), ValueError, "torch.CyclicMomentum: cycle_momentum must be True"),
    (
        lambda: T.OneCycleLR(0.1),
        ValueError,
        "torch.OneCycleLR: total_steps must be given, or epochs and steps_per_epoch; got None",
    ),
    # all arguments that torch refuses with a ValueError are refused with a ValueError here
    (lambda: T.OneCycleLR(0.1, 2.5), ValueError, "torch.OneCycleLR: total_steps must be an integer >= 1; got 2.5"),
    (lambda: T.OneCycleLR(0.1, None, 1.5, 2), ValueError, "torch.OneCycleLR: epochs must be an integer >= 1; got 1.5"),
    (
        lambda: T.OneCycleLR(0.1, 9, pct_start="a"),
        ValueError,
        "torch.OneCycleLR: pct_start must be a finite number >= 0 and <= 1",
    ),
    (lambda: T.OneCycleMomentum(0.1, 9, anneal_strategy=1), ValueError, "anneal_strategy must be 'cos' or 'linear'; got 1"),
    (
        lambda: T.CosineAnnealingWarmRestarts(0.1, 2.5),
        ValueError,
        "CosineAnnealingWarmRestarts: T_0 must be an integer >= 1; got",
    ),
    (lambda: T.CosineAnnealingWarmRestarts(0.1, 2, 1.5), ValueError, "T_mult must be an integer >= 1; got 1.5"),
    (lambda: T.CosineAnnealingWarmRestarts(0.1, 2, 1, "0"), ValueError, "eta_min must be a finite number; got '0'"),
    (lambda: T.SWALR(0.1, 0.2, 1.5), ValueError, "torch.SWALR: anneal_epochs must be an integer >= 0; got 1.5"),
    (
        lambda: T.SWALR(0.1, 0.2, anneal_strategy=None),
        ValueError,
        "torch.SWALR: anneal_strategy must be 'cos' or 'linear'; got None",
    ),
    (lambda: T.CyclicLR(0.1, 0.2, mode=None), ValueError, "torch.CyclicLR: mode must be 'triangular', "),
    (
        lambda: T.OneCycleLR(0.1, 100, 10, 20),
        ValueError,
        "torch.OneCycleLR: total_steps must be epochs times steps_per_epoch, 200; got 100",
    ),
    (
        lambda: T.OneCycleLR(0.1, 10, pct_start=1.5),
        ValueError,
        "torch.OneCycleLR: pct_start must be a finite number >= 0 and <= 1",
    ),
    (lambda: T.OneCycleLR(0.1, 10, anneal_strategy="cosine"), ValueError, "anneal_strategy must be 'cos' or 'linear'"),
    (lambda: T.LambdaLR(0.1, lambda t: 1.0), TypeError, "LambdaLR: steps, the number of calls, must be given with"),
    (lambda: T.LambdaLR(0.1, lambda t: "a", 3), TypeError, "torch.LambdaLR: lr_lambda(0) must be a finite number; got 'a'"),
    (lambda: T.MultiplicativeLR(0.1, 0.5, 3), TypeError, "torch.MultiplicativeLR: lr_lambda must be callable; got 0.5"),
    (lambda: T.SequentialLR([], []), ValueError, "torch.SequentialLR: schedulers must not be empty"),
    (lambda: T.SequentialLR([T.StepLR(1, 1)], [3]), ValueError, "milestones must be one less than the 1 schedulers; got 1"),
    (lambda: T.ChainedScheduler(T.StepLR(1, 1), 1.0), TypeError, "schedulers must be a sequence of Schedules"),
    (lambda: T.ChainedScheduler([T.StepLR(1, 1)], 0.0), ValueError, "base_lr must not be 0"),
    (
        lambda: T.SWALR(0.1, 0.05, anneal_strategy="cosine"),
        ValueError,
        "torch.SWALR: anneal_strategy must be 'cos' or 'linear'",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

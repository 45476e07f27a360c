"""dialects.deepspeed against its formulas."""

import math
from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, mp, real

import lrkern as lk
from lrkern.dialects import deepspeed as D

CASES = []  # (schedule, formula, largest error in ULP)


def gain(s, steps, kind):
    # DeepSpeed counts whole steps: its logarithm is at 1 in the last of them. Between that one and the end of the warm-up,
    # where the formula alone would go above 1, it stays there.
    return min(mp.log(real(s + 1)) / mp.log(steps), mp.mpf(1)) if kind == "log" else Fraction(s, steps)


def warmup(t, low, high, steps, kind, after):
    s, steps = max(t - 1, 0), max(2, steps)
    weight = real(gain(s, steps, kind)) if s < steps else real(after(s, steps))
    return real(exact(low)) + real(exact(high) - exact(low)) * weight, real(exact(high))


def cosine_ratio(s, low, steps, last, kind, total):
    if s < 0:
        return real(0)
    steps = max(2, steps)
    if s < steps:
        return real(exact(low)) + real(1 - exact(low)) * real(gain(s, steps, kind))
    p = min(Fraction(1), Fraction(s - steps + 1, max(1, total - steps)))
    return checks.cosine(1, exact(last), p)


def height(t, up, down, stairs):
    """The height in the triangle, 0 to 1 to 0; its last step is the first of the next one."""
    if t == up + down:
        return Fraction(0)
    if t <= up:
        x = Fraction(t, up)
        return Fraction(math.floor(x * stairs[0]), stairs[0]) if stairs[0] else x
    x = Fraction(up + down - t, down)
    return Fraction(math.floor(x * stairs[1]), stairs[1]) if stairs[1] else x


def enter():
    for steps in (1, 2, 10, 40):
        for kind in ("log", "linear"):
            a = (0.001, 0.1, steps, kind)
            CASES.append((D.WarmupLR(0.1, 0.001, None, steps, kind), lambda t, a=a: warmup(t, *a, lambda s, w: 1), 0.6))
            CASES.append((D.WarmupLR(7.0, 0.001, 0.1, steps, kind), lambda t, a=a: warmup(t, *a, lambda s, w: 1), 0.6))
            for total in (0, 20, 100):
                after = lambda s, w, n=total: max(Fraction(0), Fraction(n - s, max(1, n - w)))  # noqa: E731
                CASES.append((D.WarmupDecayLR(total, *a), lambda t, a=a, after=after: warmup(t, *a, after), 0.6))
                b = (0.2, steps, 0.01, kind, total)
                # a table of ratios is rounded, and then the product with the base rate
                CASES.append(
                    (
                        D.WarmupCosineLR(0.1, total, *b[:4]),
                        lambda t, b=b: real(exact(0.1)) * cosine_ratio(t - 1, *b),
                        1.6 if kind == "log" else 0.6,
                    )
                )
    for up, down in [(20, None), (7, 31), (30, 0)]:
        for stairs in [(0, None), (3, None), (5, 0), (4, 9)]:
            for rate, every in [(0.0, 0), (0.5, 10)]:
                a = (up, up if down is None else down, (stairs[0], stairs[0] if stairs[1] is None else stairs[1]))
                common = {
                    "cycle_first_step_size": up, "cycle_second_step_size": down, "cycle_first_stair_count": stairs[0],
                    "cycle_second_stair_count": stairs[1], "decay_step_size": every,
                }  # fmt: skip

                def rates(t, a=a, rate=rate, every=every):
                    total = a[0] + a[1]
                    if t <= total:
                        return exact(0.01) + (exact(0.1) - exact(0.01)) * height(t, *a)
                    return exact(0.01) / (1 + exact(rate) * Fraction(t - total, every)) if rate else exact(0.01)

                def momenta(t, a=a, rate=rate, every=every):
                    total = a[0] + a[1]
                    if t <= total:
                        return exact(0.95) - (exact(0.95) - exact(0.8)) * height(t, *a)
                    return exact(0.95) * (1 + exact(rate) * Fraction(t - total, every)) if rate else exact(0.95)

                CASES.append((D.OneCycle(0.01, 0.1, rate, **common), rates, 0.6))
                s = D.OneCycleMomentum(0.01, 0.1, decay_mom_rate=rate, cycle_min_mom=0.8, cycle_max_mom=0.95, **common)
                CASES.append((s, momenta, 0.6))
    for stairs in (False, True):
        place = lambda t, stairs=stairs: Fraction(t // 7) if stairs else Fraction(t, 7)  # noqa: E731
        CASES.append((D.LRRangeTest(0.1, 7, 0.3, stairs), lambda t, place=place: exact(0.1) * (1 + exact(0.3) * place(t)), 0.6))


enter()


@pytest.mark.parametrize(
    ("schedule", "formula", "max_ulp"), CASES, ids=lambda x: repr(x)[:90] if isinstance(x, lk.Schedule) else ""
)
def test_formula(schedule, formula, max_ulp):
    checks.assert_follows(schedule, formula, range(110), max_ulp)
    checks.assert_ordinary(schedule)


def test_first_rate_twice():
    assert D.WarmupLR(1.0, 0.1, warmup_num_steps=10, warmup_type="linear").table(2).tolist() == [0.1, 0.1]


BAD = [
    (  # a ValueError, as there
        lambda: D.WarmupLR(0.1, warmup_num_steps=1.5),
        ValueError,
        "deepspeed.WarmupLR: warmup_num_steps must be an integer >= 1; got 1.5 (float)",
    ),
    (
        lambda: D.LRRangeTest(lr_range_test_step_size=None),
        ValueError,
        "deepspeed.LRRangeTest: lr_range_test_step_size must be an integer >= 1; got None",
    ),
    (
        lambda: D.WarmupLR(0.1, warmup_num_steps=0),
        ValueError,
        "deepspeed.WarmupLR: warmup_num_steps must be an integer >= 1; got 0",
    ),
    (
        lambda: D.WarmupLR(0.1, warmup_type="exp"),
        ValueError,
        "deepspeed.WarmupLR: warmup_type must be 'log' or 'linear'; got 'exp'",
    ),
    (lambda: D.WarmupDecayLR(1.5), TypeError, "deepspeed.WarmupDecayLR: total_num_steps must be an integer >= 0; got 1.5"),
    (lambda: D.WarmupCosineLR(0.1, 9, -1), ValueError, "warmup_min_ratio must be a finite number >= 0; got -1"),
    (lambda: D.OneCycle(0.0, 0.1, cycle_first_step_size=0), ValueError, "cycle_first_step_size must be an integer >= 1; got 0"),
    (
        lambda: D.OneCycleMomentum(0.0, 0.1, cycle_momentum=False),
        ValueError,
        "cycle_momentum must be True, or momentum does not",
    ),
    (lambda: D.LRRangeTest(0.1, 0), ValueError, "lr_range_test_step_size must be an integer >= 1; got 0"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

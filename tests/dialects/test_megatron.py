"""dialects.megatron against its formulas."""

from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, mp, real

import lrkern as lk
from lrkern.dialects import megatron as G

CASES = []
TAILS = {
    "linear": lambda r: 1 - r,
    "cosine": lambda r: checks.cosine(1, 0, r),
    "exponential": lambda r: 2 * checks.power(Fraction(1, 2), real(r)) - 1,
    "minus_sqrt": lambda r: 1 - mp.sqrt(real(r)),
}


def rate(t, init, top, low, warmup, steps, style, decay=None, tail=None):
    init, top, low = exact(init), exact(top), exact(low)
    if warmup and t <= warmup:
        return init + (top - init) * Fraction(t, warmup)
    if style == "constant":
        return top
    if t > steps:
        return low
    if style == "inverse-square-root":
        return max(real(low), real(top) * mp.sqrt(real(max(warmup, 1))) / mp.sqrt(real(max(t, 1))))
    if style == "WSD":
        r = Fraction(t - (steps - decay), decay)
        weight = real(1) if r <= 0 else real(TAILS[tail](r))
    else:
        weight = real(TAILS[style](Fraction(t - warmup, steps - warmup)))
    return real(low) + weight * real(top - low), real(top)


def enter():
    for a in [(0.0, 0.1, 0.01, 10, 100), (0.001, 0.1, 0.0, 0, 70), (0.02, 0.02, 0.01, 99, 100)]:
        for style in ("constant", "linear", "cosine", "inverse-square-root"):
            CASES.append((G.OptimizerParamScheduler(*a, style), lambda t, a=(*a, style): rate(t, *a)))
        for tail in TAILS:
            for decay in (1, 30, 95):
                s = G.OptimizerParamScheduler(*a, "WSD", wsd_decay_steps=decay, lr_wsd_decay_style=tail)
                CASES.append((s, lambda t, a=(*a, "WSD", decay, tail): rate(t, *a)))
    w = G.OptimizerParamSchedulerWeightDecay
    CASES.append(
        (w(0.01, 0.1, 50, "linear"), lambda t: checks.linear(exact(0.01), exact(0.1), min(Fraction(t, 50), Fraction(1))))
    )
    CASES.append((w(0.01, 0.1, 50, "cosine"), lambda t: checks.cosine(0.01, 0.1, min(Fraction(t, 50), Fraction(1)))))
    CASES.append((w(0.1, 0.1, 50, "constant", 0.5), lambda t: exact(0.1) / 2))


enter()


@pytest.mark.parametrize(("schedule", "formula"), CASES, ids=lambda x: repr(x)[:90] if isinstance(x, lk.Schedule) else "")
def test_formula(schedule, formula):
    checks.assert_follows(schedule, formula, range(130))
    checks.assert_ordinary(schedule)


def test_samples():
    """Steps are samples: billions of them, in batches."""
    s = G.OptimizerParamScheduler(0.0, 3e-4, 3e-5, 2_000_000, 10**9, "cosine")
    assert s([0, 1_000_000, 2_000_000, 10**9, 10**12]).tolist() == [0.0, 1.5e-4, 3e-4, 3e-5, 3e-5]


BAD = [
    (
        lambda: G.OptimizerParamScheduler(0.1, 0.2, 0.0, 1, 9, "linear", override_opt_param_scheduler=True),
        ValueError,
        "megatron.OptimizerParamScheduler: use_checkpoint and override_opt_param_scheduler must not both be True",
    ),
    (
        lambda: G.OptimizerParamScheduler(0.2, 0.1, 0.0, 1, 9, "linear"),
        ValueError,
        "init_lr must be a finite number <= 0.1; got 0.2",
    ),
    (
        lambda: G.OptimizerParamScheduler(0.0, 0.1, 0.2, 1, 9, "linear"),
        ValueError,
        "min_lr must be a finite number >= 0 and <= 0.1; got 0.2",
    ),
    (
        lambda: G.OptimizerParamScheduler(0.0, 0.1, 0.0, 9, 9, "linear"),
        ValueError,
        "lr_decay_steps must be an integer >= 10; got 9",
    ),
    (lambda: G.OptimizerParamScheduler(0.0, 0.1, 0.0, 1, 9, "sine"), ValueError, "lr_decay_style must be 'constant', 'linear'"),
    (
        lambda: G.OptimizerParamScheduler(0.0, 0.1, 0.0, 1, 9, "WSD"),
        TypeError,
        "wsd_decay_steps must be given for 'WSD'; got None",
    ),
    (
        lambda: G.OptimizerParamSchedulerWeightDecay(0.1, 0.2, 9, "constant"),
        ValueError,
        "end_wd must be start_wd for 'constant'; got 0.2",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

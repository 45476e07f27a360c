"""Random expressions at random steps against the oracle, within the promised accuracy: a small `survey.py`.

A few hundred expressions, the same on every run; with LRKERN_EXAMPLES=1000 that many, others every time (`make fuzz`). Failures
are shrunk.
"""

from __future__ import annotations

import contextlib
import os
import random

import case_steps
import cases
import expressions
import numpy as np
import oracle
import promise
import pytest
import shrinking
import survey

import lrkern as lk

EXAMPLES = os.environ.get("LRKERN_EXAMPLES")
PARTS = 8


@pytest.mark.parametrize("part", range(PARTS))
def test_the_promise_is_kept(part, capsys):
    seed = random.SystemRandom().randrange(10**9) if EXAMPLES else part
    with capsys.disabled() if EXAMPLES else contextlib.nullcontext():
        faults = survey.survey(seed, examples=-(-int(EXAMPLES or 160) // PARTS))
    if faults:
        pytest.fail(f"seed {seed}:\n" + "\n".join(map(str, faults)), pytrace=False)


def test_every_curve_and_method_is_drawn():
    """Also: most texts are accepted, depths and magnitudes are what they should be."""
    rng = random.Random(5)
    texts = [expressions.any_expression(rng) for _ in range(2000)]
    used = set().union(*map(case_steps.names_used, texts))
    assert cases.public_curves(lk) | cases.public_methods(lk) <= used
    refused = 0
    for text in texts:
        try:
            expressions.build(text)
        except (ValueError, OverflowError, ZeroDivisionError):
            refused += 1
    assert refused < len(texts) / 5  # `then` and `extend` of what never ends are refused
    whole = " ".join(texts)
    for sign in (" + ", " - ", " * ", " / ", "5e-324", "9007199254740992", "e-30", "e+29", "1.7976931348623157e+308"):
        assert sign in whole


# What random expressions have found, made small, and where.
FOUND = [
    ("cosine(2.0, -3e+55, 2**53)", 1),
    ("cosine(1.0, -3e+55, 3124970)", 53),
    ("polynomial(5e-155, -1.0, 10, 1.0, 50.0)", 1),
    ("linear(-2.0, 1.79769e+308, 4574).stretch(262142)", 7),
    ("warm_restarts(-1.0, 9e-259, 8, 2.0)", 32759),
    ("warm_restarts(-0.7, 8.92e-259, 1465, 1.5)", 250507),
    ("inverse_power(1.0, 5e-324, 1.0)", 0),
    ("inverse_time(1.0, 1.79769e+308)", 0),
    ("inverse_time(-2.8e-80, 1.7976931348623157e+308, 1).repeat(5, 49)", 0),
    ("line(1.0, 1.0, 2e-322)", 0),
    ("linear(1.0, 0.0, 1).restarts(2.0, 5e-324)", 2),
    ("linear(1.42e+155, -1.09e-236, 60).restarts(1.5, 5e-324)", 61),
    ("linear(1.42e+155, -1.09e-236, 60).restarts(1.5, 5e-324)", 150),
    ("linear(1.42e+155, -1.09e-236, 60).restarts(1.5, 5e-324)", 151),
    ("linear(1.42e+155, -1.09e-236, 60).restarts(1.5, 5e-324)", 1000),
    ("line(2.0, 1e-15, 8)", 5339296582431933),
    ("line(3.0, 1.48e-15, 17)", 5339296582431933),
    ("tanh(0.0, -5e-324, 1).restarts(0.999) * line(0.0, 1.0)", 2**53),
    ("line(0.0, 1.0, 7.6).clip(None, 1.0)", 0),
    ("(6e+77 * polynomial(0.0, 1.0, 63)).clip(None, 1.0)", 0),
    ("(interpolate([0.0, 0.0, 0.0, 1.0], [0, 0, 0, 49]) / -1e-252).clip(-1.0)", 0),
    ("line(1.0, -1.0, 2e-58).clip(0.0)", 0),
    ("line(8e-321, 1.0)", 0),
    ("line(2e-172, 1.0, 2e-308)", 0),
    ("line(-0.1, 6e+306)", 0),
    ("line(1.0, 1.79769e+308)", 0),
    ("line(-3e-322, 1.0)", 0),
    ("line(5e-324, 1.0)", 0),
    ("line(0.0, 1.0, 1e-311) + constant(1.0)", 0),
    ("line(3692656048221.5093, 0.001, 4)", 3993862461219407),
    ("cosine(1.0, -1e-73, 49998)", 49997),
    ("polynomial(2e+27, -1.0, 2, 1000.0)", 1),
    ("polynomial(1e+20, -1.0, 1, 2.0).restarts(3.0)", 265719),
    ("rex(-3e-48, 1.0, 134217727)", 64),
    ("interpolate([1.0, -6e+46], [0, 34359738365])", 7),
    ("interpolate([0.0, 1.0, -4e+304], [0, 0, 1]).stretch(4e11)", 8148),
    ("noise(7e+165, 'uniform', None, 1).warmup(1073741822, 1.0)", 7),
    ("truncated_cosine(0.0, 1.0, 451603476, 390586680, -6e+183)", 451603475),
    ("truncated_cosine(9e+45, -1.0, 999999989, 747554141)", 999999988),
    ("exponential(1.0, 2.0, 5e-324)", 0),
    ("exponential(1.0, 2e-322)", 1),
    ("inverse_sqrt(1.0, 3e-322).cooldown(0, 6)", 2),
    ("inverse_sqrt(-1e-25, 9e-323)", 0),
    ("cyclic(0.5, 0.5, 0, 1, 'exp_range', 2.0)", 9924),
    ("cyclic(10.0, 10.0, 0, 1, 'exp_range', 2.0)", 524288),
    ("half_cosine(-1.0, 1.0, 1).repeat(49, None, 2.0)", 49000000000),
    ("linear(1.0, 0.0, 1).restarts().stretch(5e-12)", 2248392644310397),
    ("constant(1.0).warmup(76).clip(0.0, 8e-62)", 0),
    ("half_cosine(1.0, -1.0, 4194231)", 0),
    ("tanh(-3e+35, 1.0, 1, 50.0, 60.0)", 0),
    ("tanh(-1e-114, 0.3, 1, -9.0, 1.0).restarts(1.5)", 4464),
    ("cosine(-4e+307, 1.0, 2, 1000.0)", 1),
    ("cosine(1.0, -3e+243, 32768) - linear(0, 1.0, 1)", 1),
    ("cyclic(-1.0, 3e+56, 0, 32766).stretch(510)", 16710659),
    ("geometric(5e+16, 1.0, 1).warmup(131072, -1.0, 'cosine')", 11),
    ("cosine(1.0, 1.0, 1, 1000.0).restarts(1.001, 2.0)", 1073741824),
    ("polynomial(0.0, 0.0, 480).then(line(1.0, 1.0).clip(None, 2.0))", 480),
    ("polynomial(-0.0001, 100000.0, 2147483632)", 7),
    ("polynomial(-200000.0, 1e-05, 16384, 2.0)", 16383),
    ("tanh(1.0, -1.0, 1, -10.0).restarts(2.0, 0.5)", 1134626724066280),
    ("cosine(1.0, -1.0, 1).restarts(2.0, 2.0).warmup(1)", 2**53 - 1),
    ("wsd_s(1.6, 0.0, 0, [0, 29], [0, 26], 'one_minus_sqrt') + tanh(100000.0, 0.0, 1).restarts(0.5)", 27),
    ("tanh(1.0, 0.0, 2).restarts(1.5).stretch(1, 16777200)", 8814208905785995),
    ("line(0.0, 5e-05, 100.0).clip(0.0, 5.58e-05)", 0),
    ("line(0.0, 5e-05, 100.0).clip(0.0, 5.58e-05)", 100),
    ("line(0.0, 5e-05, 100.0).clip(0.0, 5.58e-05)", 200),
    ("line(1.0, 1.0, 2.0**61)", 9007199254740990),
    ("cosine(-1e-20, 1.0, 10**12)", 1),
    ("line(1.2e-210, 3.4e221)", 0),
    ("exponential(1.0, 1e-310)", 1),
    ("exponential(1.0, 0.5, 1e-310)", 0),
    ("inverse_time(1, 1, 1e-308)", 0),
    ("cosine(1.0, 0.1, 50, 1000.0).restarts(1.1, 1e3)", 1000000000000),
    ("linear(7.4e-11, 10025.2, 1).restarts(0.9, 0.5)", 10),
    ("line(2e-308, 1.0, 1e-317)", 0),
    ("line(-6e-257, 5e+219)", 0),
    ("cyclic(0.0, 1.0, 0, 1, 'exp_range', 1.79769e+308)", 1),
    ("constant(1.0) - inverse_sqrt(1.0, 5e-324)", 0),
    ("inverse_sqrt(0.0, 5e-324) - geometric(1.0, 1.0, 1)", 0),
    ("exponential_ramp(9e+306, 0.0, 1, 2.0).restarts(5e-324, 3e+206)", 1),
    ("noise(1.0).stretch(1, 987)", 8814208905785995),
    ("half_cosine(2e+78, -2e+78, 1) - constant(1.0)", 1),
    ("inverse_sqrt(1.0, 5e-324) / 1.0", 0),
    ("inverse_time(1.0, 1.79769e+308) / 1.0", 0),
    ("inverse_power(1e+300, 5e-324, 1.0) / -2e-126", 0),
    ("tanh(1.0, 1.0, 1, 0.0, 1000000.0).restarts(1.001, 2.0)", 9924),
    ("exponential_ramp(1.0, 0.0, 2, 2.0).restarts(1.0, 1.79769e+308)", 2.8424602231401823),
    ("cyclic(0.8, 0.8, 1, 0, 'exp_range', 2.0)", 297.5),
]


@pytest.mark.parametrize(("text", "step"), FOUND)
def test_found(text, step):
    exact = oracle.evaluate(text)
    near = range(max(int(step) - 2, 0), min(int(step) + 2, cases.LAST_STEP) + 1)
    steps = sorted({0, 1, exact.steps or 0, step, *near})
    faults, _ = promise.judge(text, expressions.build(text), exact, steps)
    if faults:
        pytest.fail("\n".join(map(str, faults)), pytrace=False)


# ------------------------------------------------------------------------------------------- the judge and the shrinker


class Wrong:
    """A schedule with values altered by `change`."""

    def __init__(self, text, change):
        self.schedule, self.change, self.steps = expressions.build(text), change, expressions.build(text).steps

    def __call__(self, step):
        if np.ndim(step):
            return np.array([self(int(t)) for t in step])
        return self.change(step, self.schedule(step) if step != 10 else self.overflowing(step))

    def overflowing(self, step):
        try:
            return self.schedule(step)
        except OverflowError:
            return 1e308


def overflow(t, value):
    if t == 10:
        raise OverflowError
    return value


JUDGED = [
    ("cosine(1.0, 0.1, 100)", lambda t, v: np.nextafter(v, 2.0) if t == 10 else v, {"accuracy"}),
    ("cosine(1.0, 0.1, 100)", lambda t, v: float("nan") if t == 10 else v, {"accuracy"}),
    ("cosine(1.0, 0.1, 100)", lambda t, v: np.nextafter(v, 0.0) if t == 0 else v, {"exact"}),  # half an ULP, but not 1.0
    ("cosine(1.0, 0.1, 100)", overflow, {"overflow"}),
    ("exponential(1.0, 1e200)", lambda t, v: v, {"no overflow"}),
    ("linear(0.0, 1.0, 100).clip(0.7)", lambda t, v: np.nextafter(0.7, 0.0) if t == 10 else v, {"accuracy", "bounds"}),
]


@pytest.mark.parametrize(("text", "change", "kinds"), JUDGED)
def test_faults_are_seen(text, change, kinds):
    exact = oracle.evaluate(text)
    steps = [0, 1, 2, 9, 10, 11]
    if "no overflow" in kinds:
        steps = [0, 1, 10]
    faults, errors = promise.judge(text, Wrong(text, change), exact, steps)
    assert {fault.kind for fault in faults} == kinds
    assert all(fault.kind in str(fault) for fault in faults)
    assert len(errors) >= len(steps) - 1
    right = Wrong(text, lambda t, v: v)
    assert "no overflow" in kinds or promise.judge(text, right, exact, steps)[0] == []


def test_a_failing_expression_is_made_small():
    text = "join([linear(0.3, 0.1, 77).warmup(5) * 0.5, (cosine(0.25, -0.1, 1234) + 0.7).clip(0.1, 0.9)], [40]).shift(-3)"

    def fails(text):
        return "clip" in text and expressions.build(text).steps > 1000

    small = shrinking.shrink(text, fails)
    assert fails(small)
    assert len(small) <= len("cosine(0.0, 0.0, 1234).clip()")

"""Random expressions at random steps against the oracle, judged by the promise: `survey.py`, in small.

A few hundred expressions, the same on every run; with LRKERN_EXAMPLES=1000 so many, others every time (`make fuzz`). What fails
comes back as small as it could be made.
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
    """Also: nearly every text is accepted, depths and magnitudes are what they should be."""
    rng = random.Random(5)
    texts = [expressions.any_expression(rng) for _ in range(2000)]
    used = set().union(*map(case_steps.names_used, texts))
    assert cases.public_curves(lk) | cases.public_methods(lk) <= used
    refused = 0
    for text in texts:
        try:
            expressions.build(text)
        except (ValueError, OverflowError):
            refused += 1
    assert refused < len(texts) / 10
    whole = " ".join(texts)
    for sign in (" + ", " - ", " * ", " / ", "5e-324", "9007199254740992", "e-30", "e+29", "1.7976931348623157e+308"):
        assert sign in whole


# ------------------------------------------------------------------------------------------- the judge and the shrinker


class Wrong:
    """A schedule whose values `change` has spoilt."""

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
        try:
            return "clip" in text and expressions.build(text).steps > 1000
        except (TypeError, ValueError, AttributeError):
            return False

    small = shrinking.shrink(text, fails)
    assert fails(small)
    assert len(small) <= len("cosine(0.0, 0.0, 1234).clip()")

"""dialects.torchtitan against its formula."""

from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, mp, real

from lrkern.dialects import torchtitan as T

TAILS = {
    "linear": lambda low, p: (checks.linear(1, low, p), 1),
    "sqrt": lambda low, p: (real(low) + real(1 - low) * (1 - mp.sqrt(real(p))), 1),
    "cosine": lambda low, p: (checks.cosine(1, low, p), 1),
}
CASES = [
    {"training_steps": 60, "warmup_steps": 7},
    {"training_steps": 60, "warmup_steps": 0, "decay_ratio": 0.3},
    {"training_steps": 60, "warmup_steps": 10, "decay_ratio": 0.25, "min_lr_factor": 0.1},
    {"training_steps": 20, "warmup_steps": 10, "total_steps": 50, "decay_ratio": 0.5, "min_lr_factor": 0.01},
    {"training_steps": 20, "warmup_steps": 30},  # more than there are steps
    {"training_steps": 20, "warmup_steps": 15, "decay_ratio": 0.9},  # they overlap
    {"training_steps": 20, "warmup_steps": 5, "decay_ratio": 0.0},
]


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_formula(case, tail):
    steps = case.get("total_steps", case["training_steps"])
    warmup = min(case["warmup_steps"], steps)
    decay = steps - warmup
    if "decay_ratio" in case:
        decay = min(round(steps * case["decay_ratio"]), decay)
    low = exact(case.get("min_lr_factor", 0.0))

    def formula(t):
        if t < warmup:
            return real(exact(0.3)) * real(Fraction(t + 1, warmup))
        if t < steps + 1 - decay or not decay:
            return exact(0.3)
        p = Fraction(t + 1 - (steps + 1 - decay), decay)
        value, scale = TAILS[tail](low, min(p, Fraction(1)))
        return real(exact(0.3)) * value, real(exact(0.3)) * scale

    s = T.LRSchedulersContainer(0.3, decay_type=tail, **case)
    checks.assert_follows(s, formula, range(steps + 10))
    checks.assert_ordinary(s)


NAME = "torchtitan.LRSchedulersContainer"
BAD = [
    (lambda: T.LRSchedulersContainer(0.1, 0), ValueError, f"{NAME}: training_steps must be an integer >= 1; got 0"),
    (lambda: T.LRSchedulersContainer(0.1, 9, total_steps=0), ValueError, f"{NAME}: total_steps must be an integer >= 1; got 0"),
    (lambda: T.LRSchedulersContainer(0.1, 9, 1.5), TypeError, f"{NAME}: warmup_steps must be an integer >= 0; got 1.5"),
    (
        lambda: T.LRSchedulersContainer(0.1, 9, decay_ratio=-0.1),
        ValueError,
        f"{NAME}: decay_ratio must be a finite number >= 0",
    ),
    (
        lambda: T.LRSchedulersContainer(0.1, 9, decay_type="exp"),
        ValueError,
        "decay_type must be 'linear', 'sqrt' or 'cosine'; got",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

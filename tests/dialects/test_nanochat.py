"""dialects.nanochat against its formulas."""

from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, real

from lrkern.dialects import nanochat as N

CASES = [
    {"num_iterations": 1000},
    {"num_iterations": 700, "warmup_steps": 0, "warmdown_ratio": 0.2, "final_lr_frac": 0.0},
    {"num_iterations": 60, "warmup_steps": 40, "warmdown_ratio": 0.8, "weight_decay": 0.1},  # the phases overlap
    {"num_iterations": 90, "warmdown_ratio": 0.0},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_formula(case):
    given = {"warmup_steps": 40, "warmdown_ratio": 0.65, "final_lr_frac": 0.05, "weight_decay": 0.28} | case
    n, warmup = given["num_iterations"], given["warmup_steps"]
    down = round(given["warmdown_ratio"] * n)

    def multiplier(t):
        if t < warmup:
            return Fraction(t + 1, warmup)
        if t <= n - down or not down:
            return Fraction(1)
        return checks.linear(exact(given["final_lr_frac"]), 1, max(Fraction(n - t, down), Fraction(0)))

    def momentum(t):
        if t < 400:
            return checks.linear(exact(0.85), exact(0.97), Fraction(t, 400))
        if t < n - down or not down:
            return exact(0.97)
        return checks.linear(exact(0.97), exact(0.9), min(Fraction(t - (n - down), down), Fraction(1)))

    def decay(t):
        return real(exact(given["weight_decay"])) * checks.cosine(1, 0, min(Fraction(t, n), Fraction(1)))

    recipe = N.base_train(**case)
    for schedule, formula in zip(recipe, (multiplier, momentum, decay), strict=True):
        checks.assert_follows(schedule, formula, range(0, n + 450, 3))
        checks.assert_ordinary(schedule)


NAME = "nanochat.base_train"
BAD = [
    (lambda: N.base_train(0), ValueError, f"{NAME}: num_iterations must be an integer >= 1; got 0"),
    (lambda: N.base_train(9, -1), ValueError, f"{NAME}: warmup_steps must be an integer >= 0; got -1"),
    (
        lambda: N.base_train(9, warmdown_ratio=1.5),
        ValueError,
        f"{NAME}: warmdown_ratio must be a finite number >= 0 and <= 1; got",
    ),
    (lambda: N.base_train(9, weight_decay=None), TypeError, f"{NAME}: weight_decay must be a finite number; got None"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

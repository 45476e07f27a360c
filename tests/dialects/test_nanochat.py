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


SFT = [
    {"num_iterations": 60},
    {"num_iterations": 41, "grad_accum_steps": 4, "warmup_ratio": 0.25, "warmdown_ratio": 0.65, "final_lr_frac": 0.1},
    {"num_iterations": 100, "grad_accum_steps": 3, "warmup_ratio": 0.3, "warmdown_ratio": 0.9},  # the phases overlap
    {"num_iterations": 70, "grad_accum_steps": 7, "warmup_ratio": 0.1, "final_lr_frac": 1.5, "init_lr_frac": 0.3},
    {"num_iterations": 30, "warmup_ratio": 0.01, "warmdown_ratio": 0.0},
    {"num_iterations": 30, "warmup_ratio": 1.0, "warmdown_ratio": 1.0, "final_lr_frac": 0.25},
    {"num_iterations": 10_000_019, "grad_accum_steps": 250_000, "warmup_ratio": 0.4, "warmdown_ratio": 0.35},
    {"num_iterations": 1},
    {"num_iterations": 3, "grad_accum_steps": 8},
]


@pytest.mark.parametrize("case", SFT, ids=str)
def test_formula_of_fine_tuning(case):
    given = {"grad_accum_steps": 1, "init_lr_frac": 0.8, "warmup_ratio": 0.0, "warmdown_ratio": 0.5, "final_lr_frac": 0.0}
    given |= case
    n, each, scale = given["num_iterations"], given["grad_accum_steps"], exact(given["init_lr_frac"])
    up, down, last = (exact(given[name]) for name in ("warmup_ratio", "warmdown_ratio", "final_lr_frac"))

    def multiplier(t):
        progress = (1 + each * (Fraction(t) + 1)) / n
        if progress < up:
            return scale * (progress + exact(1e-8)) / up
        if progress <= 1 - down or not down:
            return scale
        way = min((progress - (1 - down)) / down, Fraction(1))
        return scale * (1 - way + way * last)

    lr, momentum, decay = N.chat_sft(**case)
    checks.assert_follows(lr, multiplier, range(n // each + 20))
    checks.assert_follows(momentum, lambda t: checks.linear(exact(0.85), exact(0.95), min(Fraction(t) / 300, 1)), range(310))
    checks.assert_follows(decay, lambda t: 0, range(3))
    for schedule in (lr, momentum, decay):
        checks.assert_ordinary(schedule)


@pytest.mark.parametrize(
    "case", [{"num_steps": 467}, {"num_steps": 1}, {"num_steps": 7, "init_lr_frac": 1.0, "weight_decay": 0.1}]
)
def test_formula_of_reinforcement_learning(case):
    given = {"init_lr_frac": 0.05, "weight_decay": 0.0} | case
    lr, momentum, decay = N.chat_rl(**case)
    n, first = given["num_steps"], exact(given["init_lr_frac"])
    checks.assert_follows(lr, lambda t: first * max(1 - Fraction(t) / n, 0), range(n + 3))
    checks.assert_follows(momentum, lambda t: exact(0.95), range(3))
    checks.assert_follows(decay, lambda t: exact(given["weight_decay"]), range(3))
    for schedule in (lr, momentum, decay):
        checks.assert_ordinary(schedule)


NAME, SFT_NAME, RL_NAME = "nanochat.base_train", "nanochat.chat_sft", "nanochat.chat_rl"
BAD = [
    (lambda: N.chat_sft(0), ValueError, f"{SFT_NAME}: num_iterations must be an integer >= 1; got 0"),
    (lambda: N.chat_sft(-1), ValueError, f"{SFT_NAME}: num_iterations must be an integer >= 1; got -1"),
    (lambda: N.chat_sft(9, 0), ValueError, f"{SFT_NAME}: grad_accum_steps must be an integer >= 1; got 0"),
    (
        lambda: N.chat_sft(9, warmup_ratio=2),
        ValueError,
        f"{SFT_NAME}: warmup_ratio must be a finite number >= 0 and <= 1; got 2",
    ),
    (lambda: N.chat_sft(9, final_lr_frac="x"), TypeError, f"{SFT_NAME}: final_lr_frac must be a finite number; got 'x'"),
    (lambda: N.chat_rl(0), ValueError, f"{RL_NAME}: num_steps must be an integer >= 1; got 0"),
    (lambda: N.chat_rl(9, weight_decay=None), TypeError, f"{RL_NAME}: weight_decay must be a finite number; got None"),
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

"""dialects.ultralytics against its formulas."""

from fractions import Fraction

import dialect_checks as checks
import pytest
from dialect_checks import exact, real

import lrkern as lk
from lrkern.dialects import ultralytics as U

SETTINGS = [
    {"epochs": 6, "num_batches": 7, "cos_lr": False},
    {"epochs": 6, "num_batches": 7, "cos_lr": True, "lr0": 0.003, "lrf": 0.2},
    {"epochs": 5, "num_batches": 9, "warmup_epochs": 1.5, "warmup_bias_lr": 0.0, "momentum": 0.9},
    {"epochs": 2, "num_batches": 12, "warmup_epochs": 3.0, "warmup_momentum": 0.5},
    {"epochs": 1, "num_batches": 12, "cos_lr": True},
    {"epochs": 40, "num_batches": 1, "warmup_epochs": 0.0},
]


def factor(e, epochs, lrf, cos_lr):
    if cos_lr:
        return checks.cosine(1, exact(lrf), Fraction(e, epochs))
    return checks.linear(1, exact(lrf), min(Fraction(e, epochs), Fraction(1)))


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_by_batch(settings):
    s = {"lr0": 0.01, "lrf": 0.01, "momentum": 0.937, "cos_lr": False} | settings
    s = {"warmup_epochs": 3.0, "warmup_momentum": 0.8, "warmup_bias_lr": 0.1} | s
    n, warmup = s["num_batches"], round(min(s["warmup_epochs"], s["epochs"] - 1) * s["num_batches"])

    def warmed(first, target, t):
        p = min(Fraction(t, warmup), Fraction(1)) if warmup else Fraction(1)
        return real(exact(first)) * real(1 - p) + target * real(p), max(real(exact(first)) * real(1 - p), target)

    def lr(t):
        return real(exact(s["lr0"])) * real(factor(t // n, s["epochs"], s["lrf"], s["cos_lr"]))

    rates = U.BaseTrainer(**settings)
    steps = range(s["epochs"] * n + 5)
    checks.assert_follows(rates.lr, lambda t: warmed(0.0, lr(t), t)[0], steps)
    checks.assert_follows(rates.bias_lr, lambda t: warmed(s["warmup_bias_lr"], lr(t), t), steps)
    checks.assert_follows(rates.momentum, lambda t: warmed(s["warmup_momentum"], real(exact(s["momentum"])), t)[0], steps)
    for one in rates:
        checks.assert_ordinary(one)


@pytest.mark.parametrize("cos_lr", [False, True])
def test_by_epoch(cos_lr):
    s = U.setup_scheduler(0.02, 0.05, 30, cos_lr)
    checks.assert_follows(s, lambda t: real(exact(0.02)) * real(factor(t, 30, 0.05, cos_lr)), range(40))
    assert U.setup_scheduler() == U.setup_scheduler(0.01, 0.01, 100)


def test_one_cycle():
    s = U.one_cycle(0.1, 0.7, 13)
    checks.assert_follows(s, lambda t: checks.cosine(exact(0.1), exact(0.7), Fraction(t, 13)), range(40))
    checks.assert_ordinary(s)


def test_no_warmup_leaves_the_rates_as_they_are():
    rates = U.BaseTrainer(epochs=3, num_batches=2, warmup_epochs=0.0)
    assert rates.lr == rates.bias_lr
    assert rates.lr(0) == 0.01
    assert rates.momentum(0) == 0.937
    assert isinstance(rates.momentum, lk.Schedule)


BAD = [
    (lambda: U.one_cycle(steps=0), ValueError, "ultralytics.one_cycle: steps must be an integer >= 1; got 0"),
    (lambda: U.setup_scheduler(epochs=1.5), TypeError, "ultralytics.setup_scheduler: epochs must be an integer >= 1; got 1.5"),
    (lambda: U.BaseTrainer(3, 0), ValueError, "ultralytics.BaseTrainer: num_batches must be an integer >= 1; got 0"),
    (lambda: U.BaseTrainer(warmup_epochs=-1.0), ValueError, "warmup_epochs must be a finite number >= 0; got -1.0"),
    (lambda: U.BaseTrainer(momentum=1.5), ValueError, "momentum must be a finite number >= 0 and <= 1; got 1.5"),
    (lambda: U.BaseTrainer(cos_lr=1), TypeError, "ultralytics.BaseTrainer: cos_lr must be True or False; got 1"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

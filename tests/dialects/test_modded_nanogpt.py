"""dialects.modded_nanogpt against its formulas."""

from fractions import Fraction
from itertools import accumulate

import dialect_checks as checks
import pytest
from dialect_checks import exact, real

from lrkern.dialects import modded_nanogpt as M

CASES = [
    {},
    {"scheduled_iterations": 100, "extension_iterations": 7, "cooldown_frac": 0.45},
    {"scheduled_iterations": 90, "cooldown_frac": 1.0, "lr_muls": [1.0, 2.0], "durations": [0.25, 0.75]},
    {"scheduled_iterations": 50, "extension_iterations": 0, "lr_muls": [0.7], "durations": [1.0]},
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rate(case):
    given = {"scheduled_iterations": 1270, "extension_iterations": 15, "cooldown_frac": 0.6}
    given |= {"lr_muls": (1.0, 1.52, 1.73), "durations": (1 / 3, 1 / 3, 1 / 3)} | case
    n = given["scheduled_iterations"]
    begin = int(n * (1 - given["cooldown_frac"]))
    ends = [round(share * n) for share in accumulate(given["durations"])]

    def factor(t):
        m = exact(given["lr_muls"][min(sum(end <= t for end in ends), len(ends) - 1)])
        p = min(max(Fraction(t - begin, n - begin), Fraction(0)), Fraction(1))
        return m * (1 - p) + exact(0.15) * p

    steps = range(0, n + 30, 3)
    checks.assert_follows(M.TrainingSchedule(**case), factor, steps)
    recipe = M.train_gpt(0.02, 1.1, **case)
    checks.assert_follows(recipe.lr, lambda t: exact(0.02) * factor(t), steps)
    checks.assert_follows(recipe.weight_decay, lambda t: exact(1.1) * exact(0.02) * factor(t), steps)
    for one in recipe:
        checks.assert_ordinary(one)


@pytest.mark.parametrize(("total", "up", "down"), [(1285, 300, 50), (100, 30, 80), (60, 0, 20), (60, 20, 0)])
def test_momentum(total, up, down):
    def formula(t):
        if t < up:
            return checks.linear(exact(0.8), exact(0.95), Fraction(t, up))
        p = Fraction(min(t, total) - (total - down), down) if down else Fraction(0)
        return checks.linear(exact(0.95), exact(0.8), max(p, Fraction(0)))

    s = M.get_muon_momentum(total, up, down, momentum_min=0.8)
    checks.assert_follows(s, formula, range(total + 30))
    checks.assert_ordinary(s)
    whole = M.train_gpt(
        scheduled_iterations=total - 10,
        extension_iterations=10,
        muon_warmup_steps=up,
        muon_cooldown_steps=down,
        momentum_min=0.8,
    )
    assert whole.momentum == s


def test_defaults_are_the_record():
    assert M.train_gpt().momentum == M.get_muon_momentum()
    assert real(M.TrainingSchedule()(1285)) == real(0.15)


BAD = [
    (
        lambda: M.TrainingSchedule(0),
        ValueError,
        "modded_nanogpt.TrainingSchedule: scheduled_iterations must be an integer >= 1; got 0",
    ),
    (lambda: M.TrainingSchedule(lr_muls=[1]), ValueError, "lr_muls must be as many as the 3 durations; got 1"),
    (
        lambda: M.TrainingSchedule(durations=[0.5, 0.2, 0.2]),
        ValueError,
        "durations must be > 0 and add up to 1; got (0.5, 0.2, 0.2)",
    ),
    (lambda: M.TrainingSchedule(cooldown_frac=0.0), ValueError, "cooldown_frac must be a finite number > 0 and <= 1; got 0.0"),
    (lambda: M.TrainingSchedule(cooldown_frac=1e-17), ValueError, "cooldown_frac must leave a step of 1270 to cool down in"),
    (
        lambda: M.get_muon_momentum(0),
        ValueError,
        "modded_nanogpt.get_muon_momentum: total_steps must be an integer >= 1; got 0",
    ),
    (
        lambda: M.train_gpt(momentum_max=2.0),
        ValueError,
        "modded_nanogpt.train_gpt: momentum_max must be a finite number >= 0 and",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

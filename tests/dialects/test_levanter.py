"""dialects.levanter against its formulas."""

from fractions import Fraction

import dialect_checks as checks
import pytest
import ulp
from dialect_checks import exact, mp, real

from lrkern.dialects import levanter as L

LR, RATIO = 0.3, 0.1
LOW = LR * RATIO


def power(x, exponent):
    return mp.power(real(x), real(exact(exponent)))


def between(w):
    return real(exact(LR)) * (real(exact(RATIO)) + real(1 - exact(RATIO)) * real(w)), LR


# name or dict -> value c steps into a decay of n steps, after a warm-up of w
DECAYS = [
    ("constant", lambda c, n, w: exact(LR)),
    ("linear", lambda c, n, w: between(1 - min(Fraction(c, n), Fraction(1)))),
    ("cosine", lambda c, n, w: between(checks.cosine(1, 0, min(Fraction(c, n), Fraction(1))))),
    (
        {"type": "cosine", "exponent": 1.7},
        lambda c, n, w: between(checks.power(checks.cosine(1, 0, min(Fraction(c, n), Fraction(1))), exact(1.7))),
    ),
    ("polynomial", lambda c, n, w: between((1 - min(Fraction(c, n), Fraction(1))) ** 2)),
    (
        "inv",
        lambda c, n, w: max(
            real(exact(LR)) / (1 + real(exact(LR / LOW - 1.0)) * real(Fraction(max(c, 1), n))), real(exact(LOW))
        ),
    ),
    (
        {"type": "inv_sqrt", "timescale": 12.5},
        lambda c, n, w: max(real(exact(LR)) * min(1, mp.sqrt(real(exact(12.5) / max(c + w, 1)))), real(exact(LOW))),
    ),
    (
        "inv_sqrt_decay",
        lambda c, n, w: max(real(exact(LR)) / mp.sqrt(1 + real(exact(28.6) * Fraction(c, n))), real(exact(LOW))),
    ),
    (
        {"type": "power", "batch_size": 4, "seq_length": 50, "a": 3.0},
        lambda c, n, w: min(real(exact(LR)), 12 * power(200 * c, -0.51)) if c else exact(LR),
    ),
]


@pytest.mark.parametrize("warmup", [0, 9])
@pytest.mark.parametrize(("schedule", "decay"), DECAYS, ids=[str(schedule) for schedule, _ in DECAYS])
def test_one_cycle(schedule, decay, warmup):
    s = L.lr_scheduler(LR, 100, min_lr_ratio=RATIO, warmup=warmup, decay=60, lr_schedule=schedule)

    def formula(t):
        if t < warmup:
            return exact(LR) * Fraction(t, warmup)
        return exact(LR) if t < 40 else decay(t - 40, 60, warmup)

    checks.assert_follows(s, formula, range(140))
    checks.assert_ordinary(s)


@pytest.mark.parametrize(
    "cycles",
    [{"cycles": 3}, {"cycles": [30, 60]}, {"haps": [30, 60, 90]}, {"cycle_length": 30}, {"cycle_length": [30, 30, 30]}],
)
def test_cycles(cycles):
    """Warm-ups from where the decay before them ended, and a cool-down at last."""
    cooldown = 0.1
    options = {"warmup": 0.1, "rewarmup": 0.2, "decay": 0.5, "cooldown": cooldown, "lr_schedule": "inv_sqrt_decay"}
    s = L.lr_scheduler(LR, 100, min_lr_ratio=RATIO, **options, **cycles)
    fall = lambda c: max(real(exact(LR)) / mp.sqrt(1 + real(exact(28.6) * Fraction(c, 15))), real(exact(LOW)))  # noqa: E731
    end = float(fall(15))

    def formula(t):
        if t >= 90:
            return checks.linear(exact(end), exact(LOW), min(Fraction(t - 90, 10), Fraction(1)))
        i, t = divmod(t, 30)
        rise, first = (6, exact(end)) if i else (3, Fraction(0))
        if t < rise:
            return first + (exact(LR) - first) * Fraction(t, rise)
        return exact(LR) if t < 15 else fall(t - 15)

    checks.assert_follows(s, formula, range(120))
    checks.assert_ordinary(s)


@pytest.mark.parametrize("lr", [0.5, 0.9, 5.0, 20.0, 4e3])
def test_power_from_the_first_step_on(lr):
    """batch a (batch seq c)^b: where that falls below the rate before c = 1, also where it does before the first token."""
    options = {"type": "power", "batch_size": 4, "seq_length": 50, "a": 3.0}
    s = L.lr_scheduler(lr, 100, warmup=0, lr_schedule=options)

    def formula(c):
        return min(real(exact(lr)), 12 * power(200 * c, -0.51)) if c else exact(lr)

    checks.assert_follows(s, formula, range(30))
    for c in (2.0**-40, 2.0**-25, 1e-5, 1e-4, 0.0018, 0.002, 0.028, 0.03, 0.5, 0.999):
        ours = s(c)
        assert ulp.ulp_error(ours, formula(Fraction(c))) <= checks.MAX_ULP, (c, ours)


def test_phases_that_do_not_fit():
    """The warm-up takes all there is, the decay what is left, a rest makes the last cycle longer or another one."""
    assert L.lr_scheduler(LR, 9, warmup=20, decay=5)([0, 9, 50]).tolist() == [0.0, LR, LR]
    assert L.lr_scheduler(LR, 9, warmup=3, decay=20) == L.lr_scheduler(LR, 9, warmup=3)
    assert L.lr_scheduler(LR, 10, cycle_length=4) == L.lr_scheduler(LR, 10, cycles=[4])
    assert L.lr_scheduler(LR, 10, cycle_length=[4, 4]) == L.lr_scheduler(LR, 10, cycles=[4, 8])
    assert L.lr_scheduler(LR, 10, cycle_length=0.5) == L.lr_scheduler(LR, 10, cycles=2)


NAME = "levanter.lr_scheduler"
BAD = [
    (lambda: L.lr_scheduler(0.1, 10**9, cycle_length=9), ValueError, "cycle_length must make at most 10000 cycles; got 9"),
    (lambda: L.lr_scheduler(0.1, 10**9, cycles=10**6), ValueError, "cycles must be an integer from 1 to 10000; got 1000000"),
    (lambda: L.lr_scheduler(0.1, 0), ValueError, f"{NAME}: num_train_steps must be an integer >= 1; got 0"),
    (
        lambda: L.lr_scheduler(0.1, 9, warmup=2.5),
        ValueError,
        f"{NAME}: warmup must be a share from 0 to 1 or a whole number of steps",
    ),
    (lambda: L.lr_scheduler(0.1, 9, warmup=-1), ValueError, f"{NAME}: warmup must be a finite number >= 0; got -1"),
    (lambda: L.lr_scheduler(0.1, 9, lr_schedule="sine"), ValueError, f"{NAME}: lr_schedule must be 'constant', 'cosine', "),
    (
        lambda: L.lr_scheduler(0.1, 9, lr_schedule="power"),
        TypeError,
        "batch_size must be given in lr_schedule for 'power'; got None",
    ),
    (
        lambda: L.lr_scheduler(0.1, 9, lr_schedule={"type": "linear", "power": 2}),
        TypeError,
        f"{NAME}: lr_schedule 'linear' must have no options; got 'power'",
    ),
    (
        lambda: L.lr_scheduler(0.1, 9, lr_schedule="inv", min_lr_ratio=0),
        ValueError,
        "min_lr_ratio must be > 0 and <= 1 for 'inv'",
    ),
    (
        lambda: L.lr_scheduler(0.1, 9, cycles=2, cycle_length=3),
        ValueError,
        "at most one of cycle_length, cycles and haps must be",
    ),
    (
        lambda: L.lr_scheduler(0.1, 9, cycles=[5, 20]),
        ValueError,
        "cycles must end cycles one after the other, within 9 steps; got",
    ),
    (lambda: L.lr_scheduler(0.1, 9, cycle_length=0.01), ValueError, f"{NAME}: cycle_length must be a step at least; got 0.01"),
    (
        lambda: L.lr_scheduler(0.1, 9, cooldown=9),
        ValueError,
        f"{NAME}: cooldown must leave steps of num_train_steps = 9; got 9",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=lambda x: x[:40] if isinstance(x, str) else "")
def test_bad_arguments(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)

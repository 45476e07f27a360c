"""Rates suggested by a range test, against the rules as defined, and for curves with obvious answers."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from ulp import assert_same_bits

import lrkern as lk

RATES = np.geomspace(1e-6, 1.0, 121)
METHODS = ("valley", "steepest", "minimum", "slide")


def noisy(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A fall, a flat, a rise, with noise and ties."""
    rng = np.random.default_rng(seed)
    rates = np.geomspace(1e-7, 10.0, n)
    losses = 2.3 - 1.5 / (1 + np.exp(-3 * (np.log10(rates) + 3))) + np.minimum(rates, 3.0)
    return rates, (losses + rng.normal(0, 0.05, n)).round(rng.integers(1, 6))


# ------------------------------------------------------------------------------------------------ the rules, as defined


def longest_falls(losses: list[float]) -> list[int]:
    """For each loss the length of the longest strictly falling subsequence that ends with it."""
    lengths: list[int] = []
    for i, loss in enumerate(losses):
        lengths.append(1 + max((lengths[j] for j in range(i) if losses[j] > loss), default=0))
    return lengths


def valley(rates: list[float], losses: list[float]) -> float | None:
    lengths = longest_falls(losses)
    longest = max(lengths)
    begin = lengths.index(longest) - longest
    return rates[max(begin + int(longest / 3) + int(longest / 3 / 2), 0)] if longest > 1 else None


def steepest(rates: list[float], losses: list[float]) -> float | None:
    slopes = [
        (b - a) / (math.log(s) - math.log(r))
        for (a, b), (r, s) in zip(itertools.pairwise(losses), itertools.pairwise(rates), strict=True)
    ]
    return rates[slopes.index(min(slopes))] if min(slopes) < 0 else None


def minimum(rates: list[float], losses: list[float]) -> float:
    return rates[losses.index(min(losses))] / 10


def slide(rates: list[float], losses: list[float]) -> float | None:
    n = len(losses)
    if n < 16:
        return None
    middle = [(losses[i + 1] - losses[i - 1]) / 2 for i in range(1, n - 1)]
    slopes = [losses[1] - losses[0], *middle, losses[-1] - losses[-2]]
    lefts = range(n - 16, -1, -1)
    calm = (left for left in lefts if not abs(slopes[left + 15] - slopes[left]) > 0.005)
    stop = next(calm, -1)
    return rates[min(stop + 1, n - 16)]


RULES = {"valley": valley, "steepest": steepest, "minimum": minimum, "slide": slide}


@pytest.mark.parametrize("n", [2, 3, 4, 5, 15, 16, 17, 40, 100, 301])
def test_rules_are_what_they_are_defined_to_be(n: int) -> None:
    seen: dict[str, set[Any]] = {name: set() for name in METHODS}
    for seed in range(25):
        rates, losses = noisy(n, seed)
        for name, rule in RULES.items():
            found = lk.suggest(rates, losses, name, diverged=None)
            wanted = rule(rates.tolist(), losses.tolist())
            assert found.rate == getattr(found, name) == wanted, (name, seed)
            assert found.method == name
            seen[name].add(wanted)
    if n > 100:
        assert all(len(several) > 1 for several in seen.values()), "the rules depend on the losses"


def test_the_longest_fall_is_found_among_many() -> None:
    """All orders of some losses, ties included."""
    for losses in itertools.product([1.0, 2.0, 3.0, 4.0], repeat=5):
        rates = [1.0, 2.0, 3.0, 4.0, 5.0]
        assert lk.suggest(rates, losses, diverged=None).rate == valley(rates, list(losses)), losses


# ----------------------------------------------------------------------------------------------------- curves made by hand


def test_a_parabola() -> None:
    """A parabola over the logarithm of the rate, minimal at 0.01: the valley is the whole fall, the suggestion its middle."""
    losses = 2 + (np.log10(RATES) + 2) ** 2
    found = lk.suggest(RATES, losses)
    low = int(losses.argmin())
    assert (low, found.minimum) == (80, RATES[80] / 10)
    assert found.valley == found.rate == RATES[81 // 3 + 81 // 6 - 1]
    assert found.steepest == RATES[0]
    assert (found.first, found.end, found.diverged) == (0, 121, None)
    assert_same_bits(found.rates, RATES)
    assert_same_bits(found.losses, losses)


def test_a_step_down() -> None:
    losses = np.where(np.arange(121) < 60, 2.0, 1.0)
    found = lk.suggest(RATES, losses)
    assert (found.steepest, found.minimum) == (RATES[59], RATES[60] / 10)
    assert found.valley == RATES[58]


def test_losses_that_never_fall_suggest_nothing() -> None:
    for losses in (np.full(121, 2.0), np.linspace(1, 2, 121)):
        found = lk.suggest(RATES, losses)
        assert (found.rate, found.valley, found.steepest, found.minimum) == (None, None, None, RATES[0] / 10)


def test_few_losses() -> None:
    found = lk.suggest([0.1, 0.2], [2.0, 1.0])
    assert (found.valley, found.steepest, found.minimum, found.slide) == (0.1, 0.1, 0.02, None)


# ------------------------------------------------------------------------------------------------------- where it ends


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
@pytest.mark.parametrize("smoothing", [0.0, 0.9])
def test_what_comes_after_a_loss_that_is_none_is_left_out(bad: float, smoothing: float) -> None:
    rates, losses = noisy(100, 3)
    losses[70] = bad
    losses[71:] = 0.001
    found = lk.suggest(rates, losses, smoothing=smoothing)
    assert (found.first, found.end, found.diverged) == (0, 70, 70)
    clean = lk.suggest(rates[:70], losses[:70], smoothing=smoothing, diverged=None)
    assert clean == lk.suggest(rates[:70], losses[:70], smoothing=smoothing)
    assert [getattr(found, name) for name in METHODS] == [getattr(clean, name) for name in METHODS]
    assert_same_bits(found.losses, clean.losses)


def test_diverging() -> None:
    losses = np.concatenate([np.linspace(2.0, 0.5, 100), [1.9, 2.0, 2.0000001], np.full(18, 0.1)])
    assert lk.suggest(RATES, losses).diverged == 102
    assert lk.suggest(RATES, losses, diverged=3.0).diverged == 100
    everything = lk.suggest(RATES, losses, diverged=None)
    assert (everything.end, everything.diverged, everything.minimum) == (121, None, RATES[103] / 10)
    assert lk.suggest(RATES, losses, skip_end=19).diverged is None
    below_zero = lk.suggest(RATES, losses - 1.0)
    assert below_zero.diverged is None, "a multiple of a loss below 0 means nothing"


def test_skipping() -> None:
    rates, losses = noisy(100, 1)
    found = lk.suggest(rates, losses, skip_start=10, skip_end=5, diverged=None)
    assert (found.first, found.end) == (10, 95)
    assert_same_bits(found.losses, losses[10:95])
    assert_same_bits(found.rates, rates[10:95])


def test_smoothing() -> None:
    rates, losses = noisy(60, 2)
    weight = 0.75
    wanted = [
        sum(weight ** (t - i) * losses[i] for i in range(t + 1)) / sum(weight ** (t - i) for i in range(t + 1))
        for t in range(60)
    ]
    found = lk.suggest(rates, losses, smoothing=weight, skip_start=7)
    assert found.losses.tolist() == pytest.approx(wanted[7:], rel=1e-14)
    assert_same_bits(lk.suggest(rates, np.full(60, 2.0), smoothing=0.5).losses, np.full(60, 2.0))


def test_equal_rates_count_once() -> None:
    test = lk.lr_range_test(1e-4, 1.0, 12, every=3)
    losses = [5.0, 4.0, 3.0, 3.0, 3.0, 3.0, 2.0, 2.5, 1.5, 4.0, 4.0, 4.0]
    found = lk.suggest(test, losses)
    assert_same_bits(found.rates, test.table(12)[::3])
    assert found.losses.tolist() == [4.0, 3.0, 2.0, 4.0]
    assert found.minimum == test(6) / 10


def test_a_schedule_stands_for_its_rates() -> None:
    test = lk.lr_range_test(1e-6, 1.0, 120)
    _, losses = noisy(90, 4)  # stopped early
    for rates in (test.table(90), test.table(90).tolist()):
        assert lk.suggest(test, losses) == lk.suggest(rates, losses.tolist())
    linear = lk.lr_range_test(0.0, 1.0, 20, "linear")
    assert lk.suggest(linear, np.linspace(2.0, 1.0, 21)).steepest == linear(19)
    assert lk.suggest(linear, [2.0] + [1.0] * 20).steepest is None, "a rate of 0 is infinitely far away"


def test_long_tests() -> None:
    rates, losses = noisy(200_000, 5)
    assert 1e-6 < lk.suggest(rates, losses, smoothing=0.98).rate < 1e-1


# ---------------------------------------------------------------------------------------------------------- bad input


FEW = "suggest: losses must be at least 2 at different rates after skipping"


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((RATES, np.ones(120)), {}, ValueError, "suggest: rates must be one for each of the 120 losses; got 121"),
        ((0.1, np.ones(3)), {}, ValueError, "suggest: rates must be 1-D; got float64 ()"),
        (([0.1], 5.0), {}, ValueError, "suggest: losses must be 1-D; got float64 ()"),
        ((RATES, "abc"), {}, TypeError, "suggest: losses must be an array of float64, float32 or integers; got "),
        (("abc", [1.0]), {}, TypeError, "suggest: rates must be an array of float64, float32 or integers; got "),
        (([0.1, -0.1], [1, 2]), {}, ValueError, "suggest: rates[1] must be a finite number >= 0; got -0.1 "),
        (([0.1, np.nan], [1, 2]), {}, ValueError, "suggest: rates[1] must be a finite number >= 0; got nan "),
        (([0.1, 0.3, 0.2], [1, 2, 3]), {}, ValueError, "suggest: rates must not fall; got 0.3 before 0.2"),
        (
            ([0.1, 0.1], [1, 2]),
            {},
            ValueError,
            FEW + "; got 1 of 2 ",
        ),
        (([], []), {}, ValueError, FEW + "; got 0 of 0 recorded"),
        (
            ([0.1, 0.2], [np.nan, 2]),
            {},
            ValueError,
            FEW + "; got 0 up ",
        ),
        (
            (RATES, RATES),
            {"skip_start": 100, "skip_end": 20},
            ValueError,
            "suggest: losses must be at least 2 at different rates",
        ),
        (
            (RATES, RATES),
            {"skip_start": 200},
            ValueError,
            FEW,
        ),
        ((RATES, RATES), {"skip_start": -1}, ValueError, "suggest: skip_start must be an integer >= 0; got -1 (int)"),
        ((RATES, RATES), {"skip_end": 1.5}, TypeError, "suggest: skip_end must be an integer >= 0; got 1.5 (float)"),
        (
            (RATES, RATES),
            {"smoothing": 1.0},
            ValueError,
            "suggest: smoothing must be a finite number >= 0 and < 1; got 1.0 (float)",
        ),
        ((RATES, RATES), {"smoothing": None}, TypeError, "suggest: smoothing must be a finite number >= 0 and < 1; got None"),
        ((RATES, RATES), {"diverged": 1.0}, ValueError, "suggest: diverged must be a finite number > 1; got 1.0 (float)"),
        (
            (RATES, RATES),
            {"method": "best"},
            ValueError,
            "suggest: method must be 'valley', 'steepest', 'minimum' or ",
        ),
        (
            (RATES, RATES),
            {"method": None},
            TypeError,
            "suggest: method must be 'valley', 'steepest', 'minimum' or ",
        ),
    ],
)
def test_wrong_arguments(arguments: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        lk.suggest(*arguments, **options)
    assert str(raised.value).startswith(message)

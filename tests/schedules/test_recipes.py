"""Properties of single curves: the definition of noise, branches, restarts, and the composition of recipes."""

from __future__ import annotations

import math

import cases
import numpy as np
import pytest
import ulp
from random_words import word

import lrkern as lk
from lrkern import _core
from lrkern.schedules.expression import Schedule

N = 20_000


def words(seed: int, k: int, n: int = N, start: int = 0) -> np.ndarray:
    return np.array([word(seed, t, 2**63 + k) for t in range(start, start + n)], np.uint64)


def numpy_normals(seed: int, k: int = 0) -> np.ndarray:
    """The definition of docs/schedules.md in float64, with NumPy's functions."""
    a, b = words(seed, k), words(seed, k + 1)
    u = (2.0 * (a >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0**-54
    v = (2.0 * (b >> np.uint64(12)).astype(np.float64) + 1.0) * 2.0**-53
    m = np.floor(2.0**24 * np.sqrt(-2.0 * np.log(u)) * np.cos(np.pi * v / 2.0) + 0.5) * 2.0**-24
    return np.where(b & np.uint64(1), -m, m)


@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_noise_is_what_others_compute(seed):
    """z is coarse enough that float64 gives it to the bit, and so the value."""
    z = numpy_normals(seed)
    ulp.assert_same_bits(lk.noise(1.0, seed=seed).table(N), z + 0.0, "normal")
    ulp.assert_same_bits(lk.noise(0.1, seed=seed).table(N), 0.1 * z + 0.0, "scaled: one rounding")
    uniform = (2.0 * (words(seed, 0) >> np.uint64(11)).astype(np.float64) + 1.0) * 2.0**-53 - 1.0
    exactly = np.array([(2 * (int(w) >> 11) + 1 - 2**53) / 2**53 for w in words(seed, 0, 100)])
    ulp.assert_same_bits(lk.noise(1.0, "uniform", seed=seed).table(100), exactly, "uniform")
    assert np.abs(lk.noise(1.0, "uniform", seed=seed).table(N) - uniform).max() <= 2.0**-53


def test_limited_noise_is_the_first_draw_below():
    first, second = numpy_normals(5), numpy_normals(5, 2)
    got = lk.noise(1.0, limit=1.5, seed=5).table(N)
    assert np.abs(got).max() < 1.5
    kept = np.abs(first) < 1.5
    again = ~kept & (np.abs(second) < 1.5)
    assert 0.8 < kept.mean() < 0.93
    assert again.any()
    assert (got[kept] == first[kept]).all()
    assert (got[again] == second[again]).all()


@pytest.mark.parametrize(
    ("kind", "limit", "variance", "fourth"),
    [("normal", None, 1.0, 3.0), ("uniform", None, 1 / 3, 1 / 5), ("normal", 1.0, 0.2911, 0.1645)],
)
def test_moments(kind, limit, variance, fourth):
    """Mean, variance and fourth moment within five standard errors; nothing in common between neighbours or seeds."""
    n = 400_000
    z = lk.noise(1.0, kind, limit, 3).table(n)
    error = 5.0 / math.sqrt(n)
    assert abs(z.mean()) < error * math.sqrt(variance)
    assert abs((z**2).mean() - variance) < error * math.sqrt(fourth - variance**2) + 1e-4
    assert abs((z**4).mean() - fourth) < error * (z**4).std() + 1e-4
    for other in (z[1:], z[7:], lk.noise(1.0, kind, limit, 4).table(n)):
        assert abs((z[: len(other)] * other).mean()) < error * variance
    assert len(np.unique(z)) > 0.97 * n


def test_noise_does_not_depend_on_how_it_is_asked_for():
    for text in ("noise(0.1, limit=1, seed=11)", "cosine(0.1, 0.0, 3000) * (1.0 + noise(0.1, 'uniform'))"):
        s = lk.parse(text)
        whole = s.table(200_000)
        with_one = lk.get_threads()
        try:
            lk.set_threads(1)
            ulp.assert_same_bits(lk.parse(text).table(200_000), whole, f"{text}, one thread")
        finally:
            lk.set_threads(with_one)
        ulp.assert_same_bits(lk.parse(text).table(1000, start=150_003), whole[150_003:151_003], f"{text}, a slice")
        ulp.assert_same_bits(s(np.arange(199_999, 0, -997)), whole[199_999:0:-997], f"{text}, backwards")
        assert s(170_000.5) == lk.parse(text)(170_000.5)
    far = lk.noise(1.0, seed=11)
    assert far(10**15) == far.table(3, start=10**15 - 1)[1] != far(10**15 + 1)


def test_noise_has_a_plan_only_up_to_a_horizon():
    with pytest.raises(ValueError, match="horizon"):
        lk.noise(0.1).plan()
    assert len(lk.noise(0.1).plan(100).center) >= 100


@pytest.mark.parametrize("period", [1, 2, 8, 256])
def test_fractal_order_is_a_permutation(period):
    fractal, plain = (lk.chebyshev(0.1, 1.0, period, order).table(period) for order in ("fractal", "plain"))
    assert np.abs(np.sort(fractal) / np.sort(plain) - 1.0).max() <= 2.0**-52
    assert (np.diff(plain) < 0.0).all()
    ulp.assert_same_bits(lk.chebyshev(0.1, 1.0, period).table(3 * period), np.tile(fractal, 3), "over and over")
    assert [cases.permuted(t, 8) for t in range(8)] == [0, 7, 3, 4, 1, 6, 2, 5]


def test_chebyshev_steps_do_what_they_are_for():
    """After a period, what is left of an error along any eigenvector in the bounds is at most 1/T_n((M + m)/(M - m))."""
    m, big, n = 0.01, 1.0, 64
    steps, eigenvalues = lk.chebyshev(m, big, n).table(n), np.linspace(m, big, 1001)
    left = np.abs(np.prod(1.0 - steps[:, None] * eigenvalues, axis=0)).max()
    bound = 1.0 / math.cosh(n * math.acosh((big + m) / (big - m)))
    assert 0.99 * bound < left < 1.01 * bound
    partial = np.abs(np.cumprod(1.0 - steps[:, None] * eigenvalues, axis=0)).max()
    plain = lk.chebyshev(m, big, n, "plain").table(n)
    assert partial < 1e-6 * np.abs(np.cumprod(1.0 - plain[:, None] * eigenvalues, axis=0)).max()


def test_cooldowns_are_the_branches_of_one_schedule():
    base = lk.cosine(0.1, 0.01, 5000).warmup(100)
    at, lengths = [4000, 50, 2000], [10, 500, 700]
    rows = lk.cooldowns(base, at, lengths, 1e-4, "one_minus_sqrt")
    assert rows == [base.cooldown(a, n, 1e-4, "one_minus_sqrt") for a, n in zip(at, lengths, strict=True)]
    assert lk.cooldowns(base, np.array(at), np.int64(7)) == [base.cooldown(a, 7) for a in at]
    assert lk.cooldowns(base, [], []) == lk.cooldowns(base, [], 5) == []
    grid = lk.tables(rows, 5000)
    for row, a in zip(grid, at, strict=True):
        assert np.abs(row[1:a] / base.table(a - 1, start=1) - 1.0).max() <= 2.0**-52
        assert row[a] == base(a)


def test_recipes_are_compositions():
    n = 3000
    same = [
        ("knee(0.1, 100, 1000, 900)", "wsd(0.1, 100, 1000, 900)"),
        ("linear_to_zero(0.1, 100, 900)", "linear(0.1, 0.0, 900).warmup(100)"),
        ("half_cosine(0.1, 0.01, 700)", "cosine(0.1, 0.01, 1400).shift(-700)"),
        ("truncated_cosine(0.1, 0.0, 900, 100, 0.01)", "cosine(0.1, 0.01, 900).cooldown(800, 100)"),
        ("lr_range_test(1e-5, 1.0, 900)", "geometric(1e-5, 1.0, 900)"),
        ("lr_range_test(1e-5, 1.0, 900, every=7)", "geometric(1e-5, 1.0, 900).staircase(7)"),
        ("wsd_s(0.1, 0.0, 10, [500], 90, tail='cosine')", "wsd(0.1, 10, 400, 90, tail='cosine')"),
    ]
    for recipe, composition in same:
        ulp.assert_same_bits(lk.parse(recipe).table(n), lk.parse(composition).table(n), recipe)


@pytest.mark.parametrize("shape", ["mirror_cosine", "halving", "inverse_proportional"])
def test_shapes_are_what_they_are_called(shape):
    """Where a shape lies: above or below the line, the cosine mirrored, half the way down after a known time."""
    values = lk.wsd(1.0, 0, 0, 1000, 0.01, shape).table(1001)
    line, cosine = lk.linear(1.0, 0.01, 1000).table(1001), lk.cosine(1.0, 0.01, 1000).table(1001)
    assert (np.diff(values) < 0.0).all()
    if shape == "mirror_cosine":
        assert np.abs(values + cosine - 2.0 * line).max() < 1e-15
        assert (values[1:500] < line[1:500]).all()
        assert (values[501:1000] > line[501:1000]).all()
    else:
        assert (values[1:1000] < line[1:1000]).all()
    if shape == "halving":
        assert abs(values[500] - (0.01 + 0.99 * (math.sqrt(2.0) - 1.0))) < 1e-15
    if shape == "inverse_proportional":
        assert np.abs(np.diff(1.0 / values) - 0.099).max() < 1e-11


@pytest.mark.parametrize("shape", ["geometric", "harmonic"])
def test_restarts_of_ramps_that_are_no_weighted_sums_of_their_ends(shape):
    """Cycles of one length: each is the ramp from its own start."""

    def schedule(node):
        return Schedule(shape, (), node, None)

    once = _core.ramp_between(shape, 0.0, 0.0, 100, 1.0, 0.01)
    values = schedule(_core.restarts(once, 1.0, 0.5, 0.01)).table(500).reshape(5, 100)
    for i, cycle in enumerate(values):
        alone = schedule(_core.ramp_between(shape, 0.0, 0.0, 100, 0.5**i, 0.01)).table(100)
        assert max(map(ulp.steps_apart, cycle, alone)) <= 1, i


def test_lengths_that_are_one_for_all_or_one_for_each():
    base = lk.constant(1.0).warmup(1)
    assert lk.cooldowns(base, [5, 9], 3) == lk.cooldowns(base, [5, 9], np.array([3, 3]))
    assert lk.wsd_s(1.0, 0.1, 2, [6, 10], [2, 2]) == lk.wsd_s(1.0, 0.1, 2, [6, 10], 2)
    assert repr(lk.wsd_s(1.0, 0.1, 2, [6, 10], [2, 3])) != repr(lk.wsd_s(1.0, 0.1, 2, [6, 10], 2))
    with pytest.raises(ValueError, match=r"^cooldowns: steps must be one number or one for each of the 2 in at; got 3$"):
        lk.cooldowns(base, [5, 9], [1, 2, 3])
    with pytest.raises(ValueError, match=r"^wsd_s: decay must be one number or one for each of the 2 in budgets; got 1$"):
        lk.wsd_s(1.0, 0.1, 2, [6, 10], [2])
    assert lk.cooldowns(base, [], 3) == []

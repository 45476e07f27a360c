"""The benchmark's rows run: the limits' kernels work, one case of every row runs, and the table covers the package."""

from __future__ import annotations

import time
import timeit
from fractions import Fraction

import numpy as np
import pytest
from cases import public_curves, public_methods
from settled import settled  # noqa: F401  (a fixture)
from ulp import assert_same_bits

import lrkern as lk
from lrkern.bench import curves, settings
from lrkern.bench.rivals import limits, peers
from lrkern.bench.rows import arrays, every, rules
from lrkern.bench.timing import checks, memory, step_checks
from lrkern.bench.timing import race as race_module
from lrkern.bench.timing.race import Contestant, Race
from lrkern.bench.timing.result import Result
from lrkern.bench.timing.row import Contest, Row
from lrkern.bench.timing.sizes import QUICK


@pytest.fixture(autouse=True)
def _without_peers():
    """Without the peers, which take long to compile."""
    settings.use(settings.Settings(quick=True, rivals=("numpy", "python")))
    yield
    settings.use(settings.Settings())


def measured(row: Row | Contest, case: str) -> Result:
    """The result of a small race in this process."""
    race = row.race(case, QUICK)
    race.run()
    return Result.of(row.name, case, race.times, race.subject.name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("offset", [0, 2, 6])
def test_fills_write_their_array_and_nothing_else(dtype, threads, offset):
    size = 200_000
    for fill in (limits.fill, limits.fill_streaming):
        whole = np.full(size + 20, 2.5, dtype)
        fill(whole[offset : offset + size], 0.1, threads)
        expected = np.full(size + 20, 2.5, dtype)
        expected[offset : offset + size] = 0.1
        assert_same_bits(whole, expected)


def test_copy():
    source = np.random.default_rng(1).random(200_000)
    out = np.ones_like(source)
    limits.copy(out, source, 2)
    assert_same_bits(out, source)


def words(count):
    """Arrays not aligned to cache lines, whose size is not a multiple of the block."""
    return [np.random.default_rng(i).integers(1, 2**31, 200_001, np.uint32)[1:] for i in range(count)]


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("written", range(1, limits.MAX_WRITTEN + 1))
def test_step_streams(written, threads):
    grad, param, *states = words(written + 1)
    fresh = [state ^ grad for state in states]
    expected = [param ^ (np.bitwise_xor.reduce(fresh) if fresh else grad), *fresh, grad.copy()]
    limits.step_streams([param, *states], grad, threads)()
    for array, result in zip((param, *states, grad), expected, strict=True):
        np.testing.assert_array_equal(array, result)


def test_streams_of_many_arrays_are_as_fast_per_byte():
    """A compiler that gives up vectors for many arrays would make them eight times slower, and rules look good."""

    def seconds_per_byte(written):
        arrays_ = [np.full(50_000, 3, np.uint32) for _ in range(written + 1)]
        run = limits.step_streams(arrays_[:-1], arrays_[-1], 1)
        return min(timeit.repeat(run, number=10, repeat=40)) / (2 * written + 1)

    assert seconds_per_byte(limits.MAX_WRITTEN) < 4 * seconds_per_byte(2)


def test_streams_refuse_what_they_cannot_read():
    p, g = words(2)
    with pytest.raises(ValueError, match="1 to 6 arrays; got 7"):
        limits.step_streams([p] * 7, g, 1)
    with pytest.raises(ValueError, match="equal size"):
        limits.step_streams([p], g[:-2], 1)
    with pytest.raises(ValueError, match="float32"):
        limits.step_streams([p.astype(np.float64)], g, 1)


def test_pipeline_streams():
    p, g, m, e = words(4)
    expected = [p ^ m ^ g, ~g, m ^ g, e ^ p ^ m ^ g]
    limits.pipeline_streams(p, g, m, e, 2)
    for array, result in zip((p, g, m, e), expected, strict=True):
        np.testing.assert_array_equal(array, result)


@pytest.mark.parametrize("row", [row for row in every.all_rows() if row.cases], ids=lambda row: row.name)
def test_one_case_of_every_row(row):
    result = measured(row, row.cases[-1])
    assert result.time > 0
    assert all(time > 0 for time in result.rivals.values())


# Not the one that runs all the others.
@pytest.mark.parametrize(
    "fact", [fact for fact in every.all_facts() if fact.cases and fact.quickly], ids=lambda fact: fact.name
)
def test_one_case_of_every_fact(fact):
    assert fact.measure(fact.cases[-1], QUICK) >= 0


def test_every_public_curve_and_method_is_in_the_table():
    known = set(curves.BY_NAME) | set(curves.STAND_INS) | curves.APART
    assert public_curves(lk) <= known
    assert public_methods(lk) <= known
    assert set(curves.STAND_INS.values()) <= set(curves.BY_NAME)
    assert {row.name for row in every.all_rows()} >= curves.APART


def test_a_curve_without_an_entry_is_timed_all_the_same(monkeypatch):
    entry = curves.as_tested("rex")
    assert "rex(" in repr(entry.build(10, 0.2))
    monkeypatch.setitem(curves.BY_NAME, "rex", entry)
    for row in every.all_rows():
        if row.name in ("fill", "cached-serial", "scalar", "compile"):
            assert measured(row, "rex").time > 0
    with pytest.raises(LookupError, match="no case of quadratic"):
        curves.as_tested("quadratic")


@pytest.mark.parametrize("curve", [c for c in curves.CURVES if c.loop and c.array], ids=lambda curve: curve.name)
def test_naive_twins_are_the_same_schedule(curve):
    n = 1000
    ours, steps = curve.build(n, curves.PEAK).table(n), np.arange(n, dtype=np.float64)
    checks.alike(ours, curve.array(n, curves.PEAK)(steps), checks.NAIVE_ULP, curve.name)
    checks.alike(ours, np.array([curve.loop(n, curves.PEAK)(t) for t in range(n)]), checks.NAIVE_ULP, curve.name)


def test_checks_can_fail():
    schedule = lk.cosine(0.1, 0.001, 1000)
    values = schedule.table(1000)
    checks.table(schedule, values, 20)
    values[500] *= 1 + 2e-16
    values[500] = np.nextafter(values[500], 1)
    with pytest.raises(checks.WrongResult, match=r"step 500"):
        checks.table(schedule, values, 20)
    with pytest.raises(checks.WrongResult, match="1 of 1000 differ, first at 500"):
        checks.same_bits(values, schedule.table(1000), "tables")
    with pytest.raises(checks.WrongResult, match="float64"):
        checks.same_bits(values, values[:-1], "tables")


def test_tables_are_checked_without_the_oracle(monkeypatch):
    """As installed: against the naive function."""
    monkeypatch.setattr(checks.exact, "available", lambda: False)
    curve = curves.BY_NAME["cosine"]
    schedule, twin = curve.build(1000, 0.1), curve.twin(1000, 0.1)
    values = schedule.table(1000)
    checks.table(schedule, values, 20, twin)
    values[500] *= 1 + 1e-12
    with pytest.raises(checks.WrongResult, match="differs by"):
        checks.table(schedule, values, 20, twin)


@pytest.mark.parametrize("rule", arrays.OPTIONS)
def test_steps_are_checked_against_float64(rule):
    def build(factor):
        def made(param, grad):
            optimizer = getattr(lk, rule)([param], **arrays.OPTIONS[rule] | {"lr": factor * arrays.OPTIONS[rule]["lr"]})
            return lambda: optimizer.step([grad])

        return made

    step_checks.follows(rule, arrays.OPTIONS[rule], build(1.0), step_checks.OURS_ULP)
    with pytest.raises(checks.WrongResult, match=f"{rule}, parameters after 3 steps"):
        step_checks.follows(rule, arrays.OPTIONS[rule], build(1.001), step_checks.OURS_ULP)


def test_every_optimizer_is_a_row():
    assert set(rules.names()) == {n for n in lk.__all__ if n[0].isupper() and hasattr(getattr(lk, n), "bind")} - {"Optimizer"}
    cases = every.named("rule").cases
    assert len(cases) == 2 * len(rules.names())


def test_arrays_that_a_step_writes():
    for name, count in (("SGD", 2), ("AdamW", 3), ("AdEMAMix", 4), ("Adan", 5), ("Tiger", 2)):
        optimizer = getattr(lk, name)([np.ones(8, np.float32)], lr=0.1, **rules.OPTIONS.get(name, {}))
        optimizer.step([np.ones(8, np.float32)])
        assert rules.arrays_written(optimizer) == count, name


def test_rows_that_need_too_much_memory_say_so(monkeypatch):
    memory.need(2**20)
    monkeypatch.setattr(memory, "available", lambda: 2**30)
    with pytest.raises(MemoryError, match=r"needs 1\.0 GiB of memory; 1\.0 are free"):
        memory.need(2**30)


@pytest.mark.parametrize(("row", "case"), [("one-thread", "AdamW"), ("cached-serial", "cosine")])
def test_one_thread_is_put_back(row, case):
    before = lk.get_threads()
    race = every.named(row).race(case, QUICK)
    assert lk.get_threads() == 1
    race.run()
    assert lk.get_threads() == before


def test_fma_rounds_once():
    rng = np.random.default_rng(1)
    a, b, c = (np.float32(2.0) ** rng.integers(-40, 40, 2000) * rng.random(2000, np.float32) for _ in range(3))
    c[::3] = -a[::3] * b[::3]  # cancels
    for x, y, z, got in zip(a, b, c, checks.fma(a, b, c), strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        near = [got, np.nextafter(got, np.float32(-np.inf)), np.nextafter(got, np.float32(np.inf))]
        assert abs(Fraction(float(got)) - exact) == min(abs(Fraction(float(v)) - exact) for v in near)


def test_turns():
    order = []
    race = Race(
        Contestant("lrkern", lambda: order.append("s"), 10, prepare=lambda: order.append("p")),
        [Contestant("NumPy", lambda: order.append("r"), 10, check=lambda: order.append("C"))],
        2,
        lambda: order.append("c"),
    )
    race.run()
    assert "".join(order) == "cCrps" + "rps" * 2
    assert {name: len(times) for name, times in race.times.items()} == {"NumPy": 2, "lrkern": 2}


def test_a_turn_of_short_jobs_takes_as_long_as_others(monkeypatch):
    monkeypatch.setattr(race_module, "LEAST_TURN", 0.02)
    short, single = (Contestant("lrkern", lambda: time.sleep(1e-3), 10, repeats=repeats) for repeats in (2, 1))
    for one in (short, single):
        one.warm_up()
    assert 2 < short.repeats <= 21  # a sleep takes a millisecond, or several on a busy machine
    assert single.repeats == 1


def test_beside_something_precedes_every_run(monkeypatch):
    monkeypatch.setattr(race_module, "LEAST_TURN", 0.0)
    order = []
    race = Race(
        Contestant("lrkern", lambda: order.append("s"), 1, repeats=2),
        [Contestant("NumPy", lambda: order.append("r"), 1, prepare=lambda: order.append("p"))],
        3,
    )
    race.run(lambda: order.append("d"), patience=0.0)
    assert "".join(order) == "prss" + "pdrdsds" * 3


def test_missing_peers_are_named(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    assert peers.missing() == list(peers.PEERS)


def test_rivals_that_are_not_wanted_do_not_take_part():
    contest = every.named("step-list")
    assert list(contest.makers("SGD, 1 x 1000", QUICK)) == ["lrkern", "bare streams", "NumPy"]
    settings.use(settings.Settings(rivals=()))
    assert list(contest.makers("SGD, 1 x 1000", QUICK)) == ["lrkern", "bare streams"]
    assert "bare streams" in every.named("sgd-peers").makers("float32, momentum", QUICK)

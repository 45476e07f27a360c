"""The benchmark's parts run: the limits' kernels work, one case of every row runs, and the table covers the package."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
from cases import public_curves, public_methods
from settled import settled  # noqa: F401  (a fixture)
from ulp import assert_same_bits

import lrkern as lk
from bench import checks, curves, limits, peers, report, rows, store, targets
from bench.machine import describe, file_name
from bench.race import Contestant, Race, Result
from bench.sizes import QUICK

needs_compiler = pytest.mark.skipif(limits.compiler() is None, reason="the limits need a C compiler: none found")


@pytest.fixture(autouse=True)
def _without_peers(monkeypatch):
    """Without the peers, which take long to compile."""
    monkeypatch.setattr(peers, "module", lambda name: None)


def measured(row: rows.Row, case: str) -> Result:
    """The result of a small race."""
    race = row.race(case, QUICK)
    race.run()
    return Result.of(row.name, case, race, race.subject.times)


@needs_compiler
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


@needs_compiler
def test_copy():
    source = np.random.default_rng(1).random(200_000)
    out = np.ones_like(source)
    limits.copy(out, source, 2)
    assert_same_bits(out, source)


def words(count):
    """Arrays not aligned to cache lines, whose size is not a multiple of the block."""
    return [np.random.default_rng(i).integers(1, 2**31, 200_001, np.uint32)[1:] for i in range(count)]


@needs_compiler
def test_sgd_streams():
    p, g, m = words(3)
    expected = [p ^ m ^ g, g.copy(), m ^ g]
    limits.sgd_streams(p, g, m, 2)
    for array, result in zip((p, g, m), expected, strict=True):
        np.testing.assert_array_equal(array, result)


@needs_compiler
def test_adam_streams():
    p, g, m, s = words(4)
    expected = [p ^ m ^ s, g.copy(), m ^ g, s ^ g]
    limits.adam_streams(p, g, m, s, 2)
    for array, result in zip((p, g, m, s), expected, strict=True):
        np.testing.assert_array_equal(array, result)


@needs_compiler
def test_pipeline_streams():
    p, g, m, e = words(4)
    expected = [p ^ m ^ g, ~g, m ^ g, e ^ p ^ m ^ g]
    limits.pipeline_streams(p, g, m, e, 2)
    for array, result in zip((p, g, m, e), expected, strict=True):
        np.testing.assert_array_equal(array, result)


@needs_compiler
@pytest.mark.parametrize("row", rows.all_rows(), ids=lambda row: row.name)
def test_one_case_of_every_row(row):
    result = measured(row, row.cases[-1])
    assert result.time > 0
    assert all(time > 0 for time in result.rivals.values())


@pytest.mark.parametrize("fact", rows.all_facts(), ids=lambda fact: fact.name)
def test_one_case_of_every_fact(fact):
    assert fact.measure(fact.cases[-1], QUICK) >= 0


def test_every_public_curve_and_method_is_in_the_table():
    known = set(curves.BY_NAME) | set(curves.STAND_INS) | curves.APART
    assert public_curves(lk) <= known
    assert public_methods(lk) <= known
    assert set(curves.STAND_INS.values()) <= set(curves.BY_NAME)
    assert {row.name for row in rows.all_rows()} >= curves.APART


def test_a_curve_without_an_entry_is_timed_all_the_same(monkeypatch):
    entry = curves.as_tested("rex")
    assert "rex(" in repr(entry.build(10, 0.2))
    monkeypatch.setitem(curves.BY_NAME, "rex", entry)
    for row in rows.all_rows():
        if row.name in ("fill", "cached", "scalar", "compile"):
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
    with pytest.raises(checks.WrongResult, match="1 of 1000 differ"):
        checks.same_bits(values, schedule.table(1000), "tables")


def test_fma_rounds_once():
    rng = np.random.default_rng(1)
    a, b, c = (np.float32(2.0) ** rng.integers(-40, 40, 2000) * rng.random(2000, np.float32) for _ in range(3))
    c[::3] = -a[::3] * b[::3]  # cancels
    for x, y, z, got in zip(a, b, c, checks.fma(a, b, c), strict=True):
        exact = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
        near = [got, np.nextafter(got, np.float32(-np.inf)), np.nextafter(got, np.float32(np.inf))]
        assert abs(Fraction(float(got)) - exact) == min(abs(Fraction(float(v)) - exact) for v in near)


def test_ratios_take_turns_and_targets_are_checked():
    order = []
    race = Race(
        Contestant("lrkern", lambda: order.append("s"), 10, prepare=lambda: order.append("p")),
        [Contestant("NumPy", lambda: order.append("r"), 10)],
        2,
        lambda: order.append("c"),
    )
    race.run()
    assert "".join(order) == "crps" + "rps" * 2
    line = targets.Line("fill", "", "step", limits.STREAMING, at_least=0.85)
    fast, slow = (Result("fill", c, time=t, rivals={limits.STREAMING: 1.0}) for c, t in (("cosine", 1.0), ("rex", 1.2)))
    assert line.worst([fast, slow, Result("peers", "rex", time=9.0)]) == (slow, 2)
    assert line.met(fast)
    assert not line.met(slow)
    assert targets.Line("cached", "", "step", at_most=0.3e-9).met(Result("cached", "rex", time=0.3e-9))
    assert line.worst([]) == (None, 0)


@needs_compiler
def test_results_survive_json_and_reach_the_page(tmp_path, capsys):
    fill = Result("fill", "cosine", time=2e-10, rivals={limits.STREAMING: 1e-10})
    results = [Result("error", "cosine", value=0.5), fill]
    machine = describe()
    file = tmp_path / "run.json"
    file.write_text(json.dumps({"results": [result.json() for result in results], "machine_info": machine}))
    assert store.read(file) == (results, machine)
    assert file_name(machine).endswith(f"-{machine['date']}.json")

    page = tmp_path / "RESULTS.md"
    page.write_text(f"before\n{store.BEGIN}\nold\n{store.END}\nafter\n")
    store.write_tables(results, machine, page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
    assert "| 0.5 ULP |" in text
    assert "| 0.5x | >= 0.85x | NO |" in text
    report.show("table", report.HEAD, report.lines(results))
    assert "0.85x" in capsys.readouterr().out


def test_missing_peers_are_named():
    assert peers.missing() == list(peers.PEERS)

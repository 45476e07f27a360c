"""Every row as a benchmark: checked, warmed up, then timed by pytest-benchmark, alternating with its rivals."""

from __future__ import annotations

from typing import Any

import pytest

from bench.race import Result
from bench.row import Fact, Row
from bench.rows import all_facts, all_rows
from bench.sizes import Sizes


def each(rows: list[Any]) -> list[Any]:
    """A parameter set per row and case."""
    return [pytest.param(row, case, id=f"{row.name}-{case}") for row in rows for case in row.cases]


@pytest.mark.parametrize(("fact", "case"), each(all_facts()))
def test_fact(fact: Fact, case: str, sizes: Sizes, results: list[Result]) -> None:
    """Measure and note."""
    results.append(Result(fact.name, case, value=fact.measure(case, sizes)))


@pytest.mark.parametrize(("row", "case"), each(all_rows()))
def test_race(row: Row, case: str, sizes: Sizes, results: list[Result], benchmark: Any) -> None:
    """Check, then race."""
    race = row.race(case, sizes)
    race.warm_up()
    benchmark.group = row.name
    benchmark.pedantic(race.subject.run, setup=race.rivals_turn, rounds=race.rounds)
    result = Result.of(row.name, case, race, benchmark.stats.stats.data)
    benchmark.extra_info.update(result.json())
    results.append(result)

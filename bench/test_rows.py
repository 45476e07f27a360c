"""Every row as a benchmark: checked, warmed up, then lrkern's turns timed by the fixture, alternating with the rivals' turns.

All contestants of a row share this process. `lrkern bench` runs those with thread pools in processes of their own as well.
"""

from __future__ import annotations

from typing import Any

import pytest

from lrkern.bench.rows.every import all_facts, all_rows
from lrkern.bench.timing.result import Result
from lrkern.bench.timing.row import Contest, Fact, Row
from lrkern.bench.timing.sizes import QUICK, Sizes


def each(rows: list[Any]) -> list[Any]:
    """A parameter set per row and case."""
    return [pytest.param(row, case, id=f"{row.name}-{case}") for row in rows for case in row.cases]


@pytest.mark.parametrize(("fact", "case"), each(all_facts()))
def test_fact(fact: Fact, case: str, sizes: Sizes, results: list[Result]) -> None:
    """Measure and note."""
    if sizes is QUICK and not fact.quickly:
        pytest.skip("not in a quick run")
    results.append(Result(fact.name, case, value=fact.measure(case, sizes)))


@pytest.mark.parametrize(("row", "case"), each(all_rows()))
def test_race(row: Row | Contest, case: str, sizes: Sizes, results: list[Result], benchmark: Any) -> None:
    """Check, then race."""
    race = row.race(case, sizes)
    try:
        race.warm_up()
        benchmark.pedantic(race.subject_turn, setup=race.rivals_turn, rounds=race.rounds)
    finally:
        race.close()
    result = Result.of(row.name, case, race.whole_rounds(), race.subject.name)
    benchmark.extra_info.update(result.json())
    results.append(result)

"""Rows that have contestants of torch or optax: one case of each runs, checks included."""

from __future__ import annotations

import pytest

from lrkern.bench import settings
from lrkern.bench.rivals import peers
from lrkern.bench.rows import every
from lrkern.bench.timing.result import Result
from lrkern.bench.timing.row import Contest
from lrkern.bench.timing.sizes import QUICK

pytestmark = pytest.mark.peers
pytest.importorskip("torch")

LIBRARIES = ("torch", "optax")


@pytest.fixture(autouse=True)
def _with_peers():
    """Other tests exclude them, which is remembered."""
    peers.module.cache_clear()
    settings.use(settings.Settings(quick=True))
    yield
    settings.use(settings.Settings())
    peers.module.cache_clear()


def theirs(row, case):
    """The contestants of torch and optax in a case."""
    return {name for name in row.entries(case, QUICK) if name.startswith(LIBRARIES)}


CONTESTS = [row for row in every.all_rows() if isinstance(row, Contest) and any(theirs(row, case) for case in row.cases)]


@pytest.mark.parametrize("row", CONTESTS, ids=lambda row: row.name)
def test_one_case_of_every_contest(row):
    case = max(row.cases, key=lambda case: len(theirs(row, case)))
    race = row.race(case, QUICK)
    race.run()
    result = Result.of(row.name, case, race.times)
    assert theirs(row, case) <= set(result.rivals)
    assert all(time > 0 for time in (result.time, *result.rivals.values()))


def test_contests_of_every_kind_are_there():
    assert {"peers", "step", "step-list", "torch-gradients", "adapter", "adapter-sizes", "training"} < {
        row.name for row in CONTESTS
    }
    cosine = theirs(every.named("peers"), "cosine")
    assert "torch scheduler" in cosine
    assert ("optax jit" in cosine) == peers.available("optax")


def test_the_plateau_of_torch():
    race = every.named("plateau").race("torch", QUICK)
    race.run()
    assert Result.of("plateau", "torch", race.times).rivals["torch loop"] > 0


@pytest.mark.parametrize("name", ["toll-torch", "import-torch"])
def test_facts_about_torch(name):
    fact = every.named(name)
    for case in fact.cases:
        assert fact.measure(case, QUICK) > -1  # the toll is a difference of two times
    assert fact.cases

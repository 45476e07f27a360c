"""Lets pytest-benchmark run the rows: options, the collected results, and what goes to its JSON file."""

from __future__ import annotations

from typing import Any

import pytest

from bench import buffers, machine
from bench.race import Result
from bench.sizes import FULL, QUICK, Sizes

RESULTS = pytest.StashKey[list[Result]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--quick`."""
    parser.addoption("--quick", action="store_true", help="small sizes: does everything run?")


def pytest_configure(config: pytest.Config) -> None:
    """A place for the results."""
    config.stash[RESULTS] = []


@pytest.fixture(scope="session")
def sizes(pytestconfig: pytest.Config) -> Sizes:
    """How much each row does."""
    return QUICK if pytestconfig.getoption("quick") else FULL


@pytest.fixture
def results(pytestconfig: pytest.Config) -> list[Result]:
    """Where a row puts its result."""
    return pytestconfig.stash[RESULTS]


@pytest.fixture(scope="session", autouse=True)
def _memory() -> Any:
    """Keeps the large block for the session only."""
    yield
    buffers.release()


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Ours says what the numbers depend on, and not the host's name."""
    machine_info.clear()
    machine_info.update(machine.describe())


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    """The results as the table uses them."""
    output_json["quick"] = config.getoption("quick")
    output_json["results"] = [result.json() for result in config.stash[RESULTS]]

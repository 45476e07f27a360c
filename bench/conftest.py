"""Runs the rows with pytest-benchmark: options, the collected results, and the contents of its JSON file."""

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
    """Prepare the list of results."""
    config.stash[RESULTS] = []


@pytest.fixture(scope="session")
def sizes(pytestconfig: pytest.Config) -> Sizes:
    """The sizes of the rows."""
    return QUICK if pytestconfig.getoption("quick") else FULL


@pytest.fixture
def results(pytestconfig: pytest.Config) -> list[Result]:
    """The list to which rows append their results."""
    return pytestconfig.stash[RESULTS]


@pytest.fixture(scope="session", autouse=True)
def _memory() -> Any:
    """Release the large block at the end of the session."""
    yield
    buffers.release()


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Record lrkern's machine description, which omits the host name."""
    machine_info.clear()
    machine_info.update(machine.describe())


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_json(config: pytest.Config, benchmarks: Any, output_json: dict[str, Any]) -> None:
    """Add the results that the table uses."""
    output_json["quick"] = config.getoption("quick")
    output_json["results"] = [result.json() for result in config.stash[RESULTS]]

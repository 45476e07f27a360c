"""Runs the rows under pytest, with the fixture `benchmark` of pytest-benchmark or of pytest-codspeed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lrkern.bench.report import machine, versions
from lrkern.bench.settings import Settings
from lrkern.bench.timing import buffers
from lrkern.bench.timing.result import Result
from lrkern.bench.timing.sizes import Sizes, of

RESULTS = pytest.StashKey[list[Result]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--quick`."""
    parser.addoption("--quick", action="store_true", help="small sizes: does everything run?")


def pytest_configure(config: pytest.Config) -> None:
    """Prepare the list of results; set the options of pytest-benchmark, which would be errors in addopts without it."""
    config.stash[RESULTS] = []
    config.option.benchmark_disable_gc = True
    config.option.benchmark_quiet = True


@pytest.fixture(scope="session")
def sizes(pytestconfig: pytest.Config) -> Sizes:
    """The sizes of the rows."""
    return of(Settings(quick=pytestconfig.getoption("quick")))


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
    """Add the results, so that `lrkern bench --from` and `--compare` read the file."""
    output_json["quick"] = config.getoption("quick")
    version = versions.current()
    output_json["results"] = [replace(result, version=version).json() for result in config.stash[RESULTS]]

"""The rows under pytest: `pytest bench` needs pytest-benchmark or pytest-codspeed, not both."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import lrkern as lk
from lrkern.bench.report import store

ROOT = Path(__file__).parents[2]
WORDS = "(float32-cumulative and not fill) or call-sgd_step"

STAND_IN = """
import pytest

class Fixture:
    def __init__(self):
        self.extra_info = {}

    def pedantic(self, target, args=(), kwargs={}, setup=None, teardown=None, rounds=1, warmup_rounds=0, iterations=1):
        for _ in range(rounds):
            if setup is not None:
                setup()
            target(*args, **kwargs)

@pytest.fixture
def benchmark():
    return Fixture()
"""
"""The fixture as pytest-codspeed has it, for machines without."""

pytestmark = pytest.mark.skipif(not (ROOT / "bench" / "pytest.ini").exists(), reason="needs the source checkout")


def rows_in_pytest(*options: str, folder: Path) -> str:
    """What pytest prints for two rows; without plugins but those of the options."""
    path = os.pathsep.join([str(folder), str(ROOT), *filter(None, sys.path)])
    environment = os.environ | {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", str(ROOT / "bench"), "-q", "--quick", "-k", WORDS, *options]
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_with_the_fixture_of_codspeed_alone(tmp_path):
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    assert "2 passed" in rows_in_pytest("-p", "stand_in", "-p", "no:benchmark", folder=tmp_path)


@pytest.mark.parametrize("plugin", ["pytest_codspeed", "pytest_benchmark"])
def test_with_one_plugin(plugin, tmp_path):
    pytest.importorskip(plugin)
    assert "2 passed" in rows_in_pytest("-p", f"{plugin}.plugin", folder=tmp_path)


def test_results_are_in_the_file_of_pytest_benchmark(tmp_path):
    pytest.importorskip("pytest_benchmark")
    file = tmp_path / "run.json"
    assert "2 passed" in rows_in_pytest("-p", "pytest_benchmark.plugin", f"--benchmark-json={file}", folder=tmp_path)
    run = store.read(file, "--from")
    assert {result.row for result in run.results} == {"float32", "call"}
    assert all(result.version for result in run.results)
    assert run.machine["versions"]["lrkern"] == lk.__version__

"""The harnesses of tests/c/fuzz: their committed inputs under the sanitizers, by a compiler that need not know libFuzzer."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "tests" / "c" / "fuzz" / "run.py"
HARNESSES = ("plans", "steps", "scans")


@pytest.mark.sanitizers
@pytest.mark.parametrize("harness", HARNESSES)
def test_committed_inputs_show_no_fault(harness: str) -> None:
    done = subprocess.run([sys.executable, str(RUN), "--replay", "--harness", harness], capture_output=True, text=True)
    if "cannot find" in done.stderr and "san" in done.stderr:
        pytest.skip(f"no sanitizers: {done.stderr[-200:]}")
    if "unexpected memory mapping" in done.stdout:
        pytest.skip("the sanitizer cannot run in this address space")
    assert done.returncode == 0, done.stdout + done.stderr
    inputs = len(list((RUN.parent / "corpus" / harness).iterdir()))
    assert inputs > 20
    assert f"{harness}: {inputs} inputs, nothing wrong" in done.stdout


@pytest.mark.sanitizers
def test_an_input_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "input").write_bytes(bytes(range(1, 100)))
    command = [sys.executable, str(RUN), "--harness", "plans", "--replay", str(tmp_path / "input")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "table of 2 steps" in done.stdout, done.stdout + done.stderr
    assert "from lrkern import _core" in done.stdout

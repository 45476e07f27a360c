"""When threads share work: by the time that jobs like it have taken in this process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which("cc") or shutil.which("gcc")


@pytest.mark.skipif(COMPILER is None or not (ROOT / "src_c").is_dir(), reason="needs a C compiler and the sources")
def test_judgements(tmp_path: Path) -> None:
    program = tmp_path / "policy"
    sources = [str(ROOT / "tests/c/policy.c"), *map(str, sorted((ROOT / "src_c/runtime").glob("*.c")))]
    flags = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-pthread", f"-I{ROOT / 'src_c'}"]
    subprocess.run([str(COMPILER), *flags, *sources, "-o", str(program)], check=True)
    done = subprocess.run([str(program)], env=os.environ | {"LRKERN_POOL": "own"}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


SLOW_RULE = """
import os
import numpy as np
import lrkern as lk
from lrkern.rules import sqrt

@lk.rule()
def slow(p, g, *, lr=0.1):
    ROOTS
    return p - lr * LAST

lk.set_threads(2)
p, g = np.ones(4096), np.full(4096, 0.25)
step = slow.Optimizer([p])
step.step([g])
before = len(os.listdir("/proc/self/task"))
for i in range(100):
    step.step([g])
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
@pytest.mark.parametrize(("roots", "workers"), [(0, 0), (100, 1)])
def test_threads_come_for_a_rule_that_takes_long(roots: int, workers: int, tmp_path: Path) -> None:
    """100 KB are expected to take 1 us. A hundred roots of each of 4096 elements take a hundred times as long."""
    pytest.importorskip("llvmlite")
    program = tmp_path / "slow.py"
    lines = ["g0 = g", *(f"g{i + 1} = sqrt(g{i})" for i in range(roots))]
    program.write_text(SLOW_RULE.replace("ROOTS", "\n    ".join(lines)).replace("LAST", f"g{roots}"))
    settings = os.environ | {"LRKERN_POOL": "own", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    done = subprocess.run([sys.executable, str(program)], env=settings, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, f"{workers}\n"), done.stderr

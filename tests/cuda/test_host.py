"""The host side of lrkern.cuda, with the real compiler on a fake driver (driver.c), not in the simulator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.cuda

HERE = Path(__file__).parent


def test_launches_streams_and_captures(tmp_path):
    library = tmp_path / "libcuda.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-w", HERE / "driver.c", "-o", library, "-ldl"], check=True)
    (tmp_path / "libcuda.so").symlink_to(library)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    command = [sys.executable, "-W", "error", HERE / "on_driver.py", library]  # numba-cuda warns of small grids
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.stdout == "done\n", found.stdout + found.stderr

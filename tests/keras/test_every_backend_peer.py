"""The tests of `lrkern.keras` on the backends other than that of this process."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_keras_schedule_peer import keras

pytestmark = [pytest.mark.peers, pytest.mark.slow]

HERE = Path(__file__).parent


@pytest.mark.parametrize("backend", ["jax", "torch", "tensorflow"])
def test_on(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    if backend == keras.backend.backend():
        pytest.skip("the backend of this process")
    files = [HERE / f"test_keras_{one}_peer.py" for one in ("schedule", "callbacks", "page")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "peers", *files]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout.splitlines()[-1]

"""Tests of the CUDA backend: `make test-cuda`. numba-cuda and its simulator exclude each other in one process.

Both run all tests but those in LEFT_OUT, of compiled kernels and of the fake device, which need the former.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
NEED_A_COMPILER = ["test_ptx.py", "test_host.py", "test_emulator.py", "test_shipped.py"]
LEFT_OUT = NEED_A_COMPILER if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1" else []


def pytest_ignore_collect(collection_path, config):
    """Collect these tests only on request: importing them takes seconds and needs a compiler."""
    if collection_path.suffix == ".py" and (config.option.markexpr != "cuda" or collection_path.name in LEFT_OUT):
        return True
    return None

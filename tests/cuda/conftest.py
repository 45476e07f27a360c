"""Tests of the CUDA backend: `make test-cuda`. PTX and the simulator exclude each other in one process."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
collect_ignore = ["test_ptx.py"] if SIMULATED else ["test_simulated.py"]

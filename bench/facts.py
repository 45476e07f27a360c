"""Table entries that are not times of calls: errors, rounding, import time."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np

from bench import checks
from bench.curves import BY_NAME, CURVES, PEAK
from bench.row import Fact
from bench.sizes import Sizes

EVERY = tuple(curve.name for curve in CURVES)

IMPORT = """
import importlib, sys, time
import numpy
begin = time.perf_counter()
importlib.import_module(sys.argv[1])
print(time.perf_counter() - begin)
"""


def max_error(case: str, sizes: Sizes) -> float:
    """The largest error found, in ULP, for a short and a long schedule."""
    worst = 0.0
    for n in (5000, sizes.compile_steps):
        schedule = BY_NAME[case].build(n, PEAK)
        worst = max(worst, checks.largest_error(schedule, schedule.table(n), sizes.points)[0])
    return worst


def float32_differences(case: str, sizes: Sizes) -> float:
    """The number of values in a float32 table that are not the float64 value rounded once."""
    n = sizes.compile_steps
    schedule = BY_NAME[case].build(n, PEAK)
    rounded = schedule.table(n).astype(np.float32)
    return float(np.count_nonzero(rounded.view(np.uint32) != schedule.table(n, dtype=np.float32).view(np.uint32)))


def import_time(case: str, sizes: Sizes) -> float:
    """Milliseconds for `import lrkern` in a new process that has already imported NumPy."""
    command = [sys.executable, "-c", IMPORT, case]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with tempfile.TemporaryDirectory() as folder:
        environment["PYTHONPYCACHEPREFIX"] = folder
        times = [
            float(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
            for _ in range(sizes.imports + 1)
        ]
    return 1e3 * statistics.median(times[1:])  # the first one compiles byte code


FACTS = [
    Fact("error", EVERY, max_error),
    Fact("float32", EVERY, float32_differences),
    Fact("import", ("lrkern",), import_time),
]

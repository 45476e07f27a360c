"""Table entries that are not times of repeated calls: errors, rounding, import time, first calls."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from lrkern.bench.curves import BY_NAME, CURVES, PEAK
from lrkern.bench.settings import current
from lrkern.bench.timing import checks, exact
from lrkern.bench.timing.row import Fact
from lrkern.bench.timing.sizes import Sizes

EVERY = tuple(curve.name for curve in CURVES)

IMPORT = """
import importlib, sys, time
import {before}
sys.pycache_prefix = sys.argv[2]
begin = time.perf_counter()
importlib.import_module(sys.argv[1])
print(time.perf_counter() - begin)
"""


EMPTY, FILLED = "empty cache", "filled cache"
FIRST = """
import sys, time
import numba
import numpy as np
import lrkern as lk
param, grad, what = np.ones(64, np.float32), np.ones(64, np.float32), sys.argv[1]
begin = time.perf_counter()
if what == "own rule":
    own = lk.rule("m")("def own(p, g, m, *, lr, beta=0.9):\\n    a = beta * m + g\\n    return p - lr * a, a")
    own.Optimizer([param], 1e-3).step([grad])
elif what == "table":
    lk.cosine(0.1, 0.0, 1000).table(1000, backend="numba")
else:
    getattr(lk, what)([param], 1e-3, backend="numba").step([grad])
print(time.perf_counter() - begin)
"""


def max_error(case: str, sizes: Sizes) -> float:
    """The largest error found, in ULP, for a short and a long schedule."""
    worst = 0.0
    for n in (5000, sizes.compile_steps):
        schedule = BY_NAME[case].build(n, PEAK)
        worst = max(worst, exact.largest_error(schedule, schedule.table(n), checks.sampled_steps(n, sizes.points))[0])
    return worst


def float32_differences(case: str, sizes: Sizes) -> float:
    """The number of values in a float32 table that are not the float64 value rounded once."""
    n = sizes.compile_steps
    schedule = BY_NAME[case].build(n, PEAK)
    rounded = schedule.table(n).astype(np.float32)
    return float(np.count_nonzero(rounded.view(np.uint32) != schedule.table(n, dtype=np.float32).view(np.uint32)))


def seconds_of(code: str, arguments: list[str], environment: dict[str, str]) -> float:
    """What a new process prints; if it fails, the error is its last line."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().rpartition("\n")[2])
    return float(done.stdout)


def as_of_users(**more: str) -> dict[str, str]:
    """The environment of a process that keeps byte code, as Python does unless it is told otherwise."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | more


def import_time(case: str, sizes: Sizes) -> float:
    """Milliseconds for an import in a new process that has already imported NumPy, or torch."""
    with tempfile.TemporaryDirectory() as folder:  # of byte code, which may not be there; torch's is not compiled again
        code = IMPORT.format(before=IMPORTS[case])
        times = [seconds_of(code, [case, folder], as_of_users()) for _ in range(sizes.imports + 1)]
    return 1e3 * statistics.median(times[1:] or times)  # the first one compiles byte code


def first_call(case: str, sizes: Sizes) -> float:
    """Seconds of a first call in a new process that has imported Numba: of its backend, with an empty or filled cache, or of a
    rule of one's own."""
    what, _, cache = case.partition(", ")
    with tempfile.TemporaryDirectory() as folder:
        environment = as_of_users(NUMBA_CACHE_DIR=folder)
        runs = 1 if cache == EMPTY else 1 + sizes.first_calls
        times = [seconds_of(FIRST, [what], environment) for _ in range(runs)]
    return times[0] if cache == EMPTY else statistics.median(times[1:])


def extension_size(case: str, sizes: Sizes) -> float:
    """MiB of a module of the package, as it was built."""
    return Path(str(import_module(f"lrkern.{case}").__file__)).stat().st_size / 2**20


def quick_run(case: str, sizes: Sizes) -> float:
    """Seconds of `lrkern bench --quick`, in a new process."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lrkern.bench", "--quick", "--json", f"{folder}/quick.json"]
        rivals = current().rivals
        begin = time.perf_counter()
        done = subprocess.run(
            [*command, *(() if rivals is None else ("--rivals", ",".join(rivals)))],
            env=as_of_users(),
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - begin
    if done.returncode:
        failed = [line for line in done.stdout.splitlines() if line.startswith("Failed")]
        raise RuntimeError("; ".join(failed) or done.stderr.strip().rpartition("\n")[2])
    return seconds


IMPORTS = {"lrkern": "numpy", "lrkern.torch": "torch"}
"""Modules -> what a program has imported before."""

OWN = "own rule"
FIRST_CALLS = (*(f"{what}, {cache}" for cache in (FILLED, EMPTY) for what in ("AdamW", "SGD", "table")), OWN)
FACTS = [
    Fact("error", EVERY if exact.available() else (), max_error),
    Fact("float32", EVERY, float32_differences),
    Fact("import", ("lrkern",), import_time),
    Fact("import-torch", ("lrkern.torch",) if find_spec("torch") is not None else (), import_time),
    Fact("extension-size", ("_core",), extension_size),
    Fact("quick-run", ("all rows",), quick_run, quickly=()),
    Fact("first-call", FIRST_CALLS if find_spec("numba") is not None else (), first_call),
]

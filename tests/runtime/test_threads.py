"""Both pools of threads: every task runs once for any number of threads, callers and forks; and their default size."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lrkern as lk
from lrkern import _core

ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which("cc") or shutil.which("gcc")

ADDRESSES = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
BUILDS = {
    "plain": ["-O2"],
    "openmp": ["-O2", "-fopenmp"],
    "thread-sanitizer": ["-O1", "-g", "-fsanitize=thread"],  # which does not know how OpenMP's threads synchronize
    "address-sanitizer": ADDRESSES,
    "openmp-address-sanitizer": ["-fopenmp", *ADDRESSES],
}
RUNS = [(build, pool) for build in BUILDS for pool in (("own", "openmp", "auto") if "openmp" in build else ("auto",))]


@pytest.mark.skipif(COMPILER is None or not (ROOT / "src_c").is_dir(), reason="needs a C compiler and the sources")
@pytest.mark.parametrize(
    ("build", "pool"), [pytest.param(*one, marks=pytest.mark.sanitizers if "sanitizer" in one[0] else []) for one in RUNS]
)
def test_pool(build: str, pool: str, tmp_path: Path) -> None:
    program = tmp_path / "pool"
    sources = [str(ROOT / "tests/c/pool.c"), *map(str, sorted((ROOT / "src_c/runtime").glob("*.c")))]
    flags = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-pthread", f"-I{ROOT / 'src_c'}", *BUILDS[build]]
    compiled = subprocess.run([str(COMPILER), *flags, *sources, "-o", str(program)], capture_output=True, text=True)
    if compiled.returncode and build != "plain" and re.search("fsanitize|fopenmp|-l[a-z]*san|gomp|omp", compiled.stderr):
        pytest.skip(f"no {build} here: {compiled.stderr[-200:]}")
    assert compiled.returncode == 0, compiled.stderr
    # Sanitizers accept threads lost in a fork, but some do not survive a fork.
    arguments = ["3", "no-fork"] if "sanitizer" in build else ["20"]
    settings = os.environ | {"LRKERN_POOL": pool, "OMP_NUM_THREADS": "4"}
    done = subprocess.run([str(program), *arguments], env=settings, capture_output=True, text=True, timeout=150)
    if "sanitizer" in build and "unexpected memory mapping" in done.stderr:
        pytest.skip("the sanitizer cannot run in this address space")
    assert done.returncode == 0, done.stdout + done.stderr


def threads_of(code: str = "print(lk.get_threads())", **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key not in ("LRKERN_NUM_THREADS", "OMP_NUM_THREADS")}
    return subprocess.run(
        [sys.executable, "-c", f"import lrkern as lk; {code}"],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("environment", "threads"),
    [
        ({"LRKERN_NUM_THREADS": "3"}, 3),
        ({"LRKERN_NUM_THREADS": " 5 "}, 5),
        ({"LRKERN_NUM_THREADS": "3", "OMP_NUM_THREADS": "7"}, 3),
        ({"LRKERN_NUM_THREADS": "", "OMP_NUM_THREADS": "7"}, 7),
        ({"OMP_NUM_THREADS": "6,2"}, 6),
        ({"LRKERN_NUM_THREADS": "1024"}, 1024),
    ],
)
def test_environment(environment: dict[str, str], threads: int) -> None:
    assert threads_of(**environment).stdout == f"{threads}\n"


@pytest.mark.parametrize("value", ["0", "-1", "many", "2.5", "1025", "99999999999999999999", "3x"])
def test_wrong_environment_of_lrkern(value: str) -> None:
    done = threads_of(LRKERN_NUM_THREADS=value)
    assert done.returncode == 1
    message = f"ImportError: lrkern: LRKERN_NUM_THREADS must be an integer in 1..1024; got {value!r}"
    assert done.stderr.strip().endswith(message)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="no CPU affinity here")
def test_cpus_of_the_process() -> None:
    """By affinity; `test_cpus.py` has the quotas of control groups."""
    count = int(threads_of().stdout)
    assert 1 <= count <= len(os.sched_getaffinity(0))
    assert threads_of(OMP_NUM_THREADS="nonsense").stdout == f"{count}\n"
    one = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(lk.get_threads())"
    assert threads_of(one).stdout == "1\n"


def test_set_threads() -> None:
    before = lk.get_threads()
    try:
        for n in (1, 2, 7, _core.MAX_THREADS):
            lk.set_threads(n)
            assert lk.get_threads() == n
        for bad in (0, -1, _core.MAX_THREADS + 1):
            with pytest.raises(ValueError, match="set_threads: n must be an integer"):
                lk.set_threads(bad)
            assert lk.get_threads() == _core.MAX_THREADS
    finally:
        lk.set_threads(before)


def test_no_threads_before_a_job_needs_them() -> None:
    code = """
import os, numpy as np
count = lambda: len(os.listdir("/proc/self/task"))
lk.set_threads(3)
before = count()
p = np.zeros(100); lk.sgd_step(p, p + 1, lr=0.1)
assert count() == before
p = np.zeros(1_000_000); lk.sgd_step(p, p + 1, lr=0.1)
assert count() == before + 2, (count(), before)
lk.set_threads(2); lk.sgd_step(p, p + 1, lr=0.1)
assert count() == before + 1
"""
    if not os.path.isdir("/proc/self/task"):
        pytest.skip("no list of threads here")
    done = subprocess.run([sys.executable, "-c", "import lrkern as lk\n" + code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr

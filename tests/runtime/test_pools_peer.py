"""On the threads of the OpenMP runtime that torch brings."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")

pytestmark = [pytest.mark.peers, pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")]

BEGIN = """
import os, signal
import numpy as np
import torch
import lrkern as lk
from lrkern import _core

torch.set_num_threads(2)
lk.set_threads(2)
a = torch.randn(500, 500)
size = 1_000_003
grad = torch.randn(size)

def bits():
    param = torch.zeros(size)
    opt = lk.AdamW([param], 0.1)
    for _ in range(2):
        a @ a
        opt.step([grad])
    return param.numpy().tobytes()

def expected():
    lk.set_threads(1)
    found = bits()
    lk.set_threads(2)
    return found

def threads():
    return len(os.listdir("/proc/self/task"))

wanted = expected()
before = threads()
"""


def run(code: str, pool: str) -> str:
    settings = os.environ | {"LRKERN_POOL": pool}
    command = [sys.executable, "-W", "ignore", "-c", BEGIN + code]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("pool", ["auto", "own", "openmp"])
def test_bits(pool: str) -> None:
    code = """
print(all(bits() == wanted for _ in range(5)), lk.info()["pool"] != "own", threads() - before)
"""
    same, openmp, started = run(code, pool).split()
    assert same == "True"
    assert openmp == str(pool != "own")
    if pool != "auto":
        assert started == ("0" if pool == "openmp" else "1")


def test_the_limit_of_torch() -> None:
    code = """
print(_core.job_threads())
torch.set_num_threads(1)
print(_core.job_threads(), bits() == wanted)
"""
    assert run(code, "auto").split() == ["2", "1", "True"]
    assert run(code, "own").split() == ["2", "2", "True"]


@pytest.mark.parametrize("pool", ["auto", "own", "openmp"])
def test_forks(pool: str) -> None:
    """In a child, torch itself would wait forever for its threads, but this library's steps do not."""
    code = """
bits()
param = torch.zeros(size)
opt = lk.AdamW([param], 0.1)
child = os.fork()
if child == 0:
    signal.alarm(120)
    opt.step([grad])
    opt.step([grad])
    os._exit(param.numpy().tobytes() != wanted or lk.info()["pool"] != "own")
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), bits() == wanted)
"""
    assert run(code, pool) == "0 True"

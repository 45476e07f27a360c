"""The choice of the instruction set, at import, by LRKERN_ISA and by use_isa; and that its kernels really run."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lrkern as lk
from lrkern import _core

# The CPU's features, from another source than the package uses.
FLAGS = {"avx2": {"avx2", "fma"}, "avx512": {"avx512f", "avx512dq", "avx512vl", "avx512bw", "avx2", "fma"}}


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key != "LRKERN_ISA"}
    return subprocess.run([sys.executable, "-c", code], env=kept | environment, capture_output=True, text=True, timeout=60)


SHOW = "import lrkern as lk, lrkern._core as c; print(c.active_isa(), *lk.isas())"


def test_what_is_there() -> None:
    isas = lk.isas()
    assert isas[0] == "scalar"
    if platform.machine() == "aarch64":
        assert isas == ("scalar", "neon")
    elif platform.machine() == "x86_64" and os.path.exists("/proc/cpuinfo"):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = set(next(line for line in lines if line.startswith("flags")).split())
        assert isas == ("scalar", *(isa for isa, needed in FLAGS.items() if needed <= flags))


def test_widest_is_the_default() -> None:
    assert run(SHOW).stdout.split() == [lk.isas()[-1], *lk.isas()]
    assert run(SHOW, LRKERN_ISA="").stdout.split()[0] == lk.isas()[-1]


@pytest.mark.parametrize("isa", lk.isas())
def test_environment(isa: str) -> None:
    assert run(SHOW, LRKERN_ISA=isa).stdout.split() == [isa, *lk.isas()]


@pytest.mark.parametrize("value", ["sse9", "AVX2", "avx", "scalar ", "neon,avx2", "é"])
def test_environment_that_cannot_be(value: str) -> None:
    done = run(SHOW, LRKERN_ISA=value)
    assert done.returncode == 1
    message = f"ImportError: lrkern: LRKERN_ISA must be one of {', '.join(lk.isas())}; got {value!r}"
    assert done.stderr.strip().endswith(message)


def test_foreign_isa_is_refused() -> None:
    foreign = "neon" if platform.machine() == "x86_64" else "avx512"
    assert foreign not in lk.isas()
    assert "LRKERN_ISA must be one of" in run(SHOW, LRKERN_ISA=foreign).stderr


def test_use_isa() -> None:
    before = _core.active_isa()
    for isa in lk.isas():
        with lk.use_isa(isa):
            assert _core.active_isa() == isa
            with lk.use_isa("scalar"):
                assert _core.active_isa() == "scalar"
            assert _core.active_isa() == isa
        assert _core.active_isa() == before
    with pytest.raises(ValueError, match=r"use_isa: name must be .*; got 'sse9'"), lk.use_isa("sse9"):
        pass
    with pytest.raises(ZeroDivisionError), lk.use_isa("scalar"):
        raise ZeroDivisionError
    assert _core.active_isa() == before


@pytest.mark.parametrize("isa", lk.isas())
def test_the_kernels_of_that_isa_run(isa: str) -> None:
    opt = lk.SGD([np.zeros(100)], 0.1)
    assert opt._tensors.isa is None
    with lk.use_isa(isa):
        opt.step([np.ones(100)])
    assert opt._tensors.isa == isa


REGISTERS = {"avx2": "%ymm", "avx512": "%zmm"}


@pytest.mark.skipif(shutil.which("objdump") is None, reason="needs objdump")
@pytest.mark.skipif(platform.machine() != "x86_64", reason="looks for x86 registers")
@pytest.mark.parametrize("rule", ["sgd", "sgd_momentum"])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("isa", REGISTERS)
def test_kernels_are_vector_code(isa: str, dtype: str, rule: str) -> None:
    """The compiler vectorizes the code: if a change prevents that, only this test and timings show it."""
    name = f"lrk_step_{rule}_{dtype}_{isa}"
    done = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", f"--disassemble={name}", _core.__file__], capture_output=True, text=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(" ")]
    if not lines:
        pytest.skip("the symbols are stripped")
    fused = [line for line in lines if "fmadd" in line or "fnmadd" in line]
    assert any(REGISTERS[isa] in line for line in fused), f"{name} uses no {REGISTERS[isa]}"
    assert not any("call" in line for line in lines)


def test_plan_kernels_are_as_wide_as_their_isa():
    """A kernel compiled for other vectors than its name says has the same results, but is slow."""
    lanes = {"scalar": 1, "neon": 2, "avx2": 4, "avx512": 8}
    for isa in lk.isas():
        with lk.use_isa(isa):
            assert _core.active_lanes() == lanes[isa]

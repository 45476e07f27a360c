"""The step kernels without Python: the same bits from every compiler, optimisation level and machine; nothing undefined."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

import lrkern as lk

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    str(ROOT / name)
    for name in (
        "tests/c/steps.c",
        "src_c/steps/run.c",
        "src_c/steps/pipeline.c",
        "src_c/steps/pieces.c",
        "src_c/steps/norms.c",
        "src_c/steps/list.c",
        "src_c/steps/own_rules.c",
        "src_c/steps/scalars.c",
        "src_c/arithmetic/exact_sum.c",
    )
]
SOURCES += sorted((ROOT / "src_c/runtime").glob("*.c"))
FLAGS = ["-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-pthread", f"-I{ROOT / 'src_c'}"]

# What every build prints. The steps themselves are checked in test_exact.py.
HASH = "92102c866e840a19"

EMULATOR = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
AARCH64 = ["aarch64-linux-gnu-gcc", "-static"]
AVX512 = ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma", "-mprefer-vector-width=512"]

ADDRESS = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
THREAD = ["-O2", "-g", "-fsanitize=thread"]

# name -> compiler and flags, the ISA that this machine must have, what runs the program
BUILDS: dict[str, tuple[list[str], str | None, str | None]] = {
    "O0": (["cc", "-O0"], None, None),
    "O3": (["cc", "-O3"], None, None),
    "O2-avx2": (["cc", "-O2", "-mavx2", "-mfma"], "avx2", None),
    "O2-avx512": (["cc", "-O2", *AVX512], "avx512", None),
    "O3-avx512": (["cc", "-O3", *AVX512], "avx512", None),
    "clang": (["clang", "-O3"], None, None),
    "clang-avx2": (["clang", "-O3", "-mavx2", "-mfma"], "avx2", None),
    "aarch64": ([*AARCH64, "-O3", "-fno-tree-vectorize"], None, EMULATOR),
    "aarch64-neon": ([*AARCH64, "-O3"], None, EMULATOR),
}
SANITIZED: dict[str, tuple[list[str], str | None, str | None]] = {
    "address": (["cc", "-O1", *ADDRESS], None, None),
    "address-avx2": (["cc", "-O3", "-mavx2", "-mfma", *ADDRESS], "avx2", None),
    "address-clang": (["clang", "-O1", *ADDRESS], None, None),  # which knows of more that is undefined
    "thread": (["cc", *THREAD], None, None),
    "thread-avx2": (["cc", *THREAD, "-mavx2", "-mfma"], "avx2", None),
}


def compiled(build: tuple[list[str], str | None, str | None], program: Path) -> list[str]:
    """The command that runs the program, built so; skips where this machine cannot."""
    (compiler, *flags), isa, emulator = build
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    if isa is not None and isa not in lk.isas():
        pytest.skip(f"no {isa}")
    if "aarch64" in compiler and emulator is None and platform.machine() != "aarch64":
        pytest.skip("no qemu-aarch64")
    done = subprocess.run([compiler, *FLAGS, *flags, *SOURCES, "-lm", "-o", str(program)], capture_output=True, text=True)
    if done.returncode and "-fsanitize" in " ".join(flags) and "san" in done.stderr:
        pytest.skip(f"no sanitizers: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    return [*([emulator] if emulator else []), str(program)]


def assert_hash(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("the sanitizer cannot run in this address space")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == HASH


# Without and with optimisation. Other levels, compilers and machines take a minute each: `make sanitize` builds them. (The
# package is built with -O3, and its steps are checked in Python.)
MARKS = {"O0": [], "O2-avx512": [], "O2-avx2": [pytest.mark.exhaustive]}


@pytest.mark.parametrize("build", [pytest.param(one, marks=MARKS.get(one, [pytest.mark.sanitizers])) for one in BUILDS])
def test_same_hash(build: str, tmp_path: Path) -> None:
    command = compiled(BUILDS[build], tmp_path / "steps")
    assert_hash(command)
    if build in ("O2-avx2", "O3", "clang-avx2"):
        assert_hash([*command, "together"])


@pytest.mark.sanitizers
@pytest.mark.parametrize("build", SANITIZED)
def test_sanitizers_see_nothing(build: str, tmp_path: Path) -> None:
    """One after the other on 1 to 8 threads, then from several threads at once and (which not all survive) in forks."""
    command = compiled(SANITIZED[build], tmp_path / "steps")
    assert_hash(command)
    assert_hash([*command, "together", *(["no-fork"] if "thread" in build else [])])

"""The CPUs that a process may use: its affinity, and the quota of its control groups, read from made-up /proc and /sys."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILER = shutil.which("cc") or shutil.which("gcc")

pytestmark = pytest.mark.skipif(
    COMPILER is None or not (ROOT / "src_c").is_dir() or not hasattr(os, "sched_getaffinity"),
    reason="needs a C compiler, the sources and Linux",
)

V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "33 25 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:12 - cgroup cgroup rw,cpu,cpuacct"
CPUSET = "34 25 0:30 / /sys/fs/cgroup/cpuset rw shared:13 - cgroup cgroup rw,cpuset"
DISK = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw"
G2, G1 = "sys/fs/cgroup", "sys/fs/cgroup/cpu,cpuacct"


def v1(folder: str, quota: object, period: object = 100000) -> dict[str, str]:
    return {f"{folder}/cpu.cfs_quota_us": f"{quota}\n", f"{folder}/cpu.cfs_period_us": f"{period}\n"}


# mounts, groups, files -> CPUs; 0: no quota
CASES = {
    "nothing": ([], [], {}, 0),
    "no groups": ([DISK], [], {}, 0),
    "unlimited": ([V2], ["0::/a"], {f"{G2}/a/cpu.max": "max 100000\n"}, 0),
    "whole": ([V2], ["0::/a"], {f"{G2}/a/cpu.max": "300000 100000\n"}, 3),
    "rounded up": ([V2], ["0::/a"], {f"{G2}/a/cpu.max": "200001 100000\n"}, 3),
    "less than one": ([V2], ["0::/a"], {f"{G2}/a/cpu.max": "1000 100000\n"}, 1),
    "another period": ([V2], ["0::/a"], {f"{G2}/a/cpu.max": "100000 20000\n"}, 5),
    "no period": ([V2], ["0::/a"], {f"{G2}/a/cpu.max": "200000\n"}, 2),
    "the parent's": ([DISK, V2], ["0::/a/b"], {f"{G2}/a/b/cpu.max": "max 100000\n", f"{G2}/a/cpu.max": "200000 100000\n"}, 2),
    "the least": ([V2], ["0::/a/b"], {f"{G2}/a/b/cpu.max": "700000 100000\n", f"{G2}/a/cpu.max": "800000 100000\n"}, 7),
    "a group without the file": ([V2], ["0::/a/b"], {f"{G2}/a/cpu.max": "400000 100000\n"}, 4),
    "a namespace": ([V2], ["0::/"], {f"{G2}/cpu.max": "200000 100000\n"}, 2),
    "beyond a namespace": ([V2], ["0::/../other"], {f"{G2}/cpu.max": "200000 100000\n"}, 2),
    "above the mount": ([V2], ["0::/a"], {"sys/fs/cpu.max": "100000 100000\n"}, 0),
    "another's": ([V2], ["0::/a"], {f"{G2}/b/cpu.max": "100000 100000\n"}, 0),
    "a part is mounted": ([V2.replace(" / ", " /a ", 1)], ["0::/a/b"], {f"{G2}/b/cpu.max": "200000 100000\n"}, 2),
    "a name that begins alike": ([V2.replace(" / ", " /a ", 1)], ["0::/ab"], {f"{G2}/cpu.max": "200000 100000\n"}, 2),
    "version 1": ([V1], ["4:cpu,cpuacct:/a"], v1(f"{G1}/a", 250000), 3),
    "version 1, unlimited": ([V1], ["4:cpu,cpuacct:/a"], v1(f"{G1}/a", -1), 0),
    "version 1, the parent's": ([V1], ["4:cpu,cpuacct:/a/b"], v1(f"{G1}/a/b", -1) | v1(f"{G1}/a", 50000, 25000), 2),
    "version 1, a container": ([V1.replace(" / ", " /docker/1f ", 1)], ["4:cpuacct,cpu:/docker/1f"], v1(G1, 200000), 2),
    "version 1, other controllers": ([CPUSET], ["3:cpuset:/a"], v1("sys/fs/cgroup/cpuset/a", 200000), 0),
    "version 1, another hierarchy": ([V1], ["3:cpuset:/b", "4:cpu:/a"], v1(f"{G1}/b", 100000) | v1(f"{G1}/a", 200000), 2),
    "both": ([V1, V2], ["4:cpu:/a", "0::/b"], v1(f"{G1}/a", 300000) | {f"{G2}/b/cpu.max": "200000 100000\n"}, 2),
    "no numbers": ([V1, V2], ["4:cpu:/a", "0::/a"], v1(f"{G1}/a", "many") | {f"{G2}/a/cpu.max": "\n"}, 0),
    "no time": ([V1, V2], ["4:cpu:/a", "0::/a"], v1(f"{G1}/a", 1000, 0) | {f"{G2}/a/cpu.max": "1000 0\n"}, 0),
    "odd lines": (["", " - ", V2[:20], " - cgroup2", V2], ["", ":", "0:", "0::/a"], {f"{G2}/a/cpu.max": "200000 100000\n"}, 2),
    "huge": ([V2], ["0::/a"], {f"{G2}/a/cpu.max": "9223372036854775807 1\n"}, 2**31 - 1),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    target = tmp_path_factory.mktemp("cpus") / "cpus.so"
    sources = [f"-I{ROOT / 'src_c'}", str(ROOT / "src_c/runtime/cpus.c")]
    subprocess.run([str(COMPILER), "-std=c11", "-O1", "-shared", "-fPIC", *sources, "-o", str(target)], check=True)
    return ctypes.CDLL(str(target))


@pytest.mark.parametrize("case", CASES)
def test_quota(case: str, library: ctypes.CDLL, tmp_path: Path) -> None:
    mounts, groups, files, expected = CASES[case]
    lists = {"proc/self/mountinfo": mounts, "proc/self/cgroup": groups}
    lines = {name: "".join(f"{line}\n" for line in some) for name, some in lists.items() if some}
    for name, text in {**files, **lines}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert library.lrk_cpu_quota(os.fsencode(tmp_path)) == expected


def test_a_long_path(library: ctypes.CDLL, tmp_path: Path) -> None:
    """Paths that no file can have are left out."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(f"{V2}\n")
    (tmp_path / "proc/self/cgroup").write_text(f"0::{'/long' * 2000}\n")
    assert library.lrk_cpu_quota(os.fsencode(tmp_path)) == 0
    assert library.lrk_cpu_quota(b"/x" * 5000) == 0


def test_cpus(library: ctypes.CDLL) -> None:
    """The quota counts if it is less than the affinity."""
    affinity, quota = len(os.sched_getaffinity(0)), library.lrk_cpu_quota(b"")
    count = min(affinity, quota) if quota else affinity
    assert library.lrk_cpus() == count
    settings = {name: value for name, value in os.environ.items() if name not in ("LRKERN_NUM_THREADS", "OMP_NUM_THREADS")}
    command = [sys.executable, "-c", "import lrkern as lk; print(lk.get_threads())"]
    assert subprocess.run(command, env=settings, capture_output=True, text=True, check=True).stdout == f"{count}\n"

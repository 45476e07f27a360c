"""Whose threads do the work: the library's own, or those of an OpenMP runtime that others have loaded."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lrkern as lk

COMPILER = shutil.which("cc") or shutil.which("gcc")
pytestmark = pytest.mark.skipif(COMPILER is None or sys.platform != "linux", reason="needs a C compiler and Linux")

# What other packages are: a library linked with OpenMP. The runtime is visible to it alone (Python loads libraries so).
USER = """
#include <omp.h>
int use(void)
{
    int sum = 0;
#pragma omp parallel reduction(+ : sum)
    sum += 1;
    return sum;
}
void limit(int threads) { omp_set_num_threads(threads); }
int inside(int (*call)(void))
{
    int most = 0;
#pragma omp parallel reduction(max : most)
    most = call();
    return most;
}
"""

# A runtime that counts regions, and runs them on the calling thread alone: never faster than without threads.
COUNTING = """
#include <unistd.h>
int regions, asked = -1, most = 3, parallel, late;
int omp_get_max_threads(void) { return most; }
int omp_in_parallel(void) { return parallel; }
int omp_get_thread_num(void) { return 0; }
void GOMP_parallel(void (*region)(void *), void *data, unsigned threads, unsigned flags)
{
    regions++;
    asked = (int)threads + (int)flags;
    region(data);
    usleep(late); /* as if a thread came so many microseconds later */
}
"""

# Steps that several threads share, of which the bits are known.
BEGIN = """
import ctypes, os, sys
import numpy as np
import lrkern as lk
from lrkern import _core

lk.set_threads(3)
size = 1_000_003
grad = np.random.default_rng(0).standard_normal(size)

def pool():
    return os.path.basename(lk.info()["pool"])

def bits(momentum=0.9):
    param, buffer = np.zeros(grad.size), np.zeros(grad.size)
    for i in range(2):
        lk.sgd_step(param, grad, buffer, lr=0.1, momentum=momentum, first=i == 0)
    return param.tobytes()

def expected():
    lk.set_threads(1)
    found = bits()
    lk.set_threads(3)
    return found

def code_of_child(work):
    child = os.fork()
    if child == 0:
        import signal
        signal.alarm(60)  # a child that waits for threads that it has not would wait forever
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("user") / "libuser.so", USER, "-fopenmp")


def compiled(target: Path, text: str, *flags: str) -> Path:
    target.with_suffix(".c").write_text(text)
    command = [str(COMPILER), "-O1", "-shared", "-fPIC", *flags, str(target.with_suffix(".c")), "-o", str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot compile for OpenMP: {done.stderr[-200:]}")
    return target


def run(code: str, *arguments: object, pool: str = "openmp", begin: str = BEGIN, **environment: str) -> str:
    settings = os.environ | {"LRKERN_POOL": pool, "OMP_NUM_THREADS": "3"} | environment
    command = [sys.executable, "-W", "ignore", "-c", begin + code, *map(str, arguments)]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("value", ["Own", "none", "openmp ", "0"])
def test_wrong_pools(value: str) -> None:
    command = [sys.executable, "-c", "import lrkern"]
    done = subprocess.run(command, env=os.environ | {"LRKERN_POOL": value}, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    message = f"ImportError: lrkern: LRKERN_POOL must be auto, own or openmp; got {value!r}"
    assert done.stderr.strip().endswith(message)


@pytest.mark.parametrize("value", ["", "auto", "own", "openmp"])
def test_without_openmp(value: str) -> None:
    """The library's own threads, if no other library has brought a runtime."""
    assert run("print(lk.info()['pool'], _core.job_threads())", pool=value) == "own 3"


@pytest.mark.parametrize("pool", ["auto", "own", "openmp"])
def test_a_runtime_that_is_loaded_later(pool: str, user: Path) -> None:
    code = """
wanted = expected()
assert pool() == "own" and bits() == wanted
threads = len(os.listdir("/proc/self/task"))
library = ctypes.CDLL(sys.argv[1])
assert library.use() == 3
assert bits() == wanted
assert len(os.listdir("/proc/self/task")) == threads + 2, "the new threads are OpenMP's"
print(pool())
"""
    found = run(code, user, pool=pool)
    assert found == "own" if pool == "own" else found.startswith(("libgomp", "libomp", "libiomp"))


def test_no_other_threads(user: Path) -> None:
    """With OpenMP's threads, the library starts none."""
    code = """
library = ctypes.CDLL(sys.argv[1])
assert library.use() == 3
threads = len(os.listdir("/proc/self/task"))
wanted = expected()
assert all(bits() == wanted for _ in range(3))
lk.cosine(0.1, 0.0, 10**6).table(10**6)
print(len(os.listdir("/proc/self/task")) - threads)
"""
    assert run(code, user) == "0"
    assert run(code, user, pool="own") == "2"


def test_limits_of_the_runtime(user: Path) -> None:
    """omp_set_num_threads holds for this library, too; in a parallel region, jobs are serial."""
    code = """
library = ctypes.CDLL(sys.argv[1])
wanted = expected()
for limit in (1, 2, 3, 7):
    library.limit(limit)
    print(_core.job_threads())
    assert bits() == wanted
library.limit(3)
library.inside.argtypes = [ctypes.c_void_p]
work = ctypes.CFUNCTYPE(ctypes.c_int)(_core.job_threads)
print(library.inside(ctypes.cast(work, ctypes.c_void_p)))
"""
    assert run(code, user).split() == ["1", "2", "3", "3", "1"]
    assert run(code, user, pool="own").split() == ["3"] * 5


@pytest.mark.parametrize("pool", ["auto", "own", "openmp"])
def test_forks(pool: str, user: Path) -> None:
    """A child uses the library's own threads: GCC's runtime would wait for the parent's."""
    code = """
library = ctypes.CDLL(sys.argv[1])
library.use()
wanted = expected()
bits()
def work():
    if pool() != "own":
        return 1
    if bits() != wanted:
        return 2
    return 3 * code_of_child(lambda: bits() != wanted)
print(code_of_child(work), bits() == wanted)
"""
    assert run(code, user, pool=pool) == "0 True"


@pytest.mark.parametrize("pool", ["auto", "openmp"])
def test_an_import_after_the_fork(pool: str, user: Path) -> None:
    """The child has the runtime, in use in the parent, but not lrkern."""
    code = f"""
import ctypes, os, sys
library = ctypes.CDLL(sys.argv[1])
assert library.use() == 3
def work():
    names = dict()
    exec({BEGIN!r}, names)
    names["lk"].set_threads(3)
    assert names["pool"]() == "own"
    return names["bits"]() != names["expected"]()
{BEGIN[BEGIN.index("def code_of_child") :]}
print(code_of_child(work))
"""
    assert run(code, user, pool=pool, begin="") == "0"


def test_other_threads_of_python(user: Path) -> None:
    """One thread at a time uses OpenMP's, the first: each would have its own."""
    code = """
import threading, time
library = ctypes.CDLL(sys.argv[1])
wanted = expected()
found = []
def work():
    found.append((pool()[:3], bits() == wanted))
def in_thread():
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
in_thread()
while pool() == "own":  # a thread ends some time after `join`
    time.sleep(0.001)
work()
in_thread()
work()
print(found)
"""
    assert run(code, user) == str([("lib", True), ("lib", True), ("own", True), ("lib", True)])


def test_a_small_stack(user: Path) -> None:
    """Threads without room for tasks take none."""
    code = """
library = ctypes.CDLL(sys.argv[1])
assert library.use() == 3
wanted = expected()
deep = lk.cosine(0.1, 0.0, 1000)
for _ in range(40):
    deep = (deep + 0.5) * lk.cosine(1.0, 0.5, 77).repeat(100, 10)
values = deep.table(500_000).tobytes()
lk.set_threads(1)
print(bits() == wanted, values == deep.table(500_000).tobytes(), pool()[:3])
"""
    assert run(code, user, OMP_STACKSIZE="20k") == "True True lib"


def test_an_unloaded_library(user: Path) -> None:
    """The runtime remains."""
    code = """
from _ctypes import dlclose
library = ctypes.CDLL(sys.argv[1])
wanted = expected()
assert bits() == wanted and pool() != "own"
dlclose(library._handle)
assert bits() == wanted and pool() != "own"
print(sum("libuser" in line for line in open("/proc/self/maps")))
"""
    assert run(code, user) == "0"


RESTS = """
library = ctypes.CDLL(sys.argv[1])
regions, asked, most, parallel, late = (
    ctypes.c_int.in_dll(library, name) for name in ("regions", "asked", "most", "parallel", "late")
)
wanted = expected()
param = np.zeros(size)
def jobs(n):
    for _ in range(n):
        lk.sgd_step(param, grad, lr=0.1)
def counted(n):
    before = regions.value
    jobs(n)
    return regions.value - before
"""


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("counting") / "libgomp-counting.so", COUNTING)


def test_regions(counting: Path) -> None:
    """One region a job, of the usual size; none if the runtime grants one thread, in regions of others, and for small jobs."""
    code = """
print(counted(5), asked.value)
most.value = 1
print(counted(5))
most.value, parallel.value = 3, 1
print(counted(5))
parallel.value = 0
small = np.zeros(1000)
before = regions.value
lk.sgd_step(small, small + 1, lr=0.1)
print(regions.value - before)
lk.set_threads(1)
print(counted(5))
lk.set_threads(2)
print(counted(5), bits() == wanted)
"""
    assert run(RESTS + code, counting).splitlines() == ["5 0", "0", "0", "0", "0", "5 True"]


def test_regions_that_do_not_pay(counting: Path) -> None:
    """After four, own threads work for at least 3 jobs, then for twice as many, ...; not if OpenMP is asked for."""
    code = """
param, grad = param[:300_000], grad[:300_000]
late.value = 10_000
print([counted(n) for n in (4, 3, 300)], bits() == expected())
"""
    first, rest, later = re.findall(r"\d+", run(RESTS + code, counting, pool="auto"))
    assert [first, rest] == ["4", "0"]
    assert 0 <= int(later) <= 12
    assert run(RESTS + code, counting) == "[4, 3, 300] True"
    assert run(RESTS + code, counting, pool="own") == "[0, 0, 0] True"


def test_several_runtimes(counting: Path, user: Path) -> None:
    """The one that is visible to all libraries is used; the others by the order of loading."""
    code = """
import shutil
first = ctypes.CDLL(sys.argv[1])
print(pool())
second = ctypes.CDLL(sys.argv[2])
print(pool())
third = ctypes.CDLL(shutil.copy(sys.argv[2], sys.argv[2] + ".so"), mode=ctypes.RTLD_GLOBAL)
print(pool() != "own", pool() != "libgomp-counting.so", bits() == expected())
"""
    assert run(code, counting, user).splitlines() == ["libgomp-counting.so"] * 2 + ["True True True"]


def test_a_library_that_is_no_runtime(tmp_path: Path) -> None:
    """Its name begins like that of one."""
    part = compiled(tmp_path / "libomptarget.so", "int omp_get_max_threads(void) { return 1; }")
    assert run("ctypes.CDLL(sys.argv[1]); print(pool(), _core.job_threads())", part) == "own 3"


def test_info() -> None:
    assert lk.info()["pool"] == "own" or Path(lk.info()["pool"]).is_file()


# ------------------------------------------------------------------------------------------------------- threadpoolctl


CONTROL = """
with threadpoolctl.threadpool_limits(1, user_api="lrkern"):
    print(lk.get_threads())
print(lk.get_threads())
with threadpoolctl.threadpool_limits(2):
    print(lk.get_threads())
(ours,) = [one for one in threadpoolctl.threadpool_info() if one["user_api"] == "lrkern"]
print(ours["num_threads"], ours["version"] == lk.__version__, ours["filepath"] == os.path.realpath(_core.__file__))
"""


@pytest.mark.parametrize("when", ["before", "between", "after"])
def test_threadpoolctl(when: str) -> None:
    pytest.importorskip("threadpoolctl")
    imports = "import threadpoolctl\n"
    code = {
        "before": imports + BEGIN,
        "between": BEGIN + imports + "lk.SGD([grad], 0.1)\n",
        "after": BEGIN + "bits()\n" + imports + "lk.runtime.register_with_threadpoolctl()\n" * 2,
    }[when]
    assert run(code + CONTROL, begin="").splitlines() == ["1", "3", "2", "3 True True"]


def test_threadpoolctl_imported_after_this_library() -> None:
    """What docs/runtime.md says: from the first table or optimizer on, or from the call on."""
    pytest.importorskip("threadpoolctl")
    blocks = """
import threadpoolctl
CALL
with threadpoolctl.threadpool_limits(1):
    lk.cosine(0.1, 0.0, 100).table(100)
    print(lk.get_threads())
with threadpoolctl.threadpool_limits(1):
    print(lk.get_threads())
"""
    assert run(blocks.replace("CALL", "")).splitlines() == ["3", "1"]
    assert run(blocks.replace("CALL", "lk.runtime.register_with_threadpoolctl()")).splitlines() == ["1", "1"]


def test_threadpoolctl_is_not_imported() -> None:
    assert run("lk.SGD([grad], 0.1); print('threadpoolctl' in sys.modules)") == "False"


def test_without_threadpoolctl() -> None:
    code = "sys.modules['threadpoolctl'] = None; lk.runtime.register_with_threadpoolctl()"
    settings = os.environ | {"LRKERN_POOL": "auto"}
    done = subprocess.run([sys.executable, "-c", BEGIN + code], env=settings, capture_output=True, text=True, timeout=60)
    assert "ImportError: register_with_threadpoolctl needs threadpoolctl: pip install threadpoolctl" in done.stderr

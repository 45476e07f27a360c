"""Compiling in advance, and what is said about a long compilation."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("numba")

from numba.core import event

import lrkern as lk
import lrkern.numba as ln
from lrkern.numba import kernels, notice, plans


class Compiled(event.Listener):
    """Counts compilations."""

    count = 0

    def on_start(self, event):
        self.count += 1

    def on_end(self, event):
        pass


@pytest.fixture
def one_thread():
    """As while an image is built."""
    before = lk.get_threads()
    lk.set_threads(1)
    yield lambda: lk.set_threads(before)
    lk.set_threads(before)


def test_a_step_compiles_nothing_after_warm(one_thread):
    ln.warm([lk.SGD], lr=0.1)
    one_thread()
    listener = Compiled()
    with event.install_listener("numba:compile", listener):
        for size in (8, 200_000):
            opt = lk.SGD([np.ones(size, np.float32)], 0.5, backend="numba")
            opt.step([np.ones(size, np.float32)])
    assert listener.count == 0


def test_tables_compile_nothing_after_warm():
    ln.warm(tables=True)
    listener = Compiled()
    with event.install_listener("numba:compile", listener):
        ln.fill(lk.linear(1.0, 0.0, 4).plan(), np.empty(3))
    assert listener.count == 0


@pytest.fixture
def called(monkeypatch):
    """The kernels that are called, none of which is compiled; of steps also whether averages change."""
    found = set()

    def fake(module, name, result=None):
        def kernel(*arguments):
            found.add(name)
            return result and result(*arguments)

        monkeypatch.setattr(module, name, kernel)

    def fake_step(name, stored):
        def kernel(counts, *arguments):
            counts[0] += 1
            found.add((name, stored(arguments).average is not None))

        monkeypatch.setattr(kernels, name, kernel)

    fake_step("run_serial", lambda arguments: arguments[4].stored)
    fake_step("run_parallel", lambda arguments: arguments[-2])
    for name in ("square_serial", "square_parallel", "measure_serial", "measure_parallel", "take_norms"):
        fake(kernels, name)
    fake(kernels, "totals", lambda sums, sets, count: np.zeros(count))
    for module, name in ((plans, "fill_run"), (plans, "fill_parallel"), (ln, "at"), (ln, "fill")):
        fake(module, name)
    return found


@pytest.mark.parametrize("ema_every", [1, 2, 1000])
def test_warm_runs_the_kernels_of_small_and_of_large_jobs(one_thread, called, ema_every):
    """Whatever the number of threads is now."""
    ln.warm([lk.LAMB], lr=0.1, clip_norm=1.0, ema=0.9, ema_every=ema_every)
    steps = {(name, changes) for name in ("run_serial", "run_parallel") for changes in (True, ema_every == 1)}
    assert called == steps | {"square_serial", "square_parallel", "measure_serial", "measure_parallel", "take_norms", "totals"}


def test_warm_runs_the_kernels_of_short_and_of_long_tables(one_thread, called):
    ln.warm(tables=True)
    assert called == {"at", "fill", "fill_run", "fill_parallel"}


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"optimizers": [lk.cosine]}, "warm: optimizers must be classes of optimizers; got"),
        ({"optimizers": [lk.SGD], "dtypes": ["int8"], "lr": 0.1}, "warm: dtypes must be 'float32', 'float64' or 'float16'"),
        ({"tables": 1}, "warm: tables must be True or False; got 1"),
    ],
)
def test_bad_arguments(arguments, error):
    with pytest.raises((TypeError, ValueError)) as caught:
        ln.warm(**arguments)
    assert str(caught.value).startswith(error)


SLOW = """
import sys
import numpy as np
import lrkern as lk
from lrkern.numba import kernels, notice, plans
notice.LONG = {limit}
opt = lk.SGD([np.ones(3, np.float16)], 0.5, backend="numba")
opt.step([np.ones(3, np.float16)])
print(opt.count, *[name for name in ("numba.np.linalg", "numba.np.arrayobj", "scipy.linalg") if name in sys.modules])
"""


@pytest.mark.parametrize(("limit", "lines"), [(0.0, 1), (1e9, 0)])
def test_one_line_tells_of_a_long_compilation(tmp_path, monkeypatch, limit, lines):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    command = [sys.executable, "-c", SLOW.format(limit=limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = [line for line in done.stderr.splitlines() if line.startswith("lrkern: Numba compiled run_serial in ")]
    assert len(found) == lines, done.stderr
    assert all(line.endswith(" s; later programs load it") for line in found)
    assert {"1", "numba.np.linalg", "numba.np.arrayobj"} <= set(done.stdout.split())
    later = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (later.stdout, later.stderr) == ("1\n", "")  # it loads nothing that only compiling needs


def test_the_limit_is_a_second():
    assert notice.LONG == 1.0

"""Compiling in advance, and what is said about a long compilation."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("numba")

from numba.core import event

import lrkern as lk
import lrkern.numba as ln
from lrkern.numba import kernels, notice, plans, warming


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
        ({"optimizers": lk.SGD, "lr": 0.1}, "warm: optimizers must be a list of classes of optimizers; got <class"),
        ({"optimizers": 3}, "warm: optimizers must be a list of classes of optimizers; got 3 (int)"),
        ({"optimizers": [lk.SGD], "dtypes": "float32"}, "warm: dtypes must be a list of names of dtypes; got 'float32' (str)"),
        ({"optimizers": [lk.SGD], "lr": 0.1, "tables": 1}, "warm: tables must be True or False; got 1"),
        ({"optimizers": [lk.SGD, lk.cosine], "lr": 0.1}, "warm: optimizers must be classes of optimizers; got"),
        ({"optimizers": [lk.SGD, lk.Lion], "lr": 0.1, "momentum": 0.9}, "Lion: "),
    ],
)
def test_bad_arguments(called, arguments, error):
    with pytest.raises((TypeError, ValueError)) as caught:
        ln.warm(**arguments)
    assert str(caught.value).startswith(error)
    assert not called  # all are checked before anything is compiled


def test_iterators_are_read_once(called, monkeypatch):
    made, small = [], warming._small

    def noted(kind, dtype, options):
        made.append((kind, dtype.name))
        return small(kind, dtype, options)

    monkeypatch.setattr(warming, "_small", noted)
    ln.warm(iter([lk.SGD, lk.Lion]), iter(["float32", "float64"]), lr=0.1)
    assert made == [(kind, name) for kind in (lk.SGD, lk.Lion) for name in ("float32", "float64")]


SLOW = """
import sys
import numpy as np
import lrkern as lk
from lrkern.numba import kernels, notice, plans, warming
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


def compile_in(listener, module, name, *within):
    """Tell of a compilation, with others within it."""
    function = SimpleNamespace(__module__=module, __name__=name)
    told = event.Event("numba:compile", event.EventStatus.START, {"dispatcher": SimpleNamespace(py_func=function, _cache=None)})
    listener.on_start(told)
    for one in within:
        compile_in(listener, *one)
    listener.on_end(told)


def test_functions_of_lrkern_within_a_users_are_told_once_each(monkeypatch, capsys):
    monkeypatch.setattr(notice, "LONG", -1.0)
    listener, inner = notice.Notice(), ("lrkern.numba.update", "step")
    mine = ("mine", "helper", ("lrkern.numba.x", "at", inner))
    compile_in(listener, "__main__", "train", ("lrkern.numba.x", "adamw_step", inner, inner), mine, (None, "written"))
    compile_in(listener, "lrkern.numba.x", "run_serial", ("mine", "rule", inner))
    names = [line.split()[3] for line in capsys.readouterr().err.splitlines()]
    assert names == ["adamw_step", "at", "run_serial"]


def test_a_compilation_that_began_before_the_import_is_ignored(monkeypatch, capsys):
    """As when a user's function loads a rule while it is compiled."""
    monkeypatch.setattr(notice, "LONG", -1.0)
    listener, function = notice.Notice(), SimpleNamespace(__module__="mine", __name__="train")
    listener.on_end(event.Event("numba:compile", event.EventStatus.END, {"dispatcher": SimpleNamespace(py_func=function)}))
    compile_in(listener, "lrkern.numba.x", "run_serial")
    assert capsys.readouterr().err.count("run_serial") == 1


def test_the_limit_is_a_second():
    assert notice.LONG == 1.0

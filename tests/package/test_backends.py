"""The choice of a backend: which one is used, the error if it cannot be used, and no fallback."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import types

import numpy as np
import pytest

import lrkern as lk
from lrkern import _core, backends
from lrkern.backends import c as _c
from lrkern.backends import cuda_compiler

SCHEDULE = lk.cosine(0.1, 0.0, 100)
STEPS = {
    "sgd_step": 0,
    "adam_step": 2,
    "adamw_step": 2,
    "lion_step": 1,
    "rmsprop_step": 1,
    "adagrad_step": 1,
    "lars_step": 1,
    "lamb_step": 2,
}
OPTIMIZERS = [name for name in lk.optimizers.__all__ if isinstance(getattr(lk, name), type) and name != "Optimizer"]


def ones(n=3):
    return np.ones(n, np.float32)


def step_of(name):
    """A call of a step function, complete except for `backend`."""

    def call(param, backend):
        counted = {"count": 0} if name in ("adam_step", "adamw_step", "adagrad_step", "lamb_step") else {}
        states = [np.zeros(3, np.float32) for _ in range(STEPS[name])]
        getattr(lk, name)(param, ones(), *states, lr=0.1, backend=backend, **counted)

    return call


# functions with `backend`, called with the array that determines the default
CALLS = {
    "table": lambda array, backend: SCHEDULE.table(3, out=array, backend=backend),
    "tables": lambda array, backend: lk.tables([SCHEDULE], 3, out=array, backend=backend),
    **{name: step_of(name) for name in STEPS},
    **{
        name: lambda array, backend, name=name: getattr(lk, name)([array], lr=0.1, backend=backend).step([ones()])
        for name in OPTIMIZERS
    },
}


class Recorder(_core.StepList):
    """The C steps, counted."""

    runs = 0

    def run(self, grads, grad_scale):
        Recorder.runs += 1
        super().run(grads, grad_scale)


@pytest.fixture
def stand_in(monkeypatch):
    """A backend that computes in C and counts its calls; it replaces every backend except C's."""
    used = []

    def table(*args):
        used.append("table")
        return _c.BACKEND.table(*args)

    def tables(*args):
        used.append("tables")
        return _c.BACKEND.tables(*args)

    module = types.ModuleType("stand_in")
    module.BACKEND = backends.Backend(table, tables, Recorder, _c.arrays, _c.BACKEND.scans)
    monkeypatch.setitem(sys.modules, "stand_in", module)
    monkeypatch.setattr(backends, "_MODULES", {"c": "lrkern.backends.c", "numba": "stand_in", "cuda": "stand_in"})
    monkeypatch.setattr(backends, "_loaded", {})
    monkeypatch.setattr(backends, "_requirements", lambda extra: [])
    monkeypatch.setattr(backends, "_check_gpu", lambda: None)
    monkeypatch.setattr(Recorder, "runs", 0)
    return used


@pytest.fixture
def nothing_loaded(monkeypatch):
    monkeypatch.setattr(backends, "_loaded", {})


class OnDevice:
    """An array that reports a device, as those of torch, CuPy and JAX do."""

    def __dlpack_device__(self):
        return 2, 0


class OnNumbaDevice:
    """The same, like Numba's device arrays."""

    __cuda_array_interface__ = {}  # noqa: RUF012


@pytest.mark.parametrize("name", CALLS)
def test_the_backend_asked_for_is_used(name, stand_in):
    array = np.ones((1, 3)) if name == "tables" else np.ones(3) if name == "table" else ones()
    expected = array.copy()
    CALLS[name](expected, "c")
    CALLS[name](expected.copy(), None)
    assert (stand_in, Recorder.runs) == ([], 0)
    CALLS[name](array, "numba")
    assert stand_in + ["step"] * Recorder.runs == [name if name.startswith("table") else "step"]
    assert array.tobytes() == expected.tobytes()
    only_later = ("ADOPT", "ScheduleFreeRAdam")  # their first steps change nothing
    assert array.tobytes() != np.ones_like(array).tobytes() or name in only_later


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("backend", ["fortran", "C", "", 1, True, b"c"])
def test_unknown_backend(name, backend):
    array = np.ones((1, 3)) if name == "tables" else ones()
    error = ValueError if isinstance(backend, str) else TypeError
    with pytest.raises(error, match=rf"^{name}: backend must be 'c', 'numba' or 'cuda'; got "):
        CALLS[name](array, backend)
    assert array.tobytes() == np.ones_like(array).tobytes()


# functions that accept only the backends "c" and "numba"
LOSS_DRIVEN = {
    "plateau": lambda backend, out: lk.plateau(np.arange(3.0), 0.1, patience=0, backend=backend, out=out),
    "loss_driven": lambda backend, out: lk.loss_driven(np.arange(3.0), 0.1, 0.5, backend=backend, out=out),
}


@pytest.mark.parametrize("backend", ["cuda", "fortran", 1])
@pytest.mark.parametrize("name", LOSS_DRIVEN)
def test_loss_driven_schedules_are_not_in_every_backend(name, backend):
    out = np.ones(3)
    error = ValueError if isinstance(backend, str) else TypeError
    with pytest.raises(error, match=rf"^{name}: backend must be 'c' or 'numba'; got "):
        LOSS_DRIVEN[name](backend, out)
    assert (out == 1).all()


@pytest.mark.parametrize("name", LOSS_DRIVEN)
def test_a_missing_backend_of_loss_driven_schedules_is_an_error(name, nothing_loaded, monkeypatch):
    monkeypatch.setattr(backends, "_requirements", lambda extra: [("no-such-package", "1.0", "")])
    with pytest.raises(ImportError, match=rf"^{name}: backend 'numba' cannot be used: it needs no-such-package"):
        LOSS_DRIVEN[name]("numba", None)


@pytest.mark.parametrize("name", LOSS_DRIVEN)
def test_loss_driven_schedules_run_where_they_are_asked_to(name, stand_in, monkeypatch):
    used = []
    scans = {rule: lambda *args, scan=scan: used.append(scan(*args)) for rule, scan in _c.BACKEND.scans.items()}
    monkeypatch.setattr(sys.modules["stand_in"], "BACKEND", _c.BACKEND._replace(scans=scans))
    expected, out = np.ones(3), np.ones(3)
    LOSS_DRIVEN[name]("c", expected)
    LOSS_DRIVEN[name](None, expected)
    assert used == []
    LOSS_DRIVEN[name]("numba", out)
    assert used == [_core.active_isa()]
    assert out.tobytes() == expected.tobytes() != np.ones(3).tobytes()


@pytest.mark.parametrize("name", CALLS)
def test_a_missing_backend_is_an_error(name, nothing_loaded, monkeypatch):
    monkeypatch.setattr(backends, "_requirements", lambda extra: [("no-such-package", "1.0", "")])
    array = np.ones((1, 3)) if name == "tables" else ones()
    message = rf"^{name}: backend 'numba' cannot be used: it needs no-such-package: pip install 'lrkern\[numba\]'$"
    with pytest.raises(ImportError, match=message) as caught:
        CALLS[name](array, "numba")
    assert caught.value.name == "no-such-package"
    assert array.tobytes() == np.ones_like(array).tobytes()


@pytest.mark.parametrize("array", [OnDevice(), OnNumbaDevice()], ids=["dlpack", "cuda_array_interface"])
@pytest.mark.parametrize("name", ["table", "sgd_step", "AdamW"])
def test_arrays_on_a_device_go_to_cuda_or_nowhere(name, array, nothing_loaded, monkeypatch):
    def no_gpu():
        raise RuntimeError("no GPU")

    monkeypatch.setattr(backends, "_check_gpu", no_gpu)
    message = f"^{name}: backend 'cuda', which arrays on a device need, cannot be used: no GPU$"
    with pytest.raises(RuntimeError, match=message):
        CALLS[name](array, None)


def test_arrays_on_a_device_take_the_backend_cuda(stand_in):
    assert backends.choose("f", None, ones(), OnDevice()).StepList is Recorder
    assert backends.choose("f", None, ones(), None).StepList is _core.StepList


@pytest.mark.parametrize(
    ("installed", "least", "beyond", "words"),
    [
        ("0.59.1", "0.61", "", "it needs numba >= 0.61, and 0.59.1 is installed: pip install --upgrade 'lrkern[numba]'"),
        ("0.61.0rc1", "0.61", "", None),
        ("0.100", "0.61", "", None),
        ("1", "0.61", "", None),
        ("0.61", "", "0.70", None),
        ("0.70", "0.61", "0.70", "it needs numba < 0.70, and 0.70 is installed: pip install 'lrkern[numba]'"),
        (None, "0.61", "", "it needs numba: pip install 'lrkern[numba]'"),
    ],
)
def test_versions(installed, least, beyond, words, monkeypatch):
    monkeypatch.setattr(backends, "_requirements", lambda extra: [(extra, least, beyond)])
    monkeypatch.setattr(backends, "installed", lambda package: installed)
    if words is None:
        backends._check_packages("numba")
        return
    with pytest.raises(ImportError) as caught:
        backends._check_packages("numba")
    assert str(caught.value) == words


def test_requirements_are_those_of_the_extras(monkeypatch):
    assert [name for name, *_ in backends._requirements("numba")] == ["numba"]
    assert [name for name, *_ in backends._requirements("cuda")] == ["numba-cuda"]
    assert [name for name, *_ in backends._requirements("cuda-mlir")] == ["numba", "numba-cuda-mlir"]
    assert backends._requirements("c") == []
    lines = ["numpy>=2", "numba>=0.61; extra == 'numba'", 'numba-cuda[cu13]>=0.30,<1; python_version > "3" and extra == "cuda"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: lines)
    assert backends._requirements("numba") == [("numba", "0.61", "")]
    assert backends._requirements("cuda") == [("numba-cuda", "0.30", "1")]


VERSIONS = {"numba": "0.68", "numba-cuda": "0.30", "numba-cuda-mlir": "0.6.1"}


@pytest.mark.parametrize(
    ("variables", "there", "expected"),
    [
        ({}, [], "numba-cuda"),
        ({}, ["numba-cuda-mlir"], "numba-cuda-mlir"),
        ({}, ["numba-cuda", "numba-cuda-mlir"], "numba-cuda"),
        ({"LRKERN_CUDA_COMPILER": "numba-cuda"}, ["numba-cuda-mlir"], "numba-cuda"),
        ({"LRKERN_CUDA_COMPILER": "numba-cuda-mlir"}, ["numba-cuda"], "numba-cuda-mlir"),
        ({"LRKERN_CUDA_COMPILER": "nvcc"}, [], "must be 'numba-cuda' or 'numba-cuda-mlir'; got 'nvcc'"),
        ({"LRKERN_CUDA_COMPILER": "numba-cuda-mlir", "NUMBA_ENABLE_CUDASIM": "1"}, [], "has no simulator"),
        ({"NUMBA_ENABLE_CUDASIM": "1"}, ["numba-cuda-mlir"], "has no simulator"),
    ],
)
def test_the_compiler_of_cuda_kernels(variables, there, expected, monkeypatch):
    for name in ("LRKERN_CUDA_COMPILER", "NUMBA_ENABLE_CUDASIM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delitem(sys.modules, "lrkern.cuda._platform", raising=False)  # loaded by another test
    for module in (cuda_compiler, backends):
        monkeypatch.setattr(module, "installed", lambda package: VERSIONS[package] if package in (*there, "numba") else None)
    if expected not in cuda_compiler.EXTRAS:
        with pytest.raises(ImportError, match=expected):
            backends._check_packages("cuda")
        return
    assert cuda_compiler.chosen() == expected
    if expected in there:
        backends._check_packages("cuda")
        assert f"{expected} {VERSIONS[expected]}" in backends._versions("cuda")
    else:
        extra = cuda_compiler.EXTRAS[expected]
        with pytest.raises(ImportError, match=rf"^it needs {expected}: pip install 'lrkern\[{extra}\]'$"):
            backends._check_packages("cuda")


class Library:
    """A driver library with this many GPUs, or an error."""

    def __init__(self, count, code=0):
        self.count, self.code = count, code

    def nvmlInit_v2(self):
        return self.code

    def nvmlDeviceGetCount_v2(self, pointer):
        pointer._obj.value = self.count
        return 0

    def nvmlShutdown(self):
        return 0


@pytest.mark.parametrize(
    ("environment", "libraries", "words"),
    [
        ({}, {}, "there is no NVIDIA driver (libcuda.so.1)"),
        ({}, {"libcuda.so.1": None, "libnvidia-ml.so.1": Library(0)}, "the NVIDIA driver finds no GPU"),
        ({}, {"libcuda.so.1": None, "libnvidia-ml.so.1": Library(1, 9)}, "the NVIDIA driver does not answer (NVML error 9)"),
        ({}, {"libcuda.so.1": None, "libnvidia-ml.so.1": Library(2)}, None),
        ({}, {"libcuda.so.1": None}, None),
        ({"CUDA_VISIBLE_DEVICES": ""}, {}, "CUDA_VISIBLE_DEVICES='' hides every GPU"),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, {}, "CUDA_VISIBLE_DEVICES='-1' hides every GPU"),
        ({"CUDA_VISIBLE_DEVICES": "1"}, {"libcuda.so.1": None}, None),
        ({"NUMBA_ENABLE_CUDASIM": "1"}, {}, None),
    ],
)
def test_gpus(environment, libraries, words, monkeypatch):
    import ctypes

    def load(name):
        if name not in libraries:
            raise OSError
        return libraries[name]

    monkeypatch.setattr(ctypes, "CDLL", load)
    for name in ("CUDA_VISIBLE_DEVICES", "NUMBA_ENABLE_CUDASIM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if words is None:
        backends._check_gpu()
        return
    with pytest.raises(RuntimeError) as caught:
        backends._check_gpu()
    assert str(caught.value).startswith(words)


def test_a_broken_package_is_reported(nothing_loaded, monkeypatch):
    broken = types.ModuleType("broken")
    monkeypatch.setitem(sys.modules, "broken", broken)  # AttributeError: it has no BACKEND
    monkeypatch.setattr(backends, "_MODULES", {**backends._MODULES, "numba": "broken"})
    monkeypatch.setattr(backends, "_requirements", lambda extra: [])
    status = backends.status("numba")
    assert not status.usable
    assert status.about.startswith("broken does not load: AttributeError")


def test_info_tells_of_every_backend():
    found = lk.info()["backends"]
    assert tuple(found) == backends.NAMES
    assert found["c"] == (True, f"{lk.info()['isa']} kernels")
    for name, (usable, about) in found.items():
        assert about
        if usable:
            assert backends.choose("f", name) is backends._loaded[name]
        else:
            with pytest.raises((ImportError, RuntimeError)):
                backends.choose("f", name)


def test_nothing_is_probed_at_import():
    code = "import sys, lrkern as lk; lk.constant(1.0).table(3); print('numba' in sys.modules, 'ctypes' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    before = subprocess.run(
        [sys.executable, "-c", "import sys, numpy; print(False, 'ctypes' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert found == before


def test_a_device_that_cannot_be_told_is_left_to_who_takes_the_array():
    class Meta:
        def __dlpack_device__(self):
            raise ValueError("unknown device")

    with pytest.raises(TypeError, match=r"^SGD: params\[0\] must be a NumPy array"):
        lk.SGD([Meta()], 0.1)

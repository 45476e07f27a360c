"""The kernels in the package: the steps that they are for compile nothing, and have the bits of C."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

shipped_steps = pytest.importorskip("shipped_steps", reason="needs a CUDA compiler, and not the simulator")

from cuda.bindings import nvjitlink  # noqa: E402

import lrkern as lk  # noqa: E402
from lrkern.cuda import _platform, _shipped  # noqa: E402

pytestmark = [pytest.mark.cuda, pytest.mark.filterwarnings("ignore:Grid size")]

STALE = "sources of kernels have changed: run `make ptx`"


@pytest.fixture(name="compiled")
def without_compiler(monkeypatch):
    """The names of kernels that had to be compiled: none may be."""
    names, load = [], _platform._compiler.loaded

    def loaded(kernel, arguments):
        names.append(_shipped.name(kernel))
        return load(kernel, arguments)

    monkeypatch.setattr(_platform._compiler, "loaded", loaded)
    return names


def test_the_file_is_of_these_sources():
    with zipfile.ZipFile(_shipped.FILE) as archive:
        assert archive.comment == _shipped.digest().encode(), STALE


@pytest.mark.parametrize("name", shipped_steps.CASES)
def test_steps_compile_nothing(name, compiled):
    there, here = shipped_steps.run(name)
    assert there == here
    assert compiled == [], STALE


def test_no_kernel_is_there_for_nothing():
    """Each is of a rule as it is now, and none of its cases has gone."""
    for name in shipped_steps.CASES:
        shipped_steps.run(name)
    with zipfile.ZipFile(_shipped.FILE) as archive:
        assert set(archive.namelist()) <= set(_shipped.NAMES.values()), STALE


def test_all_can_be_assembled_for_a_later_device():
    with zipfile.ZipFile(_shipped.FILE) as archive:
        for name in archive.namelist():
            text = archive.read(name)
            assert text.startswith(f".version {_shipped.VERSION}\n.target sm_80\n".encode()), name
            linker = nvjitlink.create(1, ["-arch=sm_90"])
            nvjitlink.add_data(linker, nvjitlink.InputType.PTX, text, len(text), name)
            nvjitlink.complete(linker)
            nvjitlink.destroy(linker)


def test_other_kernels_are_compiled(compiled):
    array = shipped_steps.on_device(np.ones(5, np.float32))
    opt = lk.Lion([array], lr=0.5, copy_to=[shipped_steps.on_device(np.ones(5, np.float16))])
    opt.step([shipped_steps.on_device(np.ones(5, np.float32))])
    assert [name.partition("(")[0] for name in compiled] == ["arrays._make_copy", "kernels.make_step"]


@pytest.mark.parametrize("archive", [b"", b"no archive", None], ids=["empty", "broken", "of other sources"])
def test_a_file_that_does_not_fit_is_ignored(archive, tmp_path, monkeypatch):
    file = tmp_path / "shipped.zip"
    if archive is None:
        file.write_bytes(_shipped.FILE.read_bytes())
        with zipfile.ZipFile(file, "a") as changed:
            changed.comment = b"another"
    else:
        file.write_bytes(archive)
    kernel = next(iter(_shipped.NAMES))
    monkeypatch.setattr(_shipped, "FILE", file)
    _shipped._archive.cache_clear()
    try:
        assert _shipped.text(kernel) is None
    finally:
        monkeypatch.undo()
        _shipped._archive.cache_clear()


def test_old_devices_compile(monkeypatch, compiled):
    monkeypatch.setattr(_shipped, "CAPABILITY", (99, 0))
    _shipped._loaded.cache_clear()
    try:
        shipped_steps.run("SGD")
    finally:
        _shipped._loaded.cache_clear()
    assert compiled

"""Kernels that are in the package as PTX, so that a GPU's first step compiles nothing.

`shipped.zip` has one entry per kernel, written by tools/shipped_kernels.py with numba-cuda; its comment is the digest of the
sources that all kernels are made of. Where a source has changed since, or the device is older than the PTX, the kernel is
compiled like one that is not there. The driver assembles the PTX for its device, and keeps the result in a cache of its own.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
FILE = HERE / "shipped.zip"

CAPABILITY = (8, 0)
"""The oldest devices that the PTX is for."""

VERSION = "7.8"
"""The version of PTX, which tells the driver what to expect: drivers of CUDA 11.8 and later read it."""

_OTHERS = {"__init__", "_numba_cuda_mlir", "_memory_numba_cuda_mlir", "_program", "_shipped", "_steps", "_table"}
"""Files of this folder that no kernel is made of."""

NAMES: dict[Any, str] = {}
"""The names of kernels; a kernel is made once, and kept."""


def name_of(function: Any, made_of: tuple[Any, ...], rule: type[Any] | None) -> str:
    """What identifies a kernel: the function that makes it and its arguments; for the kernel of a rule, the rule's digest."""
    maker = f"{function.__module__.rpartition('.')[2].lstrip('_')}.{function.__qualname__.partition('.')[0]}"
    words = [getattr(one, "__name__", None) or repr(one) for one in made_of]
    return f"{maker}({', '.join(words)})" + ("" if rule is None else f" {rule.__name__.rpartition('_')[2]}")


def named(kernel: Any, name: str) -> Any:
    """The kernel, which `loaded` finds by its name."""
    NAMES[kernel] = name
    return kernel


def name(kernel: Any) -> str:
    """The name of a kernel."""
    return NAMES[kernel]


def digest() -> str:
    """A digest of the sources of kernels. The formulas of rules are not among them: they are part of names."""
    here = [one for one in HERE.glob("*.py") if one.stem not in _OTHERS]
    pointwise, rules = HERE.parent / "pointwise", HERE.parent / "rules"
    files = [*here, *pointwise.glob("*.py"), rules / "compiled.py"]
    found = hashlib.sha256(VERSION.encode())
    for one in sorted(files, key=lambda file: file.parts[-2:]):
        found.update(one.read_bytes())
    return found.hexdigest()


@cache
def _archive() -> zipfile.ZipFile | None:
    """The kernels; None if there are none, or their sources have changed."""
    try:
        archive = zipfile.ZipFile(FILE)
    except (OSError, zipfile.BadZipFile):
        return None
    return archive if archive.comment == digest().encode() else None


def text(kernel: Any) -> str | None:
    """The PTX of a kernel; None if it is not there."""
    archive = _archive()
    if archive is None:
        return None
    try:
        return archive.read(name(kernel)).decode()
    except KeyError:
        return None


@cache
def _loaded(kernel: Any, device_id: int) -> Any:
    """A kernel that is there, loaded; else None. Kept: unreferenced code is unloaded, even while it runs."""
    from cuda.bindings import driver
    from cuda.core import Device, ObjectCode

    major, minor = Device(device_id).compute_capability
    found = text(kernel) if (major, minor) >= CAPABILITY else None
    if found is None:
        return None
    entry = re.search(r"\.entry ([\w$]+)\(", found)
    assert entry is not None
    try:
        made = ObjectCode.from_ptx(found.encode()).get_kernel(entry[1])
    except Exception:  # of a driver that cannot read it: what compilers make may be better
        return None
    status, _ = driver.cuKernelGetFunction(int(made.handle))  # now, not at the first launch, which a graph may capture
    return made if status == driver.CUresult.CUDA_SUCCESS else None


def loaded(kernel: Any, device_id: int, arguments: tuple[Any, ...]) -> tuple[Any, list[Any]] | None:
    """A kernel that is there, loaded, and the words of its launch; else None."""
    found = _loaded(kernel, device_id)
    return None if found is None else (found, [word for one in arguments for word in _words(one)])


def _words(argument: Any) -> list[Any]:
    """An argument as kernels take it. For arrays: two addresses of Numba's, size, itemsize, data, shape and strides."""
    if isinstance(argument, tuple):
        return [word for one in argument for word in _words(one)]
    if isinstance(argument, int | float):
        return [ctypes.c_int64(argument) if isinstance(argument, int) else ctypes.c_double(argument)]
    if isinstance(argument, np.generic):
        return [np.ctypeslib.as_ctypes(np.asarray(argument))]
    address, _ = argument.__cuda_array_interface__["data"]
    numbers = 0, 0, argument.size, argument.dtype.itemsize, address or 0, *argument.shape, *argument.strides
    return [ctypes.c_int64(one) for one in numbers]

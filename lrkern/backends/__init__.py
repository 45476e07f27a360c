"""The backends: C, Numba and CUDA. A backend's requirements are checked when it is first used, not before.

A backend is a module (see `_MODULES`) with an attribute `BACKEND`, a `Backend`. Importing it, or `_check_gpu` and
`_check_packages` before that, raises an ImportError or a RuntimeError that says why the backend cannot be used here and
how to fix it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lrkern import _checks
from lrkern._optional import installed
from lrkern.backends.cuda_compiler import EXTRAS, chosen, simulated
from lrkern.backends.engine import ArrayLibrary, Engine, StepTensors

if TYPE_CHECKING:
    from lrkern.schedules.expression import Schedule

_MODULES = {"c": "lrkern.backends.c", "numba": "lrkern.numba", "cuda": "lrkern.cuda"}
_DEFAULT, _DEVICE = "c", "cuda"

NAMES = tuple(_MODULES)

# DLPack's device types of CUDA memory: kDLCUDA and kDLCUDAManaged.
DLPACK_CUDA = (2, 13)


class Backend(NamedTuple):
    """A backend's functions. Numbers have been checked by the caller; `dtype` and arrays are checked by the backend."""

    table: Callable[[Schedule, int, int, Any, Any], NDArray[Any]]
    """table(schedule, n, start, dtype, out): `Schedule.table`."""
    tables: Callable[[list[Schedule], int, int, Any, Any], NDArray[Any]]
    """tables(schedules, n, start, dtype, out): `lrkern.tables`."""
    StepList: Callable[[StepTensors], Engine]
    """Makes an engine, which steps a list of tensors."""
    arrays: ArrayLibrary
    """The array handling for steps."""
    scans: Mapping[str, Callable[..., str]]
    """The recurrences: those of `_core.SCAN_RULES`, called like `_core.scan` without its first argument, and "loss_driven",
    called like `_core.loss_driven_scan`."""
    on_device: bool = False
    """Whether its steps run on a device: counts must be fetched, and bound gradients stay bound."""


class Status(NamedTuple):
    """Whether a backend can be used here; its version, or why not and how to fix it."""

    usable: bool
    about: str


_loaded: dict[str, Backend] = {}


def choose(where: str, backend: object, *arrays: object, among: tuple[str, ...] = NAMES) -> Backend:
    """The backend asked for, one of `among`; for None, CUDA if an array is on a device, else the C kernels.

    A `Backend` is returned as it is: packages above this one may have their own.

    Raises:
        ValueError, TypeError: there is no such backend.
        ImportError, RuntimeError: it cannot be used here. There is no fallback to another one.

    >>> choose("table", "c") is choose("table", None, np.zeros(3))
    True
    >>> choose("table", "fortran")
    Traceback (most recent call last):
        ...
    ValueError: table: backend must be 'c', 'numba' or 'cuda'; got 'fortran' (str)
    """
    if isinstance(backend, Backend):
        return backend
    name = _DEFAULT
    if backend is not None:
        name = _checks.choice(where, "backend", backend, among)
    else:
        for array in arrays:
            if array is not None and on_device(array):
                name = _DEVICE
    loaded = _loaded.get(name)
    if loaded is not None:
        return loaded
    why = "" if backend is not None else ", which arrays on a device need,"
    try:
        return _load(name)
    except ImportError as error:
        raise ImportError(f"{where}: backend {name!r}{why} cannot be used: {error}", name=error.name) from error
    except RuntimeError as error:
        raise RuntimeError(f"{where}: backend {name!r}{why} cannot be used: {error}") from error


def on_device(array: object) -> bool:
    """Whether this is an array in CUDA device memory."""
    if isinstance(array, np.ndarray):
        return False
    if getattr(array, "__cuda_ndarray__", False):  # Numba's, those of its simulator included
        return True
    device = getattr(array, "__dlpack_device__", None)
    if device is not None:
        try:
            return device()[0] in DLPACK_CUDA
        except Exception:  # torch raises for its "meta" device; code that uses the array reports the error
            return False
    return hasattr(array, "__cuda_array_interface__")


def status(name: str) -> Status:
    """Whether a backend can be used here. If it can, it is loaded.

    >>> status("c").usable
    True
    """
    try:
        _load(name)
    except (ImportError, RuntimeError) as error:
        return Status(False, str(error))
    return Status(True, _versions(name))


def _load(name: str) -> Backend:
    if name not in _loaded:
        if name == _DEVICE:
            _check_gpu()
        _check_packages(name)
        try:
            backend: Backend = import_module(_MODULES[name]).BACKEND
        except (ImportError, RuntimeError):
            raise
        except Exception as error:  # a package that is installed but broken may raise anything
            raise ImportError(f"{_MODULES[name]} does not load: {type(error).__name__}: {error}") from error
        _loaded[name] = backend
    return _loaded[name]


def _requirements(extra: str) -> list[tuple[str, str, str]]:
    """(package, minimum version, first version that is too new) of one of lrkern's extras; "" for no bound."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        found = requires("lrkern") or []
    except PackageNotFoundError:  # run from its sources: only the imports can fail
        return []
    own = [line for line in found if re.search(rf"extra\s*==\s*['\"]{extra}['\"]", line)]
    return [
        (re.split(r"[^\w.-]", line)[0], *((re.findall(rf"{sign}\s*([\d.]+)", line) or [""])[0] for sign in (">=", "<")))
        for line in own
    ]


def _extra(name: str) -> str:
    """The extra of lrkern that installs a backend's requirements."""
    if name != _DEVICE:
        return name
    loaded = sys.modules.get("lrkern.cuda._platform")  # the one in use, even if the environment has changed
    return EXTRAS[loaded.COMPILER if loaded else chosen()]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", re.split(r"[^\d.]", version)[0])]


def _check_packages(name: str) -> None:
    """Raise if a package that the backend needs is missing, too old or too new."""
    extra = _extra(name)
    for package, least, beyond in _requirements(extra):
        version = installed(package)
        if version is None:
            raise ImportError(f"it needs {package}: pip install 'lrkern[{extra}]'", name=package)
        if _numbers(version) < _numbers(least):
            needed = f"{package} >= {least}, and {version} is installed"
            raise ImportError(f"it needs {needed}: pip install --upgrade 'lrkern[{extra}]'", name=package)
        if beyond and _numbers(version) >= _numbers(beyond):
            needed = f"{package} < {beyond}, and {version} is installed"
            raise ImportError(f"it needs {needed}: pip install 'lrkern[{extra}]'", name=package)


def _versions(name: str) -> str:
    from lrkern import _core

    packages = [package for package, *_ in _requirements(_extra(name))]
    return ", ".join(f"{package} {installed(package)}" for package in packages) or f"{_core.active_isa()} kernels"


def _check_gpu() -> None:
    """Raise if there is no GPU, without initializing CUDA: after that, forked processes could not use it."""
    import ctypes

    if simulated():
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and (not visible.strip() or visible.strip().startswith("-")):
        raise RuntimeError(f"CUDA_VISIBLE_DEVICES={visible!r} hides every GPU: unset it")
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        raise RuntimeError("there is no NVIDIA driver (libcuda.so.1): install one, on a machine with a GPU") from None
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return  # as on some embedded boards; CUDA itself reports errors
    count = ctypes.c_uint(0)
    code = nvml.nvmlInit_v2() or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    nvml.nvmlShutdown()
    if code != 0:
        raise RuntimeError(f"the NVIDIA driver does not answer (NVML error {code}): does nvidia-smi work?")
    if count.value == 0:
        raise RuntimeError("the NVIDIA driver finds no GPU: does nvidia-smi list one?")

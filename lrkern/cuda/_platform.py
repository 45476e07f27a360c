"""The compiler and the device below the kernels: the only module that depends on the package that provides them.

Kernels use `cuda` (the module), `kernel` and `device` (the decorators), `load` and `store` (memory at an address),
`atomic_add`, `primitives` and `_overloads`, and nothing else of the platform. That is numba-cuda, its simulator
(NUMBA_ENABLE_CUDASIM=1), whose device memory is CPU memory, or numba-cuda-mlir: `backends.cuda_compiler` chooses. Their
differences are in `_numba_cuda` and `_numba_cuda_mlir`, which have the same names:

    cuda, types                 the package's own
    kernel, device              decorators of kernels, and of functions for them
    overload(f)                 the decorator `overload` of Numba, for kernels
    atomic_add(array, i, n)     in kernels: array[i] += n, both int64, i a tuple; the array may be in shared memory
    loaded(kernel, arguments)   a kernel compiled for these arguments and loaded, and the words of its launch
"""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from lrkern._optional import require
from lrkern.backends.cuda_compiler import EXTRAS, chosen, module_of
from lrkern.cuda import _shipped

F = TypeVar("F", bound=Callable[..., Any])

COMPILER = chosen()
"""The package."""

_INSTALL = f"'lrkern[{EXTRAS[COMPILER]}]'"
require(module_of(COMPILER), install=_INSTALL, what="lrkern.cuda")
_compiler: Any = import_module(f"lrkern.cuda._{module_of(COMPILER)}")
cuda, types, overload, atomic_add = _compiler.cuda, _compiler.types, _compiler.overload, _compiler.atomic_add

SIMULATED: bool = _compiler.SIMULATED

WIDEST = 16
"""Bytes of the widest access."""

THREADS = 8 if SIMULATED else 256
"""Threads per block, a multiple of 4. In the simulator each is a CPU thread."""

CHUNK = 64 if SIMULATED else 8192
"""Elements per block of threads: a multiple of the elements that a thread processes at once."""

# Kernels use np.float32(x) and the like intentionally, and infinities are normal; NumPy would warn in the simulator.
if SIMULATED:
    warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"lrkern\.cuda\.")


def kernel(function: F, *made_of: Any, rule: type[Any] | None = None) -> Any:
    """A kernel. If it is not in the package, it is compiled at its first launch: to PTX, which can be tested, not to LTO code.

    `made_of`: the arguments of the function that makes it. `rule`: of its rule, a type whose name ends with a digest.
    """
    return _shipped.named(_compiler.kernel(function), _shipped.name_of(function, made_of, rule))


def device(function: F) -> F:
    """A device function."""
    compiled: F = _compiler.device(function)
    return compiled


# -------------------------------------------------------------------------------------------------------------- memory


@cache
def load(dtype: npt.DTypeLike, lanes: int) -> Any:
    """load(address): `lanes` > 1 adjacent elements as a tuple, or a single one; aligned to their total size."""
    return _accesses()[0](np.dtype(dtype), lanes)


@cache
def store(dtype: npt.DTypeLike, lanes: int) -> Any:
    """store(address, values): the inverse of `load`."""
    return _accesses()[1](np.dtype(dtype), lanes)


def _accesses() -> tuple[Callable[..., Any], Callable[..., Any]]:
    if SIMULATED:
        return _simulated_load, _simulated_store
    memory = import_module(f"lrkern.cuda._memory_{module_of(COMPILER)}")
    return memory.make_load, memory.make_store


def _view(address: int, size: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """A view of CPU memory, which is the simulator's device memory."""
    memory: Any = (ctypes.c_char * size).from_address(address)
    return np.frombuffer(memory, dtype)


def _simulated_load(dtype: np.dtype[Any], lanes: int) -> Any:
    def load(address: int) -> Any:
        assert address % (lanes * dtype.itemsize) == 0, "this access is not aligned"
        values = _view(int(address), lanes * dtype.itemsize, dtype)
        return tuple(values) if lanes > 1 else values[0]

    return load


def _simulated_store(dtype: np.dtype[Any], lanes: int) -> Any:
    def store(address: int, values: Any) -> None:
        assert address % (lanes * dtype.itemsize) == 0, "this access is not aligned"
        _view(int(address), lanes * dtype.itemsize, dtype)[:] = values

    return store


def memory_at(address: int, size: int) -> Any:
    """Bytes on the device, as a device array of the platform."""
    if SIMULATED:
        array_type = type(cuda.device_array(0, np.uint8))  # `to_device` copies
        return array_type(_view(address, size, np.dtype(np.uint8)))

    class Interface:
        __cuda_array_interface__ = {  # noqa: RUF012
            "version": 3,
            "data": (address, False),
            "shape": (size,),
            "strides": None,
            "typestr": "|u1",
        }

    return cuda.as_cuda_array(Interface(), sync=False)


def device_at(address: int) -> int:
    """The index of the device with this address."""
    if SIMULATED or address == 0:
        return 0 if SIMULATED else int(cuda.get_current_device().id)
    wanted = _driver().CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    status, found = _driver().cuPointerGetAttribute(wanted, address)
    if status != _driver().CUresult.CUDA_SUCCESS:
        raise ValueError(f"CUDA knows no device for the memory at {address:#x}: {status.name}")
    return int(found)


def to_device(array: npt.NDArray[Any], stream: int) -> Any:
    """A copy in device memory."""
    return cuda.to_device(array, stream=_numba_stream(stream))


def read_back(array: Any, stream: int) -> npt.NDArray[Any]:
    """A copy in CPU memory, after all previous work of the stream."""
    found: npt.NDArray[Any] = array.copy_to_host(stream=_numba_stream(stream))
    if not SIMULATED:
        _numba_stream(stream).synchronize()
    return found


def write_over(array: Any, values: npt.NDArray[Any], stream: int) -> None:
    """Copy from CPU memory, in the order of the stream. `values` may be changed afterwards: CUDA has its own copy."""
    array.copy_to_device(values, stream=_numba_stream(stream))


# ------------------------------------------------------------------------------------------------------------ launches


class Launch:
    """A kernel with its arguments, ready for repeated launches.

    Create it on its device; the kernel is then loaded, and compiled if it is not in the package. The compilers' own launches
    inspect every argument every time, which takes longer than a small step, and numba-cuda's warn about small grids, which are
    intended here.
    """

    def __init__(self, kernel: Any, blocks: int, *arguments: Any, threads: int = THREADS) -> None:
        self._arguments = arguments
        self._words: list[Any]
        if SIMULATED:
            self._configured = kernel[blocks, threads]
            return
        found = _shipped.loaded(kernel, int(cuda.get_current_device().id), arguments)
        self._kernel, self._words = found or _compiler.loaded(kernel, arguments)
        self._configuration = _core().LaunchConfig(grid=blocks, block=threads)

    def __call__(self, stream: int, *last: float) -> None:
        """Launch; `last`: integers and floats that replace the last arguments."""
        if SIMULATED:
            self._configured(*self._arguments[: len(self._arguments) - len(last)], *last)
            return
        words = self._words
        if last:
            numbers = [ctypes.c_double(one) if isinstance(one, float) else ctypes.c_int64(one) for one in last]
            words = words[: -len(last)] + numbers
        _core().launch(_core_stream(stream), self._configuration, self._kernel, *words)


@cache
def _core() -> Any:
    return require("cuda.core", install=_INSTALL, what="lrkern.cuda")


@cache
def _driver() -> Any:
    return require("cuda.bindings.driver", install=_INSTALL, what="lrkern.cuda")


# ------------------------------------------------------------------------------------------------------------- streams

_LEGACY = 1
"""The other handle of the default stream: with 0, Numba waits for every copy."""

_stream: ContextVar[int | None] = ContextVar("the address of lrkern's CUDA stream", default=None)


@contextmanager
def use_stream(stream: Any) -> Iterator[None]:
    """A context in which lrkern's kernels run on the given stream.

    Without it they run on the current stream of the library of the arrays (torch, CuPy), or on Numba's default stream.

    Args:
        stream: a stream of Numba, torch, CuPy or cuda.core, or its address as an integer.
    """
    token = _stream.set(_address_of(stream))
    try:
        yield
    finally:
        _stream.reset(token)


def current_stream(library: str, device_id: int) -> int:
    """The address of the stream to launch on, for arrays of a library ("torch", "cupy" or another one)."""
    chosen = _stream.get()
    if chosen is not None:
        return chosen
    if SIMULATED:
        return 0
    if library == "torch":
        torch = require("torch", install="torch", what="a torch array")
        return int(torch.cuda.current_stream(device_id).cuda_stream)
    if library == "cupy":
        return int(require("cupy", install="cupy", what="a CuPy array").cuda.get_current_stream().ptr)
    return 0


def _address_of(stream: Any) -> int:
    if SIMULATED:
        return 0
    for attribute in ("cuda_stream", "ptr"):  # torch's, CuPy's
        stream = getattr(stream, attribute, stream)
    if isinstance(stream, int) and not isinstance(stream, bool):
        return stream
    protocol = getattr(stream, "__cuda_stream__", None)  # (version, address)
    if protocol is None:
        wanted = "a stream of Numba, torch, CuPy or cuda.core, or the address of one"
        raise TypeError(f"use_stream: stream must be {wanted}; got {type(stream).__name__}")
    return int((protocol() if callable(protocol) else protocol)[1])


@cache
def _numba_stream(address: int) -> Any:
    """Numba's stream object, for copies."""
    return 0 if SIMULATED else cuda.external_stream(address or _LEGACY)


@cache
def _core_stream(address: int) -> Any:
    return _core().Stream.from_handle(address)


def is_captured(stream: int) -> bool:
    """Whether the stream is being captured in a CUDA graph."""
    if SIMULATED:
        return False
    status, found = _driver().cuStreamIsCapturing(stream)
    captured = found == _driver().CUstreamCaptureStatus.CU_STREAM_CAPTURE_STATUS_ACTIVE
    return status == _driver().CUresult.CUDA_SUCCESS and bool(captured)


@contextmanager
def on_device(device_id: int) -> Iterator[None]:
    """A context in which memory and launches are on the given device."""
    if SIMULATED:
        yield
    else:
        with cuda.gpus[device_id]:
            yield

"""The compiler and the machine below the kernels: the one place that knows which package provides them.

Kernels use `cuda` (the module), `kernel` and `device` (the decorators), `load` and `store` (memory at an address),
`atomic_add`, the words of `_jit` and `_words`, and nothing else of the platform. That is numba-cuda, its simulator
(NUMBA_ENABLE_CUDASIM=1), where addresses are the CPU's, or numba-cuda-mlir: `_cuda_compiler` chooses. What they do not have in
common is in `_numba_cuda` and `_numba_cuda_mlir`, with the same names in either:

    cuda, types                 the package's own
    kernel, device              decorators of kernels, and of functions for them
    overload(f)                 the decorator `overload` of Numba, for kernels
    atomic_add(array, i, n)     in kernels: array[i] += n, both int64, i a tuple; the array may be in shared memory
    loaded(kernel, arguments)   a kernel, compiled for these arguments and loaded, and the words that it is launched with
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

F = TypeVar("F", bound=Callable[..., Any])

COMPILER = chosen()
"""The package."""

_INSTALL = f"'lrkern[{EXTRAS[COMPILER]}]'"
require(module_of(COMPILER), install=_INSTALL, what="lrkern.cuda")
_compiler: Any = import_module(f"lrkern.cuda._{module_of(COMPILER)}")
cuda, types, overload, atomic_add = _compiler.cuda, _compiler.types, _compiler.overload, _compiler.atomic_add

SIMULATED: bool = _compiler.SIMULATED

WIDEST = 16
"""Bytes of the widest access of a thread."""

THREADS = 8 if SIMULATED else 256
"""Threads of a block, a multiple of 4. Each is a thread of the CPU in the simulator."""

CHUNK = 64 if SIMULATED else 8192
"""Elements of a tensor that a block steps: a multiple of whatever a thread takes at once."""

# Kernels use np.float32(x) and the like on purpose, and infinities come and go; the simulator's NumPy would warn of each.
if SIMULATED:
    warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"lrkern\.cuda\.")


def kernel(function: F) -> Any:
    """A kernel, compiled when it is first launched: to PTX, which can be read and tested, not to what a linker goes on with."""
    return _compiler.kernel(function)


def device(function: F) -> F:
    """A function for kernels."""
    compiled: F = _compiler.device(function)
    return compiled


# -------------------------------------------------------------------------------------------------------------- memory


@cache
def load(dtype: npt.DTypeLike, lanes: int) -> Any:
    """load(address): `lanes` > 1 neighbours of a type as a tuple, or one as itself; aligned to their size altogether."""
    return _accesses()[0](np.dtype(dtype), lanes)


@cache
def store(dtype: npt.DTypeLike, lanes: int) -> Any:
    """store(address, values): what `load` loads."""
    return _accesses()[1](np.dtype(dtype), lanes)


def _accesses() -> tuple[Callable[..., Any], Callable[..., Any]]:
    if SIMULATED:
        return _simulated_load, _simulated_store
    memory = import_module(f"lrkern.cuda._memory_{module_of(COMPILER)}")
    return memory.make_load, memory.make_store


def _view(address: int, size: int, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """The CPU's memory, which is the simulator's."""
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
    """Bytes on the device, as an array of the platform."""
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
    """The number of the device whose memory this is."""
    if SIMULATED or address == 0:
        return 0 if SIMULATED else int(cuda.get_current_device().id)
    wanted = _driver().CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL
    status, found = _driver().cuPointerGetAttribute(wanted, address)
    if status != _driver().CUresult.CUDA_SUCCESS:
        raise ValueError(f"CUDA knows no device for the memory at {address:#x}: {status.name}")
    return int(found)


def to_device(array: npt.NDArray[Any], stream: int) -> Any:
    """A copy in the device's memory."""
    return cuda.to_device(array, stream=_numba_stream(stream))


def read_back(array: Any, stream: int) -> npt.NDArray[Any]:
    """A copy in the CPU's memory, after whatever the stream has to do first."""
    found: npt.NDArray[Any] = array.copy_to_host(stream=_numba_stream(stream))
    if not SIMULATED:
        _numba_stream(stream).synchronize()
    return found


def write_over(array: Any, values: npt.NDArray[Any], stream: int) -> None:
    """Copy from the CPU's memory, as the stream's next piece of work. `values` may change afterwards: CUDA has its own copy."""
    array.copy_to_device(values, stream=_numba_stream(stream))


# ------------------------------------------------------------------------------------------------------------ launches


class Launch:
    """A kernel with all that it needs, ready to be launched again and again.

    Made on the device that it is for; made, it is compiled and loaded. The compilers' own launches look at every argument every
    time, which takes longer than a small step does, and numba-cuda's warn of small grids, which are meant here.
    """

    def __init__(self, kernel: Any, blocks: int, *arguments: Any, threads: int = THREADS) -> None:
        self._arguments = arguments
        if SIMULATED:
            self._configured = kernel[blocks, threads]
            return
        self._kernel, self._words = _compiler.loaded(kernel, arguments)
        self._configuration = _core().LaunchConfig(grid=blocks, block=threads)

    def __call__(self, stream: int, *last: float) -> None:
        """Launch; `last`: integers and floats in place of the last arguments that it was made with."""
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
"""The default stream's other address: at 0, Numba waits for every copy."""

_stream: ContextVar[int | None] = ContextVar("the address of lrkern's CUDA stream", default=None)


@contextmanager
def use_stream(stream: Any) -> Iterator[None]:
    """Within this context, lrkern's kernels run on the given stream.

    Without it they run on the stream that is current in the library that the arrays come from (torch, CuPy), or on
    Numba's default stream.

    Args:
        stream: a stream of Numba, torch, CuPy or cuda.core; or its address, as an integer.
    """
    token = _stream.set(_address_of(stream))
    try:
        yield
    finally:
        _stream.reset(token)


def current_stream(library: str, device_id: int) -> int:
    """The address of the stream to launch on, for arrays of a library ("torch", "cupy", or another's)."""
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
    """For copies."""
    return 0 if SIMULATED else cuda.external_stream(address or _LEGACY)


@cache
def _core_stream(address: int) -> Any:
    return _core().Stream.from_handle(address)


def is_captured(stream: int) -> bool:
    """Whether the stream's work is recorded for a CUDA graph now, and not done."""
    if SIMULATED:
        return False
    status, found = _driver().cuStreamIsCapturing(stream)
    captured = found == _driver().CUstreamCaptureStatus.CU_STREAM_CAPTURE_STATUS_ACTIVE
    return status == _driver().CUresult.CUDA_SUCCESS and bool(captured)


@contextmanager
def on_device(device_id: int) -> Iterator[None]:
    """Within this context, memory and launches are on the given device."""
    if SIMULATED:
        yield
    else:
        with cuda.gpus[device_id]:
            yield

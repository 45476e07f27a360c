"""The machine's limits: the kernels of limits.c, which are built with the package and called through ctypes."""

from __future__ import annotations

import ctypes
import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

STREAMING = "streaming fill"  # the limit that tables are compared with
STREAMS = "bare streams"  # ... and steps
MAX_WRITTEN = 6  # arrays that `step_streams` can write

Array = NDArray[Any]


@functools.cache
def library() -> ctypes.CDLL:
    """The kernels."""
    loaded = ctypes.CDLL(str(importlib.import_module("lrkern.bench.rivals._limits").__file__))
    pointer, size, word, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64, ctypes.c_int
    loaded.limit_fill.argtypes = loaded.limit_fill_streaming.argtypes = [pointer, size, word, number]
    loaded.limit_copy.argtypes = [pointer, pointer, size, number]
    loaded.limit_step_streams.argtypes = [pointer, number, pointer, size, number]
    loaded.limit_pipeline_streams.argtypes = [pointer] * 4 + [size, number]
    for name in ("fill", "fill_streaming", "copy", "step_streams", "pipeline_streams"):
        getattr(loaded, f"limit_{name}").restype = None
    loaded.limit_streaming_stores.restype = ctypes.c_char_p
    return loaded


def streaming_stores() -> str:
    """Which stores `fill_streaming` uses: avx512, avx2 or plain."""
    name: bytes = library().limit_streaming_stores()
    return name.decode()


def words_of(*arrays: Array) -> int:
    """The common size of arrays in 8-byte words; raises for arrays that the kernels cannot handle."""
    sizes = {array.nbytes for array in arrays}
    if len(sizes) != 1 or not all(array.flags.c_contiguous for array in arrays):
        raise ValueError("limits: arrays must be C-contiguous and of equal size")
    if arrays[0].nbytes % 8:
        raise ValueError("limits: arrays must be a whole number of 8-byte words")
    return arrays[0].nbytes // 8


def pattern_of(value: float, dtype: Any) -> int:
    """The 8-byte word that fills an array of `dtype` with `value`."""
    return int(np.full(8 // np.dtype(dtype).itemsize, value, dtype).view(np.uint64)[0])


def fill(out: Array, value: float, threads: int) -> None:
    """Ordinary stores."""
    library().limit_fill(out.ctypes.data, words_of(out), pattern_of(value, out.dtype), threads)


def fill_streaming(out: Array, value: float, threads: int) -> None:
    """Streaming stores, the widest that the CPU has."""
    library().limit_fill_streaming(out.ctypes.data, words_of(out), pattern_of(value, out.dtype), threads)


def copy(out: Array, source: Array, threads: int) -> None:
    """memcpy, block by block."""
    library().limit_copy(out.ctypes.data, source.ctypes.data, words_of(out, source), threads)


def step_streams(written: Sequence[Array], grad: Array, threads: int) -> Callable[[], None]:
    """A function that reads `grad`, and reads and writes each of `written` in place; the results are meaningless.

    Its arguments are prepared here, as for small arrays that would take longer than the job.
    """
    if not 1 <= len(written) <= MAX_WRITTEN:
        raise ValueError(f"limits: a step writes 1 to {MAX_WRITTEN} arrays; got {len(written)}")
    if not all(array.dtype.itemsize == 4 for array in (*written, grad)):
        raise ValueError("limits: the streams are those of a float32 step")
    words_of(*written, grad)
    places = (ctypes.c_void_p * len(written))(*(array.ctypes.data for array in written))
    arguments = [ctypes.c_void_p(ctypes.addressof(places)), ctypes.c_int(len(written)), ctypes.c_void_p(grad.ctypes.data)]
    arguments += [ctypes.c_int64(grad.size), ctypes.c_int(threads)]
    function, kept = library().limit_step_streams, (places, *written, grad)

    def run(kept: Any = kept) -> None:
        function(*arguments)

    return run


def pipeline_streams(param: Array, grad: Array, buffer: Array, average: Array, threads: int) -> None:
    """The gradient read once, then four reads, all written back in place; the result is meaningless."""
    arrays = param, grad, buffer, average
    if not all(array.dtype.itemsize == 4 for array in arrays):
        raise ValueError("limits: the streams are those of a float32 step")
    words_of(*arrays)
    library().limit_pipeline_streams(*(array.ctypes.data for array in arrays), param.size, threads)

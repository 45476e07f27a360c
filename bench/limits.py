"""The machine's limits: the kernels of limits.c, compiled on demand and called through ctypes."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SOURCE = Path(__file__).with_name("limits.c")
FLAGS = ["-O3", "-march=native", "-std=c11", "-shared", "-fPIC", "-pthread"]
STREAMING = "streaming fill"  # the limit that tables are compared with

Array = NDArray[Any]


def compiler() -> list[str] | None:
    """The C compiler's command line, or None if there is no compiler."""
    command = shlex.split(os.environ.get("CC", "cc"))
    return command if command and shutil.which(command[0]) else None


def library_file(command: list[str]) -> Path:
    """The path of the compiled kernels; the name depends on the source, the flags and the machine."""
    key = hashlib.sha256(SOURCE.read_bytes() + repr((command, FLAGS, os.uname().machine)).encode()).hexdigest()[:16]
    folder = SOURCE.parent.parent / "build" / "bench"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.gettempdir())
    return folder / f"limits-{key}.so"


@functools.cache
def library() -> ctypes.CDLL:
    """The kernels, compiled if necessary."""
    command = compiler()
    if command is None:
        raise RuntimeError("bench: limits.c needs a C compiler; install one or set CC")
    target = library_file(command)
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            fresh = Path(folder) / "limits.so"
            subprocess.run([*command, *FLAGS, str(SOURCE), "-o", str(fresh)], check=True)
            fresh.replace(target)
    loaded = ctypes.CDLL(str(target))
    pointer, size, word, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint64, ctypes.c_int
    loaded.limit_fill.argtypes = loaded.limit_fill_streaming.argtypes = [pointer, size, word, number]
    loaded.limit_copy.argtypes = [pointer, pointer, size, number]
    for streams, arrays in (("sgd", 3), ("adam", 4), ("pipeline", 4)):
        getattr(loaded, f"limit_{streams}_streams").argtypes = [pointer] * arrays + [size, number]
    for name in ("fill", "fill_streaming", "copy", "sgd_streams", "adam_streams", "pipeline_streams"):
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


def sgd_streams(param: Array, grad: Array, buffer: Array, threads: int) -> None:
    """Three reads, all except the gradient written back in place; the result is meaningless."""
    _streams("sgd", threads, param, grad, buffer)


def adam_streams(param: Array, grad: Array, mean: Array, square: Array, threads: int) -> None:
    """Four reads, all except the gradient written back in place; the result is meaningless."""
    _streams("adam", threads, param, grad, mean, square)


def pipeline_streams(param: Array, grad: Array, buffer: Array, average: Array, threads: int) -> None:
    """The gradient read once, then four reads, all written back in place; the result is meaningless."""
    _streams("pipeline", threads, param, grad, buffer, average)


def _streams(name: str, threads: int, *arrays: Array) -> None:
    if not all(array.dtype.itemsize == 4 for array in arrays):
        raise ValueError("limits: the streams are those of a float32 step")
    words_of(*arrays)
    getattr(library(), f"limit_{name}_streams")(*(array.ctypes.data for array in arrays), arrays[0].size, threads)

"""Arrays of other libraries as DLPack exports them: hand-made capsules of any device, dtype and flags."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from typing import Any

import numpy as np

CPU, CUDA, CUDA_HOST = 1, 2, 3
READ_ONLY, IS_COPIED = 1, 2
CODES = {"i": 0, "u": 1, "f": 2, "V": 4, "c": 5, "b": 6}


class Tensor(ctypes.Structure):
    _fields_ = [
        ("data", c_void_p),
        ("device_type", c_int32),
        ("device_id", c_int32),
        ("ndim", c_int32),
        ("code", c_uint8),
        ("bits", c_uint8),
        ("lanes", c_uint16),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
        ("byte_offset", c_uint64),
    ]


DELETER = ctypes.CFUNCTYPE(None, c_void_p)


class Managed(ctypes.Structure):
    _fields_ = [("tensor", Tensor), ("context", c_void_p), ("deleter", DELETER)]


class Versioned(ctypes.Structure):
    _fields_ = [
        ("major", c_uint32),
        ("minor", c_uint32),
        ("context", c_void_p),
        ("deleter", DELETER),
        ("flags", c_uint64),
        ("tensor", Tensor),
    ]


_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype, _new_capsule.argtypes = ctypes.py_object, [c_void_p, ctypes.c_char_p, c_void_p]


# The memory that capsules point to is kept forever, because they may be released at any time.
_exported: list[Any] = []


class Stranger:
    """An array of an unknown library, over the memory of a NumPy array.

    `deleted` counts how often the memory was released. `major` 0 is a library with unversioned capsules only.
    """

    def __init__(self, array: np.ndarray, *, device: int = CPU, flags: int = 0, major: int = 1, **fields: Any) -> None:
        self.array, self.dtype, self.device = array, array.dtype, f"device {device}"
        self._device, self._flags, self._major, self._fields = device, flags, major, fields
        self.exported, self.deleted = 0, 0

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._device, 0

    def _count(self, _: Any) -> None:
        self.deleted += 1

    def __dlpack__(self, **options: Any) -> Any:
        if self._major == 0 and options:
            raise TypeError("__dlpack__() got an unexpected keyword argument 'max_version'")
        array, kind = self.array, Versioned if self._major else Managed
        shape, strides = ((c_int64 * array.ndim)(*one) for one in (array.shape, [s // array.itemsize for s in array.strides]))
        tensor = Tensor(
            array.ctypes.data, self._device, 0, array.ndim, CODES[array.dtype.kind], array.itemsize * 8, 1, shape, strides, 0
        )
        for name, value in self._fields.items():
            setattr(tensor, name, value)
        managed = kind(tensor=tensor, deleter=DELETER(self._count))
        if isinstance(managed, Versioned):
            managed.major, managed.flags = self._major, self._flags
        _exported.append((shape, strides, managed))
        self.exported += 1
        return _new_capsule(ctypes.addressof(managed), b"dltensor_versioned" if self._major else b"dltensor", None)


assert ctypes.sizeof(Tensor) == 48

"""Arrays on a device: conversion from other libraries, and what optimizers do with them outside of steps.

Inside lrkern such an array is a `DeviceArray`: a NumPy array without accessible elements, with the shape, strides, dtype and
address of the device array, so that the checks for arrays work for it as well. `given` is the array of the user's library.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lrkern import _checks, _core
from lrkern.backends import DLPACK_CUDA
from lrkern.cuda import _elements
from lrkern.cuda._platform import (
    SIMULATED,
    THREADS,
    Launch,
    cuda,
    current_stream,
    device_at,
    kernel,
    memory_at,
    on_device,
    read_back,
    store,
    write_over,
)
from lrkern.optimizers import arrays as _arrays

computed_in = _arrays.computed_in
is_bfloat16 = _arrays.is_bfloat16


class DeviceArray(np.ndarray[Any, Any]):
    """Shape, strides, dtype and address of an array whose elements the CPU cannot access."""

    owner: Any
    """Keeps the memory alive."""
    device_id: int
    library: str

    def _unreachable(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("the elements of this array are in device memory")

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        if function is not np.may_share_memory:  # this one uses addresses only
            return self._unreachable()
        return super().__array_function__(function, types, arguments, options)

    __array_ufunc__ = __getitem__ = __setitem__ = __iter__ = _unreachable
    __bool__ = __float__ = __int__ = __reduce__ = copy = astype = tobytes = tolist = item = _unreachable

    def __repr__(self) -> str:
        return f"<{self.dtype} {self.shape} on CUDA device {self.device_id}>"

    __str__ = __repr__

    @property
    def address(self) -> int:
        """The address of the first element."""
        return int(self.ctypes.data)


class Pair(NamedTuple):
    """A gradient (indices, values)."""

    indices: DeviceArray
    values: DeviceArray
    rows: int
    """The number of rows of the parameter."""


def _at(owner: Any, address: int, shape: Any, strides: Any, dtype: Any, writable: bool, device_id: int) -> DeviceArray:
    class Interface:
        __array_interface__ = {  # noqa: RUF012
            "version": 3,
            "data": (address, not writable),
            "shape": tuple(shape),
            "strides": None if strides is None else tuple(strides),
            "typestr": np.dtype(f"V{np.dtype(dtype).itemsize}").str,
        }

    return _named(np.asarray(Interface()).view(dtype), owner, device_id)


def _named(array: Any, owner: Any, device_id: int) -> DeviceArray:
    found: DeviceArray = array.view(DeviceArray)
    found.owner, found.device_id = owner, device_id
    found.library = type(owner).__module__.partition(".")[0]
    return found


def as_array(where: str, name: str, value: Any, *, written: bool) -> Any:
    """`value` as a DeviceArray; other objects unchanged; an error for arrays that are not on a device."""
    if isinstance(value, DeviceArray):
        return value
    owner, value = value, _core.exportable(where, name, value, written=written)
    if SIMULATED and getattr(value, "__cuda_ndarray__", False):
        return _named(value._ary, owner, 0)
    interface = interface_of(value)
    if interface is not None:
        return _from_interface(where, name, owner, interface)
    if hasattr(value, "__dlpack_device__") and value.__dlpack_device__()[0] in DLPACK_CUDA:
        return _from_dlpack(where, name, value, owner)
    if isinstance(value, np.ndarray) or hasattr(value, "__dlpack__"):
        got = f"got one in CPU memory, {_checks.describe(value)}"
        raise TypeError(f"{where}: {name} must be an array on a CUDA device; {got}")
    return value


def interface_of(value: Any) -> dict[str, Any] | None:
    """The CUDA array interface of an array, if it has one."""
    try:
        found: dict[str, Any] | None = getattr(value, "__cuda_array_interface__", None)
    except (KeyError, TypeError):  # older torch, for dtypes without a type string: DLPack has them
        return None
    return found


def _from_interface(where: str, name: str, owner: Any, interface: dict[str, Any]) -> DeviceArray:
    address, read_only = interface["data"]
    typestr = interface["typestr"]
    if typestr[1:] == "V2":  # how libraries denote bfloat16, which has no type string
        dtype = _arrays.bfloat16(f"{where} with bfloat16 arrays")
    else:
        dtype = np.dtype(typestr)
    if interface.get("mask") is not None:
        raise TypeError(f"{where}: {name} must be an array without a mask")
    address = address or 0  # empty arrays may have None
    if address == 0 and 0 not in interface["shape"]:
        raise TypeError(f"{where}: {name} must be an array in memory; got one at address 0")
    device_id = _device_of(owner, address)
    return _at(owner, address, interface["shape"], interface.get("strides"), dtype, not read_only, device_id)


def _from_dlpack(where: str, name: str, value: Any, owner: Any) -> DeviceArray:
    kind, device_id = value.__dlpack_device__()
    wanted = f"{where}: {name} must be an array of {', '.join(_arrays.DTYPES)}; got {type(value).__name__}"
    try:  # -1: no synchronization; code that launches on another stream than the producer's must synchronize
        capsule = value.__dlpack__(stream=-1)
    except Exception as error:  # another library may raise anything
        raise TypeError(f"{where}: {name} cannot be used: {error}") from None
    try:
        array = _core.array_of_capsule(where, capsule, (kind,))
    except ValueError as error:  # not a capsule, or a used one
        raise TypeError(f"{wanted}: {error}") from None
    if array is None:
        raise TypeError(wanted)
    return _named(array, (owner, array), device_id)


def _device_of(owner: Any, address: int) -> int:
    device = getattr(owner, "device", None)
    for attribute in ("index", "id"):  # torch's, CuPy's
        number = getattr(device, attribute, None)
        if isinstance(number, int):
            return number
    return device_at(address)


def as_dense_gradient(where: str, name: str, grad: Any, param: Any, written: bool) -> Any:
    """A gradient as a DeviceArray; None if it is not an array."""
    array = as_array(where, name, grad, written=written)
    return array if isinstance(array, DeviceArray) else None


def as_gradient(takes_rows: bool, halves: bool, where: str, name: str, grad: Any, param: Any, written: bool) -> Any:
    """The same, or a `Pair` for sparse gradients of rules that take them."""
    _arrays.check_rows_are_taken(takes_rows, where, name, grad)
    if not isinstance(grad, tuple):
        return as_dense_gradient(where, name, grad, param, written)
    indices, values = _arrays.as_pair(as_array, where, name, grad, param, written, halves)
    if not indices.dtype.isnative:
        wanted = f"{name}[0] must be integers in native byte order"
        raise TypeError(f"{where}: {wanted}; got {_checks.describe(indices)}")
    return Pair(indices, values, param.shape[0])


# --------------------------------------------------------------------------------------------------------- made by lrkern


def _empty_like(param: DeviceArray, dtype: npt.DTypeLike) -> DeviceArray:
    """A new array with the shape and memory order of another. Dtypes that Numba does not have are stored as bits."""
    wanted = np.dtype(dtype)
    held = np.dtype(np.uint16) if wanted.name == "bfloat16" else wanted
    strides = tuple(one // param.itemsize * held.itemsize for one in param.strides)
    with on_device(param.device_id):
        owner = cuda.device_array(shape=param.shape, dtype=held, strides=strides)
    found: DeviceArray = as_array("", "", owner, written=True)
    found = _named(np.asarray(found.view(np.ndarray)).view(wanted), owner, param.device_id)
    found.library = param.library
    return found


def storage_of(dtype: np.dtype[Any], halves: bool) -> int:
    """The storage type of a dtype, as numbered in `_elements`."""
    if halves and dtype == np.uint16:
        return _elements.BFLOAT16
    return _STORAGES[dtype.name]


_STORAGES = {
    "float32": _elements.FLOAT32,
    "float64": _elements.FLOAT64,
    "bfloat16": _elements.BFLOAT16,
    "float16": _elements.FLOAT16,
}


@cache
def _make_fill(carrier: Any) -> Any:
    access, size = store(carrier, 1), np.dtype(carrier).itemsize

    def fill_all(address: int, count: int, value: Any) -> None:
        i = cuda.grid(1)
        while i < count:
            access(address + i * size, value)
            i += cuda.gridsize(1)

    return kernel(fill_all, carrier)


@cache
def _make_convert(storage: int, to: int) -> Any:
    t = _elements.CARRIERS[to]
    read, write = _elements.reader(storage, t, 1), _elements.writer(to, t, 1)

    def convert(source: int, target: int, count: int) -> None:
        x = cuda.local.array(1, t)
        i = cuda.grid(1)
        while i < count:
            read(source, i, x)
            write(target, i, x, 0)
            i += cuda.gridsize(1)

    return kernel(convert, storage, to)


@cache
def _make_copy(storage: int, split: bool, to: int) -> Any:
    t: Any = np.float64 if storage == _elements.FLOAT64 else np.float32
    read_whole, read_split = _elements.reader(storage, t, 1), _elements.reader_of_split(1)
    write = _elements.writer(to, t, 1)

    def copy_all(source: int, rest: int, target: int, count: int) -> None:
        x = cuda.local.array(1, t)
        i = cuda.grid(1)
        while i < count:
            if split:
                read_split(source, rest, i, x)
            else:
                read_whole(source, i, x)
            write(target, i, x, 0)
            i += cuda.gridsize(1)

    return kernel(copy_all, storage, split, to)


def write_copy(param: DeviceArray, remainder: DeviceArray | None, copy: DeviceArray, halves: bool) -> None:
    """Copy a parameter to an array of another dtype. `remainder`: the extra bits of a split parameter."""
    made = _make_copy(storage_of(param.dtype, halves), remainder is not None, storage_of(copy.dtype, halves))
    _launch(made, param, param.address, 0 if remainder is None else remainder.address, copy.address, param.size)


def _launch(made: Any, array: DeviceArray, *arguments: Any) -> None:
    if array.size > 0:
        with on_device(array.device_id):
            blocks = min((array.size - 1) // THREADS + 1, _MOST_BLOCKS)
            Launch(made, blocks, *arguments)(current_stream(array.library, array.device_id))


_MOST_BLOCKS = 2048


def zeros_like(param: DeviceArray, dtype: npt.DTypeLike) -> DeviceArray:
    """Zeros with the shape and memory order of a parameter."""
    array = _empty_like(param, dtype)
    clear(array)
    return array


def clear(array: DeviceArray) -> None:
    """Set all elements to 0."""
    carrier = {2: np.uint16, 4: np.float32, 8: np.float64}[array.itemsize]
    _launch(_make_fill(carrier), array, array.address, array.size, carrier(0))


def fill(array: DeviceArray, value: float, halves: bool) -> None:
    """Set all elements to a number."""
    one = np.zeros(1, array.dtype)
    _arrays.fill(one, value, halves)
    carrier = _elements.CARRIERS[storage_of(array.dtype, halves)]
    _launch(_make_fill(carrier), array, array.address, array.size, one.view(carrier)[0])


def in_computed_type(param: DeviceArray, halves: bool) -> DeviceArray:
    """A copy of a parameter, in the same memory order, in the dtype of its computation."""
    array = _empty_like(param, computed_in(param))
    convert = _make_convert(storage_of(param.dtype, halves), storage_of(array.dtype, False))
    _launch(convert, array, param.address, array.address, array.size)
    return array


def address_of(array: DeviceArray | None) -> Callable[[], int] | None:
    """A function that returns the current address of the user's array, if its library (torch) can replace its memory."""
    owner = getattr(array, "owner", None)
    return getattr(owner[0] if isinstance(owner, tuple) else owner, "data_ptr", None)


def given(array: DeviceArray) -> Any:
    """The user's own array."""
    return array.owner


def copy(array: DeviceArray) -> Any:
    """A copy in CPU memory, in the same memory order, gaps included. Waits for the kernels on the stream."""
    if array.size == 0:
        return np.empty(array.shape, array.dtype)
    steps = [(n - 1) * step for n, step in zip(array.shape, array.strides, strict=True)]
    before, reach = -sum(min(0, one) for one in steps), array.itemsize + sum(map(abs, steps))
    with on_device(array.device_id):
        raw = read_back(memory_at(array.address - before, reach), current_stream(array.library, array.device_id))
    return np.ndarray(array.shape, array.dtype, buffer=raw, offset=before, strides=array.strides)


in_cpu_memory = copy


def overwrite(array: DeviceArray, values: Any) -> None:
    """Set all elements to those of an array in CPU memory."""
    if array.size == 0:
        return
    raw = np.empty(array.nbytes, np.uint8)
    np.ndarray(array.shape, array.dtype, buffer=raw, strides=array.strides)[...] = values
    with on_device(array.device_id):
        write_over(memory_at(array.address, array.nbytes), raw, current_stream(array.library, array.device_id))

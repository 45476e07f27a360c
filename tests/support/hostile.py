"""Arrays that lie, move or vanish, and memory that tells whether anything has been written where it must not be."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any, NamedTuple

import dlpack
import numpy as np

GUARD = 256  # bytes on either side of an array
MARK = 0xA5

REFUSED, RIGHT = "refused", "right"


class Memory:
    """Arrays that are made here have guards around them, and are remembered as they are made."""

    def __init__(self) -> None:
        self.made: list[tuple[np.ndarray, bytes]] = []

    def place(self, values: Any) -> np.ndarray:
        """These numbers, in the same memory order, between guards."""
        values = np.asarray(values)
        raw = np.full(values.nbytes + 2 * GUARD, MARK, np.uint8)
        array = np.ndarray(values.shape, values.dtype, raw, GUARD, values.copy("K").strides)
        array[...] = values
        self.made.append((raw, raw.tobytes()))
        return array

    def check(self, *, unchanged: bool) -> None:
        """All guards are as they were; arrays, too, if they have to be."""
        for raw, before in self.made:
            now = raw.tobytes()
            assert now[:GUARD] == before[:GUARD], "written before an array"
            assert now[-GUARD:] == before[-GUARD:], "written after an array"
            assert not unchanged or now == before, "an array was written that must not be"

    def contents(self) -> list[bytes]:
        """Of all arrays after the first one."""
        return [raw.tobytes() for raw, _ in self.made[1:]]


def nonsense(*arguments: Any, **options: Any) -> Any:
    raise ZeroDivisionError("nobody should have asked")


def lying(name: str, said: Callable[[Any], dict[str, Any]]) -> Callable[[np.ndarray], np.ndarray]:
    """Makes arrays of a subclass that says other things of itself than are so."""

    def make(array: np.ndarray) -> np.ndarray:
        liar: np.ndarray = array.view(type(name, (np.ndarray,), said(array)))
        return liar

    return make


def as_of(other: np.ndarray, *names: str) -> dict[str, Any]:
    """Properties that are those of another array."""

    def of(name: str) -> property:
        return property(lambda _: getattr(other, name))

    return {name: of(name) for name in names}


def of_other_size(array: Any) -> dict[str, Any]:
    big, small = np.zeros((1000, *array.shape[1:]), array.dtype), np.zeros((1, *array.shape[1:]), array.dtype)
    methods: dict[str, Any] = {"__len__": lambda _: 1, "__iter__": lambda _: iter(small), "tolist": lambda _: small.tolist()}
    return as_of(big, "shape", "size", "nbytes") | methods


def of_other_layout(array: Any) -> dict[str, Any]:
    return as_of(np.zeros(64, np.int8), "dtype", "strides", "itemsize", "flags", "ndim")


def always_within(array: Any) -> dict[str, Any]:
    yes = np.ones(array.shape, bool)
    names = ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__")
    return {name: lambda *_: yes for name in names} | {name: lambda *_, **__: 0 for name in ("min", "max", "argmin", "argmax")}


def raising(array: Any) -> dict[str, Any]:
    names = (
        "__len__", "__iter__", "__getitem__", "__setitem__", "__array__", "__array_ufunc__", "__array_function__", "__lt__",
        "__eq__", "__float__", "__repr__", "__str__", "astype", "copy", "reshape", "ravel", "view", "tolist", "min", "max",
        "fill", "__array_wrap__", "__dlpack__",
    )  # fmt: skip
    properties = ("shape", "dtype", "strides", "flags", "size", "nbytes", "itemsize", "ndim", "T", "base", "data", "ctypes")
    found: dict[str, Any] = dict.fromkeys(names, nonsense)
    return found | dict.fromkeys(properties, property(nonsense))


def masked(array: np.ndarray) -> np.ndarray:
    mask = np.zeros(array.shape, bool)
    mask.flat[-1] = True
    return np.ma.array(array, mask=mask, copy=False)


def in_file(array: np.ndarray, folder: Path, mode: str = "r+") -> np.memmap:
    path = folder / "mapped"
    path.write_bytes(array.tobytes("K"))
    return np.memmap(path, array.dtype, mode, shape=array.shape)


def closed_file(array: np.ndarray, folder: Path) -> np.memmap:
    mapped = in_file(array, folder)
    mapped._mmap.close()  # which NumPy lets pass: looking at an element would be a segmentation fault
    return mapped


def in_mapping(array: np.ndarray) -> tuple[np.ndarray, mmap.mmap]:
    mapping = mmap.mmap(-1, max(array.nbytes, 1))
    mapping[: array.nbytes] = array.tobytes("K")
    return np.ndarray(array.shape, array.dtype, mapping), mapping


def closed_mapping(array: np.ndarray) -> np.ndarray:
    view, mapping = in_mapping(array)
    mapping.close()
    return view


def in_bytearray(array: np.ndarray) -> tuple[np.ndarray, bytearray]:
    buffer = bytearray(array.tobytes("K"))
    return np.ndarray(array.shape, array.dtype, buffer), buffer


def grown_bytearray(array: np.ndarray) -> np.ndarray:
    view, buffer = in_bytearray(array)
    buffer.extend(bytes(1 << 20))
    return view


def shared(array: np.ndarray) -> tuple[np.ndarray, shared_memory.SharedMemory]:
    memory = shared_memory.SharedMemory(create=True, size=max(array.nbytes, 1))
    memory.unlink()
    view: np.ndarray = np.ndarray(array.shape, array.dtype, memory.buf)
    view[...] = array
    return view, memory


def closed_shared(array: np.ndarray) -> np.ndarray:
    view, memory = shared(array)
    memory.close()
    return view


def view_of_owner(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All elements but the first of an array that can be resized."""
    owner = np.concatenate([array[:1], array])
    return owner[1:], owner


def of_resized(array: np.ndarray) -> np.ndarray:
    view, owner = view_of_owner(array)
    owner.resize((1, *owner.shape[1:]), refcheck=False)
    return view


class Hostile(NamedTuple):
    """An array that is not what an array should be."""

    make: Callable[..., Any]
    """make(array, folder): of a good array with the same numbers."""
    written: str
    """What becomes of it where it would be written to: it is refused, or what is done is right."""
    read: str
    """The same where it is read as it lies: a gradient."""
    converted: str
    """The same where it is read as numbers, in whatever type and layout."""
    look: Callable[[Any], np.ndarray] = lambda bad: np.ndarray.view(bad, np.ndarray)
    """The numbers that are in it, where it is right."""


def without_folder(make: Callable[[np.ndarray], Any]) -> Callable[..., Any]:
    return lambda array, folder: make(array)


ARRAYS = {
    "masked": Hostile(without_folder(masked), REFUSED, REFUSED, REFUSED),
    "says another size": Hostile(without_folder(lying("OfSize", of_other_size)), RIGHT, RIGHT, RIGHT),
    "says another layout": Hostile(without_folder(lying("OfLayout", of_other_layout)), RIGHT, RIGHT, RIGHT),
    "says it is within all bounds": Hostile(without_folder(lying("Within", always_within)), RIGHT, RIGHT, RIGHT),
    "raises at every touch": Hostile(without_folder(lying("Raises", raising)), RIGHT, RIGHT, RIGHT),
    "in a file": Hostile(in_file, RIGHT, RIGHT, RIGHT),
    "in a file for reading": Hostile(lambda array, folder: in_file(array, folder, "r"), REFUSED, RIGHT, RIGHT),
    "in a file that was closed": Hostile(closed_file, REFUSED, REFUSED, REFUSED),
    "in a mapping that was closed": Hostile(without_folder(closed_mapping), REFUSED, REFUSED, REFUSED),
    "in a buffer that has grown": Hostile(without_folder(grown_bytearray), REFUSED, REFUSED, REFUSED),
    "in shared memory that was closed": Hostile(without_folder(closed_shared), REFUSED, REFUSED, REFUSED),
    "of an array that was resized": Hostile(without_folder(of_resized), REFUSED, REFUSED, REFUSED),
    "in the other byte order": Hostile(lambda array, _: array.astype(array.dtype.newbyteorder()), REFUSED, REFUSED, RIGHT),
    "backwards": Hostile(lambda array, _: array[::-1].copy()[::-1], REFUSED, REFUSED, RIGHT),
    "of one element": Hostile(lambda array, _: np.broadcast_to(array[:1], array.shape), REFUSED, REFUSED, RIGHT),
    "of every other element": Hostile(lambda array, _: np.repeat(array, 2, 0)[::2], REFUSED, REFUSED, RIGHT),
    "of objects": Hostile(lambda array, _: array.astype(object), REFUSED, REFUSED, REFUSED, lambda bad: np.array(bad.tolist())),
    "of bytes": Hostile(lambda array, _: array.tobytes(), REFUSED, REFUSED, REFUSED),
}


class Capsules:
    """What has DLPack, and does with it what it should not."""

    def __init__(self, array: np.ndarray, give: Callable[[dlpack.Stranger], Any], device: Callable[[], Any]) -> None:
        self._stranger, self._give, self._device = dlpack.Stranger(array), give, device

    def __dlpack__(self, **options: Any) -> Any:
        return self._give(self._stranger)

    def __dlpack_device__(self) -> Any:
        return self._device()


def used(stranger: dlpack.Stranger) -> Any:
    capsule = stranger.__dlpack__()
    np.from_dlpack(_Once(capsule))
    return capsule


class _Once:
    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CPU, 0


def on_cpu() -> tuple[int, int]:
    return dlpack.CPU, 0


def of_fields(**fields: Any) -> Callable[[np.ndarray], Any]:
    return lambda array: dlpack.Stranger(array, **fields)


class Misshapen(dlpack.Stranger):
    """Says that it is larger than its capsule does."""

    @property
    def shape(self) -> tuple[int, ...]:
        return (1000, *self.array.shape[1:])


CAPSULES: dict[str, Callable[[np.ndarray], Any]] = {
    "used before": lambda array: Capsules(array, used, on_cpu),
    "an error": lambda array: Capsules(array, nonsense, on_cpu),
    "None": lambda array: Capsules(array, lambda _: None, on_cpu),
    "a number": lambda array: Capsules(array, lambda _: 3, on_cpu),
    "the array itself": lambda array: Capsules(array, lambda stranger: stranger.array, on_cpu),
    "an error for a device": lambda array: Capsules(array, lambda stranger: stranger.__dlpack__(), nonsense),
    "no device": lambda array: Capsules(array, lambda stranger: stranger.__dlpack__(), lambda: None),
    "a device it is not on": lambda array: dlpack.Stranger(array, device_type=dlpack.CUDA),
    "another shape than its own": Misshapen,
    "no shape": of_fields(shape=None),
    "no memory": of_fields(data=None),
    "fewer than no axes": of_fields(ndim=-1),
    "too many axes": of_fields(ndim=65),
    "vectors": of_fields(lanes=2),
}
"""Of an array what gives this in the place of a capsule, or a capsule that is wrong."""

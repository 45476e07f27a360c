"""Elements between memory and registers: what is stored in any of four types is computed in one of two.

A reader or writer is made for a storage (None: there is no such array, and it does nothing), the type T that is computed in,
and the number of neighbours that a thread handles at once. Wide ones move 16 bytes at a time wherever that many are there.
Each is made once: compiling them takes most of the time that a kernel takes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from lrkern import _core
from lrkern.cuda._platform import WIDEST, cuda, device, load, store
from lrkern.pointwise import storage as _storage
from lrkern.pointwise.primitives import pointwise

FLOAT32, FLOAT64, BFLOAT16, FLOAT16 = _core.STORAGES.values()
"""As C numbers them."""

CARRIERS = (np.float32, np.float64, np.uint16, np.uint16)
"""What memory holds of each."""

Function = Callable[..., Any]


def itemsize(storage: int) -> int:
    """Bytes of an element."""
    return np.dtype(CARRIERS[storage]).itemsize


# ---------------------------------------------------------------------------------------------------------- conversions


def _from_half(t: type[Any], convert: Function) -> Function:
    @pointwise
    def loaded(bits):
        return t(convert(bits))

    made: Function = loaded
    return made


def _to_half(t: type[Any], convert: Function) -> Function:
    @pointwise
    def of_float64(x):
        return convert(_storage.to_odd(x))

    return of_float64 if t is np.float64 else convert


def _to_half_randomly(t: type[Any], convert: Function) -> Function:
    @pointwise
    def of_float64(x, r):
        return convert(_storage.to_odd(x), r)

    return of_float64 if t is np.float64 else convert


def _from_storage(storage: int, t: type[Any]) -> Function:
    if storage in (FLOAT32, FLOAT64):
        return t
    return _from_half(t, _storage.from_bf16 if storage == BFLOAT16 else _storage.from_f16)


def _to_storage(storage: int, t: type[Any]) -> Function:
    if storage in (FLOAT32, FLOAT64):
        return CARRIERS[storage]
    return _to_half(t, _storage.to_bf16 if storage == BFLOAT16 else _storage.to_f16)


# --------------------------------------------------------------------------------------------------- readers, writers


@cache
def reader(storage: int | None, t: type[Any], lanes: int) -> Function:
    """read(address, i, out): elements i, i + 1, ... of an array into out[0], out[1], ...; zeros where there is no array."""
    if storage is None:

        def clear(address: int, i: int, out: Any) -> None:
            for k in range(lanes):
                out[k] = t(0)

        return device(clear)

    size, convert = itemsize(storage), _from_storage(storage, t)
    at_once = min(lanes, WIDEST // size)
    access = load(CARRIERS[storage], at_once)

    def read_one(address: int, i: int, out: Any) -> None:
        out[0] = convert(access(address + i * size))

    def read(address: int, i: int, out: Any) -> None:
        for begin in range(0, lanes, at_once):
            found = access(address + (i + begin) * size)
            for k in range(at_once):
                out[begin + k] = convert(found[k])

    return device(read_one if lanes == 1 else read)


@cache
def reader_of_split(lanes: int) -> Function:
    """read(address, remainders, i, out), for bfloat16 with another 16 bits of each element elsewhere."""
    at_once = min(lanes, WIDEST // 2)
    access, access_rest = load(np.uint16, at_once), load(np.int16, at_once)
    join = _storage.join_split

    def read_one(address: int, remainders: int, i: int, out: Any) -> None:
        out[0] = join(access(address + i * 2), access_rest(remainders + i * 2))

    def read(address: int, remainders: int, i: int, out: Any) -> None:
        for begin in range(0, lanes, at_once):
            found = access(address + (i + begin) * 2)
            rest = access_rest(remainders + (i + begin) * 2)
            for k in range(at_once):
                out[begin + k] = join(found[k], rest[k])

    return device(read_one if lanes == 1 else read)


@cache
def clearer(storage: int | None, t: Any, lanes: int) -> Function:
    """clear(address, i): zeros in the place of elements i, i + 1, ...; nothing where there is no array."""
    write = writer(storage, t, lanes)

    def clear(address: int, i: int) -> None:
        zeros = cuda.local.array(lanes, t)
        for k in range(lanes):
            zeros[k] = t(0)
        write(address, i, zeros, 0)

    return device(clear)


def converted(count: int, expression: str, **scope: Any) -> Function:
    """converted(values, begin, i, key): `count` values from `begin` on, each converted, as what `store` takes.

    Its text is made here because a tuple cannot be filled by a loop. In `expression` x is the value, and e its number.
    """
    items = [expression.format(x=f"values[begin + {k}]", e=f"i + begin + {k}") for k in range(count)]
    exec(f"def converted(values, begin, i, key): return {', '.join(items)}", scope)
    made: Function = device(scope["converted"])
    return made


@cache
def writer(storage: int | None, t: type[Any], lanes: int, stream: int | None = None) -> Function:
    """write(address, i, values, mixed): the reverse of `read`; nothing where there is no array.

    With a `stream`, bfloat16 and float16 are rounded stochastically; `mixed` is `_storage.random_seed`'s.
    """
    if storage is None:

        def skip(address: int, i: int, values: Any, mixed: Any) -> None:
            pass

        return device(skip)

    size, u64 = itemsize(storage), np.uint64
    at_once = min(lanes, WIDEST // size)
    access = store(CARRIERS[storage], at_once)
    if stream is not None and storage in (BFLOAT16, FLOAT16):
        to_half = _storage.to_bf16_random if storage == BFLOAT16 else _storage.to_f16_random
        scope = {"convert": _to_half_randomly(t, to_half), "random_bits": _storage.random_bits, "u32": np.uint32, "u64": u64}
        made = converted(at_once, "convert({x}, u32(random_bits(key, u64({e}))))", **scope)
        key_of, number = _storage.random_key, u64(stream)

        def write_randomly(address: int, i: int, values: Any, mixed: Any) -> None:
            key = u64(key_of(mixed, number, u64(i)))
            for begin in range(0, lanes, at_once):
                access(address + (i + begin) * size, made(values, begin, i, key))

        return device(write_randomly)

    nearest = converted(at_once, "convert({x})", convert=_to_storage(storage, t))

    def write(address: int, i: int, values: Any, mixed: Any) -> None:
        for begin in range(0, lanes, at_once):
            access(address + (i + begin) * size, nearest(values, begin, i, mixed))

    return device(write)


@cache
def writer_of_split(lanes: int) -> Function:
    """write(address, remainders, i, values), for what `reader_of_split` reads."""
    at_once = min(lanes, WIDEST // 2)
    access, access_rest = store(np.uint16, at_once), store(np.int16, at_once)
    high = converted(at_once, "split({x})[0]", split=_storage.split)
    low = converted(at_once, "split({x})[1]", split=_storage.split)

    def write(address: int, remainders: int, i: int, values: Any) -> None:
        for begin in range(0, lanes, at_once):
            access(address + (i + begin) * 2, high(values, begin, i, 0))
            access_rest(remainders + (i + begin) * 2, low(values, begin, i, 0))

    return device(write)

"""Arrays in compiled code: elements of any storage type as numbers of T; arrays at addresses; and caching.

T is float64 if a parameter is float64, else float32. Storage types are float64, float32, bfloat16 as bits in uint16, and
float16 as bits in int16 (Numba has no float16 on the CPU). None represents a missing array: it reads as 0 and ignores writes,
so that one source serves all rules and options.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.runtime import rtsys
from numba.extending import intrinsic, overload

from lrkern._checks import is_array
from lrkern.pointwise import storage
from lrkern.pointwise.primitives import FLAGS, FLOATS, number, word

MAX = float(np.finfo(np.float32).max)
"""Scalars are rounded to T: this is the limit of float32."""


SHARED = (
    "_checks.py",
    "_loss_driven/dialects.py",
    "_loss_driven/runs.py",
    "optimizers/*.py",
    "pointwise/*.py",
    "rules/*.py",
    "schedules/plan.py",
    "numba/*.py",
)
"""Files of the package that compiled code depends on."""


def _sources() -> tuple[tuple[str, float, int], ...]:
    """The files that compiled code depends on, with their times and sizes."""
    package = Path(__file__).parent.parent
    files = [file for pattern in SHARED for file in sorted(package.glob(pattern))]
    return tuple((str(file.relative_to(package)), file.stat().st_mtime, file.stat().st_size) for file in files)


_SOURCES = _sources()


def cached(function: Any = None, *, parallel: bool = False) -> Any:
    """njit with caching on disk if a directory is writable, and without the GIL."""
    if function is None:
        return lambda function: cached(function, parallel=parallel)
    try:
        compiled = njit(function, cache=True, nogil=True, parallel=parallel, **FLAGS)
    except RuntimeError:  # neither the package's directory nor the user's is writable
        return _typed_by_memory(njit(function, nogil=True, parallel=parallel, **FLAGS))
    with suppress(AttributeError):  # Numba internals, which may change between versions
        compiled._cache._cache_file._source_stamp = _SOURCES  # by default, the stamp of the function's own file only
        compiled._cache.save_overload = _where_there_is_room(compiled._cache.save_overload)
        compiled._cache._cache_file._load_index = _if_readable(compiled._cache._cache_file._load_index)
        compiled._cache.load_overload = _without_registries(compiled._cache)
    return _typed_by_memory(compiled)


def _typed_by_memory(compiled: Any) -> Any:
    """Ignore what subclasses of arrays say about themselves when compiling: compiled code gets their memory."""
    typeof = compiled.typeof_pyval

    def typeof_memory(value: Any) -> Any:
        return typeof(np.ndarray.view(value, np.ndarray) if is_array(value) else value)

    compiled.typeof_pyval = typeof_memory
    return compiled


def _where_there_is_room(save: Callable[..., None]) -> Callable[..., None]:
    """Ignore failures to save: code that is not cached is compiled again next time."""

    def save_or_not(*arguments: Any) -> None:
        with suppress(OSError):
            save(*arguments)

    return save_or_not


def _without_registries(cache: Any) -> Callable[[Any, Any], Any]:
    """Load code without what only compiling needs: all of Numba's implementations, and SciPy, take longer than the rest."""

    guard, load_overload = cache._guard_against_spurious_io_errors, cache._load_overload  # here: a Numba without them is left

    def load(signature: Any, target: Any) -> Any:
        rtsys.initialize(target)  # memory, which compiled code allocates for arrays
        with guard():
            return load_overload(signature, target)

    return load


def _if_readable(load: Callable[..., Any]) -> Callable[..., Any]:
    """An index with types that no longer exist, of another version of lrkern, is as good as none."""

    def load_or_nothing() -> Any:
        try:
            return load()
        except (AttributeError, ImportError):
            return {}

    return load_or_nothing


zero_of = word("zero_of")  # zero_of(param): 0 in T
flat = word("flat")  # flat(array): its elements in memory order
load = word("load")  # load(array, i, like): element i in T
store = word("store")  # store(array, i, x): x rounded to nearest
store_random = word("store_random")  # store_random(array, i, x, key, element): rounded stochastically
part = word("part")  # part(array, begin, size)
array_at = word("array_at")  # array_at(address, begin, size, like): elements of the type of `like`, a number or None
ask = word("ask")  # ask(array, i): prefetch STRIDE elements from i on, which need not exist
narrowed = word("narrowed")  # narrowed(x): a float32 that rounds to 16-bit formats as x does

STRIDE = 32
"""Elements of inner loops of fixed length, which are vectorized; prefetches are issued between them, because LLVM does not
vectorize a loop that contains prefetches."""

STORED = ("float64", "float32", "uint16", "int16")


def _kind(array: Any) -> str:
    """The storage type of an array; "" for None."""
    if isinstance(array, types.NoneType) or array is None:
        return ""
    if isinstance(array, types.Optional):
        raise TypingError("lrkern: whether an array is None must be known at compile time; got an optional array")
    if not isinstance(array, types.Array):
        raise TypingError(f"lrkern: an array is needed; got {array}")
    if str(array.dtype) not in STORED:
        raise TypingError(
            "lrkern: arrays must be float64, float32, uint16 (bits of bfloat16) or int16 (bits of float16); "
            f"got {array}: pass 16-bit floats as array.view(...)"
        )
    return str(array.dtype)


def only_writable(array: Any) -> None:
    """Refuse a read-only array that would be written."""
    if not array.mutable:
        raise TypingError(f"lrkern: arrays that are written must be writable; got {array}")


@overload(zero_of, jit_options=FLAGS)
def _zero_of(param):
    kind = np.float64 if _kind(param) == "float64" else np.float32
    return lambda param: kind(0)


@overload(flat, jit_options=FLAGS)
def _flat(array):
    if _kind(array) == "":
        return lambda array: None
    if array.layout == "C":
        return lambda array: array.reshape(array.size)
    if array.layout == "F":
        return lambda array: array.T.reshape(array.size)
    raise TypingError(f"lrkern: arrays must be contiguous; got {array}, of any layout: pass np.ascontiguousarray(...)")


@overload(part, jit_options=FLAGS)
def _part(array, begin, size):
    if _kind(array) == "":
        return lambda array, begin, size: None
    return lambda array, begin, size: _part_of(array, begin, size)


@overload(narrowed, jit_options=FLAGS)
def _narrowed(x):
    if str(x) == "float64":
        return lambda x: storage.to_odd(x)
    return lambda x: x


@overload(load, jit_options=FLAGS)
def _load(array, i, like):
    kind = _kind(array)
    if kind == "":
        return lambda array, i, like: number(0.0, like)
    if kind == "uint16":
        return lambda array, i, like: number(storage.from_bf16(array[i]), like)
    if kind == "int16":
        return lambda array, i, like: number(storage.from_f16(np.uint16(array[i])), like)
    return lambda array, i, like: number(array[i], like)


@overload(store, jit_options=FLAGS)
def _store(array, i, x):
    kind = _kind(array)
    if kind != "":
        only_writable(array)

    def nothing(array, i, x):
        pass

    def bf16(array, i, x):
        array[i] = storage.to_bf16(narrowed(x))

    def f16(array, i, x):
        array[i] = np.int16(storage.to_f16(narrowed(x)))

    def plain(array, i, x):
        array[i] = made(x)

    made: Any = FLOATS.get(kind)
    return {"": nothing, "uint16": bf16, "int16": f16}.get(kind, plain)


@overload(store_random, jit_options=FLAGS)
def _store_random(array, i, x, key, element):
    kind = _kind(array)
    if kind != "":
        only_writable(array)

    def bf16(array, i, x, key, element):
        array[i] = storage.to_bf16_random(narrowed(x), storage.random_bits(key, element))

    def f16(array, i, x, key, element):
        array[i] = np.int16(storage.to_f16_random(narrowed(x), storage.random_bits(key, element)))

    def as_ever(array, i, x, key, element):
        store(array, i, x)

    return {"uint16": bf16, "int16": f16}.get(kind, as_ever)


def _emit_array(context, builder, kind, data, size):
    """A contiguous array of so many elements at a pointer. Somebody else keeps its memory."""
    from numba.np.arrayobj import populate_array  # takes time, which programs that find compiled code need not spend

    made, item = context.make_array(kind)(context, builder), context.get_constant(types.intp, kind.dtype.bitwidth // 8)
    populate_array(made, data=data, shape=[size], strides=[item], itemsize=item, meminfo=None)
    return made._getvalue()


@intrinsic
def _part_of(typing_context, array, begin, size):
    def code(context, builder, signature, arguments):
        data = context.make_array(array)(context, builder, arguments[0]).data
        return _emit_array(context, builder, array, builder.gep(data, [arguments[1]]), arguments[2])

    return array(array, types.intp, types.intp), code


@intrinsic
def _array_of(typing_context, address, begin, size, like):
    kind = types.Array(like, 1, "C")

    def code(context, builder, signature, arguments):
        data = builder.inttoptr(arguments[0], context.get_data_type(like).as_pointer())
        return _emit_array(context, builder, kind, builder.gep(data, [arguments[1]]), arguments[2])

    return kind(types.intp, types.intp, types.intp, like), code


@overload(array_at, jit_options=FLAGS)
def _array_at(address, begin, size, like):
    if isinstance(like, types.NoneType):
        return lambda address, begin, size, like: None
    return lambda address, begin, size, like: _array_of(address, begin, size, like)


def written(arguments: str, lines: list[str], **scope: Any) -> Any:
    """A function that an overload returns, from its text: for each combination of arrays, only what that needs."""
    text = "\n    ".join([f"def impl({arguments}):", *lines])
    exec(text, scope)
    return scope["impl"]


def present(a: Any) -> dict[str, Any]:
    """The types of the fields of a NamedTuple that are not None."""
    return {name: kind for name, kind in zip(a.fields, a, strict=True) if not isinstance(kind, types.NoneType)}


CACHE_LINE = 64  # bytes


def emit_prefetch(builder, pointer, size):
    """Prefetch `size` bytes, which need not be mapped."""
    number = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, number, number, number])
    prefetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    first = builder.bitcast(pointer, cgutils.voidptr_t)
    for offset in range(0, size, CACHE_LINE):
        at = builder.gep(first, [ir.Constant(ir.IntType(64), offset)])
        builder.call(prefetch, [at, number(0), number(3), number(1)])  # for reading; into all caches; data


@intrinsic
def _ask_of_array(typing_context, array, i):
    def code(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        emit_prefetch(builder, builder.gep(data, [arguments[1]]), STRIDE * array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp), code


@overload(ask, jit_options=FLAGS)
def _ask(array, i):
    if _kind(array) == "":
        return lambda array, i: None
    return lambda array, i: _ask_of_array(array, i)

"""Memory at an address, for numba-cuda-mlir: adjacent elements are loaded and stored by one instruction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba_cuda_mlir import types
from numba_cuda_mlir._mlir import ir
from numba_cuda_mlir._mlir.dialects import arith, llvm

from lrkern.cuda._numba_cuda_mlir import declare

_GLOBAL = 1  # the address space: without it, accesses would be generic and slower


def make_load(dtype: np.dtype[Any], lanes: int) -> Any:
    """See `_platform.load`."""
    element = getattr(types, dtype.name)
    result = types.UniTuple(element, lanes) if lanes > 1 else element

    def load(address: int) -> Any:
        raise NotImplementedError

    def lower(builder: Any, target: Any, arguments: Any) -> Any:
        kind = builder.get_mlir_type(element)
        words, per_word = _words(kind, dtype.itemsize, lanes)
        value = llvm.load(words, _pointer(builder, arguments[0]), alignment=dtype.itemsize * lanes)
        if lanes == 1:
            return value
        parts = []
        for i in range(lanes):
            word = llvm.extractelement(value, _i32(i // per_word))
            if per_word > 1:
                word = arith.trunci(kind, arith.shrui(word, _i32(16 * (i % per_word))))
            parts.append(word)
        return tuple(parts)

    return declare(load, lambda address: result if address == types.int64 else None, lower)


def make_store(dtype: np.dtype[Any], lanes: int) -> Any:
    """See `_platform.store`."""
    element = getattr(types, dtype.name)
    given = types.UniTuple(element, lanes) if lanes > 1 else element

    def store(address: int, values: Any) -> None:
        raise NotImplementedError

    def lower(builder: Any, target: Any, arguments: Any) -> None:
        words, per_word = _words(builder.get_mlir_type(element), dtype.itemsize, lanes)
        value = builder.load_var(arguments[1])
        if lanes > 1:
            parts, value = value, llvm.mlir_undef(words)
            for i in range(0, lanes, per_word):
                word = parts[i]
                if per_word > 1:
                    low, high = (arith.extui(_int32(), one) for one in parts[i : i + 2])
                    word = arith.ori(low, arith.shli(high, _i32(16)))
                value = llvm.insertelement(value, word, _i32(i // per_word))
        llvm.store(value, _pointer(builder, arguments[0]), alignment=dtype.itemsize * lanes)

    return declare(store, lambda address, values: types.none if (address, values) == (types.int64, given) else None, lower)


def _words(kind: Any, size: int, lanes: int) -> tuple[Any, int]:
    """The type of an access, and the elements per word: PTX has no vectors of eight halves."""
    if lanes == 1:
        return kind, 1
    return (ir.VectorType.get([lanes // 2], _int32()), 2) if size == 2 else (ir.VectorType.get([lanes], kind), 1)


def _pointer(builder: Any, address: Any) -> Any:
    return llvm.inttoptr(llvm.PointerType.get(address_space=_GLOBAL), builder.load_var(address))


def _int32() -> Any:
    return ir.IntegerType.get_signless(32)


def _i32(value: int) -> Any:
    return arith.constant(_int32(), value)

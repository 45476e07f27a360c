"""Memory at an address, for numba-cuda: adjacent elements are loaded and stored by one instruction."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

_GLOBAL = 1  # the address space: without it, accesses would be generic and slower
_INDEX = ir.IntType(32)


def make_load(dtype: np.dtype[Any], lanes: int) -> Any:
    """See `_platform.load`."""
    element = getattr(types, dtype.name)
    result = types.UniTuple(element, lanes) if lanes > 1 else element

    def typed(typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = context.get_value_type(element)
            words, per_word = _words(kind, context.get_abi_sizeof(kind), lanes)
            pointer, size = _pointer(context, builder, arguments[0], words)
            value = builder.load(pointer, align=size)
            if lanes == 1:
                return value
            parts = []
            for i in range(lanes):
                word = builder.extract_element(value, _INDEX(i // per_word))
                if per_word > 1:
                    word = builder.trunc(builder.lshr(word, word.type(16 * (i % per_word))), kind)
                parts.append(word)
            return context.make_tuple(builder, signature.return_type, parts)

        return result(types.int64), generate

    return intrinsic(typed)


def make_store(dtype: np.dtype[Any], lanes: int) -> Any:
    """See `_platform.store`."""
    element = getattr(types, dtype.name)
    given = types.UniTuple(element, lanes) if lanes > 1 else element

    def typed(typing_context: Any, address: Any, values: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = context.get_value_type(element)
            words, per_word = _words(kind, context.get_abi_sizeof(kind), lanes)
            pointer, size = _pointer(context, builder, arguments[0], words)
            value = arguments[1]
            if lanes > 1:
                value = ir.Constant(words, ir.Undefined)
                parts = [builder.extract_value(arguments[1], i) for i in range(lanes)]
                for i in range(0, lanes, per_word):
                    word = parts[i]
                    if per_word > 1:
                        low, high = (builder.zext(one, words.element) for one in parts[i : i + 2])
                        word = builder.or_(low, builder.shl(high, high.type(16)))
                    value = builder.insert_element(value, word, _INDEX(i // per_word))
            builder.store(value, pointer, align=size)
            return context.get_dummy_value()

        return types.void(types.int64, given), generate

    return intrinsic(typed)


def _words(kind: Any, size: int, lanes: int) -> tuple[Any, int]:
    """The type of an access, and the elements per word: PTX has no vectors of eight halves."""
    if lanes == 1:
        return kind, 1
    return (ir.VectorType(ir.IntType(32), lanes // 2), 2) if size == 2 else (ir.VectorType(kind, lanes), 1)


def _pointer(context: Any, builder: Any, address: Any, words: Any) -> tuple[Any, int]:
    """The address as a pointer, and the size of the access in bytes."""
    return builder.inttoptr(address, ir.PointerType(words, _GLOBAL)), context.get_abi_sizeof(words)

"""What Numba does not tell LLVM by itself: the width of vectors, and stores that bypass the caches.

Without such streaming stores, memory that is about to be overwritten would be read first.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LINE = 64
"""Bytes of a cache line."""

_LONG = ir.IntType(64)
_VECTOR = ir.VectorType(_LONG, LINE // 8)


@intrinsic
def address_of(typing_context, array):
    """The address of an array's first element."""

    def code(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        return builder.ptrtoint(data, _LONG)

    return types.int64(array), code


@intrinsic
def stream(typing_context, target, source, lines):
    """Copy so many cache lines from one address to another, to which lines are aligned. Then call `publish`."""

    def code(context, builder, signature, arguments):
        first, other = (builder.inttoptr(one, _VECTOR.as_pointer()) for one in arguments[:2])
        with cgutils.for_range(builder, arguments[2]) as loop:
            vector = builder.load(builder.gep(other, [loop.index]), align=8)
            stored = builder.store(vector, builder.gep(first, [loop.index]), align=LINE)
            stored.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), code


@intrinsic
def publish(typing_context):
    """Make streaming stores visible to other threads before later stores."""

    def code(context, builder, signature, arguments):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), code


@intrinsic
def wide(typing_context):
    """Vectorize the calling function with the widest vectors of the processor, as C's kernels are; LLVM would use half of them
    on many."""

    def code(context, builder, signature, arguments):
        attributes = builder.function.attributes
        if isinstance(attributes, set):  # llvmlite's own `add` knows no such attributes
            set.add(attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), code

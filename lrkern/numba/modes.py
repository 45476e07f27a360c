"""The floating-point mode of Numba's threads, which are not lrkern's: what `_core.DefaultMode` is to the calling one.

A loop of `prange` calls `enter`, works, and calls `leave` with what that gave. Numbers that are the same for all turns of the
loop go through `hidden` between: conversions of them would be moved to before the loop, where the mode is another one.
"""

from __future__ import annotations

import platform

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_MACHINE = {"x86_64": "x86", "AMD64": "x86", "aarch64": "arm", "arm64": "arm"}.get(platform.machine(), "")
_WORD, _LONG = ir.IntType(32), ir.IntType(64)
_DEFAULT = 0x1F80  # of x86: exceptions masked, to nearest, denormals kept


def _call(builder, name, result, *arguments):
    kind = ir.FunctionType(result, [one.type for one in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def _read(builder):
    if _MACHINE == "x86":
        place = cgutils.alloca_once(builder, _WORD)
        _call(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), builder.bitcast(place, cgutils.voidptr_t))
        return builder.zext(builder.load(place), _LONG)
    return _call(builder, "llvm.aarch64.get.fpcr", _LONG) if _MACHINE == "arm" else _LONG(0)


def _write(builder, mode):
    if _MACHINE == "x86":
        place = cgutils.alloca_once(builder, _WORD)
        builder.store(builder.trunc(mode, _WORD), place)
        _call(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), builder.bitcast(place, cgutils.voidptr_t))
    elif _MACHINE == "arm":
        _call(builder, "llvm.aarch64.set.fpcr", ir.VoidType(), mode)


@intrinsic
def enter(typing_context):
    """Round to nearest, keep denormals. Returns the mode that was in force."""

    def code(context, builder, signature, arguments):
        found = _read(builder)
        _write(builder, _LONG(_DEFAULT if _MACHINE == "x86" else 0))
        return found

    return types.int64(), code


@intrinsic
def leave(typing_context, found):
    """Put a mode in force again."""

    def code(context, builder, signature, arguments):
        _write(builder, arguments[0])
        return context.get_dummy_value()

    return types.void(types.int64), code


@intrinsic
def hidden(typing_context, x):
    """A float64 of which the compiler does not know where it comes from."""

    def code(context, builder, signature, arguments):
        register = {"x86": "x", "arm": "w"}.get(_MACHINE)
        if register is None:
            return arguments[0]
        kind = ir.FunctionType(ir.DoubleType(), [ir.DoubleType()])
        return builder.asm(kind, "", f"={register},0", arguments, side_effect=True)

    return types.float64(types.float64), code

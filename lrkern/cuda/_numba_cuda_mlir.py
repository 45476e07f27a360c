"""The interface of `_platform` for numba-cuda-mlir.

It does not know Numba's functions, which `primitives.pointwise` makes. They are compiled here as device functions: whenever a
kernel, including a user's, calls one, a device function with the same source is used instead. The operations of `primitives`,
memory accesses and NamedTuples are implemented in MLIR, by the compiler's interface for extensions and few internal functions,
imported below. All of it, including workarounds for its bugs (`atomic_add`; the pitfalls in `primitives`), is for 0.6.0.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from cuda.core import ObjectCode
from numba.core.registry import CPUDispatcher
from numba_cuda_mlir import extending, types
from numba_cuda_mlir._mlir.dialects import arith, llvm
from numba_cuda_mlir.extending import lower_builtin, typeof_impl, typing_registry
from numba_cuda_mlir.lowering_utilities import _memref_index_offset, index_of, memref_data_pointer
from numba_cuda_mlir.numba_cuda.typing.templates import AbstractTemplate, signature
from numba_cuda_mlir.numba_cuda.typing.typeof import typeof

from lrkern.pointwise.primitives import bits32, bits64, float32_of, float64_of, fma, product, sqrt
from lrkern.rules.compiled import FAMILIES, WITH_TYPES
from lrkern.schedules.plan import Plan

cuda: Any = import_module("numba_cuda_mlir.cuda")  # its stubs lack parameters

SIMULATED = False

_DYNAMIC = -(2**31)
"""MLIR's marker of a dynamic index."""


def kernel(function: Callable[..., Any]) -> Any:
    """See `_platform`. Annotations are removed: the compiler would take them for signatures."""
    return cuda.jit(function, annotations_as_signatures=False)


def device(function: Callable[..., Any]) -> Any:
    """See `_platform`."""
    return cuda.jit(function, device=True, annotations_as_signatures=False)


def overload(function: Callable[..., Any]) -> Any:
    """See `_platform`."""
    return extending.overload(function, typing_registry=typing_registry)


# ------------------------------------------------------------------------------------------------------------ declarations


def declare(function: Any, result: Callable[..., Any], lower: Callable[..., Any]) -> Any:
    """Declare a function for kernels: result(...) is the type of its result for given argument types, or None.

    lower(builder, target, arguments): generates its code, which stores the result, if any, in the variable `target`.
    """

    class Template(AbstractTemplate):  # type: ignore[misc]
        key = function

        def generic(self, arguments: Any, keywords: Any) -> Any:
            given = tuple(getattr(one, "literal_type", one) for one in arguments)
            found = result(*given)
            return None if found is None else signature(found, *given)

    typing_registry.register_global(function, types.Function(Template))
    _lowered(function, lower)
    return function


def _lowered(function: Any, lower: Callable[..., Any]) -> None:
    @lower_builtin(function, types.VarArg(types.Any))
    def call(builder: Any, target: Any, arguments: Any, keywords: Any) -> None:
        value = lower(builder, target, arguments)
        if value is not None:
            builder.store_var(target, value)

    extending.refresh_registries(include_uninitialized_cuda=False)


@typeof_impl.register(CPUDispatcher)
def _typeof(function: Any, context: Any) -> Any:
    return _device_twin(function)._numba_type_


@cache
def _device_twin(function: Any) -> Any:
    twin = device(function.py_func)
    _lowered(function, lambda builder, target, arguments: builder.build_user_defined_function_call(target, twin, arguments))
    return twin


def _made_of_its_fields(kind: Any) -> None:
    """Implement calls of a NamedTuple."""
    _lowered(kind, lambda builder, target, arguments: tuple(builder.load_var(one) for one in arguments))


for _kind in {Plan, *(kind for family in FAMILIES.values() for kind in (family.inputs, family.scalars_type))}:
    _made_of_its_fields(_kind)
WITH_TYPES.append(_made_of_its_fields)


# ------------------------------------------------------------------------------------------------------------- primitives


def _synonym(word: Any, functions: dict[Any, Any]) -> None:
    """Implement a primitive by existing functions: `functions` maps the common type of arguments and result to a function."""

    def result(first: Any, *others: Any) -> Any:
        return first if first in functions and all(one == first for one in others) else None

    def lower(builder: Any, target: Any, arguments: Any) -> None:
        kind = builder.get_numba_type(target.name)
        known = builder.get_registered_builder(functions[kind], signature(kind, *[kind] * len(arguments)))
        known(builder, target, arguments, [])

    declare(word, result, lower)


def _cast(word: Any, of: Any, to: Any) -> None:
    def lower(builder: Any, target: Any, arguments: Any) -> Any:
        return arith.bitcast(builder.get_mlir_type(to), builder.load_var(arguments[0]))

    declare(word, lambda x: to if x == of else None, lower)


_synonym(fma, {types.float32: cuda.fma, types.float64: cuda.fma})
_synonym(product, {types.float32: cuda.libdevice.fmul_rn, types.float64: cuda.libdevice.dmul_rn})
_synonym(sqrt, {types.float32: math.sqrt, types.float64: math.sqrt})
_cast(bits32, types.float32, types.uint32)
_cast(float32_of, types.uint32, types.float32)
_cast(bits64, types.float64, types.int64)
_cast(float64_of, types.int64, types.float64)


def atomic_add(array: Any, index: Any, value: Any) -> None:
    """See `_platform`. The compiler's own function assumes that array arguments are in global memory."""
    raise NotImplementedError


def _add(builder: Any, target: Any, arguments: Any) -> None:
    array, index, value = (builder.load_var(one) for one in arguments)
    element = array.type.element_type
    offset = _memref_index_offset(array, [index_of(one) for one in index])
    base = memref_data_pointer(array)
    place = llvm.getelementptr(base.type, base, [offset], [_DYNAMIC], element, None)
    llvm.atomicrmw(llvm.AtomicBinOp.add, place, value, llvm.AtomicOrdering.monotonic)


declare(atomic_add, lambda array, index, value: types.none if array.dtype == value == types.int64 else None, _add)


# --------------------------------------------------------------------------------------------------------------- launches


def loaded(kernel: Any, arguments: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """See `_platform`."""
    compiled = kernel.compile(types.void(*(typeof(one) for one in arguments)))
    return _kernel_of(compiled), [word for one in arguments for word in _words(one)]


@cache
def _kernel_of(compiled: Any) -> Any:
    """Loaded once and kept: unreferenced code is unloaded, even while it runs, and none can be loaded during a capture."""
    return ObjectCode.from_cubin(compiled.metadata["cubin"]).get_kernel(compiled.metadata["func_name"])


def _words(argument: Any) -> list[Any]:
    """An argument as kernels take it. For arrays: two addresses, the offset of elements, the shape, and strides in elements."""
    if isinstance(argument, tuple):
        return [word for one in argument for word in _words(one)]
    if isinstance(argument, int | float):
        return [ctypes.c_int64(argument) if isinstance(argument, int) else ctypes.c_double(argument)]
    if isinstance(argument, np.generic):
        return [np.ctypeslib.as_ctypes(np.asarray(argument))]
    address = argument.device_ctypes_pointer.value or 0
    strides = (one // argument.dtype.itemsize for one in argument.strides)
    return [ctypes.c_int64(one) for one in (address, address, 0, *argument.shape, *strides)]

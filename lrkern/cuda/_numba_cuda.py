"""Kernels by numba-cuda, or in its simulator: what `_platform` says of compilers.

numba-cuda compiles functions of `_jit.pointwise`, which are Numba's, along with the kernels that call them. The simulator runs
kernels as Python, and functions of `pointwise` as the CPU code that they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda, extending
from numba.cuda import types
from numba.cuda.core import config

from lrkern.pointwise.primitives import bits32, bits64, float32_of, float64_of, fma, product, sqrt

SIMULATED = bool(config.ENABLE_CUDASIM)


def kernel(function: Callable[..., Any]) -> Any:
    """See `_platform`."""
    return cuda.jit(function) if SIMULATED else cuda.jit(function, lto=False)


def device(function: Callable[..., Any]) -> Any:
    """See `_platform`."""
    return cuda.jit(device=True)(function)


def overload(function: Callable[..., Any]) -> Any:
    """See `_platform`."""
    return extending.overload(function, target="cuda")


@device
def atomic_add(array, index, value):
    """See `_platform`."""
    cuda.atomic.add(array, index, value)


def loaded(kernel: Any, arguments: tuple[Any, ...]) -> tuple[Any, list[Any]]:
    """See `_platform`."""
    compiled = kernel.compile(tuple(kernel.typeof_pyval(one) for one in arguments))
    words: list[Any] = []
    for kind, one in zip(compiled.argument_types, arguments, strict=True):
        compiled._prepare_args(kind, one, 0, [], words)
    return compiled._codelibrary.get_cufunc().kernel, words


def _overload_words() -> None:
    # Numba compares the parameters of an overload with those of what it returns: no annotations.
    @overload(fma)
    def _fma(a, b, c):
        return (lambda a, b, c: cuda.fma(a, b, c)) if a == b == c and isinstance(a, types.Float) else None

    @overload(product)
    def _product(a, b):
        if a == b == types.float64:
            return lambda a, b: cuda.libdevice.dmul_rn(a, b)
        return (lambda a, b: cuda.libdevice.fmul_rn(a, b)) if a == b == types.float32 else None

    @overload(sqrt)
    def _sqrt(x):
        return lambda x: math.sqrt(x)

    _cast(bits32, types.float32, np.uint32)
    _cast(float32_of, types.uint32, np.float32)
    _cast(bits64, types.float64, np.int64)
    _cast(float64_of, types.int64, np.float64)


def _cast(word: Any, of: Any, to: Any) -> None:
    def cast(x):
        return (lambda x: x.view(to)) if x == of else None

    overload(word)(cast)


if not SIMULATED:
    _overload_words()

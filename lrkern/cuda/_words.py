"""The words of `lrkern._jit` on a CUDA device; and those that only kernels need.

numba-cuda compiles functions of `_jit.pointwise` along with the kernels that call them. NVVM fuses a * b + c wherever it finds
it: `product` keeps a rounded product out of its reach. The simulator runs kernels as Python, and functions of `pointwise` as
the CPU code that they are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba.extending import overload

from lrkern._jit import bits32, float32_of, fma, number, number_impl, pointwise, product, rounded, rounded_impl, sqrt
from lrkern.cuda._platform import SIMULATED, cuda, device, types


def native(array: Any) -> Any:
    """An array of a kernel, for functions of `pointwise`: in the simulator, the NumPy array that it wraps."""
    array = getattr(array, "_item", array)
    return getattr(array, "_ary", array)


def _overloads() -> None:
    # Numba compares the parameters of an overload with those of what it returns: no annotations.
    overload(number, target="cuda")(number_impl)
    overload(rounded, target="cuda")(rounded_impl)

    @overload(fma, target="cuda")
    def _fma(a, b, c):
        return (lambda a, b, c: cuda.fma(a, b, c)) if a == b == c and isinstance(a, types.Float) else None

    @overload(product, target="cuda")
    def _product(a, b):
        if a == b == types.float64:
            return lambda a, b: cuda.libdevice.dmul_rn(a, b)
        return (lambda a, b: cuda.libdevice.fmul_rn(a, b)) if a == b == types.float32 else None

    @overload(sqrt, target="cuda")
    def _sqrt(x):
        return lambda x: math.sqrt(x)

    @overload(bits32, target="cuda")
    def _bits32(x):
        return (lambda x: x.view(np.uint32)) if x == types.float32 else None

    @overload(float32_of, target="cuda")
    def _float32_of(bits):
        return (lambda bits: bits.view(np.float32)) if bits == types.uint32 else None


if not SIMULATED:
    _overloads()

    @device
    def native(array: Any) -> Any:
        return array


@pointwise
def in_type_of(c, like):
    """The scalars of a rule, in the type of a number: what its `update` takes."""
    return rounded(c, like)

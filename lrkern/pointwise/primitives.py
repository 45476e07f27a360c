"""Primitives shared by Numba and CUDA kernels: one source, compiled for either target.

Pointwise functions (`plan_eval`, `rules`, `storage`) are plain Python over scalars, decorated with `pointwise`. Operations that
the two targets spell differently have a name here; each is a stub that Numba replaces:

    fma(a, b, c)        a b + c rounded once; all float32 or all float64
    product(a, b)       a b, rounded before it is added to something: CUDA fuses a * b + c
    sqrt(x)             rounded once, in the type of x
    number(x, like)     x in the type of `like` (float32, float64), rounded once
    bits32(x)           the bits of a float32, as uint32
    float32_of(bits)    the float32 that has these bits (uint32)
    bits64(x)           the bits of a float64, as int64
    float64_of(bits)    the float64 that has these bits (int64)
    rounded(c, like)    a NamedTuple of float64 with each number converted to the type of `like`

This file implements them for the CPU. Another target overloads most of them with its own instructions, and `number` and
`rounded` with `number_impl` and `rounded_impl`.

Pitfalls to avoid: a Python float is a float64, so a constant next to a float32 is written `number(1.0, x)` (comparing with 0 is
safe). Sums of integers below 64 bits are widened, so 32-bit arithmetic is written `u32(a + b)`. Floats that may be NaN are
compared by `==`, not by `!=`, which numba-cuda-mlir 0.6.0 evaluates to false for NaNs. `pointwise` sets its own floating-point
flags, because Numba inherits those of the caller: inside a user's `njit(fastmath=True)` bits would change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, njit, types
from numba.extending import intrinsic, overload

FLAGS = {"fastmath": False, "error_model": "numpy", "no_cfunc_wrapper": True}
"""Every operation is rounded separately, and x / 0 follows IEEE 754. C never calls these functions: wrappers for it would only
take time to compile."""

pointwise = njit(no_cpython_wrapper=not config.ENABLE_CUDASIM, **FLAGS)
"""Functions for compiled code only: Python must not call them, except for CUDA's simulator, whose kernels are Python. Without
wrappers, compiling takes a third less time."""

u32 = np.uint32
FLOATS = {"float32": np.float32, "float64": np.float64}


def word(name: str, signature: str = "") -> Callable[..., Any]:
    """A function that compiled code knows by an overload; Python cannot call it."""

    def stub(*arguments: Any) -> Any:
        raise NotImplementedError(f"{name} is for compiled code only")

    stub.__name__ = stub.__qualname__ = name
    if signature:
        stub.__doc__ = f"{name}({signature}): see the module."
    return stub


fma = word("fma", "a, b, c")
product = word("product", "a, b")
sqrt = word("sqrt", "x")
number = word("number", "x, like")
bits32 = word("bits32", "x")
float32_of = word("float32_of", "bits")
bits64 = word("bits64", "x")
float64_of = word("float64_of", "bits")
rounded = word("rounded", "c, like")


def number_impl(x, like):
    """The overload of `number` for any target."""
    kind = FLOATS[str(like)]
    return lambda x, like: kind(x)


def rounded_impl(c, like):
    """The overload of `rounded` for any target: one call per field, since Numba cannot loop over a heterogeneous tuple."""
    scope: dict[str, Any] = {"made": c.instance_class, "kind": FLOATS[str(like)]}
    fields = ", ".join(f"kind(c[{i}])" for i in range(len(c)))
    exec(f"def impl(c, like): return made({fields})", scope)
    made: Callable[..., Any] = scope["impl"]
    return made


@intrinsic
def _cpu_fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    if not (a == b == c and isinstance(a, types.Float)):
        raise TypeError(f"fma: a, b, c must be float32 or float64, all the same; got {a}, {b}, {c}")
    return a(a, b, c), lambda context, builder, signature, arguments: builder.fma(*arguments)


def _cast(stub: Any, of: Any, to: Any, llvm_type: Any) -> None:
    """Overload a stub for the CPU with a bit cast."""

    @intrinsic
    def cast(typing_context: Any, x: Any) -> Any:
        return to(x), lambda context, builder, signature, arguments: builder.bitcast(arguments[0], llvm_type)

    def on_cpu(x):
        return (lambda x: cast(x)) if x == of else None

    overload(stub, target="cpu", jit_options=FLAGS)(on_cpu)


_cast(bits32, types.float32, types.uint32, ir.IntType(32))
_cast(float32_of, types.uint32, types.float32, ir.FloatType())
_cast(bits64, types.float64, types.int64, ir.IntType(64))
_cast(float64_of, types.int64, types.float64, ir.DoubleType())

overload(number, target="cpu", jit_options=FLAGS)(number_impl)
overload(rounded, target="cpu", jit_options=FLAGS)(rounded_impl)


@overload(fma, target="cpu", jit_options=FLAGS)
def _fma_on_cpu(a, b, c):
    return lambda a, b, c: _cpu_fma(a, b, c)


@overload(product, target="cpu", jit_options=FLAGS)
def _product_on_cpu(a, b):
    return lambda a, b: a * b


@overload(sqrt, target="cpu", jit_options=FLAGS)
def _sqrt_on_cpu(x):
    return lambda x: math.sqrt(x)

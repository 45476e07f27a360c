"""The C kernels of steps as functions that compiled code can call: by name, so that `cache=True` works.

`lrk_step_<rule>_<f32 or f64>` are declared in lrkern_steps.h. All arrays are passed as `array.ctypes`, the options as a float64
array of the struct's members, in their order. Importing this tells LLVM where the functions are.
"""

from __future__ import annotations

from typing import Any

from llvmlite import binding
from numba import types
from numba.extending import get_cython_function_address

from lrkern import _core

_STATES = {"sgd": 1, "adam": 3, "lion": 1, "rmsprop": 3, "adagrad": 1, "lars": 1, "lamb": 2}


def _step(name: str, states: int) -> Any:
    binding.add_symbol(name, get_cython_function_address("lrkern._core", name))
    arrays = [types.voidptr] * (2 + states)
    return types.ExternalFunction(name, types.int32(types.int64, *arrays, types.int64, types.voidptr))


KERNELS = {
    name: _step(name, states)
    for rule, states in _STATES.items()
    for dtype in ("f32", "f64")
    if (name := f"lrk_step_{rule}_{dtype}") in _core.__pyx_capi__
}
"""Name -> function."""

globals().update(KERNELS)

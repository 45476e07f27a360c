"""The C kernels of steps as functions that compiled code can call: by name, so that `cache=True` works.

`lrk_step_<rule>_<f32 or f64>` are declared in lrkern_steps.h. All arrays are passed as `array.ctypes`, the options as a float64
array of the struct's members, in their order. Importing this tells LLVM where the functions are.
"""

from __future__ import annotations

import re
from typing import Any

from llvmlite import binding
from numba import types
from numba.extending import get_cython_function_address

from lrkern import _core


def _kernel(name: str, capsule: object) -> Any:
    """The function of that name; how many arrays it takes is in its capsule, as C declares it."""
    binding.add_symbol(name, get_cython_function_address("lrkern._core", name))
    arrays = [types.voidptr] * (str(capsule).count("*") - 1)  # the last pointer is that of the options
    return types.ExternalFunction(name, types.int32(types.int64, *arrays, types.int64, types.voidptr))


KERNELS = {
    name: _kernel(name, capsule)
    for name, capsule in _core.__pyx_capi__.items()
    if re.fullmatch(r"lrk_step_[a-z]+_f(32|64)", name)
}
"""Name -> function."""

globals().update(KERNELS)

"""The C kernels of steps as functions for compiled code, linked by name, so that `cache=True` works.

`lrk_step_<rule>_<f32 or f64>` are declared in lrkern_optimizers.h, which tells what their arrays are. All arrays are passed as
`array.ctypes`, and so are numbers of the tensor, as float64 arrays of one element, and the options, as a float64 array: see
`options`. Importing this module registers their addresses with LLVM.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding
from numba import types
from numba.extending import get_cython_function_address

from lrkern import _checks, _core
from lrkern.rules.one_array import all_functions
from lrkern.rules.rule import own_rules


def _kernel(name: str, capsule: object) -> Any:
    """The function of that name; the number of its arrays follows from its C declaration in the capsule."""
    binding.add_symbol(name, get_cython_function_address("lrkern._core", name))
    arrays = [types.voidptr] * (str(capsule).count("*") - 1)  # the last pointer is the options
    return types.ExternalFunction(name, types.int32(types.int64, *arrays, types.int64, types.voidptr))


KERNELS = {
    name: _kernel(name, capsule)
    for name, capsule in _core.__pyx_capi__.items()
    if re.fullmatch(r"lrk_step_[a-z_]+_f(32|64)", name)
}
"""Name -> function."""

globals().update(KERNELS)


@cache
def members(rule: str) -> tuple[str, ...]:
    """The names of the options of a rule's functions, in their order: "sgd" for `lrk_step_sgd_f32`.

    >>> import lrkern.numba as ln
    >>> ln.c.members("adagrad")
    ('lr', 'weight_decay', 'decoupled', 'maximize', 'eps', 'lr_decay', 'eps_inside')
    """
    found = {one.name: one for one in all_functions(own_rules())}
    return found[_checks.choice("members", "rule", rule, list(found))].options


def options(rule: str, **values: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The options of a rule's functions as an array, in the order of `members(rule)`; those that are omitted are 0.

    Args:
        rule: as in the name of the function: "sgd" for `lrk_step_sgd_f32`.
        values: the options by the names that lrkern_optimizers.h has: numbers; flags are False or True, or 0 or 1.

    Raises:
        TypeError, ValueError: the rule has no such option, or a value is no finite number.

    Example:
        >>> import lrkern.numba as ln
        >>> ln.c.options("lion", lr=0.25, beta1=0.5)
        array([0.25, 0.  , 0.  , 0.  , 0.5 , 0.  , 0.  ])
    """
    names = members(rule)
    found = np.zeros(len(names))
    for name, value in values.items():
        if name not in names:
            raise TypeError(f"options: options of {rule} must be among {', '.join(names)}; got {name!r}")
        found[names.index(name)] = float(value) if isinstance(value, bool) else _checks.real("options", name, value)
    return found

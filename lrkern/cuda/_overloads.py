"""Primitives of kernels: overloads of two of `lrkern.pointwise.primitives`, and what only kernels use."""

from __future__ import annotations

from typing import Any

from lrkern.cuda._platform import SIMULATED, device, overload
from lrkern.pointwise.primitives import number, number_impl, pointwise, rounded, rounded_impl


def native(array: Any) -> Any:
    """A kernel's array, for functions decorated with `pointwise`: in the simulator, the NumPy array that it wraps."""
    array = getattr(array, "_item", array)
    return getattr(array, "_ary", array)


if not SIMULATED:
    overload(number)(number_impl)
    overload(rounded)(rounded_impl)

    @device
    def native(array: Any) -> Any:
        return array


@pointwise
def in_type_of(c, like):
    """The scalars of a rule, converted to the type of `like`, for the rule's `update`."""
    return rounded(c, like)

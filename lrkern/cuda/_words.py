"""Words of kernels: those that only kernels need, and two of `primitives`, told to the compiler. It knows the others."""

from __future__ import annotations

from typing import Any

from lrkern.cuda._platform import SIMULATED, device, overload
from lrkern.pointwise.primitives import number, number_impl, pointwise, rounded, rounded_impl


def native(array: Any) -> Any:
    """An array of a kernel, for functions of `pointwise`: in the simulator, the NumPy array that it wraps."""
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
    """The scalars of a rule, in the type of a number: what its `update` takes."""
    return rounded(c, like)

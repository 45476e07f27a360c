"""Options of steps that exclude each other, as `lrkern`'s functions check them."""

from __future__ import annotations

from lrkern.numba.checks import flag
from lrkern.pointwise.primitives import pointwise


@pointwise
def check_sgd(nesterov, momentum, dampening, convention):
    """Those of `sgd_step`."""
    if flag(nesterov) and (momentum == 0 or dampening != 0):
        raise ValueError("sgd_step: nesterov needs momentum > 0 and dampening = 0")
    if convention == "keras" and dampening != 0:
        raise ValueError("sgd_step: convention 'keras' needs dampening = 0")

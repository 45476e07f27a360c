"""What a step does around its rule, one element at a time: one text for Numba and CUDA. docs/steps.md defines it."""

from __future__ import annotations

from lrkern.pointwise.primitives import fma, pointwise


@pointwise
def prepared(g, factor, limit):
    """The gradient, unscaled and clipped. What is scaled by 1 stays what it was."""
    y = g * factor
    return -limit if y < -limit else limit if y > limit else y


@pointwise
def averaged(e, p, weight):
    """The average of a parameter, with its new value in it."""
    return fma(weight, p - e, e)

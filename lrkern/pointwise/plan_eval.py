"""Evaluation of plans: one source for Numba and CUDA, the twin of src_c/schedule/plan_eval.inc. `lrkern.Plan` has the formula.

Compiled code passes the Plan itself, a NamedTuple of arrays (device arrays on CUDA). All steps are int64.
"""

from __future__ import annotations

import math

from lrkern.pointwise.primitives import fma, pointwise

MAX_STEP = 2**53


@pointwise
def reduced(plan, t):
    """t, or the step of the plan's first cycle with the same value."""
    if plan.period == 0 or t < plan.tail_start + plan.period:
        return t
    return plan.tail_start + (t - plan.tail_start) % plan.period


@pointwise
def find(plan, t):
    """The index of the piece that covers t, for 0 <= t < breaks[-1]."""
    at, n = 0, plan.center.size
    while n > 1:
        half = n // 2
        at += half if plan.breaks[at + half] <= t else 0
        n -= half
    return at


@pointwise
def piece(plan, k):
    """The coefficients of a piece as a tuple of numbers: c0, c1, c0_lo, c1_lo, c2 ... c9, scale, magic, unscale."""
    c = plan.coef[k]
    return c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7], c[8], c[9], c[10], c[11], c[12], c[13], c[14]


@pointwise
def horner9(c, u):
    """Horner's scheme for degree 9: the quadratic and higher terms, plus the low parts of the constant and linear ones."""
    q = fma(fma(c[11], u, c[10]), u, c[9])
    return horner_tail(c, u, q)


@pointwise
def horner7(c, u):
    """The same for degree 7. The omitted terms are 0, so the bits are those of `horner9`."""
    return horner_tail(c, u, c[9])


@pointwise
def horner_tail(c, u, q):
    """The rest of Horner's scheme, from the coefficient of degree 6 down; q: the result so far."""
    q = fma(fma(fma(q, u, c[8]), u, c[7]), u, c[6])
    q = fma(fma(q, u, c[5]), u, c[4])
    return fma(fma(q, u, c[3]), u, c[2])


@pointwise
def horner1(c, u):
    """The same for degree 1."""
    return fma(c[3], u, c[2])


@pointwise
def combine(c, u, q):
    """The value of a piece at u, given q, the result of Horner's scheme."""
    s = fma(c[1], u, c[0])
    e = fma(c[1], u, c[0] - s)
    return s + (q + e)


@pointwise
def combine_scaled(c, u, q):
    """The same for scaled-up coefficients: unscale is not 1."""
    magic, unscale = c[13], c[14]
    s = fma(c[1], u, c[0])
    e = fma(c[1], u, c[0] - s)
    h = magic + s
    low = (s - (h - magic)) + (q + e)
    return ((h + low) - magic) * unscale


@pointwise
def value(c, u):
    """The value of a piece at u = (t - center) scale."""
    q = horner9(c, u)
    return combine(c, u, q) if c[14] == 1.0 else combine_scaled(c, u, q)


@pointwise
def at_integer(plan, t):
    """The value at an integer step; NaN if the plan does not cover it."""
    if t < 0 or t > MAX_STEP:
        return math.nan
    t = reduced(plan, t)
    if t >= plan.breaks[plan.center.size]:
        return math.nan
    k = find(plan, t)
    c = piece(plan, k)
    return value(c, float(t - plan.center[k]) * c[12])


@pointwise
def at_real(plan, t):
    """The value at a float step: between two integers, that of the lower one's piece."""
    if not (t >= 0.0 and t <= float(MAX_STEP)):
        return math.nan
    whole_steps = int(t)
    part = t - float(whole_steps)
    whole_steps = reduced(plan, whole_steps)
    if whole_steps >= plan.breaks[plan.center.size]:
        return math.nan
    k = find(plan, whole_steps)
    c = piece(plan, k)
    return value(c, (float(whole_steps - plan.center[k]) + part) * c[12])

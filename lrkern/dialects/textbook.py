"""Formulas as tutorials write them, where they differ from what libraries compute.

They are for reproducing what a text says, and for comparing it with what one would use instead; each says how it differs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lrkern import schedules
from lrkern._checks import count, real
from lrkern._loss_driven import plateau
from lrkern.dialects._parts import public
from lrkern.schedules.expression import Schedule, join


def hold_then_linear(initial_lr: float, final_lr: float, warmup_steps: int, total_steps: int) -> Schedule:
    """initial_lr while t < warmup_steps, else initial_lr + t (final_lr - initial_lr)/(total_steps - warmup_steps).

    How it differs: the "warm-up" holds the full rate instead of rising to it. The line counts t from step 0, not from the
    end of the hold: the rate jumps at t = warmup_steps, is at final_lr at t = total_steps - warmup_steps already, and goes on
    beyond it, below zero too, without an end. Common practice: `linear(initial, final, total - warmup).warmup(warmup)`.

    Args:
        initial_lr, final_lr: the rates.
        warmup_steps, total_steps: >= 0, the second the larger one.

    Source: tutorials.

    >>> hold_then_linear(1.0, 0.5, 2, 6).table(8)
    array([1.   , 1.   , 0.75 , 0.625, 0.5  , 0.375, 0.25 , 0.125])
    """
    where = "textbook.hold_then_linear"
    start, end = real(where, "initial_lr", initial_lr), real(where, "final_lr", final_lr)
    warmup = count(where, "warmup_steps", warmup_steps)
    steps = count(where, "total_steps", total_steps, low=warmup + 1) - warmup
    fall = start + (schedules.constant(end) - start) * schedules.line(0.0, 1.0, steps)
    return join([schedules.constant(start), fall.shift(-warmup)], [warmup]) if warmup else fall


def linear_fraction(initial_lr: float, decay_rate: float, total_steps: int) -> Schedule:
    """initial_lr (1 - decay_rate t/total_steps).

    How it differs: decay_rate is the fraction lost by total_steps, not a rate; the line continues afterwards, also below 0.
    Common practice: `linear(initial, initial (1 - decay_rate), total)`, which stops.

    Args:
        initial_lr, decay_rate: any numbers.
        total_steps: >= 1.

    Source: tutorials.

    >>> linear_fraction(1.0, 0.5, 4).table(6)
    array([1.   , 0.875, 0.75 , 0.625, 0.5  , 0.375])
    """
    where = "textbook.linear_fraction"
    start, rate = real(where, "initial_lr", initial_lr), real(where, "decay_rate", decay_rate)
    return start * schedules.line(1.0, -rate, count(where, "total_steps", total_steps, low=1))


def exponential(initial_lr: float, alpha: float) -> Schedule:
    """initial_lr alpha^t.

    How it differs: alpha is the factor of every single step; libraries take a rate per decay_steps, and many a lower bound.
    Common practice: `exponential(initial, rate, every=1000, end=1e-6)`.

    Args:
        initial_lr: any number.
        alpha: > 0.

    Source: tutorials.

    >>> exponential(1.0, 0.5).table(4)
    array([1.   , 0.5  , 0.25 , 0.125])
    """
    where = "textbook.exponential"
    return schedules.exponential(real(where, "initial_lr", initial_lr), real(where, "alpha", alpha, above=0.0))


def time_based(initial_lr: float, alpha: float) -> Schedule:
    """initial_lr/(1 + alpha t).

    How it differs: old Keras' `decay` argument, counted in steps and not in epochs as many texts say; it never ends and few use
    it now. Common practice: `inverse_sqrt` or a schedule with an end.

    Args:
        initial_lr: any number.
        alpha: >= 0.

    Source: tutorials; the `decay` of old Keras optimizers.

    >>> time_based(1.0, 1.0).table(4).round(4)
    array([1.    , 0.5   , 0.3333, 0.25  ])
    """
    where = "textbook.time_based"
    return schedules.inverse_time(real(where, "initial_lr", initial_lr), real(where, "alpha", alpha, low=0.0))


def staircase(initial_lr: float, factor: float, every: int) -> Schedule:
    """initial_lr factor^floor(t/every).

    How it differs: it does not differ from torch StepLR; some texts write floor((1 + t)/every), which changes one step earlier.

    Args:
        initial_lr: any number.
        factor: > 0.
        every: steps, >= 1.

    Source: tutorials; `lrkern.step_decay`.

    >>> staircase(1.0, 0.5, 2).table(5)
    array([1.  , 1.  , 0.5 , 0.5 , 0.25])
    """
    where = "textbook.staircase"
    start, factor = real(where, "initial_lr", initial_lr), real(where, "factor", factor, above=0.0)
    return schedules.step_decay(start, factor, count(where, "every", every, low=1))


def fixed(lr: float) -> Schedule:
    """lr.

    How it differs: common practice has at least a warm-up: `constant(lr).warmup(1000)`.

    Source: tutorials.

    >>> fixed(0.1)(1000)
    0.1
    """
    return schedules.constant(real("textbook.fixed", "lr", lr))


def loss_driven(losses: npt.ArrayLike, initial_lr: float, decay: float) -> npt.NDArray[np.float64]:
    """initial_lr decay^t where losses[t] < losses[t-1], else initial_lr decay^(t-1); initial_lr at t = 0.

    How it differs: the exponent is the step, so that the rate falls whether or not the loss does; libraries wait some epochs
    without improvement, then lower the rate: `lrkern.plateau`.

    Args:
        losses: of shape (..., steps): one row per run.
        initial_lr: >= 0.
        decay: > 0.

    Returns:
        float64 of the shape of `losses`.

    Source: tutorials; `lrkern.loss_driven`.

    >>> loss_driven([3.0, 2.0, 2.5, 1.0], 0.8, 0.5)
    array([0.8, 0.4, 0.4, 0.1])
    """
    where = "textbook.loss_driven"
    start, decay = real(where, "initial_lr", initial_lr, low=0.0), real(where, "decay", decay, above=0.0)
    return plateau.loss_driven(losses, start, decay)


__all__ = public(globals())

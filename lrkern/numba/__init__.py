"""lrkern inside functions that Numba compiles: schedules, optimizer steps and plateaus, without returning to Python.

All functions can be called within `@njit`, also with `parallel=True`, `cache=True` and `fastmath=True`, and from Python. They
are bit-identical to the C kernels. This module is also the backend "numba". It needs Numba: `pip install 'lrkern[numba]'`.
"""

from __future__ import annotations

import numpy as np

from lrkern.numba import available as _available  # noqa: F401  # isort: skip  # first: it reports what is missing
from lrkern.numba import c, generated_steps, plans
from lrkern.numba import notice as _notice  # noqa: F401
from lrkern.numba.arrays import cached
from lrkern.numba.backend import BACKEND
from lrkern.numba.generated_steps import *  # noqa: F403
from lrkern.numba.plateau import PlateauState, after, first_state, run
from lrkern.numba.plateau_arguments import checked, dialect_number
from lrkern.numba.warming import warm

__all__ = [
    "BACKEND",
    "PlateauState",
    "at",
    "c",
    "fill",
    "plateau",
    "plateau_start",
    "plateau_update",
    "warm",
]
__all__ += generated_steps.__all__


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)


# ------------------------------------------------------------------------------------------------------------- schedules


@cached
def at(plan, step):
    """The value of a plan at a step.

    Args:
        plan: a `lrkern.Plan`, from `Schedule.plan`.
        step: an integer or a float. Between two integers the plan's piece at the lower one is extended. Where the curve is
            smooth, that is the curve up to the last few bits; where each step is a separate piece (near a zero or a
            singularity, in tables and staircases), it is the value at the lower integer. `Schedule.__call__` is exact
            between integers as well.

    Returns:
        float64; NaN if the plan does not cover the step: before 0, at NaN, beyond 2^53, and from `plan.breaks[-1]` on if
        `plan.period` is 0.

    >>> import lrkern as lk, lrkern.numba as ln
    >>> ln.at(lk.cosine(0.1, 0.0, 1000).plan(), 500)
    0.05
    """
    return plans.value_at(plan, step)


@cached
def fill(plan, out, start=0):
    """Values of a plan at steps start, start + 1, ..., start + out.size - 1: `Schedule.table`, bit for bit.

    Args:
        plan: a `lrkern.Plan`.
        out: float64 or float32, of any shape, C-contiguous; filled in C order; float32 is rounded once from the float64 value.
        start: the first step; if it is not an integer, values are those of `at`.

    Values are NaN where the plan does not cover a step, as in `at`. Runs on the calling thread: in `parallel=True`, call it for
    slices.

    >>> import numpy as np, lrkern as lk, lrkern.numba as ln
    >>> out = np.empty(3)
    >>> ln.fill(lk.linear(1.0, 0.0, 4).plan(), out, 2)
    >>> out
    array([0.5 , 0.25, 0.  ])
    """
    plans.fill_from(plan, out, start)


@cached
def plateau_start(
    start,
    factor=None,
    patience=None,
    threshold=None,
    threshold_mode=None,
    mode=None,
    cooldown=None,
    min_lr=None,
    eps=None,
    dialect="torch",
    precision=None,
    atol=None,
    accumulate=None,
    min_scale=None,
    begin=None,
    end=None,
    warmup=None,
    warmup_lr=None,
    max_lr=None,
    window=None,
    reset_start=None,
):
    """The state of a plateau before its first metric: `lrkern.Plateau` of one run, with its dialects, arguments and defaults.

    Numbers may be integers or floats; counts must be whole. `dialect` and other options are strings, which need not be
    compile-time constants. None means the default of the dialect.

    Raises:
        ValueError, TypeError: an argument is out of range, or the dialect does not have it.

    >>> import lrkern.numba as ln
    >>> ln.plateau_start(0.1).lr
    0.1
    """
    given = (
        start, factor, patience, threshold, threshold_mode, mode, cooldown, min_lr, eps, precision, atol, accumulate, min_scale,
        begin, end, warmup, warmup_lr, max_lr, window, reset_start,
    )  # fmt: skip
    d = dialect_number(dialect)
    return first_state(d, checked(d, given))


@cached
def plateau_update(state, metric):
    """The state after one more metric: its `lr` is the learning rate from then on.

    The given state is not changed, so that it can be continued in several ways.

    >>> import lrkern.numba as ln
    >>> state = ln.plateau_start(0.1, factor=0.5, patience=0)
    >>> for loss in (3.0, 2.0, 2.0):
    ...     state = ln.plateau_update(state, loss)
    >>> state.lr
    0.05
    """
    return after(state, np.float64(metric))


@cached
def plateau(
    metrics,
    start,
    factor=None,
    patience=None,
    threshold=None,
    threshold_mode=None,
    mode=None,
    cooldown=None,
    min_lr=None,
    eps=None,
    dialect="torch",
    precision=None,
    atol=None,
    accumulate=None,
    min_scale=None,
    begin=None,
    end=None,
    warmup=None,
    warmup_lr=None,
    max_lr=None,
    window=None,
    reset_start=None,
):
    """`lrkern.plateau` of recorded metrics, with the same arguments for all runs: the learning rate after each metric.

    Args:
        metrics: float64 or float32 of shape (..., steps), C-contiguous: one row per run.
        start, ...: as in `plateau_start`.

    Raises:
        ValueError, TypeError: as for `plateau_start`.

    Returns:
        float64 of the shape of `metrics`.

    >>> import numpy as np, lrkern.numba as ln
    >>> ln.plateau(np.array([3.0, 2.0, 2.0, 2.0, 2.0]), 0.1, factor=0.5, patience=1)
    array([0.1 , 0.1 , 0.1 , 0.05, 0.05])
    """
    lr = np.empty(metrics.shape)
    steps = metrics.shape[-1]
    rows, out = metrics.reshape(metrics.size), lr.reshape(lr.size)
    begun = plateau_start(
        start, factor, patience, threshold, threshold_mode, mode, cooldown, min_lr, eps, dialect, precision, atol, accumulate,
        min_scale, begin, end, warmup, warmup_lr, max_lr, window, reset_start,
    )  # fmt: skip
    for first in range(0, rows.size, max(steps, 1)):
        run(begun, rows[first : first + steps], out[first : first + steps])
    return lr

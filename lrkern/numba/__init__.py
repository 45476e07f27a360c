"""lrkern inside functions that Numba compiles: schedules, optimizer steps and plateaus, without returning to Python.

All functions can be called within `@njit`, also with `parallel=True`, `cache=True` and `fastmath=True`, and from Python. They
are bit-identical to the C kernels. This module is also the backend "numba". It needs Numba: `pip install 'lrkern[numba]'`.
"""

from __future__ import annotations

import math

import numpy as np

from lrkern.numba import available as _available  # noqa: F401  # isort: skip  # first: it reports what is missing
from lrkern.numba import c, plans, update
from lrkern.numba import notice as _notice  # noqa: F401
from lrkern.numba.arrays import cached
from lrkern.numba.backend import BACKEND
from lrkern.numba.checks import (
    flag,
    inputs_of,
    is_count,
    is_fraction,
    is_hyper,
    same_layout,
    same_layout_or_none,
    squares_of,
)
from lrkern.numba.plateau import PlateauState, after, first_state, run
from lrkern.numba.plateau_arguments import checked, dialect_number
from lrkern.numba.warming import warm

__all__ = [
    "BACKEND",
    "PlateauState",
    "adagrad_step",
    "adam_step",
    "adamw_step",
    "at",
    "c",
    "fill",
    "lamb_step",
    "lars_step",
    "lion_step",
    "plateau",
    "plateau_start",
    "plateau_update",
    "rmsprop_step",
    "sgd_step",
    "warm",
]


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


# ----------------------------------------------------------------------------------------------------------------- steps

_SGD, _SGDMomentum, _Adam, _AMSGrad, _Lion, _RMSprop, _Adagrad, _LARS, _LAMB = (
    inputs_of(rule) for rule in ("sgd", "sgd_momentum", "adam", "amsgrad", "lion", "rmsprop", "adagrad", "lars", "lamb")
)
_adam_states, _adamw_states = (
    squares_of(where, "exp_avg", "exp_avg_sq", "max_exp_avg_sq") for where in ("adam_step", "adamw_step")
)
_rmsprop_states = squares_of("rmsprop_step", "square_avg", "grad_avg", "momentum_buffer", centered_by=1)
_adagrad_states = squares_of("adagrad_step", "sum")
_lamb_states = squares_of("lamb_step", "exp_avg", "exp_avg_sq")


@cached
def sgd_step(
    param,
    grad,
    momentum_buffer=None,
    lr=math.nan,
    momentum=0.0,
    dampening=0.0,
    nesterov=False,
    weight_decay=0.0,
    decoupled=False,
    maximize=False,
    convention="torch",
    first=False,
):
    """`lrkern.sgd_step`, with the same formula and arguments.

    Args:
        param, grad, momentum_buffer: arrays of one shape, all C-contiguous or all Fortran-contiguous; float64, float32, or
            16-bit floats as their bits: bfloat16 as uint16, float16 as int16 (`array.view(np.int16)`). States of rules that
            divide by the root of squares (Adam, AdamW, RMSprop, Adagrad, LAMB) must not be float16, in which small squares
            are 0, nor, in centered RMSprop, bfloat16. Arrays that are written must not share memory with others; this is not
            checked. For subclasses of arrays only the memory counts: compiled code ignores masks and methods.
        lr, ...: as in `lrkern.sgd_step`; `lr` is required. All can be passed by position or by name, because Numba has no
            keyword-only arguments.

    Raises:
        ValueError: a number is out of range; a shape or memory order differs; no gradient, or no buffer with momentum > 0.
            Nothing has been written.
        TypingError: at compile time: arrays of other types, or states in a 16-bit type that the rule refuses.

    >>> import numpy as np, lrkern.numba as ln
    >>> p, g, b = np.array([1.0, 2.0]), np.array([0.5, -0.5]), np.zeros(2)
    >>> ln.sgd_step(p, g, b, lr=0.5, momentum=0.5, first=True)
    >>> p
    array([0.75, 2.25])
    """
    if lr != lr:
        raise ValueError("sgd_step: lr must be given, a finite float32 number >= 0")
    if not (is_hyper(lr) and is_hyper(momentum) and is_hyper(dampening) and is_hyper(weight_decay)):
        raise ValueError("sgd_step: lr, momentum, dampening and weight_decay must be finite float32 numbers >= 0")
    if flag(nesterov) and (momentum == 0 or dampening != 0):
        raise ValueError("sgd_step: nesterov needs momentum > 0 and dampening = 0")
    keras = convention == "keras"
    if not (keras or convention == "torch" or convention == "zero-init"):
        raise ValueError("sgd_step: convention must be 'torch', 'zero-init' or 'keras'")
    if keras and dampening != 0:
        raise ValueError("sgd_step: convention 'keras' needs dampening = 0")
    if momentum_buffer is None and momentum != 0:
        raise ValueError("sgd_step: momentum_buffer is needed if momentum > 0")
    if not (same_layout(param, grad) and same_layout_or_none(param, momentum_buffer)):
        raise ValueError("sgd_step: grad and momentum_buffer must have the shape and memory order of param")
    h = (
        np.float64(lr),
        np.float64(weight_decay),
        flag(decoupled),
        flag(maximize),
        np.float64(momentum),
        np.float64(dampening),
        flag(nesterov),
        np.float64(keras),
        np.float64(convention != "torch"),
    )
    if momentum != 0:
        update.step(_SGDMomentum(h), update.tensor(1 if flag(first) else 2, param), param, grad, momentum_buffer, None, None)
    else:
        update.step(_SGD(h), update.tensor(2, param), param, grad, None, None, None)


@cached
def adam_step(
    param,
    grad,
    exp_avg,
    exp_avg_sq,
    max_exp_avg_sq=None,
    count=-1,
    lr=1e-3,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    weight_decay=0.0,
    maximize=False,
    eps_inside=False,
    convention="torch",
):
    """`lrkern.adam_step`, with the same formula and arguments; arrays as in `sgd_step`.

    `count`, the number of steps before this one, is required: 0 at the first step.

    >>> import numpy as np, lrkern.numba as ln
    >>> p, m, v = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
    >>> ln.adam_step(p, np.array([0.5, -4.0]), m, v, count=0, lr=0.25, eps=0.0)
    >>> p
    array([0.75, 2.25])
    """
    h = _adam_inputs(lr, weight_decay, 0.0, maximize, beta1, beta2, eps, eps_inside, convention, 0.0, count)
    _adam_states(exp_avg, exp_avg_sq, max_exp_avg_sq)
    if not (same_layout(param, grad) and same_layout(param, exp_avg) and same_layout(param, exp_avg_sq)):
        raise ValueError("adam_step: grad, exp_avg and exp_avg_sq must have the shape and memory order of param")
    if not same_layout_or_none(param, max_exp_avg_sq):
        raise ValueError("adam_step: max_exp_avg_sq must have the shape and memory order of param")
    if max_exp_avg_sq is None:
        update.step(_Adam(h), update.tensor(count + 1, param), param, grad, exp_avg, exp_avg_sq, None)
    else:
        update.step(_AMSGrad(h), update.tensor(count + 1, param), param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq)


@cached
def adamw_step(
    param,
    grad,
    exp_avg,
    exp_avg_sq,
    max_exp_avg_sq=None,
    count=-1,
    lr=1e-3,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    weight_decay=1e-2,
    maximize=False,
    eps_inside=False,
    decay_after=False,
    convention="torch",
):
    """`lrkern.adamw_step`, with the same formula and arguments; arrays as in `sgd_step`.

    `count`, the number of steps before this one, is required: 0 at the first step.

    >>> import numpy as np, lrkern.numba as ln
    >>> p, m, v = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
    >>> ln.adamw_step(p, np.array([0.5, -4.0]), m, v, count=0, lr=0.25, eps=0.0, weight_decay=1.0)
    >>> p
    array([0.5 , 1.75])
    """
    after = flag(decay_after)
    h = _adam_inputs(lr, weight_decay, 1.0, maximize, beta1, beta2, eps, eps_inside, convention, after, count)
    _adamw_states(exp_avg, exp_avg_sq, max_exp_avg_sq)
    if not (same_layout(param, grad) and same_layout(param, exp_avg) and same_layout(param, exp_avg_sq)):
        raise ValueError("adamw_step: grad, exp_avg and exp_avg_sq must have the shape and memory order of param")
    if not same_layout_or_none(param, max_exp_avg_sq):
        raise ValueError("adamw_step: max_exp_avg_sq must have the shape and memory order of param")
    if max_exp_avg_sq is None:
        update.step(_Adam(h), update.tensor(count + 1, param), param, grad, exp_avg, exp_avg_sq, None)
    else:
        update.step(_AMSGrad(h), update.tensor(count + 1, param), param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq)


@cached
def _adam_inputs(lr, weight_decay, decoupled, maximize, beta1, beta2, eps, eps_inside, convention, decay_after, count):
    if not (is_hyper(lr) and is_hyper(eps) and is_hyper(weight_decay)):
        raise ValueError("adam_step, adamw_step: lr, eps and weight_decay must be finite float32 numbers >= 0")
    if not (is_fraction(beta1) and is_fraction(beta2)):
        raise ValueError("adam_step, adamw_step: beta1 and beta2 must be numbers >= 0 and < 1")
    if not (convention == "torch" or convention == "keras"):
        raise ValueError("adam_step, adamw_step: convention must be 'torch' or 'keras'")
    if not is_count(count):
        raise ValueError("adam_step, adamw_step: count must be an integer from 0 to 2**53, the number of steps before this one")
    return (
        np.float64(lr),
        np.float64(weight_decay),
        decoupled,
        flag(maximize),
        np.float64(beta1),
        np.float64(beta2),
        np.float64(eps),
        flag(eps_inside),
        np.float64(convention == "keras"),
        decay_after,
        0.0,
    )


@cached
def lion_step(param, grad, exp_avg, lr=1e-4, beta1=0.9, beta2=0.99, weight_decay=0.0, maximize=False):
    """`lrkern.lion_step`, with the same formula and arguments; arrays as in `sgd_step`.

    >>> import numpy as np, lrkern.numba as ln
    >>> p, m = np.array([1.0, 2.0]), np.zeros(2)
    >>> ln.lion_step(p, np.array([0.5, -4.0]), m, lr=0.25)
    >>> p
    array([0.75, 2.25])
    """
    if not (is_hyper(lr) and is_hyper(weight_decay)):
        raise ValueError("lion_step: lr and weight_decay must be finite float32 numbers >= 0")
    if not (is_fraction(beta1) and is_fraction(beta2)):
        raise ValueError("lion_step: beta1 and beta2 must be numbers >= 0 and < 1")
    if not (same_layout(param, grad) and same_layout(param, exp_avg)):
        raise ValueError("lion_step: grad and exp_avg must have the shape and memory order of param")
    h = np.float64(lr), np.float64(weight_decay), 1.0, flag(maximize), np.float64(beta1), np.float64(beta2), 0.0
    update.step(_Lion(h), update.tensor(1, param), param, grad, exp_avg, None, None)


@cached
def rmsprop_step(
    param,
    grad,
    square_avg,
    grad_avg=None,
    momentum_buffer=None,
    lr=1e-2,
    alpha=0.99,
    eps=1e-8,
    momentum=0.0,
    weight_decay=0.0,
    decoupled=False,
    maximize=False,
    eps_inside=False,
    convention="torch",
):
    """`lrkern.rmsprop_step`, with the same formula and arguments; arrays as in `sgd_step`.

    >>> import numpy as np, lrkern.numba as ln
    >>> p, v = np.array([1.0, 2.0]), np.zeros(2)
    >>> ln.rmsprop_step(p, np.array([0.5, -4.0]), v, lr=0.25, alpha=0.75, eps=0.0)
    >>> p
    array([0.5, 2.5])
    """
    if not (is_hyper(lr) and is_hyper(eps) and is_hyper(momentum) and is_hyper(weight_decay)):
        raise ValueError("rmsprop_step: lr, eps, momentum and weight_decay must be finite float32 numbers >= 0")
    if not is_fraction(alpha):
        raise ValueError("rmsprop_step: alpha must be a number >= 0 and < 1")
    if not (convention == "torch" or convention == "keras"):
        raise ValueError("rmsprop_step: convention must be 'torch' or 'keras'")
    if momentum_buffer is None and momentum != 0:
        raise ValueError("rmsprop_step: momentum_buffer is needed if momentum > 0")
    _rmsprop_states(square_avg, grad_avg, momentum_buffer)
    if not (same_layout(param, grad) and same_layout(param, square_avg)):
        raise ValueError("rmsprop_step: grad and square_avg must have the shape and memory order of param")
    if not (same_layout_or_none(param, grad_avg) and same_layout_or_none(param, momentum_buffer)):
        raise ValueError("rmsprop_step: grad_avg and momentum_buffer must have the shape and memory order of param")
    h = (
        np.float64(lr),
        np.float64(weight_decay),
        flag(decoupled),
        flag(maximize),
        np.float64(alpha),
        np.float64(eps),
        np.float64(momentum),
        np.float64(momentum != 0),
        np.float64(grad_avg is not None),
        flag(eps_inside),
        np.float64(convention == "keras"),
    )
    if momentum != 0:
        update.step(_RMSprop(h), update.tensor(1, param), param, grad, square_avg, grad_avg, momentum_buffer)
    else:
        update.step(_RMSprop(h), update.tensor(1, param), param, grad, square_avg, grad_avg, None)


@cached
def adagrad_step(
    param,
    grad,
    sum,
    count=-1,
    lr=1e-2,
    lr_decay=0.0,
    eps=1e-10,
    weight_decay=0.0,
    decoupled=False,
    maximize=False,
    eps_inside=False,
):
    """`lrkern.adagrad_step`, with the same formula and arguments; arrays as in `sgd_step`.

    `count`, the number of steps before this one, is required: 0 at the first step.

    >>> import numpy as np, lrkern.numba as ln
    >>> p, v = np.array([1.0, 2.0]), np.zeros(2)
    >>> ln.adagrad_step(p, np.array([0.5, -4.0]), v, count=0, lr=0.25, eps=0.0)
    >>> p
    array([0.75, 2.25])
    """
    if not (is_hyper(lr) and is_hyper(lr_decay) and is_hyper(eps) and is_hyper(weight_decay)):
        raise ValueError("adagrad_step: lr, lr_decay, eps and weight_decay must be finite float32 numbers >= 0")
    if not is_count(count):
        raise ValueError("adagrad_step: count must be an integer from 0 to 2**53, the number of steps before this one")
    _adagrad_states(sum)
    if not (same_layout(param, grad) and same_layout(param, sum)):
        raise ValueError("adagrad_step: grad and sum must have the shape and memory order of param")
    h = (
        np.float64(lr),
        np.float64(weight_decay),
        flag(decoupled),
        flag(maximize),
        np.float64(eps),
        np.float64(lr_decay),
        flag(eps_inside),
    )
    update.step(_Adagrad(h), update.tensor(count + 1, param), param, grad, sum, None, None)


@cached
def lars_step(
    param,
    grad,
    momentum_buffer,
    lr=math.nan,
    momentum=0.9,
    weight_decay=0.0,
    trust=1e-3,
    eps=0.0,
    nesterov=False,
    trust_clip=False,
    adapt=True,
    maximize=False,
    convention="paper",
    first=False,
):
    """`lrkern.lars_step`, with the same formula and arguments; arrays as in `sgd_step`. `lr` is required.

    >>> import numpy as np, lrkern.numba as ln
    >>> p, b = np.array([3.0, 4.0]), np.zeros(2)
    >>> ln.lars_step(p, np.array([0.0, 10.0]), b, lr=1.0, trust=0.5)
    >>> p
    array([3. , 1.5])
    """
    if lr != lr:
        raise ValueError("lars_step: lr must be given, a finite float32 number >= 0")
    if not (is_hyper(lr) and is_hyper(momentum) and is_hyper(weight_decay) and is_hyper(trust) and is_hyper(eps)):
        raise ValueError("lars_step: lr, momentum, weight_decay, trust and eps must be finite float32 numbers >= 0")
    if not (convention == "paper" or convention == "optax" or convention == "apex"):
        raise ValueError("lars_step: convention must be 'paper', 'optax' or 'apex'")
    if not (same_layout(param, grad) and same_layout(param, momentum_buffer)):
        raise ValueError("lars_step: grad and momentum_buffer must have the shape and memory order of param")
    h = (
        np.float64(lr),
        np.float64(weight_decay),
        0.0,
        flag(maximize),
        np.float64(momentum),
        flag(nesterov),
        np.float64(trust),
        np.float64(eps),
        np.float64(convention == "optax"),
        np.float64(convention != "apex"),
        flag(trust_clip),
        1.0 - flag(adapt),
    )
    update.step_measured(_LARS(h), update.tensor(1 if flag(first) else 2, param), False, param, grad, momentum_buffer, None)


@cached
def lamb_step(
    param,
    grad,
    exp_avg,
    exp_avg_sq,
    count=-1,
    lr=1e-3,
    beta1=0.9,
    beta2=0.999,
    eps=1e-6,
    weight_decay=0.0,
    bias_correction=True,
    adapt=True,
    maximize=False,
):
    """`lrkern.lamb_step`, with the same formula and arguments; arrays as in `sgd_step`.

    `count`, the number of steps before this one, is required: 0 at the first step.

    >>> import numpy as np, lrkern.numba as ln
    >>> p, m, v = np.array([3.0, 4.0]), np.zeros(2), np.zeros(2)
    >>> ln.lamb_step(p, np.array([0.0, 10.0]), m, v, count=0, lr=0.5, eps=1.0, bias_correction=False)
    >>> p
    array([3. , 1.5])
    """
    if not (is_hyper(lr) and is_hyper(eps) and is_hyper(weight_decay)):
        raise ValueError("lamb_step: lr, eps and weight_decay must be finite float32 numbers >= 0")
    if not (is_fraction(beta1) and is_fraction(beta2)):
        raise ValueError("lamb_step: beta1 and beta2 must be numbers >= 0 and < 1")
    if not is_count(count):
        raise ValueError("lamb_step: count must be an integer from 0 to 2**53, the number of steps before this one")
    _lamb_states(exp_avg, exp_avg_sq)
    if not (same_layout(param, grad) and same_layout(param, exp_avg) and same_layout(param, exp_avg_sq)):
        raise ValueError("lamb_step: grad, exp_avg and exp_avg_sq must have the shape and memory order of param")
    h = (
        np.float64(lr),
        0.0,
        0.0,
        flag(maximize),
        np.float64(beta1),
        np.float64(beta2),
        np.float64(eps),
        np.float64(weight_decay),
        flag(bias_correction),
        1.0 - flag(adapt),
    )
    update.step_measured(_LAMB(h), update.tensor(count + 1, param), False, param, grad, exp_avg, exp_avg_sq)

"""Optimizer steps within functions that Numba compiles: those of `lrkern`, with their formulas and arguments.

Written by tools/rule_sources.py from the formulas in lrkern/optimizers: change those, then run `make rules`.
"""

import math

import numpy as np

from lrkern.numba import combinations, update
from lrkern.numba.arrays import cached
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

__all__ = [
    "adagrad_step",
    "adam_step",
    "adamw_step",
    "lamb_step",
    "lars_step",
    "lion_step",
    "rmsprop_step",
    "sgd_step",
]

_amsgrad = inputs_of("amsgrad")
_adam = inputs_of("adam")
_lars = inputs_of("lars")
_lamb = inputs_of("lamb")
_sgd_momentum = inputs_of("sgd_momentum")
_sgd = inputs_of("sgd")
_lion = inputs_of("lion")
_rmsprop = inputs_of("rmsprop")
_adagrad = inputs_of("adagrad")
_states_of_adam_step = squares_of("adam_step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
_states_of_adamw_step = squares_of("adamw_step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")
_states_of_lamb_step = squares_of("lamb_step", "exp_avg", "exp_avg_sq")
_states_of_rmsprop_step = squares_of("rmsprop_step", "square_avg", "grad_avg", "momentum_buffer", centered_by=1)
_states_of_adagrad_step = squares_of("adagrad_step", "sum")


@cached
def adam_step(
    param,
    grad,
    exp_avg,
    exp_avg_sq,
    max_exp_avg_sq=None,
    count=-1,
    lr=0.001,
    beta1=0.9,
    beta2=0.999,
    eps=1e-08,
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
    if not is_hyper(lr):
        raise ValueError("adam_step: lr must be a finite float32 number >= 0")
    if not is_fraction(beta1):
        raise ValueError("adam_step: beta1 must be a number >= 0 and < 1")
    if not is_fraction(beta2):
        raise ValueError("adam_step: beta2 must be a number >= 0 and < 1")
    if not is_hyper(eps):
        raise ValueError("adam_step: eps must be a finite float32 number >= 0")
    if not is_hyper(weight_decay):
        raise ValueError("adam_step: weight_decay must be a finite float32 number >= 0")
    if not (convention == "torch" or convention == "keras" or convention == "optax"):
        raise ValueError("adam_step: convention must be 'torch', 'keras' or 'optax'")
    if not is_count(count):
        raise ValueError("adam_step: count must be an integer from 0 to 2**53, the number of steps before this one")
    _states_of_adam_step(exp_avg, exp_avg_sq, max_exp_avg_sq)
    if not same_layout(param, grad):
        raise ValueError("adam_step: grad must have the shape and memory order of param")
    if not same_layout(param, exp_avg):
        raise ValueError("adam_step: exp_avg must have the shape and memory order of param")
    if not same_layout(param, exp_avg_sq):
        raise ValueError("adam_step: exp_avg_sq must have the shape and memory order of param")
    if not same_layout_or_none(param, max_exp_avg_sq):
        raise ValueError("adam_step: max_exp_avg_sq must have the shape and memory order of param")
    t = update.tensor(count + 1, param)
    if max_exp_avg_sq is not None:
        h_amsgrad = (
            np.float64(lr),
            np.float64(weight_decay),
            0.0,
            flag(maximize),
            np.float64(beta1),
            np.float64(beta2),
            np.float64(eps),
            flag(eps_inside),
            np.float64(convention == "keras"),
            0.0,
            0.0,
            np.float64(convention == "optax"),
        )
        update.step(_amsgrad(h_amsgrad), t, param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq)
    else:
        h_adam = (
            np.float64(lr),
            np.float64(weight_decay),
            0.0,
            flag(maximize),
            np.float64(beta1),
            np.float64(beta2),
            np.float64(eps),
            flag(eps_inside),
            np.float64(convention == "keras"),
            0.0,
            0.0,
        )
        update.step(_adam(h_adam), t, param, grad, exp_avg, exp_avg_sq)


@cached
def adamw_step(
    param,
    grad,
    exp_avg,
    exp_avg_sq,
    max_exp_avg_sq=None,
    count=-1,
    lr=0.001,
    beta1=0.9,
    beta2=0.999,
    eps=1e-08,
    weight_decay=0.01,
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
    if not is_hyper(lr):
        raise ValueError("adamw_step: lr must be a finite float32 number >= 0")
    if not is_fraction(beta1):
        raise ValueError("adamw_step: beta1 must be a number >= 0 and < 1")
    if not is_fraction(beta2):
        raise ValueError("adamw_step: beta2 must be a number >= 0 and < 1")
    if not is_hyper(eps):
        raise ValueError("adamw_step: eps must be a finite float32 number >= 0")
    if not is_hyper(weight_decay):
        raise ValueError("adamw_step: weight_decay must be a finite float32 number >= 0")
    if not (convention == "torch" or convention == "keras" or convention == "optax"):
        raise ValueError("adamw_step: convention must be 'torch', 'keras' or 'optax'")
    if not is_count(count):
        raise ValueError("adamw_step: count must be an integer from 0 to 2**53, the number of steps before this one")
    _states_of_adamw_step(exp_avg, exp_avg_sq, max_exp_avg_sq)
    if not same_layout(param, grad):
        raise ValueError("adamw_step: grad must have the shape and memory order of param")
    if not same_layout(param, exp_avg):
        raise ValueError("adamw_step: exp_avg must have the shape and memory order of param")
    if not same_layout(param, exp_avg_sq):
        raise ValueError("adamw_step: exp_avg_sq must have the shape and memory order of param")
    if not same_layout_or_none(param, max_exp_avg_sq):
        raise ValueError("adamw_step: max_exp_avg_sq must have the shape and memory order of param")
    t = update.tensor(count + 1, param)
    if max_exp_avg_sq is not None:
        h_amsgrad = (
            np.float64(lr),
            np.float64(weight_decay),
            1.0,
            flag(maximize),
            np.float64(beta1),
            np.float64(beta2),
            np.float64(eps),
            flag(eps_inside),
            np.float64(convention == "keras"),
            flag(decay_after),
            0.0,
            np.float64(convention == "optax"),
        )
        update.step(_amsgrad(h_amsgrad), t, param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq)
    else:
        h_adam = (
            np.float64(lr),
            np.float64(weight_decay),
            1.0,
            flag(maximize),
            np.float64(beta1),
            np.float64(beta2),
            np.float64(eps),
            flag(eps_inside),
            np.float64(convention == "keras"),
            flag(decay_after),
            0.0,
        )
        update.step(_adam(h_adam), t, param, grad, exp_avg, exp_avg_sq)


@cached
def lars_step(
    param,
    grad,
    momentum_buffer,
    lr=math.nan,
    momentum=0.9,
    weight_decay=0.0,
    trust=0.001,
    eps=0.0,
    nesterov=False,
    trust_clip=False,
    adapt=True,
    maximize=False,
    convention="paper",
    first=False,
):
    """`lrkern.lars_step`, with the same formula and arguments; arrays as in `sgd_step`.

    `lr` is required.

    >>> import numpy as np, lrkern.numba as ln
    >>> p, b = np.array([3.0, 4.0]), np.zeros(2)
    >>> ln.lars_step(p, np.array([0.0, 10.0]), b, lr=1.0, trust=0.5)
    >>> p
    array([3. , 1.5])
    """
    if lr != lr:
        raise ValueError("lars_step: lr must be given, a finite float32 number >= 0")
    if not is_hyper(lr):
        raise ValueError("lars_step: lr must be a finite float32 number >= 0")
    if not is_hyper(momentum):
        raise ValueError("lars_step: momentum must be a finite float32 number >= 0")
    if not is_hyper(weight_decay):
        raise ValueError("lars_step: weight_decay must be a finite float32 number >= 0")
    if not is_hyper(trust):
        raise ValueError("lars_step: trust must be a finite float32 number >= 0")
    if not is_hyper(eps):
        raise ValueError("lars_step: eps must be a finite float32 number >= 0")
    if not (convention == "paper" or convention == "optax" or convention == "apex"):
        raise ValueError("lars_step: convention must be 'paper', 'optax' or 'apex'")
    if not same_layout(param, grad):
        raise ValueError("lars_step: grad must have the shape and memory order of param")
    if not same_layout(param, momentum_buffer):
        raise ValueError("lars_step: momentum_buffer must have the shape and memory order of param")
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
        np.float64(convention == "paper" or convention == "optax"),
        flag(trust_clip),
        1.0 - flag(adapt),
    )
    t = update.tensor(1 if flag(first) else 2, param)
    update.step_measured(_lars(h), t, False, param, grad, momentum_buffer)


@cached
def lamb_step(
    param,
    grad,
    exp_avg,
    exp_avg_sq,
    count=-1,
    lr=0.001,
    beta1=0.9,
    beta2=0.999,
    eps=1e-06,
    weight_decay=0.0,
    bias_correction=True,
    adapt=True,
    maximize=False,
    convention="paper",
):
    """`lrkern.lamb_step`, with the same formula and arguments; arrays as in `sgd_step`.

    `count`, the number of steps before this one, is required: 0 at the first step.

    >>> import numpy as np, lrkern.numba as ln
    >>> p, m, v = np.array([3.0, 4.0]), np.zeros(2), np.zeros(2)
    >>> ln.lamb_step(p, np.array([0.0, 10.0]), m, v, count=0, lr=0.5, eps=1.0, bias_correction=False)
    >>> p
    array([3. , 1.5])
    """
    if not is_hyper(lr):
        raise ValueError("lamb_step: lr must be a finite float32 number >= 0")
    if not is_fraction(beta1):
        raise ValueError("lamb_step: beta1 must be a number >= 0 and < 1")
    if not is_fraction(beta2):
        raise ValueError("lamb_step: beta2 must be a number >= 0 and < 1")
    if not is_hyper(eps):
        raise ValueError("lamb_step: eps must be a finite float32 number >= 0")
    if not is_hyper(weight_decay):
        raise ValueError("lamb_step: weight_decay must be a finite float32 number >= 0")
    if not (convention == "paper" or convention == "keras"):
        raise ValueError("lamb_step: convention must be 'paper' or 'keras'")
    if not is_count(count):
        raise ValueError("lamb_step: count must be an integer from 0 to 2**53, the number of steps before this one")
    _states_of_lamb_step(exp_avg, exp_avg_sq)
    if not same_layout(param, grad):
        raise ValueError("lamb_step: grad must have the shape and memory order of param")
    if not same_layout(param, exp_avg):
        raise ValueError("lamb_step: exp_avg must have the shape and memory order of param")
    if not same_layout(param, exp_avg_sq):
        raise ValueError("lamb_step: exp_avg_sq must have the shape and memory order of param")
    h = (
        np.float64(lr),
        0.0,
        np.float64(convention == "keras"),
        flag(maximize),
        np.float64(beta1),
        np.float64(beta2),
        np.float64(eps),
        np.float64(weight_decay),
        flag(bias_correction),
        1.0 - flag(adapt),
    )
    t = update.tensor(count + 1, param)
    update.step_measured(_lamb(h), t, False, param, grad, exp_avg, exp_avg_sq)


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
    >>> ln.sgd_step(p, g, b, lr=0.5, momentum=0.5)
    >>> p, b
    (array([0.375, 2.625]), array([ 0.75, -0.75]))
    """
    if lr != lr:
        raise ValueError("sgd_step: lr must be given, a finite float32 number >= 0")
    if not is_hyper(lr):
        raise ValueError("sgd_step: lr must be a finite float32 number >= 0")
    if not is_hyper(momentum):
        raise ValueError("sgd_step: momentum must be a finite float32 number >= 0")
    if not is_hyper(dampening):
        raise ValueError("sgd_step: dampening must be a finite float32 number >= 0")
    if not is_hyper(weight_decay):
        raise ValueError("sgd_step: weight_decay must be a finite float32 number >= 0")
    if not (convention == "torch" or convention == "zero-init" or convention == "keras"):
        raise ValueError("sgd_step: convention must be 'torch', 'zero-init' or 'keras'")
    if momentum_buffer is None and momentum != 0:
        raise ValueError("sgd_step: momentum_buffer is needed if momentum > 0")
    combinations.check_sgd(nesterov, momentum, dampening, convention)
    if not same_layout(param, grad):
        raise ValueError("sgd_step: grad must have the shape and memory order of param")
    if not same_layout_or_none(param, momentum_buffer):
        raise ValueError("sgd_step: momentum_buffer must have the shape and memory order of param")
    h = (
        np.float64(lr),
        np.float64(weight_decay),
        flag(decoupled),
        flag(maximize),
        np.float64(momentum),
        np.float64(dampening),
        flag(nesterov),
        np.float64(convention == "keras"),
        np.float64(convention == "zero-init" or convention == "keras"),
    )
    t = update.tensor(1 if flag(first) else 2, param)
    if momentum != 0:
        update.step(_sgd_momentum(h), t, param, grad, momentum_buffer)
    else:
        update.step(_sgd(h), t, param, grad, None)


@cached
def lion_step(
    param,
    grad,
    exp_avg,
    lr=0.0001,
    beta1=0.9,
    beta2=0.99,
    weight_decay=0.0,
    maximize=False,
):
    """`lrkern.lion_step`, with the same formula and arguments; arrays as in `sgd_step`.

    >>> import numpy as np, lrkern.numba as ln
    >>> p, m = np.array([1.0, 2.0]), np.zeros(2)
    >>> ln.lion_step(p, np.array([0.5, -4.0]), m, lr=0.25)
    >>> p
    array([0.75, 2.25])
    """
    if not is_hyper(lr):
        raise ValueError("lion_step: lr must be a finite float32 number >= 0")
    if not is_fraction(beta1):
        raise ValueError("lion_step: beta1 must be a number >= 0 and < 1")
    if not is_fraction(beta2):
        raise ValueError("lion_step: beta2 must be a number >= 0 and < 1")
    if not is_hyper(weight_decay):
        raise ValueError("lion_step: weight_decay must be a finite float32 number >= 0")
    if not same_layout(param, grad):
        raise ValueError("lion_step: grad must have the shape and memory order of param")
    if not same_layout(param, exp_avg):
        raise ValueError("lion_step: exp_avg must have the shape and memory order of param")
    h = (
        np.float64(lr),
        np.float64(weight_decay),
        1.0,
        flag(maximize),
        np.float64(beta1),
        np.float64(beta2),
        0.0,
    )
    t = update.tensor(1, param)
    update.step(_lion(h), t, param, grad, exp_avg)


@cached
def rmsprop_step(
    param,
    grad,
    square_avg,
    grad_avg=None,
    momentum_buffer=None,
    lr=0.01,
    alpha=0.99,
    eps=1e-08,
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
    if not is_hyper(lr):
        raise ValueError("rmsprop_step: lr must be a finite float32 number >= 0")
    if not is_fraction(alpha):
        raise ValueError("rmsprop_step: alpha must be a number >= 0 and < 1")
    if not is_hyper(eps):
        raise ValueError("rmsprop_step: eps must be a finite float32 number >= 0")
    if not is_hyper(momentum):
        raise ValueError("rmsprop_step: momentum must be a finite float32 number >= 0")
    if not is_hyper(weight_decay):
        raise ValueError("rmsprop_step: weight_decay must be a finite float32 number >= 0")
    if not (convention == "torch" or convention == "keras"):
        raise ValueError("rmsprop_step: convention must be 'torch' or 'keras'")
    if momentum_buffer is None and momentum != 0:
        raise ValueError("rmsprop_step: momentum_buffer is needed if momentum > 0")
    _states_of_rmsprop_step(square_avg, grad_avg, momentum_buffer)
    if not same_layout(param, grad):
        raise ValueError("rmsprop_step: grad must have the shape and memory order of param")
    if not same_layout(param, square_avg):
        raise ValueError("rmsprop_step: square_avg must have the shape and memory order of param")
    if not same_layout_or_none(param, grad_avg):
        raise ValueError("rmsprop_step: grad_avg must have the shape and memory order of param")
    if not same_layout_or_none(param, momentum_buffer):
        raise ValueError("rmsprop_step: momentum_buffer must have the shape and memory order of param")
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
    t = update.tensor(1, param)
    if momentum != 0:
        update.step(_rmsprop(h), t, param, grad, square_avg, grad_avg, momentum_buffer)
    else:
        update.step(_rmsprop(h), t, param, grad, square_avg, grad_avg, None)


@cached
def adagrad_step(
    param,
    grad,
    sum,
    count=-1,
    lr=0.01,
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
    if not is_hyper(lr):
        raise ValueError("adagrad_step: lr must be a finite float32 number >= 0")
    if not is_hyper(lr_decay):
        raise ValueError("adagrad_step: lr_decay must be a finite float32 number >= 0")
    if not is_hyper(eps):
        raise ValueError("adagrad_step: eps must be a finite float32 number >= 0")
    if not is_hyper(weight_decay):
        raise ValueError("adagrad_step: weight_decay must be a finite float32 number >= 0")
    if not is_count(count):
        raise ValueError("adagrad_step: count must be an integer from 0 to 2**53, the number of steps before this one")
    _states_of_adagrad_step(sum)
    if not same_layout(param, grad):
        raise ValueError("adagrad_step: grad must have the shape and memory order of param")
    if not same_layout(param, sum):
        raise ValueError("adagrad_step: sum must have the shape and memory order of param")
    h = (
        np.float64(lr),
        np.float64(weight_decay),
        flag(decoupled),
        flag(maximize),
        np.float64(eps),
        np.float64(lr_decay),
        flag(eps_inside),
    )
    t = update.tensor(count + 1, param)
    update.step(_adagrad(h), t, param, grad, sum)

"""Optimizers that divide by the root of past squares: RMSprop and Adagrad."""

from __future__ import annotations

from typing import Any, Unpack

from lrkern import _checks
from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared, step_once
from lrkern.optimizers.options import (
    BASICS,
    CAUTIOUS,
    DIFFERENCES,
    SQUARES,
    RuleOptions,
    check_caution,
    fraction,
    is_on,
    nonnegative,
    own_options,
)
from lrkern.rules.parts import cautioned, coupled, pull_of, pulled_along
from lrkern.rules.rule import own_rule
from lrkern.rules.words import fma, maximum, n, sqrt

__all__ = ["Adagrad", "RMSprop", "adagrad_step", "rmsprop_step"]


@own_rule(
    "square_avg",
    "grad_avg",
    "momentum_buffer",
    variants={
        "rmsprop": {"cautious": False, "cautious_decay": False},
        "rmsprop_cautious": {"cautious": True, "cautious_decay": False},
        "rmsprop_cautious_decay": {"cautious": False, "cautious_decay": True},
    },
    rare=["rmsprop_cautious", "rmsprop_cautious_decay"],
    slim=["rmsprop_cautious", "rmsprop_cautious_decay"],
    fast=["decay_is_0 pull2_is_0", "decay_is_0 pull2_is_0 with_momentum"],
    optional=["grad_avg", "momentum_buffer"],
)
def rmsprop(  # type: ignore[no-untyped-def]
    p,
    g,
    square_avg,
    grad_avg,
    momentum_buffer,
    *,
    lr,
    weight_decay=0.0,
    decoupled=False,
    maximize=False,
    alpha=0.99,
    eps=1e-8,
    momentum=0.0,
    with_momentum=False,
    centered=False,
    eps_inside=False,
    lr_inside=False,
    cautious=False,
    cautious_decay=False,
):
    """RMSprop; lr_inside: the buffer contains lr."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    pull = pull_of(lr, weight_decay, decoupled)
    v = fma((1 - alpha) * d, d, alpha * square_avg)
    a = fma(alpha, grad_avg, (1 - alpha) * d) if centered else grad_avg
    spread = maximum(fma(-a, a, v), 0)
    y = spread if centered else v
    root = sqrt(y + eps if eps_inside else y)
    q = d / (root if eps_inside else root + eps)
    inside = lr_inside and with_momentum
    fresh, out = lr if inside else 1, 1 if inside else lr
    b = fma(momentum, momentum_buffer, fresh * q) if with_momentum else momentum_buffer
    x = cautioned(b if with_momentum else q, d, cautious)
    return fma(-out, pulled_along(p, x, lr * pull if inside else pull, cautious_decay), p), v, a, b


_RMSPROP = RuleOptions(
    states=("square_avg", "grad_avg", "momentum_buffer"),
    unfit=lambda options: SQUARES | DIFFERENCES if options["centered"] else SQUARES,
    hypers={**BASICS, "alpha": fraction, "eps": nonnegative, "momentum": nonnegative},
    flags=("centered", "decoupled", "maximize", "eps_inside"),
    conventions={"torch": {"lr_inside": 0.0}, "keras": {"lr_inside": 1.0}},
    derived=lambda options: {"with_momentum": float(is_on(options["momentum"]))},
    variant=lambda options: "rmsprop",
    check=check_caution,
    cautious=CAUTIOUS,
    kept=lambda options: (
        "square_avg",
        *(["grad_avg"] if options["centered"] else []),
        *(["momentum_buffer"] if is_on(options["momentum"]) else []),
    ),
)


def rmsprop_step(
    param: Any,
    grad: Any,
    square_avg: Any,
    grad_avg: Any = None,
    momentum_buffer: Any = None,
    *,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
    eps_inside: bool = False,
    convention: str = "torch",
    backend: str | None = None,
) -> None:
    """One step of RMSprop on one array, in place.

    With p = `param`, g = `grad`, v = `square_avg`, a = `grad_avg`, b = `momentum_buffer`:

        g = -g                                              if maximize
        g = g + weight_decay p                              if weight_decay != 0 and not decoupled
        p = (1 - lr weight_decay) p                         if decoupled
        v = alpha v + (1 - alpha) g^2
        a = alpha a + (1 - alpha) g                         if a is given (centered)
        q = g / (sqrt(max(v - a^2, 0)) + eps)               (a = 0 if not given)
        b = momentum b + q;  q = b                          if momentum != 0
        p = p - lr q

    Args:
        param, grad: as in `adam_step`.
        square_avg, grad_avg, momentum_buffer: arrays with the shape and memory order of `param`, initially 0; updated.
            With `grad_avg` the step is the centered one; `momentum_buffer` is needed if `momentum` > 0.
        lr, eps, momentum, weight_decay: numbers >= 0.
        alpha: 0 <= alpha < 1.
        decoupled: shrink `param` by the weight decay instead of adding it to the gradient.
        maximize: ascend the gradient instead of descending it.
        eps_inside: add eps under the root.
        convention: "torch", or "keras": b = momentum b + lr q, p = p - b.
        backend: "c", "numba" or "cuda", all bit-identical; None means "cuda" for arrays on a device, else "c".

    Raises:
        TypeError, ValueError, ImportError, RuntimeError: as for `sgd_step`.

    Accuracy:
        Specified to the last bit in the documentation ("Steps").

    Example:
        >>> import numpy as np, lrkern as lk
        >>> p, v = np.array([1.0, 2.0]), np.zeros(2)
        >>> lk.rmsprop_step(p, np.array([0.5, -4.0]), v, lr=0.25, alpha=0.75, eps=0.0)
        >>> p
        array([0.5, 2.5])

    Source:
        Tieleman and Hinton, 2012; torch.optim.RMSprop, in which rounding may make v - a^2 negative.
    """
    options = {
        "lr": lr,
        "weight_decay": weight_decay,
        "alpha": alpha,
        "eps": eps,
        "momentum": momentum,
        "centered": grad_avg is not None,
        "decoupled": decoupled,
        "maximize": maximize,
        "eps_inside": eps_inside,
        "convention": convention,
        "cautious": False,
    }
    states = {"square_avg": square_avg, "grad_avg": grad_avg, "momentum_buffer": momentum_buffer}
    step_once("rmsprop_step", _RMSPROP, param, grad, states, 0, options, backend, " if momentum > 0")


class RMSprop(Optimizer):
    """RMSprop over a list or dict of arrays, each step one call and one pass over memory.

    Each array is updated by the formula of `rmsprop_step`.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, eps, momentum, weight_decay: numbers >= 0, or schedules. The number 0 as momentum omits the term.
        alpha: 0 <= alpha < 1, or a schedule.
        centered: divide by the standard deviation instead of the root of the mean square.
        decoupled, maximize, eps_inside, convention: as in `rmsprop_step`.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085), which needs `momentum`; "decay": decoupled weight decay only where it has the
            direction's sign (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> lk.RMSprop(params, lr=0.25, alpha=0.75, eps=0.0).step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.5, 2.5])

    Source:
        torch.optim.RMSprop.
    """

    _rule = _RMSPROP

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-2,
        *,
        alpha: Hyper = 0.99,
        eps: Hyper = 1e-8,
        momentum: Hyper = 0.0,
        centered: bool = False,
        weight_decay: Hyper = 0.0,
        decoupled: bool = False,
        maximize: bool = False,
        eps_inside: bool = False,
        convention: str = "torch",
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)


@own_rule(
    "sum",
    fast=["decay_is_0 pull_is_0"],
    apart=["cautious_decay"],
)
def adagrad(  # type: ignore[no-untyped-def]
    p, g, sum, *, lr, weight_decay=0.0, decoupled=False, maximize=False, eps=1e-10, lr_decay=0.0, eps_inside=False,
    cautious_decay=False,
):  # fmt: skip
    """Adagrad."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    later = 1 + (n - 1) * lr_decay
    v = fma(d, d, sum)
    root = sqrt(v + eps if eps_inside else v)
    q = d / (root if eps_inside else root + eps)
    rate = lr / later
    return fma(-rate, pulled_along(p, q, pull_of(lr, weight_decay, decoupled) * later, cautious_decay), p), v


_ADAGRAD = RuleOptions(
    states=("sum",),
    unfit=lambda options: SQUARES,
    hypers={**BASICS, "eps": nonnegative, "lr_decay": nonnegative},
    flags=("decoupled", "maximize", "eps_inside"),
    variant=lambda options: "adagrad",
    cautious=CAUTIOUS[1:],
)


def adagrad_step(
    param: Any,
    grad: Any,
    sum: Any,
    *,
    count: int,
    lr: float = 1e-2,
    lr_decay: float = 0.0,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
    eps_inside: bool = False,
    backend: str | None = None,
) -> None:
    """One step of Adagrad on one array, in place.

    With p = `param`, g = `grad`, v = `sum`:

        g = -g                                              if maximize
        g = g + weight_decay p                              if weight_decay != 0 and not decoupled
        p = (1 - lr weight_decay) p                         if decoupled
        v = v + g^2
        p = p - lr/(1 + count lr_decay) g / (sqrt(v) + eps)

    Args:
        param, grad: as in `adam_step`.
        sum: an array with the shape and memory order of `param`, >= 0; updated.
        count: number of steps before this one; 0 at the first step.
        lr, lr_decay, eps, weight_decay: numbers >= 0.
        decoupled: shrink `param` by the weight decay instead of adding it to the gradient.
        maximize: ascend the gradient instead of descending it.
        eps_inside: divide by sqrt(v + eps), as Keras and optax do.
        backend: "c", "numba" or "cuda", all bit-identical; None means "cuda" for arrays on a device, else "c".

    Raises:
        TypeError, ValueError, ImportError, RuntimeError: as for `sgd_step`.

    Accuracy:
        Specified to the last bit in the documentation ("Steps").

    Example:
        >>> import numpy as np, lrkern as lk
        >>> p, v = np.array([1.0, 2.0]), np.zeros(2)
        >>> lk.adagrad_step(p, np.array([0.5, -4.0]), v, count=0, lr=0.25, eps=0.0)
        >>> p
        array([0.75, 2.25])

    Source:
        Duchi, Hazan and Singer, JMLR 12 (2011); torch.optim.Adagrad.
    """
    where = "adagrad_step"
    options = {
        "lr": lr,
        "weight_decay": weight_decay,
        "eps": eps,
        "lr_decay": lr_decay,
        "decoupled": decoupled,
        "maximize": maximize,
        "eps_inside": eps_inside,
        "cautious": False,
    }
    step_once(where, _ADAGRAD, param, grad, {"sum": sum}, _checks.count(where, "count", count), options, backend)


class Adagrad(Optimizer):
    """Adagrad over a list or dict of arrays, each step one call and one pass over memory.

    Each array is updated by the formula of `adagrad_step`; its `count` is the number of updates of each array.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, lr_decay, eps, weight_decay: numbers >= 0, or schedules.
        initial_accumulator: initial value of the sums of squares, >= 0.
        decoupled, maximize, eps_inside: as in `adagrad_step`.
        cautious: False; "decay": decoupled weight decay only where it has the direction's sign (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> lk.Adagrad(params, lr=0.25, eps=0.0).step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.75, 2.25])

    Source:
        torch.optim.Adagrad.
    """

    _rule = _ADAGRAD

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-2,
        *,
        lr_decay: Hyper = 0.0,
        eps: Hyper = 1e-10,
        initial_accumulator: float = 0.0,
        weight_decay: Hyper = 0.0,
        decoupled: bool = False,
        maximize: bool = False,
        eps_inside: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        options = {
            "lr": lr,
            "weight_decay": weight_decay,
            "eps": eps,
            "lr_decay": lr_decay,
            "decoupled": decoupled,
            "maximize": maximize,
            "eps_inside": eps_inside,
            "cautious": cautious,
        }
        self._initial = {"sum": nonnegative("Adagrad", "initial_accumulator", initial_accumulator)}
        super().__init__(params, options, shared)

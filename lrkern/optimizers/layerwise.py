"""Optimizers with step lengths proportional to norms of parameters: LARS and LAMB."""

from __future__ import annotations

from typing import Any, Unpack

from lrkern import _checks
from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared, step_once
from lrkern.optimizers.options import BASICS, SQUARES, RuleOptions, fraction, nonnegative, own_options
from lrkern.rules.parts import ascended, coupled, decayed, pulled
from lrkern.rules.rule import own_rule
from lrkern.rules.words import fma, minimum, n, norm, sqrt

__all__ = ["LAMB", "LARS", "lamb_step", "lars_step"]


@own_rule("momentum_buffer", fast=["decay2_is_0", ""])
def lars(  # type: ignore[no-untyped-def]
    p,
    g,
    buffer,
    *,
    lr,
    weight_decay=0.0,
    decoupled=False,
    maximize=False,
    momentum=0.9,
    nesterov=False,
    trust=0.001,
    eps=0.0,
    joint=False,
    lr_inside=False,
    trust_clip=False,
    unadapted=False,
):
    """LARS; joint: the norm is of the gradient with weight decay; lr_inside: 0 for LARC; trust_clip: the ratio is
    min(ratio / lr, 1); unadapted: it is 1.
    """
    ascending = ascended(g, maximize)
    decay = 0 if decoupled else weight_decay
    whole = norm(decayed(p, ascending, decay) if joint else ascending)
    adapts = not unadapted and norm(p) != 0 and whole != 0
    below = whole if joint else whole + weight_decay * norm(p)
    trusted = minimum(trust * norm(p) / (below + eps), 3.4028234663852886e38) if adapts else 1
    clipped = trusted / lr if trusted < lr else trusted if trusted != trusted else 1
    ratio = clipped if trust_clip and adapts else trusted
    fresh, out = lr * ratio if lr_inside else ratio, 1 if lr_inside else lr
    x = fresh * decayed(p, ascending, decay if adapts or unadapted or lr_inside else 0)
    is_first = not lr_inside and n == 1
    b = x if is_first else fma(momentum, buffer, x)
    v = fma(momentum, b, x) if nesterov else b
    return fma(-out, x if momentum == 0 else v, p), b


_LARS = RuleOptions(
    states=("momentum_buffer",),
    hypers={**BASICS, "momentum": nonnegative, "trust": nonnegative, "eps": nonnegative},
    flags=("nesterov", "trust_clip", "adapt", "maximize"),
    derived=lambda options: {"unadapted": float(not options["adapt"])},
    conventions={
        "paper": {"joint": 0.0, "lr_inside": 1.0},
        "optax": {"joint": 1.0, "lr_inside": 1.0},
        "apex": {"joint": 0.0, "lr_inside": 0.0},
    },
    variant=lambda options: "lars",
    takes_rows=False,
)


def lars_step(
    param: Any,
    grad: Any,
    momentum_buffer: Any,
    *,
    lr: float,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    trust: float = 1e-3,
    eps: float = 0.0,
    nesterov: bool = False,
    trust_clip: bool = False,
    adapt: bool = True,
    maximize: bool = False,
    convention: str = "paper",
    first: bool = False,
    backend: str | None = None,
) -> None:
    """One step of LARS on one array, in place.

    With p = `param`, g = `grad`, b = `momentum_buffer`, |.| the norm of the whole array:

        g = -g                                              if maximize
        ratio = trust |p| / (|g| + weight_decay |p| + eps)  ("optax": trust |p| / (|g + weight_decay p| + eps))
        b = momentum b + lr ratio (g + weight_decay p)
        p = p - b                                           ("apex": the ratio inside b, lr outside, b = g at the first step)

    The ratio is 1 if |p| is 0, or the norm in the denominator: of g, or of g + weight_decay p in "optax". "apex", like LARC,
    then omits the weight decay as well. With `trust_clip` it is min(ratio / lr, 1): no array's learning rate exceeds lr.

    Args:
        param, grad: as in `adam_step`.
        momentum_buffer: an array with the shape and memory order of `param`, initially 0; updated.
        lr, momentum, weight_decay, trust, eps: numbers >= 0.
        nesterov: Nesterov's form of momentum.
        trust_clip: LARC's clipping mode: the ratio limits the learning rate instead of scaling it.
        adapt: False ignores the norms: the ratio is 1, for any `trust_clip`.
        maximize: ascend the gradient instead of descending it.
        convention: "paper", "optax" or "apex".
        first: this is the first step: with convention "apex" `momentum_buffer` is overwritten by the gradient.
        backend: "c", "numba" or "cuda", all bit-identical; None means "cuda" for arrays on a device, else "c".

    Raises:
        TypeError, ValueError, ImportError, RuntimeError: as for `sgd_step`.

    Accuracy:
        Specified to the last bit in the documentation ("Steps").

    Example:
        >>> import numpy as np, lrkern as lk
        >>> p, b = np.array([3.0, 4.0]), np.zeros(2)
        >>> lk.lars_step(p, np.array([0.0, 10.0]), b, lr=1.0, trust=0.5)
        >>> p
        array([3. , 1.5])

    Source:
        You, Gitman and Ginsburg, arXiv 1708.03888; optax.lars; LARC in apex.
    """
    where = "lars_step"
    options = {
        "lr": lr,
        "weight_decay": weight_decay,
        "momentum": momentum,
        "trust": trust,
        "eps": eps,
        "nesterov": nesterov,
        "trust_clip": trust_clip,
        "adapt": adapt,
        "maximize": maximize,
        "convention": convention,
    }
    count = 0 if _checks.flag(where, "first", first) else 1
    step_once(where, _LARS, param, grad, {"momentum_buffer": momentum_buffer}, count, options, backend)


class LARS(Optimizer):
    """LARS over a list or dict of arrays: each array's learning rate depends on its norm and that of its gradient.

    Each array is updated by the formula of `lars_step`.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, momentum, weight_decay, trust, eps: numbers >= 0, or schedules.
        nesterov, trust_clip, adapt, maximize, convention: as in `lars_step`. A group of biases, and of the scales of
            normalization layers, usually gets `adapt=False` (and `weight_decay=0.0`).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([3.0, 4.0])]
        >>> lk.LARS(params, lr=1.0, trust=0.5).step([np.array([0.0, 10.0])])
        >>> params[0]
        array([3. , 1.5])

    Source:
        You, Gitman and Ginsburg, arXiv 1708.03888.
    """

    _rule = _LARS

    def __init__(
        self,
        params: Arrays,
        lr: Hyper,
        *,
        momentum: Hyper = 0.9,
        weight_decay: Hyper = 0.0,
        trust: Hyper = 1e-3,
        eps: Hyper = 0.0,
        nesterov: bool = False,
        trust_clip: bool = False,
        adapt: bool = True,
        maximize: bool = False,
        convention: str = "paper",
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)


@own_rule("exp_avg", "exp_avg_sq", fast=["decay_is_0 inner_is_0 outer_is_0", "decay_is_0 outer_is_0"])
def lamb(  # type: ignore[no-untyped-def]
    p,
    g,
    exp_avg,
    exp_avg_sq,
    *,
    lr,
    weight_decay=0.0,
    decoupled=False,
    maximize=False,
    beta1=0.9,
    beta2=0.999,
    eps=1e-6,
    pull=0.0,
    bias_correction=False,
    unadapted=False,
):
    """LAMB; pull: the weight decay, a part of the direction whose norm is taken, or, if decoupled, a factor of the parameter
    before its norm is taken; unadapted: the ratio of norms is 1."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    m = fma(beta1, exp_avg, (1 - beta1) * d)
    v = fma((1 - beta2) * d, d, beta2 * exp_avg_sq)
    inverse = 1 / (1 - beta1**n) if bias_correction else 1
    scale = 1 / sqrt(1 - beta2**n) if bias_correction else 1
    inner, shrinkage = 0 if decoupled else pull, lr * pull if decoupled else 0
    u = pulled(p, inverse * (m / fma(sqrt(v), scale, eps)), inner)
    length = norm(p) * (1 - shrinkage)
    adapts = not unadapted and length != 0 and norm(u) != 0
    step = minimum(lr * length / norm(u), 3.4028234663852886e38) if adapts else lr
    outer = shrinkage / step if step != 0 else 0
    return fma(-step, pulled(p, u, outer), p), m, v


_LAMB = RuleOptions(
    states=("exp_avg", "exp_avg_sq"),
    unfit=lambda options: SQUARES,
    hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative},
    flags=("maximize", "bias_correction", "adapt"),
    derived=lambda options: {"unadapted": float(not options["adapt"])},
    fixed={"weight_decay": 0.0},
    conventions={"paper": {"decoupled": 0.0}, "keras": {"decoupled": 1.0}},
    renamed={"weight_decay": "pull"},
    variant=lambda options: "lamb",
    takes_rows=False,
)


def lamb_step(
    param: Any,
    grad: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    *,
    count: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    bias_correction: bool = True,
    adapt: bool = True,
    maximize: bool = False,
    convention: str = "paper",
    backend: str | None = None,
) -> None:
    """One step of LAMB on one array, in place.

    With p = `param`, g = `grad`, m = `exp_avg`, v = `exp_avg_sq`, n = `count` + 1, |.| the norm of the whole array:

        g = -g                                              if maximize
        m = beta1 m + (1 - beta1) g
        v = beta2 v + (1 - beta2) g^2
        u = m/(1 - beta1^n) / (sqrt(v/(1 - beta2^n)) + eps) + weight_decay p
        p = p - lr |p|/|u| u

    The ratio |p|/|u| is 1 if either norm is 0. With convention "keras" p = (1 - lr weight_decay) p comes first, and u is
    without weight_decay p.

    Args:
        param, grad, exp_avg, exp_avg_sq, count, lr, eps, weight_decay, beta1, beta2, maximize: as in `adam_step`.
        bias_correction: False omits the divisions by 1 - beta1^n and 1 - beta2^n.
        adapt: False ignores the norms: |p|/|u| is 1.
        convention: "paper" or "keras".
        backend: "c", "numba" or "cuda", all bit-identical; None means "cuda" for arrays on a device, else "c".

    Raises:
        TypeError, ValueError, ImportError, RuntimeError: as for `sgd_step`.

    Accuracy:
        Specified to the last bit in the documentation ("Steps").

    Example:
        >>> import numpy as np, lrkern as lk
        >>> p, m, v = np.array([3.0, 4.0]), np.zeros(2), np.zeros(2)
        >>> lk.lamb_step(p, np.array([0.0, 10.0]), m, v, count=0, lr=0.5, eps=1.0, bias_correction=False)
        >>> p
        array([3. , 1.5])

    Source:
        You et al., arXiv 1904.00962; optax.lamb.
    """
    where = "lamb_step"
    options = {
        "lr": lr,
        "weight_decay": weight_decay,
        "beta1": beta1,
        "beta2": beta2,
        "eps": eps,
        "bias_correction": bias_correction,
        "adapt": adapt,
        "maximize": maximize,
        "convention": convention,
    }
    states = {"exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
    step_once(where, _LAMB, param, grad, states, _checks.count(where, "count", count), options, backend)


class LAMB(Optimizer):
    """LAMB over a list or dict of arrays: Adam's direction, with a step length of lr times the array's norm.

    Each array is updated by the formula of `lamb_step`; n counts the updates of each array separately.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, eps, weight_decay: numbers >= 0, or schedules.
        beta1, beta2: 0 <= beta < 1, or schedules.
        bias_correction, adapt, maximize, convention: as in `lamb_step`. A group of biases, and of the scales of normalization
            layers, is mostly given `adapt=False` (and `weight_decay=0.0`).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([3.0, 4.0])]
        >>> lk.LAMB(params, lr=0.5, eps=1.0, bias_correction=False).step([np.array([0.0, 10.0])])
        >>> params[0]
        array([3. , 1.5])

    Source:
        You et al., arXiv 1904.00962.
    """

    _rule = _LAMB

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-3,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.999,
        eps: Hyper = 1e-6,
        weight_decay: Hyper = 0.0,
        bias_correction: bool = True,
        adapt: bool = True,
        maximize: bool = False,
        convention: str = "paper",
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

"""Steps as long as the norm of what they change: LARS and LAMB."""

from __future__ import annotations

from typing import Any, Unpack

from lrkern import _checks
from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared, step_once
from lrkern.optimizers.options import BASICS, SQUARES, Rule, fraction, nonnegative

__all__ = ["LAMB", "LARS", "lamb_step", "lars_step"]

_LARS = Rule(
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

    The ratio is 1 where |p| or the norm below is 0: of g, or of g + weight_decay p in "optax". "apex", like LARC, then leaves
    out the weight decay, too. With `trust_clip` it is ratio / lr, or 1 if that is more: no array's rate is above lr.

    Args:
        param, grad: as in `adam_step`.
        momentum_buffer: an array like `param` in shape and memory order, 0 at the start; updated.
        lr, momentum, weight_decay, trust, eps: numbers >= 0.
        nesterov: Nesterov's form of momentum.
        trust_clip: the ratio bounds the learning rate instead of scaling it: LARC's clipping mode.
        adapt: False leaves the norms out: the ratio is 1, whatever `trust_clip` is.
        maximize: go up the gradient.
        convention: "paper", "optax" or "apex".
        first: `momentum_buffer` holds nothing yet and, with convention "apex", becomes the gradient.
        backend: "c", "numba" or "cuda", with the same bits; None takes "cuda" for arrays on a device, else "c".

    Raises:
        TypeError, ValueError, ImportError, RuntimeError: as `sgd_step`.

    Accuracy:
        Defined to the last bit in the documentation ("Steps").

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
    """LARS over a list or dict of arrays: each array's learning rate follows from its norm and that of its gradient.

    What a step does to each array is `lars_step`'s formula.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, momentum, weight_decay, trust, eps: numbers >= 0, or schedules.
        nesterov, trust_clip, adapt, maximize, convention: as in `lars_step`. A group of biases, and of the scales of
            normalization layers, is mostly given `adapt=False` (and `weight_decay=0.0`).
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
        super().__init__(params, options, shared)


_LAMB = Rule(
    states=("exp_avg", "exp_avg_sq"),
    unfit=lambda options: SQUARES,
    hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative},
    flags=("maximize", "bias_correction", "adapt"),
    derived=lambda options: {"unadapted": float(not options["adapt"])},
    fixed={"decoupled": 0.0, "weight_decay": 0.0},
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
    backend: str | None = None,
) -> None:
    """One step of LAMB on one array, in place.

    With p = `param`, g = `grad`, m = `exp_avg`, v = `exp_avg_sq`, n = `count` + 1, |.| the norm of the whole array:

        g = -g                                              if maximize
        m = beta1 m + (1 - beta1) g
        v = beta2 v + (1 - beta2) g^2
        u = m/(1 - beta1^n) / (sqrt(v/(1 - beta2^n)) + eps) + weight_decay p
        p = p - lr |p|/|u| u

    The ratio |p|/|u| is 1 where a norm is 0.

    Args:
        param, grad, exp_avg, exp_avg_sq, count, lr, eps, weight_decay, beta1, beta2, maximize: as in `adam_step`.
        bias_correction: divide by 1 - beta1^n and 1 - beta2^n.
        adapt: False leaves the norms out: |p|/|u| is 1.
        backend: "c", "numba" or "cuda", with the same bits; None takes "cuda" for arrays on a device, else "c".

    Raises:
        TypeError, ValueError, ImportError, RuntimeError: as `sgd_step`.

    Accuracy:
        Defined to the last bit in the documentation ("Steps").

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
    }
    states = {"exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}
    step_once(where, _LAMB, param, grad, states, _checks.count(where, "count", count), options, backend)


class LAMB(Optimizer):
    """LAMB over a list or dict of arrays: Adam's direction, each array's step as long as lr times its norm.

    What a step does to each array is `lamb_step`'s formula; n counts the updates of each array by itself.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, eps, weight_decay: numbers >= 0, or schedules.
        beta1, beta2: 0 <= beta < 1, or schedules.
        bias_correction, adapt, maximize: as in `lamb_step`. A group of biases, and of the scales of normalization layers, is
            mostly given `adapt=False` (and `weight_decay=0.0`).
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
        **shared: Unpack[Shared],
    ) -> None:
        options = {
            "lr": lr,
            "weight_decay": weight_decay,
            "beta1": beta1,
            "beta2": beta2,
            "eps": eps,
            "bias_correction": bias_correction,
            "adapt": adapt,
            "maximize": maximize,
        }
        super().__init__(params, options, shared)

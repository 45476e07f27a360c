"""Adam and AdamW."""

from __future__ import annotations

from typing import Any, Unpack

from lrkern import _checks
from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared, step_once
from lrkern.optimizers.options import (
    BASICS,
    CAUTIOUS,
    GROKFAST,
    OFF,
    SQUARES,
    RuleOptions,
    fraction,
    is_on,
    nonnegative,
    own_options,
)
from lrkern.rules.parts import averaged, cautioned, coupled, pull_of, pulled_along
from lrkern.rules.rule import own_rule
from lrkern.rules.words import fma, n, sqrt

__all__ = ["Adam", "AdamW", "adam_step", "adamw_step"]


@own_rule(
    "exp_avg",
    "exp_avg_sq",
    "max_exp_avg_sq",
    "grad_ema",
    variants={
        "adam": {"amsgrad": False, "cautious": False, "grokfast": False},
        "amsgrad": {"amsgrad": True, "cautious": False, "grokfast": False},
        "adam_cautious": {"amsgrad": False, "cautious": True, "grokfast": False},
        "amsgrad_cautious": {"amsgrad": True, "cautious": True, "grokfast": False},
        # These two also for AMSGrad: it is one of their flags.
        "adam_grokfast": {"cautious": False, "grokfast": True},
        "adam_grokfast_cautious": {"cautious": True, "grokfast": True},
    },
    rare=["adam_cautious", "amsgrad_cautious", "adam_grokfast", "adam_grokfast_cautious"],
    slim=["amsgrad_cautious", "adam_grokfast", "adam_grokfast_cautious"],
    belonging={"amsgrad": ("of_corrected",), "grokfast": ("grokfast_alpha", "grokfast_lamb")},
    optional=["max_exp_avg_sq"],
    fast=["decay_is_0 joined_is_0", "decay_is_0"],
)
def adam(  # type: ignore[no-untyped-def]
    p,
    g,
    exp_avg,
    exp_avg_sq,
    max_exp_avg_sq,
    grad_ema,
    *,
    lr,
    weight_decay=0.0,
    decoupled=False,
    maximize=False,
    beta1=0.9,
    beta2=0.999,
    eps=1e-8,
    eps_inside=False,
    eps_hat=False,
    decay_after=False,
    amsgrad=False,
    cautious=False,
    cautious_decay=False,
    of_corrected=False,
    grokfast=False,
    grokfast_alpha=0.98,
    grokfast_lamb=0.0,
):
    """Adam, AdamW and AMSGrad; eps_hat: eps is added before the bias correction; decay_after: decay comes after it;
    of_corrected: AMSGrad takes the maximum after it."""
    h = averaged(g, grad_ema, grokfast_alpha, n)
    d = coupled(p, fma(grokfast_lamb, h, g) if grokfast else g, weight_decay, decoupled, maximize)
    pull = pull_of(lr, weight_decay, decoupled)
    c1, c2 = 1 - beta1**n, 1 - beta2**n
    m = fma(beta1, exp_avg, (1 - beta1) * d)
    v = fma((1 - beta2) * d, d, beta2 * exp_avg_sq)
    before = 1 / c2 if of_corrected else 1
    w = before * v
    largest = max_exp_avg_sq if w <= max_exp_avg_sq else w
    y = largest if amsgrad else v
    is_largest_corrected = amsgrad and of_corrected
    is_corrected = is_largest_corrected or eps_hat
    inverse, scale = 1 if is_corrected else 1 / c2, 1 if is_corrected else 1 / sqrt(c2)
    root = sqrt(fma(y, inverse, eps) if eps_inside else y)
    q = cautioned(m / (root if eps_inside else fma(root, scale, eps)), d, cautious)
    step = lr * sqrt(c2) / c1 if eps_hat else lr / c1
    start = fma(-step, q, p) if decay_after else p
    joined = pull * c1 / sqrt(c2) if eps_hat else pull * c1
    u = pulled_along(start, q, joined, cautious_decay)
    return fma(-step, u, p), m, v, largest if amsgrad else max_exp_avg_sq, h if grokfast else grad_ema


def _adam(decoupled: float) -> RuleOptions:
    return RuleOptions(
        states=("exp_avg", "exp_avg_sq", "max_exp_avg_sq", "grad_ema"),
        unfit=lambda options: SQUARES,
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative, **GROKFAST},
        flags=("amsgrad", "maximize", "eps_inside", "decay_after"),
        conventions={
            "torch": {"eps_hat": 0.0, "of_corrected": 0.0},
            "keras": {"eps_hat": 1.0, "of_corrected": 0.0},
            "optax": {"eps_hat": 0.0, "of_corrected": 1.0},
        },
        fixed={"decoupled": decoupled},
        variant=lambda options: (
            "adam_grokfast" if is_on(options["grokfast_lamb"]) else "amsgrad" if options["amsgrad"] else "adam"
        ),
        cautious=CAUTIOUS,
        kept=lambda options: (
            "exp_avg",
            "exp_avg_sq",
            *(["max_exp_avg_sq"] if options["amsgrad"] else []),
            *(["grad_ema"] if is_on(options["grokfast_lamb"]) else []),
        ),
    )


_ADAM, _ADAMW = _adam(0.0), _adam(1.0)


def adam_step(
    param: Any,
    grad: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    max_exp_avg_sq: Any = None,
    *,
    count: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    maximize: bool = False,
    eps_inside: bool = False,
    convention: str = "torch",
    backend: str | None = None,
) -> None:
    """One step of Adam on one array, in place.

    With p = `param`, g = `grad`, m = `exp_avg`, v = `exp_avg_sq`, n = `count` + 1:

        g = -g                                              if maximize
        g = g + weight_decay p                              if weight_decay != 0
        m = beta1 m + (1 - beta1) g
        v = beta2 v + (1 - beta2) g^2
        p = p - lr m/(1 - beta1^n) / (sqrt(v/(1 - beta2^n)) + eps)

    Args:
        param: float64, float32, bfloat16 or float16, of any shape, contiguous (axes in any order) and writable; updated.
        grad: an array with the shape and memory order of `param`; only read.
        exp_avg, exp_avg_sq: arrays with the shape and memory order of `param`, initially 0; updated. Not float16. bfloat16
            is rounded to nearest here, which stalls an average of squares that falls slowly; `lrkern.Adam` rounds
            stochastically instead.
        max_exp_avg_sq: the same for AMSGrad, which divides by the largest v so far; None for Adam.
        count: number of steps before this one; 0 at the first step.
        lr, eps, weight_decay: numbers >= 0.
        beta1, beta2: 0 <= beta < 1.
        maximize: ascend the gradient instead of descending it.
        eps_inside: divide by sqrt(v/(1 - beta2^n) + eps).
        convention: "torch"; "keras", which adds eps before the bias correction, to sqrt(v); or "optax", where
            `max_exp_avg_sq` is the largest v/(1 - beta2^n) so far, instead of the largest v.
        backend: "c", "numba" or "cuda", all bit-identical; None means "cuda" for arrays on a device, else "c".

    Raises:
        TypeError, ValueError, ImportError, RuntimeError: as for `sgd_step`.

    Accuracy:
        Specified to the last bit in the documentation ("Steps"). Bias corrections are computed in float64 from exact powers.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> p, m, v = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
        >>> lk.adam_step(p, np.array([0.5, -4.0]), m, v, count=0, lr=0.25, eps=0.0)
        >>> p
        array([0.75, 2.25])

    Source:
        Kingma and Ba, arXiv 1412.6980; AMSGrad: Reddi, Kale and Kumar, ICLR 2018; torch.optim.Adam.
    """
    _adam_step("adam_step", _ADAM, param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq, count, backend, {
        "lr": lr, "weight_decay": weight_decay, "beta1": beta1, "beta2": beta2, "eps": eps, "maximize": maximize,
        "eps_inside": eps_inside, "convention": convention, "decay_after": False,
    })  # fmt: skip


def adamw_step(
    param: Any,
    grad: Any,
    exp_avg: Any,
    exp_avg_sq: Any,
    max_exp_avg_sq: Any = None,
    *,
    count: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    maximize: bool = False,
    eps_inside: bool = False,
    decay_after: bool = False,
    convention: str = "torch",
    backend: str | None = None,
) -> None:
    """One step of AdamW on one array, in place: `adam_step` with decoupled weight decay.

    The weight decay is not added to the gradient: p is multiplied by 1 - lr weight_decay before the update.

    Args:
        decay_after: apply the weight decay after the update instead, as some implementations do.

    All other arguments, errors and the accuracy are those of `adam_step`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> p, m, v = np.array([1.0, 2.0]), np.zeros(2), np.zeros(2)
        >>> lk.adamw_step(p, np.array([0.5, -4.0]), m, v, count=0, lr=0.25, eps=0.0, weight_decay=1.0)
        >>> p
        array([0.5 , 1.75])

    Source:
        Loshchilov and Hutter, arXiv 1711.05101; torch.optim.AdamW.
    """
    _adam_step("adamw_step", _ADAMW, param, grad, exp_avg, exp_avg_sq, max_exp_avg_sq, count, backend, {
        "lr": lr, "weight_decay": weight_decay, "beta1": beta1, "beta2": beta2, "eps": eps, "maximize": maximize,
        "eps_inside": eps_inside, "convention": convention, "decay_after": decay_after,
    })  # fmt: skip


def _adam_step(
    where: str,
    rule: RuleOptions,
    param: Any,
    grad: Any,
    m: Any,
    v: Any,
    largest: Any,
    count: int,
    backend: str | None,
    options: dict[str, Any],
) -> None:
    states = {"exp_avg": m, "exp_avg_sq": v, "max_exp_avg_sq": largest}
    options |= {"amsgrad": largest is not None, **OFF}
    step_once(where, rule, param, grad, states, _checks.count(where, "count", count), options, backend)


class Adam(Optimizer):
    """Adam over a list or dict of arrays, each step one call and one pass over memory.

    Each array is updated by the formula of `adam_step`; n counts the updates of each array separately.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, eps, weight_decay: numbers >= 0, or schedules.
        beta1, beta2: 0 <= beta < 1, or schedules.
        amsgrad: divide by the largest average of squares so far.
        maximize, eps_inside, convention: as in `adam_step`.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        grokfast_lamb, grokfast_alpha: an average of gradients is added to each gradient, as in `SGD` (arXiv 2405.20233).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.Adam(params, lr=0.25, eps=0.0)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.75, 2.25])

    Source:
        torch.optim.Adam.
    """

    _rule = _ADAM

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-3,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.999,
        eps: Hyper = 1e-8,
        weight_decay: Hyper = 0.0,
        amsgrad: bool = False,
        maximize: bool = False,
        eps_inside: bool = False,
        convention: str = "torch",
        cautious: bool | str = False,
        grokfast_alpha: Hyper = 0.98,
        grokfast_lamb: Hyper = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, {**own_options(locals()), "decay_after": False}, shared)


class AdamW(Optimizer):
    """AdamW over a list or dict of arrays, each step one call and one pass over memory.

    Each array is updated by the formula of `adamw_step`; n counts the updates of each array separately.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, eps, weight_decay: numbers >= 0, or schedules.
        beta1, beta2: 0 <= beta < 1, or schedules.
        amsgrad: divide by the largest average of squares so far.
        maximize, eps_inside, decay_after, convention: as in `adamw_step`.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        grokfast_lamb, grokfast_alpha: an average of gradients is added to each gradient, as in `SGD` (arXiv 2405.20233).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = {"w": np.array([1.0, 2.0])}
        >>> opt = lk.AdamW(params, lr=lk.cosine(0.25, 0.0, 100), eps=0.0, weight_decay=1.0)
        >>> opt.step({"w": np.array([0.5, -4.0])})
        >>> params["w"]
        array([0.5 , 1.75])

    Source:
        torch.optim.AdamW.
    """

    _rule = _ADAMW

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-3,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.999,
        eps: Hyper = 1e-8,
        weight_decay: Hyper = 1e-2,
        amsgrad: bool = False,
        maximize: bool = False,
        eps_inside: bool = False,
        decay_after: bool = False,
        convention: str = "torch",
        cautious: bool | str = False,
        grokfast_alpha: Hyper = 0.98,
        grokfast_lamb: Hyper = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

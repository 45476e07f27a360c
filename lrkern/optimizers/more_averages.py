"""Relatives of Adam with more averages of gradients: AdEMAMix and Adan."""

from __future__ import annotations

from typing import Unpack

from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared
from lrkern.optimizers.options import BASICS, CAUTIOUS, SQUARES, RuleOptions, fraction, nonnegative, own_options
from lrkern.rules.parts import cautioned, coupled, pull_of, pulled_along
from lrkern.rules.rule import own_rule
from lrkern.rules.words import fma, n, sqrt

__all__ = ["AdEMAMix", "Adan"]


@own_rule("exp_avg", "exp_avg_slow", "exp_avg_sq", fast=["decay_is_0 pull_is_0", "decay_is_0"])
def ademamix(  # type: ignore[no-untyped-def]
    p, g, exp_avg, exp_avg_slow, exp_avg_sq, *, lr, weight_decay=0.0, decoupled=True, maximize=False, beta1=0.9, beta2=0.999,
    beta3=0.9999, alpha=5.0, eps=1e-8, cautious=False, cautious_decay=False,
):  # fmt: skip
    """AdEMAMix."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    inverse, scale = 1 / (1 - beta1**n), 1 / sqrt(1 - beta2**n)
    m = fma(beta1, exp_avg, (1 - beta1) * d)
    slow = fma(beta3, exp_avg_slow, (1 - beta3) * d)
    v = fma((1 - beta2) * d, d, beta2 * exp_avg_sq)
    q = fma(alpha, slow, inverse * m) / fma(sqrt(v), scale, eps)
    pull = pull_of(lr, weight_decay, decoupled)
    return fma(-lr, pulled_along(p, cautioned(q, d, cautious), pull, cautious_decay), p), m, slow, v


@own_rule("exp_avg", "exp_avg_diff", "exp_avg_sq", "previous", fast=["decay_is_0"], slim=["adan_cautious"])
def adan(  # type: ignore[no-untyped-def]
    p, g, exp_avg, exp_avg_diff, exp_avg_sq, previous, *, lr, weight_decay=0.0, decoupled=False, maximize=False, beta1=0.98,
    beta2=0.92, beta3=0.99, eps=1e-8, proximal=True, cautious=False, cautious_decay=False,
):  # fmt: skip
    """Adan."""
    d = coupled(p, g, 0, decoupled, maximize)
    is_first = n == 1
    inverse, ahead, scale = 1 / (1 - beta1**n), beta2 / (1 - beta2**n), 1 / sqrt(1 - beta3**n)
    turn = 0 if is_first else d - previous
    m = fma(beta1, exp_avg, (1 - beta1) * d)
    t = fma(beta2, exp_avg_diff, (1 - beta2) * turn)
    w = fma(beta2, turn, d)
    v = fma((1 - beta3) * w, w, beta3 * exp_avg_sq)
    q = cautioned(fma(ahead, t, inverse * m) / fma(sqrt(v), scale, eps), d, cautious)
    moved = fma(-lr, q, p)
    smaller = moved / (1 + lr * weight_decay) if proximal else fma(-lr, fma(weight_decay, p, q), p)
    return (smaller if q * p >= 0 else moved) if cautious_decay else smaller, m, t, v, d


class AdEMAMix(Optimizer):
    """AdEMAMix over a list or dict of arrays, each step one call and one pass over memory.

    With m = `exp_avg`, s = `exp_avg_slow` and v = `exp_avg_sq`, all initially 0:

        m = beta1 m + (1 - beta1) d
        s = beta3 s + (1 - beta3) d
        v = beta2 v + (1 - beta2) d^2
        p = p - lr ((m/(1 - beta1^n) + alpha s) / (sqrt(v/(1 - beta2^n)) + eps) + pull p)


    where d is the gradient, with weight_decay p added unless `decoupled`, n the number of this update of the array, and
    pull = weight_decay if `decoupled`, else 0.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, alpha, eps: numbers >= 0, or schedules.
        beta1, beta2, beta3: 0 <= x < 1, or schedules.
        decoupled: decoupled weight decay; False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.AdEMAMix(params, lr=0.25, beta3=0.5, alpha=2.0, eps=0.0)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.5, 2.5])

    Source:
        Pagliardini, Ablin and Grangier, arXiv 2409.03137. The paper's schedules of alpha and beta3 are passed as schedules.
    """

    _rule = RuleOptions(
        states=("exp_avg", "exp_avg_slow", "exp_avg_sq"),
        unfit=lambda options: SQUARES,
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "beta3": fraction, "alpha": nonnegative, "eps": nonnegative},
        flags=("decoupled", "maximize"),
        variant=lambda options: "ademamix",
        cautious=CAUTIOUS,
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-3,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.999,
        beta3: Hyper = 0.9999,
        alpha: Hyper = 5.0,
        eps: Hyper = 1e-8,
        weight_decay: Hyper = 0.0,
        decoupled: bool = True,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)


class Adan(Optimizer):
    """Adan over a list or dict of arrays, each step one call and one pass over memory.

    With m = `exp_avg`, t = `exp_avg_diff`, v = `exp_avg_sq`, all initially 0, and h = `previous`, the gradient before:

        m = beta1 m + (1 - beta1) g
        t = beta2 t + (1 - beta2) (g - h)                             g - h is 0 at the first update
        v = beta3 v + (1 - beta3) (g + beta2 (g - h))^2
        q = (m/(1 - beta1^n) + beta2 t/(1 - beta2^n)) / (sqrt(v/(1 - beta3^n)) + eps)
        p = (p - lr q) / (1 + lr weight_decay)                        or, if not proximal, p - lr (q + weight_decay p)

    where g is the gradient and n the number of this update of the array.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps: numbers >= 0, or schedules.
        beta1, beta2, beta3: 0 <= x < 1, or schedules: 1 minus those of the paper.
        proximal: False for decoupled weight decay as AdamW's, the authors' `no_prox`.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.Adan(params, lr=0.25, eps=0.0)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.75, 2.25])

    Source:
        Xie et al., arXiv 2208.06677, and the authors' package. optax.adan multiplies g - h and t by 1 - b2 instead of beta2.
    """

    _rule = RuleOptions(
        states=("exp_avg", "exp_avg_diff", "exp_avg_sq", "previous"),
        unfit=lambda options: SQUARES,
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "beta3": fraction, "eps": nonnegative},
        flags=("proximal", "maximize"),
        fixed={"decoupled": 1.0},
        variant=lambda options: "adan",
        cautious=CAUTIOUS,
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-3,
        *,
        beta1: Hyper = 0.98,
        beta2: Hyper = 0.92,
        beta3: Hyper = 0.99,
        eps: Hyper = 1e-8,
        weight_decay: Hyper = 0.0,
        proximal: bool = True,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

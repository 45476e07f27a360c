"""NAdam: Adam with Nesterov's momentum, whose rate grows towards beta1."""

from __future__ import annotations

from typing import Unpack

from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared
from lrkern.optimizers.options import BASICS, CAUTIOUS, SQUARES, RuleOptions, fraction, nonnegative, own_options
from lrkern.rules.parts import cautioned, coupled, pull_of, pulled_along
from lrkern.rules.rule import own_rule
from lrkern.rules.words import fma, n, sqrt

__all__ = ["NAdam"]


@own_rule("exp_avg", "exp_avg_sq", scalars=("mu_product",), rare=["nadam"])
def nadam(  # type: ignore[no-untyped-def]
    p, g, exp_avg, exp_avg_sq, mu_product, *, lr, weight_decay=0.0, decoupled=False, maximize=False, beta1=0.9, beta2=0.999,
    eps=1e-8, momentum_decay=4e-3, cautious=False, cautious_decay=False,
):  # fmt: skip
    """NAdam."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    mu = beta1 * (1 - 0.5 * 0.96 ** (n * momentum_decay))
    mu_after = beta1 * (1 - 0.5 * 0.96 ** ((n + 1) * momentum_decay))
    product = mu if n == 1 else mu_product * mu
    m = fma(beta1, exp_avg, (1 - beta1) * d)
    v = fma((1 - beta2) * d, d, beta2 * exp_avg_sq)
    scale = 1 / sqrt(1 - beta2**n)
    of_gradient, of_average = (1 - mu) / (1 - product), mu_after / (1 - product * mu_after)
    q = fma(of_gradient, d, of_average * m) / fma(sqrt(v), scale, eps)
    pull = pull_of(lr, weight_decay, decoupled)
    return fma(-lr, pulled_along(p, cautioned(q, d, cautious), pull, cautious_decay), p), m, v, product


class NAdam(Optimizer):
    """NAdam over a list or dict of arrays, each step one call and one pass over memory.

    With m = `exp_avg` and v = `exp_avg_sq`, both initially 0, and n the number of this update of the array:

        mu_n = beta1 (1 - 0.96^(n momentum_decay)/2)
        m = beta1 m + (1 - beta1) d
        v = beta2 v + (1 - beta2) d^2
        u = (1 - mu_n)/(1 - mu_1 ... mu_n) d + mu_(n+1)/(1 - mu_1 ... mu_(n+1)) m
        p = p - lr (u / (sqrt(v/(1 - beta2^n)) + eps) + pull p)

    where d is the gradient, with weight_decay p added unless `decoupled`, and pull = weight_decay if `decoupled`, else 0. Each
    array keeps the product mu_1 ... mu_n as a number, `mu_product`.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps, momentum_decay: numbers >= 0, or schedules.
        beta1, beta2: 0 <= x < 1, or schedules.
        decoupled: decoupled weight decay (NAdamW); False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.NAdam(params, lr=0.25, beta1=0.5, momentum_decay=0.0, eps=0.0)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.71666667, 2.28333333])

    Source:
        Dozat, ICLR 2016 workshop, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ; torch.optim.NAdam.
    """

    _rule = RuleOptions(
        states=("exp_avg", "exp_avg_sq"),
        scalars=("mu_product",),
        unfit=lambda options: SQUARES,
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative, "momentum_decay": nonnegative},
        flags=("decoupled", "maximize"),
        variant=lambda options: "nadam",
        cautious=CAUTIOUS,
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 2e-3,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.999,
        eps: Hyper = 1e-8,
        weight_decay: Hyper = 0.0,
        momentum_decay: Hyper = 4e-3,
        decoupled: bool = False,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

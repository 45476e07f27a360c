"""StableAdamW: AdamW whose steps shrink where squares of gradients exceed their average."""

from __future__ import annotations

from typing import Unpack

from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared
from lrkern.optimizers.options import BASICS, CAUTIOUS, SQUARES, RuleOptions, fraction, nonnegative, own_options
from lrkern.rules.parts import coupled, pull_of, pulled_along
from lrkern.rules.rule import own_rule
from lrkern.rules.words import fma, maximum, mean, n, sqrt

__all__ = ["StableAdamW"]


@own_rule("exp_avg", "exp_avg_sq", rare=["stable_adamw"])
def stable_adamw(  # type: ignore[no-untyped-def]
    p,
    g,
    exp_avg,
    exp_avg_sq,
    *,
    lr,
    weight_decay=0.0,
    decoupled=True,
    maximize=False,
    beta1=0.9,
    beta2=0.99,
    eps=1e-8,
    cautious_decay=False,
):
    """StableAdamW."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    rate1 = (1 - beta1) / (1 - beta1**n)
    rate2 = (1 - beta2) / (1 - beta2**n)
    m = fma(rate1, d - exp_avg, exp_avg)
    v = fma(rate2 * d, d, (1 - rate2) * exp_avg_sq)
    squares = eps * eps
    excess = sqrt(mean(d * d / maximum(v, squares)))
    step = lr / maximum(1, excess)
    q = m / (sqrt(v) + eps)
    return fma(-step, pulled_along(p, q, pull_of(lr, weight_decay, decoupled), cautious_decay), p), m, v


class StableAdamW(Optimizer):
    """StableAdamW over a list or dict of arrays, each step one call and two passes over memory.

    With m = `exp_avg` and v = `exp_avg_sq`, both initially 0, and n the number of this update of the array:

        m = m + (1 - beta1)/(1 - beta1^n) (d - m)
        v = v + (1 - beta2)/(1 - beta2^n) (d^2 - v)
        step = lr / max(1, sqrt(mean(d^2 / max(v, eps^2))))          the mean over all elements of the array
        p = p - step (m / (sqrt(v) + eps) + pull p)

    where d is the gradient, with weight_decay p added unless `decoupled`, and pull = weight_decay if `decoupled`, else 0.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps: numbers >= 0, or schedules.
        beta1, beta2: 0 <= x < 1, or schedules.
        decoupled: decoupled weight decay; False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "decay": decoupled weight decay only where it has the direction's sign (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.StableAdamW(params, lr=0.25, weight_decay=0.0)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0].round(6)
        array([0.75, 2.25])

    Source:
        Wortsman et al., arXiv 2304.13013, algorithm 2.
    """

    _rule = RuleOptions(
        states=("exp_avg", "exp_avg_sq"),
        unfit=lambda options: SQUARES,
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative},
        flags=("decoupled", "maximize"),
        variant=lambda options: "stable_adamw",
        cautious=CAUTIOUS[1:],
        takes_rows=False,
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-3,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.99,
        eps: Hyper = 1e-8,
        weight_decay: Hyper = 1e-2,
        decoupled: bool = True,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

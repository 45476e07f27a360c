"""MARS: AdamW with a gradient that is corrected by its change since the last step."""

from __future__ import annotations

from typing import Unpack

from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared
from lrkern.optimizers.options import BASICS, CAUTIOUS, SQUARES, RuleOptions, fraction, nonnegative, own_options
from lrkern.rules.parts import coupled, pull_of, pulled_along
from lrkern.rules.rule import own_rule
from lrkern.rules.words import fma, n, norm, sqrt

__all__ = ["MARS"]


@own_rule("exp_avg", "exp_avg_sq", "last_grad", "max_exp_avg_sq", optional=["max_exp_avg_sq"], rare=["mars"])
def mars(  # type: ignore[no-untyped-def]
    p, g, exp_avg, exp_avg_sq, last_grad, max_exp_avg_sq, *, lr, weight_decay=0.0, decoupled=True, maximize=False, beta1=0.95,
    beta2=0.99, eps=1e-8, gamma=0.025, amsgrad=False, cautious_decay=False,
):  # fmt: skip
    """MARS-AdamW."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    change = gamma * (beta1 / (1 - beta1))
    corrected = fma(change, d - last_grad, d)
    length = norm(corrected)
    c = corrected * (1 / length if length > 1 else 1)
    m = fma(beta1, exp_avg, (1 - beta1) * c)
    v = fma((1 - beta2) * c, c, beta2 * exp_avg_sq)
    c1, scale = 1 - beta1**n, 1 / sqrt(1 - beta2**n)
    step = lr / c1
    largest = max_exp_avg_sq if v <= max_exp_avg_sq else v
    q = m / fma(sqrt(largest if amsgrad else v), scale, eps)
    joined = pull_of(lr, weight_decay, decoupled) * c1
    return fma(-step, pulled_along(p, q, joined, cautious_decay), p), m, v, d, largest if amsgrad else max_exp_avg_sq


class MARS(Optimizer):
    """MARS-AdamW over a list or dict of arrays, each step one call and two passes over memory.

    With m = `exp_avg`, v = `exp_avg_sq` and d' = `last_grad`, the d of the last step, all initially 0:

        c = d + gamma beta1/(1 - beta1) (d - d')
        c = c / max(1, |c|)                                  |c|: the norm of the whole array
        m = beta1 m + (1 - beta1) c
        v = beta2 v + (1 - beta2) c^2
        p = p - lr (m/(1 - beta1^n) / (sqrt(v/(1 - beta2^n)) + eps) + pull p)

    where d is the gradient, with weight_decay p added unless `decoupled`, n the number of this update of the array, and
    pull = weight_decay if `decoupled`, else 0. The authors use it for matrices, and `AdamW` for all other parameters.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps, gamma: numbers >= 0, or schedules.
        beta1, beta2: 0 <= x < 1, or schedules.
        amsgrad: divide by the largest average of squares so far, which is a state of its own, `max_exp_avg_sq`.
        decoupled: decoupled weight decay; False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "decay": decoupled weight decay only where it has the direction's sign (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.MARS(params, lr=0.25, eps=0.0)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.75, 2.25])

    Source:
        Yuan et al., arXiv 2411.10438: MARS-AdamW with the change of the stochastic gradient ("MARS-approx").
    """

    _rule = RuleOptions(
        states=("exp_avg", "exp_avg_sq", "last_grad", "max_exp_avg_sq"),
        unfit=lambda options: SQUARES,
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative, "gamma": nonnegative},
        flags=("amsgrad", "decoupled", "maximize"),
        variant=lambda options: "mars_amsgrad" if options["amsgrad"] else "mars",
        cautious=CAUTIOUS[1:],
        kept=lambda options: ("exp_avg", "exp_avg_sq", "last_grad", *(["max_exp_avg_sq"] if options["amsgrad"] else [])),
        takes_rows=False,
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 3e-3,
        *,
        beta1: Hyper = 0.95,
        beta2: Hyper = 0.99,
        eps: Hyper = 1e-8,
        gamma: Hyper = 0.025,
        weight_decay: Hyper = 0.0,
        amsgrad: bool = False,
        decoupled: bool = True,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

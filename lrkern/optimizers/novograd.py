"""NovoGrad: gradients divided by the average norm of each array's gradient."""

from __future__ import annotations

from typing import Unpack

from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared
from lrkern.optimizers.options import BASICS, CAUTIOUS, RuleOptions, fraction, nonnegative, own_options
from lrkern.rules.parts import ascended, pull_of, pulled, pulled_along
from lrkern.rules.rule import own_rule
from lrkern.rules.words import fma, n, norm, sqrt

__all__ = ["NovoGrad"]


@own_rule("exp_avg", scalars=("square",), rare=["novograd"])
def novograd(  # type: ignore[no-untyped-def]
    p, g, exp_avg, square, *, lr, weight_decay=0.0, decoupled=False, maximize=False, beta1=0.95, beta2=0.98, eps=1e-8,
    grad_averaging=False, cautious_decay=False,
):  # fmt: skip
    """NovoGrad."""
    length = norm(g)
    v = length * length if n == 1 else fma(beta2, square, (1 - beta2) * (length * length))
    weight = 1 - beta1 if grad_averaging else 1
    scale = weight / (sqrt(v) + eps)
    pull = 0 if decoupled else weight * weight_decay
    m = fma(beta1, exp_avg, pulled(p, scale * ascended(g, maximize), pull))
    return fma(-lr, pulled_along(p, m, pull_of(lr, weight_decay, decoupled), cautious_decay), p), m, v


class NovoGrad(Optimizer):
    """NovoGrad over a list or dict of arrays, each step one call and two passes over memory.

    With m = `exp_avg`, initially 0, and v = `square`, a number of the whole array:

        v = |g|^2 at the first update, else beta2 v + (1 - beta2) |g|^2
        m = beta1 m + (1 - beta1) (g / (sqrt(v) + eps) + weight_decay p)        1 instead of 1 - beta1 unless `grad_averaging`
        p = p - lr m

    With `decoupled`, weight_decay p is added to m in the last line instead.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps: numbers >= 0, or schedules.
        beta1, beta2: 0 <= x < 1, or schedules.
        grad_averaging: whether m is an average, not a sum.
        decoupled: decoupled weight decay.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "decay": decoupled weight decay only where it has the direction's sign (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.NovoGrad(params, lr=0.5, eps=0.0)
        >>> opt.step([np.array([3.0, -4.0])])
        >>> params[0]
        array([0.7, 2.4])

    Source:
        Ginsburg et al., arXiv 1905.11286; NovoGrad of NVIDIA's examples and of timm; optax.novograd.
    """

    _rule = RuleOptions(
        states=("exp_avg",),
        scalars=("square",),
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative},
        flags=("grad_averaging", "decoupled", "maximize"),
        variant=lambda options: "novograd",
        cautious=CAUTIOUS[1:],
        takes_rows=False,
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-3,
        *,
        beta1: Hyper = 0.95,
        beta2: Hyper = 0.98,
        eps: Hyper = 1e-8,
        weight_decay: Hyper = 0.0,
        grad_averaging: bool = False,
        decoupled: bool = False,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

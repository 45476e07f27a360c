"""ASGD: averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Unpack

from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared
from lrkern.optimizers.options import BASICS, CAUTIOUS, NARROW_AVERAGES, RuleOptions, nonnegative, own_options
from lrkern.rules.parts import coupled, pull_of
from lrkern.rules.rule import own_rule
from lrkern.rules.words import fma, maximum, n

__all__ = ["ASGD"]


@own_rule("average", scalars=("eta", "mu"), rare=["asgd"], apart=["cautious_decay"])
def asgd(  # type: ignore[no-untyped-def]
    p,
    g,
    average,
    eta,
    mu,
    *,
    lr,
    weight_decay=0.0,
    decoupled=False,
    maximize=False,
    lambd=1e-4,
    alpha=0.75,
    t0=1e6,
    cautious_decay=False,
):
    """ASGD."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    step = lr if n == 1 else eta
    shrinkage = lambd + pull_of(lr, weight_decay, decoupled)
    x = fma(shrinkage, p, d)
    moved = fma(-step, (x if d * p >= 0 else fma(lambd, p, d)) if cautious_decay else x, p)
    weight = 1 if n == 1 else mu
    mean = moved if weight == 1 else fma(weight, moved - average, average)
    return moved, mean, lr / (1 + lambd * lr * n) ** alpha, 1 / maximum(1, n - t0)


class ASGD(Optimizer):
    """Averaged stochastic gradient descent over a list or dict of arrays, each step one call and one pass over memory.

    With a = `average` and n the number of this update of the array:

        p = p - eta (d + (lambd + pull) p)
        a = a + mu (p - a)
        eta = lr/(1 + lambd lr n)^alpha                     for the next update; lr at the first one
        mu = 1/max(1, n - t0)                               for the next update; 1 at the first one

    where d is the gradient, with weight_decay p added unless `decoupled`, and pull = weight_decay if `decoupled`, else 0. Up to
    update t0 + 2 the average is the parameter itself. `averaged()` exchanges parameters with their averages, and
    `averaged_params` has these.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, lambd, alpha, t0: numbers >= 0, or schedules.
        decoupled: decoupled weight decay; False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "decay": decoupled weight decay only where it has the direction's sign (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.ASGD(params, lr=0.5, lambd=0.0, t0=0.0)
        >>> for _ in range(3):
        ...     opt.step([np.array([0.5, -4.0])])
        >>> params[0], opt.averaged_params[0]
        (array([0.25, 8.  ]), array([0.375, 7.   ]))

    Source:
        Polyak and Juditsky, SIAM J. Control Optim. 30 (1992); torch.optim.ASGD.
    """

    _rule = RuleOptions(
        states=("average",),
        scalars=("eta", "mu"),
        averages="average",
        unfit=lambda options: NARROW_AVERAGES,
        hypers={**BASICS, "lambd": nonnegative, "alpha": nonnegative, "t0": nonnegative},
        flags=("decoupled", "maximize"),
        variant=lambda options: "asgd",
        cautious=CAUTIOUS[1:],
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-2,
        *,
        lambd: Hyper = 1e-4,
        alpha: Hyper = 0.75,
        t0: Hyper = 1e6,
        weight_decay: Hyper = 0.0,
        decoupled: bool = False,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

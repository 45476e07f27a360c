"""Adadelta."""

from __future__ import annotations

from typing import Unpack

from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared
from lrkern.optimizers.options import BASICS, CAUTIOUS, SQUARES, RuleOptions, fraction, nonnegative, own_options
from lrkern.rules.parts import coupled, pull_of, pulled_along
from lrkern.rules.rule import own_rule
from lrkern.rules.words import fma, sqrt

__all__ = ["Adadelta"]


@own_rule("square_avg", "acc_delta", fast=["decay_is_0 pull_is_0", "decay_is_0"], apart=["cautious_decay"])
def adadelta(  # type: ignore[no-untyped-def]
    p,
    g,
    square_avg,
    acc_delta,
    *,
    lr,
    weight_decay=0.0,
    decoupled=False,
    maximize=False,
    rho=0.9,
    eps=1e-6,
    cautious_decay=False,
):
    """Adadelta."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    v = fma((1 - rho) * d, d, rho * square_avg)
    q = sqrt(acc_delta + eps) / sqrt(v + eps) * d
    a = fma((1 - rho) * q, q, rho * acc_delta)
    return fma(-lr, pulled_along(p, q, pull_of(lr, weight_decay, decoupled), cautious_decay), p), v, a


class Adadelta(Optimizer):
    """Adadelta over a list or dict of arrays, each step one call and one pass over memory.

    With v = `square_avg` and a = `acc_delta`, both initially 0:

        v = rho v + (1 - rho) d^2
        q = sqrt(a + eps) / sqrt(v + eps) d
        a = rho a + (1 - rho) q^2
        p = p - lr (q + pull p)


    where d is the gradient, with weight_decay p added unless `decoupled`, n the number of this update of the array, and
    pull = weight_decay if `decoupled`, else 0.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps: numbers >= 0, or schedules.
        rho: 0 <= rho < 1, or schedules.
        decoupled: decoupled weight decay; False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "decay": decoupled weight decay only where it has the direction's sign (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.Adadelta(params, lr=0.0)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([1., 2.])

    Source:
        Zeiler, arXiv 1212.5701; torch.optim.Adadelta.
    """

    _rule = RuleOptions(
        states=("square_avg", "acc_delta"),
        unfit=lambda options: SQUARES,
        hypers={**BASICS, "rho": fraction, "eps": nonnegative},
        flags=("decoupled", "maximize"),
        variant=lambda options: "adadelta",
        cautious=CAUTIOUS[1:],
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1.0,
        *,
        rho: Hyper = 0.9,
        eps: Hyper = 1e-6,
        weight_decay: Hyper = 0.0,
        decoupled: bool = False,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

"""Optimizers that use only the signs of gradients or of their averages: Signum, Tiger and Rprop."""

from __future__ import annotations

from typing import Unpack

from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared
from lrkern.optimizers.options import BASICS, CAUTIOUS, RuleOptions, fraction, nonnegative, own_options
from lrkern.rules.parts import cautioned, coupled, pull_of, pulled_along
from lrkern.rules.rule import own_rule
from lrkern.rules.words import fma, maximum, minimum, n, sign

__all__ = ["Rprop", "Signum", "Tiger"]


@own_rule("exp_avg", fast=["decay_is_0 pull_is_0", "decay_is_0"])
def signum(  # type: ignore[no-untyped-def]
    p, g, exp_avg, *, lr, weight_decay=0.0, decoupled=True, maximize=False, beta=0.9, nesterov=False,
    cautious=False, cautious_decay=False,
):  # fmt: skip
    """Signum and Tiger."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    m = fma(beta, exp_avg, (1 - beta) * d)
    u = fma(beta, m, (1 - beta) * d) if nesterov else m
    pull = pull_of(lr, weight_decay, decoupled)
    return fma(-lr, pulled_along(p, cautioned(sign(u), d, cautious), pull, cautious_decay), p), m


@own_rule("previous", "step_size", fast=["decay_is_0"])
def rprop(  # type: ignore[no-untyped-def]
    p, g, previous, step_size, *, lr, weight_decay=0.0, decoupled=False, maximize=False, eta_minus=0.5, eta_plus=1.2,
    step_min=1e-6, step_max=50.0,
):  # fmt: skip
    """Rprop."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    is_first = n == 1
    turn = d * previous
    growth = eta_plus if turn > 0 else eta_minus if turn < 0 else 1
    size = minimum(maximum((lr if is_first else step_size) * growth, step_min), step_max)
    kept = 0 if turn < 0 else d
    return fma(-size, sign(kept), p), kept, size


class Signum(Optimizer):
    """Signum over a list or dict of arrays, each step one call and one pass over memory.

    With g the gradient and m = `exp_avg`, initially 0:

        m = beta m + (1 - beta) g
        p = p - lr (sign(m) + weight_decay p)

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay: numbers >= 0, or schedules.
        beta: 0 <= beta < 1, or a schedule.
        nesterov: use the sign of beta m + (1 - beta) g instead.
        decoupled: False adds weight_decay p to the gradient instead.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.Signum(params, lr=0.25)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.75, 2.25])

    Source:
        Bernstein et al., arXiv 1802.04434.
    """

    _rule = RuleOptions(
        states=("exp_avg",),
        hypers={**BASICS, "beta": fraction},
        flags=("nesterov", "decoupled", "maximize"),
        variant=lambda options: "signum",
        cautious=CAUTIOUS,
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-4,
        *,
        beta: Hyper = 0.9,
        nesterov: bool = False,
        weight_decay: Hyper = 0.0,
        decoupled: bool = True,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)


class Tiger(Signum):
    """Tiger over a list or dict of arrays: `Signum` with its own defaults.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay: numbers >= 0, or schedules.
        beta: 0 <= beta < 1, or a schedule.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.Tiger(params, lr=0.25, weight_decay=0.0)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.75, 2.25])

    Source:
        Su, Tiger: a tight-fisted optimizer, github.com/bojone/tiger. The author's code also multiplies lr by the root mean
        square of each parameter, which this does not.
    """

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-3,
        *,
        beta: Hyper = 0.965,
        weight_decay: Hyper = 1e-2,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, lr, beta=beta, weight_decay=weight_decay, maximize=maximize, cautious=cautious, **shared)


class Rprop(Optimizer):
    """Resilient backpropagation over a list or dict of arrays, each step one call and one pass over memory.

    With g the gradient, h = `previous` (initially 0) and s = `step_size` (initially lr) of each element:

        s = s eta_plus if g h > 0, s eta_minus if g h < 0, else s; then between step_min and step_max
        h = 0 if g h < 0 else g
        p = p - s sign(h)

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr: the first step size, a number >= 0.
        eta_minus: 0 <= eta_minus < 1. eta_plus, step_min, step_max: numbers >= 0. All may be schedules.
        weight_decay: a number >= 0, added to the gradient times p, or a schedule.
        maximize: ascend the gradient instead of descending it.
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.Rprop(params, lr=0.25)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.75, 2.25])

    Source:
        Riedmiller and Braun, 1993; torch.optim.Rprop.
    """

    _rule = RuleOptions(
        states=("previous", "step_size"),
        hypers={
            **BASICS,
            "eta_minus": fraction,
            "eta_plus": nonnegative,
            "step_min": nonnegative,
            "step_max": nonnegative,
        },
        flags=("maximize",),
        fixed={"decoupled": 0.0},
        variant=lambda options: "rprop",
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-2,
        *,
        eta_minus: Hyper = 0.5,
        eta_plus: Hyper = 1.2,
        step_min: Hyper = 1e-6,
        step_max: Hyper = 50.0,
        weight_decay: Hyper = 0.0,
        maximize: bool = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

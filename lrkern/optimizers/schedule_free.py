"""Schedule-free optimizers: averages replace a falling learning rate. They are arrays of their own, and there are no modes."""

from __future__ import annotations

from typing import Unpack

from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared
from lrkern.optimizers.options import (
    BASICS,
    CAUTIOUS,
    NARROW_AVERAGES,
    SQUARES,
    RuleOptions,
    fraction,
    nonnegative,
    own_options,
)
from lrkern.rules.parts import coupled, pull_of, pulled_along
from lrkern.rules.rule import own_rule, part
from lrkern.rules.words import fma, maximum, n, sqrt

__all__ = ["ScheduleFreeAdamW", "ScheduleFreeRAdam", "ScheduleFreeSGD"]


@part
def weight_of(count, largest, r, lr_power):  # type: ignore[no-untyped-def]
    """The weight of an update, by its number, in the average."""
    return count**r * largest**lr_power


@own_rule(
    "base",
    "average",
    scalars=("lr_max", "weight_sum"),
    fast=["decay_is_0 pull_is_0", "decay_is_0", "pull_is_0"],
    rare=["schedule_free_sgd"],
    apart=["cautious_decay"],
)
def schedule_free_sgd(  # type: ignore[no-untyped-def]
    p, g, base, average, lr_max, weight_sum, *, lr, weight_decay=0.0, decoupled=False, maximize=False, beta=0.9, r=0.0,
    lr_power=2.0, cautious_decay=False,
):  # fmt: skip
    """Schedule-free SGD."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    is_first = n == 1
    largest = maximum(lr, lr_max)
    weight = weight_of(n, largest, r, lr_power)
    weights = weight_sum + weight
    share = weight / weights if weights != 0 else 0
    z = fma(-lr, pulled_along(p, d, pull_of(lr, weight_decay, decoupled), cautious_decay), p if is_first else base)
    before = p if is_first else average
    x = fma(share, z - before, before)
    return fma(beta, x - z, z), z, x, largest, weights


@own_rule(
    "base",
    "average",
    "exp_avg_sq",
    scalars=("lr_max", "weight_sum"),
    fast=["decay_is_0 pull_is_0", "decay_is_0"],
    rare=["schedule_free_adamw"],
    apart=["cautious_decay"],
)
def schedule_free_adamw(  # type: ignore[no-untyped-def]
    p, g, base, average, exp_avg_sq, lr_max, weight_sum, *, lr, weight_decay=0.0, decoupled=True, maximize=False, beta1=0.9,
    beta2=0.999, eps=1e-8, r=0.0, lr_power=2.0, cautious_decay=False,
):  # fmt: skip
    """Schedule-free AdamW."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    is_first = n == 1
    largest = maximum(lr, lr_max)
    weight = weight_of(n, largest, r, lr_power)
    weights = weight_sum + weight
    share = weight / weights if weights != 0 else 0
    v = fma((1 - beta2) * d, d, beta2 * exp_avg_sq)
    q = d / fma(sqrt(v), 1 / sqrt(1 - beta2**n), eps)
    z = fma(-lr, pulled_along(p, q, pull_of(lr, weight_decay, decoupled), cautious_decay), p if is_first else base)
    before = p if is_first else average
    x = fma(share, z - before, before)
    return fma(beta1, x - z, z), z, x, v, largest, weights


@own_rule(
    "base",
    "average",
    "exp_avg_sq",
    scalars=("lr_max", "weight_sum"),
    fast=["decay_is_0 is_rectified pull_is_0", "decay_is_0 is_rectified"],
    rare=["schedule_free_radam"],
    apart=["cautious_decay"],
)
def schedule_free_radam(  # type: ignore[no-untyped-def]
    p, g, base, average, exp_avg_sq, lr_max, weight_sum, *, lr, weight_decay=0.0, decoupled=True, maximize=False, beta1=0.9,
    beta2=0.999, eps=1e-8, r=0.0, lr_power=2.0, silent=True, cautious_decay=False,
):  # fmt: skip
    """Schedule-free RAdam."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    is_first = n == 1
    c2 = 1 - beta2**n
    longest = 2 / (1 - beta2) - 1
    rho = longest - 2 * n * beta2**n / c2
    is_rectified = rho > 4
    ratio = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
    step = lr * sqrt(ratio) if is_rectified else 0 if silent else lr
    largest = maximum(step, lr_max)
    weight = weight_of(n, largest, r, lr_power)
    weights = weight_sum + weight
    share = weight / weights if weights != 0 else 0
    v = fma((1 - beta2) * d, d, beta2 * exp_avg_sq)
    q = d / fma(sqrt(v), 1 / sqrt(c2), eps) if is_rectified else d
    z = fma(-step, pulled_along(p, q, pull_of(step, weight_decay, decoupled), cautious_decay), p if is_first else base)
    before = p if is_first else average
    x = fma(share, z - before, before)
    return fma(beta1, x - z, z), z, x, v, largest, weights


_WEIGHTS = {"r": nonnegative, "lr_power": nonnegative}


class ScheduleFreeSGD(Optimizer):
    """Schedule-free SGD over a list or dict of arrays, each step one call and one pass over memory.

    The parameters p are the points at which gradients are taken. With z = `base` and x = `average`, which begin as copies of
    the parameters, and n the number of this update of the array:

        w = n^r (the largest lr so far)^lr_power
        c = w / (the sum of all w so far)
        z = z - lr (d + pull p)
        x = x + c (z - x)
        p = z + beta (x - z)

    where d is the gradient, with weight_decay p added unless `decoupled`, and pull = weight_decay if `decoupled`, else 0. x is
    the result of training: `averaged_params` has it, and `averaged()` exchanges the parameters with it, for example to evaluate
    or to save a model. So there are no modes to switch.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, r, lr_power: numbers >= 0, or schedules. lr is a constant, after a warm-up if need be.
        beta: 0 <= beta < 1, or a schedule.
        decoupled: False adds weight_decay p to the gradient (which is the same here).
        maximize: ascend the gradient instead of descending it.
        cautious: False; "decay": decoupled weight decay only where it has the direction's sign (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.ScheduleFreeSGD(params, lr=0.5)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0], opt.averaged_params[0]
        (array([0.75, 4.  ]), array([0.75, 4.  ]))

    Source:
        Defazio et al., arXiv 2405.15682; SGDScheduleFree of the authors' package, without its warm-up.
    """

    _rule = RuleOptions(
        states=("base", "average"),
        scalars=("lr_max", "weight_sum"),
        averages="average",
        unfit=lambda options: NARROW_AVERAGES,
        hypers={**BASICS, "beta": fraction, **_WEIGHTS},
        flags=("decoupled", "maximize"),
        variant=lambda options: "schedule_free_sgd",
        cautious=CAUTIOUS[1:],
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1.0,
        *,
        beta: Hyper = 0.9,
        weight_decay: Hyper = 0.0,
        r: Hyper = 0.0,
        lr_power: Hyper = 2.0,
        decoupled: bool = False,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)


class ScheduleFreeAdamW(Optimizer):
    """Schedule-free AdamW over a list or dict of arrays, each step one call and one pass over memory.

    With v = `exp_avg_sq`, initially 0, and z, x, c as in `ScheduleFreeSGD`:

        v = beta2 v + (1 - beta2) d^2
        z = z - lr (d / (sqrt(v/(1 - beta2^n)) + eps) + pull p)
        x = x + c (z - x)
        p = z + beta1 (x - z)

    where d is the gradient, with weight_decay p added unless `decoupled`, n the number of this update of the array, and
    pull = weight_decay if `decoupled`, else 0. `averaged_params` and `averaged()`: see `ScheduleFreeSGD`.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps, r, lr_power: numbers >= 0, or schedules.
        beta1, beta2: 0 <= x < 1, or schedules.
        decoupled: decoupled weight decay; False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "decay": decoupled weight decay only where it has the direction's sign (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.ScheduleFreeAdamW(params, lr=0.25, eps=0.0)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0], opt.averaged_params[0]
        (array([0.75, 2.25]), array([0.75, 2.25]))

    Source:
        Defazio et al., arXiv 2405.15682; AdamWScheduleFree of the authors' package, without its warm-up.
    """

    _rule = RuleOptions(
        states=("base", "average", "exp_avg_sq"),
        scalars=("lr_max", "weight_sum"),
        averages="average",
        unfit=lambda options: {**SQUARES, **NARROW_AVERAGES},
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative, **_WEIGHTS},
        flags=("decoupled", "maximize"),
        variant=lambda options: "schedule_free_adamw",
        cautious=CAUTIOUS[1:],
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 2.5e-3,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.999,
        eps: Hyper = 1e-8,
        weight_decay: Hyper = 0.0,
        r: Hyper = 0.0,
        lr_power: Hyper = 2.0,
        decoupled: bool = True,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)


class ScheduleFreeRAdam(Optimizer):
    """Schedule-free RAdam over a list or dict of arrays: `ScheduleFreeAdamW` that needs no warm-up.

    With rho and r of `RAdam`, an update with rho > 4 is one of `ScheduleFreeAdamW` whose lr is multiplied by

        sqrt((rho - 4)(rho - 2) r / ((r - 4)(r - 2) rho))

    also in the largest lr so far. The first few updates, with rho <= 4, change only v; if not `silent`, they are those of
    `ScheduleFreeSGD`.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps, r, lr_power: numbers >= 0, or schedules.
        beta1, beta2: 0 <= x < 1, or schedules.
        silent: whether the parameters stay as they are while rho <= 4.
        decoupled: decoupled weight decay; False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "decay": decoupled weight decay only where it has the direction's sign (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.ScheduleFreeRAdam(params, lr=0.25, silent=False)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.875, 3.   ])

    Source:
        RAdamScheduleFree of the package of Defazio et al. (arXiv 2405.15682).
    """

    _rule = RuleOptions(
        states=("base", "average", "exp_avg_sq"),
        scalars=("lr_max", "weight_sum"),
        averages="average",
        unfit=lambda options: {**SQUARES, **NARROW_AVERAGES},
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative, **_WEIGHTS},
        flags=("silent", "decoupled", "maximize"),
        variant=lambda options: "schedule_free_radam",
        cautious=CAUTIOUS[1:],
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 2.5e-3,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.999,
        eps: Hyper = 1e-8,
        weight_decay: Hyper = 0.0,
        r: Hyper = 0.0,
        lr_power: Hyper = 2.0,
        silent: bool = True,
        decoupled: bool = True,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

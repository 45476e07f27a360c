"""Relatives of Adam with two averages: AdaBelief, Adamax, RAdam, LaProp, ADOPT."""

from __future__ import annotations

from typing import Unpack

from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared
from lrkern.optimizers.options import BASICS, CAUTIOUS, SQUARES, RuleOptions, fraction, nonnegative, own_options
from lrkern.rules.parts import cautioned, coupled, pull_of, pulled_along
from lrkern.rules.rule import own_rule
from lrkern.rules.words import abs, fma, maximum, minimum, n, sqrt

__all__ = ["ADOPT", "AdaBelief", "Adamax", "LaProp", "RAdam"]


@own_rule(
    "exp_avg", "exp_avg_var", "max_exp_avg_var", optional=["max_exp_avg_var"], fast=["decay_is_0 joined_is_0", "decay_is_0"]
)
def adabelief(  # type: ignore[no-untyped-def]
    p, g, exp_avg, exp_avg_var, max_exp_avg_var, *, lr, weight_decay=0.0, decoupled=True, maximize=False, beta1=0.9,
    beta2=0.999, eps=1e-16, amsgrad=False, cautious=False, cautious_decay=False,
):  # fmt: skip
    """AdaBelief."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    c1, c2 = 1 - beta1**n, 1 - beta2**n
    m = fma(beta1, exp_avg, (1 - beta1) * d)
    e = d - m
    s = fma((1 - beta2) * e, e, beta2 * exp_avg_var) + eps
    largest = max_exp_avg_var if s <= max_exp_avg_var else s
    scale = 1 / sqrt(c2)
    q = m / fma(sqrt(largest if amsgrad else s), scale, eps)
    step = lr / c1
    joined = pull_of(lr, weight_decay, decoupled) * c1
    moved = fma(-step, pulled_along(p, cautioned(q, d, cautious), joined, cautious_decay), p)
    return moved, m, s, largest if amsgrad else max_exp_avg_var


@own_rule("exp_avg", "exp_inf", fast=["decay_is_0 joined_is_0", "decay_is_0"])
def adamax(  # type: ignore[no-untyped-def]
    p, g, exp_avg, exp_inf, *, lr, weight_decay=0.0, decoupled=False, maximize=False, beta1=0.9, beta2=0.999, eps=1e-8,
    cautious=False, cautious_decay=False,
):  # fmt: skip
    """Adamax."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    c1 = 1 - beta1**n
    m = fma(beta1, exp_avg, (1 - beta1) * d)
    u = maximum(beta2 * exp_inf, abs(d) + eps)
    step = lr / c1
    joined = pull_of(lr, weight_decay, decoupled) * c1
    return fma(-step, pulled_along(p, cautioned(m / u, d, cautious), joined, cautious_decay), p), m, u


@own_rule("exp_avg", "exp_avg_sq", fast=["decay_is_0 joined_is_0 is_rectified", "decay_is_0 is_rectified"])
def radam(  # type: ignore[no-untyped-def]
    p, g, exp_avg, exp_avg_sq, *, lr, weight_decay=0.0, decoupled=False, maximize=False, beta1=0.9, beta2=0.999, eps=1e-8,
    cautious=False, cautious_decay=False,
):  # fmt: skip
    """RAdam."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    c1, c2 = 1 - beta1**n, 1 - beta2**n
    longest = 2 / (1 - beta2) - 1
    rho = longest - 2 * n * beta2**n / c2
    is_rectified = rho > 5
    ratio = (rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho)
    gain = sqrt(ratio) * sqrt(c2) / c1 if is_rectified else 1 / c1
    m = fma(beta1, exp_avg, (1 - beta1) * d)
    v = fma((1 - beta2) * d, d, beta2 * exp_avg_sq)
    q = m / (sqrt(v) + eps) if is_rectified else m
    step = lr * gain
    joined = pull_of(lr, weight_decay, decoupled) / gain
    return fma(-step, pulled_along(p, cautioned(q, d, cautious), joined, cautious_decay), p), m, v


@own_rule("exp_avg", "exp_avg_sq", "max_exp_avg_sq", optional=["max_exp_avg_sq"], fast=["decay_is_0 joined_is_0", "decay_is_0"])
def laprop(  # type: ignore[no-untyped-def]
    p, g, exp_avg, exp_avg_sq, max_exp_avg_sq, *, lr, weight_decay=0.0, decoupled=True, maximize=False, beta1=0.9, beta2=0.999,
    eps=1e-15, amsgrad=False, cautious=False, cautious_decay=False,
):  # fmt: skip
    """LaProp."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    c1 = 1 - beta1**n
    scale = 1 / sqrt(1 - beta2**n)
    v = fma((1 - beta2) * d, d, beta2 * exp_avg_sq)
    largest = max_exp_avg_sq if v <= max_exp_avg_sq else v
    q = d / fma(sqrt(largest if amsgrad else v), scale, eps)
    m = fma(beta1, exp_avg, (1 - beta1) * q)
    step = lr / c1
    joined = pull_of(lr, weight_decay, decoupled) * c1
    moved = fma(-step, pulled_along(p, cautioned(m, d, cautious), joined, cautious_decay), p)
    return moved, m, v, largest if amsgrad else max_exp_avg_sq


@own_rule("exp_avg", "exp_avg_sq", fast=["decay_is_0 pull_is_0", "decay_is_0"])
def adopt(  # type: ignore[no-untyped-def]
    p, g, exp_avg, exp_avg_sq, *, lr, weight_decay=0.0, decoupled=False, maximize=False, beta1=0.9, beta2=0.9999, eps=1e-6,
    cautious=False, cautious_decay=False,
):  # fmt: skip
    """ADOPT."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    is_first = n == 1
    limit = sqrt(sqrt(n - 1))
    q = minimum(maximum(d / maximum(sqrt(exp_avg_sq), eps), -limit), limit)
    m = fma(beta1, exp_avg, (1 - beta1) * q)
    pull = pull_of(lr, weight_decay, decoupled)
    moved = fma(-lr, pulled_along(p, cautioned(m, d, cautious), pull, cautious_decay), p)
    v = d * d if is_first else fma((1 - beta2) * d, d, beta2 * exp_avg_sq)
    return p if is_first else moved, exp_avg if is_first else m, v


class AdaBelief(Optimizer):
    """AdaBelief over a list or dict of arrays, each step one call and one pass over memory.

    With m = `exp_avg` and s = `exp_avg_var`, both initially 0:

        m = beta1 m + (1 - beta1) d
        s = beta2 s + (1 - beta2) (d - m)^2 + eps
        p = p - lr (m/(1 - beta1^n) / (sqrt(s/(1 - beta2^n)) + eps) + pull p)


    where d is the gradient, with weight_decay p added unless `decoupled`, n the number of this update of the array, and
    pull = weight_decay if `decoupled`, else 0.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps: numbers >= 0, or schedules.
        beta1, beta2: 0 <= x < 1, or schedules.
        amsgrad: divide by the largest average of squares so far, which is a state of its own, `max_exp_avg_var`.
        decoupled: decoupled weight decay; False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.AdaBelief(params, lr=0.25, beta1=0.5, beta2=0.75, eps=0.0)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.5, 2.5])

    Source:
        Zhuang et al., arXiv 2010.07468; optax.adabelief, whose eps_root is eps here. Without the rectification of the
        authors' package.
    """

    _rule = RuleOptions(
        states=("exp_avg", "exp_avg_var", "max_exp_avg_var"),
        unfit=lambda options: SQUARES,
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative},
        flags=("amsgrad", "decoupled", "maximize"),
        variant=lambda options: "adabelief_amsgrad" if options["amsgrad"] else "adabelief",
        kept=lambda options: ("exp_avg", "exp_avg_var", *(["max_exp_avg_var"] if options["amsgrad"] else [])),
        cautious=CAUTIOUS,
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-3,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.999,
        eps: Hyper = 1e-16,
        weight_decay: Hyper = 0.0,
        amsgrad: bool = False,
        decoupled: bool = True,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)


class Adamax(Optimizer):
    """Adamax over a list or dict of arrays, each step one call and one pass over memory.

    With m = `exp_avg` and u = `exp_inf`, both initially 0:

        m = beta1 m + (1 - beta1) d
        u = max(beta2 u, abs(d) + eps)
        p = p - lr (m/(1 - beta1^n) / u + pull p)


    where d is the gradient, with weight_decay p added unless `decoupled`, n the number of this update of the array, and
    pull = weight_decay if `decoupled`, else 0.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps: numbers >= 0, or schedules.
        beta1, beta2: 0 <= x < 1, or schedules.
        decoupled: decoupled weight decay; False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.Adamax(params, lr=0.25, eps=0.0)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.75, 2.25])

    Source:
        Kingma and Ba, arXiv 1412.6980; torch.optim.Adamax.
    """

    _rule = RuleOptions(
        states=("exp_avg", "exp_inf"),
        unfit=lambda options: SQUARES,
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative},
        flags=("decoupled", "maximize"),
        variant=lambda options: "adamax",
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
        decoupled: bool = False,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)


class RAdam(Optimizer):
    """RAdam over a list or dict of arrays, each step one call and one pass over memory.

    With m = `exp_avg` and v = `exp_avg_sq`, both initially 0:

        m = beta1 m + (1 - beta1) d
        v = beta2 v + (1 - beta2) d^2
        r = 2/(1 - beta2) - 1
        rho = r - 2 n beta2^n/(1 - beta2^n)
        gain = sqrt((rho - 4)(rho - 2) r / ((r - 4)(r - 2) rho))
        p = p - lr (gain m/(1 - beta1^n) sqrt(1 - beta2^n) / (sqrt(v) + eps) + pull p)       if rho > 5
        p = p - lr (m/(1 - beta1^n) + pull p)                                                otherwise


    where d is the gradient, with weight_decay p added unless `decoupled`, n the number of this update of the array, and
    pull = weight_decay if `decoupled`, else 0.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps: numbers >= 0, or schedules.
        beta1, beta2: 0 <= x < 1, or schedules.
        decoupled: decoupled weight decay; False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.RAdam(params, lr=0.25)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.875, 3.   ])

    Source:
        Liu et al., arXiv 1908.03265; torch.optim.RAdam.
    """

    _rule = RuleOptions(
        states=("exp_avg", "exp_avg_sq"),
        unfit=lambda options: SQUARES,
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative},
        flags=("decoupled", "maximize"),
        variant=lambda options: "radam",
        cautious=CAUTIOUS,
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-3,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.999,
        eps: Hyper = 1e-8,
        weight_decay: Hyper = 0.0,
        decoupled: bool = False,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)


class LaProp(Optimizer):
    """LaProp over a list or dict of arrays, each step one call and one pass over memory.

    With m = `exp_avg` and v = `exp_avg_sq`, both initially 0:

        v = beta2 v + (1 - beta2) d^2
        m = beta1 m + (1 - beta1) d / (sqrt(v/(1 - beta2^n)) + eps)
        p = p - lr (m/(1 - beta1^n) + pull p)


    where d is the gradient, with weight_decay p added unless `decoupled`, n the number of this update of the array, and
    pull = weight_decay if `decoupled`, else 0.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps: numbers >= 0, or schedules.
        beta1, beta2: 0 <= x < 1, or schedules.
        amsgrad: divide by the largest average of squares so far, which is a state of its own, `max_exp_avg_sq`.
        decoupled: decoupled weight decay; False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.LaProp(params, lr=0.25, eps=0.0)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.75, 2.25])

    Source:
        Ziyin, Wang and Ueda, arXiv 2002.04839. The authors' code averages lr times the quotient, which is the same while lr
        does not change.
    """

    _rule = RuleOptions(
        states=("exp_avg", "exp_avg_sq", "max_exp_avg_sq"),
        unfit=lambda options: SQUARES,
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative},
        flags=("amsgrad", "decoupled", "maximize"),
        variant=lambda options: "laprop_amsgrad" if options["amsgrad"] else "laprop",
        kept=lambda options: ("exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if options["amsgrad"] else [])),
        cautious=CAUTIOUS,
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 4e-4,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.999,
        eps: Hyper = 1e-15,
        weight_decay: Hyper = 0.0,
        amsgrad: bool = False,
        decoupled: bool = True,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)


class ADOPT(Optimizer):
    """ADOPT over a list or dict of arrays, each step one call and one pass over memory.

    With m = `exp_avg` and v = `exp_avg_sq`, both initially 0. The first update of an array only sets v = d^2; after it:

        q = d / max(sqrt(v), eps), then between -(n - 1)^(1/4) and (n - 1)^(1/4)
        m = beta1 m + (1 - beta1) q
        p = p - lr (m + pull p)
        v = beta2 v + (1 - beta2) d^2


    where d is the gradient, with weight_decay p added unless `decoupled`, n the number of this update of the array, and
    pull = weight_decay if `decoupled`, else 0.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay, eps: numbers >= 0, or schedules.
        beta1, beta2: 0 <= x < 1, or schedules.
        decoupled: decoupled weight decay; False adds weight_decay p to the gradient.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> opt = lk.ADOPT(params, lr=0.25)
        >>> opt.step([np.array([0.5, -4.0])])
        >>> params[0]
        array([1., 2.])

    Source:
        Taniguchi et al., arXiv 2411.02853, with the clipping of the authors' package.
    """

    _rule = RuleOptions(
        states=("exp_avg", "exp_avg_sq"),
        unfit=lambda options: SQUARES,
        hypers={**BASICS, "beta1": fraction, "beta2": fraction, "eps": nonnegative},
        flags=("decoupled", "maximize"),
        variant=lambda options: "adopt",
        cautious=CAUTIOUS,
    )

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-3,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.9999,
        eps: Hyper = 1e-6,
        weight_decay: Hyper = 0.0,
        decoupled: bool = False,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

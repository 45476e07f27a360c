"""Optimizers with momentum: SGD and Lion."""

from __future__ import annotations

from typing import Any, Unpack

from lrkern import _checks
from lrkern.optimizers.base import Arrays, Hyper, Optimizer, Shared, step_once
from lrkern.optimizers.options import (
    BASICS,
    CAUTIOUS,
    GROKFAST,
    OFF,
    Options,
    RuleOptions,
    check_caution,
    fraction,
    is_on,
    nonnegative,
    own_options,
)
from lrkern.rules.parts import averaged, cautioned, coupled, pull_of, pulled_along
from lrkern.rules.rule import own_rule
from lrkern.rules.words import fma, n, sign

__all__ = ["SGD", "Lion", "lion_step", "sgd_step"]


_PLAIN = {"cautious": False, "cautious_decay": False, "grokfast": False}


@own_rule(
    "momentum_buffer",
    "grad_ema",
    variants={
        "sgd": {"with_momentum": False, **_PLAIN},
        "sgd_momentum": {"with_momentum": True, **_PLAIN},
        "sgd_momentum_cautious": {"with_momentum": True, **_PLAIN, "cautious": True},
        # These also for momentum, which is one of their flags.
        "sgd_cautious_decay": {**_PLAIN, "cautious_decay": True},
        "sgd_grokfast": {"cautious": False, "grokfast": True},
        "sgd_grokfast_cautious": {"with_momentum": True, "cautious": True, "cautious_decay": False, "grokfast": True},
    },
    rare=["sgd_momentum_cautious", "sgd_cautious_decay", "sgd_grokfast", "sgd_grokfast_cautious"],
    slim=["sgd_momentum_cautious", "sgd_cautious_decay", "sgd_grokfast", "sgd_grokfast_cautious"],
    belonging={"grokfast": ("grokfast_alpha", "grokfast_lamb")},
    optional=["momentum_buffer"],
    fast=["decay_is_0 inner_is_0", "inner_is_0", "decay_is_0 inner_is_0 nesterov", "inner_is_0 nesterov"],
)
def sgd(  # type: ignore[no-untyped-def]
    p,
    g,
    buffer,
    grad_ema,
    *,
    lr,
    weight_decay=0.0,
    decoupled=False,
    maximize=False,
    momentum=0.0,
    dampening=0.0,
    nesterov=False,
    lr_inside=False,
    zero_start=False,
    with_momentum=True,
    cautious=False,
    cautious_decay=False,
    grokfast=False,
    grokfast_alpha=0.98,
    grokfast_lamb=0.0,
):
    """SGD; lr_inside: the buffer contains lr; zero_start: it starts at 0, not with the gradient."""
    h = averaged(g, grad_ema, grokfast_alpha, n)
    d = coupled(p, fma(grokfast_lamb, h, g) if grokfast else g, weight_decay, decoupled, maximize)
    pull = pull_of(lr, weight_decay, decoupled)
    fresh = lr if lr_inside else 1 - dampening
    is_first = not zero_start and n == 1
    x = fresh * d
    b = d if is_first else fma(momentum, buffer, x)
    v = fma(momentum, b, x) if nesterov else b
    out = (1 if lr_inside else lr) if with_momentum else lr
    inner = lr * pull if lr_inside and with_momentum else pull
    u = pulled_along(p, cautioned(v if with_momentum else d, d, cautious), inner, cautious_decay)
    return fma(-out, u, p), b if with_momentum else buffer, h if grokfast else grad_ema


def _check_sgd(where: str, options: Options) -> None:
    momentum, dampening = options["momentum"], options["dampening"]
    if options["nesterov"] and (not is_on(momentum) or is_on(dampening)):
        raise ValueError(
            f"{where}: nesterov needs momentum > 0 and dampening = 0; got momentum={momentum}, dampening={dampening}"
        )
    if options["convention"] == "keras" and is_on(dampening):
        raise ValueError(f"{where}: convention 'keras' needs dampening = 0; got {dampening}")
    check_caution(where, options)


def _variant_of_sgd(options: Options) -> str:
    if is_on(options["grokfast_lamb"]):
        return "sgd_grokfast"
    return "sgd_momentum" if is_on(options["momentum"]) and options["cautious"] != "decay" else "sgd"


_SGD = RuleOptions(
    states=("momentum_buffer", "grad_ema"),
    hypers={**BASICS, "momentum": nonnegative, "dampening": nonnegative, **GROKFAST},
    flags=("nesterov", "decoupled", "maximize"),
    conventions={
        "torch": {"lr_inside": 0.0, "zero_start": 0.0},
        "zero-init": {"lr_inside": 0.0, "zero_start": 1.0},
        "keras": {"lr_inside": 1.0, "zero_start": 1.0},
    },
    derived=lambda options: {"with_momentum": float(is_on(options["momentum"]))},
    variant=_variant_of_sgd,
    kept=lambda options: (
        *(["momentum_buffer"] if is_on(options["momentum"]) else []),
        *(["grad_ema"] if is_on(options["grokfast_lamb"]) else []),
    ),
    check=_check_sgd,
    cautious=CAUTIOUS,
)


def sgd_step(
    param: Any,
    grad: Any,
    momentum_buffer: Any = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
    convention: str = "torch",
    first: bool = False,
    backend: str | None = None,
) -> None:
    """One step of stochastic gradient descent on one array, in place.

    With p = `param`, b = `momentum_buffer` and g = `grad`:

        g = -grad                                    if maximize
        g = g + weight_decay p                       if weight_decay != 0 and not decoupled
        p = p (1 - lr weight_decay)                  if decoupled
        b = g                                        if first, else
        b = momentum b + (1 - dampening) g
        d = g + momentum b if nesterov else b        (d = g if momentum == 0)
        p = p - lr d

    Args:
        param: float64, float32, bfloat16 or float16, of any shape, contiguous (axes in any order) and writable; updated.
        grad: an array with the shape and memory order of `param`; only read.
        momentum_buffer: an array with the shape and memory order of `param`; updated. Needed and used only if
            `momentum` > 0.
        lr: learning rate, >= 0.
        momentum: >= 0.
        dampening: >= 0. Not applied at the first step.
        nesterov: Nesterov's form of momentum; needs `momentum` > 0 and `dampening` = 0.
        weight_decay: >= 0. If it is 0, the term is omitted.
        decoupled: shrink `param` by the weight decay instead of adding it to the gradient (SGDW).
        maximize: ascend the gradient instead of descending it.
        convention: "torch"; "zero-init", where b starts at 0 and the first step is like all others; or "keras", where
            b = momentum b + lr g, p = p - b (without Nesterov), so that a change of lr does not affect past gradients in b.
        first: this is the first step: with convention "torch" `momentum_buffer` is overwritten by the gradient.
        backend: "c", "numba" or "cuda", all bit-identical; None means "cuda" for arrays on a device, else "c".

    Raises:
        TypeError: an argument has the wrong type (another dtype or byte order, a string for a number); nothing has been
            written.
        ValueError: a value is out of range; an array has another shape, is read-only or not contiguous; arrays share
            memory. Nothing has been written.
        ImportError, RuntimeError: the backend cannot be used here; the message says why. See `lrkern.info`.

    Accuracy:
        Each sum of a product above is one fused multiply-add, rounded once; each other operation is rounded once:
        g = fma(weight_decay, p, g), b = fma(momentum, b, (1 - dampening) g), d = fma(momentum, b, g),
        p = fma(-lr, d, p (1 - lr weight_decay)). The computation is in float64 for float64 parameters, else in float32;
        scalars are computed in float64 and rounded once. Results are bit-identical on every machine, for any number of
        threads, size and alignment. (The sign and payload of NaNs are not specified.)

    Example:
        >>> import numpy as np, lrkern as lk
        >>> p, g, b = np.array([1.0, 2.0]), np.array([0.5, -0.5]), np.zeros(2)
        >>> lk.sgd_step(p, g, b, lr=0.5, momentum=0.5, first=True)
        >>> lk.sgd_step(p, g, b, lr=0.5, momentum=0.5)
        >>> p, b
        (array([0.375, 2.625]), array([ 0.75, -0.75]))

    Source:
        The convention of torch.optim.SGD; `decoupled` after Loshchilov and Hutter, arXiv 1711.05101. torch rounds the
        product with lr before subtracting; apart from such rounding differences the values agree.
    """
    where = "sgd_step"
    first = _checks.flag(where, "first", first)
    options = {
        "lr": lr,
        "weight_decay": weight_decay,
        "momentum": momentum,
        "dampening": dampening,
        "nesterov": nesterov,
        "decoupled": decoupled,
        "maximize": maximize,
        "convention": convention,
        **OFF,
    }
    step_once(
        where,
        _SGD,
        param,
        grad,
        {"momentum_buffer": momentum_buffer},
        0 if first else 1,
        options,
        backend,
        " if momentum > 0",
    )


class SGD(Optimizer):
    """Stochastic gradient descent over a list or dict of arrays, each step one call and one pass over memory.

    Each array is updated by the formula of `sgd_step`; the optimizer owns the momentum buffers.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr: learning rate >= 0; or a schedule, evaluated at `count` in each step; or an array with one rate per row of the
            parameters, to train many models at once.
        momentum, dampening, weight_decay: numbers >= 0, or schedules. The number 0 omits the term; a schedule keeps it
            even while its value is 0.
        nesterov, decoupled, maximize, convention: as in `sgd_step`.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085), which needs `momentum`; "decay": decoupled weight decay only where it has the
            direction's sign (arXiv 2510.12402).
        grokfast_lamb: a number >= 0, or a schedule: how much of the average of gradients h = `grad_ema` is added to each
            gradient, g + grokfast_lamb h (Grokfast, arXiv 2405.20233). The number 0 keeps no average.
        grokfast_alpha: h = grokfast_alpha h + (1 - grokfast_alpha) g, 0 <= grokfast_alpha < 1, or a schedule; h = g at the
            first update.
        shared: see `Optimizer`.

    Raises:
        TypeError, ValueError: as for `sgd_step`, here and at each step; also if gradients are not structured like
            `params`. Nothing has been written and `count` is unchanged.

    Accuracy:
        As for `sgd_step`; the bits do not depend on how arrays are grouped.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = {"w": np.ones((2, 2)), "b": np.zeros(2)}
        >>> opt = lk.SGD(params, lr=0.5, momentum=0.5)
        >>> opt.step({"w": np.full((2, 2), 0.5), "b": np.ones(2)})
        >>> opt.count, params["b"]
        (1, array([-0.5, -0.5]))

    Source:
        torch.optim.SGD. As there, a parameter whose gradient is None is not updated, and its buffer starts with its
        first gradient.
    """

    _rule = _SGD

    def __init__(
        self,
        params: Arrays,
        lr: Hyper,
        *,
        momentum: Hyper = 0.0,
        dampening: Hyper = 0.0,
        nesterov: bool = False,
        weight_decay: Hyper = 0.0,
        decoupled: bool = False,
        maximize: bool = False,
        convention: str = "torch",
        cautious: bool | str = False,
        grokfast_alpha: Hyper = 0.98,
        grokfast_lamb: Hyper = 0.0,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

    @property
    def momentum_buffers(self) -> Any:
        """The momentum buffers (no copies), structured like `params`; None without momentum."""
        return self._arrays_of("momentum_buffer")


@own_rule("exp_avg", fast=["decay_is_0 pull_is_0", "decay_is_0"])
def lion(  # type: ignore[no-untyped-def]
    p, g, exp_avg, *, lr, weight_decay=0.0, decoupled=False, maximize=False, beta1=0.9, beta2=0.99, cautious=False,
    cautious_decay=False,
):  # fmt: skip
    """Lion."""
    d = coupled(p, g, weight_decay, decoupled, maximize)
    u = sign(fma(beta1, exp_avg, (1 - beta1) * d))
    pull = pull_of(lr, weight_decay, decoupled)
    m = fma(beta2, exp_avg, (1 - beta2) * d)
    return fma(-lr, pulled_along(p, cautioned(u, d, cautious), pull, cautious_decay), p), m


_LION = RuleOptions(
    states=("exp_avg",),
    hypers={**BASICS, "beta1": fraction, "beta2": fraction},
    flags=("maximize",),
    fixed={"decoupled": 1.0},
    variant=lambda options: "lion",
    cautious=CAUTIOUS,
)


def lion_step(
    param: Any,
    grad: Any,
    exp_avg: Any,
    *,
    lr: float = 1e-4,
    beta1: float = 0.9,
    beta2: float = 0.99,
    weight_decay: float = 0.0,
    maximize: bool = False,
    backend: str | None = None,
) -> None:
    """One step of Lion on one array, in place.

    With p = `param`, g = `grad`, m = `exp_avg`:

        g = -g                                              if maximize
        p = (1 - lr weight_decay) p - lr sign(beta1 m + (1 - beta1) g)
        m = beta2 m + (1 - beta2) g

    Args:
        param, grad, exp_avg: as in `adam_step`.
        lr, weight_decay: numbers >= 0.
        beta1, beta2: 0 <= beta < 1.
        maximize: ascend the gradient instead of descending it.
        backend: "c", "numba" or "cuda", all bit-identical; None means "cuda" for arrays on a device, else "c".

    Raises:
        TypeError, ValueError, ImportError, RuntimeError: as for `sgd_step`.

    Accuracy:
        Specified to the last bit in the documentation ("Steps").

    Example:
        >>> import numpy as np, lrkern as lk
        >>> p, m = np.array([1.0, 2.0]), np.zeros(2)
        >>> lk.lion_step(p, np.array([0.5, -4.0]), m, lr=0.25)
        >>> p
        array([0.75, 2.25])

    Source:
        Chen et al., arXiv 2302.06675; optax.lion.
    """
    options = {"lr": lr, "weight_decay": weight_decay, "beta1": beta1, "beta2": beta2, "maximize": maximize, "cautious": False}
    step_once("lion_step", _LION, param, grad, {"exp_avg": exp_avg}, 0, options, backend)


class Lion(Optimizer):
    """Lion over a list or dict of arrays, each step one call and one pass over memory.

    Each array is updated by the formula of `lion_step`.

    Args:
        params: a list, tuple or dict of arrays, or a list of groups; see `Optimizer`.
        lr, weight_decay: numbers >= 0, or schedules.
        beta1, beta2: 0 <= beta < 1, or schedules.
        maximize: ascend the gradient instead of descending it.
        cautious: False; "update": elements whose direction and gradient differ in sign do not move, and the others move further
            by so much (arXiv 2411.16085); "decay": decoupled weight decay only where it has the direction's sign
            (arXiv 2510.12402).
        shared: see `Optimizer`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [np.array([1.0, 2.0])]
        >>> lk.Lion(params, lr=0.25).step([np.array([0.5, -4.0])])
        >>> params[0]
        array([0.75, 2.25])

    Source:
        Chen et al., arXiv 2302.06675; optax.lion.
    """

    _rule = _LION

    def __init__(
        self,
        params: Arrays,
        lr: Hyper = 1e-4,
        *,
        beta1: Hyper = 0.9,
        beta2: Hyper = 0.99,
        weight_decay: Hyper = 0.0,
        maximize: bool = False,
        cautious: bool | str = False,
        **shared: Unpack[Shared],
    ) -> None:
        super().__init__(params, own_options(locals()), shared)

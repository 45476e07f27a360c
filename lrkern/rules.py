"""The rules of the optimizers, one element at a time: one text for Numba and CUDA, the twin of src_c/steps/rules.def.

docs/steps.md ("Rules", "Words") defines what is computed here. A family of rules has

- `...Inputs`: what a step is given, all float64, in the order of rules.def (0.0 or 1.0 for a flag);
- `..._scalars(inputs, n, norm_p, norm_m)`: its `...Scalars`, float64, computed once per step; n is the number of this update,
  from 1; the norms are those of `..._measured`, and 1.0 where the family measures nothing;
- `..._update(c, p, g, s0, s1, s2)`: the new (p, s0, s1, s2). `c` are the scalars in T, by `_jit.rounded`; all others are
  numbers in T: the parameter, the gradient (scaled and clipped already), the states in the order of rules.def, and any number
  for a state that is not kept;
- `..._measured(c, p, g, s0, s1, s2)`, in LARS and LAMB: what a norm is taken of.

`FAMILIES` names them all. Compiled code may also call them by the type of their first argument: as `scalars`, `update` and
`measured`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from numba.extending import overload

from lrkern.pointwise.primitives import FLAGS, fma, number, pointwise, product, sqrt

LARGEST = 2.0**128 - 2.0**104


@pointwise
def one_minus_power(base, n):
    """1 - base^n, from the exact power but for about 2^-90 of it: by squaring in double-double arithmetic."""
    power, power_low, square, square_low = 1.0, 0.0, base, 0.0
    while True:
        if n & 1:
            high = product(power, square)
            low = fma(power, square, -high) + (product(power, square_low) + product(power_low, square))
            power = high + low
            power_low = low - (power - high)
        n >>= 1
        if n == 0:
            break
        high = product(square, square)
        low = fma(square, square, -high) + product(2.0, product(square, square_low))
        square = high + low
        square_low = low - (square - high)
    gap = 1.0 - power
    return gap + (((1.0 - gap) - power) - power_low)


@pointwise
def at_most_largest(quotient):
    """A quotient of norms, or the largest float32 where it is beyond that: tiny gradients then stay finite."""
    return LARGEST if quotient > LARGEST else quotient


@pointwise
def common_scalars(h):
    """(sign, decay, pull), the first scalars of all families; `pull` for steps of lr."""
    sign = -1.0 if h.maximize != 0.0 else 1.0
    decay = 0.0 if h.decoupled != 0.0 else h.weight_decay
    pull = h.weight_decay if h.decoupled != 0.0 and h.lr != 0.0 else 0.0
    return sign, decay, pull


@pointwise
def decayed(c, p, g):
    """The gradient d, with L2 weight decay in it."""
    d = c.sign * g
    return d if c.decay == 0 else fma(c.decay, p, d)


@pointwise
def joined(c, x, p):
    """A direction with decoupled weight decay in it, for what it is decay of."""
    return x if c.pull == 0 else fma(c.pull, p, x)


# ----------------------------------------------------------------------------------------------------------------- SGD


class SGDInputs(NamedTuple):
    """`with_momentum`: the rule sgd_momentum; lr_inside: the buffer holds steps; zero_start: it begins at 0."""

    lr: float
    weight_decay: float
    decoupled: float
    maximize: float
    momentum: float
    dampening: float
    nesterov: float
    lr_inside: float
    zero_start: float
    with_momentum: float


class SGDScalars(NamedTuple):
    """See docs/steps.md."""

    sign: float
    decay: float
    pull: float
    momentum: float
    nesterov: float
    fresh: float
    out: float
    start: float
    with_momentum: float


@pointwise
def sgd_scalars(h, n, norm_p, norm_m):
    """Scalars of SGD."""
    sign, decay, pull = common_scalars(h)
    inside = h.lr_inside != 0.0 and h.with_momentum != 0.0
    fresh = h.lr if inside else 1.0 - h.dampening
    out = 1.0 if inside else h.lr
    start = 1.0 if h.zero_start == 0.0 and n == 1 else 0.0
    pull = h.lr * pull if inside else pull
    return SGDScalars(sign, decay, pull, h.momentum, h.nesterov, fresh, out, start, h.with_momentum)


@pointwise
def sgd_update(c, p, g, s0, s1, s2):
    """SGD, with and without momentum."""
    d = decayed(c, p, g)
    x = c.fresh * d
    b = d if c.start != 0 else fma(c.momentum, s0, x)
    v = fma(c.momentum, b, x) if c.nesterov != 0 else b
    v = v if c.with_momentum != 0 else d
    return fma(-c.out, joined(c, v, p), p), b, s1, s2


# -------------------------------------------------------------------------------------------------------- Adam, AdamW


class AdamInputs(NamedTuple):
    """eps_hat: eps is added before the bias correction."""

    lr: float
    weight_decay: float
    decoupled: float
    maximize: float
    beta1: float
    beta2: float
    eps: float
    amsgrad: float
    eps_inside: float
    eps_hat: float
    decay_after: float


class AdamScalars(NamedTuple):
    """See docs/steps.md."""

    sign: float
    decay: float
    pull: float
    beta1: float
    w1: float
    beta2: float
    w2: float
    eps: float
    amsgrad: float
    eps_inside: float
    decay_after: float
    step: float
    root: float
    inverse: float


@pointwise
def adam_scalars(h, n, norm_p, norm_m):
    """Scalars of Adam and AdamW."""
    sign, decay, pull = common_scalars(h)
    c1, c2 = one_minus_power(h.beta1, n), one_minus_power(h.beta2, n)
    before = h.eps_hat != 0.0
    step = h.lr * sqrt(c2) / c1 if before else h.lr / c1
    root = 1.0 if before else 1.0 / sqrt(c2)
    inverse = 1.0 if before else 1.0 / c2
    pull = pull * c1 / sqrt(c2) if before else pull * c1
    return AdamScalars(
        sign, decay, pull, h.beta1, 1.0 - h.beta1, h.beta2, 1.0 - h.beta2, h.eps, h.amsgrad, h.eps_inside, h.decay_after,
        step, root, inverse,
    )  # fmt: skip


@pointwise
def adam_update(c, p, g, s0, s1, s2):
    """Adam, AdamW, and AMSGrad, whose s2 is the largest average of squares."""
    d = decayed(c, p, g)
    m = fma(c.beta1, s0, c.w1 * d)
    v = fma(c.w2 * d, d, c.beta2 * s1)
    largest = s2 if v <= s2 else v
    y = largest if c.amsgrad != 0 else v
    root = sqrt(fma(y, c.inverse, c.eps) if c.eps_inside != 0 else y)
    q = m / (root if c.eps_inside != 0 else fma(root, c.root, c.eps))
    decays = fma(-c.step, q, p) if c.decay_after != 0 else p
    return fma(-c.step, joined(c, q, decays), p), m, v, largest


# ---------------------------------------------------------------------------------------------------------------- Lion


class LionInputs(NamedTuple):
    """See docs/steps.md."""

    lr: float
    weight_decay: float
    decoupled: float
    maximize: float
    beta1: float
    beta2: float


class LionScalars(NamedTuple):
    """See docs/steps.md."""

    sign: float
    decay: float
    pull: float
    lr: float
    beta1: float
    w1: float
    beta2: float
    w2: float


@pointwise
def lion_scalars(h, n, norm_p, norm_m):
    """Scalars of Lion."""
    sign, decay, pull = common_scalars(h)
    return LionScalars(sign, decay, pull, h.lr, h.beta1, 1.0 - h.beta1, h.beta2, 1.0 - h.beta2)


@pointwise
def lion_update(c, p, g, s0, s1, s2):
    """Lion."""
    d = decayed(c, p, g)
    u = fma(c.beta1, s0, c.w1 * d)
    m = fma(c.beta2, s0, c.w2 * d)
    sign = number(1.0, u) if u > 0 else number(-1.0, u) if u < 0 else u
    return fma(-c.lr, joined(c, sign, p), p), m, s1, s2


# ------------------------------------------------------------------------------------------------------------- RMSprop


class RMSpropInputs(NamedTuple):
    """lr_inside: the momentum buffer holds steps."""

    lr: float
    weight_decay: float
    decoupled: float
    maximize: float
    alpha: float
    eps: float
    momentum: float
    with_momentum: float
    centered: float
    eps_inside: float
    lr_inside: float


class RMSpropScalars(NamedTuple):
    """See docs/steps.md."""

    sign: float
    decay: float
    pull: float
    alpha: float
    w: float
    eps: float
    momentum: float
    with_momentum: float
    centered: float
    eps_inside: float
    fresh: float
    out: float


@pointwise
def rmsprop_scalars(h, n, norm_p, norm_m):
    """Scalars of RMSprop."""
    sign, decay, pull = common_scalars(h)
    inside = h.lr_inside != 0.0 and h.with_momentum != 0.0
    fresh, out = (h.lr, 1.0) if inside else (1.0, h.lr)
    pull = h.lr * pull if inside else pull
    return RMSpropScalars(
        sign, decay, pull, h.alpha, 1.0 - h.alpha, h.eps, h.momentum, h.with_momentum, h.centered, h.eps_inside, fresh, out
    )


@pointwise
def rmsprop_update(c, p, g, s0, s1, s2):
    """RMSprop: s0 averages squares, s1 gradients, s2 is the momentum buffer."""
    d = decayed(c, p, g)
    v = fma(c.w * d, d, c.alpha * s0)
    a = fma(c.alpha, s1, c.w * d)
    spread = fma(-a, a, v)
    spread = number(0.0, spread) if spread < 0 else spread
    y = spread if c.centered != 0 else v
    root = sqrt(y + c.eps if c.eps_inside != 0 else y)
    q = d / (root if c.eps_inside != 0 else root + c.eps)
    b = fma(c.momentum, s2, c.fresh * q)
    u = b if c.with_momentum != 0 else q
    return fma(-c.out, joined(c, u, p), p), v, a, b


# ------------------------------------------------------------------------------------------------------------- Adagrad


class AdagradInputs(NamedTuple):
    """See docs/steps.md."""

    lr: float
    weight_decay: float
    decoupled: float
    maximize: float
    eps: float
    lr_decay: float
    eps_inside: float


class AdagradScalars(NamedTuple):
    """See docs/steps.md."""

    sign: float
    decay: float
    pull: float
    eps: float
    eps_inside: float
    rate: float


@pointwise
def adagrad_scalars(h, n, norm_p, norm_m):
    """Scalars of Adagrad."""
    sign, decay, pull = common_scalars(h)
    later = 1.0 + product(float(n - 1), h.lr_decay)
    return AdagradScalars(sign, decay, pull * later, h.eps, h.eps_inside, h.lr / later)


@pointwise
def adagrad_update(c, p, g, s0, s1, s2):
    """Adagrad."""
    d = decayed(c, p, g)
    v = fma(d, d, s0)
    root = sqrt(v + c.eps if c.eps_inside != 0 else v)
    q = d / (root if c.eps_inside != 0 else root + c.eps)
    return fma(-c.rate, joined(c, q, p), p), v, s1, s2


# ---------------------------------------------------------------------------------------------------------------- LARS


class LARSInputs(NamedTuple):
    """joint: the norm is that of the gradient with the decay in it; lr_inside: 0 for LARC; unadapted: the ratio is 1."""

    lr: float
    weight_decay: float
    decoupled: float
    maximize: float
    momentum: float
    nesterov: float
    trust: float
    eps: float
    joint: float
    lr_inside: float
    trust_clip: float
    unadapted: float


class LARSScalars(NamedTuple):
    """See docs/steps.md."""

    sign: float
    decay: float
    pull: float
    momentum: float
    nesterov: float
    joint: float
    fresh: float
    out: float
    start: float


@pointwise
def lars_scalars(h, n, norm_p, norm_m):
    """Scalars of LARS."""
    sign, decay, pull = common_scalars(h)
    inside, is_fixed = h.lr_inside != 0.0, h.unadapted != 0.0
    adapts = not (is_fixed or norm_p == 0.0 or norm_m == 0.0)
    below = norm_m if h.joint != 0.0 else norm_m + product(h.weight_decay, norm_p)
    ratio = at_most_largest(h.trust * norm_p / (below + h.eps)) if adapts else 1.0
    if h.trust_clip != 0.0 and adapts:
        ratio = 1.0 if ratio >= h.lr else ratio / h.lr
    decay = decay if adapts or is_fixed or inside else 0.0
    fresh, out = (h.lr * ratio, 1.0) if inside else (ratio, h.lr)
    start = 1.0 if not inside and n == 1 else 0.0
    return LARSScalars(sign, decay, pull, h.momentum, h.nesterov, h.joint, fresh, out, start)


@pointwise
def lars_measured(c, p, g, s0, s1, s2):
    """What LARS takes the norm of."""
    return decayed(c, p, g) if c.joint != 0 else c.sign * g


@pointwise
def lars_update(c, p, g, s0, s1, s2):
    """LARS."""
    x = c.fresh * decayed(c, p, g)
    b = x if c.start != 0 else fma(c.momentum, s0, x)
    v = fma(c.momentum, b, x) if c.nesterov != 0 else b
    return fma(-c.out, x if c.momentum == 0 else v, p), b, s1, s2


# ---------------------------------------------------------------------------------------------------------------- LAMB


class LAMBInputs(NamedTuple):
    """pull: the weight decay, which is a part of the direction here; unadapted: the ratio of norms is 1."""

    lr: float
    weight_decay: float
    decoupled: float
    maximize: float
    beta1: float
    beta2: float
    eps: float
    pull: float
    bias_correction: float
    unadapted: float


class LAMBScalars(NamedTuple):
    """See docs/steps.md."""

    sign: float
    decay: float
    pull: float
    beta1: float
    w1: float
    beta2: float
    w2: float
    eps: float
    root: float
    inverse: float
    step: float


@pointwise
def lamb_scalars(h, n, norm_p, norm_m):
    """Scalars of LAMB."""
    sign, decay, _ = common_scalars(h)
    corrects = h.bias_correction != 0.0
    root = 1.0 / sqrt(one_minus_power(h.beta2, n)) if corrects else 1.0
    inverse = 1.0 / one_minus_power(h.beta1, n) if corrects else 1.0
    adapts = not (h.unadapted != 0.0 or norm_p == 0.0 or norm_m == 0.0)
    step = at_most_largest(h.lr * norm_p / norm_m) if adapts else h.lr
    return LAMBScalars(sign, decay, h.pull, h.beta1, 1.0 - h.beta1, h.beta2, 1.0 - h.beta2, h.eps, root, inverse, step)


@pointwise
def lamb_direction(c, p, g, s0, s1):
    """(u, m, v)"""
    d = decayed(c, p, g)
    m = fma(c.beta1, s0, c.w1 * d)
    v = fma(c.w2 * d, d, c.beta2 * s1)
    u = c.inverse * (m / fma(sqrt(v), c.root, c.eps))
    return joined(c, u, p), m, v


@pointwise
def lamb_measured(c, p, g, s0, s1, s2):
    """What LAMB takes the norm of."""
    u, _, _ = lamb_direction(c, p, g, s0, s1)
    return u


@pointwise
def lamb_update(c, p, g, s0, s1, s2):
    """LAMB."""
    u, m, v = lamb_direction(c, p, g, s0, s1)
    return fma(-c.step, u, p), m, v, s2


# ------------------------------------------------------------------------------------------------------------ families


@dataclass(frozen=True)
class Family:
    """Rules of rules.def that share their text here."""

    inputs: type[Any]
    scalars: Callable[..., Any]
    scalars_type: type[Any]
    update: Callable[..., Any]
    measured: Callable[..., Any] | None = None


FAMILIES = {
    "sgd": Family(SGDInputs, sgd_scalars, SGDScalars, sgd_update),
    "sgd_momentum": Family(SGDInputs, sgd_scalars, SGDScalars, sgd_update),
    "adam": Family(AdamInputs, adam_scalars, AdamScalars, adam_update),
    "amsgrad": Family(AdamInputs, adam_scalars, AdamScalars, adam_update),
    "lion": Family(LionInputs, lion_scalars, LionScalars, lion_update),
    "rmsprop": Family(RMSpropInputs, rmsprop_scalars, RMSpropScalars, rmsprop_update),
    "adagrad": Family(AdagradInputs, adagrad_scalars, AdagradScalars, adagrad_update),
    "lars": Family(LARSInputs, lars_scalars, LARSScalars, lars_update, lars_measured),
    "lamb": Family(LAMBInputs, lamb_scalars, LAMBScalars, lamb_update, lamb_measured),
}
"""By the names in rules.def (`_core.RULES`)."""

_BY_INPUTS = {family.inputs: family for family in FAMILIES.values()}
_BY_SCALARS = {family.scalars_type: family for family in FAMILIES.values()}


def scalars(h, n, norm_p, norm_m):
    """The scalars of the family whose inputs `h` are: for compiled code only."""
    raise NotImplementedError


def update(c, p, g, s0, s1, s2):
    """One element by the rule whose scalars `c` are: for compiled code only."""
    raise NotImplementedError


def measured(c, p, g, s0, s1, s2):
    """What the norm is taken of by the rule whose scalars `c` are: for compiled code only."""
    raise NotImplementedError


@overload(scalars, target="cpu", jit_options=FLAGS)
def _scalars(h, n, norm_p, norm_m):
    function = _BY_INPUTS[h.instance_class].scalars
    return lambda h, n, norm_p, norm_m: function(h, n, norm_p, norm_m)


@overload(update, target="cpu", jit_options=FLAGS)
def _update(c, p, g, s0, s1, s2):
    function = _BY_SCALARS[c.instance_class].update
    return lambda c, p, g, s0, s1, s2: function(c, p, g, s0, s1, s2)


@overload(measured, target="cpu", jit_options=FLAGS)
def _measured(c, p, g, s0, s1, s2):
    function = _BY_SCALARS[c.instance_class].measured
    return None if function is None else lambda c, p, g, s0, s1, s2: function(c, p, g, s0, s1, s2)

"""Parts that rules share: weight decay, coupled to the gradient or decoupled from it."""

from __future__ import annotations

from typing import Any

from lrkern.rules.rule import part
from lrkern.rules.words import fma, maximum, mean


@part
def ascended(g: Any, maximize: Any) -> Any:
    """The gradient, negated if the step ascends it."""
    sign = -1 if maximize else 1
    return sign * g


@part
def averaged(g: Any, grad_ema: Any, alpha: Any, count: Any) -> Any:
    """Grokfast's average of gradients, which begins with the first one."""
    kept = 0 if count == 1 else alpha
    return fma(kept, grad_ema, (1 - kept) * g)


@part
def decayed(p: Any, g: Any, decay: Any) -> Any:
    """The gradient with L2 weight decay."""
    return g if decay == 0 else fma(decay, p, g)


@part
def coupled(p: Any, g: Any, weight_decay: Any, decoupled: Any, maximize: Any) -> Any:
    """The gradient that a rule sees: negated if the step ascends it, with weight decay unless that is decoupled."""
    decay = 0 if decoupled else weight_decay
    return decayed(p, ascended(g, maximize), decay)


@part
def pull_of(lr: Any, weight_decay: Any, decoupled: Any) -> Any:
    """Decoupled weight decay as a part of the direction, for steps of size lr."""
    return weight_decay if decoupled and lr != 0 else 0


@part
def pulled(p: Any, x: Any, pull: Any) -> Any:
    """A direction with the decoupled weight decay of p."""
    return x if pull == 0 else fma(pull, p, x)


@part
def cautioned(x: Any, d: Any, cautious: Any) -> Any:
    """A direction; if it is cautious, 0 where its sign is not that of the gradient, and larger by so much elsewhere."""
    agrees = x * d > 0
    gain = 1 / maximum(mean(agrees), 0.001)
    return (x * gain if agrees else 0) if cautious else x


@part
def pulled_along(p: Any, x: Any, pull: Any, cautious_decay: Any) -> Any:
    """A direction with the decoupled weight decay of p; if that is cautious, only where x and p have the same sign."""
    return (pulled(p, x, pull) if x * p >= 0 else x) if cautious_decay else pulled(p, x, pull)

"""Parts that rules share: weight decay, coupled to the gradient or decoupled from it."""

from __future__ import annotations

from typing import Any

from lrkern.rules.rule import part
from lrkern.rules.words import fma


@part
def ascended(g: Any, maximize: Any) -> Any:
    """The gradient, negated if the step ascends it."""
    sign = -1 if maximize else 1
    return sign * g


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

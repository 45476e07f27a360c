"""Transformations as functions with a signature of their own, for `optax.inject_hyperparams`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from lrkern import _checks
from lrkern.jax._transform import transform
from lrkern.optimizers.base import DEFAULTS, Optimizer
from lrkern.rules.rule import Rule


class _Default:
    """The default of an option. It is no number, so that optax injects only what is given."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)


def _options(rule: type[Optimizer] | Rule) -> dict[str, Any]:
    """The options of a class, or the hyper-parameters of a rule, with their defaults."""
    if isinstance(rule, type) and issubclass(rule, Optimizer) and rule is not Optimizer:
        _, *own = inspect.signature(rule).parameters.values()
        return {one.name: one.default for one in own if one.name not in DEFAULTS}
    if isinstance(rule, Rule):
        return {one.name: one.default for one in rule.hypers}
    wanted = "an optimizer class of lrkern, such as lrkern.AdamW, or a rule"
    raise TypeError(f"factory: rule must be {wanted}; got {_checks.describe(rule)}")


def factory(rule: type[Optimizer] | Rule) -> Callable[..., Any]:
    """`transform` of one rule, as a function whose arguments are those of the rule: what `optax.inject_hyperparams` takes.

    The hyper-parameters that are given, numbers and schedules of `lrkern.jax.schedule`, then stand in optax' state. The others
    have their defaults, and are no part of it.

    Args:
        rule: a class of lrkern's optimizers, or a rule, as in `transform`.

    Returns:
        A function of the options, by name, or `lr` first; it returns the transformation.

    Raises:
        TypeError: it is no rule.

    Example:
        >>> import jax.numpy as jnp, optax, lrkern as lk, lrkern.jax
        >>> lion = optax.inject_hyperparams(lrkern.jax.factory(lk.Lion))
        >>> tx = lion(lrkern.jax.schedule(lk.linear(0.5, 0.0, 4)), weight_decay=0.25)
        >>> {name: float(value) for name, value in tx.init(jnp.ones(2)).hyperparams.items()}
        {'weight_decay': 0.25, 'lr': 0.5}
    """
    options = _options(rule)
    empty, first = inspect.Parameter.empty, inspect.Parameter.POSITIONAL_OR_KEYWORD
    # Those that are needed come first, as in every signature.
    names = sorted(options, key=lambda name: (name != "lr", options[name] is not empty))
    parameters = [
        inspect.Parameter(
            name,
            first if name == "lr" else inspect.Parameter.KEYWORD_ONLY,
            default=empty if options[name] is empty else _Default(options[name]),
        )
        for name in names
    ]
    signature = inspect.Signature(parameters)

    def make(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        return transform(rule, **{name: one for name, one in given.items() if not isinstance(one, _Default)})

    make.__name__ = make.__qualname__ = rule.__name__ if isinstance(rule, type) else rule.name
    make.__doc__ = f"`lrkern.jax.transform` of {make.__name__}."
    make.__signature__ = signature  # type: ignore[attr-defined]
    return make

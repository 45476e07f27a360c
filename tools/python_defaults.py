"""The options that the optimizers of Python give their rules in C, as lines for the header."""

from __future__ import annotations

import inspect
from typing import Any
from unittest import mock

import lrkern.optimizers
from lrkern import _core
from lrkern.optimizers.base import Optimizer
from lrkern.rules.rule import REGISTRY, own_rules


def _needed(optimizer: type[Optimizer]) -> list[str]:
    """The hyper-parameters that must be given."""
    every = inspect.signature(optimizer).parameters.values()
    return [one.name for one in every if one.default is one.empty and one.name not in ("params", "shared")]


def default_options(optimizer: type[Optimizer]) -> dict[str, Any]:
    """The options of a rule that an optimizer has without arguments; 0 for those that must be given."""
    noted: dict[str, Any] = {}

    def note(self: Optimizer, params: Any, options: dict[str, Any], shared: dict[str, Any]) -> None:
        noted.update(options)

    with mock.patch.object(Optimizer, "__init__", note):
        optimizer([], **dict.fromkeys(_needed(optimizer), 0.0))
    return noted


def learn_rules() -> None:
    """Let classes make options for rules as they are written: the extension may be older than the formulas."""
    _core.RULES.update({name: tuple(one.name for one in rule.parts(name).hypers) for name, rule in own_rules().items()})


def examples() -> dict[str, list[str]]:
    """The name of a rule -> a line for each optimizer that has it."""
    found: dict[str, list[str]] = {}
    for name, optimizer in sorted(vars(lrkern.optimizers).items()):
        if not (isinstance(optimizer, type) and issubclass(optimizer, Optimizer) and hasattr(optimizer, "_rule")):
            continue
        options = default_options(optimizer)
        form = optimizer._rule.form(name, options)
        values = {member: options[hyper] if hyper else constant for member, hyper, constant in form.inputs}
        shown = ", ".join(f".{member} = {value:.12g}" for member, value in values.items() if value != 0)
        call = f"lrkern.{name}({', '.join(['params', *_needed(optimizer)])})"
        found.setdefault(REGISTRY[form.variant].name, []).append(f"{call}: {{{shown}}}")
    return found

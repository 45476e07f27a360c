"""Rules: the update of one element as a formula, from which the code of every backend is made. The language: docs/rules.md."""

from importlib import import_module
from typing import Any

from lrkern.rules.errors import RuleError
from lrkern.rules.rule import Rule
from lrkern.rules.words import abs, count, fma, isfinite, maximum, mean, minimum, n, norm, sign, sqrt

__all__ = [
    "Rule", "RuleError", "abs", "check", "count", "fma", "isfinite", "maximum", "mean", "minimum", "n", "norm", "sign", "sqrt",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "check":
        return import_module("lrkern.optimizers.rule_check").check  # by name: it lies above
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

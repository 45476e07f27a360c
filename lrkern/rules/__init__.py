"""Rules: the update of one element as a formula, from which the code of every backend is made. The language: docs/rules.md."""

from lrkern.rules.errors import RuleError
from lrkern.rules.rule import Rule
from lrkern.rules.words import abs, fma, isfinite, maximum, minimum, n, norm, sign, sqrt

__all__ = ["Rule", "RuleError", "abs", "fma", "isfinite", "maximum", "minimum", "n", "norm", "sign", "sqrt"]

"""The words of rules: what a rule may call. They have no meaning outside a rule; editors and readers find them here."""

from __future__ import annotations

from typing import Any

__all__ = ["abs", "count", "fma", "isfinite", "maximum", "mean", "minimum", "n", "norm", "sign", "sqrt"]


def _word(name: str, meaning: str) -> Any:
    def word(*arguments: Any) -> Any:
        raise TypeError(f"{name} is a word of rules: it can be called only within a rule")

    word.__name__ = word.__qualname__ = name
    word.__doc__ = meaning
    return word


fma = _word("fma", "fma(a, b, c): a b + c, rounded once.")
sqrt = _word("sqrt", "sqrt(x): the square root, correctly rounded.")
abs = _word("abs", "abs(x): x without its sign.")
sign = _word("sign", "sign(x): 1, -1, or x itself if it is 0 or NaN.")
minimum = _word("minimum", "minimum(a, b): the smaller one; NaN if one of them is.")
maximum = _word("maximum", "maximum(a, b): the larger one; NaN if one of them is.")
isfinite = _word("isfinite", "isfinite(x): whether x is neither infinite nor NaN.")
norm = _word("norm", "norm(x): the root of the sum of squares of all elements of the tensor.")
mean = _word("mean", "mean(x): the mean of all elements of the tensor; of a condition, the fraction of those that fulfil it.")
count = _word("count", "count(condition): how many elements of the tensor fulfil the condition.")
n: Any = None
"""The number of this update of the tensor, from 1."""

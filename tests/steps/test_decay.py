"""Small decoupled weight decay: what parameters lose to it, in every rule and storage that has it."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
import reference_steps as reference
from representative import diagonals

import lrkern as lk

BF16 = np.dtype(ml_dtypes.bfloat16)
LR = 1e-3

# Lion's direction is +-1: where lr stays as it is, each of its steps is rounded like the last one.
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "SGD": ("SGD", {"decoupled": True}),
    "SGD with momentum": ("SGD", {"decoupled": True, "momentum": 0.9}),
    "SGD like Keras": ("SGD", {"decoupled": True, "momentum": 0.5, "convention": "keras"}),
    "AdamW": ("AdamW", {}),
    "AdamW, decay after": ("AdamW", {"decay_after": True}),
    "AdamW like Keras": ("AdamW", {"convention": "keras", "amsgrad": True}),
    "Lion": ("Lion", {"lr": lk.linear(1.5 * LR, 0.5 * LR, 1000)}),
    "RMSprop": ("RMSprop", {"decoupled": True}),
    "RMSprop like Keras": ("RMSprop", {"decoupled": True, "momentum": 0.5, "convention": "keras"}),
    "Adagrad": ("Adagrad", {"decoupled": True, "lr_decay": 1e-3}),
}
STORAGE: dict[str, tuple[Any, dict[str, Any]]] = {
    "float64": (np.float64, {}),
    "float32": (np.float32, {}),
    "split": (BF16, {"rounding": "split"}),
    "stochastic": (BF16, {"rounding": "stochastic", "seed": 3}),
}


def lost(rule: str, storage: str, shrinkage: float, n: int, steps: int) -> float:
    """The loss of all parameters together by decay, relative to their values before; lr weight_decay = `shrinkage`."""
    name, options = RULES[rule]
    dtype, kept = STORAGE[storage]
    rng = np.random.default_rng(5)
    start = rng.uniform(0.5, 4.0, n).astype(BF16).astype(np.float64)
    grads = rng.standard_normal((16, n), np.float32)
    found = []
    for decay in (0.0, shrinkage / LR):
        p = start.astype(dtype)
        opt = getattr(lk, name)([p], **{"lr": LR, **options, "weight_decay": decay}, **kept)
        for step in range(steps):
            opt.step([grads[step % 16]])
        rest = opt.state_dict()["remainders"]  # the parameter is what the master rounds to
        exact = p.astype(np.float64) if rest is None else reference.joined(p, rest[0]).astype(np.float64)
        found.append(exact)
    return float(np.sum(found[0] - found[1]) / np.sum(start))


@pytest.mark.parametrize("shrinkage", [1e-8, 1e-7, 1e-6, 1e-5, 1e-3])
@pytest.mark.parametrize("storage", ["float32", "split"])
@pytest.mark.parametrize("rule", RULES)
def test_decay_is_not_lost(rule: str, storage: str, shrinkage: float) -> None:
    expected = lost(rule, "float64", shrinkage, 4096, 600)
    assert lost(rule, storage, shrinkage, 4096, 600) == pytest.approx(expected, rel=0.02)


def assert_kept_on_average(rule: str, shrinkage: float, n: int, steps: int) -> None:
    expected = lost(rule, "float64", shrinkage, n, steps)
    # Each time that decay makes a difference, it is one of a unit in the last place, which numbers are 2^7 to 2^8 of.
    differences = n * expected * 2.0**7.5
    assert lost(rule, "stochastic", shrinkage, n, steps) == pytest.approx(expected, rel=0.02 + 3 / np.sqrt(differences))


@diagonals(3, ("rule", RULES, RULES), ("shrinkage", [1e-6, 1e-5, 1e-3], str))
def test_decay_is_not_lost_by_stochastic_rounding(rule: str, shrinkage: float) -> None:
    assert_kept_on_average(rule, shrinkage, 2**16, 500)


@pytest.mark.parametrize("rule", ["SGD", "AdamW"])
def test_decay_of_less_than_a_hundredth_of_a_unit_is_not_lost(rule: str) -> None:
    assert_kept_on_average(rule, 1e-8, 2**17, 2000)

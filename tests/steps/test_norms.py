"""LARS and LAMB where a norm is zero, tiny or infinite: what the code that the conventions are named after does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import lrkern as lk

Array = np.ndarray[Any, Any]

LR, TRUST, DECAY = 0.5, 0.25, 0.125
CONVENTIONS = ["paper", "optax", "apex"]
KINDS = {
    "zero": np.zeros(3),
    "one": np.array([1.0, -2.0, 2.0]),
    "tiny": np.array([1e-45, 0.0, -3e-45]),
    "infinite": np.array([1.0, math.inf, 2.0]),
    "nan": np.array([1.0, math.nan, 2.0]),
}


def norm(x: Array) -> float:
    return float(np.sqrt(np.sum(x * x)))


def direction(convention: str, p: Array, g: Array, decay: float, clip: bool) -> Array:
    """What lr and momentum are applied to: of the authors' own Caffe and TensorFlow's LARS ("paper"), of optax, of LARC."""
    decayed = g + decay * p
    if convention == "optax":
        ratio = TRUST * norm(p) / norm(decayed) if norm(p) != 0 and norm(decayed) != 0 else 1.0
        ratio = min(ratio / LR, 1.0) if clip and norm(p) != 0 and norm(decayed) != 0 else ratio
        return ratio * decayed
    if norm(p) == 0 or norm(g) == 0:
        return g if convention == "apex" else decayed  # LARC changes no gradient then
    ratio = TRUST * norm(p) / (norm(g) + decay * norm(p))
    return (min(ratio / LR, 1.0) if clip and ratio == ratio else ratio) * decayed


@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("of_param", KINDS)
@pytest.mark.parametrize("of_grad", KINDS)
def test_lars(of_grad: str, of_param: str, convention: str, decay: float, clip: bool) -> None:
    p, g = KINDS[of_param], KINDS[of_grad]
    with np.errstate(all="ignore"):
        expected = p - LR * direction(convention, p, g, decay, clip)
    options = {"lr": LR, "trust": TRUST, "weight_decay": decay, "trust_clip": clip, "convention": convention}
    found = p.copy()
    lk.LARS([found], **options, momentum=0.0).step([g])
    if of_param in ("zero", "one") and of_grad in ("zero", "one"):
        np.testing.assert_array_max_ulp(found, expected, 4)
    elif of_param in ("one", "tiny") and of_grad != "tiny":
        assert np.array_equal(np.isfinite(found), np.isfinite(expected))
        np.testing.assert_array_max_ulp(found[np.isfinite(found)], expected[np.isfinite(expected)], 4)
    elif of_grad == "tiny":
        assert np.all(np.isfinite(found)) == np.all(np.isfinite(p))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_tiny_gradients_move_parameters_by_no_more_than_others(convention: str, dtype: str) -> None:
    """trust |p| / |g| is beyond float32."""
    p, g = KINDS["one"].astype(dtype), KINDS["tiny"].astype(dtype)
    start = p.copy()
    lk.LARS([p], lr=1.0, trust=TRUST, momentum=0.0, convention=convention).step([g])
    assert 0 < np.max(np.abs(p - start)) <= TRUST * norm(start)


def test_larc_leaves_a_parameter_without_a_gradient_alone() -> None:
    p = KINDS["one"].copy()
    opt = lk.LARS([p], lr=LR, weight_decay=DECAY, convention="apex")
    for _ in range(3):
        opt.step([np.zeros(3)])
    assert np.array_equal(p, KINDS["one"])


def test_larc_bounds_the_learning_rate() -> None:
    """min(trust |p| / |g|, lr) g, however large lr is."""
    for lr in (0.0, 1e-3, 10.0):
        p, g = KINDS["one"].copy(), 4.0 * KINDS["one"]
        lk.lars_step(p, g, np.zeros(3), lr=lr, trust=TRUST, momentum=0.0, trust_clip=True, convention="apex", first=True)
        assert np.array_equal(p, KINDS["one"] - min(TRUST / 4, lr) * g)


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("of_param", KINDS)
@pytest.mark.parametrize("of_grad", KINDS)
def test_lamb(of_grad: str, of_param: str, decay: float) -> None:
    p, g = KINDS[of_param], KINDS[of_grad]
    with np.errstate(all="ignore"):
        u = g / (np.abs(g) + 1e-3) + decay * p  # the first step with bias correction
        ratio = norm(p) / norm(u) if norm(p) != 0 and norm(u) != 0 else 1.0
        expected = p - LR * ratio * u
    found = p.copy()
    lk.LAMB([found], lr=LR, weight_decay=decay, eps=1e-3).step([g])
    if np.all(np.isfinite(p)) and of_grad != "tiny":
        assert np.array_equal(np.isfinite(found), np.isfinite(expected))
        np.testing.assert_array_max_ulp(found[np.isfinite(found)], expected[np.isfinite(expected)], 32)
    elif of_grad == "tiny":
        assert np.all(np.isfinite(found)) == np.all(np.isfinite(p))

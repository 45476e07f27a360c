"""Grokfast: an average of gradients is added to each gradient before an optimizer sees it.

The expected bits are those of the same optimizer without the option, which is given the gradients that the authors' function
makes, each of its operations rounded once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference_steps as reference
import ulp

import lrkern as lk

STEPS = 40


def gradfilter_ema(g: Any, h: Any, alpha: float, lamb: float) -> tuple[Any, Any]:
    """Algorithm 2 of arXiv 2405.20233: the gradient with its slow part amplified, and the slow part; h is None at first."""
    kept = 0.0 if h is None else alpha
    rounded = g.dtype.type
    h = reference.fma(rounded(kept), np.zeros_like(g) if h is None else h, rounded(1 - kept) * g)
    return reference.fma(rounded(lamb), h, g), h


def data(dtype: str, seed: int = 0) -> tuple[Any, list[Any]]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((5, 7)).astype(dtype), [rng.standard_normal((5, 7)).astype(dtype) for _ in range(STEPS)]


CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "decoupled": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "convention": "keras", "weight_decay": 0.1, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "cautious": "update"}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "decoupled": True, "cautious": "decay"}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.01, "amsgrad": True, "convention": "optax"}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1, "maximize": True}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True, "decay_after": True, "eps_inside": True}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1, "convention": "keras", "cautious": "decay"}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1, "cautious": "update"}),
    ("AdamW", {"lr": 0.01, "weight_decay": 0.1, "cautious": "update", "amsgrad": True}),
]
FEW = [CASES[1], CASES[8]]


IN_NUMBA = [(*FEW[0], "numba", "float32"), pytest.param(*FEW[1], "numba", "float64", marks=pytest.mark.exhaustive)]


@pytest.mark.parametrize(
    ("name", "options", "backend", "dtype"),
    [(*case, "c", dtype) for case in CASES for dtype in ("float32", "float64")] + IN_NUMBA,
)
def test_like_the_function_of_the_authors(name: str, options: dict[str, Any], backend: str, dtype: str) -> None:
    p, grads = data(dtype)
    ours, theirs = [p.copy()], [p.copy()]
    opt = getattr(lk, name)(ours, **options, grokfast_alpha=0.9, grokfast_lamb=2.0, backend=backend)
    other = getattr(lk, name)(theirs, **options)
    h = None
    for g in grads:
        filtered, h = gradfilter_ema(g, h, 0.9, 2.0)
        opt.step([g])
        other.step([filtered])
    ulp.assert_same_bits(ours[0], theirs[0], name)
    ulp.assert_same_bits(opt.state_dict()["grad_emas"][0], h, "grad_ema")
    assert not np.array_equal(ours[0], p)


def test_schedules_follow_the_count() -> None:
    p, grads = data("float64")
    lamb, alpha = lk.linear(0.0, 2.0, 10), lk.linear(0.5, 0.98, 10)
    ours, theirs = [p.copy()], [p.copy()]
    opt, other = lk.AdamW(ours, 0.01, grokfast_lamb=lamb, grokfast_alpha=alpha), lk.AdamW(theirs, 0.01)
    h = None
    for step, g in enumerate(grads):
        filtered, h = gradfilter_ema(g, h, alpha(step), lamb(step))
        opt.step([g])
        other.step([filtered])
    ulp.assert_same_bits(ours[0], theirs[0], "parameters")


def test_the_average_is_a_state(tmp_path: Any) -> None:
    p, grads = data("float32")
    options: dict[str, Any] = {"lr": 0.01, "grokfast_lamb": 2.0, "state_dtype": np.float32, "clip_norm": 1.0}
    params = p.copy()
    opt = lk.AdamW({"w": params}, **options)
    for g in grads[:5]:
        opt.step({"w": g})
    others, third = params.copy(), params.copy()
    resumed, from_file = lk.AdamW({"w": others}, **options), lk.AdamW({"w": third}, **options)
    resumed.load_state_dict(opt.state_dict())
    opt.save(tmp_path / "state")
    from_file.load(tmp_path / "state")
    for g in grads[5:]:
        for one in (opt, resumed, from_file):
            one.step({"w": g})
    assert params.tobytes() == others.tobytes() == third.tobytes()
    without = lk.AdamW({"w": p.copy()}, 0.01)
    assert without.state_dict()["grad_emas"] is None
    with pytest.raises(ValueError, match="grad_emas"):
        without.load_state_dict(opt.state_dict())
    with pytest.raises(ValueError, match=r"^AdamW\.set: grokfast_lamb cannot change from 0.0 to 1.0: other states would be"):
        without.set("grokfast_lamb", 1.0)


@pytest.mark.parametrize(("name", "value"), [("grokfast_alpha", 1.0), ("grokfast_alpha", -0.5), ("grokfast_lamb", -1.0)])
def test_ranges(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"^SGD: {name} must be"):
        lk.SGD([np.ones(2)], 0.1, **{"grokfast_lamb": 1.0, name: value})


def test_rows_and_narrow_states() -> None:
    """Rows without a gradient keep their average; bfloat16 averages are rounded stochastically."""
    rng = np.random.default_rng(3)
    p = rng.standard_normal((6, 4)).astype(np.float32)
    opt = lk.SGD([p], 0.1, grokfast_lamb=1.0, grokfast_alpha=0.5)
    opt.step([(np.array([0, 2]), np.ones((2, 4), np.float32))])
    assert opt.state_dict()["grad_emas"][0].any(axis=1).tolist() == [True, False, True, False, False, False]
    ours, theirs = np.zeros(4096, np.float32), np.zeros(4096, np.float32)
    narrow = lk.SGD([ours], 0.1, grokfast_lamb=1.0, grokfast_alpha=0.999, state_dtype="bfloat16")
    wide = lk.SGD([theirs], 0.1, grokfast_lamb=1.0, grokfast_alpha=0.999)
    for _ in range(30):
        g = rng.standard_normal(4096).astype(np.float32)
        narrow.step([g])
        wide.step([g])
    assert 0 < np.abs(ours - theirs).max() < 0.05 * np.abs(theirs).max()

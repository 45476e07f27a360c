"""State of optimizers: a run that is stopped, saved and resumed has the bits of one that never stopped."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cases
import ml_dtypes
import numpy as np
import pytest
from representative import diagonals, rule_label
from step_arrays import fitting

import lrkern as lk

BF16 = np.dtype(ml_dtypes.bfloat16)
CASES = [(name, options) for name, tries in cases.OPTIMIZERS.items() for options in tries]
ROUNDINGS = [("nearest", None), ("stochastic", "bfloat16"), ("split", "float16")]


def make(name: str, options: dict[str, Any], rounding: str, state_dtype: str | None) -> tuple[list[np.ndarray], Any]:
    rng = np.random.default_rng(1)
    params = [rng.standard_normal(shape).astype(dtype) for shape, dtype in [(50, "f4"), ((3, 4), "f8"), (0, "f4"), (33, BF16)]]
    params[1] = np.asfortranarray(params[1])
    dtype = fitting(name, options, state_dtype)
    shared = {"rounding": rounding, "state_dtype": dtype, "ema": 0.9, "clip_norm": 1.0, "skip_nonfinite": True}
    return params, getattr(lk, name)(params, **options, **shared, seed=9)


def grads(params: list[np.ndarray], t: int) -> list[np.ndarray | None]:
    rng = np.random.default_rng(100 + t)
    result: list[np.ndarray | None] = [
        np.asarray(rng.standard_normal(one.shape), order="F").astype(one.dtype) for one in params
    ]
    if t == 1:
        result[0][3] = np.inf
    if t in (0, 2):
        result[3] = None  # its first update comes later
    return result


@diagonals(3, ("name,options", CASES, rule_label), ("rounding,state_dtype", ROUNDINGS, "{0[0]}-{0[1]}".format))
def test_resume(name: str, options: dict[str, Any], rounding: str, state_dtype: str | None, tmp_path: Path) -> None:
    straight, opt = make(name, options, rounding, state_dtype)
    for t in range(4):
        opt.step(grads(straight, t))
    state, middle = pickle.loads(pickle.dumps(opt.state_dict())), [one.copy("K") for one in straight]
    opt.save(tmp_path / "state.safetensors")
    for t in range(4, 8):
        opt.step(grads(straight, t))
    for way in ("dict", "file"):
        params, other = make(name, options, rounding, state_dtype)
        for one, saved in zip(params, middle, strict=True):
            one[...] = saved
        if way == "dict":
            other.load_state_dict(state)
        else:
            other.load(tmp_path / "state.safetensors")
        assert (other.count, other.skipped) == (3, 1)
        for t in range(4, 8):
            other.step(grads(params, t))
        assert [one.tobytes() for one in params] == [one.tobytes() for one in straight]
        assert pickle.dumps(other.state_dict()) == pickle.dumps(opt.state_dict())
    assert any(np.any(a != b) for a, b in zip(middle, straight, strict=True))


def test_a_state_of_other_dtypes_is_not_cast() -> None:
    opt = lk.AdamW([np.ones(5, "f4")], 0.1, state_dtype="bfloat16")
    state = lk.AdamW([np.ones(5, "f4")], 0.1).state_dict()
    with pytest.raises(TypeError, match=r"exp_avgs\[0\] must be bfloat16 of shape \(5,\) like params\[0\]; got float32"):
        opt.load_state_dict(state)
    with pytest.raises(ValueError, match="the state must be of AdamW; got one of Adam"):
        opt.load_state_dict(state | {"optimizer": "Adam"})


def test_a_state_from_before_a_rule_had_one_more() -> None:
    """Without those that are not used, a state can be loaded; without others it cannot."""
    optimizer = lk.AdamW([np.ones(2)])
    state = optimizer.state_dict()
    del state["grad_emas"], state["max_exp_avg_sqs"]
    assert not any(optimizer.load_state_dict(state))
    del state["exp_avgs"]
    with pytest.raises(ValueError, match=r"^AdamW\.load_state_dict: state must be what state_dict returned"):
        optimizer.load_state_dict(state)


def test_no_norm_is_known_of_a_loaded_state() -> None:
    opt, other = (lk.SGD([np.ones(2)], 0.1, clip_norm=1.0) for _ in range(2))
    opt.step([np.array([3.0, 4.0])])
    other.load_state_dict(opt.state_dict())
    assert (opt.grad_norm, other.grad_norm, other.count) == (5.0, None, 1)
    other.step([np.array([0.0, 2.0])])
    assert other.grad_norm == 2.0
    other.load_state_dict(opt.state_dict())
    assert other.grad_norm is None


@pytest.mark.parametrize("function", [copy.copy, copy.deepcopy, pickle.dumps])
def test_an_optimizer_is_not_copied(function: Callable[[Any], Any]) -> None:
    """A copy would update the arrays of the original, or arrays that are not used."""
    with pytest.raises(TypeError, match=r"^SGD: an optimizer cannot be pickled or copied, .* load_state_dict\(\)"):
        function(lk.SGD([np.ones(2)], 0.1))

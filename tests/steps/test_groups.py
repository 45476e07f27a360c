"""Groups that are added later, frozen for a while, or excluded from decay: as if each had its own optimizer."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from representative import compiled
from test_pipeline import normal

import lrkern as lk

BACKENDS = pytest.mark.parametrize("backend", ["c", "numba"])
NAMES = ["SGD", "Adam", "AdamW", "Lion", "RMSprop", "Adagrad", "LARS", "LAMB"]
COMPILED = ["AdamW"]


def copies(params: Any) -> Any:
    return [one.copy() for one in params]


def tensors(opt: Any) -> list[bytes]:
    state = opt.state_dict()
    return [pickle.dumps(value) for key, value in sorted(state.items()) if key not in ("count", "skipped")]


# ------------------------------------------------------------------------------------------------------------ add_group


@compiled("name", NAMES, COMPILED)
def test_a_group_that_comes_later(name: str, backend: str) -> None:
    """The same bits as two groups from the beginning, of which the second has no gradients at first."""
    first, second = [normal((3, 7), 1), normal((5,), 2)], {"w": normal((4, 2), 3)}
    straight = copies(first), {"w": second["w"].copy()}
    options = {"lr": lk.cosine(0.1, 0.01, 9), "weight_decay": 0.1, "clip_norm": 1.0, "ema": 0.9, "backend": backend}
    own = {"lr": 0.05, "weight_decay": 0.2}
    both = getattr(lk, name)([{"params": straight[0]}, {"params": straight[1], **own}], **options)
    opt = getattr(lk, name)(first, **options)
    for t in range(2):
        grads = [normal((3, 7), 10 + t), normal((5,), 20 + t)]
        opt.step(grads)
        both.step([grads, {"w": None}])
    opt.add_group(second, **own)
    assert opt.grad_norm is None
    assert (opt.count, opt.lr) == (both.count, both.lr)
    for t in range(2, 5):
        grads = [[normal((3, 7), 10 + t), normal((5,), 20 + t)], {"w": normal((4, 2), 30 + t)}]
        opt.step(grads)
        both.step(grads)
        assert opt.grad_norm == both.grad_norm
    assert [one.tobytes() for one in (*first, second["w"])] == [one.tobytes() for one in (*straight[0], straight[1]["w"])]
    assert tensors(opt) == tensors(both)


@BACKENDS
def test_a_third_group_and_a_state(backend: str, tmp_path: Path) -> None:
    arrays = [normal((4,), seed) for seed in range(3)]
    again = copies(arrays)
    opt = lk.SGD([{"params": [arrays[0]]}], 0.1, momentum=0.9, copy_to=[[np.zeros(4)]], backend=backend)
    copy = np.zeros(4, "f4")
    opt.add_group([arrays[1]], momentum=0.5, copy_to=[copy])
    opt.add_group((one for one in [arrays[2]]), nesterov=True)
    grads = [[normal((4,), 10 + seed)] for seed in range(3)]
    opt.step(grads)
    assert copy.tobytes() == arrays[1].astype("f4").tobytes()
    opt.save(tmp_path / "file")
    groups: list[Any] = [{"params": [one]} for one in again]
    groups[1]["momentum"], groups[2]["nesterov"] = 0.5, True
    other = lk.SGD(groups, 0.1, momentum=0.9, backend=backend)
    other.step(grads)
    assert tensors(opt) == tensors(other)
    other.load(tmp_path / "file")
    opt.set("lr", 0.5, group=2)
    assert opt.lr == [0.1, 0.1, 0.5]


@BACKENDS
@pytest.mark.parametrize(
    ("params", "options", "error", "message"),
    [
        ([], {}, ValueError, "params must contain at least one array; got an empty list"),
        (3, {}, TypeError, "params must be a dict or list of arrays"),
        ("own", {}, ValueError, r"params\[0\]\[0\] and params\[1\]\[0\] must not share memory"),
        ("new", {"betas": 1}, TypeError, "unknown option betas; the options of a group are"),
        ("new", {"lr": -1.0}, ValueError, "lr must be a finite number >= 0"),
        ("new", {"lr": np.ones(7)}, ValueError, r"lr must be one number, or 3 numbers, one per row of params\[1\]\[0\]"),
        ("new", {"copy_to": [np.zeros(2)]}, ValueError, r"copy_to\[1\]\[0\] must be .* of shape \(3,\)"),
        ("new", {"copy_to": []}, ValueError, r"copy_to\[1\] must have 1 entries like params; got 0"),
        ("new", {"decay_mask": [1]}, TypeError, r"decay_mask\[1\]\[0\] must be True or False; got 1"),
        ([np.zeros(3, "i4")], {}, TypeError, r"params\[1\]\[0\] must be float64, float32"),
        ([np.zeros(6)[::2]], {}, ValueError, r"params\[1\]\[0\] must be contiguous"),
    ],
)
def test_a_group_that_does_not_fit(
    params: Any, options: dict[str, Any], error: type[Exception], message: str, backend: str
) -> None:
    p, g, new = np.ones(2), np.ones(2), np.ones(3)
    opt = lk.SGD([p], 0.5, momentum=0.5, backend=backend)
    opt.bind([g])
    opt.step()
    before = tensors(opt), repr(opt)
    with pytest.raises(error, match=rf"^SGD(\.add_group)?: {message}"):
        opt.add_group({"own": [p], "new": [new]}.get(params, params) if isinstance(params, str) else params, **options)
    assert (tensors(opt), repr(opt)) == before
    opt.step()  # as it was bound
    assert p.tolist() == [1 - 0.5 - 0.75] * 2
    assert (new == 1).all()


def test_what_was_bound_is_let_go() -> None:
    p, q = np.ones(2), np.ones(1)
    opt = lk.SGD([p], 0.5)
    opt.bind([np.ones(2)])
    opt.add_group([q])
    with pytest.raises(ValueError, match="grads are needed"):
        opt.step()
    opt.bind([[np.ones(2)], [np.ones(1)]])
    opt.step()
    assert (p.tolist(), q.tolist()) == ([0.5, 0.5], [0.5])


def test_no_group_comes_in_the_middle_of_a_step() -> None:
    p = np.ones(2)

    def meddle(step: int) -> float:
        with pytest.raises(RuntimeError, match="must not use the optimizer"):
            opt.add_group([np.ones(1)])
        return 0.5

    opt = lk.SGD([p], meddle)
    opt.step([np.ones(2)])
    assert p.tolist() == [0.5, 0.5]


# --------------------------------------------------------------------------------------------------------------- frozen


@BACKENDS
@pytest.mark.parametrize("bound", [True, False])
def test_a_frozen_group_is_left_alone(bound: bool, backend: str) -> None:
    """As if its gradients were None, from one step to the next; bound ones, too."""
    arrays = [normal((6,), 1)], {"w": normal((2, 3), 2)}
    again = copies(arrays[0]), {"w": arrays[1]["w"].copy()}
    grads = [normal((6,), 3)], {"w": normal((2, 3), 4)}
    options = {"lr": 0.1, "clip_norm": 0.5, "ema": 0.5, "skip_nonfinite": True, "backend": backend}
    opt, other = (lk.AdamW([{"params": one} for one in some], **options) for some in (arrays, again))
    if bound:
        opt.bind(list(grads))
    for t, frozen in enumerate([False, True, True, False, True]):
        (opt.freeze if frozen else opt.unfreeze)(1)
        opt.step(None if bound else list(grads))
        other.step([grads[0], {"w": None} if frozen else grads[1]])
        assert opt.grad_norm == other.grad_norm, t
        assert arrays[1]["w"].tobytes() == again[1]["w"].tobytes(), t
        assert tensors(opt) == tensors(other), t
    assert "group 1: 6 elements, frozen" in repr(opt)


def test_what_is_frozen_is_not_looked_at() -> None:
    p, q = np.ones(1), np.ones(1)
    opt = lk.SGD([{"params": [p]}, {"params": [q]}], 0.5, skip_nonfinite=True, zero_grad=True)
    opt.freeze(np.int64(1))
    nan = np.full(1, np.nan)
    opt.step([[np.ones(1)], [nan]])
    assert (p.tolist(), q.tolist(), opt.skipped) == ([0.5], [1.0], 0)
    assert np.isnan(nan).all()
    for wrong, error in [(2, ValueError), (-1, ValueError), ("w", TypeError), (True, TypeError)]:
        for call in (opt.freeze, opt.unfreeze):
            with pytest.raises(error, match=r"^SGD\.(un)?freeze: group must be an integer from 0 to 1"):
                call(wrong)


# ---------------------------------------------------------------------------------------------------------------- masks


def by_axes(name: object, array: Any) -> bool:
    return array.ndim > 1


@compiled("name", NAMES, COMPILED)
@pytest.mark.parametrize("mask", [by_axes, {"b": False, "w": True}, {"w": np.True_, "b": np.False_}])
def test_what_is_masked_does_not_decay(name: str, mask: Any, backend: str) -> None:
    """The same bits as two groups, in the structure of one, with one norm."""
    params = {"w": normal((3, 4), 1), "b": normal((4,), 2)}
    again = copies(params.values())
    options = {"lr": lk.linear(0.1, 0.0, 9), "clip_norm": 0.5, "ema": 0.5, "weight_decay": 0.3, "backend": backend}
    opt = getattr(lk, name)(params, decay_mask=mask, **options)
    groups = [{"params": [again[0]]}, {"params": [again[1]], "weight_decay": 0.0}]
    other = getattr(lk, name)(groups, **options)
    plain = getattr(lk, name)({key: one.copy() for key, one in params.items()}, **options)
    for t in range(3):
        g = {"w": normal((3, 4), 10 + t), "b": normal((4,), 20 + t)}
        if t == 2:
            opt.set("weight_decay", 0.7)
            other.set("weight_decay", 0.7, group=0)
        opt.step(g)
        other.step([[g["w"]], [g["b"]]])
        plain.step(g)
        assert opt.grad_norm == other.grad_norm
    assert [one.tobytes() for one in params.values()] == [one.tobytes() for one in again]
    assert opt.lr == other.lr[0]
    assert set(opt.ema_params) == {"w", "b"}
    assert opt.ema_params["b"].tobytes() != plain.ema_params["b"].tobytes()  # the mask has done something


def test_masks_of_groups(tmp_path: Path) -> None:
    """A group's own mask has precedence; functions are called for groups added later; indices in lists are names."""
    arrays = [np.ones((2, 2)), np.ones(2), np.ones((2, 2)), np.ones(2), np.ones(2)]
    asked: list[Any] = []

    def mask(name: Any, array: Any) -> bool:
        asked.append(name)
        return bool(array.ndim > 1)

    second = {"params": {"w": arrays[2], "b": arrays[3]}, "decay_mask": {"w": False, "b": True}}
    groups: list[Any] = [{"params": arrays[:2]}, second]
    opt = lk.SGD(groups, 1.0, weight_decay=0.5, decoupled=True, decay_mask=mask)
    opt.add_group([arrays[4]])
    assert asked == [0, 1, 0]
    opt.step([[np.zeros((2, 2)), np.zeros(2)], {"w": np.zeros((2, 2)), "b": np.zeros(2)}, [np.zeros(2)]])
    assert [float(one.flat[0]) for one in arrays] == [0.5, 1.0, 1.0, 0.5, 1.0]
    assert opt.lr == [1.0] * 3
    opt.set("weight_decay", 0.25, group=1)
    opt.save(tmp_path / "file", parameters=True)
    opt.set("weight_decay", 0.0)
    opt.load(tmp_path / "file", parameters=True)
    opt.step([[np.zeros((2, 2)), np.zeros(2)], {"w": np.zeros((2, 2)), "b": np.zeros(2)}, [np.zeros(2)]])
    assert [float(one.flat[0]) for one in arrays] == [0.25, 1.0, 1.0, 0.375, 1.0]


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        ({"w": True}, ValueError, "decay_mask must have the keys of params; got no 'b'"),
        ([True, False], TypeError, "decay_mask must be a dict with the keys of params"),
        (True, TypeError, "decay_mask must be a dict with the keys of params"),
        ({"w": 1, "b": False}, TypeError, r"decay_mask\['w'\] must be True or False; got 1"),
        (lambda name, array: None, TypeError, r"decay_mask\('w', \.\.\.\) must be True or False; got None"),
        (lambda name: True, TypeError, "takes 1 positional argument"),
    ],
)
def test_masks_that_are_none(mask: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lk.AdamW({"w": np.ones((2, 2)), "b": np.ones(2)}, 0.1, decay_mask=mask)


# ----------------------------------------------------------------------------------------------------------------- repr


def test_repr() -> None:
    w, b = np.ones((3, 2)), np.ones(2)
    assert repr(lk.SGD([w], 0.1)) == "<SGD: 0 steps, 1 array of 6 elements; lr=0.1>"
    opt = lk.AdamW({"w": w, "b": b}, lk.cosine(0.1, 0.0, 9), beta1=0.8, clip_norm=np.float32(1), ema=0.5, decay_mask=by_axes)
    opt.step({"w": w.copy(), "b": b.copy()})
    text = (
        "<AdamW: 1 step, 2 arrays of 8 elements; lr=cosine(0.1, 0.0, 9), beta1=0.8, ema=0.5, clip_norm=1.0, decay_mask=by_axes>"
    )
    assert repr(opt) == text
    opt.add_group([np.ones(1)], lr=0.5)
    opt.freeze(1)
    assert repr(opt) == (
        "<AdamW: 1 step, 3 arrays of 9 elements in 2 groups; beta1=0.8, ema=0.5, clip_norm=1.0, decay_mask=by_axes; "
        "group 0: 8 elements, lr=cosine(0.1, 0.0, 9); group 1: 1 elements, lr=0.5, frozen>"
    )
    opt.set("weight_decay", 0.3)
    assert "weight_decay=0.3" in repr(opt)
    many = lk.SGD([w], np.full(3, 0.1), momentum=lambda step: 0.5, copy_to=[np.zeros((3, 2))], state_dtype="float64")
    assert repr(many) == (
        "<SGD: 0 steps, 1 array of 6 elements; lr=<float64 (3,)>, momentum=test_repr.<locals>.<lambda>, copy_to=<list>, "
        "state_dtype='float64'>"
    )

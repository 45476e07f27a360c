"""Clipping by norms of lists, groups and tensors, to limits that change; gradients that are not finite as an error."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest
from isas import running
from reference_steps import BF16, F16, F32, F64
from representative import diagonals
from step_arrays import assert_same_bits, fitting, values
from step_pairs import Pair, copied

import lrkern as lk

BACKENDS = pytest.mark.parametrize("backend", ["c", "numba"])
PER = ["list", "group", "tensor"]
NAMES = list(cases.OPTIMIZERS)

# dtype of parameters, of gradients, of states; rounding
STORAGE = [
    (F64, F64, None, "nearest"),
    (F32, F32, None, "nearest"),
    (F32, F64, F16, "stochastic"),
    (BF16, F32, BF16, "stochastic"),
    (BF16, BF16, None, "split"),
    (F16, F16, BF16, "nearest"),
]


def groups_of(dtype: Any) -> list[Any]:
    """Two of several arrays, one of them empty and one without axes; one of a single array; one of none."""
    shapes = [[(7, 5), (0,), ()], [(103, 10), (3, 2)], [(6, 4)], []]
    return [
        {"params": [values(dtype, math.prod(shape), 10 * g + i).reshape(shape) for i, shape in enumerate(some)]}
        for g, some in enumerate(shapes)
    ]


def gradients_of(params: list[Any], dtype: Any, seed: int, rows: bool) -> list[Any]:
    """Large, small and zero gradients, None, and sparse ones."""
    arrays = [one for group in params for one in group["params"]]
    found: list[Any] = [values(dtype, one.size, seed + i).reshape(one.shape) for i, one in enumerate(arrays)]
    found[3] *= dtype.type(2.0**-9)
    found[4] *= dtype.type(0)
    if rows:
        found[0] = np.array([3, 0, 3]), found[0][:3]
        found[3] = np.arange(20, 80), found[3][:60]
    if seed % 3 == 2:
        found[5] = None
    return found


# ---------------------------------------------------------------------------------------------------- against the reference


@diagonals(3, ("name", NAMES, NAMES), ("per", PER, PER), ("storage", STORAGE, str))
def test_norms_of_all_kinds(name: str, per: str, storage: tuple[Any, ...]) -> None:
    """With averages, copies, zeroed gradients, a schedule of limits, every way of storing."""
    param, grad, state, rounding = storage
    k = STORAGE.index(storage) + PER.index(per)
    options = cases.OPTIMIZERS[name][k % len(cases.OPTIMIZERS[name])]
    groups = groups_of(param)
    groups[1]["lr"] = 0.25
    copies = [np.zeros(one.shape, F16) for group in groups for one in group["params"]]
    around = {"clip_norm": lk.geometric(1.0, 0.01, 4), "clip_per": per, "zero_grad": k % 2 == 1, "ema": 0.5}
    kept = {"state_dtype": fitting(name, options, state), "rounding": rounding, "seed": k}
    pair = Pair(name, groups, copies, **options, **around, **kept)
    for step, scale in enumerate((1.0, 8.0, 0.25)):
        pair.step(gradients_of(groups, np.dtype(grad), 30 * k + step, name not in ("LARS", "LAMB")), scale)
        pair.compare()
    pair.assert_moved(0.1)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("per", PER)
def test_norms_by_threads(per: str, threads: int) -> None:
    """Of arrays that threads share."""
    groups = [{"params": [values(F32, n, n) for n in some]} for some in ((50_000, 3), (70_001, 1024, 0), (1,))]
    before = lk.get_threads()
    lk.set_threads(threads)
    try:
        pair = Pair("SGD", groups, lr=1.0, momentum=0.9, clip_norm=2.0, clip_per=per, ema=0.5)
        for step in range(2):
            pair.step([values(F32, one.size, 100 + step) for group in groups for one in group["params"]])
            pair.compare()
        pair.assert_moved()
    finally:
        lk.set_threads(before)


@pytest.mark.parametrize("per", PER)
@pytest.mark.parametrize("mixed", [False, True])
def test_squares_that_leave_the_range(mixed: bool, per: str) -> None:
    """Of some sets they overflow, of others they vanish, and of yet others neither; float32 is among them."""
    scales = [1e200, 1.0, 1e-200, 0.0, 1e-170, 1e308]
    for some in itertools.permutations(range(6), 3):
        params = [{"params": [np.zeros(5, F32 if mixed and i == some[1] else F64)]} for i in some]
        grads = [np.clip(values(F64, 5, i) * scales[i], -1.7e308, 1.7e308) for i in some]
        if mixed:
            grads[1] = np.clip(grads[1], -3e38, 3e38).astype(F32)
        pair = Pair("SGD", params, lr=1.0, clip_norm=0.5, clip_per=per)
        with np.errstate(all="ignore"):
            pair.step(grads)
        pair.compare()


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("per", PER)
def test_norms_that_are_not_finite(per: str, bad: float) -> None:
    """They stay within their group or tensor; skipping is of the whole list."""
    for skip in (False, True):
        groups = [{"params": [np.ones(3), np.ones(4, F32)]}, {"params": [np.ones(5), np.ones(2, BF16)]}]
        grads = [values(one.dtype, one.size, 1) for group in groups for one in group["params"]]
        grads[0][1] = bad
        pair = Pair("AdamW", groups, lr=0.1, clip_norm=0.25, clip_per=per, skip_nonfinite=skip, ema=0.5)
        pair.step(grads)
        pair.compare()
        _, params, _, opt = pair.found[0]
        moved = [not np.array_equal(one, np.ones_like(one)) for group in params for one in group["params"]]
        nans = [bool(np.isnan(one.astype(F64)).any()) for group in params for one in group["params"]]
        assert not math.isfinite(opt.grad_norm)
        if skip:
            assert opt.skipped == 1
            assert not any(moved)
        elif math.isnan(bad):
            assert nans == {"list": [True] * 4, "group": [True, True, False, False], "tensor": [True, False, False, False]}[per]
        else:
            assert nans == [True, False, False, False]


@pytest.mark.parametrize("per", PER)
def test_nothing_at_all(per: str) -> None:
    opt = lk.SGD([{"params": [np.ones(0)]}, {"params": []}], 0.1, clip_norm=1.0, clip_per=per)
    opt.step([[np.ones(0)], []])
    assert opt.grad_norm == 0
    opt.step([[None], []])
    assert (opt.grad_norm, opt.count) == (0, 2)


def test_a_tensor_by_itself() -> None:
    """3-4-5: one is scaled, one is short enough, one is all zeros."""
    p = [np.zeros(2), np.zeros(1), np.zeros(3)]
    opt = lk.SGD(p, 1.0, clip_norm=1.0, clip_per="tensor")
    opt.step([np.array([3.0, 4.0]), np.array([1.0]), np.zeros(3)])
    assert [one.tolist() for one in p] == [[-3 * (1 / 5), -4 * (1 / 5)], [-1.0], [0.0] * 3]
    assert opt.grad_norm == math.sqrt(26)


# ------------------------------------------------------------------------------------------------------------ all backends


def everything(opt: Any, params: list[Any]) -> bytes:
    return pickle.dumps((params, opt.state_dict(), opt.grad_norm, opt.count, opt.skipped))


# Types of large and small arrays, for each of which a rule is compiled; that both have one norm is of no rule.
LARGE_AND_SMALL = [
    ("SGD", F32, F64),
    ("LAMB", F64, F64),
    pytest.param("LARS", F32, F32, marks=pytest.mark.exhaustive),
    *[pytest.param(name, F32, F64, marks=pytest.mark.exhaustive) for name in ("LAMB", "LARS")],
]


@pytest.mark.parametrize(("name", "large", "small"), LARGE_AND_SMALL)
@pytest.mark.parametrize("per", PER)
def test_numba_has_the_bits_of_c(per: str, name: str, large: Any, small: Any) -> None:
    found, far = [], 1e200 if small == F64 else 1e30
    for backend in ("c", "numba"):
        groups: list[Any] = [
            {"params": [values(large, 70_000, 1).reshape(700, 100), values(small, 9, 2)]},
            {"params": [values(large, 33, 3), values(small, 3, 4)]},
            {"params": [values(large, 1025, 5)]},
        ]
        if name != "SGD":
            groups[1]["adapt"] = False
        mask = [[True, False], [True, True], [False]]
        around = {"clip_norm": lk.linear(2.0, 0.1, 5), "clip_per": per, "decay_mask": mask, "ema": 0.9, "zero_grad": True}
        opt = getattr(lk, name)(groups, 0.1, weight_decay=0.1, backend=backend, **around)
        for step in range(4):
            arrays = [one for group in groups for one in group["params"]]
            grads = [values(one.dtype, one.size, 9 * step + i).reshape(one.shape) for i, one in enumerate(arrays)]
            grads[1] *= small.type(far if step == 1 else 1.0)
            grads[3] *= small.type(1 / far if step == 1 else 1.0)
            if step == 2 and name == "SGD":
                grads[0] = np.array([1, 699, 1]), grads[0][:3]
            if step == 3:
                grads[4] = None
            opt.step([grads[:2], grads[2:4], grads[4:]], 2.0)
        found.append((everything(opt, groups), repr(opt.grad_norm)))
        assert all(np.isfinite(one).all() for group in groups for one in group["params"])
    assert found[0] == found[1]


@BACKENDS
@pytest.mark.parametrize("per", PER)
def test_arrays_without_decay_are_in_their_group(per: str, backend: str) -> None:
    """A mask divides a group for its decay, not for its norm."""
    results = []
    for masked in (False, True):
        params = [{"params": [np.zeros(2), np.zeros(2)]}, {"params": [np.zeros(1)]}]
        mask = [[True, False], [False]] if masked else None
        opt = lk.SGD(params, 1.0, clip_norm=1.0, clip_per=per, decay_mask=mask, weight_decay=0.5, backend=backend)
        opt.step([[np.array([3.0, 0.0]), np.array([0.0, 4.0])], [np.array([12.0])]])
        results.append([one.tolist() for group in params for one in group["params"]])
    assert results[0] == results[1]
    assert results[0][0][0] == -3 * {"list": 1 / 13, "group": 1 / 5, "tensor": 1 / 3}[per]


@BACKENDS
@pytest.mark.parametrize("per", PER)
def test_bound_and_frozen(per: str, backend: str) -> None:
    """A frozen group does not count in norms; a group added later has its own norm."""
    params = [[np.zeros(1)], [np.zeros(1)], [np.zeros(1)]]
    grads = [[np.array([3.0])], [np.array([4.0])], [np.array([12.0])]]
    opt = lk.SGD([{"params": one} for one in params[:2]], 1.0, clip_norm=1.0, clip_per=per, backend=backend)
    opt.bind(grads[:2])
    opt.step()
    alone = {"list": [0.6, 0.8], "group": [1.0, 1.0], "tensor": [1.0, 1.0]}[per]
    assert [-one[0][0] for one in params[:2]] == pytest.approx(alone, rel=1e-15)
    opt.freeze(1)
    opt.step()
    assert opt.grad_norm == 3
    opt.unfreeze(1)
    opt.add_group(params[2])
    opt.step(grads)
    assert opt.grad_norm == 13
    assert params[2][0][0] == {"list": -12 / 13, "group": -1.0, "tensor": -1.0}[per]


# ------------------------------------------------------------------------------------------------------ limits that change


@BACKENDS
@pytest.mark.parametrize("function", [False, True])
def test_a_schedule_of_limits(function: bool, backend: str) -> None:
    """Its value at the first step counts; a skipped step does not take it further; numbers that `set` gives hold at once."""
    limits = lk.from_table([2.0, 1.0, 0.5])
    p, asked = np.zeros(1), []

    def called(step: int) -> float:
        asked.append(step)
        return float(limits(step))

    opt = lk.SGD([p], 1.0, clip_norm=called if function else limits, skip_nonfinite=True, backend=backend)
    moves = []

    def step(g: float) -> None:
        before = p[0]
        opt.step([np.array([g])])
        moves.append(before - p[0])

    for g in (8.0, math.inf, 8.0, 8.0, 0.25):
        step(g)
    assert moves == [2.0, 0.0, 1.0, 0.5, 0.25]
    assert asked == ([0, 1, 1, 2, 3] if function else [])
    opt.set("clip_norm", 4)
    step(8.0)
    opt.set("clip_norm", None)
    step(8.0)
    opt.set("clip_norm", np.float32(0.125))
    step(8.0)
    opt.set("clip_norm", limits)
    step(8.0)
    assert moves[5:] == [4.0, 8.0, 0.125, 0.5]
    assert "clip_norm" in repr(opt)


@BACKENDS
@pytest.mark.parametrize("wrong", [0.0, -1.0, math.inf, math.nan, "1", 1e39, np.ones(2), True])
def test_limits_that_are_none(wrong: Any, backend: str) -> None:
    """Given to an optimizer, to `set`, or by a schedule: nothing is written, and the last one holds."""
    error = TypeError if isinstance(wrong, str | np.ndarray | bool) else ValueError
    message = r"clip_norm must be a finite number > 0 and <= 3.40282e\+38; got "
    p = np.zeros(3)
    with pytest.raises(error, match=rf"^SGD: {message}"):
        lk.SGD([p], 1.0, clip_norm=wrong, backend=backend)
    opt = lk.SGD([p], 1.0, momentum=0.5, clip_norm=5.0, ema=0.5, backend=backend)
    opt.step([np.array([3.0, 4.0, 0.0])])
    before, shown = everything(opt, [p]), repr(opt)
    with pytest.raises(error, match=rf"^SGD\.set: {message}"):
        opt.set("clip_norm", wrong)
    assert (everything(opt, [p]), repr(opt)) == (before, shown)
    opt.set("clip_norm", lambda step: wrong)
    grad = np.array([3.0, 4.0, 0.0])
    with pytest.raises(error, match=rf"^SGD, step 1: {message}"):
        opt.step([grad])
    assert everything(opt, [p]) == before
    assert grad.tolist() == [3.0, 4.0, 0.0]


def test_what_set_takes() -> None:
    opt = lk.SGD([np.ones(2)], 0.1, clip_norm=1.0)
    with pytest.raises(ValueError, match=r"^SGD\.set: group must be omitted, because clip_norm is common to all groups"):
        opt.set("clip_norm", 1.0, group=0)
    with pytest.raises(
        TypeError, match=r"^SGD\.set: name must be one of lr, .*, clip_norm, .*; got 'clipnorm' .*: use clip_norm$"
    ):
        opt.set("clipnorm", 1.0)
    with pytest.raises(TypeError, match=r"^SGD: unknown option clip_norm; the options of a group are"):
        lk.SGD([{"params": [np.ones(1)], "clip_norm": 1.0}], 0.1)
    for wrong, error in (("each", ValueError), (None, TypeError), (1, TypeError)):
        with pytest.raises(error, match=r"^SGD: clip_per must be 'list', 'group' or 'tensor'; got"):
            lk.SGD([np.ones(1)], 0.1, clip_per=wrong)


def test_norms_are_known_once_something_asks() -> None:
    opt = lk.SGD([np.ones(1)], 0.1)
    opt.step([np.ones(1)])
    opt.set("clip_norm", 1.0)
    assert opt.grad_norm is None
    opt.step([np.ones(1)])
    opt.set("clip_norm", 2.0)
    assert opt.grad_norm == 1
    opt.set("clip_norm", None)
    assert opt.grad_norm is None


def test_a_schedule_may_not_call_the_optimizer() -> None:
    p = np.zeros(1)

    def meddle(step: int) -> float:
        opt.set("clip_norm", 1.0)
        return 1.0

    opt = lk.SGD([p], 1.0, clip_norm=meddle)
    with pytest.raises(RuntimeError, match="must not use the optimizer"):
        opt.step([np.ones(1)])
    assert p[0] == 0


@BACKENDS
@pytest.mark.parametrize("per", PER)
def test_limits_go_on_after_a_resume(per: str, backend: str, tmp_path: Path) -> None:
    """By `state_dict` from the optimizer's own schedule, at the count; by a checkpoint from the file's."""
    schedule = lk.cosine(1.0, 0.1, 10)

    def made(params: Any, limit: Any) -> Any:
        return lk.AdamW(params, 0.1, clip_norm=limit, clip_per=per, ema=0.5, backend=backend)

    def grads(t: int) -> list[np.ndarray]:
        return [values(F64, 4, 2 * t), values(F32, 5, 2 * t + 1)]

    params = [np.ones(4), np.ones(5, F32)]
    opt = made(params, schedule)
    for t in range(3):
        opt.step(grads(t))
    path = tmp_path / "file"
    opt.save(path, parameters=True)
    again, third = copied(params), [np.zeros(4), np.zeros(5, F32)]
    resumed, loaded = made(again, schedule), made(third, None)
    resumed.load_state_dict(opt.state_dict())
    loaded.load(path, parameters=True)
    assert loaded._shared["clip_norm"] == schedule
    for t in range(3, 6):
        for one in (opt, resumed, loaded):
            one.step(grads(t))
    assert everything(opt, params) == everything(resumed, again) == everything(loaded, third)

    opt.set("clip_norm", None)
    opt.save(path, parameters=True)
    resumed.load(path)  # without hyper-parameters
    assert resumed._shared["clip_norm"] == schedule
    resumed.load(path, parameters=True)
    assert resumed._shared["clip_norm"] is None
    opt.set("clip_norm", lambda step: 0.5)
    opt.save(path, parameters=True)
    loaded.load(path, parameters=True)  # the file holds no function: its own
    assert loaded._shared["clip_norm"] == schedule


def test_a_limit_in_a_file_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lrkern.optimizers import checkpoint

    p = np.ones(2)
    opt = lk.SGD([p], 0.1, clip_norm=1.0)
    for wrong in (-1.0, "1", {"array": "lr/7"}, {"schedule": 3}, [1.0]):
        with monkeypatch.context() as patch:
            patch.setattr(
                checkpoint, "plain_value", lambda name, value, wrong=wrong: {name: wrong if name == "clip_norm" else value}
            )
            opt.save(tmp_path / "file", parameters=True)
        before = everything(opt, [p]), repr(opt)
        with pytest.raises(ValueError, match="clip_norm"):
            opt.load(tmp_path / "file", parameters=True)
        assert (everything(opt, [p]), repr(opt)) == before


# -------------------------------------------------------------------------------------------------- gradients that are errors


# Compilation takes its time, and what is tested is of no rule.
COMPILED = [("SGD", "numba"), pytest.param("LAMB", "numba", marks=pytest.mark.exhaustive)]


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize(("name", "backend"), [*[(name, "c") for name in NAMES], *COMPILED])
def test_an_error_leaves_every_byte(name: str, backend: str, bad: float) -> None:
    """Parameters, states, averages, copies, gradients, counts, the norm: at the first step, and later."""
    params = [values(F32, 70, 1), values(F64, 30, 2).reshape(5, 6), np.zeros(0, F32), values(BF16, 9, 3)]
    copies = [np.full_like(one, 7, dtype=F16) for one in params]
    around = {"clip_norm": 1.0, "clip_per": "tensor", "ema": 0.5, "zero_grad": True, "rounding": "stochastic"}
    opt = getattr(lk, name)(params, lr=0.1, error_if_nonfinite=True, copy_to=copies, backend=backend, **around)
    for t in range(3):
        wrong = [values(one.dtype, one.size, 10 + i).reshape(one.shape) for i, one in enumerate(params)]
        wrong[1][2, 3] = wrong[3][8] = bad
        good = [values(one.dtype, one.size, 20 + i).reshape(one.shape) for i, one in enumerate(params)]
        before = pickle.dumps((params, copies, wrong)), everything(opt, params)
        with pytest.raises(ValueError, match=rf"^{name}\.step: grads must be finite with error_if_nonfinite; got ") as caught:
            opt.step(wrong)
        assert str(caught.value).endswith(f"; got {bad} in grads[1] at [2, 3], {bad} in grads[3] at [8]")
        assert (pickle.dumps((params, copies, wrong)), everything(opt, params)) == before
        old = pickle.dumps(params)
        opt.step(good)
        assert opt.count == t + 1
        assert pickle.dumps(params) != old
        assert not any(one.any() for one in good)


@BACKENDS
def test_what_is_not_finite_is_found_where_it_is(backend: str) -> None:
    """Keys, groups, any order of axes, no axes, types in which it is infinite, rows whose sum is, blocks far behind."""
    big = np.zeros((3, 70_000), F32)
    big[2, 69_999] = math.nan
    fortran = np.asfortranarray(np.zeros((4, 5)))
    fortran[1, 3] = math.inf
    turned = np.zeros((2, 3, 4)).transpose(2, 0, 1)
    turned[3, 1, 2] = -math.inf
    tries: list[tuple[Any, Any, str]] = [
        ({"w": np.ones(()), "b": np.ones(2)}, {"w": np.array(math.nan), "b": np.ones(2)}, r"nan in grads\['w'\]$"),
        ([np.ones((3, 70_000), F32)], [big], r"nan in grads\[0\] at \[2, 69999\]$"),
        ([np.asfortranarray(np.ones((4, 5)))], [fortran], r"inf in grads\[0\] at \[1, 3\]$"),
        ([np.ones((2, 3, 4)).transpose(2, 0, 1)], [turned], r"-inf in grads\[0\] at \[3, 1, 2\]$"),
        ([np.ones(3, F32)], [np.array([1.0, -1e300, 1e300])], r"-inf in grads\[0\] at \[1\]$"),
        ([np.ones(3)], [np.array([1.0, -1e300, np.inf])], r"inf in grads\[0\] at \[2\]$"),
        ([np.ones(2), np.ones(2)], [np.full(2, 1.7e308), np.array([0.0, np.nan])], r"got nan in grads\[1\] at \[1\]$"),
        ([np.ones((4, 2), F32)], [(np.array([3, 1, 3]), np.full((3, 2), 3e38, F32))], r"inf in grads\[0\] at \[3, 0\]$"),
        ([np.ones(9, BF16)], [np.array([0.0] * 8 + [np.nan]).astype(BF16)], r"nan in grads\[0\] at \[8\]$"),
        ([np.ones(9, F16)], [np.array([0.0] * 8 + [np.inf]).astype(F16)], r"inf in grads\[0\] at \[8\]$"),
        (
            [np.ones(1) for _ in range(5)],
            [np.full(1, np.inf) for _ in range(5)],
            r"got inf in grads\[0\] at \[0\], inf in grads\[1\] at \[0\], inf in grads\[2\] at \[0\] and in 2 more$",
        ),
    ]
    for params, grads, message in tries:
        for isa in lk.isas() if backend == "c" else ["scalar"]:
            with running(isa, 2):
                opt = lk.SGD(params, 0.1, error_if_nonfinite=True, backend=backend)
                with pytest.raises(ValueError, match=message):
                    opt.step(grads)
                assert (opt.count, opt.grad_norm) == (0, None)
    arrays = [one for params, *_ in tries for one in (params.values() if isinstance(params, dict) else params)]
    assert all((one == 1).all() for one in arrays)
    opt = lk.SGD([{"params": [np.ones(1)]}, {"params": {"w": np.ones(2)}}], 0.1, error_if_nonfinite=True, backend=backend)
    wrong = [[np.ones(1)], {"w": np.array([0.0, np.inf])}]
    with pytest.raises(ValueError, match=r"inf in grads\[1\]\['w'\] at \[1\]$"):
        opt.step(wrong)
    opt.freeze(1)
    opt.step(wrong)
    assert opt.count == 1


@BACKENDS
def test_huge_and_none_is_finite(backend: str) -> None:
    p = np.ones(4)
    opt = lk.SGD([p, np.ones(2, F32)], 1.0, error_if_nonfinite=True, clip_norm=1.0, backend=backend)
    opt.step([np.full(4, 1.7e308), np.full(2, 3e38, F32)])
    assert math.isinf(opt.grad_norm) or opt.grad_norm > 1e308
    opt.step([None, np.ones(2, F32)])
    assert opt.count == 2


@BACKENDS
def test_bound_gradients_that_are_errors(backend: str) -> None:
    """They stay bound where a step is given none; what a refused step was given takes their place no more than elsewhere."""
    p, g = np.zeros(2), np.array([1.0, math.nan])
    opt = lk.SGD([{"params": [p]}, {"params": [np.ones(1)]}], 1.0, error_if_nonfinite=True, backend=backend)
    opt.bind([[g], [np.ones(1)]])
    with pytest.raises(ValueError, match=r"nan in grads\[0\]\[0\] at \[1\]$"):
        opt.step()
    g[1] = 2.0
    opt.step()
    assert p.tolist() == [-1.0, -2.0]
    with pytest.raises(ValueError, match="must be finite"):
        opt.step([[np.full(2, math.inf)], [np.ones(1)]])
    with pytest.raises(ValueError, match="grads are needed"):
        opt.step()
    opt.freeze(1)
    with pytest.raises(ValueError, match="grads are needed"):
        opt.step()
    assert p.tolist() == [-1.0, -2.0]


def test_to_skip_and_to_refuse() -> None:
    message = "^SGD: skip_nonfinite and error_if_nonfinite must not both be True: a step with such gradients is either"
    with pytest.raises(ValueError, match=message):
        lk.SGD([np.ones(1)], 0.1, skip_nonfinite=True, error_if_nonfinite=True)
    for wrong in (1, None, "yes"):
        with pytest.raises(TypeError, match=r"^SGD: error_if_nonfinite must be True or False; got"):
            lk.SGD([np.ones(1)], 0.1, error_if_nonfinite=wrong)


# ------------------------------------------------------------------------------------------------------- without adaptation


@pytest.mark.parametrize("storage", STORAGE, ids=str)
@pytest.mark.parametrize("name", ["LARS", "LAMB"])
def test_groups_without_adaptation(name: str, storage: tuple[Any, ...]) -> None:
    """In one list, under one norm; of zeros and of infinite numbers as well."""
    param, grad, state, rounding = storage
    options = cases.OPTIMIZERS[name][STORAGE.index(storage) % len(cases.OPTIMIZERS[name])]
    groups = groups_of(param)
    groups[1] |= {"adapt": False, "weight_decay": 0.5}
    groups[0]["adapt"] = True
    kept = {"state_dtype": fitting(name, options, state), "rounding": rounding}
    pair = Pair(name, groups, **{**options, "adapt": True}, **kept, clip_norm=0.5, ema=0.5)
    for step in range(3):
        grads = gradients_of(groups, np.dtype(grad), 40 + step, rows=False)
        if step == 2:
            grads[3][5] = math.inf
        pair.step(grads)
        pair.compare()
    pair.assert_moved(0.1)


STEPS: list[tuple[Callable[..., None], Callable[..., Any], int]] = [(lk.lars_step, lk.LARS, 1), (lk.lamb_step, lk.LAMB, 2)]


@diagonals(2, ("step,make,states", STEPS, ["LARS", "LAMB"]), ("backend", ["c", "numba"], str))
def test_functions_without_adaptation(step: Any, make: Any, states: int, backend: str) -> None:
    results = []
    for adapt in (True, False):
        p, g = values(F32, 20, 1), values(F32, 20, 2)
        q = p.copy()
        more = {"count": 0} if states == 2 else {"first": True}
        step(p, g, *(np.zeros_like(p) for _ in range(states)), lr=0.1, adapt=adapt, backend=backend, **more)
        make([q], lr=0.1, adapt=adapt, backend=backend).step([g])
        assert_same_bits(p, q)
        results.append(p)
    assert (results[0] != results[1]).any()


def test_without_adaptation_lars_is_sgd() -> None:
    """With lr inside the buffer, from 0: the convention of Keras."""
    p, q = values(F64, 30, 1), values(F64, 30, 1)
    a = lk.LARS([p], 0.25, momentum=0.5, adapt=False, trust=0.001, trust_clip=True)
    b = lk.SGD([q], 0.25, momentum=0.5, convention="keras")
    for t in range(3):
        for one in (a, b):
            one.step([values(F64, 30, 2 + t)])
    assert_same_bits(p, q)


def test_adapt_is_an_option_of_its_rules(tmp_path: Path) -> None:
    for wrong in (0, None, "no"):
        with pytest.raises(TypeError, match=r"^LARS: adapt must be True or False; got"):
            lk.LARS([{"params": [np.ones(1)], "adapt": wrong}], 0.1)
    with pytest.raises(TypeError, match=r"^SGD: unknown option adapt; the options of SGD are"):
        lk.SGD([np.ones(1)], 0.1, adapt=False)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^LARS: unknown option exclude_from_layer_adaptation: use adapt"):
        lk.LARS([np.ones(1)], 0.1, exclude_from_layer_adaptation=[])  # type: ignore[call-arg]
    groups = [{"params": [np.ones(3)]}, {"params": [np.full(3, 2.0)], "adapt": False}]
    again = copied(groups)
    opt, other = lk.LAMB(groups, 0.1), lk.LAMB(again, 0.5)
    other = lk.LAMB(again, 0.5)
    opt.step([[np.ones(3)], [np.ones(3)]])
    opt.save(tmp_path / "file", parameters=True)
    other.load(tmp_path / "file", parameters=True)
    for one in (opt, other):
        one.step([[np.ones(3)], [np.arange(3.0)]])
    assert pickle.dumps([one["params"] for one in groups]) == pickle.dumps([one["params"] for one in again])
    with pytest.raises(TypeError, match=r"^LAMB\.set: name must be one of"):
        opt.set("adapt", True)

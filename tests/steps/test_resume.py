"""Going on from a state: what belongs where is found by name, what does not fit is named; checkpoints with parameters."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from test_files import put, rewritten

import lrkern as lk


def make(params: Any, **options: Any) -> Any:
    return lk.AdamW(params, **{"lr": 0.1, "ema": 0.5, **options})


def arrays(*names: str, seed: int = 0) -> dict[str, np.ndarray]:
    shapes = {"w": (3, 2), "b": (2,), "s": (), "h": (4,), "x": (1, 5)}
    return {name: np.random.default_rng([seed, ord(name)]).normal(size=shapes[name]) for name in names}


def run(opt: Any, names: str, steps: int = 2, start: int = 0) -> None:
    for t in range(start, start + steps):
        opt.step(arrays(*names, seed=100 + t))


def state_of(opt: Any) -> bytes:
    return pickle.dumps(opt.state_dict())


def resume(opt: Any, other: Any, how: str, tmp_path: Path, **options: Any) -> Any:
    if how == "file":
        opt.save(tmp_path / "state")
        return other.load(tmp_path / "state", **options)
    return other.load_state_dict(pickle.loads(state_of(opt)), **options)


WAYS = pytest.mark.parametrize("how", ["file", "dict"])
NOTHING = ([], [], [], [])


@WAYS
@pytest.mark.parametrize("backend", ["c", "numba"])
def test_any_order_of_names(how: str, backend: str, tmp_path: Path) -> None:
    params = arrays("w", "b", "s")
    opt = make(params, backend=backend)
    run(opt, "wbs")
    other_params = {name: params[name].copy() for name in ("s", "w", "b")}
    other = make(other_params, backend=backend)
    assert resume(opt, other, how, tmp_path) == NOTHING
    run(opt, "wbs", start=2)
    run(other, "wbs", start=2)
    for name, one in params.items():
        assert one.tobytes() == other_params[name].tobytes()
        assert opt.ema_params[name].tobytes() == other.ema_params[name].tobytes()


@WAYS
@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("w", r"it has params\['b'\], which is not kept here \(strict=False loads what fits\)$"),
        ("wbh", r"the state has no params\['h'\] \(strict"),
        ("wh", r"the state has no params\['h'\]; it has params\['b'\], which is not kept here"),
    ],
)
def test_errors_name_the_entry(how: str, names: str, message: str, tmp_path: Path) -> None:
    opt, other = make(arrays("w", "b")), make(arrays(*names))
    run(opt, "wb")
    run(other, names)
    before = state_of(other)
    with pytest.raises(ValueError, match=rf"^AdamW\.load(_state_dict)?: {message}"):
        resume(opt, other, how, tmp_path)
    assert state_of(other) == before
    assert other.grad_norm is None


@WAYS
def test_loading_what_fits(how: str, tmp_path: Path) -> None:
    """A head of another shape, a parameter more and one less: a run is fine-tuned."""
    opt = make(arrays("w", "b", "h"))
    run(opt, "wbh", 3)
    params = {**arrays("s", "w"), "h": np.ones(7)}
    other = make(params)
    other.step({"s": np.ones(()), "w": None, "h": np.ones(7)})
    before = other.state_dict()
    unloaded = resume(opt, other, how, tmp_path, strict=False)
    assert unloaded.missing == ["params['s']"]
    assert unloaded.unknown == ["params['b']"]
    assert unloaded.misshapen == ["exp_avgs['h']", "exp_avg_sqs['h']", "ema_params['h']"]
    assert unloaded.left == []
    after, source = other.state_dict(), opt.state_dict()
    assert after["updates"] == {"s": 1, "w": 3, "h": 1}
    assert after["count"] == 3
    for kind in ("exp_avgs", "exp_avg_sqs", "ema_params"):
        assert after[kind]["w"].tobytes() == source[kind]["w"].tobytes()
        assert after[kind]["w"].any()
        for name in ("s", "h"):
            assert after[kind][name].tobytes() == before[kind][name].tobytes()


@WAYS
def test_a_parameter_has_all_states_of_its_rule_or_none(how: str, tmp_path: Path) -> None:
    """Half of them would be a step of nonsense: an average of squares from 0 with the correction of a late step."""
    opt, other = make(arrays("w")), make(arrays("w"), amsgrad=True)
    run(opt, "w", 3)
    before = other.state_dict()
    with pytest.raises(ValueError, match=r"the state has no max_exp_avg_sqs\['w'\] \(strict"):
        resume(opt, other, how, tmp_path)
    unloaded = resume(opt, other, how, tmp_path, strict=False)
    assert unloaded == (["max_exp_avg_sqs['w']"], [], [], ["exp_avgs['w']", "exp_avg_sqs['w']"])
    after = other.state_dict()
    assert after["updates"] == {"w": 0}
    assert after["exp_avgs"]["w"].tobytes() == before["exp_avgs"]["w"].tobytes()
    assert after["ema_params"]["w"].tobytes() == opt.ema_params["w"].tobytes()


@WAYS
@pytest.mark.parametrize("kind", ["f8", "f4", "bfloat16", "split", "uint16"])
def test_averages_begin_at_a_resume(how: str, kind: str, tmp_path: Path) -> None:
    """With the parameters as they are then, not as they were when the optimizer was made."""
    options: dict[str, Any] = {"split": {"rounding": "split"}, "uint16": {"uint16_as_bfloat16": True}}.get(kind, {})
    dtype = "f8" if kind == "f8" else "f4" if kind == "f4" else ml_dtypes.bfloat16

    def as_given(values: Any) -> Any:
        return values.astype(dtype).view(np.uint16) if kind == "uint16" else values.astype(dtype)

    p, q = as_given(np.ones(3)), as_given(np.ones(3))
    opt, other = lk.SGD([p], 0.1, momentum=0.9, **options), lk.SGD([q], 0.1, momentum=0.9, ema=0.5, **options)
    opt.step([as_given(np.full(3, 0.7))])
    q[...] = p
    assert resume(opt, other, how, tmp_path) == NOTHING
    began = other.ema_params[0]
    assert (began != 1).all()
    wanted = p.view(ml_dtypes.bfloat16) if kind == "uint16" else p
    assert (began == wanted.astype(began.dtype)).all()
    with pytest.raises(ValueError, match=r"it has ema_params\[0\], which is not kept here"):
        resume(other, opt, how, tmp_path)
    assert resume(other, opt, how, tmp_path, strict=False).unknown == ["ema_params[0]"]


def test_keys_that_look_alike(tmp_path: Path) -> None:
    class Key:
        def __repr__(self) -> str:
            return "key"

    a, b = Key(), Key()
    opt, other = (lk.SGD({a: np.ones(1), b: np.ones(1)}, 0.1, momentum=0.9) for _ in range(2))
    opt.step({a: np.full(1, 2.0), b: np.full(1, 3.0)})
    opt.save(tmp_path / "state")
    for load in (lambda: other.load(tmp_path / "state"), lambda: other.load_state_dict(opt.state_dict())):
        load()
        assert [one.tolist() for one in other.momentum_buffers.values()] == [[2.0], [3.0]]


def test_flags_are_flags(tmp_path: Path) -> None:
    opt = make(arrays("w"))
    opt.save(tmp_path / "state")
    for call in (
        lambda: opt.load(tmp_path / "state", strict=0),
        lambda: opt.load_state_dict(opt.state_dict(), strict=1),
        lambda: opt.save(tmp_path / "state", parameters=None),
        lambda: opt.load(tmp_path / "state", parameters="yes"),
    ):
        with pytest.raises(TypeError, match=r"^AdamW\.\w+: (strict|parameters) must be True or False"):
            call()


# --------------------------------------------------------------------------------------------------------- checkpoints


@pytest.mark.parametrize("backend", ["c", "numba"])
@pytest.mark.parametrize("kind", ["f4", "bfloat16", "split", "uint16"])
def test_a_checkpoint_is_all_that_a_run_goes_on_from(backend: str, kind: str, tmp_path: Path) -> None:
    """Parameters, states, averages, the schedule: bit by bit, on an optimizer that was made with none of them."""
    options: dict[str, Any] = {"split": {"rounding": "split"}, "uint16": {"uint16_as_bfloat16": True}}.get(kind, {})
    options |= {"ema": 0.9, "backend": backend, "clip_norm": 1.0}

    def as_given(one: np.ndarray) -> np.ndarray:
        cast = one.astype("f4" if kind == "f4" else ml_dtypes.bfloat16)
        return cast.view(np.uint16) if kind == "uint16" else cast

    def some(seed: int) -> Any:
        return [{name: as_given(one) for name, one in arrays(*names, seed=seed).items()} for names in ("wb", "s")]

    params, schedule = some(1), lk.cosine(0.1, 0.0, 50).warmup(3)
    groups = [{"params": params[0]}, {"params": params[1], "lr": 0.25, "weight_decay": schedule}]
    opt = lk.AdamW(groups, schedule, beta1=0.8, **options)
    for t in range(3):
        opt.step(some(10 + t))
    path = tmp_path / "checkpoint"
    opt.save(path, parameters=True)

    begun = [{name: np.zeros_like(one) for name, one in group.items()} for group in params]
    other = lk.AdamW([{"params": one} for one in begun], 7.0, **options)
    assert other.load(path, parameters=True) == NOTHING
    assert other.lr == opt.lr
    for t in range(3, 6):
        opt.step(some(10 + t))
        other.step(some(10 + t))
    assert state_of(opt) == state_of(other)
    for group, again in zip(params, begun, strict=True):
        for name, one in group.items():
            assert one.tobytes() == again[name].tobytes()
            assert one.any()
    assert other._arranged.groups[0].options["lr"] == schedule  # the schedule itself, not its value
    lk.AdamW([{"params": one} for one in begun], 7.0, **options).load(path)  # without them, as of any file


def test_rates_of_rows_and_functions(tmp_path: Path) -> None:
    p, lrs = np.ones((3, 2)), np.array([0.1, 0.2, 0.3])
    opt = lk.SGD([p], lrs, momentum=lambda step: 0.5, decoupled=True)
    opt.step([np.ones((3, 2))])
    opt.save(tmp_path / "file", parameters=True)
    other = lk.SGD([np.zeros((3, 2))], np.zeros(3), momentum=lambda step: 0.25, decoupled=True)
    other.load(tmp_path / "file", parameters=True)
    assert other.lr.tolist() == lrs.tolist()
    assert other._arranged.groups[0].options["momentum"](0) == 0.25  # which no file can hold
    with pytest.raises(ValueError, match=r"^SGD\.load: lr cannot change from one number to one for each row"):
        lk.SGD([np.zeros((3, 2))], 0.1, momentum=0.5).load(tmp_path / "file", parameters=True)


def test_averages_begin_with_the_parameters_of_the_checkpoint(tmp_path: Path) -> None:
    p, q = np.array([0.25, 0.5]), np.zeros(2)
    lk.SGD([p], 0.1).save(tmp_path / "file", parameters=True)
    opt = lk.SGD([q], 0.1, ema=0.5)
    opt.load(tmp_path / "file", parameters=True)
    assert q.tolist() == opt.ema_params[0].tolist() == [0.25, 0.5]


def test_a_checkpoint_that_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    make(arrays("w", "b")).save(path)
    opt = make(arrays("w", "b"))
    with pytest.raises(ValueError, match=r"must be a checkpoint, which save\(\.\.\., parameters=True\) writes; it"):
        opt.load(path, parameters=True)
    make(arrays("w", "b")).save(path, parameters=True)
    params = {"w": np.ones((3, 2)), "b": np.ones(3)}
    opt = make(params)
    before = state_of(opt)
    with pytest.raises(ValueError, match=r"params\['b'\] must be float64 of shape \(3,\) like .*; got float64 \(2,\)"):
        opt.load(path, parameters=True)
    assert state_of(opt) == before
    assert all((one == 1).all() for one in params.values())
    unloaded = opt.load(path, parameters=True, strict=False)
    assert unloaded.misshapen == ["exp_avgs['b']", "exp_avg_sqs['b']", "ema_params['b']", "params['b']"]
    assert (params["b"] == 1).all()
    assert (params["w"] == arrays("w")["w"]).all()
    two = lk.AdamW([{"params": arrays("w", "b")}, {"params": arrays("s")}], 0.1)
    with pytest.raises(ValueError, match=r"the state has no params\[0\]\['w'\]"):
        two.load(path, parameters=True)
    loaded = two.load(path, parameters=True, strict=False)
    assert loaded.missing == ["params[0]['w']", "params[0]['b']", "params[1]['s']", "groups[1]"]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (None, "it has no parameters"),
        (7, "its hyper-parameters are none"),
        ([7], "its hyper-parameters are none"),
        ([], "the checkpoint must be of 1 groups; got one of 0"),
        ([{"lr": "0.1"}], "lr must be a finite number >= 0"),
        ([{"lr": -1.0}], "lr must be a finite number >= 0"),
        ([{"lr": None}], "lr must be a finite number >= 0"),
        ([{"lr": [0.1]}], "lr must be a finite number >= 0"),
        ([{"lr": {"array": "exp_avg/0"}}], "lr must be a finite number >= 0"),
        ([{"lr": {"array": "lr/7"}}], r"groups\[0\], lr must be a number, a schedule or the rates of rows"),
        ([{"lr": {"array": [1]}}], "lr must be a number, a schedule or the rates of rows"),
        ([{"lr": {"schedule": 7}}], r"groups\[0\], lr: from_dict: record must be a dict"),
        ([{"lr": {"schedule": lk.constant(0.1).to_dict() | {"version": 9}}}], "from_dict: version must be 1"),
        ([{"beta1": 1.0}], "beta1 must be a finite number >= 0 and < 1"),
        ([{"betas": 1.0}], "name must be one of lr"),
        ([{"x" * 10**5: {}}], r"groups\[0\], xxxx*\.\.\. must be a number"),
    ],
)
def test_hyper_parameters_that_lie(groups: Any, message: str, tmp_path: Path) -> None:
    path, params = tmp_path / "file", arrays("w")
    opt = make(params)
    opt.save(path, parameters=True)
    path.write_bytes(rewritten(path.read_bytes(), put(groups=groups)))
    params["w"][...] = 5.0
    before = state_of(opt)
    with pytest.raises(ValueError, match=rf"^AdamW\.load: .*{message}") as raised:
        opt.load(path, parameters=True)
    assert len(str(raised.value)) < 600
    assert state_of(opt) == before
    assert opt.lr == 0.1
    assert (params["w"] == 5).all()


def test_files_say_what_is_in_them(tmp_path: Path) -> None:
    """For readers of other programs: names of arrays, and a JSON text."""
    opt = lk.SGD({"w": np.ones(3)}, lk.linear(0.1, 0.0, 10), momentum=0.5)
    opt.save(tmp_path / "file", parameters=True)
    raw = (tmp_path / "file").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert {"param/0", "momentum_buffer/0"} < set(header)
    plain = json.loads(header["__metadata__"]["lrkern"])
    assert plain["labels"] == ["params['w']"]
    assert plain["groups"][0]["momentum"] == 0.5
    assert plain["groups"][0]["lr"] == {"schedule": lk.linear(0.1, 0.0, 10).to_dict()}

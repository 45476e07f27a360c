"""Averages of parameters: several of them, changed at every k-th step."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import cases
import numpy as np
import pytest
from reference_steps import BF16, F16, F32, F64
from representative import diagonals
from step_arrays import fitting, values
from step_pairs import Pair, copied

import lrkern as lk

BACKENDS = pytest.mark.parametrize("backend", ["c", "numba"])
NAMES = list(cases.OPTIMIZERS)
STORAGE = [
    (F64, F32, None, "nearest"),
    (F32, F32, BF16, "stochastic"),
    (BF16, BF16, None, "split"),
    (BF16, F32, BF16, "nearest"),
]
EMAS = [(0.9,), (0.5, lk.linear(0.0, 1.0, 4)), (0.25, 0.75, 1.0), 0.5]
SIZES = (0, 5, 1030, 70)


def everything(opt: Any, params: list[Any]) -> bytes:
    return pickle.dumps((params, opt.state_dict(), opt.count, opt.skipped))


@diagonals(2, ("name", NAMES, NAMES), ("storage", STORAGE, str))
def test_several(name: str, storage: tuple[Any, ...]) -> None:
    """Skipped steps do not count; copies are made at every step."""
    param, grad, state, rounding = storage
    k = NAMES.index(name) + STORAGE.index(storage)
    ema, every = EMAS[k % 4], 1 + k % 3
    options = cases.OPTIMIZERS[name][k % len(cases.OPTIMIZERS[name])]
    params = [values(param, n, n) for n in SIZES]
    kept = {"state_dtype": fitting(name, options, state), "rounding": rounding, "seed": every}
    around = {"ema": ema, "ema_every": every, "skip_nonfinite": True, "zero_grad": every == 2}
    pair = Pair(name, params, [np.zeros(n, F16) for n in SIZES], **options, **kept, **around)
    for step in range(6):
        grads = [values(grad, n, 50 * step + n) for n in SIZES]
        if step == 2:
            grads[2][3] = np.inf
        pair.step(grads)
        pair.compare()
    assert pair.expected.skipped == 1
    opt = pair.found[0][-1]
    found = opt.ema_params if isinstance(ema, tuple) else (opt.ema_params,)
    assert len(found) == (len(ema) if isinstance(ema, tuple) else 1)
    assert all((one[2] != params[2].astype(one[2].dtype)).any() for one in found if ema != (0.25, 0.75, 1.0))


@BACKENDS
def test_by_hand(backend: str) -> None:
    p = np.zeros(1)
    opt = lk.SGD([p], 1.0, ema=(0.5, 0.75), ema_every=2, backend=backend)
    seen = []
    for _ in range(5):
        opt.step([-np.ones(1)])
        seen.append([float(one[0][0]) for one in opt.ema_params])
    # The parameter is 1, 2, 3, 4, 5.
    assert seen == [[0.0, 0.0], [1.0, 0.5], [1.0, 0.5], [2.5, 1.375], [2.5, 1.375]]


# Numba compiles a step with averages and one without for each type of parameters.
@pytest.mark.parametrize("small", [BF16, pytest.param(F64, marks=pytest.mark.exhaustive)], ids=str)
def test_numba_has_the_bits_of_c(small: Any) -> None:
    found = []
    for backend in ("c", "numba"):
        params = [values(F32, 70_000, 1).reshape(700, 100), values(small, 33, 2)]
        ema = (0.9, lk.linear(0.1, 0.9, 5), 0.5)
        opt = lk.AdamW(params, 0.1, ema=ema, ema_every=2, zero_grad=True, rounding="split", backend=backend)
        for step in range(5):
            grads: list[Any] = [values(one.dtype, one.size, 9 * step + i).reshape(one.shape) for i, one in enumerate(params)]
            if step in (1, 2):
                grads[0] = np.array([1, 699, 1]), grads[0][:3]
            opt.step(grads)
        found.append(everything(opt, params))
    assert found[0] == found[1]


@BACKENDS
def test_groups_have_their_own(backend: str) -> None:
    """Also fewer, or none; a group that is added may have more."""
    p, q, r, s = (np.ones(2) for _ in range(4))
    groups = [{"params": [p]}, {"params": {"q": q}, "ema": 0.25}, {"params": [r], "ema": None}]
    opt = lk.SGD(groups, 1.0, ema=(0.5, 0.75), backend=backend)
    opt.step([[np.ones(2)], {"q": np.ones(2)}, [np.ones(2)]])
    first, second = opt.ema_params
    assert [first[0][0].tolist(), first[1]["q"].tolist(), first[2]] == [[0.5] * 2, [0.25] * 2, [None]]
    assert [second[0][0].tolist(), second[1], second[2]] == [[0.75] * 2, {"q": None}, [None]]
    opt.add_group([s], ema=(0.5, 0.5, 0.0))
    opt.step([[None], {"q": None}, [None], [np.ones(2)]])
    assert [one[3][0].tolist() for one in opt.ema_params] == [[0.5] * 2, [0.5] * 2, [0.0] * 2]
    assert opt.ema_params[0][0][0].tolist() == [0.5] * 2
    assert opt.ema_params[2][:2] == [[None], {"q": None}]
    single = lk.SGD([p], 1.0, ema=0.5, backend=backend)
    assert single.ema_params[0].tolist() == p.tolist()
    assert lk.SGD([p], 1.0, backend=backend).ema_params is None


@BACKENDS
@pytest.mark.parametrize("how", ["file", "dict"])
def test_resume(how: str, backend: str, tmp_path: Path) -> None:
    def made(params: Any, **changed: Any) -> Any:
        options = {"ema": (0.9, lk.linear(0.1, 0.9, 9), 0.5), "ema_every": 2, "backend": backend}
        return lk.AdamW(params, 0.1, **options | changed)

    def resumed(opt: Any, other: Any, **options: Any) -> Any:
        if how == "file":
            opt.save(tmp_path / "file")
            return other.load(tmp_path / "file", **options)
        return other.load_state_dict(pickle.loads(pickle.dumps(opt.state_dict())), **options)

    params = {"w": values(F64, 4, 1), "b": values(F32, 5, 2)}
    opt = made(params)
    for t in range(3):
        opt.step({"w": values(F64, 4, t), "b": values(F32, 5, 10 + t)})
    again = {name: one.copy() for name, one in reversed(params.items())}
    other = made(again)
    resumed(opt, other)
    for t in range(3, 7):
        for one in (opt, other):
            one.step({"w": values(F64, 4, t), "b": values(F32, 5, 10 + t)})
    for name in params:
        assert params[name].tobytes() == again[name].tobytes()
        assert [one[name].tobytes() for one in opt.ema_params] == [one[name].tobytes() for one in other.ema_params]

    fewer = made({name: one.copy() for name, one in params.items()}, ema=(0.9, 0.5))
    before = pickle.dumps(fewer.state_dict())
    with pytest.raises(ValueError, match=r"the optimizer has no third_ema_params\['w'\], third_ema_params\['b'\] \(strict"):
        resumed(opt, fewer)
    assert pickle.dumps(fewer.state_dict()) == before
    unloaded = resumed(opt, fewer, strict=False)
    assert unloaded.unknown == ["third_ema_params['w']", "third_ema_params['b']"]
    assert [one["w"].tobytes() for one in fewer.ema_params] == [one["w"].tobytes() for one in opt.ema_params[:2]]
    more = made({name: one.copy() for name, one in params.items()})
    resumed(fewer, more)
    assert more.ema_params[1]["w"].tobytes() == opt.ema_params[1]["w"].tobytes()
    assert more.ema_params[2]["w"].tobytes() == params["w"].tobytes()  # begins now
    single = made({name: one.copy() for name, one in params.items()}, ema=0.5)
    resumed(single, more)
    assert more.ema_params[0]["b"].tobytes() == single.ema_params["b"].tobytes()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ema": ()}, ValueError, r"ema must be a decay or a tuple of 1 to 3 decays; got \(\)"),
        ({"ema": (0.5,) * 4}, ValueError, "ema must be a decay or a tuple of 1 to 3 decays; got"),
        ({"ema": (0.5, 1.5)}, ValueError, r"ema\[1\] must be a finite number >= 0 and <= 1; got 1.5"),
        ({"ema": (0.5, None)}, TypeError, r"ema\[1\] must be a finite number"),
        ({"ema": [0.5]}, TypeError, "ema must be a finite number"),
        ({"ema_every": 0}, ValueError, "ema_every must be an integer >= 1; got 0"),
        ({"ema_every": 2.0}, TypeError, "ema_every must be an integer >= 1; got 2.0"),
        ({"ema_every": True}, TypeError, "ema_every must be an integer"),
    ],
)
def test_errors(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^SGD: {message}"):
        lk.SGD([np.ones(1)], 0.1, **options)


@BACKENDS
def test_a_schedule_that_leaves_the_range(backend: str) -> None:
    p = np.ones(1)
    opt = lk.SGD([p], 0.1, ema=(0.5, lk.linear(0.5, 1.5, 2)), backend=backend)
    opt.step([np.ones(1)])
    opt.step([np.ones(1)])
    before = everything(opt, [p])
    with pytest.raises(ValueError, match=r"^SGD, step 2: ema\[1\] must be a finite number >= 0 and <= 1; got 1\.5"):
        opt.step([np.ones(1)])
    assert everything(opt, copied([p])) == before
    assert "ema=(0.5, linear(0.5, 1.5, 2))" in repr(opt)

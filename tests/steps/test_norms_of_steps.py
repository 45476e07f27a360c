"""Norms of every array that a step computes: of the gradient, the parameter, the update."""

from __future__ import annotations

import math
import pickle
from typing import Any

import cases
import numpy as np
import pytest
from isas import running
from reference_steps import BF16, F16, F32, F64
from representative import diagonals
from step_arrays import fitting, values
from step_pairs import Pair

import lrkern as lk

BACKENDS = pytest.mark.parametrize("backend", ["c", "numba"])
NAMES = list(cases.OPTIMIZERS)
STORAGE = [
    (F64, F32, None, "nearest"),
    (F32, BF16, BF16, "stochastic"),
    (BF16, BF16, None, "split"),
    (BF16, F32, BF16, "nearest"),
    (F16, F16, BF16, "stochastic"),
    (F32, F32, None, "nearest"),
]
SIZES = (0, 5, 1024, 2500, 1025)
AROUND: list[dict[str, Any]] = [
    {},
    {"clip_norm": 0.5, "clip_per": "tensor", "zero_grad": True},
    {"ema": (0.5, 0.25), "ema_every": 2, "clip_value": 0.25},
]


@diagonals(2, ("name", NAMES, NAMES), ("storage", STORAGE, str))
def test_norms(name: str, storage: tuple[Any, ...]) -> None:
    """Of the gradient as given, by grad_scale, whatever is clipped; a skipped step leaves them."""
    param, grad, state, rounding = storage
    k = NAMES.index(name) + STORAGE.index(storage)
    options = cases.OPTIMIZERS[name][k % len(cases.OPTIMIZERS[name])]
    params = [values(param, n, n) for n in SIZES]
    kept = {"state_dtype": fitting(name, options, state), "rounding": rounding, "seed": 5, "skip_nonfinite": True}
    pair = Pair(
        name, params, [np.zeros(n, F16) for n in SIZES] if k % 2 else None, **options, **kept, **AROUND[k % 3], norms=True
    )
    for step, scale in enumerate((1.0, 8.0, 0.3)):
        grads: list[Any] = [values(grad, n, 50 * step + n) for n in SIZES]
        if step == 1:
            grads[3] = None
        pair.step(grads, scale)
        pair.compare()
        found = pair.found[0][-1].norms
        assert (found[3] is None) == (step == 1)
        assert found[2].update > 0
        assert found[0] == (0.0, 0.0, 0.0)
    before = found
    pair.step([np.full(n, math.inf, grad) for n in SIZES])
    pair.compare()
    assert pair.found[0][-1].norms == before
    pair.assert_moved(0.1)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("zero", [False, True])
def test_arrays_that_threads_share(threads: int, zero: bool) -> None:
    """Also at odd addresses, and with rows that have their own lr or a gradient or not."""
    memory = np.zeros(1_400_000, np.uint8)
    odd = memory[4:1_200_004].view(F32)
    odd[...] = values(F32, odd.size, 1)
    before = lk.get_threads()
    lk.set_threads(threads)
    try:
        pair = Pair("AdamW", [odd, values(BF16, 70_001, 2), values(F64, 3, 3)], lr=0.1, norms=True, zero_grad=zero)
        for step in range(2):
            pair.step([values(F32, odd.size, 4 + step), values(BF16, 70_001, 5 + step), np.zeros(3)])
            pair.compare()
        shapes = [(3000, 30), (5, 2100), (40, 0)]
        arrays = [values(F32, math.prod(shape), i).reshape(shape) for i, shape in enumerate(shapes)]
        pair = Pair("SGD", arrays, lr=0.1, momentum=0.9, weight_decay=0.1, norms=True, zero_grad=zero, ema=0.5)
        for step in range(2):
            grads: list[Any] = [
                (np.array([7, 2999, 7, 0]), values(F32, 120, 20 + step).reshape(4, 30)),
                (np.array([4, 4, 1]), values(BF16, 6300, 30 + step).reshape(3, 2100)),
                (np.array([39, 2]), np.zeros((2, 0), F32)),
            ]
            pair.step(grads, 4.0)
            pair.compare()
        for array in arrays[:2]:
            lrs = np.linspace(0.0, 1.0, len(array))
            pair = Pair("SGD", [array], lr=lrs, momentum=0.9, norms=True, zero_grad=zero)
            for step in range(2):
                pair.step([values(F64, array.size, 40 + step).reshape(array.shape)])
                pair.compare()
    finally:
        lk.set_threads(before)


# On two threads, sparse gradients and small arrays are the work of one of them: code for either is compiled.
@pytest.mark.parametrize("threads", [pytest.param(one, marks=pytest.mark.exhaustive) for one in (1, 2)])
def test_numba_has_the_bits_of_c(threads: int) -> None:
    found = []
    for backend in ("c", "numba"):
        params = [values(F32, 70_000, 1).reshape(700, 100), values(BF16, 2033, 2), values(F32, 9, 3)]
        opt = lk.AdamW(params, 0.1, norms=True, clip_norm=0.5, rounding="split", zero_grad=True, backend=backend)
        lrs = np.linspace(0.0, 1.0, 700)
        own = values(F32, 70_000, 4).reshape(700, 100)
        rows = lk.SGD([own], lrs, momentum=0.9, norms=True, backend=backend)
        for step in range(4):
            grads: list[Any] = [values(one.dtype, one.size, 9 * step + i).reshape(one.shape) for i, one in enumerate(params)]
            rows_of = values(F32, 70_000, 70 + step).reshape(700, 100)
            if step in (1, 2):
                grads[0], grads[2] = (np.array([1, 699, 1]), grads[0][:3]), None
            with running(lk.isas()[0], threads):
                opt.step(grads, 2.0)
                rows.step([rows_of])
            found.append((backend, pickle.dumps((params, own, opt.norms, rows.norms, opt.state_dict()))))
    assert [one for backend, one in found if backend == "c"] == [one for backend, one in found if backend == "numba"]


@BACKENDS
def test_by_hand(backend: str) -> None:
    w, b = np.array([3.0, 4.0]), np.zeros(1, BF16)
    opt = lk.SGD({"w": w, "b": b}, lr=0.5, norms=True, clip_norm=1.0, backend=backend)
    assert opt.norms is None
    opt.step({"w": np.array([0.0, 4.0]), "b": None}, grad_scale=2.0)
    assert opt.norms == {"w": (2.0, 5.0, 0.5), "b": None}
    assert opt.norms["w"]._fields == ("gradient", "parameter", "update")
    opt.step({"w": np.array([0.0, 0.0]), "b": np.array([math.nan], F32)})
    assert opt.norms["w"][0] == 0
    assert math.isnan(opt.norms["b"].gradient)
    assert opt.norms["b"].parameter == 0
    opt.load_state_dict(opt.state_dict())
    assert opt.norms is None
    opt.step({"w": np.array([0.0, 1.0]), "b": None})
    opt.add_group([np.ones(1)])
    assert opt.norms is None
    opt.step([{"w": np.array([0.0, 1.0]), "b": None}, [np.ones(1)]])
    assert opt.norms[1][0].parameter == 1
    assert lk.SGD([w], 0.1, backend=backend).norms is None


def test_an_update_that_is_lost() -> None:
    """The update is that before the parameter is rounded."""
    p = np.ones(4, BF16)
    opt = lk.SGD([p], 2.0**-12, norms=True)
    opt.step([np.ones(4, F32)])
    assert (p == 1).all()
    assert opt.norms[0].update == 2.0**-11


def test_errors() -> None:
    with pytest.raises(TypeError, match=r"^SGD: norms must be True or False; got 1"):
        lk.SGD([np.ones(1)], 0.1, norms=1)  # type: ignore[arg-type]

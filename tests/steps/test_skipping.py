"""Steps that are skipped because their gradients are too large."""

from __future__ import annotations

import math
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
STORAGE = [(F64, F64, None, "nearest"), (F32, F64, F16, "stochastic"), (BF16, BF16, None, "split"), (F16, F16, BF16, "nearest")]
SIZES = (70, 0, 1030, 3)
CONTEXTS: list[dict[str, Any]] = [
    {},
    {"clip_norm": 0.5, "zero_grad": True},
    {"clip_norm": 0.5, "clip_per": "tensor", "ema": 0.5},
    {"skip_nonfinite": True, "ema": 0.5, "zero_grad": True},
]


def everything(opt: Any, params: list[Any]) -> bytes:
    return pickle.dumps((params, opt.state_dict(), opt.grad_norm, opt.count, opt.skipped))


def grads_of(dtype: Any, scale: float, seed: int) -> list[np.ndarray]:
    return [(values(F64, n, seed + n) * scale).astype(dtype) for n in SIZES]


@diagonals(2, ("name", NAMES, NAMES), ("storage", STORAGE, str), ("around", CONTEXTS, str))
def test_large_norms(name: str, storage: tuple[Any, ...], around: dict[str, Any]) -> None:
    """The limit is a schedule at the count of steps done; norms before clipping and after grad_scale count."""
    param, grad, state, rounding = storage
    options = cases.OPTIMIZERS[name][STORAGE.index(storage) % len(cases.OPTIMIZERS[name])]
    params = [values(param, n, n) for n in SIZES]
    norms = [float(lk_norm(grads_of(grad, 1.0, seed))) for seed in range(8)]
    limits = lk.from_table([1.5 * norms[0], 1.5 * norms[2], 1.5 * norms[4]])
    kept = {"state_dtype": fitting(name, options, state), "rounding": rounding, "seed": 3}
    pair = Pair(name, params, **options, **around, **kept, skip_norm=limits)
    for seed, (large, skipped) in enumerate(((1.0, 0), (8.0, 1), (1.0, 1), (4.0, 2), (1.0, 2))):
        scale = (1.0, 4.0, 0.5)[seed % 3]
        pair.step(grads_of(grad, large * scale, seed), scale)
        pair.compare()
        assert pair.expected.skipped == skipped
    pair.assert_moved(0.1)


def lk_norm(grads: list[np.ndarray]) -> float:
    return math.sqrt(math.fsum(float(x) ** 2 for one in grads for x in one.astype(F64)))


@BACKENDS
def test_only_above(backend: str) -> None:
    """The limit itself is not above, nor a NaN; an infinity is."""
    p = np.zeros(2)
    opt = lk.SGD([p], 1.0, skip_norm=5.0, backend=backend)
    for g, moves in (
        ([3.0, 4.0], True),
        ([3.0, math.nextafter(4, 5)], False),
        ([0.0, math.inf], False),
        ([0.0, math.nan], True),
    ):
        before = p.copy()
        opt.step([np.array(g)])
        assert (p.tobytes() != before.tobytes()) == moves, g
    assert (opt.count, opt.skipped) == (2, 2)


@BACKENDS
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_beside_checks_of_each_element(bad: float, backend: str) -> None:
    """Either reason skips; what is not finite can be an error instead."""
    p, wrong, large = np.zeros(2), [np.array([1.0, bad])], [np.array([30.0, 40.0])]
    opt = lk.SGD([p], 1.0, skip_norm=5.0, skip_nonfinite=True, backend=backend)
    opt.step(wrong)
    opt.step(large)
    assert (opt.count, opt.skipped, opt.grad_norm, p.any()) == (0, 2, 50.0, np.False_)
    opt = lk.SGD([p], 1.0, skip_norm=5.0, error_if_nonfinite=True, backend=backend)
    with pytest.raises(ValueError, match="must be finite"):
        opt.step(wrong)
    opt.step(large)
    assert (opt.count, opt.skipped, opt.grad_norm, p.any()) == (0, 1, 50.0, np.False_)


# The rule that `test_clipping.test_an_error_leaves_every_byte` compiles for the same arrays, too.
ONE_AND_ANOTHER = [("AdamW", "c"), ("SGD", "numba"), pytest.param("AdamW", "numba", marks=pytest.mark.exhaustive)]


@pytest.mark.parametrize(("name", "backend"), ONE_AND_ANOTHER)
def test_a_skipped_step_changes_nothing_but_gradients(name: str, backend: str) -> None:
    """Also the first one; with zeroed gradients, of rows as well."""
    params = [values(F32, 70, 1), values(F64, 12, 2).reshape(4, 3), values(BF16, 9, 3)]
    copies = [np.full_like(one, 7, dtype=F16) for one in params]
    around = {"ema": 0.5, "copy_to": copies, "rounding": "stochastic", "zero_grad": True, "backend": backend}
    opt = getattr(lk, name)(params, 0.1, skip_norm=100.0, **around)
    for t in range(3):
        rows = np.array([2, 0, 2]), values(F64, 9, 20 + t).reshape(3, 3)
        good = [values(F32, 70, 10 + t), rows, values(BF16, 9, 30 + t)]
        large = [one[0] if isinstance(one, tuple) else one * one.dtype.type(1e4) for one in copied([good[0], good[2]])]
        before = pickle.dumps((params, copies, opt.state_dict() | {"skipped": 0}))
        opt.step([large[0], (rows[0], rows[1].copy()), large[1]])
        assert pickle.dumps((params, copies, opt.state_dict() | {"skipped": 0})) == before
        assert not any(one.any() for one in large)
        assert opt.grad_norm > 100
        old = pickle.dumps(params)
        opt.step(good)
        assert pickle.dumps(params) != old
        assert not any(one.any() for one in (good[0], rows[1], good[2]))
        assert (opt.count, opt.skipped) == (t + 1, t + 1)


def test_numba_has_the_bits_of_c() -> None:
    found = []
    for backend in ("c", "numba"):
        params = [values(F32, 70_000, 1), values(F64, 9, 2), values(BF16, 33, 3)]
        opt = lk.SGD(params, 0.1, momentum=0.9, skip_norm=lk.linear(400.0, 200.0, 5), clip_norm=1.0, ema=0.9, backend=backend)
        for step in range(6):
            opt.step([values(one.dtype, one.size, 9 * step + i) for i, one in enumerate(params)], 1.0 if step % 2 else 4.0)
        assert 0 < opt.skipped < 6, opt.skipped
        found.append(everything(opt, params))
    assert found[0] == found[1]


@BACKENDS
def test_limits_that_change(backend: str) -> None:
    """By `set`, at once; by a function of the step; a wrong one writes nothing."""
    p = np.zeros(1)
    opt = lk.SGD([p], 1.0, backend=backend)
    for limit, skips in (
        (4, True),
        (lk.constant(16.0), False),
        (None, False),
        (np.float32(0.5), True),
        (lambda step: 7.0, True),
    ):
        opt.set("skip_norm", limit)
        skipped = opt.skipped
        opt.step([np.array([8.0])])
        assert opt.skipped - skipped == skips
    assert "skip_norm" in repr(opt)
    before = everything(opt, [p]), repr(opt)
    for wrong in (0.0, -1.0, math.inf, math.nan, "1", np.ones(2), True):
        error = TypeError if isinstance(wrong, str | np.ndarray | bool) else ValueError
        message = r"skip_norm must be a finite number > 0 and <= 3.40282e\+38; got "
        with pytest.raises(error, match=rf"^SGD: {message}"):
            lk.SGD([p], 1.0, skip_norm=wrong, backend=backend)
        with pytest.raises(error, match=rf"^SGD\.set: {message}"):
            opt.set("skip_norm", wrong)
        assert (everything(opt, [p]), repr(opt)) == before
        other = lk.SGD([p], 1.0, skip_norm=lambda step, wrong=wrong: wrong, backend=backend)  # type: ignore[misc]
        with pytest.raises(error, match=rf"^SGD, step 0: {message}"):
            other.step([np.ones(1)])
    with pytest.raises(ValueError, match=r"^SGD\.set: group must be omitted, because skip_norm is common to all groups"):
        opt.set("skip_norm", 1.0, group=0)


@BACKENDS
def test_a_resumed_run_skips_the_same_steps(backend: str, tmp_path: Path) -> None:
    schedule = lk.linear(8.0, 2.0, 6)

    def grads(t: int) -> list[np.ndarray]:
        return [values(F64, 4, 2 * t), values(F32, 5, 2 * t + 1)]

    def made(params: Any, limit: Any) -> Any:
        return lk.AdamW(params, 0.1, skip_norm=limit, backend=backend)

    params = [np.ones(4), np.ones(5, F32)]
    opt = made(params, schedule)
    for t in range(4):
        opt.step(grads(t))
    path = tmp_path / "file"
    opt.save(path, parameters=True)
    again, third = copied(params), [np.zeros(4), np.zeros(5, F32)]
    resumed, loaded = made(again, schedule), made(third, None)
    resumed.load_state_dict(opt.state_dict())
    loaded.load(path, parameters=True)
    for t in range(4, 12):
        for one in (opt, resumed, loaded):
            one.step(grads(t))
    assert 0 < opt.skipped < 12
    assert everything(opt, params) == everything(resumed, again) == everything(loaded, third)


class Spiky:
    """Gradients whose norms are what a list says."""

    @staticmethod
    def grads(norm: float, t: int) -> list[np.ndarray]:
        raw = [values(F32, 70, t), values(F64, 33, 100 + t)]
        length = lk_norm(raw)
        return [(one.astype(F64) * (norm / length)).astype(one.dtype) for one in raw]


NORMS = [1.0, 1.25, 0.75, 1.1, 0.9, 30.0, 1.2, 1.05, 1.3, 1.4, 50.0, 2.0, 1.0, 1.1]


@pytest.mark.parametrize("window", [2, 3, 5])
@pytest.mark.parametrize("around", CONTEXTS, ids=str)
def test_spikes(window: int, around: dict[str, Any]) -> None:
    """None is skipped until the window is full; skipped ones do not enter it."""
    sigma = lk.linear(3.0, 2.0, 9)
    pair = Pair("AdamW", [values(F32, 70, 1), values(F64, 33, 2)], lr=0.1, **around, skip_sigma=sigma, skip_window=window)
    for t, norm in enumerate(NORMS):
        scale = (1.0, 4.0, 0.5)[t % 3]
        pair.step([one * one.dtype.type(scale) for one in Spiky.grads(norm, t)], scale)
        pair.compare()
        if t < window:
            assert pair.expected.skipped == 0
        if norm >= 30:
            assert pair.expected.skipped > 0
    assert pair.expected.skipped < len(NORMS) // 2
    _, _, _, opt = pair.found[0]
    assert opt.state_dict()["recent_norms"] == pair.expected.recent[-window:]


@BACKENDS
def test_deviations_by_hand(backend: str) -> None:
    """Mean 3, deviation 1: the limit is 5, which is not above itself; the window moves on with each step that is done."""
    p = np.zeros(1)
    opt = lk.SGD([p], 1.0, skip_sigma=2.0, skip_window=2, backend=backend)
    done = []
    for g in (2.0, 4.0, math.nextafter(5, 6), 5.0, 5.5, math.nan, math.inf, 5.6, 6.6):
        count = opt.count
        opt.step([np.array([g])])
        done.append(opt.count > count)
    # 4, 5: up to 5.5; 5, 5.5: up to 5.75; NaN is done and not remembered; 5.5, 5.6: up to 5.65.
    assert done == [True, True, False, True, True, True, False, True, False]
    assert opt.state_dict()["recent_norms"] == [5.5, 5.6]


def test_numba_has_the_bits_of_c_for_spikes() -> None:
    found = []
    for backend in ("c", "numba"):
        params = [values(F32, 70, 1), values(F64, 33, 2)]
        opt = lk.SGD(params, 0.1, momentum=0.9, skip_sigma=1.5, skip_window=3, backend=backend)
        for t, norm in enumerate(NORMS):
            opt.step(Spiky.grads(norm, t))
        assert 2 < opt.skipped < 8
        found.append(everything(opt, params))
    assert found[0] == found[1]


@BACKENDS
@pytest.mark.parametrize("how", ["file", "dict"])
def test_a_resumed_run_remembers_norms(how: str, backend: str, tmp_path: Path) -> None:
    """Also after the window has turned over, and with groups that are added; a shorter window takes the last ones."""

    def made(params: Any, **changed: Any) -> Any:
        return lk.SGD(params, 0.1, **{"skip_sigma": 2.0, "skip_window": 4, "backend": backend, **changed})

    def load(opt: Any, other: Any, **options: Any) -> None:
        if how == "file":
            opt.save(tmp_path / "file", **options)
            other.load(tmp_path / "file", **options)
        else:
            other.load_state_dict(pickle.loads(pickle.dumps(opt.state_dict())))

    for before in (2, 6, 9):
        params = [values(F32, 70, 1), values(F64, 33, 2)]
        opt = made(params)
        for t in range(before):
            opt.step(Spiky.grads(NORMS[t], t))
        again = copied(params)
        other = made(again)
        load(opt, other)
        for t in range(before, len(NORMS)):
            for one in (opt, other):
                one.step(Spiky.grads(NORMS[t], t))
        assert opt.skipped > 0
        assert everything(opt, params) == everything(other, again)
    short = made(copied(params), skip_window=2)
    load(opt, short)
    assert short.state_dict()["recent_norms"] == opt.state_dict()["recent_norms"][-2:]
    if how == "file":
        off = made(copied(params), skip_sigma=None)
        load(opt, off, parameters=True)
        assert "skip_sigma=2.0" in repr(off)
        assert off.state_dict()["recent_norms"] == opt.state_dict()["recent_norms"]
    remembered = opt.state_dict()["recent_norms"]
    opt.add_group([np.ones(2)])
    assert opt.state_dict()["recent_norms"] == remembered
    opt.step([Spiky.grads(1e3, 0), [np.ones(2)]])
    p = opt.state_dict()
    assert p["recent_norms"] == remembered
    for wrong, error in (("1", TypeError), ([1.0, -1.0], ValueError), ([math.nan], ValueError), (["1"], TypeError)):
        with pytest.raises(error, match=r"^SGD\.load_state_dict: recent_norms.* must be"):
            opt.load_state_dict({**p, "recent_norms": wrong})
    assert opt.state_dict()["recent_norms"] == remembered


def test_windows_that_are_none() -> None:
    for wrong, error in ((1, ValueError), (65537, ValueError), (2.0, TypeError), (None, TypeError)):
        with pytest.raises(error, match=r"^SGD: skip_window must be an integer from 2 to 65536; got"):
            lk.SGD([np.ones(1)], 0.1, skip_window=wrong)
    with pytest.raises(ValueError, match=r"^SGD: skip_sigma must be a finite number > 0"):
        lk.SGD([np.ones(1)], 0.1, skip_sigma=0.0)
    opt = lk.SGD([np.ones(1)], 0.1, skip_window=2)
    for g in (1.0, 1.0, 9.0):
        opt.step([np.array([g])])
    assert opt.grad_norm is None
    opt.set("skip_sigma", 3.0)
    for g, skipped in ((1.0, 0), (2.0, 0), (9.0, 1)):
        opt.step([np.array([g])])
        assert opt.skipped == skipped

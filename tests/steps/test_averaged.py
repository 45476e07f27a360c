"""Parameters that are their averages for a while; gradients that are set to zero."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference_steps import BF16, F16, F32, F64, to_nearest
from representative import compiled
from step_arrays import assert_same_bits, values

import lrkern as lk

BACKENDS = pytest.mark.parametrize("backend", ["c", "numba"])


def odd_nan(array: np.ndarray) -> np.ndarray:
    """With a NaN whose bits no arithmetic gives, and a negative zero."""
    bits = array.view(f"u{array.itemsize}")
    bits[1] = ~bits.dtype.type(0)
    array[2] = -0.0
    return array


@compiled("rounding", ["nearest", "stochastic", "split"], ["split"])
def test_there_and_back(rounding: str, backend: str) -> None:
    """Every storage type, copies, remainders; the second of two averages."""
    params = [odd_nan(values(dtype, 9, k)) for k, dtype in enumerate((F64, F32, BF16, F16))]
    params.append(np.asfortranarray(values(F32, 6, 9).reshape(2, 3)))
    copies = [np.zeros_like(one, dtype=F16) if k % 2 else None for k, one in enumerate(params)]
    opt = lk.AdamW(params, 0.1, ema=(0.5, 0.75), rounding=rounding, copy_to=copies, backend=backend)
    for t in range(2):
        opt.step([values(F32, one.size, 20 + t).reshape(one.shape, order="F") for one in params])
    before = pickle.dumps((params, copies, opt.state_dict()))
    for which in (0, 1):
        with opt.averaged(which):
            for param, average, copy in zip(params, opt.ema_params[which], copies, strict=True):
                assert_same_bits(param, to_nearest(np.ravel(average, order="K"), param.dtype))
                if copy is not None:
                    assert_same_bits(copy, to_nearest(np.ravel(average, order="K"), copy.dtype))
            assert pickle.dumps((params, copies, opt.state_dict())) != before
            params[0][...] = 7
        assert pickle.dumps((params, copies, opt.state_dict())) == before
    with pytest.raises(KeyError, match="mine"), opt.averaged():
        raise KeyError("mine")
    assert pickle.dumps((params, copies, opt.state_dict())) == before
    opt.step([np.ones_like(one, dtype=F32) for one in params])
    assert opt.count == 3


@BACKENDS
def test_what_is_refused_meanwhile(backend: str, tmp_path: Path) -> None:
    p = np.ones(2)
    opt = lk.SGD({"p": p}, 1.0, ema=0.75, backend=backend)
    opt.step({"p": np.ones(2)})
    state = opt.state_dict()
    opt.save(tmp_path / "file")
    with opt.averaged():
        assert p.tolist() == [0.75] * 2
        for refused in (
            lambda: opt.step({"p": np.ones(2)}),
            lambda: opt.add_group([np.ones(1)]),
            lambda: opt.load_state_dict(state),
            lambda: opt.load(tmp_path / "file"),
            lambda: opt.save(tmp_path / "other", parameters=True),
            opt.averaged().__enter__,
        ):
            with pytest.raises(
                RuntimeError, match=r"^SGD\..*: the parameters are averages here: leave the block of averaged\(\)"
            ):
                refused()
        opt.save(tmp_path / "other")
        assert p.tolist() == [0.75] * 2
    assert p.tolist() == [0.0] * 2
    assert (tmp_path / "other").stat().st_size > 0
    opt.step({"p": np.ones(2)})
    assert p.tolist() == [-1.0] * 2


@BACKENDS
def test_groups_without_an_average_stay(backend: str) -> None:
    p, q = np.ones(2), np.ones(2)
    opt = lk.SGD([{"params": [p]}, {"params": [q], "ema": None}], 1.0, ema=0.75, backend=backend)
    opt.step([[np.ones(2)], [np.ones(2)]])
    with opt.averaged():
        assert (p.tolist(), q.tolist()) == ([0.75] * 2, [0.0] * 2)
    halves = np.array([0x3F80, 0x4000], np.uint16)
    opt = lk.SGD([halves], 1.0, ema=0.5, uint16_as_bfloat16=True, backend=backend)
    opt.step([halves.copy()])
    with opt.averaged():
        assert halves.tolist() == [0x3F00, 0x3F80]
    assert halves.tolist() == [0, 0]


def test_errors_of_averaged() -> None:
    with pytest.raises(ValueError, match=r"^SGD\.averaged: the optimizer must keep averages; got none: create it with ema="):
        lk.SGD([np.ones(1)], 0.1).averaged().__enter__()
    for wrong, error in ((1, ValueError), (-1, ValueError), (0.0, TypeError)):
        with pytest.raises(error, match=r"^SGD\.averaged: which must be an integer"):
            lk.SGD([np.ones(1)], 0.1, ema=0.5).averaged(wrong).__enter__()  # type: ignore[arg-type]


def test_a_parameter_that_has_moved() -> None:
    p = np.ones(4)
    opt = lk.SGD([p], 0.1, ema=0.5)
    p.resize(2, refcheck=False)
    with pytest.raises(ValueError, match=r"params\[0\]"):
        opt.averaged().__enter__()
    assert p.tolist() == [1.0, 1.0]


@BACKENDS
def test_zero_grad(backend: str) -> None:
    """Of every kind, frozen ones included; steps go on with them."""
    params = [[np.ones(2), np.ones((3, 2))], {"b": np.ones(2, BF16)}]
    grads: list[Any] = [[np.ones(2), (np.array([2, 0]), np.ones((2, 2), F32))], {"b": np.full(2, math.nan, F16)}]
    opt = lk.SGD([{"params": one} for one in params], 1.0, backend=backend)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^SGD\.zero_grad: grads must be bound before; got none: call bind\(grads\)"):
            opt.zero_grad()
        opt.step([[np.ones(2), None], {"b": None}])
    opt.bind(grads)
    opt.freeze(1)
    opt.zero_grad()
    assert not any(one.any() for one in (grads[0][0], grads[0][1][1], grads[1]["b"]))
    grads[0][0][...] = 1.0
    opt.step()
    assert params[0][0].tolist() == [-2.0] * 2
    frozen = np.ones(2)
    frozen.flags.writeable = False
    other = np.ones(2)
    opt = lk.SGD([np.ones(2), np.ones(2), np.ones(1)], 1.0, backend=backend)
    opt.bind([other, frozen, None])
    with pytest.raises(ValueError, match=r"^SGD\.zero_grad: grads\[1\] must be writable"):
        opt.zero_grad()
    assert other.tolist() == [1.0] * 2
    opt.step([other, None, None])
    with pytest.raises(ValueError, match="must be bound before"):
        opt.zero_grad()

"""In any floating-point mode of the calling thread, results are bit-identical, and the mode is restored."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from modes import MODES, mode, needs_modes, put_in_force, running_in
from representative import diagonals

import lrkern as lk

pytestmark = needs_modes

BF16 = np.dtype(ml_dtypes.bfloat16)
OPTIMIZERS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-3, "decoupled": True}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {"state_dtype": "bfloat16"}),
    ("Lion", {}),
    ("RMSprop", {"momentum": 0.5, "centered": True}),
    ("Adagrad", {"lr_decay": 0.1}),
    ("LARS", {"lr": 0.1, "weight_decay": 1e-3}),
    ("LARS", {"lr": 0.1, "convention": "apex", "trust_clip": True}),
    ("LAMB", {"weight_decay": 1e-3}),
]


@cache
def _numbers(n: int, seed: int, dtype: Any, scale: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = rng.standard_normal(n) * 2.0 ** rng.integers(-149, 4, n) * scale
    return found.astype(dtype)


def numbers(n: int, seed: int, dtype: Any = np.float32, scale: float = 1.0) -> np.ndarray:
    """Numbers of all magnitudes, including denormals; made on first use, in the default mode."""
    return _numbers(n, seed, dtype, scale).copy()


def tensors(n: int = 5000) -> list[tuple[np.ndarray, np.ndarray | None, np.ndarray]]:
    """Parameters, copies and gradients: of float32, float64 and bfloat16, for each of which compiled code has a version."""
    return [
        (numbers(n, 1), np.zeros(n, np.float16), numbers(n, 4)),
        (numbers(n, 2, np.float64), None, numbers(n, 5, np.float64, 1e-200)),
        (numbers(n, 3, BF16), None, numbers(n, 6)),
    ]


def steps(name: str, options: dict[str, Any], backend: str = "c", which: slice = slice(None), n: int = 5000) -> bytes:
    params, copies, given = (list(column) for column in zip(*tensors(n)[which], strict=True))
    opt = getattr(lk, name)(
        params, **options, clip_norm=0.1, ema=0.9, copy_to=copies, skip_nonfinite=True, backend=backend, rounding="stochastic"
    )
    for scale in (1.0, 3.0):
        opt.step(given, scale)
    state = opt.state_dict()
    kept = [one for kind, arrays in state.items() if kind.endswith("s") and isinstance(arrays, list) for one in arrays]
    arrays = [one for one in (*params, *copies, *kept) if isinstance(one, np.ndarray)]
    return b"".join(one.tobytes() for one in (*arrays, np.array(opt.grad_norm)))


def plain(value: Any) -> Any:
    return value.tobytes() if isinstance(value, np.ndarray) else value


METRICS = np.array([[3.0, 1e-310, 2e-310, 2e-310, 3e-310, 2e-310], [5.0, 4.0, 4.0, 4.0, 4.0, 4.0]])
CALLS: dict[str, Callable[[], Any]] = {
    **{f"{name} {options}": lambda name=name, options=options: steps(name, options) for name, options in OPTIMIZERS},
    "adam_step": lambda: _adam_step(),
    "table": lambda: lk.cosine(0.1, 3e-310, 1000).table(1001),
    "float32 table": lambda: lk.exponential(1e-30, 0.5, 3).table(1001, dtype="float32"),
    "value": lambda: lk.one_cycle(0.1, 100)(33.3),
    "plan": lambda: lk.cosine(0.1, 0.0, 1000).warmup(10).plan().coef,
    "recipe": lambda: lk.one_cycle(0.1, 999).table(1000),
    "tables": lambda: lk.tables([lk.wsd(0.1, 10, 50, 20), lk.linear(0.3, 0.1, 70)], 80),
    "plateau": lambda: lk.plateau(METRICS, 0.1, factor=0.3, patience=1),
    "plateau of timm": lambda: lk.plateau(METRICS, 0.1, dialect="timm"),
    "loss_driven": lambda: lk.loss_driven(METRICS, 0.1, 0.7),
    "refine": lambda: lk.refine([3.0, 1e-310, 2.0, 7e-310, 0.1, 0.3], "l1").table(7),
    "compare": lambda: _compared(),
    "Plateau": lambda: _updated(lk.Plateau(0.1, factor=0.3, patience=0)),
    "LossDriven": lambda: _updated(lk.LossDriven(0.1, 0.7)),
}


def _adam_step() -> np.ndarray:
    p, m, v = numbers(300, 1), np.zeros(300, np.float32), np.zeros(300, np.float32)
    lk.adam_step(p, numbers(300, 2), m, v, count=3)
    return np.concatenate([p, m, v])


def _compared() -> tuple[Any, ...]:
    found = lk.compare(METRICS[0], [3.0, 2e-310, 1e-310, 0.1, 0.7, 3e-310])
    return found.max_ulp, found.max_difference, found.area_ratio


def _updated(one: Any) -> list[float]:
    return [one.update(loss) for loss in METRICS[0].tolist()]


@pytest.mark.parametrize("call", CALLS)
def test_everything_runs_in_the_default_mode(call: str) -> None:
    expected = plain(CALLS[call]())
    for name in MODES:
        with running_in(name):
            found = plain(CALLS[call]())
        assert found == expected, name


KINDS = ["float32", "float64", "bfloat16"]


# What is put into force around a step is the same for all kinds of tensors.
@diagonals(2, ("case", [OPTIMIZERS[0], OPTIMIZERS[6]], lambda one: one[0]), ("kind", range(3), KINDS))
def test_numba(case: tuple[str, dict[str, Any]], kind: int) -> None:
    pytest.importorskip("numba")
    which = slice(kind, kind + 1)
    expected = steps(*case, "c", which)
    assert steps(*case, "numba", which) == expected
    for name in MODES:
        with running_in(name):
            found = steps(*case, "numba", which), lk.cosine(0.1, 3e-310, 100).table(101, backend="numba").tobytes()
        assert found == (expected, lk.cosine(0.1, 3e-310, 100).table(101).tobytes()), name


@pytest.mark.exhaustive
def test_threads_of_numba() -> None:
    """Worker threads inherit the mode of the thread that starts them."""
    pytest.importorskip("numba")
    code = """
import numpy as np
from modes import MODES, put_in_force
from numba import njit, prange
from test_modes import OPTIMIZERS, steps
import lrkern as lk

@njit(parallel=True)
def start(out):
    for i in prange(out.size):
        out[i] = out[i] * 0.5

lk.set_threads(2)
cases, single = (OPTIMIZERS[0], OPTIMIZERS[6]), slice(1)
expected = [steps(*one, "c", single, n=300_000) for one in cases]
tables = lk.cosine(0.1, 3e-310, 100_000).table(100_001)
tiny = np.full(4, 2.0**-1072)
put_in_force(MODES["all"])
start(tiny)
put_in_force(0)
assert not tiny.any(), "no thread flushes to zero"
assert [steps(*one, "numba", single, n=300_000) for one in cases] == expected
assert lk.cosine(0.1, 3e-310, 100_000).table(100_001, backend="numba").tobytes() == tables.tobytes()
"""
    if "all" not in MODES:
        pytest.skip("no such mode")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def test_modes_make_a_difference() -> None:
    """Otherwise the tests above would be meaningless."""
    tiny, tenth = np.array([2e-310]), np.array([1.0, 10.0])
    put_in_force(MODES["all"])
    found = tiny * 0.5, tenth[:1] / tenth[1:], mode()
    put_in_force(0)
    assert found[0][0] == 0
    assert found[1][0] != 1 / 10
    assert found[2] == MODES["all"]
    assert mode() == 0

"""The same bits for every ISA, number of threads, size of chunks and order of the list, for all options of steps."""

from __future__ import annotations

import itertools
from typing import Any

import cases
import ml_dtypes
import numpy as np
import pytest
from isas import running
from representative import diagonals, rule_label
from step_arrays import fitting

import lrkern as lk

BF16 = np.dtype(ml_dtypes.bfloat16)
SIZES = [0, 1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 127, 129, 1023, 1024, 1025, 3001, 70_001]

# dtype of parameters, of gradients, of states; rounding
STORAGE = [
    ("f4", "f4", None, "nearest"),
    ("f8", "f8", None, "nearest"),
    ("f8", "f4", "float16", "nearest"),
    ("f4", BF16, "bfloat16", "nearest"),
    ("f2", "f2", "float16", "stochastic"),
    (BF16, BF16, "bfloat16", "stochastic"),
    (BF16, "f4", None, "split"),
    (BF16, BF16, "bfloat16", "split"),
    ("f4", "f8", "float64", "nearest"),
]
AROUND = [
    {},
    {"clip_norm": 0.5, "ema": 0.9, "zero_grad": True},
    {"clip_value": 0.25, "skip_nonfinite": True},
    {"clip_norm": lk.linear(0.5, 0.25, 3), "clip_per": "tensor", "ema": 0.9, "error_if_nonfinite": True},
]
CASES = [(name, options) for name, tries in cases.OPTIMIZERS.items() for options in tries]


def values(dtype: Any, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(n) * 2.0 ** rng.integers(-6, 3, n)).astype(dtype)


def everything(opt: lk.Optimizer, params: list[np.ndarray], grads: list[np.ndarray], order: list[int]) -> bytes:
    """All bytes that a step may have changed, in the order of a list that is not permuted."""
    back = np.argsort(order)
    arrays = [params, grads, *(kept for kept in opt._kept.values() if kept)]
    return b"".join(b"" if kept[i] is None else kept[i].tobytes() for kept in arrays for i in back)


def run(name: str, options: dict[str, Any], storage: tuple[Any, ...], around: dict[str, Any], order: list[int]) -> bytes:
    param_dtype, grad_dtype, state_dtype, rounding = storage
    params = [values(param_dtype, SIZES[i], 10 + i) for i in order]
    before = [one.copy() for one in params]
    kept = {"state_dtype": fitting(name, options, state_dtype), "rounding": rounding}
    opt = getattr(lk, name)(params, **options, **around, **kept, seed=3)
    for t in range(3):
        grads = [values(grad_dtype, SIZES[i], 100 * (t + 1) + i) for i in order]
        opt.step(grads, grad_scale=4.0 if t == 1 else 1.0)
    assert opt.count == 3
    # bfloat16 and float16 parameters may be too coarse for small steps, unless rounding is stochastic.
    if np.dtype(param_dtype).itemsize > 2 or rounding == "stochastic":
        assert all(np.any(new != old) for new, old in zip(params, before, strict=True) if new.size > 60), "a step did nothing"
    return everything(opt, params, grads, order)


@diagonals(3, ("name,options", CASES, rule_label), ("storage", STORAGE, str))
def test_same_bits(name: str, options: dict[str, Any], storage: tuple[Any, ...]) -> None:
    straight = list(range(len(SIZES)))
    backwards = straight[::-1]
    for around in AROUND:
        with running("scalar", 1):
            expected = run(name, options, storage, around, straight)
        for isa in lk.isas()[1:]:
            with running(isa, 1):
                assert run(name, options, storage, around, straight) == expected, isa
        with running(lk.isas()[-1], 3):
            assert run(name, options, storage, around, backwards) == expected, "threads and order"


@pytest.mark.parametrize("threads", range(1, 9))
def test_threads(threads: int) -> None:
    """Large arrays, in pieces of other sizes for each number of threads."""
    results = set()
    for isa in lk.isas():
        with running(isa, threads):
            p = values(BF16, 700_003, 1)
            opt = lk.AdamW([p], lr=1e-2, clip_norm=1.0, ema=0.5, rounding="stochastic", state_dtype="bfloat16")
            for t in range(2):
                opt.step([values("f4", p.size, 2 + t)])
            results.add(everything(opt, [p], [p], [0]))
    with running("scalar", 1):
        q = values(BF16, 700_003, 1)
        opt = lk.AdamW([q], lr=1e-2, clip_norm=1.0, ema=0.5, rounding="stochastic", state_dtype="bfloat16")
        for t in range(2):
            opt.step([values("f4", q.size, 2 + t)])
        results.add(everything(opt, [q], [q], [0]))
    assert len(results) == 1


@pytest.mark.parametrize("storage", STORAGE, ids=str)
def test_an_element_does_not_depend_on_its_neighbours(storage: tuple[Any, ...]) -> None:
    """The last elements of arrays of all sizes are stepped like the same elements of a long one."""
    param_dtype, grad_dtype, state_dtype, rounding = storage
    p, g = values(param_dtype, 300, 1), values(grad_dtype, 300, 2)
    together = p.copy()
    kept = {"state_dtype": fitting("AdamW", {}, state_dtype), "rounding": rounding}
    lk.AdamW([together], lr=0.1, **kept).step([g])
    for n in range(300):
        alone = p[:n].copy()
        lk.AdamW([alone], lr=0.1, **kept).step([g[:n]])
        assert alone.tobytes() == together[:n].tobytes(), n


def test_norm_of_a_list_in_any_order() -> None:
    grads = [
        values(dtype, n, n) * scale for n, dtype, scale in [(5, "f4", 1e-3), (3000, "f8", 1e3), (1, "f4", 1), (70_000, "f8", 1)]
    ]
    norms = set()
    for order in itertools.permutations(range(4)):
        for threads in (1, 2, 5):
            with running(lk.isas()[-1], threads):
                opt = lk.SGD([np.zeros_like(grads[i]) for i in order], 0.1, clip_norm=1.0)
                opt.step([grads[i] for i in order])
                norms.add(opt.grad_norm)
    assert len(norms) == 1

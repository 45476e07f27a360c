"""Lists of small tensors, gradients bound: per step of the whole list."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lrkern.bench.rivals import torch_steps
from lrkern.bench.rows.arrays import OPTIONS, Floats, tensors, turns
from lrkern.bench.rows.optimizers import against_torch, bare
from lrkern.bench.timing import step_checks
from lrkern.bench.timing.race import Contestant
from lrkern.bench.timing.row import Contest
from lrkern.bench.timing.sizes import Sizes

SMALL = 64  # elements of a small tensor
SINGLE = 1000
CASES = (
    "SGD, 1 x 1000",
    "SGD, 161 tensors",
    "AdamW, 161 tensors",
    "SGD, 1000 x 64",
    "AdamW, 1000 x 64",
)


def network() -> list[int]:
    """Sizes of 161 tensors, 0.93 million elements in total: many small vectors, a few large matrices."""
    vectors = [16 << (i % 4) for i in range(107)]
    matrices = [1024 << (i % 5) for i in range(53)]
    return [*vectors, *matrices, 600_000]


def shapes(case: str, sizes: Sizes) -> list[int]:
    """Sizes of the tensors of a case."""
    kind = case.partition(", ")[2]
    if kind == "161 tensors":
        return network()
    return [SMALL] * sizes.tensors if kind == "1000 x 64" else [SINGLE]


def numpy_step(params: list[Floats], grads: list[Floats]) -> Callable[[], None]:
    """SGD in place, with one scratch array per tensor."""
    lr, momentum = (np.float32(OPTIONS["SGD"][name]) for name in ("lr", "momentum"))
    buffers = [np.zeros_like(param) for param in params]
    scratch = [np.ones_like(param) for param in params]

    def step() -> None:
        for param, grad, buffer, work in zip(params, grads, buffers, scratch, strict=True):
            np.multiply(buffer, momentum, out=buffer)
            np.add(buffer, grad, out=buffer)
            np.multiply(buffer, lr, out=work)
            np.subtract(param, work, out=param)

    return step


def of_numpy(sizes: list[int], units: float, repeats: int) -> Contestant:
    """NumPy, tensor by tensor."""

    def check() -> None:
        step_checks.follows("SGD", OPTIONS["SGD"], lambda param, grad: numpy_step([param], [grad]), step_checks.TORCH_ULP)

    return Contestant("NumPy", numpy_step(*tensors(sizes)), units, repeats=repeats, check=check)


def entries(case: str, sizes: Sizes) -> dict[str, Callable[[], Contestant]]:
    """lrkern, NumPy for SGD, torch fused and foreach; the bare streams of one tensor with as many elements."""
    rule, list_of = case.partition(", ")[0], shapes(case, sizes)
    repeats = turns(sum(list_of) + 1000 * len(list_of), sizes.repeats)
    found = against_torch(rule, list_of, 1, repeats, (torch_steps.FUSED, torch_steps.FOREACH))
    found |= bare(rule, sum(list_of), 1, repeats)
    if rule == "SGD":
        found["NumPy"] = partial(of_numpy, list_of, 1, repeats)
    return found


ROWS = [Contest("step-list", CASES, entries)]

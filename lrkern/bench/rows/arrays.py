"""The data of optimizer steps: every process makes the same from the same seed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrkern.bench.timing import memory

Floats = NDArray[np.float32]

BLOCK = 1 << 20  # random numbers repeat after so many: drawing more takes longer than the steps

OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"lr": 0.01, "momentum": 0.9},
    "Adam": {"lr": 1e-3},
    "AdamW": {"lr": 1e-3, "weight_decay": 0.01},
}
"""Of the rules that torch has in fused form; the other options have the same defaults there."""
WRITTEN = {"SGD": 2, "Adam": 3, "AdamW": 3}
"""Arrays that a step reads and writes: the parameter and its states."""


def values(n: int, seed: int) -> Floats:
    """Random float32 numbers in 0.5 .. 1.5."""
    block = np.random.default_rng(seed).random(min(n, BLOCK), np.float32)
    block += np.float32(0.5)
    return block if n <= BLOCK else np.resize(block, n)


def tensors(sizes: list[int]) -> tuple[list[Floats], list[Floats]]:
    """(parameters, gradients) of these sizes; raises if there is not enough memory for them and as many states."""
    memory.need(4 * 4 * sum(sizes))
    params = [values(size, i) for i, size in enumerate(sizes)]
    return params, [values(size, len(sizes) + i) for i, size in enumerate(sizes)]


def turns(elements: int, most: int) -> int:
    """Steps in a turn of about ten milliseconds, at most `most`."""
    return max(1, min(most, 20_000_000 // (elements + 4000)))

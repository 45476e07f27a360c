"""What a training program does between two optimizer steps: it works with the thread pools of other libraries."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

SIDE = 256  # of the matrices: enough for every thread
ELEMENTS = 1 << 17  # of the loop


def disturbance() -> Callable[[], None]:
    """A function that multiplies matrices with torch and with NumPy, then runs a parallel loop of Numba; what is installed."""
    parts: list[Callable[[], object]] = []
    if find_spec("torch") is not None:
        parts.append(torch_product())
    left, right = np.ones((2, SIDE, SIDE), np.float32)
    product = np.empty_like(left)
    parts.append(lambda: np.matmul(left, right, out=product))
    if find_spec("numba") is not None:
        parts.append(numba_loop())

    def run() -> None:
        for part in parts:
            part()

    run()  # compiles, starts the threads
    return run


def torch_product() -> Callable[[], object]:
    """A matrix product of torch."""
    torch: Any = import_module("torch")
    left, right, product = (torch.ones(SIDE, SIDE) for _ in range(3))
    return lambda: torch.mm(left, right, out=product)


def numba_loop() -> Callable[[], object]:
    """A loop over all threads of Numba."""
    numba: Any = import_module("numba")

    @numba.njit(parallel=True)  # type: ignore[untyped-decorator]
    def loop(array: Any) -> None:
        for i in numba.prange(array.size):
            array[i] = array[i] * 0.5 + 1.0

    array = np.ones(ELEMENTS, np.float32)
    return lambda: loop(array)

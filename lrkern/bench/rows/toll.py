"""What it takes to read one gradient of another library: a step with new gradients less a step with bound ones."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

import lrkern as lk
from lrkern.bench.rivals import peers
from lrkern.bench.rows.arrays import OPTIONS, tensors
from lrkern.bench.rows.lists import SMALL
from lrkern.bench.timing.row import Fact
from lrkern.bench.timing.sizes import Sizes

RULE = "SGD"
EXCHANGE, OF_NUMPY, OF_TORCH = "exchange API", "DLPack of NumPy", "DLPack of torch"
TURNS = 3  # the first one only warms up


class Lent:
    """A tensor of a library that has DLPack's methods, but not its exchange API."""

    def __init__(self, lender: Any) -> None:
        self.lender = lender

    def __dlpack__(self, **options: Any) -> Any:
        return self.lender.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.lender.__dlpack_device__()


def of_torch(array: Any) -> Any:
    """torch's tensor on an array."""
    return import_module("torch").from_numpy(array)


KINDS: dict[str, Callable[[Any], Any]] = {
    OF_NUMPY: Lent,
    EXCHANGE: of_torch,
    OF_TORCH: lambda array: Lent(of_torch(array)),
}


def seconds(call: Callable[[], object], repeats: int) -> float:
    """The median of some calls."""
    times = []
    for _ in range(repeats):
        begin = perf_counter()
        call()
        times.append(perf_counter() - begin)
    return median(times)


def toll(case: str, sizes: Sizes) -> float:
    """Microseconds for each gradient."""
    params, grads = tensors([SMALL] * sizes.tensors)
    given = [KINDS[case](grad) for grad in grads]
    optimizer = getattr(lk, RULE)(params, **OPTIONS[RULE])
    found = []
    for _ in range(TURNS):
        with_them = seconds(lambda: optimizer.step(given), sizes.repeats)
        optimizer.bind(grads)
        found.append(with_them - seconds(optimizer.step, sizes.repeats))
    return 1e6 * float(np.median(found[1:])) / len(grads)


FACTS = [
    Fact("toll", (OF_NUMPY,), toll),
    Fact("toll-torch", (EXCHANGE, OF_TORCH) if peers.available("torch") else (), toll),
]

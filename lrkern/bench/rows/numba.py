"""Numba against the C kernels: a table, a step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import lrkern as lk
from lrkern.bench.curves import BY_NAME
from lrkern.bench.rivals import peers
from lrkern.bench.rows.arrays import OPTIONS, values
from lrkern.bench.timing import buffers, checks
from lrkern.bench.timing.race import Contestant, Race
from lrkern.bench.timing.row import Row
from lrkern.bench.timing.sizes import Sizes

C = "C kernels"
OURS = "lrkern.numba"


def race_table(case: str, sizes: Sizes) -> Race:
    """`Schedule.table` into an existing array, with either backend."""
    n = sizes.fill
    schedule, out = BY_NAME[case].build(n, 0.1), buffers.output(n)

    def fill(backend: str) -> None:
        schedule.table(n, out=out, backend=backend)

    def check() -> None:
        size = min(n, 1_000_003)
        checks.same_bits(schedule.table(size, backend="numba"), schedule.table(size), case)

    return Race(Contestant(OURS, lambda: fill("numba"), n), [Contestant(C, lambda: fill("c"), n)], sizes.rounds, check)


def race_step(case: str, sizes: Sizes) -> Race:
    """A step of one large tensor, with either backend."""

    def build(backend: str, n: int) -> tuple[Any, NDArray[np.float32]]:
        param, grad = values(n, 1), values(n, 2)
        made = getattr(lk, case)([param], **OPTIONS[case], backend=backend)
        made.bind([grad])
        return made, param

    def check() -> None:
        (mine, param), (theirs, twin) = (build(backend, 100_003) for backend in ("numba", "c"))
        before = param.copy()
        for _ in range(3):
            mine.step()
            theirs.step()
        checks.same_bits(param, twin, case)
        if not np.any(param != before):
            raise checks.WrongResult("the step changed nothing")

    n = sizes.elements
    subject, rival = build("numba", n)[0].step, build("c", n)[0].step
    return Race(Contestant(OURS, subject, n), [Contestant(C, rival, n)], sizes.rounds, check)


_FOUND = peers.available("numba")

ROWS = [
    Row("numba-table", ("cosine",) if _FOUND else (), race_table, quickly=()),  # compiles for ten seconds the first time
    Row("numba-step", ("SGD", "AdamW") if _FOUND else (), race_step),
]

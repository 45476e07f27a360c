"""One tensor of many sizes: a step against torch's fused one and the bare memory streams."""

from __future__ import annotations

from collections.abc import Callable

from lrkern.bench.rivals import torch_steps
from lrkern.bench.rows.arrays import OPTIONS, turns
from lrkern.bench.rows.optimizers import against_torch, bare
from lrkern.bench.timing.race import Contestant
from lrkern.bench.timing.row import ALONE, BESIDE, Contest
from lrkern.bench.timing.sizes import Sizes

ELEMENTS = {
    "4 K": 2**12,
    "16 K": 2**14,
    "64 K": 2**16,
    "256 K": 2**18,
    "1 M": 2**20,
    "4 M": 2**22,
    "64 M": 2**26,
}
CASES = tuple(f"{rule}, {size}" for rule in OPTIONS for size in ELEMENTS)


def entries(case: str, sizes: Sizes) -> dict[str, Callable[[], Contestant]]:
    """lrkern, torch fused, bare streams."""
    rule, _, size = case.partition(", ")
    n = ELEMENTS[size] // sizes.shrink
    repeats = turns(n, 10 * sizes.repeats)
    return against_torch(rule, [n], n, repeats, (torch_steps.FUSED,)) | bare(rule, n, n, repeats)


ROWS = [Contest("step", CASES, entries, quickly=(ALONE, BESIDE))]

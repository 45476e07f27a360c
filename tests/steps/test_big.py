"""Arrays of more than 2^31 elements, on real memory."""

from __future__ import annotations

import os
from collections.abc import Iterator

import ml_dtypes
import numpy as np
import pytest

import lrkern as lk

BF16 = np.dtype(ml_dtypes.bfloat16)
N = 2**31 + 4097
PERIOD = 4096
GIB = 2**30

pytestmark = pytest.mark.big


def needs(gigabytes: int) -> None:
    try:
        with open("/proc/meminfo") as file:
            free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if free < gigabytes * GIB:
        pytest.skip(f"needs {gigabytes} GiB of free memory; there are {free / GIB:.1f}")


def places(n: int) -> Iterator[slice]:
    """Both ends, around 2^31, and here and there."""
    for start in (0, 2**30 - 700, 2**31 - 3 * PERIOD, 2**31 - 1, n - 3 * PERIOD):
        yield slice(start, min(start + 3 * PERIOD, n))


def filled(base: np.ndarray) -> np.ndarray:
    """N elements that repeat a few."""
    array = np.empty(N, base.dtype)
    whole = N // PERIOD * PERIOD
    array[:whole].reshape(-1, PERIOD)[...] = base
    array[whole:] = base[: N - whole]
    return array


def test_step() -> None:
    """Each element is stepped as those of a small array are, and none is left out."""
    needs(10)
    rng = np.random.default_rng(1)
    p, g = (rng.standard_normal(PERIOD).astype(BF16) for _ in range(2))
    large, grad = filled(p), filled(g)
    options = {"lr": 0.1, "weight_decay": 0.5}
    lk.SGD([large], **options).step([grad])
    before = p.copy()
    lk.SGD([p], **options).step([g])
    assert np.mean(p != before) > 0.9
    expected = np.tile(p.view(np.uint16), 4)
    for place in places(N):
        first = place.start % PERIOD
        found = large[place].view(np.uint16)
        assert (found == expected[first : first + len(found)]).all(), place
    whole = N // PERIOD * PERIOD
    bits = large.view(np.uint16)
    assert (bits[:whole].reshape(-1, PERIOD) == p.view(np.uint16)).all()
    assert (bits[whole:] == p.view(np.uint16)[: N - whole]).all()


def test_norm() -> None:
    """The sum over all blocks is exact: it is what that of one period says."""
    needs(10)
    large = np.zeros(N, BF16)
    grad = filled(np.full(PERIOD, 2.0, BF16))
    opt = lk.SGD([large], lr=1.0, clip_norm=1.0, skip_nonfinite=True)
    opt.step([grad])
    assert opt.grad_norm == np.sqrt(4.0 * N)
    assert large.view(np.uint16).min() == large.view(np.uint16).max() != 0
    grad[-1] = np.inf
    opt.step([grad])
    assert (opt.count, opt.skipped) == (1, 1)


def test_table() -> None:
    needs(10)
    schedule = lk.cosine(1.0, 0.0, N).warmup(1000)
    table = schedule.table(N, dtype="float32")
    for place in places(N):
        expected = schedule(np.arange(place.start, place.stop)).astype(np.float32)
        assert table[place].tobytes() == expected.tobytes(), place
    assert table[1000] == 1
    assert 0 < table[-1] < 1e-10
    assert (np.diff(table[1000 :: 2**16]) <= 0).all()

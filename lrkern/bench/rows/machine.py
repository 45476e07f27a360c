"""The machine's limits, compared with NumPy's functions."""

from __future__ import annotations

import numpy as np

import lrkern as lk
from lrkern.bench.rivals import limits
from lrkern.bench.timing import buffers
from lrkern.bench.timing.checks import same_bits
from lrkern.bench.timing.race import Contestant, Race
from lrkern.bench.timing.row import Row
from lrkern.bench.timing.sizes import Sizes

VALUE = 0.3


def race_fill(case: str, sizes: Sizes) -> Race:
    """Fill an array larger than the caches with a constant: streaming stores, ordinary stores, NumPy."""
    out, threads = buffers.output(sizes.fill), lk.get_threads()

    def check() -> None:
        for fill in (limits.fill, limits.fill_streaming):
            for part in (out, out[1:-1], out[:7], out[3:100_001]):
                out.fill(1.0)
                fill(part, VALUE, threads)
                same_bits(part, np.full(part.size, VALUE), fill.__name__)
                if np.count_nonzero(out == VALUE) != part.size:
                    raise AssertionError(f"{fill.__name__} wrote outside its array")

    return Race(
        Contestant(limits.STREAMING, lambda: limits.fill_streaming(out, VALUE, threads), sizes.fill),
        [
            Contestant("plain fill", lambda: limits.fill(out, VALUE, threads), sizes.fill),
            Contestant("ndarray.fill", lambda: out.fill(VALUE), sizes.fill),
        ],
        sizes.rounds,
        check,
    )


def race_copy(case: str, sizes: Sizes) -> Race:
    """Copy an array."""
    n, threads = sizes.fill // 2, lk.get_threads()
    both = buffers.output(2 * n)
    out, source = both[:n], both[n:]

    def check() -> None:
        source[:] = np.arange(1, n + 1)
        limits.copy(out, source, threads)
        same_bits(out, source, "copy")

    return Race(
        Contestant("copy", lambda: limits.copy(out, source, threads), n),
        [Contestant("numpy.copyto", lambda: np.copyto(out, source), n)],
        sizes.rounds,
        check,
    )


ROWS = [Row("machine-fill", ("float64",), race_fill), Row("machine-copy", ("float64",), race_copy)]

"""The number of Numba's threads, set to lrkern's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba

from lrkern import _core

_entered = threading.Lock()


@contextmanager
def all_threads() -> Iterator[int]:
    """A context in which parallel code uses lrkern's number of threads. One caller at a time: else Numba may abort."""
    with _entered:
        before = numba.get_num_threads()
        threads = min(_core.get_threads(), numba.config.NUMBA_NUM_THREADS)
        if threads == before:  # the usual case; setting the number takes as long as a small tensor
            yield threads
            return
        numba.set_num_threads(threads)
        try:
            yield threads
        finally:
            numba.set_num_threads(before)

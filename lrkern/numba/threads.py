"""Numba's threads, as many as lrkern may use."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba

from lrkern import _core

_entered = threading.Lock()


@contextmanager
def all_threads() -> Iterator[int]:
    """Parallel code within this uses lrkern's number of threads. One caller at a time: a pool of Numba's aborts at a second."""
    with _entered:
        before = numba.get_num_threads()
        threads = min(_core.get_threads(), numba.config.NUMBA_NUM_THREADS)
        if threads == before:  # mostly so; to set the number takes as long as a small tensor
            yield threads
            return
        numba.set_num_threads(threads)
        try:
            yield threads
        finally:
            numba.set_num_threads(before)

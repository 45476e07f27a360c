"""Whether jobs use Numba's threads, and how many: as many as lrkern's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba

from lrkern import _core

_entered = threading.Lock()


class _Forced(threading.local):
    parallel: bool | None = None


_forced = _Forced()


@contextmanager
def forced(parallel: bool) -> Iterator[None]:
    """A context in which all jobs of the calling thread use threads, or none does, to compile either kernel by a small job."""
    before, _forced.parallel = _forced.parallel, parallel
    try:
        yield
    finally:
        _forced.parallel = before


def in_parallel(pays: bool) -> bool:
    """Whether a job uses threads. `pays`: whether it is large enough."""
    return pays if _forced.parallel is None else _forced.parallel


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

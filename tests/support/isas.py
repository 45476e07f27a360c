"""Code run on one instruction set, with a number of threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import lrkern as lk


@contextmanager
def running(isa: str, threads: int = 1) -> Iterator[None]:
    """What runs in here runs so; afterwards both are what they were."""
    before = lk.get_threads()
    with lk.use_isa(isa):
        lk.set_threads(threads)
        try:
            yield
        finally:
            lk.set_threads(before)

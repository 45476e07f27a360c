"""The number of threads that lrkern uses in a race."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import lrkern as lk


def one_thread() -> Callable[[], None]:
    """Limit lrkern to one thread; returns the function that puts the number back."""
    before = lk.get_threads()
    lk.set_threads(1)
    return partial(lk.set_threads, before)

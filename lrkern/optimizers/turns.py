"""Steps from several Python threads: what lists of tensors that are written in Python do in the place of C's lock."""

from __future__ import annotations

import threading


class Turns:
    """A context for one thread at a time; another one that comes meanwhile is refused.

    >>> with Turns("SGD"):
    ...     pass
    """

    def __init__(self, where: str) -> None:
        self._where, self._lock, self._thread = where, threading.Lock(), 0

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            if self._thread == threading.get_ident():
                raise RuntimeError(f"{self._where}: what a step of an optimizer calls must not call the optimizer itself")
            raise RuntimeError(
                f"{self._where}: another thread is in the middle of a step of this optimizer, or copies its state"
            )
        self._thread = threading.get_ident()

    def __exit__(self, *error: object) -> None:
        self._thread = 0
        self._lock.release()

"""Steps from several Python threads: what lists of tensors that are written in Python do in the place of C's lock."""

from __future__ import annotations

import threading


class Turns:
    """A context for one thread at a time; another one that comes meanwhile is refused.

    >>> with Turns("SGD"):
    ...     pass
    """

    def __init__(self, where: str) -> None:
        self._where, self._lock = where, threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(
                f"{self._where}: another thread is in the middle of a step of this optimizer, or copies its state"
            )

    def __exit__(self, *error: object) -> None:
        self._lock.release()

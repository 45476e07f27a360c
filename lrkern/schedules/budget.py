"""A limit on the work that a parsed text may cause: 'torch.LambdaLR(0.1, constant(1.0), steps=10**9)' is short.

Python callers have no limit. While `parse` reads, every loop whose length comes from the text is charged before it runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MOST = 1_000_000  # rounds of loops that take about a microsecond each

_left: ContextVar[int | None] = ContextVar("_left", default=None)


@contextmanager
def limited() -> Iterator[None]:
    """Allow at most `MOST` rounds inside the block."""
    token = _left.set(MOST)
    try:
        yield
    finally:
        _left.reset(token)


def spend(rounds: int) -> None:
    """Charge `rounds` rounds of a loop; ValueError if the text's limit is exceeded."""
    left = _left.get()
    if left is None:
        return
    if rounds > left:
        raise ValueError(f"parse: text must not compute more than {MOST} values; got {MOST - left + rounds}")
    _left.set(left - rounds)

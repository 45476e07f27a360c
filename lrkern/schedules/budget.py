"""How much work a text may ask for beyond its length: 'torch.LambdaLR(0.1, constant(1.0), steps=10**9)' is short.

Callers in Python may ask for what they like. While `parse` reads, whatever loops as often as a number tells pays for it first.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

MOST = 1_000_000  # rounds of loops that take about a microsecond each

_left: ContextVar[int | None] = ContextVar("_left", default=None)


@contextmanager
def limited() -> Iterator[None]:
    """Within it, no more than `MOST` rounds."""
    token = _left.set(MOST)
    try:
        yield
    finally:
        _left.reset(token)


def spend(rounds: int) -> None:
    """Pay for so many rounds of a loop; a ValueError where a text asks for too many."""
    left = _left.get()
    if left is None:
        return
    if rounds > left:
        raise ValueError(f"parse: a text may ask for {MOST} computed values at most; got {MOST - left + rounds}")
    _left.set(left - rounds)

"""Hooks through which schedules are drawn; `lrkern.pictures` fills them in, so that schedules do not import it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

HOOKS: dict[str, Callable[..., Any]] = {}
"""plot(schedule, n, ax, **options), suggestion(found, ax): matplotlib axes; html(schedule), svg(schedule): strings."""


def picture(kind: str, schedule: object) -> str | None:
    """A schedule as "html" or "svg"; None if a value is beyond float64, so that notebooks show the text."""
    try:
        drawn: str = HOOKS[kind](schedule)
    except OverflowError:
        return None
    return drawn

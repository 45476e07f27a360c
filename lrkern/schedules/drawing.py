"""Where pictures hook in: schedules are drawn without knowing how. `lrkern.pictures` fills in the hooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

HOOKS: dict[str, Callable[..., Any]] = {}
"""plot(schedule, n, ax, **options) and suggestion(found, ax): axes of matplotlib; html(schedule) and svg(schedule): texts."""


def picture(kind: str, schedule: object) -> str | None:
    """A schedule as "html" or "svg"; None where a value is beyond float64, so that notebooks show the text."""
    try:
        drawn: str = HOOKS[kind](schedule)
    except OverflowError:
        return None
    return drawn

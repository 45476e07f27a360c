"""Schedules of hyper-parameters: their current values, their texts in states, and reports of differences."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from lrkern.schedules.diff import diff
from lrkern.schedules.expression import Schedule
from lrkern.schedules.text import parse


def live_value(schedule: Any, count: int, before: Any) -> Any:
    """The value at a step, unchecked: `before` where a function has none, since the next step will say so."""
    try:
        return float(schedule(count))
    except Exception:
        return before


def texts_of(live: Mapping[str, Any]) -> dict[str, str]:
    """The texts of schedules for a state; functions have none."""
    return {part: repr(one) for part, one in live.items() if isinstance(one, Schedule)}


def schedule_of(where: str, name: str, text: Any) -> Schedule:
    """The schedule that a state has as text."""
    try:
        return parse(text)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: the schedule of {name} cannot be read: {error}") from None


def report(where: str, name: str, text: Any, own: Any, count: int) -> None:
    """Warn if a state comes with another schedule than the optimizer's own."""
    if text is None or not isinstance(own, Schedule) or text == repr(own):
        return
    found = diff(schedule_of(where, name, text), own, at=count)
    if not found.same:
        lines = "; ".join(found.lines())
        warnings.warn(f"{where}: {name} continues with another schedule than in the state: {lines}", stacklevel=4)

"""Schedules of hyper-parameters: their current values, their texts in states, and reports of differences."""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose, isfinite
from typing import Any

from lrkern._checks import warn
from lrkern.schedules.curves import constant
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


def report(where: str, name: str, state: Any, own: Any, count: int, *, is_passing: bool = False) -> None:
    """Warn if a state comes with another schedule than the optimizer's own.

    Args:
        state: the text of its schedule, or its number; None if it has neither.
        own: the schedule that the optimizer keeps; a function is compared at `count` only.
        is_passing: whether the number is that of one step, as from a scheduler of torch; else it is one for all steps.
    """
    if state is None or (isinstance(own, Schedule) and state == repr(own)):
        return
    is_text = isinstance(state, str)
    old: Any = schedule_of(where, name, state) if is_text else lambda _: state
    if isinstance(own, Schedule) and (is_text or (not is_passing and isfinite(state))):
        found = diff(old if is_text else constant(state), own, at=count)
        lines = [] if found.same else found.lines()
    else:
        before, now = (live_value(one, count, None) for one in (old, own))
        if now is None or before is None:  # the next step refuses a function without a value
            return
        lines = [] if isclose(now, before, rel_tol=1e-6) else [f"at step {count}: {now!r} instead of {before!r}"]
    if lines:
        warn(f"{where}: {name} continues with another schedule than in the state: {'; '.join(lines)}")

"""What an adapter knows of its groups beside what stands in `param_groups`. It belongs to a group, not to its place there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrkern.torch.schedules import live_value, schedule_of

ABSENT = Ellipsis
"""In `Known.seen`, an option that the group does not have. It stays itself in copies and pickles."""


class Known:
    """What an adapter knows of one group."""

    def __init__(self, group: dict[str, Any], schedules: dict[str, Any]) -> None:
        self.group, self.schedules = group, schedules
        self.seen: dict[str, Any] = {}
        """The values of options that the adapter has shown or taken: others have been written since, and are not taken yet."""


def matched(known: Sequence[Known], groups: Sequence[Any], options: Sequence[str]) -> list[Known | None]:
    """What is known of each group; None of a new one.

    A dict that has all options, and the parameters of a group that is gone, is that group.
    """
    by_id = {id(one.group): one for one in known}
    found = [by_id.get(id(group)) for group in groups]
    there = {id(one) for one in found}
    gone = {_params(one.group): one for one in known if id(one) not in there}
    for g, group in enumerate(groups):
        if found[g] is None and isinstance(group, dict) and all(name in group for name in options):
            found[g] = gone.pop(_params(group), None)
    return found


def _params(group: Mapping[str, Any]) -> tuple[int, ...] | None:
    params = group.get("params")
    return tuple([id(one) for one in params]) if isinstance(params, list) else None


def schedules_of_texts(where: str, group: Mapping[str, Any], given: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The schedules that a group taken from an optimizer has as text, where their values stand in the group."""
    found = {}
    for part, text in group.get("schedules", {}).items():
        schedule = schedule_of(where, part, text)
        if part in given and live_value(schedule, int(group.get("count", count)), None) == given[part]:
            found[part] = schedule
    return found

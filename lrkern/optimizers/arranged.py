"""The parameters of an optimizer, with all that is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lrkern.optimizers.groups import Groups, Structure, unique
from lrkern.optimizers.options import Group


@dataclass(frozen=True)
class Arranged:
    """Arrays, and the groups that they are in. Never changed once made: other threads see the old one or the new one."""

    structure: Structure | Groups
    params: list[Any]
    groups: list[Group]
    parts: list[list[int]]
    """Of each group of the user's the numbers in `groups`; the second, if any, is for what a mask leaves out of decay."""
    group_of: list[int]
    """For each parameter the number in `groups`."""
    copies: list[Any]
    """What each step writes parameters to, or None."""

    @property
    def has_copies(self) -> bool:
        """Whether there is anything to write parameters to."""
        return any(one is not None for one in self.copies)

    def places(self) -> list[str]:
        """Where each parameter is, in words: `['w']`, `[1][0]`."""
        return unique(self.structure.label("", i)[1:] for i in range(len(self.params)))

    def in_groups(self, numbers: Sequence[int] | frozenset[int]) -> list[bool]:
        """Whether each parameter is in one of these groups of the user's."""
        chosen = {g for number in numbers for g in self.parts[number]}
        return [g in chosen for g in self.group_of]


def members(of: Sequence[int], parts: Sequence[Sequence[int]], decays: Sequence[bool] | None) -> list[int]:
    """For each parameter, of the user's group `of`, the group that it is in; `decays` tells which of two."""
    return [parts[g][0 if decays is None or decays[i] else 1] for i, g in enumerate(of)]

"""The parameters of an optimizer with their groups and copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lrkern.optimizers.groups import Groups, Structure, unique
from lrkern.optimizers.options import Group


@dataclass(frozen=True)
class Arranged:
    """Arrays and their groups. Immutable: other threads see either the old one or the new one."""

    structure: Structure | Groups
    params: list[Any]
    groups: list[Group]
    parts: list[list[int]]
    """For each group of the user, its indices in `groups`; the second, if any, is for arrays without decay."""
    group_of: list[int]
    """For each parameter, its index in `groups`."""
    copies: list[Any]
    """For each parameter, the array that each step copies it to, or None."""

    @property
    def has_copies(self) -> bool:
        """Whether any parameter is copied."""
        return any(one is not None for one in self.copies)

    def places(self) -> list[str]:
        """The path of each parameter: `['w']`, `[1][0]`."""
        return unique(self.structure.label("", i)[1:] for i in range(len(self.params)))

    def in_groups(self, numbers: Sequence[int] | frozenset[int]) -> list[bool]:
        """Whether each parameter is in one of these groups of the user."""
        chosen = {g for number in numbers for g in self.parts[number]}
        return [g in chosen for g in self.group_of]


def members(of: Sequence[int], parts: Sequence[Sequence[int]], decays: Sequence[bool] | None) -> list[int]:
    """For each parameter, its index in `groups`, given its user group `of`; `decays` selects one of two."""
    return [parts[g][0 if decays is None or decays[i] else 1] for i, g in enumerate(of)]

"""The inputs of rules by group: numbers, and schedules that are evaluated and checked at each step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lrkern import _core
from lrkern.backends.engine import Check
from lrkern.rules.array_update import ArrayUpdate, array_update
from lrkern.rules.rule import rule_of

_LIMITS = {place: name for name, place in _core.LIMITS.items()}
_EMA = _core.PLACES["ema"]


class Inputs:
    """The current values of all inputs, decays of averages and limits of norms."""

    def __init__(self, where: str, variants: Sequence[str]) -> None:
        self.where, self.variants = where, variants
        self.names = [[one.name for one in rule_of(variant).parts(variant).hypers] for variant in variants]
        self.values = [dict.fromkeys(names, 0.0) for names in self.names]
        self.decays: list[dict[int, float]] = [{} for _ in variants]
        """Of each group, the decay of each average, by its number."""
        self.limits: dict[str, float] = dict.fromkeys(_core.LIMITS, math.inf)
        self._live: dict[tuple[int, int], tuple[str, Any, Check]] = {}
        self._updates: dict[int, ArrayUpdate] = {}

    def set(self, group: int, place: int, value: float) -> None:
        """Set an input to a number."""
        self._live.pop((group, place), None)
        self._updates.pop(group, None)  # it may be a flag
        self._take(group, place, value)

    def schedule(self, group: int, place: int, name: str, schedule: Any, check: Check) -> None:
        """Take an input from a schedule."""
        self._live[group, place] = name, schedule, check

    def refresh(self, count: int) -> None:
        """Evaluate the schedules at a step."""
        for (group, place), (name, schedule, check) in self._live.items():
            self._take(group, place, check(f"{self.where}, step {count}", name, schedule(count)))
        for variant, values in zip(self.variants, self.values, strict=True):
            if variant in _core.RULES and values["decoupled"]:
                _core.check_shrinkage(self.where, values["lr"], values["weight_decay"])

    def _take(self, group: int, place: int, value: float) -> None:
        if place in _LIMITS:
            self.limits[_LIMITS[place]] = value
        elif place < 0:
            self.decays[group][_EMA - place] = value
        else:
            self.values[group][self.names[group][place]] = value

    def update(self, group: int) -> ArrayUpdate:
        """The update of a group, made from the formula of its rule and its flags."""
        found = self._updates.get(group)
        if found is None:
            rule, values = rule_of(self.variants[group]), self.values[group]
            flags = {one.name: bool(values[one.name]) for one in rule.hypers if one.is_flag and one.name in values}
            found = array_update(rule, "torch", {**rule.variants[self.variants[group]], **flags})
            self._updates[group] = found
        return found

"""Two runs compared: which of lrkern's times have changed by more than their noise."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from lrkern.bench.report.table import number, seconds
from lrkern.bench.timing.result import SUBJECT, Result, name_of

HEAD = ["row", "case", "how", "old", "new", "change", "spread", "rivals", ""]
LEAST = 0.02  # smaller changes are not reported, however small the noise
NAMED = 5  # missing rows that are named
FACT_NOISE = 0.1  # of values that are not measured round by round


@dataclass(frozen=True)
class Change:
    """A row in both runs."""

    old: Result
    new: Result

    @property
    def ratio(self) -> float:
        """New divided by old."""
        return number_of(self.new) / number_of(self.old) if number_of(self.old) else 1.0

    @property
    def beyond_noise(self) -> bool:
        """Whether the quartiles of the two runs do not overlap, and the change is not tiny."""
        if abs(self.ratio - 1) < LEAST:
            return False
        if self.old.time is None:
            return abs(self.ratio - 1) > FACT_NOISE
        (old_low, old_high), (new_low, new_high) = quartiles(self.old), quartiles(self.new)
        return new_low > old_high or new_high < old_low

    @property
    def slower(self) -> bool:
        """Whether it takes longer, or is less accurate."""
        return self.ratio > 1

    def rivals(self) -> float | None:
        """The usual change of the rivals' times: if it is the same, the machine has changed and not lrkern."""
        both = self.old.rivals.keys() & self.new.rivals.keys()
        return median(self.new.rivals[name] / self.old.rivals[name] for name in both) if both else None

    def cells(self) -> list[str]:
        """A line of the table."""
        show = number if self.old.time is None else seconds
        rivals = self.rivals()
        return [
            self.old.row,
            self.old.case,
            self.old.how,
            show(number_of(self.old)),
            show(number_of(self.new)),
            percent(self.ratio),
            f"{self.old.spread:.1%}, {self.new.spread:.1%}" if self.old.time is not None else "",
            "" if rivals is None else percent(rivals),
            "slower" if self.slower else "faster",
        ]


def percent(ratio: float) -> str:
    """A change with its sign."""
    return f"{ratio - 1:+.1%}"


def number_of(result: Result) -> float:
    """The time or the value."""
    found = result.value if result.time is None else result.time
    assert found is not None
    return found


def quartiles(result: Result) -> tuple[float, float]:
    """Of lrkern's times; from the spread where a file has no single rounds."""
    rounds = result.rounds.get(SUBJECT, [])
    if len(rounds) > 1:
        low, _, high = quantiles(rounds, n=4, method="inclusive")
        return low, high
    half = number_of(result) * result.spread / 2
    return number_of(result) - half, number_of(result) + half


def changes(old: list[Result], new: list[Result]) -> list[Change]:
    """The rows that both runs have."""
    before = {result.key: result for result in old}
    pairs = [(before.get(result.key), result) for result in new]
    return [Change(a, b) for a, b in pairs if a is not None and (a.time is None) == (b.time is None)]


def missing(old: list[Result], new: list[Result]) -> str:
    """A sentence about the rows that only the old run has; empty without any."""
    there = {result.key for result in new}
    names = [name_of(*result.key) for result in old if result.key not in there]
    named = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    return f"Rows of the old run that the new one does not have: {len(names)} ({named})." if names else ""


def summary(found: list[Change], old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Sentences below the table."""
    beyond = [change for change in found if change.beyond_noise]
    slower = sum(change.slower for change in beyond)
    lines = [
        f"{len(found)} rows compared: {len(beyond)} changed by more than the noise, {slower} of them slower. A change counts "
        f"if the quartiles of the two runs do not overlap and it is at least {LEAST:.0%}."
    ]
    different = [
        f"{name}: {old.get(name)} and {new.get(name)}"
        for name in ("cpu", "threads", "isa", "versions")
        if old.get(name) != new.get(name)
    ]
    return [*lines, f"The runs differ in {'; '.join(different)}."] if different else lines

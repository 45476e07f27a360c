"""A line of the table: which results it shows, and its target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lrkern.bench.timing.result import Result
from lrkern.bench.timing.row import ALONE, BESIDE

Cases = Callable[[str], bool]


def every(case: str) -> bool:
    """All cases of the row; the line shows the worst."""
    return True


def only(name: str) -> Cases:
    """Only the case `name`."""
    return lambda case: case == name


def of(rule: str, size: str = "") -> Cases:
    """The cases of a rule, of one size or list."""
    return lambda case: case.partition(", ")[0] == rule and size in ("", case.partition(", ")[2])


@dataclass(frozen=True)
class Line:
    """One line of the table: the worst of some cases of a row, by its time, its value or its ratio to a rival."""

    row: str
    label: str
    unit: str  # of lrkern's number: ULP, values, ms, or the unit of work of a time
    rival: str = ""
    cases: Cases = every
    at_least: float | None = None  # target for the ratio
    at_most: float | None = None  # target for lrkern's own number: the value, or the time in seconds
    how: str = ""  # "alone" or "beside" for contests

    def number(self, result: Result) -> float:
        """lrkern's own number."""
        number = result.value if result.time is None else result.time
        assert number is not None
        return number

    def badness(self, result: Result) -> float:
        """Larger for results further from the target."""
        return -result.ratio(self.rival) if self.rival else self.number(result)

    def worst(self, results: list[Result]) -> tuple[Result | None, int]:
        """The worst result, which the line shows, and the number of results."""
        mine = [
            result
            for result in results
            if (result.row, result.how) == (self.row, self.how)
            and self.cases(result.case)
            and (not self.rival or self.rival in result.rivals)
        ]
        return (max(mine, key=self.badness) if mine else None), len(mine)

    def met(self, result: Result) -> bool | None:
        """Whether the target is met; None if there is none."""
        if self.at_least is not None:
            return result.ratio(self.rival) >= self.at_least
        if self.at_most is not None:
            return self.number(result) <= self.at_most
        return None


def against(
    row: str, label: str, unit: str, rivals: dict[str, float | None], cases: Cases = every, how: str = ""
) -> list[Line]:
    """A line per rival, each with its target ratio or None."""
    return [Line(row, label, unit, rival, cases, at_least=target, how=how) for rival, target in rivals.items()]


def both(
    row: str, label: str, unit: str, rivals: dict[str, tuple[float | None, float | None]], cases: Cases = every
) -> list[Line]:
    """Two lines per rival, with the target ratios (alone, beside) or None."""
    return [
        Line(row, label, unit, rival, cases, at_least=target, how=how)
        for rival, targets in rivals.items()
        for how, target in zip((ALONE, BESIDE), targets, strict=True)
    ]

"""The result of a row: medians, and the times of every round, from which ratios and their spread follow."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from typing import Any, Self

SUBJECT = "lrkern"


def name_of(row: str, case: str, how: str = "") -> str:
    """What -k compares with, and what failures are called."""
    return "-".join(word for word in (row, case, how) if word)


def spread(times: list[float]) -> float:
    """The interquartile range divided by the median: a measure of noise."""
    if len(times) < 2 or not median(times):
        return 0.0
    low, middle, high = quantiles(times, n=4, method="inclusive")
    return (high - low) / middle


@dataclass(frozen=True)
class Result:
    """The result of a row, as stored in JSON. Times are medians, in seconds per unit."""

    row: str
    case: str
    time: float | None = None
    spread: float = 0.0
    rivals: dict[str, float] = field(default_factory=dict)
    rival_spreads: dict[str, float] = field(default_factory=dict)
    value: float | None = None  # for rows that are not timed
    how: str = ""  # "alone": each contestant in its own process; "beside": in one, after others' thread pools have worked
    rounds: dict[str, list[float]] = field(default_factory=dict)  # the times of every round
    version: str = ""  # of lrkern; files may hold rows of several

    @property
    def key(self) -> tuple[str, str, str]:
        """What identifies it in a run."""
        return self.row, self.case, self.how

    @classmethod
    def of(cls, row: str, case: str, times: dict[str, list[float]], subject: str = SUBJECT, how: str = "") -> Self:
        """The result of a race, from the times of its contestants."""
        rivals = {name: rounds for name, rounds in times.items() if name != subject}
        return cls(
            row,
            case,
            time=median(times[subject]),
            spread=spread(times[subject]),
            rivals={name: median(rounds) for name, rounds in rivals.items()},
            rival_spreads={name: spread(rounds) for name, rounds in rivals.items()},
            how=how,
            rounds={SUBJECT: times[subject], **rivals},
        )

    def ratio(self, rival: str) -> float:
        """The speedup over a rival, the median over the rounds; for a limit of the machine, the fraction that was reached."""
        ours, theirs = self.rounds.get(SUBJECT, []), self.rounds.get(rival, [])
        if ours and len(ours) == len(theirs):
            return median(their / our for our, their in zip(ours, theirs, strict=True))
        assert self.time is not None
        return self.rivals[rival] / self.time

    def json(self) -> dict[str, Any]:
        """As JSON's types."""
        return asdict(self)

"""Side-by-side timing: contestants take turns within each round, and medians are compared.

A `Race` has one subject (lrkern) and rivals (limits of the machine, peers). A round runs every rival once, then the
subject once, so that disturbances affect all of them alike. `Race.rivals_turn` is one round without the subject;
pytest-benchmark calls it as the set-up of each of its rounds.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median, quantiles
from time import perf_counter
from typing import Any, Self


@dataclass
class Contestant:
    """Something to time. `units`: the number of steps, elements or calls per run. `run` may return a result."""

    name: str
    run: Callable[[], object]
    units: float
    prepare: Callable[[], object] | None = None  # before every run, not timed
    times: list[float] = field(default_factory=list)  # seconds per run

    def ready(self) -> None:
        """Run the untimed preparation."""
        if self.prepare is not None:
            self.prepare()

    def turn(self) -> None:
        """Run once and note the time."""
        self.ready()
        begin = perf_counter()
        self.run()
        self.times.append(perf_counter() - begin)


@dataclass
class Race:
    """The contestants of one row. `check` raises if a result is wrong, before anything is timed."""

    subject: Contestant
    rivals: list[Contestant]
    rounds: int
    check: Callable[[], object]

    def warm_up(self) -> None:
        """Check the results, then run every contestant once: compiles, faults pages in, wakes threads."""
        self.check()
        for contestant in (*self.rivals, self.subject):
            contestant.ready()
            contestant.run()
        gc.collect()

    def rivals_turn(self) -> None:
        """The rivals' part of a round."""
        for rival in self.rivals:
            rival.turn()
        self.subject.ready()

    def run(self) -> None:
        """All rounds, without pytest-benchmark."""
        self.warm_up()
        for _ in range(self.rounds):
            for rival in self.rivals:
                rival.turn()
            self.subject.turn()


def spread(times: list[float]) -> float:
    """The interquartile range divided by the median: a measure of noise."""
    if len(times) < 2:
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

    @classmethod
    def of(cls, row: str, case: str, race: Race, times: list[float]) -> Self:
        """The result of a race, with the subject's times as measured by the caller."""
        return cls(
            row,
            case,
            time=median(times) / race.subject.units,
            spread=spread(times),
            rivals={rival.name: median(rival.times) / rival.units for rival in race.rivals},
            rival_spreads={rival.name: spread(rival.times) for rival in race.rivals},
        )

    def ratio(self, rival: str) -> float:
        """The speedup over a rival; for a limit of the machine, the fraction of it that was reached."""
        assert self.time is not None
        return self.rivals[rival] / self.time

    def json(self) -> dict[str, Any]:
        """As JSON's types."""
        return asdict(self)


def repeated(function: Callable[[], object], times: int) -> Callable[[], None]:
    """A function that calls another one `times` times, for jobs too short to time individually."""

    def run() -> None:
        for _ in range(times):
            function()

    return run

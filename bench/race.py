"""Side-by-side timing: contestants take turns within each round, and medians are compared.

A `Race` has one subject (lrkern) and rivals (limits of the machine, peers). A round runs every rival once, then the
subject once, so whatever disturbs the machine disturbs all of them alike. `Race.rivals_turn` is one round without the
subject: what pytest-benchmark calls as the set-up of each of its rounds.
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
    """Something that is timed. `units`: how many steps, elements or calls one run does. `run` may return a result."""

    name: str
    run: Callable[[], object]
    units: float
    prepare: Callable[[], object] | None = None  # before every run, not timed
    times: list[float] = field(default_factory=list)  # seconds per run

    def ready(self) -> None:
        """Do what is not timed."""
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
    """Contestants for one line of the table. `check` raises where a result is wrong, before anything is timed."""

    subject: Contestant
    rivals: list[Contestant]
    rounds: int
    check: Callable[[], object]

    def warm_up(self) -> None:
        """Check the results, then let everyone run once: compiles, faults pages in, wakes threads."""
        self.check()
        for contestant in (*self.rivals, self.subject):
            contestant.ready()
            contestant.run()
        gc.collect()

    def rivals_turn(self) -> None:
        """One round up to the subject."""
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
    """Distance of the quartiles as a part of the median: how noisy a measurement was."""
    if len(times) < 2:
        return 0.0
    low, middle, high = quantiles(times, n=4, method="inclusive")
    return (high - low) / middle


@dataclass(frozen=True)
class Result:
    """A line of the table, as it goes to JSON and comes back. Times: medians, in seconds per unit."""

    row: str
    case: str
    time: float | None = None
    spread: float = 0.0
    rivals: dict[str, float] = field(default_factory=dict)
    rival_spreads: dict[str, float] = field(default_factory=dict)
    value: float | None = None  # of a row that measures no time

    @classmethod
    def of(cls, row: str, case: str, race: Race, times: list[float]) -> Self:
        """The result of a race, with the subject's times from whoever took them."""
        return cls(
            row,
            case,
            time=median(times) / race.subject.units,
            spread=spread(times),
            rivals={rival.name: median(rival.times) / rival.units for rival in race.rivals},
            rival_spreads={rival.name: spread(rival.times) for rival in race.rivals},
        )

    def ratio(self, rival: str) -> float:
        """How many times faster than a rival; against a limit of the machine: the part of it that was reached."""
        assert self.time is not None
        return self.rivals[rival] / self.time

    def json(self) -> dict[str, Any]:
        """As JSON's types."""
        return asdict(self)


def repeated(function: Callable[[], object], times: int) -> Callable[[], None]:
    """A function that calls another one `times` times: for jobs too short to be timed alone."""

    def run() -> None:
        for _ in range(times):
            function()

    return run

"""Side-by-side timing: contestants take turns within each round, and their times of the same round are compared.

A `Race` has one subject (lrkern) and rivals (limits of the machine, peers). A round runs every rival once, then the
subject once, so that disturbances affect all of them alike.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

SAMPLES = 15
"""Runs in a turn, if each is timed on its own. In quick runs fewer: what precedes each takes long on a busy machine."""
LEAST_ROUNDS = 3
LEAST_TURN = 0.01
"""The least seconds of a turn of several runs. The first run of a turn finds other data in the caches. If runs are short and
few, loading the caches again would be a large part of the turn."""


@dataclass
class Contestant:
    """Something to time. `units`: the number of steps, elements or calls per run. `run` may return a result."""

    name: str
    run: Callable[[], object]
    units: float
    prepare: Callable[[], object] | None = None  # before every run, not timed
    repeats: int = 1  # runs in a turn, for jobs too short to be timed once
    check: Callable[[], object] | None = None  # raises if results are wrong

    def ready(self) -> None:
        """Run the untimed preparation."""
        if self.prepare is not None:
            self.prepare()

    def warm_up(self) -> None:
        """Check the results, then take a turn that is not counted: compiles, faults pages in, wakes threads."""
        if self.check is not None:
            self.check()
        seconds = self.turn() * self.units * self.repeats
        if self.repeats > 1 and self.prepare is None and seconds < LEAST_TURN:
            self.repeats = int(self.repeats * LEAST_TURN / max(seconds, 1e-9)) + 1
        gc.collect()

    def turn(self, before: Callable[[], object] | None = None, samples: int = SAMPLES) -> float:
        """Seconds per unit, in a turn: of all runs together, or the median of single runs if something precedes each."""
        run = self.run
        if self.prepare is None and before is None:
            begin = perf_counter()
            for _ in range(self.repeats):
                run()
            return (perf_counter() - begin) / self.repeats / self.units
        times = []
        for _ in range(min(self.repeats, samples)):
            self.ready()
            if before is not None:
                before()
            begin = perf_counter()
            run()
            times.append(perf_counter() - begin)
        return median(times) / self.units


@dataclass
class Race:
    """The contestants of one row in one process. `check` raises if a result is wrong, before anything is timed."""

    subject: Contestant
    rivals: list[Contestant]
    rounds: int
    check: Callable[[], object] | None = None
    after: Callable[[], object] | None = None  # when the race is over: puts back what it has set
    times: dict[str, list[float]] = field(default_factory=dict)  # seconds per unit, by round
    samples: int = SAMPLES

    def warm_up(self) -> None:
        """Check the results, then run every contestant once."""
        if self.check is not None:
            self.check()
        for contestant in (*self.rivals, self.subject):
            contestant.warm_up()

    def note(self, contestant: Contestant, before: Callable[[], object] | None = None) -> None:
        """A turn of a contestant."""
        self.times.setdefault(contestant.name, []).append(contestant.turn(before, self.samples))

    def rivals_turn(self, before: Callable[[], object] | None = None) -> None:
        """The rivals' part of a round."""
        for rival in self.rivals:
            self.note(rival, before)

    def subject_turn(self, before: Callable[[], object] | None = None) -> None:
        """The subject's part of a round."""
        self.note(self.subject, before)

    def run(self, before: Callable[[], object] | None = None, patience: float = float("inf")) -> None:
        """All rounds; after `patience` seconds no further one, if there have been enough. `before`: before every run."""
        begin = perf_counter()
        try:
            self.warm_up()
            for done in range(self.rounds):
                if done >= LEAST_ROUNDS and perf_counter() - begin > patience:
                    break
                self.rivals_turn(before)
                self.subject_turn(before)
        finally:
            self.close()

    def whole_rounds(self) -> dict[str, list[float]]:
        """The times of rounds in which everybody had a turn; who calls the turns may begin one more."""
        rounds = min(map(len, self.times.values()))
        return {name: times[:rounds] for name, times in self.times.items()}

    def close(self) -> None:
        """Put back what the race has set."""
        if self.after is not None:
            self.after()

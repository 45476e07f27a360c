"""The rows of the benchmark: races in one process, contests between processes, and other facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lrkern.bench.settings import current
from lrkern.bench.timing.race import Contestant, Race
from lrkern.bench.timing.result import SUBJECT
from lrkern.bench.timing.sizes import Sizes

ALONE, BESIDE = "alone", "beside"


@dataclass(frozen=True)
class Row:
    """A race in one process, run once per case."""

    name: str
    cases: tuple[str, ...]
    race: Callable[[str, Sizes], Race]
    quickly: tuple[str, ...] = ("",)  # how in a quick run: as always


@dataclass(frozen=True)
class Contest:
    """A row against libraries with thread pools of their own, run once per case and way of measuring.

    `entries` gives the contestants by name, lrkern first, each as a function that makes it from the same seed: a process
    makes its own only.
    """

    name: str
    cases: tuple[str, ...]
    entries: Callable[[str, Sizes], dict[str, Callable[[], Contestant]]]
    beside: Callable[[str], bool] = lambda case: True  # which cases are also measured beside
    slow: bool = False  # fewer rounds, where rivals take long
    quickly: tuple[str, ...] = (BESIDE,)  # how in a quick run

    def ways(self, case: str) -> tuple[str, ...]:
        """How a case is measured."""
        return (ALONE, BESIDE) if self.beside(case) else (ALONE,)

    def rounds(self, sizes: Sizes) -> int:
        """How often the contestants take turns."""
        return sizes.slow_rounds if self.slow else sizes.rounds

    def makers(self, case: str, sizes: Sizes) -> dict[str, Callable[[], Contestant]]:
        """The contestants that take part in this run."""
        return {name: make for name, make in self.entries(case, sizes).items() if current().allows(name)}

    def race(self, case: str, sizes: Sizes) -> Race:
        """All contestants in this process."""
        made = {name: make() for name, make in self.makers(case, sizes).items()}
        subject = made.pop(SUBJECT)
        return Race(subject, list(made.values()), self.rounds(sizes))


@dataclass(frozen=True)
class Fact:
    """A quantity that is not the time of a call, measured once per case."""

    name: str
    cases: tuple[str, ...]
    measure: Callable[[str, Sizes], float]
    quickly: tuple[str, ...] = ("",)  # how in a quick run; empty: not at all

"""The rows of the benchmark: timed races and other facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bench.race import Race
from bench.sizes import Sizes


@dataclass(frozen=True)
class Row:
    """A race that is run once per case."""

    name: str
    cases: tuple[str, ...]
    race: Callable[[str, Sizes], Race]


@dataclass(frozen=True)
class Fact:
    """A quantity that is not the time of a call, measured once per case."""

    name: str
    cases: tuple[str, ...]
    measure: Callable[[str, Sizes], float]

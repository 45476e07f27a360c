"""What a row of the benchmark is, and the list of all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

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
    """Something that is measured, but not by timing a call. Once per case."""

    name: str
    cases: tuple[str, ...]
    measure: Callable[[str, Sizes], float]


def all_rows() -> list[Row]:
    """Every race of the benchmark, in the order of the table."""
    from bench import rows_machine, rows_numba, rows_scan, rows_schedules, rows_steps

    return list(chain(rows_machine.ROWS, rows_schedules.ROWS, rows_scan.ROWS, rows_steps.ROWS, rows_numba.ROWS))


def all_facts() -> list[Fact]:
    """Everything else that the table shows."""
    from bench import facts

    return facts.FACTS

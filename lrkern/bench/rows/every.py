"""The list of everything that the benchmark measures."""

from __future__ import annotations

import functools

from lrkern.bench.rows import (
    adapter,
    calls,
    facts,
    gradients,
    lists,
    machine,
    numba,
    own,
    rules,
    scan,
    schedules,
    sizes,
    steps,
    toll,
    training,
)
from lrkern.bench.settings import current
from lrkern.bench.timing.row import Contest, Fact, Row


def all_rows() -> list[Row | Contest]:
    """Every race of the benchmark, in the order of the table, without the user's own."""
    modules = (machine, schedules, scan, sizes, lists, gradients, adapter, training, calls, steps, rules, numba)
    return [row for module in modules for row in module.ROWS]


def all_facts() -> list[Fact]:
    """Everything else that the table shows."""
    return [*facts.FACTS, *toll.FACTS]


def own_rows() -> list[Row | Contest]:
    """The rows of the user's own schedules and rules."""
    chosen = current()
    return [*own.rows(chosen.schedules, chosen.rules)]


@functools.cache
def by_name() -> dict[str, Row | Contest | Fact]:
    """All of them."""
    return {row.name: row for row in (*all_facts(), *all_rows(), *own_rows())}


def named(name: str) -> Row | Contest | Fact:
    """The row of this name."""
    return by_name()[name]

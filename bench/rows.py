"""The list of everything that the benchmark measures."""

from __future__ import annotations

from bench import facts, rows_machine, rows_numba, rows_scan, rows_schedules, rows_steps
from bench.row import Fact, Row


def all_rows() -> list[Row]:
    """Every race of the benchmark, in the order of the table."""
    modules = (rows_machine, rows_schedules, rows_scan, rows_steps, rows_numba)
    return [row for module in modules for row in module.ROWS]


def all_facts() -> list[Fact]:
    """Everything else that the table shows."""
    return facts.FACTS

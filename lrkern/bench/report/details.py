"""Tables with one line per schedule, per size of a step, and per rule."""

from __future__ import annotations

from collections.abc import Callable

from lrkern.bench.curves import CURVES
from lrkern.bench.report.table import number
from lrkern.bench.rivals.limits import STREAMING, STREAMS
from lrkern.bench.rivals.torch_steps import FUSED
from lrkern.bench.rows import rules, sizes
from lrkern.bench.timing.result import Result
from lrkern.bench.timing.row import ALONE, BESIDE

CURVE_HEAD = [
    "schedule",
    "fill, ns/step",
    "of streaming fill",
    "x NumPy",
    "x Numba loop",
    "x Python loop",
    "in cache, ns/step",
    "s(t), ns",
    "compile, us",
    "error, ULP",
]
SIZE_HEAD = ["one tensor", "alone, us/step", "of streams", "x torch fused", "beside, us/step", "x torch fused, beside"]
RULE_HEAD = ["rule", "2^22, ns/element", "of streams", "2^26, ns/element", "of streams"]


class Numbers:
    """The cells of results, empty where there is none."""

    def __init__(self, results: list[Result]) -> None:
        self.results = {result.key: result for result in results}

    def time(self, row: str, case: str, scale: float, how: str = "") -> str:
        """A time, divided by `scale`."""
        result = self.results.get((row, case, how))
        return number(result.time / scale) if result and result.time is not None else ""

    def ratio(self, row: str, case: str, rival: str, how: str = "") -> str:
        """A ratio."""
        result = self.results.get((row, case, how))
        return number(result.ratio(rival)) if result and rival in result.rivals else ""

    def value(self, row: str, case: str) -> str:
        """A fact."""
        result = self.results.get((row, case, ""))
        return number(result.value) if result and result.value is not None else ""


def filled(names: list[str], cells: Callable[[str], list[str]]) -> list[list[str]]:
    """The lines that are not empty."""
    return [[name, *line] for name in names if any(line := cells(name))]


def curve_lines(results: list[Result]) -> list[list[str]]:
    """One line per schedule, with everything measured for it."""
    found = Numbers(results)
    return filled(
        [curve.name for curve in CURVES],
        lambda case: [
            found.time("fill", case, 1e-9),
            found.ratio("fill", case, STREAMING),
            *(found.ratio("peers", case, rival, ALONE) for rival in ("NumPy", "Numba loop", "Python loop")),
            found.time("cached-serial", case, 1e-9),
            found.time("scalar", case, 1e-9),
            found.time("compile", case, 1e-6),
            found.value("error", case),
        ],
    )


def size_lines(results: list[Result]) -> list[list[str]]:
    """One line per rule and size."""
    found = Numbers(results)

    def cells(case: str) -> list[str]:
        scale = 1e-6 / sizes.ELEMENTS[case.partition(", ")[2]]  # times are per element
        return [
            found.time("step", case, scale, ALONE),
            found.ratio("step", case, STREAMS, ALONE),
            found.ratio("step", case, FUSED, ALONE),
            found.time("step", case, scale, BESIDE),
            found.ratio("step", case, FUSED, BESIDE),
        ]

    return filled(list(sizes.CASES), cells)


def rule_lines(results: list[Result]) -> list[list[str]]:
    """One line per rule."""
    found = Numbers(results)

    def cells(name: str) -> list[str]:
        cases = [f"{name}, {size}" for size in (rules.MEDIUM, rules.LARGE)]
        return [cell for case in cases for cell in (found.time("rule", case, 1e-9), found.ratio("rule", case, STREAMS))]

    return filled(rules.names(), cells)


def tables(results: list[Result]) -> list[tuple[str, list[str], list[list[str]]]]:
    """(title, head, lines) of those that are not empty."""
    all_of_them = [
        ("steps of one tensor", SIZE_HEAD, size_lines(results)),
        ("one step of every rule", RULE_HEAD, rule_lines(results)),
        ("every schedule", CURVE_HEAD, curve_lines(results)),
    ]
    return [one for one in all_of_them if one[2]]

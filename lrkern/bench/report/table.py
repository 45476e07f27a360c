"""The table: from results to lines of text, for terminals and for Markdown."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

from lrkern.bench.curves import CURVES
from lrkern.bench.rivals.limits import STREAMING
from lrkern.bench.timing.race import Result
from lrkern.bench.report.targets import LINES, Line

HEAD = ["what", "worst of", "lrkern", "against", "theirs", "ratio", "target", "met"]
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
MET = {True: "yes", False: "NO", None: ""}


def number(value: float) -> str:
    """A number with three digits, without an exponent."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def seconds(value: float) -> str:
    """A time in a suitable unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= scale:
            return f"{number(value / scale)} {unit}"
    return f"{number(value / 1e-9)} ns"


def own(line: Line, result: Result) -> str:
    """lrkern's number with its unit."""
    if result.time is None:
        return f"{number(line.number(result))} {line.unit}"
    return f"{seconds(result.time)}/{line.unit}"


def target(line: Line, result: Result) -> str:
    """The target."""
    if line.at_least is not None:
        return f">= {line.at_least:,g}x"
    if line.at_most is not None:
        return f"<= {number(line.at_most) + ' ' + line.unit if result.time is None else seconds(line.at_most)}"
    return ""


def lines(results: list[Result]) -> list[list[str]]:
    """The cells of the table, one list per line; lines without results are omitted."""
    table = []
    for line in LINES:
        result, count = line.worst(results)
        if result is None:
            continue
        theirs = seconds(result.rivals[line.rival]) if line.rival else ""
        ratio = f"{number(result.ratio(line.rival))}x" if line.rival else ""
        case = f"{result.case} ({count})" if count > 1 else ""
        cells = [line.label, case, own(line, result), line.rival, theirs, ratio, target(line, result)]
        table.append([*cells, MET[line.met(result)]])
    return table


def curve_lines(results: list[Result]) -> list[list[str]]:
    """One line per schedule, with everything measured for it."""
    by_key = {(result.row, result.case): result for result in results}

    def time(row: str, case: str, scale: float) -> str:
        result = by_key.get((row, case))
        return number(result.time / scale) if result and result.time is not None else ""

    def ratio(row: str, case: str, rival: str) -> str:
        result = by_key.get((row, case))
        return number(result.ratio(rival)) if result and rival in result.rivals else ""

    table = []
    for case in (curve.name for curve in CURVES):
        error = by_key.get(("error", case))
        cells = [
            case,
            time("fill", case, 1e-9),
            ratio("fill", case, STREAMING),
            *(ratio("peers", case, rival) for rival in ("NumPy", "Numba loop", "Python loop")),
            time("cached", case, 1e-9),
            time("scalar", case, 1e-9),
            time("compile", case, 1e-6),
            number(error.value) if error and error.value is not None else "",
        ]
        if any(cells[1:]):
            table.append(cells)
    return table


def noise(results: list[Result]) -> str:
    """A sentence about the noise of the measurements."""
    spreads = sorted((result.spread, result) for result in results if result.time is not None)
    if not spreads:
        return ""
    middle, (largest, result) = spreads[len(spreads) // 2][0], spreads[-1]
    return (
        f"The interquartile range of lrkern's times was {middle:.1%} of the median (median of all rows), "
        f"at most {largest:.0%} ({result.row}, {result.case})."
    )


def describe(machine: dict[str, Any]) -> str:
    """A sentence that describes the machine."""
    caches = ", ".join(f"{level} {size}" for level, size in machine["caches"].items())
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores ({caches}), lrkern with {machine['threads']} threads on "
        f"{machine['isa']}; {machine['date']}; Python {machine['python']}, {versions}."
    )


def markdown(head: list[str], table: Iterable[list[str]]) -> str:
    """A Markdown table, numbers to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *table))


def plain(head: list[str], table: list[list[str]]) -> str:
    """A table aligned with spaces."""
    widths = [max(map(len, column)) for column in zip(head, *table, strict=True)]

    def row(cells: list[str]) -> str:
        first, *others = map(str.rjust, cells, widths)
        return "  ".join([cells[0].ljust(len(first)), *others])

    return "\n".join(map(row, (head, ["-" * width for width in widths], *table)))


def show(title: str, head: list[str], table: list[list[str]]) -> None:
    """Print a table, with rich if it is installed."""
    try:
        console, box = importlib.import_module("rich.console"), importlib.import_module("rich.box")
        tables = importlib.import_module("rich.table")
    except ImportError:
        print(f"\n{title}\n\n{plain(head, table)}")
        return
    grid = tables.Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(head):
        grid.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for cells in table:
        style = {"yes": "green", "NO": "bold red"}.get(cells[-1], "")
        grid.add_row(*cells[:-1], f"[{style}]{cells[-1]}[/]" if style else cells[-1])
    screen = console.Console()
    screen.width = max(screen.width, console.Console(width=1000).measure(grid).maximum)  # cells must not be truncated
    screen.print(grid)

"""The table: from results to lines of text."""

from __future__ import annotations

from lrkern.bench.report.line import Line
from lrkern.bench.report.targets import LINES, own_lines
from lrkern.bench.rivals.limits import STREAMS
from lrkern.bench.timing.result import Result
from lrkern.bench.timing.sizes import FULL, QUICK

HEAD = ["what", "how", "worst of", "lrkern", "against", "theirs", "ratio", "target", "met"]
VALUES = ("ULP", "values", "us", "ms", "s", "MiB")
"""Units of lines that are not times of calls."""
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


def ratio(line: Line, result: Result) -> str:
    """The ratio to the rival; of a step also that of the bare streams, which no step can do without."""
    if not line.rival:
        return ""
    streams = ""
    if STREAMS in result.rivals and line.rival != STREAMS:
        streams = f" (streams {number(result.rivals[line.rival] / result.rivals[STREAMS])}x)"
    return f"{number(result.ratio(line.rival))}x{streams}"


def target(line: Line) -> str:
    """The target."""
    if line.at_least is not None:
        return f">= {line.at_least:,g}x"
    if line.at_most is not None:
        return f"<= {number(line.at_most) + ' ' + line.unit if line.unit in VALUES else seconds(line.at_most)}"
    return ""


def lines(results: list[Result], quick: bool = False) -> list[list[str]]:
    """The cells of the table, one list per line; lines without results are omitted."""
    table = []
    for line in (*own_lines(results, QUICK if quick else FULL), *LINES):
        result, count = line.worst(results)
        if result is None:
            continue
        theirs = seconds(result.rivals[line.rival]) if line.rival else ""
        case = f"{result.case} ({count})" if count > 1 else ""
        cells = [line.label, line.how, case, own(line, result), line.rival, theirs, ratio(line, result), target(line)]
        table.append([*cells, MET[line.met(result)]])
    return table

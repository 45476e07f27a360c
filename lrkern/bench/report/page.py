"""bench/RESULTS.md: the kept runs of several processors, side by side. A target is met if it is met on each."""

from __future__ import annotations

import textwrap
from pathlib import Path

from lrkern.bench.report import details, headline, machine, noise, versions
from lrkern.bench.report.forms import markdown
from lrkern.bench.report.line import Line
from lrkern.bench.report.store import Run
from lrkern.bench.report.table import MET, own, ratio, target
from lrkern.bench.report.targets import LINES
from lrkern.bench.settings import ROOT

PAGE = ROOT / "bench" / "RESULTS.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
WIDTH = 128


def letters(runs: list[Run]) -> list[str]:
    """A, B, C: what the page calls the processors."""
    return [chr(ord("A") + index) for index in range(len(runs))]


def name_of(run: Run) -> str:
    """A processor; some names stand for several kinds, which the instruction set tells apart."""
    return f"{run.machine['cpu']}, {run.machine['isa']}"


def line_cells(line: Line, runs: list[Run]) -> list[str] | None:
    """A line of the table: a cell for each processor, and whether the target is met; None if no run has it."""
    cells, verdicts = [], {}
    for letter, run in zip(letters(runs), runs, strict=True):
        worst, count = line.worst(run.results)
        if worst is None:
            cells.append("")
            continue
        case = f" ({worst.case})" if count > 1 else ""
        reached = f", {ratio(line, worst)}" if line.rival else ""
        cells.append(f"{own(line, worst)}{reached}{case}")
        verdicts[letter] = line.met(worst)
    if not verdicts:
        return None
    missed = [letter for letter, met in verdicts.items() if met is False]
    met = MET[False if missed else next(iter(verdicts.values()))]
    if met and (missed or len(verdicts) < len(runs)):  # where it is missed; else where it was measured, if not everywhere
        met += f" ({', '.join(missed or verdicts)})"
    return [line.label, line.how, line.rival, target(line), *cells, met]


def comparison(runs: list[Run]) -> str:
    """The table of all lines."""
    head = ["what", "how", "against", "target", *letters(runs), "met"]
    found = [line_cells(line, runs) for line in LINES]
    return markdown(head, [cells for cells in found if cells is not None])


def filled(text: str, first: str = "", others: str = "") -> str:
    """A paragraph."""
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=others, break_on_hyphens=False, break_long_words=False
    )


def section(letter: str, run: Run) -> str:
    """A processor: what it is, its headline, and the tables with more detail."""
    answer = [filled(text if text.endswith("...") else f"{text}.", "- ", "  ") for text in headline.headline(run.results)]
    parts = [
        f"### {letter}: {name_of(run)}",
        filled(f"{machine.sentence(run.machine)} {noise.sentence(run.results)} {versions.sentence(run.results)}"),
        "\n".join(answer),
    ]
    for title, head, lines in details.tables(run.results):
        parts += [f"{title[0].upper()}{title[1:]}:", markdown(head, lines)]
    return "\n\n".join(part for part in parts if part)


def lacking(runs: list[Run]) -> str:
    """What an empty cell means, if there are any."""
    shown = [cells for line in LINES if (cells := line_cells(line, runs)) is not None]
    if all(all(cells[4:-1]) for cells in shown):
        return ""
    return (
        "An empty cell is a line that has not been measured on that processor; yes (A): met where it has been measured, on A."
    )


def text_of(runs: list[Run]) -> str:
    """Everything between the marks."""
    names = "; ".join(f"{letter}: {name_of(run)}" for letter, run in zip(letters(runs), runs, strict=True))
    worst = "Where a line stands for several cases, each column shows its worst one."
    intro = filled(f"{names}. {worst} {lacking(runs)}".rstrip())
    sections = [section(letter, run) for letter, run in zip(letters(runs), runs, strict=True)]
    return "\n\n".join([intro, comparison(runs), *sections])


def check(path: Path) -> str:
    """The page as it is; raises if it has no place for the tables."""
    text = path.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"bench: {path.name} must contain {BEGIN} and {END} once each")
    return text


def write(runs: list[Run], path: Path = PAGE) -> None:
    """Put the tables between the marks."""
    text = check(path)
    before, rest = text.split(BEGIN)
    path.write_text(f"{before}{BEGIN}\n{text_of(runs)}\n{END}{rest.split(END)[1]}")

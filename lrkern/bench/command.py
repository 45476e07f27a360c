"""The command line of the benchmark: `lrkern bench`, or `python -m lrkern.bench`."""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path
from typing import NoReturn

from lrkern.bench.curves import CURVES
from lrkern.bench.processes.measure import Job, jobs, run
from lrkern.bench.report import compare, details, forms, headline, noise, page, store, table
from lrkern.bench.report.machine import describe, sentence
from lrkern.bench.report.progress import Progress
from lrkern.bench.rivals import peers
from lrkern.bench.rows.every import all_facts, all_rows, own_rows
from lrkern.bench.settings import CHECKOUT, LIBRARIES, Settings, use
from lrkern.bench.timing import exact

FAILED, WRONG_USE = 1, 2
MANY = 10  # schedules, of which --list shows the first and last


class Parser(argparse.ArgumentParser):
    """Reports wrong arguments as one sentence."""

    def error(self, message: str) -> NoReturn:
        """Raise a ValueError."""
        raise ValueError(f"bench: {message}")


def arguments(words: list[str]) -> argparse.Namespace:
    """The parsed command line."""
    parser = Parser(
        prog="lrkern bench",
        description="Measure lrkern against its rivals and the limits of the machine: some ten minutes, 2 cores, 8 GiB.",
        epilog="Exit codes: 0 success, 1 a row failed or --compare found something slower, 2 wrong arguments or files.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="small sizes, half a minute: does everything run?")
    add("-k", metavar="WORDS", default="", help="only rows that match: 'fill and cosine', 'step and not beside'")
    add("--list", action="store_true", help="list the rows and their cases; run nothing")
    add("--rivals", metavar="NAMES", help=f"only these of {','.join(LIBRARIES)}; limits of the machine always take part")
    add("--schedule", metavar="EXPR", action="append", default=[], help="measure a schedule of your own; again for more")
    add("--rule", metavar="FILE.py:NAME", action="append", default=[], help="measure a rule of your own; again for more")
    add("--json", metavar="FILE", type=Path, default=store.LATEST, help="where results go")
    add("--from", dest="source", metavar="FILE", type=Path, help="show an earlier run; run nothing")
    add(
        "--compare", metavar="FILE", type=Path, nargs="+", help="OLD [NEW]: changes beyond the noise; without NEW, of a new run"
    )
    add("--details", action="store_true", help="also show tables with one line per schedule, size and rule")
    add("--save", action="store_true", help="in a checkout: keep the results as bench/results/<cpu>-<isa>-<date>.json")
    add("--write", action="store_true", help="in a checkout: keep them and write bench/RESULTS.md from all that are kept")
    return parser.parse_args(words)


def settings_of(options: argparse.Namespace) -> Settings:
    """What the workers have to know; wrong combinations are errors."""
    rivals = None
    if options.rivals is not None:
        rivals = tuple(word.strip() for word in options.rivals.split(",") if word.strip())
        if unknown := [name for name in rivals if name not in LIBRARIES]:
            raise ValueError(f"bench: --rivals must be of {', '.join(LIBRARIES)}; got {', '.join(unknown)}")
    if options.compare and len(options.compare) > 2:
        raise ValueError(f"bench: --compare must be OLD or OLD NEW; got {len(options.compare)} files")
    if options.save or options.write:
        if not CHECKOUT:
            raise ValueError("bench: --save and --write need the source checkout")
        if options.quick or options.rivals or options.schedule or options.rule:
            raise ValueError("bench: --save and --write exclude --quick, --rivals, --schedule and --rule")
    return Settings(options.quick, rivals, tuple(options.schedule), tuple(str(Path(p).resolve()) for p in options.rule))


def chosen(options: argparse.Namespace, settings: Settings) -> list[Job]:
    """What to measure: the user's own rows alone if there are any and no words."""
    own = own_rows()
    rows = own if own and not options.k else [*all_facts(), *all_rows(), *own]
    found = jobs(rows, options.k, settings.quick)
    if not found:
        raise ValueError(f"bench: -k: no row matches {options.k!r}; --list shows them")
    return found


def listing(found: list[Job]) -> str:
    """The rows, each with its cases and ways of measuring."""
    lines: dict[str, dict[str, None]] = {}
    ways: dict[str, dict[str, None]] = {}
    for job in found:
        lines.setdefault(job.row.name, {})[job.case] = None
        ways.setdefault(job.row.name, {})[job.how] = None
    text = []
    for name, cases in lines.items():
        how = ", ".join(filter(None, ways[name]))
        named = [curve.name for curve in CURVES if curve.name in cases]
        curves = f"{len(named)} schedules, {named[0]} to {named[-1]}" if len(named) == len(cases) > MANY else ""
        shown = (curves or "; ".join(cases)) + (f" ({how})" if how else "")
        text.append(textwrap.fill(shown, 100, initial_indent=f"{name:16} ", subsequent_indent=" " * 17))
    return "\n".join(text)


def measured(found: list[Job], settings: Settings) -> store.Run:
    """A new run."""
    progress = Progress(len(found))
    results, failures, seconds = run(found, settings, lambda index, job: progress(index, job.name))
    progress.wipe()
    reasons = [{"row": failure.job, "reason": failure.reason} for failure in failures]
    return store.Run(results, describe(), settings.quick, reasons, seconds)


def show(found: store.Run, full: bool) -> None:
    """Print a run: the answer, the table, the machine, what is missing."""
    for text in [] if found.quick else headline.headline(found.results):
        print(text)
    forms.show("lrkern against its targets; the worst case of each row", table.HEAD, table.lines(found.results))
    if full:
        for title, head, lines in details.tables(found.results):
            forms.show(title, head, lines)
    print(sentence(found.machine), noise.sentence(found.results))
    if found.quick:
        print("Small sizes: these are not measurements.")
    for failure in found.failures or []:
        print(f"Failed: {failure['row']}: {failure['reason']}")


def show_changes(old: store.Run, new: store.Run) -> bool:
    """Print what has changed beyond the noise; returns whether something is slower."""
    if old.quick != new.quick:
        raise ValueError("bench: --compare: both runs must be quick or neither; their sizes differ")
    found = compare.changes(old.results, new.results)
    beyond = [change for change in found if change.beyond_noise]
    if beyond:
        forms.show("changes beyond the noise", compare.HEAD, [change.cells() for change in beyond])
    print("\n".join(compare.summary(found, old.machine, new.machine)))
    return any(change.slower for change in beyond)


def main(words: list[str]) -> int:
    """The command; raises a ValueError with one sentence for wrong arguments and files."""
    options = arguments(words)
    settings = settings_of(options)
    use(settings)
    if options.list:
        print(listing(chosen(options, Settings())))
        return 0
    files = [store.read(path, "--compare") for path in options.compare or []]
    if len(files) == 2:
        return FAILED if show_changes(*files) else 0
    if options.source:
        found = store.read(options.source, "--from")
    else:
        found = measured(chosen(options, settings), settings)
        if options.json:
            store.write(found, options.json)
    show(found, options.details)
    if not options.source:
        if missing := peers.missing():
            print(f"Not installed, so omitted: {', '.join(missing)}.")
        if not exact.available():
            print("Errors in ULP are left out: they need a source checkout and mpmath.")
        if found.seconds:
            minutes, seconds = divmod(round(sum(found.seconds.values())), 60)
            print(f"It took {minutes} min {seconds} s.")
        if options.json:
            print(f"Results: {options.json}")
    slower = bool(files) and show_changes(files[0], found)
    if options.save or options.write:
        store.keep(found)
    if options.write:
        page.write(store.kept())
    return FAILED if slower or found.failures else 0

"""The command line of the benchmark: `lrkern bench`, or `python -m lrkern.bench`."""

from __future__ import annotations

import argparse
import textwrap
from dataclasses import replace
from pathlib import Path

from lrkern.bench.arguments import arguments, settings_of
from lrkern.bench.curves import CURVES
from lrkern.bench.processes import interrupts
from lrkern.bench.processes.measure import Job, jobs, run
from lrkern.bench.report import compare, details, forms, headline, noise, page, store, table, versions
from lrkern.bench.report.machine import describe, file_name, sentence
from lrkern.bench.report.progress import Progress
from lrkern.bench.rivals import peers
from lrkern.bench.rows.every import all_facts, all_rows, own_rows
from lrkern.bench.rows.own import ROWS as OWN
from lrkern.bench.settings import CHECKOUT, Settings, use
from lrkern.bench.timing import exact
from lrkern.bench.timing.result import name_of

FAILED, WRONG_USE = 1, 2
MANY = 10  # schedules, of which --list shows the first and last


def chosen(options: argparse.Namespace, settings: Settings) -> list[Job]:
    """What to measure: the user's own rows alone if there are any and no words."""
    own = own_rows()
    words = options.k or ""
    rows = own if own and not words else [*all_facts(), *all_rows(), *own]
    found = jobs(rows, words, settings.quick)
    if not found:
        raise ValueError(f"bench: -k: no row matches {words!r}; --list shows them")
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
    version = versions.current()
    return store.Run([replace(result, version=version) for result in results], describe(), settings.quick, reasons, seconds)


def show(found: store.Run, full: bool) -> None:
    """Print a run: the answer, the table, the machine, what is missing."""
    for text in [] if found.quick else headline.headline(found.results):
        print(text)
    lines = table.lines(found.results, found.quick)
    forms.show("lrkern against its targets; the worst case of each row", table.HEAD, lines)
    if full:
        for title, head, lines in details.tables(found.results):
            forms.show(title, head, lines)
    print(sentence(found.machine), noise.sentence(found.results), versions.sentence(found.results))
    if found.quick:
        print("Small sizes: these are not measurements.")
    for failure in found.failures or []:
        print(f"Failed: {failure['row']}: {failure['reason']}")


def show_circumstances(found: store.Run) -> None:
    """Print what a new run did without, and how long it took."""
    if missing := peers.missing():
        print(f"Not installed, so omitted: {', '.join(missing)}.")
    if not exact.available():
        print("Errors in ULP are left out: they need a source checkout and mpmath.")
    if found.seconds:
        minutes, seconds = divmod(round(sum(found.seconds.values())), 60)
        print(f"It took {minutes} min {seconds} s.")


def show_changes(old: store.Run, new: store.Run) -> bool:
    """Print what has changed beyond the noise; returns whether all is well: compared, and nothing slower or failed."""
    found = compare.changes(old.results, new.results)
    beyond = [change for change in found if change.beyond_noise]
    if beyond:
        forms.show("changes beyond the noise", compare.HEAD, [change.cells() for change in beyond])
    print("\n".join(compare.summary(found, old.machine, new.machine)))
    if missing := compare.missing(old.results, new.results):
        print(missing)
    return bool(found) and not new.failures and not any(change.slower for change in beyond)


def check_comparable(old_is_quick: bool, new_is_quick: bool) -> None:
    """Raise if the sizes differ."""
    if old_is_quick != new_is_quick:
        raise ValueError("bench: --compare: both runs must be quick or neither; their sizes differ")


def check_keeping(options: argparse.Namespace, found: store.Run | None) -> None:
    """Raise, before anything is measured, if results that are to be kept cannot be, or should not."""
    if found and found.quick:
        raise ValueError("bench: --save and --write keep no quick runs: their figures mean nothing")
    if found and any(result.row in OWN for result in found.results):
        raise ValueError("bench: --save and --write keep no rows of your own")
    store.check_writable(store.KEPT / file_name(found.machine if found else describe()), "--save")
    if options.write:
        page.check(page.PAGE)


def main(words: list[str]) -> int:
    """The command; raises a ValueError with one sentence for wrong arguments and files."""
    options = arguments(words)
    settings = settings_of(options)
    use(settings)
    if options.list:
        print(listing(chosen(options, settings)))
        return 0
    files = [store.read(path, "--compare") for path in options.compare or []]
    if len(files) == 2:
        check_comparable(files[0].quick, files[1].quick)
        for failure in files[1].failures or []:
            print(f"Failed in {options.compare[1]}: {failure['row']}: {failure['reason']}")
        return 0 if show_changes(*files) else FAILED
    found = store.read(options.source, "--from") if options.source else None
    if files:
        check_comparable(files[0].quick, found.quick if found else settings.quick)
    if options.save or options.write:
        check_keeping(options, found)
    return report(options, found, files) if found else new_run(options, settings, files)


def new_run(options: argparse.Namespace, settings: Settings, files: list[store.Run]) -> int:
    """Measure, write, show. What was measured is shown even if it cannot be written, or after Ctrl-C."""
    todo = chosen(options, settings)
    path = file_of(options, settings)
    names = {job.name for job in todo}
    if files:  # what is not measured is not missing
        files = [replace(old, results=[one for one in old.results if name_of(*one.key) in names]) for old in files]
    with interrupts.noted():
        found = measured(todo, settings)
        try:
            if path:
                store.write(found, path)
        finally:  # shown even if it could not be written
            code = report(options, found, files)
        if path:
            print(f"Results: {path}")
        elif not settings.quick:
            print("Not kept: give --json FILE")
    return code


def file_of(options: argparse.Namespace, settings: Settings) -> Path | None:
    """Where the results of a new run go; None: nowhere. Raises if the given file cannot be written."""
    if options.json:
        store.check_writable(options.json, "--json")
        found: Path = options.json
        return found
    if settings.quick and not CHECKOUT:  # its figures mean nothing, and would replace those of a long run
        return None
    try:
        store.check_writable(store.LATEST, "--json")
    except ValueError:  # nobody asked for this file
        return None
    return store.LATEST


def report(options: argparse.Namespace, found: store.Run, files: list[store.Run]) -> int:
    """Show a run, compare it, keep it."""
    show(found, options.details)
    if not options.source:
        show_circumstances(found)
    well = show_changes(files[0], found) if files else not found.failures
    if options.save or options.write:
        store.keep(found)
    if options.write:
        page.write(store.kept())
    return 0 if well else FAILED

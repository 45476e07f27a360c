"""The arguments of the command, and which of them exclude each other."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from lrkern.bench.rows import own
from lrkern.bench.settings import CHECKOUT, LIBRARIES, Settings


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
        epilog="Exit codes: 0 success, 1 a row failed, or --compare found something slower or nothing to compare, "
        "2 wrong arguments or files.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="small sizes, half a minute: does everything run?")
    add("-k", metavar="WORDS", help="only rows that match: 'fill and cosine', 'step and not beside'")
    add("--list", action="store_true", help="list the rows and their cases; run nothing")
    add("--rivals", metavar="NAMES", help=f"only these of {','.join(LIBRARIES)}; limits of the machine always take part")
    add("--schedule", metavar="EXPR", action="append", help="measure a schedule of your own; again for more")
    add("--rule", metavar="FILE.py:NAME", action="append", help="measure a rule of your own; again for more")
    add("--json", metavar="FILE", type=Path, help="where results go")
    add("--from", dest="source", metavar="FILE", type=Path, help="show an earlier run; run nothing")
    add(
        "--compare", metavar="FILE", type=Path, nargs="+", help="OLD [NEW]: changes beyond the noise; without NEW, of a new run"
    )
    add("--details", action="store_true", help="also show tables with one line per schedule, size and rule")
    add("--save", action="store_true", help="in a checkout: keep the results as bench/results/<cpu>-<isa>-<date>.json")
    add("--write", action="store_true", help="in a checkout: keep them and write bench/RESULTS.md from all that are kept")
    options = parser.parse_args(words)
    check(vars(options))
    return options


NEW = ("k", "quick", "rivals", "schedule", "rule", "json")
"""Options of a new run."""
OUTPUT = ("details", "save", "write")
"""Of what is done with a run."""
SPELLED = {"k": "-k", "source": "--from"}


def check(options: dict[str, object]) -> None:
    """Refuse options that would have no effect."""

    def given(name: str) -> bool:
        return options[name] not in (None, False)

    def excludes(name: str, *others: str) -> None:
        if found := [SPELLED.get(other, f"--{other}") for other in others if given(other)]:
            raise ValueError(f"bench: {name} excludes {', '.join(found)}")

    files = options["compare"]
    if isinstance(files, list) and len(files) > 2:
        raise ValueError(f"bench: --compare must be OLD or OLD NEW; got {len(files)} files")
    if given("list"):
        excludes("--list", "source", "compare", "rivals", "json", *OUTPUT)
    if isinstance(files, list) and len(files) == 2:
        excludes("--compare OLD NEW", "source", *NEW, *OUTPUT)
    if given("source"):
        excludes("--from", *NEW)
    for name in ("save", "write"):
        if given(name):
            if not CHECKOUT:
                raise ValueError(f"bench: --{name} needs the source checkout")
            excludes(f"--{name}", "quick", "rivals", "schedule", "rule")


def settings_of(options: argparse.Namespace) -> Settings:
    """What the workers have to know."""
    rivals = None
    if options.rivals is not None:
        rivals = tuple(word.strip() for word in options.rivals.split(",") if word.strip())
        if unknown := [name for name in rivals if name not in LIBRARIES]:
            raise ValueError(f"bench: --rivals must be of {', '.join(LIBRARIES)}; got {', '.join(unknown)}")
    rules = tuple(own.located(text) for text in options.rule or ())
    return Settings(options.quick, rivals, tuple(options.schedule or ()), rules)

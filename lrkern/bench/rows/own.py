"""Rows of the user's own: a schedule by its expression, a rule by its file and name."""

from __future__ import annotations

import functools
import runpy
from pathlib import Path
from typing import Any

import lrkern as lk
from lrkern.bench.rivals import limits
from lrkern.bench.rows.arrays import turns
from lrkern.bench.rows.rules import against_streams
from lrkern.bench.timing import buffers, checks
from lrkern.bench.timing.race import Contestant, Race
from lrkern.bench.timing.result import SUBJECT
from lrkern.bench.timing.row import Row
from lrkern.bench.timing.sizes import Sizes

SCHEDULE, CALL, COMPILE, RULE = "own-schedule", "own-call", "own-compile", "own-rule"
ROWS = (SCHEDULE, CALL, COMPILE, RULE)
PARSES = 20  # in a turn


def rows(schedules: tuple[str, ...], rules: tuple[str, ...]) -> list[Row]:
    """The rows of these expressions and rules; errors of either appear here."""
    for text in schedules:
        lk.parse(text)
    for text in rules:
        optimizer_of(text)
    found = []
    if schedules:
        found += [Row(SCHEDULE, schedules, race_fill), Row(CALL, schedules, race_call), Row(COMPILE, schedules, race_compile)]
    if rules:
        found.append(Row(RULE, rules, race_rule))
    return found


def race_fill(text: str, sizes: Sizes) -> Race:
    """Fill a large array, against the bare stores."""
    n, threads, schedule = sizes.fill, lk.get_threads(), lk.parse(text)
    out = buffers.output(n)

    def fill() -> None:
        schedule.table(n, out=out)

    def check() -> None:
        fill()
        checks.table(schedule, out, sizes.points)

    rival = Contestant(limits.STREAMING, lambda: limits.fill_streaming(out, 0.1, threads), n)
    return Race(Contestant(SUBJECT, fill, n, check=check), [rival], sizes.rounds)


def race_call(text: str, sizes: Sizes) -> Race:
    """s(t), the loop around the calls included."""
    schedule = lk.parse(text)
    steps = range(0, 10 * sizes.calls, 10)

    def run() -> None:
        s = schedule
        for t in steps:
            s(t)

    return Race(Contestant(SUBJECT, run, sizes.calls), [], sizes.rounds)


def race_compile(text: str, sizes: Sizes) -> Race:
    """Read the expression and compile its plan."""
    n = sizes.compile_steps
    return Race(Contestant(SUBJECT, lambda: lk.parse(text).plan(n), 1, repeats=PARSES), [], sizes.rounds)


def located(text: str) -> str:
    """A rule `FILE.py:name` with its whole path, as other processes need it."""
    path, _, name = text.rpartition(":")
    if not path.endswith(".py") or not name:
        raise ValueError(f"bench: --rule must be FILE.py:name; got {text!r}")
    return f"{Path(path).resolve()}:{name}"


@functools.cache
def optimizer_of(text: str) -> Any:
    """The optimizer class of a rule `FILE.py:name`: what `lrkern.rule` has made, or an optimizer."""
    path, _, name = text.rpartition(":")
    try:
        Path(path).open("rb").close()  # run_path would look for a module in a folder
        found = runpy.run_path(path, run_name="<rule>")
    except OSError as error:
        raise ValueError(f"bench: --rule: {path} cannot be read: {error.strerror}") from None
    except (Exception, SystemExit) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"bench: --rule: {path} cannot be run: {why}") from None
    if name not in found:
        raise ValueError(f"bench: --rule: {path} has no {name}")
    made = getattr(found[name], "Optimizer", found[name])
    if not (isinstance(made, type) and issubclass(made, lk.Optimizer)):
        raise ValueError(f"bench: --rule must name what lrkern.rule makes, or an optimizer; got {found[name]!r}")
    return made


def race_rule(text: str, sizes: Sizes) -> Race:
    """A step of a large tensor, against its bare streams."""
    n = sizes.rule_elements
    return against_streams(lambda params: optimizer_of(text)(params, lr=1e-4), n, turns(n, sizes.repeats), sizes.rounds)

"""Runs rows: those in one process, and contests alone and beside."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lrkern.bench.processes.child import Child, WorkerError
from lrkern.bench.processes.team import Team
from lrkern.bench.settings import Settings, use
from lrkern.bench.timing.race import LEAST_ROUNDS
from lrkern.bench.timing.result import SUBJECT, Result, name_of
from lrkern.bench.timing.row import ALONE, BESIDE, Contest, Fact, Row
from lrkern.bench.timing.sizes import Sizes, of

BUILD, TURN, RACE = 300.0, 120.0, 600.0  # seconds after which a process is given up
ROWS = "()"  # the process of rows and facts
INTERRUPTED = "interrupted"  # how the reason begins that is noted for the row that Ctrl-C has ended
BUDGET = 720.0  # seconds after which the rest is measured with the least number of rounds


@dataclass(frozen=True)
class Job:
    """A case of a row, and how to measure it: "alone", "beside", or in one process."""

    row: Row | Contest | Fact
    case: str
    how: str = ""

    @property
    def name(self) -> str:
        """What -k compares with."""
        return name_of(self.row.name, self.case, self.how)


@dataclass(frozen=True)
class Failure:
    """A row, or one contestant of it, that could not be measured."""

    job: str
    reason: str


def jobs(rows: Iterable[Row | Contest | Fact], words: str, quick: bool = False) -> list[Job]:
    """Everything to measure that matches `words`: of a row first all that is measured alone, then all beside.

    In a quick run only the last case of each row; without words, only in the ways that the row names.
    """
    found: list[Job] = []
    for row in rows:
        ways: tuple[str, ...] = (ALONE, BESIDE) if isinstance(row, Contest) else ("",)
        for how in ways:
            cases = [case for case in row.cases if not isinstance(row, Contest) or how in row.ways(case)]
            wanted = [job for job in (Job(row, case, how) for case in cases) if matches(words, job.name)]
            if quick:
                wanted = wanted[-1:] if words or how in row.quickly else []
            found += wanted
    return found


EXPRESSION = (ast.Expression, ast.BoolOp, ast.UnaryOp, ast.Constant, ast.boolop, ast.Not)


def matches(words: str, name: str) -> bool:
    """Whether a name contains the words of an expression: `fill and (cosine or linear) and not float32`."""
    tokens = re.findall(r"[()]|[^\s()]+", words)
    if not tokens:
        return True
    known = {"and", "or", "not", "(", ")"}
    text = " ".join(token if token in known else str(token.lower() in name.lower()) for token in tokens)
    try:
        tree = ast.parse(text, mode="eval")
        if not all(isinstance(node, EXPRESSION) for node in ast.walk(tree)):  # two words in a row may look like a call
            raise SyntaxError
        return bool(eval(compile(tree, "-k", "eval")))
    except SyntaxError:
        raise ValueError(f"bench: -k must be words with and, or, not, parentheses; got {words!r}") from None


def seats(names: Iterable[str], quick: bool = False) -> dict[str, str]:
    """Contestants -> the names of their processes: the first and the second of a library, as "torch 1", "torch 2".

    In quick runs all rivals share the process of the other rows, since each import of torch takes seconds.
    """
    found: dict[str, str] = {}
    for name in names:
        if quick and name != SUBJECT:
            found[name] = ROWS
            continue
        library = name.split()[0]
        found[name] = f"{library} {sum(seat.split()[0] == library for seat in found.values()) + 1}"
    return found


def alone(team: Team, job: Job, sizes: Sizes, patience: float, failures: list[Failure]) -> Result:
    """A contest between processes: the parent lets them take turns."""
    assert isinstance(job.row, Contest)
    members: dict[str, Child] = {}
    times: dict[str, list[float]] = {}
    for name, seat in seats(job.row.makers(job.case, sizes), team.settings.quick).items():
        try:
            # lrkern's is a new one for every row: in some it imports torch.
            members[name] = team.member(seat, job.row.name if name == SUBJECT else "")
            members[name].ask("build", job.row.name, job.case, name, timeout=BUILD)
            times[name] = []
        except WorkerError as error:
            if name == SUBJECT:
                raise
            failures.append(Failure(f"{job.name}, {name}", str(error)))
    times = dict(reversed(times.items()))  # lrkern last, as in races
    begin = time.perf_counter()
    for done in range(job.row.rounds(sizes)):
        if done >= LEAST_ROUNDS and time.perf_counter() - begin > patience:
            break
        for name in list(times):
            team.settle()
            try:
                times[name].append(members[name].ask("turn", name, timeout=TURN))
            except WorkerError as error:
                if name == SUBJECT:
                    raise
                failures.append(Failure(f"{job.name}, {name}", str(error)))
                del times[name]
    for child in dict.fromkeys(members.values()):
        if child.alive:
            child.ask("drop", timeout=TURN)
    return Result.of(job.row.name, job.case, times, how=ALONE)


def together(team: Team, job: Job, patience: float) -> Result:
    """A race in one process: the same for successive rows of one kind."""
    name = ROWS if team.settings.quick else f"({job.how})"  # no contestant has parentheses
    subject, times = team.member(name).ask("race", job.row.name, job.case, job.how, patience, timeout=RACE)
    return Result.of(job.row.name, job.case, times, subject, job.how)


def measure(job: Job, team: Team, sizes: Sizes, patience: float, failures: list[Failure]) -> Result | None:
    """The result of a job; None if it failed, which is then in `failures`."""
    try:
        if isinstance(job.row, Fact):
            value: Any = team.member(ROWS).ask("measure", job.row.name, job.case, timeout=RACE)
            return Result(job.row.name, job.case, value=value)
        return alone(team, job, sizes, patience, failures) if job.how == ALONE else together(team, job, patience)
    except WorkerError as error:
        failures.append(Failure(job.name, str(error)))
        team.close()
        return None


def run(
    todo: list[Job], settings: Settings, progress: Callable[[int, Job], object]
) -> tuple[list[Result], list[Failure], dict[str, float]]:
    """(results, failures, seconds by row). A row that fails does not stop the others.

    Within `interrupts.noted`, Ctrl-C ends the run early, and nothing is lost.
    """
    results: list[Result] = []
    failures: list[Failure] = []
    seconds: dict[str, float] = {}
    use(settings)
    sizes, start = of(settings), time.perf_counter()
    with Team(settings) as team:
        for index, job in enumerate(todo):
            progress(index, job)
            begin = time.perf_counter()
            try:
                result = measure(job, team, sizes, sizes.patience if begin - start < BUDGET else 0.0, failures)
            except KeyboardInterrupt:
                failures.append(Failure(job.name, f"{INTERRUPTED}; {len(todo) - index - 1} more were not begun"))
                break
            seconds[job.row.name] = seconds.get(job.row.name, 0.0) + time.perf_counter() - begin
            if result is not None:
                results.append(result)
    return results, failures, seconds

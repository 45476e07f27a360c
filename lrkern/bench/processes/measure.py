"""Runs rows: those in one process, and contests alone and beside."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lrkern.bench.processes.child import Child, WorkerError
from lrkern.bench.processes.team import Team
from lrkern.bench.settings import Settings, use
from lrkern.bench.timing.race import LEAST_ROUNDS
from lrkern.bench.timing.result import SUBJECT, Result
from lrkern.bench.timing.row import ALONE, BESIDE, Contest, Fact, Row
from lrkern.bench.timing.sizes import Sizes, of

BUILD, TURN, RACE = 300.0, 120.0, 600.0  # seconds after which a process is given up
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
        return "-".join(word for word in (self.row.name, self.case, self.how) if word)


@dataclass(frozen=True)
class Failure:
    """A row, or one contestant of it, that could not be measured."""

    job: str
    reason: str


def jobs(rows: Iterable[Row | Contest | Fact], words: str, limit: int | None = None) -> list[Job]:
    """Everything to measure that matches `words`: of a row first all that is measured alone, then all beside.

    With a `limit`, only the first and last of these cases, so many, of rows in one process, and the last one of others.
    """
    found: list[Job] = []
    for row in rows:
        ways: tuple[str, ...] = (ALONE, BESIDE) if isinstance(row, Contest) else ("",)
        if isinstance(row, Contest) and limit is not None:
            ways = row.quickly
        for how in ways:
            cases = [case for case in row.cases if not isinstance(row, Contest) or how in row.ways(case)]
            wanted = [job for job in (Job(row, case, how) for case in cases) if matches(words, job.name)]
            if limit is not None:
                most = limit if isinstance(row, Row) else 1
                wanted = [*wanted[:-1][: most - 1], *wanted[-1:]]
            found += wanted
    return found


def matches(words: str, name: str) -> bool:
    """Whether a name contains the words of an expression: `fill and (cosine or linear) and not float32`."""
    tokens = re.findall(r"[()]|[^\s()]+", words)
    if not tokens:
        return True
    known = {"and", "or", "not", "(", ")"}
    text = " ".join(token if token in known else str(token.lower() in name.lower()) for token in tokens)
    try:
        return bool(eval(text, {"__builtins__": {}}))
    except (SyntaxError, TypeError):
        raise ValueError(f"bench: -k must be words with and, or, not, parentheses; got {words!r}") from None


def seats(names: Iterable[str]) -> dict[str, str]:
    """Contestants -> the names of their processes: the first and the second of a library, as "torch 1", "torch 2"."""
    found: dict[str, str] = {}
    for name in names:
        library = name.split()[0]
        found[name] = f"{library} {sum(seat.split()[0] == library for seat in found.values()) + 1}"
    return found


def alone(team: Team, job: Job, sizes: Sizes, patience: float, failures: list[Failure]) -> Result:
    """A contest between processes: the parent lets them take turns."""
    assert isinstance(job.row, Contest)
    members: dict[str, Child] = {}
    for name, seat in seats(job.row.makers(job.case, sizes)).items():
        try:
            # lrkern's is a new one for every row: in some it imports torch.
            child = team.member(seat, job.row.name if name == SUBJECT else "")
            child.ask("build", job.row.name, job.case, name, timeout=BUILD)
            members[name] = child
        except WorkerError as error:
            if name == SUBJECT:
                raise
            failures.append(Failure(f"{job.name}, {name}", str(error)))
    times: dict[str, list[float]] = {name: [] for name in reversed(members)}  # lrkern last, as in races
    begin = time.perf_counter()
    for done in range(job.row.rounds(sizes)):
        if done >= LEAST_ROUNDS and time.perf_counter() - begin > patience:
            break
        for name in list(times):
            team.settle()
            try:
                times[name].append(members[name].ask("turn", timeout=TURN))
            except WorkerError as error:
                if name == SUBJECT:
                    raise
                failures.append(Failure(f"{job.name}, {name}", str(error)))
                del times[name]
    for name in times:
        members[name].ask("drop", timeout=TURN)
    return Result.of(job.row.name, job.case, times, how=ALONE)


def together(team: Team, job: Job, patience: float) -> Result:
    """A race in one process: the same for successive rows of one kind."""
    name = f"({job.how})"  # no contestant has parentheses
    subject, times = team.member(name).ask("race", job.row.name, job.case, job.how, patience, timeout=RACE)
    return Result.of(job.row.name, job.case, times, subject, job.how)


def measure(job: Job, team: Team, sizes: Sizes, patience: float, failures: list[Failure]) -> Result | None:
    """The result of a job; None if it failed, which is then in `failures`."""
    try:
        if isinstance(job.row, Fact):
            value: Any = team.member("()").ask("measure", job.row.name, job.case, timeout=RACE)
            return Result(job.row.name, job.case, value=value)
        return alone(team, job, sizes, patience, failures) if job.how == ALONE else together(team, job, patience)
    except WorkerError as error:
        failures.append(Failure(job.name, str(error)))
        team.close()
        return None


def run(
    todo: list[Job], settings: Settings, progress: Callable[[int, Job], object]
) -> tuple[list[Result], list[Failure], dict[str, float]]:
    """(results, failures, seconds by row). A row that fails does not stop the others; nor is anything lost if interrupted."""
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
                failures.append(Failure(job.name, f"interrupted; {len(todo) - index - 1} more were not begun"))
                break
            seconds[job.row.name] = seconds.get(job.row.name, 0.0) + time.perf_counter() - begin
            if result is not None:
                results.append(result)
    return results, failures, seconds

"""The child's side: makes contestants and times their turns, as the parent asks."""

from __future__ import annotations

import gc
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from lrkern.bench import settings
from lrkern.bench.rows.every import named
from lrkern.bench.timing import buffers
from lrkern.bench.timing.disturbance import disturbance
from lrkern.bench.timing.race import Contestant, Race
from lrkern.bench.timing.row import ALONE, BESIDE, Contest, Fact
from lrkern.bench.timing.sizes import of


class Worker:
    """What one process holds: a contestant of its own, or whole races."""

    def __init__(self, chosen: settings.Settings) -> None:
        self.settings = chosen
        settings.use(chosen)
        self.sizes = of(chosen)
        self.contestant: Contestant | None = None
        self.before: Callable[[], None] | None = None

    def build(self, row: str, case: str, name: str) -> None:
        """Make a contestant of a contest, check it, and run it once."""
        self.drop()
        found = named(row)
        assert isinstance(found, Contest)
        self.contestant = found.makers(case, self.sizes)[name]()
        self.contestant.warm_up()

    def turn(self) -> float:
        """The contestant's turn: seconds per unit."""
        assert self.contestant is not None
        return self.contestant.turn()

    def drop(self) -> None:
        """Give the memory back."""
        self.contestant = None
        buffers.release()
        gc.collect()

    def race(self, row: str, case: str, how: str, patience: float) -> tuple[str, dict[str, list[float]]]:
        """A whole race in this process: (name of the subject, times). `how` is "beside", or empty."""
        found = named(row)
        assert not isinstance(found, Fact)
        assert how != ALONE
        if how == BESIDE and self.before is None:
            self.before = disturbance()
        race: Race = found.race(case, self.sizes)
        race.rivals = [rival for rival in race.rivals if self.settings.allows(rival.name)]
        try:
            race.run(self.before if how == BESIDE else None, patience)
            return race.subject.name, race.times
        finally:
            del race
            gc.collect()  # large arrays may be held by cycles of functions

    def measure(self, row: str, case: str) -> float:
        """A fact."""
        found = named(row)
        assert isinstance(found, Fact)
        return found.measure(case, self.sizes)


def serve(descriptor: int) -> None:
    """Answer orders (method, arguments) with (True, result) or (False, text of the error) until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends this process
    parent: Connection[Any, Any] = Connection(descriptor)
    worker = Worker(parent.recv())
    while True:
        try:
            method, arguments = parent.recv()
        except EOFError:
            return
        try:
            reply = True, getattr(worker, method)(*arguments)
        except Exception as error:
            worker.drop()
            reply = False, f"{type(error).__name__}: {error}"
        parent.send(reply)

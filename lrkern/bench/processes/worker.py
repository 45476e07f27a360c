"""The child's side: makes contestants and times their turns, as the parent asks."""

from __future__ import annotations

import gc
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
    """What one process holds: contestants of a contest, as a rule one, or whole races."""

    def __init__(self, chosen: settings.Settings) -> None:
        self.settings = chosen
        settings.use(chosen)
        self.sizes = of(chosen)
        self.contestants: dict[str, Contestant] = {}
        self.before: Callable[[], None] | None = None

    def build(self, row: str, case: str, name: str) -> None:
        """Make a contestant of a contest, check it, and run it once."""
        found = named(row)
        assert isinstance(found, Contest)
        if not self.contestants:
            keep_modules()
        made = found.makers(case, self.sizes)[name]()
        made.warm_up()
        self.contestants[name] = made

    def turn(self, name: str) -> float:
        """A contestant's turn: seconds per unit."""
        return self.contestants[name].turn()

    def drop(self) -> None:
        """Give the memory back."""
        self.contestants.clear()
        buffers.release()
        gc.collect()

    def race(self, row: str, case: str, how: str, patience: float) -> tuple[str, dict[str, list[float]]]:
        """A whole race in this process: (name of the subject, times). `how` is "beside", or empty."""
        found = named(row)
        assert not isinstance(found, Fact)
        assert how != ALONE
        if how == BESIDE and self.before is None:
            self.before = disturbance()
        keep_modules()
        race: Race = found.race(case, self.sizes)
        race.samples = self.sizes.samples
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


def keep_modules() -> None:
    """Leave out of further collections what is there before a row: with torch, a collection takes a quarter of a second."""
    gc.freeze()


def serve(descriptor: int) -> None:
    """Answer orders (method, arguments) with (True, result) or (False, text of the error) until the parent closes the pipe."""
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
            reply = False, f"{type(error).__name__}: {error}"
        parent.send(reply)

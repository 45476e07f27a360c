"""The worker processes of a run, by name. They live on from row to row, as importing torch takes seconds."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from lrkern.bench.processes.child import PROC, Child
from lrkern.bench.settings import Settings

QUIET = 0.5  # seconds to wait for other processes to become idle
UNSEEN = 0.02  # ... where their state cannot be seen


class Team:
    """Worker processes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.members: dict[str, Child] = {}
        self.purposes: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def member(self, name: str, purpose: str = "") -> Child:
        """The process of this name, started if there is none; one that was started for another purpose is replaced."""
        child = self.members.get(name)
        if child is not None and (self.purposes[name] != purpose or not child.alive):
            self.members.pop(name).close()
            child = None
        if child is None:
            child = self.members[name] = Child(self.settings)
            self.purposes[name] = purpose
        return child

    def close(self) -> None:
        """End all processes; those that are needed will be started again."""
        while self.members:
            self.members.popitem()[1].close()

    def settle(self) -> None:
        """Wait until no process computes: pools of threads spin for a while after their work."""
        if not PROC.exists():
            time.sleep(UNSEEN)
        begin = time.perf_counter()
        while any(child.busy() for child in self.members.values()) and time.perf_counter() - begin < QUIET:
            time.sleep(0.0005)

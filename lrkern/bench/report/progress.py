"""What is being measured: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

WIDTH = 24


class Progress:
    """A bar that is drawn again for every job; used as a context manager, it is wiped at the end."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.total, self.begin = total, time.monotonic()
        self.shown = self.stream.isatty()

    def __call__(self, done: int, name: str) -> None:
        """Draw: `done` jobs are over, the one called `name` begins."""
        if not self.shown:
            return
        filled = WIDTH * done // max(self.total, 1)
        minutes, seconds = divmod(int(time.monotonic() - self.begin), 60)
        line = f"[{'#' * filled}{'.' * (WIDTH - filled)}] {done}/{self.total}  {minutes}:{seconds:02d}  {name}"
        self.stream.write(f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}")
        self.stream.flush()

    def wipe(self) -> None:
        """Leave an empty line."""
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()

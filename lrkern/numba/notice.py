"""One line on stderr when compiling a kernel of lrkern has taken more than a second, so that nobody wonders what goes on."""

from __future__ import annotations

import sys
import threading
from time import perf_counter
from typing import Any

from numba.core import event

LONG = 1.0  # seconds


class _Depth(threading.local):
    depth = 0
    begin = 0.0


class Notice(event.Listener):  # type: ignore[misc]
    """Tells of each function of lrkern that Python or a user's compiled function has asked for, but not of those within it."""

    def __init__(self) -> None:
        self.own = _Depth()

    def on_start(self, event: Any) -> None:
        """A compilation begins."""
        if self.own.depth == 0:
            if not (event.data["dispatcher"].py_func.__module__ or "").startswith("lrkern."):
                return  # a function of the user's
            self.own.begin = perf_counter()
        self.own.depth += 1

    def on_end(self, event: Any) -> None:
        """It ends."""
        if self.own.depth == 0:
            return
        self.own.depth -= 1
        seconds = perf_counter() - self.own.begin
        function = event.data["dispatcher"].py_func
        if self.own.depth == 0 and seconds > LONG:
            later = "; later programs load it" if getattr(event.data["dispatcher"]._cache, "cache_path", None) else ""
            print(f"lrkern: Numba compiled {function.__name__} in {seconds:.1f} s{later}", file=sys.stderr)


event.register("numba:compile", Notice())

"""What one run of the benchmark was asked for; handed to every worker process."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import lrkern as lk

ROOT = Path(lk.__file__).resolve().parents[1]
"""The source checkout, if there is one."""
CHECKOUT = (ROOT / "bench" / "RESULTS.md").is_file() and (ROOT / "src_c").is_dir()

LIBRARIES = {"numpy": "NumPy", "torch": "torch", "numba": "Numba", "optax": "optax", "python": "Python"}
"""What --rivals can name -> how the names of its contestants begin."""


@dataclass(frozen=True)
class Settings:
    """The sizes, the libraries that take part, and rows of the user's own."""

    quick: bool = False
    rivals: tuple[str, ...] | None = None  # of LIBRARIES; None: all that are installed
    schedules: tuple[str, ...] = ()  # expressions
    rules: tuple[str, ...] = ()  # FILE.py:name

    def takes_part(self, library: str) -> bool:
        """Whether a library of LIBRARIES is wanted and installed."""
        wanted = self.rivals is None or library in self.rivals
        return wanted and (library == "python" or find_spec(library) is not None)

    def allows(self, contestant: str) -> bool:
        """Whether a contestant takes part: lrkern and the limits of the machine always do."""
        for library, name in LIBRARIES.items():
            if contestant.startswith(name):
                return self.takes_part(library)
        return True


_current = Settings()


def use(settings: Settings) -> None:
    """Set those of this process."""
    global _current
    _current = settings


def current() -> Settings:
    """Those of this process."""
    return _current

"""Is there enough memory for a row? Without that it would be swapped out, or end another program."""

from __future__ import annotations

from pathlib import Path


class NotEnoughMemory(MemoryError):
    """A row needs more memory than is free."""


def available() -> int | None:
    """Bytes that can be used without swapping; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")), None)


def need(size: int) -> None:
    """Raise if there are fewer than `size` bytes and a tenth."""
    free = available()
    if free is not None and 1.1 * size > free:
        raise NotEnoughMemory(f"needs {size / 2**30:.1f} GiB of memory; {free / 2**30:.1f} are free")

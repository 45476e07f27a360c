"""Robust standard output and error: they may be closed, full, unbuffered, without a reader, or of a small character set.

A failed write is an error at that write, and is not reported a second time when Python exits.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import NoReturn, TextIO


class _Closed(io.TextIOBase):
    """Stands in for a closed standard output."""

    encoding = "utf-8"

    def write(self, text: str, /) -> NoReturn:
        raise OSError(errno.EBADF, "the standard output is closed")


def prepare() -> None:
    """Make the streams report failed writes, and write every character, if necessary as a backslash escape."""
    for number in range(3):  # otherwise the next file opened would get the number of the closed stream
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = _Closed()
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase):  # PYTHONUNBUFFERED: Python would ignore partial writes
        buffered = io.BufferedWriter(raw)
        sys.stdout = io.TextIOWrapper(buffered, sys.stdout.encoding, "backslashreplace", line_buffering=True)
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def tell(text: str) -> None:
    """Print an unimportant line; errors are ignored."""
    try:
        print(text, flush=True)
    except OSError:
        _discard(sys.stdout)


def complain(text: str) -> None:
    """Print to the standard error; errors are ignored."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def leave(code: int) -> NoReturn:
    """Exit with this code, silently."""
    try:
        sys.stdout.flush()
    except OSError:
        _discard(sys.stdout)
    sys.exit(code)


def _discard(stream: TextIO) -> None:
    """Discard what a stream still has buffered."""
    with contextlib.suppress(OSError):  # it may have no file number
        number, nowhere = stream.fileno(), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)

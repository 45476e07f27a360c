"""Standard output and error of a command, whatever they are: closed, full, unbuffered, without a reader, of few characters.

What cannot be written is an error where it is written, and never once more when Python ends.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from typing import NoReturn, TextIO


class _Closed(io.TextIOBase):
    """In place of a standard output that is closed."""

    encoding = "utf-8"

    def write(self, text: str, /) -> NoReturn:
        raise OSError(errno.EBADF, "the standard output is closed")


def prepare() -> None:
    """Make the streams tell what they cannot write, and write every character, if need be with backslashes."""
    for number in range(3):  # else the next file that is opened gets the number of the one that is closed
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = _Closed()
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase):  # PYTHONUNBUFFERED: Python itself would ignore that only a part was written
        buffered = io.BufferedWriter(raw)
        sys.stdout = io.TextIOWrapper(buffered, sys.stdout.encoding, "backslashreplace", line_buffering=True)
    elif isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def tell(text: str) -> None:
    """Print a line that is of no importance: nothing happens where it cannot be printed."""
    try:
        print(text, flush=True)
    except OSError:
        _discard(sys.stdout)


def complain(text: str) -> None:
    """Print to the standard error, if that is possible."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def leave(code: int) -> NoReturn:
    """End with this exit code, without another word."""
    try:
        sys.stdout.flush()
    except OSError:
        _discard(sys.stdout)
    sys.exit(code)


def _discard(stream: TextIO) -> None:
    """Send to nowhere what a stream still holds."""
    with contextlib.suppress(OSError):  # it may have no number
        number, nowhere = stream.fileno(), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)

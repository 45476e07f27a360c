"""Ctrl-C in a long run: seen only where the parent waits for a worker, so that nothing is lost and no process is left."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from multiprocessing import Pipe, connection
from typing import Any

_noted: list[connection.Connection[Any, Any]] = []  # of the block that is running: readable after Ctrl-C


@contextlib.contextmanager
def noted() -> Iterator[None]:
    """Within the block, Ctrl-C makes `wait` raise KeyboardInterrupt and does nothing else."""
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield
        return
    reader, writer = Pipe(duplex=False)

    def note(number: int, frame: object) -> None:
        if not reader.poll():
            writer.send_bytes(b"!")

    before = signal.signal(signal.SIGINT, note)
    _noted.append(reader)
    try:
        yield
    finally:
        _noted.remove(reader)
        signal.signal(signal.SIGINT, before)
        reader.close()
        writer.close()


def wait(pipe: connection.Connection[Any, Any], timeout: float) -> bool:
    """Whether a pipe can be read within so many seconds."""
    ready = connection.wait([pipe, *_noted], timeout)
    if any(one in _noted for one in ready):
        raise KeyboardInterrupt
    return bool(ready)

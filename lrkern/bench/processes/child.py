"""The parent's side of one worker process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

from lrkern.bench.processes import interrupts
from lrkern.bench.settings import Settings

PROC = Path("/proc")
START = "import sys; sys.path[:] = {path!r}; from lrkern.bench.processes.worker import serve; serve({descriptor})"


class WorkerError(Exception):
    """A worker has failed; it says why."""


class Child:
    """A worker process. Its environment is that of the user: nothing is set that would calm thread pools.

    It leads a process group, with the processes that it starts: Ctrl-C does not reach them, and they end with it.
    """

    def __init__(self, settings: Settings) -> None:
        self.pipe, theirs = Pipe()
        self.log = tempfile.TemporaryFile()  # noqa: SIM115  # what libraries print; closed by `close`
        code = START.format(path=sys.path, descriptor=theirs.fileno())
        command = [sys.executable, "-c", code]
        descriptors = [theirs.fileno()]
        self.process = subprocess.Popen(
            command, pass_fds=descriptors, process_group=0, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        theirs.close()
        self.pipe.send(settings)

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def ask(self, method: str, *arguments: object, timeout: float) -> Any:
        """The worker's answer. A worker that does not answer in time is ended."""
        try:
            self.pipe.send((method, arguments))
            if not interrupts.wait(self.pipe, timeout):
                self.close()
                raise WorkerError(f"no answer within {timeout:.0f} s")
            done, reply = self.pipe.recv()
        except (EOFError, OSError):
            raise WorkerError(self._last_words()) from None
        if not done:
            raise WorkerError(" ".join(reply.split()))
        return reply

    def _last_words(self) -> str:
        code = self.process.wait(10)
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f"the process ended with code {code}" + (f": {last}" if last else "")

    def busy(self) -> bool:
        """Whether any thread runs, such as one of a pool that spins while it waits for work; False where that is unknown."""
        for stat in (PROC / str(self.process.pid) / "task").glob("*/stat"):
            try:
                if stat.read_text().rpartition(")")[2].split()[0] == "R":
                    return True
            except OSError:  # the thread has ended
                continue
        return False

    def close(self) -> None:
        """End the process, and those that it has started."""
        self.pipe.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()

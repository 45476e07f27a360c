"""Runs a program as two processes that torch.distributed joins, and the end of such a program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

FOLDER = Path(__file__).parent


def run(program: str, *arguments: str, environment: dict[str, str] | None = None) -> None:
    """Runs `program` as ranks 0 and 1 (RANK in its environment), this folder importable, and expects both to succeed."""
    path = os.pathsep.join([str(FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])])
    common = {**os.environ, "PYTHONPATH": path, "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1", **(environment or {})}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, *arguments], env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        )
        for rank in (0, 1)
    ]
    try:
        assert [one.wait(timeout=240) for one in running] == [0, 0]
    finally:
        for one in running:
            one.kill()


def leave() -> NoReturn:
    """Ends this process without finalizing Python.

    torch's gloo threads outlive `destroy_process_group` as long as a `DistributedDataParallel` refers to the group. If one
    of them drops its last work while Python is finalized, it asks for the interpreter's lock, and the process aborts
    ("terminate called without an active exception"): in 3 of 64 runs with torch's own AdamW.
    """
    import torch

    torch.distributed.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

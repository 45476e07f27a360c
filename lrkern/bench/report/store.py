"""Results in files: what a run writes, and those that are kept."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrkern.bench.report.machine import file_name
from lrkern.bench.settings import CHECKOUT, ROOT
from lrkern.bench.timing.result import Result

LATEST = ROOT / "build" / "bench" / "latest.json" if CHECKOUT else None
KEPT = ROOT / "bench" / "results"


@dataclass
class Run:
    """What one run has found."""

    results: list[Result]
    machine: dict[str, Any]
    quick: bool = False
    failures: list[dict[str, str]] | None = None
    seconds: dict[str, float] | None = None  # by row


def read(path: Path, option: str) -> Run:
    """A run; errors name the option that the file was given to."""
    try:
        content = json.loads(path.read_text())
        results = [Result(**result) for result in content["results"]]
        return Run(results, content["machine_info"], content.get("quick", False), content.get("failures"))
    except OSError as error:
        raise ValueError(f"bench: {option}: {path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"bench: {option}: {path} does not hold results of the benchmark") from None


def write(run: Run, path: Path) -> None:
    """Write a run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "machine_info": run.machine,
        "quick": run.quick,
        "failures": run.failures or [],
        "seconds": run.seconds or {},
        "results": [result.json() for result in run.results],
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


def keep(run: Run, folder: Path = KEPT) -> Path:
    """Keep a run as <cpu>-<isa>-<date>.json; rows that are kept of the same machine and day are replaced, others stay."""
    path = folder / file_name(run.machine)
    fresh = {(result.row, result.case, result.how): result for result in run.results}
    if path.exists():
        before = {(result.row, result.case, result.how): result for result in read(path, "--save").results}
        fresh = before | fresh
    write(Run(list(fresh.values()), run.machine, seconds=run.seconds), path)
    return path


def kept(folder: Path = KEPT) -> list[Run]:
    """The newest run of every processor, by name."""
    newest: dict[tuple[str, int, str], Run] = {}
    for path in sorted(folder.glob("*.json")):
        if path.name.startswith("gpu-"):  # of bench/gpu.py
            continue
        run = read(path, "bench/results")
        key = run.machine["cpu"], run.machine["cores"], run.machine["isa"]
        if key not in newest or newest[key].machine["date"] <= run.machine["date"]:
            newest[key] = run
    return [newest[key] for key in sorted(newest)]

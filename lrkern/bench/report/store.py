"""Results in files: what a run writes, and those that are kept."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrkern.bench.processes.measure import INTERRUPTED
from lrkern.bench.report.machine import file_name
from lrkern.bench.settings import CHECKOUT, ROOT
from lrkern.bench.timing.result import Result, name_of


def latest(checkout: bool) -> Path:
    """Where results go if no file is given: those of an installed package, to the current folder."""
    return ROOT / "build" / "bench" / "latest.json" if checkout else Path("lrkern-bench.json")


LATEST = latest(CHECKOUT)
KEPT = ROOT / "bench" / "results"


@dataclass
class Run:
    """What one run has found."""

    results: list[Result]
    machine: dict[str, Any]
    quick: bool = False
    failures: list[dict[str, str]] | None = None
    seconds: dict[str, float] | None = None  # by row


MACHINE = {"cpu": str, "cores": int, "caches": dict, "versions": dict, "isa": str, "threads": int, "python": str, "date": str}
"""What the description of a machine must have."""


def number(value: object, positive: bool = True) -> bool:
    """Whether a value is a finite number, such as a time."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max and (value > 0 or not positive)  # `isfinite` fails for very long integers


def times(value: object) -> bool:
    """Whether a value is times by name."""
    return isinstance(value, dict) and all(map(number, value.values()))


def holds(content: Any) -> bool:
    """Whether everything that the tables show is there, and of the right type."""
    machine, results = content["machine_info"], content["results"]
    return (
        all(isinstance(machine[name], kind) for name, kind in MACHINE.items())
        and isinstance(content.get("quick", False), bool)
        and all(set(map(type, failure.values())) == {str} and {*failure} == {"row", "reason"} for failure in failed(content))
        and times(content.get("seconds") or {})
        and all(
            all(isinstance(result.get(name, ""), str) for name in ("row", "case", "how", "version"))
            and (number(result.get("time")) or (result.get("time") is None and number(result["value"], positive=False)))
            and number(result.get("spread", 0.0), positive=False)
            and times(result.get("rivals", {}))
            and all(all(map(number, rounds)) for rounds in result.get("rounds", {}).values())
            for result in results
        )
    )


def failed(content: Any) -> list[dict[str, str]]:
    """The failures that a file has; older ones have none."""
    found: list[dict[str, str]] = content.get("failures") or []
    return found


def read(path: Path, option: str) -> Run:
    """A run; errors name the option that the file was given to."""
    try:
        content = json.loads(path.read_text())
        if not holds(content):
            raise ValueError
        results = [Result(**result) for result in content["results"]]
        seconds = content.get("seconds") or {}
        return Run(results, content["machine_info"], content.get("quick", False), failed(content), seconds)
    except OSError as error:
        raise ValueError(f"bench: {option}: {path} cannot be read: {error.strerror}") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(f"bench: {option}: {path} does not hold results of the benchmark") from None


def check_writable(path: Path, option: str) -> None:
    """Raise if a file cannot be written; nothing changes but that its folder exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        path.open("a").close()
        if new:
            path.unlink()
    except FileExistsError:
        raise ValueError(f"bench: {option}: {path} cannot be written: {path.parent} is not a folder") from None
    except OSError as error:
        raise ValueError(f"bench: {option}: {path} cannot be written: {error.strerror}") from None


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
    try:
        path.write_text(json.dumps(content, indent=1) + "\n")
    except OSError as error:
        raise ValueError(f"bench: {path} cannot be written: {error.strerror}") from None


def keep(run: Run, folder: Path = KEPT) -> Path:
    """Keep a run as <cpu>-<isa>-<date>.json. Of the same machine and day, what was measured again is replaced, and what failed
    this time is no longer there; other rows stay."""
    path = folder / file_name(run.machine)
    if not path.exists():
        write(run, path)
        return path
    before, failures = read(path, "--save"), run.failures or []
    lost = {failure["row"] for failure in failures if not failure["reason"].startswith(INTERRUPTED)}
    again = lost | {name_of(*result.key) for result in run.results}
    old = {result.key: result for result in before.results if name_of(*result.key) not in lost}
    results = [*(old | {result.key: result for result in run.results}).values()]
    # The failure of a rival is called after the row and the rival.
    still = [one for one in before.failures or [] if not {one["row"], one["row"].rpartition(", ")[0]} & again]
    write(Run(results, run.machine, False, [*still, *failures], (before.seconds or {}) | (run.seconds or {})), path)
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

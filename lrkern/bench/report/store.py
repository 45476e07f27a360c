"""Results in files: pytest-benchmark's JSON with the results and the machine added, and the tables in RESULTS.md."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

from lrkern.bench.None import report
from lrkern.bench.timing.race import Result

ROOT = Path(__file__).resolve().parent.parent
LATEST = ROOT / "build" / "bench" / "latest.json"
SAVED = ROOT / "bench" / "results"
RESULTS = ROOT / "bench" / "RESULTS.md"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def read(path: Path) -> tuple[list[Result], dict[str, Any]]:
    """(results, machine) of a run."""
    content = json.loads(path.read_text())
    return [Result(**result) for result in content["results"]], content["machine_info"]


def markdown(results: list[Result], machine: dict[str, Any]) -> str:
    """Both tables, and the description of the machine."""
    return "\n\n".join(
        [
            report.markdown(report.HEAD, report.lines(results)),
            textwrap.fill(f"{report.describe(machine)} {report.noise(results)}", 128, break_on_hyphens=False),
            report.markdown(report.CURVE_HEAD, report.curve_lines(results)),
        ]
    )


def write_tables(results: list[Result], machine: dict[str, Any], path: Path = RESULTS) -> None:
    """Put the tables between the marks."""
    text = path.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise SystemExit(f"bench: {path.name} must contain {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n{markdown(results, machine)}\n{END}{after}")

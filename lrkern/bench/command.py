"""Runs the benchmark and prints its table: `python -m bench` from the repository's root."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from lrkern.bench.report import store
from lrkern.bench.rivals import peers
from lrkern.bench.None import report

HERE = Path(__file__).resolve().parent


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """The parsed command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, a few seconds: does everything run?")
    parser.add_argument("-k", metavar="WORDS", default="", help="only rows that match, as in pytest: 'fill and cosine'")
    parser.add_argument("--json", metavar="FILE", type=Path, default=store.LATEST, help="where results go")
    parser.add_argument("--save", action="store_true", help="keep the results as bench/results/<cpu>-<date>.json")
    parser.add_argument("--from", dest="source", metavar="FILE", type=Path, help="show an earlier run; run nothing")
    parser.add_argument("--curves", action="store_true", help="also show a table with one line per schedule")
    parser.add_argument("--write", action="store_true", help="write the tables into bench/RESULTS.md")
    return parser.parse_args(words)


def run(options: argparse.Namespace) -> int:
    """Run the rows with pytest and return its exit code."""
    if importlib.util.find_spec("pytest_benchmark") is None:
        print("bench: pytest-benchmark is not installed; pip install 'lrkern[bench]'", file=sys.stderr)
        return 2
    import pytest

    # One thread pool at a time: otherwise the threads of NumPy and torch would spin on lrkern's cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    words = ["-c", str(HERE / "pytest.ini"), "--rootdir", str(HERE), str(HERE), "-q", "--no-header"]
    words += [f"--benchmark-json={options.json}", "-k", options.k]
    return int(pytest.main([*words, "--quick"] if options.quick else words))


def main() -> int:
    """The command."""
    options = arguments()
    code = 0 if options.source else run(options)
    path = options.source or options.json
    if code == 2 or not path.exists():
        return code
    results, machine = store.read(path)
    report.show("lrkern against its targets; the worst case of each row", report.HEAD, report.lines(results))
    if options.curves:
        report.show("every schedule", report.CURVE_HEAD, report.curve_lines(results))
    print(report.describe(machine), report.noise(results))
    if not options.source and peers.missing():
        print(f"Not installed, so omitted: {', '.join(peers.missing())}.")
    print(f"Results: {path}")
    if options.quick:
        print("Small sizes: these are not measurements.")
        return code
    if options.save and not options.source:
        from bench.machine import file_name

        store.SAVED.mkdir(exist_ok=True)
        (store.SAVED / file_name(machine)).write_text(path.read_text())
    if options.write:
        store.write_tables(results, machine)
    return code


if __name__ == "__main__":
    sys.exit(main())

"""The answer in a few lines: what a user gains, and whether the targets are met. Of two ways to measure, the smaller gain."""

from __future__ import annotations

from collections.abc import Callable

from lrkern.bench.report.table import number, seconds
from lrkern.bench.report.targets import LINES
from lrkern.bench.rivals.limits import STREAMING, STREAMS
from lrkern.bench.rivals.torch_steps import FUSED
from lrkern.bench.timing.result import Result

NAMED = 3  # targets not met that are named


class Found:
    """The results of a row and case, however measured."""

    def __init__(self, results: list[Result]) -> None:
        self.results = results

    def of(self, row: str, case: str) -> list[Result]:
        """All of them."""
        return [result for result in self.results if (result.row, result.case) == (row, case)]

    def slower(self, row: str, case: str, unit: str) -> str:
        """The larger of lrkern's times."""
        times = [result.time for result in self.of(row, case) if result.time is not None]
        return f"{seconds(max(times))} {unit}" if times else ""

    def smaller(self, row: str, case: str, rival: str) -> str:
        """The smaller of the ratios."""
        ratios = [result.ratio(rival) for result in self.of(row, case) if rival in result.rivals]
        return number(min(ratios)) if ratios else ""


def gains(first: str, *others: str) -> str:
    """A sentence of the parts that there are; empty without the first."""
    return ", ".join(part for part in (first, *others) if part) if first else ""


def part(text: str, value: str) -> str:
    """`text` with a value, or nothing."""
    return text.format(value) if value else ""


def schedules(found: Found) -> str:
    """A long table."""
    return gains(
        part(
            "A cosine of 10^8 steps: {}", found.slower("peers", "cosine", "a step") or found.slower("fill", "cosine", "a step")
        ),
        part("{}x NumPy", found.smaller("peers", "cosine", "NumPy")),
        part("{}x a bare fill of the memory", found.smaller("fill", "cosine", STREAMING)),
    )


def small_tensors(found: Found) -> str:
    """A list of small tensors."""
    return gains(
        part("AdamW, 1000 tensors of 64: {}", found.slower("step-list", "AdamW, 1000 x 64", "a step")),
        part("{}x torch's fused step", found.smaller("step-list", "AdamW, 1000 x 64", FUSED)),
    )


def large_tensor(found: Found) -> str:
    """A tensor beyond the caches."""
    return gains(
        part("AdamW, one tensor of 64 M: {}", found.slower("step", "AdamW, 64 M", "an element")),
        part("{}x torch's fused step", found.smaller("step", "AdamW, 64 M", FUSED)),
        part("{}x the bare memory streams", found.smaller("step", "AdamW, 64 M", STREAMS)),
    )


def one_call(found: Found) -> str:
    """The call of a step."""
    return gains(
        part("The call of a bound step: {}", found.slower("call", "AdamW, bound", "").rstrip()),
        part("{} with a schedule", found.slower("call", "AdamW, bound, schedule", "").rstrip()),
    )


def targets(results: list[Result]) -> str:
    """How many are met, and some that are not."""
    verdicts = [
        (line, line.met(worst)) for line in LINES for worst, _ in [line.worst(results)] if worst and line.met(worst) is not None
    ]
    if not verdicts:
        return ""
    missed = list(dict.fromkeys(line.label for line, met in verdicts if not met))
    named = "; ".join(missed[:NAMED]) + ("; ..." if len(missed) > NAMED else "")
    return f"Targets met: {sum(bool(met) for _, met in verdicts)} of {len(verdicts)}" + (f"; not: {named}" if missed else "")


def headline(results: list[Result]) -> list[str]:
    """At most five lines; one without results is left out."""
    found = Found(results)
    parts: list[Callable[[Found], str]] = [schedules, small_tensors, large_tensor, one_call]
    return [text for text in (*(make(found) for make in parts), targets(results)) if text]

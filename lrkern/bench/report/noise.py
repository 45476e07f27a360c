"""How noisy a run was."""

from __future__ import annotations

from lrkern.bench.timing.result import Result


def sentence(results: list[Result]) -> str:
    """The usual and the largest spread of lrkern's times."""
    timed = sorted((result for result in results if result.time is not None), key=lambda result: result.spread)
    if not timed:
        return ""
    middle, largest = timed[len(timed) // 2], timed[-1]
    where = ", ".join(word for word in (largest.row, largest.case, largest.how) if word)
    return (
        f"The interquartile range of lrkern's times was {middle.spread:.1%} of the median (median of all rows), "
        f"at most {largest.spread:.1%} ({where})."
    )

"""Pictures of schedules as characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lrkern._sampling import lines
from lrkern.expression import Schedule


class Rows(NamedTuple):
    """Rows from the top, each a list of (character, index of the schedule that it shows, or -1), and what they cover."""

    rows: list[list[tuple[str, int]]]
    low: float
    high: float
    n: int
    marks: set[int]  # columns at which a schedule goes from one formula to the next


def draw(schedules: Sequence[Schedule], n: int | None = None, width: int = 72, height: int = 14, log: bool = False) -> Rows:
    """Draw schedules over each other with Braille characters, two by four dots each.

    >>> import lrkern as lk
    >>> for row in draw([lk.linear(1.0, 0.0, 100)], width=12, height=3).rows:
    ...     print("".join(character for character, _ in row).rstrip())
    ⠑⠢⢄⡀
       ⠈⠑⠢⢄⡀
           ⠈⠑⠢⢄⣀
    """
    columns, levels = 2 * width, 4 * height
    n, curves = lines("plot", schedules, n, columns)
    shown = [np.log10(np.where(line.values > 0, line.values, np.nan)) if log else line.values for line in curves]
    seen = np.concatenate(shown)
    if not np.isfinite(seen).any():
        raise ValueError("plot: nothing to draw on a logarithmic axis: no value is > 0")
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    unit = max(abs(low), abs(high)) or 1.0  # so that no difference overflows
    span = (high / unit - low / unit) or 1.0
    dots = np.zeros((levels, columns), dtype=np.int64)
    owner = np.full((height, width), -1)
    for i, (line, values) in enumerate(zip(curves, shown, strict=True)):
        drawn = np.isfinite(values)
        column = line.steps[drawn] * (columns - 1) // max(n - 1, 1)
        level = np.rint((high / unit - values[drawn] / unit) / span * (levels - 1)).astype(np.int64)
        previous = None
        for c, here in zip(column, level, strict=True):
            start = here if previous is None else previous + np.sign(here - previous)
            a, b = min(start, here), max(start, here)
            dots[a : b + 1, c] = 1
            owner[a // 4 : b // 4 + 1, c // 2] = i
            previous = here
    bits = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
    cells = (dots.reshape(height, 4, width, 2) * bits[None, :, None, :]).sum(axis=(1, 3))
    rows = [
        [(chr(0x2800 + int(cell)) if cell else " ", int(who)) for cell, who in zip(cell_row, owner_row, strict=True)]
        for cell_row, owner_row in zip(cells, owner, strict=True)
    ]
    marks = {mark * (columns - 1) // max(n - 1, 1) // 2 for line in curves for mark in line.marks}
    return Rows(rows, 10**low if log else low, 10**high if log else high, n, marks)

"""Pictures of schedules and logged values as characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lrkern.pictures.labels import shorten
from lrkern.pictures.logged import Drawable
from lrkern.pictures.sampling import lines

_COLORS = ("bright_blue", "yellow", "green", "magenta", "red", "cyan")
_GLYPHS = "*+ox#@%&=ABCDEFGHIJKLMNPQRSTUVWXYZ"  # for curves that colours do not distinguish
_TO_ASCII = str.maketrans("│└─┴…", "|+-+~")  # one character for one


class Rows(NamedTuple):
    """Rows from the top, each a list of (character, index of its curve or -1), and the ranges that they cover."""

    rows: list[list[tuple[str, int]]]
    low: float
    high: float
    n: int
    marks: set[int]  # columns at which one formula ends and the next begins


def draw(curves: Sequence[Drawable], n: int | None = None, width: int = 72, height: int = 14, log: bool = False) -> Rows:
    """Draw curves in one picture of Braille characters, two by four dots each.

    A character that several curves pass shows one of them; which one alternates by column.

    >>> import lrkern as lk
    >>> for row in draw([lk.linear(1.0, 0.0, 100)], width=12, height=3).rows:
    ...     print("".join(character for character, _ in row).rstrip())
    ⠑⠢⢄⡀
       ⠈⠑⠢⢄⡀
           ⠈⠑⠢⢄⣀
    """
    columns, levels = 2 * width, 4 * height
    n, found = lines("plot", curves, n, columns)
    shown = [np.log10(np.where(line.values > 0, line.values, np.nan)) if log else line.values for line in found]
    seen = np.concatenate(shown)
    if not np.isfinite(seen).any():
        raise ValueError("plot: nothing to draw on a logarithmic axis: no value is > 0")
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    unit = max(abs(low), abs(high)) or 1.0  # so that no difference overflows
    span = (high / unit - low / unit) or 1.0
    dots = np.zeros((levels, columns), dtype=np.int64)
    owners: list[list[list[int]]] = [[[] for _ in range(width)] for _ in range(height)]
    for i, (line, values) in enumerate(zip(found, shown, strict=True)):
        column = line.steps * (columns - 1) // max(n - 1, 1)
        level = (high / unit - values / unit) / span * (levels - 1)
        previous = None
        for c, exactly in zip(column.tolist(), level.tolist(), strict=True):
            if not np.isfinite(exactly):
                previous = None  # a gap
                continue
            here = round(exactly)
            start = here if previous is None else previous + np.sign(here - previous)
            a, b = min(start, here), max(start, here)
            dots[a : b + 1, c] = 1
            for row in range(a // 4, b // 4 + 1):
                if i not in owners[row][c // 2]:
                    owners[row][c // 2].append(i)
            previous = here
    bits = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
    cells = (dots.reshape(height, 4, width, 2) * bits[None, :, None, :]).sum(axis=(1, 3))
    rows = [
        [
            (chr(0x2800 + cell) if cell else " ", who[c % len(who)] if who else -1)
            for c, (cell, who) in enumerate(zip(cell_row, owner_row, strict=True))
        ]
        for cell_row, owner_row in zip(cells.tolist(), owners, strict=True)
    ]
    marks = {mark * (columns - 1) // max(n - 1, 1) // 2 for line in found for mark in line.marks}
    return Rows(rows, 10**low if log else low, 10**high if log else high, n, marks)


def print_picture(curves: Sequence[Drawable], n: int | None = None, log: bool = False) -> None:
    """Draw curves on the standard output, as wide as the terminal.

    Curves differ by colour. Without colours, as in a pipe or a file, with too few of them, or in an ASCII-only terminal, each
    curve is drawn with a character of its own.
    """
    from rich.text import Text

    from lrkern.pictures.console import Terminal

    console = Terminal()
    ascii_only = console.options.ascii_only
    few = len(curves) <= (len(_COLORS) if console.color_system and not console.no_color else 1)
    as_dots = few and not ascii_only
    width = max(10, min(console.width - 12, 100))

    def show(line: Text) -> None:
        if ascii_only:
            line.plain = line.plain.translate(_TO_ASCII)
        console.print(line, no_wrap=True, crop=True, overflow="crop")

    picture = draw(curves, n, width=width, log=log)
    for i, one in enumerate(curves):
        sample = "──" if as_dots else _GLYPHS[i % len(_GLYPHS)] * 2
        show(Text(f"{sample} ", _COLORS[i % len(_COLORS)]) + Text(shorten(repr(one), max(console.width - 4, 10))))
    for i, row in enumerate(picture.rows):
        edge = f"{picture.high:.3g}" if i == 0 else f"{picture.low:.3g}" if i == len(picture.rows) - 1 else ""
        line = Text(f"{edge:>9} │", "bright_black")
        for character, who in row:
            glyph = character if as_dots or who < 0 else _GLYPHS[who % len(_GLYPHS)]
            line.append(glyph, _COLORS[who % len(_COLORS)] if who >= 0 else None)
        show(line)
    axis = "".join("┴" if column in picture.marks else "─" for column in range(width))
    show(Text(" " * 10 + "└" + axis, "bright_black"))
    show(Text(" " * 10 + f"0{f'step {picture.n - 1:,}':>{width}}", "bright_black"))

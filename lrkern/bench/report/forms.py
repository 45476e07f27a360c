"""Tables as text: Markdown, aligned with spaces, or in colour."""

from __future__ import annotations

import importlib
from collections.abc import Iterable


def markdown(head: list[str], table: Iterable[list[str]]) -> str:
    """A Markdown table, numbers to the right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *table))


def plain(head: list[str], table: list[list[str]]) -> str:
    """A table aligned with spaces."""
    widths = [max(map(len, column)) for column in zip(head, *table, strict=True)]

    def row(cells: list[str]) -> str:
        first, *others = map(str.rjust, cells, widths)
        return "  ".join([cells[0].ljust(len(first)), *others])

    return "\n".join(map(row, (head, ["-" * width for width in widths], *table)))


def show(title: str, head: list[str], table: list[list[str]]) -> None:
    """Print a table, with rich if it is installed."""
    try:
        console, box = importlib.import_module("rich.console"), importlib.import_module("rich.box")
        tables = importlib.import_module("rich.table")
    except ImportError:
        print(f"\n{title}\n\n{plain(head, table)}")
        return
    grid = tables.Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for i, name in enumerate(head):
        grid.add_column(name, justify="left" if i == 0 else "right", no_wrap=True)
    for cells in table:
        style = {"yes": "green", "NO": "bold red"}.get(cells[-1], "")
        grid.add_row(*cells[:-1], f"[{style}]{cells[-1]}[/]" if style else cells[-1])
    screen = console.Console()
    screen.width = max(screen.width, console.Console(width=1000).measure(grid).maximum)  # cells must not be truncated
    screen.print(grid)

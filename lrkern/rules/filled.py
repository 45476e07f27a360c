"""Lists of words in lines of code that are not too long."""

from __future__ import annotations

from collections.abc import Iterable


def filled(begin: str, words: Iterable[str], end: str, *, width: int, indent: int | None = None) -> str:
    """`begin`, the words with commas between them, `end`; further lines have an indent, by default the length of `begin`."""
    lines, line = list[str](), begin
    every = list(words)
    for k, word in enumerate(every):
        last = k == len(every) - 1
        piece = word + (end if last else ",")
        space = "" if line.endswith(("(", "{")) or not line.strip() else " "
        if len(line) + len(space) + len(piece) > width and line.strip() and line != begin:
            lines.append(line)
            line = " " * (len(begin) if indent is None else indent) + piece
        else:
            line += space + piece
    return "\n".join([*lines, line if every else begin + end])

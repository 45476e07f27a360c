"""Writes the list of curves in docs/schedules.md from their signatures and docstrings: `make record`."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "schedules.md"
sys.path.insert(0, str(ROOT))  # this checkout, not an installed package

import lrkern as lk  # noqa: E402
from lrkern.schedules import curves, recipes  # noqa: E402

BEGIN, END = "<!-- curves:begin, written by make record -->", "<!-- curves:end -->"
LONGEST = 72  # characters of a call; the rest becomes ...


def table() -> str:
    """A row for each curve, in the order of definition."""
    rows = [f"| `{call(name)}` | {meaning(name)} |" for module in (curves, recipes) for name in in_order(module.__all__)]
    return "\n".join(["| curve | value at step t |", "| --- | --- |", *rows])


def in_order(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: inspect.unwrap(function(name)).__code__.co_firstlineno)


def function(name: str) -> Callable[..., object]:
    found: Callable[..., object] = getattr(lk, name)
    return found


def call(name: str) -> str:
    """The call with its arguments; those with defaults as far as there is room."""
    shown: list[str] = []
    for parameter in inspect.signature(function(name)).parameters.values():
        argument = parameter.name if parameter.default is parameter.empty else f"{parameter.name}={parameter.default!r}"
        argument = argument.replace("'", '"')
        if "=" in argument and len(name) + len(", ".join([*shown, argument])) > LONGEST - 2:
            return f"{name}({', '.join([*shown, '...'])})"
        shown.append(argument)
    return f"{name}({', '.join(shown)})"


def meaning(name: str) -> str:
    """The docstring's first line up to a full stop or semicolon, and a link to the paper named as the source."""
    text = inspect.getdoc(function(name)) or ""
    sentence = re.split(r"[.;](?:\s|$)", text.partition("\n")[0])[0].replace("|", r"\|")
    source = text.partition("Source:")[2].partition("\n\n")[0]
    paper = re.search(r"arXiv\s+(\d{4}\.\d{5})", source)
    return sentence + (f" ([{paper[1]}](https://arxiv.org/abs/{paper[1]}))" if paper else "")


def written(text: str) -> str:
    """The page's text with the list updated."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{PAGE} must have a line {BEGIN!r} and a line {END!r}")
    return f"{before}{begin}\n\n{table()}\n\n{end}{after}"


if __name__ == "__main__":
    text = PAGE.read_text()
    if written(text) != text:
        PAGE.write_text(written(text))
        print(f"{PAGE.name}: updated the list of curves")

"""Short labels for curves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

# A float as repr writes it, not preceded or followed by a name's characters.
_FLOAT = re.compile(r"(?<![\w.])\d+(?:\.\d*)?(?:e[+-]?\d+)?(?![\w.])", re.I)
_TOKEN = re.compile(r"\d+(?:\.\d*)?(?:e[+-]?\d+)?|\w+|\s+|.", re.I)
_LONG = 6  # numbers of up to this many characters are not rounded


def shorten(text: str, length: int) -> str:
    """Cut the middle out of a long text.

    >>> shorten("linear(0.1, 0.0, 1000)", 12)
    'linear(0…00)'
    """
    if len(text) <= length:
        return text
    tail = (length - 1) // 3
    return f"{text[: length - 1 - tail]}…{text[len(text) - tail :]}"


def short_labels(texts: Sequence[str], length: int) -> list[str]:
    """Expressions with rounded numbers, at most `length` long, distinct if the expressions are, numbered if necessary.

    >>> short_labels(["linear(0.30000000000000004, 0.0, 9)", "linear(1.0000000000000001e-07, 0.0, 9)"], 60)
    ['linear(0.3, 0.0, 9)', 'linear(1e-07, 0.0, 9)']
    >>> short_labels(["constant(0.1234567)", "constant(0.1234568)"], 60)
    ['constant(0.1234567)', 'constant(0.1234568)']
    """
    for digits in (4, 6, 9, 17):
        labels = [shorten(_rounded(text, digits), length) for text in texts]
        if len(set(labels)) == len(set(texts)):
            break
    return _numbered(labels)


def _rounded(text: str, digits: int) -> str:
    def number(found: re.Match[str]) -> str:
        written = found[0]
        is_float = "." in written or "e" in written.lower()
        return f"{float(written):.{digits}g}" if is_float and len(written) > _LONG else written

    return _FLOAT.sub(number, text)


def _numbered(labels: list[str]) -> list[str]:
    """Labels with (1), (2), ... appended to duplicates."""
    times, seen = Counter(labels), Counter[str]()
    found = []
    for label in labels:
        seen[label] += 1
        found.append(f"{label} ({seen[label]})" if times[label] > 1 else label)
    return found


def differences(labels: Sequence[str]) -> tuple[str, list[str]]:
    """What labels have in common, with … where they differ, and for each label the parts that differ.

    >>> differences(["linear(0.1, 0.0, 9)", "linear(0.2, 0.0, 9)"])
    ('linear(…, 0.0, 9)', ['0.1', '0.2'])
    >>> differences(["linear(0.1, 0.0, 9)", "constant(0.1)"])
    ('', ['linear(0.1, 0.0, 9)', 'constant(0.1)'])
    """
    rows = [_TOKEN.findall(label) for label in labels]
    if len({len(row) for row in rows}) != 1:
        return "", list(labels)
    columns = list(zip(*rows, strict=True))
    varying = [i for i, column in enumerate(columns) if len(set(column)) > 1]
    if not varying or len(varying) == len(columns):
        return "", list(labels)
    common = "".join("…" if i in varying else column[0] for i, column in enumerate(columns))
    return common, [", ".join(row[i] for i in varying) for row in rows]

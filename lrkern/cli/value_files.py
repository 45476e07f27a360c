"""Values of schedules in files: written by `lrkern table`, read by `lrkern compare`.

    .npy    shape (N,), or (number of schedules, N)
    .csv    a header, and a line 'step,value' for each step, with a column for each of several schedules
    .txt    the same with spaces; the header begins with '#'
    .json   read only: a list of numbers, or what Schedule.to_dict returns

Every value reads back as the same float. Files from other programs need no steps, and may have other columns.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrkern._checks import cut, describe
from lrkern.schedules.expression import Schedule

WRITTEN = (".npy", ".csv", ".txt")
READ = (*WRITTEN, ".json")

_KINDS = {
    ".npy": "an array as numpy.save writes it",
    ".csv": "lines of numbers separated by commas",
    ".txt": "lines of numbers separated by spaces or commas",
    ".json": "a list of numbers, or what Schedule.to_dict returns",
}


def kind_of(path: str) -> str:
    """A file's kind: the extension of its name."""
    return Path(path).suffix.lower()


# ------------------------------------------------------------------------------------------------------------- writing


def write(path: str, schedules: Sequence[Schedule], values: NDArray[Any], start: int) -> None:
    """Write the values of schedules from step `start` on."""
    if kind_of(path) == ".npy":
        header = np.lib.format.header_data_from_array_1_0(values)
        with open(path, "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            file.write(values.data)  # numpy.save does not say why a write fails
    else:
        with open(path, "w", encoding="utf-8") as text_file:
            write_text(schedules, values, start, " " if kind_of(path) == ".txt" else ",", text_file.write)


def write_text(
    schedules: Sequence[Schedule], values: NDArray[Any], start: int, between: str, put: Callable[[str], object]
) -> None:
    """Write a header, with the schedules in quotes, and a line for each step."""
    names = ["value"] if len(schedules) == 1 else ['"{}"'.format(repr(s).replace('"', '""')) for s in schedules]
    put(("" if between == "," else "# ") + between.join(["step", *names]) + "\n")
    columns = np.atleast_2d(values)
    for begin in range(0, columns.shape[1], 100_000):
        rows = zip(*columns[:, begin : begin + 100_000], strict=True)
        put("".join(between.join([str(start + begin + i), *map(str, row)]) + "\n" for i, row in enumerate(rows)))


# ------------------------------------------------------------------------------------------------------------- reading


def read(path: str, column: str | None = None) -> tuple[Schedule | NDArray[Any], int | None]:
    """The values in a file, or a Schedule, and the first step if the file has it.

    Args:
        path: a file of one of the kinds READ.
        column: the column, by name or by number from 1; in a 2-D array: the row.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not such a file.
    """
    kind = kind_of(path)
    with _told(path, f"must be {_KINDS[kind]}"):
        if kind == ".json":
            return _from_json(Path(path).read_text(encoding="utf-8")), None
        if kind == ".npy":
            with open(path, "rb") as file:
                array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        else:
            table = _Table(path, kind)
    with _told(path, "cannot be compared"):
        if kind == ".npy":
            return _row(array, column), None
        return table.values(column)


@contextmanager
def _told(path: str, what: str) -> Iterator[None]:
    """Turn errors in a file's contents into ValueErrors with its name; errors in reading it are passed on."""
    try:
        yield
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise ValueError(f"compare: {path} {what}: {cut(str(error), 300) or type(error).__name__}") from error


def _from_json(text: str) -> Schedule | NDArray[Any]:
    found = json.loads(text)
    if isinstance(found, dict):
        return Schedule.from_dict(found)
    if not isinstance(found, list):
        raise ValueError(f"it holds {describe(found)}")
    for i, item in enumerate(found):
        if isinstance(item, bool) or not isinstance(item, int | float):
            raise ValueError(f"item {i} is {describe(item)}")
    return np.array(list(map(float, found)))


def _row(array: NDArray[Any], column: str | None) -> NDArray[Any]:
    if array.ndim == 1 and column is None:
        return array
    if array.ndim == 2 and column is not None and column.isdecimal() and 1 <= int(column) <= len(array):
        row: NDArray[Any] = array[int(column) - 1]
        return row
    raise ValueError(f"it is {describe(array)}; --column takes the number of a row of a 2-D array, from 1")


class _Table:
    """Lines of numbers, and the names of their columns if there is a header."""

    def __init__(self, path: str, kind: str) -> None:
        self.names: list[str] = []
        self.rows: list[tuple[int, list[str]]] = []  # each with the number of its line
        self._is_comment = False  # whether the header is a comment
        limit = csv.field_size_limit(2**31 - 1)  # schedules in the header may be long
        try:
            with open(path, encoding="utf-8-sig", newline="") as file:
                lines = csv.reader(file) if kind == ".csv" else map(_split, file)
                for number, cells in enumerate(lines, 1):
                    self._add(number, cells)
        finally:
            csv.field_size_limit(limit)
        if not self.rows:
            raise ValueError("it has no values")

    def _add(self, number: int, cells: list[str]) -> None:
        if not any(cell.strip() for cell in cells):
            return
        is_comment = cells[0].lstrip().startswith("#")
        if not self.rows and not self.names and (is_comment or not all(map(_is_number, cells))):
            self.names = [cell.strip() for cell in [cells[0].lstrip("# "), *cells[1:]] if cell.strip()]
            self._is_comment = is_comment
        elif not is_comment:
            if self._is_comment and not self.rows and len(cells) != len(self.names):
                self.names = []  # that comment was not a header
            if self.names and len(cells) != len(self.names):
                raise ValueError(f"line {number} has {len(cells)} columns, the header {len(self.names)}")
            self.rows.append((number, cells))

    def values(self, column: str | None) -> tuple[NDArray[Any], int | None]:
        """One of the columns, and the first step."""
        width = len(self.rows[0][1])
        steps = next((i for i, name in enumerate(self.names) if name.lower() == "step"), None)
        at = self._find(column, [i for i in range(width) if i != steps])
        start: int | None = None
        values: list[float] = []
        for number, cells in self.rows:
            if steps is not None and len(cells) == width and not cells[at].strip():
                continue  # a line without this value, as some loggers write
            if len(cells) != width or not _is_number(cells[at]):
                raise ValueError(f"line {number}: {cut(repr(cells[at]) if at < len(cells) else 'nothing')} is not a number")
            if steps is not None:
                step = float(cells[steps]) if _is_number(cells[steps]) else -1.0
                start = int(step) if start is None and step >= 0 else start
                if start is None or step != start + len(values):
                    wanted = "a step" if start is None else f"step {start + len(values)}; every step is needed"
                    raise ValueError(f"line {number} must be of {wanted}; got {cut(cells[steps])}")
            values.append(float(cells[at]))
        return np.array(values), start

    def _find(self, column: str | None, columns: list[int]) -> int:
        width = len(columns)
        if column is None and width == 1:
            return columns[0]
        if column is not None and column in self.names:
            return self.names.index(column)
        if column is not None and column.isdecimal() and 1 <= int(column) <= len(self.rows[0][1]):
            return int(column) - 1
        names = ", ".join(repr(cut(self.names[i], 30)) for i in columns) if self.names else f"1 to {width}"
        raise ValueError(f"--column must be one of its columns, by name or number, {cut(names, 150)}; got {describe(column)}")


def _split(line: str) -> list[str]:
    if line.startswith("#") and '"' in line:  # a header with schedules, which contain spaces
        return next(csv.reader([line.strip()], delimiter=" "))
    return line.replace(",", " ").split()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

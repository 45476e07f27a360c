"""What can be drawn: schedules and logged values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrkern._checks import MAX_COUNT, describe
from lrkern._loss_driven.runs import as_array, metrics_of
from lrkern.schedules.expression import Schedule


@dataclass(frozen=True)
class Logged:
    """Values at increasing steps; NaN where there is none."""

    steps: NDArray[np.int64]
    values: NDArray[np.float64]

    @property
    def length(self) -> int:
        """The number of steps from 0 to the last one."""
        return int(self.steps[-1]) + 1

    def __repr__(self) -> str:
        return f"{len(self.values):,} values"


Drawable = Schedule | Logged
Values = ArrayLike | tuple[ArrayLike, ArrayLike]
"""Values at steps 0, 1, 2, ...; or steps and values."""


def drawables(where: str, given: Any) -> list[Drawable]:
    """The curves in an argument: one, those of a sequence, or the rows of a 2-D array."""
    if isinstance(given, Schedule):
        return [given]
    if not _is_sequence(given):
        if not hasattr(given, "__array__"):
            raise _wrong(where, given)
        array = metrics_of(where, "schedules", given)
        if array.ndim not in (1, 2):
            raise ValueError(f"{where}: schedules must be a 1-D or 2-D array of values; got {describe(array)}")
        found = [_logged(where, "schedules", None, row) for row in np.atleast_2d(array)]
    elif len(given) and all(_is_number(one) for one in given):
        found = [_logged(where, "schedules", None, given)]
    else:
        return _nonempty(where, [_one(where, f"schedules[{i}]", one) for i, one in enumerate(given)])
    return _nonempty(where, list(found))


def _nonempty(where: str, rows: list[Drawable]) -> list[Drawable]:
    if not rows:
        raise ValueError(f"{where}: schedules must be a Schedule, values, or a sequence of them; got an empty sequence")
    return rows


def _one(where: str, name: str, given: Any) -> Drawable:
    if isinstance(given, Schedule):
        return given
    if isinstance(given, tuple) and len(given) == 2 and not any(_is_number(one) for one in given):
        return _logged(where, name, *given)
    if _is_number(given) or not (_is_sequence(given) or hasattr(given, "__array__")):
        raise _wrong(where, given)
    return _logged(where, name, None, given)


def _wrong(where: str, given: object) -> TypeError:
    return TypeError(f"{where}: schedules must be a Schedule, values, or a sequence of them; got {describe(given)}")


def _is_sequence(given: object) -> Any:
    return isinstance(given, Sequence) and not isinstance(given, str | bytes)


def _is_number(given: object) -> bool:
    return isinstance(given, float | int | np.number) or (hasattr(given, "__array__") and as_array(given).ndim == 0)


def _logged(where: str, name: str, steps: Any, values: Any) -> Logged:
    found = metrics_of(where, name, values).astype(np.float64)
    if found.ndim != 1:
        raise ValueError(f"{where}: {name} must be 1-D values; got {describe(found)}")
    found = np.where(np.isfinite(found), found, np.nan)
    if np.isnan(found).all():
        raise ValueError(f"{where}: {name} must hold a finite value; got {describe(found)}")
    if steps is None:
        return Logged(np.arange(found.size, dtype=np.int64), found)
    at = metrics_of(where, f"the steps of {name}", steps)
    if at.shape != found.shape:
        raise ValueError(f"{where}: {name} must have as many steps as values; got {at.size} and {found.size}")
    whole = at.astype(np.float64)
    for step in whole[~((whole >= 0) & (whole <= MAX_COUNT) & (whole == np.floor(whole)))][:1].tolist():
        raise ValueError(f"{where}: the steps of {name} must be integers >= 0; got {describe(step)}")
    for before, after in pairwise(whole.tolist()):
        if after <= before:
            raise ValueError(f"{where}: the steps of {name} must rise; got {before:.0f} before {after:.0f}")
    return Logged(at.astype(np.int64), found)

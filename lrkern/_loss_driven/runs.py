"""Arguments that concern many runs: numbers for all or per run, metrics, and the output array."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from lrkern import _checks, _core

Floats = npt.NDArray[np.float64]
PerRun = float | npt.ArrayLike
"""A number, or one for each run: an array that broadcasts against the shape of the runs."""


@dataclass(frozen=True)
class Number:
    """The allowed range of a per-run number."""

    low: float = 0.0
    above: float = -np.inf
    below: float = np.inf
    high: float = np.inf
    whole: bool = False

    def check(self, where: str, name: str, value: object) -> Floats:
        """The number or numbers as an array; a single number becomes 0-dimensional."""
        if not isinstance(value, list | tuple) and not _checks.is_array(value):
            return np.array(self._check_one(where, name, value))
        value = _checks.unmasked(where, name, value)
        with _core.hold(where, name, value):
            try:
                array = np.array(value)
            except ValueError:
                wanted = f"{name} must be a number or an array of numbers"
                raise ValueError(f"{where}: {wanted}; got rows of unequal length") from None
        if array.dtype.kind not in ("iu" if self.whole else "iuf"):
            kind = "integers" if self.whole else "numbers"
            raise TypeError(f"{where}: {name} must be a number or an array of {kind}; got {_checks.describe(array)}")
        numbers = array.astype(np.float64)
        high = min(self.high, _checks.MAX_COUNT) if self.whole else self.high
        fits = (numbers > self.above) & (numbers < self.below) & (numbers >= self.low) & (numbers <= high)
        for index in np.argwhere(~fits)[:1].tolist():
            self._check_one(where, f"{name}{index}" if index else name, array[tuple(index)])
        return numbers

    def _check_one(self, where: str, name: str, value: object) -> float:
        if self.whole:
            return float(_checks.count(where, name, value, low=int(self.low)))
        return _checks.real(where, name, value, low=self.low, high=self.high, above=self.above, below=self.below)


LR = Number()
"""The check of learning rates."""


def per_run(where: str, name: str, numbers: Floats, shape: tuple[int, ...]) -> Floats:
    """One number for all runs, or one per run, as a 1-D array."""
    if numbers.ndim == 0:
        return numbers.reshape(1)
    try:
        return np.ascontiguousarray(np.broadcast_to(numbers, shape)).reshape(-1)
    except ValueError:
        raise ValueError(
            f"{where}: {name} must broadcast against the shape of the runs, {shape}; got shape {numbers.shape}"
        ) from None


def as_array(values: Any) -> npt.NDArray[Any]:
    """An array; also from a torch tensor that is on a device or part of a graph."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def metrics_of(where: str, name: str, values: object) -> npt.NDArray[Any]:
    """An array of float32 or float64 numbers, NaN and infinities included."""
    try:
        array = as_array(_checks.unmasked(where, name, values))
    except ValueError:
        raise ValueError(f"{where}: {name} must be an array of numbers; got rows of unequal length") from None
    if array.dtype.kind not in "iuf" or array.dtype.itemsize > 8:
        raise TypeError(f"{where}: {name} must be an array of float64, float32 or integers; got {_checks.describe(array)}")
    wanted = np.float32 if array.dtype.kind == "f" and array.dtype.itemsize <= 4 else np.float64
    with _core.hold(where, name, array):
        return array.astype(wanted, copy=False)


def rows_of(where: str, name: str, values: object) -> tuple[npt.NDArray[Any], tuple[int, ...]]:
    """Metrics as (runs, steps), with contiguous rows; and their original shape."""
    array = metrics_of(where, name, values)
    if array.ndim == 0:
        raise ValueError(f"{where}: {name} must have an axis of steps, the last one; got {_checks.describe(array)}")
    with _core.hold(where, name, array):
        rows = array.reshape(prod(array.shape[:-1]), array.shape[-1])
        if rows.shape[1] > 1 and rows.strides[1] != rows.itemsize:
            rows = np.ascontiguousarray(rows)
    return rows, array.shape


def output_for(where: str, out: object, shape: tuple[int, ...], rows: npt.NDArray[Any]) -> Floats:
    """The array of learning rates: a new one, or `out`, which must not share memory with the metrics."""
    if out is None:
        return np.empty(shape)
    checked = _checks.output(where, "out", out, shape, ("float64",))
    if np.may_share_memory(checked, rows):
        raise ValueError(f"{where}: out must not share memory with the metrics")
    return checked

"""States of loss-driven schedules as plain data: numbers, strings, lists and dicts, which every file format can store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from lrkern import _checks, _core
from lrkern._loss_driven.runs import Floats, as_array
from lrkern.schedules.expression import Schedule

# JSON has no number for these.
_WORDS = {"inf": np.inf, "-inf": -np.inf, "nan": np.nan}


def plain(numbers: Any, whole: bool = False) -> Any:
    """A number, or lists of numbers; non-finite ones as strings.

    >>> plain(np.array([1.0, np.inf])), plain(np.array(2.0), whole=True)
    ([1.0, 'inf'], 2)
    """
    return _as_words(np.asarray(numbers, np.int64 if whole else np.float64).tolist())


def _as_words(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_words(one) for one in value]
    return value if np.isfinite(value) else str(value)


def fields(where: str, state: object, keys: Collection[str]) -> Mapping[str, Any]:
    """`state`, checked to be a dict with these keys."""
    if not isinstance(state, Mapping) or set(state) != set(keys):
        got = f"the keys {', '.join(map(str, state))}" if isinstance(state, Mapping) and state else _checks.describe(state)
        raise ValueError(
            f"{where}: state must be what state_dict returned, with the keys {', '.join(keys)}; got {_checks.cut(got)}"
        )
    return state


def whole_number(where: str, name: str, value: object) -> int:
    """A count; arrays and tensors of one element are accepted."""
    return _checks.count(where, name, _checks.single(value))


def numbers(where: str, name: str, value: object, shape: tuple[int, ...]) -> Floats:
    """An array of this shape, from lists, an array or a tensor; a scalar may also be a list of one element."""
    array = _array(_checks.unmasked(where, name, value))
    if array is None or array.dtype.kind not in "iuf":
        raise TypeError(f"{where}: {name} must be numbers of shape {shape}; got {_checks.describe(value)}")
    if array.shape != shape and not (shape == () and array.shape == (1,)):
        raise ValueError(f"{where}: {name} must be numbers of shape {shape}; got shape {array.shape}")
    with _core.hold(where, name, array):
        return np.array(array, np.float64).reshape(shape)


def _array(value: Any) -> Any:
    """The numbers in lists, arrays or tensors, strings for infinities included; None for anything else."""
    try:
        return as_array(_from_words(value))
    except (TypeError, ValueError, RuntimeError):
        return None


def _from_words(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_from_words(one) for one in value]
    return _WORDS.get(value, value) if isinstance(value, str) else value


def check_arguments(where: str, state: object, own: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Raise ValueError if a state belongs to an object with other arguments; missing ones have their defaults."""
    noun = where.partition(".")[0]
    if not isinstance(state, Mapping):
        raise TypeError(f"{where}: arguments must be a dict of those of the {noun}; got {_checks.describe(state)}")
    for name in own:
        theirs = state.get(name, defaults.get(name))
        if not _same(own[name], theirs):
            raise ValueError(f"{where}: {name} must be {_shown(own[name])}, as in this {noun}; the state has {_shown(theirs)}")
    for name in state:
        if name not in own:
            raise ValueError(f"{where}: arguments must be {', '.join(own)}; got {_checks.describe(name)}, too")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        with suppress(TypeError, ValueError, ImportError):
            value = Schedule.from_dict(_without_arrays(value))
    return _checks.cut(repr(value))


def _same(a: Any, b: Any) -> bool:
    """Whether two arguments are the same for every run, to the precision of the one loaded."""
    if isinstance(a, Schedule):
        return isinstance(b, Mapping) and _reads_as(b, a)
    if a is None or isinstance(a, str) or b is None or isinstance(b, str):
        return bool(a == b)
    theirs = _array(b)
    if theirs is None or theirs.dtype.kind not in "iuf":
        return False
    own = np.asarray(a, theirs.dtype if theirs.dtype.kind == "f" else None)
    try:
        return bool(np.all(np.equal(*np.broadcast_arrays(own, theirs))))
    except ValueError:
        return False


def _reads_as(record: Mapping[str, Any], schedule: Schedule) -> bool:
    record = _without_arrays(record)
    try:
        return record == schedule.to_dict() or bool(Schedule.from_dict(record) == schedule)
    except (TypeError, ValueError, ImportError):
        return False


def _without_arrays(value: Any) -> Any:
    """A record with arrays and tensors, which some checkpoint writers make of numbers, turned back into lists and numbers."""
    if isinstance(value, Mapping):
        return {key: _without_arrays(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_arrays(one) for one in value]
    return _array(value).tolist() if hasattr(value, "__array__") else value

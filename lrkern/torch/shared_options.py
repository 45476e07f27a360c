"""The options of all groups in states: as plain values, schedules as text; and what holds when a state is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import numpy as np

from lrkern._checks import warn
from lrkern.optimizers.base import DEFAULTS
from lrkern.schedules.expression import Schedule
from lrkern.torch.schedules import schedule_of

_LEFT_OUT = ("backend", "copy_to", "decay_mask", "uint16_as_bfloat16")
_HYPERS = ("clip_norm", "skip_norm", "skip_sigma", "ema")
"""Those that may be schedules."""


def saved(shared: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, for a state; without functions, arrays, masks and the backend."""
    found = {name: _plain(value) for name, value in shared.items() if name not in _LEFT_OUT}
    return {name: value for name, value in found.items() if not _has_function(value)}


def plain_numbers(value: Any) -> Any:
    """A value with numbers of Python in place of NumPy's, which `torch.load` refuses."""
    if isinstance(value, tuple | list):
        return type(value)([plain_numbers(one) for one in value])
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple([_plain(one) for one in value])
    if isinstance(value, Schedule):
        return repr(value)
    return np.dtype(value).name if isinstance(value, type | np.dtype) else plain_numbers(value)


def _has_function(value: Any) -> bool:
    return any(map(callable, value)) if isinstance(value, tuple) else callable(value)


def joined(where: str, shared: Mapping[str, Any], given: Set[str], state: Mapping[str, Any]) -> dict[str, Any]:
    """The options after loading a state: those that were `given` to the optimizer, else those of the state."""
    found = dict(shared)
    for name, value in state.items():
        if name not in given:
            found[name] = _read(where, name, value)
    return found


def report(where: str, shared: Mapping[str, Any], given: Set[str], state: Mapping[str, Any]) -> None:
    """Warn of options that are not those of the state."""
    own = saved({**DEFAULTS, **shared})
    for name, value in state.items():
        if name in given and name in own and own[name] != value:
            warn(f"{where}: {name} continues as {own[name]}, and is {value} in the state")


def _read(where: str, name: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple([_read(where, name, one) for one in value])
    return schedule_of(where, name, value) if name in _HYPERS and isinstance(value, str) else value

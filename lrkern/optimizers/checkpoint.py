"""The contents of optimizer files: arrays by path, parameters, hyper-parameters with their schedules."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from lrkern import _checks
from lrkern.optimizers.groups import unique
from lrkern.optimizers.options import OF_ALL, Group
from lrkern.optimizers.resume import Saved
from lrkern.schedules.expression import Schedule

_LR = "lr"  # the kind of arrays with one learning rate per row
_PARAM = "param"


def hypers(group: Group, key: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """The hyper-parameters of a group as plain values. Learning rates per row are added to `arrays` under this key."""
    found: dict[str, Any] = {}
    for name in group.rule.hypers:
        value = group.options[name]
        if isinstance(value, np.ndarray):
            arrays[key] = value
            found[name] = {"array": key}
        else:
            found |= plain_value(name, value)
    return found


def plain_value(name: str, value: Any) -> dict[str, Any]:
    """A number, schedule or None under its name, as stored in files; {} for a function."""
    if isinstance(value, Schedule):
        return {name: {"schedule": value.to_dict()}}
    return {} if callable(value) else {name: value}


def placed(
    where: str, path: str | PathLike[str], arrays: dict[str, Any], plain: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The contents of a file by path: numbers of updates; arrays of each kind."""
    labels, updates = plain.get("labels"), plain.get("updates")
    good = isinstance(labels, list) and isinstance(updates, list) and len(labels) == len(updates)
    if not good or not all(isinstance(one, str) and one.startswith("params") for one in labels or ()):
        raise ValueError(f"{where}: {path} must be a file that save() wrote; it has no names of parameters")
    assert isinstance(labels, list)
    assert isinstance(updates, list)
    places = unique(one.removeprefix("params") for one in labels)
    found: dict[str, dict[str, Any]] = {}
    for key, array in arrays.items():
        kind, _, number = key.partition("/")
        known = number.isdecimal() and len(number) < 10 and int(number) < len(places)
        found.setdefault(kind, {})[places[int(number)] if known else f"/{number}"] = array
    found.pop(_LR, None)
    plain["params"] = found.pop(_PARAM, None)
    plain["arrays"] = arrays
    return dict(zip(places, updates, strict=True)), found


def scalars(places: Mapping[str, Any], plain: Any) -> dict[str, dict[str, Any]]:
    """The scalar states of a file by name and path."""
    if not isinstance(plain, dict) or not all(isinstance(one, list) and len(one) == len(places) for one in plain.values()):
        return {}
    return {name: dict(zip(places, values, strict=True)) for name, values in plain.items()}


def add_parameters(where: str, path: str | PathLike[str], saved: Saved, plain: dict[str, Any]) -> None:
    """Add a checkpoint's parameters and hyper-parameters to `saved`, to be loaded as well."""
    groups = plain.get("groups")
    if plain["params"] is None or groups is None:
        raise ValueError(f"{where}: {path} must be a checkpoint written by save(..., parameters=True); it has no parameters")
    wanted = f"{where}: {path} must be a file that save() wrote; its hyper-parameters are invalid"
    if not isinstance(groups, list) or not all(isinstance(one, dict) for one in groups):
        raise ValueError(wanted)
    saved.params = plain["params"]
    saved.hypers = [
        {
            name: _value(f"{where}: {path}: groups[{g}], {_checks.cut(name)}", value, plain["arrays"])
            for name, value in group.items()
        }
        for g, group in enumerate(groups)
    ]
    saved.of_all = {name: _value(f"{where}: {path}: {name}", plain[name], plain["arrays"]) for name in OF_ALL if name in plain}


def _value(what: str, value: Any, arrays: dict[str, Any]) -> Any:
    if not isinstance(value, dict):
        return value
    if "schedule" in value:
        try:
            return Schedule.from_dict(value["schedule"])
        except (TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"{what}: {error}") from None
    key = value.get("array")
    if not isinstance(key, str) or key not in arrays:
        raise ValueError(f"{what} must be a number, a schedule or one rate per row; got {_checks.describe(value)}")
    return arrays[key]

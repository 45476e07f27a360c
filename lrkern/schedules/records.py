"""Schedules as plain data, written by `Schedule.to_dict` and read and checked by `Schedule.from_dict`.

    {"format": "lrkern.schedule", "version": 1, "schedule": node}
    node      {"name": name of a curve or of `join`, "args": {parameter: value, ...}}
              {"name": name of a method, "of": node, "args": {parameter: value, ...}}
              {"name": "+" or "*" or "/" or "**", "args": {"left": value, "right": value}}
    value     a number, a string, true, false, null, a node, or a list of those

Names and parameters are those that `repr` writes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lrkern import _core
from lrkern._checks import cut, describe, real
from lrkern._core import Expression
from lrkern.schedules.names import METHODS, OPERATORS, arguments_of, build, call, find, function_of

if TYPE_CHECKING:
    from lrkern.schedules.expression import Schedule

FORMAT = "lrkern.schedule"
VERSION = 1

_SIDES = ("left", "right")
_LONGEST = 120  # characters of a path into a record, in errors


def to_record(schedule: Expression) -> dict[str, Any]:
    """`schedule` as a record."""
    return {"format": FORMAT, "version": VERSION, "schedule": _write(schedule)}


def _write(schedule: Expression) -> dict[str, Any]:
    name, args = schedule.name, schedule.args
    if name in OPERATORS:
        return {"name": name, "args": {side: _write_value(value) for side, value in zip(_SIDES, args, strict=True)}}
    arguments = {parameter: _write_value(value) for parameter, _, value in arguments_of(name, args)}
    if "" in arguments:
        raise ValueError(f"to_dict: the curve {name!r} has been redefined; {describe(schedule)} has other arguments")
    node: dict[str, Any] = {"name": name}
    if name in METHODS:
        node["of"] = arguments.pop(next(iter(arguments)))
    return {**node, "args": arguments}


def _write_value(value: Any) -> Any:
    if isinstance(value, Expression):
        return _write(value)
    return [_write_value(item) for item in value] if isinstance(value, tuple) else value


def from_record(record: object) -> Schedule:
    """The schedule that a record describes."""
    top = _fields("record", record, ("format", "version", "schedule"), hint=f'{{"format": "{FORMAT}", ...}}')
    if top["format"] != FORMAT:
        raise ValueError(f"from_dict: format must be {FORMAT!r}; got {describe(top['format'])}")
    version = top["version"]
    if isinstance(version, bool) or not isinstance(version, int):
        raise TypeError(f"from_dict: version must be an integer; got {describe(version)}")
    if version != VERSION:
        reason = " from a newer lrkern than this one" if version > VERSION else ""
        raise ValueError(f"from_dict: version must be {VERSION}; got {describe(version)}{reason}")
    return _read("schedule", top["schedule"], 1)


def _read(where: str, node: object, depth: int) -> Schedule:
    if depth > _core.MAX_DEPTH:
        raise ValueError(f"from_dict: nodes may be nested {_core.MAX_DEPTH} deep at most")
    if len(where) > _LONGEST:
        where = f"{where[: _LONGEST // 2]}...{where[-_LONGEST // 2 :]}"
    fields = _fields(where, node, ("name", "args"), ("of",), hint='{"name": ..., "args": {...}}')
    name, args = fields["name"], fields["args"]
    if not isinstance(name, str):
        raise TypeError(f"from_dict: {where}.name must be a string; got {describe(name)}")
    if not isinstance(args, Mapping) or not all(isinstance(key, str) for key in args):
        raise TypeError(f"from_dict: {where}.args must be a dict of names and values; got {describe(args)}")
    if name in OPERATORS:
        _no_target(where, fields)
        sides = _fields(f"{where}.args", args, _SIDES, hint='{"left": ..., "right": ...}')
        left, right = [_read_value(f"{where}.args.{side}", sides[side], depth) for side in _SIDES]
        return _operate(where, name, left, right)
    if find(name) is None:
        raise ValueError(f"from_dict: {where}.name must be a curve, a method of schedules or an operator; got {describe(name)}")
    target = []
    if name in METHODS:
        if "of" not in fields:
            raise ValueError(f"from_dict: {where} must have 'of', the node that {name} is applied to")
        target.append(_read(f"{where}.of", fields["of"], depth + 1))
    else:
        _no_target(where, fields)
    values = {key: _read_value(f"{where}.args.{cut(key)}", value, depth) for key, value in args.items()}
    return call(f"from_dict: {where}.args", function_of(name), target, values)


def _operate(where: str, name: str, left: Any, right: Any) -> Schedule:
    if name == "*" and isinstance(left, Expression) and not isinstance(right, Expression):
        left, right = right, left  # numbers come first in products
    from_left = name == "*" or (name == "/" and isinstance(right, Expression) and not isinstance(left, Expression))
    schedule, other, side = (right, left, "left") if from_left else (left, right, "right")
    if not isinstance(schedule, Expression):
        raise TypeError(
            f"from_dict: {where}.args.{'right' if side == 'left' else 'left'} must be a node; got {describe(schedule)}"
        )
    if name == "**" or not isinstance(other, Expression):
        other = real("from_dict", f"{where}.args.{side}", other)
        if name == "/" and side == "right" and other == 0.0:
            raise ValueError(f"from_dict: {where}.args.right must not be zero")
    return build(name, (left, right))


def _no_target(where: str, fields: Mapping[str, Any]) -> None:
    if "of" in fields:
        raise ValueError(f"from_dict: {where} must not have 'of': {fields['name']} is not a method")


def _read_value(where: str, value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        return _read(where, value, depth + 1)
    if isinstance(value, list | tuple):
        return [_read(f"{where}[{i}]", item, depth + 1) if isinstance(item, Mapping) else item for i, item in enumerate(value)]
    return value


def _fields(
    where: str, record: object, needed: tuple[str, ...], allowed: tuple[str, ...] = (), *, hint: str
) -> Mapping[str, Any]:
    """A dict with all the needed keys and no others except the allowed ones."""
    if not isinstance(record, Mapping):
        raise TypeError(f"from_dict: {where} must be a dict, {hint}; got {describe(record)}")
    for key in needed:
        if key not in record:
            raise ValueError(f"from_dict: {where} must have {key!r}; it has {cut(', '.join(map(repr, record))) or 'nothing'}")
    for key in record:
        if key not in needed and key not in allowed:
            raise ValueError(f"from_dict: {where} must not have {cut(repr(key))}")
    return record

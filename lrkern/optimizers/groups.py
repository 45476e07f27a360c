"""How the arrays of an optimizer are arranged: a list, a dict with its keys, or groups of such."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from copy import copy
from typing import Any

import numpy as np

from lrkern import _checks

NONE_GIVEN = "an iterator that gives none: has it been used up?"


def is_dict(value: Any) -> bool:
    """Whether this is a mapping, or what can be read like one (torch's ParameterDict)."""
    return isinstance(value, Mapping) or (hasattr(value, "keys") and hasattr(value, "__getitem__"))


def is_list(value: Any) -> bool:
    """Whether this gives things in an order: a list, a generator, torch's ParameterList; no array, which is one thing."""
    if isinstance(value, list | tuple):
        return True
    return isinstance(value, Iterable) and not (is_array(value) or is_dict(value) or isinstance(value, str | bytes | Set))


def is_array(value: Any) -> bool:
    """Whether this is one array, of any library."""
    return _checks.is_array(value) or any(hasattr(value, one) for one in ("__dlpack__", "__cuda_array_interface__"))


def unique(names: Iterable[str]) -> list[str]:
    """The names, with a number behind those that have been there before: keys may look alike."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        times = seen[name] = seen.get(name, 0) + 1
        result.append(name if times == 1 else f"{name}#{times}")
    return result


class Structure:
    """A dict or a list of arrays: what is given for each of them has the same form. `path` names it in errors."""

    def __init__(self, where: str, values: Any, *, name: str = "params", path: str = "") -> None:
        self.path = path
        if is_dict(values):
            self.keys: list[Any] | None = list(values.keys())
            items = [values[key] for key in self.keys]
        elif is_list(values):
            self.keys, items = None, list(values)
            if not items and not hasattr(values, "__len__"):
                raise ValueError(f"{where}: {name} must have an array at least; got {NONE_GIVEN}")
            if items and type(items[0]) is tuple and len(items[0]) == 2 and isinstance(items[0][0], str):
                raise TypeError(f"{where}: {name} must be arrays; got names along with them: pass dict(...) of these")
        else:
            hint = "; for one array pass [array]" if is_array(values) else ""
            hint = "; sets have no order" if isinstance(values, Set) else hint
            raise TypeError(f"{where}: {name} must be a dict or list of arrays; got {_checks.describe(values)}{hint}")
        self.size = len(items)
        self.arrays = items

    def label(self, kind: str, index: int) -> str:
        """Name of an array in an error: `grads['w']`, `params[3]`."""
        plural = kind if kind in ("copy_to", "decay_mask") else f"{kind}s"
        return f"{plural}{self.path}[{index if self.keys is None else self.keys[index]!r}]"

    def names(self) -> list[Any]:
        """The key or number of each array."""
        return list(range(self.size)) if self.keys is None else self.keys

    def part(self, group: int) -> Structure:
        """All arrays: there is one group."""
        return self

    def and_group(self, where: str, params: Any) -> Groups:
        """This as the first group, and another one."""
        first = copy(self)
        first.path = "[0]"
        return Groups([first, _group(where, 1, params, "params")])

    def flatten(self, where: str, name: str, values: Any) -> list[Any]:
        """Values with this structure, as a list."""
        name += self.path
        if self.keys is None:
            if not (isinstance(values, list | tuple) or is_list(values)):  # the first is quick
                raise TypeError(f"{where}: {name} must be a list of {self.size} like params; got {_checks.describe(values)}")
            entries = list(values)
            if len(entries) != self.size:
                raise ValueError(f"{where}: {name} must have {self.size} entries like params; got {len(entries)}")
            return entries
        if type(values) is not dict and not is_dict(values):
            raise TypeError(f"{where}: {name} must be a dict with the keys of params; got {_checks.describe(values)}")
        try:
            found = [values[key] for key in self.keys]
        except KeyError:
            found = []
        if len(found) != len(values if type(values) is dict else values.keys()):
            given = list(values.keys())
            missing = [key for key in self.keys if key not in given]
            unknown = [key for key in given if key not in self.keys]
            parts = [f"{word} {', '.join(map(repr, keys))}" for word, keys in (("no", missing), ("also", unknown)) if keys]
            raise ValueError(f"{where}: {name} must have the keys of params; got {' and '.join(parts)}")
        return found

    def unflatten(self, values: list[Any]) -> Any:
        """A list of values, in this structure."""
        return list(values) if self.keys is None else dict(zip(self.keys, values, strict=True))


class Groups:
    """A list of structures, each with options of its own."""

    def __init__(self, parts: list[Structure]) -> None:
        self.parts = parts
        self.arrays = [array for part in self.parts for array in part.arrays]
        self.starts = np.cumsum([0, *(part.size for part in self.parts)]).tolist()

    def label(self, kind: str, index: int) -> str:
        """Name of an array in an error: `params[1]['w']`."""
        g = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[g].label(kind, index - self.starts[g])

    def names(self) -> list[Any]:
        """The key or number of each array within its group."""
        return [name for part in self.parts for name in part.names()]

    def part(self, group: int) -> Structure:
        """The arrays of a group."""
        return self.parts[group]

    def and_group(self, where: str, params: Any) -> Groups:
        """These groups, and another one."""
        return Groups([*self.parts, _group(where, len(self.parts), params, "params")])

    def flatten(self, where: str, name: str, values: Any) -> list[Any]:
        """One structure of values for each group, as one list."""
        wanted = f"{where}: {name} must be a list of {len(self.parts)}, one entry for each group"
        if not is_list(values):
            raise TypeError(f"{wanted}; got {_checks.describe(values)}")
        entries = list(values)
        if len(entries) != len(self.parts):
            raise ValueError(f"{wanted}; got {len(entries)}")
        return [one for part, own in zip(self.parts, entries, strict=True) for one in part.flatten(where, name, own)]

    def unflatten(self, values: list[Any]) -> Any:
        """A list of values, as one structure for each group."""
        return [part.unflatten(values[a:b]) for part, a, b in zip(self.parts, self.starts, self.starts[1:], strict=False)]


def _group(where: str, index: int, params: Any, name: str) -> Structure:
    return Structure(where, params, name=name, path=f"[{index}]")


def arrange(where: str, params: Any) -> tuple[Structure | Groups, list[int], list[dict[str, Any]]]:
    """Parameters as the user gave them: their structure, each array's group, each group's own options."""
    given = list(params) if is_list(params) else params
    if isinstance(given, list) and given and all(isinstance(one, Mapping) for one in given):
        for g, group in enumerate(given):
            if "params" not in group:
                raise ValueError(f"{where}: params[{g}] must have the key 'params'; got {', '.join(map(repr, group))}")
        groups = Groups([_group(where, g, group["params"], f"params[{g}]['params']") for g, group in enumerate(given)])
        if not groups.arrays:
            raise ValueError(f"{where}: params must have an array at least; got groups without any")
        of = [g for g, part in enumerate(groups.parts) for _ in range(part.size)]
        return groups, of, [{key: value for key, value in group.items() if key != "params"} for group in given]
    structure = Structure(where, given)
    if not structure.size:
        got = f"an empty {type(params).__name__}" if hasattr(params, "__len__") else NONE_GIVEN
        raise ValueError(f"{where}: params must have an array at least; got {got}")
    return structure, [0] * structure.size, [{}]

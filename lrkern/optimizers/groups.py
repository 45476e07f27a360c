"""The structure of an optimizer's arrays: a list, a dict, or groups of these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from copy import copy
from typing import Any

import numpy as np

from lrkern import _checks

NONE_GIVEN = "an empty iterator: is it exhausted?"


def is_dict(value: Any) -> bool:
    """Whether this is a mapping or behaves like one (torch's ParameterDict)."""
    return isinstance(value, Mapping) or (hasattr(value, "keys") and hasattr(value, "__getitem__"))


def is_list(value: Any) -> bool:
    """Whether this is an ordered iterable (a list, a generator, torch's ParameterList), other than an array."""
    if isinstance(value, list | tuple):
        return True
    return isinstance(value, Iterable) and not (is_array(value) or is_dict(value) or isinstance(value, str | bytes | Set))


def is_array(value: Any) -> bool:
    """Whether this is one array, of any library."""
    return _checks.is_array(value) or any(hasattr(value, one) for one in ("__dlpack__", "__cuda_array_interface__"))


def unique(names: Iterable[str]) -> list[str]:
    """The names, with a number appended to repeated ones: different keys may have equal texts."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        times = seen[name] = seen.get(name, 0) + 1
        result.append(name if times == 1 else f"{name}#{times}")
    return result


class Structure:
    """A dict or a list of arrays; per-array arguments have the same structure. `path` and `like` name it in errors."""

    def __init__(self, where: str, values: Any, *, name: str = "params", path: str = "", like: str = "params") -> None:
        self.path, self.like = path, like
        if is_dict(values):
            self.keys: list[Any] | None = list(values.keys())
            items = [values[key] for key in self.keys]
        elif is_list(values):
            self.keys, items = None, list(values)
            if not items and not hasattr(values, "__len__"):
                raise ValueError(f"{where}: {name} must contain at least one array; got {NONE_GIVEN}")
            if items and type(items[0]) is tuple and len(items[0]) == 2 and isinstance(items[0][0], str):
                raise TypeError(f"{where}: {name} must be arrays; got (name, array) pairs: pass dict(...) of them")
        else:
            hint = "; for one array pass [array]" if is_array(values) else ""
            hint = "; sets have no order" if isinstance(values, Set) else hint
            if type(values).__module__.startswith("jax") and not getattr(values, "shape", True):
                # A count of optax, which calls what is not a number as a schedule.
                hint = f"; for optax.inject_hyperparams use lrkern.jax.factory({where})"
            raise TypeError(f"{where}: {name} must be a dict or list of arrays; got {_checks.describe(values)}{hint}")
        self.size = len(items)
        self.arrays = items

    def label(self, kind: str, index: int) -> str:
        """Name of an array in an error: `grads['w']`, `params[3]`."""
        plural = kind if kind in ("copy_to", "decay_mask") else f"{kind}s"
        return f"{plural}{self.path}[{index if self.keys is None else self.keys[index]!r}]"

    def names(self) -> list[Any]:
        """The key or index of each array."""
        return list(range(self.size)) if self.keys is None else self.keys

    def part(self, group: int) -> Structure:
        """The structure of a group: this one, as there is only one group."""
        return self

    def and_group(self, where: str, params: Any) -> Groups:
        """Groups: this one and another."""
        first = copy(self)
        first.path = "[0]"
        return Groups([first, _group(where, 1, params, "params")])

    def flatten(self, where: str, name: str, values: Any) -> list[Any]:
        """The values in this structure, as a list."""
        name += self.path
        if self.keys is None:
            if not (isinstance(values, list | tuple) or is_list(values)):  # the first check is fast
                raise TypeError(
                    f"{where}: {name} must be a list of {self.size} like {self.like}; got {_checks.describe(values)}"
                )
            entries = list(values)
            if len(entries) != self.size:
                raise ValueError(f"{where}: {name} must have {self.size} entries like {self.like}; got {len(entries)}")
            return entries
        if type(values) is not dict and not is_dict(values):
            raise TypeError(f"{where}: {name} must be a dict with the keys of {self.like}; got {_checks.describe(values)}")
        try:
            found = [values[key] for key in self.keys]
        except KeyError:
            found = []
        if len(found) != len(values if type(values) is dict else values.keys()):
            given = list(values.keys())
            missing = [key for key in self.keys if key not in given]
            unknown = [key for key in given if key not in self.keys]
            parts = [f"{word} {', '.join(map(repr, keys))}" for word, keys in (("no", missing), ("also", unknown)) if keys]
            raise ValueError(f"{where}: {name} must have the keys of {self.like}; got {' and '.join(parts)}")
        return found

    def unflatten(self, values: list[Any]) -> Any:
        """A list of values, put into this structure."""
        return list(values) if self.keys is None else dict(zip(self.keys, values, strict=True))


class Groups:
    """A list of structures, one per group."""

    def __init__(self, parts: list[Structure]) -> None:
        self.parts = parts
        self.arrays = [array for part in self.parts for array in part.arrays]
        self.starts = np.cumsum([0, *(part.size for part in self.parts)]).tolist()

    def label(self, kind: str, index: int) -> str:
        """Name of an array in an error: `params[1]['w']`."""
        g = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[g].label(kind, index - self.starts[g])

    def names(self) -> list[Any]:
        """The key or index of each array within its group."""
        return [name for part in self.parts for name in part.names()]

    def part(self, group: int) -> Structure:
        """The structure of a group."""
        return self.parts[group]

    def and_group(self, where: str, params: Any) -> Groups:
        """These groups and another one."""
        return Groups([*self.parts, _group(where, len(self.parts), params, "params")])

    def flatten(self, where: str, name: str, values: Any) -> list[Any]:
        """The values in one structure per group, as one list."""
        wanted = f"{where}: {name} must be a list of {len(self.parts)}, one entry per group"
        if not is_list(values):
            raise TypeError(f"{wanted}; got {_checks.describe(values)}")
        entries = list(values)
        if len(entries) != len(self.parts):
            raise ValueError(f"{wanted}; got {len(entries)}")
        return [one for part, own in zip(self.parts, entries, strict=True) for one in part.flatten(where, name, own)]

    def unflatten(self, values: list[Any]) -> Any:
        """A list of values, as one structure per group."""
        return [part.unflatten(values[a:b]) for part, a, b in zip(self.parts, self.starts, self.starts[1:], strict=False)]


def _group(where: str, index: int, params: Any, name: str) -> Structure:
    return Structure(where, params, name=name, path=f"[{index}]")


def arrange(where: str, params: Any) -> tuple[Structure | Groups, list[int], list[dict[str, Any]]]:
    """The structure of the user's parameters, each array's group, and each group's own options."""
    given = list(params) if is_list(params) else params
    if isinstance(given, list) and given and all(isinstance(one, Mapping) for one in given):
        for g, group in enumerate(given):
            if "params" not in group:
                raise ValueError(f"{where}: params[{g}] must have the key 'params'; got {', '.join(map(repr, group))}")
        groups = Groups([_group(where, g, group["params"], f"params[{g}]['params']") for g, group in enumerate(given)])
        if not groups.arrays:
            raise ValueError(f"{where}: params must contain at least one array; got groups without arrays")
        of = [g for g, part in enumerate(groups.parts) for _ in range(part.size)]
        return groups, of, [{key: value for key, value in group.items() if key != "params"} for group in given]
    structure = Structure(where, given)
    if not structure.size:
        got = f"an empty {type(params).__name__}" if hasattr(params, "__len__") else NONE_GIVEN
        raise ValueError(f"{where}: params must contain at least one array; got {got}")
    return structure, [0] * structure.size, [{}]

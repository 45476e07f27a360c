"""How the arrays of an optimizer are arranged: a list, a dict with its keys, or groups of such."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lrkern import _checks


class Structure:
    """A list, tuple or dict of arrays: what is given for each of them has the same form. `path` names it in errors."""

    def __init__(self, where: str, values: Any, *, name: str = "params", path: str = "") -> None:
        self.path = path
        if isinstance(values, Mapping):
            self.keys: list[Any] | None = list(values)
            items = [values[key] for key in self.keys]
        elif isinstance(values, list | tuple):
            self.keys, items = None, list(values)
        else:
            lone = isinstance(values, np.ndarray) or hasattr(values, "__dlpack__")
            hint = "; for one array pass [array]" if lone else ""
            raise TypeError(f"{where}: {name} must be a dict, list or tuple of arrays; got {_checks.describe(values)}{hint}")
        self.size = len(items)
        self.arrays = items

    def label(self, kind: str, index: int) -> str:
        """Name of an array in an error: `grads['w']`, `params[3]`."""
        plural = kind if kind.endswith("_to") else f"{kind}s"
        return f"{plural}{self.path}[{index if self.keys is None else self.keys[index]!r}]"

    def flatten(self, where: str, name: str, values: Any) -> list[Any]:
        """Values with this structure, as a list."""
        name += self.path
        if self.keys is None:
            if not isinstance(values, list | tuple):
                raise TypeError(
                    f"{where}: {name} must be a list or tuple of {self.size} like params; got {_checks.describe(values)}"
                )
            entries = list(values)
            if len(entries) != self.size:
                raise ValueError(f"{where}: {name} must have {self.size} entries like params; got {len(entries)}")
            return entries
        if not isinstance(values, Mapping):
            raise TypeError(f"{where}: {name} must be a dict with the keys of params; got {_checks.describe(values)}")
        try:
            found = [values[key] for key in self.keys]
        except KeyError:
            found = []
        if len(found) != len(values):
            missing = [key for key in self.keys if key not in values]
            unknown = [key for key in values if key not in self.keys]
            parts = [f"{word} {', '.join(map(repr, keys))}" for word, keys in (("no", missing), ("also", unknown)) if keys]
            raise ValueError(f"{where}: {name} must have the keys of params; got {' and '.join(parts)}")
        return found

    def unflatten(self, values: list[Any]) -> Any:
        """A list of values, in this structure."""
        return list(values) if self.keys is None else dict(zip(self.keys, values, strict=True))


class Groups:
    """A list of structures, each with options of its own."""

    def __init__(self, where: str, groups: list[Mapping[str, Any]] | tuple[Mapping[str, Any], ...]) -> None:
        self.parts = []
        for g, group in enumerate(groups):
            if "params" not in group:
                raise ValueError(f"{where}: params[{g}] must have the key 'params'; got {', '.join(map(repr, group))}")
            self.parts.append(Structure(where, group["params"], name=f"params[{g}]['params']", path=f"[{g}]"))
        self.arrays = [array for part in self.parts for array in part.arrays]
        self.starts = np.cumsum([0, *(part.size for part in self.parts)]).tolist()

    def label(self, kind: str, index: int) -> str:
        """Name of an array in an error: `params[1]['w']`."""
        g = int(np.searchsorted(self.starts, index, side="right")) - 1
        return self.parts[g].label(kind, index - self.starts[g])

    def flatten(self, where: str, name: str, values: Any) -> list[Any]:
        """One structure of values for each group, as one list."""
        if not isinstance(values, list | tuple) or len(values) != len(self.parts):
            wanted = f"{where}: {name} must be a list of {len(self.parts)}, one entry for each group"
            if isinstance(values, list | tuple):
                raise ValueError(f"{wanted}; got {len(values)}")
            raise TypeError(f"{wanted}; got {_checks.describe(values)}")
        return [one for part, own in zip(self.parts, values, strict=True) for one in part.flatten(where, name, own)]

    def unflatten(self, values: list[Any]) -> Any:
        """A list of values, as one structure for each group."""
        return [part.unflatten(values[a:b]) for part, a, b in zip(self.parts, self.starts, self.starts[1:], strict=False)]


def arrange(where: str, params: Any) -> tuple[Structure | Groups, list[int], list[dict[str, Any]]]:
    """Parameters as the user gave them: their structure, each array's group, each group's own options."""
    if isinstance(params, list | tuple) and params and all(isinstance(one, Mapping) for one in params):
        groups = Groups(where, params)
        of = [g for g, part in enumerate(groups.parts) for _ in range(part.size)]
        return groups, of, [{key: value for key, value in group.items() if key != "params"} for group in params]
    structure = Structure(where, params)
    return structure, [0] * structure.size, [{}]

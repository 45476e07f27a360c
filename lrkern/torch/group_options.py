"""The options `ema` and `decay_mask` of single groups, in the form that `param_groups` and states hold: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lrkern import _checks
from lrkern.optimizers.groups import Structure
from lrkern.optimizers.options import OF_GROUPS


def given_to(group: Mapping[str, Any]) -> dict[str, Any]:
    """Those that a group has."""
    return {name: group[name] for name in OF_GROUPS if name in group}


def settle(where: str, group: dict[str, Any]) -> dict[str, Any]:
    """Put them into their plain form: a mask becomes a list of booleans. Returns the schedules among them.

    Raises:
        TypeError, ValueError: an option has another form.
    """
    if group.get("decay_mask", True) is None:
        del group["decay_mask"]
    if "decay_mask" in group:
        group["decay_mask"] = _mask(where, group, group["decay_mask"])
    ema = group.get("ema")
    if isinstance(ema, tuple) and any(callable(one) for one in ema):
        raise TypeError(f"{where}: ema of a group must be a decay, a schedule, or a tuple of decays; got {ema!r}")
    return {"ema": ema} if callable(ema) else {}


def _mask(where: str, group: Mapping[str, Any], mask: Any) -> list[bool]:
    params, names = group["params"], group.get("param_names")
    keys = range(len(params)) if names is None else names
    if callable(mask):
        found = [mask(key, param) for key, param in zip(keys, params, strict=True)]
    else:
        listed = names is None or isinstance(mask, list | tuple)
        found = Structure(where, params if listed else dict(zip(keys, params, strict=True))).flatten(where, "decay_mask", mask)
    return [_checks.flag(where, f"decay_mask[{key!r}]", one) for key, one in zip(keys, found, strict=True)]

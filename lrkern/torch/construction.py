"""How an optimizer of lrkern is made from the groups and options of an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from lrkern.optimizers.options import OF_GROUPS
from lrkern.torch.memory import Memory
from lrkern.torch.tensors import plain

if TYPE_CHECKING:
    from lrkern.torch.adapter import Adapter

_OF_ONE = ("params", *OF_GROUPS)


def core_of(owner: Adapter, params: Sequence[Tensor], arrays: Sequence[Any], memory: Memory) -> Any:
    """The optimizer of lrkern for all parameters of an adapter, whose `arrays` are on their memory.

    Raises:
        TypeError, ValueError: an option or array is invalid.
    """
    where = type(owner).__name__
    groups = [{"params": part, **owner.core_options(g)} for g, part in enumerate(_parts(owner, arrays))]
    of_all = _of_all(owner, groups)
    shared = {**owner.shared, "uint16_as_bfloat16": True}
    if memory.backend is not None:
        shared["backend"] = memory.backend
    if shared.get("decay_mask") is not None:
        shared["decay_mask"] = _decay_mask(owner, params, shared["decay_mask"])
    if shared.get("copy_to") is not None:
        shared["copy_to"] = _nested(owner, _copies(where, shared["copy_to"], params, memory))
    for group in groups:
        if "decay_mask" in group and isinstance(group["params"], dict):
            group["decay_mask"] = dict(zip(group["params"], group["decay_mask"], strict=True))
    if len(groups) > 1:
        first = {name: value for name, value in groups[0].items() if name not in _OF_ONE}  # constructors may look at them
        return owner.core_class(groups, **first, **of_all, **shared)
    return owner.core_class(groups[0].pop("params"), **{**shared, **groups[0], **of_all})


def _parts(owner: Adapter, values: Sequence[Any]) -> list[Any]:
    """One value per parameter: for each group a list, or a dict if its parameters have names."""
    parts: list[Any] = []
    start = 0
    for group in owner.param_groups:
        part = list(values[start : start + len(group["params"])])
        names = group.get("param_names")
        parts.append(part if names is None else dict(zip(names, part, strict=True)))
        start += len(part)
    return parts


def _nested(owner: Adapter, values: Sequence[Any]) -> Any:
    """One value per parameter, in the structure that the parameters have."""
    parts = _parts(owner, values)
    return parts[0] if len(parts) == 1 else parts


def _of_all(owner: Adapter, groups: list[dict[str, Any]]) -> dict[str, Any]:
    """Take the options out of groups that only whole optimizers have, such as initial values."""
    found = {}
    for name in [name for name in groups[0] if name not in _OF_ONE and name not in owner.core_class._rule.checks]:
        values = [group.pop(name) for group in groups]
        if any(value != values[0] for value in values):
            where, option = type(owner).__name__, owner.names.option_of[name].name
            raise ValueError(f"{where}: {option} must be the same for all groups; got {', '.join(map(repr, values))}")
        found[name] = values[0]
    return found


def _decay_mask(owner: Adapter, params: Sequence[Tensor], mask: Any) -> Any:
    if not callable(mask):
        return mask
    names: list[Any] = []
    for group in owner.param_groups:
        names += group.get("param_names") or range(len(names), len(names) + len(group["params"]))
    return _nested(owner, [bool(mask(name, param)) for name, param in zip(names, params, strict=True)])


def copies_of(owner: Adapter) -> list[Tensor]:
    """The tensors of `copy_to`."""
    copies = owner.shared.get("copy_to")
    return [] if copies is None else [one for one in _flat(copies) if one is not None]


def places_of_copies(owner: Adapter) -> list[Any]:
    """Where the tensors of `copy_to` lie now. Users may move them, as by `copy.data = ...`, which frees the memory."""
    return [_place(plain(one)) for one in copies_of(owner)]


def _place(tensor: Tensor) -> Any:
    return tensor.data_ptr(), tensor.dtype, tensor.device, tensor.shape, tensor.stride()


def _flat(copies: Any) -> list[Any]:
    flat = list(copies.values() if hasattr(copies, "values") else copies)
    return [one for part in flat for one in part] if flat and isinstance(flat[0], list | tuple) else flat


def _copies(where: str, copies: Any, params: Sequence[Tensor], memory: Memory) -> list[Any]:
    flat, count = _flat(copies), len(params)
    if len(flat) != count:
        raise ValueError(f"{where}: copy_to must have {count} tensors like params; got {len(flat)}")
    found = [None if one is None else plain(one) for one in flat]
    for i, (one, param) in enumerate(zip(found, params, strict=True)):
        if one is not None and one.shape != (shape := plain(param).shape):
            raise ValueError(f"{where}: copy_to[{i}] must have shape {tuple(shape)} like params[{i}]; got {tuple(one.shape)}")
    return [None if one is None else memory.array(where, f"copy_to[{i}]", one) for i, one in enumerate(found)]

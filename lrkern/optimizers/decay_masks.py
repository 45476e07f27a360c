"""Which parameters decay: masks, given as a function of name and array or as True and False in the form of the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lrkern import _checks
from lrkern.optimizers.groups import Groups, Structure


def decaying(
    where: str, structure: Structure | Groups, group_of: Sequence[int], own: Sequence[Mapping[str, Any]], shared: Any
) -> list[bool] | None:
    """Whether each parameter decays; None where all do.

    A mask belongs to all (`shared`), or to a group (`decay_mask` of its options), whose own one counts.
    """
    masks = [options.get("decay_mask") for options in own]
    if shared is None and all(mask is None for mask in masks):
        return None
    names, result = structure.names(), [True] * len(group_of)
    if shared is not None and not callable(shared):
        found = structure.flatten(where, "decay_mask", shared)
        result = [_checks.flag(where, structure.label("decay_mask", i), one) for i, one in enumerate(found)]
    for g, mask in enumerate(masks):
        members = [i for i, of in enumerate(group_of) if of == g]
        mask = shared if mask is None else mask
        if callable(mask):
            for i in members:
                label = f"decay_mask({names[i]!r}, ...)"
                result[i] = _checks.flag(where, label, mask(names[i], structure.arrays[i]))
        elif mask is not shared:
            found = structure.part(g).flatten(where, "decay_mask", mask)
            for i, one in zip(members, found, strict=True):
                result[i] = _checks.flag(where, structure.label("decay_mask", i), one)
    return result

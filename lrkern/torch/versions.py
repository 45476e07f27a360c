"""Version counters of tensors, by which autograd notices that one was written to."""

from __future__ import annotations

import torch
from torch import Tensor


def _takes_lists() -> bool:
    """Whether torch increments several counters in one call; up to 2.4 at least, it takes one tensor."""
    try:
        torch.autograd.graph.increment_version([torch.empty(0)])
    except (TypeError, RuntimeError):
        return False
    return True


_TAKES_LISTS = _takes_lists()


def increment_version(tensors: list[Tensor]) -> None:
    """Tell autograd that tensors were written to."""
    if _TAKES_LISTS:
        torch.autograd.graph.increment_version(tensors)
    else:
        for one in tensors:
            torch.autograd.graph.increment_version(one)

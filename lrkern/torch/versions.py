"""Version counters of tensors, by which autograd notices that one was written to."""

from __future__ import annotations

import torch
from torch import Tensor


def increment_version(tensors: list[Tensor]) -> None:
    """Tell autograd that tensors were written to."""
    try:
        torch.autograd.graph.increment_version(tensors)
    except TypeError:  # older versions take one tensor
        for one in tensors:
            torch.autograd.graph.increment_version(one)

"""Norms of lists of tensors, which stay on their device; and norms that are far above those before them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

_TINY, _HUGE = 1e-140, 1e140  # within these, no square of a norm or of its larger elements leaves the range of float64


def exact_type(tensor: Tensor) -> Any:
    """The type that norms are summed in: float64, also of float32 elements, where the device has it for sure."""
    has_float64 = tensor.dtype is torch.float64 or tensor.device.type in ("cpu", "cuda")
    return torch.float64 if has_float64 else torch.float32


def norm_of(tensors: Sequence[Tensor]) -> Tensor:
    """The norm of all elements, on the device of the first tensor."""
    found = _norm(tensors, None)
    if all(one.dtype is not torch.float64 for one in tensors) or _TINY < (total := float(found)) < _HUGE:
        return found
    if total != total:
        return found
    filled = [one for one in tensors if one.numel()]
    peak = max((float(one.abs().max()) for one in filled), default=0.0)
    return _norm(tensors, peak) * peak if 0.0 < peak < math.inf else found


def _norm(tensors: Sequence[Tensor], divisor: float | None) -> Tensor:
    device, kind = tensors[0].device, exact_type(tensors[0])
    values = [one if divisor is None else one / divisor for one in tensors]
    found = [torch.linalg.vector_norm(one, dtype=exact_type(one)).to(device, kind) for one in values]
    return found[0] if len(found) == 1 else torch.linalg.vector_norm(torch.stack(found))


def is_spike(recent: Sequence[float], window: int, norm: float, sigma: float) -> bool:
    """Whether a norm is more than `sigma` standard deviations above the mean of the last ones, if there are `window`."""
    if len(recent) < window:
        return False
    mean = sum(recent) / window
    return norm > mean + sigma * math.sqrt(sum([(one - mean) ** 2 for one in recent]) / window)

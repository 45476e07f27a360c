"""Tensors of other classes as tensors of torch's own; and tensors of one element, and numbers of NumPy, as numbers."""

from __future__ import annotations

from operator import is_
from typing import Any

import numpy as np
import torch
from torch import Tensor

_PLAIN = (Tensor, torch.nn.Parameter)


def number(value: Any, name: str = "a hyper-parameter") -> Any:
    """A hyper-parameter in plain values: a tensor of one element, or a number of NumPy, as a number, a list as a tuple.

    What is plain already is returned itself.
    """
    if isinstance(value, Tensor):
        if value.numel() != 1:
            raise ValueError(f"{name} must be a number, or a tensor of 1 element; got one of shape {tuple(value.shape)}")
        return value.item()
    if isinstance(value, np.generic | np.ndarray):
        return number(value.tolist())
    if isinstance(value, tuple | list):
        made = tuple([number(one) for one in value])
        return value if type(value) is tuple and all(map(is_, value, made)) else made
    return value


def is_plain(tensor: Tensor) -> bool:
    """Whether it holds real numbers and is of torch's own class."""
    return type(tensor) in _PLAIN and not tensor.is_complex()


def plain(tensor: Tensor) -> Tensor:
    """A tensor of real numbers of torch's own class on the same memory: complex numbers are pairs of real ones."""
    if type(tensor) not in _PLAIN:
        tensor = tensor.detach()
        tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor.as_subclass(Tensor)
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.detach())
    return tensor


def as_complex(tensor: Tensor) -> Tensor:
    """Pairs of real numbers as complex ones on the same memory; as they are if torch has no complex numbers of their dtype."""
    if tensor.dtype not in (torch.float64, torch.float32, torch.float16):
        return tensor
    # torch looks at the strides also where there is nothing to step over, and NumPy has no rules for these.
    return (
        torch.view_as_complex(tensor)
        if tensor.numel()
        else tensor.new_empty(tensor.shape[:-1], dtype=tensor.dtype.to_complex())
    )

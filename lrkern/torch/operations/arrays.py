"""Tensors of any device as the arrays of an optimizer: see `lrkern.backends.engine.ArrayLibrary`."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

_OF_NUMPY = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "uint16": torch.bfloat16,  # the bits of bfloat16, as `uint16_as_bfloat16` tells the options
    "int16": torch.int16,
}


def as_array(where: str, name: str, value: Any, *, written: bool) -> Any:
    """The tensor itself."""
    return value


def as_dense_gradient(where: str, name: str, grad: Any, param: Any, written: bool) -> Any:
    """The tensor itself."""
    return grad


def as_gradient(takes_rows: bool, halves: bool, where: str, name: str, grad: Any, param: Any, written: bool) -> Any:
    """The tensor itself."""
    return grad


def computed_in(param: Tensor) -> Any:
    """The dtype that a parameter's steps are computed in."""
    return torch.float64 if param.dtype is torch.float64 else torch.float32


def is_bfloat16(array: Tensor, halves: bool) -> bool:
    """Whether the elements are bfloat16 numbers."""
    return bool(array.dtype is torch.bfloat16)


def in_computed_type(param: Tensor, halves: bool) -> Tensor:
    """A copy in the type that steps are computed in."""
    return param.to(computed_in(param), copy=True)


def zeros_like(param: Tensor, dtype: Any) -> Tensor:
    """Zeros, in the shape and memory order of a parameter."""
    return torch.zeros_like(param, dtype=dtype if isinstance(dtype, torch.dtype) else _OF_NUMPY[np.dtype(dtype).name])


def given(array: Tensor) -> Tensor:
    """The tensor itself."""
    return array


def in_cpu_memory(array: Tensor) -> Tensor:
    """The elements, in CPU memory."""
    return array.cpu()


def copy(array: Tensor) -> Tensor:
    """A copy of the elements."""
    return array.clone()


def clear(array: Tensor) -> None:
    """Set all elements to 0."""
    array.zero_()


def overwrite(array: Tensor, values: Tensor) -> None:
    """Set all elements to those of another tensor."""
    array.copy_(values)


def fill(array: Tensor, value: float, halves: bool) -> None:
    """Set all elements to a number."""
    array.fill_(value)

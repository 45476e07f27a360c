"""Gradients in the form that optimizers of lrkern take: in the memory order of their parameters, or rows."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from lrkern.torch.memory import Memory
from lrkern.torch.tensors import plain


class Fitted(NamedTuple):
    """A gradient that an optimizer can read."""

    array: Any
    """An array like the parameter; or rows, a pair (indices, values)."""
    tensor: Tensor
    """The tensor whose memory it is."""
    is_copy: bool
    """Whether to write zeros there does not clear the gradient: it is a copy, or rows, which would stay among those to come."""


def fitted(where: str, name: str, param: Tensor, grad: Tensor, memory: Memory) -> Fitted:
    """A gradient as an array or rows of `lrkern`; in the memory order of its parameter, if need be a copy.

    Raises:
        TypeError, ValueError: it has another shape, layout or device.
    """
    if grad.device != param.device:
        raise ValueError(f"{where}: the {name} must be on {param.device} like it; got one on {grad.device}")
    if grad.layout is torch.sparse_coo:
        grad = grad.coalesce()
        if grad.sparse_dim() != 1:
            raise ValueError(f"{where}: the {name} must have 1 sparse dimension, or be dense; got one with {grad.sparse_dim()}")
        values = grad.values().detach().contiguous()
        return Fitted((memory.rows(where, name, grad.indices()[0]), memory.array(where, name, values)), values, True)
    if grad.layout is not torch.strided:
        raise TypeError(f"{where}: the {name} must be dense or sparse COO; got {grad.layout!s}")
    is_conj = grad.is_conj()
    if grad.is_complex():
        grad = torch.view_as_real(grad.detach().resolve_conj())
    grad, like = plain(grad).detach(), plain(param)
    if grad.shape != like.shape:
        raise ValueError(f"{where}: the {name} must have shape {tuple(like.shape)}; got {tuple(grad.shape)}")
    is_copy = grad.stride() != like.stride() or grad.is_neg()
    if is_copy:
        grad = torch.empty_like(like.detach(), dtype=grad.dtype).copy_(grad)
    return Fitted(memory.array(where, name, grad), grad, is_copy or is_conj)


@torch.no_grad()
def clear(param: Tensor) -> None:
    """Set a gradient to zero, one of rows to one without rows."""
    grad = param.grad
    assert grad is not None
    if grad.layout is torch.strided and any(step == 0 and n > 1 for n, step in zip(grad.shape, grad.stride(), strict=True)):
        param.grad = torch.zeros_like(grad)  # torch writes to no expanded tensor
    else:
        grad.zero_()

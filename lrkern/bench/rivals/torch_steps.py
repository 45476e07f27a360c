"""Optimizer steps of torch, over the memory of NumPy arrays, with as many threads as lrkern has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

import lrkern as lk
from lrkern.bench.rivals.peers import module

Floats = NDArray[Any]
FUSED, FOREACH = "torch fused", "torch foreach"


def optimizer(rule: str, params: list[Floats], grads: list[Floats], kind: str, options: dict[str, Any]) -> Any:
    """An optimizer of torch.optim, ready to step. `kind`: `FUSED` or `FOREACH`."""
    torch = module("torch")
    torch.set_num_threads(lk.get_threads())
    tensors = [torch.from_numpy(param) for param in params]
    for tensor, grad in zip(tensors, grads, strict=True):
        tensor.grad = torch.from_numpy(grad)
    return getattr(torch.optim, rule)(tensors, fused=kind == FUSED, foreach=kind == FOREACH, **options)


def sequence(param: Floats, grad: Floats, average: Floats, options: dict[str, Any], decay: float) -> Callable[[], None]:
    """Unscale and check, clip by norm, SGD, average of the parameters, zero_grad: a function for one step."""
    torch = module("torch")
    made = optimizer("SGD", [param], [grad], FUSED, options)
    tensors = made.param_groups[0]["params"]
    averages = [torch.from_numpy(average)]
    found, inverse = torch.zeros(1), torch.full((1,), 0.5)

    def step() -> None:
        grads = [tensor.grad for tensor in tensors]
        found.zero_()
        torch._amp_foreach_non_finite_check_and_unscale_(grads, found, inverse)
        torch.nn.utils.clip_grad_norm_(tensors, 1.0)
        if not found.item():
            made.step()
            torch._foreach_lerp_(averages, tensors, 1 - decay)
        made.zero_grad(set_to_none=False)

    return step

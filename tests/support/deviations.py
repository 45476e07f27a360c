"""What the sections of docs/implementations.md are computed with: a registry of them, and steps from a few numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import implementations as packages
import numpy as np
from implementations import Array, Maker, installed

import lrkern as lk

Rows = dict[str, Array | str]
"""Who, and the parameters after the steps."""
SECTIONS: dict[str, Callable[[], Rows]] = {}
"""The sections of the page in order: title, and what computes its table."""


def section(title: str) -> Callable[[Callable[[], Rows]], Callable[[], Rows]]:
    """Decorates what computes the table of a section of docs/implementations.md."""

    def add(function: Callable[[], Rows]) -> Callable[[], Rows]:
        SECTIONS[title] = function
        return function

    return add


def arrays(values: Iterable[Any]) -> list[Array]:
    """Numbers, or lists of them, as arrays."""
    return [np.atleast_1d(np.array(one, float)) for one in values]


def theirs(maker: Maker, p: Any, grads: Iterable[Any], dtype: str = "f8") -> Array:
    """The parameters after steps of another package."""
    step = maker([np.atleast_1d(np.array(p, dtype))])
    for g in arrays(grads):
        (p,) = step([g.astype(dtype)])
    return np.array(p, float)


def ours(name: str, p: Any, grads: Iterable[Any], **options: Any) -> Array:
    params = arrays([p])
    opt = getattr(lk, name)(params, **options)
    for g in arrays(grads):
        opt.step([g])
    return params[0]


def at_rates(make: Callable[..., Any], rates: list[float], p: Any, grads: Iterable[Any], **options: Any) -> Array:
    """Steps of an optimizer like torch's, with another learning rate at each."""
    torch = installed("torch")
    parameter = torch.nn.Parameter(torch.from_numpy(arrays([p])[0]))
    optimizer = make([parameter], lr=rates[0], **options)
    for rate, g in zip(rates, arrays(grads), strict=True):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = torch.from_numpy(g)
        optimizer.step()
    return np.array(parameter.detach())


def of_torch(name: str, **options: Any) -> Maker:
    return packages.of_torch(getattr(installed("torch").optim, name), **options)


def of_optax(name: str, *args: Any, **options: Any) -> Maker:
    return packages.of_optax(getattr(installed("optax"), name), *args, **options)


def of_keras(name: str, *args: Any, **options: Any) -> Maker:
    return packages.of_keras(getattr(installed("keras").optimizers, name), *args, **options)


def of_timm(module: str, name: str, **options: Any) -> Maker:
    return packages.of_torch(getattr(packages.timm(module), name), **options)


def of_kozistr(name: str, **options: Any) -> Maker:
    return packages.of_torch(getattr(installed("pytorch_optimizer"), name), **options)


def of_bitsandbytes(name: str, **options: Any) -> Maker:
    return packages.of_torch(getattr(installed("bitsandbytes").optim, name), **options)


def average(previous: Any, beta: float, x: Any) -> Any:
    return beta * previous + (1 - beta) * x


def norm(x: Array) -> float:
    return float(np.sqrt(np.sum(x * x)))

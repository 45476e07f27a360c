"""Every optimizer comes down to the minimum of a quadratic and of Rosenbrock's function: `cases.DESCENTS` says how."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cases
import numpy as np
import pytest

import lrkern as lk

Array = np.ndarray[Any, Any]

TARGET = np.array([3.0, -2.0, 0.5, 1.0])
CURVATURE = np.array([0.5, 1.0, 3.0, 10.0])


def quadratic(p: Array) -> tuple[float, Array]:
    d = p - TARGET
    return float(np.sum(CURVATURE * d * d) / 2), CURVATURE * d


def rosenbrock(p: Array) -> tuple[float, Array]:
    x, y = p
    slope = y - x * x
    return float((1 - x) ** 2 + 100 * slope**2), np.array([-2 * (1 - x) - 400 * x * slope, 200 * slope])


# name -> function, start, what is left of its value there
FUNCTIONS: dict[str, tuple[Callable[[Array], tuple[float, Array]], list[float], float]] = {
    "quadratic": (quadratic, [0.0, 0.0, 0.0, 0.0], 1e-9),
    "rosenbrock": (rosenbrock, [-1.2, 1.0], 3e-4),
}


def test_every_optimizer_is_in_the_table() -> None:
    optimizers = {
        one for one in lk.__all__ if isinstance(getattr(lk, one), type) and issubclass(getattr(lk, one), lk.Optimizer)
    }
    assert set(cases.DESCENTS) == optimizers - {"Optimizer"}


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", cases.DESCENTS)
def test_comes_down(name: str, function: str, dtype: str) -> None:
    options, lr, steps = cases.DESCENTS[name]
    value_and_gradient, start, left = FUNCTIONS[function]
    p = np.array(start, dtype)
    first, g = value_and_gradient(p)
    opt = getattr(lk, name)([p], lr=lk.cosine(lr, 0.0, steps), **options)
    bound = g.astype(dtype)
    opt.bind([bound])
    for _ in range(steps):
        bound[...] = value_and_gradient(p)[1]
        opt.step()
    assert value_and_gradient(p)[0] <= left * first


@pytest.mark.parametrize("name", cases.DESCENTS)
def test_maximize_goes_up(name: str) -> None:
    """The steps of -f upwards are those of f downwards, to the last bit."""
    options, lr, _ = cases.DESCENTS[name]
    down, up = (np.array([-1.2, 1.0]) for _ in range(2))
    one, other = getattr(lk, name)([down], lr=lr, **options), getattr(lk, name)([up], lr=lr, **options, maximize=True)
    for _ in range(50):
        g = rosenbrock(down)[1]
        one.step([g])
        other.step([-g])
    assert down.tobytes() == up.tobytes()
    assert np.all(down != [-1.2, 1.0])

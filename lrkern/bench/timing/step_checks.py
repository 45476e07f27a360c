"""Checks of optimizer steps before timing: a float64 reference, exact fused steps, equal bits on all instruction sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lrkern as lk
from lrkern.bench.timing import checks

Floats = NDArray[Any]

STEPS = 3
TORCH_ULP = 16  # after three steps of float32, in ULP of the largest value
OURS_ULP = 2


def reference(rule: str, param: Floats, grad: Floats, options: dict[str, Any]) -> Floats:
    """The parameters after three steps of SGD with momentum, Adam or AdamW, in float64."""
    p, g = param.astype(np.float64), grad.astype(np.float64)
    first, second = np.zeros_like(p), np.zeros_like(p)
    lr, decay = options["lr"], options.get("weight_decay", 0.0)
    for n in range(1, STEPS + 1):
        if rule == "SGD":
            first = options["momentum"] * first + g if n > 1 else g
            p = p - lr * first
            continue
        p = p - lr * decay * p
        first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
        p = p - lr * (first / (1 - 0.9**n)) / (np.sqrt(second / (1 - 0.999**n)) + 1e-8)
    return p


def follows(rule: str, options: dict[str, Any], build: Callable[[Floats, Floats], Callable[[], object]], ulps: int) -> None:
    """Check three steps of small arrays: build(param, grad) gives a function that updates `param` in place."""
    rng = np.random.default_rng(7)
    param, grad = (rng.random(1003, np.float32) + np.float32(0.5) for _ in range(2))
    expected = reference(rule, param, grad, options)
    step = build(param, grad)
    for _ in range(STEPS):
        step()
    checks.alike(expected, param, ulps, f"{rule}, parameters after {STEPS} steps")


def same_everywhere(build: Callable[[int], tuple[Any, list[Floats]]]) -> None:
    """Check an optimizer, built with its arrays by build(n): all ISAs must give the same bits, and change them."""
    outcomes = set()
    for isa in lk.isas():
        optimizer, arrays = build(10_007)
        before = [array.copy() for array in arrays]
        with lk.use_isa(isa):
            for _ in range(STEPS):
                optimizer.step(grad_scale=2.0)
        if not any(np.any(array != old) for array, old in zip(arrays, before, strict=True)):
            raise checks.WrongResult("the step changed nothing")
        outcomes.add(b"".join(array.tobytes() for array in arrays))
    if len(outcomes) != 1:
        raise checks.WrongResult("the steps of two instruction sets differ")


def sgd_exactly(param: Floats, grad: Floats, buffer: Floats, lr: float, momentum: float, step: Callable[[], object]) -> None:
    """Check that `step` changes every part of the arrays exactly as the formula says."""
    n, width = param.size, min(param.size, 10_000)
    for begin in (0, (n - width) // 2, n - width):
        part = slice(begin, begin + width)
        before = param[part].copy(), grad[part].copy(), buffer[part].copy()
        expected, fresh = checks.sgd(*before, lr, momentum)
        step()
        checks.same_bits(param[part], expected, "param")
        checks.same_bits(buffer[part], fresh, "momentum buffer")
        checks.same_bits(grad[part], before[1], "grad")
        if np.count_nonzero(param[part] != before[0]) < width // 2:
            raise checks.WrongResult("the step hardly changed a parameter")

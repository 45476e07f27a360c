"""The fused step: one large tensor, a list of small ones, one small one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lrkern as lk
from bench import checks, limits, peers
from bench.race import Contestant, Race, repeated
from bench.rows import Row
from bench.sizes import Sizes

Floats = NDArray[np.float32]

LR = 0.01
MOMENTUM = 0.9
SMALL = 64  # elements of a small tensor
SINGLE = 1000


def values(n: int, seed: int) -> Floats:
    """Random float32 numbers, none of them tiny."""
    out = np.random.default_rng(seed).random(n, np.float32)
    out += np.float32(0.5)
    return out


def check_step(sizes: Sizes, param: Floats, grad: Floats, buffer: Floats, step: Callable[[], object]) -> None:
    """`step` changes every part of the arrays exactly as the formula says."""
    n, width = param.size, min(param.size, 10_000)
    for begin in (0, (n - width) // 2, n - width):
        part = slice(begin, begin + width)
        before = param[part].copy(), grad[part].copy(), buffer[part].copy()
        expected, fresh = checks.sgd(*before, LR, MOMENTUM)
        step()
        checks.same_bits(param[part], expected, "param")
        checks.same_bits(buffer[part], fresh, "momentum buffer")
        checks.same_bits(grad[part], before[1], "grad")
        if np.count_nonzero(param[part] != before[0]) < width // 2:
            raise checks.WrongResult("the step hardly changed a parameter")


def numpy_step(params: list[Floats], grads: list[Floats], buffers: list[Floats]) -> Callable[[], None]:
    """In place, with one scratch array per tensor."""
    scratch = [np.ones_like(param) for param in params]

    def step() -> None:
        for param, grad, buffer, work in zip(params, grads, buffers, scratch, strict=True):
            np.multiply(buffer, np.float32(MOMENTUM), out=buffer)
            np.add(buffer, grad, out=buffer)
            np.multiply(buffer, np.float32(LR), out=work)
            np.subtract(param, work, out=param)

    return step


def loop_step(n: int) -> Callable[[], None]:
    """A loop over lists of Python floats."""
    param, grad, buffer = (values(n, seed).tolist() for seed in (1, 2, 3))

    def step() -> None:
        for i in range(n):
            buffer[i] = MOMENTUM * buffer[i] + grad[i]
            param[i] -= LR * buffer[i]

    return step


def race_large(case: str, sizes: Sizes) -> Race:
    """One tensor far larger than the caches, against the memory traffic of the step."""
    n, threads = sizes.elements, lk.get_threads()
    param, grad, buffer = (values(n, seed) for seed in (1, 2, 3))
    ghosts = param.copy(), grad.copy(), buffer.copy()  # the limit leaves no numbers behind

    def step() -> None:
        lk.sgd_step(param, grad, buffer, lr=LR, momentum=MOMENTUM)

    rival = Contestant("bare streams", lambda: limits.sgd_streams(*ghosts, threads), n)
    return Race(Contestant("lrkern", step, n), [rival], sizes.rounds, lambda: check_step(sizes, param, grad, buffer, step))


def race_large_peers(case: str, sizes: Sizes) -> Race:
    """The same against what one writes without lrkern, on the same arrays."""
    n = sizes.elements
    param, grad, buffer = (values(n, seed) for seed in (1, 2, 3))

    def step() -> None:
        lk.sgd_step(param, grad, buffer, lr=LR, momentum=MOMENTUM)

    rivals = [
        Contestant("NumPy", numpy_step([param], [grad], [buffer]), n),
        Contestant("Python loop", loop_step(sizes.loop_elements), sizes.loop_elements),
    ]
    if peers.module("numba"):
        naive = peers.numba_sgd()
        rate, momentum = np.float32(LR), np.float32(MOMENTUM)  # a float would make Numba compute in float64
        rivals.append(Contestant("Numba loop", lambda: naive(param, grad, buffer, rate, momentum), n))
    rivals += torch_rivals([param], [grad], n)
    return Race(Contestant("lrkern", step, n), rivals, sizes.slow_rounds, lambda: check_step(sizes, param, grad, buffer, step))


def torch_rivals(params: list[Floats], grads: list[Floats], units: float, repeats: int = 1) -> list[Contestant]:
    """torch's fused SGD and its foreach one, on the same arrays, with buffers of their own; none without torch."""
    if not peers.module("torch"):
        return []
    peers.set_threads(lk.get_threads())
    return [
        Contestant(f"torch {kind}", repeated(optimizer.step, repeats), units * repeats)
        for kind, optimizer in (
            (kind, peers.torch_sgd(params, grads, fused=kind == "fused", lr=LR, momentum=MOMENTUM))
            for kind in ("fused", "foreach")
        )
    ]


def race_list(case: str, sizes: Sizes) -> Race:
    """`SGD.step` over a list of tensors, gradients bound: per step of the whole list."""
    count, size = (sizes.tensors, SMALL) if case == "many small" else (1, SINGLE)
    params: list[Floats] = [values(size, i) for i in range(count)]
    grads: list[Floats] = [values(size, count + i) for i in range(count)]
    buffers: list[Floats] = [values(size, 2 * count + i) for i in range(count)]
    optimizer: Any = lk.SGD(params, LR, momentum=MOMENTUM)
    optimizer.bind(grads)

    def check() -> None:
        mirror = [(p.copy(), g.copy()) for p, g in zip(params, grads, strict=True)]
        optimizer.step()
        optimizer.step()
        for (p, g), result in zip(mirror, params, strict=True):
            p = checks.fma(np.float32(-LR), g, p)  # the first step's buffer is the gradient
            expected, _ = checks.sgd(p, g, g, LR, MOMENTUM)
            checks.same_bits(result, expected, case)

    repeats = sizes.repeats
    rivals = [Contestant("NumPy", repeated(numpy_step(params, grads, buffers), repeats), repeats)]
    rivals += torch_rivals(params, grads, 1, repeats)
    return Race(Contestant("lrkern", repeated(optimizer.step, repeats), repeats), rivals, sizes.rounds, check)


ROWS = [
    Row("sgd", ("float32, momentum",), race_large),
    Row("sgd-peers", ("float32, momentum",), race_large_peers),
    Row("sgd-list", ("many small", "one small"), race_list),
]

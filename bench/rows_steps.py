"""The fused step: one large tensor, a list of small ones, one small one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lrkern as lk
from bench import checks, limits, peers
from bench.race import Contestant, Race, repeated
from bench.row import Row
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
    """Check that `step` changes every part of the arrays exactly as the formula says."""
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
    ghosts = param.copy(), grad.copy(), buffer.copy()  # the limit overwrites the data

    def step() -> None:
        lk.sgd_step(param, grad, buffer, lr=LR, momentum=MOMENTUM)

    rival = Contestant("bare streams", lambda: limits.sgd_streams(*ghosts, threads), n)
    return Race(Contestant("lrkern", step, n), [rival], sizes.rounds, lambda: check_step(sizes, param, grad, buffer, step))


def race_large_peers(case: str, sizes: Sizes) -> Race:
    """The same against hand-written code, on the same arrays."""
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
    """torch's fused and foreach SGD, on the same arrays, with their own buffers; empty without torch."""
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


def check_twin(build: Callable[[int], tuple[Any, list[NDArray[Any]]]]) -> None:
    """Check an optimizer, built with its arrays by build(n): all ISAs must give the same bits, and change them."""
    outcomes = set()
    for isa in lk.isas():
        optimizer, arrays = build(10_007)
        before = [array.copy() for array in arrays]
        with lk.use_isa(isa):
            for _ in range(3):
                optimizer.step(grad_scale=2.0)
        if not any(np.any(array != old) for array, old in zip(arrays, before, strict=True)):
            raise checks.WrongResult("the step changed nothing")
        outcomes.add(b"".join(array.tobytes() for array in arrays))
    if len(outcomes) != 1:
        raise checks.WrongResult("the steps of two instruction sets differ")


def race_adamw(case: str, sizes: Sizes) -> Race:
    """One large tensor, against the memory traffic of the step and torch."""
    n, threads = sizes.elements, lk.get_threads()

    def build(n: int) -> tuple[Any, list[NDArray[Any]]]:
        param, grad = values(n, 1), values(n, 2)
        optimizer: Any = lk.AdamW([param], 1e-3)
        optimizer.bind([grad])
        return optimizer, [param]

    optimizer, _ = build(n)
    ghosts = param, grad, mean, square = [values(n, seed) for seed in range(4)]
    rivals = [Contestant("bare streams", lambda: limits.adam_streams(param, grad, mean, square, threads), n)]
    if peers.module("torch"):
        peers.set_threads(threads)
        rivals.append(Contestant("torch fused", peers.torch_adamw(ghosts[:1], ghosts[1:2], fused=True, lr=1e-3).step, n))
    return Race(Contestant("lrkern", optimizer.step, n), rivals, sizes.rounds, lambda: check_twin(build))


def race_pipeline(case: str, sizes: Sizes) -> Race:
    """Unscale, check, clip by norm, momentum, average, zero: one call against torch's sequence."""
    n = sizes.elements

    def build(n: int) -> tuple[Any, list[NDArray[Any]]]:
        param, grad = values(n, 1), values(n, 2)
        optimizer: Any = lk.SGD([param], LR, momentum=MOMENTUM, clip_norm=1.0, skip_nonfinite=True, ema=0.999, zero_grad=True)
        optimizer.bind([grad])
        return optimizer, [param, grad]

    optimizer, _ = build(n)
    threads = lk.get_threads()
    param, grad, buffer, average = [values(n, seed) for seed in range(4)]
    rivals = [Contestant("bare streams", lambda: limits.pipeline_streams(param, grad, buffer, average, threads), n)]
    if peers.module("torch"):
        peers.set_threads(threads)
        theirs = peers.torch_sequence(values(n, 1), values(n, 2), values(n, 1), LR, MOMENTUM, 0.999)
        rivals.append(Contestant("torch sequence", theirs, n))
    return Race(
        Contestant("lrkern", lambda: optimizer.step(grad_scale=2.0), n), rivals, sizes.slow_rounds, lambda: check_twin(build)
    )


def race_split(case: str, sizes: Sizes) -> Race:
    """bfloat16 parameters with 16 extra bits, bfloat16 gradients and momentum, against the float32 step."""
    n = sizes.elements

    def build(n: int) -> tuple[Any, list[NDArray[Any]]]:
        param, grad = ((values(n, seed).view(np.uint32) >> 16).astype(np.uint16) for seed in (1, 2))
        optimizer: Any = lk.SGD(
            [param], LR, momentum=MOMENTUM, rounding="split", state_dtype="bfloat16", uint16_as_bfloat16=True
        )
        optimizer.bind([grad])
        return optimizer, [param]

    optimizer, _ = build(n)
    full: Any = lk.SGD([values(n, 1)], LR, momentum=MOMENTUM)
    full.bind([values(n, 2)])
    rivals = [Contestant("float32 step", full.step, n)]
    return Race(Contestant("lrkern", optimizer.step, n), rivals, sizes.rounds, lambda: check_twin(build))


def resnet_like() -> list[int]:
    """Sizes of 161 tensors, about a million elements in total: many small vectors, a few large matrices."""
    vectors = [16 << (i % 4) for i in range(107)]
    matrices = [1024 << (i % 5) for i in range(53)]
    return [*vectors, *matrices, 500_000]


def race_resnet(case: str, sizes: Sizes) -> Race:
    """`SGD.step` over the tensors of a small residual network, per step of the whole list."""
    params: list[Floats] = [values(size, i) for i, size in enumerate(resnet_like())]
    grads: list[Floats] = [values(size, 500 + i) for i, size in enumerate(resnet_like())]

    def build(n: int) -> tuple[Any, list[NDArray[Any]]]:
        mine = [values(size, i) for i, size in enumerate(resnet_like())]
        optimizer: Any = lk.SGD(mine, LR, momentum=MOMENTUM)
        optimizer.bind(grads)
        return optimizer, [*mine]

    optimizer: Any = lk.SGD(params, LR, momentum=MOMENTUM)
    optimizer.bind(grads)
    repeats = sizes.repeats
    rivals = torch_rivals([one.copy() for one in params], grads, 1, repeats)
    return Race(
        Contestant("lrkern", repeated(optimizer.step, repeats), repeats), rivals, sizes.rounds, lambda: check_twin(build)
    )


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
    Row("sgd-resnet", ("161 tensors",), race_resnet),
    Row("adamw", ("float32",), race_adamw),
    Row("pipeline", ("float32",), race_pipeline),
    Row("split", ("bfloat16",), race_split),
]

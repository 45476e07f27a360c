"""Large steps: the function `sgd_step`, hand-written rivals, the whole pipeline, 16-bit storage, one thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lrkern as lk
from lrkern.bench.rivals import limits, peers, torch_steps
from lrkern.bench.rows.arrays import OPTIONS, WRITTEN, turns, values
from lrkern.bench.rows.lists import of_numpy
from lrkern.bench.rows.optimizers import bare, of_torch, our_step
from lrkern.bench.timing import step_checks
from lrkern.bench.timing.race import Contestant, Race
from lrkern.bench.timing.result import SUBJECT
from lrkern.bench.timing.row import Contest, Row
from lrkern.bench.timing.sizes import Sizes
from lrkern.bench.timing.threads import one_thread

LR, MOMENTUM = OPTIONS["SGD"]["lr"], OPTIONS["SGD"]["momentum"]
PIPELINE: dict[str, Any] = {"clip_norm": 1.0, "skip_nonfinite": True, "ema": 0.999, "zero_grad": True}
TEMPERATE = 2**18  # elements of a step in the caches of one core


def function(n: int) -> Contestant:
    """`sgd_step` on one tensor."""
    param, grad, buffer = (values(n, seed) for seed in (1, 2, 3))

    def step() -> None:
        lk.sgd_step(param, grad, buffer, lr=LR, momentum=MOMENTUM)

    return Contestant(SUBJECT, step, n, check=lambda: step_checks.sgd_exactly(param, grad, buffer, LR, MOMENTUM, step))


def race_large(case: str, sizes: Sizes) -> Race:
    """One tensor far larger than the caches, against the memory traffic of the step."""
    n = sizes.elements
    return Race(function(n), [bare("SGD", n, n, 1)[limits.STREAMS]()], sizes.rounds)


def python_loop(n: int) -> Contestant:
    """A loop over lists of Python floats."""
    param, grad, buffer = (values(n, seed).tolist() for seed in (1, 2, 3))

    def step() -> None:
        for i in range(n):
            buffer[i] = MOMENTUM * buffer[i] + grad[i]
            param[i] -= LR * buffer[i]

    return Contestant("Python loop", step, n)


def numba_loop(n: int) -> Contestant:
    """The naive loop over arrays, compiled."""
    naive = peers.numba_sgd()
    param, grad, buffer = (values(n, seed) for seed in (1, 2, 3))
    rate, momentum = np.float32(LR), np.float32(MOMENTUM)  # a float would make Numba compute in float64
    return Contestant("Numba loop", lambda: naive(param, grad, buffer, rate, momentum), n)


def peers_entries(case: str, sizes: Sizes) -> dict[str, Callable[[], Contestant]]:
    """The same against hand-written code and torch."""
    n = sizes.elements
    entries: dict[str, Callable[[], Contestant]] = {
        SUBJECT: partial(function, n),
        "NumPy": partial(of_numpy, [n], n, 1),
        "Python loop": partial(python_loop, sizes.loop_elements),
    }
    if peers.available("numba"):
        entries["Numba loop"] = partial(numba_loop, n)
    if peers.available("torch"):
        entries |= {kind: partial(of_torch, kind, "SGD", [n], n, 1) for kind in (torch_steps.FUSED, torch_steps.FOREACH)}
    return entries | bare("SGD", n, n, 1)


def our_pipeline(n: int) -> Contestant:
    """Unscale, check, clip by norm, momentum, average, zero: one call."""

    def build(n: int) -> tuple[Any, list[NDArray[Any]]]:
        param, grad = values(n, 1), values(n, 2)
        optimizer: Any = lk.SGD([param], **OPTIONS["SGD"], **PIPELINE)
        optimizer.bind([grad])
        return optimizer, [param, grad]

    optimizer, _ = build(n)
    return Contestant(SUBJECT, lambda: optimizer.step(grad_scale=2.0), n, check=lambda: step_checks.same_everywhere(build))


def pipeline_streams(n: int) -> Contestant:
    """Its memory traffic, the norm included."""
    arrays = [values(n, seed) for seed in range(4)]
    param, grad, buffer, average = arrays
    threads = lk.get_threads()
    return Contestant(limits.STREAMS, lambda: limits.pipeline_streams(param, grad, buffer, average, threads), n)


def pipeline_of_torch(n: int) -> Contestant:
    """The same as a sequence of calls."""
    step = torch_steps.sequence(values(n, 1), values(n, 2), values(n, 1), OPTIONS["SGD"], PIPELINE["ema"])
    return Contestant("torch sequence", step, n)


def pipeline_entries(case: str, sizes: Sizes) -> dict[str, Callable[[], Contestant]]:
    """One call against its streams and torch's sequence."""
    n = sizes.elements
    entries: dict[str, Callable[[], Contestant]] = {
        SUBJECT: partial(our_pipeline, n),
        limits.STREAMS: partial(pipeline_streams, n),
    }
    if peers.available("torch"):
        entries["torch sequence"] = partial(pipeline_of_torch, n)
    return entries


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
    full = Contestant("float32 step", our_step("SGD", [values(n, 1)], [values(n, 2)]), n)
    subject = Contestant(SUBJECT, optimizer.step, n, check=lambda: step_checks.same_everywhere(build))
    return Race(subject, [full], sizes.rounds)


def race_one_thread(case: str, sizes: Sizes) -> Race:
    """A step that fits in the caches of one core, on one thread, against its streams there."""
    n = TEMPERATE // sizes.shrink
    repeats = turns(n, 10 * sizes.repeats)
    arrays = [values(n, seed) for seed in range(WRITTEN[case] + 1)]
    bare_streams = limits.step_streams(arrays[:-1], arrays[-1], 1)
    return Race(
        Contestant(SUBJECT, our_step(case, [values(n, 1)], [values(n, 2)]), n, repeats=repeats),
        [Contestant(limits.STREAMS, bare_streams, n, repeats=repeats)],
        sizes.rounds,
        after=one_thread(),
    )


ROWS = [
    Row("sgd", ("float32, momentum",), race_large),
    Contest("sgd-peers", ("float32, momentum",), peers_entries, slow=True),
    Contest("pipeline", ("float32",), pipeline_entries, slow=True),
    Row("split", ("bfloat16",), race_split),
    Row("one-thread", ("SGD", "AdamW"), race_one_thread),
]

"""One step of every rule against its bare streams: the bytes that the rule reads and writes."""

from __future__ import annotations

from typing import Any

import numpy as np

import lrkern as lk
from lrkern.bench.rivals import limits
from lrkern.bench.rows.arrays import turns, values
from lrkern.bench.timing import checks, memory, step_checks
from lrkern.bench.timing.race import Contestant, Race
from lrkern.bench.timing.result import SUBJECT
from lrkern.bench.timing.row import Row
from lrkern.bench.timing.sizes import Sizes

OPTIONS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9}, "LARS": {"momentum": 0.9}, "ScheduleFreeRAdam": {"silent": False},
}  # fmt: skip
"""With a momentum buffer where it can be left out; with a first step that moves something."""
NORMS = ("LARS", "LAMB", "MARS", "NovoGrad", "StableAdamW")
"""Rules that need a norm or mean of a whole tensor, which takes a pass of its own."""
MEDIUM, LARGE = "4 M", "64 M"


def names() -> list[str]:
    """All optimizers of the package."""
    found = [(name, getattr(lk, name)) for name in lk.__all__]
    return [n for n, one in found if isinstance(one, type) and issubclass(one, lk.Optimizer) and one is not lk.Optimizer]


def arrays_written(optimizer: Any) -> int:
    """Arrays that a step reads and writes: the parameter and its states."""
    states = [state for state in optimizer.state_dict().values() if isinstance(state, list)]
    return 1 + sum(isinstance(state[0], np.ndarray) for state in states)


def against_streams(make: Any, n: int, repeats: int, rounds: int) -> Race:
    """make(params) gives an optimizer; one tensor of n elements."""

    def build(n: int) -> tuple[Any, list[Any]]:
        param, grad = values(n, 1), values(n, 2)
        optimizer = make([param])
        optimizer.bind([grad])
        return optimizer, [param]

    def check() -> None:
        step_checks.same_everywhere(build)

    small, _ = build(64)
    small.step()
    written = arrays_written(small)
    if written > limits.MAX_WRITTEN:
        raise checks.WrongResult(f"the streams of a step write at most {limits.MAX_WRITTEN} arrays; this one {written}")
    memory.need(2 * (written + 1) * 4 * n)
    ghosts = [values(n, seed) for seed in range(written + 1)]
    streams = limits.step_streams(ghosts[:-1], ghosts[-1], lk.get_threads())
    return Race(
        Contestant(SUBJECT, build(n)[0].step, n, repeats=repeats, check=check),
        [Contestant(limits.STREAMS, streams, n, repeats=repeats)],
        rounds,
    )


def race(case: str, sizes: Sizes) -> Race:
    """A rule, at one of two sizes."""
    name, _, size = case.partition(", ")
    n = sizes.rule_elements if size == MEDIUM else sizes.elements
    rule = getattr(lk, name)
    return against_streams(
        lambda params: rule(params, lr=1e-4, **OPTIONS.get(name, {})), n, turns(n, sizes.repeats), sizes.rounds
    )


ROWS = [Row("rule", tuple(f"{name}, {size}" for name in names() for size in (MEDIUM, LARGE)), race)]

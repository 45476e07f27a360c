"""Contestants that step a list of float32 tensors: lrkern, torch, bare streams."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import lrkern as lk
from lrkern.bench.rivals import limits, peers, torch_steps
from lrkern.bench.rows.arrays import OPTIONS, WRITTEN, Floats, tensors, values
from lrkern.bench.timing import step_checks
from lrkern.bench.timing.race import Contestant
from lrkern.bench.timing.result import SUBJECT

STREAMS_ALONE = 1 << 19  # below so many elements, starting a thread costs more than it saves


def our_step(rule: str, params: list[Floats], grads: list[Floats]) -> Callable[[], object]:
    """The step of an optimizer of lrkern, its gradients bound."""
    optimizer = getattr(lk, rule)(params, **OPTIONS[rule])
    optimizer.bind(grads)
    step: Callable[[], object] = optimizer.step
    return step


def ours(rule: str, sizes: list[int], units: float, repeats: int) -> Contestant:
    """lrkern."""

    def check() -> None:
        step_checks.follows(rule, OPTIONS[rule], lambda param, grad: our_step(rule, [param], [grad]), step_checks.OURS_ULP)

    return Contestant(SUBJECT, our_step(rule, *tensors(sizes)), units, repeats=repeats, check=check)


def of_torch(kind: str, rule: str, sizes: list[int], units: float, repeats: int) -> Contestant:
    """torch, fused or foreach."""
    options = OPTIONS[rule]

    def build(params: list[Floats], grads: list[Floats]) -> Callable[[], object]:
        step: Callable[[], object] = torch_steps.optimizer(rule, params, grads, kind, options).step
        return step

    def check() -> None:
        step_checks.follows(rule, options, lambda param, grad: build([param], [grad]), step_checks.TORCH_ULP)

    return Contestant(kind, build(*tensors(sizes)), units, repeats=repeats, check=check)


def streams(written: int, elements: int, units: float, repeats: int) -> Contestant:
    """The memory traffic of a step that reads and writes `written` arrays, and reads the gradient."""
    threads = lk.get_threads() if elements >= STREAMS_ALONE else 1
    arrays = [values(elements, seed) for seed in range(written + 1)]
    return Contestant(limits.STREAMS, limits.step_streams(arrays[:-1], arrays[-1], threads), units, repeats=repeats)


def against_torch(
    rule: str, sizes: list[int], units: float, repeats: int, kinds: tuple[str, ...]
) -> dict[str, Callable[[], Contestant]]:
    """lrkern and torch."""
    entries: dict[str, Callable[[], Contestant]] = {SUBJECT: partial(ours, rule, sizes, units, repeats)}
    if peers.available("torch"):
        entries |= {kind: partial(of_torch, kind, rule, sizes, units, repeats) for kind in kinds}
    return entries


def bare(rule: str, elements: int, units: float, repeats: int) -> dict[str, Callable[[], Contestant]]:
    """The streams of one tensor."""
    return {limits.STREAMS: partial(streams, WRITTEN[rule], elements, units, repeats)}

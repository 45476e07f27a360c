"""Parameters that are their averages for a while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lrkern.backends import Backend
from lrkern.backends.engine import StepTensors


def exchange(
    backend: Backend, where: str, averages: Sequence[Any], targets: Sequence[Any], halves: bool
) -> list[tuple[Any, Any]]:
    """Write each average to its target, as a step writes a copy. Returns (target, its elements before)."""
    pairs = [(one, target) for one, target in zip(averages, targets, strict=True) if one is not None and target is not None]
    before = [(target, backend.arrays.copy(target)) for _, target in pairs]
    sources, others = [one for one, _ in pairs], {"copy_to": [target for _, target in pairs]}

    def label(kind: str, index: int) -> str:
        return f"{'ema_params' if kind == 'param' else 'params'}[{index}]"

    made_of = StepTensors(where, label, sources, ["sgd"], [0] * len(sources), {}, others, halves=halves)
    backend.StepList(made_of).write_copies()
    return before


def put_back(backend: Backend, before: Sequence[tuple[Any, Any]]) -> None:
    """Undo `exchange`, bit by bit."""
    for target, values in before:
        backend.arrays.overwrite(target, values)

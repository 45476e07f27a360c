"""nanochat's recipe of base training: step t is the iteration of its loop."""

from __future__ import annotations

from typing import NamedTuple

from lrkern import schedules
from lrkern._checks import count, real
from lrkern.dialects._parts import counted
from lrkern.schedules.expression import Schedule, join

__all__ = ["base_train"]


class Recipe(NamedTuple):
    """What nanochat sets before each update."""

    lr_multiplier: Schedule
    momentum: Schedule
    weight_decay: Schedule


def base_train(
    num_iterations: int,
    warmup_steps: int = 40,
    warmdown_ratio: float = 0.65,
    final_lr_frac: float = 0.05,
    weight_decay: float = 0.28,
) -> Recipe:
    """Three schedules: `lr_multiplier` of every group's own rate; `momentum` and `weight_decay` of Muon.

    With N iterations, W steps of warm-up and D = round(warmdown_ratio N): lr_multiplier is (t + 1)/W before t = W, 1, and from
    t = N - D on linearly down to final_lr_frac at t = N. momentum is 0.85 + 0.12 t/400 before t = 400, 0.97, and from t = N - D
    on linearly down to 0.9. weight_decay falls along a cosine from weight_decay to 0 at t = N.

    Args:
        num_iterations: N >= 1; after step N - 1 the run is over, from t = N on all values are held.
        warmup_steps: W >= 0.
        warmdown_ratio: 0 to 1.
        final_lr_frac: any number.
        weight_decay: as the optimizer gets it, scaled for batch and horizon.

    Source: nanochat scripts/base_train.py get_lr_multiplier, get_muon_momentum, get_weight_decay (July 2026).

    >>> lr, momentum, decay = base_train(1000, warmdown_ratio=0.5)
    >>> lr(0), lr(500), lr(750), momentum(0), momentum(500), decay(500)
    (0.025, 1.0, 0.525, 0.85, 0.97, 0.14)
    """
    where = "nanochat.base_train"
    n, warmup = count(where, "num_iterations", num_iterations, low=1), count(where, "warmup_steps", warmup_steps)
    down = round(real(where, "warmdown_ratio", warmdown_ratio, low=0.0, high=1.0) * n)
    last = real(where, "final_lr_frac", final_lr_frac)
    lr = _trapezoid(counted(warmup), warmup, 1.0, n - down, last, down)
    momentum = _trapezoid(schedules.linear(0.85, 0.97, 400), 400, 0.97, n - down, 0.9, down)
    return Recipe(lr, momentum, schedules.cosine(real(where, "weight_decay", weight_decay), 0.0, n))


def _trapezoid(up: Schedule, warmup: int, top: float, at: int, end: float, steps: int) -> Schedule:
    """`up` before step `warmup`, top, and as of step `at` down to the end; where they overlap, what is left of the way down."""
    down = (schedules.linear(top, end, steps) if steps else schedules.constant(top)).shift(at - warmup)
    return join([up, down], [warmup]) if warmup else down

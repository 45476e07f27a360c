"""torchtitan's learning rate: step t is the number of calls of `lr_schedulers.step()`."""

from __future__ import annotations

from lrkern import schedules
from lrkern._checks import choice, count, real
from lrkern.dialects._parts import counted, public
from lrkern.schedules.expression import Schedule, join

_TAILS = {"linear": schedules.linear, "sqrt": schedules.one_minus_sqrt, "cosine": schedules.cosine}


def LRSchedulersContainer(
    base_lr: float,
    training_steps: int,
    warmup_steps: int = 200,
    total_steps: int | None = None,
    decay_ratio: float | None = None,
    decay_type: str = "linear",
    min_lr_factor: float = 0.0,
) -> Schedule:
    """Warm-up base_lr (t + 1)/W before t = W, base_lr, and in the last D of N steps down to the factor min_lr_factor.

    With p = (t + 1 - (N + 1 - D))/D there: base_lr (min_lr_factor + (1 - min_lr_factor) g), g = 1 - p, 1 - sqrt(p) or
    (1 + cos(pi p))/2. min_lr_factor itself would be reached at t = N, one step after the last, and is held.

    Args:
        training_steps: steps of the run, >= 1.
        warmup_steps: W >= 0; more than N count as N, as in torchtitan.
        total_steps: N >= 1, if the schedule is longer or shorter than the run; None: training_steps.
        decay_ratio: D = round(N decay_ratio), >= 0, and at most N - W, as in torchtitan; None: D = N - W.
        decay_type: "linear", "sqrt" or "cosine" for g.
        min_lr_factor: any number.

    Source: torchtitan components/optimizer/lr_scheduler.py, version 0.3.

    >>> LRSchedulersContainer(1.0, 8, warmup_steps=2, decay_ratio=0.5).table(10)
    array([0.5 , 1.  , 1.  , 1.  , 1.  , 0.75, 0.5 , 0.25, 0.  , 0.  ])
    """
    where = "torchtitan.LRSchedulersContainer"
    base_lr, steps = real(where, "base_lr", base_lr), count(where, "training_steps", training_steps, low=1)
    if total_steps is not None:
        steps = count(where, "total_steps", total_steps, low=1)
    warmup = min(count(where, "warmup_steps", warmup_steps), steps)
    decay = steps - warmup
    if decay_ratio is not None:
        decay = min(round(min(steps * real(where, "decay_ratio", decay_ratio, low=0.0), steps)), decay)
    tail = _TAILS[choice(where, "decay_type", decay_type, tuple(_TAILS))]
    low = real(where, "min_lr_factor", min_lr_factor)
    parts, starts = [schedules.constant(1.0)], []
    if warmup:
        parts.insert(0, counted(warmup))
        starts.append(warmup)
    if decay:
        parts.append(tail(1.0, low, decay).shift(-1))
        starts.append(steps + 1 - decay)
    return base_lr * join(parts, starts)


__all__ = public(globals())

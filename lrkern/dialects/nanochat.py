"""nanochat's recipes of base training, fine-tuning and reinforcement learning: step t is the iteration of the loop."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from lrkern import schedules
from lrkern._checks import count, real
from lrkern.dialects._parts import counted, held, moment, public
from lrkern.schedules.expression import Schedule, join


class Recipe(NamedTuple):
    """The values of nanochat at each update."""

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


_PAST = 1e-8  # what chat_sft adds to the progress of a warm-up


def chat_sft(
    num_iterations: int,
    grad_accum_steps: int = 1,
    init_lr_frac: float = 0.8,
    warmup_ratio: float = 0.0,
    warmdown_ratio: float = 0.5,
    final_lr_frac: float = 0.0,
) -> Recipe:
    """Three schedules: `lr_multiplier` of every group's own rate; `momentum` and `weight_decay` of Muon.

    The loop counts micro-batches, and one is fetched ahead: at update t, with A = grad_accum_steps and N = num_iterations, its
    progress is p = (1 + A (t + 1))/N. lr_multiplier is init_lr_frac times: (p + 1e-8)/warmup_ratio before p = warmup_ratio; 1
    up to p = 1 - warmdown_ratio; from there linearly down to final_lr_frac at p = 1, held. momentum is 0.85 + 0.1 t/300, then
    0.95; weight_decay is 0.

    Args:
        num_iterations: N >= 1, in micro-batches. Where nanochat takes a whole epoch, p is the share of the data that has been
            used: N is then the number of micro-batches in it.
        grad_accum_steps: A >= 1, micro-batches for each update.
        init_lr_frac: share of the rates that the optimizer is made with, any number.
        warmup_ratio, warmdown_ratio: 0 to 1. Where they overlap, the warm-up comes first.
        final_lr_frac: any number.

    Source: nanochat scripts/chat_sft.py get_lr_multiplier, get_muon_momentum (July 2026).

    >>> lr, momentum, decay = chat_sft(9, init_lr_frac=1.0)
    >>> lr.table(9).round(2)
    array([1.  , 1.  , 1.  , 0.89, 0.67, 0.44, 0.22, 0.  , 0.  ])
    >>> momentum(0), momentum(300), decay(0)
    (0.85, 0.95, 0.0)
    """
    where = "nanochat.chat_sft"
    n, each = count(where, "num_iterations", num_iterations, low=1), count(where, "grad_accum_steps", grad_accum_steps, low=1)
    scale = real(where, "init_lr_frac", init_lr_frac)
    up = real(where, "warmup_ratio", warmup_ratio, low=0.0, high=1.0)
    down = real(where, "warmdown_ratio", warmdown_ratio, low=0.0, high=1.0)
    last = real(where, "final_lr_frac", final_lr_frac)

    def reached(progress: Fraction) -> Fraction:
        """The step of that progress."""
        return (progress * n - 1) / each - 1

    lr = _warmdown(down, last, n, each, reached(Fraction(1)))
    begin = reached(Fraction(up))
    if up and begin > 0:
        rise = (schedules.line(each + 1.0, float(each)) + schedules.constant(_PAST) * n) / n / up
        at = moment(begin)
        lr = join([rise, lr.of(schedules.line(float(at), 1.0))], [at])  # which continues with the step of the loop
    return Recipe(scale * lr, schedules.linear(0.85, 0.95, 300), schedules.constant(0.0))


def _warmdown(down: float, last: float, n: int, each: int, end: Fraction) -> Schedule:
    """1, and from progress 1 - down on linearly to `last`, which is reached at step `end`."""
    if end <= 0:
        return schedules.constant(last if down else 1.0)
    if not down:
        return schedules.constant(1.0)
    rest = schedules.line(float(n - 1 - each), -float(each)) / n / down  # 1 at the beginning of the way down, 0 at its end
    way = (1.0 - schedules.constant(last)) * rest + last if last else rest
    return held(way.clip(high=1.0) if last <= 1.0 else way.clip(low=1.0), end, last)


def chat_rl(num_steps: int, init_lr_frac: float = 0.05, weight_decay: float = 0.0) -> Recipe:
    """Three schedules: `lr_multiplier` of every group's own rate; `momentum` and `weight_decay` of Muon.

    lr_multiplier is init_lr_frac (1 - t/num_steps), then 0; momentum is 0.95; weight_decay stays as given.

    Args:
        num_steps: >= 1; after step num_steps - 1 the run is over.
        init_lr_frac: share of the rates that the optimizer is made with, any number.
        weight_decay: any number.

    Source: nanochat scripts/chat_rl.py get_lr_multiplier, nanochat/gpt.py setup_optimizer (July 2026).

    >>> lr, momentum, decay = chat_rl(4, init_lr_frac=1.0)
    >>> lr.table(5), momentum(9), decay(9)
    (array([1.  , 0.75, 0.5 , 0.25, 0.  ]), 0.95, 0.0)
    """
    where = "nanochat.chat_rl"
    n, first = count(where, "num_steps", num_steps, low=1), real(where, "init_lr_frac", init_lr_frac)
    decay = real(where, "weight_decay", weight_decay)
    return Recipe(schedules.linear(first, 0.0, n), schedules.constant(0.95), schedules.constant(decay))


__all__ = public(globals())

"""Schedules shared by transformers and diffusers. `where` is the function that the user called."""

from __future__ import annotations

from fractions import Fraction

from lrkern import schedules
from lrkern._checks import count, describe, real
from lrkern.dialects._parts import called, equal_cycles, held, warmed, wave
from lrkern.schedules.expression import Schedule


class Run:
    """The arguments that they all share."""

    def __init__(self, where: str, base_lr: float, num_warmup_steps: int, num_training_steps: int = 0) -> None:
        self.where = where
        self.base_lr = real(where, "base_lr", base_lr)
        self.warmup = count(where, "num_warmup_steps", num_warmup_steps)
        self.decay = max(count(where, "num_training_steps", num_training_steps) - self.warmup, 0)

    def then(self, fall: Schedule) -> Schedule:
        """base_lr t/num_warmup_steps, then `fall` from its step 0."""
        return warmed(0.0, self.base_lr, self.warmup, fall)


def cycles(where: str, high: float, low: float, steps: int, num_cycles: float) -> Schedule:
    """low + (high - low)(1 + cos(2 pi num_cycles t/steps))/2."""
    num_cycles = real(where, "num_cycles", num_cycles, low=0.0)
    if num_cycles == 0.5:
        return wave(high, low, steps)
    if not num_cycles:
        return schedules.constant(high)
    if not 1e-9 <= num_cycles <= 1e9:
        raise ValueError(f"{where}: num_cycles must be 0, or from 1e-9 to 1e9; got {describe(num_cycles)}")
    with called(where):
        return wave(high, low, steps / (2 * Fraction(num_cycles)))


def constant(where: str, base_lr: float, num_warmup_steps: int = 0) -> Schedule:
    run = Run(where, base_lr, num_warmup_steps)
    return run.then(schedules.constant(run.base_lr))


def linear(
    where: str, base_lr: float, num_warmup_steps: int, num_training_steps: int, f_min: float = 0.0, f_max: float = 1.0
) -> Schedule:
    run = Run(where, base_lr, num_warmup_steps, num_training_steps)
    last, top = real(where, "f_min", f_min), real(where, "f_max", f_max)
    if (last, top) == (0.0, 1.0):
        return run.then(schedules.linear(run.base_lr, 0.0, run.decay))
    return run.base_lr * warmed(0.0, top, run.warmup, schedules.linear(top, last, run.decay))


def cosine(where: str, base_lr: float, num_warmup_steps: int, num_training_steps: int, num_cycles: float) -> Schedule:
    run = Run(where, base_lr, num_warmup_steps, num_training_steps)
    return run.then(cycles(where, run.base_lr, 0.0, max(run.decay, 1), num_cycles))


def hard_restarts(where: str, base_lr: float, num_warmup_steps: int, num_training_steps: int, num_cycles: int) -> Schedule:
    run = Run(where, base_lr, num_warmup_steps, num_training_steps)
    steps, times = max(run.decay, 1), count(where, "num_cycles", num_cycles, low=1, high=10_000)
    return run.then(held(equal_cycles(run.base_lr, 0.0, steps, times), steps, 0.0))


def polynomial(
    where: str, base_lr: float, num_warmup_steps: int, num_training_steps: int, lr_end: float, power: float
) -> Schedule:
    run = Run(where, base_lr, num_warmup_steps, num_training_steps)
    lr_end = real(where, "lr_end", lr_end, below=run.base_lr)
    return run.then(schedules.polynomial(run.base_lr, lr_end, run.decay, real(where, "power", power, above=0.0)))

"""The rates that ultralytics trains YOLO with: step t is the batch, counted over all epochs; in `setup_scheduler` the epoch.

With gradient accumulation (`nbs` > `batch`) only every `accumulate`-th batch is an update of the weights.
"""

from __future__ import annotations

from typing import NamedTuple

from lrkern import schedules
from lrkern._checks import count, flag, real
from lrkern.dialects._parts import public, wave
from lrkern.schedules.expression import Schedule


class Rates(NamedTuple):
    """What ultralytics sets before each batch."""

    lr: Schedule
    bias_lr: Schedule
    momentum: Schedule


def one_cycle(y1: float = 0.0, y2: float = 1.0, steps: int = 100) -> Schedule:
    """y1 + (y2 - y1)(1 - cos(pi t/steps))/2: after `steps` steps it goes back, and so on.

    Args:
        y1, y2: the ends.
        steps: >= 1.

    Source: ultralytics utils/torch_utils.py one_cycle.

    >>> one_cycle(1.0, 0.0, 4).table(6).round(4)
    array([1.    , 0.8536, 0.5   , 0.1464, 0.    , 0.1464])
    """
    where = "ultralytics.one_cycle"
    return wave(real(where, "y1", y1), real(where, "y2", y2), count(where, "steps", steps, low=1))


def _epochs(where: str, lr0: float, lrf: float, epochs: int, cos_lr: bool, batches: int | None = None) -> Schedule:
    """lr0 times the factor of the epoch; with `batches` in an epoch, by batch: the factor of the epoch that has begun."""
    lr0, lrf = real(where, "lr0", lr0), real(where, "lrf", lrf)
    steps = count(where, "epochs", epochs, low=1)
    steps = steps if batches is None else count(where, "epochs times num_batches", steps * batches)
    factor = wave(1.0, lrf, steps) if flag(where, "cos_lr", cos_lr) else schedules.linear(1.0, lrf, steps)
    return lr0 * (factor if batches is None else factor.staircase(batches))


def setup_scheduler(lr0: float = 0.01, lrf: float = 0.01, epochs: int = 100, cos_lr: bool = False) -> Schedule:
    """By epoch: lr0 (lrf + (1 - lrf) max(1 - t/epochs, 0)), or with cos_lr lr0 times a cosine from 1 to lrf.

    Args:
        lr0: the initial rate.
        lrf: the last one as a share of lr0, reached at t = epochs, after the last epoch.
        epochs: >= 1.
        cos_lr: whether `one_cycle` replaces the line.

    Source: ultralytics engine/trainer.py BaseTrainer._setup_scheduler.

    >>> setup_scheduler(1.0, 0.2, 4).table(6)
    array([1. , 0.8, 0.6, 0.4, 0.2, 0.2])
    """
    return _epochs("ultralytics.setup_scheduler", lr0, lrf, epochs, cos_lr)


def BaseTrainer(
    epochs: int = 100,
    num_batches: int = 1,
    lr0: float = 0.01,
    lrf: float = 0.01,
    momentum: float = 0.937,
    warmup_epochs: float = 3.0,
    warmup_momentum: float = 0.8,
    warmup_bias_lr: float = 0.1,
    cos_lr: bool = False,
) -> Rates:
    """By batch, three schedules: `lr`, `bias_lr` of the biases, and `momentum` (Adam's beta1).

    With f(e) the rate of epoch e = floor(t/num_batches) in `setup_scheduler`, and the first W batches a warm-up:
    lr = f(e) min(t/W, 1), bias_lr = warmup_bias_lr + (f(e) - warmup_bias_lr) min(t/W, 1), and momentum likewise from
    warmup_momentum to momentum. W = round(min(warmup_epochs, epochs - 1) num_batches).

    Args:
        epochs: >= 1.
        num_batches: batches of an epoch, >= 1: `len(trainer.train_loader)`.
        lr0, lrf, cos_lr: as in `setup_scheduler`.
        momentum, warmup_momentum: 0 to 1.
        warmup_epochs: >= 0, need not be whole.
        warmup_bias_lr: where the rate of the biases begins. With `optimizer="auto"` ultralytics sets it to 0.

    Source: ultralytics engine/trainer.py BaseTrainer._do_train, version 8.4.

    >>> rates = BaseTrainer(epochs=4, num_batches=2, lr0=1.0, warmup_epochs=1.0)
    >>> rates.lr.table(6), rates.bias_lr(0), rates.momentum(2)
    (array([0.    , 0.5   , 0.7525, 0.7525, 0.505 , 0.505 ]), 0.1, 0.937)
    """
    where = "ultralytics.BaseTrainer"
    num_batches = count(where, "num_batches", num_batches, low=1)
    target = _epochs(where, lr0, lrf, epochs, cos_lr, num_batches)
    warmup = round(min(real(where, "warmup_epochs", warmup_epochs, low=0.0), epochs - 1) * num_batches)
    first = real(where, "warmup_bias_lr", warmup_bias_lr)
    end = real(where, "momentum", momentum, low=0.0, high=1.0)
    start = real(where, "warmup_momentum", warmup_momentum, low=0.0, high=1.0)
    rise, fall = schedules.linear(0.0, 1.0, warmup), schedules.linear(first, 0.0, warmup)
    lr = target * rise if warmup else target
    return Rates(lr, lr + fall if warmup and first else lr, schedules.linear(start, end, warmup))


__all__ = public(globals())

"""How decoupled weight decay depends on the learning rate: the option `decay`."""

from __future__ import annotations

from typing import Any

import numpy as np

from lrkern import _checks
from lrkern.schedules.expression import Schedule

RELATIONS = ("coupled", "independent", "corrected")

_LONGEST = 10**7  # steps of a schedule whose largest value is looked for


def related(where: str, relation: str, lr: Any, decay: Any) -> Any:
    """The weight decay that is multiplied by lr: a number, a schedule or a function of the step.

    Raises:
        ValueError: the relation needs another lr.
    """
    if relation == "coupled" or (not callable(decay) and decay == 0):
        return decay
    if isinstance(lr, np.ndarray):
        raise ValueError(f"{where}: decay must be 'coupled', because each row has its own lr; got {relation!r}")
    if relation == "independent":
        if not callable(lr) and not callable(decay):
            return decay / lr if lr != 0 else 0.0
        return _Quotient(decay, lr)
    if not callable(lr):
        return decay
    if not isinstance(lr, Schedule) or not (isinstance(decay, Schedule) or not callable(decay)):
        wanted = "lr and weight_decay must be numbers or schedules, not functions, where decay is 'corrected'"
        raise TypeError(f"{where}: {wanted}; got {_checks.describe(lr if not isinstance(lr, Schedule) else decay)}")
    return decay * (lr * (1 / _largest(where, lr)))


class _Quotient:
    """A weight decay divided by lr, at each step; 0 while lr is 0, when nothing moves."""

    def __init__(self, decay: Any, lr: Any) -> None:
        self.decay, self.lr = decay, lr

    def __call__(self, step: int) -> float:
        lr = float(self.lr(step) if callable(self.lr) else self.lr)
        decay = float(self.decay(step) if callable(self.decay) else self.decay)
        return decay / lr if lr != 0 else 0.0


def _largest(where: str, lr: Schedule) -> float:
    steps = lr.steps
    if steps is None or steps > _LONGEST:
        wanted = f"a schedule with an end, at most {_LONGEST} steps, where decay is 'corrected' by its largest value"
        raise ValueError(f"{where}: lr must be {wanted}; got {lr!r}")
    largest = float(lr.table(steps + 1).max())
    if largest <= 0:
        raise ValueError(f"{where}: lr must be > 0 somewhere, where decay is 'corrected'; got {lr!r}")
    return largest

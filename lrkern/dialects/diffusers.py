"""The schedules of Hugging Face diffusers, which LoRA trainers use as well: step t is the number of optimizer updates done.

All are the base learning rate times a factor; `lr_end` is absolute, so call once for each group. `last_epoch` is omitted.
"""

from __future__ import annotations

from collections.abc import Callable

from lrkern import schedules
from lrkern._checks import choice, count, describe, real
from lrkern.dialects import _hugging_face as shared
from lrkern.dialects._parts import called, public
from lrkern.schedules.expression import Schedule


def get_constant_schedule(base_lr: float) -> Schedule:
    """base_lr.

    Source: diffusers get_constant_schedule.

    >>> get_constant_schedule(0.1)(1000)
    0.1
    """
    return shared.constant("diffusers.get_constant_schedule", base_lr)


def get_constant_schedule_with_warmup(base_lr: float, num_warmup_steps: int) -> Schedule:
    """base_lr t/num_warmup_steps, then base_lr.

    Args:
        num_warmup_steps: >= 0.

    Source: diffusers get_constant_schedule_with_warmup.

    >>> get_constant_schedule_with_warmup(1.0, 4).table(6)
    array([0.  , 0.25, 0.5 , 0.75, 1.  , 1.  ])
    """
    return shared.constant("diffusers.get_constant_schedule_with_warmup", base_lr, num_warmup_steps)


def get_piecewise_constant_schedule(base_lr: float, step_rules: str) -> Schedule:
    """base_lr times the factor of the first rule whose step is > t, else times the last factor.

    Args:
        step_rules: "1:10,0.1:20,0.005": 1 before step 10, 0.1 before step 20, 0.005 from there on. Steps count from the
            beginning of the run, not of the piece; their order does not matter.

    Source: diffusers get_piecewise_constant_schedule, where of two rules for one step the later one wins; here they are an
        error.

    >>> get_piecewise_constant_schedule(1.0, "1:2,0.1:4,0.01").table(6)
    array([1.  , 1.  , 0.1 , 0.1 , 0.01, 0.01])
    """
    where = "diffusers.get_piecewise_constant_schedule"
    base_lr = real(where, "base_lr", base_lr)
    wrong = f"{where}: step_rules must be factors and steps such as '1:10,0.1:20,0.005'"
    if not isinstance(step_rules, str):
        raise TypeError(f"{wrong}; got {describe(step_rules)}")
    *rules, last = step_rules.split(",")
    factors: dict[int, float] = {}
    try:
        for rule in rules:
            factor, step = rule.split(":")
            at = count(where, f"step of {rule!r} in step_rules", int(step), low=1)
            if at in factors:
                raise ValueError(f"{where}: step_rules must have one factor until step {at}; got {describe(step_rules)}")
            factors[at] = real(where, f"factor of {rule!r} in step_rules", float(factor))
        end = real(where, "last factor of step_rules", float(last))
    except ValueError as error:
        raise error if str(error).startswith(where) else ValueError(f"{wrong}; got {describe(step_rules)}") from None
    at_steps = sorted(factors)
    return base_lr * schedules.piecewise([*(factors[at] for at in at_steps), end], at_steps)


def get_linear_schedule_with_warmup(
    base_lr: float,
    num_warmup_steps: int,
    num_training_steps: int,
    last_epoch: int = -1,
    f_min: float = 0.0,
    f_max: float = 1.0,
) -> Schedule:
    """base_lr f_max t/num_warmup_steps, then base_lr (f_min + (f_max - f_min) max(0, (N - t)/(N - num_warmup_steps))).

    N = num_training_steps.

    Args:
        num_warmup_steps, num_training_steps: >= 0; the second includes the first.
        last_epoch: ignored.
        f_min, f_max: the last and the largest factor of base_lr.

    Source: diffusers get_linear_schedule_with_warmup.

    >>> get_linear_schedule_with_warmup(1.0, 2, 6).table(7)
    array([0.  , 0.5 , 1.  , 0.75, 0.5 , 0.25, 0.  ])
    """
    where = "diffusers.get_linear_schedule_with_warmup"
    return shared.linear(where, base_lr, num_warmup_steps, num_training_steps, f_min, f_max)


def get_cosine_schedule_with_warmup(
    base_lr: float, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5
) -> Schedule:
    """base_lr t/num_warmup_steps, then base_lr (1 + cos(2 pi num_cycles p))/2, p = (t - num_warmup_steps)/decay steps.

    The decay steps are num_training_steps - num_warmup_steps, at least 1. After them it rises again, as in diffusers.

    Args:
        num_warmup_steps, num_training_steps: >= 0; the second includes the first.
        num_cycles: waves, >= 0; 0.5 is one fall.

    Source: diffusers get_cosine_schedule_with_warmup.

    >>> get_cosine_schedule_with_warmup(1.0, 2, 6).table(8).round(4)
    array([0.    , 0.5   , 1.    , 0.8536, 0.5   , 0.1464, 0.    , 0.1464])
    """
    where = "diffusers.get_cosine_schedule_with_warmup"
    return shared.cosine(where, base_lr, num_warmup_steps, num_training_steps, num_cycles)


def get_cosine_with_hard_restarts_schedule_with_warmup(
    base_lr: float, num_warmup_steps: int, num_training_steps: int, num_cycles: int = 1
) -> Schedule:
    """Warm-up, then num_cycles cosines from base_lr towards 0, 0 from num_training_steps on.

    base_lr (1 + cos(pi ((num_cycles p) mod 1)))/2, p = (t - num_warmup_steps)/(num_training_steps - num_warmup_steps) < 1.

    Args:
        num_warmup_steps, num_training_steps: >= 0; the second includes the first.
        num_cycles: 1 to 10,000.

    Source: diffusers get_cosine_with_hard_restarts_schedule_with_warmup; as in transformers, products num_cycles p that floats
        round to just below an integer are exact here.

    >>> get_cosine_with_hard_restarts_schedule_with_warmup(1.0, 2, 10, 2).table(11).round(3)
    array([0.   , 0.5  , 1.   , 0.854, 0.5  , 0.146, 1.   , 0.854, 0.5  ,
           0.146, 0.   ])
    """
    where = "diffusers.get_cosine_with_hard_restarts_schedule_with_warmup"
    return shared.hard_restarts(where, base_lr, num_warmup_steps, num_training_steps, num_cycles)


def get_polynomial_decay_schedule_with_warmup(
    base_lr: float, num_warmup_steps: int, num_training_steps: int, lr_end: float = 1e-7, power: float = 1.0
) -> Schedule:
    """base_lr t/num_warmup_steps, then lr_end + (base_lr - lr_end)(1 - p)^power, then lr_end.

    p = (t - num_warmup_steps)/(num_training_steps - num_warmup_steps).

    Args:
        num_warmup_steps, num_training_steps: >= 0; the second includes the first.
        lr_end: absolute, below base_lr.
        power: > 0.

    Source: diffusers get_polynomial_decay_schedule_with_warmup, which divides by zero where both counts are equal.

    >>> get_polynomial_decay_schedule_with_warmup(1.0, 2, 6, lr_end=0.0, power=2.0).table(7)
    array([0.    , 0.5   , 1.    , 0.5625, 0.25  , 0.0625, 0.    ])
    """
    where = "diffusers.get_polynomial_decay_schedule_with_warmup"
    return shared.polynomial(where, base_lr, num_warmup_steps, num_training_steps, lr_end, power)


_WARMUP, _STEPS = "num_warmup_steps", "num_training_steps"
_NAMES: dict[str, tuple[Callable[..., Schedule], tuple[str, ...], tuple[str, ...]]] = {
    "linear": (get_linear_schedule_with_warmup, (_WARMUP, _STEPS), ()),
    "cosine": (get_cosine_schedule_with_warmup, (_WARMUP, _STEPS), ()),
    "cosine_with_restarts": (get_cosine_with_hard_restarts_schedule_with_warmup, (_WARMUP, _STEPS), ("num_cycles",)),
    "polynomial": (get_polynomial_decay_schedule_with_warmup, (_WARMUP, _STEPS), ("power",)),
    "constant": (get_constant_schedule, (), ()),
    "constant_with_warmup": (get_constant_schedule_with_warmup, (_WARMUP,), ()),
    "piecewise_constant": (get_piecewise_constant_schedule, ("step_rules",), ()),
}
"""For each name the function, the arguments that it asks for, and others that it takes."""


def get_scheduler(
    name: str,
    base_lr: float,
    step_rules: str | None = None,
    num_warmup_steps: int | None = None,
    num_training_steps: int | None = None,
    num_cycles: int = 1,
    power: float = 1.0,
) -> Schedule:
    """The schedule for base_lr that the training scripts' `--lr_scheduler` names.

    Args:
        name: "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup" or
            "piecewise_constant".
        step_rules: for "piecewise_constant".
        num_warmup_steps, num_training_steps: for those that take them.
        num_cycles: for "cosine_with_restarts"; "cosine" is one fall in any case, as in diffusers.
        power: for "polynomial", which ends at 1e-7.

    Source: diffusers get_scheduler.

    >>> get_scheduler("piecewise_constant", 1.0, "1:2,0.5").table(4)
    array([1. , 1. , 0.5, 0.5])
    """
    where = "diffusers.get_scheduler"
    given = {"step_rules": step_rules, _WARMUP: num_warmup_steps, _STEPS: num_training_steps}
    function, needed, more = _NAMES[choice(where, "name", name, tuple(_NAMES))]
    for argument in needed:
        if given[argument] is None:
            raise ValueError(f"{where}: {argument} must be given for {name!r}; got {describe(None)}")
    options = given | {"num_cycles": num_cycles, "power": power}
    with called(where):
        return function(base_lr, **{argument: options[argument] for argument in (*needed, *more)})


__all__ = public(globals())

"""The schedules of Hugging Face transformers: step t is the number of optimizer updates done.

All are the base learning rate times a factor; where a peer's end value is absolute (`lr_end`, `min_lr`) it takes the first
group's rate for every group, so call once for each group. `last_epoch` is omitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any

from lrkern import schedules
from lrkern._checks import choice, count, describe, real
from lrkern.dialects import _hugging_face as shared
from lrkern.dialects._parts import called, counted, held, public, value_errors
from lrkern.schedules.expression import Schedule, join


def get_constant_schedule(base_lr: float) -> Schedule:
    """base_lr.

    Source: transformers get_constant_schedule.

    >>> get_constant_schedule(0.1)(1000)
    0.1
    """
    return shared.constant("transformers.get_constant_schedule", base_lr)


def get_adafactor_schedule(initial_lr: float = 0.0) -> Schedule:
    """initial_lr: a place holder for the rate that Adafactor works out itself.

    Source: transformers get_adafactor_schedule, before the first update.

    >>> get_adafactor_schedule()(1000)
    0.0
    """
    return schedules.constant(real("transformers.get_adafactor_schedule", "initial_lr", initial_lr))


def get_constant_schedule_with_warmup(base_lr: float, num_warmup_steps: int) -> Schedule:
    """base_lr t/num_warmup_steps, then base_lr.

    Args:
        num_warmup_steps: >= 0.

    Source: transformers get_constant_schedule_with_warmup.

    >>> get_constant_schedule_with_warmup(10.0, 4).table(6)
    array([ 0. ,  2.5,  5. ,  7.5, 10. , 10. ])
    """
    return shared.constant("transformers.get_constant_schedule_with_warmup", base_lr, num_warmup_steps)


def get_linear_schedule_with_warmup(base_lr: float, num_warmup_steps: int, num_training_steps: int) -> Schedule:
    """base_lr t/num_warmup_steps, then base_lr max(0, (N - t)/(N - num_warmup_steps)), N = num_training_steps.

    Args:
        num_warmup_steps, num_training_steps: >= 0; the second includes the first.

    Source: transformers get_linear_schedule_with_warmup.

    >>> get_linear_schedule_with_warmup(10.0, 2, 10).table(11)
    array([ 0.  ,  5.  , 10.  ,  8.75,  7.5 ,  6.25,  5.  ,  3.75,  2.5 ,
            1.25,  0.  ])
    """
    return shared.linear("transformers.get_linear_schedule_with_warmup", base_lr, num_warmup_steps, num_training_steps)


def get_cosine_schedule_with_warmup(
    base_lr: float, num_warmup_steps: int, num_training_steps: int, num_cycles: float = 0.5
) -> Schedule:
    """base_lr t/num_warmup_steps, then base_lr (1 + cos(2 pi num_cycles p))/2, p = (t - num_warmup_steps)/decay steps.

    The decay steps are num_training_steps - num_warmup_steps, at least 1. After them it rises again, as in transformers.

    Args:
        num_warmup_steps, num_training_steps: >= 0; the second includes the first.
        num_cycles: waves, >= 0; 0.5 is one fall.

    Source: transformers get_cosine_schedule_with_warmup.

    >>> get_cosine_schedule_with_warmup(10.0, 2, 10).table(11).round(3)
    array([ 0.   ,  5.   , 10.   ,  9.619,  8.536,  6.913,  5.   ,  3.087,
            1.464,  0.381,  0.   ])
    """
    where = "transformers.get_cosine_schedule_with_warmup"
    return shared.cosine(where, base_lr, num_warmup_steps, num_training_steps, num_cycles)


def get_cosine_with_hard_restarts_schedule_with_warmup(
    base_lr: float, num_warmup_steps: int, num_training_steps: int, num_cycles: int = 1
) -> Schedule:
    """Warm-up, then num_cycles cosines from base_lr towards 0, 0 from num_training_steps on.

    base_lr (1 + cos(pi ((num_cycles p) mod 1)))/2, p = (t - num_warmup_steps)/(num_training_steps - num_warmup_steps) < 1.

    Args:
        num_warmup_steps, num_training_steps: >= 0; the second includes the first.
        num_cycles: 1 to 10,000.

    Source: transformers get_cosine_with_hard_restarts_schedule_with_warmup; the products num_cycles p that its floats round to
        just below an integer, and so to 0 instead of base_lr, are exact here.

    >>> get_cosine_with_hard_restarts_schedule_with_warmup(10.0, 2, 10, num_cycles=2).table(11).round(3)
    array([ 0.   ,  5.   , 10.   ,  8.536,  5.   ,  1.464, 10.   ,  8.536,
            5.   ,  1.464,  0.   ])
    """
    where = "transformers.get_cosine_with_hard_restarts_schedule_with_warmup"
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

    Source: transformers get_polynomial_decay_schedule_with_warmup, which divides by zero where both counts are equal.

    >>> get_polynomial_decay_schedule_with_warmup(10.0, 2, 10, lr_end=0.0, power=2.0).table(11).round(3)
    array([ 0.   ,  5.   , 10.   ,  7.656,  5.625,  3.906,  2.5  ,  1.406,
            0.625,  0.156,  0.   ])
    """
    where = "transformers.get_polynomial_decay_schedule_with_warmup"
    return shared.polynomial(where, base_lr, num_warmup_steps, num_training_steps, lr_end, power)


def get_inverse_sqrt_schedule(base_lr: float, num_warmup_steps: int, timescale: float | None = None) -> Schedule:
    """base_lr t/num_warmup_steps, then base_lr/sqrt(1 + (t - num_warmup_steps)/timescale).

    Args:
        num_warmup_steps: >= 0.
        timescale: steps, > 0; None: num_warmup_steps, or 10,000 if that is 0.

    Source: transformers get_inverse_sqrt_schedule.

    >>> get_inverse_sqrt_schedule(10.0, 2).table(7).round(3)
    array([ 0.   ,  5.   , 10.   ,  8.165,  7.071,  6.325,  5.774])
    """
    where = "transformers.get_inverse_sqrt_schedule"
    run = shared.Run(where, base_lr, num_warmup_steps)
    timescale = real(where, "timescale", (run.warmup or 10_000) if timescale is None else timescale, above=0.0)
    return run.then(schedules.inverse_sqrt(run.base_lr, timescale))


def _min_lr_wave(run: shared.Run, num_cycles: float, min_lr: float | None, min_lr_rate: float | None) -> Schedule:
    """From base_lr down to min_lr, or to base_lr min_lr_rate; one of the two is given."""
    where, steps = run.where, max(run.decay, 1)
    if (min_lr is None) == (min_lr_rate is None):
        both = "both" if min_lr is not None else "None"
        raise ValueError(f"{where}: one of min_lr and min_lr_rate must be given; got {both}")
    if min_lr is not None:
        return shared.cycles(where, run.base_lr, real(where, "min_lr", min_lr, low=0.0), steps, num_cycles)
    low = real(where, "min_lr_rate", min_lr_rate, low=0.0)
    return run.base_lr * shared.cycles(where, 1.0, low, steps, num_cycles)


def get_cosine_with_min_lr_schedule_with_warmup(
    base_lr: float,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
) -> Schedule:
    """`get_cosine_schedule_with_warmup` with a floor: min_lr + (base_lr - min_lr)(1 + cos(2 pi num_cycles p))/2.

    Args:
        num_warmup_steps, num_training_steps: >= 0; the second includes the first.
        num_cycles: waves, >= 0.
        last_epoch: ignored.
        min_lr, min_lr_rate: the floor itself, >= 0, or its ratio to base_lr; one of them.

    Source: transformers get_cosine_with_min_lr_schedule_with_warmup.

    >>> get_cosine_with_min_lr_schedule_with_warmup(10.0, 2, 10, min_lr=1.0).table(11).round(3)
    array([ 0.   ,  5.   , 10.   ,  9.657,  8.682,  7.222,  5.5  ,  3.778,
            2.318,  1.343,  1.   ])
    """
    where = "transformers.get_cosine_with_min_lr_schedule_with_warmup"
    run = shared.Run(where, base_lr, num_warmup_steps, num_training_steps)
    return run.then(_min_lr_wave(run, num_cycles, min_lr, min_lr_rate))


def get_cosine_with_min_lr_schedule_with_warmup_lr_rate(
    base_lr: float,
    num_warmup_steps: int,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
    min_lr: float | None = None,
    min_lr_rate: float | None = None,
    warmup_lr_rate: float | None = None,
) -> Schedule:
    """The same one step ahead: warm-up base_lr (t + 1)/num_warmup_steps, the floor at t = num_training_steps - 1.

    Args:
        num_warmup_steps, num_training_steps: >= 0; the second includes the first.
        num_cycles: waves, >= 0.
        last_epoch: ignored.
        min_lr, min_lr_rate: the floor itself, >= 0, or its ratio to base_lr; one of them.
        warmup_lr_rate: the warm-up runs from this ratio at t = 0 to 1 at t = num_warmup_steps - 1 instead; at t = 1 where that
            is 0.

    Source: transformers get_cosine_with_min_lr_schedule_with_warmup_lr_rate.

    >>> get_cosine_with_min_lr_schedule_with_warmup_lr_rate(10.0, 2, 10, min_lr=1.0).table(10).round(3)
    array([ 5.   , 10.   ,  9.657,  8.682,  7.222,  5.5  ,  3.778,  2.318,
            1.343,  1.   ])
    """
    where = "transformers.get_cosine_with_min_lr_schedule_with_warmup_lr_rate"
    run = shared.Run(where, base_lr, num_warmup_steps, num_training_steps)
    base_lr, warmup = run.base_lr, run.warmup
    fall = _min_lr_wave(run, num_cycles, min_lr, min_lr_rate).shift(-1)
    if warmup_lr_rate is None:
        rise = base_lr * counted(warmup)
    else:
        first = real(where, "warmup_lr_rate", warmup_lr_rate, low=0.0)
        way = (schedules.constant(1.0) - first) * schedules.line(0.0, 1.0, max(warmup - 1, 1))
        rise = base_lr * (schedules.constant(first) + way)
    return join([rise, fall], [warmup]) if warmup else fall


def get_wsd_schedule(
    base_lr: float,
    num_warmup_steps: int,
    num_decay_steps: int,
    num_training_steps: int | None = None,
    num_stable_steps: int | None = None,
    warmup_type: str = "linear",
    decay_type: str = "cosine",
    min_lr_ratio: float = 0.0,
    num_cycles: float = 0.5,
) -> Schedule:
    """Warm-up from base_lr min_lr_ratio to base_lr, base_lr, decay to base_lr min_lr_ratio.

    With p from 0 to 1 through each: warm-up p, (1 - cos(pi p))/2 or 1 - sqrt(1 - p); decay 1 - p, 1 - sqrt(p) or
    (1 + cos(2 pi num_cycles p))/2; each times 1 - min_lr_ratio, plus min_lr_ratio.

    Args:
        num_warmup_steps, num_decay_steps: >= 0.
        num_training_steps: of all three phases together.
        num_stable_steps: >= 0; may be omitted, or num_training_steps may.
        warmup_type, decay_type: "linear", "cosine" or "1-sqrt".
        min_lr_ratio: >= 0.
        num_cycles: waves of a cosine decay, >= 0.

    Source: transformers get_wsd_schedule, which warns where both are given, and takes num_stable_steps.

    >>> get_wsd_schedule(10.0, 2, 2, num_stable_steps=2, min_lr_ratio=0.1).table(7).round(4)
    array([ 1. ,  5.5, 10. , 10. , 10. ,  5.5,  1. ])
    """
    where = "transformers.get_wsd_schedule"
    base_lr, warmup = real(where, "base_lr", base_lr), count(where, "num_warmup_steps", num_warmup_steps)
    decay = count(where, "num_decay_steps", num_decay_steps)
    if num_stable_steps is None:
        if num_training_steps is None:
            raise ValueError(f"{where}: num_training_steps or num_stable_steps must be given; got None")
        steps = count(where, "num_training_steps", num_training_steps)
        if steps < warmup + decay:
            raise ValueError(f"{where}: num_training_steps must be >= {warmup + decay}, warm-up and decay; got {steps}")
        stable = steps - warmup - decay
    else:
        stable = count(where, "num_stable_steps", num_stable_steps)
        whole = warmup + stable + decay
        if num_training_steps is not None and count(where, "num_training_steps", num_training_steps) != whole:
            got = describe(num_training_steps)
            raise ValueError(f"{where}: num_training_steps must be {whole}, the sum of all phases, or omitted; got {got}")
    kinds = ("linear", "cosine", "1-sqrt")
    with value_errors():
        choice(where, "warmup_type", warmup_type, kinds)
        choice(where, "decay_type", decay_type, kinds)
    low = real(where, "min_lr_ratio", min_lr_ratio, low=0.0)
    rises: dict[str, Callable[[], Schedule]] = {
        "linear": lambda: schedules.linear(low, 1.0, warmup),
        "cosine": lambda: schedules.cosine(low, 1.0, warmup),
        "1-sqrt": lambda: schedules.polynomial(low, 1.0, warmup, 0.5),
    }
    falls: dict[str, Callable[[], Schedule]] = {
        "linear": lambda: schedules.linear(1.0, low, decay),
        "cosine": lambda: held(shared.cycles(where, 1.0, low, max(decay, 1), num_cycles), decay, low),
        "1-sqrt": lambda: schedules.one_minus_sqrt(1.0, low, decay),
    }
    parts = [rises[warmup_type](), schedules.constant(1.0), falls[decay_type]()]
    return base_lr * join(parts, [warmup, warmup + stable])


_NAMES: dict[str, tuple[Callable[..., Schedule], tuple[str, ...]]] = {
    "linear": (get_linear_schedule_with_warmup, ("num_warmup_steps", "num_training_steps")),
    "cosine": (get_cosine_schedule_with_warmup, ("num_warmup_steps", "num_training_steps")),
    "cosine_with_restarts": (
        get_cosine_with_hard_restarts_schedule_with_warmup,
        ("num_warmup_steps", "num_training_steps"),
    ),
    "polynomial": (get_polynomial_decay_schedule_with_warmup, ("num_warmup_steps", "num_training_steps")),
    "constant": (get_constant_schedule, ()),
    "constant_with_warmup": (get_constant_schedule_with_warmup, ("num_warmup_steps",)),
    "inverse_sqrt": (get_inverse_sqrt_schedule, ("num_warmup_steps",)),
    "cosine_with_min_lr": (get_cosine_with_min_lr_schedule_with_warmup, ("num_warmup_steps", "num_training_steps")),
    "cosine_warmup_with_min_lr": (
        get_cosine_with_min_lr_schedule_with_warmup_lr_rate,
        ("num_warmup_steps", "num_training_steps"),
    ),
    "warmup_stable_decay": (get_wsd_schedule, ("num_warmup_steps", "num_training_steps")),
}


def get_scheduler(
    name: str,
    base_lr: float,
    num_warmup_steps: int | None = None,
    num_training_steps: int | None = None,
    scheduler_specific_kwargs: Mapping[str, Any] | None = None,
) -> Schedule:
    """The schedule for base_lr that the trainer's `lr_scheduler_type` names.

    Args:
        name: "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup", "inverse_sqrt",
            "cosine_with_min_lr", "cosine_warmup_with_min_lr" or "warmup_stable_decay".
        num_warmup_steps, num_training_steps: for those that take them.
        scheduler_specific_kwargs: further arguments of the function.

    Source: transformers get_scheduler.

    >>> get_scheduler("cosine_with_min_lr", 10.0, 2, 10, {"min_lr": 1.0})(10)
    1.0
    """
    where = "transformers.get_scheduler"
    if isinstance(name, str) and name in ("reduce_lr_on_plateau", "greedy"):
        dialect = "torch" if name == "reduce_lr_on_plateau" else "transformers"
        raise ValueError(f"{where}: name must not be {name!r}, which follows metrics: see lrkern.plateau(dialect={dialect!r})")
    function, needed = _NAMES[choice(where, "name", name, tuple(_NAMES))]
    counts = {"num_warmup_steps": num_warmup_steps, "num_training_steps": num_training_steps}
    options = {} if scheduler_specific_kwargs is None else scheduler_specific_kwargs
    if not isinstance(options, Mapping):
        raise TypeError(f"{where}: scheduler_specific_kwargs must be a dict of arguments; got {describe(options)}")
    known = {key: one.default for key, one in signature(function).parameters.items() if key not in ("base_lr", *counts)}
    for key, value in options.items():
        if key in counts:
            raise TypeError(f"{where}: {key} must be given once; got {counts[key]} and, in scheduler_specific_kwargs, {value}")
        if key not in known:
            takes = ", ".join(known) or "no arguments"
            raise TypeError(f"{where}: scheduler_specific_kwargs of {name!r} must be {takes}; got {key!r}")
    for key in needed:
        if counts[key] is None and not (key == "num_training_steps" and "num_stable_steps" in options):
            raise ValueError(f"{where}: {key} must be given for {name!r}; got {describe(None)}")
    for key, default in known.items():
        if default is Parameter.empty and key not in options:
            raise TypeError(f"{where}: {key} must be given in scheduler_specific_kwargs for {name!r}; got {describe(None)}")
    with called(where):
        return function(base_lr, **{key: counts[key] for key in needed}, **options)


__all__ = public(globals())

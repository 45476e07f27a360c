"""The options that all optimizers have in common: their names, defaults and checks."""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple, SupportsFloat, TypedDict

import numpy as np
import numpy.typing as npt

from lrkern import _checks
from lrkern.backends.engine import StepOptions
from lrkern.optimizers import arrays as _arrays
from lrkern.optimizers.options import MAX

Hyper = SupportsFloat | Callable[[int], SupportsFloat]
"""A hyper-parameter: a number (or an array of one element), or a schedule."""


_LONGEST_WINDOW = 65536  # norms that each step looks at


class Shared(TypedDict, total=False):
    """Options of every optimizer: see `Optimizer`."""

    clip_norm: Hyper | None
    clip_per: str
    clip_value: float | None
    skip_norm: Hyper | None
    skip_sigma: Hyper | None
    skip_window: int
    skip_nonfinite: bool
    error_if_nonfinite: bool
    ema: Hyper | tuple[Hyper, ...] | None
    ema_every: int
    decay: str
    decay_mask: Any
    copy_to: Any
    norms: bool
    zero_grad: bool
    state_dtype: npt.DTypeLike | None
    rounding: str
    state_rounding: str
    seed: int
    uint16_as_bfloat16: bool
    backend: str | None


DEFAULTS: Shared = {
    "clip_norm": None,
    "clip_per": "list",
    "clip_value": None,
    "skip_norm": None,
    "skip_sigma": None,
    "skip_window": 100,
    "skip_nonfinite": False,
    "error_if_nonfinite": False,
    "ema": None,
    "ema_every": 1,
    "decay": "coupled",
    "decay_mask": None,
    "copy_to": None,
    "norms": False,
    "zero_grad": False,
    "state_dtype": None,
    "rounding": "nearest",
    "state_rounding": "stochastic",
    "seed": 0,
    "uint16_as_bfloat16": False,
    "backend": None,
}


class Checked(NamedTuple):
    """These options, checked, except for those that concern groups and arrays."""

    steps: StepOptions
    state_dtype: np.dtype[Any] | None
    halves: bool
    """Whether uint16 arrays hold bfloat16."""

    @property
    def splits(self) -> bool:
        """Whether the optimizer keeps more bits of bfloat16 parameters."""
        return self.steps.rounding == "split"


def check(cls: type, shared: Shared) -> Checked:
    """The checked options of an optimizer of this class."""
    name, given = cls.__name__, DEFAULTS | shared
    for key in shared:
        if key not in DEFAULTS:
            from lrkern.optimizers.option_names import unknown_option

            raise unknown_option(name, key, name, list(signature(cls).parameters)[1:])
    clip_per = _checks.choice(name, "clip_per", given["clip_per"], ("list", "group", "tensor"))
    clip_value = _checks.single(given["clip_value"])
    clip_value = math.inf if clip_value is None else _checks.real(name, "clip_value", clip_value, above=0.0, high=MAX)
    skip_window = _checks.count(name, "skip_window", given["skip_window"], low=2, high=_LONGEST_WINDOW)
    skip_nonfinite = _checks.flag(name, "skip_nonfinite", given["skip_nonfinite"])
    error_if_nonfinite = _checks.flag(name, "error_if_nonfinite", given["error_if_nonfinite"])
    zero_grad = _checks.flag(name, "zero_grad", given["zero_grad"])
    ema_every = _checks.count(name, "ema_every", given["ema_every"], low=1)
    norms = _checks.flag(name, "norms", given["norms"])
    halves = _checks.flag(name, "uint16_as_bfloat16", given["uint16_as_bfloat16"])
    if skip_nonfinite and error_if_nonfinite:
        wanted = "must not both be True: a step with such gradients is either skipped or an error"
        raise ValueError(f"{name}: skip_nonfinite and error_if_nonfinite {wanted}")
    rounding = _checks.choice(name, "rounding", given["rounding"], ("nearest", "stochastic", "split"))
    state_rounding = _checks.choice(name, "state_rounding", given["state_rounding"], ("stochastic", "nearest"))
    seed = _checks.count(name, "seed", given["seed"], high=2**64 - 1)
    steps = StepOptions(
        clip_value,
        clip_per,
        skip_window,
        skip_nonfinite,
        error_if_nonfinite,
        zero_grad,
        ema_every,
        norms,
        rounding,
        state_rounding,
        seed,
    )
    return Checked(steps, _arrays.state_dtype(name, given["state_dtype"], halves), halves)

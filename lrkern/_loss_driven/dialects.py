"""The dialects of `plateau` and `kl_adaptive`: each peer's arguments, their defaults, and its kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

from lrkern import _checks, _core
from lrkern._loss_driven.runs import LR, Floats, Number, PerRun


class DialectOptions(TypedDict, total=False):
    """Arguments of `plateau` that only some dialects have."""

    atol: PerRun
    accumulate: PerRun
    min_scale: PerRun
    precision: str
    max_lr: PerRun
    warmup: PerRun
    warmup_lr: PerRun
    window: int | None
    reset_start: PerRun
    begin: int
    end: int | None


_FACTOR = Number(below=1.0)
_POSITIVE_FACTOR = Number(above=0.0, below=1.0)
_COUNT = Number(whole=True)
_THRESHOLD = Number()


@dataclass(frozen=True)
class _Word:
    """One of several strings."""

    choices: tuple[str, ...]

    def check(self, where: str, name: str, value: object) -> str:
        return _checks.choice(where, name, value, self.choices)


@dataclass(frozen=True)
class _Whole:
    """An integer, the same for all runs; or None if that is the default."""

    low: int = 0

    def check(self, where: str, name: str, value: object) -> int:
        return _checks.count(where, name, value, low=self.low)


_Check = Number | _Word | _Whole
_MODE = _Word(("min", "max"))
_THRESHOLD_MODE = _Word(("rel", "abs"))
_PRECISION = _Word(("float32", "float64"))


@dataclass(frozen=True)
class Dialect:
    """A peer: its arguments with their defaults, and the kernel that reproduces it."""

    arguments: dict[str, tuple[_Check, Any]]
    rule: Callable[[dict[str, Any]], str]
    watch: Callable[[dict[str, Any]], tuple[int, float]] = field(default=lambda given: (0, np.inf))
    """The range of metrics that count: first index, and the index after the last."""
    best: float = np.inf
    """The value that the first metric must beat."""


def _suffix(given: dict[str, Any]) -> str:
    return "f32" if given["precision"] == "float32" else "f64"


TORCH: dict[str, tuple[_Check, Any]] = {
    "factor": (_FACTOR, 0.1),
    "patience": (_COUNT, 10),
    "threshold": (_THRESHOLD, 1e-4),
    "threshold_mode": (_THRESHOLD_MODE, "rel"),
    "mode": (_MODE, "min"),
    "cooldown": (_COUNT, 0),
    "min_lr": (LR, 0.0),
    "eps": (LR, 1e-8),
}
DIALECTS = {
    "torch": Dialect(TORCH, lambda given: "torch"),
    "keras": Dialect(
        {name: one for name, one in TORCH.items() if name not in ("threshold_mode", "eps")}
        | {"precision": (_PRECISION, "float32")},
        lambda given: f"keras_{_suffix(given)}",
    ),
    "optax": Dialect(
        {
            "factor": (_POSITIVE_FACTOR, 0.1),
            "patience": (_COUNT, 10),
            "threshold": (Number(high=1.0), 1e-4),
            "atol": (_THRESHOLD, 0.0),
            "cooldown": (_COUNT, 0),
            "accumulate": (Number(low=1, whole=True), 1),
            "min_scale": (LR, 0.0),
            "precision": (_PRECISION, "float32"),
        },
        lambda given: f"optax_{_suffix(given)}",
    ),
    "mmengine": Dialect(
        TORCH | {"begin": (_Whole(), 0), "end": (_Whole(), None)},
        lambda given: "torch",
        # The peer counts epochs from 1: its counter has advanced before an epoch's metric arrives.
        lambda given: (max(given["begin"] - 1, 0), np.inf if given["end"] is None else max(given["end"] - 1, 0)),
        best=1e9,
    ),
    "timm": Dialect(
        TORCH | {"mode": (_MODE, "max"), "warmup": (_Whole(), 0), "warmup_lr": (LR, 0.0)},
        lambda given: "torch",
        lambda given: (given["warmup"], np.inf),
    ),
    "transformers": Dialect(
        TORCH
        | {
            "factor": (_POSITIVE_FACTOR, 0.95),
            "threshold": (_THRESHOLD, 1e-6),
            "threshold_mode": (_THRESHOLD_MODE, "abs"),
            "min_lr": (LR, 1e-3),
            "max_lr": (LR, 1.0),
            "warmup": (_COUNT, 0),
            "window": (_Whole(1), None),
            "reset_start": (_COUNT, 500),
        },
        lambda given: "greedy" if given["window"] is None else "greedy_smooth",
    ),
    "paddle": Dialect(TORCH, lambda given: f"paddle_{given['threshold_mode']}"),
    "speechbrain": Dialect(
        {"factor": (_FACTOR, 0.5), "patience": (_COUNT, 0), "threshold": (_THRESHOLD, 0.0025)}, lambda given: "newbob"
    ),
    "speechbrain_plateau": Dialect(
        {"factor": (_FACTOR, 0.5), "patience": (_COUNT, 2), "min_lr": (LR, 1e-8), "warmup": (_COUNT, 65)},
        lambda given: "anchor",
        best=99999.0,
    ),
}
_ABOVE_ONE = Number(above=1.0)
KL_DIALECTS = {
    name: Dialect(
        {
            "threshold": (Number(above=0.0), threshold),
            "min_lr": (LR, least),
            "max_lr": (LR, 1e-2),
            "kl_factor": (Number(low=1.0), 2.0),
            "lr_factor": (_ABOVE_ONE, 1.5),
            "precision": (_PRECISION, "float32"),
        },
        lambda given, rule=rule: rule,  # type: ignore[misc]
    )
    for name, threshold, least, rule in (("skrl", 0.008, 1e-6, "kl"), ("rsl_rl", 0.01, 1e-5, "kl_positive"))
}
"""The dialects of `kl_adaptive`."""


# Names that peers have for arguments, and what to do here.
_HINTS = {
    "min_delta": "use threshold",
    "epsilon": "use threshold",
    "rtol": "use threshold",
    "improvement_threshold": "use threshold",
    "accumulation_size": "use accumulate",
    "decay_rate": "use factor",
    "patience_t": "use patience",
    "cooldown_t": "use cooldown",
    "lr_min": "use min_lr",
    "warmup_t": "use warmup",
    "warmup_lr_init": "use warmup_lr",
    "verbose": "omit it",
}


def check_arguments(
    where: str, dialects: Mapping[str, Dialect], dialect: str, start: object, options: Mapping[str, object]
) -> dict[str, Any]:
    """All arguments of the dialect, checked: arrays for per-run numbers, strings, integers."""
    _checks.choice(where, "dialect", dialect, tuple(dialects))
    arguments = dialects[dialect].arguments
    for name, value in options.items():
        if name not in arguments and value is not None:
            known, hint = ", ".join(arguments), _HINTS.get(name, "")
            hint = f": {hint}" if hint == "omit it" or hint.removeprefix("use ") in arguments else ""
            raise TypeError(f"{where}: dialect {dialect!r} has no argument {name}{hint}; it has {known}")
    given: dict[str, Any] = {"start": LR.check(where, "start", start)}
    for name, (check, default) in arguments.items():
        value = options.get(name)
        value = default if value is None else value
        given[name] = None if value is None else check.check(where, name, value)
    if dialect == "mmengine" and given["end"] is not None and given["end"] <= given["begin"]:
        raise ValueError(f"{where}: end must be larger than begin = {given['begin']}; got {_checks.describe(given['end'])}")
    if dialect == "optax" and np.any((given["threshold"] == 0) & (given["atol"] == 0)):
        raise ValueError(f"{where}: threshold or atol must be > 0 in dialect 'optax'; got 0 for both")
    return given


def kernel_params(dialect: str, given: dict[str, Any]) -> dict[str, Floats]:
    """The kernel's parameters, LRK_SCAN_PARAMS in src_c/scan/scan.h. `numba.plateau.first_state` is the compiled twin."""
    zero = np.zeros(())
    params = {name: zero if given.get(name) is None else zero + given[name] for name in _core.SCAN_PARAMS}
    threshold = given.get("threshold", zero)
    if dialect in KL_DIALECTS:
        params["slope"], params["margin"] = threshold * given["kl_factor"], threshold / given["kl_factor"]
        params["factor"] = given["lr_factor"]
        if given["precision"] == "float32":  # as in comparisons with a float32 tensor
            for name in ("slope", "margin"):
                params[name] = params[name].astype(np.float32).astype(np.float64)
        return params
    relative = dialect == "optax" or given.get("threshold_mode") == "rel"
    sign = -1.0 if given.get("mode") == "max" else 1.0
    params["slope"] = 1.0 - sign * threshold if relative else zero + 1.0
    params["margin"] = zero if relative else threshold
    if dialect == "paddle":
        params["slope"] = sign * threshold
    if dialect == "optax":
        params["margin"], params["min_lr"] = given["atol"], given["min_scale"]
        if given["precision"] == "float32":
            for name in ("slope", "margin", "min_lr", "factor"):
                params[name] = params[name].astype(np.float32).astype(np.float64)
    if dialect == "keras" and given["precision"] == "float32":
        params["start"] = params["start"].astype(np.float32).astype(np.float64)
    return params

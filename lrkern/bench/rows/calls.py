"""What a call costs: steps of one tensor of 64 elements, where the arithmetic takes almost nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lrkern as lk
from lrkern.bench.rows.arrays import OPTIONS, Floats, values
from lrkern.bench.rows.optimizers import our_step
from lrkern.bench.timing import step_checks
from lrkern.bench.timing.race import Contestant, Race
from lrkern.bench.timing.result import SUBJECT
from lrkern.bench.timing.row import Row
from lrkern.bench.timing.sizes import Sizes

ELEMENTS = 64
LR, MOMENTUM = OPTIONS["SGD"]["lr"], OPTIONS["SGD"]["momentum"]


def function() -> tuple[Callable[[], object], tuple[Floats, Floats, Floats]]:
    """`sgd_step`, whose arguments are checked in every call, and its arrays."""
    param, grad, buffer = (values(ELEMENTS, seed) for seed in (1, 2, 3))
    return lambda: lk.sgd_step(param, grad, buffer, lr=LR, momentum=MOMENTUM), (param, grad, buffer)


def bound(rule: str, **options: Any) -> Callable[[], object]:
    """The step of an optimizer with its gradients bound."""
    optimizer = getattr(lk, rule)([values(ELEMENTS, 1)], **OPTIONS[rule] | options)
    optimizer.bind([values(ELEMENTS, 2)])
    step: Callable[[], object] = optimizer.step
    return step


def scheduled() -> lk.Schedule:
    """A schedule that goes on for longer than the benchmark."""
    return lk.cosine(1e-3, 1e-5, 10**9).warmup(1000)


CALLS: dict[str, Callable[[], Callable[[], object]]] = {
    "sgd_step": lambda: function()[0],
    "SGD, bound": lambda: bound("SGD"),
    "SGD, bound, schedule": lambda: bound("SGD", lr=scheduled()),
    "AdamW, bound": lambda: bound("AdamW"),
    "AdamW, bound, schedule": lambda: bound("AdamW", lr=scheduled()),
}


def race(case: str, sizes: Sizes) -> Race:
    """One call."""

    def check() -> None:
        if case == "sgd_step":
            step, arrays = function()
            step_checks.sgd_exactly(*arrays, LR, MOMENTUM, step)
            return
        rule = case.partition(",")[0]
        step_checks.follows(rule, OPTIONS[rule], lambda param, grad: our_step(rule, [param], [grad]), step_checks.OURS_ULP)

    return Race(Contestant(SUBJECT, CALLS[case](), 1, repeats=sizes.calls // 10), [], sizes.rounds, check)


ROWS = [Row("call", tuple(CALLS), race)]

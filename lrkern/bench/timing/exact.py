"""The exact values of schedules: the tests' 60-digit twins, in a checkout with mpmath. Elsewhere there are none."""

from __future__ import annotations

import functools
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from lrkern.bench.settings import CHECKOUT, ROOT


@functools.cache
def module(name: str) -> Any:
    """A module of tests/support, or None."""
    if not CHECKOUT or find_spec("mpmath") is None:
        return None
    folder = str(ROOT / "tests" / "support")
    if folder not in sys.path:
        sys.path.append(folder)
    import_module("cases")  # enters its formulas into the oracle
    return import_module(name)


def available() -> bool:
    """Whether schedules can be compared with exact values."""
    return module("oracle") is not None


def largest_error(schedule: Any, values: Any, steps: Any) -> tuple[float, int]:
    """(ULP, step) of the largest error of a float64 table from step 0, at these steps and where the schedule has joints."""
    oracle, ulp = module("oracle"), module("ulp")
    exact = oracle.evaluate(repr(schedule))
    near = {mark + offset for mark in exact.marks for offset in (-1, 0, 1)}
    sampled = sorted({*steps, *(t for t in near if 0 <= t < len(values))})
    pairs = [exact.at_with_scale(t) for t in sampled]
    error, index = ulp.worst([values[t] for t in sampled], [p[0] for p in pairs], [p[1] for p in pairs])
    return error, sampled[index]

"""Calling a schedule with anything: numbers of all kinds, arrays, sequences; and what is refused."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrkern import _checks, _core
from lrkern._checks import MAX_COUNT, describe


def call_any(s: _core.Expression, step: Any) -> Any:
    """s(step), for anything except a plain int or float in range."""
    if isinstance(step, (bool, np.bool_)):
        raise TypeError(f"schedule: step must be a number or an array of numbers; got {describe(step)}")
    if isinstance(step, (int, np.integer)):
        return s(_in_range(int(step)))
    if isinstance(step, (np.floating, Real)):
        return s(float(_in_range(step)))
    steps = _array_of(step)
    out = np.empty(steps.size)
    with _core.hold("schedule", "step", steps):
        if steps.dtype.kind == "f":
            done = s._call_reals(np.ascontiguousarray(steps, np.float64).ravel(), out)
        else:  # unsigned steps beyond int64 become negative and are rejected as well
            done = s._call_steps(np.ascontiguousarray(steps, np.int64).ravel(), out)
        if not done:
            wrong = steps[~_are_in_range(steps)].flat[0]
            raise ValueError(f"schedule: steps must be >= 0 and <= 2^53; got {wrong}")
    return out.reshape(steps.shape)


def call_where_defined(s: _core.Expression, step: Any) -> Any:
    """s(step), but NaN for steps that are negative, beyond 2^53 or NaN, where `s` raises an error."""
    if isinstance(step, (int, np.integer)):
        return s(step) if 0 <= int(step) <= MAX_COUNT else np.nan
    steps = _array_of(step)
    valid = _are_in_range(steps)
    values = np.full(steps.shape, np.nan)
    values[valid] = s(steps[valid])
    return values


def _array_of(step: Any) -> NDArray[Any]:
    """Steps as an array of integers or floats of up to 64 bits."""
    try:
        steps = np.asarray(_checks.unmasked("schedule", "step", step))
    except ValueError:  # rows of different lengths
        steps = np.empty(1, object)
    except TypeError as error:
        if type(error).__name__ != "TracerArrayConversionError":  # of jax.errors
            raise
        wanted = "known when it is called; for a step that JAX traces, as under jit and in optax, use lrkern.jax.schedule(s)"
        raise TypeError(f"schedule: step must be {wanted}; got {describe(step)}") from None
    if steps.dtype.kind not in "iuf" or steps.dtype.itemsize > 8:
        if steps.size == 0 and not _checks.is_array(step):
            return np.empty(steps.shape)
        raise TypeError(f"schedule: step must be a number or an array of numbers; got {describe(step)} of dtype {steps.dtype}")
    return steps


def _are_in_range(steps: NDArray[Any]) -> Any:
    if steps.dtype.kind == "f":
        steps = steps.astype(np.float64)  # 2^53 is beyond float16
    return (steps >= 0) & (steps <= MAX_COUNT)


def _in_range(step: Any) -> Any:
    if not 0 <= (float(step) if isinstance(step, np.float16) else step) <= MAX_COUNT:  # 2^53 is beyond float16
        raise ValueError(f"schedule: step must be >= 0 and <= 2^53; got {describe(step)}")
    return step

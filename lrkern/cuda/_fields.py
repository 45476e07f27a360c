"""What lies where in the tables that host and kernels share, all of int64, float64 or T, one row for each tensor or group."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from lrkern.cuda._platform import device

# Rows of `tensors`: the addresses of its arrays by C's roles, then
ROLES = 8
SIZE, GROUP, WIDE, HAS_GRADIENT = range(ROLES, ROLES + 4)
TENSOR_FIELDS = ROLES + 4

# Rows of `coefs`: the scalars of the rule, then
MAX_SCALARS = 16
FACTOR, LIMIT, WEIGHT = range(MAX_SCALARS, MAX_SCALARS + 3)
"""Gradients are multiplied by FACTOR and clipped to LIMIT; WEIGHT is the average's."""
COEFS = MAX_SCALARS + 3

# Rows of `inputs`: those of the rule, then
MAX_INPUTS = 12
EMA_DECAY = MAX_INPUTS
INPUTS = MAX_INPUTS + 1

# `control`, int64
CONTROL_COUNT, CONTROL_SKIPPED, CONTROL_SKIPS = range(3)
"""Steps done, steps skipped, whether the one that is going on is skipped."""
CONTROLS = 3

# `numbers`, float64
GRAD_NORM, STEP_FACTOR, RESCALE = range(3)
"""The norm of the last gradients; what they are multiplied by; and that in the second pass of a norm, or 0."""
NUMBERS = 3


def _row_reader(name: str, made: str, first: int, count: int, **scope: Any) -> Any:
    entries = ", ".join(f"rows[row, {first + k}]" for k in range(count))
    exec(f"def {name}(rows, row): return {made}({entries})", scope)
    return device(scope[name])


ADDRESSES = _row_reader("addresses", "", 0, ROLES)
"""ADDRESSES(tensors, tensor): its addresses, as a tuple."""


@cache
def reader_of_scalars(kind: Any) -> Any:
    """read(rows, row): a NamedTuple from the first entries of a row."""
    assert len(kind._fields) <= MAX_SCALARS
    return _row_reader("scalars", "kind", 0, len(kind._fields), kind=kind)


@cache
def reader_of_inputs(kind: Any) -> Any:
    """The same of inputs."""
    assert len(kind._fields) <= MAX_INPUTS
    return _row_reader("inputs", "kind", 0, len(kind._fields), kind=kind)


@cache
def writer_of_scalars(kind: Any) -> Any:
    """write(rows32, rows64, row, c): a NamedTuple into the first entries of a row of both."""
    lines = [f" rows64[row, {k}] = c[{k}]; rows32[row, {k}] = float32(c[{k}])" for k in range(len(kind._fields))]
    scope: dict[str, Any] = {"float32": np.float32}
    exec("\n".join(["def write(rows32, rows64, row, c):", *lines]), scope)
    return device(scope["write"])

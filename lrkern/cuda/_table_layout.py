"""The columns of the tables shared by host and kernels: int64, float64 or T, with one row per tensor or group."""

from __future__ import annotations

from functools import cache
from typing import Any

from lrkern.cuda._platform import device
from lrkern.pointwise.primitives import pointwise
from lrkern.rules.reader import MAX_HYPERS as MAX_INPUTS
from lrkern.rules.reader import MAX_SCALARS as MAX_SCALARS

# Rows of `tensors`: the addresses of its arrays by C's roles, then
ROLES = 12
SIZE, GROUP, WIDE, HAS_GRADIENT, ROW_LRS, ROW_SIZE = range(ROLES, ROLES + 6)
"""SIZE: elements of the gradient. ROW_LRS: the address of one float64 per row of ROW_SIZE elements, or 0."""
ROWS, FIRST_ROW, FIRST_ENTRY, INDICES, INDEX_STRIDE, INDEX_KIND = range(ROLES + 6, ROLES + 12)
"""For gradients (indices, values): the parameter's rows; the numbers of rows and entries of earlier tensors in the list; the
address of the indices, their stride in bytes, and their dtype."""
CLIP = ROLES + 12
"""The row of `clips` for its gradient."""
TENSOR_FIELDS = ROLES + 13

# Rows of `coefs`: the scalars of the rule, then
AVERAGES = 3
FACTOR, LIMIT, WEIGHT = range(MAX_SCALARS, MAX_SCALARS + 3)
"""Gradients are multiplied by FACTOR and clipped to LIMIT; WEIGHT is that of the parameter in its average, followed by those in
the other averages."""
COEFS = WEIGHT + AVERAGES

# Rows of `inputs`: those of the rule, then
EMA_DECAY = MAX_INPUTS
CLIP_NORM, SKIP_NORM, SKIP_SIGMA, RULE = range(EMA_DECAY + AVERAGES, EMA_DECAY + AVERAGES + 4)
"""EMA_DECAY: of the first average, followed by those of the others. The limits of norms are only in the first row, for all
groups. RULE: the index of the group's rule among the list's."""
INPUTS = RULE + 1

# `control`, int64
CONTROL_COUNT, CONTROL_SKIPPED, CONTROL_SKIPS, CONTROL_REFUSED, CONTROL_WRONG, CONTROL_LAST_WRONG, CONTROL_AVERAGES = range(7)
CONTROL_RECENT = 7
"""Steps done; steps skipped; why the current step does nothing, or 0; steps refused; the number of out-of-range indices of the
current step; a tensor that had such indices in the last refused step; whether averages change in the current step; norms
remembered so far."""
CONTROLS = 8

SKIPPED, REFUSED, NOT_FINITE = 1, 2, 3
"""Why a step does nothing: non-finite or too large gradients; out-of-range indices; non-finite gradients (an error)."""

# `numbers`, float64
GRAD_NORM, GRAD_SCALE = range(2)
"""The norm of all gradients of the last step; the divisor of gradients."""
NUMBERS = 2

# Rows of `clips`, float64: one for all gradients, then one per group or tensor with its own norm. The squares of row i are
# added to row 2 i of `bins` and, in the second pass, to row 2 i + 1.
RESCALE, STEP_FACTOR = range(2)
"""The factor of elements in the second pass of a norm, or 0; and in the step."""
CLIP_FIELDS = 2


def _row_reader(name: str, made: str, first: int, count: int, **scope: Any) -> Any:
    entries = ", ".join(f"rows[row, {first + k}]" for k in range(count))
    exec(f"def {name}(rows, row): return {made}({entries})", scope)
    return device(scope[name])


ADDRESSES = _row_reader("addresses", "", 0, ROLES)
"""ADDRESSES(tensors, tensor): the addresses of a tensor's arrays, as a tuple."""

AROUND = _row_reader("around", "", FACTOR, COEFS - FACTOR)
"""AROUND(coefs, tensor): FACTOR, LIMIT and the weights, as a tuple."""


@cache
def reader_of_scalars(kind: Any) -> Any:
    """read(rows, row): the first entries of a row as a NamedTuple."""
    assert len(kind._fields) <= MAX_SCALARS
    return _row_reader("scalars", "kind", 0, len(kind._fields), kind=kind)


@cache
def reader_of_inputs(kind: Any) -> Any:
    """The same for inputs."""
    assert len(kind._fields) <= MAX_INPUTS
    return _row_reader("inputs", "kind", 0, len(kind._fields), kind=kind)


@cache
def with_lr(kind: Any) -> Any:
    """with_lr(h, lr): inputs with another learning rate."""
    entries = ", ".join("lr" if name == "lr" else f"h[{k}]" for k, name in enumerate(kind._fields))
    scope: dict[str, Any] = {"kind": kind}
    exec(f"def with_lr(h, lr): return kind({entries})", scope)
    return pointwise(scope["with_lr"])


@cache
def writer_of_scalars(kind: Any) -> Any:
    """write(rows, row, c): writes a NamedTuple of float64 to the first entries of a row, rounded to the type of the table."""
    lines = [f" rows[row, {k}] = c[{k}]" for k in range(len(kind._fields))]
    scope: dict[str, Any] = {}
    exec("\n".join(["def write(rows, row, c):", *lines]), scope)
    return device(scope["write"])

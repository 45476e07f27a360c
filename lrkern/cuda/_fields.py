"""What lies where in the tables that host and kernels share, all of int64, float64 or T, one row for each tensor or group."""

from __future__ import annotations

from functools import cache
from typing import Any

from lrkern.cuda._platform import device
from lrkern.pointwise.primitives import pointwise

# Rows of `tensors`: the addresses of its arrays by C's roles, then
ROLES = 8
SIZE, GROUP, WIDE, HAS_GRADIENT, ROW_LRS, ROW_SIZE = range(ROLES, ROLES + 6)
"""SIZE: elements of the gradient. ROW_LRS: the address of a float64 for each row, of ROW_SIZE elements, or 0."""
ROWS, FIRST_ROW, FIRST_ENTRY, INDICES, INDEX_STRIDE, INDEX_KIND = range(ROLES + 6, ROLES + 12)
"""Where gradients are (indices, values): the parameter's rows; how many rows and entries others have before it in the list;
the address of the indices, bytes from one to the next, and their dtype."""
CLIP = ROLES + 12
"""The row of `clips` that its gradient is in."""
TENSOR_FIELDS = ROLES + 13

# Rows of `coefs`: the scalars of the rule, then
MAX_SCALARS = 16
FACTOR, LIMIT, WEIGHT = range(MAX_SCALARS, MAX_SCALARS + 3)
"""Gradients are multiplied by FACTOR and clipped to LIMIT; WEIGHT is the average's."""
COEFS = MAX_SCALARS + 3

# Rows of `inputs`: those of the rule, then
MAX_INPUTS = 12
EMA_DECAY, CLIP_NORM = MAX_INPUTS, MAX_INPUTS + 1
"""CLIP_NORM is in the first row alone, for all groups."""
INPUTS = MAX_INPUTS + 2

# `control`, int64
CONTROL_COUNT, CONTROL_SKIPPED, CONTROL_SKIPS, CONTROL_REFUSED, CONTROL_WRONG, CONTROL_LAST_WRONG = range(6)
"""Steps done; steps skipped; why the one that is going on does nothing, or 0; steps refused; how many indices of the one that
is going on are no rows; a tensor that had such ones in the last step refused."""
CONTROLS = 6

SKIPPED, REFUSED, NOT_FINITE = 1, 2, 3
"""Why a step does nothing: gradients are not finite; indices are no rows; gradients are not finite, which is an error."""

# `numbers`, float64
GRAD_NORM, GRAD_SCALE = range(2)
"""The norm of the last gradients, all of them; what they are divided by."""
NUMBERS = 2

# Rows of `clips`, float64: of all gradients, and then of those of each group or tensor that has a norm of its own. The squares
# of row i are added to rows 2 i and, in the second pass, 2 i + 1 of `bins`.
RESCALE, STEP_FACTOR = range(2)
"""What elements are multiplied by in the second pass of a norm, or 0; and in the step."""
CLIP_FIELDS = 2


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
def with_lr(kind: Any) -> Any:
    """with_lr(h, lr): inputs with another learning rate, which comes first in all of them."""
    assert kind._fields[0] == "lr"
    entries = ", ".join(["lr", *(f"h[{k}]" for k in range(1, len(kind._fields)))])
    scope: dict[str, Any] = {"kind": kind}
    exec(f"def with_lr(h, lr): return kind({entries})", scope)
    return pointwise(scope["with_lr"])


@cache
def writer_of_scalars(kind: Any) -> Any:
    """write(rows, row, c): a NamedTuple of float64 into the first entries of a row, each rounded to the type that is there."""
    lines = [f" rows[row, {k}] = c[{k}]" for k in range(len(kind._fields))]
    scope: dict[str, Any] = {}
    exec("\n".join(["def write(rows, row, c):", *lines]), scope)
    return device(scope["write"])

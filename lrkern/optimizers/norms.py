"""The norms of one array at a step."""

from __future__ import annotations

from typing import NamedTuple


class Norms(NamedTuple):
    """Norms of one array at a step: see `Optimizer.norms`."""

    gradient: float
    """Of the gradient as given, divided by grad_scale."""
    parameter: float
    """Of the parameter before the step."""
    update: float
    """Of the change of the parameter."""

"""Warnings that name the user's line."""

from __future__ import annotations

import sys
import warnings

_INNER = ("lrkern", "torch")


def warn(text: str) -> None:
    """Warn at the line that called torch or lrkern: how many functions torch wraps around a step depends on its version."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _INNER:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)

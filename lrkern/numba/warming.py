"""Compiling in advance: `lrkern.numba.warm`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np

from lrkern import _checks

_LARGE = 8 << 20  # bytes of parameters: so many that threads share a step


def warm(optimizers: Iterable[Any] = (), dtypes: Iterable[str] = ("float32",), *, tables: bool = False, **options: Any) -> None:
    """Compile kernels now and keep them on disk, for example while an image is built, so that no later program waits.

    Args:
        optimizers: classes, such as `lrkern.AdamW` or the `Optimizer` of a rule of your own.
        dtypes: of the parameters: "float32", "float64", "float16"; of gradients and states as by default.
        tables: also compile what fills tables and evaluates schedules.
        options: of the optimizers: those that arrays depend on, such as `ema`, `norms` or `state_dtype`, need kernels of their
            own. The values of numbers do not matter.

    Raises:
        TypeError, ValueError: an argument is invalid.

    Example:
        >>> import lrkern as lk, lrkern.numba as ln
        >>> ln.warm([lk.SGD], lr=0.1)
    """
    from lrkern.optimizers.base import Optimizer

    for one in optimizers:
        if not (isinstance(one, type) and issubclass(one, Optimizer)):
            raise TypeError(f"warm: optimizers must be classes of optimizers; got {_checks.describe(one)}")
        for name in dtypes:
            dtype = np.dtype(_checks.choice("warm", "dtypes", name, ("float32", "float64", "float16")))
            for size in (8, _LARGE // dtype.itemsize):
                opt = one([np.zeros(size, dtype)], **options, backend="numba")  # type: ignore[call-arg]
                opt.step([np.zeros(size, dtype)])
    if _checks.flag("warm", "tables", tables):
        from lrkern.schedules.curves import constant

        functions, plan = import_module("lrkern.numba"), constant(1.0).plan()  # by name: it lies above
        functions.at(plan, 0)
        for kind in (np.float64, np.float32):
            functions.fill(plan, np.empty(2, kind))
            constant(1.0).table(_LARGE, dtype=kind, backend="numba")

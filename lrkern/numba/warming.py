"""Compiling in advance: `lrkern.numba.warm`."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import Any

import numpy as np

from lrkern import _checks
from lrkern.numba.threads import forced

_SIZE = 8  # elements


def warm(optimizers: Iterable[Any] = (), dtypes: Iterable[str] = ("float32",), *, tables: bool = False, **options: Any) -> None:
    """Compile kernels now and keep them on disk, for example while an image is built, so that no later program waits.

    Numba loads the code only on the CPU model, with the CPU features, that it was compiled on.

    Args:
        optimizers: classes, such as `lrkern.AdamW` or the `Optimizer` of a rule of your own.
        dtypes: of the parameters: "float32", "float64", "float16"; of gradients and states as by default.
        tables: also compile what fills tables and evaluates schedules.
        options: of the optimizers: pass those that you will use. Flags, `ema`, `norms` or `state_dtype` need kernels of their
            own, and so may a number that is given, or is not 0: `momentum`, `clip_norm`. Other values do not matter.

    Raises:
        TypeError, ValueError: an argument is invalid.

    Example:
        >>> import lrkern as lk, lrkern.numba as ln
        >>> ln.warm([lk.SGD], lr=0.1, momentum=0.9)
    """
    from lrkern.optimizers.base import Optimizer

    # Everything is checked, and every iterator read once, before the first kernel is compiled.
    kinds, names = _items("optimizers", optimizers, "classes of optimizers"), _items("dtypes", dtypes, "names of dtypes")
    tables = _checks.flag("warm", "tables", tables)
    made = []
    for one in kinds:
        if not (isinstance(one, type) and issubclass(one, Optimizer)):
            raise TypeError(f"warm: optimizers must be classes of optimizers; got {_checks.describe(one)}")
        for name in names:
            dtype = np.dtype(_checks.choice("warm", "dtypes", name, ("float32", "float64", "float16")))
            made.append((_small(one, dtype, options), dtype))
    for parallel in (False, True):  # whether threads pay depends on the machine, and may differ later
        with forced(parallel):
            for opt, dtype in made:
                for _ in range(2):  # with `ema_every`, steps that change averages and steps that do not
                    opt.step([np.zeros(_SIZE, dtype)])
            if tables:
                _tables()


def _items(name: str, values: Any, kind: str) -> list[Any]:
    """The items of an iterable; a string or a class alone is not a list of one."""
    if isinstance(values, (str, type)) or not isinstance(values, Iterable):
        raise TypeError(f"warm: {name} must be a list of {kind}; got {_checks.describe(values)}")
    return list(values)


def _small(kind: Any, dtype: np.dtype[Any], options: dict[str, Any]) -> Any:
    """An optimizer of one small parameter, of which two steps run all kernels."""
    opt = kind([np.zeros(_SIZE, dtype)], **options, backend="numba")
    if options.get("ema_every", 1) > 2:
        opt = kind([np.zeros(_SIZE, dtype)], **options | {"ema_every": 2}, backend="numba")
    return opt


def _tables() -> None:
    """Evaluate a schedule, and fill tables of it."""
    from lrkern.schedules.curves import constant

    functions, plan = import_module("lrkern.numba"), constant(1.0).plan()  # by name: it lies above
    functions.at(plan, 0)
    for dtype in (np.float64, np.float32):
        functions.fill(plan, np.empty(2, dtype))
        constant(1.0).table(2, dtype=dtype, backend="numba")

"""Schedules under the names, arguments and conventions of other libraries, one module each. None of them is imported.

Where a peer takes an optimizer, the base learning rate takes its place; what comes back is an ordinary `Schedule`, with the
peer's boundaries, warm-up offsets, floors and behaviour past the end:

>>> from lrkern import dialects
>>> dialects.torch.StepLR(0.1, step_size=30)
step_decay(0.1, 0.1, 30)
>>> dialects.transformers.get_linear_schedule_with_warmup(3e-4, 100, 1000)(1000)
0.0

Arguments that say nothing about values (`last_epoch`, `verbose`, `initialize`) are omitted at the end of a signature, and
ignored where they stand between others (`name`).

A module of this folder whose name does not begin with `_` is a dialect: it is found, exported, tested and documented.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

__all__ = sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; the dialects are {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

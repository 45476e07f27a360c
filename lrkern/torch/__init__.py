"""Optimizers and schedulers for PyTorch: lrkern's optimizers as `torch.optim.Optimizer`, with the names and defaults of torch.

Each optimizer of lrkern is here under its name. They are made from lrkern's classes by `lrkern.torch.adapter`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lrkern import optimizers
from lrkern._optional import require

require("torch", install="'lrkern[torch]'", what="lrkern.torch")

if TYPE_CHECKING:
    from lrkern.torch.adapter import Adapter
    from lrkern.torch.conversion import from_torch
    from lrkern.torch.scheduler import Scheduler

_OPTIMIZERS = [
    name
    for name in optimizers.__all__
    if isinstance(one := getattr(optimizers, name), type)
    and issubclass(one, optimizers.Optimizer)
    and one is not optimizers.Optimizer
]

_LATER = {"Scheduler": "scheduler", "from_torch": "conversion"}

__all__ = ["Scheduler", "from_torch", "rule_optimizer", *_OPTIMIZERS]


def rule_optimizer(rule: Any) -> type[Adapter]:
    """The optimizer of a rule of your own, as a class of `torch.optim.Optimizer`.

    Args:
        rule: what `lrkern.rule` returns; or a class of `lrkern.Optimizer`.

    Raises:
        TypeError: it is no such rule.
    """
    from lrkern.torch.adapter import adapter_of

    core = rule if isinstance(rule, type) else getattr(rule, "Optimizer", None)
    if not isinstance(core, type) or not issubclass(core, optimizers.Optimizer):
        raise TypeError(f"rule_optimizer: rule must be a rule with an Optimizer; got {type(rule).__name__}")
    return adapter_of(core, core.__module__ or "__main__")


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name in _OPTIMIZERS:
        from lrkern.torch.adapter import adapter_of

        found = globals()[name] = adapter_of(getattr(optimizers, name), __name__)
        return found
    if name in _LATER:
        found = globals()[name] = getattr(import_module(f"lrkern.torch.{_LATER[name]}"), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

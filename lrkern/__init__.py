"""Learning-rate schedules and optimizer steps as kernels: whole schedules in one call, whole steps in one pass."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from lrkern import optimizers, schedules
from lrkern.expression import Schedule, join
from lrkern.optimizers import Optimizer as Optimizer

# From each module itself: type checkers do not follow a star to another one.
from lrkern.optimizers.adam import *  # noqa: F403
from lrkern.optimizers.layerwise import *  # noqa: F403
from lrkern.optimizers.momentum import *  # noqa: F403
from lrkern.optimizers.squares import *  # noqa: F403
from lrkern.parsing import parse
from lrkern.plan import Plan, tables
from lrkern.runtime import get_threads, info, isas, set_threads, use_isa
from lrkern.scan import LossDriven, Plateau, loss_driven, plateau, refine
from lrkern.schedules import *  # noqa: F403

if TYPE_CHECKING:
    from lrkern import dialects as dialects

__version__ = "0.1.0"

__all__ = [
    "LossDriven",
    "Plan",
    "Plateau",
    "Schedule",
    "__version__",
    "get_threads",
    "info",
    "isas",
    "join",
    "loss_driven",
    "parse",
    "plateau",
    "refine",
    "set_threads",
    "tables",
    "use_isa",
]
__all__ += optimizers.__all__
__all__ += schedules.__all__


def __getattr__(name: str) -> Any:
    """`lrkern.dialects` is imported when it is first asked for."""
    if name == "dialects":
        return import_module("lrkern.dialects")
    raise AttributeError(f"module 'lrkern' has no attribute {name!r}")

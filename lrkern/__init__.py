"""Learning-rate schedules and optimizer steps as kernels: whole schedules in one call, whole steps in one pass."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if find_spec("lrkern._core") is None:
    raise ImportError(
        "lrkern: this folder has the sources only: run Python in another folder, or build them with pip install -e ."
    )

from lrkern import optimizers, recipes, schedules
from lrkern import pictures as _pictures  # noqa: F401  # fills in the hooks of schedules
from lrkern.optimizers import Optimizer as Optimizer

# From each module itself: type checkers do not follow a star import through another one.
from lrkern.optimizers.adadelta import *  # noqa: F403
from lrkern.optimizers.adam import *  # noqa: F403
from lrkern.optimizers.adam_relatives import *  # noqa: F403
from lrkern.optimizers.asgd import *  # noqa: F403
from lrkern.optimizers.layerwise import *  # noqa: F403
from lrkern.optimizers.mars import *  # noqa: F403
from lrkern.optimizers.momentum import *  # noqa: F403
from lrkern.optimizers.more_averages import *  # noqa: F403
from lrkern.optimizers.nadam import *  # noqa: F403
from lrkern.optimizers.novograd import *  # noqa: F403
from lrkern.optimizers.schedule_free import *  # noqa: F403
from lrkern.optimizers.signs import *  # noqa: F403
from lrkern.optimizers.squares import *  # noqa: F403
from lrkern.optimizers.stable_adamw import *  # noqa: F403
from lrkern.runtime import __version__, get_include, get_threads, info, isas, set_threads, use_isa
from lrkern.schedules.curves import *  # noqa: F403
from lrkern.schedules.custom import curve
from lrkern.schedules.expression import Schedule, join
from lrkern.schedules.grids import cooldowns, tables
from lrkern.schedules.plan import Plan
from lrkern.schedules.recipes import *  # noqa: F403
from lrkern.schedules.text import parse

if TYPE_CHECKING:
    from lrkern import dialects as dialects
    from lrkern._loss_driven.kl_adaptive import KLAdaptive, kl_adaptive
    from lrkern._loss_driven.plateau import LossDriven, Plateau, loss_driven, plateau, refine
    from lrkern._loss_driven.suggestion import Suggestion, suggest
    from lrkern.optimizers.accumulation import accumulate
    from lrkern.optimizers.own_rules import rule
    from lrkern.pictures.plotting import plot
    from lrkern.schedules.comparison import Comparison, compare
    from lrkern.schedules.diff import Diff, diff

__all__ = [
    "Comparison",
    "Diff",
    "KLAdaptive",
    "LossDriven",
    "Plan",
    "Plateau",
    "Schedule",
    "Suggestion",
    "__version__",
    "accumulate",
    "compare",
    "cooldowns",
    "curve",
    "diff",
    "get_include",
    "get_threads",
    "info",
    "isas",
    "join",
    "kl_adaptive",
    "loss_driven",
    "parse",
    "plateau",
    "plot",
    "refine",
    "rule",
    "set_threads",
    "suggest",
    "tables",
    "use_isa",
]
__all__ += optimizers.__all__
__all__ += recipes.__all__
__all__ += schedules.__all__


# Imported on first use: most programs never need them.
_LATER = {
    **dict.fromkeys(("Comparison", "compare"), "schedules.comparison"),
    **dict.fromkeys(("Diff", "diff"), "schedules.diff"),
    **dict.fromkeys(("LossDriven", "Plateau", "loss_driven", "plateau", "refine"), "_loss_driven.plateau"),
    **dict.fromkeys(("KLAdaptive", "kl_adaptive"), "_loss_driven.kl_adaptive"),
    **dict.fromkeys(("Suggestion", "suggest"), "_loss_driven.suggestion"),
    "accumulate": "optimizers.accumulation",
    "plot": "pictures.plotting",
    "rule": "optimizers.own_rules",
}


def __dir__() -> list[str]:
    """The public names, including those imported on first use."""
    return sorted([*__all__, "dialects", *(name for name in ("cuda", "numba") if name in globals())])


def __getattr__(name: str) -> Any:
    if name == "dialects":
        return import_module("lrkern.dialects")
    if name in _LATER:
        found = globals()[name] = getattr(import_module(f"lrkern.{_LATER[name]}"), name)
        return found
    raise AttributeError(f"module 'lrkern' has no attribute {name!r}")

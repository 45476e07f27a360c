"""Learning-rate schedules and optimizer steps as kernels: whole schedules in one call, whole steps in one pass."""

from lrkern.expression import Schedule, join
from lrkern.optimizers import SGD, sgd_step
from lrkern.parsing import parse
from lrkern.plan import Plan, tables
from lrkern.runtime import get_threads, info, isas, set_threads, use_isa
from lrkern.schedules import (
    constant,
    cosine,
    cyclic,
    exponential,
    from_function,
    from_table,
    geometric,
    interpolate,
    inverse_sqrt,
    inverse_time,
    linear,
    noam,
    one_cycle,
    one_cycle_momentum,
    one_minus_sqrt,
    piecewise,
    polynomial,
    rex,
    step_decay,
    tanh,
    warm_restarts,
    wsd,
)

__version__ = "0.1.0"

__all__ = [
    "SGD",
    "Plan",
    "Schedule",
    "__version__",
    "constant",
    "cosine",
    "cyclic",
    "exponential",
    "from_function",
    "from_table",
    "geometric",
    "get_threads",
    "info",
    "interpolate",
    "inverse_sqrt",
    "inverse_time",
    "isas",
    "join",
    "linear",
    "noam",
    "one_cycle",
    "one_cycle_momentum",
    "one_minus_sqrt",
    "parse",
    "piecewise",
    "polynomial",
    "rex",
    "set_threads",
    "sgd_step",
    "step_decay",
    "tables",
    "tanh",
    "use_isa",
    "warm_restarts",
    "wsd",
]

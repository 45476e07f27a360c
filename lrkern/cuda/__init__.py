"""Schedules and optimizer steps on CUDA devices: kernels in Python, compiled by numba-cuda or its successor.

Tables, step functions and optimizers accept device arrays (Numba's, CuPy's, torch's) and then use this module automatically.
Its public functions are for your own kernels and for streams.

>>> import lrkern.cuda
"""

from lrkern.backends import Backend
from lrkern.cuda import _arrays, _plans
from lrkern.cuda._overloads import in_type_of
from lrkern.cuda._plans import at, plan
from lrkern.cuda._platform import use_stream
from lrkern.cuda._steps import StepList

__all__ = ["at", "in_type_of", "plan", "use_stream"]


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)


BACKEND = Backend(_plans.table, _plans.tables, StepList, _arrays, {}, on_device=True)

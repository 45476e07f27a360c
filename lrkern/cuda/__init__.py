"""Schedules and optimizer steps on CUDA devices: kernels in Python, compiled by numba-cuda or its successor.

Tables, step functions and optimizers take device arrays as they are (Numba's, CuPy's, torch's) and come here by themselves.
What is here besides is for kernels of your own, and for streams.

>>> import lrkern.cuda
"""

from lrkern.backends import Backend
from lrkern.cuda import _arrays, _plans
from lrkern.cuda._plans import at, plan
from lrkern.cuda._platform import use_stream
from lrkern.cuda._steps import StepList
from lrkern.cuda._words import in_type_of

__all__ = ["at", "in_type_of", "plan", "use_stream"]


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)


BACKEND = Backend(_plans.table, _plans.tables, StepList, _arrays, {}, on_device=True)

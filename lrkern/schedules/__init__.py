"""The curves that learning rates and other hyper-parameters follow over the steps of a training run."""

from lrkern.schedules.curves import *  # noqa: F403
from lrkern.schedules.curves import __all__ as __all__

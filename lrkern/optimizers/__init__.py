"""The optimizers: what is special about each. What they have in common is in `lrkern.optimizers.base`."""

from lrkern.optimizers import adam, layerwise, momentum, squares
from lrkern.optimizers.adam import *  # noqa: F403
from lrkern.optimizers.base import Optimizer
from lrkern.optimizers.layerwise import *  # noqa: F403
from lrkern.optimizers.momentum import *  # noqa: F403
from lrkern.optimizers.squares import *  # noqa: F403

__all__ = ["Optimizer", *adam.__all__, *layerwise.__all__, *momentum.__all__, *squares.__all__]

"""The optimizers. What they have in common is in `lrkern.optimizers.base`."""

from lrkern.optimizers import (
    adadelta,
    adam,
    adam_relatives,
    asgd,
    layerwise,
    mars,
    momentum,
    more_averages,
    nadam,
    novograd,
    schedule_free,
    signs,
    squares,
    stable_adamw,
)
from lrkern.optimizers.adadelta import *  # noqa: F403
from lrkern.optimizers.adam import *  # noqa: F403
from lrkern.optimizers.adam_relatives import *  # noqa: F403
from lrkern.optimizers.asgd import *  # noqa: F403
from lrkern.optimizers.base import Optimizer
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

_MODULES = (
    adadelta, adam, adam_relatives, asgd, layerwise, mars, momentum, more_averages, nadam, novograd, schedule_free, signs,
    squares, stable_adamw,
)  # fmt: skip

__all__ = ["Optimizer"]
__all__ += [name for module in _MODULES for name in module.__all__]

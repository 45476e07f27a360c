"""lrkern for Keras 3: schedules for its optimizers, and callbacks that follow a metric. Needs `lrkern[keras]` and a backend.

Import it before `keras.models.load_model`, which looks for `Schedule` by name.
"""

from lrkern._optional import require

require("keras", install="'lrkern[keras]'", what="lrkern.keras")

from lrkern.keras._callbacks import LossDriven, Plateau  # noqa: E402
from lrkern.keras._schedule import Schedule  # noqa: E402

__all__ = ["LossDriven", "Plateau", "Schedule"]

"""lrkern for JAX: schedules and optimizers that can be traced, in optax's protocols. Needs `lrkern[jax]`.

Everything here returns new arrays. The optimizers of `lrkern` itself, which update arrays in place, refuse JAX's arrays.
"""

from lrkern._optional import require

require("jax", install="'lrkern[jax]'", what="lrkern.jax")

from lrkern.jax._factory import factory  # noqa: E402
from lrkern.jax._schedules import schedule, table  # noqa: E402
from lrkern.jax._transform import RuleState, transform  # noqa: E402

__all__ = ["RuleState", "factory", "schedule", "table", "transform"]

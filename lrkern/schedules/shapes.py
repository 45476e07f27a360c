"""The named shapes of `warmup(curve=)`, `cooldown(curve=)`, `wsd(tail=)`: from one value to another over some steps.

docs/schedules.md has the formulas.
"""

from __future__ import annotations

from lrkern import _core
from lrkern._checks import describe, real

# name -> shape of the C side and its parameters, see lrk_shape
_SHAPES = {
    "linear": ("fall", 1.0, 1.0),
    "cosine": ("cosine", 1.0, 1.0),
    "one_minus_sqrt": ("rise", 0.5, 0.0),
    "exponential": ("geometric", 0.0, 0.0),
    "square": ("rise", 2.0, 0.0),
    "logarithmic": ("logarithmic", 0.0, 0.0),
    "mirror_cosine": ("mirror_cosine", 0.0, 0.0),
    "halving": ("exponential", 0.5, 0.0),
    "inverse_proportional": ("harmonic", 0.0, 0.0),
}
NAMES = tuple(_SHAPES)
POSITIVE = ("exponential", "inverse_proportional")


def ramp(curve: str, steps: int, start: _core.Node, start_at: int, end: _core.Node, end_at: int) -> _core.Node:
    """From the exact value of `start` at step `start_at` to that of `end` at `end_at`."""
    return _core.ramp(*_SHAPES[curve], steps, start, start_at, end, end_at)


def check_positive(
    where: str, curve: str, *, start: float, end: float, start_name: str = "start", end_name: str = "end"
) -> None:
    """Check what the shapes in POSITIVE need: both ends above zero."""
    for name, value in ((start_name, start), (end_name, end)):
        if not value > 0.0:
            raise ValueError(f"{where}: {name} must be > 0 for curve {curve!r}; got {value!r}")


def restart_ratios(where: str, growth: float, gain: float) -> tuple[float, float]:
    """Checked ratios of the lengths of restart cycles and of their starts."""
    growth = real(where, "growth", growth, above=0.0)
    if 0.0 < abs(growth - 1.0) < 1e-9:
        raise ValueError(f"{where}: growth must be 1, or differ from it by at least 1e-9; got {describe(growth)}")
    return growth, real(where, "gain", gain, above=0.0)

"""Learning rates suggested by a range test."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lrkern import _checks
from lrkern._loss_driven.runs import Floats, metrics_of
from lrkern.schedules.drawing import HOOKS
from lrkern.schedules.expression import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SLIDE_WIDTH, _SLIDE_THRESHOLD = 15, 0.005  # the peer's


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What `lrkern.suggest` found. A rate is None if its rule does not apply.

    Attributes:
        rate: the rate suggested by `method`.
        method: the method asked for.
        valley, steepest, minimum, slide: the suggestion of each rule.
        first, end: the range of losses used: those of steps first, ..., end - 1.
        diverged: the step at which the test ended because its loss was not finite or too large; None if there was none.
        rates, losses: the data that the rules were applied to: one loss per rate.

    >>> import numpy as np, lrkern as lk
    >>> rates = np.geomspace(1e-5, 1.0, 51)
    >>> found = lk.suggest(rates, 2.0 + (np.log10(rates) + 2.0) ** 2)
    >>> f"{found.rate:.1e} {found.steepest:.1e} {found.minimum:.1e}"
    '2.5e-04 1.0e-05 1.0e-03'
    """

    rate: float | None
    method: str
    valley: float | None
    steepest: float | None
    minimum: float
    slide: float | None
    first: int
    end: int
    diverged: int | None
    rates: Floats = field(repr=False, compare=False)
    losses: Floats = field(repr=False, compare=False)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the losses over the rates and the suggestions with matplotlib (extra `[plot]`). Returns the axes."""
        axes: Axes = HOOKS["suggestion"](self, ax)
        return axes


def suggest(
    rates: Schedule | npt.ArrayLike,
    losses: npt.ArrayLike,
    method: str = "valley",
    *,
    smoothing: float = 0.0,
    diverged: float | None = 4.0,
    skip_start: int = 0,
    skip_end: int = 0,
) -> Suggestion:
    """Suggest learning rates from a range test, a run in which the rate rises from step to step.

    With r_i the rates and l_i the losses, i = 0 .. n-1:

        valley    about the middle of the longest strictly falling subsequence of l. If it has k losses and ends at i = e (the
                  first one to end, if there are several): r_i for i = max(e - k + floor(k/3) + floor(k/6), 0)
        steepest  r_i with the smallest (l_{i+1} - l_i)/(log r_{i+1} - log r_i)
        minimum   r_i/10 with the smallest l_i
        slide     a window of 15 steps slides from the right end to the left while the slopes of l at its two ends (second
                  order, over i) differ by more than 0.005: the last r_i at its left end for which that holds

    Args:
        rates: the rates, >= 0 and not falling, one for each loss; or the Schedule that the test ran, like `lr_range_test`.
            Losses at equal rates are averaged.
        losses: the loss after each step, 1-D. The first non-finite loss and all later ones are omitted.
        method: "valley", "steepest", "minimum" or "slide": which suggestion becomes `rate`. All of them are computed.
        smoothing: weight b of the past, 0 <= b < 1, in a bias-corrected running mean of the losses:
            m_t = b m_{t-1} + (1 - b) l_t, divided by 1 - b^(t+1). 0: no smoothing.
        diverged: the test ends at the first loss greater than `diverged` times the smallest loss before it, if that is > 0;
            > 1, or None for no limit.
        skip_start, skip_end: how many losses to omit at the beginning and at the end of the record.

    Returns:
        A `Suggestion`. `valley` and `steepest` are None if the loss never falls, `slide` for fewer than 16 rates.

    Raises:
        TypeError, ValueError: bad arguments; fewer than two losses at different rates remain.

    Accuracy:
        `steepest` compares float64 quotients; everything else is exact, except for the smoothing.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> test = lk.lr_range_test(1e-5, 1.0, 50)
        >>> rates = test.table(51)
        >>> losses = 2.0 + (np.log10(rates) + 2.0) ** 2  # least at 0.01
        >>> found = lk.suggest(test, losses, "minimum")
        >>> round(found.rate, 5), round(found.valley, 7)
        (0.001, 0.0002512)

    Source:
        The four rules are those of fastai's `lr_find`, which by default uses "valley" (by ESRI) after smoothing of 0.98, and
        omits a tenth of the losses at the start and 5 at the end. Lightning's `lr_find` smooths likewise, and takes the
        smallest slope over the rate itself. The test is Smith's, arXiv 1506.01186.
    """
    where = "suggest"
    _checks.choice(where, "method", method, tuple(_RULES))
    smoothing = _checks.real(where, "smoothing", smoothing, low=0.0, below=1.0)
    most = None if diverged is None else _checks.real(where, "diverged", diverged, above=1.0)
    skip_start, skip_end = _checks.count(where, "skip_start", skip_start), _checks.count(where, "skip_end", skip_end)
    recorded = _vector("losses", losses)
    used = rates.table(recorded.size) if isinstance(rates, Schedule) else _vector("rates", rates)
    if used.size != recorded.size:
        raise ValueError(f"{where}: rates must be one for each of the {recorded.size} losses; got {used.size}")
    _check_rates(used)

    smooth = _smoothed(recorded, smoothing)
    end = max(recorded.size - skip_end, skip_start)
    over = _first_diverged(smooth[skip_start:end], most)
    if over is not None:
        end = skip_start + over
    x, y = _averaged(used[skip_start:end], smooth[skip_start:end])
    if x.size < 2:
        left = f"of {recorded.size} recorded"
        if over is not None:
            left = f"up to step {end}, where the loss was {smooth[end]:g}"
        raise ValueError(f"{where}: losses must be at least 2 at different rates after skipping; got {x.size} {left}")
    found: dict[str, Any] = {name: rule(x, y) for name, rule in _RULES.items()}
    left_out = None if over is None else end
    return Suggestion(found[method], method, **found, first=skip_start, end=end, diverged=left_out, rates=x, losses=y)


def _vector(name: str, values: object) -> Floats:
    array = metrics_of("suggest", name, values).astype(np.float64)
    if array.ndim != 1:
        raise ValueError(f"suggest: {name} must be 1-D; got {_checks.describe(array)}")
    return array


def _check_rates(rates: Floats) -> None:
    for i in np.flatnonzero(~((rates >= 0) & (rates < np.inf)))[:1].tolist():
        _checks.real("suggest", f"rates[{i}]", rates[i], low=0.0)
    for i in np.flatnonzero(np.diff(rates) < 0)[:1].tolist():
        raise ValueError(f"suggest: rates must not fall; got {rates[i]:g} before {rates[i + 1]:g}")


def _smoothed(losses: Floats, weight: float) -> Floats:
    """The running mean; from the first non-finite loss on, no mean is finite."""
    if weight == 0.0:
        return losses
    mean, means = 0.0, []
    for t, loss in enumerate(losses.tolist()):
        mean = weight * mean + (1.0 - weight) * loss
        means.append(mean / (1.0 - weight ** (t + 1)))
    return np.array(means, np.float64)


def _first_diverged(losses: Floats, most: float | None) -> int | None:
    """The first index at which a loss is not finite, or too far above the smallest one before."""
    with np.errstate(invalid="ignore", over="ignore"):
        over = ~np.isfinite(losses)
        if most is not None:
            least = np.minimum.accumulate(losses)
            over |= (least > 0) & (losses > most * least)
    found = np.flatnonzero(over)
    return int(found[0]) if found.size else None


def _averaged(rates: Floats, losses: Floats) -> tuple[Floats, Floats]:
    """Each rate once, with the mean of its losses."""
    different, begins, counts = np.unique(rates, return_index=True, return_counts=True)
    if different.size == rates.size:
        return rates, losses
    return different, np.add.reduceat(losses, begins) / counts


def _valley(rates: Floats, losses: Floats) -> float | None:
    # tails[k]: minus the largest loss that can end k + 1 falling ones; a loss's place in it is the length that ends there.
    tails: list[float] = []
    longest = end = 0
    for i, value in enumerate((-losses).tolist()):
        place = bisect_left(tails, value)
        tails[place : place + 1] = [value]
        if place + 1 > longest:
            longest, end = place + 1, i
    return float(rates[max(end - longest + longest // 3 + longest // 6, 0)]) if longest > 1 else None


def _steepest(rates: Floats, losses: Floats) -> float | None:
    with np.errstate(divide="ignore"):  # a rate of 0 is infinitely far away
        slopes = np.diff(losses) / np.diff(np.log(rates))
    least = int(slopes.argmin())
    return float(rates[least]) if slopes[least] < 0 else None


def _minimum(rates: Floats, losses: Floats) -> float:
    return float(rates[losses.argmin()]) / 10


def _slide(rates: Floats, losses: Floats) -> float | None:
    left = losses.size - 1 - _SLIDE_WIDTH
    if left < 0:
        return None
    slopes = np.gradient(losses)
    found = left
    while left >= 0 and abs(slopes[left + _SLIDE_WIDTH] - slopes[left]) > _SLIDE_THRESHOLD:
        found = left
        left -= 1
    return float(rates[found])


_RULES: dict[str, Callable[[Floats, Floats], float | None]] = {
    "valley": _valley,
    "steepest": _steepest,
    "minimum": _minimum,
    "slide": _slide,
}

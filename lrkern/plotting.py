"""Pictures of schedules with matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lrkern._checks import count, describe, flag
from lrkern._optional import require
from lrkern._sampling import Line, lines
from lrkern._svg import shorten
from lrkern.expression import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's: told apart by everybody; without their yellow, which is too light for a line.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_DASHES = ("-", "--", ":", "-.")  # once the colours have been used up
_COLUMNS = 1024  # pixels across, more or less
# Beyond these matplotlib's own arithmetic, of margins and ticks, leaves float64.
_SMALLEST = 1e-300
_LARGEST = {"linear": 1e307, "symlog": 1e307, "log": 1e150}
_INK, _PALE, _LINE = "#475569", "#e2e8f0", "#94a3b8"
_MARK, _ALONE = "lrkern-mark", "lrkern-alone"
_TEXT = {"family": "monospace", "size": 8}


def plot(
    schedules: Schedule | Sequence[Schedule],
    n: int | None = None,
    ax: Axes | None = None,
    *,
    labels: str | Sequence[str] | None = None,
    log: bool | str = False,
    marks: bool = True,
    title: str | None = None,
    ylabel: str = "learning rate",
    **line: Any,
) -> Axes:
    """Draw one schedule, or several over each other, with matplotlib (extra `[plot]`).

    Lines have a point for every step, or, beyond some thousand of them, for the extremes of every pixel's; where a value is
    held until the next one comes they are stairs. Where one formula ends and the next begins (warm-ups, joins, restarts,
    cooldowns, jumps) a thin line is drawn, with its step; the many of a staircase or of equal cycles are left out.

    Args:
        schedules: a Schedule or a sequence of them.
        n: how many steps to show, at least 1. Default: a little more than the longest schedule's length; of schedules without
            an end, until they have fallen to half of their peak. A line ends where values leave float64.
        ax: the axes to draw into, with straight axes. Default: a new figure. Repeated calls with the same axes overlay.
        labels: the legend's text, one for each schedule. Default: their expressions, shortened.
        log: logarithmic vertical axis: True leaves out values <= 0, "symlog" shows them, linear next to zero.
        marks: draw the thin lines.
        title: text above the picture. Default: a lone schedule's expression.
        ylabel: what the values are, for instance "momentum".
        line: properties of matplotlib's `Line2D`, for all the lines: `color`, `linewidth`, `alpha`, ...

    Returns:
        The axes. Save the picture with `lk.plot(s).figure.savefig("s.png")`.

    Raises:
        ImportError: matplotlib is missing (`pip install 'lrkern[plot]'`).
        TypeError, ValueError: bad arguments; `log=True` and no value is > 0; a value too large for matplotlib, beyond 1e307, or
            1e150 with `log=True`. Nothing has been drawn.
        OverflowError: the first value of every schedule is beyond float64.

    >>> import lrkern as lk
    >>> s = lk.cosine(0.1, 0.0, 1000).warmup(100)
    >>> axes = lk.plot([s, lk.linear(0.1, 0.0, 1100)], labels=["cosine", "line"])  # doctest: +SKIP
    >>> axes.figure.savefig("schedules.png")  # doctest: +SKIP
    """
    rows = _as_list(schedules)
    if n is not None:
        n = count("plot", "n", n, low=1)
    texts = _labels(labels, rows)
    scale = _scale(log)
    flag("plot", "marks", marks)
    options = _line_options(line)
    _check_axes(ax)
    n, drawn = lines("plot", rows, n, _COLUMNS)
    _check_values(drawn, scale)
    own = ax is None
    if ax is None:
        ax = _new_axes()
    for one, text in zip(drawn, texts, strict=True):
        values = np.where(one.values > 0, one.values, np.nan) if scale == "log" else one.values
        (curve,) = ax.plot(one.steps, values, **{**_look(ax, n), "label": text, **options})
        if "markevery" not in options:
            curve.set_markevery(np.flatnonzero(np.diff(one.steps, append=n)).tolist())  # not where a stair ends
        if marks:
            for mark in one.marks:
                ax.axvline(mark, color=curve.get_color(), gid=_MARK, lw=0.8, ls=(0, (1, 3)), alpha=0.8, zorder=1)
    _set_scale(ax, scale)
    style(ax, xlabel="step", ylabel=ylabel)
    if marks:
        _label_marks(ax)
    curves = _curves(ax)
    if len(curves) > 1 or labels is not None:
        ax.legend(handles=curves, prop=_TEXT, **(_ABOVE if own else {"loc": "best"}))
    alone = len(curves) == 1 and labels is None
    if title is not None or alone:
        text = texts[0] if title is None else title
        heading = ax.set_title(text, loc="left", fontsize=9, family="monospace", color=_INK, pad=14)
        heading.set_gid(_ALONE if title is None else None)
    else:
        for child in ax.get_children():
            if child.get_gid() == _ALONE:  # written when there was one schedule; now the legend names them
                child.set(text="", gid=None)
    return ax


_ABOVE = {"loc": "lower left", "bbox_to_anchor": (0.0, 1.0), "borderaxespad": 1.5, "frameon": False}


def style(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Give axes the package's look: a light grid, no box, short numbers for many steps."""
    ticker = require("matplotlib.ticker", install="'lrkern[plot]'", what="lrkern.plotting")
    ax.set_xlabel(xlabel, color=_INK, fontsize=9)
    ax.set_ylabel(ylabel, color=_INK, fontsize=9)
    ax.grid(True, color=_PALE, lw=0.8)
    ax.set_axisbelow(True)
    ax.margins(x=0.02)
    ax.tick_params(which="both", colors=_INK, labelsize=8, length=0)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color("#cbd5e1")
    ax.xaxis.set_major_locator(ticker.MaxNLocator(nbins=8, steps=[1, 2, 5, 10], integer=True))
    ax.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    if ax.get_yscale() == "linear":
        ax.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: _short(value, *ax.get_ylim())))


def _short(value: float, low: float, high: float) -> str:
    """A tick's number with as many digits as tell it from its neighbours, and no power of ten beside the axis."""
    largest, range_ = max(abs(low), abs(high)), abs(high / 2 - low / 2)
    digits = 3 + max(0, math.ceil(math.log10(largest / range_))) if range_ > 0.0 else 6
    return f"{0.0 if abs(value) < 1e-9 * range_ else value:.{min(digits, 17)}g}"


def _look(ax: Axes, n: int) -> dict[str, Any]:
    taken = len(_curves(ax))
    dashes = _DASHES[taken // len(COLORS) % len(_DASHES)]
    markers: dict[str, Any] = {"marker": "o", "markersize": 3.5} if n <= 60 else {}
    return {"color": COLORS[taken % len(COLORS)], "linestyle": dashes, "linewidth": 1.8, **markers}


def _line_options(line: dict[str, Any]) -> dict[str, Any]:
    """Options of lines, checked, without matplotlib's short forms, so that each can take the place of the default."""
    require("matplotlib", install="'lrkern[plot]'", what="plot")
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    for name, value in line.items():
        if name in ("data", "xdata", "ydata") or not hasattr(Line2D, f"set_{name}"):
            raise TypeError(f"plot: {name} must be a property of lines, like color, or an argument; got {describe(value)}")
        try:
            Line2D([], []).set(**{name: value})
        except (TypeError, ValueError) as error:
            wanted = f"plot: {name} must be what lines of matplotlib take; got {describe(value)}"
            raise type(error)(wanted) from error
    try:
        options: dict[str, Any] = normalize_kwargs(line, Line2D)
    except TypeError as error:  # a property by its long and its short name
        raise TypeError(f"plot: {error}") from None
    return options


def _check_axes(ax: object) -> None:
    from matplotlib.axes import Axes

    if ax is not None and not (isinstance(ax, Axes) and ax.name == "rectilinear"):
        raise TypeError(f"plot: ax must be an Axes of matplotlib, with straight axes; got {describe(ax)}")


def _check_values(drawn: Sequence[Line], scale: str) -> None:
    if scale == "log" and not any((one.values > 0).any() for one in drawn):
        raise ValueError("plot: nothing to draw on a logarithmic axis: no value is > 0")
    most = _LARGEST[scale]
    for one in drawn:
        for i in np.flatnonzero((one.values if scale == "log" else np.abs(one.values)) > most)[:1].tolist():
            wanted = f"plot: values must be no larger than {most:g} for matplotlib to draw them"
            raise ValueError(f"{wanted}; got {one.values[i]:g} at step {one.steps[i]}")


def _curves(ax: Axes) -> list[Any]:
    return [one for one in ax.lines if one.get_gid() != _MARK]


def _set_scale(ax: Axes, scale: str) -> None:
    if scale != "symlog":
        ax.set_yscale(scale)
        return
    sizes: NDArray[np.float64] = np.abs(np.concatenate([np.asarray(one.get_ydata(), float) for one in _curves(ax)]))
    largest = float(sizes.max()) or 1.0
    smallest = float(sizes[sizes > 0.0].min(initial=largest))
    ax.set_yscale("symlog", linthresh=max(smallest, 1e-4 * largest, _SMALLEST))


def _label_marks(ax: Axes) -> None:
    """The step above each mark, as far as there is room; what an earlier call wrote is written anew."""
    for text in [text for text in ax.texts if text.get_gid() == _MARK]:
        text.remove()
    short = require("matplotlib.ticker", install="'lrkern[plot]'", what="plot").EngFormatter(sep="")
    left, right = ax.get_xlim()
    free = -math.inf
    for step in sorted({int(np.asarray(one.get_xdata())[0]) for one in ax.lines if one.get_gid() == _MARK}):
        label = f"{step:,}" if step < 10**7 else short(step)
        half = (0.006 * len(label) + 0.004) * (right - left)
        if step - half >= free:
            place = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points", "ha": "center", "va": "bottom"}
            look: dict[str, Any] = {**place, "fontsize": 7, "color": _LINE, "gid": _MARK}
            ax.annotate(label, (step, 1.0), (0, 3), **look)
            free = step + half


def _scale(log: bool | str) -> str:
    if isinstance(log, bool | np.bool_):
        return "log" if log else "linear"
    if isinstance(log, str) and log == "symlog":
        return log
    error = ValueError if isinstance(log, str) else TypeError
    raise error(f"plot: log must be True, False or 'symlog'; got {describe(log)}")


def _as_list(schedules: Schedule | Sequence[Schedule]) -> list[Schedule]:
    rows = [schedules] if isinstance(schedules, Schedule) or not isinstance(schedules, Sequence) else list(schedules)
    for one in rows:
        if not isinstance(one, Schedule):
            raise TypeError(f"plot: schedules must be a Schedule or a sequence of them; got {describe(one)}")
    if not rows:
        raise ValueError("plot: schedules must be a Schedule or a sequence of them; got an empty sequence")
    return rows


def _labels(labels: str | Sequence[str] | None, schedules: Sequence[Schedule]) -> list[str]:
    if labels is None:
        return [shorten(repr(s), 80) for s in schedules]
    if not isinstance(labels, Sequence):
        raise TypeError(f"plot: labels must be a text or a sequence of them; got {describe(labels)}")
    texts = [labels] if isinstance(labels, str) else list(labels)
    if len(texts) != len(schedules):
        raise ValueError(f"plot: labels must hold one text for each schedule, {len(schedules)}; got {len(texts)}")
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"plot: labels must hold one text for each schedule; got {describe(text)}")
    return texts


def _new_axes() -> Axes:
    pyplot = require("matplotlib.pyplot", install="'lrkern[plot]'", what="plot")
    axes: Axes = pyplot.subplots(figsize=(7.2, 3.4), dpi=144, layout="constrained")[1]
    return axes

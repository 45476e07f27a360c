"""Plots of schedules, logged values and range tests with matplotlib."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrkern._checks import count, describe, flag
from lrkern._optional import require
from lrkern.pictures import look as _look
from lrkern.pictures.labels import differences, short_labels, shorten
from lrkern.pictures.logged import Drawable, Values, drawables
from lrkern.pictures.look import COLORS as COLORS
from lrkern.pictures.look import style as style
from lrkern.pictures.sampling import Line, lines
from lrkern.schedules.expression import Schedule

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from lrkern._loss_driven.suggestion import Suggestion

_COLUMNS = 1024  # approximate width in pixels
# Beyond these, matplotlib's arithmetic for margins and ticks overflows.
_SMALLEST = 1e-300
_LARGEST = {"linear": 1e307, "symlog": 1e307, "log": 1e150}
_MARK, _ALONE = "lrkern-mark", "lrkern-alone"
_MANY = 8  # more curves are distinguished by a colour map
_MANY_MARKS = 16  # with a colour map: if there are more marks, none is drawn
_BAR_TICKS, _BAR_TICK = 16, 0.16  # with more curves, only some have a label on the bar; inches for each
_WIDTH, _HEIGHT, _LINE_HEIGHT = 7.2, 3.4, 0.17  # inches
_CHARACTER = 0.075  # inches: upper estimate of a character's width in a legend


def plot(
    schedules: Schedule | ArrayLike | Sequence[Schedule | Values],
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
    """Plot schedules and logged values, one or several in the same axes, with matplotlib (extra `[plot]`).

    Lines have a point for every step, or, beyond a few thousand steps, for the extremes in every pixel column; values that are
    held are drawn as stairs. A thin line with its step marks where one formula ends and the next begins (warm-ups, joins,
    restarts, cooldowns, jumps). Staircase steps and repeated cycles are not marked.

    More than eight curves are distinguished by a colour map, with a colour bar instead of a legend. Colours, fonts and sizes
    follow the active style where it changes matplotlib's defaults.

    Args:
        schedules: a Schedule; or values at steps 0, 1, 2, ...: an array, a tensor, a list of numbers; or a sequence of both, in
            which a tuple of two arrays is (steps, values), for values logged at some steps only. A 2-D array has one curve per
            row, like the result of `lrkern.tables`. NaN and infinities among values are gaps.
        n: how many steps to show, at least 1. Default: up to the last value, or a little more than the longest schedule's
            length; for schedules without an end, until they have fallen to half of their peak. A line ends where a schedule
            exceeds float64.
        ax: the axes to draw into; must be rectilinear. Default: a new figure. Repeated calls with the same axes overlay.
        labels: legend entries, one for each curve. Default: the expressions, shortened, with numbers rounded.
        log: logarithmic vertical axis: True omits values <= 0, "symlog" shows them, with a linear range around zero.
        marks: draw the thin lines.
        title: text above the plot. Default: the expression if there is a single schedule.
        ylabel: what the values are, for instance "momentum".
        line: properties of matplotlib's `Line2D` for all lines: `color`, `linewidth`, `alpha`, ...

    Returns:
        The axes. Save the plot with `lk.plot(s).figure.savefig("s.png")`.

    Raises:
        ImportError: matplotlib is missing (`pip install 'lrkern[plot]'`).
        TypeError, ValueError: bad arguments; `log=True` and no value is > 0; a value too large for matplotlib, beyond 1e307, or
            1e150 with `log=True`. Nothing has been drawn.
        OverflowError: the first value of every schedule is beyond float64.

    >>> import lrkern as lk
    >>> s = lk.cosine(0.1, 0.0, 1000).warmup(100)
    >>> logged = [1e-3 * t for t in range(100)]
    >>> axes = lk.plot([s, lk.linear(0.1, 0.0, 1100), logged], labels=["cosine", "line", "run 7"])  # doctest: +SKIP
    >>> axes.figure.savefig("schedules.png")  # doctest: +SKIP
    """
    rows = drawables("plot", schedules)
    if n is not None:
        n = count("plot", "n", n, low=1)
    given = _given_labels(labels, rows)
    scale = _scale(log)
    flag("plot", "marks", marks)
    options = _line_options(line)
    _check_axes(ax)
    n, drawn = lines("plot", rows, n, _COLUMNS)
    _check_values(drawn, scale)
    texts = short_labels([repr(one) for one in rows], 60) if given is None else given
    picture = _Picture(_new_axes(texts), own=True) if ax is None else _Picture.of(ax)
    ax = picture.ax
    for one, text in zip(drawn, texts, strict=True):
        values = np.where(one.values > 0, one.values, np.nan) if scale == "log" else one.values
        look = {
            **_look.line_look(ax, len(_curves(*_same_place(ax)))),
            **({"marker": "o", "markersize": 3.5} if n <= 60 else {}),
        }
        (curve,) = ax.plot(one.steps, values, **{**look, "label": text, **options})
        if "markevery" not in options:
            curve.set_markevery(np.flatnonzero(np.diff(one.steps, append=n)).tolist())  # not where a stair ends
        picture.add(curve, one.marks if marks else [], colored="color" not in options, code=given is None)
    _set_scale(ax, scale)
    style(ax, xlabel="step", ylabel=ylabel)
    picture.draw_marks()
    picture.tell_apart(by_legend=labels is not None)
    picture.place_legend()
    for child in ax.get_children():
        if child.get_gid() == _ALONE:  # the title from when there was one schedule; now the legend names them
            child.set(text="", gid=None)
    if title is not None:
        size = _look.setting("axes.titlesize", "medium")
        ax.set_title(title, loc="left", fontsize=size, color=_look.ink(), pad=picture.room_above())
    elif len(_curves(*_same_place(ax))) == 1 and labels is None:
        heading = ax.set_title(texts[0], loc="left", fontsize="small", color=_look.ink(), pad=picture.room_above())
        heading.set(gid=_ALONE, **_look.code_text())
    return ax


class _Picture:
    """Everything drawn into some axes, over all calls."""

    def __init__(self, ax: Any, own: bool) -> None:
        self.ax, self.own = ax, own
        self.colored: list[Any] = []
        """The curves whose colours the caller has not chosen."""
        self.code: list[Any] = []
        """The curves whose labels are expressions."""
        self.marks: list[tuple[Any, list[int]]] = []
        self.bar: Any = None
        """The axes of the colour bar."""
        self.has_no_room = False
        """Whether a legend would have covered most of the axes."""
        self.top: tuple[float, float] | None = None
        """The vertical limits that made room for a legend."""
        ax._lrkern_picture = self

    @classmethod
    def of(cls, ax: Any) -> _Picture:
        """The picture in some axes, without curves that have been removed since."""
        picture = getattr(ax, "_lrkern_picture", None) or cls(ax, own=False)
        picture.colored = [curve for curve in picture.colored if curve.axes is ax]
        picture.code = [curve for curve in picture.code if curve.axes is ax]
        picture.marks = [(curve, marks) for curve, marks in picture.marks if curve.axes is ax]
        if picture.top == ax.get_ylim():
            ax.autoscale(axis="y")
        return picture

    def add(self, curve: Any, marks: list[int], colored: bool, code: bool) -> None:
        self.marks.append((curve, marks))
        if colored:
            self.colored.append(curve)
        if code:
            self.code.append(curve)

    @property
    def is_crowded(self) -> bool:
        """Whether to use a colour map: there are many curves, or a legend would leave too little room for them."""
        room = 0.35 * self.ax.figure.bbox.height / self.ax.figure.dpi
        too_high = self.own and len(self.colored) > 2 and len(self.colored) * _LINE_HEIGHT * _look.scale() > room
        return len(self.colored) > _MANY or too_high or self.has_no_room

    def draw_marks(self) -> None:
        """Draw the thin lines, with their steps above them as far as there is room; those of earlier calls are redrawn."""
        ax = self.ax
        for old in [one for one in (*ax.lines, *ax.texts) if one.get_gid() == _MARK]:
            old.remove()
        if self.is_crowded:
            self._color()
        marks = [(mark, curve.get_color()) for curve, steps in self.marks for mark in steps]
        if self.is_crowded:
            steps = sorted({mark for mark, _ in marks})
            marks = [(mark, _look.faint()) for mark in steps] if len(steps) <= _MANY_MARKS else []
        for mark, color in marks:
            ax.axvline(mark, color=color, gid=_MARK, lw=0.9, ls=(0, (4, 3)), marker="", zorder=1)
        self._label_marks([mark for mark, _ in marks])

    def _label_marks(self, steps: list[int]) -> None:
        ax = self.ax
        eng = require("matplotlib.ticker", install="'lrkern[plot]'", what="plot").EngFormatter(sep="")
        left, right = ax.get_xlim()
        share = 0.5 if self.is_crowded else 0.75  # of a new figure's width, whose axes are not laid out yet
        width = share * ax.figure.bbox.width / ax.figure.dpi if self.own else _width(ax)
        each = 0.065 * _look.scale() / width  # a character's width as a fraction of the axes' width
        free = -math.inf
        for step in sorted(set(steps)):
            label = f"{step:,}" if step < 10**7 else eng(step)
            half = each * (len(label) / 2 + 0.3) * (right - left)
            if step - half >= free:
                place = {"xycoords": ax.get_xaxis_transform(), "textcoords": "offset points", "ha": "center", "va": "bottom"}
                look: dict[str, Any] = {**place, "fontsize": "x-small", "color": _look.ink(), "gid": _MARK}
                ax.annotate(label, (step, 1.0), (0, 3), **look)
                free = step + half

    def _color(self) -> None:
        colors = _look.color_map(self.ax, len(self.colored))
        for i, curve in enumerate(self.colored):
            curve.set(color=colors(i), linestyle="-")

    def tell_apart(self, by_legend: bool) -> None:
        """Draw a colour bar, or a legend if there is more than one curve or labels have been given."""
        ax = self.ax
        if self.bar is not None:
            self.bar.clear()
        if ax.get_legend() is not None:
            ax.get_legend().remove()
        if self.is_crowded:
            self._draw_bar()
        named = [one for one in _curves(ax) if not (self.is_crowded and one in self.colored)]
        named = [one for one in named if not one.get_label().startswith("_")]
        if len(named) <= _MANY and (named if self.is_crowded else len(named) > 1 or by_legend):
            self._draw_legend(named)

    def _draw_bar(self) -> None:
        import matplotlib as mpl

        ax, n = self.ax, len(self.colored)
        common, own = differences([curve.get_label() for curve in self.colored])
        colors = mpl.cm.ScalarMappable(mpl.colors.BoundaryNorm(np.arange(n + 1) - 0.5, n), _look.color_map(ax, n))
        high = ax.get_window_extent().height / ax.figure.dpi / _look.scale()
        room = min(max(int(high / _BAR_TICK), 2), _BAR_TICKS)
        shown = range(n) if n <= room else np.rint(np.linspace(0, n - 1, max(room // 2, 2))).astype(int).tolist()
        place: dict[str, Any] = {"ax": ax, "pad": 0.02, "aspect": 30} if self.bar is None else {"cax": self.bar}
        bar = ax.figure.colorbar(colors, ticks=shown, **place)
        self.bar = bar.ax
        self.bar.set_yticks(shown, [shorten(own[i], 26) for i in shown], fontsize="x-small", color=_look.ink())
        for text in self.bar.get_yticklabels():
            text.set(**_look.code_text())
        self.bar.tick_params(which="both", length=0)
        bar.minorticks_off()
        bar.outline.set_visible(False)
        if common:
            self.bar.set_ylabel(
                shorten(common, min(44, max(int(high / _CHARACTER), 9))),
                fontsize="x-small",
                color=_look.ink(),
                **_look.code_text(),
            )

    def _draw_legend(self, named: list[Any]) -> None:
        ax = self.ax
        width = _width(ax) / (_CHARACTER * _look.scale())  # in characters
        room = max(int(width) - 6, 16)
        texts = [textwrap.fill(str(one.get_label()), room, break_on_hyphens=False) for one in named]
        look: dict[str, Any] = {"fontsize": _look.setting("legend.fontsize", "small"), "labelcolor": _look.ink()}
        if self.own:
            longest = max(len(row) for text in texts for row in text.splitlines() or [""])
            look |= {"ncols": max(1, min(len(texts), int(width / (longest + 7)))), **_above(ax, 16)}
        else:
            look |= {"loc": "best"}
        legend = ax.legend(named, texts, **look)
        for text, one in zip(legend.get_texts(), named, strict=True):
            if one in self.code:
                text.set(**_look.code_text())

    def place_legend(self) -> None:
        """Make room above the curves for a legend inside the caller's axes, if it would cover a curve everywhere else."""
        ax, legend = self.ax, self.ax.get_legend()
        if self.own or legend is None:
            return
        ax.figure.canvas.figure.draw_without_rendering()
        box = legend.get_window_extent()
        if not any(_crosses(curve, box) for curve in _curves(ax)) or not ax.get_autoscaley_on():
            return
        share = box.height / ax.get_window_extent().height + 0.06
        if share <= 0.6:
            legend.set_loc("upper right")
            low, high = ax.get_yaxis_transform().transform([(0.0, y) for y in ax.get_ylim()])[:, 1]
            top = ax.transData.inverted().transform((0.0, low + (high - low) / (1.0 - share)))[1]
            ax.set_ylim(top=top)
            self.top = ax.get_ylim()
        elif len(self.colored) > 1 and not self.has_no_room:
            self.has_no_room = True
            self.draw_marks()
            self.tell_apart(by_legend=False)
            self.place_legend()
        else:
            place = _above(ax, 18)
            legend.set_loc(place["loc"])
            legend.set_bbox_to_anchor(place["bbox_to_anchor"], place["bbox_transform"])
            legend.borderaxespad = 0.0

    def room_above(self) -> float:
        """Points between the axes and a title: room for the steps of marks, and for a legend above them."""
        legend = self.ax.get_legend()
        if not self.own or legend is None:
            return 14 * _look.scale()
        self.ax.figure.draw_without_rendering()
        pixels = legend.get_window_extent().y1 - self.ax.get_window_extent().y1
        return float(pixels / self.ax.figure.dpi * 72) + 6


def _width(ax: Axes) -> float:
    """The width of the axes in inches."""
    return ax.get_window_extent().width / ax.figure.dpi


def _above(ax: Any, points: float) -> dict[str, Any]:
    """The placement of a legend `points` above the axes."""
    from matplotlib.transforms import ScaledTranslation

    higher = ScaledTranslation(0.0, points * _look.scale() / 72, ax.figure.dpi_scale_trans)
    return {
        "loc": "lower left",
        "bbox_to_anchor": (0.0, 1.0),
        "bbox_transform": ax.transAxes + higher,
        "borderaxespad": 0.0,
        "borderpad": 0.1,
        "frameon": False,
    }


def _crosses(curve: Any, box: Any) -> bool:
    path = curve.get_path().transformed(curve.get_transform()).cleaned(remove_nans=True)
    return bool(path.intersects_bbox(box.padded(3), filled=False))


def _line_options(line: dict[str, Any]) -> dict[str, Any]:
    """Line options, checked, with matplotlib's short names expanded, so that each overrides the default."""
    require("matplotlib", install="'lrkern[plot]'", what="plot")
    from matplotlib.cbook import normalize_kwargs
    from matplotlib.lines import Line2D

    for name, value in line.items():
        if name in ("data", "xdata", "ydata") or not hasattr(Line2D, f"set_{name}"):
            raise TypeError(f"plot: {name} must be a property of Line2D, like color; got {describe(value)}")
        try:
            Line2D([], []).set(**{name: value})
        except (TypeError, ValueError) as error:
            wanted = f"plot: {name} must be a valid value for matplotlib's Line2D; got {describe(value)}"
            raise type(error)(wanted) from error
    try:
        options: dict[str, Any] = normalize_kwargs(line, Line2D)
    except TypeError as error:  # a property by its long and its short name
        raise TypeError(f"plot: {error}") from None
    return options


def _check_axes(ax: object) -> None:
    from matplotlib.axes import Axes

    if ax is not None and not (isinstance(ax, Axes) and ax.name == "rectilinear"):
        raise TypeError(f"plot: ax must be rectilinear Axes of matplotlib; got {describe(ax)}")


def _check_values(drawn: Sequence[Line], scale: str) -> None:
    if scale == "log" and not any((one.values > 0).any() for one in drawn):
        raise ValueError("plot: nothing to draw on a logarithmic axis: no value is > 0")
    most = _LARGEST[scale]
    for one in drawn:
        for i in np.flatnonzero((one.values if scale == "log" else np.abs(one.values)) > most)[:1].tolist():
            wanted = f"plot: values must not exceed {most:g}, which matplotlib cannot draw"
            raise ValueError(f"{wanted}; got {one.values[i]:g} at step {one.steps[i]}")


def _curves(*axes: Axes) -> list[Any]:
    return [one for ax in axes for one in ax.lines if one.get_gid() != _MARK]


def _same_place(ax: Axes) -> list[Axes]:
    """The axes and their twins, which have another vertical axis."""
    place = ax.get_position().bounds
    return [one for one in ax.figure.axes if one.get_position().bounds == place]


def _set_scale(ax: Axes, scale: str) -> None:
    if scale != "symlog":
        ax.set_yscale(scale)
        return
    sizes: NDArray[np.float64] = np.abs(np.concatenate([np.asarray(one.get_ydata(), float) for one in _curves(ax)]))
    sizes = sizes[np.isfinite(sizes)]
    ax.get_ylim()  # computes limits while the axis is linear: on symlog those of tiny numbers overflow
    largest = float(sizes.max()) or 1.0
    smallest = float(sizes[sizes > 0.0].min(initial=largest))
    ax.set_yscale("symlog", linthresh=max(smallest, 1e-4 * largest, _SMALLEST))


def _scale(log: bool | str) -> str:
    if isinstance(log, bool | np.bool_):
        return "log" if log else "linear"
    if isinstance(log, str) and log == "symlog":
        return log
    error = ValueError if isinstance(log, str) else TypeError
    raise error(f"plot: log must be True, False or 'symlog'; got {describe(log)}")


def _given_labels(labels: str | Sequence[str] | None, curves: Sequence[Drawable]) -> list[str] | None:
    if labels is None:
        return None
    if not isinstance(labels, Sequence):
        raise TypeError(f"plot: labels must be a string or a sequence of strings; got {describe(labels)}")
    texts = [labels] if isinstance(labels, str) else list(labels)
    if len(texts) != len(curves):
        raise ValueError(f"plot: labels must have one string for each curve, {len(curves)}; got {len(texts)}")
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"plot: labels must have one string for each curve; got {describe(text)}")
    return texts


def _new_axes(texts: Sequence[str]) -> Axes:
    pyplot = require("matplotlib.pyplot", install="'lrkern[plot]'", what="plot")
    wide, high = _look.setting("figure.figsize", (None, None))
    if wide is None:  # the figure grows with a legend above the axes
        rows = 0 if not 1 < len(texts) <= _MANY else len(texts)
        wide, high = _WIDTH, _HEIGHT + _LINE_HEIGHT * _look.scale() * max(rows - 2, 0)
    layout: dict[str, Any] = {} if _look.setting("figure.autolayout", None) else {"layout": "constrained"}
    axes: Axes = pyplot.subplots(figsize=(wide, high), dpi=_look.setting("figure.dpi", 144), **layout)[1]
    return axes


def plot_suggestion(found: Suggestion, ax: Axes | None = None) -> Axes:
    """`Suggestion.plot`: the losses over the rates, with a vertical line at each suggestion."""
    _line_options({})
    _check_axes(ax)
    if ax is None:
        ax = _new_axes([])
    ax.plot(found.rates, found.losses, **_look.line_look(ax, 0))
    ax.set_xscale("log" if (found.rates > 0).all() else "linear")
    style(ax, "learning rate", "loss")
    if ax.get_xscale() == "log":
        ticker = require("matplotlib.ticker", install="'lrkern[plot]'", what="plot")
        ax.xaxis.set_major_locator(ticker.LogLocator(numticks=8))
        ax.xaxis.set_major_formatter(ticker.FuncFormatter(_look.plain_tick))
    for place, name in enumerate(("valley", "steepest", "minimum", "slide"), 1):
        rate = getattr(found, name)
        if rate is not None and (rate > 0 or ax.get_xscale() == "linear"):
            look = {**_look.line_look(ax, place), "linestyle": (0, (place + 1, 2)), "linewidth": 1.2}
            ax.axvline(rate, label=f"{name} {rate:.2g}", gid=_MARK, **look)
    columns = 4 if _width(ax) > 5.0 * _look.scale() else 2
    ax.legend(fontsize="small", labelcolor=_look.ink(), ncols=columns, **_above(ax, 4))
    return ax

"""The look of pictures: lrkern's own for settings that matplotlib has at its defaults, else that of the active style."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from lrkern._optional import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colour-blind-safe palette, without its yellow, which is too light for a line.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
DASHES = ("-", "--", ":", "-.")  # after all colours have been used
_INK, _LINE = "#334155", "#64748b"
_LEAST_CONTRAST = 1.6
_TICK = 0.4  # inches: the room of a number below the axis


def setting(name: str, own: Any) -> Any:
    """matplotlib's rcParam of that name if it differs from its default, else `own`."""
    mpl = require("matplotlib", install="'lrkern[plot]'", what="lrkern.pictures.plotting")
    value = mpl.rcParams[name]
    return own if value == mpl.rcParamsDefault[name] else value


def ink() -> Any:
    """The colour of text."""
    return setting("text.color", _INK)


def code_text() -> dict[str, Any]:
    """Text properties for expressions: monospace, without mathtext and TeX."""
    return {"family": setting("font.family", "monospace"), "parse_math": False, "usetex": False}


def faint() -> Any:
    """The colour of auxiliary lines."""
    return setting("text.color", _LINE)


def scale() -> float:
    """The font size relative to matplotlib's default."""
    return float(setting("font.size", 10.0)) / 10.0


def _background(ax: Axes) -> Any:
    """The background colour, as (red, green, blue)."""
    from matplotlib.colors import to_rgba

    shades = [to_rgba(color) for color in (ax.get_facecolor(), ax.figure.get_facecolor(), "white")]
    return next(shade for shade in shades if shade[3] > 0.5)[:3]


def _luminance(colors: Any) -> Any:
    """Relative luminance, 0 to 1, of colours; components are in the last axis."""
    linear = np.where(np.asarray(colors) <= 0.04045, np.asarray(colors) / 12.92, ((np.asarray(colors) + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


def _contrast(colors: Any, background: Any) -> Any:
    """The ratio of luminances that the Web Content Accessibility Guidelines define, 1 to 21."""
    a, b = _luminance(colors) + 0.05, _luminance(background) + 0.05
    return np.maximum(a, b) / np.minimum(a, b)


def line_look(ax: Axes, place: int) -> dict[str, Any]:
    """Colour and dashes of line number `place`, from 0: the style's or lrkern's."""
    cycle = setting("axes.prop_cycle", None)
    own = {"color": "black" if _luminance(_background(ax)) > 0.18 else "white"}
    looks = [{"color": color} for color in COLORS[:-1]] + [own] if cycle is None else list(cycle)
    dashes = {"linestyle": DASHES[place // len(looks) % len(DASHES)]}
    return {"linewidth": setting("lines.linewidth", 1.8), **dashes, **looks[place % len(looks)]}


def color_map(ax: Axes, n: int) -> Any:
    """`n` colours along the style's colour map, without those too close to the background."""
    import matplotlib as mpl

    colors = mpl.colormaps[mpl.rcParams["image.cmap"]](np.linspace(0.0, 1.0, 256))
    seen = colors[_contrast(colors[:, :3], _background(ax)) >= _LEAST_CONTRAST]
    colors = seen if len(seen) else colors
    return mpl.colors.ListedColormap(colors[np.rint(np.linspace(0, len(colors) - 1, n)).astype(int)])


def style(ax: Axes, xlabel: str, ylabel: str) -> None:
    """Give axes lrkern's look: a light grid, no box, abbreviated step numbers."""
    ticker = require("matplotlib.ticker", install="'lrkern[plot]'", what="lrkern.pictures.plotting")
    color, size = setting("axes.labelcolor", _INK), setting("axes.labelsize", "small")
    ax.set_xlabel(xlabel, color=color, fontsize=size)
    ax.set_ylabel(ylabel, color=color, fontsize=size)
    ax.grid(True, color=setting("grid.color", "#94a3b8"), alpha=setting("grid.alpha", 0.35), lw=setting("grid.linewidth", 0.8))
    ax.set_axisbelow(True)
    ax.margins(x=0.02)
    for axis in ("x", "y"):
        ax.tick_params(
            axis=axis,
            which="both",
            color=setting(f"{axis}tick.color", _LINE),
            labelcolor=_tick_label_color(axis),
            labelsize=setting(f"{axis}tick.labelsize", "small"),
            length=0,
        )
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        ax.spines[side].set_color(setting("axes.edgecolor", _LINE))
    wide = ax.get_window_extent().width / ax.figure.dpi / scale()
    ax.xaxis.set_major_locator(ticker.MaxNLocator(nbins=min(max(int(wide / _TICK), 1), 8), steps=[1, 2, 5, 10], integer=True))
    ax.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    if ax.get_yscale() == "linear":
        ax.yaxis.set_major_formatter(ticker.FuncFormatter(partial(_tick, ax)))


def _tick(ax: Axes, value: float, place: int) -> str:
    return _short(value, *ax.get_ylim())


def plain_tick(value: float, place: int) -> str:
    """A tick's number in its shortest form."""
    return f"{value:g}"


def _tick_label_color(axis: str) -> Any:
    color = setting(f"{axis}tick.labelcolor", "inherit")
    return setting(f"{axis}tick.color", _INK) if color == "inherit" else color


def _short(value: float, low: float, high: float) -> str:
    """A tick's number with enough digits to differ from its neighbours, and no power of ten beside the axis."""
    largest, range_ = max(abs(low), abs(high)), abs(high / 2 - low / 2)
    digits = 3 + max(0, math.ceil(math.log10(largest / range_))) if range_ > 0.0 else 6
    return f"{0.0 if abs(value) < 1e-9 * range_ else value:.{min(digits, 17)}g}"

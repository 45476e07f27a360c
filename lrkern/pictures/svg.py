"""The picture in notebooks: a few kilobytes of SVG, written without other packages."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrkern.pictures.labels import shorten
from lrkern.pictures.sampling import lines
from lrkern.schedules.expression import Schedule

_Row = NDArray[Any]

_COLUMNS = 128  # of 2.5 units each
_LEFT, _TOP, _WIDTH, _HEIGHT = 8, 8, 320, 64
_BLUE = "#2f81f7"  # visible on white and on black, like the grey of a stand-alone picture
_GREY = "#768390"


def html_picture(schedule: Schedule) -> str:
    """The picture and the expression as text, in the colours of the page."""
    return (
        f'<figure style="margin:0">{svg_picture(schedule, "currentColor")}'
        f'<figcaption style="font-size:0.9em;overflow-wrap:anywhere"><code>{escape(shorten(repr(schedule), 1000))}</code>'
        "</figcaption></figure>"
    )


def svg_picture(schedule: Schedule, ink: str = _GREY) -> str:
    """The picture alone.

    >>> import lrkern as lk
    >>> svg_picture(lk.linear(0.1, 0.0, 100))[:4]
    '<svg'
    """
    n, (line,) = lines("plot", [schedule], None, _COLUMNS)
    low, high = min(0.0, float(line.values.min())), max(0.0, float(line.values.max()))
    unit = max(-low, high) or 1.0  # so that no difference overflows
    span = high / unit - low / unit

    def down(values: _Row) -> _Row:
        return _TOP + _HEIGHT * ((high / unit - values / unit) / span if span else np.full(len(values), 0.5))

    def right(steps: _Row) -> _Row:
        return _LEFT + _WIDTH * steps / max(n - 1, 1)

    x, y = right(line.steps), down(line.values)
    if n == 1:
        x, y = np.array([_LEFT, _LEFT + _WIDTH]), np.repeat(y, 2)
    points = " ".join(f"{a:.4g},{b:.4g}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    (zero,) = down(np.zeros(1))
    marks = "".join(f"M{a:.4g} {_TOP}v{_HEIGHT}" for a in right(np.array(line.marks, float)).tolist())
    end, edge = _TOP + _HEIGHT, _LEFT + _WIDTH
    text = repr(schedule)
    about = f"{n:,} steps, from {low:.3g} to {high:.3g}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="400" height="90" viewBox="0 0 400 90" role="img" '
        f'style="max-width:100%" aria-label="{escape(shorten(text, 200))}">'
        f"<title>{escape(shorten(text, 1000))}</title><desc>Learning rate over {about}.</desc>"
        f'<path d="M{_LEFT} {zero:.4g}H{edge}" stroke="{ink}" opacity="0.4"/>'
        + (f'<path d="{marks}" stroke="{ink}" opacity="0.7" stroke-dasharray="3 3"/>' if marks else "")
        + f'<polygon points="{x[0]:.4g},{zero:.4g} {points} {x[-1]:.4g},{zero:.4g}" fill="{_BLUE}" opacity="0.15"/>'
        f'<polyline points="{points}" fill="none" stroke="{_BLUE}" stroke-width="1.6" stroke-linejoin="round"/>'
        f'<g fill="{ink}" font-family="ui-monospace,monospace" font-size="10">'
        f'<text x="{edge + 6}" y="{_TOP + 4}">{high:.3g}</text><text x="{edge + 6}" y="{end + 1}">{low:.3g}</text>'
        f'<text x="{_LEFT}" y="{end + 13}">0</text>'
        f'<text x="{edge}" y="{end + 13}" text-anchor="end">step {n - 1:,}</text></g></svg>'
    )

"""What tests of pictures share: a schedule, many of them, and what is in a figure."""

import numpy as np

import lrkern as lk

S = lk.cosine(0.1, 0.0, 1000).warmup(100)


def curves(axes):
    """The lines that show schedules."""
    return [line for line in axes.lines if line.get_gid() is None]


def marks(axes):
    """The steps of the thin lines, and the texts above them."""
    found = [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "lrkern-mark"]
    return found, [text.get_text() for text in axes.texts]


def sweep(n):
    return [lk.cosine(float(peak), 0.0, 1000).warmup(100) for peak in np.geomspace(0.001, 0.1, n)]


def is_whole(axes):
    """Whether everything is inside the figure, and the curves have most of it."""
    figure = axes.figure
    figure.canvas.draw()
    inside = figure.bbox.padded(1)
    for one in figure.axes:
        box = one.get_tightbbox()
        assert inside.x0 <= box.x0 <= box.x1 <= inside.x1, (inside, box)
        assert inside.y0 <= box.y0 <= box.y1 <= inside.y1, (inside, box)
    area = axes.get_window_extent()
    return area.width * area.height > 0.35 * figure.bbox.width * figure.bbox.height

"""Plots in the style in use: colours, dashes, legends, titles and marks that can be read."""

from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from figures import S, curves, is_whole, sweep
from matplotlib import pyplot
from representative import diagonals

import lrkern as lk
from lrkern.pictures import plotting


def test_the_style_in_use_is_followed():
    with pyplot.style.context("dark_background"):
        axes = lk.plot([S, lk.constant(0.05)])
        cycle = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
        assert [line.get_color() for line in curves(axes)] == cycle[:2]
        assert axes.get_facecolor() == (0, 0, 0, 1)
        texts = [axes.xaxis.label, axes.yaxis.label, *axes.get_legend().get_texts(), *axes.texts, *axes.get_xticklabels()]
        assert {mpl.colors.to_hex(text.get_color()) for text in texts} == {"#ffffff"}
    own = {"font.size": 20.0, "font.family": ["serif"], "lines.linewidth": 5.0, "figure.figsize": (9, 5), "figure.dpi": 50}
    with mpl.rc_context(
        {**own, "axes.labelcolor": "red", "xtick.color": "blue", "grid.color": "green", "axes.edgecolor": "pink"}
    ):
        axes = S.plot()
        axes.figure.canvas.draw()
        assert (axes.figure.get_size_inches().tolist(), axes.figure.dpi) == ([9, 5], 50)
        assert axes.title.get_fontfamily() == axes._left_title.get_fontfamily() == ["serif"]
        assert axes.xaxis.label.get_fontsize() == pytest.approx(20 / 1.2, rel=1e-3)
        assert (axes.xaxis.label.get_color(), axes.get_xticklabels()[0].get_color()) == ("red", "blue")
        assert axes.get_xgridlines()[0].get_color() == "green"
        assert axes.spines["left"].get_edgecolor() == mpl.colors.to_rgba("pink")
        assert curves(axes)[0].get_linewidth() == 5
        assert is_whole(axes)


@pytest.mark.parametrize("style", ["default", "dark_background", "grayscale", "ggplot"])
def test_no_colour_is_lost_on_the_background(style):
    with pyplot.style.context(style):
        for rows in ([S] * 7, sweep(60)):
            axes = lk.plot(rows)
            background = plotting._look._background(axes)
            for line in curves(axes):
                assert plotting._look._contrast(mpl.colors.to_rgb(line.get_color()), background) > 1.25
            assert is_whole(axes)


def test_dashes_of_a_style_are_kept():
    with mpl.rc_context({"axes.prop_cycle": mpl.cycler(color=["red", "blue"], linestyle=["-", "--"])}):
        looks = [(line.get_color(), line.get_linestyle()) for line in curves(lk.plot([S, S]))]
    assert looks == [("red", "-"), ("blue", "--")]


def test_expressions_are_no_mathematics():
    @lk.curve
    def priced(text):
        return lk.linear(1.0, 0.0, 9)

    rows = [priced("$x_1$ and $\\alpha$"), priced("$y")]
    for axes in (lk.plot(rows), lk.plot(rows[0])):
        texts = axes.get_legend().get_texts() if axes.get_legend() else [axes._left_title]
        assert not any(text.get_parse_math() or text.get_usetex() for text in texts)
        axes.figure.canvas.draw()
    assert lk.plot(rows, labels=["$\\alpha$", "b"]).get_legend().get_texts()[0].get_parse_math()


def test_marks_print():
    axes = S.plot()
    for line in axes.lines[1:]:
        assert line.get_alpha() is None
        assert line.get_linewidth() >= 0.9
    for text in axes.texts:
        assert plotting._look._contrast(mpl.colors.to_rgb(text.get_color()), (1, 1, 1)) > 4.5


@diagonals(2, ("n", [2, 8], str), ("size", [(6.4, 4.8), (3.0, 2.2)], str), ("log", [False, True, "symlog"], str))
def test_a_legend_within_given_axes_hides_no_curve(n, size, log):
    rows = [lk.constant(float(x)).warmup(10) for x in np.linspace(0.1, 1.0, n)]
    axes = pyplot.figure(figsize=size).subplots()
    for part in (rows[:1], rows[1:]):
        lk.plot(part, 100, ax=axes, log=log, labels=[f"curve {i} of them" for i in range(len(part))])
    axes.figure.canvas.draw()
    if axes.get_legend() is None:  # there was no room: a bar
        assert len(axes.figure.axes) == 2
        return
    assert n == 2 or size != (3.0, 2.2)
    box = axes.get_legend().get_window_extent()
    assert not any(plotting._crosses(line, box) for line in curves(axes))
    for text in axes.texts:
        assert not box.overlaps(text.get_window_extent())


def test_limits_that_somebody_has_set_stay():
    axes = pyplot.figure().subplots()
    axes.set_ylim(0.0, 0.05)
    lk.plot([S, lk.constant(0.02)], ax=axes)
    assert axes.get_ylim() == (0.0, 0.05)


def test_a_title_stands_above_the_legend():
    axes = lk.plot([S, lk.constant(0.05), lk.constant(0.02)], title="Three")
    axes.figure.canvas.draw()
    assert axes._left_title.get_window_extent().y0 >= axes.get_legend().get_window_extent().y1
    assert is_whole(axes)


def test_steps_of_marks_do_not_touch():
    with mpl.rc_context({"font.size": 14, "figure.figsize": (6, 4)}):
        rows = [S, lk.wsd(0.1, 100, 600, 400), lk.warm_restarts(0.1, 0.0, 200, gain=0.7), lk.inverse_sqrt(0.1, 9.0).warmup(50)]
        for axes in (lk.plot(rows), lk.plot([*rows, *rows, *rows])):
            axes.figure.canvas.draw()
            boxes = sorted((text.get_window_extent() for text in axes.texts), key=lambda box: box.x0)
            assert len(boxes) >= 4
            assert all(a.x1 < b.x0 for a, b in pairwise(boxes))

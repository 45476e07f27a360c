"""Plots: they show the schedule, peaks included; joints are marked; the defaults show all of it."""

import gc
import json
import os
import pickle
import re
import subprocess
import sys
import weakref
import xml.etree.ElementTree as ET
from itertools import pairwise

import cases
import matplotlib as mpl
import numpy as np
import pytest
from representative import diagonals

import lrkern as lk
from lrkern.pictures import labels as _labels
from lrkern.pictures import logged as _logged
from lrkern.pictures import plotting, sampling, terminal
from lrkern.pictures import svg as _svg

mpl.use("Agg")
from matplotlib import pyplot

SVG = "{http://www.w3.org/2000/svg}"
S = lk.cosine(0.1, 0.0, 1000).warmup(100)
OVERFLOWING = lk.exponential(1.0, 10.0)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    pyplot.close("all")


def curves(axes):
    """The lines that show schedules."""
    return [line for line in axes.lines if line.get_gid() is None]


def marks(axes):
    """The steps of the thin lines, and the texts above them."""
    found = [line.get_xdata()[0] for line in axes.lines if line.get_gid() == "lrkern-mark"]
    return found, [text.get_text() for text in axes.texts]


# ------------------------------------------------------------------------------------------------------- what is drawn


def test_the_line_is_the_schedule():
    axes = S.plot(1500)
    (line,) = curves(axes)
    assert line.get_xdata().tolist() == list(range(1500))
    assert line.get_ydata().tobytes() == S.table(1500).tobytes()
    assert axes.get_title(loc="left") == repr(S)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "learning rate")


@pytest.mark.parametrize(
    ("schedule", "n", "points"),
    [
        (
            lk.piecewise([1.0, 0.5, 0.2], [2, 5]),
            7,
            [(0, 1), (1, 1), (2, 1), (2, 0.5), (3, 0.5), (4, 0.5), (5, 0.5), (5, 0.2), (6, 0.2)],
        ),
        (lk.linear(1.0, 0.0, 4).staircase(2), 4, [(0, 1), (1, 1), (2, 1), (2, 0.5), (3, 0.5)]),
        (lk.from_table([3.0, 2.0, 1.0]), 3, [(0, 3), (1, 3), (1, 2), (2, 2), (2, 1)]),
        (lk.linear(3.0, 1.0, 2), 3, [(0, 3), (1, 2), (2, 1)]),
        (lk.warm_restarts(1.0, 0.0, 2), 4, [(0, 1), (1, 0.5), (2, 1), (3, 0.5)]),
        (lk.constant(1.0).warmup(2), 4, [(0, 0), (1, 0.5), (2, 1), (3, 1)]),
    ],
    ids=repr,
)
def test_what_is_held_is_a_stair(schedule, n, points):
    (line,) = curves(schedule.plot(n))
    assert list(zip(line.get_xdata().tolist(), line.get_ydata().tolist(), strict=True)) == points
    shown = line.get_markevery()
    assert [points[i] for i in shown] == list(enumerate(schedule.table(n)))


LONG = [
    (lk.cosine(0.1, 0.0, 10**9), 10**9 + 1),
    (lk.join([lk.constant(0.1), lk.constant(1.0), lk.constant(0.1)], [123_456_789, 123_456_791]), 10**9),
    (lk.linear(0.0, 1.0, 3).then(lk.linear(1.0, 0.0, 3)).then(lk.constant(0.0)).shift(654_321_987), 10**9),
    (lk.cyclic(0.0, 1.0, 500) * lk.linear(1.0, 0.5, 10**8), 10**8),
    (lk.cyclic(0.0, 1.0, 50_000_000, 3), 10**9),
    (lk.from_table(np.sin(np.arange(60_000) ** 2)), 60_000),
]


@pytest.mark.parametrize(("schedule", "n"), LONG, ids=lambda value: repr(value)[:60])
def test_long_schedules_keep_their_ends_and_peaks(schedule, n):
    (line,) = curves(schedule.plot(n))
    steps, values = line.get_xdata(), line.get_ydata()
    assert len(steps) <= 7000
    assert (steps[0], steps[-1]) == (0, n - 1)
    assert (np.diff(steps) >= 0).all()
    real = np.append(np.diff(steps) > 0, True)
    assert values[real].tobytes() == schedule(steps[real]).tobytes()
    if n == 60_000:
        whole = schedule.table(n)
        for column in range(1024):
            begin, end = column * n // 1024, (column + 1) * n // 1024
            inside = values[real][(steps[real] >= begin) & (steps[real] < end)]
            assert (inside.min(), inside.max()) == (whole[begin:end].min(), whole[begin:end].max())
    else:
        peak = 0.1 if n == 10**9 + 1 else 1.0
        assert values.max() > 0.999 * peak
        assert values.min() <= 0.1


def test_the_step_before_a_joint_is_looked_at():
    s = lk.join([lk.linear(0.0, 1.0, 123_457), lk.constant(0.0)], [123_457])
    _, (line,) = sampling.lines("plot", [s], 10**6, 64)
    assert line.values.max() == s(123_456)
    assert {123_456, 123_457} <= set(line.steps.tolist())


def test_a_billion_steps_are_not_a_table(monkeypatch):
    asked = []
    call = lk.Schedule._call_any

    def counting(self, step):
        asked.append(np.size(step))
        return call(self, step)

    monkeypatch.setattr(lk.Schedule, "_call_any", counting)
    lk.warm_restarts(0.1, 0.0, 977).plot(10**9)
    assert 0 < sum(asked) < 100_000


@pytest.mark.parametrize("n", [1, 2, 100, 5000, 10**6])
def test_every_case_can_be_drawn(n):
    for case in cases.CASES[:: 7 if n > 1000 else 3]:
        schedule = case.build(lk)
        try:
            schedule(0)
        except OverflowError:
            continue
        length, (line,) = sampling.lines("plot", [schedule], n, 64)
        assert 1 <= length <= n
        assert line.steps[0] == 0
        assert np.isfinite(line.values).all()
        assert len(line.steps) == len(line.values) <= 4 * 64 + 4 * 64 + 2
        assert line.marks == sorted(set(line.marks))
        assert all(0 < mark < n for mark in line.marks)


def test_a_picture_ends_at_the_last_value_within_float64():
    steep = lk.exponential(1.0, 1e20)
    for n in (None, 16, 17, 10**9):
        (line,) = curves(steep.plot(n))
        assert line.get_xdata().tolist() == list(range(16))
        assert line.get_ydata()[-1] == 1e300
    short, long = curves(lk.plot([steep, S]))
    assert len(short.get_xdata()) == 16
    assert len(long.get_xdata()) == sampling.default_steps([S])
    assert "step 308<" in OVERFLOWING._repr_html_()
    picture = terminal.draw([OVERFLOWING])
    assert (picture.low, picture.high, picture.n) == (1.0, 1e308, 309)


def test_nothing_to_draw():
    beyond = lk.constant(1e308) + lk.constant(1e308)
    assert beyond._repr_html_() is None
    assert beyond._repr_svg_() is None
    for draw in (beyond.plot, lambda: terminal.draw([beyond])):
        with pytest.raises(OverflowError, match=r"^plot: nothing to draw: the value at step 0 is beyond"):
            draw()


@pytest.mark.parametrize(
    ("schedule", "low", "high"),
    [
        (S, 1101, 1200),
        (lk.constant(0.1), 100, 100),
        (lk.exponential(0.1, 0.99999), 69_315, 10**6),
        (lk.noam(512, 4000), 16_000, 10**5),
        (lk.cyclic(0.0, 1.0, 2000), 4000, 64_000),
        (lk.exponential(1.0, 1.01), 1000, 1000),
        (lk.linear(0.0, 0.0, 0), 100, 100),
    ],
    ids=repr,
)
def test_default_length_shows_the_whole_curve(schedule, low, high):
    assert low <= sampling.default_steps([schedule]) <= high


# --------------------------------------------------------------------------------------------------------------- marks


@pytest.mark.parametrize(
    ("schedule", "n", "steps"),
    [
        (S, 1200, [100, 1100]),
        (S, 1100, [100]),
        (lk.wsd(0.1, 10, 50, 40), 120, [10, 60, 100]),
        (lk.constant(0.1).warmup(5).cooldown(70, 30), 200, [5, 70, 100]),
        (lk.join([lk.constant(1.0), lk.linear(0.5, 0.0, 20)], [30]), 100, [30, 50]),
        (lk.linear(0.0, 1.0, 10).then(lk.cosine(1.0, 0.0, 20)).shift(5).stretch(2), 200, [10, 30, 70]),
        (lk.warm_restarts(1.0, 0.0, 10, growth=2.0), 100, [10, 30, 70]),
        (lk.noam(512, 400), 5000, [399]),
        (lk.constant(0.1), 100, []),
        (lk.exponential(1.0, 0.9), 100, []),
        (lk.step_decay(1.0, 0.5, 3), 1000, []),
        (lk.from_table(np.arange(100.0) % 7), 100, []),
        (lk.warm_restarts(1.0, 0.0, 90).warmup(100).cooldown(1890, 120), 2200, [100, 1890, 2010]),
        (lk.cyclic(0.0, 1.0, 20, 30).warmup(77), 2000, [77]),
        (lk.cosine(3e-4, 3e-5, 10**12).warmup(10**10), 2 * 10**12, [10**10, 101 * 10**10]),
        (lk.join([lk.constant(i) for i in range(20)], [k * k for k in range(1, 20)]), 500, []),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_joints_are_marked_with_their_steps(schedule, n, steps):
    axes = schedule.plot(n)
    assert marks(axes)[0] == steps
    assert marks(schedule.plot(n, marks=False)) == ([], [])


def test_marks_are_labelled_where_there_is_room():
    assert marks(S.plot())[1] == ["100", "1,100"]
    assert marks(lk.cosine(3e-4, 0.0, 10**9).warmup(123_456_789).plot())[1] == ["123.457M", "1.12346G"]
    assert marks(lk.wsd(0.1, 100, 1, 899).plot()) == ([100, 101, 1000], ["100", "1,000"])
    axes = S.plot()
    lk.wsd(0.1, 100, 400, 700).plot(1100, ax=axes)
    assert marks(axes) == ([100, 1100, 100, 500], ["100", "500", "1,100"])


# ----------------------------------------------------------------------------------------------------- how it is drawn


def test_overlay_in_one_call_and_in_several():
    other = lk.linear(0.1, 0.0, 1000)
    n = sampling.default_steps([S, other])
    together = lk.plot([S, other])
    apart = other.plot(n, S.plot(n))
    for axes in (together, apart):
        a, b = curves(axes)
        assert a.get_color() != b.get_color()
        assert [t.get_text() for t in axes.get_legend().get_texts()] == [repr(S), repr(other)]
        assert axes.get_title(loc="left") == ""
    for a, b in zip(curves(together), curves(apart), strict=True):
        assert a.get_ydata().tobytes() == b.get_ydata().tobytes()


def test_many_lines_differ_in_colour_or_dashes():
    axes = lk.plot([lk.constant(float(i)) for i in range(8)])
    assert len({(line.get_color(), line.get_linestyle()) for line in curves(axes)}) == 8
    assert axes.get_legend() is not None
    assert len(axes.figure.axes) == 1


def test_colours_are_safe_for_the_colour_blind():
    """By luminance alone most neighbours differ, and all by it or by hue after the loss of red against green."""
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    blind = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])  # deuteranopes, after Vienot et al. 1999
    seen = np.array([mpl.colors.to_rgb(color) for color in plotting.COLORS]) ** 2.2
    dull = seen @ (np.linalg.inv(to_lms) @ blind @ to_lms).T
    for i in range(len(dull)):
        for j in range(i):
            assert np.linalg.norm(dull[i] - dull[j]) > 0.08, (plotting.COLORS[i], plotting.COLORS[j])


def test_texts():
    assert [t.get_text() for t in S.plot(label="mine").get_legend().get_texts()] == ["mine"]
    assert S.plot().get_legend() is None
    momentum = lk.one_cycle_momentum(0.85, 0.95, 100).plot(ylabel="momentum", title="one cycle")
    assert (momentum.get_ylabel(), momentum.get_title(loc="left")) == ("momentum", "one cycle")
    long = lk.plot([S, sum([lk.constant(1.0)] * 50, start=S)])
    assert max(len(t.get_text()) for t in long.get_legend().get_texts()) == 60


def test_options_of_lines():
    axes = lk.plot([S, lk.constant(0.1)], color="black", lw=3, ls=":")
    assert {(line.get_color(), line.get_linewidth(), line.get_linestyle()) for line in curves(axes)} == {("black", 3, ":")}
    assert curves(S.plot(markevery=5))[0].get_markevery() == 5


def test_numbers_beside_the_axis_tell_ticks_apart():
    for schedule in (S, lk.linear(1.0, 0.9999999, 10), lk.cosine(3e-4, 0.0, 10), lk.constant(5.0), lk.linear(1e300, -1e300, 9)):
        axes = schedule.plot()
        axes.figure.canvas.draw()
        shown = [t.get_text() for t in axes.get_yticklabels()]
        assert len(set(shown)) == len(shown)
        assert axes.yaxis.get_offset_text().get_text() == ""
        for tick, text in zip(axes.get_yticks(), shown, strict=True):
            assert float(text) == pytest.approx(tick, rel=1e-2, abs=1e-9 * np.ptp(axes.get_ylim()))


def test_logarithmic_axis_leaves_out_what_it_cannot_show():
    axes = lk.linear(1.0, -1.0, 10).plot(11, log=True)
    assert axes.get_yscale() == "log"
    (line,) = curves(axes)
    assert np.isnan(line.get_ydata()).tolist() == [False] * 5 + [True] * 6
    axes.figure.canvas.draw()


@pytest.mark.parametrize(
    "schedule",
    [lk.linear(1.0, -1.0, 10), lk.constant(0.0), S, lk.exponential(1.0, 0.5) * -1.0, lk.linear(5e-324, 0.0, 9)],
    ids=repr,
)
def test_symmetric_logarithmic_axis_shows_everything(schedule):
    axes = schedule.plot(50, log="symlog")
    assert axes.get_yscale() == "symlog"
    assert np.isfinite(curves(axes)[0].get_ydata()).all()
    axes.figure.canvas.draw()


def test_draws_into_the_axes_it_is_given():
    axes = pyplot.figure().subplots()
    assert S.plot(ax=axes) is axes
    assert len(pyplot.get_fignums()) == 1


def test_the_legend_hides_no_curve():
    rows = [S, lk.wsd(0.1, 100, 600, 300), lk.warm_restarts(0.1, 0.0, 200, gain=0.7)]
    axes = lk.plot(rows)
    axes.figure.canvas.draw()
    above = max(text.get_window_extent().y1 for text in axes.texts)
    assert axes.get_legend().get_texts()[-1].get_window_extent().y0 >= above > axes.get_window_extent().y1
    given = pyplot.figure().subplots()
    lk.plot(rows, ax=given)
    assert given.get_legend().get_frame().get_visible()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n": 0}, ValueError, "plot: n must be an integer >= 1; got 0 (int)"),
        ({"n": 2**60}, ValueError, "plot: n must be an integer from 1 to 2**53; got "),
        ({"n": 2.5}, TypeError, "plot: n must be an integer >= 1; got 2.5 (float)"),
        ({"n": True}, TypeError, "plot: n must be an integer >= 1; got True (bool)"),
        ({"labels": ["a", "b"]}, ValueError, "plot: labels must have one string for each curve, 1; got 2"),
        ({"labels": [5]}, TypeError, "plot: labels must have one string for each curve; got 5 (int)"),
        ({"labels": []}, ValueError, "plot: labels must have one string for each curve, 1; got 0"),
        ({"labels": 5}, TypeError, "plot: labels must be a string or a sequence of strings; got 5 (int)"),
        ({"log": "log"}, ValueError, "plot: log must be True, False or 'symlog'; got 'log' (str)"),
        ({"log": 10}, TypeError, "plot: log must be True, False or 'symlog'; got 10 (int)"),
        ({"log": None}, TypeError, "plot: log must be True, False or 'symlog'; got None"),
        ({"ax": 5}, TypeError, "plot: ax must be rectilinear Axes of matplotlib; got 5 (int)"),
        ({"ax": np.array([1, 2])}, TypeError, "plot: ax must be rectilinear Axes of matplotlib; got int64 (2,)"),
        ({"colour": "red"}, TypeError, "plot: colour must be a property of Line2D, like color; got 'red' (str)"),
        ({"data": {}}, TypeError, "plot: data must be a property of Line2D, like color; got {} (dict)"),
        ({"color": "rde"}, ValueError, "plot: color must be a valid value for matplotlib's Line2D; got 'rde' (str)"),
        ({"lw": "x"}, ValueError, "plot: lw must be a valid value for matplotlib's Line2D; got 'x' (str)"),
        ({"alpha": "x"}, TypeError, "plot: alpha must be a valid value for matplotlib's Line2D; got 'x' (str)"),
        ({"c": "red", "color": "blue"}, TypeError, "plot: Got both 'c' and 'color', which are aliases of one another"),
        ({"marks": 1}, TypeError, "plot: marks must be True or False; got 1 (int)"),
        (
            {"schedules": []},
            ValueError,
            "plot: schedules must be a Schedule, values, or a sequence of them; got an empty sequence",
        ),
        (
            {"schedules": [S, 0.1]},
            TypeError,
            "plot: schedules must be a Schedule, values, or a sequence of them; got 0.1 (float)",
        ),
        ({"schedules": 0.1}, TypeError, "plot: schedules must be a Schedule, values, or a sequence of them; got 0.1 (float)"),
        (
            {"schedules": lk.linear(0, -1, 9), "log": True},
            ValueError,
            "plot: nothing to draw on a logarithmic axis: no value is > 0",
        ),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error) as raised:
        lk.plot(**{"schedules": S, **arguments})
    assert str(raised.value).startswith(message)
    assert pyplot.get_fignums() == []


def test_axes_that_are_not_straight():
    axes = pyplot.figure().add_subplot(projection="polar")
    with pytest.raises(TypeError, match=r"^plot: ax must be rectilinear Axes of matplotlib; got <PolarAxes"):
        S.plot(ax=axes)
    assert not axes.lines


@pytest.mark.parametrize(("log", "most"), [(False, 1e307), ("symlog", 1e307), (True, 1e150)])
def test_values_as_large_as_matplotlib_can_draw(log, most):
    small = lk.linear(most, 5e-324, 9)
    for schedule in (small, lk.constant(most)) + (() if log is True else (lk.linear(most, -most, 9),)):
        schedule.plot(10, log=log).figure.canvas.draw()
    axes = pyplot.figure().subplots()
    beyond = lk.join([small, lk.constant(1.1 * most)], [7])
    told = f"plot: values must not exceed {most:g}, which matplotlib cannot draw; got {1.1 * most:g} at step 7"
    with pytest.raises(ValueError, match=f"^{re.escape(told)}$"):
        lk.plot([S, beyond], ax=axes, log=log)
    if log is not True:
        with pytest.raises(ValueError, match="plot: values must not exceed"):
            (-1.0 * beyond).plot(10, ax=axes, log=log)
    assert not axes.lines


# ----------------------------------------------------------------------------------------------------- many curves


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


@pytest.mark.parametrize("n", [9, 12, 60, 300])
def test_many_curves_have_a_bar_of_colours(n):
    axes = lk.plot(sweep(n))
    assert is_whole(axes)
    assert axes.get_legend() is None
    lines = curves(axes)
    assert len({line.get_color() for line in lines}) >= min(n, 100)
    _, bar = axes.figure.axes
    assert bar.get_ylabel() == "cosine(…, 0.0, 1000).warmup(100)"
    told = dict(zip(bar.get_yticks().tolist(), [text.get_text() for text in bar.get_yticklabels()], strict=True))
    assert len(told) == (n if n <= 16 else 8)
    assert {0, n - 1} < set(told)
    for place, text in told.items():
        assert float(text) == pytest.approx(np.geomspace(0.001, 0.1, n)[int(place)], rel=1e-3)
        mesh = bar.collections[-1]
        assert mpl.colors.to_hex(mesh.cmap(mesh.norm(place))) == mpl.colors.to_hex(lines[int(place)].get_color())
    assert marks(axes) == ([100, 1100], ["100", "1,100"])


def overlapping(texts):
    """Pairs of neighbouring texts that overlap."""
    boxes = [text.get_window_extent() for text in texts if text.get_text() and text.get_visible()]
    return [(a, b) for a, b in pairwise(boxes) if a.overlaps(b)]


SIZES = [((7.2, 3.4), 10), ((3.0, 2.0), 10), ((3.0, 2.2), 16), ((4.0, 3.0), 20), ((2.4, 1.8), 10)]


@diagonals(3, ("n", [1, 12, 60], str), ("size,font", SIZES, str))
def test_numbers_at_axes_do_not_overlap(n, size, font):
    """For any size of picture and font."""
    with mpl.rc_context({"figure.figsize": size, "font.size": font}):
        axes = lk.plot(sweep(n))
        axes.figure.canvas.draw()
        left, right = axes.get_xlim()
        below = [text for tick, text in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True) if left <= tick <= right]
        assert len(below) >= 2
        assert not overlapping(below)
        for bar in axes.figure.axes[1:]:
            assert len(bar.get_yticklabels()) >= 2
            assert not overlapping(bar.get_yticklabels())


def test_curves_of_several_calls_get_a_bar_when_they_are_many():
    axes = pyplot.figure().subplots()
    (by_hand,) = axes.plot([0, 1000], [0.05, 0.05], color="red", label="by hand")
    for i, schedule in enumerate(sweep(11)):
        schedule.plot(1200, ax=axes)
        assert len(axes.figure.axes) == (1 if i < 8 else 2)
    schedule.plot(1200, ax=axes, color="black", label="ours")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["by hand", "ours"]
    assert by_hand.get_color() == "red"
    low, high = axes.get_ylim()
    assert low <= 0.0 < 0.1 <= high
    axes.clear()
    S.plot(ax=axes)
    assert axes.get_title(loc="left") == repr(S)
    assert len(curves(axes)) == 1


def test_twins_differ_in_colour_and_have_one_title():
    axes = S.plot()
    twin = axes.twinx()
    lk.one_cycle_momentum(0.85, 0.95, 1000).plot(ax=twin, ylabel="momentum")
    assert curves(axes)[0].get_color() != curves(twin)[0].get_color()
    assert (axes.get_title(loc="left"), twin.get_title(loc="left")) == (repr(S), "")


def test_figures_go_on_after_pickling_and_in_subfigures():
    figure = pickle.loads(pickle.dumps(lk.plot(sweep(12)).figure))
    axes = S.plot(1200, ax=figure.axes[0])
    assert len(curves(axes)) == 13
    assert len(figure.axes) == 2
    for part in pyplot.figure(figsize=(9, 3)).subfigures(1, 2):
        axes = part.subplots()
        for rows in (sweep(3), sweep(9)):
            lk.plot(rows, ax=axes)
        axes.figure.canvas.draw()
        assert len(part.axes) == 2


def test_pictures_are_not_kept():
    axes = S.plot()
    alive = weakref.ref(axes)
    pyplot.close("all")
    del axes
    gc.collect()
    assert alive() is None


def test_one_colour_for_many_curves_needs_neither_bar_nor_legend():
    axes = lk.plot(sweep(12), color="grey")
    assert (axes.get_legend(), len(axes.figure.axes)) == (None, 1)


def test_marks_of_many_curves_are_few():
    assert marks(lk.plot([lk.constant(0.1).warmup(10 * i) for i in range(1, 13)]))[0] == list(range(10, 130, 10))
    assert marks(lk.plot([lk.constant(0.1).warmup(10 * i) for i in range(1, 31)])) == ([], [])


@pytest.mark.parametrize(
    ("labels", "common", "own"),
    [
        (["linear(0.1, 0.0, 9)", "linear(0.2, 0.0, 9)"], "linear(…, 0.0, 9)", ["0.1", "0.2"]),
        (["linear(0.1, 0.0, 9)", "linear(0.2, 0.0, 8)"], "linear(…, 0.0, …)", ["0.1, 9", "0.2, 8"]),
        (["run 1", "run 22"], "run …", ["1", "22"]),
        (["a", "b"], "", ["a", "b"]),
        (["same", "same"], "", ["same", "same"]),
        (["linear(0.1, 0.0, 9)", "constant(0.1)"], "", ["linear(0.1, 0.0, 9)", "constant(0.1)"]),
    ],
)
def test_what_labels_have_in_common(labels, common, own):
    assert _labels.differences(labels) == (common, own)


@pytest.mark.parametrize(
    ("texts", "labels"),
    [
        (["constant(1.0000000000000001e-07)"], ["constant(1e-07)"]),
        (["linear(0.30000000000000004, 0.0003, 100000)"], ["linear(0.3, 0.0003, 100000)"]),
        (["constant(0.12345678)", "constant(0.12345679)"], ["constant(0.12345678)", "constant(0.12345679)"]),
        (["constant(0.12345678)", "constant(0.12345999)"], ["constant(0.123457)", "constant(0.12346)"]),
        (["a1234567.5e", "x2.000000001"], ["a1234567.5e", "x2.000000001"]),
        (["one", "one", "two"], ["one (1)", "one (2)", "two"]),
        (["f('1e-07 of 0.123456789')"], ["f('1e-07 of 0.1235')"]),
    ],
)
def test_numbers_in_labels_are_rounded_as_long_as_they_differ(texts, labels):
    assert _labels.short_labels(texts, 60) == labels


def test_labels_of_long_expressions_are_short():
    long = sum([lk.constant(1.0)] * 50, start=S)
    axes = lk.plot([long, long.clip(0.5), long.clip(0.25)])
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert len(set(labels)) == 3
    assert max(map(len, labels)) <= 64
    assert is_whole(axes)
    assert is_whole(lk.plot([S, long], labels=["a label with words, " * 12, "b"]))
    assert "(1)" in "".join(_labels.short_labels(["x" * 99, "x" * 50 + "y" + "x" * 48], 20))


# ------------------------------------------------------------------------------------------------------- logged values


class Tensor:
    """A tensor that is part of a graph."""

    def __init__(self, values, detached=False):
        self.values, self.detached = values, detached

    def detach(self):
        return Tensor(self.values, True)

    def cpu(self):
        return self

    def __array__(self, dtype=None, copy=None):
        assert self.detached
        return np.array(self.values, dtype)


VALUES = [0.5, 0.25, float("nan"), 0.125]


@pytest.mark.parametrize(
    "given",
    [
        VALUES,
        tuple(VALUES),
        np.array(VALUES),
        np.array(VALUES, "f4"),
        Tensor(VALUES),
        [VALUES],
        [np.array(VALUES)],
        [Tensor(VALUES)],
    ],
    ids=lambda given: type(given).__name__,
)
def test_values_are_drawn(given):
    axes = lk.plot(given)
    (line,) = curves(axes)
    assert line.get_xdata().tolist() == [0, 1, 2, 3]
    np.testing.assert_array_equal(line.get_ydata(), VALUES)
    assert axes.get_title(loc="left") == "4 values"


def test_values_next_to_schedules():
    logged = S.table(500, dtype="float32")
    axes = lk.plot([S, logged, ([0, 10, 2000], [0.1, 0.2, 0.3]), lk.constant(0.1)])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [repr(S), "500 values", "3 values", "constant(0.1)"]
    first, second, third, last = curves(axes)
    assert second.get_ydata().tolist() == logged.tolist()
    assert (third.get_xdata().tolist(), third.get_ydata().tolist()) == ([0, 10, 2000], [0.1, 0.2, 0.3])
    assert len(first.get_xdata()) == len(last.get_xdata()) == 2001, "as far as the last value"
    (line,) = curves(lk.plot([([0, 10, 2000], [0.1, 0.2, 0.3])], 50))
    assert line.get_xdata().tolist() == [0, 10]


def test_a_table_of_schedules_has_a_curve_in_each_row():
    table = lk.tables(sweep(3), 50)
    axes = lk.plot(table)
    assert [line.get_ydata().tolist() for line in curves(axes)] == table.tolist()
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["50 values (1)", "50 values (2)", "50 values (3)"]


def test_long_logs_keep_their_peaks_and_gaps():
    values = np.sin(np.arange(300_000.0) ** 2)
    values[1000:2000] = np.nan
    values[70_000] = np.inf
    values[123_456], values[234_567] = 5.0, -5.0
    _, (line,) = sampling.lines("plot", _logged.drawables("plot", values), None, 64)
    assert len(line.steps) < 500
    assert (line.steps[0], line.steps[-1]) == (0, 299_999)
    assert (np.diff(line.steps) > 0).all()
    assert (np.nanmin(line.values), np.nanmax(line.values)) == (-5.0, 5.0)
    assert line.steps[np.isnan(line.values)].tolist() == [1000, 70_000]
    real = ~np.isnan(line.values)
    assert line.values[real].tolist() == values[line.steps[real]].tolist()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ([S, 0.1], TypeError, "plot: schedules must be a Schedule, values, or a sequence of them; got 0.1 (float)"),
        ([[]], ValueError, "plot: schedules[0] must hold a finite value; got float64 (0,)"),
        ([S, [float("nan")]], ValueError, "plot: schedules[1] must hold a finite value; got float64 (1,)"),
        ([S, np.ones((2, 3))], ValueError, "plot: schedules[1] must be 1-D values; got float64 (2, 3)"),
        (
            np.ones((2, 2, 2)),
            ValueError,
            "plot: schedules must be a 1-D or 2-D array of values; got float64 (2, 2, 2)",
        ),
        (np.array(0.5), ValueError, "plot: schedules must be a 1-D or 2-D array of values; got float64 ()"),
        (
            np.zeros((0, 3)),
            ValueError,
            "plot: schedules must be a Schedule, values, or a sequence of them; got an empty sequence",
        ),
        ([S, ["a", "b"]], TypeError, "plot: schedules[1] must be an array of float64, float32 or integers; got <U1 (2,)"),
        ([S, "ab"], TypeError, "plot: schedules must be a Schedule, values, or a sequence of them; got 'ab' (str)"),
        ([S, None], TypeError, "plot: schedules must be a Schedule, values, or a sequence of them; got None"),
        ([([0, 1], [1.0])], ValueError, "plot: schedules[0] must have as many steps as values; got 2 and 1"),
        ([([0, 2, 2], [1.0] * 3)], ValueError, "plot: the steps of schedules[0] must rise; got 2 before 2"),
        ([([0, 1.5], [1.0] * 2)], ValueError, "plot: the steps of schedules[0] must be integers >= 0; got 1.5 (float)"),
        ([([-1, 1], [1.0] * 2)], ValueError, "plot: the steps of schedules[0] must be integers >= 0; got -1.0 (float)"),
        (
            [([0, float("nan")], [1.0] * 2)],
            ValueError,
            "plot: the steps of schedules[0] must be integers >= 0; got nan (float)",
        ),
    ],
)
def test_values_that_cannot_be_drawn(given, error, message):
    with pytest.raises(error) as raised:
        lk.plot(given)
    assert str(raised.value) == message
    assert pyplot.get_fignums() == []


# -------------------------------------------------------------------------------------------------------------- styles


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


# --------------------------------------------------------------------------------------------------------- range tests


def test_a_range_test_and_its_suggestions():
    rates = np.geomspace(1e-6, 1.0, 100)
    losses = 2.3 - 1.5 / (1 + np.exp(-3 * (np.log10(rates) + 3))) + 3 * rates
    found = lk.suggest(rates, losses, diverged=None)
    axes = found.plot()
    (line,) = curves(axes)
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == (rates.tolist(), losses.tolist())
    assert axes.get_xscale() == "log"
    shown = [one.get_xdata()[0] for one in axes.lines if one.get_gid()]
    assert shown == [found.valley, found.steepest, found.minimum, found.slide]
    texts = [text.get_text() for text in axes.get_legend().get_texts()]
    assert [text.split()[0] for text in texts] == ["valley", "steepest", "minimum", "slide"]
    assert texts[0] == f"valley {found.valley:.2g}"
    assert is_whole(axes)
    given = pyplot.figure().subplots()
    assert lk.suggest([0.0, 0.1, 0.2], [1.0, 1.0, 1.0]).plot(given) is given
    assert given.get_xscale() == "linear"
    with pytest.raises(TypeError, match=r"^plot: ax must be rectilinear Axes of matplotlib"):
        found.plot(5)


# ----------------------------------------------------------------------------------------------------------- notebooks


SHOWN = [
    S,
    lk.constant(0.0),
    lk.linear(-1.0, 1.0, 50),
    lk.linear(-2.0, -1.0, 50),
    lk.linear(1e300, 1e-300, 3),
    lk.linear(1.7e308, -1.7e308, 10),
    lk.linear(5e-324, 0.0, 10),
    lk.exponential(0.1, 0.999),
    lk.warm_restarts(0.1, 0.0, 977, gain=0.999).clip(1e-3),
    lk.cosine(0.1, 0.0, 10**15),
    lk.from_table(np.sin(np.arange(60_000) ** 2)),
    sum([lk.constant(i) for i in range(2, 90)], start=lk.constant(1)),
]


@pytest.mark.parametrize("schedule", SHOWN, ids=lambda s: repr(s)[:30])
def test_notebooks_get_small_valid_svg_within_its_box(schedule):
    html, svg = schedule._repr_html_(), schedule._repr_svg_()
    assert len(html) < 15_000
    assert len(svg) < 15_000
    figure, alone = ET.fromstring(html), ET.fromstring(svg)
    (inside,) = figure.iter(f"{SVG}svg")
    for root in (inside, alone):
        assert root.tag == f"{SVG}svg"
        assert root.get("role") == "img"
        assert root.find(f"{SVG}title").text == _labels.shorten(repr(schedule), 1000)
        assert " steps, from " in root.find(f"{SVG}desc").text
        width, height = float(root.get("width")), float(root.get("height"))
        (curve,) = root.iter(f"{SVG}polyline")
        points = np.array([point.split(",") for point in curve.get("points").split()], float)
        assert (points >= 0).all()
        assert (points <= (width, height)).all()
    (text,) = figure.iter("code")
    assert text.text == _labels.shorten(repr(schedule), 1000)
    assert "currentColor" in html
    assert "currentColor" not in svg


def test_the_picture_has_the_shape_of_the_schedule():
    (curve,) = ET.fromstring(_svg.svg_picture(S)).iter(f"{SVG}polyline")
    points = np.array([point.split(",") for point in curve.get("points").split()], float)
    steps = (points[:, 0] - 8) / 320 * (sampling.default_steps([S]) - 1)
    assert (steps[0], round(steps[-1])) == (0.0, 1155)
    level = (points[:, 1].max() - points[:, 1]) / np.ptp(points[:, 1])
    assert np.abs(level - S(np.abs(steps)) / 0.1).max() < 0.01


def test_texts_are_escaped():
    @lk.curve
    def named(text):
        return lk.linear(1.0, 0.0, 9)

    schedule = named("<script>&\"'</script>")
    for picture in (schedule._repr_html_(), schedule._repr_svg_()):
        assert "<script" not in picture
        assert ET.fromstring(picture) is not None
    (code,) = ET.fromstring(schedule._repr_html_()).iter("code")
    assert code.text == repr(schedule)


# ----------------------------------------------------------------------------------------------------------- terminals


@pytest.mark.parametrize("schedule", [lk.linear(1.7e308, -1.7e308, 10), lk.linear(5e-324, 0.0, 10)], ids=repr)
def test_the_range_of_a_picture_may_be_all_of_float64(schedule):
    rows = terminal.draw([schedule], 11, width=20, height=4).rows
    assert rows[0][0][0] != " "
    assert rows[-1][-1][0] != " "


def test_terminal_picture_has_the_shape_of_the_schedule():
    picture = terminal.draw([lk.linear(0.0, 1.0, 99)], 100, width=50, height=10)
    assert (picture.low, picture.high, picture.n, picture.marks) == (0.0, 1.0, 100, {49})
    assert [len(row) for row in picture.rows] == [50] * 10
    filled = [[column for column, (character, _) in enumerate(row) if character != " "] for row in picture.rows]
    for above, below in pairwise(filled):
        assert min(above) >= max(below)
    assert {who for row in picture.rows for _, who in row} == {-1, 0}


def test_terminal_picture_of_many_and_of_flat_ones():
    picture = terminal.draw([lk.constant(0.1), lk.constant(0.1)], 7, width=20, height=4)
    assert (picture.low, picture.high) == (0.1, 0.1)
    assert {who for row in picture.rows for _, who in row} == {-1, 0, 1}, "both are seen"
    picture = terminal.draw([lk.geometric(1.0, 1e-4, 99)], 100, width=50, height=10, log=True)
    assert picture.low == pytest.approx(1e-4)
    assert picture.high == pytest.approx(1.0)


def test_terminal_picture_keeps_peaks():
    spike = lk.join([lk.constant(0.0), lk.constant(1.0), lk.constant(0.0)], [123_456_789, 123_456_791])
    picture = terminal.draw([spike], 10**9)
    assert picture.high == 1.0
    assert sum(character != " " for character, _ in picture.rows[0]) == 1


def picture_of(*arguments, **env):
    """The output of `lrkern plot` in a pipe."""
    done = subprocess.run(
        [sys.executable, "-m", "lrkern", "plot", *arguments],
        capture_output=True,
        check=True,
        env={**os.environ, "COLUMNS": "80", "PYTHONIOENCODING": "utf-8", **env},
    )
    return done.stdout.decode()


def test_curves_in_a_pipe_have_characters_of_their_own():
    rows = ["linear(1.0, 0.0, 100)", "linear(0.0, 1.0, 100)", "constant(0.5)", "constant(0.25)"]
    lines = picture_of(*rows).splitlines()
    assert [line.split(" ", 1) for line in lines[:4]] == [[glyph * 2, row] for glyph, row in zip("*+ox", rows, strict=True)]
    drawn = [line.partition("│")[2] for line in lines[4:-2]]
    found = {glyph: [(x, y) for y, row in enumerate(drawn) for x, one in enumerate(row) if one == glyph] for glyph in "*+ox"}
    assert all(len(places) > 40 for places in found.values())
    assert min(found["*"])[1] < max(found["*"])[1], "it falls"
    assert min(found["+"])[1] > max(found["+"])[1], "it rises"
    assert len({y for _, y in found["o"]}) == len({y for _, y in found["x"]}) == 1
    assert set("".join(drawn)) == {*"*+ox", " "}


def test_dots_where_colours_tell_curves_apart_or_there_is_one():
    assert "── linear" in picture_of("linear(1.0, 0.0, 9)")
    coloured = {"FORCE_COLOR": "1", "TERM": "xterm-256color"}
    assert "──" in picture_of("linear(1.0, 0.0, 9)", "constant(0.5)", **coloured)
    assert "**" in picture_of("linear(1.0, 0.0, 9)", "constant(0.5)", NO_COLOR="1", **coloured)
    assert "%%" in picture_of(*[f"constant(0.{i})" for i in range(1, 9)], **coloured), "more curves than colours"


def test_curves_on_top_of_each_other_are_both_seen():
    picture = picture_of("constant(0.1)", "constant(0.1)")
    row = max(picture.splitlines(), key=lambda line: line.count("*") + line.count("+"))
    assert row.count("*") > 20
    assert row.count("+") > 20


def test_terminal_pictures_of_values():
    picture = terminal.draw(_logged.drawables("plot", [[0.0, 1.0, np.nan, 0.0, 1.0]]), width=20, height=4)
    assert (picture.low, picture.high, picture.n) == (0.0, 1.0, 5)
    columns = {x for row in picture.rows for x, (one, _) in enumerate(row) if one != " "}
    assert len(columns) == 4, "a point for each value, and nothing where there is none"


def test_shorten():
    assert _labels.shorten("abcdef", 6) == "abcdef"
    assert _labels.shorten("abcdefghij", 7) == "abcd…ij"
    assert len(_labels.shorten("x" * 1000, 80)) == 80


def test_notebooks_need_no_matplotlib_and_plot_names_the_extra():
    code = """
import json, sys
sys.modules["matplotlib"] = None
import lrkern as lk
s = lk.cosine(0.1, 0.0, 100)
told = []
for draw in (s.plot, lambda: lk.plot([s, s]), lambda: s.plot(color="red")):
    try:
        draw()
    except ImportError as error:
        told.append(str(error))
print(json.dumps([s._repr_html_()[:7], s._repr_svg_()[:4], *told]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["<figure", "<svg", *["plot needs matplotlib: pip install 'lrkern[plot]'"] * 3]

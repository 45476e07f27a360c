"""Plots: they show the schedule, peaks included; joints are marked; the defaults show all of it."""

import re

import cases
import matplotlib as mpl
import numpy as np
import pytest
from figures import S, curves, marks
from matplotlib import pyplot

import lrkern as lk
from lrkern.pictures import plotting, sampling, terminal

OVERFLOWING = lk.exponential(1.0, 10.0)


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

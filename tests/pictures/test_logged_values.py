"""Plots of logged values, next to schedules or alone, and of range tests."""

import numpy as np
import pytest
from figures import S, curves, is_whole, sweep
from matplotlib import pyplot

import lrkern as lk
from lrkern.pictures import logged as _logged
from lrkern.pictures import sampling


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

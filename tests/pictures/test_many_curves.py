"""Plots of many curves: bars of colours instead of legends, labels that are short, texts that do not overlap."""

import gc
import pickle
import weakref
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pytest
from figures import S, curves, is_whole, marks, sweep
from matplotlib import pyplot
from representative import diagonals

import lrkern as lk
from lrkern.pictures import labels as _labels


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


def test_shorten():
    assert _labels.shorten("abcdef", 6) == "abcdef"
    assert _labels.shorten("abcdefghij", 7) == "abcd…ij"
    assert len(_labels.shorten("x" * 1000, 80)) == 80

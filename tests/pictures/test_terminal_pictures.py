"""Pictures in terminals: characters, dots, colours."""

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

import lrkern as lk
from lrkern.pictures import logged as _logged
from lrkern.pictures import terminal


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

"""Pictures in notebooks: small valid SVG, without matplotlib."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from figures import S

import lrkern as lk
from lrkern.pictures import labels as _labels
from lrkern.pictures import sampling
from lrkern.pictures import svg as _svg

SVG = "{http://www.w3.org/2000/svg}"

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

"""The page "From Keras", the examples of `lrkern.keras`, and examples/keras_mlp.py, on the backend of this process."""

from __future__ import annotations

import doctest
import importlib.util
from pathlib import Path

import pages
import pytest
from test_keras_schedule_peer import keras, lkk

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]

ROOT = Path(__file__).parents[2]
checkout = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="needs the source checkout")


@checkout
def test_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert pages.run(ROOT / "docs" / "keras.md", "python keras") > 4


@pytest.mark.parametrize("module", [lkk._schedule, lkk._callbacks])
def test_examples(module):
    found = doctest.testmod(module)
    assert found.attempted > 1
    assert found.failed == 0


@checkout
@pytest.mark.slow
def test_the_classifier(tmp_path, capsys):
    pytest.importorskip("sklearn")
    if keras.backend.backend() == "torch" and importlib.util.find_spec("jax"):
        pytest.skip("takes eight times as long as on JAX, where test_every_backend_peer runs it")
    spec = importlib.util.spec_from_file_location("keras_mlp", ROOT / "examples" / "keras_mlp.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    samples, digits = example.tasks()
    assert (len(samples.x) + len(samples.test_x), samples.x.shape[1], digits.x.shape[1]) == (1000, 20, 64)
    picture = tmp_path / "picture.png"
    runs = example.main(4, str(picture))
    for task in (samples, digits):
        for kind in example.KINDS:
            theirs, ours = (runs[task.name, way, kind] for way in example.WAYS)
            assert ours.losses == pytest.approx(theirs.losses, rel=1e-4)
            assert ours.rates == pytest.approx(theirs.rates, rel=1e-5)
            assert min(theirs.accuracies[-1], ours.accuracies[-1]) > 0.85
            assert (kind == "fixed") == (len(set(ours.rates)) == 1)
    *lines, last = capsys.readouterr().out.splitlines()
    shown = [(*line[:40].split(), *map(int, line[40:].split())) for line in lines]
    assert shown == [
        (task.name, kind, way, *(round(100 * one) for one in runs[task.name, way, kind].accuracies))
        for task in (samples, digits)
        for kind in example.KINDS
        for way in example.WAYS
    ]
    assert last.startswith("largest difference of a loss: ")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert picture.stat().st_size > 20_000

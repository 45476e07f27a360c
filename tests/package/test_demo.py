"""The demo: handwritten digits, trained by hand and with lrkern."""

import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lrkern as lk
from lrkern.cli import demo
from lrkern.cli import digits as _digits

EXAMPLE = Path(__file__).parents[2] / "examples" / "numpy_digits.py"


@pytest.fixture(scope="module")
def digits():
    return _digits.load_digits()


@pytest.mark.slow
def test_the_whole_job(tmp_path, capsys):
    picture = tmp_path / "demo.png"
    assert demo.main(_digits, out=picture)
    text = capsys.readouterr().out
    accuracy = [float(word.strip("%")) for word in text.split("test accuracy")[1].split()[:2]]
    assert min(accuracy) > 97.0
    assert accuracy[0] == accuracy[1]
    assert "Both runs agree" in text
    assert picture.stat().st_size > 50_000


def test_gradients_are_right(digits):
    """Central differences of the loss, along random directions."""
    rng = np.random.default_rng(1)
    params = _digits.new_params(rng)
    images, labels = digits.train_images[:20], digits.train_labels[:20]
    grads = {name: np.zeros_like(param) for name, param in params.items()}
    _digits.backward(params, grads, images, labels)
    unused = {name: np.zeros_like(param) for name, param in params.items()}
    for name, param in params.items():
        direction = rng.normal(size=param.shape)
        losses = []
        for sign in (1, -1):
            moved = {**params, name: param + sign * 1e-5 * direction}
            losses.append(_digits.backward(moved, unused, images, labels))
        slope = (losses[0] - losses[1]) / 2e-5
        assert slope == pytest.approx((grads[name] * direction).sum(), rel=1e-6)


def test_both_optimizers_really_move_the_parameters_and_agree(digits):
    last = {how: list(_digits.train(how, digits, 2, seed=5))[-1] for how in _digits.OPTIMIZERS}
    start = _digits.new_params(np.random.default_rng(5))
    a, b = (epoch.params for epoch in last.values())
    for name, param in start.items():
        assert np.abs(a[name] - param).max() > 1e-3
        assert np.abs(a[name] - b[name]).max() <= demo.TOLERANCE
    for epoch in last.values():
        assert len(epoch.update_seconds) == len(epoch.step_seconds) == len(digits.train_images) // _digits.BATCH
        assert all(0 < part < whole for part, whole in zip(epoch.update_seconds, epoch.step_seconds, strict=True))


def test_both_learning_rates_agree():
    by_hand = np.array([_digits.learning_rate(t, 1000) for t in range(1000)])
    assert np.abs(by_hand - _digits.schedule(1000).table(1000)).max() < 1e-16


def test_disagreement_is_told(digits, monkeypatch, capsys):
    def wrong(params, grads, steps):
        optimizer = lk.SGD(params, lr=0.9 * _digits.schedule(steps), momentum=_digits.MOMENTUM)
        optimizer.bind(grads)
        return optimizer.step

    monkeypatch.setitem(_digits.OPTIMIZERS, "lrkern", wrong)
    assert not demo.main(_digits, epochs=1, out=None)
    assert "The runs do not agree" in capsys.readouterr().out


def test_training_and_test_digits_are_different_ones(digits):
    assert len(digits.train_images) + len(digits.test_images) == 1797
    assert np.abs(digits.train_images).max() == 1.0
    seen = {image.tobytes() for image in digits.train_images}
    assert not any(image.tobytes() in seen for image in digits.test_images)


@pytest.mark.skipif(not EXAMPLE.exists(), reason="needs the source checkout")
def test_the_example_is_the_same_text_as_the_packaged_one():
    assert EXAMPLE.read_text() == Path(_digits.__file__).read_text()
    example = runpy.run_path(str(EXAMPLE))
    assert set(example["OPTIMIZERS"]) == {"by hand", "lrkern"}


@pytest.mark.slow
@pytest.mark.skipif(not EXAMPLE.exists(), reason="needs the source checkout")
def test_the_example_runs(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE)], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "Both runs agree" in done.stdout
    assert (tmp_path / "lrkern-demo.png").exists()

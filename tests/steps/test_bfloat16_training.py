"""examples/bfloat16_digits.py: training that bfloat16 alone would stall."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lrkern as lk

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_split_storage_trains_like_float32(monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import bfloat16_digits
    import numpy_digits

    digits = numpy_digits.load_digits()
    loss = {name: bfloat16_digits.train(name, digits) for name in bfloat16_digits.STORAGE}
    other_seed = bfloat16_digits.train("float32", digits, seed=1)
    noise = abs(other_seed - loss["float32"])
    assert abs(loss["bfloat16, split storage"] - loss["float32"]) < max(noise, 0.01 * loss["float32"])
    assert abs(loss["bfloat16, stochastic rounding"] - loss["float32"]) < max(3 * noise, 0.1 * loss["float32"])
    assert loss["bfloat16"] > 1.3 * loss["float32"]
    for name in ("bfloat16_digits", "numpy_digits"):
        sys.modules.pop(name)


def train_with_adam(digits: Any, optimizer: type[lk.Optimizer], steps: int, **options: Any) -> float:
    """The mean loss of the last 100 batches of the demo's network, in float32."""
    import numpy_digits

    rng = np.random.default_rng(0)
    params = {key: param.astype(np.float32) for key, param in numpy_digits.new_params(rng).items()}
    grads = {key: np.zeros(param.shape) for key, param in params.items()}
    opt = optimizer(params, 1e-3, **options)
    opt.bind(grads)
    losses = []
    while len(losses) < steps:
        order = rng.permutation(len(digits.train_images))
        for batch in order.reshape(-1)[: len(order) // 32 * 32].reshape(-1, 32):
            wide = {key: param.astype(np.float64) for key, param in params.items()}
            losses.append(numpy_digits.backward(wide, grads, digits.train_images[batch], digits.train_labels[batch]))
            opt.step()
    return float(np.mean(losses[steps - 100 : steps]))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", [lk.Adam, lk.AdamW])
def test_states_in_bfloat16_train_like_float32(optimizer, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import numpy_digits

    digits = numpy_digits.load_digits()
    loss = train_with_adam(digits, optimizer, 2000)
    found = train_with_adam(digits, optimizer, 2000, state_dtype="bfloat16")
    nearest = train_with_adam(digits, optimizer, 2000, state_dtype="bfloat16", state_rounding="nearest")
    sys.modules.pop("numpy_digits")
    assert abs(found / loss - 1) < 0.02
    assert abs(nearest / loss - 1) > 2 * abs(found / loss - 1)

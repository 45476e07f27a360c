"""SGD against torch.optim.SGD: the same convention, and values within the roundings that the two do differently.

torch rounds every product before it adds, lrkern fuses the two. How far that can take them apart is added up along with
the steps: each operation of either adds at most half a ULP of its result, u times its size, to what the operands bring.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import lrkern as lk

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.peers

OPTIONS = [
    {"momentum": momentum, "dampening": dampening, "nesterov": nesterov, "weight_decay": decay, "maximize": maximize}
    for (momentum, dampening, nesterov), decay, maximize in itertools.product(
        ((0.0, 0.0, False), (0.9, 0.0, False), (0.9, 0.25, False), (0.9, 0.0, True)), (0.0, 0.01), (False, True)
    )
]
SIZES = (0, 1, 7, 64, 1001, 5000)
STEPS = 12


class Drift:
    """Bounds of the differences between two ways of rounding p and b, element by element."""

    def __init__(self, p: np.ndarray, options: dict[str, Any]) -> None:
        self.u = float(np.finfo(p.dtype).eps) / 2
        self.p, self.b = p.astype(float), np.zeros(p.shape)
        self.p_error, self.b_error = np.zeros(p.shape), np.zeros(p.shape)
        self.options, self.first = options, True

    def step(self, g: np.ndarray, lr: float) -> None:
        o, u = self.options, self.u
        d, error = g.astype(float), np.zeros(g.shape)
        if o["maximize"]:
            d = -d
        if o["weight_decay"]:
            product = o["weight_decay"] * self.p
            d = d + product
            error = o["weight_decay"] * self.p_error + u * (np.abs(product) + 2 * np.abs(d))
        if o["momentum"]:
            if self.first:
                self.b, self.b_error = d, error
            else:
                old, new = o["momentum"] * self.b, (1 - o["dampening"]) * d
                self.b = old + new
                self.b_error = o["momentum"] * self.b_error + (1 - o["dampening"]) * error
                self.b_error = self.b_error + u * (np.abs(old) + 2 * np.abs(new) + 2 * np.abs(self.b))
            if o["nesterov"]:
                product = o["momentum"] * self.b
                d = d + product
                error = error + o["momentum"] * self.b_error + u * (np.abs(product) + 2 * np.abs(d))
            else:
                d, error = self.b, self.b_error
        self.first = False
        self.p = self.p - lr * d
        self.p_error = self.p_error + lr * error + u * (lr * np.abs(d) + 2 * np.abs(self.p))

    def bound(self) -> np.ndarray:
        # A little more for the products of two errors, and for both scalars being rounded to the dtype.
        return 1.01 * self.p_error


@pytest.mark.parametrize("mode", ["loop", "foreach", "fused"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_same_steps(options: dict[str, Any], dtype: str, mode: str) -> None:
    rng = np.random.default_rng(1)
    lrs = lk.cosine(0.1, 0.01, STEPS)
    start = [rng.standard_normal(size).astype(dtype) for size in SIZES]
    ours = [one.copy() for one in start]
    theirs = [torch.nn.Parameter(torch.from_numpy(one.copy())) for one in start]
    opt = lk.SGD(ours, lrs, **options)
    peer = torch.optim.SGD(theirs, lr=0.1, **options, foreach=mode == "foreach", fused=mode == "fused")
    drifts = [Drift(one, options) for one in start]

    for t in range(STEPS):
        grads: list[np.ndarray | None] = [rng.standard_normal(size).astype(dtype) for size in SIZES]
        if t == 5 or (t == 0 and mode != "fused"):  # torch's fused step cannot start a buffer later than the others
            grads[2] = None
        peer.param_groups[0]["lr"] = lrs(t)
        for parameter, g, drift in zip(theirs, grads, drifts, strict=True):
            parameter.grad = None if g is None else torch.from_numpy(g.copy())
            if g is not None:
                drift.step(g, lrs(t))
        before = ours[4].copy()
        opt.step(grads)
        peer.step()
        assert np.mean(ours[4] != before) > 0.99, "the step has done nothing"
        for p, parameter, drift in zip(ours, theirs, drifts, strict=True):
            difference = np.abs(p.astype(float) - parameter.detach().numpy())
            assert np.all(difference <= drift.bound())

    # The bound says something: a few ULP a step of numbers of size 1, not more.
    assert max(drift.bound().max(initial=0.0) for drift in drifts) < 200 * STEPS * np.finfo(dtype).eps

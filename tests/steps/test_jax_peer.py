"""JAX's arrays: gradients without a copy, never what a step writes to."""

from __future__ import annotations

import numpy as np
import pytest

import lrkern as lk

jax = pytest.importorskip("jax")

pytestmark = pytest.mark.peers

IMMUTABLE = "must be writable; got a JAX array, which is immutable$"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_gradients(dtype: str) -> None:
    grad = jax.numpy.arange(12, dtype=dtype).reshape(3, 4)
    p = np.zeros((3, 4), "f4")
    opt = lk.SGD([p], 1.0)
    opt.step([grad])
    lk.sgd_step(p, grad, lr=1.0)
    assert (p == -2 * np.arange(12).reshape(3, 4)).all()
    opt.step([(jax.numpy.array([1]), grad[:1])])
    assert p[1].tolist() == [-8, -11, -14, -17]


def test_targets_are_refused() -> None:
    array, p, g = jax.numpy.ones(3), np.ones(3, "f4"), np.ones(3, "f4")
    with pytest.raises(TypeError, match=rf"^SGD: params\[0\] {IMMUTABLE}"):
        lk.SGD([array], 0.1)
    with pytest.raises(TypeError, match=rf"^AdamW: params\['w'\] {IMMUTABLE}"):
        lk.AdamW({"w": array})
    with pytest.raises(TypeError, match=rf"^SGD: copy_to\[0\] {IMMUTABLE}"):
        lk.SGD([p], 0.1, copy_to=[array])
    with pytest.raises(TypeError, match=rf"^SGD: grads\[0\] {IMMUTABLE}"):
        lk.SGD([p], 0.1, zero_grad=True).step([array])
    with pytest.raises(TypeError, match=rf"^SGD: grads\[0\]\[1\] {IMMUTABLE}"):
        lk.SGD([p], 0.1, zero_grad=True).step([(np.array([0]), array[:1])])
    for given in ((array, g, p), (p, g, array)):
        with pytest.raises(TypeError, match=rf"^sgd_step: \w+ {IMMUTABLE}"):
            lk.sgd_step(*given, lr=0.1, momentum=0.9)
    with pytest.raises(TypeError, match=r"^SGD: params must be a dict or list of arrays; got"):
        lk.SGD(array, 0.1)
    assert array.tolist() == p.tolist() == g.tolist() == [1.0] * 3

"""Captured graphs on the fake device, which go on without the host; races, which it sees. See `test_device`."""

from __future__ import annotations

import numpy as np
import pytest
from fake_device import DEVICE  # before a compiler looks for a driver

# isort: split
from device_steps import (
    MARKS,
    bits,
    in_either_order,  # noqa: F401
    on_device,
    pickled,
)

import lrkern as lk
import lrkern.cuda
from lrkern.cuda._platform import cuda

pytestmark = MARKS


def test_the_schedule_goes_on_without_the_host():
    """Repeats the launches of one step, as a captured graph would."""
    rng = np.random.default_rng(10)
    param, grad = rng.standard_normal(9).astype(np.float32), rng.standard_normal(9).astype(np.float32)
    lr, momentum = lk.cosine(0.1, 0.0, 6).warmup(2), lk.linear(0.8, 0.9, 8)
    here, there, fixed = param.copy(), on_device(param), on_device(grad)
    a, b = lk.SGD([here], lr=lr, momentum=momentum), lk.SGD([there], lr=lr, momentum=momentum)
    b.bind([fixed])
    b.step()
    a.step([grad])
    table = lr.table(12)
    tensors = b._tensors
    for step in range(1, 12):
        tensors._program(0, 1.0, 0)
        a.step([grad])
        assert tensors._read("inputs")[0, 0] == table[step]
    assert bits(here) == bits(there.array)
    assert b.count == 12


@pytest.mark.skipif(DEVICE is None, reason="the simulator captures nothing")
def test_a_captured_graph_follows_the_schedule(order):
    """All launches of one step, with their arguments at capture."""
    steps = 3_000 if order == "forwards" else 300
    rng = np.random.default_rng(16)
    param, grad = rng.standard_normal(9).astype(np.float32), rng.standard_normal(9).astype(np.float32)
    lr, momentum = lk.cosine(0.1, 0.0, steps - 100).warmup(100), lk.linear(0.8, 0.9, steps)
    here, there, fixed = param.copy(), on_device(param), on_device(grad)
    a, b = (lk.SGD([p], lr=lr, momentum=momentum, clip_norm=1.0, ema=0.9) for p in (here, there))
    b.bind([fixed])
    DEVICE.capture(b.step)
    assert b.count == 0, "captured, not done"
    table, inputs = lr.table(steps), DEVICE.view(b._tensors._on_device["inputs"]).view(np.float64)
    for step in range(steps):
        DEVICE.replay()
        a.step([grad])
        assert inputs[0] == table[step]
    assert bits(here) == bits(there.array)
    assert b.count == steps
    assert pickled(a) == pickled(b)


@cuda.jit
def neighbours(a, barrier):
    shared, i = cuda.shared.array(64, np.float32), cuda.threadIdx.x
    shared[i] = i
    if barrier:
        cuda.syncthreads()
    a[cuda.grid(1)] = shared[(i + 1) % 64]


@cuda.jit
def same_place(a, apart):
    a[cuda.grid(1) * apart] = 1


@cuda.jit
def sums(a, last):
    cuda.atomic.add(a, 0, 1)
    if last:
        a[1] = a[0]


@pytest.mark.skipif(DEVICE is None, reason="the simulator does not look")
@pytest.mark.parametrize(("kernel", "threads"), [(neighbours, 64), (same_place, 1), (sums, 1), (sums, 64)])
def test_races_are_seen(kernel, threads):
    a = cuda.to_device(np.zeros(128, np.int64))
    right, wrong = (False, True) if kernel is sums else (True, False)
    kernel[2, threads](a, right)
    assert DEVICE.races() == 0
    kernel[2, threads](a, wrong)
    assert DEVICE.races() > 0


@pytest.mark.skipif(DEVICE is None, reason="the simulator captures nothing")
def test_a_captured_graph_follows_the_limit():
    rng = np.random.default_rng(21)
    param, grad = rng.standard_normal(9).astype(np.float32), rng.standard_normal(9).astype(np.float32)
    here, there = param.copy(), on_device(param)
    a, b = (lk.SGD([one], lr=0.1, clip_norm=lk.cosine(1.0, 0.01, 50), clip_per="tensor") for one in (here, there))
    b.bind([on_device(grad)])
    b.step()
    DEVICE.capture(b.step)
    a.step([grad])
    for _ in range(60):
        DEVICE.replay()
        a.step([grad])
    assert bits(here) == bits(there.array)
    assert b.count == 61


@pytest.mark.skipif(DEVICE is None, reason="the simulator captures nothing")
def test_a_graph_cannot_wait_for_an_answer():
    p = on_device(np.ones(3, np.float32))
    opt = lk.SGD([p], lr=0.5, error_if_nonfinite=True)
    opt.bind([on_device(np.ones(3, np.float32))])
    opt.step()
    with pytest.raises(RuntimeError, match="error_if_nonfinite must be False while a CUDA graph is captured"):
        DEVICE.capture(opt.step)
    assert opt.count == 1
    opt.step()
    assert p.array.tolist() == [0.0] * 3


@pytest.mark.skipif(DEVICE is None, reason="the simulator captures nothing")
def test_a_captured_graph_skips_large_norms():
    param, grad, fixed = np.ones(3, np.float32), np.ones(3, np.float32), on_device(np.ones(3, np.float32))
    here, there = param.copy(), on_device(param)
    a, b = (lk.SGD([one], lr=0.1, skip_norm=lk.from_table([2.0, 2.0, 1.0, 9.0])) for one in (here, there))
    b.bind([fixed])
    b.step()
    DEVICE.capture(b.step)
    a.step([grad])
    for factor in (1.0, 1.0, 0.5, 4.0):
        fixed.array[...] = grad * np.float32(factor)
        DEVICE.replay()
        a.step([fixed.array.copy()])
    assert bits(here) == bits(there.array)
    assert (b.count, b.skipped) == (a.count, a.skipped) == (4, 1)


@pytest.mark.skipif(DEVICE is None, reason="the simulator captures nothing")
def test_a_captured_graph_counts_for_its_averages():
    param, grad = np.ones(3, np.float32), np.ones(3, np.float32)
    here, there = param.copy(), on_device(param)
    a, b = (lk.SGD([one], lr=0.1, ema=(0.5, lk.linear(0.0, 1.0, 9)), ema_every=3) for one in (here, there))
    b.bind([on_device(grad)])
    b.step()
    DEVICE.capture(b.step)
    a.step([grad])
    for _ in range(6):
        DEVICE.replay()
        a.step([grad])
        assert pickled(a) == pickled(b)
    assert bits(here) == bits(there.array)


@pytest.mark.skipif(DEVICE is None, reason="the simulator captures nothing")
def test_a_captured_graph_takes_norms():
    param, grad = np.ones(3, np.float32), np.ones(3, np.float32)
    here, there = param.copy(), on_device(param)
    a, b = (lk.SGD([one], lr=lk.linear(0.1, 0.0, 9), norms=True) for one in (here, there))
    b.bind([on_device(grad)])
    b.step()
    DEVICE.capture(b.step)
    a.step([grad])
    for _ in range(3):
        DEVICE.replay()
        a.step([grad])
        assert a.norms == b.norms

"""Helpers of tests without a GPU: arrays on the fake device; steps there and in C, compared bit by bit."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from fake_device import DEVICE  # before a compiler looks for a driver

# isort: split
import lrkern as lk
from lrkern.cuda import _platform
from lrkern.cuda._platform import cuda

MARKS = [
    pytest.mark.cuda,
    pytest.mark.filterwarnings("ignore:Grid size"),  # small grids are intended here
    pytest.mark.filterwarnings("ignore:Host array"),
]
"""Marks for modules that use the fake device; they also import `in_either_order`."""

BF16 = np.dtype(ml_dtypes.bfloat16)
CHUNK = _platform.CHUNK

SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
STORAGES = {
    "bfloat16": (BF16, BF16, {}),
    "float16": (np.float16, np.float32, {"state_dtype": "bfloat16", "state_rounding": "nearest"}),
    "split": (BF16, BF16, {"rounding": "split", "state_dtype": "bfloat16", "seed": 8}),
    "stochastic": (BF16, BF16, {"rounding": "stochastic", "state_dtype": "bfloat16", "seed": 7}),
    "stochastic float16": (np.float16, np.float16, {"rounding": "stochastic"}),
    "wide gradients": (np.float32, np.float64, {}),
    "narrow gradients": (np.float64, BF16, {"state_dtype": "float32"}),
}
"""The types of parameters and gradients, and options."""


@pytest.fixture(name="order", autouse=True, params=["simulated"] if DEVICE is None else ["forwards", "backwards"])
def in_either_order(request):
    """The order in which threads and blocks of compiled kernels run. Results must not depend on it."""
    if DEVICE is not None:
        DEVICE.set("backwards", request.param == "backwards")
    yield request.param
    assert DEVICE is None or DEVICE.races() == 0


class Foreign:
    """An array of another library, with nothing but __cuda_array_interface__."""

    def __init__(self, array, typestr=None, writable=True, owner=None):
        self.array, self.owner = array, owner
        self.typestr = typestr or ("<V2" if array.dtype == BF16 else array.dtype.str)
        self.writable = writable

    @property
    def __cuda_array_interface__(self):
        strides = None if self.array.flags.c_contiguous else self.array.strides
        data = self.array.ctypes.data, not self.writable
        return {"version": 3, "shape": self.array.shape, "strides": strides, "typestr": self.typestr, "data": data}


def on_device(array, offset=0):
    """A copy on the device, `offset` bytes after a multiple of 64."""
    memory = cuda.device_array(array.nbytes + 64 + offset, np.uint8)
    raw = memory._ary if DEVICE is None else DEVICE.view(memory)
    begin = -raw.ctypes.data % 64 + offset
    copy = np.ndarray(array.shape, array.dtype, raw, begin, array.copy("K").strides)
    copy[...] = array
    return Foreign(copy, owner=memory)


def bits(array):
    return np.ascontiguousarray(array).tobytes()


def host(array):
    return array.array if isinstance(array, Foreign) else array.copy_to_host()


def make(rng, sizes, dtype):
    return [rng.standard_normal(size).astype(np.float32).astype(dtype) for size in sizes]


def gradient(grad, placed):
    """A gradient (an array, a pair or None) with `placed` applied to its arrays."""
    return tuple(map(placed, grad)) if isinstance(grad, tuple) else None if grad is None else placed(grad)


def compare(name, params, gradients, *, offset=0, grad_scales=None, **options):
    """Compare the bits of parameters, states and all other arrays on the device and on the CPU. `gradients`: of each step."""
    copies = options.pop("copy_to", None)
    here, there = [p.copy() for p in params], [on_device(p, offset) for p in params]
    extra = [{}, {}]
    if copies is not None:
        extra = [{"copy_to": [c.copy() for c in copies]}, {"copy_to": [on_device(c, offset) for c in copies]}]
    made = getattr(lk, name) if isinstance(name, str) else name
    a, b = made(here, **options, **extra[0]), made(there, **options, **extra[1])
    for step, grads in enumerate(gradients):
        scale = grad_scales[step] if grad_scales else 1.0
        g_here = [gradient(g, np.copy) for g in grads]
        g_there = [gradient(g, lambda one: on_device(one, offset)) for g in grads]
        a.step(g_here, scale)
        b.step(g_there, scale)
        for x, y in zip(g_here, g_there, strict=True):
            assert gradient(x, bits) == gradient(y, lambda one: bits(one.array))
        assert a.grad_norm == b.grad_norm or (math.isnan(a.grad_norm) and math.isnan(b.grad_norm))
    assert [bits(x) for x in here] == [bits(y.array) for y in there]
    assert [bits(x) for x in here] != [bits(x) for x in params] or a.count == 0, "nothing has moved"
    for x, y in zip(extra[0].get("copy_to", []), extra[1].get("copy_to", []), strict=True):
        assert bits(x) == bits(y.array)
    assert pickled(a) == pickled(b)
    return a, b


def pickled(optimizer):
    def plain(value):
        if isinstance(value, np.ndarray):
            return value.dtype.name, value.shape, bits(value)
        if isinstance(value, dict):
            return {key: plain(one) for key, one in value.items()}
        return [plain(one) for one in value] if isinstance(value, list) else value

    return plain(optimizer.state_dict())

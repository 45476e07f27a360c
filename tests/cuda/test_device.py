"""Arrays on a device, what a step is told about them, and errors: the bits are those of the C kernels.

All of it runs in numba-cuda's simulator, where kernels are Python, and blocks and chunks are small (`_platform.THREADS`,
`CHUNK`), so that few elements make many chunks. And compiled, by either compiler, on the device of `fake_device`.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path

import numpy as np
import pytest
from fake_device import DEVICE  # before a compiler looks for a driver

# isort: split
from concurrency import Pause, assert_locked
from device_steps import (
    BF16,
    CHUNK,
    MARKS,
    SGD,
    Foreign,
    bits,
    compare,
    gradient,
    in_either_order,  # noqa: F401
    make,
    on_device,
)

import lrkern as lk
import lrkern.cuda
from lrkern.cuda._platform import COMPILER

pytestmark = MARKS


@pytest.mark.parametrize("offset", [2, 8])
def test_arrays_at_any_address(offset):
    rng = np.random.default_rng(4)
    dtype = BF16 if offset == 2 else np.float32
    params = make(rng, [CHUNK + 5], dtype)
    compare("SGD", params, [make(rng, [CHUNK + 5], dtype) for _ in range(2)], offset=offset, clip_norm=0.1, **SGD)


def test_gradients_that_are_not_there():
    rng = np.random.default_rng(8)
    params = make(rng, [4, 5, 6], np.float32)
    steps = [make(rng, [4, 5, 6], np.float32) for _ in range(3)]
    steps[0][1] = steps[2][0] = None
    a, b = compare("Adam", params, steps, lr=0.1)
    assert a.state_dict()["updates"] == b.state_dict()["updates"] == [2, 2, 3]


def test_numbers_may_change_between_steps():
    param = on_device(np.ones(4, np.float32))
    opt = lk.SGD([param], lr=0.5)
    grad = on_device(np.ones(4, np.float32))
    opt.step([grad])
    inputs = opt._tensors._on_device["inputs"]
    opt.lr = 0.25
    assert opt._tensors._on_device["inputs"] is inputs, "where captured graphs look for them"
    opt.step([grad])
    opt.lr = lk.linear(1.0, 0.0, 4)
    opt.step([grad])
    assert param.array.tolist() == [1 - 0.5 - 0.25 - 0.5] * 4


def test_the_table_is_made_anew_only_when_gradients_move():
    grads = [on_device(np.ones(n, np.float32)) for n in (3, 70)]
    opt = lk.SGD([on_device(np.ones(n, np.float32)) for n in (3, 70)], lr=0.5)
    opt.step(grads)
    first = opt._tensors._table
    opt.step([Foreign(one.array) for one in grads])
    assert opt._tensors._table is first
    opt.step([None, grads[1]])
    assert opt._tensors._table is not first


def test_a_scale_on_the_device():
    param, grad = on_device(np.ones(3, np.float32)), on_device(np.full(3, 8.0, np.float32))
    opt = lk.SGD([param], lr=1.0)
    opt.step([grad], on_device(np.array([16.0], np.float32)))
    assert param.array.tolist() == [0.5] * 3
    with pytest.raises(TypeError, match="grad_scale must be a number, or one float32 on the device"):
        opt.step([grad], on_device(np.array([16.0])))


def bad_calls():
    good = on_device(np.ones(4, np.float32))
    other = on_device(np.ones(4, np.float32))
    yield "host parameter", TypeError, "params.1. must be an array on a CUDA device", lambda: lk.SGD([good, np.ones(3)], lr=1.0)
    yield "host gradient", TypeError, "on a CUDA device", lambda: lk.SGD([good], lr=1.0).step([np.ones(4, np.float32)])
    yield "rows of lr", ValueError, "lr must be one number, or", lambda: lk.SGD([good], lr=np.ones(3))
    yield "function", TypeError, "lr must be a number or a Schedule on a CUDA", lambda: lk.SGD([good], lr=lambda t: 0.1)
    yield "rows of LAMB", TypeError, "LAMB needs dense gradients for its norms", lambda: lk.LAMB([good]).step([(other, other)])
    yield "nothing to bind", ValueError, "grads must contain at least one array", lambda: lk.SGD([good], lr=1.0).bind([None])
    yield "overlap", ValueError, "must not share memory", lambda: lk.SGD([good, Foreign(good.array)], lr=1.0)
    yield "read-only", ValueError, "writable", lambda: lk.SGD([Foreign(good.array, writable=False)], lr=1.0)
    yield "integers", TypeError, "float64, float32", lambda: lk.SGD([Foreign(np.ones(3, np.int32))], lr=1.0)
    yield "shape", ValueError, "like params", lambda: lk.SGD([good], lr=1.0).step([on_device(np.ones(5, np.float32))])
    yield "no gradients", ValueError, "grads are needed", lambda: lk.SGD([good], lr=1.0).step()
    yield "table", TypeError, "out must be", lambda: lk.constant(1.0).table(4, out=other, dtype=np.float64)
    many = lk.cyclic(0.1, 1.0, 200, mode="exp_range", gamma=0.999)
    yield "pieces", ValueError, "too many pieces", lambda: many.table(4, start=2**40, backend="cuda")


@pytest.mark.parametrize("case", list(bad_calls()), ids=lambda case: case[0])
def test_bad_calls(case):
    _, kind, text, call = case
    with pytest.raises(kind, match=text):
        call()


def test_nothing_else_while_another_thread_is_in_the_middle_of_a_step(tmp_path):
    pause = Pause()

    class Slow(Foreign):
        @property
        def __cuda_array_interface__(self):
            pause.here()
            return super().__cuda_array_interface__

    param, grads = on_device(np.zeros(3)), [on_device(np.ones(3))]
    opt = lk.SGD([param], lr=0.5, momentum=0.5)
    state = opt.state_dict()
    slow = on_device(np.ones(3))
    with pause.during(lambda: opt.step([Slow(slow.array, owner=slow)])):
        assert_locked(opt, grads, state, tmp_path / "state")
    opt.step(grads)
    assert opt.count == 2
    assert param.array.tolist() == [-0.5 - 0.75] * 3


class Managed(ctypes.Structure):
    """A DLManagedTensor."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.c_void_p),
        ("byte_offset", ctypes.c_uint64),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


class Exported:
    """An array with DLPack only: bfloat16 on a device."""

    def __init__(self, array):
        self.copy = on_device(array)
        self.array = array = self.copy.array
        self.shape = (ctypes.c_int64 * 1)(array.size)
        self.managed = Managed(array.ctypes.data, 2, 0, 1, 4, 16, 1, self.shape, None, 0, None, None)

    def __dlpack_device__(self):
        return 2, 0

    def __dlpack__(self, stream=None):
        assert stream == -1, "without synchronisation"
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        return new(ctypes.addressof(self.managed), b"dltensor", None)


def test_dlpack():
    param = Exported(np.ones(5, BF16))
    lk.SGD([param], lr=0.5).step([Exported(np.ones(5, BF16))])
    assert param.array.tolist() == [0.5] * 5


def test_the_page_about_cuda(capsys):
    """The page's code blocks run and print what their comments say."""
    text = (Path(__file__).parents[2] / "docs" / "cuda.md").read_text()
    blocks = re.findall(r"^```python cuda\n(.*?)^```", text, re.S | re.M)
    namespace = {}
    for block in blocks:
        if "NUMBA_ENABLE_CUDASIM" in block and DEVICE is not None:
            continue
        if COMPILER == "numba-cuda-mlir":
            block = block.replace("from numba import cuda", "from numba_cuda_mlir import cuda")
        exec(compile(block, "cuda.md", "exec"), namespace)
        expected = re.findall(r"^print\(.*\)  # (.*)$", block, re.M)
        assert capsys.readouterr().out.splitlines() == expected
    assert len(blocks) > 3


def test_sums_of_gradients():
    """Of every dtype, and of rows."""
    rng = np.random.default_rng(24)
    dtypes = (np.float64, np.float32, BF16, np.float16)
    into = [one for dtype in dtypes for one in make(rng, [5, CHUNK + 3], dtype)] + [rng.standard_normal((6, 3))]
    rows = np.array([4, 1, 4]), rng.standard_normal((3, 3)).astype(np.float32)
    grads = [make(rng, [one.size], dtypes[i % 3])[0] for i, one in enumerate(into[:-1])] + [rows]
    there = [on_device(one) for one in into]
    for scale in (1.0, -0.3):
        lk.accumulate(into, [gradient(g, np.copy) for g in grads], scale)
        lk.accumulate(there, [gradient(g, on_device) for g in grads], scale)
    assert [bits(one) for one in into] == [bits(one.array) for one in there]

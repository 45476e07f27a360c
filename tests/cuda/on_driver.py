"""What `test_host` runs: lrkern and the compiler in use as they are on a GPU, on a driver that is none (driver.c)."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
from cuda.core import Device

import lrkern as lk
import lrkern.cuda
from lrkern.cuda._platform import cuda

driver = ctypes.CDLL(sys.argv[1])
COUNTERS = "allocations", "copies", "waits", "loads", "launches"


def counter(name, kind=ctypes.c_long):
    return kind.in_dll(driver, f"fake_{name}")


def counted(run):
    before = [counter(name).value for name in COUNTERS]
    run()
    return {name: counter(name).value - one for name, one in zip(COUNTERS, before, strict=True)}


def arrays(value=1.0, sizes=(3, 0, 5000)):
    return [cuda.to_device(np.full(size, value, np.float32)) for size in sizes]


def refused(run, text):
    counter("capturing", ctypes.c_int).value = 1
    try:
        run()
    except RuntimeError as error:
        assert text in str(error), error
    else:
        raise AssertionError(f"not refused: {text}")
    finally:
        counter("capturing", ctypes.c_int).value = 0


params, grads, moved, again = arrays(), arrays(0.5), arrays(0.25), arrays(0.125)
optimizer = lk.SGD(params, lr=lk.cosine(0.1, 0.0, 100), momentum=0.9, clip_norm=1.0)
optimizer.bind(grads)
depth = counter("context_depth", ctypes.c_int).value

# A step asks for no memory, waits for nothing, copies nothing; nor does the first one, which finds everything loaded.
step = {"allocations": 0, "copies": 0, "waits": 0, "loads": 0, "launches": 4}
assert counted(optimizer.step) == step
assert counted(lambda: optimizer.step(grads)) == step
scale = cuda.to_device(np.array([2.0], np.float32))
assert counted(lambda: optimizer.step(grads, scale)) == step

# So it can be captured, and what the graph uses stays when the gradients move or the schedule changes.
counter("capturing", ctypes.c_int).value = 1
assert counted(optimizer.step) == step
counter("capturing", ctypes.c_int).value = 0
captured = list(optimizer._tensors._captured)
assert captured == [optimizer._tensors._program]
refused(lambda: optimizer.step(moved), "gradients cannot move while a CUDA graph is captured")
refused(lambda: setattr(optimizer, "lr", 0.1), "hyper-parameters cannot change while")
refused(lambda: lk.SGD(params, lr=0.1), "arrays cannot be made while")
optimizer.step(moved)
assert counted(lambda: optimizer.step(again)) == {**step, "copies": 1}, "their addresses, to where the old ones were"
optimizer.lr = lk.linear(1.0, 0.0, 5)
refused(optimizer.step, "a change of schedules cannot take effect while")
assert counted(optimizer.step)["loads"] == 0, "its kernels are there"
assert captured == list(optimizer._tensors._captured) != [optimizer._tensors._program]

# Nor may the table of a graph be written to when its program is not in use any more.
counter("capturing", ctypes.c_int).value = 1
optimizer.step()
counter("capturing", ctypes.c_int).value = 0
table = optimizer._tensors._table
optimizer.lr = lk.linear(1.0, 0.0, 6)
optimizer.step(grads)
assert optimizer._tensors._table is not table

# Gradients of rows are sorted by launches that are known beforehand: 600 entries by three, of blocks and of two merges.
pairs = [tuple(map(cuda.to_device, (np.arange(600) % 7, np.ones((600, 4), np.float32)))) for _ in range(3)]
sparse = lk.SGD([cuda.to_device(np.zeros((7, 4), np.float32))], lr=0.1, momentum=0.9, clip_norm=1.0)
assert counted(lambda: sparse.bind(pairs[:1]))["waits"] > 0, "the indices were looked at"
step_of_rows = {**step, "launches": 3 + 4}
assert counted(sparse.step) == step_of_rows
assert counted(lambda: sparse.step([(pairs[0][0], pairs[0][1])])) == step_of_rows
counter("capturing", ctypes.c_int).value = 1
sparse.bind(pairs[:1])
assert counted(sparse.step) == step_of_rows
counter("capturing", ctypes.c_int).value = 0
refused(lambda: sparse.step(pairs[1:2]), "gradients cannot move while a CUDA graph is captured")
sparse.step(pairs[1:2])
assert counted(lambda: sparse.step(pairs[2:])) == {**step_of_rows, "copies": 1}

# Norms of tensors are one more launch; what is not finite is an error that a step waits for, and no graph can.
apart = lk.SGD(arrays(), lr=0.1, momentum=0.9, clip_norm=lk.linear(1.0, 0.5, 9), clip_per="tensor")
apart.bind(grads)
assert counted(apart.step) == {**step, "launches": 5}
checked = lk.SGD(arrays(), lr=0.1, momentum=0.9, error_if_nonfinite=True)
checked.bind(grads)
assert counted(checked.step)["waits"] == 1
refused(checked.step, "error_if_nonfinite must be False while a CUDA graph is captured")

# Streams of every kind; what reads the device waits for the one that is used.
device = Device()
device.set_current()
for stream, address in (
    (4096, 4096),
    (cuda.external_stream(8192), 8192),
    (own := device.create_stream(), int(own.handle)),
    (cuda.default_stream(), 0),
):
    with lrkern.cuda.use_stream(stream):
        optimizer.step()
        assert counter("last_stream").value == address, stream
        assert counted(lambda: optimizer.count)["waits"] == 1
optimizer.step()
assert counter("last_stream").value == 0
try:
    with lrkern.cuda.use_stream("fast"):
        pass
except TypeError as error:
    assert str(error).endswith("or the address of one; got str")

# A table is one launch; the plans of the last ones are there already.
schedule, out = lk.cosine(0.1, 0.0, 50), cuda.to_device(np.zeros(100))
schedule.table(100, out=out)
assert counted(lambda: schedule.table(100, out=out)) == {"allocations": 0, "copies": 0, "waits": 0, "loads": 0, "launches": 1}

# State goes back and forth; every context that was entered has been left.
optimizer.load_state_dict(optimizer.state_dict())
assert counter("context_depth", ctypes.c_int).value == depth
print("done")

"""Arrays on a device that are not what they should be, or not where they were. See `tests/steps/test_misuse.py`."""

from __future__ import annotations

import dlpack
import numpy as np
import pytest
from stand_in import DEVICE  # before a compiler looks for a driver

# isort: split
from device_steps import MARKS, Foreign, bits, in_either_order, on_device  # noqa: F401
from hostile import nonsense, used

import lrkern as lk

pytestmark = [*MARKS, pytest.mark.skipif(DEVICE is not None, reason="of what the CPU does: once is enough")]

ONES = np.ones((4, 2), np.float32)


class Movable(Foreign):
    """A tensor whose memory can be another one later, as torch's."""

    def data_ptr(self):
        return self.array.ctypes.data


@pytest.mark.parametrize("place", ["params", "copy_to"])
def test_arrays_that_move(place):
    tensor = on_device(ONES)
    tensor = Movable(tensor.array, owner=tensor.owner)
    kept = tensor.array
    if place == "params":
        opt = lk.SGD([on_device(ONES), tensor], 0.5, momentum=0.5)
    else:
        opt = lk.SGD([on_device(ONES), on_device(ONES)], 0.5, momentum=0.5, copy_to=[None, tensor])
    opt.bind([on_device(ONES), on_device(ONES)])
    opt.step()
    before = bits(kept)
    assert before == bits(ONES / 2)
    tensor.array = kept.copy()
    for grads in (None, [on_device(ONES), on_device(ONES)]):
        with pytest.raises(ValueError, match=rf"^SGD: {place}\[1\] must stay in its memory, but it has been resized or repl"):
            opt.step(grads)
    assert bits(kept) == before
    assert opt.count == 1
    tensor.array = kept
    opt.step()
    assert opt.count == 2
    assert bits(kept) != before


def test_arrays_without_memory():
    class Nowhere(Foreign):
        @property
        def __cuda_array_interface__(self):
            return {**super().__cuda_array_interface__, "data": (0, False)}

    with pytest.raises(TypeError, match=r"^SGD: params\[0\] must be an array in memory; got one at address 0$"):
        lk.SGD([Nowhere(ONES)], 0.5)
    empty = Nowhere(np.ones((0, 2), np.float32))
    lk.SGD([empty], 0.5).step([empty])


class Capsule:
    """What says it is on a device, and gives something."""

    def __init__(self, give):
        self.give, self.stranger = give, dlpack.Stranger(ONES.copy())

    def __dlpack_device__(self):
        return dlpack.CUDA, 0

    def __dlpack__(self, **options):
        return self.give(self.stranger)


@pytest.mark.parametrize("give", [nonsense, used, lambda _: None, lambda _: 3, lambda stranger: stranger.__dlpack__()])
def test_capsules(give):
    """The last one is of an array that is not there."""
    opt = lk.SGD([on_device(ONES)], 0.5)
    for call in (lambda: lk.SGD([Capsule(give)], 0.5), lambda: opt.bind([Capsule(give)]), lambda: opt.step([Capsule(give)])):
        with pytest.raises(TypeError, match=r"^SGD: (params|grads)\[0\] (must be an array of|cannot be used)"):
            call()
    assert opt.count == 0


@pytest.mark.parametrize("row", [4, 50, -1, 2**63 - 1, -(2**63)])
def test_rows_that_there_are_not(row):
    """Seen by `bind` on the CPU; by a step on the device, and told by whatever reads it next."""
    param, indices = on_device(ONES), on_device(np.array([1, row]))
    opt = lk.SGD([param], 0.5)
    grad = indices, on_device(ONES[:2])
    with pytest.raises(ValueError, match=rf"^SGD: grads\[0\]\[0\] must be a 1-D array of rows in 0..3; got .*{row}"):
        opt.bind([grad])
    opt.step([grad])
    with pytest.raises(ValueError, match=r"^SGD: grads\[0\]\[0\] must be rows in 0..3"):
        _ = opt.count
    assert bits(param.array) == bits(ONES)

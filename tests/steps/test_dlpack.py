"""Arrays of other libraries, taken through DLPack without a copy, or refused with a sentence."""

from __future__ import annotations

import gc
from typing import Any

import dlpack
import ml_dtypes
import numpy as np
import pytest
from settled import settled  # noqa: F401  (a fixture)

import lrkern as lk

BF16 = np.dtype(ml_dtypes.bfloat16)
VERSIONS = [0, 1]


def step_all(param: Any, grad: Any) -> None:
    """A step by a class, and one by a function."""
    lk.SGD([param], 0.25).step([grad])
    lk.sgd_step(param, grad, lr=0.25)


@pytest.mark.parametrize("major", VERSIONS)
@pytest.mark.parametrize("device", [dlpack.CPU, dlpack.CUDA_HOST])
@pytest.mark.parametrize("dtype", ["f8", "f4", "f2", BF16], ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (0, 4)], ids=str)
def test_no_copy(shape: tuple[int, ...], dtype: Any, device: int, major: int) -> None:
    for order in ("C", "F"):
        p, g = np.ones(shape, dtype, order=order), np.full(shape, 2.0, dtype, order=order)
        param, grad = (dlpack.Stranger(one, device=device, major=major) for one in (p, g))
        step_all(param, grad)
        assert (p == 0).all()
        assert (g == 2).all()
        gc.collect()
        assert (param.exported, param.deleted) == (2, 2)
        assert (grad.exported, grad.deleted) == (2, 2)


@pytest.mark.parametrize("major", VERSIONS)
def test_strides_that_are_left_out_and_offsets(major: int) -> None:
    memory = np.arange(12.0)
    param = dlpack.Stranger(memory[:6].reshape(2, 3), major=major, strides=None, byte_offset=4 * 8)
    step_all(param, np.ones((2, 3)))
    assert memory.tolist() == [0, 1, 2, 3, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 10, 11]


def test_memory_lives_as_long_as_the_optimizer() -> None:
    param = dlpack.Stranger(np.ones(5))
    opt = lk.SGD([param], 0.25)
    opt.bind([np.ones(5)])
    gc.collect()
    assert param.deleted == 0
    opt.step()
    assert (param.array == 0.75).all()
    gc.disable()
    try:
        del opt
        assert param.deleted == 1, "memory that only the garbage collector gives back comes back late"
    finally:
        gc.enable()


def test_rows() -> None:
    p, indices = np.ones((4, 2)), np.array([3, 1])
    for dtype in ("i8", "i4", "u1"):
        grad = dlpack.Stranger(indices.astype(dtype)), dlpack.Stranger(np.ones((2, 2)))
        lk.SGD([dlpack.Stranger(p)], 0.25).step([grad])
    assert p.tolist() == [[1, 1], [0.25, 0.25], [1, 1], [0.25, 0.25]]


def test_other_arrays_of_an_optimizer() -> None:
    p, copy, buffer = np.ones(3), np.zeros(3, "f4"), np.zeros(3)
    lk.SGD([p], 0.25, copy_to=[dlpack.Stranger(copy)]).step([np.ones(3)])
    assert copy.tolist() == [0.75] * 3
    lk.sgd_step(p, np.ones(3), dlpack.Stranger(buffer), lr=0.25, momentum=0.5, first=True)
    assert buffer.tolist() == [1.0] * 3


FLOATS = "must be an array of float64, float32, bfloat16 or float16 in CPU memory"
PARAM = r"params\[0\]"
CPU_ONLY = rf"params\[0\] {FLOATS}; got Stranger of float64 on device "
REFUSED = [
    ({"device": dlpack.CUDA}, TypeError, CPU_ONLY + "2"),
    ({"device": 10}, TypeError, CPU_ONLY + "10"),
    ({"device": 13}, TypeError, CPU_ONLY + "13"),
    ({"device_type": dlpack.CUDA}, TypeError, CPU_ONLY + "1"),  # says one thing and gives another
    ({"major": 2}, TypeError, CPU_ONLY + "1"),
    ({"flags": dlpack.READ_ONLY}, ValueError, r"params\[0\] must be writable; got a read-only array, float64 \(6,\)"),
    ({"flags": dlpack.IS_COPIED}, ValueError, r"params\[0\] must be writable; got a read-only array, .*"),
    ({"lanes": 4}, TypeError, CPU_ONLY + "1"),
    ({"code": 5}, TypeError, CPU_ONLY + "1"),
    ({"bits": 128}, TypeError, CPU_ONLY + "1"),
    ({"bits": 8}, TypeError, CPU_ONLY + "1"),
    ({"ndim": 65}, TypeError, CPU_ONLY + "1"),
    ({"code": 0}, TypeError, r"params\[0\] must be float64, float32, bfloat16 or float16; got int64 \(6,\)"),
]


@pytest.mark.parametrize(("how", "error", "message"), REFUSED, ids=lambda one: str(one))
def test_refused(how: dict[str, int], error: type[Exception], message: str) -> None:
    p, g = np.ones(6), np.ones(6)
    for call, where in [
        (lambda stranger: lk.SGD([stranger], 0.1, backend="c"), "SGD: "),
        (lambda stranger: lk.sgd_step(stranger, g, lr=0.1, backend="c"), "sgd_step: "),
    ]:
        stranger = dlpack.Stranger(p, **how)
        with pytest.raises(error) as raised:
            call(stranger)
        raised.match(f"^{where}{message if where == 'SGD: ' else message.replace(PARAM, 'param')}$")
        del raised
        gc.collect()
        assert stranger.deleted == stranger.exported
    assert (p == 1).all()


def test_layouts_that_are_refused() -> None:
    with pytest.raises(ValueError, match=r"SGD: params\[0\] must be contiguous; got float64 \(3,\) with strides \(16,\)"):
        lk.SGD([dlpack.Stranger(np.ones(6)[::2])], 0.1)
    opt = lk.SGD([np.ones((2, 3))], 0.1)
    with pytest.raises(ValueError, match=r"SGD: grads\[0\] must have the memory order of params\[0\]"):
        opt.step([dlpack.Stranger(np.ones((2, 3), order="F"))])
    with pytest.raises(ValueError, match=r"SGD: grads\[0\] must be .* of shape \(2, 3\) like params\[0\]; got float64 \(6,\)"):
        opt.step([dlpack.Stranger(np.ones(6))])
    assert opt.count == 0


def test_read_only_gradients() -> None:
    """They are only read, unless they are to be zeroed."""
    p, grad = np.ones(3), dlpack.Stranger(np.ones(3), flags=dlpack.READ_ONLY)
    step_all(p, grad)
    assert (p == 0.5).all()
    with pytest.raises(ValueError, match=r"SGD: grads\[0\] must be writable; got a read-only array"):
        lk.SGD([p], 0.25, zero_grad=True).step([grad])
    assert (p == 0.5).all()


def test_immutable_arrays() -> None:
    """JAX's, as of the versions whose capsules do not say that they are read-only."""

    class Array(dlpack.Stranger):
        pass

    Array.__module__ = "jaxlib._jax"
    p, immutable = np.ones(3), Array(np.ones(3), major=0)
    message = "must be writable; got a JAX array, which is immutable$"
    with pytest.raises(TypeError, match=rf"^SGD: params\[0\] {message}"):
        lk.SGD([immutable], 0.25)
    with pytest.raises(TypeError, match=f"^sgd_step: param {message}"):
        lk.sgd_step(immutable, p, lr=0.25)
    with pytest.raises(TypeError, match=f"^sgd_step: momentum_buffer {message}"):
        lk.sgd_step(p, p.copy(), immutable, lr=0.25, momentum=0.5)
    with pytest.raises(TypeError, match=rf"^SGD: copy_to\[0\] {message}"):
        lk.SGD([p], 0.25, copy_to=[immutable])
    step_all(p, immutable)
    assert (p == 0.5).all()
    with pytest.raises(TypeError, match=rf"^SGD: grads\[0\] {message}"):
        lk.SGD([p], 0.25, zero_grad=True).step([immutable])
    assert (immutable.array == 1).all()
    assert (p == 0.5).all()


@pytest.mark.parametrize("error", [BufferError, RuntimeError, NotImplementedError])
def test_reasons_of_others_are_passed_on(error: type[Exception]) -> None:
    class Elsewhere:
        dtype, device = "float8", "tpu:0"

        def __dlpack__(self, **_: Any) -> None:
            raise error("it is on another planet")

    with pytest.raises(TypeError, match=rf"^SGD: params\[0\] {FLOATS}; got Elsewhere of float8 on tpu:0: it is on another"):
        lk.SGD([Elsewhere()], 0.1)


def test_what_is_no_capsule() -> None:
    class Liar:
        def __dlpack__(self, **_: Any) -> object:
            return object()

    with pytest.raises(TypeError, match=rf"^SGD: params\[0\] {FLOATS}; got Liar of unknown dtype on unknown device"):
        lk.SGD([Liar()], 0.1)

"""Storage types, rounding, copies and averages on a device: the bits are those of the C kernels. See `test_device`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from device_steps import (
    BF16,
    CHUNK,
    MARKS,
    SGD,
    STORAGES,
    bits,
    compare,
    in_either_order,  # noqa: F401
    make,
    on_device,
    pickled,
)

import lrkern as lk
import lrkern.cuda

pytestmark = MARKS


@pytest.mark.parametrize("storage", STORAGES)
def test_storage(storage):
    param, grad, options = STORAGES[storage]
    rng = np.random.default_rng(3)
    sizes = [1, 9, CHUNK + 11]
    params = make(rng, sizes, param)
    grads = [make(rng, sizes, grad) for _ in range(2)]
    compare("AdamW", params, grads, lr=0.01, ema=0.9, copy_to=make(rng, sizes, np.float16), **options)


@pytest.mark.parametrize("state_rounding", ["stochastic", "nearest"])
def test_states_in_float16(state_rounding):
    rng = np.random.default_rng(3)
    params = make(rng, [9, CHUNK + 11], np.float32)
    grads = [make(rng, [9, CHUNK + 11], np.float32) for _ in range(2)]
    compare("SGD", params, grads, **SGD, state_dtype="float16", state_rounding=state_rounding, seed=3)


def test_remainders_of_parameters_written_from_outside():
    """Remainders make no NaN of a zero, and can be forgotten."""
    p = np.ones(40, BF16)
    device = on_device(p)
    opt = lk.SGD([device], lr=2.0**-12, rounding="split", ema=0.5)
    grads = on_device(np.ones(40, np.float32))
    opt.step([grads])
    device.array[:20] = 0.0
    device.array[20:] = 0.5
    opt.step([on_device(np.zeros(40, np.float32))])
    assert np.isfinite(opt.state_dict()["ema_params"][0]).all()
    assert not device.array[:20].any()
    assert opt.state_dict()["remainders"][0][20:].all()
    opt.forget_remainders()
    assert not opt.state_dict()["remainders"][0].any()


@pytest.mark.parametrize("rounding", ["nearest", "split"])
def test_copies_are_made_with_the_optimizer(rounding):
    rng = np.random.default_rng(6)
    params = [make(rng, [70], dtype)[0] for dtype in (np.float32, BF16, np.float64, np.float16)]
    copies = [np.zeros(70, dtype) for dtype in (BF16, np.float32, np.float16, np.float64)]
    here, there = [one.copy() for one in copies], [on_device(one) for one in copies]
    a = lk.SGD([p.copy() for p in params], 0.1, copy_to=here, rounding=rounding)
    b = lk.SGD([on_device(p) for p in params], 0.1, copy_to=there, rounding=rounding)
    assert [bits(one) for one in here] == [bits(one.array) for one in there]
    assert all(one.any() for one in here)
    state = a.state_dict()
    if rounding == "split":
        state["remainders"][1][:] = 77
    for one in (a, b):
        one.load_state_dict(state)
    assert [bits(one) for one in here] == [bits(one.array) for one in there]


@pytest.mark.parametrize("rounding", ["nearest", "split"])
def test_nan_infinities_and_denormals(rounding):
    """NaN != NaN, which compilers have got wrong. No NaN is created here: its sign depends on the device."""
    values = np.array([math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-40, 3e38, 6e-8, -1e-7, 65519.0, 65520.0, 1.0], np.float32)
    params, copies = np.resize(values, 37).astype(BF16), np.zeros(37, np.float16)
    compare("SGD", [params], [[np.resize(values[6:], 37)]], lr=1e-3, copy_to=[copies], rounding=rounding)


FEWER = [pytest.param(ema, id=name, marks=pytest.mark.exhaustive) for name, ema in (("two", (0.5, 0.25)), ("one", 0.75))]


@pytest.mark.parametrize("ema", [pytest.param((0.9, lk.linear(0.1, 0.9, 4), 0.5), id="three"), *FEWER])
def test_several_averages_at_some_steps(ema):
    """A skipped step does not count; sparse gradients."""
    rng = np.random.default_rng(25)
    params = [*make(rng, [5, CHUNK + 3], BF16), rng.standard_normal((6, 3)), *make(rng, [3], np.float32)]
    steps = [[rng.standard_normal(one.shape).astype(np.float32) for one in params] for _ in range(5)]
    for k, grads in enumerate(steps):
        grads[2] = np.array([4, k, 4]), rng.standard_normal((3, 3)).astype(np.float32)
    steps[1][0][3] = math.inf
    more = {"skip_nonfinite": True, "zero_grad": True, "rounding": "split"}
    a, _ = compare("AdamW", params, steps, lr=0.1, ema=ema, ema_every=2, **more)
    assert a.count == 4


@pytest.mark.parametrize("rounding", ["nearest", "split"])
def test_averaged_parameters_and_zeroed_gradients(rounding):
    rng = np.random.default_rng(29)
    params = [make(rng, [70], dtype)[0] for dtype in (np.float32, BF16, np.float64, np.float16)]
    grads, copies = make(rng, [70] * 4, np.float32), make(rng, [70] * 4, np.float16)
    here, there, given = [one.copy() for one in params], [on_device(one) for one in params], [on_device(one) for one in grads]
    copied_here, copied_there = [one.copy() for one in copies], [on_device(one) for one in copies]
    a = lk.AdamW(here, 0.1, ema=(0.5, 0.75), rounding=rounding, copy_to=copied_here)
    b = lk.AdamW(there, 0.1, ema=(0.5, 0.75), rounding=rounding, copy_to=copied_there)
    with pytest.raises(ValueError, match="grads must be bound before"):
        b.zero_grad()
    a.step(grads)
    b.step(given)

    def everything():
        return [bits(one) for one in (*here, *copied_here)], [bits(one.array) for one in (*there, *copied_there)]

    before = everything()
    assert before[0] == before[1]
    for which in (0, 1):
        with a.averaged(which), b.averaged(which):
            found = everything()
            assert found[0] == found[1] != before[0]
            with pytest.raises(RuntimeError, match="the parameters are averages here"):
                b.step(given)
        assert everything() == before
    b.zero_grad()
    assert not any(one.array.any() for one in given)
    assert pickled(a) == pickled(b)

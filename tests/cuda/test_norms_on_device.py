"""Norms on a device: clipping, skipped steps, norms of steps; the bits are those of the C kernels. See `test_device`."""

from __future__ import annotations

import math

import numba
import numpy as np
import pytest
from device_steps import (
    BF16,
    CHUNK,
    MARKS,
    SGD,
    STORAGES,
    Foreign,
    bits,
    compare,
    gradient,
    in_either_order,  # noqa: F401
    make,
    on_device,
    pickled,
)

import lrkern as lk
import lrkern.cuda
from lrkern.pointwise.exact_sum import BINS, add, total

pytestmark = MARKS


def test_clipping_and_scaling():
    rng = np.random.default_rng(5)
    sizes = [3, 1024, 2500]
    params = make(rng, sizes, np.float32)
    grads = [make(rng, sizes, np.float32) for _ in range(2)]
    a, _ = compare("SGD", params, grads, grad_scales=[1024.0, 2.0], clip_norm=0.01, clip_value=1e-3, zero_grad=True, **SGD)
    assert a.grad_norm > 0.01, "clipped"


@pytest.mark.parametrize("scale", [1e-250, 1e200], ids=["tiny", "huge"])
def test_norms_whose_squares_leave_the_range(scale):
    rng = np.random.default_rng(6)
    params = [rng.standard_normal(size) * min(scale, 1.0) for size in (5, 2000)]
    grads = [[rng.standard_normal(p.size) * scale for p in params]]
    compare("SGD", params, grads, lr=0.1, clip_norm=1.0)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_skipped_steps_change_nothing(bad):
    rng = np.random.default_rng(7)
    params = make(rng, [5, CHUNK + 2], np.float32)
    steps = [make(rng, [5, CHUNK + 2], np.float32) for _ in range(3)]
    steps[0][0][2] = steps[2][1][0] = bad
    a, b = compare("SGD", params, steps, skip_nonfinite=True, zero_grad=True, ema=0.5, **SGD)
    assert (b.count, b.skipped) == (a.count, a.skipped) == (1, 2)


@numba.njit
def exact_sum(terms):
    bins = np.zeros(BINS, np.int64)
    for term in terms:
        add(bins, term)
    return total(bins)


def test_exact_sums():
    rng = np.random.default_rng(14)
    for _ in range(300):
        terms = np.ldexp(rng.random(rng.integers(1, 30)), rng.integers(-1080, 1020, 1) + rng.integers(-60, 3, 1))
        assert exact_sum(rng.permutation(terms)) == math.fsum(terms)
    assert exact_sum(np.zeros(0)) == 0.0
    for terms, expected in (([math.inf, 1.0], math.inf), ([1.7e308] * 2, math.inf), ([5e-324] * 3, 1.5e-323)):
        assert exact_sum(np.array(terms)) == expected


def test_norms_of_groups_and_tensors():
    """float64 tensors whose squares overflow or underflow, so that norms are computed from scaled elements."""
    rng = np.random.default_rng(17)
    sizes, scales = [3, 0, 1030, CHUNK + 3, 5], [1.0, 1.0, 1e-3, 10.0, 0.0]
    for per in ("group", "tensor"):
        for dtype, more in ((np.float32, {}), (np.float64, {2: 1e200, 3: 1e-200})):
            params = [rng.standard_normal(size).astype(dtype) for size in sizes]
            steps = [
                [(rng.standard_normal(size) * more.get(i, scales[i])).astype(dtype) for i, size in enumerate(sizes)]
                for _ in range(3)
            ]
            steps[1][0] = None
            limit = lk.linear(0.5, 0.125, 4)
            _, b = compare("SGD", params, steps, clip_norm=limit, clip_per=per, ema=0.5, grad_scales=[1.0, 4.0, 0.5], **SGD)
            assert b.grad_norm > 1


def test_norms_of_groups_with_a_mask_and_a_bad_gradient():
    rng = np.random.default_rng(18)
    arrays = make(rng, [40, 70, 6], np.float32)
    grads = make(rng, [40, 70, 6], np.float32)
    grads[2][3] = math.inf

    def build(made):
        groups = [{"params": made[:2], "decay_mask": [True, False]}, {"params": made[2:]}]
        return lk.AdamW(groups, lr=0.1, weight_decay=0.5, clip_norm=0.5, clip_per="group")

    here, there = [p.copy() for p in arrays], [on_device(p) for p in arrays]
    a, b = build(here), build(there)
    for _ in range(2):
        a.step([grads[:2], grads[2:]])
        b.step([[on_device(g) for g in grads[:2]], [on_device(g) for g in grads[2:]]])
    assert [bits(x) for x in here[:2]] == [bits(y.array) for y in there[:2]]
    assert np.array_equal(here[2], there[2].array, equal_nan=True)
    assert np.isfinite(here[0]).all()
    assert np.isfinite(here[1]).all()
    assert not np.isfinite(here[2]).all()


def test_limits_that_change():
    """From None to a number, to a schedule and back: each time the right program runs."""
    rng = np.random.default_rng(20)
    p, g = make(rng, [9, 70], np.float32), make(rng, [9, 70], np.float32)
    here, there, given = [one.copy() for one in p], [on_device(one) for one in p], [on_device(one) for one in g]
    a, b = (lk.SGD(one, lr=lk.linear(0.1, 0.0, 20), clip_per="tensor") for one in (here, there))
    for limit in (None, 0.5, 0.25, lk.linear(0.5, 0.1, 9), lk.linear(0.25, 0.1, 9), None, 0.125):
        for one, grads in ((a, g), (b, given)):
            one.set("clip_norm", limit)
            assert one.grad_norm is None or limit is not None
            one.step(grads)
        assert a.grad_norm == b.grad_norm
        assert [bits(x) for x in here] == [bits(y.array) for y in there]
    with pytest.raises(TypeError, match="clip_norm must be a number or a Schedule on a CUDA device"):
        b.set("clip_norm", lambda step: 0.5)
    for one, grads in ((a, g), (b, given)):
        one.step(grads)
    assert [bits(x) for x in here] == [bits(y.array) for y in there]
    assert pickled(a) == pickled(b)


@pytest.mark.filterwarnings("ignore:.*overflow encountered")  # of the simulator, which adds with NumPy
@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_what_is_not_finite_is_an_error(bad):
    """The same errors as in C, including rows that overflow when summed."""
    rng = np.random.default_rng(22)
    shapes = [(5,), (3, 4), (4, 2)]
    params = [
        rng.standard_normal(shape).astype(dtype) for shape, dtype in zip(shapes, (np.float32, BF16, np.float64), strict=True)
    ]
    good = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    good[1] = good[1].astype(BF16)
    wrong = [one.copy() for one in good]
    wrong[1][2, 3] = bad
    wrong[2] = np.array([3, 1, 3]), np.full((3, 2), 1.7e308)
    here, there = [one.copy() for one in params], [on_device(one) for one in params]
    a, b = (lk.SGD(one, error_if_nonfinite=True, clip_norm=1.0, zero_grad=True, ema=0.5, **SGD) for one in (here, there))
    for grads, is_good in ((wrong, False), (good, True), (wrong, False)):
        messages = []
        for one, placed in ((a, np.copy), (b, on_device)):
            given = [gradient(g, placed) for g in grads]
            before = pickled(one)
            try:
                one.step(given)
                messages.append("")
            except ValueError as error:
                messages.append(str(error))
                assert pickled(one) == before
                assert bits(host_or_array(given[1])) == bits(grads[1]), "zeroed"
        assert messages[0] == messages[1]
        assert messages[0].startswith("SGD.step: grads must be finite") is not is_good
        assert a.grad_norm == b.grad_norm
    assert f"got {bad} in grads[1] at [2, 3], inf in grads[2] at [3, 0]" in messages[0]
    assert [bits(x) for x in here] == [bits(y.array) for y in there]
    assert a.count == b.count == 1


def host_or_array(one):
    return one.array if isinstance(one, Foreign) else one


@pytest.mark.parametrize("around", [{}, {"clip_norm": 0.5, "clip_per": "tensor"}, {"skip_nonfinite": True}], ids=str)
def test_large_norms_skip_steps(around):
    rng = np.random.default_rng(23)
    sizes = [5, 0, CHUNK + 2]
    params = make(rng, sizes, np.float32)
    steps = [make(rng, sizes, np.float32) for _ in range(6)]
    for k in (0, 3):
        steps[k][2] *= 100
    steps[5][0][2] = math.nan if "skip_nonfinite" in around else math.inf
    norm = math.sqrt(sum(float(np.sum(one.astype(np.float64) ** 2)) for one in steps[1]))
    limit = lk.linear(3 * norm, 1.5 * norm, 4)
    a, b = compare("AdamW", params, steps, skip_norm=limit, zero_grad=True, ema=0.5, grad_scales=[1.0, 1.0, 0.5] * 2, **around)
    assert (b.count, b.skipped) == (a.count, a.skipped)
    assert a.skipped == 3
    for limit in (1e-3, None, 1e3):
        for one in (a, b):
            one.set("skip_norm", limit)
            one.step([steps[1][0].copy() if one is a else on_device(steps[1][0]), None, None])
    assert pickled(a) == pickled(b)
    if "skip_nonfinite" not in around:  # a NaN is not above the limit
        b.set("skip_norm", 1e3)
        b.step([on_device(np.full(5, math.nan, np.float32)), None, None])
        assert b.count == a.count + 1


def test_spikes_are_skipped():
    """The norms are on the device, and in the state; the oldest one is anywhere in the window."""
    rng = np.random.default_rng(26)
    params, steps = make(rng, [5, 70], np.float32), []
    for factor in (1.0, 1.25, 0.75, 1.1, 40.0, 0.9, 1.2, 60.0, 1.05, 1.3):
        steps.append([one * np.float32(factor) for one in make(rng, [5, 70], np.float32)])
    limit = lk.linear(3.0, 2.0, 5)
    a, b = compare("SGD", params, steps, skip_sigma=limit, skip_window=3, clip_norm=1.0, grad_scales=[1.0, 0.5] * 5, **SGD)
    assert 0 < a.skipped < 5
    here, there = [one.copy() for one in params], [on_device(one) for one in params]
    c, d = (lk.SGD(one, skip_sigma=limit, skip_window=3, clip_norm=1.0, **SGD) for one in (here, there))
    c.load_state_dict(a.state_dict())
    d.load_state_dict(b.state_dict())
    for grads in steps[:6]:
        c.step(grads)
        d.step([on_device(one) for one in grads])
    assert pickled(c) == pickled(d)
    assert [bits(x) for x in here] == [bits(y.array) for y in there]


# Norms are taken of elements in T, whatever they are stored as.
MORE = [pytest.param(one, marks=pytest.mark.exhaustive) for one in ("bfloat16", "wide gradients")]


@pytest.mark.parametrize("storage", ["split", "narrow gradients", *MORE])
def test_norms_of_steps(storage):
    """Of every array, in the pass of the step: at odd addresses, without a gradient, after a skipped step."""
    param, grad, options = STORAGES[storage]
    rng = np.random.default_rng(27)
    sizes = [1, 0, 1030, 9, 2 * CHUNK + 7]
    params = make(rng, sizes, param)
    steps = [make(rng, sizes, grad) for _ in range(3)]
    steps[0][3] = None
    steps[2][2][7] = math.inf
    more = {"ema": 0.5, "clip_norm": 0.5, "clip_per": "tensor", "skip_nonfinite": True, "zero_grad": True, "norms": True}
    for offset in (0, max(np.dtype(param).itemsize, np.dtype(grad).itemsize)):
        a, b = compare("AdamW", params, steps, lr=0.1, offset=offset, grad_scales=[1.0, 4.0, 1.0], **more, **options)
        assert a.skipped == 1
        assert a.norms == b.norms
        assert all(one.update > 0 for one in a.norms if one.parameter)


def test_norms_of_steps_by_rows():
    """Gradients of rows, some rows twice; rows with their own lr; a rule with norms of its own."""
    rng = np.random.default_rng(28)
    shapes = [(6, 40), (5, 3), (4, 1050), (3, 0)]
    params = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    for skips in (False, True):
        steps = []
        for _ in range(2):
            grads = [(rng.integers(0, rows, 4), rng.standard_normal((4, width)).astype(np.float32)) for rows, width in shapes]
            steps.append([*grads[:3], None])
        steps[1][2][1][2, 1049] = math.inf if skips else 1.0
        a, b = compare("SGD", params, steps, norms=True, zero_grad=True, skip_nonfinite=True, grad_scales=[1.0, 0.5], **SGD)
        assert a.norms == b.norms
        assert a.skipped == skips
    for array in params[:3]:
        steps = [[rng.standard_normal(array.shape).astype(np.float32)] for _ in range(2)]
        lrs = rng.random(len(array))
        a, b = compare("SGD", [array], steps, norms=True, zero_grad=True, **{**SGD, "lr": lrs})
        assert a.norms == b.norms
    a, b = compare("LAMB", params[:2], [[one * 2 for one in params[:2]]], norms=True)
    assert a.norms == b.norms

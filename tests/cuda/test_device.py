"""The CUDA backend without a GPU: its bits are those of the C kernels.

All of it runs in numba-cuda's simulator, where kernels are Python, and blocks and chunks are small (`_platform.THREADS`,
`CHUNK`), so that few elements make many chunks. And compiled, by either compiler, on the device of `fake_device`.
"""

from __future__ import annotations

import ctypes
import math
import pickle
import re
from pathlib import Path

import numba
import numpy as np
import pytest
from fake_device import DEVICE  # before a compiler looks for a driver

# isort: split
import user_rules
from concurrency import Pause, assert_locked
from device_steps import (
    BF16,
    CHUNK,
    MARKS,
    Foreign,
    bits,
    compare,
    gradient,
    host,
    in_either_order,  # noqa: F401
    make,
    on_device,
    pickled,
)

import lrkern as lk
import lrkern.cuda
from lrkern.cuda._platform import COMPILER, cuda
from lrkern.pointwise.exact_sum import BINS, add, total

pytestmark = MARKS

SIZES = [1, 0, 3, 4, 5, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7]
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
OPTIONS = {
    "SGD": [{"lr": 0.1}, SGD, {**SGD, "nesterov": True, "decoupled": True, "maximize": True}],
    "Adam": [{"weight_decay": 0.1, "eps_inside": True}],
    "AdamW": [{"amsgrad": True, "convention": "keras"}, {"decay_after": True, "ema": 0.9}],
    "Lion": [{"weight_decay": 0.1}],
    "RMSprop": [{"centered": True, "momentum": 0.9}],
    "Adagrad": [{"lr_decay": 0.1, "initial_accumulator": 0.5, "weight_decay": 0.1, "decoupled": True}],
    "LARS": [
        {"lr": 0.1, "weight_decay": 0.01, "clip_value": 0.5},
        {"lr": 0.1, "weight_decay": 0.01, "convention": "apex", "trust_clip": True},
    ],
    "LAMB": [{"weight_decay": 0.01}],
}
RULES = [(name, options) for name, each in OPTIONS.items() for options in each]


@pytest.mark.parametrize(("name", "options"), RULES, ids=[f"{name}{i}" for i, (name, _) in enumerate(RULES)])
def test_every_rule(name, options):
    rng = np.random.default_rng(1)
    sizes = SIZES if name == "SGD" else [5, 0, CHUNK + 3]
    params = make(rng, sizes, np.float32)
    compare(name, params, [make(rng, sizes, np.float32) for _ in range(2)], **options)


OWN = [(user_rules.five, {}), (user_rules.signum, {"lr": 0.1, "weight_decay": 0.1}), (user_rules.by_norms, {}),
       (user_rules.by_norm_of_param, {"clip_norm": 1.0}), (user_rules.plain, {"size": 0.25})]  # fmt: skip


@pytest.mark.parametrize(("rule", "options"), OWN, ids=[rule.name for rule, _ in OWN])
def test_rules_of_ones_own(rule, options):
    rng = np.random.default_rng(9)
    sizes = [5, 0, CHUNK + 3]
    params = make(rng, sizes, np.float32)
    compare(rule.Optimizer, params, [make(rng, sizes, np.float32) for _ in range(2)], **options)


@pytest.mark.parametrize("name", ["SGD", "AdamW", "LAMB"])
def test_float64(name):
    rng = np.random.default_rng(2)
    params = [rng.standard_normal(size) for size in (1, 7, CHUNK + 1)]
    grads = [[rng.standard_normal(p.size) for p in params] for _ in range(2)]
    compare(name, params, grads, lr=0.01, clip_norm=1.0)


STORAGES = {
    "bfloat16": (BF16, BF16, {}),
    "float16": (np.float16, np.float32, {"state_dtype": "bfloat16", "state_rounding": "nearest"}),
    "split": (BF16, BF16, {"rounding": "split", "state_dtype": "bfloat16", "seed": 8}),
    "stochastic": (BF16, BF16, {"rounding": "stochastic", "state_dtype": "bfloat16", "seed": 7}),
    "stochastic float16": (np.float16, np.float16, {"rounding": "stochastic"}),
    "wide gradients": (np.float32, np.float64, {}),
    "narrow gradients": (np.float64, BF16, {"state_dtype": "float32"}),
}


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


@pytest.mark.parametrize("convention", ["paper", "optax", "apex"])
def test_lars_where_a_norm_is_zero_or_tiny(convention):
    pieces = [np.zeros(3), np.array([1.0, -2.0, 2.0]), np.array([1e-45, 0.0, -3e-45])]
    params = [p.astype(np.float32) for p in pieces for _ in pieces]
    grads = [g.astype(np.float32) for _ in pieces for g in pieces]
    compare("LARS", params, [grads], lr=0.5, weight_decay=0.125, trust=0.25, convention=convention, momentum=0.0)


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


@pytest.mark.parametrize("offset", [2, 8])
def test_arrays_at_any_address(offset):
    rng = np.random.default_rng(4)
    dtype = BF16 if offset == 2 else np.float32
    params = make(rng, [CHUNK + 5], dtype)
    compare("SGD", params, [make(rng, [CHUNK + 5], dtype) for _ in range(2)], offset=offset, clip_norm=0.1, **SGD)


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


def test_gradients_that_are_not_there():
    rng = np.random.default_rng(8)
    params = make(rng, [4, 5, 6], np.float32)
    steps = [make(rng, [4, 5, 6], np.float32) for _ in range(3)]
    steps[0][1] = steps[2][0] = None
    a, b = compare("Adam", params, steps, lr=0.1)
    assert a.state_dict()["updates"] == b.state_dict()["updates"] == [2, 2, 3]


@pytest.mark.parametrize(("dtype", "shape"), [(np.float32, (5, 24)), (BF16, (3, CHUNK - 8)), (np.float64, (7, 3))])
def test_a_learning_rate_for_each_row(dtype, shape):
    rng = np.random.default_rng(15)
    params = [rng.standard_normal(one).astype(np.float32).astype(dtype) for one in (shape, (shape[0], 1), (shape[0], 0))]
    grads = [[rng.standard_normal(p.shape).astype(np.float32).astype(dtype) for p in params] for _ in range(3)]
    lrs = rng.random(shape[0])
    common = {"momentum": lk.linear(0.9, 0.8, 2), "weight_decay": 0.1, "decoupled": True, "clip_norm": 1.0, "lr": lrs}
    _, b = compare("SGD", params, grads, ema=0.5, zero_grad=True, skip_nonfinite=True, **common)
    expected, found = params[0].copy(), on_device(params[0])
    a, b = lk.SGD([expected], lr=lrs), lk.SGD([found], lr=lrs)
    for opt, grad in ((a, grads[0][0]), (b, on_device(grads[0][0]))):
        opt.step([grad])
        opt.lr = 2 * lrs
        opt.step([grad])
    assert bits(expected) == bits(found.array)


def test_groups_with_options_of_their_own():
    rng = np.random.default_rng(9)
    arrays = make(rng, [4, 70, 6], np.float32)
    grads = make(rng, [4, 70, 6], np.float32)

    def build(made):
        groups = [{"params": made[:2], "lr": 0.5, "momentum": 0.9}, {"params": made[2:]}]
        return lk.SGD(groups, lr=lk.linear(1.0, 0.0, 5), ema=lk.constant(0.5))

    here, there = [p.copy() for p in arrays], [on_device(p) for p in arrays]
    a, b = build(here), build(there)
    for _ in range(3):
        a.step([[g.copy() for g in grads[:2]], [grads[2].copy()]])
        b.step([[on_device(g) for g in grads[:2]], [on_device(grads[2])]])
    assert [bits(x) for x in here] == [bits(y.array) for y in there]
    assert a.lr == b.lr == [0.5, 0.4]
    for x, y in zip(a.ema_params, b.ema_params, strict=True):
        assert [bits(one) for one in x] == [bits(host(one)) for one in y]


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
    steps = 10_000 if order == "forwards" else 300
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


def test_state_goes_to_the_host_and_back(tmp_path):
    rng = np.random.default_rng(11)
    params = [rng.standard_normal((2, 3, 4)).astype(BF16).transpose(0, 2, 1), rng.standard_normal(5).astype(np.float32)]

    def made():
        arrays = [on_device(p) for p in params]
        return arrays, lk.AdamW(arrays, lr=0.1, ema=0.9, rounding="split")

    grads = [[on_device(rng.standard_normal(p.shape).astype(p.dtype)) for p in params] for _ in range(2)]
    for each in grads:
        each[0] = on_device(each[0].array.transpose(0, 2, 1).copy().transpose(0, 2, 1))
    arrays, opt = made()
    opt.step(grads[0])
    state, file = pickle.loads(pickle.dumps(opt.state_dict())), tmp_path / "state.safetensors"
    opt.save(file)
    kept = [bits(one.array) for one in arrays]
    opt.step(grads[1])
    for way in ("load_state_dict", "load"):
        again, other = made()
        for one, saved in zip(again, kept, strict=True):
            one.array[...] = np.frombuffer(saved, one.array.dtype).reshape(one.array.shape)
        getattr(other, way)(state if way == "load_state_dict" else file)
        assert other.count == 1
        other.step(grads[1])
        assert [bits(one.array) for one in again] == [bits(one.array) for one in arrays]
        assert pickled(other) == pickled(opt)


def test_checkpoints_and_averages_that_begin(tmp_path):
    rng = np.random.default_rng(12)
    first, second = rng.standard_normal((2, 3, 4)).astype(np.float32)
    arrays, schedule = [on_device(first), on_device(second)], lk.cosine(0.1, 0.0, 9)
    opt = lk.AdamW({"a": arrays[0], "b": arrays[1]}, lr=schedule, decay_mask={"a": True, "b": False})
    opt.step({"a": on_device(second), "b": on_device(first)})
    opt.save(tmp_path / "file", parameters=True)
    again = [on_device(np.zeros((3, 4), np.float32)) for _ in range(2)]
    other = lk.AdamW({"b": again[1], "a": again[0]}, lr=0.5, ema=0.5, decay_mask={"b": False, "a": True})
    assert other.load(tmp_path / "file", parameters=True) == ([], [], [], [])
    assert [bits(one.array) for one in again] == [bits(one.array) for one in arrays]
    assert other.lr == opt.lr
    assert other.state_dict()["ema_params"]["a"].tobytes() == bits(again[0].array)
    late = lk.AdamW({"a": arrays[0], "b": arrays[1]}, lr=0.5, ema=0.5, decay_mask={"a": True, "b": False})
    arrays[0].array[...] = 2.0
    late.load_state_dict(opt.state_dict())
    assert (late.state_dict()["ema_params"]["a"] == 2).all()
    host = lk.AdamW({"a": np.zeros((3, 4), np.float32), "b": np.zeros((3, 4), np.float32)}, lr=0.5)
    host.load(tmp_path / "file", parameters=True)  # files do not depend on the backend
    assert host.state_dict()["exp_avgs"]["b"].tobytes() == opt.state_dict()["exp_avgs"]["b"].tobytes()


def test_a_group_that_comes_later_and_one_that_is_frozen():
    rng = np.random.default_rng(13)
    values = [rng.standard_normal(n).astype(np.float32) for n in (5, CHUNK + 3)]
    grads = [[[on_device(rng.standard_normal(one.size).astype(np.float32))] for one in values] for _ in range(3)]
    options = {"lr": lk.cosine(0.1, 0.0, 9), "clip_norm": 0.5, "ema": 0.5, "weight_decay": 0.1}
    (a, b), (c, d) = ([on_device(one) for one in values] for _ in range(2))
    opt, both = lk.AdamW([a], **options), lk.AdamW([{"params": [c]}, {"params": [d], "lr": 0.25}], **options)
    opt.step(grads[0][0])
    both.step([grads[0][0], [None]])
    with pytest.raises(TypeError, match="lr must be a number or a Schedule on a CUDA"):
        opt.add_group([b], lr=lambda step: 0.25)
    opt.add_group([b], lr=0.25)
    opt.bind(grads[1])
    for frozen in (False, True, False):
        (opt.freeze if frozen else opt.unfreeze)(1)
        opt.step()
        both.step([grads[1][0], [None] if frozen else grads[1][1]])
    opt.step(grads[2])
    both.step(grads[2])
    assert [bits(one.array) for one in (a, b)] == [bits(one.array) for one in (c, d)]
    assert pickled(opt) == pickled(both)
    assert (opt.count, opt.grad_norm) == (both.count, both.grad_norm)
    assert repr(opt).startswith("<AdamW: 2 arrays of ")  # without the count, which would have to be read from the device


def test_step_functions():
    rng = np.random.default_rng(12)
    p, g, m = (rng.standard_normal(11).astype(np.float32) for _ in range(3))
    here, there = [p.copy(), g, m.copy()], [on_device(p), on_device(g), on_device(m)]
    lk.sgd_step(*here, lr=0.1, momentum=0.5)
    lk.sgd_step(*there, lr=0.1, momentum=0.5)
    assert bits(here[0]) == bits(there[0].array) != bits(p)
    assert bits(here[2]) == bits(there[2].array) != bits(m)


SCHEDULES = [
    lk.cosine(0.1, 0.0, 100).warmup(10),
    lk.warm_restarts(1.0, 0.0, 10),
    lk.polynomial(1.0, 0.0, 300, power=2.5),
    lk.constant(0.5),
    lk.exponential(1e-300, 0.5),
    lk.from_table([0.1, 0.3, 0.2]),
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_tables(schedule, dtype):
    for n, start in ((0, 3), (1, 0), (33, 95), (150, 7)):
        expected = schedule.table(n, start=start, dtype=dtype)
        assert bits(schedule.table(n, start=start, dtype=dtype, backend="cuda").copy_to_host()) == bits(expected)
        for offset in (0, 8):
            out = on_device(np.zeros(n, dtype), offset)
            assert schedule.table(n, start=start, out=out) is out
            assert bits(out.array) == bits(expected)


def test_tables_of_many():
    for n in (1, 7, 200):
        expected = lk.tables(SCHEDULES, n, start=3)
        assert bits(lk.tables(SCHEDULES, n, start=3, backend="cuda").copy_to_host()) == bits(expected)


def test_at_in_kernels():
    schedule = lk.cosine(0.1, 0.0, 50).warmup(5)
    plan = lrkern.cuda.plan(schedule)
    steps = np.arange(70)

    @cuda.jit
    def fill(plan, integers, reals):
        i = cuda.grid(1)
        if i < integers.size:
            integers[i] = lrkern.cuda.at(plan, i)
            reals[i] = lrkern.cuda.at(plan, float(i))

    integers, reals = np.zeros(70), np.zeros(70)
    fill[9, 8](plan, integers, reals)
    assert bits(integers) == bits(reals) == bits(schedule(steps))


def test_rules_in_kernels():
    from lrkern.rules.compiled import FAMILIES

    rule = FAMILIES["sgd_momentum"]
    scalars_of, update = rule.scalars, rule.update
    inputs = rule.inputs(0.1, 0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.0)

    @cuda.jit
    def step(p, g, b):
        i = cuda.grid(1)
        if i < p.size:
            scalars = scalars_of(inputs, 2, 1.0, 1.0)
            c, x = lrkern.cuda.in_type_of(scalars, p[i]), p[i]
            p[i], b[i], _, _, _, _ = update(c, x, g[i], b[i], x, x, x, x)

    rng = np.random.default_rng(13)
    p, g, b = (rng.standard_normal(5) for _ in range(3))
    expected, buffer = p.copy(), b.copy()
    lk.sgd_step(expected, g, buffer, lr=0.1, momentum=0.9)
    step[1, 8](p, g, b)
    assert (bits(p), bits(b)) == (bits(expected), bits(buffer))


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


@pytest.mark.parametrize("name", ["LARS", "LAMB"])
def test_groups_without_adaptation(name):
    rng = np.random.default_rng(19)
    arrays, grads = make(rng, [4, CHUNK + 1, 6], np.float32), make(rng, [4, CHUNK + 1, 6], np.float32)
    for adapts in ((True, False), (False, False)):

        def build(made, adapts=adapts):
            groups = [{"params": made[:2], "adapt": adapts[0]}, {"params": made[2:], "adapt": adapts[1]}]
            return getattr(lk, name)(groups, lr=0.1, weight_decay=0.1, clip_norm=0.5)

        here, there = [p.copy() for p in arrays], [on_device(p) for p in arrays]
        a, b = build(here), build(there)
        for _ in range(2):
            a.step([grads[:2], grads[2:]])
            b.step([[on_device(g) for g in grads[:2]], [on_device(g) for g in grads[2:]]])
        assert [bits(x) for x in here] == [bits(y.array) for y in there]
        assert pickled(a) == pickled(b)


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


@pytest.mark.parametrize("ema", [(0.9, lk.linear(0.1, 0.9, 4), 0.5), (0.5, 0.25), 0.75], ids=["three", "two", "one"])
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


@pytest.mark.parametrize("storage", ["bfloat16", "split", "wide gradients", "narrow gradients"])
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

"""Gradients given as (indices, values) on a device: the bits are those of the C kernels. See `test_device`."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fake_device import DEVICE  # before a compiler looks for a driver

# isort: split
from device_steps import BF16, MARKS, Foreign, bits, compare, gradient, in_either_order, make, on_device, pickled  # noqa: F401

import lrkern as lk
from lrkern.cuda._platform import THREADS

pytestmark = MARKS

in_simulator = pytest.mark.skipif(DEVICE is not None, reason="of kernels that would take long to compile")

INTEGERS = [f"{kind}{size}" for size in (64, 32, 16, 8) for kind in ("int", "uint")]


def pair(rng, shape, entries, dtype=np.float32, indices=np.int64):
    """Random rows of a parameter of this shape; None for a dense gradient."""
    if entries is None:
        return rng.standard_normal(shape).astype(dtype)
    values = rng.standard_normal((entries, *shape[1:])).astype(np.float32)
    return rng.integers(0, shape[0], entries).astype(indices), values.astype(dtype)


AROUND = {"clip_norm": 2.0, "clip_value": 0.5, "skip_nonfinite": True, "ema": 0.8, "zero_grad": True}
RULES = {
    "SGD": {"lr": lk.linear(0.1, 0.0, 4), "momentum": 0.9, "weight_decay": 0.1, "nesterov": True},
    "AdamW": {"amsgrad": True, "weight_decay": 0.1},
    "Lion": {"weight_decay": 0.1},
    "RMSprop": {"centered": True, "momentum": 0.9},
    "Adagrad": {"initial_accumulator": 0.5},
}


@pytest.mark.parametrize("name", [name if name == "AdamW" else pytest.param(name, marks=in_simulator) for name in RULES])
def test_every_rule_with_all_options(name):
    """Pairs, arrays and None in one list; one step has an infinity."""
    rng = np.random.default_rng(1)
    shapes = [(9, 5), (30,), (4, 6), (6, 0), (3, 8)]
    params = make(rng, shapes, np.float32)
    steps = [[pair(rng, s, k) for s, k in zip(shapes, entries, strict=True)] for entries in ((7, 11, None, 3, 0),) * 3]
    steps[0][4] = None
    steps[1][0][1][6, 2] = math.inf
    steps[2][2] = pair(rng, shapes[2], 2)
    copies = make(rng, shapes, np.float16)
    a, b = compare(name, params, steps, grad_scales=[4.0, 1.0, 0.5], copy_to=copies, **RULES[name], **AROUND)
    assert (b.count, b.skipped) == (a.count, a.skipped) == (2, 1)
    assert b.state_dict()["updates"] == [2, 2, 2, 2, 1], "counted for a tensor whose gradient has no entries, too"


@in_simulator
@pytest.mark.parametrize("rounding", ["stochastic", "split"])
def test_storages_and_integers(rounding):
    """All storage types in one list, with uint64 indices and arbitrary strides."""
    rng = np.random.default_rng(2)
    halves = BF16 if rounding == "split" else np.float16
    stored = [(np.float32, BF16), (BF16, BF16), (np.float64, np.float32), (halves, np.float16), (np.float64, np.float64)]
    shapes = [(5, 8), (5, 8), (5, 4), (5, 3), (5,)]
    params = [make(rng, [s], p)[0] for s, (p, _) in zip(shapes, stored, strict=True)]

    def grads(kinds):
        return [pair(rng, s, 6, g, kind) for s, (_, g), kind in zip(shapes, stored, kinds, strict=True)]

    steps = [grads(INTEGERS[:5]), grads(INTEGERS[3:])]
    steps[1][0] = steps[1][0][0].repeat(2)[::2], steps[1][0][1]
    compare("AdamW", params, steps, lr=0.1, rounding=rounding, state_dtype="bfloat16", seed=5, clip_norm=1.0, zero_grad=True)


@pytest.mark.parametrize("width", [1, 3, 8, 64, 1030])
def test_widths(width):
    """Norms are summed row by row; rows are read 16 bytes at a time if they are long enough."""
    rng = np.random.default_rng(3)
    params = make(rng, [(4, width)], np.float32)
    for offset in (0, 8) if width == 8 else (0,):
        compare("SGD", params, [[pair(rng, (4, width), 5)]], offset=offset, lr=0.1, clip_norm=0.1)


ORDERS = {
    "one": [3],
    "the same again and again": [2] * (3 * THREADS + 1),
    "ascending": range(4 * THREADS),
    "descending": range(4 * THREADS - 1, -1, -1),
    "a full block": [5, 1, 5, 1, 0, 1, 5, 1][:THREADS],
    "one more": [*range(THREADS), 0],
}


@pytest.mark.parametrize("case", ORDERS)
def test_orders(case):
    """Rows are added in their order: for these numbers, every order has another sum."""
    indices = np.array(ORDERS[case])
    values = np.array([(-1.0) ** k * 3.0 ** (k % 17) for k in range(len(indices))], np.float32)
    compare("SGD", [np.zeros(4 * THREADS, np.float32)], [[(indices, values)]] * 2, lr=1.0, momentum=0.5)


def test_random_orders():
    """For several tensors at once, in two steps with different numbers of entries."""
    rng = np.random.default_rng(4)
    shapes = [(6, 1), (5,), (1, 2), (50, 1)]
    steps = [[pair(rng, s, k) for s, k in zip(shapes, entries, strict=True)] for entries in ((20, 1, 9, 40), (3, 0, 2, 70))]
    compare("SGD", make(rng, shapes, np.float32), steps, lr=0.1)


def test_indices_in_any_direction():
    """`bind` checks them, too."""
    there, indices = on_device(np.zeros((6, 1), np.float32)), on_device(np.array([0, 5, 2, 5, 1]))
    opt = lk.SGD([there], lr=1.0)
    opt.bind([(Foreign(indices.array[::-2], owner=indices), on_device(np.array([[1.0], [2.0], [4.0]], np.float32)))])
    opt.step()
    assert there.array[:, 0].tolist() == [-4.0, -1.0, -2.0, 0.0, 0.0, 0.0]


def test_minus_zero_stays():
    values = np.array([[-0.0]], np.float32)
    params = [on_device(np.full((2, 1), -0.0, np.float32))]
    opt = lk.SGD(params, lr=1.0, momentum=0.5)
    opt.step([(on_device(np.array([1])), on_device(values))])
    assert bits(opt.state_dict()["momentum_buffers"][0]) == bits(np.array([[0.0], [-0.0]], np.float32))


@pytest.mark.parametrize("dtype", [np.float32, pytest.param(np.float64, marks=in_simulator)])
def test_a_learning_rate_for_each_row(dtype):
    rng = np.random.default_rng(5)
    params = [rng.standard_normal((6, width)).astype(dtype) for width in (8, 3)]
    steps = [[pair(rng, (6, 8), 9, dtype), pair(rng, (6, 3), entries, dtype)] for entries in (4, None)]
    compare("SGD", params, steps, lr=rng.random(6), momentum=lk.linear(0.9, 0.8, 2), weight_decay=0.1, clip_norm=1.0)


@in_simulator
def test_groups():
    rng = np.random.default_rng(6)
    arrays, grads = make(rng, [(4, 2), (5, 2)], np.float32), [pair(rng, (4, 2), 3), pair(rng, (5, 2), 6)]

    def build(made):
        return lk.Adam([{"params": made[:1], "lr": 0.5}, {"params": {"e": made[1]}, "ema": 0.5}], lr=0.1)

    here, there = [p.copy() for p in arrays], [on_device(p) for p in arrays]
    a, b = build(here), build(there)
    for _ in range(2):
        a.step([[grads[0]], {"e": grads[1]}])
        b.step([[gradient(grads[0], on_device)], {"e": gradient(grads[1], on_device)}])
    assert [bits(x) for x in here] == [bits(y.array) for y in there] != [bits(p) for p in arrays]


def replay(optimizer):
    """The launches of one step, as in a captured graph."""
    if DEVICE is None:
        optimizer._tensors._program(0, 1.0, 0)
    else:
        DEVICE.replay()


def test_what_is_written_over_is_followed():
    """By captured graphs and by steps in between; the table is unchanged."""
    rng = np.random.default_rng(7)
    param, (indices, values) = make(rng, [(7, 3)], np.float32)[0], pair(rng, (7, 3), 2 * THREADS + 3)
    here, there, bound = param.copy(), on_device(param), (on_device(indices), on_device(values))
    options = {"lr": lk.linear(0.1, 0.0, 9), "momentum": 0.9, "clip_norm": 1.0}
    a, b = lk.SGD([here], **options), lk.SGD([there], **options)
    b.bind([bound])
    for step in range(4):
        indices, values = pair(rng, (7, 3), len(indices))
        bound[0].array[...], bound[1].array[...] = indices, values
        if step == 1 and DEVICE is not None:
            DEVICE.capture(b.step)
        if step % 2:
            replay(b)
        else:
            table = b._tensors._table
            b.step([tuple(Foreign(one.array) for one in bound)] if step else None)
            assert b._tensors._table is table
        a.step([(indices, values)])
        assert bits(here) == bits(there.array)
    assert b.count == 4


def test_the_table_is_made_anew_for_another_number_of_entries():
    def grads(*counts):
        return [(on_device(np.zeros(k, int)), on_device(np.ones((k, 2), np.float32))) for k in counts]

    opt = lk.SGD([on_device(np.zeros((3, 2), np.float32)) for _ in range(2)], lr=1.0)
    opt.step(grads(2, 3))
    first = opt._tensors._table
    opt.step(grads(2, 3))
    assert opt._tensors._table is first
    opt.step(grads(3, 2))
    assert opt._tensors._table is not first
    assert opt._arranged.params[0].owner.array.tolist() == [[-2.0 - 2.0 - 3.0] * 2, [0.0] * 2, [0.0] * 2]


def test_indices_that_are_no_rows():
    """Nothing is written or counted; the next read of the device reports once how many steps there were."""
    rng = np.random.default_rng(8)
    shapes = {"a": (2, 3), "b": (4, 2), "c": (5,)}
    params = {name: on_device(rng.standard_normal(shape)) for name, shape in shapes.items()}
    grads = {name: gradient(pair(rng, shapes[name], k, float), on_device) for name, k in (("a", 1), ("b", 5), ("c", None))}
    written = [*params.values(), grads["a"][1], grads["b"][1], grads["c"]]
    opt = lk.SGD(params, lr=lk.linear(1.0, 0.0, 5), momentum=0.9, **AROUND)
    opt.step(grads)
    for one in written[3:]:
        one.array[...] = math.nan  # so they would be skipped, too

    def everything():
        return pickled(opt), opt.grad_norm, [bits(one.array) for one in written]

    state, before = opt.state_dict(), everything()
    message = r"^SGD: grads\['b'\]\[0\] must be rows in 0..3; got out-of-range indices; steps discarded: 2$"
    reads = (lambda: opt.count, lambda: opt.skipped, lambda: opt.grad_norm, lambda: opt.lr, opt.state_dict)
    for read, index in zip(reads, (-1, 4, 5, -(2**63), 2**63 - 1), strict=True):
        grads["b"][0].array[3] = index
        opt.step()
        opt.step(grads)
        with pytest.raises(ValueError, match=message):
            read()
        assert everything() == before
    opt.step()
    opt.load_state_dict(state)
    assert everything()[0] == before[0], "where it has been before does not matter any more"
    opt.load_state_dict(state)
    opt.step()
    with pytest.raises(ValueError, match="steps discarded: 1"):
        _ = opt.count
    grads["b"][0].array[3] = 3
    opt.step()
    assert (opt.count, opt.skipped) == (1, 1)


@pytest.mark.parametrize("kind", INTEGERS)
def test_integers_that_are_no_rows(kind):
    for index in (4, np.iinfo(kind).max, np.iinfo(kind).min or 5):
        param = on_device(np.ones(4, np.float32))
        opt = lk.SGD([param], lr=1.0)
        opt.step([(on_device(np.array([1, index], kind)), on_device(np.ones(2, np.float32)))])
        with pytest.raises(ValueError, match="steps discarded: 1"):
            _ = opt.count
        assert param.array.tolist() == [1.0] * 4


def test_bind_looks_at_indices():
    param = on_device(np.zeros((3, 2), np.float32))
    opt = lk.SGD([param], lr=1.0)
    apart, values = on_device(np.array([1, 9, 5, 9])), on_device(np.ones((2, 2), np.float32))
    indices = Foreign(apart.array[::2])
    message = r"^SGD: grads\[0\]\[0\] must be a 1-D array of rows in 0..2; got int64 \(2,\) from 1 to 5$"
    with pytest.raises(ValueError, match=message):
        opt.bind([(indices, values)])
    with pytest.raises(ValueError, match="grads are needed"):
        opt.step()
    indices.array[1] = 2
    opt.bind([(indices, values)])
    indices.array[1] = -5
    with pytest.raises(ValueError, match="from -5 to 1"):
        opt.bind([(indices, values)])
    indices.array[1] = 0
    opt.step()
    assert param.array.tolist() == [[-1.0] * 2, [-1.0] * 2, [0.0] * 2]
    assert opt.count == 1


def test_nothing_at_all():
    """No entries, no rows, no columns."""
    shapes = [(3, 2), (0, 2), (2, 0)]
    params = [on_device(np.ones(shape, np.float32)) for shape in shapes]
    opt = lk.SGD(params, lr=1.0, momentum=0.5, clip_norm=1.0, zero_grad=True)
    sizes = (0, 2), (0, 2), (3, 0)
    grads = [(on_device(np.zeros(size[0], int)), on_device(np.ones(size, np.float32))) for size in sizes]
    opt.bind(grads)
    opt.step()
    assert (opt.count, opt.grad_norm, opt.state_dict()["updates"]) == (1, 0.0, [1, 1, 1])
    assert params[0].array.tolist() == [[1.0, 1.0]] * 3
    grads[2][0].array[1] = 2
    opt.step()
    with pytest.raises(ValueError, match=r"grads\[2\]\[0\] must be rows in 0..1"):
        _ = opt.count
    opt.step([(on_device(np.array([0])), on_device(np.ones((1, 2), np.float32))) for _ in range(2)] + [None])
    with pytest.raises(ValueError, match=r"grads\[1\]\[0\] must be rows in 0..-1"):
        _ = opt.count


PARAM = on_device(np.ones((4, 2), np.float32))
ROWS, VALUES = on_device(np.array([1])), on_device(np.ones((1, 2), np.float32))
BAD_PAIRS = {
    "one": ((ROWS,), ValueError, r"grads.0. must be an array or a pair \(indices, values\); got a tuple of 1"),
    "reals": ((VALUES, VALUES), TypeError, "grads.0..0. must be an array of integers; got float32"),
    "shape": ((ROWS, on_device(np.ones((2, 2)))), ValueError, r"grads.0..1. must be C-contiguous and of shape \(1, 2\)"),
    "integers": ((ROWS, ROWS), TypeError, r"grads.0..1. must be float64, float32.* of shape \(1, 2\)"),
    "2-D": ((on_device(np.ones((1, 1), int)), VALUES), ValueError, r"a 1-D array of rows in 0..3; got int64 \(1, 1\)"),
    "host": ((np.array([1]), VALUES), TypeError, "grads.0..0. must be an array on a CUDA device; got one in CPU memory"),
    "host values": ((ROWS, VALUES.array), TypeError, "grads.0..1. must be an array on a CUDA device"),
    "bytes": ((on_device(np.array([1], ">i4")), VALUES), TypeError, "grads.0..0. must be integers in native byte order"),
    "overlap": ((ROWS, Foreign(PARAM.array[:1])), ValueError, "params.0. and grads.0. must not share memory"),
    "read-only": (
        (ROWS, Foreign(VALUES.array, writable=False)),
        ValueError,
        "grads.0..1. must be writable; got a read-only array, float32",
    ),
}


@pytest.mark.parametrize("case", BAD_PAIRS)
def test_bad_pairs(case):
    grad, kind, text = BAD_PAIRS[case]
    with pytest.raises(kind, match=f"^SGD: .*{text}"):
        lk.SGD([PARAM], lr=1.0, zero_grad=True).step([grad])
    assert PARAM.array.tolist() == [[1.0, 1.0]] * 4


def test_where_pairs_do_not_fit():
    good, grad = on_device(np.ones((4, 2), np.float32)), (ROWS, VALUES)
    with pytest.raises(TypeError, match=r"LARS: grads.0. must be an array: LARS needs dense gradients for its norms"):
        lk.LARS([good], lr=1.0).step([grad])
    with pytest.raises(ValueError, match="only if its parameter is C-contiguous and has rows"):
        lk.SGD([Foreign(np.ones((2, 4), np.float32).T)], lr=1.0).step([grad])
    opt = lk.SGD([good, on_device(good.array)], lr=1.0, zero_grad=True)
    with pytest.raises(ValueError, match=r"grads.0. and grads.1. must not share memory"):
        opt.step([grad, grad])

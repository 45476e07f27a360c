"""Every rule on a device, the user's own and those of groups: the bits are those of the C kernels. See `test_device`."""

from __future__ import annotations

import numpy as np
import pytest
import user_rules
from device_steps import (
    BF16,
    CHUNK,
    MARKS,
    SGD,
    bits,
    compare,
    host,
    in_either_order,  # noqa: F401
    make,
    on_device,
    pickled,
)

import lrkern as lk
import lrkern.cuda
from lrkern.cuda._platform import cuda

pytestmark = MARKS

SIZES = [1, 0, 3, 4, 5, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 7]

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


@pytest.mark.parametrize("convention", ["paper", "optax", "apex"])
def test_lars_where_a_norm_is_zero_or_tiny(convention):
    pieces = [np.zeros(3), np.array([1.0, -2.0, 2.0]), np.array([1e-45, 0.0, -3e-45])]
    params = [p.astype(np.float32) for p in pieces for _ in pieces]
    grads = [g.astype(np.float32) for _ in pieces for g in pieces]
    compare("LARS", params, [grads], lr=0.5, weight_decay=0.125, trust=0.25, convention=convention, momentum=0.0)


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


def test_step_functions():
    rng = np.random.default_rng(12)
    p, g, m = (rng.standard_normal(11).astype(np.float32) for _ in range(3))
    here, there = [p.copy(), g, m.copy()], [on_device(p), on_device(g), on_device(m)]
    lk.sgd_step(*here, lr=0.1, momentum=0.5)
    lk.sgd_step(*there, lr=0.1, momentum=0.5)
    assert bits(here[0]) == bits(there[0].array) != bits(p)
    assert bits(here[2]) == bits(there[2].array) != bits(m)


def test_rules_in_kernels():
    from lrkern.rules.compiled import FAMILIES, Tensor

    rule = FAMILIES["sgd_momentum"]
    scalars_of, update = rule.scalars, rule.update
    inputs = rule.inputs(0.1, 0.0, 0.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.0)

    @cuda.jit
    def step(p, g, b):
        i = cuda.grid(1)
        if i < p.size:
            scalars = scalars_of(inputs, Tensor(2, 1.0, 1.0, 1.0, 0.0, 0.0))
            c, x = lrkern.cuda.in_type_of(scalars, p[i]), p[i]
            p[i], b[i], _, _, _, _ = update(c, x, g[i], b[i], x, x, x, x)

    rng = np.random.default_rng(13)
    p, g, b = (rng.standard_normal(5) for _ in range(3))
    expected, buffer = p.copy(), b.copy()
    lk.sgd_step(expected, g, buffer, lr=0.1, momentum=0.9)
    step[1, 8](p, g, b)
    assert (bits(p), bits(b)) == (bits(expected), bits(buffer))


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

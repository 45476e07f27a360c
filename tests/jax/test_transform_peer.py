"""`lrkern.jax.transform` against optax, against lrkern's own optimizers, and under JAX's and optax' transformations."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import lrkern as lk
from lrkern.rules import Rule
from lrkern.rules.rule import own_rules

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
jnp = jax.numpy
lj = pytest.importorskip("lrkern.jax")

pytestmark = pytest.mark.peers

WARM = lk.cosine(0.1, 0.0, 15).warmup(5, start=0.02)
"""A schedule, which both sides follow."""

PAIRS = {
    "sgd": (lambda lr: optax.sgd(lr), (lk.SGD, {})),
    "momentum": (lambda lr: optax.sgd(lr, 0.9), (lk.SGD, {"momentum": 0.9})),
    "nesterov": (lambda lr: optax.sgd(lr, 0.9, nesterov=True), (lk.SGD, {"momentum": 0.9, "nesterov": True})),
    "adam": (lambda lr: optax.adam(lr), (lk.Adam, {})),
    "adamw": (
        lambda lr: optax.adamw(lr, 0.8, 0.95, weight_decay=0.1),
        (lk.AdamW, {"beta1": 0.8, "beta2": 0.95, "weight_decay": 0.1}),
    ),
    "amsgrad": (lambda lr: optax.amsgrad(lr), (lk.Adam, {"amsgrad": True, "convention": "optax"})),
    "lion": (lambda lr: optax.lion(lr, weight_decay=0.1), (lk.Lion, {"weight_decay": 0.1})),
    "rmsprop": (lambda lr: optax.rmsprop(lr), (lk.RMSprop, {"alpha": 0.9, "eps_inside": True})),
    "rmsprop, eps outside": (lambda lr: optax.rmsprop(lr, eps_in_sqrt=False), (lk.RMSprop, {"alpha": 0.9})),
    "rmsprop, centered": (
        lambda lr: optax.rmsprop(lr, centered=True, momentum=0.5),
        (lk.RMSprop, {"alpha": 0.9, "eps_inside": True, "centered": True, "momentum": 0.5, "convention": "keras"}),
    ),
    "adagrad": (lambda lr: optax.adagrad(lr), (lk.Adagrad, {"eps": 1e-7, "eps_inside": True, "initial_accumulator": 0.1})),
    "adabelief": (lambda lr: optax.adabelief(lr), (lk.AdaBelief, {"weight_decay": 0.0})),
    "adamax": (lambda lr: optax.adamax(lr), (lk.Adamax, {})),
    "radam": (lambda lr: optax.radam(lr, eps=1e-30), (lk.RAdam, {"eps": 1e-30})),
    "adadelta": (lambda lr: optax.adadelta(lr), (lk.Adadelta, {})),
    "sign_sgd": (lambda lr: optax.sign_sgd(lr), (lk.Signum, {"beta": 0.0})),
    "lars": (lambda lr: optax.lars(lr, 0.1), (lk.LARS, {"weight_decay": 0.1, "convention": "optax"})),
    "lamb": (lambda lr: optax.lamb(lr, weight_decay=0.1), (lk.LAMB, {"weight_decay": 0.1, "bias_correction": True})),
    "signum": (lambda lr: optax.signum(lr), (lk.Signum, {})),
    "nadam": (lambda lr: optax.nadam(lr), (lk.NAdam, {"momentum_decay": 1e5})),
    "nadamw": (
        lambda lr: optax.nadamw(lr, weight_decay=0.1),
        (lk.NAdam, {"momentum_decay": 1e5, "weight_decay": 0.1, "decoupled": True}),
    ),
    "novograd": (lambda lr: optax.novograd(lr), (lk.NovoGrad, {"beta1": 0.9, "beta2": 0.25, "eps": 1e-6})),
    "ademamix": (lambda lr: optax.contrib.ademamix(lr), (lk.AdEMAMix, {})),
    "adopt": (lambda lr: optax.contrib.adopt(lr), (lk.ADOPT, {})),
    # Constant rates: optax weighs with the rate of the next step.
    "schedule_free_sgd": (lambda lr: optax.contrib.schedule_free_sgd(0.01), (lk.ScheduleFreeSGD, {"lr": 0.01})),
    "schedule_free_adamw": (lambda lr: optax.contrib.schedule_free_adamw(0.01), (lk.ScheduleFreeAdamW, {"lr": 0.01})),
}
"""Those of optax with a twin."""

UNLIKE = {
    "adan": (lambda lr: optax.adan(lr), (lk.Adan, {})),  # differences of gradients weigh 1 - b2, not b2
    "rprop": (lambda lr: optax.rprop(lr), (lk.Rprop, {})),  # each update comes one step late
}
"""Those of the same name that no options make equal."""


def tree(rng, dtype=np.float64):
    return {"w": jnp.asarray(rng.standard_normal((3, 4)), dtype), "b": [jnp.asarray(rng.standard_normal(5), dtype)]}


def leaves(x):
    return np.concatenate([np.asarray(one, np.float64).ravel() for one in jax.tree.leaves(x)])


def trained(tx, rng, steps=20, dtype=np.float64):
    params = tree(rng, dtype)
    state = tx.init(params)
    update = jax.jit(tx.update)
    for _ in range(steps):
        updates, state = update(tree(rng, dtype), state, params)
        assert jax.tree.map(lambda x: x.dtype, updates) == jax.tree.map(lambda x: x.dtype, params)
        params = optax.apply_updates(params, updates)
    return leaves(params)


@pytest.mark.parametrize("name", PAIRS)
def test_against_optax(name):
    peer, (cls, options) = PAIRS[name]
    with jax.enable_x64(True):
        own = trained(lj.transform(cls, **{"lr": WARM, **options}), np.random.default_rng(5))
        other = trained(peer(lj.schedule(WARM)), np.random.default_rng(5))
        untrained = leaves(tree(np.random.default_rng(5)))
    assert np.min(np.abs(own - untrained)) > 1e-9
    assert np.max(np.abs(own - other)) <= 1e-9


@pytest.mark.parametrize("name", UNLIKE)
def test_those_that_are_unlike(name):
    """So that a version of optax in which they are alike fails here."""
    peer, (cls, options) = UNLIKE[name]
    with jax.enable_x64(True):
        own = trained(lj.transform(cls, lr=0.01, **options), np.random.default_rng(5))
        other = trained(peer(0.01), np.random.default_rng(5))
    assert np.max(np.abs(own - other)) > 1e-3


def test_rprop_of_optax_is_one_step_late():
    grads = [1.0, 0.5, -1.0, -2.0, -0.5, 0.25, 1.0]
    ours, theirs = ([], [])
    for tx, found in ((lj.transform(lk.Rprop, lr=0.25), ours), (optax.rprop(0.25), theirs)):
        p = jnp.zeros(1)
        state = tx.init(p)
        for grad in grads:
            updates, state = tx.update(jnp.full(1, grad), state, p)
            found.append(float(updates[0]))
    before = [0.0, *ours[:-1]]
    turned = [False, *(one * other < 0.0 for one, other in zip(grads, grads[1:], strict=False))]
    assert theirs == [0.0 if turn else one for one, turn in zip(before, turned, strict=True)]


def test_every_optimizer_that_both_have_is_compared():
    own = {one.lower() for one in CLASSES}
    names = [name for name in (*dir(optax), *dir(optax.contrib)) if name.islower() and name[0] != "_"]
    both = {name for name in names if name.replace("_", "") in own}
    assert {"adam", "schedule_free_adamw"} < both
    assert both - PAIRS.keys() == UNLIKE.keys()


CLASSES = sorted({one.__name__ for one in vars(lk).values() if isinstance(one, type) and issubclass(one, lk.Optimizer)})
CLASSES.remove("Optimizer")


OF_CLASSES = [
    *((name, {}) for name in CLASSES),
    ("AdamW", {"grokfast_lamb": lk.linear(0.0, 2.0, 10), "cautious": "update", "amsgrad": True}),
    ("SGD", {"grokfast_lamb": 2.0, "momentum": 0.9, "cautious": "decay", "weight_decay": 0.1, "decoupled": True}),
    ("LAMB", {"convention": "keras", "weight_decay": 0.1}),
]


@pytest.mark.parametrize(("name", "options"), OF_CLASSES)
def test_every_class_against_its_own_steps(name, options):
    """With a schedule; traced, in float64."""
    cls, rng = getattr(lk, name), np.random.default_rng(6)
    params, grads = rng.standard_normal((4, 3)), rng.standard_normal((20, 4, 3))
    with jax.enable_x64(True):
        tx = lj.transform(cls, lr=WARM, **options)
        p = jnp.asarray(params)
        state = tx.init(p)
        step = jax.jit(tx.update)
        for grad in grads:
            updates, state = step(jnp.asarray(grad), state, p)
            p = optax.apply_updates(p, updates)
        found = {kind: np.asarray(one) for kind, one in state.states.items()} | {"param": np.asarray(p)}
        count = int(state.count)
    own = [params.copy()]
    opt = cls(own, lr=WARM, **options)
    for grad in grads:
        opt.step([grad])
    assert count == opt.count == 20
    states = opt.state_dict()
    scalars = states.get("scalars", {})
    for kind, one in found.items():
        expected = own[0] if kind == "param" else scalars[kind][0] if kind in scalars else states[f"{kind}s"][0]
        assert np.max(np.abs(one - expected)) <= 1e-11, kind


def test_float32_and_bfloat16():
    rng = np.random.default_rng(7)
    adam = lj.transform(lk.Adam, lr=0.01)
    other = trained(optax.adam(0.01), np.random.default_rng(7), dtype=np.float32)
    assert np.max(np.abs(trained(adam, rng, dtype=np.float32) - other)) < 1e-5
    p = {"w": jnp.ones(3, jnp.bfloat16)}
    state = adam.init(p)
    assert state.states["exp_avg"]["w"].dtype == np.float32
    updates, state = adam.update({"w": jnp.full(3, 0.5, jnp.bfloat16)}, state, p)
    assert updates["w"].dtype == jnp.bfloat16
    assert state.states["exp_avg_sq"]["w"].dtype == np.float32


def test_small_updates_of_large_parameters():
    """Updates are not differences of rounded parameters."""
    tx = lj.transform(lk.SGD, lr=0.25)
    p = jnp.asarray([1e8], np.float32)
    updates, _ = tx.update(jnp.asarray([1e-3], np.float32), tx.init(p), p)
    assert updates.tolist() == [-0.25 * float(np.float32(1e-3))]


def test_arrays_are_never_written():
    tx = lj.transform(lk.AdamW, lr=0.1)
    rng = np.random.default_rng(8)
    params, grads = tree(rng, np.float32), tree(rng, np.float32)
    state = tx.init(params)
    before = [leaves(one).copy() for one in (params, grads, state)]
    for _ in range(3):
        tx.update(grads, state, params)
    for one, old in zip((params, grads, state), before, strict=True):
        assert np.array_equal(leaves(one), old)


def test_hyper_parameters_may_be_schedules_and_traced_numbers():
    rng = np.random.default_rng(9)
    lr, decay = lk.linear(0.1, 0.0, 20), lk.linear(0.0, 0.1, 20)
    expected = trained(lj.transform(lk.AdamW, lr=lr, weight_decay=decay), rng, dtype=np.float32)
    options = {"lr": lj.schedule(lr), "weight_decay": lambda count: 0.1 * count / 20}
    make = optax.inject_hyperparams(lambda lr, weight_decay: lj.transform(lk.AdamW, lr=lr, weight_decay=weight_decay))
    injected = make(**options)
    for tx in (lj.transform(lk.AdamW, **options), injected):
        assert np.max(np.abs(trained(tx, np.random.default_rng(9), dtype=np.float32) - expected)) < 1e-5
    state = injected.init(jnp.ones(2))
    assert state.hyperparams["lr"] == np.float32(0.1)
    assert trained(lj.transform(lk.SGD, lr=jnp.asarray(0.5)), rng, 1, np.float32).shape == (17,)


def test_arrays_of_one_number_leave_shapes_as_they_are():
    for value in (jnp.array([0.5]), jnp.array(0.5), np.array([0.5])):
        tx = lj.transform(lk.SGD, lr=value)
        updates, _ = tx.update(jnp.float32(1.0), tx.init(jnp.float32(1.0)), jnp.float32(1.0))
        assert updates.shape == ()
        assert float(updates) == -0.5
    with pytest.raises(TypeError, match=r"^transform: lr must be one number; got an array of shape \(3,\)$"):
        lj.transform(lk.SGD, lr=jnp.ones(3))


def test_with_transformations_of_optax():
    masked = optax.masked(lj.transform(lk.SGD, lr=1.0), {"w": True, "b": [False]})
    chain = optax.chain(optax.clip_by_global_norm(1.0), masked)
    params = {"w": jnp.ones(2), "b": [jnp.ones(2)]}
    updates, _ = chain.update({"w": jnp.asarray([3.0, 0.0]), "b": [jnp.asarray([0.0, 4.0])]}, chain.init(params), params)
    assert np.max(np.abs(updates["w"] - np.array([-0.6, 0.0]))) < 1e-6
    several = optax.MultiSteps(lj.transform(lk.AdamW, lr=0.1), 2)
    state, p = several.init(params), params
    for _ in range(4):
        updates, state = jax.jit(several.update)(params, state, p)
        p = optax.apply_updates(p, updates)
    assert np.max(np.abs(p["w"] - 1.0)) > 0.1


def test_under_scan_and_vmap():
    tx = lj.transform(lk.SGD, lr=lk.linear(0.5, 0.0, 4), momentum=0.5)

    def train(p, g):
        def step(carry, _):
            params, state = carry
            updates, state = tx.update(g, state, params)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (p, tx.init(p)), length=3)[0][0]

    ps, gs = jnp.ones((4, 2)), jnp.arange(8.0).reshape(4, 2)
    each = jnp.stack([train(p, g) for p, g in zip(ps, gs, strict=True)])
    assert np.array_equal(jax.vmap(train)(ps, gs), each)
    own = [np.ones(2)]
    opt = lk.SGD(own, lr=lk.linear(0.5, 0.0, 4), momentum=0.5)
    for _ in range(3):
        opt.step([np.asarray(gs[1], np.float64)])
    assert np.max(np.abs(each[1] - own[0])) < 1e-5


def test_rules():
    text = (
        "def halving(p, g, b, *, lr, beta=0.5, twice=False):\n"
        "    b = beta * b + g\n"
        "    return p - lr * b * (2 if twice else 1), b\n"
    )
    scope = {}
    exec(text, scope)
    rule = Rule(scope["halving"], ("buffer",), text=text)
    tx = lj.transform(rule, lr=lk.linear(1.0, 0.0, 2), twice=True)
    p = jnp.zeros(1)
    state = tx.init(p)
    for expected in (-2.0, -1.5):  # 2 * 1, 2 * 0.5 * (0.5 + 1)
        updates, state = tx.update(jnp.ones(1), state, p)
        assert updates.tolist() == [expected]
    assert list(state.states) == ["buffer"]
    with pytest.raises(TypeError, match=r"^transform: halving needs lr$"):
        lj.transform(rule)
    with pytest.raises(TypeError, match=r"^transform: arguments must be those of halving, lr, beta, twice; got rate$"):
        lj.transform(rule, rate=1.0)
    with pytest.raises(TypeError, match=r"^transform: twice must be True or False"):
        lj.transform(rule, lr=0.1, twice=2.0)
    assert isinstance(lj.transform(own_rules()["lion"], lr=0.1), optax.GradientTransformation)


def test_bad_arguments():
    with pytest.raises(TypeError, match=r"^transform: rule must be an optimizer class of lrkern, such as lrkern.AdamW, or"):
        lj.transform("adam")
    with pytest.raises(TypeError, match=r"^transform: arguments must be options of the rule; .*; got clip_norm$"):
        lj.transform(lk.AdamW, clip_norm=1.0)
    with pytest.raises(ValueError, match=r"^AdamW: beta1 must be .*; got 2"):
        lj.transform(lk.AdamW, beta1=2.0)
    with pytest.raises(TypeError, match="betas"):
        lj.transform(lk.AdamW, betas=(0.9, 0.99))
    tx = lj.transform(lk.SGD, lr=0.1)
    with pytest.raises(ValueError, match=r"^transform: update needs the parameters"):
        tx.update(jnp.ones(2), tx.init(jnp.ones(2)))
    with pytest.raises(TypeError, match=r"^transform: params must be arrays of floating-point numbers; got int32 at \['w'\]$"):
        tx.init({"w": jnp.arange(3)})


def test_bad_gradients():
    tx, params = lj.transform(lk.SGD, lr=0.1), {"w": jnp.ones(3), "b": jnp.ones(())}
    state = tx.init(params)

    def update(w):
        return tx.update({"w": w, "b": jnp.ones(())}, state, params)

    for run in (update, jax.jit(update)):
        for wrong, name in ((jnp.ones(3, int), "int32"), (jnp.ones(3, "complex64"), "complex64"), (jnp.ones(3, bool), "bool")):
            match = rf"^transform: gradients must be arrays of floating-point numbers; got {name} at \['w'\]"
            with pytest.raises(TypeError, match=match):
                run(wrong)
        for shape in ((2, 3), (), (1,), (3, 1)):
            match = r"^transform: gradients must have the shapes of the parameters, \(3,\); got \(.*\) at \['w'\]"
            with pytest.raises(ValueError, match=match):
                run(jnp.ones(shape))
        run(jnp.ones(3, "bfloat16"))
    with pytest.raises(TypeError, match=r"; got int32 at the top$"):
        tx.update(jnp.ones(2, int), tx.init(jnp.ones(2)), jnp.ones(2))


def test_without_optax(monkeypatch):
    monkeypatch.setitem(sys.modules, "optax", None)
    tx = lj.transform(lk.SGD, lr=0.5)
    updates, state = tx.update(jnp.ones(2), tx.init(jnp.ones(2)), jnp.ones(2))
    assert updates.tolist() == [-0.5, -0.5]
    assert (type(tx).__module__, int(state.count)) == ("lrkern.jax._transform", 1)


def test_no_parameters():
    tx = lj.transform(lk.Adam, lr=0.1)
    assert tx.update({}, tx.init({}), {})[0] == {}

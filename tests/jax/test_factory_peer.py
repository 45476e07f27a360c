"""Functions of a rule's arguments for `optax.inject_hyperparams`."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")

import jax.numpy as jnp  # noqa: E402

import lrkern as lk  # noqa: E402
import lrkern.jax as lj  # noqa: E402
from lrkern.rules.rule import rule_of  # noqa: E402

pytestmark = pytest.mark.peers


def run(tx, steps=4):
    params, rng = {"w": jnp.ones(3)}, np.random.default_rng(0)
    state = tx.init(params)
    update = jax.jit(tx.update)
    for _ in range(steps):
        updates, state = update({"w": jnp.asarray(rng.standard_normal(3), jnp.float32)}, state, params)
        params = optax.apply_updates(params, updates)
    return params["w"], state


@pytest.mark.parametrize("name", ["SGD", "AdamW", "Lion", "RMSprop", "LARS"])
def test_schedules_and_numbers_are_injected(name):
    cls, lr = getattr(lk, name), lk.linear(0.5, 0.0, 8)
    make = optax.inject_hyperparams(lj.factory(cls))
    found, state = run(make(lj.schedule(lr), weight_decay=0.25))
    plain, _ = run(lj.transform(cls, lr=lr, weight_decay=0.25))
    assert np.abs(np.asarray(found) - np.asarray(plain)).max() <= 4 * np.spacing(np.float32(1.0))
    assert {key: float(one) for key, one in state.hyperparams.items()} == {"lr": lr(3), "weight_decay": 0.25}
    assert not np.array_equal(found, np.ones(3))


def test_an_injected_number_may_be_changed():
    tx = optax.inject_hyperparams(lj.factory(lk.SGD))(lr=0.5)
    params = jnp.ones(2)
    state = tx.init(params)
    state.hyperparams["lr"] = jnp.asarray(0.25)
    updates, _ = jax.jit(tx.update)(jnp.ones(2), state, params)
    assert updates.tolist() == [-0.25, -0.25]


def test_flags_and_words_are_handed_on():
    make = optax.inject_hyperparams(lj.factory(lk.SGD))
    found, state = run(make(0.5, momentum=0.5, nesterov=True, convention="keras"))
    plain, _ = run(lj.transform(lk.SGD, lr=0.5, momentum=0.5, nesterov=True, convention="keras"))
    assert np.abs(np.asarray(found) - np.asarray(plain)).max() <= 4 * np.spacing(np.float32(1.0))
    assert set(state.hyperparams) == {"lr", "momentum"}


def test_signatures_are_those_of_the_classes():
    own = inspect.signature(lk.AdamW).parameters
    found = inspect.signature(lj.factory(lk.AdamW)).parameters
    assert next(iter(found)) == "lr"
    assert set(found) < set(own)
    assert not {"params", "clip_norm", "ema"} & set(found)
    assert all(repr(found[name].default) == repr(own[name].default) for name in found)
    assert inspect.signature(lj.factory(lk.LARS)).parameters["lr"].default is inspect.Parameter.empty
    assert lj.factory(lk.AdamW).__name__ == "AdamW"


def test_a_rule_itself():
    rule = rule_of("lion")
    [name, *_] = [one.name for one in rule.hypers if one.name == "lr"]
    made = lj.factory(rule)
    assert name in inspect.signature(made).parameters
    needed = {one.name: 0.5 for one in rule.hypers if one.default is inspect.Parameter.empty and not one.is_flag}
    assert isinstance(made(**{**needed, "lr": 0.5}), optax.GradientTransformation)


def test_what_is_no_rule_is_refused():
    for wrong in (3, lk.Optimizer, int):
        with pytest.raises(
            TypeError, match=r"^factory: rule must be an optimizer class of lrkern, such as lrkern.AdamW, or a rule"
        ):
            lj.factory(wrong)
    with pytest.raises(TypeError, match="beta7"):
        lj.factory(lk.SGD)(lr=0.1, beta7=3.0)


def test_what_optax_cannot_use_names_what_it_can():
    with pytest.raises(TypeError, match=r"^transform: options must be given by their names; .* takes factory\(rule\)$"):
        optax.inject_hyperparams(lj.transform, static_args=("rule",))(lk.AdamW, lr=0.1).init(jnp.ones(2))
    for make in (optax.inject_hyperparams(lj.transform), optax.inject_hyperparams(lambda rule, lr: lj.transform(rule, lr=lr))):
        with pytest.raises(TypeError, match=r"^AdamW: params must be .*; for optax.inject_hyperparams use lrkern.jax.factory"):
            make(lk.AdamW, lr=0.1).init(jnp.ones(2))
    s, match = lk.cosine(0.1, 0.0, 10), r"^schedule: step must be known .* use lrkern.jax.schedule\(s\); got "
    for tx in (optax.sgd(s), optax.inject_hyperparams(lj.factory(lk.AdamW))(lr=s)):
        state = tx.init(jnp.ones(2))
        with pytest.raises(TypeError, match=match):
            jax.jit(tx.update)(jnp.ones(2), state, jnp.ones(2))
    with pytest.raises(TypeError, match="must be known"):
        jax.vmap(s)(jnp.arange(3))
    assert s(jnp.asarray(3)) == s(3)

"""Optimizers over 200 steps of random gradients against the implementations in torch and optax, in float64."""

from __future__ import annotations

import numpy as np
import pytest

import lrkern as lk

pytestmark = pytest.mark.peers

STEPS = 200

TORCH = [
    ("Adamax", lk.Adamax, {"lr": 2e-3}),
    ("Adamax", lk.Adamax, {"lr": 1e-2, "weight_decay": 0.1, "maximize": True}),
    ("RAdam", lk.RAdam, {"lr": 1e-2}),
    ("RAdam", lk.RAdam, {"lr": 1e-2, "weight_decay": 0.1}),
    ("RAdam", lk.RAdam, {"lr": 1e-2, "weight_decay": 0.1, "decoupled": True}),
    ("Adadelta", lk.Adadelta, {"lr": 1.0}),
    ("Adadelta", lk.Adadelta, {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", lk.Rprop, {"lr": 1e-2}),
    ("Rprop", lk.Rprop, {"lr": 1e-1, "maximize": True}),
]


def data(seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(50), list(rng.standard_normal((STEPS, 50)))


def run(cls, p, grads, options):
    params = [p.copy()]
    opt = cls(params, **options)
    for g in grads:
        opt.step([g])
    return params[0]


def assert_near(got, expected):
    assert np.max(np.abs(got - expected) / np.maximum(np.abs(expected), 1e-3)) < 1e-12


@pytest.mark.parametrize(("name", "cls", "options"), TORCH)
def test_as_in_torch(name, cls, options):
    torch = pytest.importorskip("torch")
    p, grads = data(1)
    parameter = torch.nn.Parameter(torch.tensor(p))
    names = {"decoupled": "decoupled_weight_decay"}
    theirs = getattr(torch.optim, name)([parameter], **{names.get(key, key): value for key, value in options.items()})
    for g in grads:
        parameter.grad = torch.tensor(g)
        theirs.step()
    assert_near(run(cls, p, grads, options), parameter.detach().numpy())


@pytest.mark.parametrize("name", ["adabelief", "adamax", "adadelta"])
def test_as_in_optax(name):
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    p, grads = data(2)
    make = {
        "adabelief": lambda: (optax.adabelief(1e-2, eps=1e-10, eps_root=1e-10), lk.AdaBelief, {"lr": 1e-2, "eps": 1e-10}),
        "adamax": lambda: (optax.adamax(1e-2), lk.Adamax, {"lr": 1e-2}),
        "adadelta": lambda: (optax.adadelta(0.5), lk.Adadelta, {"lr": 0.5}),
    }[name]
    theirs, cls, options = make()
    with jax.enable_x64(True):
        parameter = jax.numpy.asarray(p, jax.numpy.float64)
        state = theirs.init(parameter)
        for g in grads:
            updates, state = theirs.update(jax.numpy.asarray(g, jax.numpy.float64), state, parameter)
            parameter = optax.apply_updates(parameter, updates)
        # optax computes some scalars in float32.
        got, expected = run(cls, p, grads, options), np.asarray(parameter)
    assert np.max(np.abs(got - expected) / np.maximum(np.abs(expected), 1e-2)) < 1e-5

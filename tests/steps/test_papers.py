"""Optimizers against the formulas of their papers, in plain NumPy and float64, over 200 steps."""

from __future__ import annotations

import numpy as np
import pytest

import lrkern as lk

STEPS = 200


def signum(p, grads, lr, beta, wd):
    m = np.zeros_like(p)
    for g in grads:
        m = beta * m + (1 - beta) * g
        p = p - lr * (np.sign(m) + wd * p)
    return p


def adabelief(p, grads, lr, beta1, beta2, eps, wd):
    m, s = np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * (g - m) ** 2 + eps
        p = p - lr * (m / (1 - beta1**n) / (np.sqrt(s / (1 - beta2**n)) + eps) + wd * p)
    return p


def laprop(p, grads, lr, beta1, beta2, eps, wd):
    m, v = np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        v = beta2 * v + (1 - beta2) * g**2
        m = beta1 * m + (1 - beta1) * g / (np.sqrt(v / (1 - beta2**n)) + eps)
        p = p - lr * (m / (1 - beta1**n) + wd * p)
    return p


def ademamix(p, grads, lr, beta1, beta2, beta3, alpha, eps, wd):
    m, s, v = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        m = beta1 * m + (1 - beta1) * g
        s = beta3 * s + (1 - beta3) * g
        v = beta2 * v + (1 - beta2) * g**2
        p = p - lr * ((m / (1 - beta1**n) + alpha * s) / (np.sqrt(v / (1 - beta2**n)) + eps) + wd * p)
    return p


def adopt(p, grads, lr, beta1, beta2, eps, wd):
    m, v = np.zeros_like(p), grads[0] ** 2
    for n, g in enumerate(grads[1:], 1):
        limit = n**0.25
        m = beta1 * m + (1 - beta1) * np.clip(g / np.maximum(np.sqrt(v), eps), -limit, limit)
        p = p - lr * (m + wd * p)
        v = beta2 * v + (1 - beta2) * g**2
    return p


def adan(p, grads, lr, beta1, beta2, beta3, eps, wd, proximal):
    m, t, v, before = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p), grads[0]
    for n, g in enumerate(grads, 1):
        m = beta1 * m + (1 - beta1) * g
        t = beta2 * t + (1 - beta2) * (g - before)
        v = beta3 * v + (1 - beta3) * (g + beta2 * (g - before)) ** 2
        q = (m / (1 - beta1**n) + beta2 * t / (1 - beta2**n)) / (np.sqrt(v / (1 - beta3**n)) + eps)
        p = (p - lr * q) / (1 + lr * wd) if proximal else p - lr * (q + wd * p)
        before = g
    return p


CASES = [
    (lk.Signum, signum, {"lr": 1e-2, "beta": 0.9, "weight_decay": 0.1}),
    (lk.Tiger, signum, {"lr": 1e-3, "beta": 0.965, "weight_decay": 0.01}),
    (lk.AdaBelief, adabelief, {"lr": 1e-2, "beta1": 0.9, "beta2": 0.99, "eps": 1e-10, "weight_decay": 0.1}),
    (lk.LaProp, laprop, {"lr": 1e-2, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1}),
    (
        lk.AdEMAMix,
        ademamix,
        {"lr": 1e-2, "beta1": 0.9, "beta2": 0.99, "beta3": 0.999, "alpha": 5.0, "eps": 1e-8, "weight_decay": 0.1},
    ),
    (lk.Adan, adan, {"lr": 1e-2, "beta1": 0.98, "beta2": 0.92, "beta3": 0.99, "eps": 1e-8, "weight_decay": 0.1}),
]


def run(cls, p, grads, **options):
    params = [p.copy()]
    opt = cls(params, **options)
    for g in grads:
        opt.step([g])
    return params[0]


def data(seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(50), list(rng.standard_normal((STEPS, 50)))


def assert_near(got, expected):
    """Each differs from the exact value by the roundings of its own 200 steps."""
    assert np.max(np.abs(got - expected) / np.maximum(np.abs(expected), 1e-3)) < 1e-12


@pytest.mark.parametrize(("cls", "paper", "options"), CASES)
def test_as_the_paper_says(cls, paper, options):
    p, grads = data(1)
    more = {"proximal": True} if cls is lk.Adan else {}
    named = {"wd" if name == "weight_decay" else name: value for name, value in options.items()}
    assert_near(run(cls, p, grads, **options), paper(p, grads, **named, **more))


def test_adan_with_decoupled_decay():
    p, grads = data(2)
    options = {"lr": 1e-2, "beta1": 0.98, "beta2": 0.92, "beta3": 0.99, "eps": 1e-8}
    got = run(lk.Adan, p, grads, weight_decay=0.1, proximal=False, **options)
    assert_near(got, adan(p, grads, wd=0.1, proximal=False, **options))


def test_adopt():
    p, grads = data(3)
    options = {"lr": 1e-2, "beta1": 0.9, "beta2": 0.99, "eps": 1e-6}
    assert_near(run(lk.ADOPT, p, grads, decoupled=True, weight_decay=0.1, **options), adopt(p, grads, wd=0.1, **options))
    assert run(lk.ADOPT, p, grads[:1], **options).tobytes() == p.tobytes(), "the first update changes no parameter"


@pytest.mark.parametrize("cls", [lk.Signum, lk.AdaBelief, lk.Adamax, lk.RAdam, lk.LaProp, lk.ADOPT, lk.AdEMAMix, lk.Adadelta])
def test_coupled_decay_is_added_to_the_gradient(cls):
    p, grads = data(4)
    got, expected = [p.copy()], [p.copy()]
    coupled, plain = cls(got, lr=1e-2, weight_decay=0.25, decoupled=False), cls(expected, lr=1e-2, decoupled=False)
    for g in grads:
        plain.step([g + 0.25 * expected[0]])
        coupled.step([g])
    assert np.max(np.abs(got[0] - expected[0])) < 1e-10

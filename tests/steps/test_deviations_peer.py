"""Where packages differ from papers, from each other and from lrkern: the numbers of docs/implementations.md, computed.

Each function below is a section of that page. It gives the rows of its table: who, and the parameters after the steps. Those of
optimizers that look at whole tensors or keep numbers of them are in tests/support/tensor_deviations.py.
"""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from typing import Any

import implementations as packages
import numpy as np
import pytest
from deviations import (
    SECTIONS,
    Rows,
    arrays,
    at_rates,
    average,
    norm,
    of_bitsandbytes,
    of_keras,
    of_kozistr,
    of_optax,
    of_timm,
    of_torch,
    ours,
    section,
    theirs,
)
from implementations import Array, installed
from test_papers import adan, adopt, laprop

import lrkern as lk

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

PAGE = Path(__file__).parents[2] / "docs" / "implementations.md"


@section("SGD: dampening at the first step, and in bitsandbytes")
def _() -> Rows:
    grads, o = [1.0, 1.0], {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}
    return {
        "torch": theirs(of_torch("SGD", **o), 1.0, grads),
        "lrkern": ours("SGD", 1.0, grads, **o),
        'lrkern, `convention="zero-init"`': ours("SGD", 1.0, grads, **o, convention="zero-init"),
        "bitsandbytes": theirs(of_bitsandbytes("SGD32bit", **o), 1.0, grads, "f4"),
        "lrkern, without dampening": ours("SGD", 1.0, grads, lr=0.1, momentum=0.9),
    }


@section("SGD: a learning rate that changes, in Keras")
def _() -> Rows:
    rates, grads = [1.0, 0.1], [1.0, 1.0]
    schedule = installed("keras").optimizers.schedules.PiecewiseConstantDecay([0], rates)
    o: dict[str, Any] = {"lr": lambda t: rates[t], "momentum": 0.9}
    return {
        "torch": at_rates(installed("torch").optim.SGD, rates, 1.0, grads, momentum=0.9),
        "lrkern": ours("SGD", 1.0, grads, **o),
        "keras": theirs(of_keras("SGD", schedule, 0.9), 1.0, grads),
        'lrkern, `convention="keras"`': ours("SGD", 1.0, grads, **o, convention="keras"),
    }


@section("SGD: Nesterov in bitsandbytes")
def _() -> Rows:
    grads, o = [1.0, 1.0], {"lr": 0.1, "momentum": 0.9, "nesterov": True}
    return {
        "torch": theirs(of_torch("SGD", **o), 1.0, grads),
        "lrkern": ours("SGD", 1.0, grads, **o),
        "bitsandbytes": theirs(of_bitsandbytes("SGD32bit", **o), 1.0, grads, "f4"),
        "lrkern, without `nesterov`": ours("SGD", 1.0, grads, lr=0.1, momentum=0.9),
    }


@section("Adam: what weight_decay means")
def _() -> Rows:
    grads, o = [1.0, 1.0], {"lr": 0.1, "weight_decay": 0.5}
    return {
        "torch, `Adam`": theirs(of_torch("Adam", **o), 1.0, grads),
        "lrkern, `Adam`": ours("Adam", 1.0, grads, **o),
        "keras, `Adam`": theirs(of_keras("Adam", 0.1, weight_decay=0.5), 1.0, grads),
        "bitsandbytes, `Adam`": theirs(of_bitsandbytes("Adam", **o), 1.0, grads, "f4"),
        "lrkern, `AdamW`": ours("AdamW", 1.0, grads, **o),
    }


@section("AdamW: decay by the learning rate, or not")
def _() -> Rows:
    grads, o = [1.0, 1.0], {"lr": 0.1, "weight_decay": 0.01}
    p = 1.0
    for _ in grads:
        p -= 0.1 + 0.01 * p
    optimi = packages.of_torch(installed("optimi").AdamW, **o, betas=(0.9, 0.999), decouple_lr=True, foreach=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are using weight_decay")
        by_optimi = theirs(optimi, 1.0, grads)
    return {
        "paper": np.array([p]),
        "torch": theirs(of_torch("AdamW", **o), 1.0, grads),
        "lrkern": ours("AdamW", 1.0, grads, **o),
        "optimi, `decouple_lr=True`": by_optimi,
        "lrkern, `weight_decay=0.01 / lr`": ours("AdamW", 1.0, grads, lr=0.1, weight_decay=0.01 / 0.1),
    }


@section("Adam: where epsilon is added")
def _() -> Rows:
    grads = [1e-8, 1e-8]
    root = math.sqrt(1e-16)
    paper = 1.0 - 2 * 0.1 * 1e-8 / (root + 1e-8)
    return {
        "paper, Algorithm 1": np.array([paper]),
        "torch": theirs(of_torch("Adam", lr=0.1, eps=1e-8), 1.0, grads),
        "optax": theirs(of_optax("adam", 0.1, eps=1e-8), 1.0, grads),
        "lrkern": ours("Adam", 1.0, grads, lr=0.1, eps=1e-8),
        "keras": theirs(of_keras("Adam", 0.1, epsilon=1e-8), 1.0, grads),
        'lrkern, `convention="keras"`': ours("Adam", 1.0, grads, lr=0.1, eps=1e-8, convention="keras"),
    }


@section("AMSGrad: the maximum of which squares")
def _() -> Rows:
    grads = [1.0, 0.1, 0.1]
    p, m, v, top, corrected = 1.0, 0.0, 0.0, 0.0, 0.0
    other = 1.0
    for n, g in enumerate(grads, 1):
        m, v = average(m, 0.9, g), average(v, 0.99, g * g)
        top, corrected = max(top, v), max(corrected, v / (1 - 0.99**n))
        p -= 0.1 * m / math.sqrt(top)
        other -= 0.1 * m / (1 - 0.9**n) / math.sqrt(corrected)
    o = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 0.0, "amsgrad": True}
    rows = {
        "paper, Algorithm 2": np.array([p]),
        "torch": theirs(of_torch("Adam", lr=0.1, betas=(0.9, 0.99), eps=0.0, amsgrad=True), 1.0, grads),
        "keras": theirs(of_keras("Adam", 0.1, 0.9, 0.99, 0.0, amsgrad=True), 1.0, grads),
        "lrkern": ours("Adam", 1.0, grads, **o),
        "optax": theirs(of_optax("amsgrad", 0.1, 0.9, 0.99, 0.0), 1.0, grads),
        'lrkern, `convention="optax"`': ours("Adam", 1.0, grads, **o, convention="optax"),
    }
    assert rows["optax"] == pytest.approx(other, rel=1e-12)
    return rows


@section("RMSprop: what the average starts from")
def _() -> Rows:
    grads, o = [2.0, 2.0], {"lr": 0.1, "alpha": 0.9, "eps": 1e-10, "eps_inside": True}
    params = arrays([1.0])
    opt = lk.RMSprop(params, **o)
    opt.load_state_dict(opt.state_dict() | {"square_avgs": [np.ones(1)]})
    for g in arrays(grads):
        opt.step([g])
    return {
        "torch": theirs(of_torch("RMSprop", lr=0.1, alpha=0.9, eps=1e-10), 1.0, grads),
        "keras": theirs(of_keras("RMSprop", 0.1, 0.9, 0.0, 1e-10), 1.0, grads),
        "optax": theirs(of_optax("rmsprop", 0.1, 0.9, 1e-10), 1.0, grads),
        "lrkern": ours("RMSprop", 1.0, grads, **o),
        "timm, `RMSpropTF`": theirs(of_timm("rmsprop_tf", "RMSpropTF", lr=0.1, alpha=0.9, eps=1e-10), 1.0, grads),
        "lrkern, with the state set to 1": params[0],
    }


@section("RMSprop: not a number, when centered")
def _() -> Rows:
    """The variance of a gradient that never changes is 0; rounding makes it negative."""
    p, grads, o = np.ones(1000), [np.linspace(1, 10, 1000)] * 200, {"lr": 1e-3, "alpha": 0.9, "centered": True}
    own = np.ones(1000, "f4")
    opt = lk.RMSprop([own], **o)
    for g in grads:
        opt.step([g.astype("f4")])
    return {
        "torch": nans(theirs(of_torch("RMSprop", **o), p, grads, "f4")),
        "optax": nans(theirs(of_optax("rmsprop", 1e-3, 0.9, centered=True), p, grads, "f4")),
        "keras": nans(theirs(of_keras("RMSprop", 1e-3, 0.9, centered=True), p, grads, "f4")),
        "lrkern": nans(own),
    }


def nans(values: Array) -> str:
    """How many; the number itself depends on how the compiler contracts products."""
    part = np.isnan(values).mean()
    return "more than 5 %" if part > 0.05 else "none" if part == 0 else "some"


@section("Adagrad: where the sum starts, and epsilon")
def _() -> Rows:
    grads = [0.1, 0.1]
    o = {"lr": 0.1, "eps": 1e-7, "eps_inside": True, "initial_accumulator": 0.1}
    return {
        "torch": theirs(of_torch("Adagrad", lr=0.1), 1.0, grads),
        "lrkern": ours("Adagrad", 1.0, grads, lr=0.1),
        "keras": theirs(of_keras("Adagrad", 0.1), 1.0, grads),
        "optax": theirs(of_optax("adagrad", 0.1), 1.0, grads),
        "lrkern, `initial_accumulator=0.1, eps=1e-7, eps_inside=True`": ours("Adagrad", 1.0, grads, **o),
    }


@section("Adamax: where epsilon is added")
def _() -> Rows:
    grads = [1e-8, 0.0, 0.0]
    m = u = 0.0
    p = 1.0
    for n, g in enumerate(grads, 1):
        m, u = average(m, 0.9, g), max(0.5 * u, abs(g))
        p -= 0.1 * m / (1 - 0.9**n) / u
    o = {"lr": 0.1, "beta2": 0.5, "eps": 1e-8}
    return {
        "paper": np.array([p]),
        "torch": theirs(of_torch("Adamax", lr=0.1, betas=(0.9, 0.5), eps=1e-8), 1.0, grads),
        "optax": theirs(of_optax("adamax", 0.1, b2=0.5, eps=1e-8), 1.0, grads),
        "lrkern": ours("Adamax", 1.0, grads, **o),
        "keras": theirs(of_keras("Adamax", 0.1, beta_2=0.5, epsilon=1e-8), 1.0, grads),
        "lrkern, `eps=0.0`": ours("Adamax", 1.0, grads, **o | {"eps": 0.0}),
    }


@section("LAMB: weight decay in Keras")
def _() -> Rows:
    p, grads, decay = [3.0, 4.0], [[1.0, 1.0], [1.0, 1.0]], {"weight_decay": 0.5}
    return {
        "paper": lamb(np.array(p), arrays(grads), 0.1, 0.5),
        "optax": theirs(of_optax("lamb", 0.1, **decay), p, grads),
        "timm": theirs(of_timm("lamb", "Lamb", lr=0.1, **decay, max_grad_norm=None), p, grads),
        "lrkern": ours("LAMB", p, grads, lr=0.1, **decay),
        "keras": theirs(of_keras("Lamb", 0.1, epsilon=1e-6, **decay), p, grads),
        'lrkern, `convention="keras"`': ours("LAMB", p, grads, lr=0.1, **decay, convention="keras"),
    }


def lamb(p: Array, grads: list[Array], lr: float, decay: float) -> Array:
    m, v = np.zeros_like(p), np.zeros_like(p)
    for n, g in enumerate(grads, 1):
        m, v = average(m, 0.9, g), average(v, 0.999, g * g)
        u = m / (1 - 0.9**n) / (np.sqrt(v / (1 - 0.999**n)) + 1e-6) + decay * p
        p = p - lr * norm(p) / norm(u) * u
    return p


@section("LAMB: what timm adds")
def _() -> Rows:
    p, grads = [3.0, 4.0], [[3.0, 4.0], [0.3, 0.0]]
    return {
        "paper": lamb(np.array(p), arrays(grads), 0.1, 0.0),
        "lrkern": ours("LAMB", p, grads, lr=0.1),
        "timm": theirs(of_timm("lamb", "Lamb", lr=0.1, weight_decay=0.0), p, grads),
        "lrkern, `clip_norm=1.0, adapt=False`": ours("LAMB", p, grads, lr=0.1, clip_norm=1.0, adapt=False),
        "timm, `max_grad_norm=None, always_adapt=True`": theirs(
            of_timm("lamb", "Lamb", lr=0.1, weight_decay=0.0, max_grad_norm=None, always_adapt=True), p, grads
        ),
    }


@section("LAMB: pytorch-optimizer")
def _() -> Rows:
    p, grads = [30.0, 40.0], [[1.0, 1.0], [1.0, 1.0]]
    expected, m, v = np.array(p), np.zeros(2), np.zeros(2)
    for n, g in enumerate(arrays(grads), 1):
        m, v = average(m, 0.9, g), average(v, 0.999, g * g)
        u = m / (np.sqrt(v) + 1e-6)
        expected = expected - 0.1 / (1 - 0.9**n) * min(norm(expected), 10) / (norm(u) + 1e-6) * u
    rows = {
        "paper": lamb(np.array(p), arrays(grads), 0.1, 0.0),
        "lrkern": ours("LAMB", p, grads, lr=0.1),
        "pytorch-optimizer": theirs(of_kozistr("Lamb", lr=0.1), p, grads),
    }
    assert rows["pytorch-optimizer"] == pytest.approx(expected, rel=1e-6)
    return rows


@section("LAMB and LARS in bitsandbytes: a limit instead of a ratio")
def _() -> Rows:
    p, grads = [0.3, 0.4], [[1.0, 1.0]]
    limited = np.array(p) - 0.1 * 0.5 / (math.sqrt(2) * math.sqrt(10)) * np.ones(2)
    rows = {
        "LAMB: paper": lamb(np.array(p), arrays(grads), 0.1, 0.0),
        "LAMB: lrkern": ours("LAMB", p, grads, lr=0.1),
        "LAMB: bitsandbytes": theirs(of_bitsandbytes("LAMB", lr=0.1), p, grads, "f4"),
        "LARS: paper": np.array(p) - 0.1 * 0.02 * 0.5 / math.sqrt(2) * np.ones(2),
        "LARS: lrkern, `trust=0.02`": ours("LARS", p, grads, lr=0.1, trust=0.02),
        "LARS: bitsandbytes": theirs(of_bitsandbytes("LARS", lr=0.1, momentum=0.9), p, grads, "f4"),
        "LARS: the same with gradients of 0.001: lrkern": ours("LARS", p, [[1e-3, 1e-3]], lr=0.1, trust=0.02),
        "LARS: the same with gradients of 0.001: bitsandbytes": theirs(
            of_bitsandbytes("LARS", lr=0.1, momentum=0.9), p, [[1e-3, 1e-3]], "f4"
        ),
    }
    assert rows["LAMB: bitsandbytes"] == pytest.approx(limited, rel=1e-3)
    return rows


@section("LARS: the ratio, and the learning rate in the buffer")
def _() -> Rows:
    p, g = np.array([3.0, 4.0]), np.array([-1.0, 1.0])
    o = {"momentum": 0.9, "weight_decay": 0.5, "trust": 0.1}
    rates = [1.0, 0.1]

    def ours_at(convention: str) -> Array:
        return ours("LARS", p, [g, g], lr=lk.from_function(lambda t: rates[t], 2), convention=convention, **o)

    expected, b = p.copy(), np.zeros(2)
    for rate in rates:
        ratio = 0.1 * norm(expected) / (norm(g) + 0.5 * norm(expected))
        b = 0.9 * b + rate * ratio * (g + 0.5 * expected)
        expected = expected - b
    jnp = installed("jax").numpy
    schedule = of_optax("lars", lambda t: jnp.asarray(rates)[t], 0.5, trust_coefficient=0.1, eps=0.0, momentum=0.9)
    return {
        "paper": expected,
        "lrkern": ours_at("paper"),
        "timm": at_rates(
            packages.timm("lars").Lars, rates, p, [g, g], momentum=0.9, weight_decay=0.5, trust_coeff=0.1, eps=0.0
        ),
        'lrkern, `convention="apex"`': ours_at("apex"),
        "optax": theirs(schedule, p, [g, g]),
        'lrkern, `convention="optax"`': ours_at("optax"),
    }


@section("LARS: which arrays are adapted")
def _() -> Rows:
    p, grads = [3.0, 4.0], [[0.1, 0.1], [0.1, 0.1]]
    o = {"lr": 1.0, "momentum": 0.9}
    decay = {"weight_decay": 0.1}
    matrix = theirs(of_kozistr("LARS", **o, **decay), [p], [[g] for g in grads])
    return {
        "paper; lrkern": ours("LARS", p, grads, **o),
        "timm": theirs(of_timm("lars", "Lars", **o), p, grads),
        "lrkern, `adapt=False`": ours("LARS", p, grads, **o, adapt=False),
        "timm, `always_adapt=True`": theirs(of_timm("lars", "Lars", **o, always_adapt=True), p, grads),
        "with weight decay 0.1: lrkern": ours("LARS", p, grads, **o, **decay),
        "with weight decay 0.1: pytorch-optimizer, one dimension": theirs(of_kozistr("LARS", **o, **decay), p, grads),
        "with weight decay 0.1: pytorch-optimizer, two dimensions": matrix[0],
    }


@section("RAdam: when it is rectified")
def _() -> Rows:
    grads = [0.01] * 5
    return {
        "paper: from rho > 4": np.array([radam(1.0, grads, 4)]),
        "torch": theirs(of_torch("RAdam", lr=0.1), 1.0, grads),
        "optax": theirs(of_optax("radam", 0.1), 1.0, grads),
        "lrkern": ours("RAdam", 1.0, grads, lr=0.1),
        "optax, `threshold=4.0`": theirs(of_optax("radam", 0.1, threshold=4.0), 1.0, grads),
        "pytorch-optimizer": theirs(of_kozistr("RAdam", lr=0.1), 1.0, grads),
        "pytorch-optimizer, `degenerated_to_sgd=True`": theirs(
            of_kozistr("RAdam", lr=0.1, degenerated_to_sgd=True), 1.0, grads
        ),
    }


def radam(p: float, grads: list[float], threshold: float, beta1: float = 0.9, beta2: float = 0.999) -> float:
    m = v = 0.0
    longest = 2 / (1 - beta2) - 1
    for n, g in enumerate(grads, 1):
        m, v = average(m, beta1, g), average(v, beta2, g * g)
        rho = longest - 2 * n * beta2**n / (1 - beta2**n)
        step = m / (1 - beta1**n)
        if rho > threshold:
            r = math.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
            step *= r / math.sqrt(v / (1 - beta2**n))
        p -= 0.1 * step
    return p


@section("AdaBelief: rectified by default")
def _() -> Rows:
    grads = [0.1, 0.2, 0.3]
    p, m, s = 1.0, 0.0, 0.0
    for n, g in enumerate(grads, 1):
        m = average(m, 0.9, g)
        s = average(s, 0.999, (g - m) ** 2) + 1e-16
        p -= 0.1 * m / (1 - 0.9**n) / (math.sqrt(s / (1 - 0.999**n)) + 1e-16)
    theirs_of_authors = packages.adabelief().AdaBelief
    return {
        "paper": np.array([p]),
        "optax": theirs(of_optax("adabelief", 0.1), 1.0, grads),
        "pytorch-optimizer": theirs(of_kozistr("AdaBelief", lr=0.1), 1.0, grads),
        "lrkern": ours("AdaBelief", 1.0, grads, lr=0.1),
        "adabelief-pytorch": theirs(packages.of_torch(theirs_of_authors, lr=0.1, print_change_log=False), 1.0, grads),
        "timm": theirs(of_timm("adabelief", "AdaBelief", lr=0.1), 1.0, grads),
        "timm, `rectify=False`": theirs(of_timm("adabelief", "AdaBelief", lr=0.1, rectify=False), 1.0, grads),
    }


@section("LaProp: small gradients in pytorch-optimizer")
def _() -> Rows:
    grads = [1e-9]
    c = 1 - 0.999
    expected = 1.0 - 0.1 * 1e-9 / ((math.sqrt(c * 1e-18 + 1e-15) + 1e-15) / math.sqrt(c))
    rows = {
        "paper": laprop(np.ones(1), arrays(grads), 0.1, 0.9, 0.999, 1e-15, 0.0),
        "timm": theirs(of_timm("laprop", "LaProp", lr=0.1), 1.0, grads),
        "lrkern": ours("LaProp", 1.0, grads, lr=0.1),
        "pytorch-optimizer": theirs(of_kozistr("LaProp", lr=0.1, foreach=False), 1.0, grads),
    }
    assert rows["pytorch-optimizer"] == pytest.approx(expected, rel=1e-9)
    return rows


@section("LaProp: a learning rate that changes")
def _() -> Rows:
    rates, grads = [1.0, 0.1], [1.0, -1.0]  # which are 1 and -1 when divided by the root of the average of squares
    paper = authors = 1.0
    m = average_of_rates = with_rates = 0.0
    for n, (rate, g) in enumerate(zip(rates, grads, strict=True), 1):
        m, with_rates = average(m, 0.9, g), average(with_rates, 0.9, rate * g)
        average_of_rates = average(average_of_rates, 0.9, rate)
        paper -= rate * m / (1 - 0.9**n)
        authors -= with_rates / (average_of_rates / rate)
    return {
        "paper": np.array([paper]),
        "lrkern": ours("LaProp", 1.0, grads, lr=lambda t: rates[t]),
        "authors' code": np.array([authors]),
        "timm": at_rates(packages.timm("laprop").LaProp, rates, 1.0, grads),
        "pytorch-optimizer": at_rates(installed("pytorch_optimizer").LaProp, rates, 1.0, grads),
    }


@section("LaProp: weight decay")
def _() -> Rows:
    grads, o = [1.0, 1.0], {"lr": 0.1, "weight_decay": 0.5}
    after = 1.0
    authors = 1.0
    for _ in grads:
        authors = (authors - 0.1) * (1 - 0.5)
        after = (after - 0.1) * (1 - 0.1 * 0.5)
    rows = {
        "authors' code": np.array([authors]),
        "timm": theirs(of_timm("laprop", "LaProp", **o), 1.0, grads),
        "pytorch-optimizer": theirs(of_kozistr("LaProp", **o, foreach=False), 1.0, grads),
        "lrkern": ours("LaProp", 1.0, grads, **o),
    }
    assert rows["timm"] == pytest.approx(after, rel=1e-6)
    return rows


@section("ADOPT: how much is clipped")
def _() -> Rows:
    grads, o = [0.1, 1.0, -1.0, 2.0], {"lr": 0.1, "weight_decay": 0.0}
    paper = adopt(np.ones(1), arrays(grads), 0.1, 0.9, 0.9999, 1e-6, 0.0)
    return {
        "authors' code: (n - 1)^0.25": paper,
        "optax": theirs(packages.of_optax(installed("optax").contrib.adopt, 0.1), 1.0, grads),
        "lrkern": ours("ADOPT", 1.0, grads, **o),
        "timm: (n - 1)^0.333": theirs(of_timm("adopt", "Adopt", lr=0.1), 1.0, grads),
        "timm, `clip_exp=0.25`": theirs(of_timm("adopt", "Adopt", lr=0.1, clip_exp=0.25), 1.0, grads),
        "pytorch-optimizer: n^0.25": theirs(of_kozistr("ADOPT", lr=0.1), 1.0, grads),
        "pytorch-optimizer, `clip_lambda=lambda n: (n - 1) ** 0.25`": theirs(
            of_kozistr("ADOPT", lr=0.1, clip_lambda=lambda n: (n - 1) ** 0.25), 1.0, grads
        ),
    }


@section("ADOPT: decay at the first step")
def _() -> Rows:
    o = {"lr": 0.1, "weight_decay": 0.5}
    return {
        "authors' code; lrkern": ours("ADOPT", 1.0, [1.0], **o, decoupled=True),
        "timm": theirs(of_timm("adopt", "Adopt", **o, decoupled=True), 1.0, [1.0]),
        "pytorch-optimizer": theirs(of_kozistr("ADOPT", **o, weight_decouple=True), 1.0, [1.0]),
    }


@section("AdEMAMix: coupled decay by default, and a class that raises")
def _() -> Rows:
    grads, o = [1.0, 1.0], {"lr": 0.1, "weight_decay": 0.5}
    with pytest.raises((RuntimeError, IndexError)):
        theirs(of_bitsandbytes("AdEMAMix32bit", **o), 1.0, grads, "f4")
    return {
        "bitsandbytes": theirs(of_bitsandbytes("AdEMAMix", **o), 1.0, grads, "f4"),
        "optax": theirs(packages.of_optax(installed("optax").contrib.ademamix, 0.1, weight_decay=0.5), 1.0, grads),
        "lrkern": ours("AdEMAMix", 1.0, grads, **o),
        "pytorch-optimizer": theirs(of_kozistr("AdEMAMix", **o), 1.0, grads),
        "lrkern, `decoupled=False`": ours("AdEMAMix", 1.0, grads, **o, decoupled=False),
        "pytorch-optimizer, `weight_decouple=True`": theirs(of_kozistr("AdEMAMix", **o, weight_decouple=True), 1.0, grads),
    }


@section("Adan: the weight of the difference in optax")
def _() -> Rows:
    grads = [1.0, -1.0, 1.0]
    rows = {
        "paper": adan(np.ones(1), arrays(grads), 0.1, 0.98, 0.92, 0.99, 1e-8, 0.0, True),
        "timm": theirs(of_timm("adan", "Adan", lr=0.1), 1.0, grads),
        "pytorch-optimizer": theirs(of_kozistr("Adan", lr=0.1), 1.0, grads),
        "lrkern": ours("Adan", 1.0, grads, lr=0.1),
        "optax": theirs(of_optax("adan", 0.1, eps_root=0.0), 1.0, grads),
    }
    p, m, t, v, before = 1.0, 0.0, 0.0, 0.0, grads[0]
    for n, g in enumerate(grads, 1):
        m, t = average(m, 0.98, g), average(t, 0.92, g - before)
        v, before = average(v, 0.99, (g + 0.08 * (g - before)) ** 2), g
        p -= 0.1 * (m / (1 - 0.98**n) + 0.08 * t / (1 - 0.92**n)) / (math.sqrt(v / (1 - 0.99**n)) + 1e-8)
    assert rows["optax"] == pytest.approx(p, rel=1e-12)
    return rows


@section("Tiger: the size of the step")
def _() -> Rows:
    p, grads = [3.0, 4.0], [[1.0, -1.0]]
    size = math.sqrt((9 + 16) / 2)
    authors = np.array(p) - 0.1 * size * (np.array([1.0, -1.0]) + 0.01 * np.array(p))
    return {
        "authors' code": authors,
        "pytorch-optimizer": theirs(of_kozistr("Tiger", lr=0.1), p, grads),
        "lrkern": ours("Tiger", p, grads, lr=0.1),
    }


@section("Rprop: what happens when the sign changes, and optax")
def _() -> Rows:
    grads = [1.0, 1.0, -1.0, 1.0]
    p, size, previous, step = 1.0, 0.1, 0.0, 0.0
    for g in grads:
        if g * previous < 0:
            size, p, previous = size * 0.5, p + step, 0.0
        else:
            size *= 1.2 if g * previous > 0 else 1
            step, previous = size * math.copysign(1, g), g
            p -= step
    return {
        "paper": np.array([p]),
        "torch": theirs(of_torch("Rprop", lr=0.1), 1.0, grads),
        "lrkern": ours("Rprop", 1.0, grads, lr=0.1),
        "optax": theirs(of_optax("rprop", 0.1), 1.0, grads),
        "after the first step: torch": theirs(of_torch("Rprop", lr=0.1), 1.0, grads[:1]),
        "after the first step: optax": theirs(of_optax("rprop", 0.1), 1.0, grads[:1]),
    }


import tensor_deviations  # noqa: E402, F401  (its sections)


def shown(values: Array | str) -> str:
    return values if isinstance(values, str) else ", ".join(f"{value:.6g}" for value in np.ravel(values))


def rows_of(title: str) -> dict[str, str]:
    """The rows of the table in this section of the page: who, without the version, and the numbers."""
    match = re.search(rf"^### {re.escape(title)}\n(.*?)(?=^##|\Z)", PAGE.read_text(), re.S | re.M)
    assert match, f"{PAGE.name} has no section {title!r}"
    rows = re.findall(r"^\| (.+?) \| ([^|]+) \|$", match[1], re.M)
    return {re.sub(r"^([\w-]+) \d[\d.]*", r"\1", who): number for who, number in rows if set(who) != {"-"} and who != "who"}


@pytest.mark.parametrize("title", SECTIONS)
def test_numbers_of_the_page(title: str) -> None:
    wanted = {who: shown(values) for who, values in SECTIONS[title]().items()}
    table = "\n".join(f"| {who} | {numbers} |" for who, numbers in wanted.items())
    assert rows_of(title) == wanted, f"the table of {title!r} is outdated:\n{table}"


def test_every_section_with_a_table_is_computed() -> None:
    titles = re.findall(r"^### (.*)$", PAGE.read_text(), re.M)
    assert titles == list(SECTIONS)

"""Deviations of optimizers that look at whole tensors, keep numbers of them, or average their parameters."""

from __future__ import annotations

import math

import implementations as packages
import numpy as np
import pytest
from deviations import Rows, at_rates, average, of_keras, of_kozistr, of_optax, of_timm, of_torch, ours, section, theirs
from implementations import Maker, installed


@section("NAdam: the product of momenta in torch")
def _() -> Rows:
    grads, o = [1.0, 1.0], {"lr": 1.0, "momentum_decay": 1e3, "eps": 0.0}
    betas = {"betas": (0.999, 0.999)}
    rows: Rows = {
        "paper": np.array([nadam(0.0, grads, lr=1.0, beta1=0.999, momentum_decay=1e3)]),
        "lrkern": ours("NAdam", 0.0, grads, **o, beta1=0.999),
        "torch": at_rates(installed("torch").optim.NAdam, [1.0, 1.0], 0.0, grads, **betas, momentum_decay=1e3, eps=0.0),
        "torch, with float64 as its default dtype": theirs(of_torch("NAdam", **o, **betas), 0.0, grads),
    }
    return {who: f"{float(values[0]):.9g}" for who, values in rows.items()}


def nadam(p: float, grads: list[float], lr: float, momentum_decay: float, beta1: float = 0.9, beta2: float = 0.999) -> float:
    """The paper's formulas, with eps = 0."""
    m = v = 0.0
    product = 1.0
    for n, g in enumerate(grads, 1):
        now, later = (beta1 * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (n, n + 1))
        product *= now
        m, v = average(m, beta1, g), average(v, beta2, g * g)
        direction = (1 - now) / (1 - product) * g + later / (1 - product * later) * m
        p -= lr * direction / math.sqrt(v / (1 - beta2**n))
    return p


@section("NAdam: the schedule of momentum in Keras and timm")
def _() -> Rows:
    grads = [1.0, -0.5, 1.0]
    p, m, v = 1.0, 0.0, 0.0
    for n, g in enumerate(grads, 1):
        m, v = average(m, 0.9, g), average(v, 0.999, g * g)
        p -= 0.1 * average(m, 0.9, g) / (1 - 0.9**n) / math.sqrt(v / (1 - 0.999**n))
    rows: Rows = {
        "paper, momentum_decay = 0.004": np.array([nadam(1.0, grads, lr=0.1, momentum_decay=4e-3)]),
        "torch": theirs(of_torch("NAdam", lr=0.1), 1.0, grads),
        "lrkern": ours("NAdam", 1.0, grads, lr=0.1),
        "keras": theirs(of_keras("Nadam", 0.1), 1.0, grads),
        "lrkern, `momentum_decay=1.0`": ours("NAdam", 1.0, grads, lr=0.1, momentum_decay=1.0),
        "optax": theirs(of_optax("nadam", 0.1), 1.0, grads),
        "lrkern, `momentum_decay=1e4`": ours("NAdam", 1.0, grads, lr=0.1, momentum_decay=1e4),
        "timm, `NAdamW`": theirs(of_timm("nadamw", "NAdamW", lr=0.1, weight_decay=0.0), 1.0, grads),
    }
    assert rows["timm, `NAdamW`"] == pytest.approx(p, rel=1e-6)
    return rows


@section("MARS: the first step in timm")
def _() -> Rows:
    p, grads, o = [[1.0, 1.0]], [[[0.1, -0.2]], [[0.1, 0.1]]], {"lr": 0.1, "weight_decay": 0.0}
    return {
        "paper": mars(p, grads),
        "lrkern": ours("MARS", p, grads, **o),
        "pytorch-optimizer": theirs(of_kozistr("MARS", **o), p, grads),
        "timm": theirs(of_timm("mars", "Mars", **o), p, grads),
    }


def mars(p: object, grads: list[object], lr: float = 0.1, beta1: float = 0.95, beta2: float = 0.99) -> np.ndarray:
    """The paper's MARS-AdamW, with the gradient before the first one 0."""
    x = np.array(p, float)
    m, v, last = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for n, g in enumerate(np.array(grads, float), 1):
        c = g + 0.025 * beta1 / (1 - beta1) * (g - last)
        c = c / max(1.0, float(np.sqrt(np.sum(c * c))))
        m, v, last = average(m, beta1, c), average(v, beta2, c * c), g
        x = x - lr * m / (1 - beta1**n) / (np.sqrt(v / (1 - beta2**n)) + 1e-8)
    return x


@section("MARS and schedule-free AdamW: small gradients in pytorch-optimizer")
def _() -> Rows:
    grads, o = [[[1e-8]]], {"lr": 0.1, "weight_decay": 0.0}
    own = {"lr": 0.1, "betas": (0.9, 0.999)}
    rows: Rows = {
        "MARS: paper": mars([[1.0]], grads),
        "MARS: lrkern": ours("MARS", [[1.0]], grads, **o),
        "MARS: pytorch-optimizer": theirs(of_kozistr("MARS", **o), [[1.0]], grads),
        "schedule-free AdamW: the authors' package": theirs(schedule_free("AdamW", **own), [[1.0]], grads),
        "schedule-free AdamW: lrkern": ours("ScheduleFreeAdamW", [[1.0]], grads, lr=0.1),
        "schedule-free AdamW: pytorch-optimizer": theirs(of_kozistr("ScheduleFreeAdamW", **own), [[1.0]], grads),
    }
    c = 1e-8 * (1 + 0.025 * 0.95 / 0.05)
    root, scale = math.sqrt(0.01 * c * c + 1e-15), math.sqrt(1 - 0.99)
    assert rows["MARS: pytorch-optimizer"] == pytest.approx(1 - 0.1 * c / ((root + 1e-8) / scale), rel=1e-9)
    expected = 1 - 0.1 * 1e-8 / (math.sqrt(1e-16 + 1e-15) + 1e-8)
    assert rows["schedule-free AdamW: pytorch-optimizer"] == pytest.approx(expected, rel=1e-9)
    return rows


def schedule_free(name: str, **options: object) -> Maker:
    """Of the authors' package."""
    return packages.of_torch(getattr(installed("schedulefree"), f"{name}ScheduleFree"), foreach=False, **options)


@section("NovoGrad: the first gradient")
def _() -> Rows:
    p, grads, o = [3.0, 4.0], [[1.0, 0.0], [0.0, 1.0]], {"lr": 0.1}
    betas = {"betas": (0.95, 0.98)}
    averaging = {"grad_averaging": True}
    return {
        "paper": novograd(p, grads, 1.0, 1.0),
        "lrkern": ours("NovoGrad", p, grads, **o),
        "optax": theirs(of_optax("novograd", 0.1, 0.95, 0.98), p, grads),
        "pytorch-optimizer": theirs(of_kozistr("NovoGrad", **o, **betas), p, grads),
        "an average: lrkern, `grad_averaging=True`": ours("NovoGrad", p, grads, **o, **averaging),
        "an average: timm, `grad_averaging=True`": theirs(
            of_timm("nvnovograd", "NvNovoGrad", **o, **betas, **averaging), p, grads
        ),
        "its first gradient as a whole": novograd(p, grads, 1.0, 0.05),
        "pytorch-optimizer, `grad_averaging=True`": theirs(of_kozistr("NovoGrad", **o, **betas, **averaging), p, grads),
    }


def novograd(p: object, grads: list[object], first: float, weight: float) -> np.ndarray:
    """Without decay; the weights of the first gradient and of the others."""
    x, v = np.array(p, float), 0.0
    m = np.zeros_like(x)
    for n, g in enumerate(np.array(grads, float)):
        square = float(np.sum(g * g))
        v = average(v, 0.98, square) if n else square
        m = 0.95 * m + (weight if n else first) * g / (math.sqrt(v) + 1e-8)
        x = x - 0.1 * m
    return x

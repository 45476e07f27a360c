"""Loss-driven schedules, one run and one metric at a time, in plain Python: the reference of the kernels.

Written from the descriptions in docs/loss_driven.md, with branches and lists where the kernels have masks and counters.
`defaults(dialect)` spells out each dialect's arguments.
"""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import median
from typing import Any

import numpy as np

COMMON = {"factor": 0.1, "patience": 10, "cooldown": 0, "mode": "min"}
TORCH = COMMON | {"threshold": 1e-4, "threshold_mode": "rel", "min_lr": 0.0, "eps": 1e-8}
DEFAULTS: dict[str, dict[str, Any]] = {
    "torch": TORCH,
    "mmengine": TORCH | {"begin": 0, "end": None},
    "timm": TORCH | {"mode": "max", "warmup": 0, "warmup_lr": 0.0},
    "keras": COMMON | {"threshold": 1e-4, "min_lr": 0.0, "precision": "float32"},
    "optax": {
        "factor": 0.1,
        "patience": 10,
        "threshold": 1e-4,
        "atol": 0.0,
        "cooldown": 0,
        "accumulate": 1,
        "min_scale": 0.0,
        "precision": "float32",
    },
    "transformers": TORCH
    | {
        "factor": 0.95,
        "threshold": 1e-6,
        "threshold_mode": "abs",
        "min_lr": 1e-3,
        "max_lr": 1.0,
        "warmup": 0,
        "window": None,
        "reset_start": 500,
    },
}


DEFAULTS |= {"paddle": TORCH, "speechbrain": {"factor": 0.5, "patience": 0, "threshold": 0.0025}}
DEFAULTS |= {"speechbrain_plateau": {"factor": 0.5, "patience": 2, "min_lr": 1e-8, "warmup": 65}}
KL: dict[str, dict[str, Any]] = {
    "skrl": {"threshold": 0.008, "min_lr": 1e-6, "max_lr": 1e-2, "kl_factor": 2.0, "lr_factor": 1.5, "precision": "float32"},
    "rsl_rl": {"threshold": 0.01, "min_lr": 1e-5, "max_lr": 1e-2, "kl_factor": 2.0, "lr_factor": 1.5, "precision": "float32"},
}


def f32(x: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float32(x))


def beats(metric: float, best: float, o: dict[str, Any]) -> bool:
    """Whether a metric is good, with torch's thresholds."""
    sign = 1.0 if o["mode"] == "max" else -1.0
    if o["threshold_mode"] == "rel":
        bar = best * (1.0 + sign * o["threshold"])
    else:
        bar = best + sign * o["threshold"]
    return metric > bar if o["mode"] == "max" else metric < bar


def worst(mode: str) -> float:
    return -math.inf if mode == "max" else math.inf


def torch_like(metrics: list[float], lr: float, o: dict[str, Any], best: float | None = None) -> list[float]:
    best = worst(o["mode"]) if best is None else best
    streak, pause, rates = 0, 0, []
    for metric in metrics:
        streak += 1
        if beats(metric, best, o):
            best, streak = metric, 0
        if pause:
            pause, streak = pause - 1, 0
        if streak > o["patience"]:
            candidate = lr * o["factor"]
            if o["min_lr"] > candidate:
                candidate = o["min_lr"]
            if lr - candidate > o["eps"]:
                lr = candidate
            pause, streak = o["cooldown"], 0
        rates.append(lr)
    return rates


def mmengine(metrics: list[float], lr: float, o: dict[str, Any]) -> list[float]:
    rates, watched = [], []
    for epoch, metric in enumerate(metrics, 1):
        if o["begin"] <= epoch and (o["end"] is None or epoch < o["end"]):
            watched.append(metric)
        rates.append(torch_like(watched, lr, o, math.copysign(1e9, worst(o["mode"])))[-1] if watched else lr)
    return rates


def timm(metrics: list[float], lr: float, o: dict[str, Any]) -> list[float]:
    warmup = min(o["warmup"], len(metrics))
    rates = []
    if warmup:
        each = (lr - o["warmup_lr"]) / o["warmup"]
        rates = [o["warmup_lr"] + epoch * each for epoch in range(1, warmup + 1)]
        lr = rates[-1]
    return rates + torch_like(metrics[warmup:], lr, o)


def keras(metrics: list[float], lr: float, o: dict[str, Any]) -> list[float]:
    variable = f32 if o["precision"] == "float32" else float
    lr, best, wait, pause, rates = variable(lr), None, 0, 0, []
    for metric in metrics:
        if pause:
            pause, wait = pause - 1, 0
        if best is None:
            good = True
        elif o["mode"] == "min":
            good = variable(metric + o["threshold"]) < variable(best)
        else:
            good = variable(metric - o["threshold"]) > variable(best)
        if good:
            best, wait = metric, 0
        elif not pause:
            wait += 1
            if wait >= o["patience"] and f32(lr) > f32(o["min_lr"]):
                lr = variable(max(lr * o["factor"], o["min_lr"]))
                pause, wait = o["cooldown"], 0
        rates.append(lr)
    return rates


def optax(metrics: list[float], start: float, o: dict[str, Any]) -> list[float]:
    array = f32 if o["precision"] == "float32" else float
    best, scale, bad, pause, rates = math.inf, 1.0, 0, 0, []
    mean, terms = 0.0, 0
    for metric in metrics:
        mean = array(array(array(terms * mean) + array(metric)) / (terms + 1))
        terms += 1
        if terms == o["accumulate"]:
            bar = array(array(array(1 - o["threshold"]) * best) - array(o["atol"]))
            bad += 1
            if mean < bar:
                best, bad = mean, 0
            if pause:
                pause, bad = pause - 1, 0
            else:
                if bad == o["patience"]:
                    scale = array(scale * array(o["factor"]))
                    pause, bad = o["cooldown"], 0
                scale = max(scale, array(o["min_scale"]))
            mean, terms = 0.0, 0
        rates.append(start * scale)
    return rates


def transformers(metrics: list[float], start: float, o: dict[str, Any]) -> list[float]:
    lr, best, good, bad, pause, rest, resets = start, worst(o["mode"]), 0, 0, 0, 0, o["reset_start"]
    window: list[float] = []
    total, rates = 0.0, []
    for metric in metrics:
        if o["window"]:
            window.append(metric)
            total += metric
            if len(window) > o["window"]:
                total -= window.pop(0)
            metric = total / len(window)
        if pause:
            pause, good, bad = pause - 1, 0, 0
        elif rest:
            rest, good, bad = rest - 1, 0, 0
        else:
            if beats(metric, best, o):
                best, good, bad = metric, good + 1, 0
            else:
                good, bad = 0, bad + 1
            if good > o["patience"]:
                raised = min(lr / o["factor"], o["max_lr"])
                if raised - lr > o["eps"]:
                    lr = raised
                rest, good, resets = o["warmup"], 0, o["reset_start"]
            elif bad > o["patience"]:
                lowered = max(lr * o["factor"], o["min_lr"])
                if lr - lowered > o["eps"]:
                    lr = lowered
                if lr <= o["min_lr"]:
                    resets -= 1
                    if resets <= 0:
                        lr, best, good, rest, resets = start, worst(o["mode"]), 0, 0, o["reset_start"]
                        window, total = [], 0.0
                pause, bad = o["cooldown"], 0
        rates.append(lr)
    return rates


def paddle(metrics: list[float], lr: float, o: dict[str, Any]) -> list[float]:
    best, bad, pause, rates = None, 0, 0, []
    sign = -1.0 if o["mode"] == "max" else 1.0
    for metric in metrics:
        if pause:
            pause -= 1
        else:
            if best is None:
                good = True
            else:
                bar = best - sign * (best * o["threshold"] if o["threshold_mode"] == "rel" else o["threshold"])
                good = metric > bar if o["mode"] == "max" else metric < bar
            best, bad = (metric, 0) if good else (best, bad + 1)
            if bad > o["patience"]:
                pause, bad = o["cooldown"], 0
                lower = max(lr * o["factor"], o["min_lr"])
                if lr - lower > o["eps"]:
                    lr = lower
        rates.append(lr)
    return rates


def speechbrain(metrics: list[float], lr: float, o: dict[str, Any]) -> list[float]:
    before, left, rates = None, o["patience"], []
    for metric in metrics:
        if before is not None:
            improvement = 0.0 if before == 0 else (before - metric) / before
            if improvement < o["threshold"]:
                if left:
                    left -= 1
                else:
                    lr, left = lr * o["factor"], o["patience"]
        before = metric
        rates.append(lr)
    return rates


def speechbrain_plateau(metrics: list[float], lr: float, o: dict[str, Any]) -> list[float]:
    best, bad, rates = 99999.0, 0, []
    for epoch, metric in enumerate(metrics, 1):
        if epoch <= o["warmup"]:
            best = metric
        elif metric <= best:
            best, bad = metric, 0
        elif metric > best and bad < o["patience"]:
            bad += 1
        else:
            lr, bad = lr * o["factor"], 0
        if o["min_lr"] > lr:
            lr = o["min_lr"]
        rates.append(lr)
    return rates


def kl_adaptive(metrics: Any, lr: float, dialect: str, **options: Any) -> np.ndarray:
    """The learning rates of one run."""
    o = KL[dialect] | options
    tensor = f32 if o["precision"] == "float32" else float
    high, low, rates = tensor(o["threshold"] * o["kl_factor"]), tensor(o["threshold"] / o["kl_factor"]), []
    for metric in metrics:
        if metric > high:
            lr = max(lr / o["lr_factor"], o["min_lr"])
        elif metric < low and (dialect == "skrl" or metric > 0.0):
            lr = min(lr * o["lr_factor"], o["max_lr"])
        rates.append(lr)
    return np.array(rates, float)


RULES = {
    "torch": torch_like,
    "mmengine": mmengine,
    "timm": timm,
    "keras": keras,
    "optax": optax,
    "transformers": transformers,
    "paddle": paddle,
    "speechbrain": speechbrain,
    "speechbrain_plateau": speechbrain_plateau,
}


def plateau(metrics: Any, start: float, dialect: str, **options: Any) -> np.ndarray:
    """The learning rates of one run."""
    o = DEFAULTS[dialect] | {name: value for name, value in options.items() if value is not None}
    return np.array(RULES[dialect]([float(one) for one in metrics], start, o), float)


def refined(norms: list[float], power: int, reach: int) -> list[Fraction]:
    """Exact values of the refined schedule, its largest 1."""
    n = len(norms)

    def at(i: int) -> float:
        return norms[0] if i < 0 else norms[i] if i < n else norms[2 * n - 2 - i]

    smooth = [Fraction(median([at(i) for i in range(t - reach, t + reach + 1)])) for t in range(n)]
    weights = [1 / one**power for one in smooth]
    shape = [weights[t] * sum(weights[t + 1 :], Fraction(0)) for t in range(n)]
    return [one / max(shape) for one in shape]

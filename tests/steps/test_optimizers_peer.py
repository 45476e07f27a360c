"""Every optimizer over 100 random steps against torch, and against optax for what torch lacks.

Peers round in other places (they do not fuse, they interpolate instead of adding two products, optax computes scalars in
float32), so values drift apart. How far they may is computed along with the steps: `Near` is a number and how far from it
either of the two can be by now, each operation of either adding half a ULP to what its operands bring.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lrkern as lk

pytestmark = pytest.mark.peers

Array = np.ndarray[Any, Any]

SIZES = (64, 1, 17)
STEPS = 100


class Near:
    """A number in float64, and a bound on the distance of what either side has for it."""

    unit = 0.0  # half a ULP of 1, and as much again for what is neglected here: float64's own rounding, products of errors

    def __init__(self, value: Any, error: Any = 0.0) -> None:
        self.value, self.error = np.asarray(value, float), np.asarray(error, float)

    @classmethod
    def rounded(cls, value: Any, error: Any = 0.0) -> Near:
        return cls(value, error + cls.unit * np.abs(value))

    def __add__(self, other: Near) -> Near:
        return Near.rounded(self.value + other.value, self.error + other.error)

    def __sub__(self, other: Near) -> Near:
        return Near.rounded(self.value - other.value, self.error + other.error)

    def __mul__(self, other: Near) -> Near:
        error = np.abs(self.value) * other.error + (np.abs(other.value) + other.error) * self.error
        return Near.rounded(self.value * other.value, error)

    def __truediv__(self, other: Near) -> Near:
        value = self.value / other.value
        return Near.rounded(value, (self.error + np.abs(value) * other.error) / (np.abs(other.value) - other.error))

    def sqrt(self) -> Near:
        root = np.sqrt(self.value)
        slope = root + np.sqrt(np.maximum(self.value - self.error, 0))
        return Near.rounded(root, self.error / np.maximum(slope, 1e-300))

    def larger(self, other: Near) -> Near:
        return Near(np.maximum(self.value, other.value), np.maximum(self.error, other.error))

    def sign(self) -> Near:
        """Off by 2 where either side may have it wrong."""
        return Near(np.sign(self.value), np.where(np.abs(self.value) <= self.error, 2.0, 0.0))

    def mixed(self, weight: float, other: Near) -> Near:
        """(1 - weight) self + weight other, or self + weight (other - self)."""
        both = number(1 - weight) * self + number(weight) * other
        return Near(both.value, both.error + Near.unit * (np.abs(self.value) + np.abs(other.value)))

    def norm(self) -> Near:
        """Sums are rounded in any order."""
        value = np.sqrt(np.sum(self.value**2))
        return Near.rounded(value, np.sqrt(np.sum(self.error**2)) + self.value.size * Near.unit * value)


def number(x: float) -> Near:
    """A scalar, rounded on both sides."""
    return Near.rounded(x)


class Tensor:
    """What both sides compute, of one tensor: rules by their formulas."""

    def __init__(self, p: Array, start: float = 0.0) -> None:
        self.p = Near(p)
        self.m, self.b, self.z = (Near(np.zeros(p.shape)) for _ in range(3))
        self.v = Near(np.full(p.shape, start))
        self.n = 0
        self.powers = [Near(1.0), Near(1.0)]

    def step(self, rule: Callable[..., Near], g: Array, o: dict[str, Any]) -> None:
        self.n += 1
        d = Near(-g if o.get("maximize") else g)
        decay = o.get("weight_decay", 0.0)
        if decay and rule in (adam, sgd, rmsprop, adagrad, lars) and not o.get("decoupled"):
            d = d + number(decay) * self.p
        if o.get("decoupled"):  # lrkern has it in the step, whose product below is rounded, too
            self.p = self.p * number(1 - o["lr"] * decay)
        self.p = self.p - rule(self, d, o)

    def corrected(self, k: int, beta: float, in_float32: bool) -> Near:
        """1 - beta^n; some compute it in float32."""
        if not in_float32:
            return Near(1 - beta**self.n)
        self.powers[k] = self.powers[k] * number(beta)
        return Near(1.0) - self.powers[k]


def sgd(self: Tensor, d: Near, o: dict[str, Any]) -> Near:
    if o.get("momentum"):
        fresh = number(1 - o.get("dampening", 0.0)) * d
        self.b = d if self.n == 1 else number(o["momentum"]) * self.b + fresh
        d = d + number(o["momentum"]) * self.b if o.get("nesterov") else self.b
    return number(o["lr"]) * d


def adam_direction(self: Tensor, d: Near, o: dict[str, Any]) -> Near:
    beta1, beta2 = o["beta1"], o["beta2"]
    self.m = self.m.mixed(1 - beta1, d)
    self.v = number(beta2) * self.v + number(1 - beta2) * d * d
    y = self.v
    if o.get("amsgrad"):
        y = self.z = self.z.larger(self.v)
    c1, c2 = (self.corrected(k, beta, o.get("in_float32", False)) for k, beta in enumerate((beta1, beta2)))
    y = y / c2
    root = (y + number(o["eps"])).sqrt() if o.get("eps_inside") else y.sqrt() + number(o["eps"])
    return (self.m / c1) / root


def adam(self: Tensor, d: Near, o: dict[str, Any]) -> Near:
    return number(o["lr"]) * adam_direction(self, d, o)


def lion(self: Tensor, d: Near, o: dict[str, Any]) -> Near:
    u = self.m.mixed(1 - o["beta1"], d).sign()
    self.m = self.m.mixed(1 - o["beta2"], d)
    return number(o["lr"]) * u


def root_of(y: Near, o: dict[str, Any]) -> Near:
    return (y + number(o["eps"])).sqrt() if o.get("eps_inside") else y.sqrt() + number(o["eps"])


def rmsprop(self: Tensor, d: Near, o: dict[str, Any]) -> Near:
    y = self.v = number(o["alpha"]) * self.v + number(1 - o["alpha"]) * d * d
    if o.get("centered"):
        self.m = self.m.mixed(1 - o["alpha"], d)
        y = self.v - self.m * self.m
    q = d / root_of(y, o)
    lr = number(o["lr"])
    if not o.get("momentum"):
        return lr * q
    if o.get("convention") == "keras":
        self.b = number(o["momentum"]) * self.b + lr * q
        return self.b
    self.b = number(o["momentum"]) * self.b + q
    return lr * self.b


def adagrad(self: Tensor, d: Near, o: dict[str, Any]) -> Near:
    self.v = self.v + d * d
    return number(o["lr"] / (1 + (self.n - 1) * o.get("lr_decay", 0.0))) * (d / root_of(self.v, o))


def lars(self: Tensor, d: Near, o: dict[str, Any]) -> Near:
    ratio = number(o["trust"]) * self.p.norm() / (d.norm() + number(o["eps"]))
    x = number(o["lr"]) * ratio * d
    self.b = number(o["momentum"]) * self.b + x
    return x + number(o["momentum"]) * self.b if o.get("nesterov") else self.b


def lamb(self: Tensor, d: Near, o: dict[str, Any]) -> Near:
    u = adam_direction(self, d, o) + number(o["weight_decay"]) * self.p
    return number(o["lr"]) * (self.p.norm() / u.norm()) * u


# Optimizer, its rule, options.
Case = tuple[str, Callable[..., Near], dict[str, Any]]
ADAM = {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3}
TORCH: list[Case] = [
    ("SGD", sgd, {"lr": 0.1}),
    ("SGD", sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", sgd, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True}),
    ("Adam", adam, ADAM),
    ("Adam", adam, {**ADAM, "weight_decay": 0.1, "amsgrad": True, "maximize": True}),
    ("AdamW", adam, {**ADAM, "weight_decay": 0.1, "decoupled": True}),
    ("AdamW", adam, {**ADAM, "weight_decay": 0.1, "decoupled": True, "amsgrad": True}),
    ("RMSprop", rmsprop, {"lr": 0.01, "alpha": 0.9, "eps": 1e-3}),
    ("RMSprop", rmsprop, {"lr": 0.01, "alpha": 0.9, "eps": 1e-2, "centered": True, "momentum": 0.5, "weight_decay": 0.1}),
    ("Adagrad", adagrad, {"lr": 0.1, "eps": 1e-3}),
    ("Adagrad", adagrad, {"lr": 0.1, "eps": 1e-3, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator": 0.5}),
]
OPTAX: list[Case] = [
    ("SGD", sgd, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "convention": "zero-init"}),
    ("Adam", adam, {**ADAM, "eps_inside": True}),
    ("AdamW", adam, {**ADAM, "weight_decay": 0.1, "decoupled": True}),
    ("Lion", lion, {"lr": 0.01, "beta1": 0.9, "beta2": 0.99, "weight_decay": 0.1, "decoupled": True}),
    ("RMSprop", rmsprop, {"lr": 0.01, "alpha": 0.9, "eps": 1e-3, "eps_inside": True, "momentum": 0.5, "convention": "keras"}),
    ("RMSprop", rmsprop, {"lr": 0.01, "alpha": 0.9, "eps": 1e-2, "eps_inside": True, "centered": True}),
    ("Adagrad", adagrad, {"lr": 0.1, "eps": 1e-3, "eps_inside": True, "initial_accumulator": 0.5}),
    ("LARS", lars, {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.01, "trust": 0.1, "eps": 1e-3, "convention": "optax"}),
    ("LARS", lars, {"lr": 0.05, "momentum": 0.5, "trust": 0.1, "eps": 0.0, "nesterov": True, "convention": "optax"}),
    ("LAMB", lamb, {**ADAM, "weight_decay": 0.1}),
]


def follow(
    case: Case, dtype: str, start: list[Array], peer: Callable[[list[Array]], list[Array]], loosely: bool = False
) -> None:
    """Take the steps, with `peer` giving the parameters after each."""
    name, rule, options = case
    Near.unit = float(np.finfo(dtype).eps)
    ours = [one.copy() for one in start]
    own = {key: value for key, value in options.items() if key not in ("decoupled", "initial_accumulator")}
    accumulator = {"initial_accumulator": options["initial_accumulator"]} if "initial_accumulator" in options else {}
    opt = getattr(lk, name)(ours, **own, **accumulator)
    tensors = [Tensor(one, options.get("initial_accumulator", 0.0)) for one in start]
    rng = np.random.default_rng(7)
    for step in range(STEPS):
        grads = [np.asarray(rng.standard_normal(one.shape), dtype) for one in start]
        before = [one.copy() for one in ours]
        opt.step(grads)
        theirs = peer(grads)
        for k, (tensor, p, other) in enumerate(zip(tensors, ours, theirs, strict=True)):
            tensor.step(rule, grads[k], options | {"in_float32": loosely})
            assert np.mean(p != before[k]) > 0.9, "the step has done nothing"
            distance = np.abs(p.astype(float) - other)
            assert np.all(distance <= 2 * tensor.p.error), (
                f"step {step}: {np.max(distance / (2 * tensor.p.error))} times the bound"
            )
    # The bound says something: it is small against the way that the parameters have gone.
    errors = np.concatenate([2 * tensor.p.error for tensor in tensors])
    way = np.mean(np.abs(np.concatenate(ours) - np.concatenate(start)))
    assert np.median(errors) < way * (0.05 if loosely else 2e-3 if dtype == "f4" else 1e-11)


def start_of(dtype: str) -> list[Array]:
    rng = np.random.default_rng(6)
    return [(1 + rng.random(n)).astype(dtype) for n in SIZES]


@pytest.mark.parametrize("mode", ["loop", "foreach", "fused"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("case", TORCH, ids=lambda case: f"{case[0]}-{case[2]}")
def test_torch(case: Case, dtype: str, mode: str) -> None:
    torch = pytest.importorskip("torch")
    name, _, options = case
    if mode == "fused" and name == "RMSprop":
        pytest.skip("torch has no such")
    start = start_of(dtype)
    parameters = [torch.nn.Parameter(torch.from_numpy(one.copy())) for one in start]
    taken = {key: value for key, value in options.items() if key not in ("beta1", "beta2", "decoupled", "initial_accumulator")}
    if "beta1" in options:
        taken["betas"] = options["beta1"], options["beta2"]
    if "initial_accumulator" in options:
        taken["initial_accumulator_value"] = options["initial_accumulator"]
    if mode != "loop":
        taken[mode] = True
    else:
        taken["foreach"] = False
    optimizer = getattr(torch.optim, name)(parameters, **taken)

    def peer(grads: list[Array]) -> list[Array]:
        for parameter, g in zip(parameters, grads, strict=True):
            parameter.grad = torch.from_numpy(g.copy())
        optimizer.step()
        return [one.detach().numpy() for one in parameters]

    follow(case, dtype, start, peer)


def optax_optimizer(optax: Any, name: str, o: dict[str, Any]) -> Any:
    lr, decay = o["lr"], o.get("weight_decay", 0.0)
    if name == "SGD":
        return optax.sgd(lr, momentum=o["momentum"], nesterov=o["nesterov"])
    if name == "Adam":
        return optax.adam(lr, b1=o["beta1"], b2=o["beta2"], eps=0.0, eps_root=o["eps"])
    if name == "AdamW":
        return optax.adamw(lr, b1=o["beta1"], b2=o["beta2"], eps=o["eps"], weight_decay=decay)
    if name == "Lion":
        return optax.lion(lr, b1=o["beta1"], b2=o["beta2"], weight_decay=decay)
    if name == "RMSprop":
        return optax.rmsprop(lr, decay=o["alpha"], eps=o["eps"], centered=o.get("centered", False), momentum=o.get("momentum"))
    if name == "Adagrad":
        return optax.adagrad(lr, initial_accumulator_value=o["initial_accumulator"], eps=o["eps"])
    if name == "LARS":
        named = {"weight_decay": decay, "trust_coefficient": o["trust"], "eps": o["eps"], "momentum": o["momentum"]}
        return optax.lars(lr, **named, nesterov=o.get("nesterov", False))
    return optax.lamb(lr, b1=o["beta1"], b2=o["beta2"], eps=o["eps"], weight_decay=decay)


@pytest.mark.parametrize("case", OPTAX, ids=lambda case: f"{case[0]}-{case[2]}")
def test_optax(case: Case) -> None:
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    name, _, options = case
    optimizer = optax_optimizer(optax, name, options)
    start = start_of("f4")
    params = [jax.numpy.asarray(one) for one in start]
    state = optimizer.init(params)

    def advance(params: Any, state: Any, grads: Any) -> Any:
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    jitted = jax.jit(advance)

    def peer(grads: list[Array]) -> list[Array]:
        nonlocal params, state
        params, state = jitted(params, state, grads)
        return [np.asarray(one) for one in params]

    follow(case, "f4", start, peer, loosely=True)


def test_every_optimizer_has_a_peer() -> None:
    optimizers = {
        one for one in lk.__all__ if isinstance(getattr(lk, one), type) and issubclass(getattr(lk, one), lk.Optimizer)
    }
    of_papers = {
        "ADOPT", "ASGD", "AdEMAMix", "AdaBelief", "Adadelta", "Adamax", "Adan", "LaProp", "MARS", "NAdam", "NovoGrad", "RAdam",
        "Rprop", "ScheduleFreeAdamW", "ScheduleFreeRAdam", "ScheduleFreeSGD", "Signum", "StableAdamW", "Tiger",
    }  # fmt: skip
    assert {case[0] for case in TORCH + OPTAX} == optimizers - {"Optimizer"} - of_papers  # see test_implementations_peer.py

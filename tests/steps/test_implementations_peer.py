"""Every optimizer over 200 steps of random gradients and 200 of real ones, against each package that has it.

The real gradients are those of a softmax regression on handwritten digits, at lrkern's own parameters. Some of its pixels
are always white, so some gradients are always 0. What the packages do differently is in docs/implementations.md, whose
numbers test_deviations_peer.py computes; here their options are chosen so that the formulas are the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import implementations as packages
import numpy as np
import pytest
from implementations import Array, Maker, installed

import lrkern as lk

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]
NO_DEPS = "timm pytorch-optimizer lion-pytorch bitsandbytes adabelief-pytorch torch-optimi schedulefree"

STEPS = 200


class Case(NamedTuple):
    name: str
    package: str
    options: dict[str, Any]
    peer: Callable[[], Maker]
    single: float = 1e-6
    """Bound of the difference in float32, relative to the largest parameter of the tensor."""
    double: float = 1e-12
    """The same in float64; 0 if the package computes in float32."""
    why: str = ""
    """Why these two are larger than that."""

    @property
    def decays_apart(self) -> bool:
        """Whether its weight decay is decoupled, a factor 1 - lr weight_decay (optax adds it to the direction, as lrkern)."""
        always = ("AdamW", "Lion", "Signum", "Tiger", "AdaBelief", "LaProp", "AdEMAMix", "Adan", "StableAdamW", "MARS")
        return self.package != "optax" and "weight_decay" in self.options and self.options.get("decoupled", self.name in always)

    def bound(self, dtype: str) -> float:
        """In float32 that factor is off by up to 3e-8, in the same direction at each of the steps."""
        return self.double if dtype == "f8" else max(self.single, STEPS * 6e-8) if self.decays_apart else self.single


def torch(name: str, options: dict[str, Any], theirs: dict[str, Any] | None = None, **bounds: Any) -> Case:
    given = options if theirs is None else theirs
    return Case(
        name,
        "torch",
        options,
        lambda: packages.of_torch(getattr(installed("torch").optim, name), foreach=False, **given),
        **bounds,
    )


def optax(name: str, options: dict[str, Any], alias: str, *args: Any, why: str = "", **theirs: Any) -> Case:
    def peer() -> Maker:
        module: Any = installed("optax")
        for part in alias.split("."):
            module = getattr(module, part)
        return packages.of_optax(module, *args, **theirs)

    return Case(name, "optax", options, peer, why=why)


def keras(name: str, options: dict[str, Any], cls: str, *args: Any, **theirs: Any) -> Case:
    return Case(name, "keras", options, lambda: packages.of_keras(getattr(installed("keras").optimizers, cls), *args, **theirs))


def timm(
    name: str, options: dict[str, Any], module: str, cls: str, bounds: dict[str, Any] | None = None, **theirs: Any
) -> Case:
    return Case(
        name,
        "timm",
        options,
        lambda: packages.of_torch(getattr(packages.timm(module), cls), **theirs),
        **(bounds or {}),
    )


def kozistr(name: str, options: dict[str, Any], cls: str, bounds: dict[str, Any] | None = None, **theirs: Any) -> Case:
    return Case(
        name,
        "pytorch_optimizer",
        options,
        lambda: packages.of_torch(getattr(installed("pytorch_optimizer"), cls), **theirs),
        **(bounds or {}),
    )


def bitsandbytes(name: str, options: dict[str, Any], cls: str, **theirs: Any) -> Case:
    return Case(
        name,
        "bitsandbytes",
        options,
        lambda: packages.of_torch(getattr(installed("bitsandbytes").optim, cls), **theirs),
        double=0.0,
        why="it computes in float32",
    )


def optimi(name: str, options: dict[str, Any], cls: str, **theirs: Any) -> Case:
    return Case(
        name,
        "optimi",
        options,
        lambda: packages.of_torch(getattr(installed("optimi"), cls), foreach=False, triton=False, **theirs),
    )


def schedule_free(name: str, options: dict[str, Any], **theirs: Any) -> Case:
    """Of the authors of schedule-free optimizers."""
    cls = f"{name.removeprefix('ScheduleFree')}ScheduleFree"

    def peer() -> Maker:
        return packages.of_torch(getattr(installed("schedulefree"), cls), foreach=False, **theirs)

    return Case(name, "schedulefree", options, peer)


def betas(options: dict[str, Any]) -> dict[str, Any]:
    """The same with beta1, beta2, ... as a tuple."""
    names = sorted(key for key in options if key.startswith("beta") and key != "beta")
    return {key: value for key, value in options.items() if key not in names} | {"betas": tuple(options[k] for k in names)}


ADAM = {"lr": 1e-2, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8}
DECAY = {"weight_decay": 0.1}
B = {"b1": 0.9, "b2": 0.99, "eps": 1e-8}
ADAN = {"lr": 1e-2, "beta1": 0.98, "beta2": 0.92, "beta3": 0.99, "eps": 1e-8}
SLOW = {"lr": 3e-4, "beta1": 0.9, "beta2": 0.99, "beta3": 0.999, "alpha": 5.0, "eps": 1e-8}
LION = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.99}
NADAM = {"lr": 1e-2, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3, "momentum_decay": 0.01}
MARS = {"lr": 1e-2, "beta1": 0.9, "beta2": 0.99, "eps": 1e-30}
NEAR = {"single": 1e-3, "double": 1e-3, "why": "it adds 1e-15 to averages of squares"}
LARS = {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.01, "trust": 0.02, "eps": 1e-8}


def alpha_of(t: int) -> float:
    """AdEMAMix's paper: alpha rises from 0 in 150 steps."""
    return min((t + 1) / 150, 1.0) * 5.0


def beta3_of(t: int) -> float:
    """The half-life of the slow average rises from that of beta1 to that of beta3."""
    part, first, last = (t + 1) / 150, math.log(0.9), math.log(0.999)
    return min(math.exp(first * last / ((1 - part) * last + part * first)), 0.999)


warm = lk.constant(1e-2).warmup(49, start=2e-4)
"""As the authors of schedule-free optimizers do it."""


CASES: list[Case] = [
    # SGD
    torch("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    torch("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5, "maximize": True}),
    optax("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "convention": "zero-init"}, "sgd", 0.1, 0.9, nesterov=True),
    keras("SGD", {"lr": 0.1}, "SGD", 0.1),
    keras("SGD", {"lr": 0.1, "momentum": 0.9, "convention": "keras"}, "SGD", 0.1, 0.9),
    keras(
        "SGD",
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "convention": "keras", "weight_decay": 0.1, "decoupled": True},
        "SGD", 0.1, 0.9, nesterov=True, weight_decay=0.1,
    ),
    timm(
        "SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "decoupled": True},
        "sgdw", "SGDW", lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1,
    ),
    kozistr(
        "SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "decoupled": True},
        "SGDW", lr=0.1, momentum=0.9, weight_decay=0.1,
    ),
    bitsandbytes("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}, "SGD32bit", lr=0.1, momentum=0.9, weight_decay=0.1),
    optimi("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}, "SGD", lr=0.1, momentum=0.9, weight_decay=0.1),
    # Adam and AdamW
    torch("Adam", ADAM, betas(ADAM)),
    torch("Adam", ADAM | DECAY | {"amsgrad": True}, betas(ADAM | DECAY | {"amsgrad": True})),
    torch("AdamW", ADAM | DECAY, betas(ADAM | DECAY)),
    torch("AdamW", ADAM | DECAY | {"amsgrad": True}, betas(ADAM | DECAY | {"amsgrad": True})),
    optax("Adam", ADAM, "adam", 1e-2, **B),
    optax("Adam", ADAM | {"eps_inside": True}, "adam", 1e-2, b1=0.9, b2=0.99, eps=0.0, eps_root=1e-8),
    optax("AdamW", ADAM | DECAY, "adamw", 1e-2, **B, **DECAY),
    optax("Adam", ADAM | {"amsgrad": True, "convention": "optax"}, "amsgrad", 1e-2, **B),
    optax("Adam", ADAM | {"amsgrad": True, "convention": "optax", "eps_inside": True}, "amsgrad", 1e-2, b1=0.9, b2=0.99,
          eps=0.0, eps_root=1e-8),
    keras("Adam", ADAM | {"convention": "keras"}, "Adam", 1e-2, 0.9, 0.99, 1e-8),
    keras("Adam", ADAM | {"convention": "keras", "amsgrad": True}, "Adam", 1e-2, 0.9, 0.99, 1e-8, amsgrad=True),
    keras("AdamW", ADAM | DECAY | {"convention": "keras"}, "AdamW", 1e-2, 0.1, 0.9, 0.99, 1e-8),
    timm("AdamW", ADAM | DECAY, "adamw", "AdamWLegacy", **betas(ADAM | DECAY)),
    timm("AdamW", ADAM | {"amsgrad": True} | DECAY, "adamw", "AdamWLegacy", **betas(ADAM | DECAY), amsgrad=True),
    bitsandbytes("AdamW", ADAM | DECAY, "AdamW32bit", **betas(ADAM | DECAY)),
    optimi("Adam", ADAM | DECAY, "Adam", **betas(ADAM | DECAY)),
    optimi("AdamW", ADAM | DECAY, "AdamW", **betas(ADAM | DECAY)),
    # Lion
    optax("Lion", LION | DECAY, "lion", 1e-3, b1=0.9, b2=0.99, **DECAY),
    keras("Lion", LION | DECAY, "Lion", 1e-3, 0.9, 0.99, **DECAY),
    timm("Lion", LION | DECAY, "lion", "Lion", **betas(LION | DECAY)),
    kozistr("Lion", LION | DECAY, "Lion", **betas(LION | DECAY)),
    Case(
        "Lion", "lion_pytorch", LION | DECAY,
        lambda: packages.of_torch(installed("lion_pytorch").Lion, **betas(LION | DECAY)),
    ),
    bitsandbytes("Lion", LION | DECAY, "Lion32bit", **betas(LION | DECAY)),
    optimi("Lion", LION | DECAY, "Lion", **betas(LION | DECAY)),
    # RMSprop
    torch("RMSprop", {"lr": 1e-2, "alpha": 0.9, "eps": 1e-2, "momentum": 0.5, "weight_decay": 0.1}),
    torch("RMSprop", {"lr": 1e-2, "alpha": 0.9, "eps": 1e-2, "centered": True}, single=3e-6, why="differences of averages"),
    optax(
        "RMSprop", {"lr": 1e-2, "alpha": 0.9, "eps": 1e-8, "eps_inside": True, "momentum": 0.5, "convention": "keras"},
        "rmsprop", 1e-2, 0.9, 1e-8, momentum=0.5,
    ),
    optax("RMSprop", {"lr": 1e-2, "alpha": 0.9, "eps": 1e-8}, "rmsprop", 1e-2, 0.9, 1e-8, eps_in_sqrt=False),
    keras(
        "RMSprop", {"lr": 1e-2, "alpha": 0.9, "eps": 1e-6, "eps_inside": True, "momentum": 0.5, "convention": "keras"},
        "RMSprop", 1e-2, 0.9, 0.5, 1e-6,
    ),
    keras("RMSprop", {"lr": 1e-2, "alpha": 0.9, "eps": 1e-2, "eps_inside": True, "centered": True}, "RMSprop", 1e-2, 0.9, 0.0,
          1e-2, centered=True),
    keras("RMSprop", {"lr": 1e-2, "alpha": 0.9, "eps": 1e-6, "eps_inside": True, "decoupled": True} | DECAY, "RMSprop", 1e-2,
          0.9, 0.0, 1e-6, **DECAY),
    bitsandbytes("RMSprop", {"lr": 1e-2, "alpha": 0.9, "eps": 1e-8, "weight_decay": 0.1}, "RMSprop32bit", lr=1e-2, alpha=0.9,
                 eps=1e-8, weight_decay=0.1),
    # Adagrad
    torch("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1}),
    optax("Adagrad", {"lr": 0.1, "eps": 1e-7, "eps_inside": True, "initial_accumulator": 0.1}, "adagrad", 0.1),
    keras("Adagrad", {"lr": 0.1, "eps": 1e-7, "eps_inside": True, "initial_accumulator": 0.1}, "Adagrad", 0.1),
    keras("Adagrad", {"lr": 0.1, "eps": 1e-7, "eps_inside": True, "initial_accumulator": 0.1, "decoupled": True} | DECAY,
          "Adagrad", 0.1, **DECAY),
    bitsandbytes("Adagrad", {"lr": 0.1, "weight_decay": 0.1}, "Adagrad32bit", lr=0.1, weight_decay=0.1),
    # LARS and LAMB
    timm("LARS", LARS | {"convention": "paper"}, "lars", "Lars", lr=0.5, momentum=0.9, weight_decay=0.01, trust_coeff=0.02),
    optax("LARS", LARS | {"convention": "optax"}, "lars", 0.5, 0.01, trust_coefficient=0.02, eps=1e-8, momentum=0.9),
    timm("LARS", LARS | {"convention": "apex", "nesterov": True}, "lars", "Lars", lr=0.5, momentum=0.9, weight_decay=0.01,
         trust_coeff=0.02, nesterov=True),
    timm("LARS", LARS | {"convention": "apex", "trust_clip": True}, "lars", "Lars", lr=0.5, momentum=0.9, weight_decay=0.01,
         trust_coeff=0.02, trust_clip=True),
    optax("LAMB", ADAM | DECAY, "lamb", 1e-2, **B, **DECAY),
    keras("LAMB", ADAM, "Lamb", 1e-2, 0.9, 0.99, 1e-8)._replace(single=3e-6, why="bias corrections in float32"),
    keras("LAMB", ADAM | DECAY | {"convention": "keras"}, "Lamb", 1e-2, 0.9, 0.99, 1e-8, **DECAY)._replace(
        single=3e-6, why="bias corrections in float32"
    ),
    timm("LAMB", ADAM | DECAY, "lamb", "Lamb", **betas(ADAM | DECAY), max_grad_norm=None),
    timm("LAMB", ADAM | {"bias_correction": False}, "lamb", "Lamb", **betas(ADAM), weight_decay=0.0, max_grad_norm=None,
         always_adapt=True, bias_correction=False),
    # Signs
    optax("Signum", {"lr": 1e-3, "beta": 0.9}, "signum", 1e-3, 0.9),
    optax("Signum", {"lr": 1e-3, "beta": 0.0}, "sign_sgd", 1e-3),
    kozistr("Signum", {"lr": 1e-3, "beta": 0.9, "weight_decay": 0.1}, "SignSGD", lr=1e-3, momentum=0.9, weight_decay=0.1),
    kozistr("Signum", {"lr": 1e-3, "beta": 0.9, "weight_decay": 0.1, "decoupled": False}, "SignSGD", lr=1e-3, momentum=0.9,
            weight_decay=0.1, weight_decouple=False),
    kozistr("Tiger", {"lr": 1e-3, "beta": 0.965, "weight_decay": 0.1}, "Tiger", lr=1e-3, beta=0.965, weight_decay=0.1),
    torch("Rprop", {"lr": 1e-2}),
    torch("Rprop", {"lr": 1e-1, "maximize": True}),
    # Relatives of Adam
    optax("AdaBelief", ADAM | {"eps": 1e-10}, "adabelief", 1e-2, 0.9, 0.99, 1e-10, 1e-10),
    timm("AdaBelief", ADAM | DECAY, "adabelief", "AdaBelief", **betas(ADAM | DECAY), rectify=False),
    kozistr("AdaBelief", ADAM | DECAY, "AdaBelief", **betas(ADAM | DECAY)),
    kozistr("AdaBelief", ADAM | DECAY | {"decoupled": False}, "AdaBelief", **betas(ADAM | DECAY), weight_decouple=False),
    Case(
        "AdaBelief", "adabelief_pytorch", ADAM | DECAY,
        lambda: packages.of_torch(packages.adabelief().AdaBelief, **betas(ADAM | DECAY), rectify=False, print_change_log=False),
    ),
    timm("AdaBelief", ADAM | DECAY | {"amsgrad": True}, "adabelief", "AdaBelief", **betas(ADAM | DECAY), rectify=False,
         amsgrad=True),
    kozistr("AdaBelief", ADAM | DECAY | {"amsgrad": True}, "AdaBelief", NEAR, **betas(ADAM | DECAY), ams_bound=True),
    Case(
        "AdaBelief", "adabelief_pytorch", ADAM | DECAY | {"amsgrad": True},
        lambda: packages.of_torch(packages.adabelief().AdaBelief, **betas(ADAM | DECAY), rectify=False, amsgrad=True,
                                  print_change_log=False),
    ),
    torch("Adamax", ADAM | DECAY | {"maximize": True}, betas(ADAM | DECAY | {"maximize": True})),
    optax("Adamax", ADAM, "adamax", 1e-2, **B),
    optax("Adamax", ADAM | DECAY | {"decoupled": True}, "adamaxw", 1e-2, **B, **DECAY),
    kozistr("Adamax", ADAM | DECAY, "AdaMax", **betas(ADAM | DECAY)),
    torch("RAdam", ADAM | DECAY, betas(ADAM | DECAY)),
    torch("RAdam", ADAM | DECAY | {"decoupled": True}, betas(ADAM | DECAY | {"decoupled_weight_decay": True})),
    optax("RAdam", ADAM | {"eps": 1e-30}, "radam", 1e-2, 0.9, 0.99, 1e-30),
    timm("RAdam", ADAM | DECAY | {"decoupled": True}, "radam", "RAdamLegacy", {"double": 0.0, "why": "it computes in float32"},
         **betas(ADAM | DECAY)),
    kozistr("RAdam", ADAM | DECAY | {"decoupled": True}, "RAdam", **betas(ADAM | DECAY), weight_decouple=True,
            degenerated_to_sgd=True),
    optimi("RAdam", ADAM | DECAY | {"eps": 1e-30}, "RAdam", **betas(ADAM | DECAY | {"eps": 1e-30})),
    timm("LaProp", ADAM, "laprop", "LaProp", {"double": 1e-6, "why": "its bias correction is in float32"}, **betas(ADAM)),
    kozistr("LaProp", MARS | {"amsgrad": True}, "LaProp", NEAR, **betas(MARS), ams_bound=True),
    optax("ADOPT", ADAM, "contrib.adopt", 1e-2, **B),
    timm("ADOPT", ADAM | DECAY, "adopt", "Adopt", **betas(ADAM | DECAY), clip_exp=0.25),
    timm("ADOPT", ADAM | DECAY | {"decoupled": True}, "adopt", "Adopt", **betas(ADAM | DECAY), clip_exp=0.25, decoupled=True),
    kozistr("ADOPT", ADAM | DECAY, "ADOPT", **betas(ADAM | DECAY), clip_lambda=lambda n: (n - 1) ** 0.25),
    optax("AdEMAMix", SLOW | DECAY, "contrib.ademamix", 3e-4, **B, b3=0.999, alpha=5.0, **DECAY),
    kozistr("AdEMAMix", SLOW | DECAY, "AdEMAMix", **betas(SLOW | DECAY), weight_decouple=True),
    kozistr("AdEMAMix", SLOW | DECAY | {"decoupled": False}, "AdEMAMix", **betas(SLOW | DECAY)),
    kozistr("AdEMAMix", SLOW | {"alpha": alpha_of, "beta3": beta3_of}, "AdEMAMix", **betas(SLOW), t_alpha_beta3=150),
    bitsandbytes("AdEMAMix", SLOW | {"alpha": alpha_of, "beta3": beta3_of}, "AdEMAMix", **betas(SLOW), weight_decay=0.0,
                 t_alpha=150, t_beta3=150),
    bitsandbytes("AdEMAMix", SLOW | DECAY, "AdEMAMix", **betas(SLOW | DECAY)),
    timm("Adan", ADAN | DECAY, "adan", "Adan", **betas(ADAN | DECAY)),
    timm("Adan", ADAN | DECAY | {"proximal": False}, "adan", "Adan", **betas(ADAN | DECAY), no_prox=True),
    kozistr("Adan", ADAN | DECAY, "Adan", **betas(ADAN | DECAY)),
    optimi("Adan", ADAN | DECAY, "Adan", **betas(ADAN | DECAY)),
    torch("Adadelta", {"lr": 0.5, "rho": 0.8, "weight_decay": 0.1, "maximize": True}),
    optax("Adadelta", {"lr": 0.5}, "adadelta", 0.5),
    keras("Adadelta", {"lr": 0.5, "rho": 0.9, "eps": 1e-6}, "Adadelta", 0.5, 0.9, 1e-6),
    kozistr("Adadelta", {"lr": 0.5, "weight_decay": 0.1}, "AdaDelta", lr=0.5, weight_decay=0.1),
    kozistr("Adadelta", {"lr": 0.5, "weight_decay": 0.1, "decoupled": True}, "AdaDelta", lr=0.5, weight_decay=0.1,
            weight_decouple=True),
    # Numbers of whole tensors, and averages that replace schedules
    torch("NAdam", NADAM | DECAY, betas(NADAM | DECAY), single=1e-5, why="its product of momenta is float32"),
    torch("NAdam", ADAM | DECAY | {"decoupled": True}, betas(ADAM | DECAY | {"decoupled_weight_decay": True}), single=1e-4,
          why="its product of momenta is float32"),
    keras("NAdam", ADAM | {"momentum_decay": 1.0}, "Nadam", 1e-2, 0.9, 0.99, 1e-8)._replace(double=0.0, why="rates in float32"),
    torch("ASGD", {"lr": 0.1, "lambd": 0.01, "alpha": 0.75, "t0": 50.0, "weight_decay": 0.1}),
    optimi("StableAdamW", ADAM | DECAY, "StableAdamW", **betas(ADAM | DECAY)),
    kozistr("StableAdamW", ADAM | DECAY, "StableAdamW", **betas(ADAM | DECAY), kahan_sum=False),
    kozistr("MARS", MARS | DECAY, "MARS", NEAR, **betas(MARS | DECAY), optimize_1d=True),
    kozistr("MARS", MARS | {"gamma": 0.1}, "MARS", NEAR, **betas(MARS), gamma=0.1, optimize_1d=True),
    kozistr("MARS", MARS | DECAY | {"amsgrad": True}, "MARS", NEAR, **betas(MARS | DECAY), optimize_1d=True, ams_bound=True),
    timm("NovoGrad", {"lr": 1e-2, "beta1": 0.95, "beta2": 0.98, "grad_averaging": True} | DECAY, "nvnovograd", "NvNovoGrad",
         {"double": 1e-6, "why": "its average of squares is float32"}, lr=1e-2, betas=(0.95, 0.98), grad_averaging=True,
         **DECAY),
    kozistr("NovoGrad", {"lr": 1e-2, "beta1": 0.95, "beta2": 0.98} | DECAY, "NovoGrad", lr=1e-2, betas=(0.95, 0.98), **DECAY,
            weight_decouple=False),
    optax("NovoGrad", {"lr": 1e-2, "beta1": 0.95, "beta2": 0.98} | DECAY, "novograd", 1e-2, 0.95, 0.98, 1e-8, **DECAY),
    schedule_free("ScheduleFreeSGD", {"lr": 0.1, "beta": 0.9, "weight_decay": 0.01}, lr=0.1, momentum=0.9, weight_decay=0.01),
    schedule_free("ScheduleFreeSGD", {"lr": 0.1, "beta": 0.8, "r": 1.5, "lr_power": 1.0}, lr=0.1, momentum=0.8, r=1.5,
                  weight_lr_power=1.0),
    schedule_free("ScheduleFreeAdamW", ADAM | DECAY, **betas(ADAM | DECAY)),
    schedule_free("ScheduleFreeAdamW", ADAM | {"lr": warm}, **betas(ADAM), warmup_steps=50),
    schedule_free("ScheduleFreeRAdam", ADAM | DECAY, **betas(ADAM | DECAY)),
    schedule_free("ScheduleFreeRAdam", ADAM | {"silent": False}, **betas(ADAM), silent_sgd_phase=False),
    kozistr("ScheduleFreeSGD", {"lr": 0.1, "beta": 0.9}, "ScheduleFreeSGD", lr=0.1, momentum=0.9),
    # Cautious
    timm("AdamW", ADAM | DECAY | {"cautious": "update"}, "adamw", "AdamWLegacy", **betas(ADAM | DECAY), caution=True),
    timm("AdamW", ADAM | DECAY | {"cautious": "update", "amsgrad": True}, "adamw", "AdamWLegacy", **betas(ADAM | DECAY),
         caution=True, amsgrad=True),
    timm("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "decoupled": True, "cautious": "update"}, "sgdw", "SGDW",
         lr=0.1, momentum=0.9, weight_decay=0.1, caution=True),
    timm("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "cautious": "update"}, "sgdw", "SGDW",
         lr=0.1, momentum=0.9, nesterov=True, caution=True),
    timm("Lion", LION | DECAY | {"cautious": "update"}, "lion", "Lion", **betas(LION | DECAY), caution=True),
    timm("LaProp", ADAM | {"cautious": "update"}, "laprop", "LaProp",
         {"double": 1e-6, "why": "its bias correction is in float32"}, **betas(ADAM), caution=True),
]  # fmt: skip


def random_gradients(params: list[Array]) -> Iterator[list[Array]]:
    rng = np.random.default_rng(1)
    while True:
        yield [rng.standard_normal(one.shape).astype(one.dtype) for one in params]


@cache
def digits() -> tuple[Array, Array]:
    from sklearn import datasets

    images, labels = datasets.load_digits(return_X_y=True)
    return images / 16, np.eye(10)[labels]


def digits_gradients(params: list[Array]) -> Iterator[list[Array]]:
    """Of the mean cross-entropy of batches of 128 pictures, at the parameters of the moment."""
    images, labels = digits()
    rng = np.random.default_rng(2)
    while True:
        batch = rng.integers(len(images), size=128)
        scores = images[batch] @ params[0] + params[1]
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        errors = (scores / scores.sum(axis=1, keepdims=True) - labels[batch]) / 128
        yield [(images[batch].T @ errors).astype(params[0].dtype), errors.sum(axis=0).astype(params[1].dtype)]


GRADIENTS = {"random": random_gradients, "digits": digits_gradients}


def distances(case: Case, gradients: str, dtype: str) -> list[float]:
    """Of the parameters after 200 steps, relative to the largest of each tensor."""
    maker = case.peer()
    rng = np.random.default_rng(3)
    start = [rng.standard_normal((64, 10)).astype(dtype), rng.standard_normal(10).astype(dtype)]
    if gradients == "digits":
        start = [np.asarray(one * scale, dtype) for one, scale in zip(start, (0.1, 0.0), strict=True)]
    ours = [one.copy() for one in start]
    opt = getattr(lk, case.name)(ours, **case.options)
    step = maker(start)
    source = GRADIENTS[gradients](ours)
    for _ in range(STEPS):
        grads = next(source)
        opt.step(grads)
        theirs = step(grads)
    assert all(np.mean(p != one) > 0.5 for p, one in zip(ours, start, strict=True)), "the steps have done nothing"
    return [
        float(np.max(np.abs(p - np.asarray(other, float))) / np.max(np.abs(other)))
        for p, other in zip(ours, theirs, strict=True)
    ]


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("gradients", GRADIENTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.package}")
def test_same_parameters(case: Case, gradients: str, dtype: str) -> None:
    bound = case.bound(dtype)
    if not bound:
        pytest.skip(f"{case.package}: {case.why}")
    assert max(distances(case, gradients, dtype)) <= bound


def test_every_optimizer_has_a_peer() -> None:
    optimizers = {
        one for one in lk.__all__ if isinstance(getattr(lk, one), type) and issubclass(getattr(lk, one), lk.Optimizer)
    }
    assert {case.name for case in CASES} == optimizers - {"Optimizer"}

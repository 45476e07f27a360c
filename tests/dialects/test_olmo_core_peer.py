"""dialects.olmo_core against OLMo-core's own schedulers over random arguments."""

from __future__ import annotations

import enum
import inspect
from functools import partial

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import olmo_core as O

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
NO_DEPS = "ai2-olmo-core"

pytest.importorskip("torch")


class Config:
    @classmethod
    def register(cls, name):
        return lambda scheduler: NAMES.setdefault(name, scheduler)


NAMES = {}
STR_ENUM = enum.StrEnum
peer = isolated_import.load(
    "olmo_core.optim.scheduler",
    **{"olmo_core.config": {"Config": Config, "Registrable": type("Registrable", (), {}), "StrEnum": STR_ENUM}},
    **dict.fromkeys(["olmo_core.distributed", "olmo_core.optim.config"], ...),
)
STEPS = 200


def compare(name, base, theirs, *args, steps=STEPS, **options):
    what = f"{name} {base} {options}"
    times = [t for t in checks.times(what, steps + 1) if t <= steps]
    ours = checks.at(getattr(O, name)(base, STEPS, *args, **options), times)
    expected = [theirs.get_lr(base, t, STEPS) for t in times]
    checks.assert_agree(ours, expected, terms=base, what=what)


def test_every_scheduler_is_there():
    assert {one.__name__ for one in NAMES.values()} == set(O.__all__)


@pytest.mark.parametrize("seed", range(60))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    base = float(10 ** rng.uniform(-5, 1))
    warmup = {"warmup": int(rng.integers(1, 80))} if rng.integers(2) else {"warmup_fraction": float(rng.uniform(0.01, 0.5))}
    warmup["warmup_min_lr"] = base * float(rng.choice([0.0, rng.uniform(0, 0.3)]))
    decay = {"decay": int(rng.integers(1, 90)), "decay_fraction": None}
    decay = decay if rng.integers(2) else {"decay_fraction": float(rng.uniform(0.01, 0.4))}
    decay["decay_min_lr"] = base * float(rng.choice([0.0, rng.uniform(0, 0.05)]))
    curve = {"alpha_f": float(rng.uniform(0.2, 0.9))}
    end = {"t_max": int(rng.integers(10, 300))} if rng.integers(3) == 0 else {}
    compare("ConstantScheduler", base, peer.ConstantScheduler())
    compare("ConstantWithWarmup", base, peer.ConstantWithWarmup(**warmup), **warmup)
    compare("WSD", base, peer.WSD(**warmup, **decay), **warmup, **decay)
    compare("LinearWithWarmup", base, peer.LinearWithWarmup(**warmup, **curve, **end), **warmup, **curve, **end)
    compare("CosWithWarmup", base, peer.CosWithWarmup(**warmup, **curve, **end), **warmup, **curve, **end)
    compare("HalfCosWithWarmup", base, peer.HalfCosWithWarmup(**warmup, **curve, **end), **warmup, **curve, **end)
    both = partial(compare, "CosWithWarmupAndLinearDecay", base)
    both(peer.CosWithWarmupAndLinearDecay(**warmup, **curve, **end, **decay), **warmup, **curve, **end, **decay)
    compare("InvSqrtWithWarmup", base, peer.InvSqrtWithWarmup(**warmup, **curve), **warmup, **curve)
    power = {"b": float(rng.uniform(-1, -0.1))}
    compare("PowerLR", base, peer.PowerLR(**warmup, **decay, **power), **warmup, **decay, **power)
    low = base * float(10 ** rng.uniform(-6, -1))
    compare("ExponentialScheduler", base, peer.ExponentialScheduler(lr_min=low), lr_min=low)


def level(rng, base, name):
    return (
        {f"{name}_lr": base * float(rng.uniform(0, 1))}
        if rng.integers(2)
        else {f"{name}_lr_fraction": float(rng.uniform(0, 1))}
    )


@pytest.mark.parametrize("seed", range(40))
def test_composable(seed):
    rng = np.random.default_rng(seed)
    base, kinds = float(10 ** rng.uniform(-5, 1)), ["linear", "cosine"]
    stages = [
        {"duration": int(rng.integers(1, 50)), "shape": str(rng.choice(kinds)), **level(rng, base, "end")}
        | (level(rng, base, "start") if rng.integers(2) else {})
        for _ in range(rng.integers(1, 5))
    ]
    override = {"start": int(rng.integers(0, 120)), "duration": int(rng.integers(1, 50)), "shape": str(rng.choice(kinds))}
    override |= level(rng, base, "end")
    shaped = lambda one: one | {"shape": peer.ComposableSchedulerStageType(one["shape"])}  # noqa: E731
    theirs = [peer.ComposableSchedulerStage(**shaped(stage)) for stage in stages]
    compare("ComposableScheduler", base, peer.ComposableScheduler(stages=theirs), stages=stages)
    cut = peer.ComposableScheduler(stages=theirs, override_decay=peer.OverrideDecay(**shaped(override)))
    compare("ComposableScheduler", base, cut, stages=stages, override_decay=override)


@pytest.mark.parametrize("seed", range(30))
def test_sequential(seed):
    rng = np.random.default_rng(seed)
    base = float(10 ** rng.uniform(-5, 1))
    options = [
        {"warmup": int(rng.integers(1, 20))},
        {"warmup": 1, "alpha_f": float(rng.uniform(0.1, 1))},
        {"warmup": int(rng.integers(1, 9)), "decay_fraction": float(rng.uniform(0.1, 0.5))},
    ]
    names, lengths = ["ConstantWithWarmup", "CosWithWarmup", "WSD"], [int(n) for n in rng.integers(20, 60, 2)]
    theirs = peer.SequentialScheduler(
        schedulers=[getattr(peer, name)(**one) for name, one in zip(names, options, strict=True)], schedulers_max=list(lengths)
    )
    ours = [partial(getattr(O, name), **one) for name, one in zip(names, options, strict=True)]
    compare("SequentialScheduler", base, theirs, schedulers=ours, schedulers_max=lengths)


@pytest.mark.parametrize("seed", range(40))
def test_wsds(seed):
    rng = np.random.default_rng(seed)
    base = float(10 ** rng.uniform(-5, 1))
    options = {
        "period_lengths": [int(n) for n in rng.integers(20, 50, rng.integers(1, 5))],
        "warmup_min_lr": base * float(rng.choice([0.0, 0.2])),
        "decay_min_lr": base * float(rng.choice([0.0, 0.2])),
    }
    options |= {"decay": int(rng.integers(1, 12))} if rng.integers(2) else {"decay_fraction": float(rng.uniform(0.05, 0.5))}
    options |= {"warmup": int(rng.integers(0, 8))} if rng.integers(2) else {"warmup_fraction": float(rng.uniform(0, 0.4))}
    if rng.integers(2):
        options["period_lr_multipliers"] = [float(x) for x in rng.uniform(0.3, 2, len(options["period_lengths"]))]
    compare("WSDS", base, peer.WSDS(**options), **options)


def test_arguments_are_the_fields():
    ignored = {"lr_field", "initial_lr_field", "units", "schedulers_max_steps"}
    for name in O.__all__:
        fields = {n for n in inspect.signature(getattr(peer, name)).parameters if not n.startswith("_")} - ignored
        assert fields == set(inspect.signature(getattr(O, name)).parameters) - {"initial_lr", "max_steps"}, name

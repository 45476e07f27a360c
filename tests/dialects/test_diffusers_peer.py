"""dialects.diffusers against diffusers' own schedules over random arguments."""

from __future__ import annotations

import inspect

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import diffusers as D

pytestmark = pytest.mark.peers
NO_DEPS = "diffusers"

torch = pytest.importorskip("torch")
peer = isolated_import.load("diffusers.optimization", **{"diffusers.utils": ...})
STEPS = 250


def run(scheduler, base, times):
    return np.array([base * scheduler.lr_lambdas[0](t) for t in times])


def optimizer(base):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)


def compare(name, base, *args, **kwargs):
    what = f"{name}({base!r}, {args}, {kwargs})"
    times = checks.times(what, STEPS)
    ours = checks.at(getattr(D, name)(base, *args, **kwargs), times)
    theirs = run(getattr(peer, name)(optimizer(base), *args, **kwargs), base, times)
    checks.assert_agree(ours, theirs, terms=base, roundings=4000.0, what=what)


def test_every_schedule_is_there():
    theirs = {
        n for n, f in vars(peer).items() if n.startswith("get_") and inspect.isfunction(f) and f.__module__ == peer.__name__
    }
    assert theirs == set(D.__all__)
    assert set(D._NAMES) == {m.value for m in peer.SchedulerType}


@pytest.mark.parametrize("seed", range(30))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    base = float(10 ** rng.uniform(-5, 1))
    warmup, total = int(rng.integers(0, 60)), int(rng.integers(61, 220))
    compare("get_constant_schedule", base)
    compare("get_constant_schedule_with_warmup", base, warmup)
    compare("get_linear_schedule_with_warmup", base, warmup, total)
    factors = {"f_min": float(rng.uniform(0, 0.5)), "f_max": float(rng.uniform(0.5, 1.5))}
    compare("get_linear_schedule_with_warmup", base, warmup, total, **factors)
    compare("get_cosine_schedule_with_warmup", base, warmup, total, float(rng.choice([0.5, 1.0, rng.uniform(0.1, 3)])))
    end, power = base * float(rng.uniform(0, 0.3)), float(rng.uniform(0.3, 3))
    compare("get_polynomial_decay_schedule_with_warmup", base, warmup, total, end, power)
    at = rng.choice(np.arange(1, 200), int(rng.integers(0, 6)), replace=False)
    rules = ",".join([f"{rng.uniform(0, 2)}:{step}" for step in at] + [str(rng.uniform(0, 2))])
    compare("get_piecewise_constant_schedule", base, rules)


@pytest.mark.parametrize("seed", range(10))
def test_get_scheduler(seed):
    rng = np.random.default_rng(seed)
    args = ("1:10,0.1:20,0.01", int(rng.integers(1, 60)), int(rng.integers(61, 220)), int(rng.integers(1, 4)), 2.0)
    for name in D._NAMES:
        times = checks.times(f"{name} {args}", STEPS)
        ours = checks.at(D.get_scheduler(name, 0.3, *args), times)
        theirs = run(peer.get_scheduler(name, optimizer(0.3), *args), 0.3, times)
        if name == "cosine_with_restarts":  # at a restart their product may round to just below an integer
            keep = ~((ours == 0.3) & (theirs < 0.15))
            ours, theirs = ours[keep], theirs[keep]
        checks.assert_agree(ours, theirs, terms=0.3, roundings=400.0, what=f"{name} {args}")

"""dialects.transformers against transformers' own schedules over random arguments."""

from __future__ import annotations

import inspect

import dialect_checks as checks
import numpy as np
import pytest

from lrkern.dialects import transformers as H

torch = pytest.importorskip("torch")
peer = pytest.importorskip("transformers.optimization")

pytestmark = pytest.mark.peers
STEPS = 250


def run(name, times, base, *args, **kwargs):
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = getattr(peer, name)(opt, *args, **kwargs)
    return np.array([base * scheduler.lr_lambdas[0](t) for t in times])


def compare(name, base, *args, **kwargs):
    what = f"{name}({base!r}, {args}, {kwargs})"
    times = checks.times(what, STEPS)
    ours = checks.at(getattr(H, name)(base, *args, **kwargs), times)
    # a cosine far past its end has a long argument: that many roundings of one
    theirs = run(name, times, base, *args, **kwargs)
    checks.assert_agree(ours, theirs, terms=base, roundings=4000.0, what=what)


def test_every_schedule_is_there():
    theirs = {
        n for n, f in vars(peer).items() if n.startswith("get_") and inspect.isfunction(f) and f.__module__ == peer.__name__
    }
    assert theirs - set(H.__all__) == {"get_reduce_on_plateau_schedule", "get_greedy_schedule"} & theirs
    assert set(H._NAMES) == {m.value for m in peer.SchedulerType} - {"reduce_lr_on_plateau", "greedy"}


@pytest.mark.parametrize("seed", range(40))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    base = float(10 ** rng.uniform(-5, 1))
    warmup, total = int(rng.integers(0, 60)), int(rng.integers(61, 220))
    if rng.integers(4) == 0:
        warmup = 0
    cycles = float(rng.choice([0.5, 1.0, 1.5, rng.uniform(0.1, 3)]))
    rate = float(rng.uniform(0, 0.3))
    compare("get_constant_schedule", base)
    compare("get_constant_schedule_with_warmup", base, warmup)
    compare("get_linear_schedule_with_warmup", base, warmup, total)
    compare("get_cosine_schedule_with_warmup", base, warmup, total, cycles)
    compare("get_polynomial_decay_schedule_with_warmup", base, warmup, total, base * rate, float(rng.uniform(0.3, 3)))
    compare("get_inverse_sqrt_schedule", base, warmup, None if rng.integers(2) else int(rng.integers(1, 300)))
    floor = {"min_lr": base * rate} if rng.integers(2) else {"min_lr_rate": rate}
    compare("get_cosine_with_min_lr_schedule_with_warmup", base, warmup, total, cycles, **floor)
    compare("get_cosine_with_min_lr_schedule_with_warmup_lr_rate", base, warmup, total, cycles, **floor)
    first = float(rng.uniform(0, 1))
    compare("get_cosine_with_min_lr_schedule_with_warmup_lr_rate", base, warmup, total, cycles, **floor, warmup_lr_rate=first)
    up, down = rng.choice(["linear", "cosine", "1-sqrt"], 2)
    decay = int(rng.integers(0, total - warmup))
    options = {"warmup_type": str(up), "decay_type": str(down), "min_lr_ratio": rate, "num_cycles": cycles}
    compare("get_wsd_schedule", base, warmup, decay, total, **options)
    compare("get_wsd_schedule", base, warmup, decay, num_stable_steps=int(rng.integers(0, 50)), **options)


@pytest.mark.parametrize("seed", range(40))
def test_hard_restarts(seed):
    rng = np.random.default_rng(seed)
    base, warmup, total, cycles = 1.0, int(rng.integers(0, 60)), int(rng.integers(61, 220)), int(rng.integers(1, 9))
    name = "get_cosine_with_hard_restarts_schedule_with_warmup"
    times = checks.times(f"{base} {warmup} {total} {cycles}", STEPS)
    ours = checks.at(getattr(H, name)(base, warmup, total, cycles), times)
    theirs = run(name, times, base, warmup, total, num_cycles=cycles)
    s = np.array(times) - warmup
    at_restart = (s > 0) & (s < total - warmup) & (s * cycles % (total - warmup) == 0)
    # exactly at a restart their product may round to just below an integer: then they are at the bottom, a step late
    missed = at_restart & (theirs < 0.5)
    assert np.all(ours[at_restart] == base)
    checks.assert_agree(ours[~missed], theirs[~missed], terms=base, roundings=400.0, what=f"{warmup} {total} {cycles}")


def test_get_scheduler():
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    for name in H._NAMES:
        extra = {"cosine_with_min_lr": {"min_lr": 0.01}, "cosine_warmup_with_min_lr": {"min_lr_rate": 0.1}}.get(name, {})
        extra = {"num_decay_steps": 20} if name == "warmup_stable_decay" else extra
        theirs = peer.get_scheduler(name, opt, 10, 100, extra)
        times = checks.times(name, 150)
        ours = checks.at(H.get_scheduler(name, 0.3, 10, 100, extra), times)
        expected = np.array([0.3 * theirs.lr_lambdas[0](t) for t in times])
        checks.assert_agree(ours, expected, terms=0.3, roundings=400.0, what=name)

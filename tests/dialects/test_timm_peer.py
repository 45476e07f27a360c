"""dialects.timm against timm's own schedulers over random arguments: cycles, warm-up, k-decay, noise."""

from __future__ import annotations

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import timm as M

torch = pytest.importorskip("torch")
peer = isolated_import.load("timm.scheduler.scheduler_factory")

pytestmark = pytest.mark.peers
NO_DEPS = "timm"
STEPS = 160
DRAWS = 40


def run(name, times, base, *args, **kwargs):
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = getattr(peer, name)(opt, *args, **kwargs)
    values = []
    for t in times:
        scheduler.step(t)
        values.append(opt.param_groups[0]["lr"])
    return np.array(values, float)


def compare(name, base, *args, terms=0.0, ours=None, **kwargs):
    what = f"{name}({base!r}, {args}, {kwargs})"
    # noise is drawn, and functions are asked, for whole steps: there is nothing to compare between them
    whole = "noise_range_t" in kwargs or callable(kwargs.get("decay_fn"))
    times = list(range(STEPS)) if whole else checks.times(what, STEPS)
    got = checks.at(getattr(M, name)(base, *args, **kwargs, **(ours or {})), times)
    checks.assert_agree(got, run(name, times, base, *args, **kwargs), terms=terms, what=what)


def test_every_scheduler_is_there():
    theirs = {n for n in vars(peer) if n.endswith("LRScheduler")}
    assert theirs - {"PlateauLRScheduler"} == set(M.__all__)


def warmup(rng, base):
    steps = int(rng.integers(0, 30))
    return {"warmup_t": steps, "warmup_lr_init": float(base * rng.uniform(0, 0.3)), "warmup_prefix": bool(rng.integers(2))}


@pytest.mark.parametrize("seed", range(DRAWS))
def test_cycles(seed):
    rng = np.random.default_rng(seed)
    base = float(10 ** rng.uniform(-4, 0))
    low = float(rng.choice([0.0, base * rng.uniform(0, 0.1)]))
    # lengths that grow by no nice number: timm's logarithm is wrong at some exact restarts, see the next test
    growth = float(rng.choice([1.0, rng.uniform(1.05, 2.2)]))
    cycles = {
        "lr_min": low,
        "cycle_mul": growth,
        "cycle_decay": float(rng.choice([1.0, rng.uniform(0.3, 1.0)])),
        "cycle_limit": int(rng.integers(1, 5)),
    }
    initial = int(rng.integers(1, 80))
    k = float(rng.choice([1.0, rng.uniform(0.5, 2.0)]))
    # 1 + cos, 1 - (t/T)^k: what is rounded at the size of the base; times in cycles are differences
    terms = 30 * base
    compare("CosineLRScheduler", base, initial, terms=terms, k_decay=k, **cycles, **warmup(rng, base))
    compare(
        "TanhLRScheduler",
        base,
        initial,
        float(rng.uniform(-8, -1)),
        float(rng.uniform(1, 5)),
        terms=terms,
        **cycles,
        **warmup(rng, base),
    )
    power = float(rng.uniform(1.0, 2.0))
    compare("PolyLRScheduler", base, initial, power, terms=terms, k_decay=k, **cycles, **warmup(rng, base))


@pytest.mark.parametrize("seed", range(DRAWS))
def test_stairs(seed):
    rng = np.random.default_rng(seed)
    base, rate = float(10 ** rng.uniform(-4, 0)), float(rng.uniform(0.1, 1.1))
    compare("StepLRScheduler", base, float(rng.uniform(0.5, 60)), rate, terms=base, **warmup(rng, base))
    compare("StepLRScheduler", base, int(rng.integers(1, 60)), rate, terms=base, **warmup(rng, base))
    at = sorted(int(x) for x in rng.integers(0, 150, 4))
    compare("MultiStepLRScheduler", base, at, rate, terms=base, **warmup(rng, base))


@pytest.mark.parametrize("seed", range(DRAWS))
def test_wsd(seed):
    rng = np.random.default_rng(seed)
    base, total = float(10 ** rng.uniform(-4, 0)), int(rng.integers(1, 130))
    options = warmup(rng, base)
    del options["warmup_prefix"]
    options["warmup_t"] += 1
    options["lr_min"] = float(rng.choice([0.0, base * rng.uniform(0, 0.2)]))
    options["stable_fn"] = str(rng.choice(["constant", "rsqrt", "power"]))
    options["stable_power"] = float(rng.uniform(0.1, 1.5))
    options["decay_power"] = float(rng.choice([0.5, 1.0, 2.0, rng.uniform(0.3, 3)]))
    options["decay_ratio"] = float(rng.uniform(0.01, 0.9))
    for fn in ("linear", "1-sqrt", "cosine", "power", "exp", lambda p: (1 - p) ** 3):
        compare(
            "WSDLRScheduler",
            base,
            total,
            int(rng.integers(1, total + 1)),
            terms=10 * base / (1 - options["decay_ratio"]),
            decay_fn=fn,
            **options,
        )


@pytest.mark.parametrize("seed", range(10))
def test_noise(seed):
    rng = np.random.default_rng(seed)
    a, b = sorted(int(x) for x in rng.integers(0, 140, 2))
    noisy = {
        "noise_pct": float(rng.uniform(0.1, 1.5)),
        "noise_std": float(rng.uniform(0.2, 2)),
        "noise_seed": int(rng.integers(0, 2**31)),
    }
    compare("CosineLRScheduler", 0.1, 120, terms=1.0, noise_range_t=[a, b], **noisy)
    compare("StepLRScheduler", 0.1, 30, 0.5, noise_range_t=a, ours={"steps": STEPS}, **noisy)
    quiet = M.StepLRScheduler(0.1, 30, 0.5).table(STEPS)
    assert np.array_equal(M.StepLRScheduler(0.1, 30, 0.5, noise_range_t=[a, b], **noisy).table(STEPS)[:a], quiet[:a])
    assert b - a < 2 or not np.array_equal(
        M.StepLRScheduler(0.1, 30, 0.5, noise_range_t=[a, b], **noisy).table(STEPS)[a:b], quiet[a:b]
    )


def test_restart_121():
    """The difference listed in the documentation: timm's logarithm is a hair below 5 where cycle 5 begins."""
    ours = M.CosineLRScheduler(0.05, 10, cycle_mul=3.0, cycle_limit=10)
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.05)
    scheduler = peer.CosineLRScheduler(opt, 10, cycle_mul=3.0, cycle_limit=10)
    scheduler.step(1210)
    assert opt.param_groups[0]["lr"] < 1e-12
    assert ours(1210) == 0.05


def test_shrinking_cycles_end():
    ours = M.CosineLRScheduler(0.05, 10, lr_min=0.001, cycle_mul=0.5, cycle_limit=100)
    assert ours(20) == ours(1000) == 0.001
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.05)
    with pytest.raises(ValueError, match=r"math domain error|expected a positive"):
        peer.CosineLRScheduler(opt, 10, cycle_mul=0.5, cycle_limit=100).step(25)

"""dialects.nemo against NeMo's own policies over random arguments."""

from __future__ import annotations

import inspect

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import nemo as N

pytestmark = [pytest.mark.peers, pytest.mark.filterwarnings("ignore")]
NO_DEPS = "nemo_toolkit"

torch = pytest.importorskip("torch")
OTHERS = ["hydra", "omegaconf", "nemo.core.classes", "nemo.core.config", "nemo.utils"]
peer = isolated_import.load("nemo.core.optim.lr_scheduler", **dict.fromkeys(OTHERS, ...))
FROM_TORCH = {"StepLR", "ExponentialLR", "ReduceLROnPlateau", "CyclicLR"}


def compare(name, base, steps=220, **options):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    scheduler = getattr(peer, name)(optimizer, **options)
    theirs, what = [], f"{name} {base} {options}"
    times = checks.times(what, steps)
    for _ in range(steps):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    for t in times[steps:]:
        scheduler.last_epoch = t
        theirs.append(scheduler.get_lr()[0])
    ours = checks.at(getattr(N, name)(base, **options), times)
    checks.assert_agree(ours, theirs, terms=max(base, options.get("min_lr", 0.0)), what=what)


def test_every_policy_is_there():
    assert set(peer.AVAILABLE_SCHEDULERS) - FROM_TORCH == set(N.__all__)
    for name in N.__all__:
        ours = inspect.signature(getattr(N, name)).parameters
        theirs = inspect.signature(getattr(peer, name)).parameters
        assert set(theirs) - {"optimizer", "last_epoch", "kwargs"} <= set(ours)
        assert all(theirs[key].default == ours[key].default for key in theirs if key in ours and key != "max_steps"), name


@pytest.mark.parametrize("seed", range(40))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    base, end = float(10 ** rng.uniform(-5, 0)), int(rng.integers(100, 200))
    warm = {"max_steps": end, "min_lr": base * float(rng.choice([0.0, rng.uniform(0, 0.5)]))}
    given = [{"warmup_steps": int(rng.integers(1, 40))}, {"warmup_ratio": float(rng.uniform(0.02, 0.3))}, {}]
    choice = given[rng.integers(3)]
    held = [{"hold_steps": int(rng.integers(0, 40))}, {"hold_ratio": float(rng.uniform(0, 0.3))}, {}][rng.integers(3)]
    for name in ("WarmupPolicy", "SquareAnnealing", "SquareRootAnnealing", "CosineAnnealing", "WarmupAnnealing"):
        compare(name, base, **warm, **choice)
    compare("InverseSquareRootAnnealing", base, **warm, **choice)
    constant = {"constant_steps": int(rng.integers(1, 40))}
    compare("CosineAnnealing", base, **warm, **choice, **constant)
    compare("NoamAnnealing", base, d_model=int(rng.integers(1, 2000)), **warm, **choice)
    power = {"power": float(rng.uniform(0.5, 3)), "cycle": bool(rng.integers(2))}
    compare("PolynomialDecayAnnealing", base, **warm, **choice, **power)
    compare("PolynomialHoldDecayAnnealing", base, **warm, **choice, **held, **power)
    for name in ("WarmupHoldPolicy", "WarmupHoldAnnealOneMinusSquareRoot", "WarmupHoldAnnealLinear"):
        compare(name, base, **warm, **choice, **held)
    compare("NoamHoldAnnealing", base, **warm, **(choice or given[0]), **held, decay_rate=float(rng.uniform(0.1, 1)))
    compare("T5InverseSquareRootAnnealing", base, **warm, **constant)

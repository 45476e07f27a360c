"""dialects.torchtitan against torchtitan's own schedulers over random arguments."""

from __future__ import annotations

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import torchtitan as T

pytestmark = pytest.mark.peers
NO_DEPS = "torchtitan"

torch = pytest.importorskip("torch")


class Configurable:
    class Config:
        pass


peer = isolated_import.load(
    "torchtitan.components.optimizer.lr_scheduler",
    **{"torchtitan.config": {"Configurable": Configurable}},
    **dict.fromkeys(["torchtitan.components.optimizer.optimizer", "torchtitan.tools"], ...),
)


@pytest.mark.parametrize("seed", range(60))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    base, steps = float(10 ** rng.uniform(-5, 1)), int(rng.integers(1, 200))
    options = {
        "warmup_steps": int(rng.choice([0, rng.integers(0, 60), 250])),
        "total_steps": None if rng.integers(2) else int(rng.integers(1, 200)),
        "decay_ratio": None if rng.integers(2) else float(rng.choice([0.0, 1.0, rng.uniform(0, 1)])),
        "decay_type": str(rng.choice(["linear", "sqrt", "cosine"])),
        "min_lr_factor": float(rng.choice([0.0, rng.uniform(0, 1)])),
    }
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    container = peer.LRSchedulersContainer.Config(**options).build(optimizers=[optimizer], training_steps=steps)
    last = options["total_steps"] or steps
    what = f"{base} {steps} {options}"
    times = [t for t in checks.times(what, last + 1) if t <= last]
    theirs = [base * container.schedulers[0].lr_lambdas[0](t) for t in times]
    ours = T.LRSchedulersContainer(base, steps, **options)
    checks.assert_agree(checks.at(ours, times), theirs, terms=base, what=what)
    assert ours(last + 50) == ours(last)

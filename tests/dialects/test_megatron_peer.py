"""dialects.megatron against megatron-core's scheduler over random arguments.

Megatron counts whole steps. What holds between them is checked against the formulas, in tests/dialects/test_megatron.py.
"""

from __future__ import annotations

from types import SimpleNamespace

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import megatron as G

pytest.importorskip("torch")
peer = isolated_import.load(
    "megatron.core.optimizer_param_scheduler", **{"megatron.core.utils": {"log_single_rank": lambda *args: None}}
)

pytestmark = pytest.mark.peers
NO_DEPS = "megatron-core"
STEPS = 200


def run(*args, **kwargs):
    group = {}
    scheduler = peer.OptimizerParamScheduler(SimpleNamespace(param_groups=[group]), *args, **kwargs)
    rates, decays = [], []
    for _ in range(STEPS):
        rates.append(group["lr"])
        decays.append(group["weight_decay"])
        scheduler.step(1)
    return np.array(rates), np.array(decays)


@pytest.mark.parametrize("seed", range(40))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    top = float(10 ** rng.uniform(-4, 0))
    low, first = (float(x) for x in top * rng.uniform(0, 0.5, 2))
    warmup = int(rng.choice([0, rng.integers(1, 60)]))
    steps = warmup + int(rng.integers(1, 130))
    wd = sorted(float(x) for x in rng.uniform(0, 0.2, 2))
    incr, style = int(rng.integers(1, 190)), str(rng.choice(["linear", "cosine"]))
    for kind in ("constant", "linear", "cosine", "inverse-square-root", "WSD"):
        for tail in ("linear", "cosine", "exponential", "minus_sqrt") if kind == "WSD" else (None,):
            args = (first, top, low, warmup, steps, kind, *wd, incr, style)
            extra = {"wsd_decay_steps": int(rng.integers(1, steps + 1)), "lr_wsd_decay_style": tail} if tail else {}
            rates, decays = run(*args, **extra)
            what = f"{args} {extra}"
            checks.assert_agree(G.OptimizerParamScheduler(*args, **extra).table(STEPS), rates, terms=2 * top, what=what)
            checks.assert_agree(
                G.OptimizerParamSchedulerWeightDecay(*wd, incr, style).table(STEPS), decays, terms=wd[1], what=what
            )

"""dialects.deepspeed against DeepSpeed's own schedulers over random arguments.

DeepSpeed counts whole steps. What holds between them is checked against the formulas, in tests/dialects/test_deepspeed.py.
"""

from __future__ import annotations

import logging

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import deepspeed as D

torch = pytest.importorskip("torch")
peer = isolated_import.load("deepspeed.runtime.lr_schedules", **{"deepspeed.utils": {"logger": logging.getLogger("deepspeed")}})

pytestmark = pytest.mark.peers
NO_DEPS = "deepspeed"
STEPS = 160


def run(name, base, *args, **kwargs):
    opt = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=base, betas=(0.77, 0.5))
    scheduler = getattr(peer, name)(opt, *args, **kwargs)
    rates, momenta = [], []
    for _ in range(STEPS):
        rates.append(opt.param_groups[0]["lr"])
        momenta.append(opt.param_groups[0]["betas"][0])
        scheduler.step()
    return np.array(rates), np.array(momenta)


@pytest.mark.parametrize("seed", range(40))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    high = float(10 ** rng.uniform(-4, 0))
    low = float(high * rng.uniform(0, 0.5))
    steps, total = int(rng.integers(1, 60)), int(rng.integers(0, 150))
    for kind in ("log", "linear"):
        for args in ((low, high, steps, kind), (low, None, steps, kind)):
            checks.assert_agree(
                D.WarmupLR(high, *args).table(STEPS), run("WarmupLR", high, *args)[0], terms=high, what=str(args)
            )
        args = (total, low, high, steps, kind)
        checks.assert_agree(
            D.WarmupDecayLR(*args).table(STEPS), run("WarmupDecayLR", 7.0, *args)[0], terms=high, what=str(args)
        )
        args = (total, float(rng.uniform(0, 1)), steps, float(rng.uniform(0, 0.1)), kind)
        checks.assert_agree(
            D.WarmupCosineLR(high, *args).table(STEPS), run("WarmupCosineLR", high, *args)[0], terms=high, what=str(args)
        )
    for stairs in (False, True):
        args = (low, steps, float(rng.uniform(0, 5)), stairs)
        checks.assert_agree(D.LRRangeTest(*args).table(STEPS), run("LRRangeTest", 7.0, *args)[0], what=str(args))


@pytest.mark.parametrize("seed", range(40))
def test_one_cycle(seed):
    rng = np.random.default_rng(seed)
    up, down = int(rng.integers(1, 60)), int(rng.integers(1, 60))
    # stairs that divide the way: elsewhere the two round differently where a stair begins
    first, second = (int(rng.choice([d for d in range(1, n + 1) if n % d == 0])) if rng.integers(2) else 0 for n in (up, down))
    options = {
        "decay_lr_rate": float(rng.choice([0.0, rng.uniform(0, 2)])),
        "cycle_first_step_size": up,
        "cycle_second_step_size": down,
        "cycle_first_stair_count": first,
        "cycle_second_stair_count": second,
        "decay_step_size": int(rng.choice([0, rng.integers(1, 30)])),
        "cycle_min_mom": 0.81,
        "cycle_max_mom": 0.93,
        "decay_mom_rate": float(rng.choice([0.0, rng.uniform(0, 0.01)])),
    }
    rates, momenta = run("OneCycle", 7.0, 0.01, 0.1, **options)
    checks.assert_agree(D.OneCycle(0.01, 0.1, **options).table(STEPS), rates, terms=0.1 * (up + down), what=str(options))
    ours = D.OneCycleMomentum(0.01, 0.1, **options).table(STEPS)
    # the difference listed in the documentation: the lowest momentum for the very first update
    assert momenta[0] == 0.81
    assert ours[0] == 0.93
    checks.assert_agree(ours[1:], momenta[1:], terms=up + down, what=str(options))

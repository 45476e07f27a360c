"""dialects.mmengine against mmengine's own schedulers over random arguments and windows.

mmengine counts whole steps. What holds between them is checked against the formulas, in tests/dialects/test_mmengine.py.
"""

from __future__ import annotations

import warnings

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import mmengine as E

torch = pytest.importorskip("torch")
peer = isolated_import.mmengine_schedulers()

pytestmark = pytest.mark.peers
NO_DEPS = "mmengine"
STEPS = 160


def run(name, base, *args, **kwargs):
    opt = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    values = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scheduler = getattr(peer, name)(opt, *args, **kwargs)
        for _ in range(STEPS):
            values.append(opt.param_groups[0]["lr"])
            opt.step()
            if len(values) < STEPS:
                scheduler.step()
    return np.array(values, float)


def compare(name, base, *args, terms=0.0, **kwargs):
    theirs = run(name, base, *args, **kwargs)
    # a recursion: every step adds a few roundings
    ours = getattr(E, name)(base, *args, **kwargs).table(STEPS)
    checks.assert_agree(
        ours, theirs, terms=terms + np.abs(theirs), roundings=4 * STEPS, what=f"{name}({base}, {args}, {kwargs})"
    )


def test_every_scheduler_is_there():
    theirs = {n for n, c in vars(peer).items() if isinstance(c, type) and c.__module__ == peer.__name__}
    assert theirs - {"LRSchedulerMixin", "ReduceOnPlateauLR"} == {n for n in E.__all__ if n.endswith("LR")}


@pytest.mark.parametrize("seed", range(40))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    base = float(10 ** rng.uniform(-4, 0))
    begin = int(rng.choice([0, rng.integers(0, 40)]))
    window = {"begin": begin, "end": begin + int(rng.integers(3, 110))}
    length = window["end"] - begin
    compare("ConstantLR", base, float(rng.uniform(0.01, 1)), **window)
    compare("LinearLR", base, float(rng.uniform(0.01, 1)), float(rng.uniform(0, 1)), terms=base, **window)
    compare("ExponentialLR", base, float(rng.uniform(0.8, 1.01)), **window)
    compare("StepLR", base, int(rng.integers(1, 40)), float(rng.uniform(0.1, 1.1)), **window)
    at = [int(x) for x in rng.integers(1, 100, 4)]
    compare("MultiStepLR", base, at, float(rng.uniform(0.1, 1.1)), **window)
    low = float(base * rng.uniform(0, 0.2))
    compare("PolyLR", base, low, float(rng.uniform(0.5, 2)), terms=base, **window)
    half = int(rng.integers(2, 60))
    compare("CosineAnnealingLR", base, half, low, terms=base, **window)
    compare("CosineAnnealingLR", base, terms=base, eta_min_ratio=0.05, **window)
    periods = [int(x) for x in rng.integers(2, 40, 3)]
    compare("CosineRestartLR", base, periods, [1.0, 0.5, 0.7], low, terms=base, **window)
    steps = int(rng.integers(length, length + 50))
    for kind in ("cos", "linear"):
        args = (0.3, steps, float(rng.uniform(0.15, 0.45)), kind, 20.0, 1e3, bool(rng.integers(2)))
        compare("OneCycleLR", base, *args, terms=0.3, **window)

"""dialects.paddle against paddle's own schedulers over random arguments.

The package takes 195 MB, so that `make test-peers` leaves it out: `pip install --no-deps paddlepaddle` brings it.
Paddle counts whole steps. What holds between them is checked against the formulas, in tests/dialects/test_paddle.py.
"""

from __future__ import annotations

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import paddle as P

pytestmark = pytest.mark.peers

peer = isolated_import.load("paddle.optimizer.lr", **dict.fromkeys(["paddle", "paddle.base"], ...))
STEPS = 200


def compare(name, *args, steps=STEPS, extra=(), terms=1.0, roundings=16.0, **kwargs):
    scheduler = getattr(peer, name)(*args, **kwargs)
    theirs = []
    for _ in range(steps):
        theirs.append(scheduler())
        scheduler.step()
    ours = getattr(P, name)(*args, *extra, **kwargs)
    checks.assert_agree(ours.table(steps), theirs, terms=terms, roundings=roundings, what=f"{name} {args} {kwargs}")


def test_every_scheduler_is_there():
    assert set(peer.__all__) - {"LRScheduler", "ReduceOnPlateau"} == set(P.__all__)


@pytest.mark.parametrize("seed", range(40))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    base, n = float(10 ** rng.uniform(-4, 0)), int(rng.integers(1, 90))
    gamma = float(rng.uniform(0.05, 0.999))
    compare("NoamDecay", int(rng.integers(1, 2000)), n, base, terms=0.0)
    at = sorted(int(x) for x in rng.integers(1, 150, rng.integers(1, 5)))
    compare("PiecewiseDecay", at, [float(x) for x in rng.random(len(at) + 1)])
    compare("NaturalExpDecay", base, gamma, terms=0.0, steps=100)
    compare("InverseTimeDecay", base, gamma, terms=0.0)
    low = base * float(rng.uniform(0, 0.3))
    compare("PolynomialDecay", base, n, low, float(rng.uniform(0.5, 3)), bool(rng.integers(2)))
    compare("LinearWarmup", base, n, low, base)
    compare("ExponentialDecay", base, gamma, terms=0.0, steps=100)
    compare("MultiStepDecay", base, sorted(set(at)), gamma)
    compare("StepDecay", base, n, gamma)
    compare("CosineAnnealingDecay", base, n, low, roundings=1e5)
    compare("CosineAnnealingWarmRestarts", base, n, int(rng.integers(1, 4)), low)
    compare("LinearLR", base, n, float(rng.uniform(0.1, 1)), float(rng.uniform(0.1, 1)), roundings=400)
    compare("LambdaDecay", base, lambda t: t**0.5, extra=(STEPS,))
    compare("MultiplicativeDecay", base, lambda t: 0.9 + 0.001 * t, extra=(60,), steps=60)
    mode = str(rng.choice(["triangular", "triangular2", "exp_range"]))
    compare("CyclicLR", low, base, n, int(rng.integers(1, 90)), mode, float(rng.uniform(0.9, 1)), roundings=64)
    total, three = int(rng.integers(20, 150)), bool(rng.integers(2))
    pct = float(rng.uniform(0.1, 0.45 if three else 0.9))
    kind = str(rng.choice(["cos", "linear"]))
    compare("OneCycleLR", base, total, float(rng.uniform(1, 40)), low, pct, kind, three, steps=total, roundings=64)


def test_warmup_of_a_scheduler():
    inner = peer.StepDecay(1.0, 3, 0.5)
    theirs, ours = peer.LinearWarmup(inner, 9, 0.1, 1.0), P.LinearWarmup(P.StepDecay(1.0, 3, 0.5), 9, 0.1, 1.0)
    for t in range(40):
        assert ours(t) == pytest.approx(theirs(), rel=1e-14)
        theirs.step()

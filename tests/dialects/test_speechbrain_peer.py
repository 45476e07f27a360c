"""dialects.speechbrain against speechbrain's own schedulers over random arguments.

SpeechBrain counts whole steps. What holds between them is checked against the formulas, in tests/dialects/test_speechbrain.py.
"""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import speechbrain as S

pytestmark = pytest.mark.peers
NO_DEPS = "speechbrain"

pytest.importorskip("torch")
same = lambda x: x  # noqa: E731
CHECKPOINTS = SimpleNamespace(register_checkpoint_hooks=same, mark_as_saver=same, mark_as_loader=same)
peer = isolated_import.load(
    "speechbrain.nnet.schedulers", **{"speechbrain.utils": {"checkpoints": CHECKPOINTS}, "speechbrain.utils.logger": ...}
)
STEPS = 200


def by_call(scheduler, base, told):
    """The rates of steps 1, 2, ...: after so many calls; `told`: the step is handed over, and 0 is one."""
    optimizer, rates = SimpleNamespace(param_groups=[{"lr": base}]), []
    for t in range(STEPS):
        scheduler(optimizer, t) if told else scheduler(optimizer)
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def compare(name, base, *args, told=False, first=1, roundings=16.0, **kwargs):
    theirs = by_call(getattr(peer, name)(*args, **kwargs), base, told)
    kwargs |= {"base_lr": base} if name == "IntervalScheduler" else {}
    ours = getattr(S, name)(*args, **kwargs).table(STEPS, start=0 if told else first)
    checks.assert_agree(ours, theirs, terms=base, roundings=roundings, what=f"{name} {args} {kwargs}")


def test_every_scheduler_is_there():
    theirs = {n for n, f in vars(peer).items() if inspect.isclass(f) and f.__module__ == peer.__name__}
    assert theirs - set(S.__all__) == {"NewBobScheduler", "ReduceLROnPlateau", "ScheduledLoss"}


@pytest.mark.parametrize("seed", range(40))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    base, warmup = float(10 ** rng.uniform(-4, 0)), int(rng.integers(1, 60))
    total = warmup + int(rng.integers(1, 120))
    compare("WarmAndExpDecayLRSchedule", base, base, warmup, total, float(rng.uniform(0.01, 1.2)), first=0)
    compare("LinearWarmupScheduler", base, base, warmup, total)
    size = None if rng.integers(2) else int(rng.integers(1, 2000))
    compare("NoamScheduler", base, base, warmup, size)
    at = sorted(int(x) for x in rng.integers(1, 150, 3))
    compare("NoamIntervalScheduler", base, base, warmup, at, [float(x) for x in rng.random(3)], size)
    compare("LinearNoamScheduler", base, base, warmup, int(rng.integers(0, 60)))
    compare("CyclicCosineScheduler", base, warmup, base, int(rng.integers(1, 90)), roundings=2000)
    intervals = [{"steps": step, "lr": float(rng.random())} for step in sorted(set(at))]
    compare("IntervalScheduler", base, intervals=intervals)
    compare("InverseSquareRootScheduler", 1.0, warmup)
    stages = (warmup, int(rng.integers(0, 40)), int(rng.integers(1, 90)), 200)
    compare("TriStageLRSchedule", base, base, *stages, float(rng.random()), float(rng.uniform(0.01, 1)), told=True)
    cooldown = int(rng.integers(1, 40))
    theirs = by_call(peer.WarmCoolDecayLRSchedule(base, warmup, cooldown, total + 40, 0.75, 33), base, True)[: total + 41]
    ours = S.WarmCoolDecayLRSchedule(base, warmup, cooldown, total + 40, 0.75, 33).table(total + 41)[: len(theirs)]
    checks.assert_agree(ours, theirs, terms=base, what=f"WarmCoolDecay {base} {warmup} {cooldown} {total}")


@pytest.mark.parametrize("seed", range(20))
def test_by_epoch(seed):
    rng = np.random.default_rng(seed)
    first, last, n = float(rng.random()), float(rng.random()), int(rng.integers(1, 60))
    theirs = peer.LinearScheduler(first, last, n)
    values = [theirs(e)[1] for e in range(n)]  # in float32
    checks.assert_agree(S.LinearScheduler(first, last, n).table(n), values, terms=1.0, roundings=4, eps=2.0**-24)
    kinds = [{}, {"decay_factor": float(rng.uniform(0.1, 1))}, {"decay_drop": int(rng.integers(1, 9))}]
    kinds.append({"half_life": float(rng.uniform(1, 20))})
    options = kinds[rng.integers(4)]
    theirs = peer.StepScheduler(first, **options)
    checks.assert_agree(S.StepScheduler(first, **options).table(80), [theirs(e)[1] for e in range(80)], what=f"{options}")


@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
def test_cyclic(mode):
    theirs = peer.CyclicLRScheduler(0.01, 0.3, 7.5, mode, 0.99)
    ours = S.CyclicLRScheduler(0.01, 0.3, 7.5, mode, 0.99).table(STEPS)
    checks.assert_agree(ours, [theirs.clr(t) for t in range(STEPS)], terms=1.0, roundings=200)

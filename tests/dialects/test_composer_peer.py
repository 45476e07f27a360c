"""dialects.composer against composer's own schedulers over random times, durations and scale ratios.

composer counts whole steps. What holds between them is checked against the formulas, in tests/dialects/test_composer.py.
"""

from __future__ import annotations

import inspect
import warnings
from types import SimpleNamespace

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import composer as C

pytest.importorskip("torch")
enum = isolated_import.load("composer.utils.string_enum")
time = isolated_import.load("composer.core.time", **{"composer.utils": {"StringEnum": enum.StringEnum}})
peer = isolated_import.load(
    "composer.optim.scheduler", **{"composer.core": {"State": object, "Time": time.Time, "TimeUnit": time.TimeUnit}}
)

pytestmark = pytest.mark.peers
NO_DEPS = "mosaicml"
STEPS = 140
PER_EPOCH = 20


def run(scheduler, duration, ssr):
    values = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for t in range(STEPS):
            stamp = time.Timestamp(epoch=t // PER_EPOCH, batch=t, batch_in_epoch=t % PER_EPOCH)
            state = SimpleNamespace(timestamp=stamp, max_duration=time.Time.from_timestring(duration), dataloader_len=PER_EPOCH)
            values.append(scheduler(state, ssr))
    return np.array(values, float)


def compare(name, *args, duration, ssr, **kwargs):
    ours = getattr(C, name)(0.3, *args, **kwargs, max_duration=duration, batches_per_epoch=PER_EPOCH, ssr=ssr).table(STEPS)
    theirs = 0.3 * run(getattr(peer, name)(*args, **kwargs), duration, ssr)
    checks.assert_agree(ours, theirs, terms=0.3, what=f"{name}{args}{kwargs} {duration} {ssr}")


def test_every_scheduler_is_there():
    theirs = {n for n, c in vars(peer).items() if inspect.isclass(c) and c.__module__ == peer.__name__}
    assert theirs - {"ComposerScheduler"} == set(C.__all__)


def draw_time(rng):
    kind = rng.integers(3)
    if kind == 0:
        return f"{int(rng.integers(1, 120))}ba"
    return f"{int(rng.integers(1, 6))}ep" if kind == 1 else f"{rng.uniform(0.1, 1):.3f}dur"


@pytest.mark.parametrize("seed", range(40))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    a, b, gamma = (float(x) for x in rng.uniform(0.05, 1, 3))
    run = {"duration": str(rng.choice(["5ep", "110ba"])), "ssr": float(rng.choice([1.0, 0.5, rng.uniform(0.4, 1.3)]))}
    compare("StepScheduler", draw_time(rng), gamma, **run)
    compare("MultiStepScheduler", [draw_time(rng) for _ in range(4)], gamma, **run)
    compare("ConstantScheduler", a, draw_time(rng), **run)
    compare("LinearScheduler", a, b, draw_time(rng), **run)
    compare("ExponentialScheduler", gamma, draw_time(rng), **run)
    compare("CosineAnnealingScheduler", draw_time(rng), a, **run)
    compare("CosineAnnealingWarmRestartsScheduler", f"{int(rng.integers(5, 40))}ba", float(rng.uniform(1, 2)), a, **run)
    compare("PolynomialScheduler", float(rng.uniform(0.5, 2)), draw_time(rng), a, **run)
    # scale_warmup: see below
    warmup = f"{int(rng.integers(1, 30))}ba"
    compare("MultiStepWithWarmupScheduler", warmup, [draw_time(rng) for _ in range(4)], gamma, **run)
    compare("ConstantWithWarmupScheduler", warmup, a, "1dur", **run)
    compare("LinearWithWarmupScheduler", warmup, a, b, "1dur", **run)
    compare("CosineAnnealingWithWarmupScheduler", warmup, "1dur", a, **run)
    compare("PolynomialWithWarmupScheduler", warmup, float(rng.uniform(0.5, 3)), "1dur", a, **run)


def test_scaled_warmup():
    """The difference listed in the documentation: composer scales the slope of the warm-up and not its end."""
    theirs = run(peer.ConstantWithWarmupScheduler("20ba", scale_warmup=True), "100ba", 2.0)
    assert theirs[19] == 19 / 40
    assert theirs[20] == 1.0
    ours = C.ConstantWithWarmupScheduler(1.0, "20ba", scale_warmup=True, max_duration=100, ssr=2.0)
    assert ours([19, 20, 40]).tolist() == [19 / 40, 0.5, 1.0]

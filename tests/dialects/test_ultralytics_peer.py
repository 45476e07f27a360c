"""dialects.ultralytics against the trainer's own curve and length of warm-up; the interpolation itself stands in its loop."""

from __future__ import annotations

from types import SimpleNamespace

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import ultralytics as U

pytestmark = pytest.mark.peers
NO_DEPS = "ultralytics"

torch = pytest.importorskip("torch")
VERSION = {"ultralytics": {"__version__": "8"}}
utils = isolated_import.load(
    "ultralytics.utils.torch_utils",
    **VERSION,
    **dict.fromkeys(["ultralytics.utils", "ultralytics.utils.checks", "ultralytics.utils.patches"], ...),
)
peer = isolated_import.load(
    "ultralytics.engine.trainer",
    **VERSION,
    **dict.fromkeys([f"ultralytics.{one}" for one in ("cfg", "data", "nn", "optim", "utils")], ...),
)
peer.one_cycle = utils.one_cycle


def run(times, epochs, num_batches, **args):
    """What the loop of _do_train sets before each batch."""
    optimizer = torch.optim.SGD([{"params": [torch.zeros(1)], "lr": args["lr0"]}], momentum=args["momentum"])
    trainer = SimpleNamespace(args=SimpleNamespace(**args), epochs=epochs, optimizer=optimizer)
    peer.BaseTrainer._setup_scheduler(trainer)
    warmup = peer.BaseTrainer._get_warmup_iterations(trainer, num_batches)
    rows = []
    for t in times:
        target = args["lr0"] * trainer.lf(t // num_batches)
        row = [target, target, args["momentum"]]
        if warmup and t <= warmup:
            begins = [0.0, args["warmup_bias_lr"], args["warmup_momentum"]]
            row = [np.interp(t, [0, warmup], pair) for pair in zip(begins, row, strict=True)]
        rows.append(row)
    return np.array(rows).T


@pytest.mark.parametrize("seed", range(40))
def test_random_arguments(seed):
    rng = np.random.default_rng(seed)
    epochs, num_batches = int(rng.integers(1, 12)), int(rng.integers(1, 15))
    args = {
        "lr0": float(10 ** rng.uniform(-4, 0)),
        "lrf": float(rng.uniform(0, 1)),
        "momentum": float(rng.uniform(0.5, 1)),
        "warmup_epochs": float(rng.choice([0.0, 1.0, 3.0, rng.uniform(0, 5)])),
        "warmup_momentum": float(rng.uniform(0, 1)),
        "warmup_bias_lr": float(rng.choice([0.0, rng.uniform(0, 0.2)])),
        "cos_lr": bool(rng.integers(2)),
    }
    ours = U.BaseTrainer(epochs, num_batches, **args)
    times = checks.times(f"{epochs} {num_batches} {args}", epochs * num_batches)
    for name, one, theirs in zip(ours._fields, ours, run(times, epochs, num_batches, **args), strict=True):
        checks.assert_agree(checks.at(one, times), theirs, terms=1.0, what=f"{name} {epochs} {num_batches} {args}")


def test_one_cycle():
    theirs = utils.one_cycle(0.1, 0.7, 13)
    checks.assert_agree(U.one_cycle(0.1, 0.7, 13).table(40), [theirs(t) for t in range(40)], terms=1.0, roundings=64)

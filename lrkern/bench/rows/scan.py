"""Loss-driven schedules: many runs of recorded metrics at once."""

from __future__ import annotations

from typing import Any

import numpy as np

import lrkern as lk
from lrkern.bench.rivals import limits, peers
from lrkern.bench.timing import checks
from lrkern.bench.timing.race import Contestant, Race
from lrkern.bench.timing.result import SUBJECT
from lrkern.bench.timing.row import Row
from lrkern.bench.timing.sizes import Sizes

START = 0.1
OPTIONS: dict[str, dict[str, Any]] = {
    "keras": {},
    "torch": {},
    "optax": {},
    "transformers": {},
    "transformers, smooth": {"window": 50},
}


def noisy_losses(runs: int, steps: int) -> checks.Floats:
    """Falling metrics with noise, so that improvements become rare."""
    out = np.random.default_rng(1).random((runs, steps))
    out += np.linspace(2.0, 0.0, steps)
    return out


def race_plateau(case: str, sizes: Sizes) -> Race:
    """A grid of runs into an existing array, against a copy of the metrics and a Python loop over torch's object."""
    dialect, options = case.partition(",")[0], OPTIONS[case]
    runs, steps = sizes.schedules, sizes.grid_steps
    metrics = noisy_losses(runs, steps)
    out = np.ones_like(metrics)

    def check() -> None:
        lk.plateau(metrics, START, dialect=dialect, out=out, **options)
        for row in (0, runs - 1):
            online = lk.Plateau(START, dialect=dialect, **options)
            checks.same_bits(out[row], np.array([online.update(x) for x in metrics[row]]), case)
        if np.all(out == out[0, 0]):
            raise checks.WrongResult("no learning rate has moved")

    ghost = metrics.copy()
    rivals = [Contestant("copy", lambda: limits.copy(ghost, metrics, lk.get_threads()), metrics.size)]
    if case == "torch" and peers.module("torch"):
        recorded = metrics[0, : sizes.torch].tolist()
        rivals.append(Contestant("torch loop", lambda: peers.torch_plateau(START, recorded), len(recorded)))
    subject = Contestant(SUBJECT, lambda: lk.plateau(metrics, START, dialect=dialect, out=out, **options), metrics.size)
    return Race(subject, rivals, sizes.slow_rounds, check)


def race_loss_driven(case: str, sizes: Sizes) -> Race:
    """The same for `loss_driven`."""
    losses = noisy_losses(sizes.schedules, sizes.grid_steps)
    out, ghost = np.ones_like(losses), losses.copy()

    def check() -> None:
        lk.loss_driven(losses, START, 0.999, out=out)
        online = lk.LossDriven(START, 0.999)
        checks.same_bits(out[-1], np.array([online.update(x) for x in losses[-1]]), case)

    rival = Contestant("copy", lambda: limits.copy(ghost, losses, lk.get_threads()), losses.size)
    subject = Contestant(SUBJECT, lambda: lk.loss_driven(losses, START, 0.999, out=out), losses.size)
    return Race(subject, [rival], sizes.slow_rounds, check)


ROWS = [
    Row("plateau", tuple(OPTIONS), race_plateau),
    Row("loss-driven", ("loss_driven",), race_loss_driven),
]

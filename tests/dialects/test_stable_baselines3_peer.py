"""dialects.stable_baselines3 against its own schedules over random arguments, at whole steps and between them."""

from __future__ import annotations

import dialect_checks as checks
import isolated_import
import numpy as np
import pytest

from lrkern.dialects import stable_baselines3 as S

pytestmark = pytest.mark.peers
NO_DEPS = "stable-baselines3"

pytest.importorskip("torch")
OTHERS = ["gymnasium", "cloudpickle", "stable_baselines3.common.logger", "stable_baselines3.common.type_aliases"]
peer = isolated_import.load("stable_baselines3.common.utils", stable_baselines3=..., **dict.fromkeys(OTHERS, ...))


@pytest.mark.parametrize("seed", range(40))
def test_linear(seed):
    rng = np.random.default_rng(seed)
    start, end = (float(x) for x in rng.uniform(0, 1, 2))
    part, total = float(rng.choice([1.0, rng.uniform(0.05, 1.2)])), int(rng.integers(1, 300))
    theirs = peer.LinearSchedule(start, end, part)
    ours = S.LinearSchedule(start, end, part, total_timesteps=total)
    for t in (np.arange(total + 1), rng.random(20) * total):
        expected = [theirs(1.0 - step / total) for step in t]
        # near the end of the part their progress decides on which side it is
        checks.assert_agree(ours(t), expected, terms=max(start, end) / part, what=f"{start} {end} {part} {total}")


def test_float():
    assert S.FloatSchedule(0.1)(3) == peer.FloatSchedule(0.1)(0.5)
    theirs = peer.FloatSchedule(lambda left: left**2)
    ours = S.FloatSchedule(lambda left: left**2, total_timesteps=50).table(50)
    assert ours.tolist() == [theirs(1.0 - t / 50) for t in range(50)]
    assert S.ConstantSchedule(0.1)(3) == peer.ConstantSchedule(0.1)(0.5)

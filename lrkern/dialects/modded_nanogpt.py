"""modded-nanogpt's recipe: step t is the iteration of its loop."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from lrkern import schedules
from lrkern._checks import count, real, reals
from lrkern.dialects._parts import called, public, warmed
from lrkern.schedules.expression import Schedule


class Recipe(NamedTuple):
    """What modded-nanogpt sets before each update of its matrices."""

    lr: Schedule
    momentum: Schedule
    weight_decay: Schedule


def TrainingSchedule(
    scheduled_iterations: int = 1270,
    extension_iterations: int = 15,
    cooldown_frac: float = 0.6,
    *,
    lr_muls: Sequence[float] = (1.0, 1.52, 1.73),
    durations: Sequence[float] = (1 / 3, 1 / 3, 1 / 3),
) -> Schedule:
    """The factor of every rate: m (1 - p) + 0.15 p, m that of the stage, p from 0 to 1 in the cool-down.

    The cool-down begins at step c = int(S (1 - cooldown_frac)) of S scheduled iterations: p = (t - c)/(S - c), and 1 in the
    extension. Stages end at round(S (d_1 + ... + d_i)), d the durations.

    Args:
        scheduled_iterations: S >= 1.
        extension_iterations: steps after them, >= 0, which all have the factor 0.15.
        cooldown_frac: above 0, at most 1.
        lr_muls: factors of the stages, which go with the batch size.
        durations: of as many stages, > 0; they add up to 1.

    Source: modded-nanogpt train_gpt.py TrainingSchedule.get_lr (August 2026).

    >>> TrainingSchedule(100)([0, 33, 40, 70, 100])
    array([1.  , 1.52, 1.52, 0.94, 0.15])
    """
    where = "modded_nanogpt.TrainingSchedule"
    steps = count(where, "scheduled_iterations", scheduled_iterations, low=1)
    count(where, "extension_iterations", extension_iterations)
    levels, shares = reals(where, "lr_muls", lr_muls, least=1), reals(where, "durations", durations, least=1)
    if len(levels) != len(shares):
        raise ValueError(f"{where}: lr_muls must be as many as the {len(shares)} durations; got {len(levels)}")
    ends = [round(share * steps) for share in accumulate(shares)]
    if min(shares) <= 0.0 or ends[-1] != steps:
        raise ValueError(f"{where}: durations must be > 0 and add up to 1; got {shares}")
    begin = int(steps * (1 - real(where, "cooldown_frac", cooldown_frac, above=0.0, high=1.0)))
    if begin == steps:
        raise ValueError(f"{where}: cooldown_frac must leave a step of {steps} to cool down in; got {cooldown_frac}")
    own = schedules.piecewise(levels, ends[:-1]) * schedules.linear(1.0, 0.0, steps - begin).shift(begin)
    return own + 0.15 * schedules.linear(0.0, 1.0, steps - begin).shift(begin)


def get_muon_momentum(
    total_steps: int = 1285,
    muon_warmup_steps: int = 300,
    muon_cooldown_steps: int = 50,
    momentum_min: float = 0.85,
    momentum_max: float = 0.95,
) -> Schedule:
    """Up from momentum_min to momentum_max in muon_warmup_steps, and down again in the last muon_cooldown_steps.

    Args:
        total_steps: scheduled and extension iterations, >= 1; from there on the value is held.
        muon_warmup_steps, muon_cooldown_steps: >= 0; if they overlap, the warm-up holds.
        momentum_min, momentum_max: 0 to 1.

    Source: modded-nanogpt train_gpt.py get_muon_momentum (August 2026).

    >>> get_muon_momentum(1000)([0, 150, 300, 950, 975, 1000])
    array([0.85, 0.9 , 0.95, 0.95, 0.9 , 0.85])
    """
    where = "modded_nanogpt.get_muon_momentum"
    total, warmup = count(where, "total_steps", total_steps, low=1), count(where, "muon_warmup_steps", muon_warmup_steps)
    cooldown = count(where, "muon_cooldown_steps", muon_cooldown_steps)
    low = real(where, "momentum_min", momentum_min, low=0.0, high=1.0)
    high = real(where, "momentum_max", momentum_max, low=0.0, high=1.0)
    at = total - cooldown
    down = (schedules.linear(high, low, cooldown) if cooldown else schedules.constant(high)).shift(at - warmup)
    return warmed(low, high, warmup, down)


def train_gpt(
    lr: float = 0.023,
    weight_decay: float = 1.2,
    scheduled_iterations: int = 1270,
    extension_iterations: int = 15,
    cooldown_frac: float = 0.6,
    *,
    lr_muls: Sequence[float] = (1.0, 1.52, 1.73),
    durations: Sequence[float] = (1 / 3, 1 / 3, 1 / 3),
    muon_warmup_steps: int = 300,
    muon_cooldown_steps: int = 50,
    momentum_min: float = 0.85,
    momentum_max: float = 0.95,
) -> Recipe:
    """Three schedules of the matrices, which NorMuon trains: `lr`, `momentum`, and `weight_decay`, which follows the rate.

    lr = lr times `TrainingSchedule`; weight_decay = weight_decay lr, in the sense of AdamW's: p -= lr weight_decay p.

    Args:
        lr, weight_decay: the optimizer's own.
        scheduled_iterations, extension_iterations, cooldown_frac, lr_muls, durations: as in `TrainingSchedule`.
        muon_warmup_steps, muon_cooldown_steps, momentum_min, momentum_max: as in `get_muon_momentum`.

    Source: modded-nanogpt train_gpt.py NorMuonAndAdam, TrainingManager.step_optimizers (August 2026).

    >>> recipe = train_gpt()
    >>> recipe.lr(0), recipe.momentum(0), recipe.weight_decay(0)
    (0.023, 0.85, 0.0276)
    """
    where = "modded_nanogpt.train_gpt"
    with called(where):
        factor = TrainingSchedule(
            scheduled_iterations, extension_iterations, cooldown_frac, lr_muls=lr_muls, durations=durations
        )
        total = scheduled_iterations + extension_iterations
        momentum = get_muon_momentum(total, muon_warmup_steps, muon_cooldown_steps, momentum_min, momentum_max)
    rate = real(where, "lr", lr) * factor
    return Recipe(rate, momentum, real(where, "weight_decay", weight_decay) * rate)


__all__ = public(globals())

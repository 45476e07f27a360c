"""The learning rate that keeps a Kullback-Leibler divergence near its target, of many runs at once or from update to update."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from lrkern import _core
from lrkern._loss_driven.dialects import KL_DIALECTS
from lrkern._loss_driven.plateau import Plateau, _Scan
from lrkern._loss_driven.runs import Floats, PerRun, output_for, rows_of

_NAMES = ("threshold", "min_lr", "max_lr", "kl_factor", "lr_factor", "precision")


def kl_adaptive(
    kl: npt.ArrayLike,
    start: PerRun,
    threshold: PerRun | None = None,
    min_lr: PerRun | None = None,
    max_lr: PerRun | None = None,
    kl_factor: PerRun | None = None,
    lr_factor: PerRun | None = None,
    dialect: str = "skrl",
    *,
    precision: str | None = None,
    out: Floats | None = None,
    backend: str | None = None,
) -> Floats:
    """Learning rates that follow recorded divergences between the old and the new policy, of any number of runs at once.

    lr = max(lr/lr_factor, min_lr) where kl > threshold kl_factor; lr = min(lr lr_factor, max_lr) where kl < threshold/kl_factor
    ("rsl_rl": and kl > 0); else lr stays.

    Args:
        kl: float64, float32 or integers of shape (..., steps): one row per run. A comparison with NaN is false.
        start: the learning rate before the first divergence, >= 0. This and all other numbers may be arrays that broadcast
            against the shape of the runs (`kl` without its last axis).
        threshold: the target, > 0 ("skrl": 0.008; "rsl_rl": `desired_kl`, 0.01).
        min_lr, max_lr: bounds of what it moves to, >= 0 ("skrl": 1e-6, "rsl_rl": 1e-5; 0.01).
        kl_factor: how far from the target nothing happens, >= 1 (2).
        lr_factor: > 1 (1.5).
        dialect: "skrl" or "rsl_rl": whose rules and defaults hold. None has the dialect's default.
        precision: "float32" (default): the two bounds of kl are rounded to float32, as torch does when it compares a float32
            tensor with them; "float64": they are not, as for Python's numbers.
        out: C-contiguous float64 of the shape of `kl`, to be filled; must not overlap `kl`.
        backend: "c" (what None means, too) or "numba", with the same bits.

    Returns:
        float64 of the shape of `kl`: the learning rate in force after each.

    Raises:
        TypeError, ValueError: an argument is of another kind, out of range or of a shape that does not fit.
        ImportError, RuntimeError: the backend cannot be used here, and why; see `lrkern.info`.

    Accuracy:
        To the last bit what the peer gives, update by update; for any number of runs, threads and on any machine.

    Example:
        >>> import lrkern as lk
        >>> lk.kl_adaptive([0.02, 0.008, 0.001], 0.003)
        array([0.002, 0.002, 0.003])

    Source:
        skrl.resources.schedulers.torch.KLAdaptiveLR; rsl_rl.algorithms.PPO with schedule="adaptive".
    """
    where = "kl_adaptive"
    options = dict(zip(_NAMES, (threshold, min_lr, max_lr, kl_factor, lr_factor, precision), strict=True))
    rows, shape = rows_of(where, "kl", kl)
    scan = _Scan(where, dialect, start, options, shape[:-1], backend, KL_DIALECTS)
    lr = output_for(where, out, shape, rows)
    with _core.hold(where, "kl", rows), _core.hold(where, "out", lr):
        scan.advance(rows, lr.reshape(rows.shape))
    return lr if out is None else out


class KLAdaptive(Plateau):
    """`kl_adaptive` from update to update, for one run or many: the same numbers, one at a time.

    Args:
        start, threshold, ..., dialect, precision: as in `kl_adaptive`. Arrays make as many runs as they broadcast to.

    Raises:
        TypeError, ValueError: as `kl_adaptive`.

    Example:
        >>> import lrkern as lk
        >>> schedule = lk.KLAdaptive(0.003, dialect="rsl_rl", max_lr=0.004)
        >>> [schedule.update(kl) for kl in (0.03, 0.01, 0.001, 0.0)]
        [0.002, 0.002, 0.003, 0.003]
        >>> schedule.lr, schedule.count
        (0.003, 4)
    """

    def __init__(
        self,
        start: PerRun,
        threshold: PerRun | None = None,
        min_lr: PerRun | None = None,
        max_lr: PerRun | None = None,
        kl_factor: PerRun | None = None,
        lr_factor: PerRun | None = None,
        dialect: str = "skrl",
        *,
        precision: str | None = None,
    ) -> None:
        options: dict[str, Any] = dict(zip(_NAMES, (threshold, min_lr, max_lr, kl_factor, lr_factor, precision), strict=True))
        self._begin(_Scan("KLAdaptive", dialect, start, options, dialects=KL_DIALECTS), None)

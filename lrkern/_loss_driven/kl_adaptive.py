"""Learning rates that keep a Kullback-Leibler divergence near its target, for many runs at once or update by update."""

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
    """Learning rates from recorded divergences between the old and the new policy, for any number of runs at once.

    lr = max(lr/lr_factor, min_lr) where kl > threshold kl_factor; lr = min(lr lr_factor, max_lr) where kl < threshold/kl_factor
    ("rsl_rl": and kl > 0); otherwise lr is unchanged.

    Args:
        kl: float64, float32 or integers of shape (..., steps): one row per run. Comparisons with NaN are false.
        start: the learning rate before the first divergence, >= 0. This and all other numbers may be arrays that broadcast
            against the shape of the runs (`kl` without its last axis).
        threshold: the target, > 0 ("skrl": 0.008; "rsl_rl": `desired_kl`, 0.01).
        min_lr, max_lr: bounds of lr when it changes, >= 0 (min_lr: "skrl" 1e-6, "rsl_rl" 1e-5; max_lr: 0.01).
        kl_factor: width of the band around the target in which lr is unchanged, >= 1 (2).
        lr_factor: > 1 (1.5).
        dialect: "skrl" or "rsl_rl": whose rules and defaults apply. An argument that is None has the dialect's default.
        precision: "float32" (default): the two bounds of kl are rounded to float32, as torch does when it compares a float32
            tensor with them; "float64": they are not, as for Python's numbers.
        out: array to fill: C-contiguous float64 of the shape of `kl`; must not overlap `kl`.
        backend: "c" (also the meaning of None) or "numba", bit-identical.

    Returns:
        float64 of the shape of `kl`: the learning rate after each divergence.

    Raises:
        TypeError, ValueError: an argument has the wrong kind or shape, or is out of range.
        ImportError, RuntimeError: the backend cannot be used here; the message says why. See `lrkern.info`.

    Accuracy:
        Bit-identical to the peer, update by update, for any number of runs and threads and on any machine.

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
    """`kl_adaptive` update by update, for one run or many: the same numbers, one at a time.

    Args:
        start, threshold, ..., dialect, precision: as in `kl_adaptive`. The number of runs is the arrays' broadcast size.

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

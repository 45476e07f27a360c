"""Loss-driven schedules: learning rates from metrics, recorded ones of many runs at once, or metric by metric."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from lrkern import _checks, _core
from lrkern._loss_driven import online_state
from lrkern._loss_driven.dialects import DIALECTS, TORCH, Dialect, DialectOptions, check_arguments, kernel_params
from lrkern._loss_driven.runs import LR, Floats, Number, PerRun, metrics_of, output_for, per_run, rows_of
from lrkern.backends import choose
from lrkern.schedules.curves import exponential, from_table
from lrkern.schedules.expression import Schedule
from lrkern.schedules.grids import tables

_BACKENDS = ("c", "numba")

# -------------------------------------------------------------------------------------------------------------- plateau


class _Scan:
    """Runs in progress: checked arguments, and the state that the kernel carries from metric to metric."""

    def __init__(
        self,
        where: str,
        dialect: str,
        start: object,
        options: Mapping[str, object],
        shape: Any = None,
        backend: str | None = None,
        dialects: Mapping[str, Dialect] = DIALECTS,
    ) -> None:
        scans = choose(where, backend, among=_BACKENDS).scans
        given = check_arguments(where, dialects, dialect, start, options)
        self.peer = dialects[dialect]
        self.arguments = {
            "dialect": dialect,
            **{name: _plain_argument(self.peer, name, value) for name, value in given.items()},
        }
        numbers = {name: value for name, value in given.items() if isinstance(value, np.ndarray)}
        if shape is None:
            try:
                shape = np.broadcast_shapes(*(value.shape for value in numbers.values()))
            except ValueError:
                shapes = ", ".join(f"{name} {value.shape}" for name, value in numbers.items() if value.ndim)
                raise ValueError(f"{where}: arguments must broadcast against each other; got shapes {shapes}") from None
        for name, value in numbers.items():
            numbers[name] = per_run(where, name, value, shape)
        given |= numbers
        self.shape, self.runs = shape, prod(shape)
        self.dialect, self.given = dialect, given
        self.scan = scans[self.peer.rule(given)]
        self.begin, self.end = self.peer.watch(given)
        self.sign = -1.0 if given.get("mode") == "max" else 1.0
        self.params = {
            name: np.ascontiguousarray(np.atleast_1d(value)) for name, value in kernel_params(dialect, given).items()
        }
        self.count = 0
        self.state = {name: np.zeros(self.runs) for name in _core.SCAN_STATE}
        self.state["lr"][:] = given["warmup_lr"] if dialect == "timm" and given["warmup"] else self.params["start"]
        self.state["scale"][:] = 1.0
        self.state["best"][:] = self.peer.best
        self.state["resets"][:] = self.params["reset_start"]
        window = given.get("window") or 0
        self.history = np.zeros((self.runs, window))
        """The latest metrics, oldest first, of runs that advance metric by metric."""
        self.isa: str | None = None

    def advance(self, metrics: npt.NDArray[Any], lr: Floats) -> None:
        """lr[:, t] = the learning rates after metrics[:, t]; takes all metrics in one call, or one per call."""
        steps = metrics.shape[1]
        begin = int(np.clip(self.begin - self.count, 0, steps))
        end = int(np.clip(self.end - self.count, begin, steps))
        if self.dialect == "timm":
            self._warm_up(lr[:, :begin])
        else:
            lr[:, :begin] = self.state["lr"][:, None]
        delayed, delay = (self.history, 0) if self.count else (metrics, self.history.shape[1])
        watched, rates = metrics[:, begin:end], lr[:, begin:end]
        self.isa = self.scan(self.sign, self.params, self.state, watched, delayed, delay, rates)
        lr[:, end:] = self.state["lr"][:, None]
        self.count += steps

    def _warm_up(self, lr: Floats) -> None:
        steps = lr.shape[1]
        if steps:
            first, each = self.given["warmup_lr"], (self.given["start"] - self.given["warmup_lr"]) / self.given["warmup"]
            epochs = np.arange(self.count + 1, self.count + steps + 1)
            lr[:] = first[:, None] + epochs * each[:, None]
            self.state["lr"][:] = lr[:, -1]


def _plain_argument(peer: Dialect, name: str, value: Any) -> Any:
    """An argument as a number, a string, None, or lists of numbers."""
    if not isinstance(value, np.ndarray):
        return value
    check = peer.arguments[name][0] if name != "start" else LR
    return online_state.plain(value, whole=isinstance(check, Number) and check.whole)


def plateau(
    metrics: npt.ArrayLike,
    start: PerRun,
    factor: PerRun | None = None,
    patience: PerRun | None = None,
    threshold: PerRun | None = None,
    threshold_mode: str | None = None,
    mode: str | None = None,
    cooldown: PerRun | None = None,
    min_lr: PerRun | None = None,
    eps: PerRun | None = None,
    dialect: str = "torch",
    *,
    out: Floats | None = None,
    backend: str | None = None,
    **more: Unpack[DialectOptions],
) -> Floats:
    """Learning rates that fall when recorded metrics stop improving, for any number of runs at once.

    In short: a metric is good if it beats the best one so far by more than `threshold`, else bad; after more than `patience`
    bad metrics in a row, lr = max(lr factor, min_lr), and the next `cooldown` metrics do not count as bad. The formulas of all
    dialects are in the documentation, under "Loss-driven schedules".

    Args:
        metrics: float64, float32 or integers of shape (..., steps): one row per run. NaN and infinities are data; a NaN never
            beats anything.
        start: the learning rate before the first metric, >= 0. This and all other numbers may be arrays that broadcast against
            the shape of the runs (`metrics` without its last axis), except where noted.
        factor: 0 <= factor < 1 ("optax", "transformers": > 0; "speechbrain": `annealing_factor`).
        patience: an integer >= 0.
        threshold: >= 0 ("optax": `rtol`, at most 1; "keras": `min_delta`; "speechbrain": `improvement_threshold`).
            Not in "speechbrain_plateau".
        threshold_mode: "rel": a fraction of the best metric; "abs": a difference. Not in "keras" (abs), "optax" (rel) and the
            two of speechbrain ("speechbrain": a fraction of the previous metric).
        mode: "min": smaller metrics are better; "max": larger ones. Not in "optax" and the two of speechbrain (min).
        cooldown: an integer >= 0. Not in the two of speechbrain.
        min_lr: >= 0. Not in "optax", "speechbrain".
        eps: lr is kept if it would change by at most this, >= 0. Not in "keras", "optax" and the two of speechbrain.
        dialect: "torch", "keras", "optax", "mmengine", "timm", "transformers", "paddle", "speechbrain" (its NewBob) or
            "speechbrain_plateau" (its ReduceLROnPlateau): whose rules and defaults apply. An argument that is None has the
            dialect's default.
        out: array to fill: C-contiguous float64 of the shape of `metrics`; must not overlap `metrics`.
        backend: "c" (also the meaning of None) or "numba", bit-identical.
        precision: "keras", "optax": "float32" (default) or "float64", the type of their variables.
        atol, accumulate, min_scale: "optax": an absolute threshold, added to the relative one; the number of metrics averaged
            for a decision; the lower bound of lr/start.
        max_lr, warmup, reset_start, window: "transformers": the upper bound of lr; the number of metrics ignored after an
            increase; the number of decisions at min_lr after which it starts over; the number of latest metrics averaged (an
            int, the same for all runs; None: no averaging).
        warmup: "speechbrain_plateau": `dont_halve_until_epoch`, the number of first metrics that change nothing.
        warmup, warmup_lr: "timm": linear warm-up from warmup_lr over `warmup` metrics (an int, the same for all runs).
        begin, end: "mmengine": only the metrics of epochs begin <= epoch < end count, from 1 (ints; None: no end).

    Returns:
        float64 of the shape of `metrics`: the learning rate after each metric.

    Raises:
        TypeError: an argument is of the wrong kind, or the dialect does not have it.
        ValueError: a number is out of range, or shapes do not match; nothing has been written.
        ImportError, RuntimeError: the backend cannot be used here; the message says why. See `lrkern.info`.

    Accuracy:
        Bit-identical to the peer's own object, metric by metric, for any number of runs and threads and on any machine.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> losses = np.array([[3.0, 2.0, 2.0, 2.0, 2.0], [3.0, 2.0, 1.0, 0.5, 0.4]])
        >>> lk.plateau(losses, [0.1, 0.2], factor=0.5, patience=1)
        array([[0.1 , 0.1 , 0.1 , 0.05, 0.05],
               [0.2 , 0.2 , 0.2 , 0.2 , 0.2 ]])

    Source:
        torch.optim.lr_scheduler.ReduceLROnPlateau, keras.callbacks.ReduceLROnPlateau, optax.contrib.reduce_on_plateau,
        mmengine.optim.ReduceOnPlateauLR, timm.scheduler.PlateauLRScheduler; transformers.GreedyLR, arXiv 2512.14527;
        paddle.optimizer.lr.ReduceOnPlateau, speechbrain.nnet.schedulers.NewBobScheduler, ReduceLROnPlateau.
    """
    options = _options(locals(), more)
    with _core.DefaultMode():
        rows, shape = rows_of("plateau", "metrics", metrics)
        scan = _Scan("plateau", dialect, start, options, shape[:-1], backend)
        lr = output_for("plateau", out, shape, rows)
        with _core.hold("plateau", "metrics", rows), _core.hold("plateau", "out", lr):
            scan.advance(rows, lr.reshape(rows.shape))
        return lr if out is None else out


def _options(arguments: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    return {name: arguments[name] for name in TORCH} | dict(more)


class Plateau:
    """`plateau` metric by metric, for one run or many: the same numbers, one at a time; alone or times a schedule.

    With `schedule`, the learning rate of update t is schedule(t) lr_t, rounded once, where lr_t is the plateau's current value:
    `start` (1 by default) at first, then reduced as in `plateau`. `step` begins an update, `update` takes a metric; both return
    the current learning rate. Steps and metrics may be mixed freely: for example, a warm-up by step and reductions by epoch.

    Args:
        start: as in `plateau`. With a schedule it may be omitted: 1.0.
        factor, ..., dialect, and the others: as in `plateau`. The number of runs is the arrays' broadcast size. With a
            schedule, `min_lr`, `max_lr` and `eps` apply to the factor that multiplies the schedule.
        schedule: a Schedule over the index of the update; None: 1 at every update.

    Raises:
        TypeError, ValueError: as in `plateau`; `schedule` is of the wrong kind.

    Example:
        >>> import lrkern as lk
        >>> rate = lk.Plateau(0.1, factor=0.5, patience=1)
        >>> [rate.update(loss) for loss in (3.0, 2.0, 2.0, 2.0, 2.0)]
        [0.1, 0.1, 0.1, 0.05, 0.05]
        >>> rate.lr, rate.count
        (0.05, 5)

        A warm-up of 4 updates, then 0.1, halved after the first epoch that does not improve on the best:

        >>> rate = lk.Plateau(factor=0.5, patience=0, schedule=lk.constant(0.1).warmup(4))
        >>> for loss in (3.0, 2.0, 2.0):
        ...     rates = [rate.step() for _ in range(3)]  # an epoch of three updates
        ...     print(rates, rate.update(loss))
        [0.0, 0.025, 0.05] 0.05
        [0.07500000000000001, 0.1, 0.1] 0.1
        [0.1, 0.1, 0.1] 0.05
    """

    def __init__(
        self,
        start: PerRun | None = None,
        factor: PerRun | None = None,
        patience: PerRun | None = None,
        threshold: PerRun | None = None,
        threshold_mode: str | None = None,
        mode: str | None = None,
        cooldown: PerRun | None = None,
        min_lr: PerRun | None = None,
        eps: PerRun | None = None,
        dialect: str = "torch",
        *,
        schedule: Schedule | None = None,
        **more: Unpack[DialectOptions],
    ) -> None:
        options = _options(locals(), more)
        if schedule is not None and not isinstance(schedule, Schedule):
            raise TypeError(f"Plateau: schedule must be a Schedule; got {_checks.describe(schedule)}")
        with _core.DefaultMode():
            scan = _Scan("Plateau", dialect, 1.0 if start is None and schedule is not None else start, options)
            self._begin(scan, schedule)

    def _begin(self, scan: _Scan, schedule: Schedule | None) -> None:
        self._scan = scan
        self._schedule = schedule
        self._steps = 0
        self._value = 1.0 if schedule is None else schedule(0)

    @property
    def count(self) -> int:
        """Number of metrics seen."""
        return self._scan.count

    @property
    def steps(self) -> int:
        """Number of updates begun."""
        return self._steps

    @property
    def lr(self) -> Any:
        """The current learning rate, that of the last update begun: a float, or an array of the shape of the runs.

        Before the first update it is the learning rate of the first update.
        """
        return self._rate(self._value)

    @property
    def scale(self) -> Any:
        """The plateau's current value, which multiplies the schedule. Without a schedule this is `lr`."""
        return _plain(self._scan.state["lr"], self._scan.shape)

    def step(self) -> Any:
        """Begin the next update and return its learning rate. The first call begins update 0.

        Raises:
            OverflowError: the schedule's value, or the product, is beyond float64; nothing has changed.
        """
        value = 1.0 if self._schedule is None else self._schedule(self._steps)
        rate = self._rate(value)
        self._value = value
        self._steps += 1
        return rate

    def _rate(self, value: float) -> Any:
        with np.errstate(over="ignore"):
            rates = value * self._scan.state["lr"]
        if not np.isfinite(rates).all():
            raise OverflowError(
                f"Plateau: the schedule's value {value:g} times the plateau's value is beyond the range of float64"
            )
        return _plain(rates, self._scan.shape)

    def update(self, metric: npt.ArrayLike) -> Any:
        """Take one more metric and return the learning rate.

        Args:
            metric: a number, or an array with one number per run.
        """
        scan = self._scan
        with _core.DefaultMode():
            metrics = _one_per_run(f"{type(self).__name__}.update", "metric", metric, scan.shape)
            scan.advance(metrics, np.empty((scan.runs, 1)))
            if scan.history.size:
                scan.history = np.concatenate([scan.history[:, 1:], metrics], axis=1)
        return self.lr

    def state_dict(self) -> dict[str, Any]:
        """The state needed to resume, as plain data: numbers, strings, lists and dicts, for JSON, `torch.save`, pickle.

        Per-run numbers are lists, nested like the shape of the runs. Non-finite numbers are the strings "inf", "-inf" and
        "nan", because JSON has no numbers for them. The arguments are included, so that a state cannot be loaded into an
        object with different ones.

        >>> import json
        >>> import lrkern as lk
        >>> rate = lk.Plateau(0.1, patience=1)
        >>> state = json.loads(json.dumps(rate.state_dict(), allow_nan=False))
        >>> state["count"], state["state"]["best"], state["arguments"]["patience"]
        (0, 'inf', 1)
        >>> rate.load_state_dict(state)
        >>> lk.Plateau(0.1, patience=2).load_state_dict(state)
        Traceback (most recent call last):
            ...
        ValueError: Plateau.load_state_dict: patience must be 2, as in this Plateau; the state has 1
        """
        scan = self._scan
        state = {name: online_state.plain(one.reshape(scan.shape)) for name, one in scan.state.items()}
        if scan.history.size:
            state["history"] = online_state.plain(scan.history.reshape(*scan.shape, -1))
        arguments = {**scan.arguments, "schedule": None if self._schedule is None else self._schedule.to_dict()}
        return {"arguments": arguments, "count": scan.count, "steps": self._steps, "state": state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from what `state_dict` returned, on an object made with the same arguments.

        Lists may come back as arrays or tensors, and numbers as arrays or tensors of one element. Numbers that were stored as
        float32 keep float32 precision.

        Raises:
            TypeError, ValueError: it is not such a state, or it has other arguments (the message names the first one that
                differs); nothing has changed.
        """
        where, scan = f"{type(self).__name__}.load_state_dict", self._scan
        state = online_state.fields(where, state, ("arguments", "count", "steps", "state"))
        defaults = {name: default for name, (_, default) in scan.peer.arguments.items()}
        online_state.check_arguments(where, state["arguments"], {**scan.arguments, "schedule": self._schedule}, defaults)
        count = online_state.whole_number(where, "count", state["count"])
        steps = online_state.whole_number(where, "steps", state["steps"])
        shapes = dict.fromkeys(scan.state, scan.shape)
        if scan.history.size:
            shapes["history"] = (*scan.shape, scan.history.shape[1])
        given = online_state.fields(where, state["state"], tuple(shapes))
        arrays = {name: online_state.numbers(where, name, given[name], shape) for name, shape in shapes.items()}
        value = 1.0 if self._schedule is None else self._schedule(max(steps - 1, 0))
        if scan.history.size:
            scan.history = arrays.pop("history").reshape(scan.history.shape)
        scan.state = {name: one.reshape(-1) for name, one in arrays.items()}
        scan.count, self._steps, self._value = count, steps, value


def _plain(numbers: Floats, shape: tuple[int, ...]) -> Any:
    """A float for a single run, else an array."""
    return numbers.reshape(shape).copy() if shape else float(numbers[0])


def _one_per_run(where: str, name: str, value: object, shape: tuple[int, ...]) -> Floats:
    array = metrics_of(where, name, value)
    if array.shape != shape:
        wanted = f"of shape {shape}" if shape else "a single number"
        raise ValueError(f"{where}: {name} must be {wanted}; got {_checks.describe(value)}")
    return array.astype(np.float64).reshape(-1, 1)


# ---------------------------------------------------------------------------------------------------------- loss_driven

_DECAY = Number(above=0.0)


def loss_driven(
    losses: npt.ArrayLike, start: PerRun, decay: PerRun, *, out: Floats | None = None, backend: str | None = None
) -> Floats:
    """start decay^t where losses[t] < losses[t-1], else start decay^(t-1); start at t = 0.

    The exponent is the step, not the number of improvements: a loss that rises for one step sets the decay back by one step
    only.

    Args:
        losses: float64, float32 or integers of shape (..., steps): one row per run. Comparisons with NaN are false.
        start: >= 0; a number, or an array that broadcasts against the shape of the runs (`losses` without its last axis).
        decay: > 0, likewise.
        out: array to fill: C-contiguous float64 of the shape of `losses`; must not overlap `losses`.
        backend: "c" (also the meaning of None) or "numba", bit-identical.

    Returns:
        float64 of the shape of `losses`.

    Raises:
        TypeError, ValueError: an argument has the wrong kind or shape, or is out of range.
        ImportError, RuntimeError: the backend cannot be used here; the message says why. See `lrkern.info`.
        OverflowError: a value is beyond float64.

    Accuracy:
        The values are those of `exponential(start, decay)`: 0.6 ULP.

    Example:
        >>> import lrkern as lk
        >>> lk.loss_driven([3.0, 2.0, 2.5, 1.0], 0.8, 0.5)
        array([0.8, 0.4, 0.4, 0.1])

    Source:
        A textbook rule; not in torch, keras or optax.
    """
    where = "loss_driven"
    with _core.DefaultMode():
        scans = choose(where, backend, among=_BACKENDS).scans
        rows, shape = rows_of(where, "losses", losses)
        starts = per_run(where, "start", LR.check(where, "start", start), shape[:-1])
        decays = per_run(where, "decay", _DECAY.check(where, "decay", decay), shape[:-1])
        lr = output_for(where, out, shape, rows)
        pairs, table_of = np.unique(np.stack(np.broadcast_arrays(starts, decays)), axis=1, return_inverse=True)
        curves = (
            tables([exponential(*pair) for pair in pairs.T.tolist()], rows.shape[1], backend=backend)
            if rows.size
            else np.empty((0, 0))
        )
        which = np.ascontiguousarray(np.broadcast_to(table_of.reshape(-1), len(rows)), np.int64)
        with _core.hold(where, "losses", rows), _core.hold(where, "out", lr):
            scans["loss_driven"](rows, curves, which, lr.reshape(rows.shape))
        return lr if out is None else out


class LossDriven:
    """`loss_driven` loss by loss, for one run.

    Args:
        start: >= 0.
        decay: > 0.

    Example:
        >>> import lrkern as lk
        >>> schedule = lk.LossDriven(0.8, 0.5)
        >>> [schedule.update(loss) for loss in (3.0, 2.0, 2.5, 1.0)]
        [0.8, 0.4, 0.4, 0.1]
    """

    def __init__(self, start: float, decay: float) -> None:
        start = _checks.real("LossDriven", "start", start, low=0.0)
        decay = _checks.real("LossDriven", "decay", decay, above=0.0)
        self._arguments = {"start": start, "decay": decay}
        self._curve = exponential(start, decay)
        self._count = 0
        self._loss = np.nan
        self._lr = start

    @property
    def count(self) -> int:
        """Number of losses seen."""
        return self._count

    @property
    def lr(self) -> float:
        """The current learning rate."""
        return self._lr

    def update(self, loss: float) -> float:
        """Take one more loss and return the learning rate."""
        with _core.DefaultMode():
            latest = float(_one_per_run("LossDriven.update", "loss", loss, ())[0, 0])
            fell = latest < self._loss
            self._lr = float(self._curve(max(self._count - (not fell), 0)))
            self._loss = latest
            self._count += 1
        return self._lr

    def state_dict(self) -> dict[str, Any]:
        """The state needed to resume, as plain data; like `Plateau.state_dict`."""
        state = {"loss": online_state.plain(self._loss), "lr": self._lr}
        return {"arguments": dict(self._arguments), "count": self._count, "state": state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from what `state_dict` returned, on an object made with the same arguments; like `Plateau.load_state_dict`.

        Raises:
            TypeError, ValueError: it is not such a state, or it has other arguments; nothing has changed.
        """
        where = "LossDriven.load_state_dict"
        state = online_state.fields(where, state, ("arguments", "count", "state"))
        online_state.check_arguments(where, state["arguments"], self._arguments, {})
        count = online_state.whole_number(where, "count", state["count"])
        given = online_state.fields(where, state["state"], ("loss", "lr"))
        loss, lr = (float(online_state.numbers(where, name, given[name], ())) for name in ("loss", "lr"))
        self._count, self._loss, self._lr = count, loss, _checks.real(where, "lr", lr, low=0.0)


# ----------------------------------------------------------------------------------------------------------- refinement


def refine(grad_norms: npt.ArrayLike, norm: str = "l2", *, peak: float = 1.0, smoothing: float = 0.1) -> Schedule:
    """The refinement of linear decay: a schedule computed from recorded gradient norms.

    With G_t the smoothed norm at step t = 0 .. n-1:

        w_t = 1/G_t^2 for norm = "l2" (SGD), 1/G_t for "l1" (Adam and similar optimizers)
        s_t = w_t (w_{t+1} + ... + w_{n-1})
        lr_t = peak s_t / max(s)

    G is the running median of `grad_norms` over 2 floor(smoothing n / 2) + 1 steps. The sequence is extended by copies of the
    first norm before it, and by its mirror image after the last. Constant norms give linear decay; norms that rise at the
    beginning of a run give a warm-up, and norms that fall near the end give a steeper decay.

    Args:
        grad_norms: 1-D, n >= 2 finite numbers >= 0: the norm of the whole gradient at each step of a run with another schedule.
            Zeros are outliers that the median must remove.
        norm: which norm they are: "l2", or "l1", the sum of absolute values.
        peak: the largest value, > 0.
        smoothing: the fraction of the run in the median's window, 0 to 1; 0 means no smoothing.

    Returns:
        `from_table` of n values, the last one 0.

    Raises:
        TypeError, ValueError: an argument is of the wrong kind, out of range, or too short; smoothed norms are 0, or
            span more than the range of float64.

    Accuracy:
        Sums are compensated; every value is the result of at most six roundings.

    Example:
        >>> import lrkern as lk
        >>> lk.refine([1.0, 1.0, 1.0, 1.0, 1.0], peak=0.4).table(5)
        array([0.4, 0.3, 0.2, 0.1, 0. ])
        >>> lk.refine([4.0, 2.0, 1.0, 1.0, 1.0], "l1", smoothing=0).table(5)
        array([0.4375, 0.75  , 1.    , 0.5   , 0.    ])

    Source:
        Defazio, Cutkosky, Mehta, Mishchenko, "Optimal Linear Decay Learning Rate Schedules and Further Refinements", arXiv
        2310.07831: schedules with w_t = |g_t|^-2 for SGD and, in the l1 norm, |g_t|^-1 for Adam, scaled to a maximum of 1. The
        scale does not matter there, as the peak is tuned. Weights, sums, the width of the median and the extension at both
        ends are those of the authors' published code. The paper's figures for the l1 norm use a median over 0.1 of the run,
        the default here, and weights 1/G; the others use 1/G^2.
    """
    where = "refine"
    with _core.DefaultMode():
        norms = metrics_of(where, "grad_norms", grad_norms).astype(np.float64)
        if norms.ndim != 1 or norms.size < 2:
            raise ValueError(f"{where}: grad_norms must be 1-D with at least 2 numbers; got {_checks.describe(norms)}")
        for index in np.flatnonzero(~((norms >= 0) & (norms < np.inf)))[:1].tolist():
            _checks.real(where, f"grad_norms[{index}]", norms[index], low=0.0)
        _checks.choice(where, "norm", norm, ("l2", "l1"))
        peak = _checks.real(where, "peak", peak, above=0.0)
        smoothing = _checks.real(where, "smoothing", smoothing, low=0.0, high=1.0)

        smooth = _core.running_median(np.ascontiguousarray(norms), int(smoothing * norms.size / 2))
        least = smooth.min()
        if least == 0.0:
            raise ValueError(f"{where}: grad_norms must be > 0 after smoothing; got 0 at step {int(smooth.argmin())}")
        weights = least / smooth  # scaled, so that nothing overflows
        shape = _core.times_later_sum(weights * weights if norm == "l2" else weights)
        top = shape.max()
        if not 0.0 < top < np.inf:
            spans = f"got {least:g} to {smooth.max():g}"
            raise ValueError(f"{where}: grad_norms must not span more than the range of float64; {spans}")
        return from_table((peak * (shape / top)).tolist())

"""Callbacks whose learning rate follows a metric: the online objects of lrkern in Keras' fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from lrkern import _checks
from lrkern._checks import warn
from lrkern._loss_driven import plateau
from lrkern.schedules.expression import Schedule


class _Following(keras.callbacks.Callback):
    """Sets the learning rate by an online object, which gets a metric at the end of each epoch."""

    rate: Any = None
    """The online object of the current or last fit: its `lr`, `count`; None before the first one."""
    _is_told = False
    _is_loaded = False

    def __init__(self, start: float | None, monitor: str, reset: bool) -> None:
        super().__init__()
        if not isinstance(monitor, str):
            wanted = "a string, the key of a metric in the logs"
            raise TypeError(f"{type(self).__name__}: monitor must be {wanted}; got {_checks.describe(monitor)}")
        self.start, self.monitor = start, monitor
        self.reset = _checks.flag(type(self).__name__, "reset", reset)

    def make(self, start: float) -> Any:
        """A new online object."""
        raise NotImplementedError

    def begins_at(self) -> float | None:
        """The learning rate that the fit begins with."""
        if self.start is not None:
            return self.start
        return float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))

    def assign(self, lr: float) -> None:
        """Set the learning rate of the model's optimizer."""
        try:
            self.model.optimizer.learning_rate = lr
        except (TypeError, AttributeError):  # of a schedule, of a function
            wanted = "an optimizer whose learning rate is a number, which the callback sets"
            raise TypeError(f"{type(self).__name__}: the model must have {wanted}; got a schedule or a function") from None

    def state_dict(self) -> dict[str, Any]:
        """The state needed to resume, as plain data: that of the online object, as of `lrkern.Plateau.state_dict`.

        Raises:
            ValueError: no fit has begun.
        """
        if self.rate is None:
            name = type(self).__name__
            raise ValueError(f"{name}.state_dict: the {name} must have begun a fit, or loaded a state; got none")
        return self.rate.state_dict()  # type: ignore[no-any-return]

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from what `state_dict` returned, in a callback made with the same arguments.

        The next fit continues from there, also with `reset`; fits after that do as `reset` says.

        Raises:
            TypeError, ValueError: it is not such a state, or it has other arguments; nothing has changed.
        """
        start = self.start
        if start is None:  # then it was the rate of the optimizer, which is in the state
            arguments = state.get("arguments") if isinstance(state, Mapping) else None
            start = _checks.single(arguments.get("start", 0.0)) if isinstance(arguments, Mapping) else 0.0
        rate = self.make(start)
        rate.load_state_dict(state)
        self.rate, self._is_loaded = rate, True

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin, or continue: from a state that was loaded, or, without `reset`, where the last fit ended."""
        self._is_told = False
        if self.rate is None or (self.reset and not self._is_loaded):
            self.rate = self.make(self.begins_at())  # type: ignore[arg-type]
        self._is_loaded = False
        self.assign(self.rate.lr)

    def _pass_over(self, epoch: int) -> None:
        """An epoch without validation, as those between with `validation_freq`."""
        if not self._is_told:
            self._is_told = True
            warn(
                f"{type(self).__name__}: epoch {epoch} had no validation, so there is no {self.monitor!r}; the learning rate "
                "stays as it is for epochs without"
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Take the metric; the history gets the learning rate of the epoch that ends."""
        logs = {} if logs is None else logs
        if self.monitor not in logs and self.monitor.startswith("val_") and not any(one.startswith("val_") for one in logs):
            self._pass_over(epoch)
            logs["learning_rate"] = self.rate.lr
            return
        if self.monitor not in logs:
            raise ValueError(f"{type(self).__name__}: monitor must be one of {', '.join(logs)}; got {self.monitor!r}")
        metric = float(logs[self.monitor])
        logs["learning_rate"] = self.rate.lr
        self.assign(self.rate.update(metric))


class LossDriven(_Following):
    """`lrkern.LossDriven` as a callback: the learning rate is start decay^t if the loss fell, else start decay^(t-1).

    t is the epoch, from 0; the first epoch runs at `start`, the one after epoch t at the rate above.

    Args:
        decay: > 0.
        start: >= 0; None: the learning rate that the optimizer has when the fit begins.
        monitor: the key of the loss in the logs. Epochs without validation have no "val_...": they change nothing, and a
            warning tells.
        reset: start again with each `fit`; False continues where the last one ended. A state that was loaded is continued.

    Raises:
        TypeError, ValueError: an argument is invalid (at the beginning of the first fit, for numbers); the learning rate of
            the optimizer is a schedule or a function; the logs have no `monitor`.

    Example:
        >>> import lrkern.keras
        >>> follow = lrkern.keras.LossDriven(0.9)  # doctest: +SKIP
        >>> model.fit(x, y, epochs=10, callbacks=[follow])  # doctest: +SKIP
    """

    def __init__(self, decay: float, start: float | None = None, *, monitor: str = "loss", reset: bool = True) -> None:
        super().__init__(start, monitor, reset)
        self.decay = decay
        self.make(0.0 if start is None else start)  # raises if an argument is invalid

    def make(self, start: float) -> Any:
        return plateau.LossDriven(start, self.decay)


class Plateau(_Following):
    """`lrkern.Plateau` as a callback, in any of its dialects: the learning rate falls when a metric stops improving.

    Args:
        monitor: the key of the metric in the logs. Epochs without validation have no "val_...": they change nothing, and a
            warning tells.
        dialect: whose rules and defaults apply: by default those of `keras.callbacks.ReduceLROnPlateau`; see
            `lrkern.plateau`, which lists them.
        start: the learning rate of the first epoch; None: the one that the optimizer has when the fit begins.
        schedule: a Schedule over the updates, which the value of the plateau multiplies (`start` is 1.0 then): a warm-up by
            updates and reductions by epochs, for example. With `steps_per_execution`, all updates of an execution have the
            rate of its first one; with `gradient_accumulation_steps`, batches are counted, as Keras does for its schedules.
        reset: start again with each `fit`; False continues where the last one ended. A state that was loaded is continued.
        options: those of `lrkern.plateau` for one run: factor, patience, threshold, mode, cooldown, min_lr, ...

    Raises:
        TypeError, ValueError: an argument is invalid; the learning rate of the optimizer is a schedule or a function; the logs
            have no `monitor`.

    Example:
        >>> import lrkern.keras
        >>> lrkern.keras.Plateau(dialect="torch", factor=0.5, patience=3, monitor="accuracy", mode="max").monitor
        'accuracy'
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        *,
        dialect: str = "keras",
        start: float | None = None,
        schedule: Schedule | None = None,
        reset: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(start, monitor, reset)
        self.schedule = schedule
        self.options = {"dialect": dialect, "schedule": schedule, **options}
        self.make(1.0 if start is None else start)  # raises if an argument is invalid

    def begins_at(self) -> float | None:
        return super().begins_at() if self.schedule is None else self.start

    def make(self, start: float) -> Any:
        return plateau.Plateau(start, **self.options)

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin, or continue: from a state that was loaded, or, without `reset`, where the last fit ended."""
        super().on_train_begin(logs)
        if self.schedule is not None:
            self._before = self._updates() - self.rate.steps

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Begin an update of the schedule."""
        if self.schedule is not None:
            self._follow(self._updates() + 1)
            self.assign(self.rate.lr)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Follow the updates that Keras has done, and take the metric."""
        if self.schedule is not None:
            self._follow(self._updates())
        super().on_epoch_end(epoch, logs)

    def _updates(self) -> int:
        """What Keras counts for schedules: an execution may be several updates, and one that is skipped is none."""
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
        return int(keras.ops.convert_to_numpy(optimizer._iterations))

    def _follow(self, updates: int) -> None:
        while self.rate.steps < updates - self._before:
            self.rate.step()

"""Schedules for Keras' optimizers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from lrkern._checks import MAX_COUNT
from lrkern.schedules import expression, traced
from lrkern.schedules.calls import call_where_defined
from lrkern.schedules.text import parse


class _Ops:
    """`keras.ops` as a library of `lrkern.schedules.traced`."""

    @staticmethod
    def cast(x: Any, dtype: Any) -> Any:
        return ops.cast(x, np.dtype(dtype).name)

    @staticmethod
    def floor(x: Any) -> Any:
        return ops.floor(x)

    @staticmethod
    def where(condition: Any, a: Any, b: Any) -> Any:
        return ops.where(condition, a, b)

    @staticmethod
    def find(breaks: Any, t: Any) -> Any:
        flat = ops.reshape(t, (-1,))  # TensorFlow searches no scalars
        return ops.reshape(ops.searchsorted(ops.convert_to_tensor(breaks), flat, side="right"), ops.shape(t))

    @staticmethod
    def take(rows: Any, index: Any) -> Any:
        return ops.take(ops.convert_to_tensor(rows), index, axis=0)


def _is_narrow() -> bool:
    """Whether the backend has neither int64 nor float64."""
    if keras.backend.backend() != "jax":
        return False
    import jax

    return not jax.config.jax_enable_x64


def _is_known(step: Any) -> bool:
    """Whether this is a number, an array of NumPy or a list of such: nothing of the backend."""
    return all(isinstance(one, int | float | np.number | np.ndarray) for one in keras.tree.flatten(step))


def _is_at_hand(step: Any, end: int | None) -> bool:
    """Whether a tensor's number can be read at once: torch's on the CPU, where dozens of small operations would take longer.

    Only a step at which the plan has the same value, up to rounding: an integer before its end.
    """
    if keras.backend.backend() != "torch":
        return False
    import torch

    if step.ndim > 0 or step.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    t = step.item()
    return bool(0 <= t < (MAX_COUNT if end is None else end) and t % 1 == 0)


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule of lrkern as a Keras LearningRateSchedule, on any backend, saved and loaded with the model.

    Args:
        schedule: a `lrkern.Schedule`, or its text, as `lrkern.parse` reads it. The step is the optimizer's `iterations`.
        horizon: if the schedule neither ends nor repeats, the number of steps to cover; by default 2^31, or 2^20 if that takes
            too many pieces, with a warning. Values of tensors after that are NaN.

    Raises:
        TypeError, ValueError: it is no schedule, or its plan would have more than 131,072 pieces: give a smaller `horizon`.

    Accuracy:
        Within 1.5 ULP of the real-valued schedule (if the terms of a sum cancel: of the larger term), computed in
        `keras.config.floatx()`, at least float32. Steps are exact as far as the backend's integers are (to 2^31 - 1 on JAX
        without `jax_enable_x64`): the centre of a polynomial piece is subtracted as an integer, where Keras' own schedules
        round steps beyond 2^24 to float32. Steps that cannot be give NaN: negative ones, and floats beyond the backend's
        integers. A tensor's step between integers takes the piece of the lower one; in a piece one step wide, as in a warm-up,
        that is the value at the lower integer, and its derivative is 0. Numbers and arrays of Python and NumPy are evaluated
        by the schedule itself, also between integers and beyond int32.

    Example:
        >>> import keras, lrkern as lk, lrkern.keras
        >>> lr = lrkern.keras.Schedule(lk.cosine(0.1, 0.0, 1000).warmup(10))
        >>> optimizer = keras.optimizers.SGD(lr, momentum=0.9)
        >>> lr
        lrkern.keras.Schedule(cosine(0.1, 0.0, 1000).warmup(10))
        >>> lr.get_config()["schedule"]
        'cosine(0.1, 0.0, 1000).warmup(10)'
    """

    def __init__(self, schedule: expression.Schedule | str, horizon: int | None = None) -> None:
        super().__init__()
        self.schedule = expression.schedule("Schedule", "schedule", parse(schedule) if isinstance(schedule, str) else schedule)
        self.horizon = horizon
        self._plan = traced.plan_of("Schedule", self.schedule, horizon)
        self._made: dict[Any, traced.TracedPlan] = {}

    def __call__(self, step: Any) -> Any:
        """The value at a step: a tensor of the backend, of the shape of `step`."""
        narrow = _is_narrow()
        floating = np.float64 if keras.config.floatx() == "float64" and not narrow else np.float32
        if _is_known(step):
            return _Ops.cast(call_where_defined(self.schedule, step), floating)
        integer = np.int32 if narrow else np.int64
        key = integer, floating
        if key not in self._made:
            self._made[key] = traced.TracedPlan(self._plan, integer, floating)
        plan, step = self._made[key], ops.convert_to_tensor(step)
        dtype = keras.backend.standardize_dtype(step.dtype)
        real = keras.backend.is_float_dtype(dtype)
        if not real and not keras.backend.is_int_dtype(dtype):
            raise TypeError(f"Schedule: step must be integers or floats; got {dtype} {tuple(step.shape)}")
        if _is_at_hand(step, plan.end):
            return _Ops.cast(self.schedule(step.item()), floating)
        if real:
            return plan.at_reals(_Ops, step if dtype in ("float32", "float64") else _Ops.cast(step, np.float32))
        return plan.at(_Ops, step)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedule) and (self.schedule, self.horizon) == (other.schedule, other.horizon)

    def __hash__(self) -> int:
        return hash((self.schedule, self.horizon))

    def get_config(self) -> dict[str, Any]:
        """The arguments, with the schedule as text."""
        return {"schedule": repr(self.schedule), "horizon": self.horizon}

    def __repr__(self) -> str:
        return f"lrkern.keras.Schedule({self.schedule!r})"


keras.saving.register_keras_serializable(package="lrkern")(Schedule)

"""Schedules that JAX traces."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lrkern import _checks
from lrkern.schedules import expression, traced
from lrkern.schedules.calls import call_where_defined


class _Ops:
    """`jax.numpy` as a library of `lrkern.schedules.traced`."""

    @staticmethod
    def cast(x: Any, dtype: Any) -> Any:
        return jnp.asarray(x, dtype)

    @staticmethod
    def floor(x: Any) -> Any:
        return jnp.floor(x)

    @staticmethod
    def where(condition: Any, a: Any, b: Any) -> Any:
        return jnp.where(condition, a, b)

    @staticmethod
    def find(breaks: Any, t: Any) -> Any:
        return jnp.searchsorted(jnp.asarray(breaks), t, side="right")

    @staticmethod
    def take(rows: Any, index: Any) -> Any:
        return jnp.asarray(rows)[index]


class TraceableSchedule:
    """What `schedule` returns: a function of the count."""

    def __init__(self, schedule: expression.Schedule, dtype: Any, horizon: int | None) -> None:
        self.schedule, self.dtype, self.horizon = schedule, dtype, horizon
        self._plan = traced.plan_of("schedule", schedule, horizon)
        self._made: dict[Any, traced.TracedPlan] = {}

    def __call__(self, count: Any) -> jax.Array:
        """The value at a count of earlier updates, or at an array of counts."""
        dtype = _floating("schedule", self.dtype)
        if not _is_of_jax(count):
            return jnp.asarray(call_where_defined(self.schedule, count), dtype)
        count = jnp.asarray(count)
        real = jnp.issubdtype(count.dtype, jnp.floating)
        if not real and not jnp.issubdtype(count.dtype, jnp.integer):
            raise TypeError(f"schedule: count must be integers or floats; got {count.dtype} {count.shape}")
        integer = jax.dtypes.canonicalize_dtype(np.int64)
        key = integer, dtype
        if key not in self._made:
            self._made[key] = traced.TracedPlan(self._plan, integer, dtype)
        plan = self._made[key]
        if real:
            return plan.at_reals(_Ops, count if count.dtype.itemsize >= 4 else count.astype(np.float32))
        return plan.at(_Ops, count)

    def __repr__(self) -> str:
        return f"lrkern.jax.schedule({self.schedule!r})"

    def _key(self) -> Any:
        return self.schedule, self.dtype, self.horizon

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TraceableSchedule) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


def _is_of_jax(count: Any) -> bool:
    """Whether this is an array of JAX, traced or not, or a list of such; numbers, arrays and lists of NumPy's are known."""
    return any(isinstance(one, jax.Array) or hasattr(one, "__jax_array__") for one in jax.tree.leaves(count))


def _floating(where: str, dtype: Any) -> Any:
    """A type for values: by default JAX's float, as wide as its configuration allows."""
    found = jax.dtypes.canonicalize_dtype(np.float64) if dtype is None else np.dtype(dtype)
    if found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(f"{where}: dtype must be float32 or float64; got {_checks.describe(dtype)}")
    if found == np.float64 and not jax.config.jax_enable_x64:
        raise TypeError(f"{where}: dtype must be float32, because jax_enable_x64 is off; got float64")
    return found


def schedule(s: expression.Schedule, *, dtype: Any = None, horizon: int | None = None) -> TraceableSchedule:
    """A schedule as a function of the count, as optax' schedules are, that works under jit, vmap and scan.

    It can be given to optax' optimizers, `optax.inject_hyperparams`, `optax.join_schedules` and `lrkern.jax.transform`.

    Args:
        s: a Schedule.
        dtype: float32 or float64; None means JAX's float, which is float64 if `jax_enable_x64` is on, else float32.
        horizon: if `s` neither ends nor repeats, the number of steps to cover; by default 2^31, or 2^20 if that takes too many
            pieces, with a warning. Values of JAX's counts after that are NaN.

    Returns:
        A function of a count: an integer or an array of integers of any type and shape, or of floats. Its result is an array
        of the same shape. Counts that cannot be give NaN: negative ones, and floats that JAX's integers do not reach. A count
        between integers takes the piece of the lower one, as in `lrkern.numba.at`; in a piece one step wide, as in a warm-up,
        that is the value at the lower integer, and its derivative is 0. Numbers and arrays of Python and NumPy are evaluated
        by `s` itself, also between integers and beyond int32. Functions of equal schedules are equal, and hash alike.

    Raises:
        TypeError, ValueError: `s` is no Schedule, or its plan would have more than 131,072 pieces: give a smaller `horizon`.

    Accuracy:
        Within 1.5 ULP of the real-valued schedule (if the terms of a sum cancel: of the larger term), in float32 as in
        float64; below the smallest normal number, XLA may return 0. Steps are exact: the centre of a polynomial piece is
        subtracted as an integer, so that step 2^24 + 1 differs from step 2^24 also in float32. Counts are int64 if
        `jax_enable_x64` is on, else int32, which ends at 2^31 - 1.

    Example:
        >>> import jax, lrkern as lk, lrkern.jax
        >>> lr = lrkern.jax.schedule(lk.linear(0.5, 0.0, 4))
        >>> jax.jit(lr)(jax.numpy.arange(6))
        Array([0.5  , 0.375, 0.25 , 0.125, 0.   , 0.   ], dtype=float32)
    """
    expression.schedule("schedule", "s", s)
    if dtype is not None:
        _floating("schedule", dtype)
        dtype = np.dtype(dtype)
    return TraceableSchedule(s, dtype, horizon)


def table(s: expression.Schedule, n: int, start: int = 0, *, dtype: Any = None) -> jax.Array:
    """The values at steps start, ..., start + n - 1 as a JAX array, filled by lrkern's kernels and copied once.

    Args:
        s: a Schedule.
        n, start: as in `Schedule.table`.
        dtype: as in `schedule`.

    Accuracy: that of `Schedule.table`, 0.6 ULP in float64; float32 is that value rounded once.

    Example:
        >>> import lrkern as lk, lrkern.jax
        >>> lrkern.jax.table(lk.linear(0.5, 0.0, 4), 3)
        Array([0.5  , 0.375, 0.25 ], dtype=float32)
    """
    expression.schedule("table", "s", s)
    return jnp.array(s.table(n, start, _floating("table", dtype)))

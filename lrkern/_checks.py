"""Argument checks shared by the whole package, one wording, and cheap for valid arguments; and how it warns.

Each check returns the argument in its plain form (`float`, `int`, ...) or raises an error that names the function, the
argument, what was expected and what was passed: TypeError for a wrong type, ValueError for a wrong value. `where` is
the name of the function that the user called, `name` that of the argument:

    >>> real("cosine", "start", 1)
    1.0
    >>> count("cosine", "steps", 2.5)
    Traceback (most recent call last):
        ...
    TypeError: cosine: steps must be an integer >= 0; got 2.5 (float)
"""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lrkern import _core

MAX_COUNT = _core.MAX_STEP  # 2^53
"""The largest number of steps: beyond it float64 cannot tell two steps apart."""

plain = _core.plain

_REAL_TYPES = (int, np.floating, np.integer, Real)


def cut(text: str, most: int = 60) -> str:
    """A string shortened for an error message."""
    return text if len(text) <= most else text[: most - 3] + "..."


def is_array(value: object) -> bool:
    """Whether this is a NumPy array, whatever its `__class__` claims."""
    return issubclass(type(value), np.ndarray)


def unmasked(where: str, name: str, value: Any) -> Any:
    """`plain`, with an error for masked arrays.

    >>> unmasked("table", "out", np.ma.zeros(3))
    Traceback (most recent call last):
        ...
    TypeError: table: out must be an array without a mask; got a masked array, float64 (3,)
    """
    if _core.is_masked(value):
        raise TypeError(f"{where}: {name} must be an array without a mask; got a masked array, {describe(value)}")
    return plain(value)


def describe(value: Any) -> str:
    """What was passed, for the end of an error message: `2.5 (float)`, `float32 (10,)`."""
    if is_array(value):
        array = np.ndarray.view(value, np.ndarray)
        return f"{array.dtype} {array.shape}"
    if isinstance(value, int) and value.bit_length() > 1000:
        return f"an integer of {value.bit_length()} bits"  # Python refuses to print long ones
    try:
        text = cut(str(value) if isinstance(value, np.generic) else repr(value))
    except RecursionError:  # lists in lists, as a record may hold
        text = "something nested too deeply"
    except Exception:  # any class may have a broken __repr__
        text = "something that cannot be printed"
    return text if value is None else f"{text} ({type(value).__name__})"


def real(
    where: str,
    name: str,
    value: object,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    above: float = -math.inf,
    below: float = math.inf,
) -> float:
    """A finite number with low <= value <= high and above < value < below, as a float.

    Accepts real numbers of Python and NumPy, but not bool or arrays.

    >>> real("inverse_sqrt", "timescale", 0, above=0)
    Traceback (most recent call last):
        ...
    ValueError: inverse_sqrt: timescale must be a finite number > 0; got 0 (int)
    """
    if type(value) is float:
        number = value
    elif isinstance(value, _REAL_TYPES) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
    else:
        raise TypeError(_real_message(where, name, value, low, high, above, below))
    # False for NaN, and for infinities because the defaults of above and below are strict.
    if above < number < below and low <= number <= high:
        return number
    raise ValueError(_real_message(where, name, value, low, high, above, below))


def single(value: Any) -> Any:
    """The number in an array or tensor of one element, such as array libraries return; else the value itself.

    Masked arrays are returned unchanged.

    >>> single(np.array([0.5])), single(np.arange(2))
    (0.5, array([0, 1]))
    """
    if isinstance(value, _REAL_TYPES) or not hasattr(value, "__array__") or _core.is_masked(value):
        return value
    try:
        return value.item() if hasattr(value, "item") else np.asarray(value).item()
    except (TypeError, ValueError, RuntimeError):  # more than one element, or a traced tensor without a value
        return value


def _real_message(where: str, name: str, value: object, low: float, high: float, above: float, below: float) -> str:
    # Of two bounds on a side only the tighter one is printed.
    bounds = (f"> {above:g}" if above >= low else f">= {low:g}", f"< {below:g}" if below <= high else f"<= {high:g}")
    given = " and ".join(bound for bound in bounds if "inf" not in bound)
    return f"{where}: {name} must be a finite number {given}".rstrip() + f"; got {describe(value)}"


def count(where: str, name: str, value: object, low: int = 0, high: int = MAX_COUNT) -> int:
    """An integer with low <= value <= high (a Python or NumPy integer; not a bool, and not a float even if integral).

    >>> count("step_decay", "every", 0, low=1)
    Traceback (most recent call last):
        ...
    ValueError: step_decay: every must be an integer >= 1; got 0 (int)
    """
    if type(value) is int:
        number = value
    elif isinstance(value, np.integer) or (isinstance(value, int) and not isinstance(value, bool)):
        number = int(value)
    else:
        raise TypeError(_count_message(where, name, value, low, high))
    if low <= number <= high:
        return number
    raise ValueError(_count_message(where, name, value, low, high))


def _count_message(where: str, name: str, value: object, low: int, high: int) -> str:
    # The common upper bound is mentioned only if it is exceeded.
    exceeds = isinstance(value, int | np.integer) and int(value) > high
    if high != MAX_COUNT or exceeds:
        most = f"2**{high.bit_length() - 1}" if high > 2**32 and high.bit_count() == 1 else str(high)
        return f"{where}: {name} must be an integer from {low} to {most}; got {describe(value)}"
    message = f"{where}: {name} must be an integer >= {low}; got {describe(value)}"
    if isinstance(value, float | np.floating) and low <= value <= high and value == int(value):
        message += f"; write {int(value)}, or int(...) around it"
    return message


def flag(where: str, name: str, value: object) -> bool:
    """True or False (Python's or NumPy's); other truthy or falsy values are rejected."""
    if value is True or value is False:
        return value
    if isinstance(value, np.bool_):
        return bool(value)
    raise TypeError(f"{where}: {name} must be True or False; got {describe(value)}")


def choice(where: str, name: str, value: object, choices: Sequence[str]) -> str:
    """One of the given strings.

    >>> choice("wsd", "tail", "sine", ("linear", "cosine"))
    Traceback (most recent call last):
        ...
    ValueError: wsd: tail must be 'linear' or 'cosine'; got 'sine' (str)
    """
    if isinstance(value, str):
        if value in choices:
            return value
        error: type[Exception] = ValueError
    else:
        error = TypeError
    names = [repr(one) for one in choices]
    expected = " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    raise error(f"{where}: {name} must be {expected}; got {describe(value)}")


_LISTS = (list, tuple)
_PLAIN = {float, int}


def _fixed(where: str, name: str, values: Any) -> Any:
    """A private copy of an array, so that its checked values cannot change; other objects unchanged."""
    if type(values) in _LISTS or not is_array(values):
        return values
    with _core.hold(where, name, values):
        return np.array(unmasked(where, name, values))


def _items(where: str, name: str, values: Any, kind: str, least: int) -> list[Any]:
    """The items of a sequence or 1-D array, at least `least` of them."""
    if type(values) not in _LISTS:  # the usual case: asking an abstract class takes longer than all the rest
        is_sequence = isinstance(values, Sequence) and not isinstance(values, str | bytes)
        if not is_sequence and not (is_array(values) and values.ndim == 1):
            raise TypeError(f"{where}: {name} must be a sequence of {kind}; got {describe(values)}")
    items: list[Any] = list(values)
    if len(items) < least:
        raise ValueError(f"{where}: {name} must have at least {least} {kind}; got {len(items)}")
    return items


def reals(where: str, name: str, values: Any, least: int = 0) -> tuple[float, ...]:
    """A sequence or 1-D array of at least `least` finite numbers.

    >>> reals("piecewise", "values", [1, float("nan")])
    Traceback (most recent call last):
        ...
    ValueError: piecewise: values[1] must be a finite number; got nan (float)
    """
    values = _fixed(where, name, values)
    items = _items(where, name, values, "numbers", least)
    # Fast path for plain numbers, the usual case; anything else is checked item by item.
    simple = items if type(values) in _LISTS or not is_array(values) else values.tolist()
    if set(map(type, simple)) <= _PLAIN:
        try:
            numbers = tuple(map(float, simple))
        except OverflowError:
            numbers = (math.inf,)
        if all(map(math.isfinite, numbers)):
            return numbers
    return tuple([real(where, f"{name}[{i}]", item) for i, item in enumerate(items)])


def counts(where: str, name: str, values: object, *, ordered: bool = True) -> tuple[int, ...]:
    """A sequence or 1-D array of counts that, if `ordered`, do not decrease.

    >>> counts("join", "boundaries", [5, 3])
    Traceback (most recent call last):
        ...
    ValueError: join: boundaries must not decrease; got 5 (int) before 3 (int)
    """
    items = _items(where, name, _fixed(where, name, values), "integers", 0)
    result = tuple([count(where, f"{name}[{i}]", item) for i, item in enumerate(items)])
    for before, after in pairwise(result):
        if ordered and after < before:
            raise ValueError(f"{where}: {name} must not decrease; got {describe(before)} before {describe(after)}")
    return result


def times(where: str, name: str, values: object) -> tuple[float, ...]:
    """A sequence or 1-D array of non-decreasing steps, integral or fractional: ints where they are integral.

    >>> times("join", "boundaries", [2.0, 47.5])
    (2, 47.5)
    """
    result = []
    for i, item in enumerate(_items(where, name, _fixed(where, name, values), "numbers", 0)):
        time = real(where, f"{name}[{i}]", item, low=0.0, high=MAX_COUNT)
        if time != item:
            raise ValueError(f"{where}: {name}[{i}] must be exactly representable as float64; got {describe(item)}")
        result.append(int(time) if time == int(time) else time)
    for before, after in pairwise(result):
        if after < before:
            raise ValueError(f"{where}: {name} must not decrease; got {describe(before)} before {describe(after)}")
    return tuple(result)


def counts_for(where: str, name: str, values: object, of: str, n: int) -> tuple[int, ...]:
    """One count for all of n items, or a sequence with one for each: n counts. `of` names the items.

    >>> counts_for("cooldowns", "steps", 10, "at", 3)
    (10, 10, 10)
    >>> counts_for("cooldowns", "steps", [10, 20], "at", 3)
    Traceback (most recent call last):
        ...
    ValueError: cooldowns: steps must be one number or one for each of the 3 in at; got 2
    """
    if isinstance(values, (int, np.integer)) and not isinstance(values, bool):
        return (count(where, name, values),) * n
    result = counts(where, name, values, ordered=False)
    if len(result) != n:
        raise ValueError(f"{where}: {name} must be one number or one for each of the {n} in {of}; got {len(result)}")
    return result


# NumPy's type characters: faster than dtype.name.
_CHARS = {"float32": "f", "float64": "d"}


def output(
    where: str,
    name: str,
    array: Any,
    shape: tuple[int, ...],
    dtypes: Sequence[str] = ("float32", "float64"),
) -> np.ndarray[Any, Any]:
    """An array to fill, as `plain` returns it: C-contiguous, writable, native, of this shape and one of these dtypes.

    >>> output("table", "out", np.zeros(10, "f4"), (10,), ["float64"])
    Traceback (most recent call last):
        ...
    TypeError: table: out must be a C-contiguous float64 array of shape (10,); got float32 (10,)
    """
    array = unmasked(where, name, array)
    if not is_array(array) or array.dtype.char not in [_CHARS[one] for one in dtypes]:
        raise TypeError(f"{_wanted_output(where, name, dtypes, shape)}; got {describe(array)}")
    if not array.dtype.isnative:
        raise TypeError(f"{_wanted_output(where, name, dtypes, shape)} in native byte order; got {describe(array)}")
    flags = array.flags
    if array.shape == shape and flags.c_contiguous and flags.writeable:
        return array  # type: ignore[no-any-return]
    wanted = _wanted_output(where, name, dtypes, shape)
    if array.shape != shape:
        raise ValueError(f"{wanted}; got {describe(array)}")
    if not flags.c_contiguous:
        raise ValueError(f"{wanted}; got {describe(array)} with strides {array.strides}")
    raise ValueError(f"{wanted} that is writable; got a read-only one")


def _wanted_output(where: str, name: str, dtypes: Sequence[str], shape: tuple[int, ...]) -> str:
    return f"{where}: {name} must be a C-contiguous {' or '.join(dtypes)} array of shape {shape}"


def table_output(where: str, shape: tuple[int, ...], dtype: Any, out: Any) -> NDArray[Any]:
    """The checked array to fill: `out`, or a new one."""
    names = ["float64", "float32"]
    if dtype is not None:
        try:
            wanted = np.dtype(dtype)
        except Exception:  # NumPy raises several types for an invalid dtype
            wanted = np.dtype(object)
        names = [one for one in names if _CHARS[one] == wanted.char and wanted.isnative]
        if not names:
            raise TypeError(f"{where}: dtype must be float64 or float32; got {describe(dtype)}")
    if out is not None:
        return output(where, "out", out, shape, names)
    try:
        return np.empty(shape, names[0])
    except (MemoryError, ValueError):
        raise MemoryError(f"{where}: an array of shape {shape} does not fit in memory") from None


def _number(where: str, name: str, value: Any, low: float, high: float, below: float) -> float:
    """What `_core.Range` calls for anything except a float within its range."""
    return real(where, name, single(value), low=low, high=high, below=below)


_core.HOOKS["real"] = _number


_INNER = ("lrkern", "torch", "keras", "jax", "optax")


def warn(text: str) -> None:
    """Warn at the user's line: how many functions a framework wraps around a call depends on its version."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _INNER:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)

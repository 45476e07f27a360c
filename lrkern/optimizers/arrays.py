"""The arrays of optimizer steps: conversion from other libraries, and the errors for arrays that `_core` refuses."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lrkern import _checks, _core
from lrkern._optional import require

Array = npt.NDArray[Any]

DTYPES = ("float64", "float32", "bfloat16", "float16")

as_array = _core.as_array
as_gradient = _core.as_gradient
as_dense_gradient = _core.as_dense_gradient


def bfloat16(what: str) -> np.dtype[Any]:
    """NumPy's bfloat16 dtype, from ml_dtypes."""
    dtype: np.dtype[Any] = np.dtype(require("ml_dtypes", install="'lrkern[bfloat16]'", what=what).bfloat16)
    return dtype


def state_dtype(where: str, value: object, halves: bool) -> np.dtype[Any] | None:
    """The dtype that the option state_dtype selects; None for the default. `halves`: uint16 holds bfloat16."""
    if value is None:
        return None
    try:
        word = value if isinstance(value, str) else np.dtype(value).name  # type: ignore[call-overload]
    except TypeError:
        word = value
    word = _checks.choice(where, "state_dtype", "bfloat16" if halves and word == "uint16" else word, DTYPES)
    if word != "bfloat16":
        return np.dtype(word)
    return np.dtype(np.uint16) if halves else bfloat16(f"{where} with state_dtype='bfloat16'")


def computed_in(param: Array) -> np.dtype[Any]:
    """The dtype in which a parameter's steps are computed."""
    return np.dtype(np.float64 if param.dtype == np.float64 else np.float32)


def is_bfloat16(array: Array, halves: bool) -> bool:
    """Whether the elements are bfloat16 numbers."""
    return array.dtype.name == "bfloat16" or (halves and array.dtype == np.uint16)


def in_computed_type(param: Array, halves: bool) -> Array:
    """A copy of a parameter, in the same memory order, in the dtype of `computed_in`."""
    if not (halves and param.dtype == np.uint16):
        return param.astype(computed_in(param), order="K", subok=False)
    bits = param.astype(np.uint32, order="K", subok=False)
    bits <<= 16
    return bits.view(np.float32)


def zeros_like(param: Array, dtype: npt.DTypeLike) -> Array:
    """Zeros with the shape and memory order of a parameter."""
    return np.zeros_like(param, dtype, subok=False)


def place_in(param: Array, element: int) -> tuple[int, ...]:
    """The indices of an element of a dense array, from its position in memory.

    >>> place_in(np.zeros((2, 3)), 5), place_in(np.zeros((2, 3), order="F"), 4)
    ((1, 2), (0, 2))
    """
    found, left = [0] * param.ndim, element * param.itemsize
    for axis in sorted(range(param.ndim), key=lambda axis: -param.strides[axis]):
        if param.shape[axis] > 1:
            found[axis], left = divmod(left, param.strides[axis])
    return tuple(found)


def given(array: Array) -> Array:
    """The user's own array: here, the array itself."""
    return array


def in_cpu_memory(array: Array) -> Array:
    """The array in CPU memory."""
    return array


def copy(array: Array) -> Array:
    """A copy in the same memory order."""
    return array.copy("K")


def clear(array: Array) -> None:
    """Set all elements to 0."""
    array[...] = 0


def overwrite(array: Array, values: Array) -> None:
    """Set all elements to those of another array of the same dtype."""
    array[...] = values


def fill(array: Array, value: float, halves: bool) -> None:
    """Set all elements to a number."""
    if halves and array.dtype == np.uint16:
        bits = int(np.float32(value).view(np.uint32))
        array[...] = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    else:
        array[...] = value


def dlpack_error(where: str, name: str, value: Any, why: str = "") -> Exception:
    """The error for an array of another library that `_core` has refused."""
    found = [_checks.cut(str(getattr(value, one, f"unknown {one}"))) for one in ("dtype", "device")]
    if found[1] == "cpu" and _has_no_memory(value):
        why = ", without memory: it only stands for values, as in tracing"
    got = f"{type(value).__name__} of {found[0]} on {found[1]}{why}"
    return TypeError(f"{where}: {name} must be an array of {_words(DTYPES)} in CPU memory; got {got}")


def _has_no_memory(value: Any) -> bool:
    """Whether a tensor of torch says so."""
    if all(one.__module__.partition(".")[0] != "torch" for one in type(value).__mro__) or _core.sparse_layout(value):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # asking a fake tensor is deprecated
            return bool(value.numel() > 0 and value.data_ptr() == 0)
    except Exception:
        return True


def check_rows_are_taken(takes_rows: bool, where: str, name: str, grad: Any) -> None:
    """Raise for sparse gradients that are not supported here."""
    layout = _core.sparse_layout(grad)
    if layout and not layout.startswith("torch.sparse"):
        raise dlpack_error(where, name, grad, f", {layout}")
    if not takes_rows and (layout or isinstance(grad, tuple)):
        got = f"a tensor of {layout}" if layout else "a tuple"
        rule = where.partition(".")[0]
        raise TypeError(f"{where}: {name} must be an array: {rule} needs dense gradients for its norms; got {got}")
    if layout:
        how = "grad = grad.coalesce(), then (grad.indices()[0], grad.values())"
        raise TypeError(f"{where}: {name} must be an array or a pair (indices, values); got a tensor of {layout}: pass {how}")


def as_sparse_gradient(
    takes_rows: bool, halves: bool, where: str, name: str, grad: Any, param: Array, written: bool
) -> tuple[Array, ...]:
    """A gradient given as (indices, values): (values, index, begin, order). Raises if the rule does not take these.

    Row index[k] of the parameter has the gradients values[order[begin[k]:begin[k + 1]]].
    """
    check_rows_are_taken(takes_rows, where, name, grad)
    indices, values = as_pair(as_array, where, name, grad, param, written, halves)
    own = own_rows(where, name, indices, param)
    order = np.argsort(own, kind="stable").astype(np.int64)
    rows, begin = np.unique(own[order], return_index=True)
    return values, rows, np.append(begin, len(order)).astype(np.int64), order


def as_pair(
    to_array: Callable[..., Any], where: str, name: str, grad: tuple[Any, ...], param: Array, written: bool, halves: bool
) -> tuple[Any, Any]:
    """The arrays of a gradient (indices, values), made by `as_array` or a similar function; `own_rows` checks indices."""
    if len(grad) != 2:
        raise ValueError(f"{where}: {name} must be an array or a pair (indices, values); got a tuple of {len(grad)}")
    if param.ndim == 0 or not param.flags.c_contiguous:
        raise ValueError(f"{where}: {name} can be (indices, values) only if its parameter is C-contiguous and has rows")
    indices = to_array(where, f"{name}[0]", grad[0], written=False)
    values = to_array(where, f"{name}[1]", grad[1], written=written)
    for part, one in enumerate((indices, values)):
        _checks.unmasked(where, f"{name}[{part}]", one)
    if not _checks.is_array(indices) or indices.dtype.kind not in "iu":
        raise TypeError(f"{where}: {name}[0] must be an array of integers; got {_checks.describe(indices)}")
    if indices.ndim != 1:
        raise _rows_error(where, name, param, _checks.describe(indices))
    shape = (len(indices), *param.shape[1:])
    if not _checks.is_array(values) or _word(values, halves) not in DTYPES:
        raise TypeError(f"{where}: {name}[1] must be {_words(DTYPES)} of shape {shape}; got {_checks.describe(values)}")
    if values.shape != shape or not values.flags.c_contiguous:
        raise ValueError(f"{where}: {name}[1] must be C-contiguous and of shape {shape}; got {_checks.describe(values)}")
    if written and not values.flags.writeable:
        raise ValueError(f"{where}: {name}[1] must be writable; got a read-only array, {_checks.describe(values)}")
    return indices, values


def own_rows(where: str, name: str, indices: Array, param: Array) -> npt.NDArray[np.int64]:
    """A copy of a gradient's indices, checked to be rows of its parameter. The copy cannot change after the check."""
    with _core.hold(where, f"{name}[0]", indices):
        own = np.array(indices)
    if own.size and (own.min() < 0 or own.max() >= param.shape[0]):
        raise _rows_error(where, name, param, f"{_checks.describe(own)} from {own.min()} to {own.max()}")
    return own.astype(np.int64)


def _rows_error(where: str, name: str, param: Array, got: str) -> Exception:
    return ValueError(f"{where}: {name}[0] must be a 1-D array of rows in 0..{param.shape[0] - 1}; got {got}")


def _words(dtypes: Sequence[str]) -> str:
    return " or ".join([", ".join(dtypes[:-1]), dtypes[-1]]) if len(dtypes) > 1 else dtypes[0]


def _word(array: Array, halves: bool) -> str:
    return "bfloat16" if halves and array.dtype == np.uint16 else array.dtype.name


def array_error(
    where: str,
    name: str,
    array: Any,
    *,
    written: bool,
    like: Array | None = None,
    like_name: str = "",
    halves: bool = False,
    dtypes: Sequence[str] = DTYPES,
) -> Exception:
    """The error for an array of an optimizer step that `_core` has refused; `like` is the parameter it belongs to.

    `_core` does the same checks itself, because it does them for every gradient of every step.
    """
    kind, got = _words(dtypes), _checks.describe(array)
    if like is not None:
        kind += f" of shape {like.shape} like {like_name}"
    if isinstance(array, np.generic) and like is not None and like.ndim == 0:
        return TypeError(f"{where}: {name} must be a NumPy array, because zero_grad sets it to 0; got {got}")
    if not _checks.is_array(array):
        return TypeError(f"{where}: {name} must be a NumPy array of {kind}; got {got}")
    if _core.is_masked(array):
        return TypeError(f"{where}: {name} must be a NumPy array of {kind}; got a masked array, which is not supported")
    if _word(array, halves) not in dtypes:
        hint = _hint(where) if array.dtype == np.uint16 and not halves else ""
        return TypeError(f"{where}: {name} must be {kind}; got {got}{hint}")
    if not array.dtype.isnative:
        return TypeError(f"{where}: {name} must be {kind} in native byte order; got {got}")
    if like is not None and array.shape != like.shape:
        return ValueError(f"{where}: {name} must be {kind}; got {got}")
    if written and not array.flags.writeable:
        return ValueError(f"{where}: {name} must be writable; got a read-only array, {got}")
    if like is not None and array.flags.forc:
        order = f"must have the memory order of {like_name}; got strides {array.strides}, not {like.strides}"
        return ValueError(f"{where}: {name} {order}")
    return ValueError(f"{where}: {name} must be contiguous; got {got} with strides {array.strides}")


def _hint(where: str) -> str:
    """How to pass uint16 arrays as bfloat16: optimizers have an option for it, functions do not."""
    if where.endswith("_step"):
        return "; for the bits of bfloat16 pass array.view(ml_dtypes.bfloat16)"
    return "; with uint16_as_bfloat16=True uint16 holds bfloat16"


def overlap_error(where: str, arrays: Sequence[tuple[str, Array, bool]]) -> Exception:
    """The error that names two of the (name, array, written) that share memory although one of them is written."""
    for i, (name, array, written) in enumerate(arrays):
        for other_name, other, other_written in arrays[:i]:
            if (written or other_written) and np.may_share_memory(array, other):
                return ValueError(f"{where}: {other_name} and {name} must not share memory: the step writes to one of them")
    raise AssertionError("no two of these arrays overlap")


def nonfinite_error(
    where: str, label: Callable[[str, int], str], params: Sequence[Array], found: Sequence[tuple[int, int, float]]
) -> ValueError:
    """The error of `error_if_nonfinite`; found: (array, position and value of its first non-finite element)."""
    parts = []
    for i, element, value in found[:_NAMED]:
        place = place_in(params[i], element)
        parts.append(f"{value} in {label('grad', i)}{f' at {list(place)}' if place else ''}")
    more = f" and in {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ValueError(f"{where}: grads must be finite with error_if_nonfinite; got {', '.join(parts)}{more}")


_NAMED = 3  # arrays named in an error about many

_core.HOOKS.update(
    array_error=array_error,
    overlap_error=overlap_error,
    dlpack_error=dlpack_error,
    bfloat16=bfloat16,
    sparse_gradient=as_sparse_gradient,
)

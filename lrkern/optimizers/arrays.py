"""The arrays of optimizer steps: where they come from, what is wrong with those that `_core` refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lrkern import _checks, _core
from lrkern._optional import require

Array = npt.NDArray[Any]

DTYPES = ("float64", "float32", "bfloat16", "float16")

# Integers are for the rows of a gradient, and to be named in errors.
_DLPACK_KINDS = {0: "int", 1: "uint", 2: "float"}
_DLPACK_NAMES = {f"{kind}{bits}" for kind in ("int", "uint", "float") for bits in (8, 16, 32, 64)} - {"float8"}
_DLPACK_BFLOAT = 4


def bfloat16(what: str) -> np.dtype[Any]:
    """NumPy's bfloat16, which ml_dtypes defines."""
    dtype: np.dtype[Any] = np.dtype(require("ml_dtypes", install="'lrkern[bfloat16]'", what=what).bfloat16)
    return dtype


def state_dtype(where: str, value: object, halves: bool) -> np.dtype[Any] | None:
    """The dtype that the option state_dtype asks for; None if it leaves the choice open. `halves`: uint16 holds bfloat16."""
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
    """The dtype that a parameter's steps are computed in."""
    return np.dtype(np.float64 if param.dtype == np.float64 else np.float32)


def is_bfloat16(array: Array, halves: bool) -> bool:
    """Whether the elements are bfloat16 numbers."""
    return array.dtype.name == "bfloat16" or (halves and array.dtype == np.uint16)


def in_computed_type(param: Array, halves: bool) -> Array:
    """A copy of a parameter in the type that its steps are computed in, in the same memory order."""
    if not (halves and param.dtype == np.uint16):
        return param.astype(computed_in(param), order="K", subok=False)
    bits = param.astype(np.uint32, order="K", subok=False)
    bits <<= 16
    return bits.view(np.float32)


def zeros_like(param: Array, dtype: npt.DTypeLike) -> Array:
    """Zeros, in the shape and memory order of a parameter."""
    return np.zeros_like(param, dtype, subok=False)


def place_in(param: Array, element: int) -> tuple[int, ...]:
    """The indices of an element of a dense array, by its number along memory.

    >>> place_in(np.zeros((2, 3)), 5), place_in(np.zeros((2, 3), order="F"), 4)
    ((1, 2), (0, 2))
    """
    found, left = [0] * param.ndim, element * param.itemsize
    for axis in sorted(range(param.ndim), key=lambda axis: -param.strides[axis]):
        if param.shape[axis] > 1:
            found[axis], left = divmod(left, param.strides[axis])
    return tuple(found)


def given(array: Array) -> Array:
    """The array of the library that it comes from."""
    return array


def in_cpu_memory(array: Array) -> Array:
    """The elements, where the CPU reaches them."""
    return array


def copy(array: Array) -> Array:
    """The same elements in memory of their own, in the same memory order."""
    return array.copy("K")


def clear(array: Array) -> None:
    """Set all elements to 0."""
    array[...] = 0


def fill(array: Array, value: float, halves: bool) -> None:
    """Set all elements to a number."""
    if halves and array.dtype == np.uint16:
        bits = int(np.float32(value).view(np.uint32))
        array[...] = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    else:
        array[...] = value


def as_array(where: str, name: str, value: Any, *, written: bool) -> Any:
    """The value as an array of NumPy's own class on the same memory, if it is one or has DLPack; other things as they are."""
    if _checks.is_array(value) or not hasattr(value, "__dlpack__"):
        return _checks.plain(value)
    address_of = getattr(value, "data_ptr", None)  # torch's, whose tensors can be given other memory
    shape = getattr(value, "shape", None)
    if written and type(value).__module__.partition(".")[0] in ("jax", "jaxlib"):
        raise TypeError(f"{where}: {name} must be writable; got a JAX array, which is immutable")
    if getattr(value, "requires_grad", False):
        value = value.detach()  # the same memory, without the history that torch refuses to export
    if getattr(value, "is_neg", bool)():  # torch exports such a tensor without a word about it
        raise TypeError(
            f"{where}: {name} must be in memory as it is read; got a tensor of the opposite sign: use resolve_neg()"
        )
    wanted = f"{where}: {name} must be an array of {_words(DTYPES)} in the CPU's memory; got {_brief(value)}"
    layout = _sparse_layout(value)
    if layout:
        raise TypeError(f"{wanted}, {layout}")
    try:
        capsule = _capsule_of(value, written)
    except Exception as error:  # of a library of somebody else's
        raise TypeError(f"{wanted}: {error}") from None
    if capsule is None:
        raise TypeError(wanted)
    try:
        array = _core.array_of_capsule(capsule, lambda code, bits: dlpack_dtype(where, code, bits), address_of=address_of)
    except ValueError as error:  # what is no capsule, or has been used before; what NumPy makes no array of
        raise TypeError(f"{wanted}: {error}") from None
    if array is None:
        raise TypeError(wanted)
    if shape is not None and tuple(shape) != array.shape:
        raise TypeError(f"{wanted}: it says {tuple(shape)} of its shape, and its capsule {array.shape}")
    return array


def _capsule_of(value: Any, written: bool) -> object:
    """What DLPack gives, None from another device; of version 1, which tells what is read-only, wherever there is one."""
    if hasattr(value, "__dlpack_device__") and int(value.__dlpack_device__()[0]) not in _core.DLPACK_HOSTS:
        return None
    try:
        return value.__dlpack__(max_version=(1, 0), copy=False if written else None)
    except TypeError:  # an unknown argument: a library of before version 1
        return value.__dlpack__()


def dlpack_dtype(where: str, code: int, bits: int) -> np.dtype[Any] | None:
    """The dtype that DLPack has these numbers for, if lrkern knows it."""
    if (code, bits) == (_DLPACK_BFLOAT, 16):
        return bfloat16(f"{where} with bfloat16 arrays of other libraries")
    name = f"{_DLPACK_KINDS[code]}{bits}" if code in _DLPACK_KINDS else ""
    return np.dtype(name) if name in _DLPACK_NAMES else None


def _brief(value: Any) -> str:
    found = [_checks.cut(str(getattr(value, name, f"unknown {name}"))) for name in ("dtype", "device")]
    return f"{type(value).__name__} of {found[0]} on {found[1]}"


def as_dense_gradient(where: str, name: str, grad: Any, param: Array, written: bool) -> Array | None:
    """A gradient that is no NumPy array; None if it is no array at all."""
    if param.ndim == 0 and isinstance(grad, np.generic) and not written:  # what NumPy makes of an array without axes
        return np.asarray(grad)
    array = as_array(where, name, grad, written=written)
    return array if _checks.is_array(array) else None


def as_gradient(takes_rows: bool, halves: bool, where: str, name: str, grad: Any, param: Array, written: bool) -> Any:
    """The same, or what `as_sparse_gradient` gives, where a rule takes gradients of rows and this is one."""
    check_rows_are_taken(takes_rows, where, name, grad)
    if isinstance(grad, tuple):
        return as_sparse_gradient(where, name, grad, param, written, halves)
    return as_dense_gradient(where, name, grad, param, written)


def check_rows_are_taken(takes_rows: bool, where: str, name: str, grad: Any) -> None:
    """Raises where a gradient of some rows comes in a form that is not taken."""
    layout = _sparse_layout(grad)
    if not takes_rows and (layout or isinstance(grad, tuple)):
        got = f"a tensor of {layout}" if layout else "a tuple"
        rule = where.partition(".")[0]
        raise TypeError(
            f"{where}: {name} must be an array: {rule} takes no gradients of rows, as norms need them all; got {got}"
        )
    if layout:
        how = "grad = grad.coalesce(), and then (grad.indices()[0], grad.values())"
        raise TypeError(f"{where}: {name} must be an array or a pair (indices, values); got a tensor of {layout}: pass {how}")


def _sparse_layout(value: Any) -> str:
    """What torch calls the form of a tensor that is not dense; "" for all else."""
    layout = "" if _checks.is_array(value) else str(getattr(value, "layout", ""))
    return layout if layout.startswith("torch.") and layout != "torch.strided" else ""


def as_sparse_gradient(
    where: str, name: str, grad: tuple[Any, ...], param: Array, written: bool, halves: bool
) -> tuple[Array, ...]:
    """A gradient given as (indices, values): (values, index, begin, order).

    Row index[k] of the parameter has the gradients values[order[begin[k]:begin[k + 1]]].
    """
    indices, values = as_pair(as_array, where, name, grad, param, written, halves)
    own = own_rows(where, name, indices, param)
    order = np.argsort(own, kind="stable").astype(np.int64)
    rows, begin = np.unique(own[order], return_index=True)
    return values, rows, np.append(begin, len(order)).astype(np.int64), order


def as_pair(
    to_array: Callable[..., Any], where: str, name: str, grad: tuple[Any, ...], param: Array, written: bool, halves: bool
) -> tuple[Any, Any]:
    """The arrays of a gradient given as (indices, values), by `as_array` or its like; `own_rows` looks at the indices."""
    if len(grad) != 2:
        raise ValueError(f"{where}: {name} must be an array or a pair (indices, values); got a tuple of {len(grad)}")
    if param.ndim == 0 or not param.flags.c_contiguous:
        raise ValueError(f"{where}: {name} can be (indices, values) only where its parameter is C-contiguous and has rows")
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
    """The indices of a gradient, which have to be rows of its parameter, copied: what is checked stays as it is."""
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
    """What is wrong with an array of an optimizer step that `_core` has refused; `like` is the parameter it belongs to.

    `_core` makes the same checks itself, because they are made for every gradient of every step.
    """
    kind, got = _words(dtypes), _checks.describe(array)
    if like is not None:
        kind += f" of shape {like.shape} like {like_name}"
    if isinstance(array, np.generic) and like is not None and like.ndim == 0:
        return TypeError(f"{where}: {name} must be a NumPy array, for zero_grad sets it to 0; got {got}")
    if not _checks.is_array(array):
        return TypeError(f"{where}: {name} must be a NumPy array of {kind}; got {got}")
    if issubclass(type(array), np.ma.MaskedArray):
        return TypeError(f"{where}: {name} must be a NumPy array of {kind}; got a masked array, whose mask steps do not know")
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
    """How uint16 arrays become bfloat16 ones: optimizers have an option for it, functions have none."""
    if where.endswith("_step"):
        return "; bits of bfloat16 become numbers by .view(ml_dtypes.bfloat16)"
    return "; uint16 holds bfloat16 where uint16_as_bfloat16 is True"


def overlap_error(where: str, arrays: Sequence[tuple[str, Array, bool]]) -> Exception:
    """Names two of the (name, array, written) that share memory though one of them is written."""
    for i, (name, array, written) in enumerate(arrays):
        for other_name, other, other_written in arrays[:i]:
            if (written or other_written) and np.may_share_memory(array, other):
                return ValueError(f"{where}: {other_name} and {name} must not share memory: the step writes to one of them")
    raise AssertionError("no two of these arrays overlap")


_core.HOOKS.update(array_error=array_error, overlap_error=overlap_error)

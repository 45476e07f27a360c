"""Sums of gradients over several backward passes."""

from __future__ import annotations

from functools import partial
from typing import Any, SupportsFloat

import numpy as np

from lrkern import _checks, backends
from lrkern.backends.engine import StepTensors
from lrkern.optimizers.groups import Structure, is_array
from lrkern.optimizers.options import MAX

__all__ = ["accumulate"]

_WHERE = "accumulate"
# A step of this rule, p = fma(-lr, g, p), is the sum.
_RULE, _LR = "sgd", 0


def accumulate(
    into: Any, grad: Any, scale: SupportsFloat = 1.0, *, uint16_as_bfloat16: bool = False, backend: str | None = None
) -> None:
    """Add gradients to arrays, in place: into = into + scale grad. One pass over memory, on all threads.

    In T: float64 if the array in `into` is float64, else float32. Both are converted to T, into = fma(scale, grad, into) is
    rounded once to T, with the scale rounded to T before, and once more, to nearest, if `into` is stored in 16 bits. Use
    float32 arrays for sums of 16-bit gradients: in 16 bits, terms below half a unit in the last place of the sum are lost.

    Args:
        into: an array, or a list or dict of arrays, also nested as the gradients of groups are: float64, float32, bfloat16
            or float16, dense and writable.
        grad: arrays of any of these dtypes in the same structure, each with the shape and memory order of the one it is added
            to; or pairs (indices, values) of rows, of which those of one index are added to each other first, in their order;
            or None for nothing to add.
        scale: a number of any sign, for example 1 / (number of backward passes).
        uint16_as_bfloat16: treat uint16 arrays as the bits of bfloat16 numbers.
        backend: "c", "numba" or "cuda", all bit-identical; None means "cuda" for arrays on a device, else "c". On a device each
            call makes a table of the arrays: it cannot be captured in a graph.

    Raises:
        TypeError, ValueError: an argument is invalid; nothing has been written.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> sums = {"w": np.zeros(2, np.float32), "b": np.zeros(1)}
        >>> for x in (1.0, 3.0):
        ...     lk.accumulate(sums, {"w": np.array([x, 4.0]), "b": None}, scale=0.5)
        >>> sums
        {'w': array([2., 4.], dtype=float32), 'b': array([0.])}
    """
    factor = _checks.real(_WHERE, "scale", _checks.single(scale), low=-MAX, high=MAX)
    halves = _checks.flag(_WHERE, "uint16_as_bfloat16", uint16_as_bfloat16)
    places: list[tuple[str, Any]] = []
    given: list[Any] = []
    grads: list[Any] = []
    if is_array(into):
        places, given, grads = [("", None)], [into], [grad]
    else:
        _match(into, grad, "", places, given, grads)
    chosen = backends.choose(_WHERE, backend, *(one for one in given if type(one) is not np.ndarray))
    arrays = chosen.arrays

    def label(kind: str, index: int) -> str:
        path, key = places[index]
        return f"{'into' if kind == 'param' else 'grad'}{path}{'' if key is None else f'[{key!r}]'}"

    own = [
        one
        if type(one) is np.ndarray and not chosen.on_device
        else arrays.as_array(_WHERE, label("param", i), one, written=True)
        for i, one in enumerate(given)
    ]
    as_gradient = partial(arrays.as_gradient, True, halves)
    sums = chosen.StepList(StepTensors(_WHERE, label, own, [_RULE], [0] * len(own), {}, halves=halves, as_gradient=as_gradient))
    sums.set_input(0, _LR, -factor)
    sums.run(grads, 1.0)


def _match(into: Any, grad: Any, path: str, places: list[tuple[str, Any]], given: list[Any], grads: list[Any]) -> None:
    """Add the place of every array, the array and its gradient to lists."""
    structure = Structure(_WHERE, into, name=f"into{path}", path=path, like=f"into{path}")
    found = [None] * structure.size if grad is None else structure.flatten(_WHERE, "grad", grad)
    for key, own, one in zip(structure.names(), structure.arrays, found, strict=True):
        if type(own) is np.ndarray or is_array(own):
            places.append((path, key))
            given.append(own)
            grads.append(one)
        else:
            _match(own, one, f"{path}[{key!r}]", places, given, grads)

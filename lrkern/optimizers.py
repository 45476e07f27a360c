"""Optimizers: whole steps over lists of arrays, each in one pass over memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lrkern import _checks
from lrkern._core import StepList

Array = npt.NDArray[np.floating[Any]]
Arrays = Mapping[Any, Array] | Sequence[Array]
Grads = Mapping[Any, Array | None] | Sequence[Array | None]
Hyper = float | Callable[[int], float]
"""A hyper-parameter: a number, or a schedule that gives one for each step."""

# Scalars are rounded to the type of the parameters: this is what float32 holds.
_MAX = float(np.finfo(np.float32).max)


def _number(where: str, name: str, value: object) -> float:
    return _checks.real(where, name, value, low=0.0, high=_MAX)


def _check_options(where: str, momentum: object, dampening: object, nesterov: bool) -> None:
    if nesterov and (momentum == 0 or dampening != 0):
        raise ValueError(
            f"{where}: nesterov needs momentum > 0 and dampening = 0; got momentum={momentum}, dampening={dampening}"
        )


def _check_shrinkage(where: str, lr: float, weight_decay: float, decoupled: bool) -> None:
    if decoupled and lr * weight_decay > _MAX:
        raise ValueError(f"{where}: lr * weight_decay must be at most {_MAX:g}; got lr={lr}, weight_decay={weight_decay}")


def sgd_step(
    param: Array,
    grad: Array,
    momentum_buffer: Array | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    maximize: bool = False,
    first: bool = False,
) -> None:
    """One step of stochastic gradient descent on one array, in place.

    With p = `param`, b = `momentum_buffer` and g = `grad`:

        g = -grad                                    if maximize
        g = g + weight_decay p                       if weight_decay != 0 and not decoupled
        p = p (1 - lr weight_decay)                  if decoupled
        b = g                                        if first, else
        b = momentum b + (1 - dampening) g
        d = g + momentum b if nesterov else b        (d = g if momentum == 0)
        p = p - lr d

    Args:
        param: float32 or float64, any shape, contiguous and writable; updated.
        grad: an array like `param` (dtype, shape and memory order); only read.
        momentum_buffer: an array like `param`; updated. Needed if, and left alone unless, `momentum` > 0.
        lr: learning rate, >= 0.
        momentum: >= 0.
        dampening: >= 0. Not applied at the first step.
        nesterov: Nesterov's form of momentum; needs `momentum` > 0 and `dampening` = 0.
        weight_decay: >= 0. Where it is 0 the decay never touches a value.
        decoupled: shrink `param` by the weight decay instead of adding it to the gradient (SGDW).
        maximize: go up the gradient.
        first: `momentum_buffer` holds nothing yet and becomes the gradient.

    Raises:
        TypeError: an argument is not of the kind above (an array of another dtype or byte order, a string for a
            number). Nothing has been written then.
        ValueError: a value out of range; an array of another shape, read-only, or not contiguous; arrays that share
            memory. Nothing has been written then.

    Accuracy:
        Each sum of a product above is one fused multiply-add, rounded once; each other operation is rounded once:
        g = fma(weight_decay, p, g), b = fma(momentum, b, (1 - dampening) g), d = fma(momentum, b, g),
        p = fma(-lr, d, p (1 - lr weight_decay)). Scalars are computed in float64 and rounded once to the dtype of
        `param`. The result is the same to the last bit on every machine, for any number of threads, size and
        alignment. (The sign and payload of a NaN are not part of that.)

    Example:
        >>> import numpy as np, lrkern as lk
        >>> p, g, b = np.array([1.0, 2.0]), np.array([0.5, -0.5]), np.zeros(2)
        >>> lk.sgd_step(p, g, b, lr=0.5, momentum=0.5, first=True)
        >>> lk.sgd_step(p, g, b, lr=0.5, momentum=0.5)
        >>> p, b
        (array([0.375, 2.625]), array([ 0.75, -0.75]))

    Source:
        The convention of torch.optim.SGD; `decoupled` after Loshchilov and Hutter, arXiv 1711.05101. torch rounds the
        product with lr before it subtracts; apart from such last bits the values agree.
    """
    where = "sgd_step"
    lr = _number(where, "lr", lr)
    momentum = _number(where, "momentum", momentum)
    dampening = _number(where, "dampening", dampening)
    weight_decay = _number(where, "weight_decay", weight_decay)
    nesterov = _checks.flag(where, "nesterov", nesterov)
    decoupled = _checks.flag(where, "decoupled", decoupled)
    maximize = _checks.flag(where, "maximize", maximize)
    first = _checks.flag(where, "first", first)
    _check_options(where, momentum, dampening, nesterov)
    _check_shrinkage(where, lr, weight_decay, decoupled)
    if momentum != 0:
        if momentum_buffer is None:
            raise ValueError(f"{where}: momentum_buffer is needed where momentum > 0; got None")
        tensors = StepList(where, _own_name, [param], ("momentum_buffer",), [[momentum_buffer]], first)
    else:
        tensors = StepList(where, _own_name, [param])
    tensors.sgd([grad], lr, momentum, dampening, weight_decay, nesterov, decoupled, maximize)


def _own_name(kind: str, index: int) -> str:
    return kind


class _Structure:
    """How the arrays of an optimizer are grouped: a list, or a dict with its keys."""

    def __init__(self, where: str, params: Arrays) -> None:
        if isinstance(params, Mapping):
            self.keys: list[Any] | None = list(params)
            self.arrays: list[Array] = [params[key] for key in self.keys]
        elif isinstance(params, list | tuple):
            self.keys = None
            self.arrays = list(params)
        else:
            raise TypeError(
                f"{where}: params must be a dict, list or tuple of arrays; got {_checks.describe(params)}"
                + ("; for one array pass [array]" if isinstance(params, np.ndarray) else "")
            )

    def label(self, kind: str, index: int) -> str:
        """Name of an array in an error: `grads['w']`, `params[3]`."""
        return f"{kind}s[{index if self.keys is None else self.keys[index]!r}]"

    def flatten(self, where: str, name: str, values: Any) -> list[Any]:
        """Values with this structure, as a list."""
        if self.keys is None:
            if not isinstance(values, list | tuple):
                wanted = f"a list or tuple of {len(self.arrays)} like params"
                raise TypeError(f"{where}: {name} must be {wanted}; got {_checks.describe(values)}")
            if len(values) != len(self.arrays):
                raise ValueError(f"{where}: {name} must have {len(self.arrays)} entries like params; got {len(values)}")
            return list(values)
        if not isinstance(values, Mapping):
            raise TypeError(f"{where}: {name} must be a dict with the keys of params; got {_checks.describe(values)}")
        try:
            found = [values[key] for key in self.keys]
        except KeyError:
            found = []
        if len(found) != len(values):
            missing = [key for key in self.keys if key not in values]
            unknown = [key for key in values if key not in self.keys]
            parts = [f"{word} {', '.join(map(repr, keys))}" for word, keys in (("no", missing), ("also", unknown)) if keys]
            raise ValueError(f"{where}: {name} must have the keys of params; got {' and '.join(parts)}")
        return found

    def unflatten(self, values: list[Any]) -> Any:
        """A list of values, in this structure."""
        return list(values) if self.keys is None else dict(zip(self.keys, values, strict=True))


class SGD:
    """Stochastic gradient descent over a list or dict of arrays, each step one call and one pass over memory.

    What a step does to each array is `sgd_step`'s formula; the momentum buffers live here.

    Args:
        params: a list, tuple or dict of float32 or float64 arrays (of any shapes, dtypes may be mixed), contiguous and
            writable. They are updated in place and must neither overlap nor be resized while the optimizer is in use.
        lr: learning rate >= 0, or a schedule, whose value at `count` each step uses.
        momentum, dampening, weight_decay: numbers >= 0, or schedules. 0 switches a term off altogether;
            a schedule keeps it on, even while its value is 0.
        nesterov, decoupled, maximize: as in `sgd_step`.

    Raises:
        TypeError, ValueError: as `sgd_step`, here and at each step; also for gradients that are not structured like
            `params`. Then nothing has been written and `count` is as before.

    Accuracy:
        As `sgd_step`; the bits do not depend on how arrays are grouped.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = {"w": np.ones((2, 2)), "b": np.zeros(2)}
        >>> opt = lk.SGD(params, lr=0.5, momentum=0.5)
        >>> opt.step({"w": np.full((2, 2), 0.5), "b": np.ones(2)})
        >>> opt.count, params["b"]
        (1, array([-0.5, -0.5]))

    Source:
        torch.optim.SGD. As there, a parameter whose gradient is None is left alone, and its buffer starts with its
        first gradient.
    """

    def __init__(
        self,
        params: Arrays,
        lr: Hyper,
        *,
        momentum: Hyper = 0.0,
        dampening: Hyper = 0.0,
        nesterov: bool = False,
        weight_decay: Hyper = 0.0,
        decoupled: bool = False,
        maximize: bool = False,
    ) -> None:
        self._structure = _Structure("SGD", params)
        self._lr = self._hyper("lr", lr)
        self._momentum = self._hyper("momentum", momentum)
        self._dampening = self._hyper("dampening", dampening)
        self._weight_decay = self._hyper("weight_decay", weight_decay)
        self._nesterov = _checks.flag("SGD", "nesterov", nesterov)
        self._decoupled = _checks.flag("SGD", "decoupled", decoupled)
        self._maximize = _checks.flag("SGD", "maximize", maximize)
        _check_options("SGD", self._momentum, self._dampening, self._nesterov)
        self._count = 0
        arrays = self._structure.arrays
        self._buffers: list[Array] | None = None
        self._tensors = StepList("SGD", self._structure.label, arrays)  # before buffers are made of what is no array
        if callable(self._momentum) or self._momentum > 0:
            self._buffers = [np.zeros_like(one, subok=False) for one in arrays]
            self._tensors = StepList("SGD", self._structure.label, arrays, ("momentum_buffer",), [self._buffers])

    @staticmethod
    def _hyper(name: str, value: Hyper) -> Hyper:
        return value if callable(value) else _number("SGD", name, value)

    def _now(self, name: str, value: Hyper) -> float:
        """A hyper-parameter at the next step."""
        if callable(value):
            return _number(f"SGD, step {self._count}", name, value(self._count))
        return value

    @property
    def count(self) -> int:
        """Number of steps done."""
        return self._count

    @property
    def lr(self) -> float:
        """The learning rate that the next step will use. Assign a number or a schedule to change it."""
        return self._now("lr", self._lr)

    @lr.setter
    def lr(self, value: Hyper) -> None:
        self._lr = self._hyper("lr", value)

    @property
    def momentum_buffers(self) -> Any:
        """The buffers, structured like `params` (the arrays themselves); None without momentum."""
        return None if self._buffers is None else self._structure.unflatten(self._buffers)

    def bind(self, grads: Grads) -> None:
        """Use these gradient arrays for every `step()` that is given none.

        For gradients that are written into the same arrays each time: they are checked here, once, and must then stay
        as they are (no resizing, no change of dtype or shape); their values are read at each step.

        Args:
            grads: structured like `params`; each an array like its parameter, or None to leave that parameter alone.
        """
        self._tensors.bind(self._structure.flatten("SGD.bind", "grads", grads))

    def step(self, grads: Grads | None = None) -> None:
        """One step, in place.

        Args:
            grads: structured like `params`; each an array like its parameter, or None to leave that parameter alone.
                Given none, the bound gradients are used. Given some, an earlier `bind` ends.
        """
        found = None if grads is None else self._structure.flatten("SGD.step", "grads", grads)
        lr, momentum, dampening, decay = self._lr, self._momentum, self._dampening, self._weight_decay
        if type(lr) is not float:
            lr = self._now("lr", lr)
        if type(momentum) is not float:
            momentum = self._now("momentum", momentum)
        if type(dampening) is not float:
            dampening = self._now("dampening", dampening)
        if type(decay) is not float:
            decay = self._now("weight_decay", decay)
        if self._decoupled:
            _check_shrinkage("SGD", lr, decay, True)
        self._tensors.sgd(found, lr, momentum, dampening, decay, self._nesterov, self._decoupled, self._maximize)
        self._count += 1

    def state_dict(self) -> dict[str, Any]:
        """What a run needs to go on from here, apart from the parameters and the arguments: copies, safe to pickle."""
        buffers = None if self._buffers is None else self._structure.unflatten([one.copy("K") for one in self._buffers])
        return {
            "count": self._count,
            "momentum_buffers": buffers,
            "first": self._structure.unflatten(self._tensors.get_first()),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, on an optimizer made with like parameters.

        Raises:
            TypeError, ValueError: if it is not such a state; then nothing has changed.
        """
        where = "SGD.load_state_dict"
        if not isinstance(state, Mapping) or set(state) != {"count", "momentum_buffers", "first"}:
            raise ValueError(f"{where}: state must be what state_dict gave; got {_checks.describe(state)}")
        count = _checks.count(where, "count", state["count"])
        first = [
            _checks.flag(where, self._structure.label("first", i)[:5], one)
            for i, one in enumerate(self._structure.flatten(where, "first", state["first"]))
        ]
        if (state["momentum_buffers"] is None) != (self._buffers is None):
            raise ValueError(f"{where}: the state was taken {'without' if self._buffers else 'with'} momentum, unlike here")
        if self._buffers is not None:
            loaded = self._structure.flatten(where, "momentum_buffers", state["momentum_buffers"])
            for i, (buffer, one) in enumerate(zip(self._buffers, loaded, strict=True)):
                if not isinstance(one, np.ndarray) or one.dtype != buffer.dtype or one.shape != buffer.shape:
                    raise _checks.array_error(
                        where,
                        self._structure.label("momentum_buffer", i),
                        one,
                        written=False,
                        like=buffer,
                        like_name=self._structure.label("param", i),
                    )
            for buffer, one in zip(self._buffers, loaded, strict=True):
                buffer[...] = one
        self._tensors.set_first(first)
        self._count = count

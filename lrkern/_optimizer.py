"""What all optimizers have in common: arrays, groups, the step, the state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from inspect import signature
from os import PathLike
from types import MappingProxyType
from typing import Any, ClassVar, SupportsFloat, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

from lrkern import _arrays, _checks, _core, backends
from lrkern._groups import arrange
from lrkern._rule import MAX, Form, Group, Options, Rule
from lrkern._signatures import LazySignature, documented
from lrkern._suggestions import unknown_option
from lrkern.backends import StepOptions, StepTensors

Arrays = Mapping[Any, Any] | Iterable[Any]
Grads = Mapping[Any, Any] | Iterable[Any]
Hyper = SupportsFloat | Callable[[int], SupportsFloat]
"""A hyper-parameter: a number (or an array of one), or a schedule that gives one for each step."""

_T = TypeVar("_T")

_SMALLEST_SCALE = 2.0**-126


class Shared(TypedDict, total=False):
    """Options of every optimizer: see `Optimizer`."""

    clip_norm: float | None
    clip_value: float | None
    skip_nonfinite: bool
    ema: Hyper | None
    copy_to: Any
    zero_grad: bool
    state_dtype: npt.DTypeLike | None
    rounding: str
    seed: int
    uint16_as_bfloat16: bool
    backend: str | None


DEFAULTS: Shared = {
    "clip_norm": None,
    "clip_value": None,
    "skip_nonfinite": False,
    "ema": None,
    "copy_to": None,
    "zero_grad": False,
    "state_dtype": None,
    "rounding": "nearest",
    "seed": 0,
    "uint16_as_bfloat16": False,
    "backend": None,
}


def step_once(
    where: str,
    rule: Rule,
    param: Any,
    grad: Any,
    states: dict[str, Any],
    update: int,
    options: Options,
    backend: str | None,
    needed: str = "",
) -> None:
    """One step of one tensor, without an optimizer: its update of this number, from 0.

    `needed` says when a state that is missing is needed.
    """
    if grad is None:  # in lists of gradients it stands for a tensor that is left alone
        raise TypeError(f"{where}: grad must be an array like param; got None")
    form, options = rule.settle(where, options)
    form.check_shrinkage(where, options["lr"], options["weight_decay"])
    chosen = backends.choose(where, backend, param)
    once = _core.step_once if chosen.StepList is _core.StepList else partial(_step_once_in, chosen)
    once(where, form, options, param, grad, states, update, needed, chosen.arrays)


def _step_once_in(
    backend: backends.Backend,
    where: str,
    form: Form,
    options: Options,
    param: Any,
    grad: Any,
    states: dict[str, Any],
    update: int,
    needed: str,
    arrays: Any,
) -> None:
    """What `_core.step_once` does, with another backend's steps."""
    for name in form.states:
        if states[name] is None:
            raise ValueError(f"{where}: {name} is needed{needed}; got None")
    kept = {
        name: [arrays.as_array(where, name, state, written=True) if name in form.states else None]
        for name, state in states.items()
    }
    params = [arrays.as_array(where, "param", param, written=True)]
    as_gradient = arrays.as_dense_gradient
    made_of = StepTensors(where, lambda kind, _: kind, params, [form.variant], [0], kept, as_gradient=as_gradient)
    tensors = backend.StepList(made_of)
    for place, (_, hyper, constant) in enumerate(form.inputs):
        tensors.set_input(0, place, options[hyper] if hyper else constant)
    tensors.restore([update], 0, 0, [])
    tensors.run([grad], 1.0)


class Optimizer:
    """Steps over a list or dict of arrays, or over groups of such, each step one call and one pass over memory.

    Args:
        params: a dict, a list or any other iterable (a generator, torch's ParameterList) of arrays of any shapes, one at
            least: float64, float32, bfloat16 (ml_dtypes') or float16, mixed as you like; NumPy's, or CPU arrays of other
            libraries through DLPack (torch tensors, say). They are updated in place: dense in memory (in any order of the
            axes), writable, without overlaps, and not resized or replaced later, which the next step refuses. Or a list
            of groups: dicts with such `params` and options of their own (`{"params": [...], "lr": 0.1}`); what is
            given for each array is then a list with one entry for each group.
        clip_norm: scale all gradients together so that their norm is at most this.
        clip_value: clip each element of the gradients to this size.
        skip_nonfinite: skip a step in which a gradient is infinite or NaN.
        ema: keep an exponential moving average of the parameters, with this decay (a number in 0..1, or a schedule).
        copy_to: arrays like `params` (or None for some) that each step writes the parameters to, in their own dtype.
        zero_grad: set gradients to 0 when they have been used.
        state_dtype: dtype of states, if not that which a tensor is computed in (float64 for float64, else float32).
        rounding: how bfloat16 and float16 parameters and states are rounded: "nearest"; "stochastic"; or "split", where
            bfloat16 parameters keep 16 more bits in the optimizer and are exact float32 numbers together with them.
        seed: of stochastic rounding.
        uint16_as_bfloat16: uint16 arrays hold the bits of bfloat16 numbers.
        backend: "c", "numba" or "cuda", with the same bits; None takes "cuda" for arrays on a device, else "c".

    Raises:
        TypeError, ValueError: an option or array that does not fit. Nothing has been written then.
        ImportError, RuntimeError: the backend cannot be used here, and why; see `lrkern.info`.

    Example:
        >>> import numpy as np, lrkern as lk
        >>> params = [{"params": [np.ones(2)], "lr": 0.5}, {"params": {"b": np.ones(1)}}]
        >>> opt = lk.SGD(params, lr=0.25, clip_norm=2.5, zero_grad=True)
        >>> grads = [[np.array([3.0, 0.0])], {"b": np.array([4.0])}]
        >>> opt.step(grads)
        >>> isinstance(opt, lk.Optimizer), opt.grad_norm, params[0]["params"][0], params[1]["params"]["b"], grads[1]["b"]
        (True, 5.0, array([0.25, 1.  ]), array([0.5]), array([0.]))
    """

    __signature__ = LazySignature(DEFAULTS)
    _rule: ClassVar[Rule]
    _initial: Mapping[str, float] = MappingProxyType({})
    """What states begin with, if not with 0."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.__doc__ = documented(cls.__doc__, Optimizer.__doc__)

    def __init__(self, params: Arrays, options: Options, shared: Shared) -> None:
        self._name = type(self).__name__
        self._where_step = f"{self._name}.step"
        self._steps_before = 0
        self._read_shared(shared)
        self._structure, self._group_of, own = arrange(self._name, params)
        self._backend = backends.choose(self._name, shared.get("backend"), *self._structure.arrays)
        as_array, label = self._backend.arrays.as_array, self._structure.label
        found = enumerate(self._structure.arrays)
        self._params = [as_array(self._name, label("param", i), one, written=True) for i, one in found]
        self._groups = []
        for group in own:
            ema = group.pop("ema", shared.get("ema"))
            self._groups.append(Group(self._name, self._rule, {**options, **group}, ema))
        self._make_arrays()
        self._apply()

    def _read_shared(self, shared: Shared) -> None:
        name = self._name
        for key in shared:
            if key not in Shared.__annotations__:
                raise unknown_option(name, key, name, list(signature(type(self)).parameters)[1:])
        clip_norm, clip_value = (
            math.inf
            if (value := _checks.unboxed(shared.get(key))) is None
            else _checks.real(name, key, value, above=0.0, high=MAX)
            for key in ("clip_norm", "clip_value")
        )
        skip_nonfinite, zero_grad, halves = (
            _checks.flag(name, key, shared.get(key, False)) for key in ("skip_nonfinite", "zero_grad", "uint16_as_bfloat16")
        )
        rounding = _checks.choice(name, "rounding", shared.get("rounding", "nearest"), ("nearest", "stochastic", "split"))
        seed = _checks.count(name, "seed", shared.get("seed", 0), high=2**64 - 1)
        self._halves, self._splits, self._copy_to = halves, rounding == "split", shared.get("copy_to")
        self._state_dtype = _arrays.state_dtype(name, shared.get("state_dtype"), halves)
        self._wants_norm = skip_nonfinite or clip_norm < math.inf
        self._step_options = StepOptions(clip_norm, clip_value, skip_nonfinite, zero_grad, rounding, seed)

    def _make_arrays(self) -> None:
        """The states and whatever else is kept for each parameter, and the list that steps them."""
        arrays, label, params = self._backend.arrays, self._structure.label, self._params
        variants = [group.form.variant for group in self._groups]
        # Before arrays are made like what is no array.
        made_of = StepTensors(self._name, label, params, variants, self._group_of, {}, halves=self._halves)
        self._backend.StepList(made_of)

        groups = [self._groups[g] for g in self._group_of]
        pairs = list(zip(params, groups, strict=True))
        self._kept: dict[str, list[Any]] = {
            state: [self._make_state(state, param, group) for param, group in pairs] for state in self._rule.states
        }
        others = {
            "ema_param": [
                None if group.ema is None else arrays.in_computed_type(param, self._halves) for param, group in pairs
            ],
            "remainder": [
                arrays.zeros_like(param, np.int16) if self._splits and arrays.is_bfloat16(param, self._halves) else None
                for param in params
            ],
        }
        self._tensors = self._backend.StepList(
            made_of._replace(
                states=self._kept,
                others=others | {"copy_to": self._read_copies()},
                row_lrs=[self._row_lrs(i, group) for i, group in enumerate(groups)],
                as_gradient=partial(arrays.as_gradient, self._rule.takes_rows, self._halves),
                owns_states=True,
            )
        )
        self._tensors.set_options(self._step_options)
        self._kept |= others

    def _make_state(self, state: str, param: Any, group: Group) -> Any:
        if state not in group.form.states:
            return None
        arrays = self._backend.arrays
        array = arrays.zeros_like(param, self._state_dtype or arrays.computed_in(param))
        if self._initial.get(state):
            arrays.fill(array, self._initial[state], self._halves)
        return array

    def _read_copies(self) -> list[Any]:
        as_array, label = self._backend.arrays.as_array, self._structure.label
        if self._copy_to is None:
            return [None] * len(self._group_of)
        found = self._structure.flatten(self._name, "copy_to", self._copy_to)
        return [as_array(self._name, label("copy_to", i), one, written=True) for i, one in enumerate(found)]

    def _row_lrs(self, index: int, group: Group) -> Any:
        lrs, param = group.options["lr"], self._params[index]
        if not isinstance(lrs, np.ndarray):
            return None
        label = self._structure.label("param", index)
        if param.ndim == 0:
            raise ValueError(f"{self._name}: lr must be one number, as {label} has no rows; got {_checks.describe(lrs)}")
        if len(param) != len(lrs):
            wanted = f"one number, or {len(param)} numbers, one for each row of {label}"
            raise ValueError(f"{self._name}: lr must be {wanted}; got {len(lrs)}")
        if not param.flags.c_contiguous:
            wanted = f"C-contiguous, as each of its rows has its own lr; got strides {param.strides}"
            raise ValueError(f"{self._name}: {label} must be {wanted}")
        return lrs

    def _apply(self) -> None:
        """Give C the numbers that stay."""
        for g, group in enumerate(self._groups):
            group.apply(self._tensors, g)
        if self._backend.evaluates:
            tensors: Any = self._tensors
            for g, group in enumerate(self._groups):
                group.hand_over(tensors, g)
            tensors.publish()
        here = not self._backend.evaluates
        self._live = [(g, group) for g, group in enumerate(self._groups) if group.is_live and here]

    # ------------------------------------------------------------------------------------------------------------ steps

    def bind(self, grads: Grads) -> None:
        """Use these gradient arrays for every `step()` that is given none.

        For gradients that are written into the same arrays each time: they are checked here, once; their values are read at
        each step. One that was resized, or closed, is refused by the next step.

        The arrays themselves are kept, and stay alive, until a `step` with gradients, another `bind`, `add_group`, or the
        end of the optimizer. So `bind` is not for whoever gets other arrays each time (a framework whose backward pass
        makes them, torch after `zero_grad(set_to_none=True)`, gradients before the first backward pass): nobody writes to
        the old arrays any more, and steps would go on with what they hold. Pass those to `step`.

        Args:
            grads: structured like `params`; each an array like its parameter, or None to leave that parameter alone, though
                not all of them; or a pair (indices, values), whose indices are read here, and its values at each step. (On a
                CUDA device, indices are looked at here and read at each step.)

        Raises:
            TypeError, ValueError: a gradient that does not fit, or none at all; an earlier `bind` holds then.
        """
        where, label = f"{self._name}.bind", self._structure.label
        found = self._structure.flatten(where, "grads", grads)
        if all(one is None for one in found):
            wanted = "must have an array at least, which later steps read"
            raise ValueError(f"{where}: grads {wanted}; got None for each parameter: has there been a backward pass?")
        for i, one in enumerate(found):
            if isinstance(one, np.generic):
                wanted = "must be an array, whose values later steps read"
                raise TypeError(f"{where}: {label('grad', i)} {wanted}; got {_checks.describe(one)}")
        self._tensors.bind(found)

    def step(self, grads: Grads | None = None, grad_scale: float = 1.0) -> None:
        """One step, in place.

        Args:
            grads: structured like `params`; each an array of its parameter's shape and memory order (and of any of the
                dtypes), or None to leave that parameter alone; or a pair (indices, values) of integers (k,) and an array
                (k, ...) where only some rows of a parameter have gradients. Given none, the bound gradients are used.
                Given some, an earlier `bind` ends (on a CUDA device they take the place of the bound ones).
            grad_scale: what the gradients were multiplied by, as loss scaling does; they are divided by it.

        Raises:
            TypeError, ValueError: a gradient that does not fit; nothing has been written then. (On a CUDA device, whoever reads
                the count next is told of indices that are no rows.)
            RuntimeError: another thread is in the middle of a step.
        """
        found = None if grads is None else self._structure.flatten(self._where_step, "grads", grads)
        if (type(grad_scale) is not float or grad_scale != 1.0) and not backends.on_device(grad_scale):
            grad_scale = _checks.unboxed(grad_scale)
            grad_scale = _checks.real(self._where_step, "grad_scale", grad_scale, low=_SMALLEST_SCALE, high=MAX)
        if self._live:
            self._tensors.run(found, grad_scale, self._refresh)
        else:
            self._tensors.run(found, grad_scale)

    def _refresh(self) -> None:
        """Give the list what schedules have for the next step."""
        for g, group in self._live:
            group.refresh(self._tensors, g, self._tensors.count)

    @property
    def count(self) -> int:
        """Number of steps done, skipped ones excepted.

        Raises:
            ValueError: on a CUDA device, steps since this was read last had indices that are no rows, and wrote nothing. So
                does all that reads the device.
        """
        return self._tensors.count

    @property
    def skipped(self) -> int:
        """Number of steps skipped because a gradient was not finite."""
        return self._tensors.skipped

    @property
    def grad_norm(self) -> float | None:
        """Norm of all gradients of the last step, before clipping; None unless clip_norm or skip_nonfinite asks for it.

        None also before the first step, here or since a state was loaded.
        """
        return self._tensors.grad_norm if self._wants_norm and self.count + self.skipped != self._steps_before else None

    @property
    def lr(self) -> Any:
        """The learning rate that the next step will use; a list of those of the groups where there are several.

        Assign a number or a schedule to change it, for all groups.
        """
        found = [group.at("lr", self.count) for group in self._groups]
        return found[0] if len(found) == 1 else found

    @lr.setter
    def lr(self, value: Hyper) -> None:
        self.set("lr", value)

    def set(self, name: str, value: Any, group: int | None = None) -> None:
        """Change a hyper-parameter, to a number or a schedule: of one group, or of all.

        Whether a state is kept does not change any more: momentum cannot be switched on or off here.

        Raises:
            TypeError, ValueError: the value does not fit; nothing has changed then, in any group.
            RuntimeError: another thread is in the middle of a step.
        """
        self._tensors.alone(partial(self._set, name, value, group))

    def _set(self, name: str, value: Any, group: int | None) -> None:
        where = f"{self._name}.set"
        if group is not None:
            _checks.count(where, "group", group, high=len(self._groups) - 1)
        chosen = self._groups if group is None else [self._groups[group]]
        for one, options in [(one, one.changed(where, name, value)) for one in chosen]:
            if isinstance(options["lr"], np.ndarray):  # C reads the array that it was given
                one.options["lr"][...] = options["lr"]
                options["lr"] = one.options["lr"]
            one.options = options
        self._apply()

    # ------------------------------------------------------------------------------------------------------------ state

    @property
    def ema_params(self) -> Any:
        """The averages of the parameters, structured like them (the arrays themselves); None without `ema`."""
        return self._arrays_of("ema_param")

    def _arrays_of(self, kind: str) -> Any:
        arrays = self._kept[kind]
        if all(one is None for one in arrays) and arrays:
            return None
        given = self._backend.arrays.given
        return self._structure.unflatten([None if one is None else given(one) for one in arrays])

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{self._name}: an optimizer cannot be pickled or copied, as it steps arrays that are not its own: "
            "make another one and give its load_state_dict() what state_dict() gives"
        )

    def state_dict(self) -> dict[str, Any]:
        """What a run needs to go on from here, apart from the parameters and the arguments: copies, safe to pickle.

        Raises:
            RuntimeError: another thread is in the middle of a step.
        """
        return self._tensors.alone(self._copy_state)

    def _copy_state(self) -> dict[str, Any]:
        copies = {
            f"{kind}s": self._structure.unflatten([None if one is None else self._backend.arrays.copy(one) for one in arrays])
            if any(one is not None for one in arrays)
            else None
            for kind, arrays in self._kept.items()
        }
        updates = self._structure.unflatten(self._tensors.get_updates())
        return {"optimizer": self._name, "count": self.count, "skipped": self.skipped, "updates": updates, **copies}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, on an optimizer made with like parameters and options.

        Raises:
            TypeError, ValueError: if it is not such a state; then nothing has changed.
        """
        self._load(f"{self._name}.load_state_dict", state)

    def _load(self, where: str, state: Mapping[str, Any]) -> None:
        expected = {"optimizer", "count", "skipped", "updates", *(f"{kind}s" for kind in self._kept)}
        if not isinstance(state, Mapping) or set(state) != expected:
            raise ValueError(f"{where}: state must be what state_dict gave; got {_checks.describe(state)}")
        if state["optimizer"] != self._name:
            other = state["optimizer"]
            other = _checks.cut(other) if isinstance(other, str) else _checks.describe(other)
            raise ValueError(f"{where}: the state must be of {self._name}; got one of {other}")
        count, skipped = (_checks.count(where, key, state[key]) for key in ("count", "skipped"))
        updates = [
            _checks.count(where, self._structure.label("update", i), one)
            for i, one in enumerate(self._structure.flatten(where, "updates", state["updates"]))
        ]
        loaded = {kind: self._checked_arrays(where, kind, state[f"{kind}s"]) for kind in self._kept}
        pairs = [
            (own, one)
            for kind, arrays in loaded.items()
            for own, one in zip(self._kept[kind], arrays, strict=True)
            if own is not None
        ]
        self._tensors.restore(updates, count, skipped, pairs)
        self._steps_before = count + skipped

    def _checked_arrays(self, where: str, kind: str, values: Any) -> list[Any]:
        """Loaded arrays of a kind, which fit into those that are kept here."""
        kept = self._kept[kind]
        if (values is None) != (not any(one is not None for one in kept)):
            raise ValueError(f"{where}: the state was taken {'without' if values is None else 'with'} {kind}s, unlike here")
        if values is None:
            return kept
        found = self._structure.flatten(where, f"{kind}s", values)
        found = [_checks.unmasked(where, self._structure.label(kind, i), one) for i, one in enumerate(found)]
        for i, (own, one) in enumerate(zip(kept, found, strict=True)):
            if own is None and one is None:
                continue
            if own is None or not _checks.is_array(one) or one.dtype != own.dtype or one.shape != own.shape:
                wanted = "None" if own is None else f"{own.dtype} of shape {own.shape} like {self._structure.label('param', i)}"
                error = ValueError if _checks.is_array(one) and own is not None and one.dtype == own.dtype else TypeError
                raise error(f"{where}: {self._structure.label(kind, i)} must be {wanted}; got {_checks.describe(one)}")
            with _core.hold(where, self._structure.label(kind, i), one):
                pass  # it says which one is not there
        return found

    def save(self, path: str | PathLike[str]) -> None:
        """Write what `state_dict` gives to a safetensors file: the old file or the new one is there, whatever happens.

        Parameters are not in it: save them along with it. The file is written beside its place under another name,
        `.lrkern-save-...`; what a killed process leaves of that the next save there removes.

        Raises:
            OSError: the file cannot be written, or the path is a directory, a device or a FIFO.
            RuntimeError: another thread is in the middle of a step; a step raises it while another thread saves.
        """
        self._tensors.alone(partial(self._save, path))

    def _save(self, path: str | PathLike[str]) -> None:
        from lrkern import _state_files

        in_cpu_memory = self._backend.arrays.in_cpu_memory
        arrays = {
            f"{kind}/{i}": in_cpu_memory(one)
            for kind, kept in self._kept.items()
            for i, one in enumerate(kept)
            if one is not None
        }
        plain = {
            "optimizer": self._name,
            "count": self.count,
            "skipped": self.skipped,
            "updates": self._tensors.get_updates(),
            "labels": [self._structure.label("param", i) for i in range(len(self._group_of))],
        }
        _state_files.save(f"{self._name}.save", path, arrays, plain)

    def load(self, path: str | PathLike[str]) -> None:
        """Go on from what `save` wrote, on an optimizer made with like parameters and options.

        Needs the package safetensors.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is damaged, or not such a file; then nothing has changed.
        """
        from lrkern import _state_files

        where = f"{self._name}.load"
        arrays, plain = _state_files.load(where, path)
        labels = [self._structure.label("param", i) for i in range(len(self._group_of))]
        updates = plain.get("updates")
        if plain.get("labels") != labels or not isinstance(updates, list) or len(updates) != len(labels):
            raise ValueError(f"{where}: {path} is of an optimizer of other parameters")
        wanted = {f"{kind}/{i}" for kind, kept in self._kept.items() for i, one in enumerate(kept) if one is not None}
        if set(arrays) != wanted:
            raise ValueError(f"{where}: {path} holds other states than are kept here")
        state = {key: plain.get(key) for key in ("optimizer", "count", "skipped")}
        state["updates"] = self._structure.unflatten(updates)
        for kind, kept in self._kept.items():
            found = [arrays.get(f"{kind}/{i}") for i in range(len(kept))]
            state[f"{kind}s"] = self._structure.unflatten(found) if any(one is not None for one in kept) else None
        try:
            self._load(where, state)
        except TypeError as error:
            raise ValueError(str(error)) from None

"""What all optimizers have in common: arrays, groups, the step, the state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from inspect import signature
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, SupportsFloat, TypedDict

import numpy as np
import numpy.typing as npt

from lrkern import _checks, _core, backends
from lrkern.backends.engine import StepOptions, StepTensors
from lrkern.optimizers import arrays as _arrays
from lrkern.optimizers.arranged import Arranged, members
from lrkern.optimizers.decay_masks import decaying
from lrkern.optimizers.groups import arrange
from lrkern.optimizers.options import MAX, OF_ALL, OF_GROUPS, Form, Group, Limit, Options, Rule
from lrkern.optimizers.signatures import LazySignature, documented, summary
from lrkern.optimizers.state import Resumable

if TYPE_CHECKING:
    from lrkern.backends.engine import Engine

Arrays = Mapping[Any, Any] | Iterable[Any]
Grads = Mapping[Any, Any] | Iterable[Any]
Hyper = SupportsFloat | Callable[[int], SupportsFloat]
"""A hyper-parameter: a number (or an array of one), or a schedule that gives one for each step."""

_SMALLEST_SCALE = 2.0**-126
_NAMED = 3  # arrays, in an error that is about many


class Shared(TypedDict, total=False):
    """Options of every optimizer: see `Optimizer`."""

    clip_norm: Hyper | None
    clip_per: str
    clip_value: float | None
    skip_nonfinite: bool
    error_if_nonfinite: bool
    ema: Hyper | None
    decay_mask: Any
    copy_to: Any
    zero_grad: bool
    state_dtype: npt.DTypeLike | None
    rounding: str
    state_rounding: str
    seed: int
    uint16_as_bfloat16: bool
    backend: str | None


DEFAULTS: Shared = {
    "clip_norm": None,
    "clip_per": "list",
    "clip_value": None,
    "skip_nonfinite": False,
    "error_if_nonfinite": False,
    "ema": None,
    "decay_mask": None,
    "copy_to": None,
    "zero_grad": False,
    "state_dtype": None,
    "rounding": "nearest",
    "state_rounding": "stochastic",
    "seed": 0,
    "uint16_as_bfloat16": False,
    "backend": None,
}


def _refuse_unfit(where: str, form: Form, states: dict[str, Any]) -> None:
    """Raises where a state is stored as it cannot be."""
    for name in form.states:
        state = states[name]
        dtype = _checks.plain(state).dtype if _checks.is_array(state) else getattr(state, "dtype", None)
        if dtype is not _FLOAT32 and dtype is not _FLOAT64:  # mostly it is
            word = str(dtype).rpartition(".")[2]  # torch's are "torch.float16"
            if word in form.unfit:
                raise TypeError(f"{where}: {name} must not be {word}, {form.unfit[word]}")


_FLOAT32, _FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)


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
    if form.unfit:
        _refuse_unfit(where, form, states)
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


class Optimizer(Resumable):
    """Steps over a list or dict of arrays, or over groups of such, each step one call and one pass over memory.

    Args:
        params: a dict, a list or any other iterable (a generator, torch's ParameterList) of arrays of any shapes, one at
            least: float64, float32, bfloat16 (ml_dtypes') or float16, mixed as you like; NumPy's, or CPU arrays of other
            libraries through DLPack (torch tensors, say). They are updated in place: dense in memory (in any order of the
            axes), writable, without overlaps, and not resized or replaced later, which the next step refuses. Or a list
            of groups: dicts with such `params` and options of their own (`{"params": [...], "lr": 0.1}`); what is
            given for each array is then a list with one entry for each group.
        clip_norm: scale all gradients together so that their norm is at most this: a number > 0, or a schedule.
        clip_per: whose gradients `clip_norm` scales together, by a norm of their own: those of the whole "list", of each
            "group", or of each "tensor".
        clip_value: clip each element of the gradients to this size.
        skip_nonfinite: skip a step in which a gradient is infinite or NaN.
        error_if_nonfinite: raise a ValueError at such a step, which names the gradients; nothing is written then. On a CUDA
            device each step waits for the answer. Not together with `skip_nonfinite`.
        ema: keep an exponential moving average of the parameters, with this decay (a number in 0..1, or a schedule).
        decay_mask: which arrays weight decay is for, where it is not for all: a function of name and array
            (`lambda name, array: array.ndim > 1`; names are keys of a dict, or places in a list), or True and False
            structured like `params`. Gradients, averages and states stay structured as they are.
        copy_to: arrays like `params` (or None for some) that each step writes the parameters to, in their own dtype; written
            also when the optimizer is made and when a state is loaded.
        zero_grad: set gradients to 0 when they have been used.
        state_dtype: dtype of states, if not that which a tensor is computed in (float64 for float64, else float32). Optimizers
            that average squares of gradients refuse "float16", in which squares of gradients below 2e-4 are 0.
        rounding: how bfloat16 and float16 parameters are rounded: "nearest"; "stochastic"; or "split", where bfloat16
            parameters keep 16 more bits in the optimizer and are exact float32 numbers together with them.
        state_rounding: how bfloat16 and float16 states are: "stochastic", or "nearest", with which an average stands still
            when what a step changes it by is below half a unit in the last place: one of squares with beta2 = 0.999, for one.
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
        self._options = options
        self._frozen: frozenset[int] = frozenset()
        structure, of, own = arrange(self._name, params)
        self._backend = backends.choose(self._name, shared.get("backend"), *structure.arrays)
        found = self._as_arrays(self._name, "param", structure.label, structure.arrays)
        decays = decaying(self._name, structure, of, own, shared.get("decay_mask"))
        groups, parts = self._make_groups(own, masked=decays is not None)
        copies: list[Any] = [None] * len(found)
        if shared.get("copy_to") is not None:
            copies = structure.flatten(self._name, "copy_to", shared["copy_to"])
            copies = self._as_arrays(self._name, "copy_to", structure.label, copies)
        arranged = Arranged(structure, found, groups, parts, members(of, parts, decays), copies)
        kept, tensors = self._make_list(arranged, {})
        self._apply(arranged, tensors)
        self._take(arranged, kept, tensors)

    def _read_shared(self, shared: Shared) -> None:
        name = self._name
        for key in shared:
            if key not in Shared.__annotations__:
                from lrkern.optimizers.option_names import unknown_option

                raise unknown_option(name, key, name, list(signature(type(self)).parameters)[1:])
        clip_per = _checks.choice(name, "clip_per", shared.get("clip_per", "list"), ("list", "group", "tensor"))
        clip_value = _checks.single(shared.get("clip_value"))
        clip_value = math.inf if clip_value is None else _checks.real(name, "clip_value", clip_value, above=0.0, high=MAX)
        skip_nonfinite, error_if_nonfinite, zero_grad, halves = (
            _checks.flag(name, key, shared.get(key, False))
            for key in ("skip_nonfinite", "error_if_nonfinite", "zero_grad", "uint16_as_bfloat16")
        )
        if skip_nonfinite and error_if_nonfinite:
            wanted = "must not both be True: a step with such gradients is skipped, or an error"
            raise ValueError(f"{name}: skip_nonfinite and error_if_nonfinite {wanted}")
        rounding = _checks.choice(name, "rounding", shared.get("rounding", "nearest"), ("nearest", "stochastic", "split"))
        state_rounding = _checks.choice(
            name, "state_rounding", shared.get("state_rounding", "stochastic"), ("stochastic", "nearest")
        )
        seed = _checks.count(name, "seed", shared.get("seed", 0), high=2**64 - 1)
        self._halves, self._splits = halves, rounding == "split"
        self._state_dtype = _arrays.state_dtype(name, shared.get("state_dtype"), halves)
        self._step_options = StepOptions(
            clip_value, clip_per, skip_nonfinite, error_if_nonfinite, zero_grad, rounding, state_rounding, seed
        )
        self._shared = {**shared}
        self._limit = Limit(name, shared.get("clip_norm"))

    def _check_state_dtype(self, form: Form) -> None:
        dtype = self._state_dtype
        word = "" if dtype is None else "bfloat16" if dtype == np.uint16 else dtype.name
        if word in form.unfit:
            raise ValueError(f"{self._name}: state_dtype must not be {word!r}, {form.unfit[word]}")

    def _make_groups(self, own: list[Options], *, masked: bool) -> tuple[list[Group], list[list[int]]]:
        """Groups, and which of them each group of the user's is: where parameters are `masked`, a second one without decay."""
        groups: list[Group] = []
        parts: list[list[int]] = []
        for one in own:
            options = {**self._options, **{name: value for name, value in one.items() if name not in OF_GROUPS}}
            ema = one.get("ema", self._shared.get("ema"))
            parts.append([])
            for decays in (True, False) if masked else (True,):
                parts[-1].append(len(groups))
                groups.append(Group(self._name, self._rule, options, ema, decays=decays))
                self._check_state_dtype(groups[-1].form)
        return groups, parts

    def _make_list(self, arranged: Arranged, kept: Mapping[str, list[Any]]) -> tuple[dict[str, list[Any]], Engine]:
        """What is kept for each parameter, which there may be of the first ones already, and the list that steps them."""
        arrays, label, params = self._backend.arrays, arranged.structure.label, arranged.params
        variants = [group.form.variant for group in arranged.groups]
        # Before arrays are made like what is no array.
        made_of = StepTensors(self._name, label, params, variants, arranged.group_of, {}, halves=self._halves)
        made_of = made_of._replace(clips_with=[part[0] for part in arranged.parts for _ in part])
        self._backend.StepList(made_of)

        groups = [arranged.groups[g] for g in arranged.group_of]
        pairs = list(zip(params, groups, strict=True))[len(kept.get("remainder", ())) :]
        states = {state: [self._make_state(state, param, group) for param, group in pairs] for state in self._rule.states}
        others = {
            "ema_param": [
                None if group.ema is None else arrays.in_computed_type(param, self._halves) for param, group in pairs
            ],
            "remainder": [
                arrays.zeros_like(param, np.int16) if self._splits and arrays.is_bfloat16(param, self._halves) else None
                for param, _ in pairs
            ],
        }
        states, others = ({kind: [*kept.get(kind, ()), *made] for kind, made in some.items()} for some in (states, others))
        tensors = self._backend.StepList(
            made_of._replace(
                states=states,
                others=others | {"copy_to": arranged.copies},
                row_lrs=[self._row_lrs(label("param", i), params[i], group) for i, group in enumerate(groups)],
                as_gradient=partial(arrays.as_gradient, self._rule.takes_rows, self._halves),
                owns_states=True,
            )
        )
        tensors.set_options(self._step_options)
        return states | others, tensors

    def _make_state(self, state: str, param: Any, group: Group) -> Any:
        if state not in group.form.states:
            return None
        arrays = self._backend.arrays
        array = arrays.zeros_like(param, self._state_dtype or arrays.computed_in(param))
        if self._initial.get(state):
            arrays.fill(array, self._initial[state], self._halves)
        return array

    def _take(self, arranged: Arranged, kept: dict[str, list[Any]], tensors: Engine) -> None:
        self._arranged, self._kept, self._tensors = arranged, kept, tensors
        # What was bound; a device goes on with whatever gradients it has been given.
        self._bound: list[Any] | None = [] if self._backend.on_device else None
        if arranged.has_copies:
            tensors.write_copies()

    def _as_arrays(self, where: str, kind: str, label: Callable[[str, int], str], values: Iterable[Any]) -> list[Any]:
        as_array = self._backend.arrays.as_array
        return [as_array(where, label(kind, i), one, written=True) for i, one in enumerate(values)]

    def _row_lrs(self, label: str, param: Any, group: Group) -> Any:
        lrs = group.options["lr"]
        if not isinstance(lrs, np.ndarray):
            return None
        if param.ndim == 0:
            raise ValueError(f"{self._name}: lr must be one number, as {label} has no rows; got {_checks.describe(lrs)}")
        if len(param) != len(lrs):
            wanted = f"one number, or {len(param)} numbers, one for each row of {label}"
            raise ValueError(f"{self._name}: lr must be {wanted}; got {len(lrs)}")
        if not param.flags.c_contiguous:
            wanted = f"C-contiguous, as each of its rows has its own lr; got strides {param.strides}"
            raise ValueError(f"{self._name}: {label} must be {wanted}")
        return lrs

    def _apply(self, arranged: Arranged, tensors: Engine) -> None:
        """Give an engine the numbers that stay, and the schedules, which it evaluates at each step."""
        for g, group in enumerate(arranged.groups):
            group.apply(tensors, g)
        self._limit.apply(tensors)
        tensors.publish()

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
        where, label = f"{self._name}.bind", self._arranged.structure.label
        found = self._arranged.structure.flatten(where, "grads", grads)
        if all(one is None for one in found):
            wanted = "must have an array at least, which later steps read"
            raise ValueError(f"{where}: grads {wanted}; got None for each parameter: has there been a backward pass?")
        for i, one in enumerate(found):
            if isinstance(one, np.generic):
                wanted = "must be an array, whose values later steps read"
                raise TypeError(f"{where}: {label('grad', i)} {wanted}; got {_checks.describe(one)}")
        self._tensors.bind(self._without_frozen(found))
        self._bound = found

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
            ValueError: with `error_if_nonfinite`, a gradient is infinite or NaN; nothing has been written then.
            RuntimeError: another thread is in the middle of a step.
        """
        found = None
        if grads is not None:
            found = given = self._arranged.structure.flatten(self._where_step, "grads", grads)
            if self._frozen:
                found = self._without_frozen(given)
        if (type(grad_scale) is not float or grad_scale != 1.0) and not backends.on_device(grad_scale):
            grad_scale = _checks.single(grad_scale)
            grad_scale = _checks.real(self._where_step, "grad_scale", grad_scale, low=_SMALLEST_SCALE, high=MAX)
        nonfinite = self._tensors.run(found, grad_scale)
        if grads is not None and self._bound is not None:
            self._bound = given if self._backend.on_device else None
        if nonfinite is not None:
            raise self._nonfinite_error(nonfinite)

    def _nonfinite_error(self, found: list[tuple[int, int, float]]) -> ValueError:
        """What `error_if_nonfinite` says of gradients: (array, number of its first element that is not finite, what it is)."""
        own, parts = self._arranged, []
        for i, element, value in found[:_NAMED]:
            place = _arrays.place_in(own.params[i], element)
            parts.append(f"{value} in {own.structure.label('grad', i)}{f' at {list(place)}' if place else ''}")
        more = f" and in {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        return ValueError(f"{self._where_step}: grads must be finite, for error_if_nonfinite; got {', '.join(parts)}{more}")

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
        """Norm of all gradients of the last step, before clipping, whatever `clip_per` is.

        None unless clip_norm, skip_nonfinite or error_if_nonfinite asks for it; None also before the first step, here or since
        a state was loaded or clip_norm came.
        """
        return self._tensors.grad_norm if self._wants_norm and self.count + self.skipped != self._steps_before else None

    @property
    def _wants_norm(self) -> bool:
        options = self._step_options
        return self._limit.value is not None or options.skip_nonfinite or options.error_if_nonfinite

    @property
    def lr(self) -> Any:
        """The learning rate that the next step will use; a list of those of the groups where there are several.

        Assign a number or a schedule to change it, for all groups.
        """
        found = [self._arranged.groups[part[0]].at("lr", self.count) for part in self._arranged.parts]
        return found[0] if len(found) == 1 else found

    @lr.setter
    def lr(self, value: Hyper) -> None:
        self.set("lr", value)

    def set(self, name: str, value: Any, group: int | None = None) -> None:
        """Change a hyper-parameter, to a number or a schedule: of one group, or of all.

        `clip_norm`, which is one for all groups, can be changed, too; None stops the clipping.

        Whether a state is kept does not change any more: momentum cannot be switched on or off here.

        Raises:
            TypeError, ValueError: the value does not fit; nothing has changed then, in any group.
            RuntimeError: another thread is in the middle of a step.
        """
        self._tensors.alone(partial(self._set, name, value, group))

    def _set(self, name: str, value: Any, group: int | None) -> None:
        where = f"{self._name}.set"
        if isinstance(name, str) and name in OF_ALL:
            if group is not None:
                wanted = f"must be left out, as {name} is one for all groups"
                raise ValueError(f"{where}: group {wanted}; got {_checks.describe(group)}")
            self._change([], Limit(where, value))
            return
        chosen = range(len(self._arranged.groups)) if group is None else self._part(where, group)
        groups = [self._arranged.groups[g] for g in chosen]
        self._change([(one, one.changed(where, name, value)) for one in groups])

    def _part(self, where: str, group: int) -> list[int]:
        parts = self._arranged.parts
        return parts[_checks.count(where, "group", group, high=len(parts) - 1)]

    def _change(self, changes: list[tuple[Group, Options]], limit: Limit | None = None) -> None:
        """Give groups other options, and norms another limit, which have been checked."""
        had_norm, before = self._wants_norm, ([(one, one.copied_options()) for one, _ in changes], self._limit)
        self._exchange(changes, self._limit if limit is None else limit)
        try:
            self._apply(self._arranged, self._tensors)
        except BaseException:  # of a device, which takes no functions, and nothing while a graph is captured
            self._exchange(*before)
            with suppress(TypeError, RuntimeError):
                self._apply(self._arranged, self._tensors)
            raise
        self._shared["clip_norm"] = self._limit.value
        if self._wants_norm and not had_norm:
            self._steps_before = self.count + self.skipped

    def _exchange(self, changes: list[tuple[Group, Options]], limit: Limit) -> None:
        for one, options in changes:
            if isinstance(options["lr"], np.ndarray):  # C reads the array that it was given
                one.options["lr"][...] = options["lr"]
                options["lr"] = one.options["lr"]
            one.options = options
        self._limit = limit

    # ----------------------------------------------------------------------------------------------------------- groups

    def add_group(self, params: Arrays, *, copy_to: Any = None, **options: Any) -> None:
        """Step further arrays from now on: another group, at the end, whose states and averages begin here.

        Gradients, averages and states are lists with one entry for each group from then on, also where there was one group
        without a list; what `bind` kept is let go. The count of steps goes on; corrections of bias follow each array's own
        number of updates. A state that is taken from then on belongs to an optimizer that is made of a list of these groups.

        Args:
            params: arrays, as an optimizer takes them; none that it has already.
            copy_to: arrays like `params`, as the option of an optimizer.
            options: of the group; others are what the optimizer was made with.

        Raises:
            TypeError, ValueError: an array or option that does not fit. Nothing has changed then.
            RuntimeError: another thread is in the middle of a step; or a CUDA graph is being captured.

        Example:
            >>> import numpy as np, lrkern as lk
            >>> head, body = np.ones(1), np.ones(2)
            >>> opt = lk.SGD([head], lr=0.5)
            >>> opt.step([np.ones(1)])
            >>> opt.add_group([body], lr=0.25)
            >>> opt.step([[np.ones(1)], [np.ones(2)]])
            >>> head, body, opt.count
            (array([0.]), array([0.75, 0.75]), 2)
        """
        self._tensors.alone(partial(self._add_group, params, copy_to, options))

    def _add_group(self, params: Arrays, copy_to: Any, options: Options) -> None:
        where, old = f"{self._name}.add_group", self._arranged
        structure = old.structure.and_group(where, params)
        new, label = structure.parts[-1], structure.parts[-1].label
        if not new.size:
            raise ValueError(f"{where}: params must have an array at least; got an empty {type(params).__name__}")
        found = self._as_arrays(where, "param", label, new.arrays)
        mask = self._shared.get("decay_mask")
        decays = decaying(where, new, [0] * new.size, [options], mask if callable(mask) else None)
        groups, [part] = self._make_groups([options], masked=decays is not None)
        part = [len(old.groups) + g for g in part]
        copies: list[Any] = [None] * new.size
        if copy_to is not None:
            copies = self._as_arrays(where, "copy_to", label, new.flatten(where, "copy_to", copy_to))
        arranged = Arranged(
            structure,
            old.params + found,
            old.groups + groups,
            [*old.parts, part],
            old.group_of + members([0] * new.size, [part], decays),
            old.copies + copies,
        )
        count, skipped = self.count, self.skipped
        kept, tensors = self._make_list(arranged, self._kept)
        self._apply(arranged, tensors)
        tensors.restore([*self._tensors.get_updates(), *[0] * new.size], count, skipped, [])
        self._take(arranged, kept, tensors)
        self._steps_before = count + skipped

    def freeze(self, group: int) -> None:
        """Leave a group alone from the next step on, whatever gradients it has: as if they were None.

        So its arrays, states, averages and numbers of updates stay as they are, and its gradients do not count in the norm
        (nor are they zeroed). `unfreeze` takes it up again, with the states of then. A single parameter is left alone by
        giving None for its gradient.

        Example:
            >>> import numpy as np, lrkern as lk
            >>> head, body = np.ones(1), np.ones(2)
            >>> opt = lk.SGD([{"params": [head]}, {"params": [body]}], lr=0.5)
            >>> opt.freeze(1)
            >>> opt.step([[np.ones(1)], [np.ones(2)]])
            >>> opt.unfreeze(1)
            >>> opt.step([[np.ones(1)], [np.ones(2)]])
            >>> head, body
            (array([0.]), array([0.5, 0.5]))
        """
        self._refreeze(f"{self._name}.freeze", group, frozenset.union)

    def unfreeze(self, group: int) -> None:
        """Step a group again that was left alone by `freeze`."""
        self._refreeze(f"{self._name}.unfreeze", group, frozenset.difference)

    def _refreeze(self, where: str, group: int, change: Callable[[frozenset[int], frozenset[int]], frozenset[int]]) -> None:
        self._part(where, group)
        before, self._frozen = self._frozen, change(self._frozen, frozenset([int(group)]))
        if self._bound:
            try:
                self._tensors.bind(self._without_frozen(self._bound))
            except BaseException:
                self._frozen = before
                raise

    def _without_frozen(self, grads: list[Any]) -> list[Any]:
        if not self._frozen:
            return grads
        frozen = self._arranged.in_groups(self._frozen)
        return [None if left else grad for grad, left in zip(grads, frozen, strict=True)]

    # ------------------------------------------------------------------------------------------------------------ state

    def __repr__(self) -> str:
        own = self._arranged
        options = [{**own.groups[part[0]].options, "ema": own.groups[part[0]].ema} for part in own.parts]
        sizes = [
            sum(param.size for param, of in zip(own.params, own.group_of, strict=True) if of in part) for part in own.parts
        ]
        count = None if self._backend.on_device else self._tensors.count  # which a device would have to be asked for
        return summary(type(self), count, len(own.params), sizes, options, self._shared, self._frozen)

    @property
    def ema_params(self) -> Any:
        """The averages of the parameters, structured like them (the arrays themselves); None without `ema`."""
        return self._arrays_of("ema_param")

    def _arrays_of(self, kind: str) -> Any:
        arrays = self._kept[kind]
        if all(one is None for one in arrays):
            return None
        given = self._backend.arrays.given
        return self._arranged.structure.unflatten([None if one is None else given(one) for one in arrays])

    def forget_remainders(self) -> None:
        """Let parameters with `rounding="split"` be the bfloat16 numbers that they are, without more bits.

        For parameters that were written from outside (pruned, clamped, reset, loaded): otherwise the next step adds what the
        numbers there before lacked, at most half a unit in the last place.

        Raises:
            RuntimeError: another thread is in the middle of a step.

        Example:
            >>> import numpy as np, lrkern as lk
            >>> p = np.array([0x3F80], np.uint16)
            >>> opt = lk.SGD([p], 2.0**-10, rounding="split", uint16_as_bfloat16=True)
            >>> opt.step([np.ones(1, np.float32)])
            >>> p[0] = 0x3F80
            >>> opt.forget_remainders()
            >>> opt.state_dict()["remainders"]
            [array([0], dtype=int16)]
        """
        self._tensors.alone(self._forget_remainders)

    def _forget_remainders(self) -> None:
        for remainder in self._kept["remainder"]:
            if remainder is not None:
                self._backend.arrays.clear(remainder)

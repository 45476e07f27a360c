"""What all optimizers have in common: arrays, groups, the step, the state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lrkern import _checks, backends
from lrkern.optimizers import arrays as _arrays
from lrkern.optimizers.arranged import Arranged, members
from lrkern.optimizers.averaged import Averaging
from lrkern.optimizers.decay_masks import decaying
from lrkern.optimizers.groups import arrange
from lrkern.optimizers.limits import Limits
from lrkern.optimizers.maker import Maker
from lrkern.optimizers.norms import Norms
from lrkern.optimizers.once import step_once
from lrkern.optimizers.options import MAX, OF_ALL, Group, Options, RuleOptions
from lrkern.optimizers.shared import DEFAULTS, Hyper, Shared, check
from lrkern.optimizers.signatures import LazySignature, documented, summary
from lrkern.optimizers.state import Resumable

if TYPE_CHECKING:
    from lrkern.backends.engine import Engine

__all__ = ["DEFAULTS", "Arrays", "Grads", "Hyper", "Optimizer", "Shared", "step_once"]  # what the families are made of

Arrays = Mapping[Any, Any] | Iterable[Any]
Grads = Mapping[Any, Any] | Iterable[Any]
_SMALLEST_SCALE = 2.0**-126


class Optimizer(Averaging, Resumable):
    """The base class of optimizers over a list or dict of arrays, or groups of them. A step is one pass over memory.

    Args:
        params: a dict, list or other iterable (a generator, torch's ParameterList) of one or more arrays of any shapes:
            float64, float32, bfloat16 (ml_dtypes) or float16, in any mixture; NumPy arrays, or CPU arrays of other libraries
            through DLPack (torch tensors, for example). They are updated in place. They must be dense in memory (axes in any
            order), writable and without overlaps; if one is resized or replaced later, the next step raises an error. Or a
            list of groups: dicts with such `params` and their own options (`{"params": [...], "lr": 0.1}`). Per-array
            arguments (gradients, `copy_to`) are then lists with one entry per group.
        clip_norm: scale gradients so that their norm is at most this: a number > 0, or a schedule.
        clip_per: which gradients share a norm and are scaled together: those of the whole "list", of each "group", or of
            each "tensor".
        clip_value: clip each element of the gradients to -clip_value .. clip_value.
        skip_norm: skip a step if the norm of all gradients, before clipping, is above this: a number > 0, or a schedule. An
            infinite norm is above every number; a NaN is not.
        skip_sigma: skip a step if this norm is more than so many standard deviations above the mean of the norms of the last
            `skip_window` steps that were done: a number > 0, or a schedule. None is skipped until there have been so many.
        skip_window: the number of these norms, from 2 to 65536.
        skip_nonfinite: skip a step if a gradient is infinite or NaN.
        error_if_nonfinite: instead raise a ValueError that names these gradients; nothing has been written. On a CUDA device
            each step then waits for the result. Excludes `skip_nonfinite`.
        ema: keep an exponential moving average of the parameters with this decay (a number in 0..1, or a schedule); or several
            with a tuple of up to three decays.
        ema_every: change averages only at every k-th step: at those after which `count` is a multiple of this.
        decay: how decoupled weight decay depends on the learning rate. "coupled" multiplies it by lr, as the formulas say.
            "independent" does not: p shrinks by weight_decay p, and not at all while lr is 0. "corrected" multiplies it by lr
            twice and divides it by the largest lr of the schedule, which keeps the norms of parameters from growing as lr falls
            (arXiv 2506.02285); it needs an lr that is a number or a schedule with an end.
        decay_mask: the arrays to which weight decay applies, if not to all: a function of name and array
            (`lambda name, array: array.ndim > 1`; names are the keys of a dict or the indices of a list), or booleans
            structured like `params`. The structure of gradients, averages and states does not change.
        copy_to: arrays like `params` (or None for some) to which each step copies the parameters, in the arrays' own dtypes;
            also written when the optimizer is created and when a state is loaded.
        norms: compute norms of every array in the pass of the step, for `opt.norms`.
        zero_grad: set gradients to 0 after use.
        state_dtype: dtype of states; by default that of the computation (float64 for float64, else float32). Optimizers that
            average squares of gradients refuse "float16", in which squares of gradients below 2e-4 are 0.
        rounding: rounding of bfloat16 and float16 parameters: "nearest"; "stochastic"; or "split", where the optimizer keeps
            16 more bits of each bfloat16 parameter, which together are an exact float32.
        state_rounding: rounding of bfloat16 and float16 states: "stochastic" or "nearest". With "nearest", an average does
            not move if a step changes it by less than half a unit in the last place, as with squares and beta2 = 0.999.
        seed: seed of stochastic rounding.
        uint16_as_bfloat16: treat uint16 arrays as the bits of bfloat16 numbers.
        backend: "c", "numba" or "cuda", all bit-identical; None means "cuda" for arrays on a device, else "c".

    Raises:
        TypeError, ValueError: an option or array is invalid; nothing has been written.
        ImportError, RuntimeError: the backend cannot be used here; the message says why. See `lrkern.info`.

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
    _rule: ClassVar[RuleOptions]
    _initial: Mapping[str, float] = MappingProxyType({})
    """The initial values of states that do not start at 0."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.__doc__ = documented(cls.__doc__, Optimizer.__doc__)

    def __init__(self, params: Arrays, options: Options, shared: Shared) -> None:
        self._name = name = type(self).__name__
        self._where_step = f"{name}.step"
        self._steps_before = self._count_before = 0
        checked = check(type(self), shared)
        self._shared: dict[str, Any] = {**shared}
        self._halves, self._step_options = checked.halves, checked.steps
        self._limits = Limits(name, self._shared)
        self._frozen: frozenset[int] = frozenset()
        structure, of, own = arrange(name, params)
        self._backend = backends.choose(name, shared.get("backend"), *structure.arrays)
        self._maker = Maker(name, self._backend, self._rule, self._initial, options, checked)
        found = self._maker.as_arrays(name, "param", structure.label, structure.arrays)
        decays = decaying(name, structure, of, own, shared.get("decay_mask"))
        groups, parts = self._maker.groups(own, shared, masked=decays is not None)
        copies: list[Any] = [None] * len(found)
        if shared.get("copy_to") is not None:
            copies = structure.flatten(name, "copy_to", shared["copy_to"])
            copies = self._maker.as_arrays(name, "copy_to", structure.label, copies)
        arranged = Arranged(structure, found, groups, parts, members(of, parts, decays), copies)
        kept, tensors = self._maker.engine(arranged, {})
        self._apply(arranged, tensors)
        self._take(arranged, kept, tensors)

    def _take(self, arranged: Arranged, kept: dict[str, list[Any]], tensors: Engine) -> None:
        self._arranged, self._kept, self._tensors = arranged, kept, tensors
        # Keep bound gradients; a device keeps using the latest gradients.
        self._bound: list[Any] | None = [] if self._backend.on_device else None
        if arranged.has_copies:
            tensors.write_copies()

    def _apply(self, arranged: Arranged, tensors: Engine) -> None:
        """Give an engine the constant numbers, and the schedules that it evaluates at each step."""
        for g, group in enumerate(arranged.groups):
            group.apply(tensors, g)
        self._limits.apply(tensors)
        tensors.publish()

    # ------------------------------------------------------------------------------------------------------------ steps

    def bind(self, grads: Grads) -> None:
        """Use these gradient arrays for every `step()` without an argument.

        This is for gradients that are written into the same arrays each time. The arrays are checked once, here; their values
        are read at each step. If one has been resized or closed, the next step raises an error.

        The arrays are kept alive until a `step` with gradients, another `bind`, `add_group`, or the end of the optimizer. Do
        not use `bind` if the backward pass makes new arrays (as in many frameworks, or in torch after
        `zero_grad(set_to_none=True)`), or before the first backward pass: steps would repeat the values of the old arrays.
        Pass such gradients to `step`.

        Args:
            grads: structured like `params`. Each is an array like its parameter; or None for no update, but not for all; or a
                pair (indices, values), whose indices are read here and whose values at each step. (On a CUDA device, indices
                are checked here and read at each step.)

        Raises:
            TypeError, ValueError: a gradient is invalid, or all are None; an earlier `bind` stays in effect.
        """
        where, label = f"{self._name}.bind", self._arranged.structure.label
        found = self._arranged.structure.flatten(where, "grads", grads)
        if all(one is None for one in found):
            wanted = "must contain at least one array, which later steps read"
            raise ValueError(f"{where}: grads {wanted}; got None for each parameter: has a backward pass been run?")
        for i, one in enumerate(found):
            if isinstance(one, np.generic):
                wanted = "must be an array, whose values later steps read"
                raise TypeError(f"{where}: {label('grad', i)} {wanted}; got {_checks.describe(one)}")
        self._tensors.bind(self._without_frozen(found))
        self._bound = found

    def step(self, grads: Grads | None = None, grad_scale: float = 1.0) -> None:
        """One step, in place.

        Args:
            grads: structured like `params`. Each is an array with its parameter's shape and memory order (and any supported
                dtype); or None for no update; or, if only some rows of the parameter have gradients, a pair (indices, values)
                of integers (k,) and an array (k, ...). Without this argument the bound gradients are used; with it, an
                earlier `bind` ends (on a CUDA device the bound gradients are replaced).
            grad_scale: the factor by which the gradients were multiplied, as in loss scaling; they are divided by it.

        Raises:
            TypeError, ValueError: a gradient is invalid; nothing has been written. (On a CUDA device, out-of-range indices
                raise at the next read of the count.)
            ValueError: with `error_if_nonfinite`, a gradient is infinite or NaN; nothing has been written.
            RuntimeError: the optimizer is in use by another thread.
        """
        if self._is_averaged:
            self._refuse_if_averaged(self._where_step)
        if grads is None:
            self._step_flat(None, None, grad_scale)
            return
        found = given = self._arranged.structure.flatten(self._where_step, "grads", grads)
        if self._frozen:
            found = self._without_frozen(given)
        self._step_flat(found, given, grad_scale)

    def _step_flat(self, found: Any, given: list[Any] | None, grad_scale: Any) -> None:
        """`step` with the gradients of all groups in one list: `given`, and `found` without those of frozen groups.

        `found` may also be what the engine reads gradients from.
        """
        if (type(grad_scale) is not float or grad_scale != 1.0) and not backends.on_device(grad_scale):
            grad_scale = _checks.single(grad_scale)
            grad_scale = _checks.real(self._where_step, "grad_scale", grad_scale, low=_SMALLEST_SCALE, high=MAX)
        nonfinite = self._tensors.run(found, grad_scale)
        if given is not None and self._bound is not None:
            self._bound = given if self._backend.on_device else None
        if nonfinite is not None:
            own = self._arranged
            raise _arrays.nonfinite_error(self._where_step, own.structure.label, own.params, nonfinite)

    @property
    def count(self) -> int:
        """Number of steps done, except for skipped ones.

        Raises:
            ValueError: on a CUDA device, steps since the last read had out-of-range indices and wrote nothing. Every other
                read of the device raises this as well.
        """
        return self._tensors.count

    @property
    def skipped(self) -> int:
        """Number of steps skipped because of their gradients."""
        return self._tensors.skipped

    @property
    def grad_norm(self) -> float | None:
        """Norm of all gradients of the last step, before clipping, for any `clip_per`.

        It is computed only with clip_norm, skip_norm, skip_sigma, skip_nonfinite or error_if_nonfinite; else it is None. It is
        also None until the first step after the optimizer was created, a state was loaded or the first of them was set.
        """
        return self._tensors.grad_norm if self._wants_norm and self.count + self.skipped != self._steps_before else None

    @property
    def norms(self) -> Any:
        """Norms of every array at the last step that was done, with the option `norms`: structured like `params`.

        Each is a named tuple of floats: `gradient`, of the gradient as given, divided by grad_scale, before clipping;
        `parameter`, of the parameter before the step; `update`, of its change, before it is rounded to a 16-bit type. None for
        an array without a gradient at that step. For gradients (indices, values) these are norms of the rows with indices. None
        without the option, and before the first step since the optimizer was created, a group was added or a state was loaded.

        Squares of float64 elements beyond 1e154 overflow to infinity, and those below 1e-154 lose digits.

        Example:
            >>> import numpy as np, lrkern as lk
            >>> opt = lk.SGD({"w": np.array([3.0, 4.0]), "b": np.zeros(1)}, lr=0.5, norms=True)
            >>> opt.step({"w": np.array([0.0, 2.0]), "b": None})
            >>> opt.norms
            {'w': Norms(gradient=2.0, parameter=5.0, update=1.0), 'b': None}
        """
        if not self._step_options.norms or self.count == self._count_before:
            return None
        found = [None if one[0] < 0 else Norms(*one) for one in self._tensors.get_norms()]
        return self._arranged.structure.unflatten(found)

    @property
    def _wants_norm(self) -> bool:
        options = self._step_options
        return self._limits.any or options.skip_nonfinite or options.error_if_nonfinite

    @property
    def lr(self) -> Any:
        """The learning rate of the next step; with several groups, a list with one per group.

        Assign a number or a schedule to change it, for all groups.
        """
        if "lr" not in self._rule.hypers:
            raise AttributeError(f"{self._name}: the rule has no lr")
        found = [self._arranged.groups[part[0]].at("lr", self.count) for part in self._arranged.parts]
        return found[0] if len(found) == 1 else found

    @lr.setter
    def lr(self, value: Hyper) -> None:
        self.set("lr", value)

    def set(self, name: str, value: Any, group: int | None = None) -> None:
        """Set a hyper-parameter of one group, or of all groups, to a number or a schedule.

        `clip_norm`, `skip_norm` and `skip_sigma`, common to all groups, can be set, too; None switches them off.

        The set of states is fixed: momentum cannot be switched on or off here.

        Raises:
            TypeError, ValueError: the value is invalid; nothing has changed in any group.
            RuntimeError: the optimizer is in use by another thread.
        """
        self._tensors.alone(partial(self._set, name, value, group))

    def _set(self, name: str, value: Any, group: int | None) -> None:
        where = f"{self._name}.set"
        if isinstance(name, str) and name in OF_ALL:
            if group is not None:
                wanted = f"must be omitted, because {name} is common to all groups"
                raise ValueError(f"{where}: group {wanted}; got {_checks.describe(group)}")
            self._change([], self._limits.changed(where, {name: value}))
            return
        chosen = range(len(self._arranged.groups)) if group is None else self._part(where, group)
        groups = [self._arranged.groups[g] for g in chosen]
        self._change([(one, one.changed(where, name, value)) for one in groups])

    def _part(self, where: str, group: int) -> list[int]:
        parts = self._arranged.parts
        return parts[_checks.count(where, "group", group, high=len(parts) - 1)]

    def _change(self, changes: list[tuple[Group, Options]], limits: Limits | None = None) -> None:
        """Set checked options of groups, and checked limits of norms."""
        had_norm, before = self._wants_norm, ([(one, one.copied_options()) for one, _ in changes], self._limits)
        self._exchange(changes, self._limits if limits is None else limits)
        try:
            self._apply(self._arranged, self._tensors)
        except BaseException:  # a device refuses functions, and any change during a graph capture
            self._exchange(*before)
            with suppress(TypeError, RuntimeError):
                self._apply(self._arranged, self._tensors)
            raise
        self._shared |= self._limits.values
        if self._wants_norm and not had_norm:
            self._steps_before = self.count + self.skipped

    def _exchange(self, changes: list[tuple[Group, Options]], limits: Limits) -> None:
        for one, options in changes:
            if isinstance(options.get("lr"), np.ndarray):  # C reads the array that it has
                one.options["lr"][...] = options["lr"]
                options["lr"] = one.options["lr"]
            one.options = options
        self._limits = limits

    # ----------------------------------------------------------------------------------------------------------- groups

    def add_group(self, params: Arrays, *, copy_to: Any = None, **options: Any) -> None:
        """Append a group of arrays, whose states and averages begin now.

        From then on gradients, averages and states are lists with one entry per group, even if there was only one group without
        a list before. Bound gradients are released. The count of steps continues; bias corrections depend on each array's own
        number of updates. A state saved from then on belongs to an optimizer made from a list of these groups.

        Args:
            params: arrays, as for an optimizer; none may be in the optimizer already.
            copy_to: arrays like `params`, like the optimizer's option.
            options: options of the group; the others are those that the optimizer was created with.

        Raises:
            TypeError, ValueError: an array or option is invalid; nothing has changed.
            RuntimeError: the optimizer is in use by another thread, or a CUDA graph is being captured.

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
        self._refuse_if_averaged(where)
        structure = old.structure.and_group(where, params)
        new, label = structure.parts[-1], structure.parts[-1].label
        if not new.size:
            raise ValueError(f"{where}: params must contain at least one array; got an empty {type(params).__name__}")
        found = self._maker.as_arrays(where, "param", label, new.arrays)
        mask = self._shared.get("decay_mask")
        decays = decaying(where, new, [0] * new.size, [options], mask if callable(mask) else None)
        groups, [part] = self._maker.groups([options], self._shared, masked=decays is not None)
        part = [len(old.groups) + g for g in part]
        copies: list[Any] = [None] * new.size
        if copy_to is not None:
            copies = self._maker.as_arrays(where, "copy_to", label, new.flatten(where, "copy_to", copy_to))
        arranged = Arranged(
            structure,
            old.params + found,
            old.groups + groups,
            [*old.parts, part],
            old.group_of + members([0] * new.size, [part], decays),
            old.copies + copies,
        )
        count, skipped, before = self.count, self.skipped, self._tensors
        kept, tensors = self._maker.engine(arranged, self._kept)
        self._apply(arranged, tensors)
        updates, scalars = [*before.get_updates(), *[0] * new.size], before.get_scalar_states()
        tensors.restore(updates, count, skipped, [], before.get_recent(), scalars)
        self._take(arranged, kept, tensors)
        self._steps_before, self._count_before = count + skipped, count

    def freeze(self, group: int) -> None:
        """Do not update a group from the next step on, as if its gradients were None.

        Its arrays, states, averages and numbers of updates do not change. Its gradients do not count in the norm and are not
        zeroed. `unfreeze` resumes the group with the states it has. To skip a single parameter, pass None as its gradient.

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
        """Update a group again that was frozen by `freeze`."""
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
        count = None if self._backend.on_device else self._tensors.count  # a device would have to be read
        return summary(type(self), count, len(own.params), sizes, options, self._shared, self._frozen)

    def zero_grad(self) -> None:
        """Set the bound gradients to 0, those of frozen groups included. The option `zero_grad` does it in each step.

        Raises:
            ValueError: no gradients are bound, or one is read-only; nothing has been written.
            RuntimeError: the optimizer is in use by another thread.

        Example:
            >>> import numpy as np, lrkern as lk
            >>> grad = np.ones(2)
            >>> opt = lk.SGD([np.ones(2)], lr=0.1)
            >>> opt.bind([grad])
            >>> opt.zero_grad()
            >>> grad
            array([0., 0.])
        """
        self._tensors.alone(partial(self._tensors.held, self._zero_grad))

    def _zero_grad(self) -> None:
        where, label, arrays = f"{self._name}.zero_grad", self._arranged.structure.label, self._backend.arrays
        if not self._bound:
            raise ValueError(f"{where}: grads must be bound before; got none: call bind(grads)")
        found = []
        for i, one in enumerate(self._bound):
            if one is not None:
                values = one[1] if isinstance(one, tuple) else one
                found.append(arrays.as_array(where, label("grad", i), values, written=True))
                if not found[-1].flags.writeable:
                    raise ValueError(f"{where}: {label('grad', i)} must be writable; got a read-only array")
        for array in found:
            arrays.clear(array)

    def forget_remainders(self) -> None:
        """Set the extra bits of parameters with `rounding="split"` to 0, so that the bfloat16 values are exact.

        Use it after writing to parameters (pruning, clamping, resetting, loading). Otherwise the next step starts from the new
        value plus the remainder of the old one, at most half a unit in the last place.

        Raises:
            RuntimeError: the optimizer is in use by another thread.

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

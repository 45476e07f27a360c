"""The adapter: a `torch.optim.Optimizer` made from a class of lrkern's optimizers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lrkern.optimizers.base import DEFAULTS, Optimizer
from lrkern.torch.bound import Bound, number, plain
from lrkern.torch.names import FLAGS, Names
from lrkern.torch.release import Release
from lrkern.torch.schedules import live_value, report, schedule_of, texts_of
from lrkern.torch.versions import increment_version

_IDLE = 3  # steps without any gradient before a warning


class Adapter(torch.optim.Optimizer):
    """The base class of the optimizers of `lrkern.torch`; each is made from a class of `lrkern` by `adapter_of`."""

    core_class: ClassVar[type[Optimizer]]
    names: ClassVar[Names]
    _step_supports_amp_scaling = True  # GradScaler hands over its scale instead of dividing the gradients

    def __init__(self, params: Any, *args: Any, **kwargs: Any) -> None:
        name, names = type(self).__name__, self.names
        parts = {key: kwargs.pop(key) for key in list(kwargs) if key in names.option_of and key not in names.options}
        options = {key: value for key, value in kwargs.items() if key in names.options}
        for key in kwargs:
            if key not in names.signature.parameters:
                names.unpacked(name, {key: None}, name)  # raises
        for key in parts:
            if names.option_of[key].name in options:
                raise TypeError(f"{name}: {names.option_of[key].name} and {key} must not both be given")
        try:
            given = names.signature.bind(params, *args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{name}: {error}") from None
        given.apply_defaults()
        flags = {key: given.arguments[key] for key in FLAGS}
        _refuse_differentiable(name, flags)
        self.shared = {key: given.arguments[key] for key, default in DEFAULTS.items() if given.arguments[key] is not default}
        self._live: list[dict[str, Any]] = []
        self._count, self._skipped = 0, 0
        self._recent: list[float] = []
        self._bound: Bound | None = None
        self._release: Release | None = None
        self._averaging, self._idle = False, 0
        defaults = {key: given.arguments[key] for key in names.options}
        super().__init__(params, {**self._with_parts(name, defaults, parts), **flags})

    # ------------------------------------------------------------------------------------------------------------ groups

    def _with_parts(self, where: str, options: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
        """Options in which single parts of tuples are replaced."""
        found = dict(options)
        for key, value in parts.items():
            option = self.names.option_of[key]
            members = self.names.unpacked(where, {option.name: found[option.name]}, where) | {key: value}
            found[option.name] = option.of_parts(members)
        return found

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Append a group: `params` and its own options, under torch's names or lrkern's."""
        where, names = f"{type(self).__name__}.add_param_group", self.names
        if isinstance(param_group, dict):
            for key in param_group:
                if key in DEFAULTS:
                    raise TypeError(f"{where}: {key} must be the same for all groups; got a group with its own")
            parts = {key: value for key, value in param_group.items() if key in names.option_of and key not in names.options}
            group = {key: value for key, value in param_group.items() if key not in parts}
            param_group = self._with_parts(where, {**self.defaults, **group}, parts)
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            _refuse_differentiable(where, group)
            given = names.unpacked(where, {key: group[key] for key in names.options}, where)
            live = {part: value for part, value in given.items() if callable(value)}
            self._probe(given)
        except BaseException:
            self.param_groups.pop()
            raise
        self._live.append(live)
        group["count"] = self.count
        if live:
            group["schedules"] = texts_of(live)
            self._show(len(self.param_groups) - 1, self.count)
        self._remember()

    def _probe(self, given: Mapping[str, Any]) -> None:
        """Raise if options are invalid, by an optimizer of one element."""
        shared = {key: value for key, value in self.shared.items() if key not in ("copy_to", "decay_mask", "backend")}
        options = {part: number(value) for part, value in given.items()}
        self.core_class([np.zeros(1, np.float32)], **options, **shared)

    def values(self, g: int) -> dict[str, Any]:
        """The values of a group's options as they stand in `param_groups`; of tensors, their numbers."""
        group = self.param_groups[g]
        return {name: number(group[name]) for name in self.names.options}

    def core_options(self, g: int) -> dict[str, Any]:
        """A group's options for lrkern: numbers and schedules."""
        group = self.param_groups[g]
        given = self.names.unpacked(type(self).__name__, {name: group[name] for name in self.names.options}, "a group")
        return {part: number(value) for part, value in given.items()} | self._live[g]

    def has_schedule(self, g: int, name: str) -> bool:
        """Whether an option of a group, or a part of it, is a schedule."""
        parts = self.names.options[name].parts if name in self.names.options else (name,)
        return any(part in self._live[g] for part in parts)

    def _show(self, g: int, count: int) -> None:
        """Write the current values of a group's schedules to `param_groups`."""
        group = self.param_groups[g]
        for part, schedule in self._live[g].items():
            option = self.names.option_of[part]
            if not option.is_tuple:
                old = group[option.name]
                group[option.name] = live_value(schedule, count, 0.0 if callable(old) else old)
                continue
            old = dict(zip(option.parts, group[option.name], strict=True))
            old[part] = live_value(schedule, count, 0.0 if callable(old[part]) else old[part])
            group[option.name] = option.of_parts(old)

    # ------------------------------------------------------------------------------------------------------------- steps

    @torch._disable_dynamo
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step over all parameters that have gradients.

        Args:
            closure: computes the loss and its gradients again; called once.

        Returns:
            The closure's result; None without one.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self.refuse_averaged()
        found_inf = getattr(self, "found_inf", None)
        if found_inf is not None and float(found_inf) != 0.0:
            self._skip()
            return loss
        bound = self._ready()
        released = None if self._release is None else self._release.finish()
        temporary = self._take_changes(bound) if released is None else released
        bound = self._bound or bound
        scale = getattr(self, "grad_scale", None)
        if scale is None:
            scale = 1.0
        elif not bound.core._backend.on_device:
            scale = float(scale)
        stepped = bound.step(scale)
        if stepped:
            increment_version(stepped)
        self._idle = 0 if stepped or released is not None else self._idle + 1
        if self._idle == _IDLE:
            self._warn_of_no_gradients(bound)
        self._after(bound, temporary)
        return loss

    def refuse_averaged(self) -> None:
        """Raise within `averaged`."""
        if self._averaging:
            where = f"{type(self).__name__}.step"
            raise RuntimeError(f"{where}: parameters must not be their averages; got a step within averaged()")

    def _warn_of_no_gradients(self, bound: Bound) -> None:
        warnings.warn(
            f"{bound.where}: no parameter had a gradient in {_IDLE} steps, {bound.name(0)} for example: has a backward pass "
            "been run, and does the model still have these parameters? load_state_dict(assign=True) replaces them",
            stacklevel=5,
        )

    def _ready(self) -> Bound:
        """The bound optimizer, with all gradients read."""
        bound = self._bound
        if bound is None or not bound.is_current() or not bound.read():
            self._remember()
            bound = self._bound = Bound(self)
            bound.read()
        return bound

    def _bind(self) -> Bound:
        if self._bound is None or not self._bound.is_current():
            self._remember()
            self._bound = Bound(self)
        return self._bound

    def _remember(self) -> None:
        """Keep the counts of a bound optimizer that is about to be replaced."""
        if self._bound is not None:
            self._count, self._skipped, self._recent = self.count, self.skipped, self.recent
            self._bound = None

    def _skip(self) -> None:
        bound = self._bind()
        if self.shared.get("zero_grad"):
            for param in bound.params:
                if param.grad is not None:
                    param.grad.zero_()
        core = bound.core
        engine = core._tensors
        engine.restore(engine.get_updates(), core.count, core.skipped + 1, [], engine.get_recent())

    def _take_changes(self, bound: Bound) -> dict[int, dict[str, Any]]:
        """Hand over the values that were written to `param_groups` since the last step.

        Returns those of schedules, which hold for one step.
        """
        changes: dict[int, dict[str, Any]] = {}
        for g, (group, seen) in enumerate(zip(self.param_groups, bound.seen, strict=True)):
            for name, old in seen.items():
                value = group[name]
                if value is old:
                    continue
                value = number(value)
                if value != old:
                    option = self.names.options[name]
                    now, before = (self.names.unpacked(bound.where, {name: one}, "a group") for one in (value, old))
                    parts = {part: number(now[part]) for part in option.parts if now[part] != before[part]}
                    changes.setdefault(g, {}).update(parts)
                    self._take_schedules(g, parts)
                seen[name] = value
        if not changes:
            return {}
        self._hand_over(bound, changes)
        temporary = {
            g: {part: self._live[g][part] for part, value in parts.items() if part in self._live[g] and not callable(value)}
            for g, parts in changes.items()
        }
        temporary = {g: parts for g, parts in temporary.items() if parts}
        if temporary:
            self._warn_of_schedules(temporary)
        return temporary

    def _take_schedules(self, g: int, parts: Mapping[str, Any]) -> None:
        """Keep the schedules that were written to a group in place of numbers."""
        found = {part: value for part, value in parts.items() if callable(value)}
        if found:
            self._live[g] |= found
            self.param_groups[g]["schedules"] = texts_of(self._live[g])

    def set(self, name: str, value: Any, group: int | None = None) -> None:
        """Set a hyper-parameter of one group, or of all groups, to a number or a schedule; from the next step on.

        A number written to `param_groups` holds for one step only where there is a schedule; this replaces the schedule.
        """
        where, names = f"{type(self).__name__}.set", self.names
        for g in range(len(self.param_groups)) if group is None else [group]:
            own = self.param_groups[g]
            option = names.options.get(name) or names.option_of.get(name)
            given = names.unpacked(where, {name: value}, type(self).__name__)
            assert option is not None
            members = names.unpacked(where, {option.name: own[option.name]}, where) | given
            options = {**self.core_options(g), **given}
            self._probe(options)
            self._live[g] = {part: one for part, one in options.items() if callable(one)}
            own[option.name] = option.of_parts(members)
            own.pop("schedules", None)
            if self._live[g]:
                own["schedules"] = texts_of(self._live[g])
                self._show(g, self.count)
        self._remember()

    def _hand_over(self, bound: Bound, changes: dict[int, dict[str, Any]]) -> None:
        try:
            bound.change(changes)
        except (TypeError, ValueError):  # a flag, or a term that is switched on, needs another optimizer; or raises again
            self._remember()
            try:
                self._bound = Bound(self)
            except BaseException:
                self._bound = None
                raise
            self._bound.read()

    def _warn_of_schedules(self, temporary: dict[int, dict[str, Any]]) -> None:
        [(g, parts), *_] = temporary.items()
        part = next(iter(parts))
        warnings.warn(
            f"{type(self).__name__}.step: {part} of param_groups[{g}] is a schedule; the value written there holds for "
            "one step. A scheduler of torch needs an optimizer with a number",
            stacklevel=4,
        )

    def _after(self, bound: Bound, temporary: dict[int, dict[str, Any]]) -> None:
        if temporary:
            bound.change(temporary)
        count = bound.core.count
        for g, group in enumerate(self.param_groups):
            group["count"] = count
            if self._live[g]:
                self._show(g, count)
                seen = bound.seen[g]
                for part in self._live[g]:
                    name = self.names.option_of[part].name
                    seen[name] = group[name]

    # ----------------------------------------------------------------------------------------------------------- numbers

    @property
    def count(self) -> int:
        """The number of steps done, without skipped ones: the step at which schedules are."""
        return self._count if self._bound is None else self._bound.core.count

    @property
    def skipped(self) -> int:
        """The number of steps skipped because a gradient was not finite; not part of the state."""
        return self._skipped if self._bound is None else self._bound.core.skipped

    @property
    def recent(self) -> list[float]:
        """The norms that `skip_sigma` looks at, of the last steps done; not part of the state."""
        return self._recent if self._bound is None else self._bound.core._tensors.get_recent()

    @property
    def grad_norm(self) -> float | None:
        """The norm of all gradients of the last step, as `lrkern.Optimizer.grad_norm`."""
        return None if self._bound is None else self._bound.core.grad_norm

    @property
    def backend(self) -> str:
        """What performs the steps: "c", "numba" or "cuda"."""
        chosen = self.shared.get("backend")
        if chosen is not None:
            return str(chosen)
        if self._bind().core._backend.on_device:
            return "cuda"
        return "c" if self.core_class._rule.inputs is None else "numba"

    # --------------------------------------------------------------------------------------------------- gradient release

    def attach(self, model: torch.nn.Module | None = None) -> Release:
        """Step each parameter as soon as its gradient is complete, within the backward pass, and free the gradient.

        `step` must still be called after each backward pass: it steps what is left, and counts. States and bits are those
        without `attach`. Gradients cannot be accumulated over several backward passes, and the norm of all of them is not
        known: `clip_norm` needs `clip_per="tensor"`.

        Args:
            model: the module whose parameters to step so; None for all parameters of the optimizer.

        Returns:
            An object whose `remove()` ends it.

        Raises:
            ValueError: options need all gradients at once; or the module has no parameters of this optimizer.
        """
        if self._release is not None:
            raise RuntimeError(f"{type(self).__name__}.attach: call remove() on what attach returned before")
        params = self.core_params() if model is None else [*model.parameters()]
        self._release = Release(self, params)
        return self._release

    def core_params(self) -> list[Tensor]:
        """All parameters, in order."""
        return [param for group in self.param_groups for param in group["params"]]

    def begin_one(self, i: int, *, first: bool) -> tuple[Bound, dict[int, dict[str, Any]]]:
        """The bound optimizer with the gradient of one parameter read; what `_take_changes` returns, before the first one."""
        bound, temporary = self._bind(), {}
        if first:
            temporary = self._take_changes(bound)
        bound = self._bind()
        if not bound.read_one(i):
            self._remember()
            bound = self._bind()
            bound.read_one(i)
        return bound, temporary

    # ---------------------------------------------------------------------------------------------------------- averages

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Within this context, parameters are their averages (option `ema`); buffers are as they are.

        Raises:
            ValueError: the optimizer keeps no averages.
            RuntimeError: it is used within itself; or a step is done within it.
        """
        where = f"{type(self).__name__}.averaged"
        if self._averaging:
            raise RuntimeError(f"{where}: parameters must not be their averages already; got averaged() within averaged()")
        bound = self._bind()
        pairs = [(plain(param), one) for param, one in zip(bound.params, bound.states["ema"], strict=True) if one is not None]
        if not pairs:
            raise ValueError(f"{where}: the optimizer must be made with ema; got one without")
        with torch.no_grad():
            kept = [param.detach().clone() for param, _ in pairs]
            for param, average in pairs:
                param.detach().copy_(average)
        increment_version([param for param, _ in pairs])
        self._averaging = True
        try:
            yield
        finally:
            self._averaging = False
            with torch.no_grad():
                for (param, _), own in zip(pairs, kept, strict=True):
                    param.detach().copy_(own)
            increment_version([param for param, _ in pairs])

    # ------------------------------------------------------------------------------------------------------------- state

    def __getstate__(self) -> dict[str, Any]:
        own: dict[str, Any] = {"shared": self.shared, "_live": self._live, "_count": self.count, "_skipped": self.skipped}
        own["_recent"] = self.recent
        return {**super().__getstate__(), **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._bound = None
        self._averaging, self._idle = False, 0
        self._release = self.__dict__.get("_release")
        super().__setstate__(state)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state of this optimizer, or of torch's optimizer of the same name.

        Hyper-parameters are those of the state, but an optimizer made with a schedule keeps it; if the state has another one, a
        warning says what differs. Without a schedule of its own it takes the one in the state.
        """
        taken: list[dict[str, Any]] = []

        def look(_: torch.optim.Optimizer, given: dict[str, Any]) -> None:
            self._check(given)
            taken.append(given)

        handle = self.register_load_state_dict_pre_hook(look)  # runs last
        remembered = self._live, [{name: group[name] for name in self.names.options} for group in self.param_groups]
        try:
            super().load_state_dict(state_dict)
        finally:
            handle.remove()
        self._restore(taken[-1], *remembered)

    def _check(self, given: Mapping[str, Any]) -> None:
        """Raise if a state does not fit, before anything changes."""
        where = f"{type(self).__name__}.load_state_dict"
        for g, group in enumerate(given["param_groups"]):
            for part, text in group.get("schedules", {}).items():
                schedule_of(where, f"{part} of param_groups[{g}]", text)
        saved = [one for group in given["param_groups"] for one in group["params"]]
        known = {*self.names.states.values(), "ema", "remainder"}
        for i, (one, param) in enumerate(zip(saved, self.core_params(), strict=False)):
            values = given["state"].get(one)
            for name, value in values.items() if isinstance(values, Mapping) else ():
                if name in known and isinstance(value, Tensor) and value.shape != param.shape:
                    wanted = f"must have shape {tuple(param.shape)} like its parameter"
                    raise ValueError(f"{where}: state {name!r} of params[{i}] {wanted}; got {tuple(value.shape)}")

    def _restore(self, given: Mapping[str, Any], live: list[dict[str, Any]], options: list[dict[str, Any]]) -> None:
        self._take_states(given)
        where = f"{type(self).__name__}.load_state_dict"
        steps = [int(own["step"]) for own in self.state.values() if isinstance(own, dict) and own.get("step") is not None]
        counts = [int(group.get("count", 0)) for group in self.param_groups]
        self._count, self._skipped, self._bound = max([0, *steps, *counts]), 0, None
        self._live = []
        for g, group in enumerate(self.param_groups):
            for name, value in {**FLAGS, **options[g]}.items():
                group.setdefault(name, value)
            saved = group.pop("schedules", {})
            own, found = live[g], {}
            for part in {**saved, **own}:
                if part not in self.names.option_of:
                    continue
                text = saved.get(part)
                if part in own:
                    found[part] = own[part]
                    report(where, f"{part} of param_groups[{g}]", text, own[part], self._count)
                elif text is not None:
                    found[part] = schedule_of(where, f"{part} of param_groups[{g}]", text)
            self._live.append(found)
            group["count"] = self._count
            if found:
                group["schedules"] = texts_of(found)
                self._show(g, self._count)

    def _take_states(self, given: Mapping[str, Any]) -> None:
        """Take the state's tensors with the dtypes that they have: torch casts them to those of parameters."""
        saved = [one for group in given["param_groups"] for one in group["params"]]
        params = [param for group in self.param_groups for param in group["params"]]
        back = {name: own for own, name in self.names.states.items()}
        for one, param in zip(saved, params, strict=True):
            values = given["state"].get(one)
            if not isinstance(values, Mapping):
                continue
            self.state[param] = {
                name: value.detach().clone().to(param.device if name != "step" else "cpu")
                if isinstance(value, Tensor)
                else value
                for name, value in values.items()
                if value is not None or name not in back
            }


def _refuse_differentiable(where: str, options: Mapping[str, Any]) -> None:
    if options.get("differentiable"):
        raise ValueError(f"{where}: differentiable must be False, because autograd does not see the step; got True")


_made: dict[type[Optimizer], type[Adapter]] = {}


def adapter_of(core: type[Optimizer], module: str) -> type[Adapter]:
    """The adapter of a class of optimizers; always the same one."""
    if core not in _made:
        names = Names(core)
        doc = f"`{core.__module__.partition('.')[0]}.{core.__name__}` as a `torch.optim.Optimizer`.\n\n{core.__doc__ or ''}"
        own = {"core_class": core, "names": names, "__module__": module, "__doc__": doc, "__signature__": names.signature}
        _made[core] = type(core.__name__, (Adapter,), {**own, "__qualname__": core.__name__})
    return _made[core]

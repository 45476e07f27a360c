"""The state of an adapter: what pickles, copies and state dicts hold, and how training continues from them."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lrkern.optimizers.options import OF_GROUPS
from lrkern.torch.group_options import given_to
from lrkern.torch.known_groups import Known
from lrkern.torch.names import FLAGS
from lrkern.torch.param_groups import ParamGroups, refuse
from lrkern.torch.replaced import Replaced
from lrkern.torch.schedules import report, schedule_of
from lrkern.torch.shared_options import joined, plain_numbers, saved
from lrkern.torch.shared_options import report as report_options
from lrkern.torch.tensors import number, plain
from lrkern.torch.watched import plain_states, watched
from lrkern.torch.wrappers import on_itself

if TYPE_CHECKING:
    from lrkern.torch.averages import BufferAverages
    from lrkern.torch.release import Release


class StateDicts(ParamGroups):
    """The part of an adapter that saves and loads states."""

    given: frozenset[str]
    """The names of the options of all groups that were given, also as their defaults."""
    _count: int
    """The counts and norms while there is no bound optimizer."""
    _skipped: int
    _recent: list[float]
    _buffers: BufferAverages | None
    _saved_buffers: dict[str, list[Tensor]] | None
    """Averages of buffers from a state, until `average_buffers` is called."""
    _averaging: bool
    _replaced: Replaced
    _release: Release | None
    _itself: weakref.ref[Any]
    """The optimizer itself, by which wrappers find it."""
    _optimizer_load_state_dict_post_hooks: OrderedDict[int, Any]

    if TYPE_CHECKING:

        @property
        def skipped(self) -> int: ...
        @property
        def recent(self) -> list[float]: ...

    @on_itself
    def __getstate__(self) -> dict[str, Any]:
        self._look_over()
        own: dict[str, Any] = {"shared": self.shared, "_known": self._known, "_count": self.count, "_skipped": self.skipped}
        own |= {"_recent": self.recent, "given": self.given, "_buffers": self._buffers, "_saved_buffers": self._saved_buffers}
        return {**super().__getstate__(), **own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._itself = weakref.ref(self)
        self._bound = None
        self._averaging, self._replaced, self._written = False, Replaced(), {}
        self._release = self.__dict__.get("_release")
        super().__setstate__(state)
        self.state = watched(self.state)

    @on_itself
    def state_dict(self) -> dict[str, Any]:
        """The state under torch's names, all in plain values and tensors.

        The first group also has what belongs to the whole optimizer: `skipped`, `recent_norms` (for `skip_sigma`), `options`
        (those outside of groups that were given) and averages of `buffers`; each only if there is something to tell.
        """

        def complete(_: torch.optim.Optimizer, found: dict[str, Any]) -> None:
            found["state"] = plain_states(found["state"])
            for group in found["param_groups"]:
                group.update({name: plain_numbers(value) for name, value in group.items() if name != "params"})
            buffers = self._saved_buffers if self._buffers is None else self._buffers.state()
            own = {"skipped": self.skipped, "recent_norms": self.recent, "options": saved(self.shared), "buffers": buffers}
            for first in found["param_groups"][:1]:
                first.update({name: value for name, value in own.items() if value})

        self._look_over()
        handle = self.register_state_dict_post_hook(complete, prepend=True)  # before those of users
        try:
            found: dict[str, Any] = super().state_dict()
            return found
        finally:
            handle.remove()

    @on_itself
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a state of this optimizer, or of torch's optimizer of the same name.

        Hyper-parameters are those of the state, but an optimizer made with a schedule keeps it; if the state has another one, a
        warning says what differs. Without a schedule of its own it takes the one in the state. The options outside of groups
        are those that the optimizer was given, else those of the state; a warning says which differ.
        """
        taken: list[dict[str, Any]] = []

        def look(_: torch.optim.Optimizer, given: dict[str, Any]) -> None:
            self._check(given)
            taken.append(given)

        self._look_over()
        handle = self.register_load_state_dict_pre_hook(look)  # runs last
        remembered = (
            [one.schedules for one in self._known],
            [{name: group[name] for name in self.names.options} | given_to(group) for group in self.param_groups],
        )
        # Those of users wait until the state is there.
        hooks, self._optimizer_load_state_dict_post_hooks = self._optimizer_load_state_dict_post_hooks, OrderedDict()
        try:
            super().load_state_dict(state_dict)
        finally:
            handle.remove()
            self._optimizer_load_state_dict_post_hooks = hooks
        self._restore(taken[-1], *remembered)
        for hook in [*hooks.values()]:
            hook(self)

    def _check(self, given: Mapping[str, Any]) -> None:
        """Raise if a state does not fit, before anything changes."""
        where = f"{type(self).__name__}.load_state_dict"
        for g, group in enumerate(given["param_groups"]):
            for part, text in group.get("schedules", {}).items():
                schedule_of(where, f"{part} of param_groups[{g}]", text)
            decays = group.get("weight_decay") and group.get("decoupled_weight_decay")  # torch's AdamW takes states of its Adam
            refuse(f"{where}, param_groups[{g}]", group, self.names if decays else None)
            if len(mask := group.get("decay_mask", group["params"])) != len(group["params"]):
                wanted = f"must have {len(group['params'])} entries like params"
                raise ValueError(f"{where}: decay_mask of param_groups[{g}] {wanted}; got {len(mask)}")
        if given["param_groups"] and self.param_groups:
            state = given["param_groups"][0].get("options", {})
            if self._buffers is not None and "buffers" in given["param_groups"][0]:
                self._buffers.check(where, given["param_groups"][0]["buffers"])
            of_all = joined(where, self.shared, self.given, state)
            for g, (group, own) in enumerate(zip(given["param_groups"], self._known, strict=False)):
                self._check_options(f"{where}, param_groups[{g}]", group, own, of_all)
        indices = [one for group in given["param_groups"] for one in group["params"]]
        known = {*self.names.states.values(), "ema", "remainder"}
        for i, (one, param) in enumerate(zip(indices, self.core_params(), strict=False)):
            values = given["state"].get(one)
            for name, value in values.items() if isinstance(values, Mapping) else ():
                if name in known and isinstance(value, Tensor) and plain(value).shape != plain(param).shape:
                    wanted = f"must have shape {tuple(param.shape)} like its parameter"
                    raise ValueError(f"{where}: state {name!r} of params[{i}] {wanted}; got {tuple(value.shape)}")

    def _check_options(self, where: str, group: Mapping[str, Any], known: Known, of_all: Mapping[str, Any]) -> None:
        """Raise if the options that a group would have after loading are invalid: its own that the state lacks stay."""
        own = {name: group.get(name, known.group[name]) for name in self.names.options}
        own = self.names.unpacked(where, own, "a group") | given_to(known.group) | given_to(group)
        texts = {part: schedule_of(where, part, text) for part, text in group.get("schedules", {}).items() if part in own}
        try:
            self._probe(own | texts | known.schedules, of_all)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{where}: {str(error).removeprefix(f'{self.core_class.__name__}: ')}") from None

    def _restore(self, given: Mapping[str, Any], live: list[dict[str, Any]], options: list[dict[str, Any]]) -> None:
        if self._release is not None:
            self._release.finish()  # the state is one between steps
        self._take_states(given)
        where = f"{type(self).__name__}.load_state_dict"
        steps = [int(own["step"]) for own in self.state.values() if isinstance(own, dict) and own.get("step") is not None]
        counts = [int(group.get("count", 0)) for group in self.param_groups]
        self._count, self._bound = max([0, *steps, *counts]), None
        first = self.param_groups[0] if self.param_groups else {}
        self._skipped, self._recent = int(first.pop("skipped", 0)), [*map(float, first.pop("recent_norms", []))]
        state = first.pop("options", {})
        self._saved_buffers = first.pop("buffers", None)
        if self._buffers is not None:
            self._buffers.count = self._count
            if self._saved_buffers is not None:
                self._buffers.load(self._saved_buffers)
                self._saved_buffers = None
        report_options(where, self.shared, self.given, state)
        self.shared = joined(where, self.shared, self.given, state)
        self._known = []
        for g, group in enumerate(self.param_groups):
            numbers = self._numbers(group)
            for name, value in {**FLAGS, **options[g]}.items():
                group.setdefault(name, value)
            group.update(self.names.fixed)
            texts = group.pop("schedules", {})
            own, found = live[g], {}
            for part in {**texts, **own}:
                if part not in self.names.option_of and part not in OF_GROUPS:
                    continue
                text = texts.get(part)
                if part in own:
                    found[part] = own[part]
                    state = numbers.get(part) if text is None else text
                    is_passing = "initial_lr" in group  # a scheduler of torch has set it
                    report(where, f"{part} of param_groups[{g}]", state, own[part], self._count, is_passing=is_passing)
                elif text is not None:
                    found[part] = schedule_of(where, f"{part} of param_groups[{g}]", text)
            self._known.append(self._know(group, found))

    def _numbers(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """The numbers among the options of a group, by lrkern's names."""
        given = {name: number(value) for name, value in group.items() if name in self.names.options}
        found = self.names.unpacked(type(self).__name__, given, "a group") | {"ema": group.get("ema")}
        return {part: value for part, value in found.items() if type(value) in (float, int)}

    def _take_states(self, given: Mapping[str, Any]) -> None:
        """Take the state's tensors with the dtypes that they have: torch casts them to those of parameters."""
        indices = [one for group in given["param_groups"] for one in group["params"]]
        params = [param for group in self.param_groups for param in group["params"]]
        back = {name: own for own, name in self.names.states.items()}
        for one, param in zip(indices, params, strict=True):
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

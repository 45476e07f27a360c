"""The groups of an adapter: their options under torch's names, schedules among them, and what users write there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lrkern.optimizers.base import DEFAULTS, Optimizer
from lrkern.optimizers.options import OF_GROUPS
from lrkern.torch.bound import Bound
from lrkern.torch.group_options import given_to, settle
from lrkern.torch.memory import AnyMemory
from lrkern.torch.names import Names
from lrkern.torch.notices import warn
from lrkern.torch.schedules import live_value, texts_of
from lrkern.torch.shared_options import saved
from lrkern.torch.tensors import number


class ParamGroups(torch.optim.Optimizer):
    """The part of an adapter that keeps `param_groups`."""

    core_class: ClassVar[type[Optimizer]]
    names: ClassVar[Names]
    state: defaultdict[Tensor, Any]
    shared: dict[str, Any]
    """The options of all groups that were given."""
    _live: list[dict[str, Any]]
    """Of each group, the schedules."""
    _written: dict[int, dict[str, Any]]
    """During a step, by group: numbers that were written in place of schedules."""
    _bound: Bound | None

    if TYPE_CHECKING:

        @property
        def count(self) -> int: ...
        def _remember(self) -> None: ...

    def __repr__(self) -> str:
        """torch's, and the options of all groups that were given."""
        text: str = super().__repr__()
        given = saved(self.shared)
        if not given:
            return text
        lines = [f"    {name}: {given[name]}\n" for name in sorted(given)]
        return f"{text.removesuffix(')')}\nAll Parameter Groups\n{''.join(lines)})"

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
                if key in DEFAULTS and key not in OF_GROUPS:
                    raise TypeError(f"{where}: {key} must be the same for all groups; got a group with its own")
            parts = {key: value for key, value in param_group.items() if key in names.option_of and key not in names.options}
            group = {key: value for key, value in param_group.items() if key not in parts}
            first = self.param_groups[0] if self.param_groups else {}
            of_all = {name: first[name] for name in self._of_all() if name in first}  # may be from a state
            param_group = self._with_parts(where, {**self.defaults, **of_all, **group}, parts)
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            refuse(where, group, names)
            given = names.unpacked(where, {key: group[key] for key in names.options}, where)
            for name in self._of_all():
                if group[name] != (wanted := self.param_groups[0][name]):
                    raise ValueError(f"{where}: {name} must be {wanted!r}, that of the other groups; got {group[name]!r}")
            live = {part: value for part, value in given.items() if callable(value)} | settle(where, group)
            self._probe(given | given_to(group))
        except BaseException:
            self.param_groups.pop()
            raise
        self._live.append(live)
        group["count"] = self.count
        if live:
            group["schedules"] = texts_of(live)
            self._show(len(self.param_groups) - 1, self.count)
        self._remember()

    def _of_all(self) -> list[str]:
        """The options that only whole optimizers have, such as initial values."""
        return [option.name for part, option in self.names.option_of.items() if part not in self.core_class._rule.checks]

    def _probe(self, given: Mapping[str, Any], of_all: Mapping[str, Any] | None = None) -> None:
        """Raise if options are invalid, by an optimizer of one element."""
        of_all = self.shared if of_all is None else of_all
        shared = {key: value for key, value in of_all.items() if key not in ("copy_to", "decay_mask", "backend")}
        options = {part: number(value) for part, value in given.items()}
        if "decay_mask" in options:
            options["decay_mask"] = [True]
        like: Any = np.zeros(1, np.float32)
        if self.shared.get("backend") == "torch":
            like, shared["backend"] = torch.zeros(1), AnyMemory().backend
            shared["uint16_as_bfloat16"] = True
        self.core_class([like], **{**shared, **options})

    def values(self, g: int) -> dict[str, Any]:
        """The values of a group's options as they stand in `param_groups`; of tensors, their numbers."""
        group = self.param_groups[g]
        return {name: number(group[name]) for name in self.names.options} | given_to(group)

    def core_options(self, g: int) -> dict[str, Any]:
        """A group's options for lrkern: numbers and schedules."""
        group = self.param_groups[g]
        given = self.names.unpacked(type(self).__name__, {name: group[name] for name in self.names.options}, "a group")
        numbers = {part: number(value) for part, value in given.items()}
        return numbers | given_to(group) | self._live[g] | self._written.get(g, {})

    def core_params(self) -> list[Tensor]:
        """All parameters, in order."""
        return [param for group in self.param_groups for param in group["params"]]

    def has_schedule(self, g: int, name: str) -> bool:
        """Whether an option of a group, or a part of it, is a schedule."""
        parts = self.names.options[name].parts if name in self.names.options else (name,)
        return any(part in self._live[g] for part in parts)

    def key_of(self, part: str) -> str:
        """The key of `param_groups` that has an option, or the tuple that it is a part of."""
        return part if part in OF_GROUPS else self.names.option_of[part].name

    def _show(self, g: int, count: int) -> None:
        """Write the current values of a group's schedules to `param_groups`."""
        group = self.param_groups[g]
        for part, schedule in self._live[g].items():
            option = self.names.option_of.get(part)
            if option is None or not option.is_tuple:
                key = self.key_of(part)
                old = group[key]
                group[key] = live_value(schedule, count, 0.0 if callable(old) else old)
                continue
            old = dict(zip(option.parts, group[option.name], strict=True))
            old[part] = live_value(schedule, count, 0.0 if callable(old[part]) else old[part])
            group[option.name] = option.of_parts(old)

    def _take_changes(self, bound: Bound) -> None:
        """Hand over the values that were written to `param_groups` since the last step.

        A number in place of a schedule holds for one step: `_put_schedules_back` ends it.
        """
        found: list[tuple[int, str, Any, dict[str, Any]]] = []
        of_groups: list[tuple[int, str]] = []  # options that no optimizer can change
        for g, (group, seen) in enumerate(zip(self.param_groups, bound.seen, strict=True)):
            for name, old in seen.items():
                value = group[name]
                if value is old:
                    continue
                value = number(value)
                if value != old and name in OF_GROUPS:
                    of_groups.append((g, name))
                elif value != old:
                    option = self.names.options[name]
                    now, before = (self.names.unpacked(bound.where, {name: one}, "a group") for one in (value, old))
                    parts = {part: number(now[part]) for part in option.parts if now[part] != before[part]}
                    found.append((g, name, value, parts))
                else:
                    seen[name] = value
        # Nothing has been taken so far: after an error, the next step finds the same changes.
        if of_groups:
            self._remember()
        for g, name in of_groups:
            self._take_group_option(bound.where, g, name)
        changes: dict[int, dict[str, Any]] = {}
        for g, name, value, parts in found:
            changes.setdefault(g, {}).update(parts)
            self._take_schedules(g, parts)
            bound.seen[g][name] = value
        for g, parts in changes.items():
            numbers = {part: value for part, value in parts.items() if part in self._live[g] and not callable(value)}
            if numbers:
                self._written[g] = numbers
        if changes and not of_groups:
            self._hand_over(bound, changes)
        if self._written:
            self._warn_of_schedules()

    def _put_schedules_back(self) -> None:
        """End the step for which numbers were written in place of schedules."""
        if self._written:
            written, self._written = self._written, {}
            if self._bound is not None:
                self._bound.change({g: {part: self._live[g][part] for part in parts} for g, parts in written.items()})

    def _take_group_option(self, where: str, g: int, name: str) -> None:
        """Take `ema` or `decay_mask` as written to a group."""
        group = self.param_groups[g]
        self._live[g].pop(name, None)
        self._live[g] |= settle(where, group)
        group.pop("schedules", None)
        if self._live[g]:
            group["schedules"] = texts_of(self._live[g])
            self._show(g, self.count)

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

    def _warn_of_schedules(self) -> None:
        [(g, parts), *_] = self._written.items()
        part = next(iter(parts))
        warn(
            f"{type(self).__name__}.step: {part} of param_groups[{g}] is a schedule; the value written there holds for "
            "one step. A scheduler of torch needs an optimizer with a number"
        )


def refuse(where: str, options: Mapping[str, Any], names: Names) -> None:
    """Raise if options of torch ask for what is not done here."""
    if options.get("differentiable"):
        raise ValueError(f"{where}: differentiable must be False, because autograd does not see the step; got True")
    for name, value in names.fixed.items():
        if bool(options.get(name, value)) != value:
            other = "AdamW" if names.core.__name__ == "Adam" else "Adam"
            raise ValueError(f"{where}: {name} must be {value}, that of {other} is {not value}; got {options[name]!r}")

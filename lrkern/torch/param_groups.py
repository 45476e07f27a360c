"""The groups of an adapter: their options under torch's names, schedules among them, and what users write there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from operator import is_
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from lrkern._checks import warn
from lrkern.optimizers.base import DEFAULTS, Optimizer
from lrkern.optimizers.options import OF_GROUPS
from lrkern.torch.bound import Bound
from lrkern.torch.group_options import given_to, settle
from lrkern.torch.known_groups import ABSENT, Known, matched, schedules_of_texts
from lrkern.torch.memory import AnyMemory
from lrkern.torch.names import Names
from lrkern.torch.schedules import live_value, texts_of
from lrkern.torch.shared_options import saved
from lrkern.torch.tensors import number
from lrkern.torch.wrappers import on_itself


class ParamGroups(torch.optim.Optimizer):
    """The part of an adapter that keeps `param_groups`."""

    core_class: ClassVar[type[Optimizer]]
    names: ClassVar[Names]
    state: defaultdict[Tensor, Any]
    shared: dict[str, Any]
    """The options of all groups that were given."""
    _known: list[Known]
    """What is known of each group, as they were when they were last looked at."""
    _written: dict[int, dict[str, Any]]
    """During a step, by group: numbers that were written in place of schedules."""
    _bound: Bound | None

    if TYPE_CHECKING:

        @property
        def count(self) -> int: ...
        def _remember(self) -> None: ...

    @on_itself
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

    @on_itself
    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Append a group: `params` and its own options, under torch's names or lrkern's."""
        self._align()
        self._known.append(self._added(f"{type(self).__name__}.add_param_group", param_group))
        self._remember()

    def _added(self, where: str, param_group: Any) -> Known:
        """Append a group, a dict of its own with all options, to `param_groups`."""
        names = self.names
        if isinstance(param_group, dict):
            if "params" not in param_group:
                raise ValueError(f"{where}: a group must have params; got {', '.join(map(str, param_group))}")
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
            texts = schedules_of_texts(where, group, given | given_to(group), self.count)
            live = texts | {part: value for part, value in given.items() if callable(value)} | settle(where, group)
            self._probe(given | given_to(group) | live)
        except BaseException:
            self.param_groups.pop()
            raise
        return self._know(group, live)

    def _know(self, group: dict[str, Any], schedules: dict[str, Any]) -> Known:
        """What is known of a new group: all its options are taken as they are."""
        group["count"] = self.count
        known = Known(group, {})
        self._keep(known, schedules)
        self._show(known, self.count)
        known.seen = self._values(group)
        return known

    def is_aligned(self) -> bool:
        """Whether the groups are those that are known, in the same order."""
        groups, known = self.param_groups, self._known
        return len(groups) == len(known) and all(map(is_, groups, [one.group for one in known]))

    def _align(self) -> None:
        """Know the groups that are there now: users remove them, put them in another order, replace and append them.

        Raises:
            TypeError, ValueError: a group is invalid, as for `add_param_group`; or the order may not change.
        """
        if self.is_aligned():
            return
        where, groups = f"{type(self).__name__}.param_groups", self.param_groups
        now, found = [*groups], matched(self._known, groups, [*self.names.options])
        kept = [one for one in found if one is not None]
        self._refuse_order(where, kept)
        new: dict[int, Known] = {}
        groups[:] = [group for group, one in zip(now, found, strict=True) if one is not None]
        try:
            for g, one in enumerate(found):
                if one is None:
                    new[g] = self._added(where, now[g])
        finally:
            groups[:] = now
        for g, one in new.items():
            now[g].clear()
            now[g].update(one.group)
        self._known = [new.get(g) or one for g, one in enumerate(found)]  # type: ignore[misc]
        for one, group in zip(self._known, groups, strict=True):
            if one.group is not group:
                one.group = group
                self._keep(one, one.schedules)
        self._remember()

    def _refuse_order(self, where: str, kept: list[Known]) -> None:
        """Raise if groups are in another order, and options of all groups go by the order of parameters."""
        of_all = {name: self.shared.get(name) for name in ("copy_to", "decay_mask")}
        given = [name for name, value in of_all.items() if value is not None and not callable(value)]
        if given and any(one is not old for one, old in zip(kept, self._known, strict=False)):
            raise ValueError(f"{where}: groups must stay in their order, by which {given[0]} goes; got another order")

    def _look_over(self) -> None:
        """Know all groups, and the schedules that were written there: states and copies have them as schedules."""
        self._align()
        for known in self._known:
            for name, old in known.seen.items():
                value = known.group.get(name, ABSENT)
                if value is old or not any(map(callable, value if isinstance(value, tuple | list) else (value,))):
                    continue
                if name in OF_GROUPS:
                    self._take_group_option(type(self).__name__, known, name)
                    continue
                parts = self.names.unpacked(type(self).__name__, {name: value}, "a group")
                known.seen[name] = number(value)
                self._take_schedules(known, parts)
                self._show(known, self.count)
                self._remember()

    def _of_all(self) -> list[str]:
        """The options that only whole optimizers have, such as initial values."""
        return [option.name for part, option in self.names.option_of.items() if part not in self.core_class._rule.checks]

    def _probe(self, given: Mapping[str, Any], of_all: Mapping[str, Any] | None = None) -> None:
        """Raise if options are invalid, by an optimizer of one element."""
        of_all = self.shared if of_all is None else of_all
        shared = {key: value for key, value in of_all.items() if key not in ("copy_to", "decay_mask", "backend")}
        options = {part: number(value, f"{type(self).__name__}: {part}") for part, value in given.items()}
        if "decay_mask" in options:
            options["decay_mask"] = [True]
        like: Any = np.zeros(1, np.float32)
        if self.shared.get("backend") == "torch":
            like, shared["backend"] = torch.zeros(1, dtype=torch.float32, device="cpu"), AnyMemory().backend
            shared["uint16_as_bfloat16"] = True
        self.core_class([like], **{**shared, **options})

    def _values(self, group: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a group's options as they stand there, plain ones where there are tensors."""
        of_groups = {name: number(group.get(name, ABSENT)) for name in OF_GROUPS}
        return {name: number(group[name]) for name in self.names.options} | of_groups

    def core_options(self, g: int) -> dict[str, Any]:
        """A group's options for lrkern: numbers and schedules."""
        group = self.param_groups[g]
        given = self.names.unpacked(type(self).__name__, {name: group[name] for name in self.names.options}, "a group")
        numbers = {part: number(value, f"{type(self).__name__}: {part}") for part, value in given.items()}
        return numbers | given_to(group) | self._known[g].schedules | self._written.get(g, {})

    def core_params(self) -> list[Tensor]:
        """All parameters, in order."""
        return [param for group in self.param_groups for param in group["params"]]

    @on_itself
    def has_schedule(self, g: int, name: str) -> bool:
        """Whether an option of a group, or a part of it, is a schedule."""
        self._look_over()
        parts = self.names.options[name].parts if name in self.names.options else (name,)
        return any(part in self._known[g].schedules for part in parts)

    def key_of(self, part: str) -> str:
        """The key of `param_groups` that has an option, or the tuple that it is a part of."""
        return part if part in OF_GROUPS else self.names.option_of[part].name

    def _keep(self, known: Known, schedules: dict[str, Any]) -> None:
        """Keep the schedules that a group has now."""
        known.schedules = schedules
        known.group.pop("schedules", None)
        if schedules:
            known.group["schedules"] = texts_of(schedules)

    def _show(self, known: Known, count: int) -> None:
        """Write the current values of a group's schedules to `param_groups`; not over what the next step has to take."""
        group, seen = known.group, known.seen
        for part, schedule in known.schedules.items():
            option = self.names.option_of.get(part)
            key = self.key_of(part)
            old = group.get(key)
            if key in seen and number(old) != seen[key]:
                continue
            if option is None or not option.is_tuple:
                group[key] = live_value(schedule, count, 0.0 if callable(old) else old)
            else:
                members = dict(zip(option.parts, group[key], strict=True))
                old = members[part]
                members[part] = live_value(schedule, count, 0.0 if callable(old) else old)
                group[key] = option.of_parts(members)
            seen[key] = number(group[key])

    def _take_changes(self, bound: Bound) -> None:
        """Hand over the values that were written to `param_groups` since the last step.

        A number in place of a schedule holds for one step: `_put_schedules_back` ends it.
        """
        found: list[tuple[int, str, Any, dict[str, Any]]] = []
        of_groups: list[tuple[int, str]] = []  # options that no optimizer can change
        for g, known in enumerate(self._known):
            group, seen = known.group, known.seen
            for name, old in seen.items():
                value = group.get(name, ABSENT)
                if value is old:
                    continue
                value = number(value, f"{bound.where}: {name} of param_groups[{g}]")
                if value != old and name in OF_GROUPS:
                    of_groups.append((g, name))
                elif value != old:
                    option = self.names.options[name]
                    now, before = (self.names.unpacked(bound.where, {name: one}, "a group") for one in (value, old))
                    found.append((g, name, value, {part: now[part] for part in option.parts if now[part] != before[part]}))
                else:
                    seen[name] = value
        # Nothing has been taken so far: after an error, the next step finds the same changes.
        for g, name in of_groups:
            self._take_group_option(bound.where, self._known[g], name)
        changes: dict[int, dict[str, Any]] = {}
        for g, name, value, parts in found:
            changes.setdefault(g, {}).update(parts)
            self._take_schedules(self._known[g], parts)
            self._known[g].seen[name] = value
        for g, parts in changes.items():
            live = self._known[g].schedules
            numbers = {part: value for part, value in parts.items() if part in live and not callable(value)}
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
                back = {g: {part: self._known[g].schedules[part] for part in parts} for g, parts in written.items()}
                self._bound.change(back)

    def _take_group_option(self, where: str, known: Known, name: str) -> None:
        """Take `ema` or `decay_mask` as written to a group."""
        others = {part: one for part, one in known.schedules.items() if part != name}
        self._keep(known, others | settle(where, known.group))
        known.seen[name] = number(known.group.get(name, ABSENT))
        self._show(known, self.count)
        self._remember()

    def _take_schedules(self, known: Known, parts: Mapping[str, Any]) -> None:
        """Keep the schedules that were written to a group in place of numbers."""
        found = {part: value for part, value in parts.items() if callable(value)}
        if found:
            self._keep(known, known.schedules | found)

    @on_itself
    def set(self, name: str, value: Any, group: int | None = None) -> None:
        """Set a hyper-parameter of one group, or of all groups, to a number or a schedule; from the next step on.

        A number written to `param_groups` holds for one step only where there is a schedule; this replaces the schedule.
        """
        where, names = f"{type(self).__name__}.set", self.names
        self._look_over()
        for g in range(len(self.param_groups)) if group is None else [group]:
            known, own = self._known[g], self.param_groups[g]
            option = names.options.get(name) or names.option_of.get(name)
            given = names.unpacked(where, {name: value}, type(self).__name__)
            assert option is not None
            members = names.unpacked(where, {option.name: own[option.name]}, where) | given
            options = {**self.core_options(g), **given}
            self._probe(options)
            own[option.name] = option.of_parts(members)
            known.seen[option.name] = number(own[option.name])
            self._keep(known, {part: one for part, one in options.items() if callable(one)})
            self._show(known, self.count)
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


def refuse(where: str, options: Mapping[str, Any], names: Names | None) -> None:
    """Raise if options of torch ask for what is not done here. None for `names`: whatever the kind of decay."""
    if options.get("differentiable"):
        raise ValueError(f"{where}: differentiable must be False, because autograd does not see the step; got True")
    for name, value in names.fixed.items() if names else ():
        if bool(options.get(name, value)) != value:
            other = "Adam" if value else "AdamW"
            raise ValueError(f"{where}: {name} must be {value}, that of {other} is {not value}; got {options[name]!r}")

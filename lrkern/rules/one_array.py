"""The functions of C that update one array: which there are, and what their arguments are, from the formulas of rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lrkern.rules.errors import RuleError
from lrkern.rules.lowering import fixed, uses

if TYPE_CHECKING:
    from lrkern.rules.program import Hyper
    from lrkern.rules.rule import Rule

TYPES = {"f32": "float", "f64": "double"}
"""The suffix of a function's name -> the type of its arrays."""


@dataclass(frozen=True)
class Switch:
    """A flag that is decided by whether a state is given."""

    flag: str
    given: bool
    """The value of the flag if it is."""


@dataclass(frozen=True)
class OneArray:
    """A function, for those variants of a rule that its optional states tell apart."""

    rule: Rule
    variants: tuple[str, ...]

    @cached_property
    def name(self) -> str:
        """As in `lrk_step_<name>_f32`: the rule's, or, where that is no variant of its own, that of its first variant."""
        return self.rule.name if self.rule.name in self.variants else self.variants[0]

    @property
    def comes_first(self) -> bool:
        """Whether it is the first function of its rule, before which the options are declared."""
        return self.variants[0] == next(iter(self.rule.variants))

    @cached_property
    def set(self) -> dict[str, bool]:
        """The flags that have the same value in all variants."""
        first, *others = (self.rule.variants[one] for one in self.variants)
        return {flag: value for flag, value in first.items() if all(one.get(flag) == value for one in others)}

    @cached_property
    def states(self) -> tuple[str, ...]:
        """The states that any variant uses, in order."""
        return fixed(self.rule.program(), self.set).states

    @cached_property
    def scalar_states(self) -> tuple[str, ...]:
        """Its scalar states."""
        return self.rule.scalar_states

    @cached_property
    def hypers(self) -> tuple[Hyper, ...]:
        """The members of the options: inputs of all functions of the rule, but not flags by which states choose a variant."""
        inputs = {name for variant in self.rule.variants for name in self.inputs_of(variant)}
        of_states = {one.flag for one in _switches(self.rule, {}).values()}
        inputs -= of_states & {flag for flags in self.rule.variants.values() for flag in flags}
        return tuple(one for one in self.rule.hypers if one.name in inputs)

    @cached_property
    def options(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(one.name for one in self.hypers)

    @cached_property
    def flags(self) -> tuple[str, ...]:
        """Those of them that are 0 or 1, except for those that states decide."""
        return tuple(one.name for one in self.hypers if one.is_flag and one.name not in self.decided)

    @cached_property
    def ignored(self) -> tuple[str, ...]:
        """Those of them that only other functions of the rule have."""
        used = {name for variant in self.variants for name in self.inputs_of(variant)}
        return tuple(name for name in self.options if name not in used)

    @cached_property
    def switches(self) -> dict[str, Switch]:
        """The states that may be missing."""
        return _switches(self.rule, self.set)

    @cached_property
    def decided(self) -> dict[str, tuple[str, bool]]:
        """Flags that follow from a state -> the state, and the value of the flag if it is given."""
        return {one.flag: (state, one.given) for state, one in self.switches.items()}

    @cached_property
    def choices(self) -> list[tuple[str, list[tuple[str, bool]]]]:
        """The variants, each with the states that must be given (True) or missing for it; the last one is for all others."""
        found: list[tuple[str, list[tuple[str, bool]]]] = []
        for variant in self.variants:
            flags = {flag: value for flag, value in self.rule.variants[variant].items() if flag not in self.set}
            found.append((variant, [(self.decided[flag][0], self.decided[flag][1] == value) for flag, value in flags.items()]))
        return found

    def inputs_of(self, variant: str) -> tuple[str, ...]:
        """The inputs of a variant, in the order of its kernels: members of the options, and flags that follow from states."""
        return tuple(one.name for one in self.rule.parts(variant).hypers)

    def states_of(self, variant: str) -> tuple[str, ...]:
        """The states of a variant, in the order of its kernels."""
        return self.rule.parts(variant).states

    @cached_property
    def free(self) -> dict[str, tuple[tuple[str, bool], ...]]:
        """Arrays and numbers that may hold anything before the first update: always, or if one of these flags has a value."""
        found: dict[str, tuple[tuple[str, bool], ...]] = {}
        for name in (*self.states, *self.scalar_states):
            switch = self.switches.get(name)
            given = {} if switch is None else {switch.flag: switch.given}
            ways = [(flag, value) for flag in self.flags for value in (False, True)]
            if self._is_free(name, given):
                found[name] = ()
            elif free := [(flag, value) for flag, value in ways if self._is_free(name, {**given, flag: value})]:
                found[name] = tuple(free)
        return found

    def _is_free(self, name: str, flags: Mapping[str, bool]) -> bool:
        first = fixed(self.rule.program(), {**self.set, **flags, "n": True})
        return name in (*first.states, *first.scalar_states) and not uses(first, name)


def _switches(rule: Rule, flags: Mapping[str, bool]) -> dict[str, Switch]:
    """The optional states, each with the flag that is off (or on) where it is missing: which leaves it unused."""
    if not rule.optional:
        return {}
    found: dict[str, Switch] = {}
    names = [one.name for one in rule.hypers if one.is_flag and one.name not in flags]
    everything = fixed(rule.program(), flags).states
    for state in [one for one in everything if one in rule.optional]:
        ways = [
            Switch(name, not value)
            for name in names
            for value in (False, True)
            if state not in fixed(rule.program(), {**flags, name: value}).states
        ]
        if len(ways) > 1 or not (ways or flags):
            raise RuleError(f"rule {rule.name}: optional: {state} must be left unused by one flag; got {len(ways)}")
        if ways:  # else the flag is set
            found[state] = ways[0]
    return found


def functions(rule: Rule) -> list[OneArray]:
    """The functions of a rule: variants that its optional states do not tell apart have different ones."""
    decided = {one.flag for one in _switches(rule, {}).values()}
    groups: dict[tuple[tuple[str, bool], ...], list[str]] = {}
    for variant, flags in rule.variants.items():
        groups.setdefault(tuple((flag, value) for flag, value in flags.items() if flag not in decided), []).append(variant)
    return [OneArray(rule, tuple(variants)) for variants in groups.values()]


def all_functions(rules: Mapping[str, Rule]) -> list[OneArray]:
    """The functions of all rules, by the order of these; `rules`: by the names of their variants."""
    distinct: Iterable[Rule] = dict.fromkeys(rules.values())
    return [one for rule in distinct for one in functions(rule)]
